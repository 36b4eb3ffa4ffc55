"""Where everything is kept: SQLite, or PostgreSQL for several machines."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)

from storage.cells import is_undecodable
from storage.database import Clock, Database, parse_url
from storage.postgresql import PostgreSQL, lock_for_migration
from storage.sqlite import MIGRATION_PRAGMAS, SQLite, sqlite3, sqlite_engine, write_lock


def connect(url: str, processes: int = 1) -> Database:
    """Open `sqlite:///…` or `postgresql://…`; ValueError says what is wrong with a URL.

    `processes`: how many on this machine share the work, this one included.
    """
    location = parse_url(url)
    if location.get_backend_name() == "sqlite":
        return SQLite(location)
    return PostgreSQL(location, processes)


def is_transient(error: DBAPIError) -> bool:
    """Whether trying again may help: a disk that is full, a server that is not there yet."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, OperationalError)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def is_deterministic(error: Exception) -> bool:
    """Whether a transaction would fail so each time: by what it read, or by a mistake of ours.

    Else the database, the disk or the network is the reason.
    """
    if isinstance(error, DBAPIError):
        of_values = isinstance(error, DataError | IntegrityError)
        return of_values or is_undecodable(error.orig)
    return not isinstance(error, SQLAlchemyError | OSError)


@contextmanager
def maintenance_transaction(url: str) -> Iterator[Connection]:
    """One transaction for migrations or a copy, DDL included, while nobody else does either.

    On SQLite nobody else writes at all, and foreign keys are not enforced.
    """
    location = parse_url(url)
    if location.get_backend_name() == "sqlite":
        engine = sqlite_engine(location, MIGRATION_PRAGMAS, begin="BEGIN IMMEDIATE")
        lock = write_lock(location)
    else:
        engine, lock = create_engine(location, hide_parameters=True), nullcontext()
        event.listen(engine, "begin", lock_for_migration)
    try:
        with lock, engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
