"""Ids of new rows that PostgreSQL gives in advance, so that nobody waits for those of each INSERT.

All that is written in a transaction can then be sent at once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from sqlalchemy import BigInteger, column, text
from sqlalchemy.orm import Session

from storage.base import Base, Statement
from storage.unreadable import IDS


def reserve_ids(db: Session, counts: Mapping[type[Base], int]) -> None:
    """Ask for the ids of so many new rows of each table; `Base.insert_all` takes them."""
    if IDS in db.info:
        db.info[IDS] = {
            table: _fetch_ids(_reserve_statement(table).send(db, count=count))
            for table, count in counts.items()
            if count
        }


def _fetch_ids(fetch: Callable[[], Iterable[list[int]]]) -> Iterator[int]:
    """They are fetched when the first is taken."""
    for (id,) in fetch():
        yield id


@lru_cache
def _reserve_statement(table: type[Base]) -> Statement:
    name = table.__tablename__
    sql = (
        f"SELECT nextval(name) FROM"
        f" (SELECT CAST(pg_get_serial_sequence('{name}', 'id') AS regclass) AS name) AS sequence,"
        " generate_series(1, :count)"
    )
    return Statement(text(sql).columns(column("nextval", BigInteger)))
