"""Several machines at one PostgreSQL."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from select import select
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import psycopg
import pytest
from conftest import FEEDBACK, HANG_SECONDS, HEAD, HERE, QUESTIONS, THANKS, run, until
from sqlalchemy import event, make_url, text
from sqlalchemy.exc import ProgrammingError

from storage import connect
from storage.database import WRITE_TIMEOUT_SECONDS
from worker.results import claim_due, run_attempt

pytestmark = pytest.mark.long

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def start(folder, environ) -> Iterator[Callable]:
    """`start(program, command, …)`: in a process of its own, which ends with the test."""
    processes = []

    def start(*arguments: str | Path) -> subprocess.Popen:
        processes.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


# The clock ###################################################################


@on_postgresql
def test_the_time_is_the_databases_in_utc_whatever_its_time_zone(
    database_url, serve, questionnaires
):
    results = '\n[results]\nurl = "http://127.0.0.1:9/results"\nformat = "json"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    set_for_database(database_url, "timezone", "Asia/Kolkata")
    webhook = serve()
    for body in TEXTS:
        webhook.phone().text(body)
    ((payload,),) = webhook.rows("SELECT payload FROM outbox")
    assert json.loads(payload)["data"]["started_at"] == "2026-11-20T12:00:00Z"
    now = webhook.app.database.now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


@on_postgresql
def test_the_time_advances_between_two_readings_of_the_databases_clock(database_url, patch):
    statements = []
    patch("storage.postgresql", "CLOCK_SAMPLE_SECONDS", 3600)  # whatever the machine does meanwhile
    with connect(database_url) as database:
        event.listen(
            database.engine, "before_cursor_execute", lambda *context: statements.append(context)
        )
        began = time.monotonic()
        first, second = database.now(), database.now()
        assert first < second < first + timedelta(seconds=time.monotonic() - began)
        assert len(statements) == 1
        patch("storage.postgresql", "CLOCK_SAMPLE_SECONDS", 0)
        assert second < database.now()
        assert len(statements) == 2


# Connections that are lost ###################################################


def set_for_database(url: str, name: str, value: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET {name} = '{value}'")


class Proxy(BaseRequestHandler):
    """Forwards what a connection to PostgreSQL says, as long as `hear` says so."""

    folder: str

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.connect(f"{self.folder}/.s.PGSQL.5432")
            while self.forward(server):
                pass

    def forward(self, server: socket.socket) -> bool:
        ready, _, _ = select([self.request, server], [], [])
        data = ready[0].recv(65536)
        if not self.hear(ready[0] is server, data):
            return False
        (self.request if ready[0] is server else server).sendall(data)
        return bool(data)

    def hear(self, is_answer: bool, data: bytes) -> bool:
        raise NotImplementedError


@contextmanager
def proxied(url: str, proxy: type[Proxy]) -> Iterator[str]:
    """The URL of a proxy of this PostgreSQL."""
    proxy.folder = make_url(url).query["host"]
    with ThreadingTCPServer(("127.0.0.1", 0), proxy) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        port = server.server_address[1]
        try:
            yield f"postgresql://postgres@127.0.0.1:{port}/{make_url(url).database}?sslmode=disable"
        finally:
            server.shutdown()


class LosingCommits(Proxy):
    """Forwards each third commit, but loses its answer."""

    commits = count()
    loses = False

    def hear(self, is_answer: bool, data: bytes) -> bool:
        self.loses |= not is_answer and b"COMMIT\0" in data and next(self.commits) % 3 == 0
        return not (is_answer and self.loses)


class CountingTrips(Proxy):
    """Counts how often a program has sent something and waited for the answer."""

    trips = 0
    waits = False

    def hear(self, is_answer: bool, data: bytes) -> bool:
        CountingTrips.trips += is_answer and self.waits
        self.waits = not is_answer
        return True


@on_postgresql
def test_an_answer_takes_three_trips(database_url, serve):
    with proxied(database_url, CountingTrips) as url:
        phone = serve(database_url=url).phone()
        trips = []
        for body in TEXTS:
            before = CountingTrips.trips
            phone.text(body)
            trips.append(CountingTrips.trips - before)
    assert trips[3] == 3


@on_postgresql
def test_a_commit_whose_answer_is_lost_is_not_done_twice(
    database_url, serve, clock, questionnaires, receiver
):
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    with proxied(database_url, LosingCommits) as url:
        webhook = serve(database_url=url)
        phone = webhook.phone()
        assert [phone.text(body) for body in TEXTS] == [[reply] for reply in (*QUESTIONS, THANKS)]
        for _ in range(4):
            for claimed in claim_due(webhook.app.database, clock(), 8):
                run_attempt(webhook.app.database, webhook.app.settings, claimed, clock)
            clock.pass_(minutes=2)
        webhook.app.database.close()
    with psycopg.connect(database_url) as connection:
        bodies = connection.execute("SELECT body FROM messages WHERE direction = 'inbound'")
        assert bodies.fetchall() == [(body,) for body in TEXTS]
        owed = connection.execute("SELECT state FROM outbox").fetchall()
    assert owed == [("delivered",)]
    assert len(receiver.requests) == 1


@on_postgresql
def test_a_connection_that_was_lost_in_the_meantime_costs_no_text(database_url, phone):
    assert phone.text("Mats BBQ") == [QUESTIONS[0]]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert phone.text("Blue") == [QUESTIONS[1]]


STUCK = 20  # more than share a commit at a time, fewer than have connections


@on_postgresql
def test_many_texts_that_wait_for_a_lost_machine_do_not_keep_others_waiting(database_url, webhook):
    stuck = [webhook.phone(f"+1415555{n:04}") for n in range(STUCK)]
    for phone in stuck:
        phone.text("Mats BBQ")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with (
        ThreadPoolExecutor(len(stuck)) as pool,
        psycopg.connect(database_url) as lost,
        psycopg.connect(database_url, autocommit=True) as observer,
    ):
        lost.execute("SELECT FROM contacts FOR UPDATE")
        answers = [pool.submit(phone.text, "Blue") for phone in stuck]
        until(lambda: observer.execute(waiting).fetchone() == (STUCK,))
        assert webhook.phone().text("Mats BBQ") == [QUESTIONS[0]]
        assert observer.execute(waiting).fetchone() == (STUCK,)
        lost.rollback()
        assert [answer.result() for answer in answers] == [[QUESTIONS[1]]] * STUCK


@on_postgresql
def test_settings_in_the_url_come_first(database_url):
    with connect(f"{database_url}&options=-c%20statement_timeout%3D42s") as database:
        with database.read() as db:
            assert db.scalar(text("SHOW statement_timeout")) == "42s"
            assert db.scalar(text("SHOW timezone")) == "UTC"


@on_postgresql
@pytest.mark.parametrize(
    ("setting", "kept"), [("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")]
)
def test_a_text_is_on_disk_whatever_is_set_for_the_database(database_url, setting, kept):
    set_for_database(database_url, "synchronous_commit", setting)
    with connect(database_url) as database:
        with database.read() as db, suppress(ProgrammingError):
            db.execute(text("SELECT nothing"))
        assert database.write(lambda db: db.scalar(text("SHOW synchronous_commit"))) == kept


# upgrade #####################################################################


@contextmanager
def migrating_elsewhere(url: str) -> Iterator[Callable[[], int]]:
    """Another machine's migration is under way; yields how many wait for it."""
    with psycopg.connect(url) as migration, psycopg.connect(url, autocommit=True) as observer:
        migration.execute("SELECT pg_advisory_xact_lock(hashtext('smsconvo migration'))")
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database AS it ON it.oid = database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        yield lambda: observer.execute(waiting).fetchone()[0]


