"""The thread of each process that writes to SQLite, and the lock that the processes share."""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from sqlalchemy.orm import Session

from storage.batches import Batch, Batches, draft_all, save_drafts
from storage.database import Procedure
from storage.kept_session import KeptSession

# A text that waits alone is decided on in the transaction: without a draft it costs less.
FEWEST_DRAFTS = 2


class FileLock:
    """A lock that processes share: a file, which stays. It is released when its holder dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Whether the lock is held now; without waiting it may be another's."""
        while True:
            if self._handle is None:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.close()
                return False
            if self._has_its_name():
                return True
            self.close()  # the file was deleted: others would lock another one

    def release(self) -> None:
        """Let others have it; the file stays open for the next time."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release it for good; processes that inherited the lock keep it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _has_its_name(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except FileNotFoundError:
            return False

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.close()


class Writer:
    """The thread that writes, with one commit for all that wait.

    Before it takes the lock, it has drafts made for them: other processes write meanwhile.
    """

    def __init__(
        self,
        reading: KeptSession,
        writing: KeptSession,
        lock: FileLock,
        beside: Callable[[], AbstractContextManager[None]],
        check: Callable[[], None],
        on_failed: Callable[[Exception], object],
    ) -> None:
        self._on_failed = on_failed
        self._failed: Exception | None = None  # of the drafts of this batch
        self._reading, self._writing, self._lock, self._check = reading, writing, lock, check
        self._beside = beside
        self._batches = Batches(lambda batch: self._commit(self._draft(batch)))

    def submit(self, procedure: Procedure, item: Any) -> Future[Any]:
        """Queue an item; its future is done when the result is on disk."""
        return self._batches.submit(procedure, item)

    def end(self, timeout: float | None = None) -> None:
        """Write what is queued, and end the thread; wait for that no longer than `timeout`."""
        self._batches.end(timeout)

    def close(self) -> None:
        """End the thread, and let go of its connections."""
        self.end()
        self._reading.close()
        self._writing.close()
        self._lock.close()

    def _draft(self, batch: Batch) -> Batch:
        """The same with their drafts, which are all of one moment.

        Without any if that fails: the transaction needs none, and meets what lasts.
        """
        self._failed = None
        if sum(queued.procedure is not TRANSACTIONS for queued in batch) < FEWEST_DRAFTS:
            return batch
        try:
            self._check()
            with self._reading.transaction() as db:
                return draft_all(db, batch)
        except Exception as error:
            self._failed = error
            return batch

    def _commit(self, batch: Batch) -> None:
        """Commit all together; if that fails, each alone and without its draft.

        So none fails because of another, or of what a draft does not know.
        """
        try:
            with self._locked():
                batch = [queued for queued in batch if queued.is_awaited()]
                self._check()  # where nobody can take the lock, and write, before the commit
                with self._writing.transaction() as db:
                    results = write_all(db, batch)
        except Exception as error:
            # SQLite shares files among the connections of a process, also one that it could only
            # open to be read.
            self._reading.close()
            self._recover(batch, error)
        else:
            for future, result in results.items():
                future.set_result(result)
            if self._failed:
                self._on_failed(self._failed)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            with self._beside():
                yield
        finally:
            self._lock.release()

    def _recover(self, batch: Batch, error: Exception) -> None:
        is_drafted = any(queued.draft for queued in batch)
        if is_drafted:
            self._failed = error
        if len(batch) > 1 or is_drafted:
            for queued in batch:
                self._commit([queued._replace(draft=None)])
        elif batch and batch[0].is_awaited():
            batch[0].future.set_exception(error)


def write_all(db: Session, batch: Batch) -> dict[Future[Any], Any]:
    """The futures, each with its result: drafts that hold come first, then the rest in order."""
    results = save_drafts(db, batch)
    for queued in batch:
        if queued.future not in results:
            results[queued.future] = queued.procedure.write(db, queued.item)
    return results


def _none_of_them(_: Session, items: Sequence[Any]) -> list[None]:
    return [None] * len(items)


TRANSACTIONS = Procedure(_none_of_them, _none_of_them, lambda db, transaction: transaction(db))
