"""The outbox: results owed to a receiver, tried until they arrive."""

import random
import uuid
from collections import Counter
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import zip_longest
from math import isfinite, nan
from typing import Any, NamedTuple, Optional

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import LITERAL_1, Base, Statement, partial_index
from storage.unreadable import WRITES, UnreadableRow

# How long after a failed attempt the next one comes: 75 h 35 m in all (Standard Webhooks).
DELAYS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
]
JITTER = 1.1  # a delay is up to this many times as long, so that retries do not come in a crowd
MAX_DELAY = DELAYS[-1] * JITTER  # no attempt is planned further ahead
LEASE = timedelta(seconds=60)  # twice what an attempt may last
MAX_IN_FLIGHT = 16  # attempts of one worker
# A receiver with this many attempts in flight gets no more, so that one that hangs holds up no
# other. A claim takes as many rows at most and does not count them by receiver, for that would be a
# claim, and a sync, for each. So one worker may have 3 + 4 = 7 in flight at one receiver, and two
# workers, which do not know of each other's, 14.
MAX_PER_RECEIVER = 4
MAX_CRASHED_CLAIMS = 5  # claims in a row without an outcome, after which a delivery is `failed`
QUARANTINE_AFTER = 2  # of these, after which it is claimed alone, to harm nothing but itself
MAX_COUNT = 1000  # of what is not delivered, in `/healthz`
HTTP_GONE = 410  # from a receiver that wants no more
IS_PENDING = "state = 'pending'"
IS_410 = f"state = 'failed' AND last_status = {HTTP_GONE}"
IS_UNDELIVERED = "state <> 'delivered'"


class Undelivered(NamedTuple):
    """Counts of what is not delivered; None for what is not known."""

    pending: int | None = None
    failed: int | None = None
    oldest_seconds: int | None = None  # the age of the oldest that is pending

    def summary(self) -> dict[str, object]:
        """For `/healthz`: the counts go up to MAX_COUNT, and `more` names those that are higher."""
        counts = {"pending": self.pending, "failed": self.failed}
        more = [name for name, count in counts.items() if count and count > MAX_COUNT]
        counts |= dict.fromkeys(more, MAX_COUNT)
        return counts | {"more": more, "oldest_pending_seconds": self.oldest_seconds}