def upgrade_at_once(url: str, start: Callable, *command: str | Path) -> list[tuple[int, str]]:
    """The same command on two machines at the same moment."""
    with migrating_elsewhere(url) as count_waiting:
        both = [start(*command) for _ in range(2)]
        until(lambda: count_waiting() == 2)
    return [(process.wait(HANG_SECONDS), "".join(process.communicate())) for process in both]


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_of_two_machines_that_make_the_database_one_does(start, environ, empty_url):
    environ["DATABASE_URL"] = empty_url
    ended = upgrade_at_once(empty_url, start, HERE / "smsconvo.py", "upgrade")
    assert ended == [(0, f"The database is at version {HEAD} now.\n")] * 2


@on_postgresql
def test_of_two_machines_that_upgrade_one_does(start, environ, database_url, next_program):
    environ["DATABASE_URL"] = database_url
    ended = upgrade_at_once(database_url, start, next_program(), "upgrade", "--no-backup")
    assert ended == [(0, "The database is at version 9999 now.\n")] * 2


@on_postgresql
def test_an_upgrade_may_take_longer_than_a_statement_of_the_role(
    folder, environ, database_url, next_program
):
    set_for_database(database_url, "statement_timeout", "300ms")
    program = next_program("op.execute('SELECT pg_sleep(0.4)')")
    environ["DATABASE_URL"] = database_url
    ended = run(folder, environ, "upgrade", "--no-backup", program=program)
    assert (ended.returncode, ended.stderr) == (0, "")


@on_postgresql
def test_texts_do_not_wait_for_an_upgrade_that_waits_for_a_table(
    start, folder, environ, database_url, next_program, phone
):
    environ["DATABASE_URL"] = database_url
    program = next_program()
    phone.text("Mats BBQ")
    with psycopg.connect(database_url) as reader, psycopg.connect(database_url) as observer:
        reader.execute("SELECT count(*) FROM answers")
        upgrade = start(program, "upgrade", "--no-backup")
        observer.autocommit = True
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted"
        until(lambda: observer.execute(waiting).fetchone())
        began = time.monotonic()
        assert phone.text("Blue") == [QUESTIONS[1]]
        assert time.monotonic() - began < WRITE_TIMEOUT_SECONDS / 2
        errors = upgrade.communicate()[1]
    assert upgrade.returncode == 78
    assert errors.startswith("Somebody has been reading or writing a table for some seconds")
    assert len(errors.splitlines()) == 1
    again = run(folder, environ, "upgrade", "--no-backup", program=program)
    assert (again.returncode, again.stdout) == (0, "The database is at version 9999 now.\n")
    assert phone.text(TEXTS[2]) == [QUESTIONS[2]]  # from the older program, until it is replaced
