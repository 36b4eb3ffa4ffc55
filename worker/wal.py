"""The job that warns of a reader who keeps SQLite's write-ahead log growing."""

import logging
from datetime import datetime

from logs import log_event
from storage import Database
from storage.database import MAX_WAL_BYTES
from worker.worker import Job

LARGE_WAL = (
    "A program has been reading an old state of the database for long, so the -wal file grows with"
    " each text. End that program, or its transaction."
)


class WatchWal(Job):
    """Warns once when the file becomes too large, and tells once when it no longer is."""

    verb = "measure the -wal file"
    interval = 5

    def __init__(self, database: Database) -> None:
        self._database = database
        self._was_large = False

    def run(self, now: datetime) -> bool:
        size = self._database.wal_size()
        is_large = is_wal_large(size)
        if is_large and not self._was_large:
            log_event("wal", logging.WARNING, bytes=size, why=LARGE_WAL)
        elif self._was_large and not is_large:
            log_event("wal", bytes=size, outcome="small again")
        self._was_large = is_large
        return False


def is_wal_large(size: int | None) -> bool:
    """Whether the -wal file of this many bytes shows that somebody reads on and on."""
    return size is not None and size > MAX_WAL_BYTES
