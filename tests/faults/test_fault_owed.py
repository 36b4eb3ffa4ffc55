"""Much is owed and nobody takes it, or all of it is retried: texts do not notice."""

import re
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import NamedTuple
from urllib.parse import urlencode

import psutil
import psycopg
import pytest
from conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    NUMBER,
    database_name,
    execute,
    new_database,
    until,
)
from memory import measure_memory
from owing import NOW, owe_many
from psycopg.conninfo import conninfo_to_dict
from rig import NOWHERE, TEXTS, Server, running
from sqlalchemy import text
from test_fault_outbox import receiving
from twilio.request_validator import RequestValidator

from commands.outbox import redeliver_all
from gateway.webhook import FORM_TYPE
from models import Delivery
from phone import new_sid
from storage import Database, connect
from storage.versions import migrate
from storage.writer import FileLock

URLS = [f"https://example.org/{n}" for n in range(10)]
PHONES = 8
LEAST_PACE = 0.9  # it was 0.64 when each look read all that is owed
MOST_ROUNDS = 60
# A text beside a retry that once held up all of them for a minute; the machine may become busier.
SLOWEST_SECONDS = 1
HELD_UP_SECONDS = 0.05  # that a text waits for a retry
LONG_WAIT = re.compile(r"still waiting for \w+ on (.+) after .*\n(?:.*\n)*?.*STATEMENT:  (.*)")
# The retry and the worker wait for each other's rows; a text only adds rows there.
OF_DELIVERY = re.compile(r"UPDATE outbox|SELECT outbox\.")
# Held while a table's file grows by a few pages: on a busy machine that may be long, too.
GROWTH = "extension of relation"
guests = count(1)
validator = RequestValidator(AUTH_TOKEN)


# Looks #######################################################################


def time_look(database: Database) -> float:
    """Milliseconds that the worker's look takes."""
    later = NOW + timedelta(hours=1)
    with database.read() as db:
        began = time.perf_counter()
        assert Delivery.find_due(db, later)
        return (time.perf_counter() - began) * 1000


def refuse_some(database: Database) -> None:
    """Half of the URLs want no more, as many results say; the others of theirs are paused."""
    gone = "state = 'failed', cause = 'gone', next_attempt_at = NULL"
    for remainder in range(20):  # on PostgreSQL a statement has some seconds only
        some = f"url < '{URLS[5]}' AND mod(id, 40) = {remainder}"
        sql = f"UPDATE outbox SET {gone} WHERE state = 'pending' AND {some}"
        database.write(lambda db, sql=sql: db.connection().exec_driver_sql(sql))


@contextmanager
def owing(url: str, owed: int) -> Iterator[Database]:
    """A database with so many results for each URL, half of which want no more."""
    with connect(url) as database:
        for receiver in URLS:
            owe_many(database, owed, receiver)
        refuse_some(database)
        yield database


def test_a_look_at_the_outbox_takes_as_long_however_much_is_owed(url_of, size):
    """The shortest of many that take turns: whatever else runs makes a look longer."""
    most = size(2_000, 30_000)
    with owing(url_of("few"), 30) as few, owing(url_of("many"), most) as many:
        looks = [(time_look(few), time_look(many)) for _ in range(200)]
    for_few, for_many = map(min, zip(*looks, strict=True))
    print(f"300 owed: {for_few:.2f} ms, {10 * most:,} owed: {for_many:.2f} ms")
    assert for_many < 3 * for_few


# Texts #######################################################################


class Pace(NamedTuple):
    texts_per_second: float
    cpu_ms: float  # of the server, for each text
    slowest: float  # seconds


def measure(server: Server, seconds: float) -> Pace:
    """How fast a few phones are answered, which take little time themselves."""
    durations: list[float] = []
    began, used = time.monotonic(), cpu_seconds(server)
    phones = [
        Thread(target=text_until, args=(server, began + seconds, durations)) for _ in range(PHONES)
    ]
    for phone in phones:
        phone.start()
    for phone in phones:
        phone.join()
    elapsed, number = time.monotonic() - began, len(durations)
    cpu = (cpu_seconds(server) - used) / number * 1000
    return Pace(number / elapsed, cpu, max(durations))


def text_until(server: Server, end: float, durations: list[float]) -> None:
    """Text until then, one questionnaire at least: a busy machine may begin late."""
    host, port = server.address.split(":")
    with socket.create_connection((host, int(port))) as connection:
        is_over = False
        while not is_over:
            guest = f"+1415{next(guests):07}"
            for body in TEXTS:
                began = time.perf_counter()
                connection.sendall(request(server, guest, body))
                assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
                durations.append(time.perf_counter() - began)
            is_over = time.monotonic() >= end


