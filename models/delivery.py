"""The outbox: results owed to a receiver, tried until they arrive."""

import random
import uuid
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, Optional

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    bindparam,
    func,
    literal_column,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import LITERAL_1, Base, Statement

# How long after a failed attempt the next one comes: 75 h 35 m in all (Standard Webhooks).
DELAYS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
]
LATER = 1.1  # how much longer a delay may be by chance, so that receivers do not meet a crowd
FURTHEST = DELAYS[-1] * LATER  # further ahead nothing is planned
LEASE = timedelta(seconds=60)  # twice what an attempt may last
AT_ONCE = 16  # attempts that one sender has under way
# Attempts at one receiver, from which on it gets no more, so that one that hangs holds up no other.
# As many are claimed at once, so it may have 7 under way: to count exactly would be to claim, and
# so to sync, for each one alone.
SHARE = 4
UNFINISHED = 5  # claims in a row that nobody came back from, and it is set aside
SUSPECT = 2  # of these, and it is claimed alone, to harm nothing but itself
GONE = 410  # the receiver's word that it wants no more
# In words, not by parameters: for those SQLite would compile what is asked of a partial index each
# time, and PostgreSQL have no use for it in a plan that it keeps.
IS_PENDING, IS_GONE = "state = 'pending'", f"state = 'failed' AND last_status = {GONE}"
IS_UNDELIVERED = "state <> 'delivered'"


