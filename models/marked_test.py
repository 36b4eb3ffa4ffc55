"""Which conversations are tests, and how every figure leaves these out."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import Base, Statement


class MarkedTest(Base):
    """A conversation that an operator has marked as a test. It goes on like any other."""

    __tablename__ = "test_conversations"

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(
        sa.ForeignKey("conversations.id", ondelete="CASCADE"), unique=True
    )
    marked_at: Mapped[datetime]

    @classmethod
    def is_marked(cls, db: Session, conversation_id: int) -> bool:
        """Whether a conversation is a test."""
        return bool(IDS.fetch_all(db, conversation=conversation_id))

    @classmethod
    def delete(cls, db: Session, conversation_id: int) -> None:
        """Take the mark of a conversation away."""
        DELETE.execute(db, conversation=conversation_id)


def is_no_test(conversation_id: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """That a row belongs to no test: each statement that counts what guests did has this.

    It looks the mark up row by row, so what walks an index in its order still does.
    """
    marks = TABLE.alias()
    of_this = sa.exists(marks.c.id).where(marks.c.conversation_id == conversation_id)
    return ~of_this.correlate_except(marks)


# Built once: building a statement costs as much as running it.
TABLE = MarkedTest.__table__
IS_OF = TABLE.c.conversation_id == sa.bindparam("conversation")
IDS = Statement(sa.select(TABLE.c.id).where(IS_OF))
DELETE = Statement(sa.delete(TABLE).where(IS_OF))
