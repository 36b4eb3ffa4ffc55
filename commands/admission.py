"""How many requests may be in flight, so that some threads are always left for `/healthz`."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any

from logs import log_event
from storage.database import ignore

# A request waits so long for a slot while nobody gets one. Whoever waits needs a thread, too, so
# this is what `/healthz` waits at most. Then whatever comes is refused at once.
STALL_SECONDS = 2
HEALTH = "/healthz"
REASON = "as many requests as may be are in flight, and none has ended lately"

WsgiApp = Callable[[dict[str, Any], Callable], Iterable[bytes]]


class Slots:
    """So many slots, which those get that have waited longest.

    The standard library's semaphore lets a newcomer overtake those that wait.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: deque[Lock] = deque()  # a ticket is the lock that a thread waits for
        self._lock = Lock()
        self._moved_at = 0.0  # when a slot was taken or given back last, by time.monotonic()

    def take(self) -> bool:
        """Whether it got a slot, perhaps after a while; not if nothing has moved for long."""
        ticket = Lock()
        ticket.acquire()
        with self._lock:
            if self._free:
                self._take()
                return True
            self._waiting.append(ticket)
            timeout = self._moved_at + STALL_SECONDS - time.monotonic()
        return ticket.acquire(timeout=max(timeout, 0)) or self._was_called(ticket)

    def give_back(self) -> None:
        """Leave the slot to the one that has waited longest."""
        with self._lock:
            self._free += 1
            if self._waiting:
                self._take()
                self._waiting.popleft().release()
            self._moved_at = time.monotonic()

    def _take(self) -> None:
        self._free -= 1
        self._moved_at = time.monotonic()

    def _was_called(self, ticket: Lock) -> bool:
        """Whether it got a slot at the last moment; else it no longer waits for one."""
        with self._lock:
            if ticket not in self._waiting:
                return True
            self._waiting.remove(ticket)
            return False


def limit_requests(
    app: WsgiApp, count: int, add_refused: Callable[[str, int], object] = ignore
) -> WsgiApp:
    """The same app, in which so many requests are in flight at once, `/healthz` not counted.

    Others get a 503, which Twilio repeats, where they would wait until it hangs up. Each is told
    to `add_refused`.
    """
    slots = Slots(count)

    def limited(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
        if environ["PATH_INFO"] == HEALTH:
            return app(environ, start_response)
        if not slots.take():
            log_event("refused", logging.WARNING, status=503, why=REASON)
            add_refused(REASON, 503)
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        try:
            return app(environ, start_response)
        finally:
            slots.give_back()

    return limited
