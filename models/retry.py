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

    Returns the `after` of the next slice: what is up to there needs no look any more. None if this
    was the last one. What was retried is not found again, so whoever was interrupted begins anew.
    """
    at_url = {"url": url, "now": now, "latest_lease": now + LEASE}
    found = [*WAITING.fetch_all(db, **at_url), *PAUSING.fetch_all(db, url=url)]
    if found:
        redeliver_certain(db, [id for (id,) in found[:PAGE_SIZE]], now)
        return after
    failed = [id for (id,) in FAILED.fetch_all(db, url=url, after=after)]
    redeliver_certain(db, failed, now)
    if len(failed) == PAGE_SIZE:
        return after
    ((last, is_full),) = SEEN.fetch_all(db, after=after)
    return last if is_full else None


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
# A look at some of those that have failed, whatever their URL is: no index leads to those of one.
FAILED_IDS = (
    sa.select(TABLE.c.id, TABLE.c.unconfirmed, sa.type_coerce(TABLE.c.url, NULLTYPE).label("url"))
    .where(sa.text(IS_UNDELIVERED), TABLE.c.state == sa.literal_column("'failed'"))
    .order_by(TABLE.c.id)
)


def _here(rows: sa.Subquery) -> sa.Select:
    certain = rows.c.unconfirmed == sa.literal_column("0")  # as all are that nobody has edited
    return sa.select(rows.c.id).where(rows.c.url == URL, certain)


FOLLOWING = FAILED_IDS.where(TABLE.c.id > sa.bindparam("after"))
FAILED = Statement(_first(_here(_first(FOLLOWING, SLICE).subquery()), PAGE_SIZE))
SEEN_IDS = _first(FOLLOWING.with_only_columns(TABLE.c.id), SLICE).subquery()
SEEN = Statement(
    sa.select(sa.func.max(SEEN_IDS.c.id), sa.func.count() == sa.literal_column(str(SLICE)))
)
FAILED_HERE = _here(_first(FAILED_IDS, SCANNED).subquery())
BOTH = sa.union_all(
    *(sa.select(_first(each, MAX_COUNT + 1).subquery().c.id) for each in (AWAITING, FAILED_HERE))
)
RETRIABLE = Statement(
    sa.select(sa.func.count()).select_from(_first(BOTH, MAX_COUNT + 1).subquery())
)
