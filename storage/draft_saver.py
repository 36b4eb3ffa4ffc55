"""Saves drafts to PostgreSQL, many in one transaction."""

from concurrent.futures import Future
from typing import Any

from storage.batches import Batch, draft_all, save_drafts
from storage.kept_session import KeptSession


class DraftSaver:
    """What a thread does with batches: it drafts all that wait, and saves them together.

    What has no draft, or one that does not hold, is not saved here: its future has the result None.
    Nor is anything, if that fails; then all have the error.
    """

    def __init__(self, reading: KeptSession, writing: KeptSession) -> None:
        self._reading, self._writing = reading, writing

    def save(self, batch: Batch) -> None:
        """Set all futures, once what was saved is on disk."""
        batch = [queued for queued in batch if queued.is_awaited()]
        try:
            saved = self._save(batch)
        except Exception as error:
            for queued in batch:
                queued.future.set_exception(error)
        else:
            for queued in batch:
                queued.future.set_result(saved.get(queued.future))

    def close(self) -> None:
        """Let go of the connections."""
        self._reading.close()
        self._writing.close()

    def _save(self, batch: Batch) -> dict[Future[Any], Any]:
        with self._reading.transaction() as db:
            batch = draft_all(db, batch)
        if not any(queued.draft for queued in batch):
            return {}
        with self._writing.transaction() as db:
            return save_drafts(db, batch)
