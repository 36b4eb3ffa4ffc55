"""What PostgreSQL can do and SQLite need not: several statements in one trip, and locks of rows."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from storage.driver_errors import raise_as_sqlalchemy
from storage.unreadable import CONNECTION


def has_row_locks(db: Session) -> bool:
    """Whether others may write to the same tables meanwhile, and wait for rows that are locked."""
    return db.info[CONNECTION].dialect.name == "postgresql"


@contextmanager
def one_trip(db: Session) -> Iterator[None]:
    """Statements that are sent in here are one trip; their rows can be fetched afterwards."""
    if has_row_locks(db):
        with pipeline(db.info[CONNECTION]):
            yield
    else:
        yield


@contextmanager
def pipeline(connection: Connection) -> Iterator[None]:
    """What is sent in here waits for no answer, until one is fetched, or until the end."""
    try:
        with connection.connection.driver_connection.pipeline():
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise_as_sqlalchemy(error, connection, None, "the end of a pipeline")
