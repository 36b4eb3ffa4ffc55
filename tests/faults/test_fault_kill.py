"""The server is killed, or stopped, while guests text; nothing is lost and nothing doubled."""

import ctypes
import random
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rig import REPLIES, TEXTS, Guests, Server, serving, text_until_acknowledged

GUESTS = 16


class Rounds:
    """Guests text, and after some texts the server ends and begins anew, again and again."""

    def __init__(self, folder: Path, rounds: int, end: Callable[[Server], object], **options):
        self.starts: list[float] = []  # seconds from a start to the first acknowledgement
        self.stops: list[float] = []
        with serving(folder, **options) as server:
            with Guests(server, GUESTS) as guests:
                began = time.monotonic()
                for _ in range(rounds):
                    self._one(server, guests, end)
                seconds = time.monotonic() - began - sum(self.starts) - sum(self.stops)
                self.rate = len(guests.acknowledged) / seconds
            self.acknowledged = guests.acknowledged
            self.complaints = guests.surprises + server.audit(guests.acknowledged)

    def _one(self, server: Server, guests: Guests, end: Callable[[Server], object]) -> None:
        guests.wait_for(len(guests.acknowledged) + random.randint(1, 60))
        time.sleep(random.random() / 100)  # so that it meets every moment of a turn
        began = time.monotonic()
        end(server)
        ended = time.monotonic()
        self.stops.append(ended - began)
        count = len(guests.acknowledged)
        server.start()
        guests.wait_for(count + GUESTS + 1)  # those under way at the end may be noted late
        first = min(text.at for text in guests.acknowledged[count:] if text.at > ended)
        self.starts.append(first - ended)

    def __str__(self) -> str:
        return (
            f"{len(self.starts)} rounds, {len(self.acknowledged)} texts, {self.rate:.0f} a second;"
            f" first answer after {statistics.median(self.starts):.2f} s, at most"
            f" {max(self.starts):.2f} s; stopped within {max(self.stops):.2f} s"
        )


@pytest.fixture
def settings(empty_url) -> dict[str, str]:
    return {"DATABASE_URL": empty_url}


def rounds_on(settings: dict[str, str], most: int) -> int:
    """Fewer on PostgreSQL, for time: what is on disk there is its own affair."""
    return most if settings["DATABASE_URL"].startswith("sqlite") else most // 5


@pytest.mark.alone
def test_what_was_acknowledged_survives_kill_9(tmp_path, settings, size):
    rounds = Rounds(tmp_path, size(2, rounds_on(settings, 200)), Server.kill, settings=settings)
    print(rounds)
    assert rounds.complaints == []
    assert rounds.rate >= 50
    assert max(rounds.starts) <= 3


@pytest.mark.alone
def test_a_stop_finishes_what_is_under_way(tmp_path, settings, size):
    statuses = []

    def end(server: Server) -> None:
        statuses.append(server.stop())

    rounds = Rounds(tmp_path, size(2, rounds_on(settings, 50)), end, settings=settings)
    print(rounds)
    assert rounds.complaints == []
    assert set(statuses) == {0}
    assert max(rounds.stops) <= 20


def test_the_check_notices_texts_that_are_acknowledged_before_their_commit(tmp_path):
    rounds = Rounds(tmp_path, 2, Server.kill, weakness="commit_later")
    assert any(" is None" in complaint for complaint in rounds.complaints)


def test_the_check_notices_texts_that_count_as_often_as_they_come(tmp_path, settings):
    with serving(tmp_path, weakness="count_repeats", settings=settings) as server:
        phone = server.phone("+14155550123")
        first = text_until_acknowledged(phone, "Mats BBQ")
        phone.text("Mats BBQ", sid=first.sid)
        assert server.audit([first]) != []


def test_a_text_under_way_gets_its_answer_before_the_server_ends(tmp_path, settings):
    options = {"weakness": "take_a_second", "settings": settings}
    with serving(tmp_path, **options) as server, ThreadPoolExecutor() as pool:
        answer = pool.submit(server.phone("+14155550123").text, TEXTS[0])
        while "under way" not in server.log.read_text():
            time.sleep(0.01)
        assert server.stop() == 0
        assert answer.result() == [REPLIES[0]]


def seconds_to_end(folder: Path, weakness: str) -> float:
    """Of a worker whose SIGTERM goes to another thread than its main one; 5 where it lives on."""
    with serving(folder, weakness=weakness) as server:
        text_until_acknowledged(server.phone("+14155550123"), TEXTS[0])
        (worker,) = Path(f"/proc/{server.pid()}/task/{server.pid()}/children").read_text().split()
        threads = [int(thread.name) for thread in Path(f"/proc/{worker}/task").iterdir()]
        threads.remove(int(worker))
        began = time.monotonic()
        ctypes.CDLL(None).tgkill(int(worker), threads[0], signal.SIGTERM)
        while Path(f"/proc/{worker}/fd/0").exists() and time.monotonic() - began < 5:
            time.sleep(0.01)
        return time.monotonic() - began


def test_a_stop_is_heard_whichever_thread_the_kernel_gives_it_to(tmp_path):
    assert seconds_to_end(tmp_path, "wait_for_no_lock") < 2


def test_the_check_notices_a_server_that_sleeps_on(tmp_path):
    assert seconds_to_end(tmp_path, "sleep_on") >= 5