class Delivery(Base):
    """One result owed to one URL; not to be confused with the receipt of an SMS.

    Whoever delivers holds a lease, counted as an attempt when it is taken. The number of attempts
    also tells a sender whose lease ran out that the delivery is somebody else's now.

    A receiver that said it is gone gets nothing more until the operator retries.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", "state"),
        CheckConstraint("format IN ('form', 'json')", "format"),
        Index(
            "ix_outbox_due",
            "next_attempt_at",
            sqlite_where=text(IS_PENDING),
            postgresql_where=text(IS_PENDING),
        ),
        Index(
            "ix_outbox_undelivered",
            "state",
            "created_at",
            sqlite_where=text(IS_UNDELIVERED),
            postgresql_where=text(IS_UNDELIVERED),
        ),
        Index(
            "ix_outbox_gone",
            "url",
            sqlite_where=text(IS_GONE),
            postgresql_where=text(IS_GONE),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    webhook_id: Mapped[str] = mapped_column(unique=True, default=lambda: f"msg_{uuid.uuid4().hex}")
    url: Mapped[str]
    format: Mapped[str]
    payload: Mapped[str]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    # Claims since the last outcome, the present one too.
    unfinished: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]

    @classmethod
    def is_due(cls, db: Session, now: datetime, under_way: Collection["Delivery"] = ()) -> bool:
        ((is_due,),) = IS_DUE.fetch_all(db, **_wanted(now, under_way))
        return bool(is_due)

    @classmethod
    def claim(
        cls, db: Session, now: datetime, most: int, under_way: Collection["Delivery"] = ()
    ) -> list["Delivery"]:
        """Take a lease on what is due, the longest overdue first.

        What the claimer has under way is not taken again, even if its clock says that a lease ran
        out; nor is more for a receiver that has its share of that already. Times further ahead
        than can be are from a clock that was wrong, and hold nothing up.
        """
        wanted = _wanted(now, under_way)
        due = cls.all(db, DUE_FOR_US, **wanted) or cls.all(db, ASTRAY_FOR_US, **wanted)
        suspects = [one for one in due if one.unfinished >= SUSPECT]
        taken = suspects[:1] or due[:most]
        claimed = [one for one in taken if one._lease(now)]
        for one in taken:
            one.update(db)
        return claimed

    @classmethod
    def find_newest(cls, db: Session, conversation_id: int) -> Optional["Delivery"]:
        """The latest result of a conversation."""
        return cls.first(db, NEWEST, conversation=conversation_id)

    @classmethod
    def find_undelivered(cls, db: Session) -> list["Delivery"]:
        return cls.all(db, UNDELIVERED)

    @classmethod
    def redeliver_all(cls, db: Session, ids: Collection[int], now: datetime) -> list[int]:
        """Redeliver these that are undelivered, or all of them without ids; which ones it were.

        That opens their receivers again, even those that said they are gone.
        """
        undelivered = cls.all(db, UNDELIVERED_FOR_US)
        chosen = [one for one in undelivered if not ids or one.id in ids]
        receivers = {one.url for one in chosen}
        for one in undelivered:
            if one in chosen or (one.says_gone and one.url in receivers):
                one.redeliver(now)
                one.update(db)
        return [one.id for one in chosen]

    @classmethod
    def count_undelivered(cls, db: Session) -> dict[str, tuple[int, datetime]]:
        """For `pending` and `failed`, where there are any: how many, and since when the oldest."""
        counted = select(cls.state, func.count(), func.min(cls.created_at))
        rows = db.execute(counted.where(text(IS_UNDELIVERED)).group_by(cls.state))
        return {state: (count, oldest) for state, count, oldest in rows}

    @property
    def goes_alone(self) -> bool:
        """Whether nothing else should be sent beside this, which is under way."""
        return self.unfinished > SUSPECT

    @property
    def says_gone(self) -> bool:
        """Whether this is what keeps all others from its receiver."""
        return self.state == "failed" and self.last_status == GONE

    def succeed(self, status: int, now: datetime) -> None:
        self.state, self.delivered_at = "delivered", now
        self.last_status, self.last_error, self.unfinished = status, None, 0
        self.next_attempt_at = self.leased_until = None

    def fail(
        self,
        error: str,
        now: datetime,
        status: int | None = None,
        retry_after: timedelta = timedelta(0),
    ) -> None:
        """Note why; try again later, not before the receiver wants it, or give up and keep it."""
        self.last_status, self.last_error, self.leased_until = status, error, None
        self.unfinished = 0
        if self.attempts > len(DELAYS) or status == GONE:
            self.state, self.next_attempt_at = "failed", None
        else:
            delay = DELAYS[self.attempts - 1] * random.uniform(1, LATER)
            self.next_attempt_at = now + max(delay, min(retry_after, DELAYS[-1]))

    def record(self, db: Session) -> None:
        """Write how an attempt ended, unless its lease ran out and it was claimed again since.

        One that was set aside meanwhile waits for its next attempt again: its sender is there.
        """
        outcome = {name: getattr(self, name) for name in OUTCOME}
        ENDED.execute(db, this=self.id, attempt=self.attempts, **outcome)

    def redeliver(self, now: datetime) -> None:
        """Try again now, as the operator wishes; with all attempts anew if it had failed."""
        if self.state == "failed":
            self.state, self.attempts, self.unfinished = "pending", 0, 0
        self.next_attempt_at = max(now, self.leased_until or now)

    def _lease(self, now: datetime) -> bool:
        """Take it; False where that was done too often already, and it is set aside instead."""
        if self.attempts > len(DELAYS):
            self.fail("The sender stopped during the last attempt.", now)
            return False
        if self.unfinished >= UNFINISHED:
            self._set_aside()
            return False
        self.attempts += 1
        self.unfinished += 1
        self.next_attempt_at = self.leased_until = now + LEASE
        return True

    def _set_aside(self) -> None:
        self.state, self.next_attempt_at, self.leased_until = "failed", None, None
        self.last_error = (
            f"The sender stopped during each of {UNFINISHED} attempts: perhaps this result is why."
        )


def _wanted(now: datetime, under_way: Collection[Delivery]) -> dict[str, Any]:
    """The values of WANTED: 0 is no id, and the empty text no URL."""
    shares = Counter(one.url for one in under_way)
    busy = [url for url, count in shares.items() if count >= SHARE]
    ids = [one.id for one in under_way]
    slots = dict(zip_longest(UNDER_WAY, ids, fillvalue=0))
    slots |= zip_longest(BUSY, busy, fillvalue="")
    return slots | {"now": now, "furthest": now + FURTHEST}


# Made once: to make a statement takes as long as to run it.
TABLE = Delivery.__table__
GONE_URLS = select(TABLE.c.url).where(text(IS_GONE))
# As many as there can be: a list of another length would be another statement.
UNDER_WAY = [f"under_way_{n}" for n in range(AT_ONCE)]
BUSY = [f"busy_{n}" for n in range(AT_ONCE // SHARE)]
WANTED = (
    select(TABLE)
    .where(
        text(IS_PENDING),
        TABLE.c.url.not_in(GONE_URLS),
        TABLE.c.url.not_in(list(map(bindparam, BUSY))),
        TABLE.c.id.not_in(list(map(bindparam, UNDER_WAY))),
    )
    .order_by(TABLE.c.next_attempt_at, TABLE.c.id)
    .limit(literal_column(str(SHARE)))
)
# Not one SELECT of both with OR: SQLite would read all that wait.
DUE = WANTED.where(TABLE.c.next_attempt_at <= bindparam("now"))
ASTRAY = WANTED.where(TABLE.c.next_attempt_at > bindparam("furthest"))
IS_DUE = Statement(select(or_(DUE.exists(), ASTRAY.exists())))
DUE_FOR_US = Statement(DUE.with_for_update(skip_locked=True))
ASTRAY_FOR_US = Statement(ASTRAY.with_for_update(skip_locked=True))
OUTCOME = (
    "state",
    "unfinished",
    "next_attempt_at",
    "leased_until",
    "last_status",
    "last_error",
    "delivered_at",
)
ENDED = Statement(
    update(TABLE)
    .where(TABLE.c.id == bindparam("this"), TABLE.c.attempts == bindparam("attempt"))
    .values({name: bindparam(name) for name in OUTCOME})
)
NEWEST = Statement(
    select(TABLE)
    .where(TABLE.c.conversation_id == bindparam("conversation"))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
ALL_UNDELIVERED = select(TABLE).where(text(IS_UNDELIVERED)).order_by(TABLE.c.created_at, TABLE.c.id)
UNDELIVERED = Statement(ALL_UNDELIVERED)
UNDELIVERED_FOR_US = Statement(ALL_UNDELIVERED.with_for_update())
