"""The operator's objects in SQLite: views, triggers, and indexes and columns of our tables.

A migration can rebuild a table. That drops its triggers, is impossible while a view reads from it,
and keeps only those parts of indexes and columns that SQLAlchemy knows.
"""

import re
import warnings
from collections.abc import Callable, Collection, Iterator
from itertools import count

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from storage.operator_objects import OperatorObject, OperatorObjects
from storage.versions import MigrationFailed

SCHEMA = text(
    "SELECT type, name, tbl_name, sql FROM sqlite_master"
    " WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)
# hidden: it is generated; 1 is what only a virtual table has, and no column to keep.
COLUMNS = text("SELECT name, hidden FROM pragma_table_xinfo(:table) WHERE hidden <> 1")
# A comment; or a name or string in quotes, what divides the columns of a CREATE TABLE, or the rest.
TOKEN = re.compile(
    r"(--[^\n]*|/\*.*?\*/)|('[^']*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|[(),]|[^-/'\"`\[(),]+|.)",
    re.DOTALL,
)
UPDATE_OF = re.compile(r"\bUPDATE\s+OF\s+(.+?)\s+ON\b", re.IGNORECASE | re.DOTALL)
NAMED = re.compile(r"(\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]]*\]|[^\s\"`\[]+)(.*)", re.DOTALL)


class SQLiteObjects(OperatorObjects):
    """Views and triggers of the operator's own tables are among them: they may refer to ours."""

    def __init__(self, connection: Connection, made: Collection[str]) -> None:
        super().__init__(connection, made)
        added = [thing for thing in self._schema() if thing.name not in made]
        self.tables = [thing for thing in added if thing.type == "table"]  # no migration harms them
        self._views = [thing for thing in added if thing.type == "view"]
        self._triggers = [thing for thing in added if thing.type == "trigger"]
        self._indexes = [each for each in added if each.type == "index" and each.table in made]
        self._columns = list(self._find_columns())
        self.found = [*self._columns, *self._indexes, *self._views, *self._triggers]
        self._aside: dict[str, list[str]] = {}  # the columns of a table whose values are put aside
        self._is_cleared = False
        self._numbers = count()
        used = [*self._views, *self._triggers]
        self._errors_before = {thing: self._errors(thing) for thing in used}

    def preserve(self, migrate: Callable[[], None]) -> None:
        with warnings.catch_warnings():  # of what a rebuilt table loses: it is put back
            warnings.filterwarnings("ignore", "Skipped unsupported reflection|Unnamed CHECK")
            super().preserve(migrate)

    def suspend(self) -> None:
        for thing in (*self._triggers, *self._views):
            self.run(f"DROP {thing.type} {quote(thing.name)}")

    @property
    def can_clear(self) -> bool:
        return bool(self._columns or self._indexes)

    def check(self) -> None:
        tables, left = {thing.name for thing in self._schema()}, set(self._find_columns())
        for column in self._columns:
            if column.table in tables and column not in left:
                raise MigrationFailed(f"Your own {column} would not stay as it is.")

    def clear(self) -> None:
        """Take indexes and columns away: what is rebuilt then is as our migrations made it."""
        self._is_cleared = True
        for index in self._indexes:
            self.run(f"DROP INDEX {quote(index.name)}")
        for table in dict.fromkeys(column.table for column in self._columns):
            self._put_aside(table)
        for column in reversed(self._columns):
            name = column.name.partition(".")[2]
            self.run(f"ALTER TABLE {quote(column.table)} DROP COLUMN {quote(name)}", column)

    def restore(self) -> None:
        if self._is_cleared:
            for column in self._columns:
                self.run(column.sql, column)
            self._fetch_back()
        self._restore_indexes()
        for view in self._views:
            self.run(view.sql, view)
        for view in self._views:
            self._check_fit(view)
        for trigger in self._triggers:
            self.run(trigger.sql, trigger)
            self._check_fit(trigger)

    def _restore_indexes(self) -> None:
        left = set(self._schema())
        for index in self._indexes:
            if index not in left:
                if not self._is_cleared:  # it may have been rebuilt, without what is not known
                    self.run(f"DROP INDEX IF EXISTS {quote(index.name)}")
                self.run(index.sql, index)

    def _schema(self) -> Iterator[OperatorObject]:
        return (OperatorObject(*row) for row in self.connection.execute(SCHEMA).all())

    def _find_columns(self) -> Iterator[OperatorObject]:
        """The columns of our tables that are not ours, with the SQL that adds them."""
        for table in self._schema():
            if table.type == "table" and table.name in self.made:
                definitions = column_definitions(table.sql)
                for name, _ in self._added_columns(table.name):
                    sql = f"ALTER TABLE {quote(table.name)} ADD COLUMN {definitions[name]}"
                    yield OperatorObject("column", f"{table.name}.{name}", table.name, sql)

    def _added_columns(self, table: str) -> list[tuple[str, int]]:
        """The names of the operator's columns in a table of ours, and whether each is generated."""
        columns = self.connection.execute(COLUMNS, {"table": table}).all()
        return [(name, kind) for name, kind in columns if f"{table}.{name}" not in self.made]

    def _put_aside(self, table: str) -> None:
        """Keep the values of the operator's columns in a temporary table."""
        added = self._added_columns(table)
        names = [quote(name) for name, is_generated in added if not is_generated]
        self._aside[table] = names
        columns = ", ".join(["id INTEGER PRIMARY KEY", *names])
        self.run(f"CREATE TEMP TABLE {aside(table)} ({columns})")
        values = ", ".join(["id", *names])
        self.run(f"INSERT INTO {aside(table)} SELECT {values} FROM main.{quote(table)}")

    def _fetch_back(self) -> None:
        for table, names in self._aside.items():
            values = ", ".join(f"{name} = aside.{name}" for name in names)
            update = f"UPDATE main.{quote(table)} AS kept SET {values}"
            if values:
                self.run(f"{update} FROM {aside(table)} AS aside WHERE aside.id = kept.id")

    def _check_fit(self, thing: OperatorObject) -> None:
        for error in self._errors(thing) - self._errors_before[thing]:
            self.reject(thing, error)

    def _errors(self, thing: OperatorObject) -> set[str]:
        """What SQLite has against a view, or against statements that fire a trigger."""
        errors = set()
        for statement in self._statements(thing):
            try:
                # The driver would not compile the same text again, although the tables changed.
                self.run(f"EXPLAIN {statement} -- {next(self._numbers)}")
            except DBAPIError as error:
                errors.add(str(error.orig))
        return errors

    def _statements(self, thing: OperatorObject) -> Iterator[str]:
        table = quote(thing.table)
        if thing.type == "view":
            yield f"SELECT * FROM {table}"
            return
        if of := UPDATE_OF.search(thing.sql):  # names that are no columns are no error there
            yield f"SELECT {', '.join(f'{table}.{name}' for name in of[1].split(','))} FROM {table}"
        yield f"INSERT INTO {table} DEFAULT VALUES"
        yield f"DELETE FROM {table}"
        columns = self.connection.execute(COLUMNS, {"table": thing.table}).all()
        names = [quote(name) for name, is_generated in columns if not is_generated]
        yield f"UPDATE {table} SET {', '.join(f'{name} = {name}' for name in names)}"


def quote(name: str) -> str:
    """A name as SQL has it."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def aside(table: str) -> str:
    """The temporary table for what is put aside of a table."""
    return f"temp.{quote(f'aside_{table}')}"


def column_definitions(sql: str) -> dict[str, str]:
    """The columns in a CREATE TABLE by name, each as it is written there, without comments."""
    parts, depth = [""], 0
    for comment, token in TOKEN.findall(sql.partition("(")[2]):
        depth += (token == "(") - (token == ")")
        if depth < 0:
            break
        if (token, depth) == (",", 0):
            parts.append("")
        else:
            parts[-1] += " " if comment else token
    named = (NAMED.match(part.strip()) for part in parts)
    return {unquote(part[1]): part[0] for part in named if part}


def unquote(name: str) -> str:
    """A name as the schema has it."""
    mark = name[0]
    if mark not in '"`[':
        return name
    return name[1:-1] if mark == "[" else name[1:-1].replace(mark * 2, mark)
