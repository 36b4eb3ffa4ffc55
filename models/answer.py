"""What was answered to a question."""

from datetime import datetime
from typing import Self

from sqlalchemy import ForeignKey, UniqueConstraint, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import Base, Statement


class Answer(Base):
    """What was asked, what was texted, and what that was read as; no value where it was skipped."""

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("conversation_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    key: Mapped[str]
    question: Mapped[str]
    text: Mapped[str]
    value: Mapped[str | None]
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))
    answered_at: Mapped[datetime]

    @classmethod
    def find_all(cls, db: Session, conversation_id: int) -> list[Self]:
        """The answers of a conversation.

        UnreadableRow if one of them cannot be read: without it, the conversation would be another.
        """
        return list(map(cls.from_row, OF_CONVERSATION.fetch_all(db, conversation=conversation_id)))


# Built once: building a statement costs as much as running it.
TABLE = Answer.__table__
OF_CONVERSATION = Statement(
    select(TABLE).where(TABLE.c.conversation_id == bindparam("conversation"))
)
