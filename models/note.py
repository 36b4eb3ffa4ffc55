"""What operators note on a person: table contact_notes."""

from datetime import datetime
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.console.action import Operator
from storage.base import Base, Statement

MAX_LENGTH = 2000  # characters


class Note(Base):
    """The note on somebody, and who wrote it last. It is deleted with their contact."""

    __tablename__ = "contact_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    contact_id: Mapped[int] = mapped_column(
        sa.ForeignKey("contacts.id", ondelete="CASCADE"), unique=True
    )
    text: Mapped[str]
    written_by: Mapped[str]
    written_at: Mapped[datetime]

    @classmethod
    def find(cls, db: Session, contact_id: int) -> Self | None:
        """The note on the person with this contact; None if there is none that can be read."""
        return next(iter(cls.all(db, OF_CONTACT, contact=contact_id)), None)

    @classmethod
    def write(
        cls, db: Session, contact_id: int, text: str, operator: Operator, now: datetime
    ) -> None:
        """Put this in the place of what was noted; "" removes it."""
        DELETE.execute(db, contact=contact_id)
        if text:
            values = {"text": text, "written_by": operator.name, "written_at": now}
            cls(contact_id=contact_id, **values).insert(db)


# Built once: building a statement costs as much as running it.
TABLE = Note.__table__
IS_OF = TABLE.c.contact_id == sa.bindparam("contact")
OF_CONTACT = Statement(sa.select(TABLE).where(IS_OF))
DELETE = Statement(sa.delete(TABLE).where(IS_OF))
