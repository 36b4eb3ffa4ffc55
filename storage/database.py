"""What all databases have in common: `read()` to look, `write(transaction)` for everything else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event
from typing import Self, TypeVar

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.orm import Session

from storage.unreadable import UNREADABLE, UnreadableRows

T = TypeVar("T")
Clock = Callable[[], datetime]
Transaction = Callable[[Session], T]
WRITE_TIMEOUT_SECONDS = 12  # Twilio hangs up after 15


class DatabaseBroken(OSError):
    """The disk failed or the file is damaged: only another process may try again."""


class Database:
    """The database behind a URL.

    Once `broken` is set it takes no more writes: end the process and start another.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.broken = Event()
        self.unreadable = UnreadableRows()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session to look with; it cannot write on SQLite."""
        info = {UNREADABLE: self.unreadable}
        with Session(self.engine, expire_on_commit=False, info=info) as db:
            yield db

    def write(self, transaction: Transaction[T]) -> T:
        """Run `transaction(db)` in one transaction and return its result once that is on disk.

        It may run more than once and must be safe to repeat. It returns plain values, or entities
        whose attributes it has loaded. TimeoutError: nothing was written within 12 seconds.
        """
        raise NotImplementedError

    def acquire_server_lock(self) -> None:
        """Keep other servers off a database that serves only one; ValueError if one has it."""

    def back_up(self, suffix: str) -> str:
        """Copy the database to a file of its name and this suffix; the path of the copy.

        The copy is complete and on disk, or a ValueError says what to do.
        """
        raise NotImplementedError

    def free_space(self) -> int | None:
        """Bytes left on the database's disk; None if that is another machine's concern."""

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
    """The URL of a database that smsconvo can use; ValueError says what is wrong with it."""
    try:
        location = make_url(url)
    except Exception:  # its message would show the password
        raise ValueError("is not a database URL") from None
    if location.get_backend_name() == "postgresql":
        # From a server in SQL_ASCII psycopg would return bytes.
        location = location.update_query_dict({"client_encoding": "utf8"})
        return location.set(drivername="postgresql+psycopg")
    if location.drivername != "sqlite":
        raise ValueError("is neither sqlite:///… nor postgresql://…")
    if location.query:
        raise ValueError("has options behind a question mark, which SQLite does not need")
    if location.database in (None, "", ":memory:"):
        raise ValueError("names no file, and a conversation in memory is lost with the program")
    return location
