"""The thread of each process that writes to SQLite, its lock, and the session that it keeps."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from storage.database import Procedure, Transaction
from storage.unreadable import CONNECTION

MAX_BATCH = 64  # transactions that share one commit, and so one fsync
# When several transactions wait, more are about to: they share the commit. Starting at once would
# make the writer compete with their threads for Python's lock.
COMMIT_DELAY_SECONDS = 0.002


class Queued(NamedTuple):
    """An item that is written by a procedure, and the future of its result."""

    procedure: Procedure
    item: Any
    future: Future[Any]
    draft: Any = None


Batch = list[Queued]


def _by_procedure(batch: Batch) -> Iterator[tuple[Procedure, Batch]]:
    for procedure in dict.fromkeys(queued.procedure for queued in batch):
        yield procedure, [queued for queued in batch if queued.procedure == procedure]


def draft_all(db: Session, batch: Batch) -> Batch:
    """The same with their drafts."""
    drafted = []
    for procedure, same in _by_procedure(batch):
        drafts = procedure.draft_all(db, [queued.item for queued in same])
        pairs = zip(same, drafts, strict=True)
        drafted += [queued._replace(draft=draft) for queued, draft in pairs]
    return drafted


def write_all(db: Session, batch: Batch) -> list[tuple[Future[Any], Any]]:
    """The futures, each with its result."""
    results = []
    for procedure, same in _by_procedure(batch):
        found = procedure.write_all(db, [(queued.item, queued.draft) for queued in same])
        results += zip([queued.future for queued in same], found, strict=True)
    return results


def _write_each(db: Session, items: Sequence[tuple[Transaction[Any], None]]) -> list[Any]:
    return [transaction(db) for transaction, _ in items]


TRANSACTIONS = Procedure(lambda db, items: [None] * len(items), _write_each)


class KeptSession:
    """One transaction after the other on one connection; after an error, on another one.

    To open a session and its connection takes as long as a turn. `begin` is the statement that
    begins a transaction. The engine must not begin any itself, nor may the session: its unit of
    work is not used.
    """

    def __init__(self, engine: Engine, begin: str, info: dict[str, Any]) -> None:
        self._engine, self._begin, self._info = engine, begin, info
        self._db: Session | None = None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Commit what is done with the session, or roll it back after an error."""
        db = self._db = self._db or self._open()
        connection = db.info[CONNECTION]
        try:
            connection.exec_driver_sql(self._begin)
            yield db
            self.commit()
        except BaseException:
            self.close()
            raise
        db.expunge_all()  # what was read with the ORM is read anew next time

    def commit(self) -> None:
        """End the transaction; what it has written is on disk."""
        self._db.info[CONNECTION].exec_driver_sql("COMMIT")

    def close(self) -> None:
        """Close the connection, which rolls back what it has begun."""
        if self._db:
            db, self._db = self._db, None
            connection = db.info[CONNECTION]
            db.close()
            connection.invalidate()
            connection.close()

    def _open(self) -> Session:
        connection = self._engine.connect()
        info = self._info | {CONNECTION: connection}
        return Session(connection, expire_on_commit=False, info=info)


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
    """The thread that writes: first come, first served, with one commit for all that wait.

    Before it takes the lock, it has drafts made for them: other processes write meanwhile.
    """

    def __init__(
        self,
        reading: KeptSession,
        writing: KeptSession,
        lock: FileLock,
        beside: Callable[[], AbstractContextManager[None]],
        check: Callable[[], None],
    ) -> None:
        self._reading, self._writing, self._lock, self._check = reading, writing, lock, check
        self._beside = beside
        self._queue: SimpleQueue[Queued | None] = SimpleQueue()  # None ends the thread
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, procedure: Procedure, item: Any) -> Future[Any]:
        """Queue an item; its future is done when the result is on disk."""
        future: Future[Any] = Future()
        self._queue.put(Queued(procedure, item, future))
        with self._starting:
            if self._thread is None:
                thread = Thread(target=self._run, name="writer", daemon=True)
                thread.start()
                self._thread = thread  # only now: starting fails where there are too many threads
        return future

    def end(self, timeout: float | None = None) -> None:
        """Write what is queued, and end the thread; wait for that no longer than `timeout`."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(timeout)

    def close(self) -> None:
        """End the thread, and let go of its connections."""
        self.end()
        self._reading.close()
        self._writing.close()
        self._lock.close()

    def _run(self) -> None:
        closed = False
        while not closed:
            batch = self._next_batch()
            closed = None in batch
            if queue := [queued for queued in batch if queued is not None]:
                self._commit(self._draft(queue))

    def _next_batch(self) -> list[Queued | None]:
        batch = [self._queue.get()]
        if not self._queue.empty():
            time.sleep(COMMIT_DELAY_SECONDS)
        with suppress(Empty):
            while len(batch) < MAX_BATCH:
                batch.append(self._queue.get_nowait())
        return batch

    def _draft(self, batch: Batch) -> Batch:
        """The same with their drafts, which are all of one moment.

        Without any if that fails: the transaction needs none, and meets what lasts.
        """
        if all(queued.procedure is TRANSACTIONS for queued in batch):
            return batch
        try:
            self._check()
            with self._reading.transaction() as db:
                return draft_all(db, batch)
        except Exception:
            return batch

    def _commit(self, batch: Batch) -> None:
        """Commit all together; if that fails, each alone and without its draft.

        So none fails because of another, or of what a draft does not know.
        """
        try:
            with self._locked():
                batch = [queued for queued in batch if _is_awaited(queued.future)]
                self._check()  # where nobody can take the lock, and write, before the commit
                with self._writing.transaction() as db:
                    results = write_all(db, batch)
        except Exception as error:
            # SQLite shares files among the connections of a process, also one that it could only
            # open to be read.
            self._reading.close()
            self._recover(batch, error)
        else:
            for future, result in results:
                future.set_result(result)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            with self._beside():
                yield
        finally:
            self._lock.release()

    def _recover(self, batch: Batch, error: Exception) -> None:
        if len(batch) > 1 or any(queued.draft for queued in batch):
            for queued in batch:
                self._commit([queued._replace(draft=None)])
        elif batch and _is_awaited(batch[0].future):
            batch[0].future.set_exception(error)


def _is_awaited(future: Future[Any]) -> bool:
    """Whether it was not cancelled; after the first call it can no longer be."""
    return future.running() or future.set_running_or_notify_cancel()
