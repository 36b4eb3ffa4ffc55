"""Room for a few threads at a time."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class Places:
    """So many threads at once, and whoever has waited longest is next.

    A semaphore of the standard library lets those pass who come just when a place is free: with
    twice as many threads as places the slowest hundredth waited twice as long.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[Lock] = deque()
        self._changing = Lock()

    @contextmanager
    def place(self, patience: float) -> Iterator[None]:
        """Go on with a place, or without one after that many seconds."""
        has_place = self._take(patience)
        try:
            yield
        finally:
            if has_place:
                self._give_back()

    def _take(self, patience: float) -> bool:
        with self._changing:
            if self._free:
                self._free -= 1
                return True
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=patience):
            return True
        with self._changing:
            if turn not in self._waiting:
                return True  # it was given just now
            self._waiting.remove(turn)
        return False

    def _give_back(self) -> None:
        with self._changing:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
