"""Attempts to sign in with a password, which are slowed down."""

from datetime import datetime, timedelta
from math import ceil

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import Base, Statement

WINDOW = timedelta(minutes=3)
MAX_PER_ADDRESS = 10  # in WINDOW
MAX_OVERALL = 100  # in WINDOW; so many rows the table has at most


class SignInAttempt(Base):
    """A password that somebody tried within WINDOW."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    address: Mapped[str]  # or the network of those that one house has
    attempted_at: Mapped[datetime]

    @classmethod
    def admit(cls, db: Session, address: str, now: datetime) -> int:
        """Count an attempt and return 0; or, if there were too many, the seconds to wait.

        Whoever calls this holds the lock of the password's row, so that no two count at once.
        """
        DELETE_OLD.execute(db, now=now, since=now - WINDOW)
        attempts = cls.all(db, ALL)
        times = [attempt.attempted_at for attempt in attempts]
        own = [attempt.attempted_at for attempt in attempts if attempt.address == address]
        limits = ((own, MAX_PER_ADDRESS), (times, MAX_OVERALL))
        waits = [found[-most] + WINDOW - now for found, most in limits if len(found) >= most]
        if waits:
            return max(1, ceil(max(waits).total_seconds()))
        cls(address=address, attempted_at=now).insert(db)
        return 0


TABLE = SignInAttempt.__table__
TIME = TABLE.c.attempted_at
ALL = Statement(sa.select(TABLE).order_by(TIME))
# Those ahead of the time come from a clock that was wrong.
DELETE_OLD = Statement(
    sa.delete(TABLE).where(
        sa.or_(TIME <= sa.bindparam("since", type_=TIME.type), TIME > sa.bindparam("now"))
    )
)
