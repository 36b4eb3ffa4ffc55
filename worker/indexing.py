"""The job that makes the words of texts known to the search."""

from datetime import datetime
from functools import partial

from models.search_index import add_texts, find_progress
from storage import Database
from worker.worker import Job

# In one transaction, so that no text waits long for it; and how many of these in a second: as many
# texts as come in the busiest of seconds.
TEXTS_AT_ONCE, TIMES = 250, 10


class IndexTexts(Job):
    """Adds texts to the index of words a little at a time, those of an old history, too."""

    verb = "index texts"
    interval = 1

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, now: datetime) -> bool:
        """It reads before it writes, and never goes on at once: texts come first."""
        for _ in range(TIMES):
            with self._database.read() as db:
                if find_progress(db, now).is_complete:
                    break
            self._database.write(partial(add_texts, now=now, limit=TEXTS_AT_ONCE))
        return False
