"""The one private name of SQLAlchemy that smsconvo uses; tests/test_driver_errors.py tests it."""

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
