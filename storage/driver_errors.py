"""The one private name of SQLAlchemy that we use: errors of a driver become those of SQLAlchemy.

tests/test_driver_errors.py tests it.
"""

from typing import Any, NoReturn

from sqlalchemy import Connection


def raise_as_sqlalchemy(
    error: Exception, connection: Connection, cursor: Any, sql: str, parameters: Any = None
) -> NoReturn:
    """Treat a driver's error, where it was caught, as if SQLAlchemy had executed the statement.

    That raises a `DBAPIError` that shows no values, tells listeners to `handle_error`, and closes
    the cursor, which would keep SQLite's snapshot. A connection that turns out to be lost is
    invalidated, with all others of its pool. `cursor` is None where there was none yet.
    """
    connection._handle_dbapi_exception(error, sql, parameters, cursor, None)


def run(connection: Connection, sql: str, parameters: Any) -> Any:
    """The driver's cursor; the driver's errors become SQLAlchemy's."""
    cursor = None
    try:
        cursor = connection.connection.driver_connection.cursor()
        return cursor.execute(sql, parameters)
    except connection.dialect.loaded_dbapi.Error as error:
        raise_as_sqlalchemy(error, connection, cursor, sql, parameters)


def fetch_all(connection: Connection, cursor: Any, sql: str) -> list[Any]:
    """All rows; in a pipeline, errors of what was sent come only now."""
    try:
        return cursor.fetchall()
    except connection.dialect.loaded_dbapi.Error as error:
        raise_as_sqlalchemy(error, connection, cursor, sql)
