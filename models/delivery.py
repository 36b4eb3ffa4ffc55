"""The outbox: results owed to a receiver, tried until they arrive."""

import random
import uuid
from datetime import datetime, timedelta
from typing import Optional

from sqlalchemy import CheckConstraint, ForeignKey, Index, func, or_, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base

# How long after a failed attempt the next one comes: 75 h 35 m in all (Standard Webhooks).
DELAYS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
]
LATER = 1.1  # how much longer a delay may be by chance, so that receivers do not meet a crowd
LEASE = timedelta(seconds=60)  # twice what an attempt may last


class Delivery(Base):
    """One result owed to one URL; not to be confused with the receipt of an SMS.

    Whoever delivers holds a lease, counted as an attempt when it is taken. The number of attempts
    also tells a sender whose lease ran out that the delivery is somebody else's now.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        CheckConstraint("state IN ('pending', 'delivered', 'failed')", "state"),
        CheckConstraint("format IN ('form', 'json')", "format"),
        Index(
            "ix_outbox_due",
            "next_attempt_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
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
    next_attempt_at: Mapped[datetime | None]
    leased_until: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None]
    created_at: Mapped[datetime]
    delivered_at: Mapped[datetime | None]

    @classmethod
    def is_due(cls, db: Session, now: datetime) -> bool:
        return db.scalar(select(cls.id).where(*cls._due(now)).limit(1)) is not None

    @classmethod
    def claim(cls, db: Session, now: datetime, most: int) -> list["Delivery"]:
        """Take a lease on what is due, the longest overdue first."""
        due = select(cls).where(*cls._due(now)).order_by(cls.next_attempt_at, cls.id).limit(most)
        claimed = [
            one for one in db.scalars(due.with_for_update(skip_locked=True)) if one._lease(now)
        ]
        db.flush()
        return claimed

    @classmethod
    def find_claimed(cls, db: Session, id: int, attempt: int) -> Optional["Delivery"]:
        """The delivery, unless its lease ran out and it was claimed again since."""
        return db.scalar(select(cls).where(cls.id == id, cls.attempts == attempt).with_for_update())

    @classmethod
    def find_undelivered(cls, db: Session) -> list["Delivery"]:
        return list(db.scalars(select(cls).where(cls.state != "delivered").order_by(cls.id)))

    @classmethod
    def count_pending(cls, db: Session) -> int:
        return db.scalar(select(func.count()).where(cls.state == "pending")) or 0

    def succeed(self, status: int, now: datetime) -> None:
        self.state, self.delivered_at = "delivered", now
        self.last_status, self.last_error = status, None
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
        if self.attempts > len(DELAYS):
            self.state, self.next_attempt_at = "failed", None
        else:
            delay = DELAYS[self.attempts - 1] * random.uniform(1, LATER)
            self.next_attempt_at = now + max(delay, min(retry_after, DELAYS[-1]))

    def redeliver(self, now: datetime) -> None:
        """Try again now, as the operator wishes; with all attempts anew if it had failed."""
        if self.state == "failed":
            self.state, self.attempts = "pending", 0
        self.next_attempt_at = now

    @classmethod
    def _due(cls, now: datetime) -> tuple:
        unleased = or_(cls.leased_until.is_(None), cls.leased_until <= now)
        return cls.state == "pending", cls.next_attempt_at <= now, unleased

    def _lease(self, now: datetime) -> bool:
        """False where the last attempt of all was begun and never finished."""
        if self.attempts > len(DELAYS):
            self.fail("The sender stopped during the last attempt.", now)
            return False
        self.attempts += 1
        self.leased_until = now + LEASE
        return True
