"""The versions of questionnaires that conversations used.

A conversation stays with the version it started with, so what is asked next is read from the
database, not from the file.
"""

from datetime import datetime
from functools import lru_cache

import msgspec
from sqlalchemy import Dialect, Text, TypeDecorator, UniqueConstraint, bindparam, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.questionnaire.schema import Questionnaire
from storage.base import Base, Statement


class Definition(TypeDecorator[Questionnaire]):
    """A questionnaire as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Questionnaire | None, dialect: Dialect) -> str | None:
        return value and msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Questionnaire | None:
        return value and _decoded(value)


@lru_cache(maxsize=256)
def _decoded(definition: str) -> Questionnaire:
    return msgspec.json.decode(definition, type=Questionnaire)


class Version(Base):
    """A questionnaire as it was when a conversation first used it."""

    __tablename__ = "questionnaires"
    __table_args__ = (UniqueConstraint("name", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str]
    definition: Mapped[Questionnaire] = mapped_column(Definition())
    created_at: Mapped[datetime]

    @classmethod
    def find(cls, db: Session, name: str, questionnaire: Questionnaire, now: datetime) -> "Version":
        """The stored version that equals this one; stored now if it is used for the first time."""
        digest = questionnaire.digest
        version = cls.first(db, BY_DIGEST, name=name, digest=digest)
        if version is None:
            version = cls(name=name, digest=digest, definition=questionnaire, created_at=now)
            version.insert(db)
        return version


# Made once: to make a statement takes as long as to run it.
TABLE = Version.__table__
BY_DIGEST = Statement(
    select(TABLE).where(TABLE.c.name == bindparam("name"), TABLE.c.digest == bindparam("digest"))
)
