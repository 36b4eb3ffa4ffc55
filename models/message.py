"""The audit: every text in and out, as it was."""

from datetime import datetime
from typing import Any, Optional

from sqlalchemy import (
    CheckConstraint,
    Column,
    ColumnElement,
    ForeignKey,
    and_,
    bindparam,
    exists,
    or_,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import LITERAL_1, Base, Statement
from storage.columns import partial_index
from storage.unreadable import unreadable_rows

# What Twilio reports of a message, by how final it is. Reports arrive in any order.
FINALITY = {"accepted": 1, "queued": 2, "sending": 3, "sent": 4, "read": 6}
FINALITY |= dict.fromkeys(("delivered", "undelivered", "failed"), 5)

# What a text that could not be read is read as. One that perhaps opts out may have been an answer;
# so these are texts to a question only as far back as its failed attempts go.
NOT_READ = ("unread", "ambiguous", "perhaps_opt_out")

# The conditions of two indexes, as text: replies that did not arrive, and texts that say whether
# their senders want texts.
LOST = ("failed", "undelivered")  # of our replies: they did not arrive
DID_NOT_ARRIVE = f"status IN {LOST}"
IS_OPT_KEYWORD = "read_as IN ('stop', 'opt_out', 'perhaps_opt_out', 'start')"


class Message(Base):
    """One text. Rows are only added; an outbound one learns its sid and status later."""

    __tablename__ = "messages"
    __table_args__ = (
        CheckConstraint("direction IN ('inbound', 'outbound')", "direction"),
        partial_index("ix_messages_not_arrived", "id", where=DID_NOT_ARRIVE),
        partial_index("ix_messages_opt_keywords", "sender", "id", where=IS_OPT_KEYWORD),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int | None] = mapped_column(ForeignKey("conversations.id"), index=True)
    direction: Mapped[str]
    sid: Mapped[str | None] = mapped_column(unique=True)
    sender: Mapped[str]
    recipient: Mapped[str]
    body: Mapped[str]
    media: Mapped[str | None]  # the URLs of what came with it, with blanks between
    read_as: Mapped[str | None]  # of an inbound one: answer, unread, stop, …
    params: Mapped[str | None]
    cookie: Mapped[str | None]
    reply_to_id: Mapped[int | None] = mapped_column(ForeignKey("messages.id"), unique=True)
    status: Mapped[str | None]
    error_code: Mapped[str | None]
    status_token: Mapped[str | None]  # names a reply to Twilio; those before 0005 have none
    created_at: Mapped[datetime] = mapped_column(index=True)

    @classmethod
    def find_reported(
        cls, db: Session, id: int, token: str | None, sid: str, sender: str, recipient: str
    ) -> Optional["Message"]:
        """The reply that a report is about, or None where something disagrees with its row.

        The id alone does not name it: after a restore it is that of another reply. Locked where a
        database has such locks, because reports of one reply come together.
        """
        values = {"id": id, "token": token, "sid": sid, "sender": sender, "recipient": recipient}
        return cls.first(db, REPORTED, **values)

    @classmethod
    def find_recent_bodies(cls, db: Session, conversation_id: int, limit: int) -> list[str]:
        """What we texted last in a conversation, the newest first, as far as it can be read."""
        return _read_latest(db, BODIES, conversation_id, limit)

    @classmethod
    def find_latest_inbound(
        cls, db: Session, conversation_id: int
    ) -> tuple[str, datetime, str | None] | None:
        """The last text in a conversation, when it came, and what it was read as.

        None if that cannot be read.
        """
        leave_out = unreadable_rows(db).add
        rows = LATEST_INBOUND.fetch_readable(db, leave_out, conversation=conversation_id)
        return tuple(rows[0][1:]) if rows else None

    @classmethod
    def find_recent_readings(
        cls, db: Session, conversation_id: int, limit: int
    ) -> list[str | None]:
        """What the last texts in a conversation were read as, in the same way."""
        return _read_latest(db, READINGS, conversation_id, limit)

    @classmethod
    def find_recent_unread(cls, db: Session, conversation_id: int, limit: int) -> list[str]:
        """The last texts in a conversation that could not be read, in the same way."""
        return _read_latest(db, UNREAD, conversation_id, limit)

    def report(self, status: str, sid: str, error_code: str | None) -> None:
        """Note what became of an outbound message, unless something as final is known already."""
        self.sid = sid
        if self.status is None or FINALITY.get(status, 0) > FINALITY.get(self.status, 0):
            self.status, self.error_code = status, error_code


def _read_latest(db: Session, statement: Statement, conversation_id: int, limit: int) -> list[Any]:
    leave_out = unreadable_rows(db).add
    rows = statement.fetch_readable(db, leave_out, conversation=conversation_id, limit=limit)
    return [value for _, value in rows]


def _select_latest(
    column: Column[Any], direction: str, *conditions: ColumnElement[bool]
) -> Statement:
    is_in_conversation = TABLE.c.conversation_id == bindparam("conversation")
    return Statement(
        select(TABLE.c.id, column)
        .where(is_in_conversation, TABLE.c.direction == direction, *conditions)
        .order_by(TABLE.c.id.desc())
        .limit(bindparam("limit"))
    )


# Built once: building a statement costs as much as running it.
TABLE = Message.__table__
LATEST_INBOUND = Statement(
    select(TABLE.c.id, TABLE.c.body, TABLE.c.created_at, TABLE.c.read_as)
    .where(TABLE.c.conversation_id == bindparam("conversation"), TABLE.c.direction == "inbound")
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
BODIES = _select_latest(TABLE.c.body, "outbound")
READINGS = _select_latest(TABLE.c.read_as, "inbound")
UNREAD = _select_latest(
    TABLE.c.body, "inbound", or_(*(TABLE.c.read_as == each for each in NOT_READ))
)
NAMED = TABLE.alias()
REPORTED = Statement(
    select(TABLE)
    .where(
        TABLE.c.id == bindparam("id"),
        TABLE.c.direction == "outbound",
        TABLE.c.status_token.is_not_distinct_from(bindparam("token")),
        TABLE.c.sender == bindparam("sender"),
        TABLE.c.recipient == bindparam("recipient"),
        or_(
            TABLE.c.sid == bindparam("sid"),
            and_(TABLE.c.sid.is_(None), ~exists().where(NAMED.c.sid == bindparam("sid"))),
        ),
    )
    .with_for_update()
)
