"""Retrying all that a receiver has not got, slice by slice: there may be hundreds of thousands."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.delivery import IS_PAUSING, IS_PENDING, IS_UNDELIVERED, LEASE, TABLE
from models.outbox import IS_RESTING, NOW, PAGE_SIZE, redeliver_certain
from storage.base import Statement

SLICE = 10 * PAGE_SIZE  # results of all receivers among which a slice finds those of this one
MAX_COUNT = 1000
SCANNED = 10 * MAX_COUNT  # failed results of all receivers that are counted through


def count_retriable(db: Session, url: str, now: datetime) -> int:
    """How many results of a URL `retry_slice` would retry, up to MAX_COUNT + 1."""
    values = {"url": url, "now": now, "latest_lease": now + LEASE}
    return RETRIABLE.fetch_all(db, **values)[0][0]


def retry_slice(db: Session, url: str, now: datetime, after: int = 0) -> int | None:
    """Retry PAGE_SIZE results of a URL at most, as `redeliver_certain` does.

    Returns the `after` of the next slice, or None if this was the last one. What was retried is
    not found again, so whoever was interrupted begins anew.
    """
    at_url = {"url": url, "now": now, "latest_lease": now + LEASE}
    found = [*WAITING.fetch_all(db, **at_url), *PAUSING.fetch_all(db, url=url)]
    if found:
        redeliver_certain(db, [id for (id,) in found[:PAGE_SIZE]], now)
        return after
    page = FAILED.fetch_all(db, after=after)
    failed = [id for id, each in page if each == url][:PAGE_SIZE]
    redeliver_certain(db, failed, now)
    if len(failed) == PAGE_SIZE:
        return failed[-1]
    return page[-1][0] if len(page) == SLICE else None


def _first(statement: sa.Select | sa.CompoundSelect, count: int) -> sa.Select:
    return statement.limit(sa.literal_column(str(count)))


# Built once: building a statement costs as much as running it.
URL = sa.bindparam("url", type_=TABLE.c.url.type)
HERE = TABLE.c.url == URL
AWAITING = sa.select(TABLE.c.id).where(
    sa.text(IS_PENDING),
    HERE,
    TABLE.c.next_attempt_at > NOW,
    TABLE.c.unconfirmed == sa.literal_column("0"),
    IS_RESTING,
)
WAITING = Statement(_first(AWAITING, PAGE_SIZE))
PAUSING = Statement(_first(sa.select(TABLE.c.id).where(sa.text(IS_PAUSING), HERE), PAGE_SIZE))
FAILED_IDS = (
    sa.select(TABLE.c.id, sa.type_coerce(TABLE.c.url, NULLTYPE).label("url"))
    .where(sa.text(IS_UNDELIVERED), TABLE.c.state == sa.literal_column("'failed'"))
    .order_by(TABLE.c.id)
)
FAILED = Statement(_first(FAILED_IDS.where(TABLE.c.id > sa.bindparam("after")), SLICE))
SOME_FAILED = _first(FAILED_IDS, SCANNED).subquery()
FAILED_HERE = sa.select(SOME_FAILED.c.id).where(SOME_FAILED.c.url == URL)
BOTH = sa.union_all(
    *(sa.select(_first(each, MAX_COUNT + 1).subquery().c.id) for each in (AWAITING, FAILED_HERE))
)
RETRIABLE = Statement(
    sa.select(sa.func.count()).select_from(_first(BOTH, MAX_COUNT + 1).subquery())
)
