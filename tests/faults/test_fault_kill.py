"""The server is killed, or stopped, while guests text; nothing is lost and nothing doubled."""

import ctypes
import os
import random
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import until
from rig import REPLIES, TEXTS, Guests, Server, parts, serving, text_until_acknowledged

from commands.server import STOP_SECONDS

GUESTS = 16
# The shortest time for which a text waits for a lock, on SQLite and on PostgreSQL.
TIMEOUT_SECONDS = 5
TRIES = 10  # for a weakened server to be noticed


class Rounds:
    """Guests text, and after some texts the server ends and begins anew, again and again.

    How fast that is depends on the machine, and on what else that has to do. So it is compared with
    what the same server does undisturbed: some texts before and after, and a start after a stop.
    """

    def __init__(self, folder: Path, rounds: int, end: Callable[[Server], object], **options):
        self.starts: list[float] = []  # seconds from a start to the first acknowledgement
        self.stops: list[float] = []
        with serving(folder, **options) as server:
            with Guests(server, GUESTS) as guests:
                self.rate = measure_rate(guests)
                self._one(server, guests, Server.stop)
                self.start, _ = self.starts.pop(), self.stops.pop()
                began, before = time.monotonic(), len(guests.acknowledged)
                for _ in range(rounds):
                    self._one(server, guests, end)
                self.seconds = time.monotonic() - began - sum(self.starts) - sum(self.stops)
                self.texts = len(guests.acknowledged) - before
                self.rate = min(self.rate, measure_rate(guests))
            self.acknowledged = guests.acknowledged
            self.complaints = guests.surprises + server.audit(guests.acknowledged)

    def find_slow(self) -> list[str]:
        """What took so long that it waited for something that a server left behind.

        Four times as long as undisturbed is left to a machine that is busier meanwhile; one timeout
        on top, because a short run has no mean.
        """
        limit = 4 * self.start + TIMEOUT_SECONDS
        slow = [f"a start took {seconds:.1f} s" for seconds in self.starts if seconds > limit]
        if self.seconds > 4 * self.texts / self.rate + TIMEOUT_SECONDS:
            slow.append(f"{self.texts} texts took {self.seconds:.1f} s")
        return slow

    def _one(self, server: Server, guests: Guests, end: Callable[[Server], object]) -> None:
        guests.wait_for(len(guests.acknowledged) + random.randint(1, 60))
        time.sleep(random.random() / 100)  # so that it meets every moment of a turn
        began = time.monotonic()
        end(server)
        ended = time.monotonic()
        self.stops.append(ended - began)
        count = len(guests.acknowledged)
        server.start()
        guests.wait_for(count + GUESTS + 1)  # those in flight at the end may be noted late
        first = min(text.at for text in guests.acknowledged[count:] if text.sent_at > ended)
        self.starts.append(first - ended)

    def __str__(self) -> str:
        return (
            f"{len(self.starts)} rounds, {len(self.acknowledged)} texts,"
            f" {self.texts / self.seconds:.0f} a second, undisturbed {self.rate:.0f};"
            f" first answer after {statistics.median(self.starts):.2f} s, at most"
            f" {max(self.starts):.2f} s, undisturbed {self.start:.2f} s;"
            f" stopped within {max(self.stops):.2f} s"
        )


def measure_rate(guests: Guests) -> float:
    """Texts a second, once each guest has texted."""
    guests.wait_for(GUESTS)
    began, before = time.monotonic(), len(guests.acknowledged)
    guests.wait_for(before + 10 * GUESTS)
    return (len(guests.acknowledged) - before) / (time.monotonic() - began)


@pytest.fixture
def settings(empty_url) -> dict[str, str]:
    return {"DATABASE_URL": empty_url}


