"""From one machine to several: copies every row of SQLite into an empty PostgreSQL.

The whole copy is one transaction there. An attempt that ends early leaves PostgreSQL empty, and the
next one starts over.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.schema import AddConstraint, DropConstraint
from sqlalchemy.types import NULLTYPE

from storage.base import Base, RowReader
from storage.cells import Column, decode_or_keep
from storage.column_types import NulSafeText, read_time, to_iso
from storage.driver_errors import raise_as_sqlalchemy
from storage.orphans import Orphans
from storage.unreadable import UnreadableRow

BATCH_ROWS = 1_000  # rows in memory at a time
MAX_NAMED = 50  # rows that cannot be read, until a copy gives up
LOCK_TIMEOUT_SECONDS = 10  # the server may take some to notice that an earlier attempt is dead
HOW_TO_CREATE = "Make a new one: createdb --encoding UTF8 --template template0 NAME."
UTC_FORMAT = 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'  # as storage.base.UtcDateTime stores it

Values = Sequence[str | int | None]


class TableChecksum:
    """The number of rows of a table, and a checksum of their values in the order of their ids."""

    def __init__(self) -> None:
        self.rows = 0
        self._digest = blake2b(digest_size=8)

    def add(self, rows: Iterable[Values]) -> None:
        """Count these rows, which must come in the order of their ids."""
        for row in rows:
            self.rows += 1
            self._digest.update(msgspec.msgpack.encode(row))

    @property
    def checksum(self) -> str:
        """16 hex digits."""
        return self._digest.hexdigest()

    def __str__(self) -> str:
        return f"count {self.rows} and checksum {self.checksum}"


class SqliteToPostgres:
    """A copy from a transaction on SQLite into one on PostgreSQL, which the caller commits."""

    def __init__(self, source: sa.Connection, target: sa.Connection) -> None:
        self._source, self._target = source, target
        # A table comes after those that it refers to.
        self._tables = Base.metadata.sorted_tables
        self._names = ", ".join(table.name for table in self._tables)
        self.checksums = {table.name: TableChecksum() for table in self._tables}
        self.orphans = Orphans(source)

    def count(self) -> int:
        """The number of rows to copy."""
        counts = [sa.select(sa.func.count()).select_from(table) for table in self._tables]
        return sum(map(self._source.scalar, counts))

    def copy(self) -> Iterator[int]:
        """Copy every row, and yield the number of each batch.

        ValueError for an unfit target, and for rows that cannot be read: it names up to MAX_NAMED.
        """
        self._lock_empty_tables()
        self._drop_indexes()
        unreadable: list[UnreadableRow] = []
        for table in self._tables:
            for rows in self._read_source(table, unreadable):
                self.checksums[table.name].add(rows)
                self._send(table, rows)
                yield len(rows)
                if len(unreadable) >= MAX_NAMED:
                    break
        if unreadable:
            named = "; ".join(map(str, unreadable))
            raise ValueError(
                f"{named}. Nothing was copied: correct or delete that, and copy again."
            )
        self._make_indexes()
        used = dict(self._source.execute(sa.text(USED_IDS)).all())
        for table in self._tables:
            last = {"last": used.get(table.name) or None}
            self._target.execute(sa.text(SET_NEXT_ID.format(table=table.name)), last)
        # Without it, PostgreSQL's first plans would be guesses.
        self._target.execute(sa.text(f"ANALYZE {self._names}"))

    def compare(self) -> Iterator[int]:
        """Read every row back, and yield the number of each batch; ValueError if one differs."""
        for table in self._tables:
            sent, stored = self.checksums[table.name], TableChecksum()
            for rows in _read(self._target, table):
                stored.add(rows)
                yield len(rows)
            if str(sent) != str(stored):
                raise ValueError(
                    f"{table.name} has {sent} in SQLite, and {stored} in PostgreSQL. Nothing was"
                    " copied: look for what changes rows there, such as a trigger, and copy again."
                )

    def _read_source(
        self, table: sa.Table, unreadable: list[UnreadableRow]
    ) -> Iterator[list[Values]]:
        """As `_read`, with times in one form, and without rows that cannot be read."""
        # Else one text that is not UTF-8 would hide all other rows.
        self._source.connection.driver_connection.text_factory = decode_or_keep
        reader = _row_reader(table, self._source.dialect)
        for rows in _read(self._source, table):
            readable = []
            for row in rows:
                try:
                    readable.append(reader.read(row))
                except UnreadableRow as error:
                    unreadable.append(error)
            yield readable

    def _lock_empty_tables(self) -> None:
        """Lock the tables, and free what earlier attempts left on the disk."""
        encoding = self._target.scalar(sa.text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise ValueError(f"The database to copy to holds {encoding}, not UTF8. {HOW_TO_CREATE}")
        self._target.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
        self._target.execute(sa.text(f"LOCK TABLE {self._names}"))
        if any(self._target.scalar(sa.select(sa.select(table).exists())) for table in self._tables):
            raise ValueError(f"The database to copy to is not empty. {HOW_TO_CREATE}")
        self._target.execute(sa.text(f"TRUNCATE {self._names}"))

    def _drop_indexes(self) -> None:
        """Keep only the primary keys: sorting millions of random sids is faster all at once."""
        for constraint in reversed(self._constraints()):
            self._target.execute(DropConstraint(constraint, isolate_from_table=False))
        for index in self._indexes():
            index.drop(self._target)

    def _make_indexes(self) -> None:
        for index in self._indexes():
            index.create(self._target)
        for constraint in self._constraints():
            add = AddConstraint(constraint, isolate_from_table=False)
            self._target.execute(self._without_check(add) if self._has_orphans(constraint) else add)

    def _has_orphans(self, constraint: sa.Constraint) -> bool:
        """Whether rows refer to missing rows; those can be copied, but not be checked."""
        if not isinstance(constraint, sa.ForeignKeyConstraint):
            return False
        return (constraint.table.name, constraint.referred_table.name) in self.orphans.count()

    def _without_check(self, add: AddConstraint) -> sa.TextClause:
        """The constraint for new rows only."""
        return sa.text(f"{add.compile(self._target)} NOT VALID")

    def _indexes(self) -> list[sa.Index]:
        return [index for table in self._tables for index in table.indexes]

    def _constraints(self) -> list[sa.UniqueConstraint | sa.ForeignKeyConstraint]:
        """Unique constraints before the foreign keys that refer to their columns."""
        return [
            constraint
            for constraint_class in (sa.UniqueConstraint, sa.ForeignKeyConstraint)
            for table in self._tables
            for constraint in table.constraints
            if isinstance(constraint, constraint_class)
        ]

    def _send(self, table: sa.Table, rows: Iterable[Values]) -> None:
        names = ", ".join(column.name for column in table.columns)
        statement = f"COPY {table.name} ({names}) FROM STDIN"
        try:
            with self._target.connection.cursor() as cursor, cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
        except self._target.dialect.loaded_dbapi.Error as error:
            raise_as_sqlalchemy(error, self._target, None, statement)


def _row_reader(table: sa.Table, dialect: sa.Dialect) -> RowReader:
    """Reads rows of SQLite as they are stored there, with times as smsconvo writes them."""
    columns = [Column(column, table.columns, dialect) for column in table.columns]
    return RowReader(columns, [rewrite_time if each.is_no == "time" else None for each in columns])


def rewrite_time(value: str | None) -> str | None:
    """A time in the form of `to_iso`, whatever form somebody gave it."""
    time = read_time(value)
    return time and to_iso(time)


# Those that rows have had, also deleted ones, to which others may refer.
USED_IDS = "SELECT name, seq FROM sqlite_sequence"
# The one after the highest id that was used; where none was, the table keeps its own.
SET_NEXT_ID = """
SELECT setval(pg_get_serial_sequence('{table}', 'id'), greatest(max(id), CAST(:last AS bigint)))
FROM {table}
"""


def _read(connection: sa.Connection, table: sa.Table) -> Iterator[list[Values]]:
    """All rows in the order of their ids, in the same form from both databases.

    That is the form in which SQLite stores them, with texts as PostgreSQL can store them.
    """
    columns = [_raw_column(column, connection.dialect.name) for column in table.columns]
    batches = connection.execute(
        sa.select(*columns).order_by(table.c.id), execution_options={"yield_per": BATCH_ROWS}
    ).partitions()
    for rows in batches:
        yield [encode_row(row) for row in rows]


def _raw_column(column: sa.Column[Any], dialect: str) -> sa.ColumnElement[Any]:
    """The column as the database stores it, not as the models read it."""
    if dialect == "postgresql" and isinstance(column.type, sa.DateTime):
        return sa.func.to_char(sa.func.timezone("UTC", column), UTC_FORMAT)
    return sa.type_coerce(column, NULLTYPE)


def encode_row(row: sa.Row) -> Values:
    """The values of a row, with texts as PostgreSQL can store them."""
    return tuple([NulSafeText.encode(value) if isinstance(value, str) else value for value in row])
