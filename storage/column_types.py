"""What columns hold: times on SQLite, and any text on PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa


class UtcDateTime(sa.TypeDecorator[datetime]):
    """A UTC datetime on SQLite: ISO 8601 text of one width, so text order is time order.

    Whoever edits a row by hand may write another form of ISO 8601; without a zone it is UTC.
    """

    impl = sa.Text
    cache_ok = True
    is_no = "time"  # what a cell is not that cannot be read

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[Any], Any]:
        return write_time

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        return read_time


@lru_cache  # a turn writes the same time into several columns
def to_iso(utc: datetime) -> str:
    """A time in UTC as it is stored on SQLite."""
    return utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


def write_time(value: datetime | None) -> str | None:
    """A time as SQLite holds it."""
    return value and to_iso(value if value.tzinfo is UTC else value.astimezone(UTC))


def read_time(value: str | None) -> datetime | None:
    """A time as SQLite holds it; ValueError or TypeError for what is none."""
    if value is None:
        return None
    time = datetime.fromisoformat(value)
    if time.tzinfo is UTC:  # as in all that smsconvo writes
        return time
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


class NulSafeText(sa.TypeDecorator[str]):
    """Text on PostgreSQL, which cannot store U+0000: U+FFFE is stored instead."""

    impl = sa.Text
    cache_ok = True

    @staticmethod
    def encode(value: str) -> str:
        """The text as PostgreSQL can store it."""
        return value.replace("\0", "\ufffe")

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value and self.encode(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return value and value.replace("\ufffe", "\0")
