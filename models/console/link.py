"""One-time links to the console, which `smsconvo.py console` prints."""

from datetime import datetime, timedelta
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.console.action import COMMAND_LINE, IS_ROLE, LASTING_IDS, OperatorAction
from models.console.token import digest
from storage.base import Base, Statement

VALID = timedelta(minutes=10)


class ConsoleLink(Base):
    """A link that signs one browser in, once. It is kept until the next one is made."""

    __tablename__ = "console_links"
    __table_args__ = (sa.CheckConstraint(IS_ROLE, "role"), LASTING_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    name: Mapped[str | None]  # of the operator whom it is for
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]

    @classmethod
    def make(
        cls, db: Session, token: str, role: str, now: datetime, name: str | None = None
    ) -> None:
        """Make the link of a token, and delete those that are over."""
        DELETE_EXPIRED.execute(db, now=now)
        link = cls(
            digest=digest(token), role=role, name=name, created_at=now, expires_at=now + VALID
        )
        link.insert(db)
        details = f"{role}, for {name}" if name else role
        OperatorAction.record(db, now, COMMAND_LINE, "make link", link, details)

    @classmethod
    def is_usable(cls, db: Session, token: str, now: datetime) -> bool:
        """Whether `use` would find the link of this token."""
        return cls.first(db, USABLE, digest=digest(token), now=now) is not None

    @classmethod
    def use(cls, db: Session, token: str, now: datetime) -> Self | None:
        """Use the link of this token up; None if it was used or is too old."""
        link = cls.first(db, LOCKED, digest=digest(token), now=now)
        if link is None:
            return None
        link.used_at = now
        link.update(db)
        return link


TABLE = ConsoleLink.__table__
IS_LIVE = TABLE.c.expires_at > sa.bindparam("now", type_=TABLE.c.expires_at.type)
FIND = sa.select(TABLE).where(
    TABLE.c.digest == sa.bindparam("digest"), TABLE.c.used_at.is_(None), IS_LIVE
)
USABLE = Statement(FIND)
# So that of two who open it at once on PostgreSQL the second finds it used.
LOCKED = Statement(FIND.with_for_update())
DELETE_EXPIRED = Statement(sa.delete(TABLE).where(~IS_LIVE))
