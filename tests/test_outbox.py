"""`outbox` beside a server: what it lists and changes, however much is owed."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner
from conftest import HANG_SECONDS, HERE, invoke, run
from owing import count, owe, owe_many
from preloaded import Process

from commands import cli
from models.outbox import PAGE_SIZE
from storage.sqlite import SQLite
from storage.writer import FileLock

GONE = "https://gone.example/"
MANY = 3 * PAGE_SIZE

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def environ(environ, database_url) -> dict[str, str]:
    return environ | {"DATABASE_URL": database_url}


def change(database, statement: str) -> None:
    database.write(lambda db: db.connection().exec_driver_sql(statement))


def test_outbox_lists_all_by_id_however_many_there_are(folder, environ, database):
    owe_many(database, MANY, GONE)
    change(database, "UPDATE outbox SET state = 'failed', last_error = 'No.' WHERE mod(id, 3) = 0")
    change(database, "UPDATE outbox SET state = 'delivered' WHERE mod(id, 5) = 0")
    lines = run(folder, environ, "outbox").stdout.splitlines()
    ids = [int(line.split()[0]) for line in lines if line[0].isdigit()]
    assert ids == [id for id in range(1, MANY + 1) if id % 5]
    assert lines.count("    No.") == sum(1 for id in ids if id % 3 == 0)


def test_outbox_says_what_is_paused(folder, environ, database):
    owe(database, [GONE, GONE, "https://well.example/"])
    change(database, "UPDATE outbox SET state = 'failed', cause = 'gone' WHERE id = 1")
    _, paused, well = invoke(folder, environ, "outbox").stdout.splitlines()
    assert paused == f"2  pending, 0 attempts, paused, to {GONE}"
    assert "next attempt at" in well


def test_retry_of_all_takes_page_after_page(folder, environ, database):
    owe_many(database, MANY, GONE)
    change(
        database,
        "UPDATE outbox SET state = 'failed', attempts = 10, unfinished = 5, cause = 'gone',"
        " next_attempt_at = NULL WHERE mod(id, 2) = 0",
    )
    change(database, "UPDATE outbox SET state = 'delivered', next_attempt_at = NULL WHERE id = 7")
    before = datetime.now(UTC)
    ended = invoke(folder, environ, "outbox", "retry", "--all")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"To be tried again now: {MANY - 1}.\n"
    assert count(database, "state = 'pending' AND attempts = 0 AND unfinished = 0") == MANY - 1
    with database.engine.connect() as connection:
        times = connection.exec_driver_sql(
            "SELECT DISTINCT next_attempt_at FROM outbox WHERE state = 'pending'"
        ).all()
    assert len(times) == 4  # two pages of the pending, and two of the failed
    assert all(datetime.fromisoformat(str(time)) >= before for (time,) in times)


def test_retry_takes_many_ids(folder, environ, database):
    owe_many(database, MANY, GONE)
    ids = [str(id) for id in range(1, MANY + 2)]
    ended = invoke(folder, environ, "outbox", "retry", *ids)
    assert ended.returncode == 1
    assert f"Not in the outbox, or delivered already: {MANY + 1}." in ended.stderr
    with database.engine.connect() as connection:
        earliest = "SELECT min(next_attempt_at) FROM outbox"
        time = datetime.fromisoformat(str(connection.exec_driver_sql(earliest).scalar_one()))
    assert (datetime.now(UTC) - time).total_seconds() < 60


def test_retry_of_one_result_lets_others_of_its_url_go_after_a_410(folder, environ, database):
    owe(database, [GONE, GONE, "https://other.example/"])
    change(database, "UPDATE outbox SET state = 'failed', cause = 'gone' WHERE id IN (1, 3)")
    ended = invoke(folder, environ, "outbox", "retry", "2")
    assert ended.stdout == "To be tried again now: 1.\n"
    assert count(database, "state = 'pending' AND id IN (1, 2)") == 2
    assert count(database, "state = 'failed' AND id = 3") == 1


def test_retry_leaves_an_attempt_in_flight_its_lease_but_no_other_time(folder, environ, database):
    owe(database, [GONE] * 2, leased_until=datetime(2099, 1, 1, tzinfo=UTC))
    ended = invoke(folder, environ, "outbox", "retry", "--all")
    assert ended.returncode == 0
    # No lease is that long: it is from a clock that was wrong.
    assert count(database, "next_attempt_at < '2090-01-01'") == 2


def test_a_retry_that_was_interrupted_keeps_what_it_did_and_can_be_run_again(
    folder, environ, database
):
    owe_many(database, 20 * PAGE_SIZE, GONE)
    change(database, "UPDATE outbox SET attempts = 9, state = 'failed', next_attempt_at = NULL")
    command = (str(HERE / "smsconvo.py"), "outbox", "retry", "--all")
    with open(os.devnull, "r+b") as nothing:
        process = Process(folder, environ, command, 3 * [nothing.fileno()])
    deadline = time.monotonic() + HANG_SECONDS
    while not (done := count(database, "state = 'pending'")):
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert count(database, "state = 'pending'") >= done
    assert done % PAGE_SIZE == 0
    left = count(database, "state = 'failed'")
    assert left > 0
    assert invoke(folder, environ, "outbox", "retry", "--all").returncode == 0
    assert count(database, "state = 'failed'") == 0


@on_sqlite
def test_a_database_that_takes_nothing_in_time_is_told_so(
    folder, environ, database, monkeypatch, patch
):
    monkeypatch.chdir(folder)
    owe(database, [GONE])
    lock, write = FileLock(f"{database.engine.url.database}-gate"), SQLite.write
    lock.acquire()

    def write_in_vain(self: SQLite, transaction: Callable) -> None:
        try:
            write(self, transaction)
        finally:
            lock.close()  # the command ends when what it gave up has ended, too

    patch("storage.database", "WRITE_TIMEOUT_SECONDS", 0.2)
    patch(SQLite, "write", write_in_vain)
    result = CliRunner(env=environ).invoke(cli, ["outbox", "retry", "--all"])
    assert result.exit_code == os.EX_UNAVAILABLE
    assert "None" not in result.stderr
    assert "in use by something else" in result.stderr
