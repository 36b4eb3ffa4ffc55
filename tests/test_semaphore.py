"""A semaphore that serves threads in the order they came."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError, Event, Lock

import pytest
from conftest import until

from storage.semaphore import FairSemaphore


def test_no_more_threads_run_than_there_are_slots():
    semaphore, four = FairSemaphore(3), Barrier(4)

    def meet(_) -> bool:
        with semaphore.slot(timeout=10):
            try:
                four.wait(timeout=0.2)
            except BrokenBarrierError:
                return False
            return True

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(meet, range(4))) == [False] * 4


def test_the_thread_that_waits_longest_is_next():
    semaphore, went = FairSemaphore(1), []

    def go(name: int) -> None:
        with semaphore.slot(timeout=10):
            went.append(name)

    with ThreadPoolExecutor(5) as threads:
        with semaphore.slot(timeout=0):
            for name in range(5):
                threads.submit(go, name)
                until(lambda: len(semaphore._waiting) == name + 1)  # noqa: B023
    assert went == list(range(5))


@pytest.mark.long
def test_a_thread_that_waits_too_long_goes_on_and_leaves_no_slot_taken():
    semaphore, first, second = FairSemaphore(1), Event(), Event()

    def stay(over: Event, timeout: float) -> bool:
        with semaphore.slot(timeout):
            return over.wait(10)

    with ThreadPoolExecutor(3) as threads:
        threads.submit(stay, first, 0)
        until(lambda: semaphore._holders)
        staying = threads.submit(stay, second, 60)
        until(lambda: semaphore._waiting)
        third = threads.submit(stay, first, 1)
        until(lambda: len(semaphore._waiting) != 1)  # it waits, or has done so for too long
        first.set()
        assert third.result() and not staying.done()
        second.set()
    assert not semaphore._holders and not semaphore._waiting


def test_a_stuck_thread_delays_others_only_once():
    semaphore, over = FairSemaphore(1), Event()

    def stay() -> None:
        with semaphore.slot(timeout=0):
            over.wait(60)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(stay)
        until(lambda: semaphore._holders)
        stuck = set(semaphore._holders)
        with semaphore.slot(timeout=0.01):
            pass
        for _ in range(3):
            with semaphore.slot(timeout=1):
                assert semaphore._holders and not semaphore._holders & stuck
        over.set()
    assert not semaphore._holders and not semaphore._waiting


def test_a_slot_granted_too_late_may_be_lost_already():
    class Asleep(FairSemaphore):
        """The first thread that times out gets a slot, and loses it, before it wakes up."""

        def _give_up(self, ticket: Lock, stuck: set[Lock]) -> None:
            self._give_up = super()._give_up
            holder.release()
            until(lambda: ticket in self._holders)
            with self.slot(timeout=0.01):
                pass
            self._give_up(ticket, stuck)

    semaphore, holder, went = Asleep(1), Lock(), []
    holder.acquire()

    def stay() -> None:
        with semaphore.slot(timeout=0):
            holder.acquire()

    def go() -> None:
        with semaphore.slot(timeout=0.01):
            went.append(True)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(stay)
        until(lambda: semaphore._holders)
        threads.submit(go).result()
    assert went and not semaphore._holders and not semaphore._waiting


def test_a_failure_releases_its_slot():
    semaphore = FairSemaphore(1)
    with pytest.raises(ZeroDivisionError), semaphore.slot(timeout=0):
        raise ZeroDivisionError
    assert not semaphore._holders
