"""The job that ends silent conversations, and forgets visits of the console that are over."""

import time
from datetime import datetime

from logs import log_event
from models.console import ConsoleSession, SignInAttempt
from models.silence import Position, check_distant, end_silent, is_any_silent
from storage import Database
from worker.worker import Job

EXPIRED_AT_ONCE = 50  # conversations in one transaction, so that no text waits long
RETRY_SECONDS = 60  # between looks at what could not be ended, which somebody may have mended


class ExpireSilent(Job):
    """Looks once a second, however often there are results to send.

    What cannot be ended is passed over for a minute, so that it holds up nothing else.
    """

    verb = "expire"
    interval = 1

    def __init__(self, database: Database) -> None:
        self._database = database
        self._after: Position | None = None  # those up to here were passed over
        self._retry_at = 0.0  # by time.monotonic()

    def run(self, now: datetime) -> bool:
        """End up to EXPIRED_AT_ONCE conversations; return whether there may be more.

        It reads before it writes: a transaction that writes holds up texts.
        """
        is_time_to_retry = time.monotonic() >= self._retry_at
        if is_time_to_retry:
            self._after, self._retry_at = None, time.monotonic() + RETRY_SECONDS
            forget_visits(self._database, now)
        with self._database.read() as db:
            if is_time_to_retry:
                check_distant(db, now, EXPIRED_AT_ONCE)
            if not is_any_silent(db, now, self._after):
                return False
        ended = self._database.write(lambda db: end_silent(db, now, EXPIRED_AT_ONCE, self._after))
        self._after = ended.after
        if ended.count:
            log_event("expired", conversations=ended.count)
        return ended.seen == EXPIRED_AT_ONCE


def forget_visits(database: Database, now: datetime) -> None:
    """Delete what is over of the console: sessions, and attempts to sign in, have addresses."""
    with database.read() as db:
        is_any = ConsoleSession.is_any_over(db, now) or SignInAttempt.is_any_old(db, now)
    if is_any:
        database.write(
            lambda db: (ConsoleSession.delete_over(db, now), SignInAttempt.delete_old(db, now))
        )


def expire_silent(database: Database, now: datetime) -> bool:
    """Run the job once."""
    return ExpireSilent(database).run(now)
