"""Statements that are compiled once, for what every text reads and writes."""

from typing import Any

from sqlalchemy import Connection, CursorResult, Dialect, Executable
from sqlalchemy.orm import Session


class Statement:
    """A statement about tables, compiled once for each kind of database.

    SQLAlchemy finds what it has compiled by all that a statement is made of, and looks after
    much that a turn does not need: an INSERT takes it twice as long. Here values and columns are
    converted, and no more: the list behind an IN, and defaults that Python makes, are not for this.
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def rows(self, db: Session, **values: Any) -> list[list[Any]]:
        """The values of each row that a SELECT finds."""
        compiled, connection = self._compiled_for(db)
        return [compiled.read(row) for row in compiled.run(connection, values)]

    def insert(self, db: Session, **values: Any) -> int:
        """The id of the row that an INSERT adds."""
        compiled, connection = self._compiled_for(db)
        added = compiled.run(connection, values)
        return added.lastrowid if compiled.has_lastrowid else added.scalar_one()

    def run(self, db: Session, **values: Any) -> None:
        compiled, connection = self._compiled_for(db)
        compiled.run(connection, values)

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
        self._sql = str(compiled)
        self._places = compiled.positiontup
        self._given = compiled.params
        names = compiled.bind_names.items()
        kinds = {name: bind.type.dialect_impl(dialect) for bind, name in names}
        self._to_database = [
            (name, convert)
            for name, kind in kinds.items()
            if (convert := kind.bind_processor(dialect))
        ]
        columns = getattr(statement, "selected_columns", ())
        self._from_database = [
            (place, convert)
            for place, column in enumerate(columns)
            if (convert := column.type.dialect_impl(dialect).result_processor(dialect, None))
        ]
        self.has_lastrowid = compiled.postfetch_lastrowid

    def run(self, connection: Connection, values: dict[str, Any]) -> CursorResult[Any]:
        values = self._given | values
        for name, convert in self._to_database:
            values[name] = convert(values[name])
        if self._places is None:
            return connection.exec_driver_sql(self._sql, values)
        return connection.exec_driver_sql(self._sql, tuple([values[one] for one in self._places]))

    def read(self, row: Any) -> list[Any]:
        values = list(row)
        for place, convert in self._from_database:
            values[place] = convert(values[place])
        return values
