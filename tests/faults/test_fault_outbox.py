"""Receivers that misbehave, senders that are killed, senders that compete: every result arrives."""

import gzip
import os
import random
import signal
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from threading import Lock, Thread

import pytest
from conftest import until
from owing import NOW, owe
from rig import parts
from senders import (
    PROCESSES,
    claim,
    claim_unlocked,
    mark_and_send,
    resident,
    send,
    send_and_tell,
    send_and_unpack,
    start,
)
from sqlalchemy import select

from models import Delivery, outbox
from models.delivery import LEASE
from storage import Database

MIB = 1024 * 1024
PATIENCE_SECONDS = 60
HOSTS = 4


def states(database: Database) -> Counter:
    with database.read() as db:
        return Counter(db.scalars(select(Delivery.state)))


@contextmanager
def receiving(answer: Callable) -> Iterator[str]:
    """A receiver for which `answer(handler, webhook_id)` does what it likes."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            with suppress(OSError):
                answer(self, self.headers["webhook-id"])

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@contextmanager
def many_receiving(answer: Callable) -> Iterator[list[str]]:
    """As many hosts as it takes to have all attempts of a sender in flight: most of them wait."""
    with ExitStack() as stack:
        yield [stack.enter_context(receiving(answer)) for _ in range(HOSTS)]


def accept(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(204)
    handler.end_headers()


def accept_any(handler: BaseHTTPRequestHandler, _: str) -> None:
    accept(handler)


# Killed between the POST and the mark ########################################


def kill_between(database: Database, url: str, results: int, deaths: int) -> Counter:
    """Kill senders that have POSTed and not marked; how often each result came, by its id.

    Each result kills its worker this often, and is then accepted. Whatever is left is delivered.
    """
    came: Counter = Counter()
    lock = Lock()
    worker, now = None, NOW

    def answer(handler: BaseHTTPRequestHandler, webhook_id: str) -> None:
        with lock:
            came[webhook_id] += 1
            deadly = came[webhook_id] <= deaths
        if deadly:
            os.kill(worker.pid, signal.SIGKILL)  # before it hears anything
        else:
            accept(handler)

    with receiving(answer) as address:
        owe(database, [f"{address}/{n}" for n in range(results)])
        while states(database)["pending"]:
            worker = start(send, url, now)
            finish(worker, database)
            now += LEASE + timedelta(seconds=10)
    return came


def finish(worker: ForkServerProcess, database: Database) -> None:
    """Wait until it is killed, or has delivered everything."""
    until(lambda: not worker.is_alive() or not states(database)["pending"])
    worker.kill()
    worker.join()


def missing(came: Counter, results: int, deaths: int) -> list[str]:
    """What did not come once more than it was deadly, or under more ids than there are results."""
    found = [f"{id} came {count} times" for id, count in came.items() if count <= deaths]
    return found + ([f"{len(came)} ids"] if len(came) != results else [])


@pytest.mark.first
@parts(sqlite=4)
def test_a_result_arrives_though_its_senders_are_killed(database, database_url, size, part):
    results = size(4, 25)
    came = kill_between(database, database_url, results, deaths=2)
    print(f"{sum(came.values())} POSTs of {results} results, of which {2 * results} deadly")
    assert missing(came, results, deaths=2) == []
    assert states(database) == {"delivered": results}


def test_a_result_that_kills_every_sender_is_set_aside_and_takes_no_other_along(
    database, database_url, size
):
    killed = []

    def answer(handler: BaseHTTPRequestHandler, webhook_id: str) -> None:
        if handler.path == "/poison":
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)
        else:
            accept(handler)

    with receiving(answer) as address:
        owe(database, [f"{address}/{n}" for n in range(3)] + [f"{address}/poison"])
        now = NOW
        while states(database)["pending"]:
            worker = start(send, database_url, now)
            finish(worker, database)
            now += LEASE + timedelta(seconds=10)
    assert len(killed) == 5
    assert states(database) == {"delivered": 3, "failed": 1}


def test_the_check_notices_a_result_that_is_marked_before_it_is_sent(database, database_url, patch):
    patch("test_fault_outbox", "send", mark_and_send)
    came = kill_between(database, database_url, 4, deaths=2)
    assert missing(came, 4, deaths=2) != []


# Many senders ################################################################


def race(url: str, workers: int, most: int) -> list[list[int]]:
    """What each claim of all workers took."""
    pipes = [PROCESSES.Pipe(duplex=False) for _ in range(workers)]
    processes = [start(claim, url, NOW, most, told) for _, told in pipes]
    claimed: list[list[int]] = []
    listening = {hear for hear, _ in pipes}
    while listening:
        for hear in wait(listening, PATIENCE_SECONDS):
            ids = hear.recv()
            if ids is None:
                listening.remove(hear)
            else:
                claimed.append(ids)
    for process in processes:
        process.join()
    return claimed


@pytest.mark.first
def test_workers_that_compete_never_claim_the_same(database, database_url, size):
    count = size(400, 20_000)
    owe(database, [f"http://127.0.0.1:9/{n % 100}" for n in range(count)])
    claimed = race(database_url, workers=8, most=4)
    ids = [id for together in claimed for id in together]
    print(f"{len(claimed)} claims of {len(ids)} results")
    assert len(ids) == len(set(ids)) == count
    assert max(map(len, claimed)) <= 4


def test_the_check_notices_claims_without_a_lock(database, database_url, patch):
    patch("test_fault_outbox", "claim", claim_unlocked)
    owe(database, ["http://127.0.0.1:9/"] * 200)
    ids = [id for together in race(database_url, workers=8, most=4) for id in together]
    assert len(ids) > len(set(ids))


# Receivers that misbehave ####################################################


def refuse(handler: BaseHTTPRequestHandler) -> None:
    """As far as can be once it has answered: nothing at all is said."""
    handler.connection.close()


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def hang(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.settimeout(PATIENCE_SECONDS)
    handler.connection.recv(1)  # until the sender has had enough


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    for _ in range(5 * PATIENCE_SECONDS):
        handler.wfile.write(b"a")
        time.sleep(0.2)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    for _ in range(5 * PATIENCE_SECONDS):
        handler.wfile.write(b"X")
        time.sleep(0.2)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"not all of it")
    handler.connection.shutdown(socket.SHUT_RDWR)


def redirect(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(301)
    handler.send_header("Location", "http://169.254.169.254/latest/meta-data")
    handler.end_headers()


def say(status: int, **headers: str) -> Callable:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    answer.__name__ = f"say_{status}"
    return answer


def flood(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(500)
    handler.end_headers()
    for _ in range(10):
        handler.wfile.write(b"a" * MIB)


BOMB = gzip.compress(bytes(100 * MIB), 9)  # 100 KiB


def bomb(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(503)
    handler.send_header("Content-Encoding", "gzip")
    handler.send_header("Content-Length", str(len(BOMB)))
    handler.end_headers()
    handler.wfile.write(BOMB)


def large_200(handler: BaseHTTPRequestHandler) -> None:
    """Accepted, though it says far too much."""
    handler.send_response(200)
    handler.end_headers()
    for _ in range(10):
        handler.wfile.write(b"a" * MIB)


def bomb_200(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Encoding", "gzip")
    handler.end_headers()
    handler.wfile.write(BOMB)


QUICK = [
    refuse,
    reset,
    cut,
    redirect,
    flood,
    bomb,
    say(410),
    say(429, Retry_After="7200"),
    say(500),
]
SLOW = [hang, drip, drip_headers]
GOOD = [accept, large_200, bomb_200]
# The circuits of these hosts would be open, with one attempt at a time.
HASTE = {"worker.worker.POLL_SECONDS": 0.05, "worker.hosts.OPEN_AFTER": 1_000_000}


class Chaos:
    """A receiver that treats each result badly in its own order, and accepts it in the end."""

    def __init__(self) -> None:
        self.accepted: Counter = Counter()
        self._plans: dict[str, list[Callable]] = {}
        self._lock = Lock()

    def __call__(self, handler: BaseHTTPRequestHandler, webhook_id: str) -> None:
        with self._lock:
            plan = self._plans.setdefault(webhook_id, self._plan())
            behave = plan.pop(0) if plan else accept
            if behave in GOOD:
                self.accepted[webhook_id] += 1
        behave(handler)

    def _plan(self) -> list[Callable]:
        trouble = [*random.sample(QUICK, 4), random.choice(SLOW)]
        random.shuffle(trouble)
        return [*trouble, random.choice(GOOD)]


def suffer(database: Database, url: str, results: int, limits: dict[str, float]) -> dict:
    """Have all results delivered through chaos, and tell what it took."""
    timestamp = PROCESSES.Value("d", NOW.timestamp())
    hear, told = PROCESSES.Pipe(duplex=False)
    chaos, attempts = Chaos(), []
    with many_receiving(accept_any) as kind, many_receiving(chaos) as unkind:
        owe(database, [f"{kind[n % HOSTS]}/{n}" for n in range(48)])
        sender = start(send_and_tell, url, timestamp, told, limits)
        until(lambda: states(database) == {"delivered": 48})
        before = most = resident(sender.pid)
        owe(database, [f"{unkind[n % HOSTS]}/{n}" for n in range(results)])
        deadline = time.monotonic() + 8 * PATIENCE_SECONDS
        while states(database)["delivered"] < 48 + results:
            assert time.monotonic() < deadline, states(database)
            most = max(most, resident(sender.pid))
            while hear.poll(0.02):
                attempts.append(hear.recv())
            # Nobody waits for hours here: the clock is taken ahead, and the operator retries.
            timestamp.value += 600
            now = datetime.fromtimestamp(timestamp.value, UTC)
            if states(database).keys() & {"failed", "unconfirmed"}:
                database.write(lambda db, now=now: redeliver_all(db, now))
        sender.kill()
        sender.join()
    return {
        "accepted": chaos.accepted,
        "longest": max(seconds for seconds, _ in attempts),
        "errors": {error for _, error in attempts},
        "memory": most - before,
    }


def redeliver_all(db, now: datetime) -> None:
    for state in ("pending", "failed", "unconfirmed"):
        outbox.redeliver(db, outbox.find_ids(db, state, 0), now)


@pytest.mark.first
def test_every_result_outlives_a_receiver_in_chaos(database, database_url, size):
    random.seed(9)
    results, seconds = size(6, 32), size(1, 30)
    limits = HASTE | {
        "worker.http_client.ATTEMPT_SECONDS": seconds,
        "worker.http_client.READ_SECONDS": seconds / 2,
    }
    suffered = suffer(database, database_url, results, limits)
    print(
        f"longest attempt {suffered['longest']:.1f} s, memory +{suffered['memory'] / MIB:.1f} MiB"
    )
    assert len(suffered["accepted"]) == results
    # By their own will those that hang and drip would hold an attempt for PATIENCE_SECONDS.
    assert suffered["longest"] <= (seconds + PATIENCE_SECONDS) / 2
    assert suffered["memory"] <= 5 * MIB
    assert None in suffered["errors"] and len(suffered["errors"]) >= 6


def test_the_check_notices_an_answer_that_is_unpacked_and_kept(database, database_url, patch):
    patch("test_fault_outbox", "send_and_tell", send_and_unpack)
    patch("test_fault_outbox", "SLOW", [hang])
    patch("test_fault_outbox", "GOOD", [bomb_200])
    limits = HASTE | {"worker.http_client.READ_SECONDS": 0.5}
    suffered = suffer(database, database_url, 4, limits)
    assert suffered["memory"] > 5 * MIB