@pytest.mark.first
@parts("empty_url", sqlite=5)  # what is on disk of PostgreSQL is its own affair
def test_what_was_acknowledged_survives_kill_9(tmp_path, settings, size, part):
    rounds = Rounds(tmp_path, size(2, 30), Server.kill, settings=settings, workers=1 + part % 2)
    print(rounds)
    assert rounds.complaints == []
    assert rounds.find_slow() == []


@parts("empty_url", sqlite=1, postgresql=0)
def test_one_process_answers_on_while_the_other_is_killed(tmp_path, settings, part):
    with (
        serving(tmp_path, settings=settings, workers=2) as server,
        Guests(server, GUESTS) as guests,
    ):
        guests.wait_for(5 * GUESTS)
        before = server.processes()
        for killed in before:
            os.kill(killed, signal.SIGKILL)
            guests.wait_for(len(guests.acknowledged) + 5 * GUESTS)
        until(lambda: len(server.processes() - before) == 2)
    assert guests.surprises == []
    assert server.audit(guests.acknowledged) == []


@pytest.mark.first
@parts("empty_url", sqlite=3)
def test_a_stop_finishes_what_is_under_way(tmp_path, settings, size, part):
    statuses = []

    def end(server: Server) -> None:
        statuses.append(server.stop())

    rounds = Rounds(tmp_path, size(2, 10), end, settings=settings, workers=1 + part % 2)
    print(rounds)
    assert rounds.complaints == []
    assert set(statuses) == {0}
    assert max(rounds.stops) <= STOP_SECONDS  # then it ends what is still in flight


def test_the_check_notices_texts_that_are_acknowledged_before_their_commit(tmp_path):
    """As a rule at once; but a kill may come when nothing is about to be committed."""

    def complaints(n: int) -> list[str]:
        folder = tmp_path / str(n)
        folder.mkdir()
        return Rounds(folder, 2, Server.kill, weakness="commit_later").complaints

    assert any(" is None" in complaint for n in range(TRIES) for complaint in complaints(n))


def test_the_check_notices_texts_that_count_as_often_as_they_come(tmp_path, settings):
    with serving(tmp_path, weakness="count_repeats", settings=settings) as server:
        phone = server.phone("+14155550123")
        first = text_until_acknowledged(phone, "Mats BBQ")
        phone.text("Mats BBQ", sid=first.sid)
        assert server.audit([first]) != []


def test_a_text_under_way_gets_its_answer_before_the_server_ends(tmp_path, settings):
    options = {"weakness": "save_for_a_second", "settings": settings}
    with serving(tmp_path, **options) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(server.phone("+14155550123").text, TEXTS[0])
        until(lambda: "under way" in server.log.read_text())
        assert server.stop() == 0
        assert answer.result() == [REPLIES[0]]


def ends(folder: Path, weakness: str, patience: float) -> bool:
    """Whether a worker ends whose SIGTERM goes to another thread than its main one."""
    with serving(folder, weakness=weakness) as server:
        text_until_acknowledged(server.phone("+14155550123"), TEXTS[0])
        (worker,) = server.processes()
        threads = [int(thread.name) for thread in Path(f"/proc/{worker}/task").iterdir()]
        threads.remove(worker)
        ctypes.CDLL(None).tgkill(worker, threads[0], signal.SIGTERM)
        deadline = time.monotonic() + patience
        while (is_alive := Path(f"/proc/{worker}/fd/0").exists()) and time.monotonic() < deadline:
            time.sleep(0.01)
        return not is_alive


def test_a_stop_is_heard_whichever_thread_the_kernel_gives_it_to(tmp_path):
    assert ends(tmp_path, "wait_for_no_lock", patience=STOP_SECONDS)


def test_a_stop_is_heard_by_processes_that_have_only_begun(tmp_path):
    with serving(tmp_path, weakness="load_for_a_second", workers=2) as server:
        until(lambda: len(server.processes()) == 2)
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < STOP_SECONDS / 2


def test_the_check_notices_a_server_that_sleeps_on(tmp_path):
    assert not ends(tmp_path, "sleep_on", patience=5)
