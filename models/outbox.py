"""What operators see and change of the outbox, page by page: it may hold millions."""

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.delivery import IS_410, IS_UNDELIVERED, LEASE, TABLE, Delivery
from storage.base import Statement

PAGE_SIZE = 250  # texts wait for some milliseconds while so many are written


def count_undelivered(db: Session) -> int:
    """How many are pending or failed, by reading the index of all of them."""
    return COUNT.fetch_all(db)[0][0]


def find_ids(db: Session, state: str, after: int) -> list[int]:
    """The next PAGE_SIZE ids above `after` of those that are `pending` or `failed`, in order."""
    return [id for (id,) in IDS.fetch_all(db, state=state, after=after)]


def find(db: Session, state: str, after: int, last: int) -> list[Delivery]:
    """Those that are `pending` or `failed` with ids above `after` and up to `last`, in order."""
    return Delivery.all(db, DELIVERIES, state=state, after=after, last=last)


def find_paused_urls(db: Session) -> set[str]:
    """The URLs that get nothing until the operator retries, because they answered 410."""
    return {url for (url,) in PAUSED_URLS.fetch_all(db)}


def find_410_ids(db: Session, ids: Collection[int]) -> list[int]:
    """Those whose 410 keeps the undelivered of these from their URLs, in order."""
    urls = sa.select(TABLE.c.url).where(sa.text(IS_UNDELIVERED), TABLE.c.id.in_(ids))
    found = sa.select(TABLE.c.id).where(sa.text(IS_410), TABLE.c.url.in_(urls))
    return list(db.scalars(found.order_by(TABLE.c.id)))


def redeliver(db: Session, ids: Collection[int], now: datetime) -> list[int]:
    """Try the undelivered of these again now, or when the attempt in flight is over; return which.

    Failed ones start from the first attempt.
    """
    values = {"now": now, "latest_lease": now + LEASE}
    return list(db.scalars(REDELIVER.where(TABLE.c.id.in_(ids)), values))


# Built once: building a statement costs as much as running it.
COUNT = Statement(sa.select(sa.func.count()).select_from(TABLE).where(sa.text(IS_UNDELIVERED)))
BEHIND = (
    sa.text(IS_UNDELIVERED),
    TABLE.c.state == sa.bindparam("state"),
    TABLE.c.id > sa.bindparam("after"),
)
IDS = Statement(
    sa.select(TABLE.c.id)
    .where(*BEHIND)
    .order_by(TABLE.c.id)
    .limit(sa.literal_column(str(PAGE_SIZE)))
)
DELIVERIES = Statement(
    sa.select(TABLE).where(*BEHIND, TABLE.c.id <= sa.bindparam("last")).order_by(TABLE.c.id)
)
RAW_URL = sa.type_coerce(TABLE.c.url, NULLTYPE)  # one that cannot be read must not hide the others
PAUSED_URLS = Statement(sa.select(RAW_URL).where(sa.text(IS_410)).distinct())
IS_FAILED = TABLE.c.state == "failed"
NOW = sa.bindparam("now")
# A lease that is longer than any is from a clock that was wrong.
IS_LEASED = TABLE.c.leased_until.between(NOW, sa.bindparam("latest_lease"))
REDELIVER = (
    sa.update(TABLE)
    .where(sa.text(IS_UNDELIVERED))
    .values(
        state="pending",
        attempts=sa.case((IS_FAILED, 0), else_=TABLE.c.attempts),
        crashed_claims=sa.case((IS_FAILED, 0), else_=TABLE.c.crashed_claims),
        next_attempt_at=sa.case((~IS_FAILED & IS_LEASED, TABLE.c.leased_until), else_=NOW),
        leased_until=sa.case((~IS_FAILED, TABLE.c.leased_until)),
    )
    .returning(TABLE.c.id)
)
