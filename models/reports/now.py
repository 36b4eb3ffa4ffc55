"""What the console shows: figures of what is in the database, each with a bounded cost."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import Conversation
from models.message import Message
from models.reports.context import PageContext
from storage.base import LITERAL_1, Statement

NEWEST = 10_000  # conversations that are counted: reading more would take too long
STATES = ("open", "completed", "stopped", "expired")


class Overview(NamedTuple):
    """The newest conversations, up to NEWEST, by their state; and how to begin one."""

    counts: dict[str, int]
    event: str | None  # a text that opens a questionnaire; any does if there is none
    number: str | None  # where it is to be sent, if the files say so

    @property
    def total(self) -> int:
        """How many were counted."""
        return sum(self.counts.values())

    @property
    def is_partial(self) -> bool:
        """Whether there may be more than were counted."""
        return self.total == NEWEST


def find_overview(db: Session, context: PageContext) -> Overview:
    """How many are in each state; and what opens the first questionnaire that asks something."""
    found = {state: count for _, state, count in COUNTS.fetch_all(db)}
    counts = {state: found.get(state, 0) for state in STATES}
    questionnaires = [questionnaire for _, questionnaire in context.catalog]
    with_questions = [each for each in questionnaires if each.questions]
    first = next(iter(with_questions or questionnaires), None)
    return Overview(counts, first and first.event, next(iter(first.to if first else ()), None))


def find_last_text_at(db: Session) -> datetime | None:
    """When somebody texted last."""
    found = LAST_TEXT.fetch_all(db)
    return found[0][1] if found else None


# Built once: building a statement costs as much as running it.
TABLE, MESSAGES = Conversation.__table__, Message.__table__
RECENT = (
    sa.select(TABLE.c.id, TABLE.c.state)
    .order_by(TABLE.c.id.desc())
    .limit(sa.literal_column(str(NEWEST)))
    .subquery()
)
# The first column names a row if another cannot be read.
COUNTS = Statement(
    sa.select(sa.func.max(RECENT.c.id), RECENT.c.state, sa.func.count()).group_by(RECENT.c.state)
)
LAST_TEXT = Statement(
    sa.select(MESSAGES.c.id, MESSAGES.c.created_at)
    .where(MESSAGES.c.direction == sa.literal_column("'inbound'"))
    .order_by(MESSAGES.c.id.desc())
    .limit(LITERAL_1)
)