def request(server: Server, guest: str, body: str) -> bytes:
    form = {"MessageSid": new_sid(), "AccountSid": ACCOUNT_SID, "Body": body}
    form |= {"From": guest, "To": NUMBER}
    content = urlencode(form)
    head = {"Host": server.address, "Content-Type": FORM_TYPE, "Content-Length": len(content)}
    head["X-Twilio-Signature"] = validator.compute_signature(f"{server.url}/sms", form)
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST /sms HTTP/1.1\r\n{lines}\r\n{content}".encode("ascii")


def cpu_seconds(server: Server) -> float:
    parent = psutil.Process(server.process.pid)
    processes = [parent, *parent.children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def hang(handler: BaseHTTPRequestHandler, _: str) -> None:
    handler.connection.settimeout(60)
    handler.connection.recv(1)


def answer_503(handler: BaseHTTPRequestHandler, _: str) -> None:
    handler.send_response(503)
    handler.end_headers()


@contextmanager
def receivers_that_are_down() -> Iterator[list[str]]:
    """One refuses, one hangs, one answers with an error; several URLs of each."""
    with receiving(hang) as hanging, receiving(answer_503) as failing:
        yield [f"{url}/{n}" for url in ("http://127.0.0.1:9", hanging, failing) for n in range(3)]


@contextmanager
def two_servers(folder: Path, url_of: Callable[[str], str], owed: int) -> Iterator[list[Server]]:
    """Two servers whose receivers are down; the second owes much."""
    with ExitStack() as stack:
        urls = stack.enter_context(receivers_that_are_down())
        servers = []
        for name in ("nothing", "much"):
            (folder / name).mkdir()
            url = url_of(name)
            with connect(url) as database:
                for receiver in urls if name == "much" else ():
                    owe_many(database, owed // len(urls), receiver)
            server = Server(folder / name, urls[0], settings={"DATABASE_URL": url}, warm=False)
            servers.append(stack.enter_context(running(server)))
        yield servers


@pytest.fixture(params=["sqlite", "postgresql"])
def url_of(request, tmp_path) -> Callable[[str], str]:
    """The URL of a database with the tables in it, by a name."""

    def make(name: str) -> str:
        if request.param == "postgresql":
            return new_database(request.getfixturevalue("postgresql"), "migrated")
        (tmp_path / name).mkdir(exist_ok=True)
        url = f"sqlite:///{tmp_path}/{name}/smsconvo.db"
        migrate(url)
        return url

    return make


@pytest.mark.alone
def test_results_that_nobody_takes_cost_texts_nothing(tmp_path, url_of, size):
    """Rounds alternate, so that whatever else the machine does affects both alike.

    One round says little. So there are more, up to a limit, while they say that the pace is lost.
    """
    owed, least = size(9_000, 300_000), size(4, 12)
    with two_servers(tmp_path, url_of, owed) as (nothing, much):
        for server in (nothing, much):
            measure(server, 1)  # it has begun to deliver by then
        rounds: list[tuple[Pace, Pace]] = []
        while len(rounds) < least or (pace_of(rounds) < LEAST_PACE and len(rounds) < MOST_ROUNDS):
            rounds.append(measure_both(nothing, much, len(rounds) % 2))
        tried = much.log.read_text().count('"event":"delivery"')
    pace = pace_of(rounds)
    cpu = statistics.median(b.cpu_ms / a.cpu_ms for a, b in rounds)
    print(f"{owed:,} owed: {pace:.2f} of the pace, {cpu:.2f} of the processor time a text")
    slowest = max(b.slowest for _, b in rounds)
    print(f"{len(rounds)} rounds, {tried} attempts; slowest text {slowest:.2f} s")
    assert tried > 0
    assert pace >= LEAST_PACE


def measure_both(nothing: Server, much: Server, much_first: bool) -> tuple[Pace, Pace]:
    if much_first:
        second = measure(much, 1)
        return measure(nothing, 1), second
    return measure(nothing, 1), measure(much, 1)


def pace_of(rounds: list[tuple[Pace, Pace]]) -> float:
    """The texts that are answered where much is owed for each one where nothing is."""
    return statistics.median(b.texts_per_second / a.texts_per_second for a, b in rounds)


# A retry of all ##############################################################


def test_a_retry_of_all_holds_up_no_text(tmp_path, url_of, size):
    """Compared with as long without it: of more texts, the slowest is slower."""
    owed = size(5_000, 20_000)
    (tmp_path / "one").mkdir()
    url = url_of("one")
    with connect(url) as database:
        owe_many(database, owed, NOWHERE)
    long_waits = log_long_waits(url)
    with running(Server(tmp_path / "one", settings={"DATABASE_URL": url}, warm=False)) as server:
        measure(server, 1)  # it has begun to deliver, and knows the questionnaire, by then
        waits_before = long_waits()
        with texting(server) as beside_it:
            began = time.monotonic()
            assert server.run("outbox", "retry", "--all").wait(600) == 0
            seconds = time.monotonic() - began
        waits = long_waits()
        with texting(server) as without_it:
            time.sleep(seconds)
        (retried,) = re.findall(r"To be tried again now: (\d+)", server.log.read_text())
    beside, without = max(beside_it), max(without_it)
    print(
        f"{owed:,} retried in {seconds:.1f} s; slowest text {beside:.3f} s, {without:.3f} s without"
    )
    assert int(retried) >= owed
    assert waits == waits_before
    assert beside < SLOWEST_SECONDS + 4 * without


def log_long_waits(url: str) -> Callable[[], list[str]]:
    """What texts have waited for HELD_UP_SECONDS for, and their statements.

    PostgreSQL's locks of rows and tables are held as long as a transaction lasts, however busy
    the machine is. On SQLite none: there all who write take turns, and how long they do is
    measured below.
    """
    if not url.startswith("postgresql"):
        return list
    settings = {"log_lock_waits": "on", "deadlock_timeout": f"{1000 * HELD_UP_SECONDS:.0f}ms"}
    for name, value in settings.items():
        execute(url, f"ALTER DATABASE {database_name(url)} SET {name} = '{value}'")
    log = Path(conninfo_to_dict(url)["host"], "log")
    before = log.stat().st_size

    def texts() -> list[str]:
        return [
            f"{lock}: {statement}"
            for lock, statement in LONG_WAIT.findall(log.read_bytes()[before:].decode())
            if not (OF_DELIVERY.match(statement) or lock.startswith(GROWTH))
        ]

    return texts


@pytest.mark.parametrize("url_of", ["postgresql"], indirect=True)
def test_the_check_notices_a_text_that_waits_for_a_lock(tmp_path, url_of):
    url = url_of("one")
    long_waits = log_long_waits(url)
    with running(Server(tmp_path, settings={"DATABASE_URL": url}, warm=False)) as server:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE messages IN EXCLUSIVE MODE")
            with texting(server):
                until(long_waits)
                connection.rollback()


@pytest.fixture
def held(patch) -> list[float]:
    """The seconds of processor time for which SQLite's lock was held, each time."""
    held, began = [], {}
    acquire, release = FileLock.acquire, FileLock.release

    def timed_acquire(lock: FileLock, wait: bool = True) -> bool:
        is_held = acquire(lock, wait)
        began[lock] = time.thread_time()
        return is_held

    def timed_release(lock: FileLock) -> None:
        held.append(time.thread_time() - began[lock])
        release(lock)

    patch(FileLock, "acquire", timed_acquire)
    patch(FileLock, "release", timed_release)
    return held


@pytest.mark.parametrize("url_of", ["sqlite"], indirect=True)
def test_a_retry_of_all_keeps_sqlites_lock_only_briefly(url_of, held, size):
    with connect(url_of("one")) as database:
        owe_many(database, size(5_000, 30_000), NOWHERE)
        held.clear()
        assert redeliver_all(database)[0] >= size(5_000, 30_000)
    print(f"{len(held)} times, for {1000 * max(held):.1f} ms of processor time at most")
    assert len(held) > 10
    assert max(held) < HELD_UP_SECONDS


@pytest.mark.parametrize("url_of", ["sqlite"], indirect=True)
def test_the_check_notices_a_retry_in_one_piece(url_of, held):
    with connect(url_of("one")) as database:
        owe_many(database, 100_000, NOWHERE)
        held.clear()
        database.write(lambda db: db.execute(text("UPDATE outbox SET attempts = attempts + 1")))
    assert max(held) > HELD_UP_SECONDS


@contextmanager
def texting(server: Server) -> Iterator[list[float]]:
    """Text meanwhile; the slowest text of each half second."""
    slowest: list[float] = []
    ended = Event()

    def text() -> None:
        while not ended.is_set():
            slowest.append(measure(server, 0.5).slowest)

    thread = Thread(target=text)
    thread.start()
    try:
        yield slowest
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("arguments", [[], ["retry", "--all"]], ids=["list", "retry"])
def test_outbox_needs_no_more_memory_for_much(
    folder, environ, database, database_url, size, arguments
):
    environ = environ | {"DATABASE_URL": database_url}
    with connect(database_url) as database:
        owe_many(database, 1_000, NOWHERE)
        few = measure_memory(folder, environ, "outbox", *arguments)
        owe_many(database, size(20_000, 40_000), NOWHERE)
    many = measure_memory(folder, environ, "outbox", *arguments)
    print(f"{few / 1024:.1f} MiB for 1,000, {many / 1024:.1f} MiB for much")
    assert many < few + 10 * 1024
