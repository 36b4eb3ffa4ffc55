"""What the databases have in common: `read()` to look, `write(transaction)` for everything else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event
from typing import Self, TypeVar

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.orm import Session

T = TypeVar("T")
Clock = Callable[[], datetime]
Transaction = Callable[[Session], T]
WRITE_TIMEOUT_SECONDS = 12  # Twilio hangs up after 15


class DatabaseBroken(OSError):
    """The disk failed or the file is damaged: only another process may try again."""


class Database:
    """The database behind a URL: `read()` to look, `write(transaction)` for everything else.

    Once `broken` is set it takes no writes any more: end the process and start another.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.broken = Event()

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as db:
            yield db

    def write(self, transaction: Transaction[T]) -> T:
        """Run `transaction(db)` in one transaction and return its result once that is on disk.

        `transaction` may run more than once and must be safe to. It returns plain values or entities
        whose attributes it has loaded.
        """
        raise NotImplementedError

    def acquire_server_lock(self) -> None:
        """Keep other servers away from what only one may serve; ValueError when one is there."""

    def back_up(self, ending: str) -> str:
        """Copy the database to a file of its name with this ending, and return the copy's path.

        The copy is whole and on disk, or there is a ValueError that says what to do.
        """
        raise NotImplementedError

    def free_space(self) -> int | None:
        """Bytes left where the database is; None where that is another machine's affair."""

    def now(self) -> datetime:
        """The time by the clock that all who write here share; that of this machine by default."""
        return datetime.now(UTC)

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def parse_url(url: str) -> URL:
    """The URL of a database that we can use; ValueError says what is wrong with it."""
    try:
        location = make_url(url)
    except Exception:  # its message would show the password
        raise ValueError("is not a database URL") from None
    if location.get_backend_name() == "postgresql":
        # A server in SQL_ASCII would have its texts taken for bytes.
        location = location.update_query_dict({"client_encoding": "utf8"})
        return location.set(drivername="postgresql+psycopg")
    if location.drivername != "sqlite":
        raise ValueError("is neither sqlite:///… nor postgresql://…")
    if location.query:
        raise ValueError("has options behind a question mark, which SQLite does not need")
    if location.database in (None, "", ":memory:"):
        raise ValueError("names no file, and a conversation in memory is lost with the program")
    return location
