"""Room for a few threads at a time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError, Event, Lock

import pytest
from conftest import until
from storage.places import Places


def test_no_more_go_on_than_there_are_places():
    places, four = Places(3), Barrier(4)

    def meet(_) -> bool:
        with places.place(patience=10):
            try:
                four.wait(timeout=0.2)
            except BrokenBarrierError:
                return False
            return True

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(meet, range(4))) == [False] * 4


def test_whoever_waits_longest_is_next():
    places, went = Places(1), []

    def go(name: int) -> None:
        with places.place(patience=10):
            went.append(name)

    with ThreadPoolExecutor(5) as threads:
        with places.place(patience=0):
            for name in range(5):
                threads.submit(go, name)
                until(lambda: len(places._waiting) == name + 1)  # noqa: B023
    assert went == list(range(5))


def test_who_waits_too_long_goes_on_and_leaves_no_place_taken():
    places, first, second = Places(1), Event(), Event()

    def stay(over: Event, patience: float) -> bool:
        with places.place(patience):
            return over.wait(10)

    with ThreadPoolExecutor(3) as threads:
        threads.submit(stay, first, 0)
        until(lambda: places._taken)
        staying = threads.submit(stay, second, 60)
        until(lambda: places._waiting)
        third = threads.submit(stay, first, 1)
        until(lambda: len(places._waiting) == 2)
        first.set()
        assert third.result() and not staying.done()
        second.set()
    assert not places._taken and not places._waiting


def test_who_is_stuck_holds_others_up_only_once():
    places, over = Places(1), Event()

    def stay() -> None:
        with places.place(patience=0):
            over.wait(60)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(stay)
        until(lambda: places._taken)
        stuck = set(places._taken)
        with places.place(patience=0.01):
            pass
        for _ in range(3):
            with places.place(patience=1):
                assert places._taken and not places._taken & stuck
        over.set()
    assert not places._taken and not places._waiting


def test_who_gets_a_place_too_late_may_have_lost_it_already():
    class Asleep(Places):
        """Where the first that loses patience gets a place, and loses it, before it wakes up."""

        def _go_on(self, turn: Lock, before: set[Lock]) -> None:
            self._go_on = super()._go_on
            holder.release()
            until(lambda: turn in self._taken)
            with self.place(patience=0.01):
                pass
            self._go_on(turn, before)

    places, holder, went = Asleep(1), Lock(), []
    holder.acquire()

    def stay() -> None:
        with places.place(patience=0):
            holder.acquire()

    def go() -> None:
        with places.place(patience=0.01):
            went.append(True)

    with ThreadPoolExecutor(2) as threads:
        threads.submit(stay)
        until(lambda: places._taken)
        threads.submit(go).result()
    assert went and not places._taken and not places._waiting


def test_a_failure_gives_its_place_back():
    places = Places(1)
    with pytest.raises(ZeroDivisionError), places.place(patience=0):
        raise ZeroDivisionError
    assert not places._taken
