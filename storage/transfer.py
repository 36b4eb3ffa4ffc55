"""The way to several machines: every row of SQLite, copied into an empty PostgreSQL.

All of it is one transaction there, so that an attempt that ends early leaves PostgreSQL empty, and
the next one starts over.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Index,
    Row,
    Table,
    func,
    select,
    text,
    type_coerce,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import (
    AddConstraint,
    DropConstraint,
    ForeignKeyConstraint,
    UniqueConstraint,
)
from sqlalchemy.types import NULLTYPE

from storage.base import Base, Words

BATCH = 1_000  # rows that are held at a time
LOCK_SECONDS = 10  # the server may need some to see that an earlier attempt is dead
NEW_ONE = "Make a new one: createdb --encoding UTF8 --template template0 NAME."
MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'  # what storage.base.Moment is on SQLite

Values = tuple[str | int | None, ...]


class Tally:
    """How many rows a table has, and a checksum of all that they say, in the order of their ids."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = blake2b(digest_size=8)

    def add(self, rows: Iterable[Values]) -> None:
        for row in rows:
            self.rows += 1
            self._digest.update(msgspec.msgpack.encode(row))

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()

    def __str__(self) -> str:
        return f"count {self.rows} and checksum {self.checksum}"


class Transfer:
    """From a transaction on SQLite to one on PostgreSQL; nothing is kept until that commits."""

    def __init__(self, source: Connection, target: Connection) -> None:
        self._source, self._target = source, target
        # Those that a row refers to come before its own.
        self._tables = Base.metadata.sorted_tables
        self._names = ", ".join(table.name for table in self._tables)
        self.tallies = {table.name: Tally() for table in self._tables}

    def count(self) -> int:
        """How many rows there are to copy."""
        counts = [select(func.count()).select_from(table) for table in self._tables]
        return sum(map(self._source.scalar, counts))

    def copy(self) -> Iterator[int]:
        """Copy every row, and yield how many each step took; ValueError for an unfit target."""
        self._claim()
        self._drop_indexes()
        for table in self._tables:
            for rows in _read(self._source, table):
                self.tallies[table.name].add(rows)
                self._send(table, rows)
                yield len(rows)
        self._make_indexes()
        for table in self._tables:
            self._target.execute(text(SET_NEXT_ID.format(table=table.name)))
        self._target.execute(text(f"ANALYZE {self._names}"))  # its first plans would be guesses

    def compare(self) -> Iterator[int]:
        """Read every row back, and yield how many each step took; ValueError if one differs."""
        for table in self._tables:
            sent, kept = self.tallies[table.name], Tally()
            for rows in _read(self._target, table):
                kept.add(rows)
                yield len(rows)
            if str(sent) != str(kept):
                raise ValueError(
                    f"{table.name} has {sent} in SQLite, and {kept} in PostgreSQL. Nothing was"
                    " copied: look for what changes rows there, such as a trigger, and copy again."
                )

    def _claim(self) -> None:
        """Have the tables for ourselves, and without what earlier attempts left on the disk."""
        encoding = self._target.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise ValueError(f"The database to copy to holds {encoding}, not UTF8. {NEW_ONE}")
        self._target.execute(text(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"))
        self._target.execute(text(f"LOCK TABLE {self._names}"))
        if any(self._target.scalar(select(select(table).exists())) for table in self._tables):
            raise ValueError(f"The database to copy to is not empty. {NEW_ONE}")
        self._target.execute(text(f"TRUNCATE {self._names}"))

    def _drop_indexes(self) -> None:
        """Leave only the ids' own: millions of random sids are put in order faster all at once."""
        for constraint in reversed(self._constraints()):
            self._target.execute(DropConstraint(constraint, isolate_from_table=False))
        for index in self._indexes():
            index.drop(self._target)

    def _make_indexes(self) -> None:
        for index in self._indexes():
            index.create(self._target)
        for constraint in self._constraints():
            self._target.execute(AddConstraint(constraint, isolate_from_table=False))

    def _indexes(self) -> list[Index]:
        return [index for table in self._tables for index in table.indexes]

    def _constraints(self) -> list[UniqueConstraint | ForeignKeyConstraint]:
        """What refers to a unique column comes after that."""
        return [
            constraint
            for kind in (UniqueConstraint, ForeignKeyConstraint)
            for table in self._tables
            for constraint in table.constraints
            if isinstance(constraint, kind)
        ]

    def _send(self, table: Table, rows: Iterable[Values]) -> None:
        statement = (
            f"COPY {table.name} ({', '.join(column.name for column in table.columns)}) FROM STDIN"
        )
        error = self._target.dialect.loaded_dbapi.Error
        try:
            with self._target.connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except error as original:  # behind SQLAlchemy's back, which calls it by a name of its own
            raise DBAPIError.instance(statement, None, original, error, True) from None


# After the highest there is; where there is none, as it was.
SET_NEXT_ID = "SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"


def _read(connection: Connection, table: Table) -> Iterator[list[Values]]:
    """All rows in the order of their ids, in one form for both: numbers, texts and none.

    That is the form in which SQLite has them, with the texts as PostgreSQL can hold them.
    """
    columns = [_plain(column, connection.dialect.name) for column in table.columns]
    batches = connection.execute(
        select(*columns).order_by(table.c.id), execution_options={"yield_per": BATCH}
    ).partitions()
    for rows in batches:
        yield [_holdable(row) for row in rows]


def _plain(column: Column[Any], dialect: str) -> ColumnElement[Any]:
    """The column as the database has it, not as the models read it."""
    if dialect == "postgresql" and isinstance(column.type, DateTime):
        return func.to_char(func.timezone("UTC", column), MOMENT)
    return type_coerce(column, NULLTYPE)


def _holdable(row: Row) -> Values:
    return tuple([Words.held(value) if isinstance(value, str) else value for value in row])
