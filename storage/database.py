"""What all databases have in common: `read()` to look, `write(transaction)` for everything else."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from threading import BoundedSemaphore, Event
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import unquote

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.orm import Session

from storage.unreadable import UNREADABLE, UnreadableRows

T = TypeVar("T")
Clock = Callable[[], datetime]
Transaction = Callable[[Session], T]  # what `write` runs; one commit can serve several


class Procedure(NamedTuple):
    """What is done for items that may be saved together, each with what is prepared for it.

    `draft_all(db, items)` prepares drafts, or None, beside others who write; it may not write.
    `save_drafts(db, pairs)` gets items with their drafts, and returns the result of each that it
    has saved; None for one whose draft does not hold any more.
    `write(db, item)` does everything, without a draft.
    """

    draft_all: Callable[[Session, Sequence[Any]], Sequence[Any]]
    save_drafts: Callable[[Session, Sequence[tuple[Any, Any]]], Sequence[Any]]
    write: Callable[[Session, Any], Any]


WRITE_TIMEOUT_SECONDS = 12  # Twilio hangs up after 15
# Pages of the console and exports that are read at once in a process: texts come first.
MAX_REPORTS = 2
REPORT_WAIT_SECONDS = 5
DISK_FAILED = "The disk failed, or the database file is damaged."
# SQLite goes back to 64 MiB as soon as nobody reads an older state. More than this means that
# somebody has been doing that for long, and the file grows with each text.
MAX_WAL_BYTES = 256 * 1024 * 1024


class DatabaseBroken(OSError):
    """The disk failed, or the files are damaged or were taken away: this process may not go on.

    The message is a sentence for the operator.
    """


class ReportsBusy(TimeoutError):
    """As many reports as may be are being read, and none has ended lately."""


class Rescue(NamedTuple):
    """Why the database is broken and where its data is, in sentences for the operator.

    `is_safe`: this process may end without a loss. Otherwise it alone can reach some data.
    `why` is None if another process has saved it, and says so.
    """

    why: str | None
    is_safe: bool


def ignore(*_: object) -> None:
    """Do nothing."""


class Database:
    """The database behind a URL.

    Once `broken` is set it takes no more writes: end the process and start another.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.broken = Event()
        self.unreadable = UnreadableRows()
        # Is called with what drafts failed of, where their texts did not.
        self.on_failed_drafts: Callable[[Exception], object] = ignore
        self._reports = BoundedSemaphore(MAX_REPORTS)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to look with; it cannot write on SQLite."""
        info = {UNREADABLE: self.unreadable}
        with Session(self.engine, expire_on_commit=False, info=info) as db:
            yield db

    @contextmanager
    def report(self) -> Iterator[Session]:
        """A session to look with that may read many rows; all it reads is of one moment.

        ReportsBusy: others have been reading for 5 seconds.
        """
        if not self._reports.acquire(timeout=REPORT_WAIT_SECONDS):
            raise ReportsBusy
        try:
            with self._open_report() as db:
                yield db
        finally:
            self._reports.release()

    def _open_report(self) -> AbstractContextManager[Session]:
        return self.read()

    def write(self, transaction: Transaction[T]) -> T:
        """Run `transaction(db)` in one transaction and return its result once that is on disk.

        It may run more than once and must be safe to repeat. It returns plain values, or entities
        whose attributes it has loaded. TimeoutError: nothing was written within 12 seconds.
        """
        raise NotImplementedError

    def write_together(self, procedure: Procedure, item: Any) -> Any:
        """Follow a procedure for an item as `write` does, together with those of other threads."""
        raise NotImplementedError

    def try_out(self, transaction: Transaction[object]) -> None:
        """Run `transaction(db)` as `write` would, and take back all that it did.

        It waits for others who write as long as they like to.
        """
        raise NotImplementedError

    def acquire_server_lock(self) -> None:
        """Keep other servers off a database that serves only one; ValueError if one has it.

        From then on `find_obstacle` also says whether it is still the same file.
        """

    def find_obstacle(self) -> str | None:
        """Why nobody may go on with this database before the operator has acted: a sentence."""
        return None

    def check(self) -> None:
        """Raise DatabaseBroken, and set `broken`, if the files were moved, replaced or deleted."""

    def rescue(self, announce: Callable[[str], object] = ignore) -> Rescue:
        """Save what only this process can reach of a broken database; it takes no more writes.

        If that may take minutes, `announce` gets a sentence for the operator before.
        """
        return Rescue(DISK_FAILED, True)

    def back_up(self, suffix: str) -> str:
        """Copy the database to a file of its name and this suffix; the path of the copy.

        The copy is complete and on disk, or a ValueError says what to do.
        """
        raise NotImplementedError

    def free_space(self) -> int | None:
        """Bytes left on the database's disk; None if that is another machine's concern."""

    def size(self) -> int:
        """Bytes of the database, without what is written ahead to another file."""
        raise NotImplementedError

    def wal_size(self) -> int | None:
        """Bytes of the file that SQLite writes ahead to; None where there is none."""

    def now(self) -> datetime:
        """The time by the clock that all who write here share, in UTC."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_url(url: str) -> URL:
    """The URL of a database that smsconvo can use; ValueError says what is wrong with it.

    What it says holds nothing of the URL: any part may turn out to be one of the password.
    """
    try:
        location = make_url(url)
    except Exception:  # its message would show the password
        raise ValueError("is not a database URL") from None
    if any(character < " " or character == "\x7f" for character in unquote(url)):
        raise ValueError("holds a control character")
    if location.get_backend_name() == "postgresql":
        return _parse_postgresql(url, location)
    if location.drivername != "sqlite":
        raise ValueError("is neither sqlite:///… nor postgresql://…")
    return _parse_sqlite(location)


def _parse_postgresql(url: str, location: URL) -> URL:
    if location.password is not None and url.count("@") > 1:
        # What stands behind the first would be taken for a host, and named in errors and in DNS.
        raise ValueError("has an @ in a name or a password, where it is written %40")
    if any("\ud800" <= character <= "\udfff" for character in url):
        raise ValueError("holds bytes that are not UTF-8")
    if location.port is not None and not 0 < location.port < 65536:
        raise ValueError("has a port that is not between 1 and 65535")
    # From a server in SQL_ASCII psycopg would return bytes.
    location = location.update_query_dict({"client_encoding": "utf8"})
    return location.set(drivername="postgresql+psycopg")


def _parse_sqlite(location: URL) -> URL:
    if location.host or location.username or location.password or location.port:
        raise ValueError(
            "names a host, where SQLite has none: before a path there are three slashes,"
            " and four before one from the root"
        )
    if location.query:
        raise ValueError("has options behind a question mark, which SQLite does not need")
    if location.database in (None, "", ":memory:"):
        raise ValueError("names no file, and a conversation in memory is lost with the program")
    return location
