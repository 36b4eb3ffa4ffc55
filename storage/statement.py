"""Statements that are compiled once, for what every text reads and writes."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Dialect, Executable, literal_column
from sqlalchemy.orm import Session

# SQLite compiles a statement anew each time if its limit is a parameter, which takes four times as
# long as to run it.
LITERAL_1: ColumnElement[int] = literal_column("1")


class Statement:
    """A statement about tables, compiled once for each kind of database.

    SQLAlchemy finds what it has compiled by all that a statement is made of, and looks after
    much that a turn does not need: a SELECT takes it five times as long. Here values and columns
    are converted, and no more: the list behind an IN, and defaults that Python makes, are not for
    this, nor do listeners to what is executed hear of it.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def fetch_all(self, db: Session, **values: Any) -> list[list[Any]]:
        """The values of each row that a SELECT finds."""
        compiled, connection = self._compiled_for(db)
        return compiled.fetch_all(connection, values)

    def insert(self, db: Session, **values: Any) -> int:
        """The id of the row that an INSERT adds."""
        compiled, connection = self._compiled_for(db)
        return compiled.insert(connection, values)

    def execute(self, db: Session, **values: Any) -> None:
        compiled, connection = self._compiled_for(db)
        compiled.execute(connection, values)

    def _compiled_for(self, db: Session) -> tuple["Compiled", Connection]:
        connection = db.connection()
        name = connection.dialect.name
        if name not in self._compiled:
            self._compiled[name] = Compiled(self._statement, connection.dialect)
        return self._compiled[name], connection


class Compiled:
    """SQL for one kind of database, and how values become what it takes and gives."""

    def __init__(self, statement: Executable, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._order = compiled.positiontup
        self._literals = compiled.params
        names = compiled.bind_names.items()
        kinds = {name: bind.type.dialect_impl(dialect) for bind, name in names}
        self._to_database = [
            (name, convert)
            for name, kind in kinds.items()
            if (convert := kind.bind_processor(dialect))
        ]
        columns = getattr(statement, "selected_columns", compiled.effective_returning or ())
        self._from_database = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        self._gives_rows = len(columns) > 0  # psycopg describes every column to whoever asks it
        self._gives_id = compiled.postfetch_lastrowid

    def fetch_all(self, connection: Connection, values: dict[str, Any]) -> list[list[Any]]:
        _, found = self.execute(connection, values)
        return [self._read(row) for row in found]

    def insert(self, connection: Connection, values: dict[str, Any]) -> int:
        cursor, found = self.execute(connection, values)
        return cursor.lastrowid if self._gives_id else found[0][0]

    def execute(self, connection: Connection, values: dict[str, Any]) -> tuple[Any, list[Any]]:
        """The driver's cursor, and all rows."""
        given = self.convert(values)
        cursor = None
        try:
            cursor = connection.connection.driver_connection.cursor()
            cursor.execute(self.sql, given)
            return cursor, cursor.fetchall() if self._gives_rows else []
        except connection.dialect.loaded_dbapi.Error as error:
            # As SQLAlchemy does when it executes: this closes the cursor, which would keep SQLite's
            # snapshot, raises an error of its own, without the values, tells whoever listens to
            # errors, and lets go of a connection that is lost.
            connection._handle_dbapi_exception(error, self.sql, given, cursor, None)

    def convert(self, values: dict[str, Any]) -> dict[str, Any] | tuple[Any, ...]:
        """The values as the driver takes them."""
        given = self._literals | values
        for name, convert in self._to_database:
            given[name] = convert(given[name])
        return given if self._order is None else tuple([given[name] for name in self._order])

    def _read(self, row: Any) -> list[Any]:
        values = list(row)
        for place, convert in self._from_database:
            values[place] = convert(values[place])
        return values
