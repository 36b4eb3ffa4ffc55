"""The versions of questionnaires that conversations used.

A conversation stays with the version it started with, so what is asked next is read from the
database, not from the file.
"""

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any, Self

import msgspec
from sqlalchemy import Dialect, Text, TypeDecorator, UniqueConstraint, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.questionnaire.schema import Questionnaire, StoredQuestionnaire
from storage.base import Base, Statement
from storage.unreadable import UnreadableRow


class Definition(TypeDecorator[Questionnaire]):
    """A questionnaire as JSON text."""

    impl = Text
    cache_ok = True
    is_no = "questionnaire"  # what a cell is not that cannot be read

    def process_bind_param(self, value: Questionnaire | None, dialect: Dialect) -> str | None:
        return value and msgspec.json.encode(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return _decode


@lru_cache(maxsize=256)
def _decode(definition: str | None) -> Questionnaire | None:
    """Kept, because decoding takes as long as a turn."""
    return None if definition is None else msgspec.json.decode(definition, type=StoredQuestionnaire)


class Version(Base):
    """A questionnaire as it was when a conversation first used it."""

    __tablename__ = "questionnaires"
    # On SQLite, conversations may refer to an id that was deleted.
    __table_args__ = (UniqueConstraint("name", "digest"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str]
    definition: Mapped[Questionnaire] = mapped_column(Definition())
    created_at: Mapped[datetime]

    @classmethod
    def of(cls, name: str, questionnaire: Questionnaire, now: datetime) -> Self:
        """The version that this questionnaire would be, if it is used for the first time now."""
        return cls(name=name, digest=questionnaire.digest, definition=questionnaire, created_at=now)

    def save_once(self, db: Session) -> int:
        """The id of the stored version that equals this one, which is stored if there is none.

        One that cannot be read is repaired: its digest tells what it was.
        """
        if self.id is None:
            try:
                stored = self.first(db, BY_DIGEST, name=self.name, digest=self.digest)
            except UnreadableRow as error:
                self.id = error.id
                self.stored = dict.fromkeys(self.column_names) | {"id": self.id}
                self.update(db)
                return self.id
            if stored is None:
                self.insert(db)
            self.id = (stored or self).id
        return self.id


# Built once: building a statement costs as much as running it.
TABLE = Version.__table__
BY_DIGEST = Statement(
    select(TABLE).where(TABLE.c.name == bindparam("name"), TABLE.c.digest == bindparam("digest"))
)