class Delivery(Base):
    """One result owed to one URL; not to be confused with the delivery receipt of an SMS.

    Whoever delivers it holds a lease, which counts as an attempt from when it is taken. The number
    of attempts also shows a worker whose lease ran out that the delivery was claimed again.

    A receiver that answered 410 gets nothing more until the operator retries.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        sa.CheckConstraint("state IN ('pending', 'delivered', 'failed')", "state"),
        sa.CheckConstraint("format IN ('form', 'json')", "format"),
        partial_index("ix_outbox_due", "next_attempt_at", where=IS_PENDING),
        partial_index("ix_outbox_undelivered", "state", "created_at", where=IS_UNDELIVERED),
        partial_index("ix_outbox_gone", "url", where=IS_410),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(sa.ForeignKey("conversations.id"), index=True)
    webhook_id: Mapped[str] = mapped_column(unique=True, default=lambda: f"msg_{uuid.uuid4().hex}")
    url: Mapped[str]
    format: Mapped[str]
    payload: Mapped[str]
    state: Mapped[str] = mapped_column(default="pending")
    attempts: Mapped[int] = mapped_column(default=0)
    # Claims since the last outcome. While an attempt is in flight its own claim is counted too, so
    # that `is_quarantined` compares with > what `claim` compares with >= before it claims.
    crashed_claims: Mapped[int] = mapped_column("unfinished", key="crashed_claims", default=0)
    next_attempt_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]

    @classmethod
    def is_due(cls, db: Session, now: datetime, in_flight: Collection["Delivery"] = ()) -> bool:
        """Whether `claim` would find anything."""
        ((is_due,),) = IS_DUE.fetch_all(db, **_claim_values(now, in_flight))
        return bool(is_due)

    @classmethod
    def claim(
        cls, db: Session, now: datetime, limit: int, in_flight: Collection["Delivery"] = ()
    ) -> list["Delivery"]:
        """Lease deliveries that are due, the longest overdue first.

        At most `limit`, and at most MAX_PER_RECEIVER at a time.

        Those that the claimer has in flight are not taken again, even if its clock says that a
        lease ran out; nor are more for a receiver that has MAX_PER_RECEIVER of those. Times further
        ahead than MAX_DELAY come from a clock that was wrong, and count as due.
        """
        values = _claim_values(now, in_flight)
        due = cls.all(db, CLAIM_DUE, **values) or cls.all(db, CLAIM_CLOCK_SKEWED, **values)
        suspects = [delivery for delivery in due if delivery.crashed_claims >= QUARANTINE_AFTER]
        taken = suspects[:1] or due[:limit]
        claimed = [delivery for delivery in taken if delivery._lease(now)]
        for delivery in taken:
            delivery.update(db)
        return claimed

    @classmethod
    def leave_out(cls, db: Session, error: UnreadableRow) -> None:
        """Note it, and give the result up where that can be written: it would be due for ever."""
        super().leave_out(db, error)
        if db.info.get(WRITES):
            db.execute(_set_aside(error))

    @classmethod
    def find_newest(cls, db: Session, conversation_id: int) -> Optional["Delivery"]:
        """The latest result of a conversation."""
        return cls.first(db, NEWEST, conversation=conversation_id)

    @classmethod
    def find_undelivered(cls, db: Session) -> list["Delivery"]:
        """All that are pending or failed, the oldest first."""
        return cls.all(db, UNDELIVERED)

    @classmethod
    def redeliver_all(cls, db: Session, ids: Collection[int], now: datetime) -> list[int]:
        """Redeliver the undelivered among `ids`, or all of them if that is empty; return which.

        That includes what keeps other results from the same receivers: a 410 of theirs.
        """
        undelivered = cls.all(db, LOCK_UNDELIVERED)
        chosen = [delivery for delivery in undelivered if not ids or delivery.id in ids]
        receivers = {delivery.url for delivery in chosen}
        for delivery in undelivered:
            if delivery in chosen or (delivery.is_410 and delivery.url in receivers):
                delivery.redeliver(now)
                delivery.update(db)
        return [delivery.id for delivery in chosen]

    @classmethod
    def count_undelivered(cls, db: Session, now: datetime) -> "Undelivered":
        """How many are pending or failed; that takes no longer if many are."""
        ((pending, failed, oldest),) = COUNT_UNDELIVERED.fetch_all(db)
        age = now.timestamp() - float(nan if oldest is None else oldest)
        oldest_seconds = max(int(age), 0) if isfinite(age) else None if pending else 0
        return Undelivered(pending, failed, oldest_seconds)

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing else should be sent beside this one, which is in flight."""
        return self.crashed_claims > QUARANTINE_AFTER

    @property
    def is_410(self) -> bool:
        """Whether this one keeps all others from its receiver."""
        return self.state == "failed" and self.last_status == HTTP_GONE

    def succeed(self, status: int, now: datetime) -> None:
        """Note that the receiver has it; `status` is the HTTP status of its response."""
        self.state, self.delivered_at = "delivered", now
        self.last_status, self.last_error, self.crashed_claims = status, None, 0
        self.next_attempt_at = self.leased_until = None

    def fail(
        self,
        error: str,
        now: datetime,
        status: int | None = None,
        retry_after: timedelta = timedelta(0),
    ) -> None:
        """Note why an attempt failed, and plan the next or give up.

        `error` is a sentence for the operator, `status` the HTTP status if there was a response,
        `retry_after` the least that the receiver wants us to wait.
        """
        self.last_status, self.last_error, self.leased_until = status, error, None
        self.crashed_claims = 0
        if self.attempts > len(DELAYS) or status == HTTP_GONE:
            self.state, self.next_attempt_at = "failed", None
        else:
            delay = DELAYS[self.attempts - 1] * random.uniform(1, JITTER)
            self.next_attempt_at = now + max(delay, min(retry_after, DELAYS[-1]))

    def save_outcome(self, db: Session) -> None:
        """Write how an attempt ended, unless its lease ran out and it was claimed again since.

        It may be `failed` by now, because the lease ran out and no further claim was allowed. The
        outcome replaces that: the worker was only slow.
        """
        outcome = {name: getattr(self, name) for name in OUTCOME}
        SAVE_OUTCOME.execute(db, this=self.id, attempt=self.attempts, **outcome)

    def redeliver(self, now: datetime) -> None:
        """Try again now, or when the attempt in flight is over; a failed one starts from the first.

        Only the operator asks for this.
        """
        if self.state == "failed":
            self.state, self.attempts, self.crashed_claims = "pending", 0, 0
        self.next_attempt_at = max(now, self.leased_until or now)

    def _lease(self, now: datetime) -> bool:
        """Take the lease; False where that was done too often, and the delivery has failed."""
        if self.attempts > len(DELAYS):
            self.fail("The worker stopped during the last attempt.", now)
            return False
        if self.crashed_claims >= MAX_CRASHED_CLAIMS:
            self._fail_unfinished()
            return False
        self.attempts += 1
        self.crashed_claims += 1
        self.next_attempt_at = self.leased_until = now + LEASE
        return True

    def _fail_unfinished(self) -> None:
        self.state, self.next_attempt_at, self.leased_until = "failed", None, None
        self.last_error = (
            f"The worker stopped during each of {MAX_CRASHED_CLAIMS} attempts:"
            " perhaps this result is why."
        )


