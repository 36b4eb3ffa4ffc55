"""Receivers that take nothing cost neither other receivers nor the database."""

import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count as count_up
from threading import Event, Lock, Thread

import pytest
from conftest import Clock, until
from owing import NOW, count, owe

from models.delivery import MAX_IN_FLIGHT, MAX_PER_RECEIVER
from settings import Settings
from storage import Database
from worker.hosts import LONGEST_PAUSE, OPEN_AFTER, host_of
from worker.results import DeliverResults

SETTINGS = Settings(allow_private_receivers=True)


class Host:
    """A receiver that notes the paths of attempts, and treats each as it is told to."""

    def __init__(self) -> None:
        self.behave: Callable[[BaseHTTPRequestHandler], None] = accept
        self.came: list[str] = []
        self.in_flight: Counter[str] = Counter()
        self.most = 0  # in flight at once
        self.over = Event()
        self._lock = Lock()

    def attempt(self, handler: BaseHTTPRequestHandler) -> None:
        handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._lock:
            self.came.append(handler.path)
            self.in_flight[handler.path] += 1
            self.most = max(self.most, self.in_flight.total())
        with suppress(OSError):
            self.behave(handler)
        with self._lock:
            self.in_flight[handler.path] -= 1

    def hang(self, handler: BaseHTTPRequestHandler) -> None:
        self.over.wait()
        accept(handler)


