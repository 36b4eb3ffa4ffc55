"""Who operators are, and what they did: rows that are only added."""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from storage.base import Base, Statement
from storage.database import ignore

LOOK, DO = "look", "do"  # the roles: who looks may change nothing but their own session
IS_ROLE = "role IN ('look', 'do')"
LASTING_IDS = {"sqlite_autoincrement": True}  # actions refer to rows that were deleted
JUST = timedelta(minutes=1)
PARTS = {"partly": "retry all"}  # what is said of a part, and the act that may need several
AT_ONCE = 20  # acts of all operators, the newest, among which those of JUST now are
MAX_NAME = 200  # characters


class Operator(NamedTuple):
    """Whoever asks or acts: by a session, by the name that a proxy gave, or by a command.

    The name of a session is how it was signed in, if its link was for nobody in particular.
    """

    name: str
    role: str = DO
    session_id: int | None = None

    @property
    def may_act(self) -> bool:
        """Whether they may do more than look."""
        return self.role == DO


def is_name(name: str) -> bool:
    """Whether it can be the name of an operator."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and not name.isspace()


COMMAND_LINE = Operator("command line")


class OperatorAction(Base):
    """One act of an operator. The database refuses to change, replace or delete it.

    `details` names no guest and quotes nobody: whoever is erased must not be left here.
    """

    __tablename__ = "operator_actions"
    __table_args__ = (sa.CheckConstraint("id > 0", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    acted_at: Mapped[datetime]
    operator: Mapped[str]
    session_id: Mapped[int | None]  # of a session that may be over
    action: Mapped[str]
    table_name: Mapped[str | None]
    row_id: Mapped[int | None]
    details: Mapped[str | None]

    @classmethod
    def record(
        cls,
        db: Session,
        now: datetime,
        operator: Operator,
        action: str,
        row: Base | None = None,
        details: str | None = None,
    ) -> None:
        """Write what an operator does to a row, in the transaction that does it."""
        cls(
            acted_at=now,
            operator=operator.name,
            session_id=operator.session_id,
            action=action,
            table_name=row and row.__tablename__,
            row_id=row and row.id,
            details=details,
        ).insert(db)

    @classmethod
    def was_just_done(
        cls, db: Session, operator: Operator, done: str, row_id: int | None, now: datetime
    ) -> bool:
        """Whether an operator has just done this, to a row with this id if one is given.

        In an address an action has hyphens, like "mark-test".
        """
        wanted = (operator.name, operator.session_id, PARTS.get(done, done.replace("-", " ")))
        return any(
            (name, session, action) == wanted and now - JUST <= at <= now and row_id in (None, row)
            for _, at, name, session, action, row in NEWEST.fetch_readable(db, ignore)
        )


# Built once: building a statement costs as much as running it.
TABLE = OperatorAction.__table__
NEWEST = Statement(
    sa.select(
        *(
            TABLE.c[name]
            for name in ("id", "acted_at", "operator", "session_id", "action", "row_id")
        )
    )
    .order_by(TABLE.c.id.desc())
    .limit(sa.literal_column(str(AT_ONCE)))
)
