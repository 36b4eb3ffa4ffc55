"""Links that show some results to whoever has them: table console_shares."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Self

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.console.action import LASTING_IDS
from models.console.token import digest
from storage.base import Base, Statement

# How much later an opening is written down than the one before. Texts wait for each write.
OPENED_EVERY = timedelta(hours=1)
MAX_LIVE = 100  # shares at once
ABSENT, MASKED, SHOWN = "absent", "masked", "shown"


class Kinds(sa.TypeDecorator[Mapping[str, str]]):
    """The kinds of questions by key, as JSON text."""

    impl = sa.Text
    cache_ok = True
    is_no = "object of texts"  # what a cell is not that cannot be read

    def process_bind_param(self, value: Mapping[str, str], dialect: sa.Dialect) -> str:
        return msgspec.json.encode(value).decode()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        return msgspec.json.Decoder(dict[str, str]).decode


class ConsoleShare(Base):
    """Results of one questionnaire, for whoever has the link.

    The row of one that is over is deleted. `questions` has the kinds that they had when they were
    chosen: one that has another kind now may show what nobody chose, such as words for choices.
    """

    __tablename__ = "console_shares"
    __table_args__ = (
        sa.CheckConstraint(f"senders IN ('{ABSENT}', '{MASKED}')", "senders"),
        sa.CheckConstraint(f"names IN ('{ABSENT}', '{SHOWN}')", "names"),
        LASTING_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    questionnaire: Mapped[str]  # its name
    questions: Mapped[Mapping[str, str]] = mapped_column(Kinds())
    senders: Mapped[str]
    names: Mapped[str]
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    opened_at: Mapped[datetime | None]  # last, within OPENED_EVERY

    @classmethod
    def find(cls, db: Session, token: str, now: datetime) -> Self | None:
        """What a link shows, unless it is over, or its row cannot be read."""
        return next(iter(cls.all(db, BY_DIGEST, digest=digest(token), now=now)), None)

    @classmethod
    def find_by_id(cls, db: Session, id: int, now: datetime) -> Self | None:
        """The one with this id, unless it is over, or its row cannot be read."""
        return next(iter(cls.all(db, BY_ID, id=id, now=now)), None)

    @classmethod
    def find_all(cls, db: Session, now: datetime) -> list[Self]:
        """Those that are not over, the newest first."""
        return cls.all(db, ALL, now=now)

    def make(self, db: Session, now: datetime) -> None:
        """Write a new one, and delete those that are over."""
        DELETE_EXPIRED.execute(db, now=now)
        self.insert(db)

    def delete(self, db: Session) -> None:
        """Show nothing any more."""
        DELETE.execute(db, id=self.id)

    def is_opened_late(self, now: datetime) -> bool:
        """Whether `open` has something to write."""
        return self.opened_at is None or now - self.opened_at >= OPENED_EVERY

    def open(self, db: Session, now: datetime) -> None:
        """Write down that somebody has opened it."""
        OPEN.execute(db, id=self.id, opened_at=now)


# Built once: building a statement costs as much as running it.
TABLE = ConsoleShare.__table__
IS_THIS = TABLE.c.id == sa.bindparam("id")
IS_LIVE = TABLE.c.expires_at > sa.bindparam("now", type_=TABLE.c.expires_at.type)
BY_DIGEST = Statement(sa.select(TABLE).where(TABLE.c.digest == sa.bindparam("digest"), IS_LIVE))
BY_ID = Statement(sa.select(TABLE).where(IS_THIS, IS_LIVE))
ALL = Statement(sa.select(TABLE).where(IS_LIVE).order_by(TABLE.c.id.desc()))
DELETE = Statement(sa.delete(TABLE).where(IS_THIS))
DELETE_EXPIRED = Statement(sa.delete(TABLE).where(~IS_LIVE))
OPEN = Statement(
    sa.update(TABLE)
    .where(IS_THIS)
    .values(opened_at=sa.bindparam("opened_at", type_=TABLE.c.opened_at.type))
)
