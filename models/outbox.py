"""What operators see and change of the outbox, page by page: it may hold millions."""

import json
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.conversation import Conversation
from models.delivery import (
    IS_PAUSING,
    IS_UNDELIVERED,
    LEASE,
    MAY_HAVE_ARRIVED,
    TABLE,
    Delivery,
)
from models.questionnaire.schema import Questionnaire
from models.version import Version
from storage.base import Statement
from storage.unreadable import unreadable_rows

CONFIRMED = "confirmed"  # the cause of what is delivered by the operator's word
DISCARDED = "discarded"  # the cause of what the operator has discarded, and its state
PAGE_SIZE = 250  # texts wait for some milliseconds while so many are written
# What each state means for the operator; `paused` is what is pending for a receiver that is paused.
MEANINGS = {
    "pending": "It is tried again by itself.",
    "paused": (
        "Nothing is sent until you retry it, or another one for its address, or confirm the one"
        " that says why."
    ),
    "failed": "It is not tried again until you retry it.",
    "unconfirmed": ("It may have arrived; look for it at the receiver, then confirm or retry it."),
    DISCARDED: "It is not sent, unless you retry it.",
    "delivered": "It has arrived.",
}


def state_of(delivery: Delivery, paused: set[str]) -> str:
    """Its state, or `paused`, if that is one of the URLs that get nothing."""
    is_paused = delivery.state == "pending" and delivery.url in paused
    return "paused" if is_paused else delivery.state


def parse_payload(delivery: Delivery) -> object:
    """The payload; as it is, where somebody has written what is no JSON."""
    try:
        return json.loads(delivery.payload)
    except ValueError:
        return delivery.payload


def count_undelivered(db: Session) -> int:
    """How many are neither delivered nor discarded, by reading the index of all of them."""
    return COUNT.fetch_all(db)[0][0]


def find_ids(db: Session, state: str, after: int) -> list[int]:
    """The next PAGE_SIZE ids above `after` of those in a state other than `delivered`, in order."""
    return [id for (id,) in IDS.fetch_all(db, state=state, after=after)]


def find(db: Session, state: str, after: int, last: int) -> list[Delivery]:
    """The same ones up to the id `last`, with all of their columns."""
    return Delivery.all(db, DELIVERIES, state=state, after=after, last=last)


def find_paused_urls(db: Session) -> set[str]:
    """The URLs that get nothing until the operator retries."""
    return {url for (url,) in PAUSED_URLS.fetch_all(db)}


def find_pausing_ids(db: Session, ids: Collection[int]) -> list[int]:
    """Those that keep the undelivered of these from their URLs, in order."""
    urls = sa.select(TABLE.c.url).where(sa.text(IS_UNDELIVERED), TABLE.c.id.in_(ids))
    found = sa.select(TABLE.c.id).where(sa.text(IS_PAUSING), TABLE.c.url.in_(urls))
    return list(db.scalars(found.order_by(TABLE.c.id)))


def find_pausing_urls(db: Session, ids: Collection[int]) -> set[str]:
    """The URLs that get nothing because of one of these."""
    found = sa.select(RAW_URL).where(sa.text(IS_PAUSING), TABLE.c.id.in_(ids))
    return set(db.scalars(found))


def find_undelivered_ids(db: Session, ids: Collection[int]) -> list[int]:
    """Those of these that are not delivered."""
    found = sa.select(TABLE.c.id).where(sa.text(IS_UNDELIVERED), TABLE.c.id.in_(ids))
    return list(db.scalars(found))


def find_questionnaire(db: Session, webhook_id: str) -> Questionnaire:
    """The questionnaire, as it was then, that the result with this id answers."""
    return QUESTIONNAIRE.fetch_all(db, webhook_id=webhook_id)[0][1]


def find_zone(db: Session, webhook_id: str) -> str | None:
    """The time zone of that questionnaire; None if it cannot be read, or is not there."""
    found = QUESTIONNAIRE.fetch_readable(db, unreadable_rows(db).add, webhook_id=webhook_id)
    return found[0][1].timezone if found else None


def redeliver(db: Session, ids: Collection[int], now: datetime) -> list[int]:
    """Try the undelivered of these again now, or when the attempt in flight is over; return which.

    Those that are not pending start from the first attempt.
    """
    values = {"now": now, "latest_lease": now + LEASE}
    return list(db.scalars(REDELIVER.where(TABLE.c.id.in_(ids)), values))


def redeliver_certain(db: Session, ids: Collection[int], now: datetime) -> list[int]:
    """The same, without those that may have arrived; but none of these pauses its URL any more."""
    values = {"now": now, "latest_lease": now + LEASE}
    changed = list(db.scalars(REDELIVER.where(HAS_NOT_ARRIVED, TABLE.c.id.in_(ids)), values))
    db.execute(LIFT_PAUSE.where(TABLE.c.id.in_(ids)))
    return changed


