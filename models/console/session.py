"""Who is signed in to the console."""

from datetime import datetime, timedelta
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.console.action import DO, IS_ROLE, LASTING_IDS, Operator, OperatorAction
from models.console.link import ConsoleLink
from models.console.token import digest
from storage.base import LITERAL_1, Base, Statement

IDLE = timedelta(days=30)  # without a request, after which a session is over
LONGEST = timedelta(days=90)  # that a session can last
# How much later a request is written down than the one before. Texts wait for each write.
SEEN_EVERY = timedelta(hours=1)


class ConsoleSession(Base):
    """A browser that is signed in. The row of one that is over is deleted."""

    __tablename__ = "console_sessions"
    __table_args__ = (
        sa.CheckConstraint(IS_ROLE, "role"),
        sa.CheckConstraint("method IN ('link', 'password')", "method"),
        LASTING_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    method: Mapped[str]  # how it was signed in
    name: Mapped[str | None]  # of the operator, if the link was made for one
    address: Mapped[str]  # of the browser then, as far as it is known
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    @classmethod
    def start(
        cls, db: Session, token: str, address: str, now: datetime, link: ConsoleLink | None = None
    ) -> Self:
        """Sign a browser in that keeps this token, and delete the sessions that are over.

        Without a link it is by the password.
        """
        DELETE_EXPIRED.execute(db, now=now)
        session = cls(
            digest=digest(token),
            role=link.role if link else DO,
            method="link" if link else "password",
            name=link and link.name,
            address=address,
            created_at=now,
            seen_at=now,
            expires_at=now + IDLE,
        )
        session.insert(db)
        # Without the address: these rows are kept for good.
        details = f"by link {link.id}" if link else None
        OperatorAction.record(db, now, session.operator, "sign in", session, details)
        return session

    @classmethod
    def find(cls, db: Session, token: str, now: datetime) -> Self | None:
        """The session of a browser, unless it is over."""
        return cls.first(db, BY_DIGEST, digest=digest(token), now=now)

    @classmethod
    def find_all(cls, db: Session, now: datetime) -> list[Self]:
        """Those that are not over, the one that was seen last first."""
        return cls.all(db, ALL, now=now)

    @classmethod
    def end(cls, db: Session, id: int, operator: Operator, now: datetime) -> None:
        """Sign a browser out, if it is signed in."""
        session = cls.first(db, BY_ID, id=id)
        if session:
            DELETE.execute(db, id=id)
            action = "sign out" if id == operator.session_id else "revoke session"
            OperatorAction.record(db, now, operator, action, session)

    @classmethod
    def is_any_over(cls, db: Session, now: datetime) -> bool:
        """Whether `delete_over` has something to delete."""
        return bool(FIRST_EXPIRED.fetch_all(db, now=now))

    @classmethod
    def delete_over(cls, db: Session, now: datetime) -> None:
        """Forget the sessions that are over, with the addresses of their browsers."""
        DELETE_EXPIRED.execute(db, now=now)

    @classmethod
    def end_by_password(cls, db: Session) -> None:
        """Sign out whoever signed in with the password that was."""
        DELETE_BY_METHOD.execute(db, method="password")

    @property
    def operator(self) -> Operator:
        """Who uses it."""
        return Operator(self.name or self.method, self.role, self.id)

    def is_seen_late(self, now: datetime) -> bool:
        """Whether `see` has something to write."""
        return now - self.seen_at >= SEEN_EVERY

    def see(self, db: Session, now: datetime) -> None:
        """Write down a request, from which the session goes on for IDLE at most."""
        expires_at = min(now + IDLE, self.created_at + LONGEST)
        SEE.execute(db, id=self.id, seen_at=now, expires_at=expires_at)


# Built once: building a statement costs as much as running it.
TABLE = ConsoleSession.__table__
IS_THIS = TABLE.c.id == sa.bindparam("id")
IS_LIVE = TABLE.c.expires_at > sa.bindparam("now", type_=TABLE.c.expires_at.type)
BY_ID = Statement(sa.select(TABLE).where(IS_THIS))
BY_DIGEST = Statement(sa.select(TABLE).where(TABLE.c.digest == sa.bindparam("digest"), IS_LIVE))
ALL = Statement(sa.select(TABLE).where(IS_LIVE).order_by(TABLE.c.seen_at.desc(), TABLE.c.id.desc()))
DELETE = Statement(sa.delete(TABLE).where(IS_THIS))
FIRST_EXPIRED = Statement(sa.select(TABLE.c.id).where(~IS_LIVE).limit(LITERAL_1))
DELETE_EXPIRED = Statement(sa.delete(TABLE).where(~IS_LIVE))
DELETE_BY_METHOD = Statement(sa.delete(TABLE).where(TABLE.c.method == sa.bindparam("method")))
SEE = Statement(
    sa.update(TABLE)
    .where(IS_THIS)
    .values(seen_at=sa.bindparam("seen_at"), expires_at=sa.bindparam("expires_at"))
)
