"""How many results are not delivered: counted in no more time if there are millions."""

from datetime import datetime
from math import isfinite, nan
from typing import NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.delivery import IS_UNDELIVERED, TABLE
from storage.base import LITERAL_1, Statement

MAX_COUNT = 1000  # of what is not delivered, in `/healthz`


class Undelivered(NamedTuple):
    """Counts of what is not delivered; None for what is not known."""

    pending: int | None = None
    failed: int | None = None
    unconfirmed: int | None = None
    oldest_seconds: int | None = None  # the age of the oldest that is pending

    @classmethod
    def find(cls, db: Session, now: datetime) -> Self:
        """How many are in each state; that takes no longer if many are."""
        ((pending, failed, unconfirmed, oldest),) = COUNT_UNDELIVERED.fetch_all(db)
        age = now.timestamp() - float(nan if oldest is None else oldest)
        oldest_seconds = max(int(age), 0) if isfinite(age) else None if pending else 0
        return cls(pending, failed, unconfirmed, oldest_seconds)

    def summary(self) -> dict[str, object]:
        """For `/healthz`: the counts go up to MAX_COUNT, and `more` names those that are higher."""
        names = ("pending", "failed", "unconfirmed")
        counts = {name: getattr(self, name) for name in names}
        more = [name for name, count in counts.items() if count and count > MAX_COUNT]
        counts |= dict.fromkeys(more, MAX_COUNT)
        return counts | {"more": more, "oldest_pending_seconds": self.oldest_seconds}


def _undelivered(column: sa.ColumnElement, state: str) -> sa.Select:
    """By the index, which has these in the order of their age."""
    rows = sa.select(column).select_from(TABLE)
    rows = rows.where(sa.text(IS_UNDELIVERED), sa.text(f"state = '{state}'"))
    return rows.order_by(TABLE.c.created_at)


def _count(state: str) -> sa.ScalarSelect:
    rows = _undelivered(LITERAL_1, state).limit(sa.literal_column(str(MAX_COUNT + 1)))
    return sa.select(sa.func.count()).select_from(rows.subquery()).scalar_subquery()


# How many are pending, have failed and are unconfirmed, up to one more than MAX_COUNT each, and
# the Unix time of the oldest pending one. It is computed there, for a time that cannot be read must
# not raise here.
COUNT_UNDELIVERED = Statement(
    sa.select(
        _count("pending"),
        _count("failed"),
        _count("unconfirmed"),
        _undelivered(sa.extract("epoch", TABLE.c.created_at), "pending")
        .limit(LITERAL_1)
        .scalar_subquery(),
    )
)
