"""What was answered to a question."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from storage.base import Base


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