def accept(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(204)
    handler.end_headers()


def fail(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(500)
    handler.end_headers()


def break_off(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def receiving() -> Iterator[tuple[Host, str]]:
    """A receiver, and its address."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            host.attempt(self)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield host, f"http://127.0.0.1:{server.server_port}"
        finally:  # else its thread would keep a processor busy until all tests have run
            host.over.set()
            server.shutdown()


@pytest.fixture
def first() -> Iterator[tuple[Host, str]]:
    with receiving() as both:
        yield both


@pytest.fixture
def second() -> Iterator[tuple[Host, str]]:
    with receiving() as both:
        yield both


class Rounds:
    """The job that delivers, run by hand: nothing happens between two rounds."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.database, self.clock = database, clock
        self.job = DeliverResults(database, SETTINGS, clock, Event())

    def start(self) -> None:
        """Claim all that it claims now."""
        while self.job.run(self.clock()):
            pass

    def run(self) -> int:
        """Claim once, and wait until that has ended; how many attempts it was."""
        before = self._count_attempts()
        self.job.run(self.clock())
        until(is_nothing_in_flight)
        return int(self._count_attempts() - before)

    def _count_attempts(self) -> int:
        with self.database.engine.connect() as connection:
            return connection.exec_driver_sql("SELECT sum(attempts) FROM outbox").scalar_one() or 0


def is_nothing_in_flight() -> bool:
    return all(thread.name != "result" for thread in threading.enumerate())


@pytest.fixture
def rounds(database, clock) -> Iterator[Rounds]:
    yield Rounds(database, clock)
    until(is_nothing_in_flight)


# Shares ######################################################################


def test_four_urls_of_one_host_that_hang_delay_no_other_host(database, rounds, first, second):
    (hanging, address), (good, other_address) = first, second
    hanging.behave = hanging.hang
    owe(database, [f"{address}/{n % 4}" for n in range(40)])
    rounds.start()
    until(lambda: hanging.in_flight.total() == MAX_IN_FLIGHT // 2)
    owe(database, [f"{other_address}/good"])
    rounds.start()
    until(lambda: good.came == ["/good"])
    assert hanging.in_flight.total() == MAX_IN_FLIGHT // 2


def test_four_hosts_that_hang_leave_room_for_another(database, rounds, second):
    good, good_address = second
    with ExitStack() as stack:
        for hanging, address in [stack.enter_context(receiving()) for _ in range(4)]:
            hanging.behave = hanging.hang
            owe(database, [f"{address}/{n % 4}" for n in range(40)])
        rounds.start()
        owe(database, [f"{good_address}/good"] * 3)
        until(lambda: rounds.start() or good.came == ["/good"] * 3)


def test_many_urls_of_one_host_that_is_well_are_served_at_once(database, rounds, first):
    """As the forms of Google, which are all at one host."""
    host, address = first
    host.behave = host.hang
    owe(database, [f"{address}/{n}" for n in range(20)])
    rounds.start()
    until(lambda: host.in_flight.total() == MAX_IN_FLIGHT // 2)
    assert set(host.in_flight.values()) == {1}
    host.over.set()
    until(lambda: rounds.run() == 0 and count(database, "state = 'delivered'") == 20)


def test_urls_get_turns_however_much_is_owed_to_one_of_them(database, rounds, first):
    host, address = first
    host.behave = host.hang
    owe(database, [f"{address}/many"] * 40, next_attempt_at=NOW - timedelta(days=1))
    owe(database, [f"{address}/few"] * 2)
    rounds.start()
    until(lambda: host.in_flight == {"/many": MAX_PER_RECEIVER, "/few": 2})


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Docs.Google.com/forms/1", "docs.google.com:443"),
        ("https://docs.google.com:443/forms/2?x=1", "docs.google.com:443"),
        ("http://docs.google.com/", "docs.google.com:80"),
        ("https://ann:secret@example.org:8443/path", "example.org:8443"),
        ("http://[::1]:8080/", "::1:8080"),
        ("http://[::1", "http://[::1"),
        ("", "None:None"),
    ],
)
def test_a_host_is_a_name_and_a_port(url, host):
    assert host_of(url) == host


# Circuits ####################################################################

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def open_circuit(rounds: Rounds) -> None:
    """Fail until it is open, and take that in."""
    assert rounds.run() >= OPEN_AFTER
    assert rounds.run() == 0


@on_sqlite
def test_results_for_a_host_that_does_not_answer_stay_as_they_are(
    database, rounds, first, clock, caplog
):
    host, address = first
    host.behave = break_off
    owe(database, [f"{address}/{n % 2}" for n in range(40)])
    open_circuit(rounds)
    untouched = count(database, "attempts = 0 AND next_attempt_at = created_at")
    assert untouched == 40 - len(host.came) >= 32
    clock.pass_(seconds=4)
    assert rounds.run() == 0
    assert logged(caplog) == ["3 attempts in a row failed, so one at a time from now on"]


def logged(caplog) -> list[str]:
    """What is said about receivers; the host is named, and nothing else of its address."""
    records = [record for record in caplog.records if record.message == "receiver"]
    assert all("/" not in json.dumps(record.fields["host"]) for record in records)
    return [record.fields["outcome"] for record in records]


@on_sqlite
def test_a_host_that_does_not_answer_is_tried_once_after_ever_longer_pauses(
    database, rounds, first, clock
):
    host, address = first
    host.behave = break_off
    owe(database, [f"{address}/{n % 2}" for n in range(40)])
    open_circuit(rounds)
    for seconds in (5, 10, 20, 40, 80, 120, 120, 120):
        clock.pass_(seconds=seconds - 1)
        assert rounds.run() == 0
        clock.pass_(seconds=1)
        assert (rounds.run(), rounds.run()) == (1, 0)
    assert LONGEST_PAUSE == timedelta(seconds=120)


@on_sqlite
def test_a_host_that_answers_again_gets_everything_at_once(database, rounds, first, clock, caplog):
    caplog.set_level(logging.INFO)
    host, address = first
    host.behave = break_off
    owe(database, [f"{address}/{n % 2}" for n in range(40)])
    open_circuit(rounds)
    host.behave = accept
    clock.pass_(seconds=5)
    assert rounds.run() == 1
    assert rounds.run() == MAX_PER_RECEIVER * 2
    until(lambda: rounds.run() == 0)
    assert count(database, "state = 'delivered'") >= 40 - MAX_PER_RECEIVER * 2
    assert logged(caplog)[-1] == "takes results again"


@on_sqlite
def test_a_host_that_answers_with_errors_gets_one_attempt_a_second(database, rounds, first, clock):
    host, address = first
    host.behave = fail
    owe(database, [f"{address}/{n % 2}" for n in range(40)])
    open_circuit(rounds)
    for _ in range(4):
        clock.pass_(seconds=1)
        assert (rounds.run(), rounds.run()) == (1, 0)
    host.behave = accept
    clock.pass_(seconds=1)
    assert (rounds.run(), rounds.run()) == (1, MAX_PER_RECEIVER * 2)


@on_sqlite
def test_an_error_ends_the_long_pauses_of_a_host_that_did_not_answer(
    database, rounds, first, clock
):
    host, address = first
    host.behave = break_off
    owe(database, [f"{address}/{n % 2}" for n in range(40)])
    open_circuit(rounds)
    clock.pass_(seconds=5)
    assert (rounds.run(), rounds.run()) == (1, 0)
    host.behave = fail
    clock.pass_(seconds=10)
    assert (rounds.run(), rounds.run()) == (1, 0)
    clock.pass_(seconds=1)
    assert (rounds.run(), rounds.run()) == (1, 0)


@on_sqlite
def test_errors_between_deliveries_slow_nothing_down(database, rounds, first, caplog):
    host, address = first
    turns = count_up()
    host.behave = lambda handler: (accept if next(turns) % 5 else fail)(handler)
    owe(database, [f"{address}/{n % 2}" for n in range(32)])
    for _ in range(4):
        assert rounds.run() == MAX_PER_RECEIVER * 2
    assert logged(caplog) == []


@on_sqlite
def test_another_url_of_the_host_is_tried_before_one_that_did_not_answer(
    database, rounds, first, clock
):
    host, address = first

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (accept if handler.path == "/well" else break_off)(handler)

    host.behave = answer
    owe(database, [f"{address}/bad"] * 20)
    open_circuit(rounds)
    owe(database, [f"{address}/well"], next_attempt_at=NOW + timedelta(seconds=1))
    clock.pass_(seconds=5)
    assert rounds.run() == 1
    assert host.came[-1] == "/well"


@on_sqlite
def test_an_open_circuit_delays_no_other_host(database, rounds, first, second):
    (bad, address), (good, other_address) = first, second
    bad.behave = break_off
    owe(database, [f"{address}/{n % 2}" for n in range(40)])
    open_circuit(rounds)
    owe(database, [f"{other_address}/good"])
    assert rounds.run() == 1
    assert good.came == ["/good"]


@on_sqlite
def test_a_clock_that_is_set_back_keeps_no_circuit_open(database, rounds, first, clock):
    host, address = first
    host.behave = break_off
    owe(
        database, [f"{address}/{n % 2}" for n in range(40)], next_attempt_at=NOW - timedelta(days=9)
    )
    open_circuit(rounds)
    clock.pass_(days=-1)
    assert rounds.run() == 1


@on_sqlite
def test_what_can_never_be_sent_opens_no_circuit(database, rounds, first, caplog):
    host, address = first
    owe(database, [f"{address}/1"] * 4, payload="no JSON")
    owe(database, [f"{address}/2"])
    rounds.run()
    assert count(database, "state = 'failed'") == 4
    assert rounds.run() == 0
    assert (host.came, logged(caplog)) == (["/2"], [])
