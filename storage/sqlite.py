"""SQLite: one thread owns the only connection that writes.

Processes share a file lock around each write, so writers wait in fair queues. They never meet
SQLite's own back-off, which starves those that have waited longest.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import partial
from threading import RLock
from typing import Any

from sqlalchemy import URL, Connection, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.orm import Session

from storage.backup import back_up
from storage.database import (
    DISK_FAILED,
    WRITE_TIMEOUT_SECONDS,
    Database,
    DatabaseBroken,
    Procedure,
    Rescue,
    T,
    Transaction,
    ignore,
)
from storage.database_files import SERVER_LOCK, WRITE_LOCK, DatabaseFiles
from storage.kept_session import KeptSession
from storage.lost_pages import has_lost_pages
from storage.rescue import rescue
from storage.siblings import Siblings
from storage.sqlite_connection import (
    MIGRATION_PRAGMAS,
    READER_PRAGMAS,
    WRITER_PRAGMAS,
    sqlite3,
    sqlite_engine,
)
from storage.unreadable import UNREADABLE, WRITES
from storage.writer import TRANSACTIONS, FileLock, Writer

# The disk failed or the file is damaged. A commit that ends so may or may not be on disk, and the
# next sync of this process can lie, because the kernel drops what it could not write. So this
# process writes no more, and the next one reads from the log what is there.
FATAL_CODES = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class SQLite(Database):
    """A file: connections that can only read, and one that writes.

    One more connection stays open and idle. It holds the files that all others must be on, and
    can save what is in them when they were taken away. In `serve` one process does that for all.
    """

    def __init__(self, url: URL, siblings: Siblings | None = None) -> None:
        self._siblings = siblings
        self._files = DatabaseFiles(url.database)
        url = url.set(database=self._files.path)
        super().__init__(self._listen(sqlite_engine(url, READER_PRAGMAS, "BEGIN")))
        self._trial = self._listen(sqlite_engine(url, WRITER_PRAGMAS, "BEGIN IMMEDIATE"))
        info = {UNREADABLE: self.unreadable}
        reader = self._listen(sqlite_engine(url, READER_PRAGMAS))
        writer = self._listen(sqlite_engine(url, WRITER_PRAGMAS))
        self._writer = Writer(
            KeptSession(reader, "BEGIN", info),
            KeptSession(writer, "BEGIN IMMEDIATE", info | {WRITES: True}),
            self._write_lock(),
            siblings.writing if siblings else nullcontext,
            self.check,
            lambda error: self.on_failed_drafts(error),
        )
        self._server_lock = FileLock(self._files.path + SERVER_LOCK)
        self._anchor: Connection | None = None
        self._reason = DISK_FAILED
        self._is_read_only = False
        self._checking = RLock()

    def _listen(self, engine: Engine) -> Engine:
        event.listen(engine, "handle_error", self._classify_error)
        event.listen(engine, "connect", self._check_connected)
        return engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        self.check()
        with super().read() as db:
            yield db

    def write(self, transaction: Transaction[T]) -> T:
        return self.write_together(TRANSACTIONS, transaction)

    def write_together(self, procedure: Procedure, item: Any) -> Any:
        if self.broken.is_set():
            raise DatabaseBroken(self._reason)
        future = self._writer.submit(procedure, item)
        try:
            return future.result(timeout=WRITE_TIMEOUT_SECONDS)
        except TimeoutError:
            future.cancel()  # if it has not begun, it must not begin when nobody waits for it
            raise

    def try_out(self, transaction: Transaction[object]) -> None:
        """Beside the writer's thread: what shares its commit would be written to the log."""
        with self._write_lock():
            self.check()
            with Session(self._trial, info={UNREADABLE: self.unreadable, WRITES: True}) as db:
                transaction(db)  # closing the session takes it back

    def now(self) -> datetime:
        return datetime.now(UTC)

    def acquire_server_lock(self) -> None:
        if not self._server_lock.acquire(wait=False):
            raise ValueError(f"Another server has {self._files.path}")
        self._files.expect()

    def back_up(self, suffix: str) -> str:
        return back_up(self.engine, suffix)

    def free_space(self) -> int:
        with suppress(FileNotFoundError):
            return shutil.disk_usage(os.path.dirname(self._files.path)).free
        return 0  # somebody took the folder away

    def find_obstacle(self) -> str | None:
        return self._files.find_obstacle()

    def check(self) -> None:
        if self.broken.is_set():
            raise DatabaseBroken(self._reason)
        try:
            with self._checking:
                self._check()
        except DatabaseBroken as error:
            self._reason = str(error)
            self.broken.set()
            raise

    def rescue(self, announce: Callable[[str], object] = ignore) -> Rescue:
        self.broken.set()
        self._writer.end(WRITE_TIMEOUT_SECONDS)  # nobody waits for what it commits later
        if self._anchor is None:
            return Rescue(self._reason, True)
        try:
            self._check_files()
        except DatabaseBroken as error:
            self._reason = str(error)
        except OSError:
            pass  # they cannot even be looked at
        if self._reason == DISK_FAILED:
            return Rescue(self._reason, True)
        connection = self._anchor.connection.dbapi_connection
        save = partial(rescue, self._files, connection, self._reason, announce)
        if self._siblings:
            return self._siblings.save_once(self._files.opened, self._reason, save)
        return save()

    def size(self) -> int:
        return os.path.getsize(self._files.path)

    def wal_size(self) -> int | None:
        with suppress(FileNotFoundError):
            return os.path.getsize(f"{self.engine.url.database}-wal")

    def close(self) -> None:
        super().close()
        self._trial.dispose()
        self._writer.close()
        self._server_lock.close()
        if self._anchor:
            self._anchor.close()
            self._anchor = None

    def _write_lock(self) -> FileLock:
        """The lock that every process holds while it writes to this database."""
        return FileLock(self._files.path + WRITE_LOCK)

    def _check(self) -> None:
        if self._anchor is None:
            self._open()
        self._check_files()
        if self._is_read_only:
            self._open_again()

    def _open(self) -> None:
        """Open the anchor, and remember which files it is on."""
        if self._siblings:
            self._siblings.begin()
        anchor = self.engine.connect()
        anchor.detach()
        try:
            self._files.remember()
        except OSError:
            anchor.close()
            raise
        self._anchor = anchor

    def _open_again(self) -> None:
        """Let go of files that could only be opened to be read: SQLite shares them in a process."""
        self.engine.dispose()
        self._anchor.close()
        self._anchor, self._is_read_only = None, False
        self._open()

    def _check_files(self) -> None:
        self._files.check()
        if self._files.is_smaller():
            is_lost = has_lost_pages(self._files, self._anchor.connection.dbapi_connection)
            if is_lost is None:
                self._files.look_again()
            elif is_lost:  # as `cp` does it; SQLite itself does it for VACUUM and the like
                self._files.is_overwritten = True
                self._files.check()
        if self._siblings and (notice := self._siblings.find(self._files.opened)):
            raise DatabaseBroken(notice.why)

    def _check_connected(self, *_: object) -> None:
        """Refuse a connection that was made to other files, in the moment after a check."""
        if self._anchor:
            self.check()

    def _classify_error(self, context: ExceptionContext) -> None:
        """Notice errors that no retry here can cure; a full disk and a lock are not among them."""
        code = getattr(context.original_exception, "sqlite_errorcode", None) or 0
        code &= 0xFF  # the higher bits only add detail
        if code in FATAL_CODES:
            self.broken.set()
        # SQLite opens a file read-only when it cannot open it for writing: open it again.
        if code == sqlite3.SQLITE_READONLY:
            self._is_read_only = context.is_disconnect = True


@contextmanager
def migrate_file(url: URL) -> Iterator[Connection]:
    """One transaction on a file, DDL included, while nobody else writes to it."""
    engine = sqlite_engine(url, MIGRATION_PRAGMAS, begin="BEGIN IMMEDIATE")
    files = DatabaseFiles(url.database)
    try:
        # First the connection, which makes the file: a lock file shows that there was one.
        with engine.connect() as connection:
            files.remember()
            with FileLock(files.path + WRITE_LOCK), connection.begin():
                yield connection
                files.check()
    finally:
        engine.dispose()
