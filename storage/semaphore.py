"""A semaphore that serves threads in the order they came."""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock


class FairSemaphore:
    """A limit on the threads that run at once; the one that has waited longest goes next.

    The standard library's semaphore lets a newcomer overtake those that wait. With twice as many
    threads as slots, that doubled the wait of the slowest hundredth.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._holders: set[Lock] = set()  # a thread's ticket is the lock that it waits for
        self._waiting: deque[Lock] = deque()
        self._lock = Lock()

    @contextmanager
    def slot(self, timeout: float) -> Iterator[None]:
        """Hold a slot; after this many seconds go on without one.

        Threads that held theirs for all that time lose it, so a stuck one delays others only once.
        """
        ticket = Lock()
        ticket.acquire()
        with self._lock:
            holders = set(self._holders)
            self._waiting.append(ticket)
            self._grant()
        if not ticket.acquire(timeout=timeout):
            self._give_up(ticket, holders)
        try:
            yield
        finally:
            self._release(ticket)

    def _grant(self) -> None:
        while self._waiting and len(self._holders) < self.limit:
            ticket = self._waiting.popleft()
            self._holders.add(ticket)
            ticket.release()

    def _give_up(self, ticket: Lock, stuck: set[Lock]) -> None:
        with self._lock:
            self._holders -= stuck
            self._grant()
            if ticket in self._waiting:  # it may have been granted since the timeout
                self._waiting.remove(ticket)

    def _release(self, ticket: Lock) -> None:
        with self._lock:
            self._holders.discard(ticket)
            self._grant()
