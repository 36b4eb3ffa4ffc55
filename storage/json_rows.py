"""Many rows written by one statement of PostgreSQL, which has them as JSON.

With parameters for each row it would be another statement for each number of rows, and PostgreSQL
would plan each of them.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Insert, Table, Update


def write_together(
    statement: Insert | Update, rows: Sequence[dict[str, Any]]
) -> tuple[str, dict[str, str]]:
    """SQL and its parameters that do for all rows what `statement` does for one.

    They are as the driver would take them, all with the same names. An UPDATE has the id of its row
    as `this`.
    """
    table, keys = statement.table, tuple(rows[0])
    sql = _insert(table, keys) if isinstance(statement, Insert) else _update(table, keys)
    names = _names(table, keys)
    named = [dict(zip(names, row.values(), strict=True)) for row in rows]
    return sql, {"rows": msgspec.json.encode(named).decode()}


def _names(table: Table, keys: Sequence[str]) -> list[str]:
    return ["id" if key == "this" else table.c[key].name for key in keys]


@lru_cache
def _insert(table: Table, keys: tuple[str, ...]) -> str:
    columns = ", ".join(f'"{name}"' for name in _names(table, keys))
    return f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {_given(table)}"


@lru_cache
def _update(table: Table, keys: tuple[str, ...]) -> str:
    values = ", ".join(f'"{name}" = given."{name}"' for name in _names(table, keys) if name != "id")
    return f"UPDATE {table.name} SET {values} FROM {_given(table)} WHERE {table.name}.id = given.id"


def _given(table: Table) -> str:
    return f"json_populate_recordset(CAST(NULL AS {table.name}), %(rows)s) AS given"
