"""Attempts to sign in with a password, which are slowed down."""

from datetime import datetime, timedelta
from math import ceil

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import LITERAL_1, Base, Statement

WINDOW = timedelta(minutes=3)
MAX_PER_ADDRESS = 10  # in WINDOW
MAX_OVERALL = 100  # in WINDOW; so many rows the table has at most


class SignInAttempt(Base):
    """A password that somebody tried within WINDOW, until they sign in with the right one."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]  # or the network of those that one house has
    attempted_at: Mapped[datetime]

    @classmethod
    def admit(cls, db: Session, address: str, now: datetime) -> int:
        """Count an attempt and return 0; or, if there were too many, the seconds to wait.

        Whoever calls this holds the lock of the password's row, so that no two count at once.
        """
        cls.delete_old(db, now)
        seconds = cls.seconds_to_wait(db, address, now)
        if not seconds:
            cls(address=address, attempted_at=now).insert(db)
        return seconds

    @classmethod
    def seconds_to_wait(cls, db: Session, address: str, now: datetime) -> int:
        """How long nobody may try at this address, because there were too many attempts; or 0."""
        attempts = cls.all(db, RECENT, now=now, since=now - WINDOW)
        times = [attempt.attempted_at for attempt in attempts]
        own = [attempt.attempted_at for attempt in attempts if attempt.address == address]
        limits = ((own, MAX_PER_ADDRESS), (times, MAX_OVERALL))
        waits = [found[-most] + WINDOW - now for found, most in limits if len(found) >= most]
        return max(1, ceil(max(waits).total_seconds())) if waits else 0

    @classmethod
    def is_any_old(cls, db: Session, now: datetime) -> bool:
        """Whether `delete_old` has something to delete."""
        return bool(FIRST_OLD.fetch_all(db, now=now, since=now - WINDOW))

    @classmethod
    def delete_old(cls, db: Session, now: datetime) -> None:
        """Forget the attempts that count no more, with their addresses."""
        DELETE_OLD.execute(db, now=now, since=now - WINDOW)

    @classmethod
    def clear(cls, db: Session, address: str) -> None:
        """Delete the attempts of an address from which somebody knew the password."""
        DELETE_BY_ADDRESS.execute(db, address=address)


TABLE = SignInAttempt.__table__
TIME = TABLE.c.attempted_at
# Those ahead of the time come from a clock that was wrong.
IS_OLD = sa.or_(
    TIME <= sa.bindparam("since", type_=TIME.type), TIME > sa.bindparam("now", type_=TIME.type)
)
RECENT = Statement(sa.select(TABLE).where(~IS_OLD).order_by(TIME))
FIRST_OLD = Statement(sa.select(TABLE.c.id).where(IS_OLD).limit(LITERAL_1))
DELETE_OLD = Statement(sa.delete(TABLE).where(IS_OLD))
DELETE_BY_ADDRESS = Statement(sa.delete(TABLE).where(TABLE.c.address == sa.bindparam("address")))
