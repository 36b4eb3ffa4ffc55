"""What all tables have in common: the column types, and how a row is read and written."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    ColumnDefault,
    DateTime,
    Dialect,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    bindparam,
    insert,
    update,
)
from sqlalchemy.orm import DeclarativeBase, Session

from storage.statement import Statement


class UtcDateTime(TypeDecorator[datetime]):
    """A UTC datetime on SQLite: ISO 8601 text of one width, whose order is that of time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return value and value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return value and datetime.fromisoformat(value)


class NulSafeText(TypeDecorator[str]):
    """Text on PostgreSQL, which has no U+0000 in it: U+FFFE is held for that."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value and self.encode(value)

    @staticmethod
    def encode(value: str) -> str:
        """The text as PostgreSQL can hold it."""
        return value.replace("\0", "\ufffe")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return value and value.replace("\ufffe", "\0")


class Base(DeclarativeBase):
    """Every table, with named constraints: SQLite cannot drop what has no name.

    Nothing here uses the ORM's unit of work, which takes some times as long as its statements to
    find out what depends on what: an entity belongs to no session, and is written when `insert` or
    `update` is called, not later.
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: DateTime(timezone=True).with_variant(UtcDateTime(), "sqlite"),
        str: Text().with_variant(NulSafeText(), "postgresql"),
        int: BigInteger().with_variant(Integer, "sqlite"),
    }

    @classmethod
    def from_row(cls, values: Iterable[Any]) -> Self:
        """The entity with these values of its columns, in their order."""
        entity = cls()
        entity.stored = dict(zip(cls.__table__.columns.keys(), values, strict=True))
        # Where the ORM has them, too; its own setters take as long as to read the row.
        entity.__dict__.update(entity.stored)
        return entity

    @classmethod
    def first(cls, db: Session, statement: Statement, **values: Any) -> Self | None:
        """The entity that a statement about its whole table finds first, if any."""
        rows = statement.fetch_all(db, **values)
        return cls.from_row(rows[0]) if rows else None

    @classmethod
    def all(cls, db: Session, statement: Statement, **values: Any) -> list[Self]:
        return [cls.from_row(row) for row in statement.fetch_all(db, **values)]

    def insert(self, db: Session) -> None:
        """Write a new row, with the defaults of its columns, and take its id."""
        for name, default in _defaults(type(self)).items():
            if getattr(self, name) is None:
                setattr(self, name, default.arg(None) if default.is_callable else default.arg)
        values = {name: value for name, value in self._values().items() if value is not None}
        self.id = _inserting(type(self), frozenset(values)).insert(db, **values)
        self.stored = self._values()

    def update(self, db: Session) -> None:
        """Write what differs from the row as it was read or written last."""
        values = self._values()
        changed = {name: value for name, value in values.items() if value != self.stored[name]}
        if changed:
            statement = _updating(type(self), frozenset(changed))
            statement.execute(db, **changed, this=self.id)
            self.stored = values

    def save(self, db: Session) -> None:
        """Insert what is new, update what is not."""
        if self.id is None:
            self.insert(db)
        else:
            self.update(db)

    def _values(self) -> dict[str, Any]:
        return {name: self.__dict__.get(name) for name in self.__table__.columns.keys()}


@lru_cache
def _defaults(entity: type[Base]) -> dict[str, ColumnDefault]:
    return {column.key: column.default for column in entity.__table__.columns if column.default}


@lru_cache
def _inserting(entity: type[Base], names: frozenset[str]) -> Statement:
    return Statement(insert(entity.__table__).values({name: bindparam(name) for name in names}))


@lru_cache
def _updating(entity: type[Base], names: frozenset[str]) -> Statement:
    table = entity.__table__
    values = {name: bindparam(name) for name in names}
    return Statement(update(table).where(table.c.id == bindparam("this")).values(values))


def split_row(row: Sequence[Any], *kinds: type[Base]) -> list[Any]:
    """One of each kind, from a row that holds their columns one after the other."""
    values = iter(row)
    return [kind.from_row(islice(values, len(kind.__table__.columns))) for kind in kinds]
