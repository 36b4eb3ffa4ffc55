"""Checks that may hang, for those who cannot wait: `/healthz` answers whatever happens."""

import time
from collections.abc import Callable
from concurrent.futures import Future
from threading import Lock, Thread
from typing import Generic

from storage.database import T

ANSWER_SECONDS = 3  # how long a check may take until it counts as failed
MAX_AGE_SECONDS = 1  # how long a result is used


class Probe(Generic[T]):
    """A check that runs in a thread of its own, and whose result is shared.

    However many ask, one check runs at a time. One that hangs costs that thread, and nothing else.
    """

    def __init__(self, check: Callable[[], T]) -> None:
        self._check = check
        self._lock = Lock()
        self._future: Future[T] | None = None
        self._started_at = self._ended_at = 0.0  # by time.monotonic()

    def start(self) -> Future[T]:
        """The future of the check that runs or has ended just now; else of a new one."""
        with self._lock:
            is_fresh = time.monotonic() - self._ended_at < MAX_AGE_SECONDS
            if self._future is None or (self._future.done() and not is_fresh):
                future: Future[T] = Future()
                self._started_at = time.monotonic()
                Thread(target=self._run, args=(future,), name="probe", daemon=True).start()
                self._future = future  # only now: there may be too many threads to start one
            return self._future

    def result(self) -> T:
        """What the check returned or raised; TimeoutError if it takes longer than ANSWER_SECONDS.

        That time counts from its start: if it has passed already, nobody waits for it again.
        """
        future = self.start()
        return future.result(max(self._started_at + ANSWER_SECONDS - time.monotonic(), 0))

    def _run(self, future: Future[T]) -> None:
        try:
            result = self._check()
        except Exception as error:
            self._ended_at = time.monotonic()
            future.set_exception(error)
        else:
            self._ended_at = time.monotonic()
            future.set_result(result)
