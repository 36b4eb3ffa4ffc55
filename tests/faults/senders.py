"""Senders in processes of their own, which can be killed, and whose clock is the test's."""

import multiprocessing
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from multiprocessing.sharedctypes import Synchronized
from threading import Event

from patching import patch
from sqlalchemy import select, update
from urllib3 import HTTPResponse as RawResponse

from models import Catalog, Delivery
from settings import Settings
from storage import connect
from worker import create_worker
from worker.receivers import Outcome
from worker.results import attempt, claim_due

GAP_SECONDS = 0.05  # of a weakened sender, in which others read the same
SETTINGS = Settings(allow_private_receivers=True)


# Its processes have smsconvo imported already, and start within milliseconds.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.preloading"])


def start(work: Callable, *arguments: object) -> ForkServerProcess:
    process = PROCESSES.Process(target=work, args=arguments, daemon=True)
    process.start()
    return process


def send(url: str, now: datetime) -> None:
    """Deliver what is due at `now`, until killed."""
    create_worker(connect(url), SETTINGS, lambda: now, Event()).run()


def claim(url: str, now: datetime, most: int, told: Connection) -> None:
    """Claim until nothing is left, and tell which rows were claimed together."""
    with connect(url) as database:
        while claimed := claim_due(database, now, most):
            told.send([one.id for one in claimed])
    told.send(None)


def send_and_tell(
    url: str, timestamp: Synchronized, told: Connection, limits: dict[str, float]
) -> None:
    """Deliver by a clock that the test sets; tell how long each attempt took, and the memory."""
    for limit, seconds in limits.items():
        patch(*limit.rsplit(".", 1), seconds)

    def timed(*args: object) -> Outcome:
        began = time.monotonic()
        outcome = attempt(*args)
        told.send((time.monotonic() - began, outcome.error))
        return outcome

    patch("worker.results", "attempt", timed)
    clock = lambda: datetime.fromtimestamp(timestamp.value, UTC)  # noqa: E731
    # Without questionnaires: to read their files, and the words of languages, takes memory once.
    create_worker(connect(url), SETTINGS, clock, Event(), lambda: Catalog({})).run()


def mark_and_send(url: str, now: datetime) -> None:
    """Wrongly: what is marked is not sent any more."""
    with connect(url) as database:
        for one in claim_due(database, now, 8):
            database.write(lambda db, one=one: db.merge(one).succeed(204, now))
    send(url, now)


def claim_unlocked(url: str, now: datetime, most: int, told: Connection) -> None:
    """Wrongly: what is due is read first, and leased later, in a transaction of its own."""
    with connect(url) as database:
        while True:
            with database.read() as db:
                due = db.scalars(select(Delivery.id).where(Delivery.leased_until.is_(None)))
                ids = due.fetchmany(most)
            if not ids:
                break
            time.sleep(GAP_SECONDS)
            lease = update(Delivery).where(Delivery.id.in_(ids)).values(leased_until=now)
            database.write(lambda db, lease=lease: db.execute(lease))
            told.send(ids)
    told.send(None)


def send_and_unpack(*arguments: object) -> None:
    """Wrongly: all that a receiver says is unpacked, and kept."""
    kept = []

    def unpack(raw: RawResponse, _max_body: int) -> bytes:
        kept.append(raw.read(decode_content=True))
        return b""

    patch("worker.http_client", "read_body", unpack)
    send_and_tell(*arguments)


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
