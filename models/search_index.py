"""The index of the words of texts, which the search of the console looks into.

Texts are added after their turns, in the order of their ids: so the last id in the index is that
up to which it is true.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.message import Message
from storage.base import LITERAL_1, Statement

SLICE = 100_000  # ids with one mark in the index, which PostgreSQL's `search_words` gives, too
# On PostgreSQL a row may appear after one with a higher id. Transactions take 12 seconds at most.
SETTLED_SECONDS = 60


class Progress(NamedTuple):
    """How far the index is: ids of messages, 0 where there are none."""

    reached: int
    newest: int  # up to which it can be made now
    has_erased: bool  # whether it has words of texts that were deleted or changed

    @property
    def is_complete(self) -> bool:
        """Whether there is nothing to do now."""
        return self.reached >= self.newest and not self.has_erased


def find_reached(db: Session) -> int:
    """The id of the last message in the index; 0 while it is empty."""
    return next((id for (id,) in REACHED[_dialect(db)].fetch_all(db)), 0)


def find_progress(db: Session, now: datetime) -> Progress:
    """How far the index is."""
    reached, on_sqlite = find_reached(db), _dialect(db) == "sqlite"
    if on_sqlite:
        newest = NEWEST.fetch_all(db, after=reached)
    else:
        newest = SETTLED.fetch_all(db, time=now - timedelta(seconds=SETTLED_SECONDS))
    has_erased = on_sqlite and bool(ANY_ERASED.fetch_all(db))
    return Progress(reached, newest[0][0] if newest else 0, has_erased)


def count_texts(db: Session) -> int:
    """How many texts are in the index. It counts them."""
    ((count,),) = COUNT[_dialect(db)].fetch_all(db)
    return count


def add_texts(db: Session, now: datetime, limit: int) -> None:
    """Add the next texts to the index, and erase what is no more."""
    dialect = _dialect(db)
    if dialect == "postgresql" and TRY_LOCK.fetch_all(db) == [[False]]:
        return  # another process adds some just now
    reached, newest, has_erased = find_progress(db, now)
    if has_erased:
        for statement in ERASE:
            statement.execute(db, limit=limit)
    ADD[dialect].execute(db, after=reached, newest=newest, limit=limit)


def clear(db: Session) -> None:
    """Take all texts out of the index."""
    for statement in CLEAR[_dialect(db)]:
        statement.execute(db)


def _dialect(db: Session) -> str:
    return db.get_bind().dialect.name


def _statement(sql: str, *columns: sa.ColumnClause) -> Statement:
    return Statement(sa.text(sql).columns(*columns) if columns else sa.text(sql))


# Built once: building a statement costs as much as running it.
TABLE, ID = Message.__table__, sa.column("id", sa.BigInteger())
# FTS5's own table of the texts that it has, and PostgreSQL's.
INDEXED = {"sqlite": "message_search_docsize", "postgresql": "message_search"}
REACHED = {
    dialect: _statement(f"SELECT id FROM {table} WHERE id > 0 ORDER BY id DESC LIMIT 1", ID)
    for dialect, table in INDEXED.items()
}
COUNT = {
    dialect: _statement(f"SELECT count(*) AS id FROM {table}", ID)
    for dialect, table in INDEXED.items()
}
NEWEST = Statement(
    sa.select(TABLE.c.id)
    .where(TABLE.c.id > sa.bindparam("after"))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
SETTLED = Statement(
    sa.select(TABLE.c.id)
    .where(TABLE.c.created_at <= sa.bindparam("time"))
    .order_by(TABLE.c.created_at.desc())
    .limit(LITERAL_1)
)
NEXT = "FROM messages WHERE id > :after AND id <= :newest ORDER BY id LIMIT :limit"
ADD = {
    "sqlite": _statement(
        f"INSERT INTO message_search (rowid, body, slice) SELECT id, body, id / {SLICE} {NEXT}"
    ),
    "postgresql": _statement(
        f"INSERT INTO message_search (id, words) SELECT id, search_words(id, body) {NEXT}"
        " ON CONFLICT (id) DO NOTHING"
    ),
}
CLEAR = {
    "sqlite": [
        _statement("INSERT INTO message_search (message_search) VALUES ('delete-all')"),
        _statement("DELETE FROM erased_words"),
        # The index may be of a SQLite that could not erase words yet.
        _statement(
            "INSERT INTO message_search (message_search, rank) SELECT 'secure-delete', 1"
            " WHERE sqlite_version() >= '3.42'"
        ),
    ],
    "postgresql": [_statement("TRUNCATE message_search")],
}
ANY_ERASED = _statement("SELECT id FROM erased_words LIMIT 1", ID)
# Of a text that was changed several times, the index has what was kept of it first.
THESE = "SELECT DISTINCT message_id FROM erased_words ORDER BY message_id LIMIT :limit"
ERASE = [
    _statement(
        "INSERT INTO message_search (message_search, rowid, body, slice)"
        f" SELECT 'delete', message_id, body, message_id / {SLICE}"
        " FROM (SELECT message_id, body, min(id) FROM erased_words GROUP BY message_id"
        " ORDER BY message_id LIMIT :limit)"
    ),
    _statement(
        "INSERT INTO message_search (rowid, body, slice)"
        f" SELECT id, body, id / {SLICE} FROM messages WHERE id IN ({THESE})"
    ),
    _statement(f"DELETE FROM erased_words WHERE message_id IN ({THESE})"),
]
TRY_LOCK = _statement(
    "SELECT pg_try_advisory_xact_lock(7367) AS is_ours", sa.column("is_ours", sa.Boolean())
)
