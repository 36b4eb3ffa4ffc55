"""The audit: every text in and out, as it was."""

import json
from datetime import datetime
from typing import Any, NamedTuple, Optional

from sqlalchemy import CheckConstraint, ForeignKey, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import Base, Statement

# What Twilio reports of a message, by how final it is. Reports arrive in any order.
FINALITY = {"accepted": 1, "queued": 2, "sending": 3, "sent": 4, "read": 6}
FINALITY |= dict.fromkeys(("delivered", "undelivered", "failed"), 5)


class IncomingText(NamedTuple):
    """A text to one of our numbers, as Twilio brought it."""

    sid: str
    sender: str
    number: str
    body: str
    media: tuple[str, ...] = ()  # URLs
    opt_out_type: str | None = None  # what Twilio took it for, where an account tells that
    cookie: str | None = None
    status: str | None = None
    params: str | None = None  # all fields of the request, as JSON

    def as_message(self, now: datetime) -> "Message":
        return Message(
            direction="inbound",
            sid=self.sid,
            sender=self.sender,
            recipient=self.number,
            body=self.body,
            media=" ".join(self.media) or None,
            params=self.params,
            status=self.status,
            created_at=now,
        )


class Message(Base):
    """One text. Rows are only added; an outbound one learns its sid and status later."""

    __tablename__ = "messages"
    __table_args__ = (CheckConstraint("direction IN ('inbound', 'outbound')", "direction"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"), index=True)
    direction: Mapped[str]
    sid: Mapped[str | None] = mapped_column(unique=True)
    sender: Mapped[str]
    recipient: Mapped[str]
    body: Mapped[str]
    media: Mapped[str | None]  # the URLs of what came with it, with blanks between
    read_as: Mapped[str | None]  # what an inbound text was taken for: answer, unread, stop, …
    params: Mapped[str | None]
    cookie: Mapped[str | None]
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"), unique=True)
    status: Mapped[str | None]
    error_code: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(index=True)

    @property
    def opt_out_type(self) -> str | None:
        """What Twilio took the text for, where an account tells that: STOP, START or HELP."""
        return json.loads(self.params).get("OptOutType") if self.params else None

    @classmethod
    def find(cls, db: Session, sid: str) -> Optional["Message"]:
        return cls.first(db, BY_SID, sid=sid)

    @classmethod
    def find_outbound(cls, db: Session, id: int) -> Optional["Message"]:
        """What we said, locked where a database has such locks: reports of it come together."""
        return cls.first(db, OUTBOUND, id=id)

    @classmethod
    def find_said(cls, db: Session, conversation_id: int, most: int) -> list[str]:
        """What we said last in a conversation, the newest first."""
        return cls._find_latest(db, cls.body, conversation_id, "outbound", most)

    @classmethod
    def find_read_as(cls, db: Session, conversation_id: int, most: int) -> list[str | None]:
        """What the last texts in a conversation were taken for, the newest first."""
        return cls._find_latest(db, cls.read_as, conversation_id, "inbound", most)

    @classmethod
    def _find_latest(
        cls, db: Session, column: Any, conversation_id: int, direction: str, most: int
    ) -> list:
        some = select(column).where(
            cls.conversation_id == conversation_id, cls.direction == direction
        )
        return list(db.scalars(some.order_by(cls.id.desc()).limit(most)))

    def find_reply(self, db: Session) -> Optional["Message"]:
        """What was said in reply to this text; None for silence."""
        return Message.first(db, REPLY, id=self.id)

    def reply(self, body: str, now: datetime) -> "Message":
        """The outbound message that answers this text, once that is written."""
        return Message(
            conversation_id=self.conversation_id,
            direction="outbound",
            sender=self.recipient,
            recipient=self.sender,
            body=body,
            reply_to_id=self.id,
            created_at=now,
        )

    def report(self, status: str, sid: str | None, error_code: str | None) -> None:
        """Note what became of an outbound message, unless something as final is known already."""
        self.sid = self.sid or sid
        if self.status is None or FINALITY.get(status, 0) > FINALITY.get(self.status, 0):
            self.status, self.error_code = status, error_code


# Made once: to make a statement takes as long as to run it.
TABLE = Message.__table__
BY_SID = Statement(select(TABLE).where(TABLE.c.sid == bindparam("sid")))
OUTBOUND = Statement(
    select(TABLE)
    .where(TABLE.c.id == bindparam("id"), TABLE.c.direction == "outbound")
    .with_for_update()
)
REPLY = Statement(select(TABLE).where(TABLE.c.reply_to_id == bindparam("id")))
