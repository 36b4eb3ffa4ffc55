"""How rows are read and written: compiled statements and the base of all tables.

Every text runs through both, which is why they share a file. The ORM's unit of work is not
used: finding out at each flush what depends on what takes several times as long as the statements.
"""

from collections.abc import Callable, Iterable, KeysView, Sequence
from datetime import datetime
from functools import lru_cache, partial
from itertools import islice
from typing import Any, ClassVar, NoReturn, Self

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Session

from storage.cells import Column, execute_for_bytes, is_undecodable
from storage.column_types import NulSafeText, UtcDateTime
from storage.columns import PlainAttribute
from storage.driver_errors import fetch_all, raise_as_sqlalchemy, run
from storage.json_rows import write_together
from storage.unreadable import CONNECTION, IDS, WRITES, UnreadableRow, unreadable_rows

# For LIMIT. With a parameter there, SQLite compiles the statement anew each time, which takes four
# times as long as running it.
LITERAL_1: sa.ColumnElement[int] = sa.literal_column("1")


def raise_it(error: Exception) -> NoReturn:
    raise error


class Statement:
    """A statement about tables, compiled once for each kind of database.

    SQLAlchemy's own `execute` takes five times as long for a SELECT, `exec_driver_sql` three times,
    mostly to describe the columns of a result. This only converts values. It knows no list behind
    IN and no default made in Python, and fires none of SQLAlchemy's events except `handle_error`.
    """

    def __init__(self, statement: sa.Executable) -> None:
        self._statement = statement
        self._compiled: dict[str, Compiled] = {}

    def fetch_all(self, db: Session, **values: Any) -> list[list[Any]]:
        """Run a SELECT with these parameters; each row as the values of its columns, in order.

        UnreadableRow if one of them cannot be read.
        """
        compiled, connection = self._compile(db)
        _, rows = compiled.execute(connection, values)
        return [compiled.read(row) for row in rows]

    def fetch_readable(
        self, db: Session, leave_out: Callable[[UnreadableRow], object], **values: Any
    ) -> list[list[Any]]:
        """The same, without the rows that cannot be read: `leave_out` is called with each error."""
        compiled, connection = self._compile(db)
        _, rows = compiled.execute(connection, values)
        return compiled.read_each(rows, leave_out)

    def send(self, db: Session, **values: Any) -> Callable[..., list[list[Any]]]:
        """Run a SELECT; what returns its rows, and can leave some out as `fetch_readable` does.

        In a pipeline, all that was sent before is one trip.
        """
        compiled, connection = self._compile(db)
        fetch = compiled.send(connection, values)
        return lambda leave_out=raise_it: compiled.read_each(fetch(), leave_out)

    def insert(self, db: Session, **values: Any) -> int:
        """Run an INSERT of one row and return its id."""
        compiled, connection = self._compile(db)
        cursor, rows = compiled.execute(connection, values)
        if compiled.gives_lastrowid:
            return cursor.lastrowid
        return rows[0][0] if rows else values["id"]  # PostgreSQL returns none that it was given

    def insert_all(self, db: Session, rows: Sequence[dict[str, Any]]) -> Sequence[int]:
        """Run an INSERT of these rows, in one statement if that can be, and return their ids."""
        compiled, connection = self._compile(db)
        if len(rows) > 1 and compiled.gives_lastrowid:
            return compiled.insert_all(connection, rows)
        if len(rows) > 1 and "id" in rows[0]:
            self.execute_all(db, rows)
            return [row["id"] for row in rows]
        return [self.insert(db, **row) for row in rows]

    def execute(self, db: Session, **values: Any) -> None:
        """Run an UPDATE or DELETE with these parameters."""
        compiled, connection = self._compile(db)
        compiled.execute(connection, values)

    def execute_all(self, db: Session, rows: Sequence[dict[str, Any]]) -> None:
        """Run an UPDATE, or an INSERT with ids, for each of these; together if that can be."""
        compiled, connection = self._compile(db)
        if compiled.has_pipelines and len(rows) > 1:
            compiled.execute_together(connection, rows)
        else:
            for row in rows:
                compiled.execute(connection, row)

    def _compile(self, db: Session) -> tuple["Compiled", sa.Connection]:
        connection = db.info.get(CONNECTION) or _find_connection(db)
        name = connection.dialect.name
        if name not in self._compiled:
            self._compiled[name] = Compiled(self._statement, connection.dialect)
        return self._compiled[name], connection


def _find_connection(db: Session) -> sa.Connection:
    """Its connection; to ask the session for it takes as long as some statements.

    A session that writes has one transaction, which nobody ends before it, and so one connection.
    """
    connection = db.connection()
    if WRITES in db.info:
        db.info[CONNECTION] = connection
    return connection


