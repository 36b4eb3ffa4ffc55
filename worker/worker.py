"""worker/worker.py"""

import logging.config
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from threading import Event

from logs import error_location, log_event
from models import Conversation, Delivery
from models.delivery import AT_ONCE
from settings import Settings
from storage import Clock, Database
from worker.results import claim_due, deliver_one

POLL_SECONDS = 1
GATHER_SECONDS = 0.05  # for what is due at nearly the same moment, so that texts are held up less
EXPIRED_AT_ONCE = 50  # conversations in one transaction, so that no text waits long


class Sender:
    """Delivers what the outbox holds, until it is stopped."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, wake: Event) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._wake = wake
        self._under_way: dict[Future, Delivery] = {}
        self._expires_next = time.monotonic()
        self._stopped = False

    def run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, "sender") as pool:
            while not (self._stopped or self._database.broken.is_set()):
                if not self._has_started(pool):
                    self._wake.wait(POLL_SECONDS)
                    time.sleep(GATHER_SECONDS)
                    self._wake.clear()

    def stop(self) -> None:
        """Within the next second. It takes no lock, so that a handler of signals may call it."""
        self._stopped = True

    def _has_started(self, pool: ThreadPoolExecutor) -> bool:
        """Whether there was something to do. No failure ends the sender: it tries again."""
        has_expired = self._try("expire", self._expire)
        return self._try("claim", lambda: self._start_attempts(pool)) or has_expired

    def _try(self, verb: str, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except Exception as error:
            log_event("sender", logging.ERROR, outcome=f"cannot {verb}: {error_location(error)}")
            return False

    def _expire(self) -> bool:
        """Once in a while, not as often as there is something to send."""
        if time.monotonic() < self._expires_next:
            return False
        more = expire_silent(self._database, self._clock())
        if not more:
            self._expires_next = time.monotonic() + POLL_SECONDS
        return more

    def _start_attempts(self, pool: ThreadPoolExecutor) -> bool:
        """Claim no more than can be sent at once: a lease runs while its delivery waits."""
        under_way = list(self._under_way.values())
        alone = any(one.goes_alone for one in under_way)
        free = 0 if alone else AT_ONCE - len(under_way)
        claimed = claim_due(self._database, self._clock(), free, under_way) if free else []
        for delivery in claimed:
            attempt = pool.submit(
                deliver_one, self._database, self._settings, delivery, self._clock
            )
            self._under_way[attempt] = delivery
            attempt.add_done_callback(self._end_attempt)
        return bool(claimed)

    def _end_attempt(self, attempt: Future) -> None:
        del self._under_way[attempt]
        if error := attempt.exception():
            log_event("sender", logging.ERROR, outcome=f"cannot record: {error_location(error)}")
        self._wake.set()


def expire_silent(database: Database, now: datetime) -> bool:
    """End the conversations that have been silent for too long. Looking first costs no write."""
    with database.read() as db:
        if not Conversation.is_any_silent(db, now):
            return False
    expired = database.write(lambda db: Conversation.expire_silent(db, now, EXPIRED_AT_ONCE))
    if expired:
        log_event("expired", conversations=expired)
    return expired == EXPIRED_AT_ONCE
