"""SQLite: one thread owns the only connection that writes.

Processes share a file lock around each write, so writers wait in fair queues. They never meet
SQLite's own back-off, which starves those that have waited longest.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from storage.backup import back_up
from storage.database import WRITE_TIMEOUT_SECONDS, Database, DatabaseBroken, T, Transaction
from storage.unreadable import UNREADABLE, WRITES

try:  # bundles a SQLite without the WAL-reset bug (3.7.0 to 3.51.2); it has no wheel everywhere
    import pysqlite3.dbapi2 as sqlite3
except ImportError:
    import sqlite3


MAX_BATCH = 64  # transactions that share one commit, and so one fsync
# When several transactions wait, more are about to: they share the commit. Starting at once would
# make the writer compete with their threads for Python's lock.
COMMIT_DELAY_SECONDS = 0.002
# The disk failed or the file is damaged. A commit that ends so may or may not be on disk, and the
# next sync of this process can lie, because the kernel drops what it could not write. So this
# process writes no more, and the next one reads from the log what is there.
FATAL_CODES = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

PRAGMAS: dict[str, Any] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: with NORMAL, a power cut can undo an acknowledged commit
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 64 * 1024 * 1024,
    "mmap_size": 0,
    "trusted_schema": 0,
    "secure_delete": 1,
}
WRITER_PRAGMAS = {"wal_autocheckpoint": 1000}
# With foreign keys on, rebuilding a table silently deletes the rows that refer to it.
MIGRATION_PRAGMAS = WRITER_PRAGMAS | {"foreign_keys": 0}
READER_PRAGMAS = {"wal_autocheckpoint": 0, "query_only": 1}

Queued = tuple[Transaction[Any], Future[Any]]


class SQLite(Database):
    """A file: connections that can only read, and one that writes."""

    def __init__(self, url: URL) -> None:
        reader = sqlite_engine(url, READER_PRAGMAS, begin="BEGIN")
        writer = sqlite_engine(url, WRITER_PRAGMAS, begin="BEGIN IMMEDIATE")
        super().__init__(reader)
        for engine in (reader, writer):
            event.listen(engine, "handle_error", self._classify_error)
        info = {UNREADABLE: self.unreadable, WRITES: True}
        self._writer = Writer(writer, write_lock(url), self.broken, info)
        self._server_lock = FileLock(f"{url.database}-server")

    def write(self, transaction: Transaction[T]) -> T:
        future = self._writer.submit(transaction)
        try:
            return future.result(timeout=WRITE_TIMEOUT_SECONDS)
        except TimeoutError:
            future.cancel()  # if it has not begun, it must not begin when nobody waits for it
            raise

    def now(self) -> datetime:
        return datetime.now(UTC)

    def acquire_server_lock(self) -> None:
        if not self._server_lock.acquire(wait=False):
            raise ValueError(f"Another server has {self.engine.url.database}")

    def back_up(self, suffix: str) -> str:
        return back_up(self.engine, suffix)

    def free_space(self) -> int:
        return shutil.disk_usage(os.path.dirname(os.path.abspath(self.engine.url.database))).free

    def close(self) -> None:
        super().close()
        self._writer.close()
        self._server_lock.close()

    def _classify_error(self, context: ExceptionContext) -> None:
        """Notice errors that no retry here can cure; a full disk and a lock are not among them."""
        code = getattr(context.original_exception, "sqlite_errorcode", None) or 0
        code &= 0xFF  # the higher bits only add detail
        if code in FATAL_CODES:
            self.broken.set()
        # SQLite opens a file read-only when it cannot open it for writing: open it again.
        context.is_disconnect = context.is_disconnect or code == sqlite3.SQLITE_READONLY


class Writer:
    """The thread that writes: first come, first served, with one commit for all that wait."""

    def __init__(
        self, engine: Engine, lock: "FileLock", broken: Event, info: dict[str, Any]
    ) -> None:
        self._engine, self._lock, self._broken, self._info = engine, lock, broken, info
        self._queue: SimpleQueue[Queued | None] = SimpleQueue()  # None ends the thread
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, transaction: Transaction[T]) -> Future[T]:
        """Queue a transaction; its future is done when the result is on disk."""
        future: Future[T] = Future()
        self._queue.put((transaction, future))
        with self._starting:
            if self._thread is None:
                thread = Thread(target=self._run, name="writer", daemon=True)
                thread.start()
                self._thread = thread  # only now: starting fails where there are too many threads
        return future

    def close(self) -> None:
        """Write what is queued, and end the thread."""
        if self._thread:
            self._queue.put(None)
            self._thread.join()
        self._engine.dispose()
        self._lock.close()

    def _run(self) -> None:
        closed = False
        while not closed:
            batch = self._next_batch()
            closed = None in batch
            self._commit([queued for queued in batch if queued is not None])

    def _next_batch(self) -> list[Queued | None]:
        batch = [self._queue.get()]
        if not self._queue.empty():
            time.sleep(COMMIT_DELAY_SECONDS)
        with suppress(Empty):
            while len(batch) < MAX_BATCH:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, batch: list[Queued]) -> None:
        """Commit all together; if that fails, each alone, so that none fails because of another."""
        try:
            if self._broken.is_set():
                raise DatabaseBroken
            with self._locked():
                batch = [queued for queued in batch if _is_awaited(queued[1])]
                session = Session(self._engine, expire_on_commit=False, info=self._info)
                with session as db, db.begin():
                    db.connection()  # BEGIN here, not at the first statement
                    results = [transaction(db) for transaction, _ in batch]
        except Exception as error:
            self._recover(batch, error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._lock.acquire()
        try:
            yield
        finally:
            self._lock.release()

    def _recover(self, batch: list[Queued], error: Exception) -> None:
        if len(batch) > 1:
            for queued in batch:
                self._commit([queued])
        elif batch and _is_awaited(batch[0][1]):
            batch[0][1].set_exception(error)


def _is_awaited(future: Future[Any]) -> bool:
    """Whether it was not cancelled; after the first call it can no longer be."""
    return future.running() or future.set_running_or_notify_cancel()


class FileLock:
    """A lock that processes share: a file, which stays. It is released when its holder dies."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        """Whether the lock is held now; without waiting it may be another's."""
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return False
        return True

    def release(self) -> None:
        """Let others have it; the file stays open for the next time."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Release it for good; processes that inherited the lock keep it."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.close()


def write_lock(url: URL) -> FileLock:
    """The lock that every process holds while it writes to this database."""
    return FileLock(f"{url.database}-gate")


def sqlite_engine(url: URL, pragmas: dict[str, Any], begin: str) -> Engine:
    """Connections with these pragmas, verified, whose transactions start with this statement."""
    engine = create_engine(url, module=sqlite3, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # The driver must not begin transactions itself: it does not for SELECT and DDL.
        connection.isolation_level = None
        for name, wanted in (PRAGMAS | pragmas).items():
            connection.execute(f"PRAGMA {name}={wanted}")
            (found,) = connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise sqlite3.OperationalError(f"PRAGMA {name} is {found}, not {wanted}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine
