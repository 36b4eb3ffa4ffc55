"""Where everything is kept: SQLite, or PostgreSQL for several machines."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryFile

from sqlalchemy import Connection, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    OperationalError,
    SQLAlchemyError,
)

from storage.cells import is_undecodable
from storage.database import Clock, Database, DatabaseBroken, parse_url
from storage.postgresql import PostgreSQL, maintenance_engine
from storage.siblings import Siblings
from storage.sqlite import SQLite, migrate_file
from storage.sqlite_connection import sqlite3

TRANSIENT_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
# A disk without room or inodes, too many open files or threads, too little memory.
TRANSIENT_ERRNOS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    *(errno.EAGAIN, errno.EIO),
)


def connect(url: str, siblings: Siblings | None = None) -> Database:
    """Open `sqlite:///…` or `postgresql://…`; ValueError says what is wrong with a URL.

    `siblings`: what the processes of one `serve` share on SQLite.
    """
    location = parse_url(url)
    if location.get_backend_name() == "sqlite":
        database = SQLite(location, siblings)
        event.listen(database.engine, "handle_error", partial(_find_reason, location.database))
        return database
    return PostgreSQL(location)


def is_transient(error: DBAPIError | OSError) -> bool:
    """Whether trying again may help: a disk that is full, a server that is not there yet."""
    if isinstance(error, OSError):
        return isinstance(error, TimeoutError) or error.errno in TRANSIENT_ERRNOS
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, OperationalError)
    return code & 0xFF in TRANSIENT_CODES


def describe(error: Exception) -> str:
    """Why the database cannot be used, for anybody: without addresses, names or values."""
    match error:
        case DBAPIError() if hasattr(error.orig, "diag"):
            return _describe_postgresql(error.orig)
        case DBAPIError():
            return str(error.orig)
        case TimeoutError():
            return "it takes too long"
        case OSError(strerror=str(reason)):
            return reason
    return "it cannot be tried"


def _describe_postgresql(error: Exception) -> str:
    from storage.psycopg_connection import UnfitServer

    if isinstance(error, UnfitServer):
        return str(error)
    return error.diag.message_primary or "PostgreSQL cannot be reached, or refuses us"


def _find_reason(path: str, context: ExceptionContext) -> None:
    """Raise why no file can be made where SQLite says only that it cannot open one.

    Other reasons than TRANSIENT_ERRNOS are left to SQLite.
    """
    code = getattr(context.original_exception, "sqlite_errorcode", None) or 0
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        try:
            TemporaryFile(dir=os.path.dirname(os.path.abspath(path))).close()
        except OSError as error:
            if is_transient(error):
                raise OSError(error.errno, error.strerror, path) from None


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

    On SQLite nobody else writes at all, and foreign keys are not enforced. DatabaseBroken, which
    rolls back: somebody took the files away meanwhile.
    """
    location = parse_url(url)
    if location.get_backend_name() == "sqlite":
        with migrate_file(location) as connection:
            yield connection
        return
    engine = maintenance_engine(location)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()
