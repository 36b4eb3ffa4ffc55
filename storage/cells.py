"""How the cells of a row are read, and what to say of one that cannot be.

SQLite lets a column hold anything, and whoever edits a row by hand may write anything.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storage.unreadable import UnreadableRow


class Column:
    """A column of a result: how its cells are read, and what to say of one that cannot be."""

    def __init__(
        self, column: sa.ColumnElement[Any], others: Sequence[Any], dialect: sa.Dialect
    ) -> None:
        type = column.type.dialect_impl(dialect)
        self.decode = type.result_processor(dialect, None)
        table = getattr(column, "table", None)
        # What is computed, such as an EXISTS, is as it should be.
        of_a_number = int if isinstance(type, sa.Integer) else str
        self._stored_type = object if table is None else of_a_number
        # SQLAlchemy's names are a subclass of str, which encoders of JSON refuse.
        self._name = str(column.name) if table is not None else "(computed)"
        self._table = str(getattr(getattr(table, "element", table), "name", "(computed)"))
        self.is_no = getattr(type, "is_no", "number" if of_a_number is int else "text")
        self._id_index = next(
            (n for n, other in enumerate(others) if _is_id_beside(other, table)), None
        )

    def check_type(self, value: Any, row: Sequence[Any]) -> None:
        """UnreadableRow for a cell of another type than the column has."""
        if value is not None and not isinstance(value, self._stored_type):
            raise self.unreadable(row)

    def unreadable(self, row: Sequence[Any]) -> UnreadableRow:
        """The error for a row with such a cell that cannot be read."""
        id = None if self._id_index is None else row[self._id_index]
        return UnreadableRow(self._table, id, self._name, f"is no {self.is_no}")


def _is_id_beside(column: sa.ColumnElement[Any], table: Any) -> bool:
    return table is not None and getattr(column, "table", None) is table and column.key == "id"


def is_undecodable(error: Exception) -> bool:
    """Whether SQLite's driver could not read a text: that error has no code, as SQLite's have."""
    return type(error).__name__ == "OperationalError" and "UTF-8" in str(error)


def decode_or_keep(raw: bytes) -> str | bytes:
    """A text of SQLite, or its bytes if they are not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def execute_for_bytes(
    connection: sa.Connection, sql: str, parameters: Any
) -> tuple[Any, list[Any]]:
    """The cursor and all rows on SQLite, with bytes for texts that are not UTF-8.

    Otherwise one such text hides all other rows.
    """
    driver_connection = connection.connection.driver_connection
    driver_connection.text_factory = decode_or_keep
    try:
        cursor = driver_connection.cursor()
        cursor.execute(sql, parameters)
        return cursor, cursor.fetchall()
    finally:
        driver_connection.text_factory = str
