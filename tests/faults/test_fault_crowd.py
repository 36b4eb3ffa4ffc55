"""More texts than there are threads while nothing can be written: each is answered, and healthz."""

import fcntl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
import requests
from conftest import new_database, until
from rig import Server, running

from phone import TwilioError

CROWD = 120  # more than the threads of a process on either database
LATE_SECONDS = 15  # when Twilio hangs up
HEALTH_SECONDS = 8  # what it promises, and some for a machine that has other things to do


@contextmanager
def gate_held(server: Server) -> Iterator[None]:
    with open(f"{server.database}-gate", "ab") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


@contextmanager
def table_locked(server: Server) -> Iterator[None]:
    with psycopg.connect(server.settings["DATABASE_URL"]) as connection:
        connection.execute("LOCK TABLE messages IN SHARE MODE")
        yield
        connection.rollback()


def text(server: Server, n: int) -> tuple[int, float]:
    """The status, and the seconds that it took."""
    phone, began = server.phone(f"+1415867{n:04}"), time.monotonic()
    phone.patience = 60
    try:
        phone.text("Mats BBQ")
        return 200, time.monotonic() - began
    except TwilioError:
        return phone.last.status, time.monotonic() - began


def health(server: Server) -> tuple[int, float]:
    began = time.monotonic()
    status = requests.get(f"{server.url}/healthz", timeout=60).status_code
    return status, time.monotonic() - began


@pytest.mark.alone
@pytest.mark.parametrize(
    ("kind", "hindrance"), [("sqlite", gate_held), ("postgresql", table_locked)]
)
def test_a_crowd_is_answered_in_time_while_nothing_can_be_written(
    tmp_path, request, kind, hindrance
):
    settings = {}
    if kind == "postgresql":
        settings["DATABASE_URL"] = new_database(request.getfixturevalue("postgresql"), "migrated")
    with running(Server(tmp_path, settings=settings, warm=False)) as server:
        assert text(server, 0)[0] == 200
        with ThreadPoolExecutor(CROWD) as guests:
            with hindrance(server):
                answers = [guests.submit(text, server, n) for n in range(CROWD)]
                time.sleep(1)
                asked = [health(server) for _ in range(3)]
                told = [answer.result() for answer in answers]
        print("healthz", asked, "texts", sorted(seconds for _, seconds in told)[-1])
        assert {status for status, _ in told} == {503}
        assert max(seconds for _, seconds in told) < LATE_SECONDS
        assert {status for status, _ in asked} == {503}
        assert max(seconds for _, seconds in asked) < HEALTH_SECONDS
        until(lambda: health(server)[0] == 200)
        assert text(server, 0)[0] == 200


def test_a_crowd_is_answered_while_all_is_well(tmp_path):
    with running(Server(tmp_path, warm=False)) as server, ThreadPoolExecutor(CROWD) as guests:
        assert {status for status, _ in guests.map(text, [server] * CROWD, range(CROWD))} == {200}