class Compiled:
    """SQL for one kind of database, and how values become what its driver takes and gives."""

    def __init__(self, statement: sa.Executable, dialect: sa.Dialect) -> None:
        self._statement = statement
        compiled = statement.compile(dialect=dialect)
        columns = getattr(statement, "selected_columns", compiled.effective_returning or ())
        self.sql = str(compiled)
        self.gives_lastrowid = compiled.postfetch_lastrowid
        self._gives_rows = len(columns) > 0  # to ask psycopg's cursor costs a query's description
        self._order = compiled.positiontup  # None where parameters have names
        self._constants = compiled.params
        self._encoders = [
            (name, encode)
            for parameter, name in compiled.bind_names.items()
            if (encode := parameter.type.dialect_impl(dialect).bind_processor(dialect))
        ]
        self.has_pipelines = dialect.name == "postgresql"
        described = [Column(column, columns, dialect) for column in columns]
        decoders = [column.decode for column in described]
        self.read = RowReader(described, decoders, is_typed=dialect.name != "sqlite").read

    def execute(self, connection: sa.Connection, values: dict[str, Any]) -> tuple[Any, list[Any]]:
        """The driver's cursor and all rows; the driver's errors become SQLAlchemy's."""
        parameters = self.convert(values)
        cursor = None
        try:
            cursor = connection.connection.driver_connection.cursor()
            cursor.execute(self.sql, parameters)
            return cursor, cursor.fetchall() if self._gives_rows else []
        except connection.dialect.loaded_dbapi.Error as error:
            if is_undecodable(error):
                cursor.close()  # it would keep SQLite's snapshot
                return execute_for_bytes(connection, self.sql, parameters)
            raise_as_sqlalchemy(error, connection, cursor, self.sql, parameters)

    def send(self, connection: sa.Connection, values: dict[str, Any]) -> Callable[[], list[Any]]:
        """Have the driver execute it; what fetches the rows."""
        if not self.has_pipelines:
            _, rows = self.execute(connection, values)
            return lambda: rows
        cursor = run(connection, self.sql, self.convert(values))
        return partial(fetch_all, connection, cursor, self.sql)

    def execute_together(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> None:
        """The same for all these rows, in one statement of PostgreSQL."""
        run(connection, *write_together(self._statement, list(map(self.convert, rows))))

    def read_each(
        self, rows: Sequence[Any], leave_out: Callable[[UnreadableRow], object]
    ) -> list[list[Any]]:
        """The values of the rows; `leave_out` is called with the error of each without any."""
        found = []
        for row in rows:
            try:
                found.append(self.read(row))
            except UnreadableRow as error:
                leave_out(error)
        return found

    def insert_all(self, connection: sa.Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
        """INSERT these rows by one statement of SQLite; their ids, in the same order.

        SQLite returns them in no certain order, but inserts the rows one after the other, so a
        later one has a greater id.
        """
        start, values, group = self.sql.partition(" VALUES ")
        sql = f"{start}{values}{', '.join([group] * len(rows))} RETURNING id"
        cursor = run(connection, sql, [value for row in rows for value in self.convert(row)])
        return sorted(id for (id,) in cursor.fetchall())

    def convert(self, values: dict[str, Any]) -> dict[str, Any] | tuple[Any, ...]:
        """The parameters as the driver takes them: by name, or in the order of the SQL."""
        parameters = self._constants | values
        for name, encode in self._encoders:
            parameters[name] = encode(parameters[name])
        return parameters if self._order is None else tuple([parameters[n] for n in self._order])


class RowReader:
    """Reads the rows of a result, whose columns have these decoders, or None."""

    def __init__(
        self,
        columns: Sequence[Column],
        decoders: Sequence[Callable[[Any], Any] | None],
        is_typed: bool = False,
    ) -> None:
        self._columns, self._is_typed = columns, is_typed
        self._decoders = [(index, decode) for index, decode in enumerate(decoders) if decode]
        # The types of rows that are as they should be; SQLite lets a column hold any type.
        self._seen_types: set[tuple[type, ...]] = set()

    def read(self, row: Sequence[Any]) -> list[Any]:
        """The values of a row, decoded; UnreadableRow if a cell has none."""
        if not self._is_typed and (types := tuple(map(type, row))) not in self._seen_types:
            for column, value in zip(self._columns, row, strict=True):
                column.check_type(value, row)
            self._seen_types.add(types)
        values = list(row)
        try:
            for index, decode in self._decoders:
                if (value := values[index]) is not None:  # a call costs more than that
                    values[index] = decode(value)
        except Exception:  # whatever a decoder makes of what somebody has written
            # Its own words may quote the cell.
            raise self._columns[index].unreadable(row) from None
        return values


class Base(DeclarativeBase):
    """The base of all tables, with named constraints: SQLite cannot drop one without a name.

    An entity belongs to no session. It is written when `insert` or `update` is called, not later.
    """

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: sa.DateTime(timezone=True).with_variant(UtcDateTime(), "sqlite"),
        str: sa.Text().with_variant(NulSafeText(), "postgresql"),
        int: sa.BigInteger().with_variant(sa.Integer, "sqlite"),
    }
    column_names: ClassVar[KeysView[str]]  # in the order of the table

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.column_names = dict.fromkeys(cls.__table__.columns.keys()).keys()
        for name in cls.column_names:
            setattr(cls, name, PlainAttribute(getattr(cls, name)))
        # The ORM's own notes the entity for a unit of work, which takes longer than all the rest.
        cls.__init__ = Base.__init__

    def __init__(self, **values: Any) -> None:
        if unknown := values.keys() - self.column_names:
            raise TypeError(f"{type(self).__name__} has no columns {', '.join(sorted(unknown))}.")
        self.__dict__.update(dict.fromkeys(self.column_names) | values)

    @classmethod
    def from_row(cls, values: Iterable[Any]) -> Self:
        """The entity with these values of all its columns, in their order."""
        stored = dict(zip(cls.column_names, values, strict=True))
        return cls._from_attributes(stored | {"stored": stored})

    @classmethod
    def _from_attributes(cls, attributes: dict[str, Any]) -> Self:
        entity = cls.__new__(cls)
        entity.__dict__.update(attributes)
        return entity

    @classmethod
    def first(cls, db: Session, statement: Statement, **values: Any) -> Self | None:
        """The first entity that a SELECT of this whole table finds, or None.

        UnreadableRow if it cannot be read.
        """
        rows = statement.fetch_all(db, **values)
        return cls.from_row(rows[0]) if rows else None

    @classmethod
    def all(cls, db: Session, statement: Statement, **values: Any) -> list[Self]:
        """All entities that a SELECT of this whole table finds, without those it cannot read."""

        def leave_out(error: UnreadableRow) -> None:
            cls.leave_out(db, error)

        return [cls.from_row(row) for row in statement.fetch_readable(db, leave_out, **values)]

    @classmethod
    def leave_out(cls, db: Session, error: UnreadableRow) -> None:
        """Note that `all` met a row that cannot be read."""
        unreadable_rows(db).add(error)

    def copy(self, **values: Any) -> Self:
        """The same row, and all that was hung on it, to be changed without changing this one."""
        return self._from_attributes(self.__dict__ | values)

    def insert(self, db: Session) -> None:
        """Write a new row, with the defaults of its columns, and take its id."""
        self.insert_all(db, [self])

    @classmethod
    def insert_all(cls, db: Session, rows: Iterable[Self]) -> None:
        """Write new rows in the same way, with a statement for all that have the same columns."""
        rows = list(rows)
        if reserved := db.info.get(IDS, {}).get(cls):
            for entity, id in zip(rows, reserved, strict=False):
                entity.id = id
        groups: dict[frozenset[str], list[tuple[Self, dict[str, Any]]]] = {}
        for entity in rows:
            values = entity._new_values()
            groups.setdefault(frozenset(values), []).append((entity, values))
        for names, group in groups.items():
            statement = _insert_statement(cls, names)
            ids = statement.insert_all(db, [values for _, values in group])
            for (entity, values), id in zip(group, ids, strict=True):
                entity.id = id
                entity.stored = dict.fromkeys(cls.column_names) | values | {"id": id}

    def _new_values(self) -> dict[str, Any]:
        """Those of a new row, without each None, for which SQLite's driver takes a microsecond."""
        attributes = self.__dict__
        for name, default in _defaults(type(self)):
            if attributes.get(name) is None:
                attributes[name] = default.arg(None) if default.is_callable else default.arg
        names = self.column_names
        return {name: value for name in names if (value := attributes[name]) is not None}

    @classmethod
    def save_all(cls, db: Session, rows: Iterable[Self]) -> None:
        """Update those that have their rows, and insert those that are new."""
        new: list[Self] = []
        groups: dict[frozenset[str], list[dict[str, Any]]] = {}
        for entity in rows:
            if entity.id is None:
                new.append(entity)
            elif changed := entity._take_changed():
                groups.setdefault(frozenset(changed), []).append(changed | {"this": entity.id})
        for names, group in groups.items():
            _update_statement(cls, names).execute_all(db, group)
        cls.insert_all(db, new)

    def _take_changed(self) -> dict[str, Any]:
        """The columns that differ from the row as it was read or written; from now on, none."""
        attributes, stored = self.__dict__, self.stored
        changed = {name: attributes[name] for name in stored if attributes[name] != stored[name]}
        if changed:
            self.stored = stored | changed
        return changed

    def update(self, db: Session) -> None:
        """Write the columns that differ from the row as it was last read or written."""
        self.save_all(db, [self])


def split_row(row: Iterable[Any], *tables: type[Base]) -> list[Any]:
    """An entity of each table, from a row that holds all their columns one after the other."""
    values = iter(row)
    return [table.from_row(islice(values, len(table.column_names))) for table in tables]


@lru_cache
def _defaults(table: type[Base]) -> list[tuple[str, sa.ColumnDefault]]:
    return [(column.key, column.default) for column in table.__table__.columns if column.default]


@lru_cache
def _insert_statement(table: type[Base], names: frozenset[str]) -> Statement:
    return Statement(
        sa.insert(table.__table__).values({name: sa.bindparam(name) for name in names})
    )


@lru_cache
def _update_statement(table: type[Base], names: frozenset[str]) -> Statement:
    columns = table.__table__.columns
    values = {name: sa.bindparam(name) for name in names}
    return Statement(
        sa.update(table.__table__).where(columns.id == sa.bindparam("this")).values(values)
    )
