"""Conversations that are silent: finding them, and ending them."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.causes import note_error
from models.contact import Contact
from models.conversation import IS_OPEN, Conversation
from storage.base import Statement

MAX_SILENCE = timedelta(days=10**5)  # that no questionnaire reaches; only operators write more


class Position(NamedTuple):
    """Where a conversation stands in the order in which they expire."""

    time: Any  # as the database holds it: whoever edits a row may have written anything
    id: int


class Silent(NamedTuple):
    """A conversation that is silent."""

    position: Position
    sender: Any


class Ended(NamedTuple):
    """What became of a page of silent conversations."""

    count: int  # that were ended
    seen: int  # that were looked at
    after: Position | None  # where to go on, past those that were not ended


def end_silent(db: Session, now: datetime, limit: int, after: Position | None = None) -> Ended:
    """End conversations that are silent, `limit` at most, each by itself.

    One that cannot be read, or not be ended, keeps no other from its end.
    """
    silent = find_silent(db, now, limit, after)
    ended = [_end_one(db, now, each) for each in silent]
    return Ended(sum(ended), len(ended), after if all(ended) else silent[-1].position)


def _end_one(db: Session, now: datetime, silent: Silent) -> bool:
    """Whether it was ended: not if that is impossible, or if its sender is texting just now."""
    is_locked = Contact.try_lock(db, silent.sender)
    conversation = Conversation.find_readable(db, silent.position.id)
    if not (is_locked and conversation and conversation.is_silent(now)):
        return False
    try:
        result = conversation.expire(now)
    except Exception as error:
        note_error(db, error, conversation)
        return False
    conversation.update(db)
    if result:
        result.insert(db)
    return True


def is_any_silent(db: Session, now: datetime, after: Position | None = None) -> bool:
    """Whether `find_silent` would find one."""
    return bool(find_silent(db, now, 1, after))


def find_silent(
    db: Session, now: datetime, limit: int, after: Position | None = None
) -> list[Silent]:
    """Those that nobody texted for too long, in the order of their positions."""
    values = {"now": now, "limit": limit}
    if after:
        values |= {"time": after.time, "id": after.id}
    statement = SILENT_AFTER if after else SILENT
    rows = statement.fetch_all(db, **values)
    return [Silent(Position(time, id), sender) for id, sender, time in rows]


def check_distant(db: Session, now: datetime, limit: int) -> None:
    """Note those whose time cannot be read and sorts behind all times.

    `find_silent` would never meet them.
    """
    for (id,) in DISTANT_IDS.fetch_all(db, furthest=now + MAX_SILENCE, limit=limit):
        Conversation.find_readable(db, id)


# Built once: building a statement costs as much as running it.
TABLE = Conversation.__table__
# As the database holds them, for what cannot be read must have its turn, too.
RAW_SENDER = sa.type_coerce(TABLE.c.sender, NULLTYPE)
RAW_TIME = sa.type_coerce(TABLE.c.expires_at, NULLTYPE)
FIRST_SILENT = (
    sa.select(TABLE.c.id, RAW_SENDER, RAW_TIME)
    .where(sa.text(IS_OPEN), TABLE.c.expires_at <= sa.bindparam("now"))
    .order_by(TABLE.c.expires_at, TABLE.c.id)
    .limit(sa.bindparam("limit"))
)
SILENT = Statement(FIRST_SILENT)
SILENT_AFTER = Statement(
    FIRST_SILENT.where(
        sa.tuple_(RAW_TIME, TABLE.c.id)
        > sa.tuple_(sa.bindparam("time", type_=NULLTYPE), sa.bindparam("id"))
    )
)
DISTANT_IDS = Statement(
    sa.select(TABLE.c.id)
    .where(sa.text(IS_OPEN), TABLE.c.expires_at > sa.bindparam("furthest"))
    .order_by(TABLE.c.expires_at.desc())
    .limit(sa.bindparam("limit"))
)
