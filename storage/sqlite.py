"""SQLite: one thread owns the one connection that writes.

It is behind a lock that it shares with other processes, so writers wait in a fair queue of ours and
never meet SQLite's own back-off, which starves the ones that wait longest.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from storage.database import WRITE_TIMEOUT_SECONDS, Database, DatabaseBroken, T, Transaction

try:  # bundles a SQLite without the WAL-reset bug (3.7.0 to 3.51.2); it has no wheel everywhere
    import pysqlite3.dbapi2 as sqlite3
except ImportError:
    import sqlite3


MAX_BATCH = 64  # texts that one commit, so one fsync, may serve
# Texts that come now share a commit with those that wait. While their threads are at transaction, the
# writer would only fight them for Python's lock.
COMMIT_DELAY_SECONDS = 0.002
# A disk that fails or a file that is damaged. A commit that ends so may be on disk or not, and the
# next sync of the same process can lie: the kernel drops what it could not write. So this process
# writes no more, and another finds out from the log what is there.
FATAL_CODES = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

PRAGMAS: dict[str, Any] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: with NORMAL a commit that was acknowledged can be lost with the power
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 64 * 1024 * 1024,
    "mmap_size": 0,
    "trusted_schema": 0,
    "secure_delete": 1,
}
WRITER_PRAGMAS = {"wal_autocheckpoint": 1000}
# Rebuilding a table deletes the rows that refer to it, silently, when foreign keys are on.
MIGRATION_PRAGMAS = WRITER_PRAGMAS | {"foreign_keys": 0}
READER_PRAGMAS = {"wal_autocheckpoint": 0, "query_only": 1}


class SQLite(Database):
    """Readers that can only read, and one connection for writes."""

    def __init__(self, url: URL) -> None:
        super().__init__(sqlite_engine(url, READER_PRAGMAS, begin="BEGIN"))
        engine = sqlite_engine(url, WRITER_PRAGMAS, begin="BEGIN IMMEDIATE")
        for one in (self.engine, engine):
            event.listen(one, "handle_error", self._classify_error)
        self._writer = Writer(engine, FileLock(f"{url.database}-gate"), self.broken)
        self._server = FileLock(f"{url.database}-server")

    def acquire_server_lock(self) -> None:
        if not self._server.acquire(wait=False):
            raise ValueError(f"Another server has {self.engine.url.database}")

    def write(self, transaction: Transaction[T]) -> T:
        turn = self._writer.submit(transaction)
        try:
            return turn.result(timeout=WRITE_TIMEOUT_SECONDS)
        except TimeoutError:
            turn.cancel()  # what nobody waits for must not happen later
            raise

    def back_up(self, ending: str) -> str:
        path = f"{self.engine.url.database}.{ending}"
        try:
            verdict = self._copy(path)
        except FileExistsError:
            raise ValueError(f"The backup {path} is there already. Nothing was changed.") from None
        except (sqlite3.Error, OSError) as error:
            verdict = str(error)
        if verdict != "ok":
            with suppress(OSError):
                os.unlink(path)
            raise ValueError(f"The backup {path} is not whole: {verdict}. Nothing was changed.")
        return path

    def _copy(self, path: str) -> str:
        """Copy to a new file; "ok", or what SQLite finds wrong with the copy."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        source = self.engine.raw_connection()
        with closing(source), closing(sqlite3.connect(path)) as copy:
            source.driver_connection.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        _sync(path)
        return verdict

    def free_space(self) -> int:
        return shutil.disk_usage(os.path.dirname(os.path.abspath(self.engine.url.database))).free

    def _classify_error(self, failure: ExceptionContext) -> None:
        """Notice what no retry of ours can cure; a full disk and a lock are not among it."""
        code = getattr(failure.original_exception, "sqlite_errorcode", None) or 0
        code &= 0xFF  # the higher bits say more exactly what
        if code in FATAL_CODES:
            self.broken.set()
        # SQLite opens a file for reading only when it fails to open it for writing: open it anew.
        failure.is_disconnect = failure.is_disconnect or code == sqlite3.SQLITE_READONLY

    def close(self) -> None:
        super().close()
        self._writer.close()
        self._server.close()


class Writer:
    """The thread that writes: first come first served, and one commit for those that wait."""

    def __init__(self, engine: Engine, gate: "FileLock", broken: Event) -> None:
        self._engine, self._gate, self._broken = engine, gate, broken
        self._queue: SimpleQueue[tuple[Transaction[Any], Future[Any]] | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, transaction: Transaction[T]) -> Future[T]:
        turn: Future[T] = Future()
        self._queue.put((transaction, turn))
        with self._starting:
            if self._thread is None:
                thread = Thread(target=self._run, name="writer", daemon=True)
                thread.start()
                self._thread = thread  # not before it runs: there may be too many
        return turn

    def close(self) -> None:
        if self._thread:
            self._queue.put(None)
            self._thread.join()
        self._engine.dispose()
        self._gate.close()

    def _run(self) -> None:
        closed = False
        while not closed:
            batch = self._next_batch()
            closed = None in batch
            self._commit([turn for turn in batch if turn is not None])

    def _next_batch(self) -> list[tuple[Transaction[Any], Future[Any]] | None]:
        """What waits, up to the bound; None in it stands for the end."""
        batch = [self._queue.get()]
        if not self._queue.empty():
            time.sleep(COMMIT_DELAY_SECONDS)
        with suppress(Empty):
            while len(batch) < MAX_BATCH:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, batch: list[tuple[Transaction[Any], Future[Any]]]) -> None:
        """One transaction for all; if it fails, one each, so that none fails for another."""
        try:
            if self._broken.is_set():
                raise DatabaseBroken
            with self._locked():
                batch = [(transaction, turn) for transaction, turn in batch if _is_waited_for(turn)]
                with Session(self._engine, expire_on_commit=False) as db, db.begin():
                    results = [transaction(db) for transaction, _ in batch]
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    self._commit([one])
            elif batch and _is_waited_for(batch[0][1]):
                batch[0][1].set_exception(error)
        else:
            for (_, turn), result in zip(batch, results, strict=True):
                turn.set_result(result)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._gate.acquire()
        try:
            yield
        finally:
            self._gate.release()


def _is_waited_for(turn: Future[Any]) -> bool:
    """Whether it was not cancelled; from the first time on that somebody asks it cannot be."""
    return turn.running() or turn.set_running_or_notify_cancel()


class FileLock:
    """A lock that processes share: one file, which stays. It ends with whoever holds it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self, wait: bool = True) -> bool:
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return False
        return True

    def release(self) -> None:
        """Let others in; the file stays open, for who comes again soon."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave for good; processes that inherited it hold it still."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.close()


def sqlite_engine(url: URL, pragmas: dict[str, Any], begin: str) -> Engine:
    engine = create_engine(url, module=sqlite3, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by itself: it leaves out SELECT and DDL.
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


def _sync(path: str) -> None:
    """Have the file and its name on disk."""
    for name in (path, os.path.dirname(os.path.abspath(path))):
        handle = os.open(name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
