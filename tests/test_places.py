"""Room for a few threads at a time."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, BrokenBarrierError, Event

import pytest
from conftest import until

from models.places import Places


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
    places, over = Places(1), Event()

    def stay() -> None:
        with places.place(patience=0):
            over.wait(10)

    with ThreadPoolExecutor(1) as threads:
        staying = threads.submit(stay)
        until(lambda: not places._free)
        with places.place(patience=0.01):
            assert not staying.done()
        over.set()
        staying.result()
    assert (places._free, list(places._waiting)) == (1, [])


def test_a_failure_gives_its_place_back():
    places = Places(1)
    with pytest.raises(ZeroDivisionError), places.place(patience=0):
        raise ZeroDivisionError
    assert places._free == 1
