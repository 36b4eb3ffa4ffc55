"""The job that ends conversations which have been silent for too long."""

from datetime import datetime

from logs import log_event
from models import Conversation
from models.turn import end_silent
from storage import Database
from worker.worker import Job

EXPIRED_AT_ONCE = 50  # conversations in one transaction, so that no text waits long


class ExpireSilent(Job):
    """Looks once a second, however often there are results to send."""

    verb = "expire"
    interval = 1

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, now: datetime) -> bool:
        return expire_silent(self._database, now)


def expire_silent(database: Database, now: datetime) -> bool:
    """End up to EXPIRED_AT_ONCE conversations; return whether there may be more.

    It reads before it writes: a transaction that writes holds up texts.
    """
    with database.read() as db:
        if not Conversation.is_any_silent(db, now):
            return False
    expired = database.write(lambda db: end_silent(db, now, EXPIRED_AT_ONCE))
    if expired:
        log_event("expired", conversations=expired)
    return expired == EXPIRED_AT_ONCE
