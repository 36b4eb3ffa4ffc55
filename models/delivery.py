"""The outbox: results owed to a receiver, tried until they arrive."""

import random
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, Optional

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.types import NullType

from models.failures import CAUSES, clean, describe, effect_of
from models.google_form.address import ignores_id
from storage.base import LITERAL_1, Base, Statement
from storage.columns import partial_index
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
LEASE = timedelta(seconds=60)  # longer than an attempt, which may be a POST and a GET, may last
MAX_IN_FLIGHT = 16  # attempts of one worker
# Of these at one URL, so that one that hangs holds up no other. Workers do not know of each
# other's, so two may have twice as many in flight there.
MAX_PER_RECEIVER = 4
MAX_CRASHED_CLAIMS = 5  # claims in a row without an outcome, after which a delivery is given up
QUARANTINE_AFTER = 2  # of these, after which it is claimed alone, to harm nothing but itself
MAY_HAVE_ARRIVED = (
    "An earlier attempt may have arrived: look for it at the receiver. If it is there, confirm it;"
    " if not, retry."
)
MAX_UNCONFIRMED = 2  # attempts that may have been recorded, after which the operator decides
UNCONFIRMED_DELAY = timedelta(minutes=5)  # between these
IS_PENDING = "state = 'pending'"
PAUSING = [cause for cause in CAUSES if effect_of(cause) == "pause"]
IS_PAUSING = f"state IN ('failed', 'unconfirmed') AND cause IN ({', '.join(map(repr, PAUSING))})"
IS_UNDELIVERED = "state <> 'delivered'"


def new_webhook_id() -> str:
    """An id that a receiver can tell a result by, however often it comes."""
    return f"msg_{uuid.uuid4().hex}"