def _claim_values(now: datetime, in_flight: Collection[Delivery]) -> dict[str, Any]:
    """The parameters of CLAIMABLE; unused ones are 0, which is no id, and "", which is no URL."""
    counts = Counter(delivery.url for delivery in in_flight)
    busy = [url for url, count in counts.items() if count >= MAX_PER_RECEIVER]
    ids = [delivery.id for delivery in in_flight]
    values = dict(zip_longest(IN_FLIGHT, ids, fillvalue=0))
    values |= zip_longest(BUSY_URLS, busy, fillvalue="")
    return values | {"now": now, "furthest": now + MAX_DELAY}


def _set_aside(error: UnreadableRow) -> sa.Update:
    """Fail a result whose row cannot be read, and put what can be read where that loses nothing."""
    repairs = {"attempts": 0, "unfinished": 0, "created_at": sa.func.current_timestamp()}
    repairs |= dict.fromkeys(("last_status", "delivered_at", "next_attempt_at", "leased_until"))
    values = {"state": "failed", "next_attempt_at": None, "leased_until": None}
    values["last_error"] = f"Its {error.column} {error.reason}. Correct that, then retry."
    if error.column in repairs:
        values[error.column] = repairs[error.column]
        values["last_error"] = f"Its {error.column} {error.reason}. Look at it, then retry."
    columns = {column.name: column for column in TABLE.columns}
    return (
        sa.update(TABLE)
        .where(TABLE.c.id == error.id, sa.text(IS_PENDING))
        .values({columns[name]: value for name, value in values.items()})
    )


# Built once: building a statement costs as much as running it.
TABLE = Delivery.__table__
URLS_WITH_410 = sa.select(TABLE.c.url).where(sa.text(IS_410))
# As many parameters as there can be values: a list of another length would be another statement.
IN_FLIGHT = [f"in_flight_{n}" for n in range(MAX_IN_FLIGHT)]
BUSY_URLS = [f"busy_url_{n}" for n in range(MAX_IN_FLIGHT // MAX_PER_RECEIVER)]
CLAIMABLE = (
    sa.select(TABLE)
    .where(
        sa.text(IS_PENDING),
        TABLE.c.url.not_in(URLS_WITH_410),
        TABLE.c.url.not_in(list(map(sa.bindparam, BUSY_URLS))),
        TABLE.c.id.not_in(list(map(sa.bindparam, IN_FLIGHT))),
    )
    .order_by(TABLE.c.next_attempt_at, TABLE.c.id)
    .limit(sa.literal_column(str(MAX_PER_RECEIVER)))
)
# Two SELECTs instead of one with OR, for which SQLite would read all that is pending.
DUE = CLAIMABLE.where(TABLE.c.next_attempt_at <= sa.bindparam("now"))
CLOCK_SKEWED = CLAIMABLE.where(TABLE.c.next_attempt_at > sa.bindparam("furthest"))
IS_DUE = Statement(sa.select(sa.or_(DUE.exists(), CLOCK_SKEWED.exists())))
CLAIM_DUE = Statement(DUE.with_for_update(skip_locked=True))
CLAIM_CLOCK_SKEWED = Statement(CLOCK_SKEWED.with_for_update(skip_locked=True))
OUTCOME = ("state", "crashed_claims", "next_attempt_at", "leased_until")
OUTCOME += ("last_status", "last_error", "delivered_at")
SAVE_OUTCOME = Statement(
    sa.update(TABLE)
    .where(TABLE.c.id == sa.bindparam("this"), TABLE.c.attempts == sa.bindparam("attempt"))
    .values({name: sa.bindparam(name) for name in OUTCOME})
)


def _undelivered(column: sa.ColumnElement, state: str) -> sa.Select:
    """By the index, which has these in the order of their age."""
    rows = sa.select(column).select_from(TABLE)
    rows = rows.where(sa.text(IS_UNDELIVERED), sa.text(f"state = '{state}'"))
    return rows.order_by(TABLE.c.created_at)


def _count(state: str) -> sa.ScalarSelect:
    rows = _undelivered(LITERAL_1, state).limit(sa.literal_column(str(MAX_COUNT + 1)))
    return sa.select(sa.func.count()).select_from(rows.subquery()).scalar_subquery()


# How many are pending and have failed, up to one more than MAX_COUNT, and the Unix time of the
# oldest pending one. It is computed there, for a time that cannot be read must not raise here.
COUNT_UNDELIVERED = Statement(
    sa.select(
        _count("pending"),
        _count("failed"),
        _undelivered(sa.extract("epoch", TABLE.c.created_at), "pending")
        .limit(LITERAL_1)
        .scalar_subquery(),
    )
)
NEWEST = Statement(
    sa.select(TABLE)
    .where(TABLE.c.conversation_id == sa.bindparam("conversation"))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
ALL_UNDELIVERED = (
    sa.select(TABLE).where(sa.text(IS_UNDELIVERED)).order_by(TABLE.c.created_at, TABLE.c.id)
)
UNDELIVERED = Statement(ALL_UNDELIVERED)
LOCK_UNDELIVERED = Statement(ALL_UNDELIVERED.with_for_update())
