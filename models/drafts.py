"""Turns that are decided on beside others who write, and saved together.

To load and to decide takes longer than to save, and only saving must be serial. A draft is compared
with what it was decided from when it is saved. Where that has changed, its text is decided on anew,
in the transaction. Only SQLite has drafts made: there, writers wait for each other.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    func,
    literal_column,
    select,
)
from sqlalchemy.orm import Session

from models.answer import Answer
from models.contact import Contact
from models.conversation import Conversation
from models.decision import Decision
from models.engine import respond
from models.message import Message
from models.set_aside import take
from models.text import IncomingText
from models.turn import Given, Reply, load_state, save_all
from models.version import Version
from storage.base import Statement, split_row
from storage.database import Procedure


class Draft(NamedTuple):
    """What was decided on a text, and what from: its contact and conversation, as SQL."""

    decision: Decision
    basis: str


class Loaded(NamedTuple):
    """What LOADED finds for a text."""

    basis: str
    recorded_id: int | None
    contact: Contact
    newest: Conversation
    version: Version


def draft_all(db: Session, given: Sequence[Given]) -> list[Draft | None]:
    """Decide on each text; None for one that depends on more than its contact and conversation.

    UnreadableRow if a row of one of them cannot be read.
    """
    rows = LOADED.fetch_all(db, texts=_to_json([_key(each.text) for each in given]))
    found = ANSWERS.fetch_all(db, ids=_to_json([row[NEWEST_PLACE] for row in rows]))
    loaded = {
        n: Loaded(basis, recorded_id, *split_row(row, Contact, Conversation, Version))
        for n, basis, recorded_id, *row in rows
    }
    answers: dict[int, list[Answer]] = {}
    for answer in map(Answer.from_row, found):
        answers.setdefault(answer.conversation_id, []).append(answer)
    return [_draft(db, each, loaded[n], answers) for n, each in enumerate(given)]


def _draft(
    db: Session, given: Given, loaded: Loaded, answers: Mapping[int, list[Answer]]
) -> Draft | None:
    basis, recorded_id, contact, newest, version = loaded
    text = given.text
    if contact.id is None:
        contact = Contact(phone=text.sender)
    if recorded_id or text.external_id not in (None, contact.alias):
        return None
    if _has_other_addresses(db, contact):
        return None
    try:
        state = load_state(db, given, contact, newest, version, answers.get(newest.id, ()))
        return None if state.typed.keyword else Draft(respond(state, text, given.now), basis)
    except Exception:  # the transaction meets it again, and sets the text aside
        return None


def take_all(db: Session, items: Sequence[tuple[Given, Draft | None]]) -> list[Reply]:
    """Save the drafts that still hold together, and take the other texts one after the other."""
    current = _find_current(db, items)
    replies = dict(zip(current, save_all(db, [items[n][1].decision for n in current]), strict=True))
    for n, (given, _) in enumerate(items):
        if n not in replies:
            replies[n] = take(db, *given)
    return [replies[n] for n in range(len(items))]


def _find_current(db: Session, items: Sequence[tuple[Given, Draft | None]]) -> list[int]:
    """The places of drafts of which nothing has changed, one for each phone."""
    first: dict[str, int] = {}
    for n, (given, draft) in enumerate(items):
        if draft:
            first.setdefault(given.text.sender.rpartition(":")[2], n)
    if not first:
        return []
    places = list(first.values())
    keys = [[*_key(items[n][0].text), items[n][1].basis] for n in places]
    ((current,),) = CURRENT.fetch_all(db, texts=_to_json(keys))
    current = [places[n] for n in msgspec.json.decode(current)]
    return [n for n in current if not _has_other_addresses(db, items[n][1].decision.contact)]


def _has_other_addresses(db: Session, contact: Contact) -> bool:
    """Whether somebody new has texted from another address of the same phone."""
    return contact.id is None and Contact.has_relatives(db, [contact.phone])


def _key(text: IncomingText) -> list[Any]:
    return [text.sid, text.number, text.sender]


def _to_json(values: Sequence[Any]) -> str:
    return msgspec.json.encode(values).decode()


TURNS = Procedure(draft_all, take_all)

# Built once: building a statement costs as much as running it.
CONTACT, CONVERSATION, MESSAGE = (each.__table__ for each in (Contact, Conversation, Message))
TEXT = func.json_each(bindparam("texts")).table_valued("key", "value", name="text")
PLACE = literal_column("text.key", Integer)  # not a column of a row that can be named


def _part(n: int) -> ColumnElement[Any]:
    return func.json_extract(TEXT.c.value, literal_column(f"'$[{n}]'"))


SID, NUMBER, SENDER, BASIS_THEN = map(_part, range(4))
PAIR = CONVERSATION.alias()
NEWEST_ID = select(func.max(PAIR.c.id)).where(PAIR.c.sender == SENDER, PAIR.c.number == NUMBER)
RECORDED_ID = select(MESSAGE.c.id).where(MESSAGE.c.sid == SID).scalar_subquery()
LATEST_ID = select(func.max(MESSAGE.c.id)).where(MESSAGE.c.conversation_id == CONVERSATION.c.id)
BASIS = reduce(
    lambda basis, value: basis.concat(literal_column("','")).concat(func.quote(value)),
    (LATEST_ID.scalar_subquery(), *CONTACT.c, *CONVERSATION.c),
    func.quote(RECORDED_ID),
)
JOINED = TEXT.outerjoin(CONTACT, CONTACT.c.phone == SENDER).outerjoin(
    CONVERSATION, CONVERSATION.c.id == NEWEST_ID.scalar_subquery()
)
LOADED = Statement(
    select(
        PLACE,
        BASIS,
        RECORDED_ID,
        CONTACT,
        CONVERSATION,
        Version.__table__,
    ).select_from(
        JOINED.outerjoin(
            Version.__table__, Version.__table__.c.id == CONVERSATION.c.questionnaire_id
        )
    )
)
CURRENT = Statement(
    select(func.json_group_array(PLACE)).select_from(JOINED).where(BASIS == BASIS_THEN)
)
ID = func.json_each(bindparam("ids")).table_valued("value", name="conversation")
ANSWERS = Statement(
    select(Answer.__table__).select_from(
        ID.join(Answer.__table__, Answer.__table__.c.conversation_id == ID.c.value)
    )
)
NEWEST_PLACE = 3 + len(CONTACT.c)  # of the id of the newest conversation