class Delivery(Base):
    """One result owed to one URL; not to be confused with the delivery receipt of an SMS.

    Whoever delivers it holds a lease, which counts as an attempt from when it is taken. A worker
    whose lease ran out finds another one in the row if the delivery was claimed again.

    A receiver that wants no more, such as one that answered 410, gets nothing until the operator
    retries: that result keeps all others for its URL from being claimed. What may have arrived
    is `unconfirmed` after two attempts. So is whatever is given up after such an attempt, or after
    one that a stop or a crash has ended. Operators may send again all that is `failed`. What they
    have discarded is not sent, unless they retry it.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed', 'unconfirmed', 'discarded')", "state"
        ),
        sa.CheckConstraint("format IN ('form', 'json')", "format"),
        # The id is in it because PostgreSQL would sort what falls due at the same moment.
        partial_index("ix_outbox_due", "url", "next_attempt_at", "id", where=IS_PENDING),
        partial_index("ix_outbox_undelivered", "state", "created_at", where=IS_UNDELIVERED),
        partial_index("ix_outbox_undelivered_id", "state", "id", where=IS_UNDELIVERED),
        partial_index("ix_outbox_pausing", "url", where=IS_PAUSING),
        {"sqlite_autoincrement": True},  # attempts may refer to an id that was deleted
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(sa.ForeignKey("conversations.id"), index=True)
    webhook_id: Mapped[str] = mapped_column(unique=True, default=new_webhook_id)
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
    cause: Mapped[str | None]  # of the last failure, or CONFIRMED
    # Attempts that may have been recorded, those without an outcome included, since the operator
    # last retried.
    unconfirmed: Mapped[int] = mapped_column(default=0)

    @classmethod
    def find_due(cls, db: Session, now: datetime) -> list[str]:
        """The URLs with deliveries that are due, the longest overdue first.

        It takes a few seeks of the index for each URL, however many deliveries wait for it. URLs
        that are paused are left out. Times further ahead than MAX_DELAY come from a clock that
        was wrong, and count as due. On SQLite bytes are among the URLs if somebody wrote some.
        """
        return [url for (url,) in DUE_URLS.fetch_all(db, now=now, latest=now + MAX_DELAY)]

    @classmethod
    def claim(
        cls,
        db: Session,
        now: datetime,
        shares: Mapping[str, int],
        in_flight: Collection["Delivery"] = (),
    ) -> list["Delivery"]:
        """Lease the longest overdue of these URLs: of each its share, MAX_PER_RECEIVER at most.

        Those that the claimer has in flight are not taken again, even if its clock says that a
        lease ran out. One that may be what stops its worker is taken only when nothing is in
        flight: until then nothing else is taken either, or it would wait for ever.
        """
        due = [
            delivery
            for url, share in shares.items()
            for delivery in cls._find_due_at(db, now, url, share, in_flight)
        ]
        suspects = [delivery for delivery in due if delivery.crashed_claims >= QUARANTINE_AFTER]
        if suspects:
            due = [] if in_flight else suspects[:1]
        claimed = [delivery for delivery in due if delivery._lease(now)]
        for delivery in due:
            delivery.update(db)
        return claimed

    @classmethod
    def _find_due_at(
        cls, db: Session, now: datetime, url: str, share: int, in_flight: Collection["Delivery"]
    ) -> list["Delivery"]:
        in_flight_ids = [delivery.id for delivery in in_flight]
        values = dict(zip_longest(IN_FLIGHT, in_flight_ids, fillvalue=0))  # 0 is no id
        values |= {"url": url, "now": now, "latest": now + MAX_DELAY}
        found = (cls.all(db, statement, **values) for statement in DUE_AT_URL)
        return next(filter(None, found), [])[:share]

    @classmethod
    def leave_out(cls, db: Session, error: UnreadableRow) -> None:
        """Note it, and give the result up where that can be written: it would be due for ever."""
        super().leave_out(db, error)
        if db.info.get(WRITES):
            db.execute(_fail_unreadable(error))

    @classmethod
    def find_newest(cls, db: Session, conversation_id: int) -> Optional["Delivery"]:
        """The latest result of a conversation."""
        return cls.first(db, NEWEST, conversation=conversation_id)

    @property
    def is_quarantined(self) -> bool:
        """Whether nothing else should be sent beside this one, which is in flight."""
        return self.crashed_claims > QUARANTINE_AFTER

    @property
    def claimed_at(self) -> datetime:
        """When the attempt in flight was claimed: no other one has the same time."""
        return self.stored["leased_until"] - LEASE

    def succeed(self, status: int, now: datetime) -> None:
        """Note that the receiver has it; `status` is the HTTP status of its response."""
        self.state, self.delivered_at = "delivered", now
        self.last_status, self.cause, self.last_error = status, None, None
        self.crashed_claims = 0
        self.next_attempt_at = self.leased_until = None

    def fail(
        self,
        cause: str,
        now: datetime,
        status: int | None = None,
        detail: str = "",
        retry_after: timedelta = timedelta(0),
    ) -> None:
        """Note why an attempt failed, and plan the next, give up, or leave it to the operator.

        `cause` is one of failures.CAUSES, `detail` belongs to its sentence, `status` is the HTTP
        status if there was a response, `retry_after` the least that the receiver wants us to wait.
        """
        self._note(cause, status, detail)
        self.leased_until, self.crashed_claims = None, 0
        effect, is_last = effect_of(cause), self.attempts > len(DELAYS)
        if effect == "confirm":
            self.unconfirmed += 1
            is_last = is_last or self.unconfirmed >= MAX_UNCONFIRMED
        if is_last or effect in ("fail", "pause"):
            self._end()
        else:
            delay = UNCONFIRMED_DELAY if effect == "confirm" else DELAYS[self.attempts - 1]
            delay *= random.uniform(1, JITTER)
            self.next_attempt_at = now + max(delay, min(retry_after, DELAYS[-1]))

    def save_outcome(self, db: Session) -> None:
        """Write how an attempt ended, unless its lease ran out and it was claimed again since.

        It may be given up by now, because the lease ran out and no further claim was allowed. The
        outcome replaces that: the worker was only slow. That the receiver has it counts always.
        """
        outcome = {name: getattr(self, name) for name in OUTCOME}
        if self.state == "delivered":
            SAVE_DELIVERED.execute(db, this=self.id, **outcome)
        else:
            SAVE_OUTCOME.execute(db, this=self.id, lease=self.stored["leased_until"], **outcome)

    def lock_lease(self, db: Session) -> bool:
        """Whether this claim still holds, and keeps others from ending it until this commits."""
        return bool(HELD.fetch_all(db, this=self.id, lease=self.stored["leased_until"]))

    def release(self, db: Session, now: datetime) -> None:
        """Give back a lease whose attempt the worker cuts short, because it is stopped.

        That says nothing about the result or its receiver, so it counts neither as an attempt nor
        as a crash; but what it sent may arrive, which matters where that makes a copy. The attempt
        itself may be changing this object in another thread.
        """
        released = self.from_row(self.stored.values())
        released.attempts -= 1
        released.crashed_claims -= 1
        released.unconfirmed += ignores_id(self.url)
        released.next_attempt_at, released.leased_until = now + DELAYS[0], None
        released._note("interrupted")
        released.save_outcome(db)

    def _lease(self, now: datetime) -> bool:
        """Take the lease; False where that was done too often, and the delivery is given up.

        It keeps its last lease then: whoever holds that may only be slow.
        """
        if self.crashed_claims:  # nobody knows what the last claim has led to
            self.unconfirmed += ignores_id(self.url)
        if self.attempts > len(DELAYS):
            return self._give_up("the last attempt")
        if self.crashed_claims >= MAX_CRASHED_CLAIMS:
            crashes = f"each of {MAX_CRASHED_CLAIMS} attempts: perhaps this result is why"
            return self._give_up(crashes)
        self.attempts += 1
        self.crashed_claims += 1
        self.next_attempt_at = self.leased_until = now + LEASE
        return True

    def _give_up(self, crashes: str) -> bool:
        self._note("crashed", detail=crashes)
        self._end()
        return False

    def _end(self) -> None:
        self.next_attempt_at = None
        self.state = "unconfirmed" if self.unconfirmed else "failed"
        if self.unconfirmed and effect_of(self.cause) != "confirm":
            self.last_error = f"{self.last_error.removesuffix('.')}. {MAY_HAVE_ARRIVED}"

    def _note(self, cause: str, status: int | None = None, detail: str = "") -> None:
        self.last_status, self.cause = status, cause
        self.last_error = describe(cause, status, clean(detail))


def _fail_unreadable(error: UnreadableRow) -> sa.Update:
    """Give up a result whose row cannot be read, and put what can be where that loses nothing."""
    repairs = {"attempts": 0, "unfinished": 0, "unconfirmed": 1}
    repairs |= {"created_at": sa.func.current_timestamp(), "cause": "unreadable"}
    repairs |= dict.fromkeys(("last_status", "delivered_at", "next_attempt_at", "leased_until"))
    may_have_arrived = sa.or_(TABLE.c.unconfirmed > 0, TABLE.c.crashed_claims > 0)
    values = {"state": sa.case((may_have_arrived, "unconfirmed"), else_="failed")}
    values |= {"cause": "unreadable"}
    values |= dict.fromkeys(("last_status", "next_attempt_at", "leased_until"))
    cure = "Look at it" if error.column in repairs else "Correct that"
    detail = f"{error.column} {error.reason}. {cure}"
    why = describe("unreadable", None, detail)
    values["last_error"] = sa.case((may_have_arrived, f"{why} {MAY_HAVE_ARRIVED}"), else_=why)
    if error.column in repairs:
        values[error.column] = repairs[error.column]
    columns = {column.name: column for column in TABLE.columns}
    return (
        sa.update(TABLE)
        .where(TABLE.c.id == error.id, sa.text(IS_PENDING))
        .values({columns[name]: value for name, value in values.items()})
    )


# Built once: building a statement costs as much as running it.
TABLE = Delivery.__table__
# As many parameters as there can be values: a list of another length would be another statement.
IN_FLIGHT = [f"in_flight_{n}" for n in range(MAX_IN_FLIGHT)]
NOW, LATEST = sa.bindparam("now"), sa.bindparam("latest")


def _pending(*columns: Any) -> sa.Select:
    return sa.select(*columns).where(sa.text(IS_PENDING))


def _list_due_urls() -> sa.Select:
    """Of each URL in the index the first and the last time: a seek each, and no row is read.

    Each step of the recursion seeks the next URL. DISTINCT would read what all of them owe.
    """
    url, time = TABLE.c.url, TABLE.c.next_attempt_at
    receivers = _pending(sa.func.min(url).label("url")).cte("receivers", recursive=True)
    following = _pending(sa.func.min(url)).where(url > receivers.c.url).scalar_subquery()
    receivers = receivers.union_all(sa.select(following).where(receivers.c.url.is_not(None)))
    here = url == receivers.c.url
    refusals = sa.select(TABLE.c.id).where(sa.text(IS_PAUSING), here)
    times = (
        sa.select(
            receivers.c.url,
            _pending(sa.func.min(time)).where(here).scalar_subquery().label("first"),
            _pending(sa.func.max(time)).where(here).scalar_subquery().label("last"),
            # For EXISTS, PostgreSQL may read those of all URLs at once.
            refusals.limit(LITERAL_1).scalar_subquery().label("refusal"),
        )
        .where(receivers.c.url.is_not(None))
        .subquery()
    )
    is_due = sa.or_(times.c.first <= NOW, times.c.last > LATEST)
    # Without the type of the column, for which bytes could not be read.
    due = sa.select(sa.type_coerce(times.c.url, NullType())).order_by(times.c.first)
    return due.where(times.c.refusal.is_(None), is_due)


def _list_due_at_url(*conditions: sa.ColumnElement[bool]) -> sa.Select:
    return (
        _pending(TABLE)
        .where(*conditions, TABLE.c.id.not_in(list(map(sa.bindparam, IN_FLIGHT))))
        .order_by(TABLE.c.next_attempt_at, TABLE.c.id)
        .limit(sa.literal_column(str(MAX_PER_RECEIVER)))
        .with_for_update(skip_locked=True)
    )


DUE_URLS = Statement(_list_due_urls())
URL = sa.bindparam("url", type_=NullType())
IS_DUE, IS_SKEWED = TABLE.c.next_attempt_at <= NOW, TABLE.c.next_attempt_at > LATEST
# Several SELECTs instead of one with OR, for which SQLite would read all that is pending. The last
# finds a text that is not UTF-8: Python has it as bytes.
DUE_AT_URL = [
    Statement(_list_due_at_url(TABLE.c.url == URL, IS_DUE)),
    Statement(_list_due_at_url(TABLE.c.url == URL, IS_SKEWED)),
    Statement(_list_due_at_url(TABLE.c.url == sa.cast(URL, sa.Text), IS_DUE)),
]
OUTCOME = ("state", "attempts", "crashed_claims", "next_attempt_at", "leased_until")
OUTCOME += ("last_status", "cause", "last_error", "unconfirmed", "delivered_at")
# The lease is the fence: no two claims of a delivery have the same one, while the number of
# attempts begins anew when the operator retries.
IS_HELD = (TABLE.c.id == sa.bindparam("this"), TABLE.c.leased_until == sa.bindparam("lease"))
HELD = Statement(sa.select(TABLE.c.id).where(*IS_HELD).with_for_update())
VALUES = {name: sa.bindparam(name) for name in OUTCOME}
SAVE_OUTCOME = Statement(sa.update(TABLE).where(*IS_HELD).values(VALUES))
# Whoever else has an attempt in flight finds no lease, and what that leads to changes nothing.
MORE_ATTEMPTS = sa.case(
    (TABLE.c.attempts < VALUES["attempts"], VALUES["attempts"]), else_=TABLE.c.attempts
)
SAVE_DELIVERED = Statement(
    sa.update(TABLE)
    .where(TABLE.c.id == sa.bindparam("this"), sa.text(IS_UNDELIVERED))
    .values(VALUES | {"attempts": MORE_ATTEMPTS, "unconfirmed": TABLE.c.unconfirmed})
)


NEWEST = Statement(
    sa.select(TABLE)
    .where(TABLE.c.conversation_id == sa.bindparam("conversation"))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
