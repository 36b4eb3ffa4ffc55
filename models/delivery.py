"""The outbox: results owed to a receiver, tried until they arrive."""

import random
import uuid
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Optional

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    bindparam,
    func,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import ONE, Base
from models.statement import Statement

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
# Attempts at one receiver, from which on it gets no more, so that one that hangs holds up no other.
# As many are claimed at once, so it may have 7 under way: to count exactly would be to claim, and
# so to sync, for each one alone.
SHARE = 4
UNFINISHED = 5  # claims in a row that nobody came back from, and it is set aside
SUSPECT = 2  # of these, and it is claimed alone, to harm nothing but itself
GONE = 410  # the receiver's word that it wants no more
# In words, not by parameters: SQLite would compile what is asked of a partial index each time.
IS_PENDING, IS_GONE = "state = 'pending'", f"state = 'failed' AND last_status = {GONE}"


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
            sqlite_where=text("state <> 'delivered'"),
            postgresql_where=text("state <> 'delivered'"),
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
        wanted = _wanted(under_way, 1)
        return bool(
            cls.all(db, DUE, until=now, **wanted)
            or cls.all(db, ASTRAY, until=now + FURTHEST, **wanted)
        )

    @classmethod
    def claim(
        cls, db: Session, now: datetime, most: int, under_way: Collection["Delivery"] = ()
    ) -> list["Delivery"]:
        """Take a lease on what is due, the longest overdue first.

        What the claimer has under way is not taken again, even if its clock says that a lease ran
        out; nor is more for a receiver that has its share of that already. Times further ahead
        than can be are from a clock that was wrong, and hold nothing up.
        """
        wanted = _wanted(under_way, min(most, SHARE))
        due = cls.all(db, DUE.with_for_update(skip_locked=True), until=now, **wanted)
        due = due or cls.all(
            db, ASTRAY.with_for_update(skip_locked=True), until=now + FURTHEST, **wanted
        )
        suspects = [one for one in due if one.unfinished >= SUSPECT]
        taken = suspects[:1] or due
        claimed = [one for one in taken if one._lease(now)]
        for one in taken:
            one.update(db)
        return claimed

    @classmethod
    def find_claimed(cls, db: Session, id: int, attempt: int) -> Optional["Delivery"]:
        """The delivery, unless its lease ran out and it was claimed again since."""
        return cls.first(db, CLAIMED, id=id, attempt=attempt)

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
        undelivered = cls.all(db, UNDELIVERED.with_for_update())
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
        rows = db.execute(counted.where(cls.state != "delivered").group_by(cls.state))
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


def _wanted(under_way: Collection[Delivery], most: int) -> dict[str, Any]:
    """What the statements about due deliveries are to leave out, and how many they find."""
    shares = Counter(one.url for one in under_way)
    busy = [url for url, count in shares.items() if count >= SHARE]
    return {"busy": busy, "under_way": [one.id for one in under_way], "most": most}


# Made once: to make a statement takes as long as to run it.
TABLE = Delivery.__table__
GONE_URLS = select(TABLE.c.url).where(text(IS_GONE))
WANTED = (
    select(TABLE)
    .where(
        text(IS_PENDING),
        TABLE.c.url.not_in(GONE_URLS),
        TABLE.c.url.not_in(bindparam("busy", expanding=True)),
        TABLE.c.id.not_in(bindparam("under_way", expanding=True)),
    )
    .order_by(TABLE.c.next_attempt_at, TABLE.c.id)
    .limit(bindparam("most", type_=Integer, literal_execute=True))
)
# Not one statement with OR: SQLite would read all that wait.
DUE = WANTED.where(TABLE.c.next_attempt_at <= bindparam("until"))
ASTRAY = WANTED.where(TABLE.c.next_attempt_at > bindparam("until"))
CLAIMED = Statement(
    select(TABLE)
    .where(TABLE.c.id == bindparam("id"), TABLE.c.attempts == bindparam("attempt"))
    .with_for_update()
)
NEWEST = Statement(
    select(TABLE)
    .where(TABLE.c.conversation_id == bindparam("conversation"))
    .order_by(TABLE.c.id.desc())
    .limit(ONE)
)
UNDELIVERED = (
    select(TABLE).where(TABLE.c.state != "delivered").order_by(TABLE.c.created_at, TABLE.c.id)
)