def retry(db: Session, id: int, now: datetime) -> None:
    """Try a result again now; what keeps others from its URL, and has certainly failed, too."""
    redeliver_certain(db, find_pausing_ids(db, [id]), now)
    redeliver(db, [id], now)


def discard(db: Session, id: int, reason: str, now: datetime) -> bool:
    """Send a result no more, for this reason; False if it is delivered, or is being sent now."""
    values = {"now": now, "latest_lease": now + LEASE, "reason": f"Discarded: {reason}"}
    return bool(list(db.scalars(DISCARD.where(TABLE.c.id == id), values)))


def confirm(db: Session, ids: Collection[int], now: datetime) -> list[int]:
    """Take the operator's word that the receiver has the undelivered of these; return which."""
    return list(db.scalars(CONFIRM.where(TABLE.c.id.in_(ids)), {"now": now}))


def find_result(db: Session, id: int) -> Delivery | None:
    """A result, delivered or not; UnreadableRow if it cannot be read."""
    return Delivery.first(db, ONE, this=id)


# Built once: building a statement costs as much as running it.
ONE = Statement(sa.select(TABLE).where(TABLE.c.id == sa.bindparam("this")))
IS_OWED = TABLE.c.state != sa.literal_column(f"'{DISCARDED}'")
COUNT = Statement(
    sa.select(sa.func.count()).select_from(TABLE).where(sa.text(IS_UNDELIVERED), IS_OWED)
)
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
CONVERSATIONS, VERSIONS = Conversation.__table__, Version.__table__
QUESTIONNAIRE = Statement(
    sa.select(VERSIONS.c.id, VERSIONS.c.definition)
    .join_from(TABLE, CONVERSATIONS)
    .join(VERSIONS)
    .where(TABLE.c.webhook_id == sa.bindparam("webhook_id"))
)
RAW_URL = sa.type_coerce(TABLE.c.url, NULLTYPE)  # one that cannot be read must not hide the others
PAUSED_URLS = Statement(sa.select(RAW_URL).where(sa.text(IS_PAUSING)).distinct())
IS_PENDING = TABLE.c.state == "pending"
# With the type, or each comparison would make another parameter of this name.
NOW = sa.bindparam("now", type_=TABLE.c.next_attempt_at.type)
LATEST_LEASE = sa.bindparam("latest_lease", type_=NOW.type)
# A lease that is longer than any is from a clock that was wrong.
IS_LEASED = TABLE.c.leased_until.between(NOW, LATEST_LEASE)
IS_RESTING = sa.func.coalesce(~IS_LEASED, sa.true())  # no attempt is in flight
LAST_FAILURE = ("cause", "last_status", "last_error")
HAS_NOT_ARRIVED = TABLE.c.state.in_(("pending", "failed")) & (TABLE.c.unconfirmed == 0)
REDELIVER = (
    sa.update(TABLE)
    .where(sa.text(IS_UNDELIVERED))
    .values(
        state="pending",
        attempts=sa.case((IS_PENDING, TABLE.c.attempts), else_=0),
        crashed_claims=sa.case((IS_PENDING, TABLE.c.crashed_claims), else_=0),
        unconfirmed=sa.case((IS_PENDING, TABLE.c.unconfirmed), else_=0),
        # What these say of one that had ended, such as that its URL gets nothing, is over.
        **{name: sa.case((IS_PENDING, TABLE.c[name])) for name in LAST_FAILURE},
        next_attempt_at=sa.case((IS_PENDING & IS_LEASED, TABLE.c.leased_until), else_=NOW),
        leased_until=sa.case((IS_PENDING, TABLE.c.leased_until)),
    )
    .returning(TABLE.c.id)
)
LIFT_PAUSE = (
    sa.update(TABLE)
    .where(sa.text(IS_PAUSING))
    .values(state="unconfirmed", cause="unconfirmed", last_error=MAY_HAVE_ARRIVED)
)
DISCARD = (
    sa.update(TABLE)
    .where(sa.text(IS_UNDELIVERED), IS_OWED, IS_RESTING)
    .values(
        state=DISCARDED,
        cause=DISCARDED,
        last_error=sa.bindparam("reason"),
        next_attempt_at=None,
        leased_until=None,
    )
    .returning(TABLE.c.id)
)
# Whoever has an attempt in flight finds its lease gone, and saves no other outcome.
CONFIRM = (
    sa.update(TABLE)
    .where(sa.text(IS_UNDELIVERED))
    .values(
        state="delivered",
        delivered_at=NOW,
        cause=CONFIRMED,
        last_error=None,
        crashed_claims=0,
        next_attempt_at=None,
        leased_until=None,
    )
    .returning(TABLE.c.id)
)
