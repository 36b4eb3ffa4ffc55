"""Rows that refer to rows that are gone. The shell of SQLite lets operators erase those."""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

TABLES = text("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
FIND = 'INSERT INTO temp.{name} SELECT "table", rowid, parent FROM pragma_foreign_key_check(:table)'
COUNT = text(
    "SELECT child, parent, count(row) FROM temp.orphans_before GROUP BY 1, 2 ORDER BY 1, 2"
)
NEW = text(
    "SELECT DISTINCT child FROM"
    " (SELECT * FROM temp.orphans_after EXCEPT SELECT * FROM temp.orphans_before) ORDER BY 1"
)


class Orphans:
    """Those of a SQLite database when this was made, to be compared with those of later.

    They are kept in a temporary table, since there can be millions.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._find("orphans_before")

    def count(self) -> dict[tuple[str, str], int]:
        """How many rows of a table refer to missing rows of another, by the names of both.

        Where no reference can lead anywhere, they are 0, and the second name is what SQLite says.
        """
        rows = self._connection.execute(COUNT)
        return {(child, parent): count for child, parent, count in rows}

    def __str__(self) -> str:
        """A list for the operator; empty where there are none."""
        found = self.count().items()
        return ", ".join(
            f"{count or 'all'} of {child} ({parent})" for (child, parent), count in found
        )

    def find_new(self) -> list[str]:
        """The tables with orphans that were none when this was made."""
        self._find("orphans_after")
        return list(self._connection.scalars(NEW))

    def _find(self, name: str) -> None:
        self._connection.execute(text(f"CREATE TEMP TABLE {name} (child, row, parent)"))
        for table in self._connection.scalars(TABLES).all():
            try:
                self._connection.execute(text(FIND.format(name=name)), {"table": table})
            except DBAPIError as error:  # a foreign key to what is no key, say
                insert = text(f"INSERT INTO temp.{name} VALUES (:table, NULL, :why)")
                self._connection.execute(insert, {"table": table, "why": str(error.orig)})
