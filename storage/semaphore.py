"""Room for a few threads at a time."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class FairSemaphore:
    """So many threads at once, and whoever has waited longest is next.

    A semaphore of the standard library lets those pass who come just when a place is free: with
    twice as many threads as places the slowest hundredth waited twice as long.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._taken: set[Lock] = set()  # a thread is known by the lock that it waits for
        self._waiting: deque[Lock] = deque()
        self._changing = Lock()

    @contextmanager
    def slot(self, patience: float) -> Iterator[None]:
        """Go on with a place, or without one after that many seconds.

        Whoever has had a place for all that time loses it: one that is stuck holds others up once.
        """
        turn = Lock()
        turn.acquire()
        with self._changing:
            before = set(self._taken)
            self._waiting.append(turn)
            self._give()
        if not turn.acquire(timeout=patience):
            self._go_on(turn, before)
        try:
            yield
        finally:
            self._leave(turn)

    def _give(self) -> None:
        while self._waiting and len(self._taken) < self.count:
            turn = self._waiting.popleft()
            self._taken.add(turn)
            turn.release()

    def _go_on(self, turn: Lock, before: set[Lock]) -> None:
        with self._changing:
            self._taken -= before
            self._give()
            if turn in self._waiting:
                self._waiting.remove(turn)

    def _leave(self, turn: Lock) -> None:
        with self._changing:
            self._taken.discard(turn)
            self._give()
