"""Where everything is kept: SQLite, or PostgreSQL for several machines."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError

from storage.database import Clock, Database, DatabaseBroken, parse_url
from storage.postgresql import PostgreSQL, lock_for_migration
from storage.sqlite import SQLite, migrate_file, sqlite3


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


@contextmanager
def maintenance_transaction(url: str) -> Iterator[Connection]:
    """One transaction for migrations or a copy, DDL included, while nobody else does either.

    On SQLite nobody else writes at all, and foreign keys are not enforced. DatabaseBroken, which
    rolls back: somebody took the files away meanwhile.
    """
    location = parse_url(url)
    if location.get_backend_name() == "sqlite":
        with migrate_file(location) as connection:
            yield connection
        return
    engine = create_engine(location, hide_parameters=True)
    event.listen(engine, "begin", lock_for_migration)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
