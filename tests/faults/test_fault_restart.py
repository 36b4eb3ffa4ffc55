"""A restart while a receiver hangs: the next process answers at once, and the result arrives."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import psycopg
import pytest
from conftest import HANG_SECONDS, until
from owing import count, owe
from rig import TEXTS, Server, running, text_until_acknowledged
from sqlalchemy import make_url
from test_fault_outbox import accept, hang, receiving

from storage import connect
from storage.writer import FileLock
from worker.http_client import READ_SECONDS

# A process that waits for the attempt takes READ_SECONDS from when that came. One that does not
# takes a fraction. How long the next one takes to start is up to the machine, and measured before.
AT_ONCE_SECONDS = READ_SECONDS - 1
UNTOUCHED = "state = 'pending' AND attempts = 0 AND unfinished = 0 AND leased_until IS NULL"


@contextmanager
def receiving_at_the_second_attempt() -> Iterator[tuple[str, list[str]]]:
    """A receiver that hangs at first; its address, and the ids of the attempts."""
    came: list[str] = []

    def answer(handler: BaseHTTPRequestHandler, webhook_id: str) -> None:
        came.append(webhook_id)
        (hang if len(came) == 1 else accept)(handler)

    with receiving(answer) as url:
        yield url, came


def wait_for(condition: Callable[[], object]) -> float:
    """How long it took."""
    began = time.monotonic()
    until(condition)
    return time.monotonic() - began


def test_a_server_is_restarted_while_a_receiver_hangs(tmp_path, database_url):
    settings = {"DATABASE_URL": database_url}
    with receiving_at_the_second_attempt() as (url, came), connect(database_url) as database:
        started = time.monotonic()
        with running(Server(tmp_path, url, settings=settings, warm=False)) as server:
            phone = server.phone("+14155550123")
            for body in TEXTS:
                text_until_acknowledged(phone, body)
            undisturbed = time.monotonic() - started
            until(lambda: came)
            began = time.monotonic()
            assert server.stop() == 0
            stopped = time.monotonic() - began
            assert count(database, UNTOUCHED) == 1
            server.start()
            text_until_acknowledged(server.phone("+14155550124"), TEXTS[0])
            answered = time.monotonic() - began
            delivered = wait_for(lambda: count(database, "state = 'delivered'"))
    print(
        f"stopped after {stopped:.2f} s, answered {answered:.2f} s,"
        f" undisturbed {undisturbed:.2f} s,"
        f" delivered {delivered:.1f} s"
    )
    assert stopped < AT_ONCE_SECONDS
    assert answered - undisturbed < AT_ONCE_SECONDS
    assert len(came) == 2
    assert len(set(came)) == 1
    assert count_of_attempts(database_url) == 1


def count_of_attempts(database_url: str) -> int:
    with connect(database_url) as database, database.engine.connect() as connection:
        return connection.exec_driver_sql("SELECT attempts FROM outbox").scalar_one()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_deliver_is_stopped_while_a_receiver_hangs(tmp_path, database_url, stop):
    server = Server(tmp_path, settings={"DATABASE_URL": database_url}, warm=False)
    with receiving_at_the_second_attempt() as (url, came), connect(database_url) as database:
        owe(database, [url])
        delivering = server.run("deliver")
        until(lambda: came)
        began = time.monotonic()
        os.kill(delivering.pid, stop)
        assert delivering.wait(HANG_SECONDS) == 0
        stopped = time.monotonic() - began
        assert count(database, UNTOUCHED) == 1
    print(f"stopped after {stopped:.2f} s")
    assert stopped < AT_ONCE_SECONDS


def test_a_database_that_does_not_answer_delays_no_stop(tmp_path, database_url, database):
    """The lease is not given back then, and runs out."""
    server = Server(tmp_path, settings={"DATABASE_URL": database_url}, warm=False)
    with receiving_at_the_second_attempt() as (url, came):
        owe(database, [url])
        with running(server):
            until(lambda: came)
            with holding(database_url):
                began = time.monotonic()
                server.stop()
                stopped = time.monotonic() - began
    assert stopped < AT_ONCE_SECONDS
    assert count(database, "attempts = 1 AND leased_until IS NOT NULL") == 1


@contextmanager
def holding(database_url: str) -> Iterator[None]:
    """Keep others from writing to the outbox."""
    if database_url.startswith("sqlite"):
        with FileLock(f"{make_url(database_url).database}-gate"):
            yield
    else:
        with psycopg.connect(database_url) as connection:
            connection.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
            yield
