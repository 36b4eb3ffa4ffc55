"""What became of conversations, and why some stopped: in one definition for figures and lists."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import Conversation
from models.export import find_versions
from models.message import LOST, Message
from models.payload import is_unread
from models.questionnaire.schema import Questionnaire
from models.version import Version

# What became of a conversation. `asleep` and `expired` are `expired` in the database, `given_up`
# and `stopped` are `stopped`.
OUTCOMES = {
    "open": "open now",
    "asleep": "gone silent, may come back",  # gone silent, and a text still takes it up
    "completed": "completed",
    "stopped": "stopped",
    "given_up": "given up",
    "expired": "gone silent for good",
}
# Why one ended before all was answered.
CAUSES = {
    "silent": "silent",
    "stop": "stopped",
    "unread": "could not be read",
    "undelivered": "never got our question",
}

Condition = sa.ColumnElement[bool]
Versions = Mapping[int, Questionnaire]


def find_definitions(db: Session, name: str) -> dict[int, Questionnaire]:
    """The versions of a questionnaire by id, the newest first, as far as they can be read."""
    return {version.id: version.definition for version in find_versions(db, name)}


def is_of(questionnaire: str, conversations: sa.FromClause | None = None) -> Condition:
    """That a conversation is one with any version of it."""
    table = TABLE if conversations is None else conversations
    return table.c.questionnaire_id.in_(versions_of(questionnaire))


def versions_of(questionnaire: str) -> sa.Select[tuple[int]]:
    """The ids of its versions."""
    return sa.select(VERSIONS.c.id).where(VERSIONS.c.name == questionnaire)


def find_outcome(versions: Versions, now: datetime) -> sa.ColumnElement[str]:
    """What became of a conversation: one of OUTCOMES."""
    is_given_up = sa.and_(TABLE.c.state == "stopped", TABLE.c.failed_attempts > 0)
    return sa.case(
        (_is_asleep(versions, now), "asleep"), (is_given_up, "given_up"), else_=TABLE.c.state
    )


def _is_asleep(versions: Versions, now: datetime) -> Condition:
    """As `Conversation.can_resume` says, of the newest that its sender has with the number."""
    windows: dict[timedelta, list[int]] = defaultdict(list)
    for id, questionnaire in versions.items():
        windows[questionnaire.resume_window].append(id)
    can_resume = [
        sa.and_(TABLE.c.questionnaire_id.in_(ids), TABLE.c.expires_at > now - window)
        for window, ids in windows.items()
        if window
    ]
    waits = sa.and_(TABLE.c.state == "expired", TABLE.c.current_key.is_not(None))
    return sa.and_(waits, TABLE.c.expires_at <= now, sa.or_(sa.false(), *can_resume), ~HAS_NEWER)


def was_unread(versions: Versions, version: int, text: object, question: object) -> bool:
    """Whether an answer without a value could not be read; else the guest skipped the question.

    Of a version that cannot be read, any text counts as one.
    """
    if not (isinstance(text, str) and isinstance(question, str) and text):
        return False
    definition = versions.get(version)
    return definition is None or is_unread(definition, text, question)


def is_lost(status: sa.ColumnElement[str]) -> Condition:
    """That a text of ours did not arrive."""
    return status.in_(LOST)


# Built once: building a statement costs as much as running it.
TABLE, MESSAGES, VERSIONS = Conversation.__table__, Message.__table__, Version.__table__
NEWER = TABLE.alias()
HAS_NEWER = (
    sa.exists(NEWER.c.id)
    .where(NEWER.c.sender == TABLE.c.sender, NEWER.c.number == TABLE.c.number)
    .where(NEWER.c.id > TABLE.c.id)
    .correlate_except(NEWER)
)
LAST_STATUS = (
    sa.select(MESSAGES.c.status)
    .where(MESSAGES.c.conversation_id == TABLE.c.id, MESSAGES.c.direction == "outbound")
    .order_by(MESSAGES.c.id.desc())
    .limit(1)
    .correlate(TABLE)
    .scalar_subquery()
)
HAS_STOPPED, HAS_EXPIRED = TABLE.c.state == "stopped", TABLE.c.state == "expired"
# Whoever texts STOP has got something of ours, so there only silence is looked into further.
CAUSE = sa.case(
    (sa.and_(HAS_STOPPED, TABLE.c.failed_attempts > 0), "unread"),
    (HAS_STOPPED, "stop"),
    (sa.and_(HAS_EXPIRED, is_lost(LAST_STATUS)), "undelivered"),
    (sa.and_(HAS_EXPIRED, TABLE.c.failed_attempts > 0), "unread"),
    (HAS_EXPIRED, "silent"),
)
