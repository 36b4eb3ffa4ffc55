"""Figures for `/metrics`, each of which takes no longer when there are millions of rows."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import Conversation
from models.marked_test import is_no_test
from models.undelivered import MAX_COUNT, Undelivered
from storage.base import Statement

NEWEST = 10_000  # conversations that are counted
STATES = ("open", "completed", "stopped", "expired")


class Figures(NamedTuple):
    """What the database knows of conversations and results, by state."""

    conversations: dict[str, int]  # the newest, up to `limit`
    outbox: dict[str, int]  # not delivered, each up to one more than `outbox_limit`
    oldest_pending_seconds: int | None
    limit: int = NEWEST
    outbox_limit: int = MAX_COUNT


def find_figures(db: Session, now: datetime) -> Figures:
    """All of them, as of now."""
    undelivered = Undelivered.find(db, now)
    found = dict(COUNTS.fetch_all(db))
    names = ("pending", "failed", "unconfirmed")
    outbox = {name: getattr(undelivered, name) for name in names}
    conversations = {state: found.get(state, 0) for state in STATES}
    return Figures(conversations, outbox, undelivered.oldest_seconds)


# Built once: building a statement costs as much as running it.
TABLE = Conversation.__table__
RECENT = (
    sa.select(TABLE.c.id, TABLE.c.state)
    .where(is_no_test(TABLE.c.id))
    .order_by(TABLE.c.id.desc())
    .limit(sa.literal_column(str(NEWEST)))
    .subquery()
)
# The state without its type: of a group, no row could be named.
STATE = sa.type_coerce(RECENT.c.state, sa.types.NullType())
COUNTS = Statement(sa.select(STATE, sa.func.count()).group_by(STATE))
