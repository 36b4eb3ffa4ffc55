"""How columns of tables and their indexes are declared."""

from typing import Any

import sqlalchemy as sa


class PlainAttribute:
    """A column of a class, and of an entity an attribute like any other, in its `__dict__`.

    The ORM's own descriptor costs a call each time, and notes changes for a unit of work that is
    not used. This one has no `__set__`, so Python prefers what is in the `__dict__`.
    """

    def __init__(self, column: Any) -> None:
        self._column = column

    def __get__(self, entity: object, table: type) -> Any:
        return self._column.__get__(entity, table)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index of the rows that an SQL condition selects.

    Statements must repeat `where` as text, not with parameters: SQLite would compile them each time
    to find that out, and PostgreSQL would not use the index in a plan that it keeps.
    """
    condition = sa.text(where)
    options = {"sqlite_where": condition, "postgresql_where": condition}
    return sa.Index(name, *columns, unique=unique, **options)
