"""The attempts to deliver results: one row for each that ended, whoever's lease it was."""

from datetime import datetime, timedelta
from typing import Self

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.delivery import Delivery
from models.failures import clean, describe
from storage.base import LITERAL_1, Base, Statement

MAX_ANSWER = 64 * 1024  # bytes of an answer, in UTF-8, that are kept
MAX_DURATION = timedelta(days=1)  # by clocks that may have been set meanwhile


class Attempt(Base):
    """How an attempt ended: delivered if it has no cause, else for one of failures.CAUSES.

    `answer` is what of the receiver's answer tells why, where somebody may have to look. It and
    `detail` are a stranger's words, and may quote what guests answered. Like all of this, they are
    erased with the result. An attempt that its worker did not survive has no row. `started_at` is
    when it was claimed.
    """

    __tablename__ = "delivery_attempts"

    id: Mapped[int] = mapped_column(primary_key=True)
    outbox_id: Mapped[int] = mapped_column(
        sa.ForeignKey("outbox.id", ondelete="CASCADE"), index=True
    )
    started_at: Mapped[datetime]
    duration_ms: Mapped[int]
    status: Mapped[int | None]
    cause: Mapped[str | None]
    detail: Mapped[str | None]
    answer: Mapped[str | None]

    @classmethod
    def ended(
        cls,
        outbox_id: int,
        started_at: datetime,
        duration: timedelta,
        status: int | None = None,
        cause: str | None = None,
        detail: str = "",
        answer: str = "",
    ) -> Self:
        """An attempt that has just ended, still without its row."""
        took = min(max(duration, timedelta(0)), MAX_DURATION)
        return cls(
            outbox_id=outbox_id,
            started_at=started_at,
            duration_ms=took // timedelta(milliseconds=1),
            status=status,
            cause=cause,
            detail=clean(detail) or None,
            answer=truncate(answer) or None,
        )

    @classmethod
    def find_all(cls, db: Session, outbox_id: int) -> list[Self]:
        """Those of a result, the first one first."""
        return cls.all(db, OF_RESULT, result=outbox_id)

    @classmethod
    def find_newest(cls, db: Session, outbox_id: int, limit: int) -> list[Self]:
        """Some of a result, the last one first."""
        return cls.all(db, NEWEST_OF_RESULT, result=outbox_id, limit=limit)

    @property
    def outcome(self) -> str:
        """`delivered`, or a sentence for the operator."""
        return describe(self.cause, self.status, self.detail) if self.cause else "delivered"

    def record(self, db: Session) -> None:
        """Write its row, unless the result was erased meanwhile.

        It has one by now if its transaction runs twice, or if a stop has recorded it as interrupted
        and it ended after all.
        """
        found = EXISTING.fetch_all(db, result=self.outbox_id, claimed_at=self.started_at)
        if not found:
            return
        ((self.id,),) = found
        if self.id is None:
            self.insert(db)
        else:
            outcome = {name: getattr(self, name) for name in OUTCOME}
            ENDED_AFTER_ALL.execute(db, this=self.id, **outcome)


def truncate(answer: str) -> str:
    """What can be stored of an answer, MAX_ANSWER bytes at most."""
    text = answer.replace("\0", "\ufffd").encode("utf-8", "replace")
    return text[:MAX_ANSWER].decode("utf-8", "ignore")


# Built once: building a statement costs as much as running it.
TABLE = Attempt.__table__
OF_RESULT = Statement(
    sa.select(TABLE).where(TABLE.c.outbox_id == sa.bindparam("result")).order_by(TABLE.c.id)
)
NEWEST_OF_RESULT = Statement(
    sa.select(TABLE)
    .where(TABLE.c.outbox_id == sa.bindparam("result"))
    .order_by(TABLE.c.id.desc())
    .limit(sa.bindparam("limit"))
)
OUTBOX = Delivery.__table__
# No two claims of a result are of the same moment.
IS_THIS = (TABLE.c.outbox_id == OUTBOX.c.id) & (TABLE.c.started_at == sa.bindparam("claimed_at"))
# A row if the result is there, with the id of the attempt if that is there, too.
EXISTING = Statement(
    sa.select(TABLE.c.id)
    .select_from(OUTBOX.outerjoin(TABLE, IS_THIS))
    .where(OUTBOX.c.id == sa.bindparam("result"))
    .limit(LITERAL_1)
)
OUTCOME = ("duration_ms", "status", "cause", "detail", "answer")
ENDED_AFTER_ALL = Statement(
    sa.update(TABLE)
    .where(TABLE.c.id == sa.bindparam("this"))
    .values({name: sa.bindparam(name) for name in OUTCOME})
)
