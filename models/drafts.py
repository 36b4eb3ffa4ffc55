"""Turns that are decided on beside others who write, and saved together.

To load and to decide takes longer than to save, and only saving must be serial. A draft is compared
with what it was decided from when it is saved. Where that has changed, its text is decided on anew,
in the transaction. Only SQLite has drafts made: there, writers wait for each other.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Integer, bindparam, func, literal_column, select
from sqlalchemy.orm import Session

from models.answer import Answer
from models.contact import Contact, same_phone
from models.conversation import Conversation
from models.decision import Decision
from models.engine import respond
from models.message import Message
from models.set_aside import take
from models.text import IncomingText
from models.turn import Given, Reply, load_state, save_all
from models.version import Version
from storage.base import Statement, split_row
from storage.database import Procedure, ignore


class Draft(NamedTuple):
    """What was decided on a text, and what from: its contact and conversation, as SQL."""

    decision: Decision
    basis: str


class Loaded(NamedTuple):
    """What a text can depend on, and the same as SQL."""

    basis: str
    recorded_id: int | None
    contact: Contact  # like the next two, with None in all columns where there is none
    newest: Conversation
    version: Version
    answers: Sequence[Answer]


def draft_all(db: Session, given: Sequence[Given]) -> list[Draft | None]:
    """Decide on the first text of each phone; the others depend on that one.

    None for a text that depends on more than its contact and conversation, or on what cannot be
    read. UnreadableRow if that is an answer.
    """
    first: dict[str, int] = {}
    for n, each in enumerate(given):
        first.setdefault(same_phone(each.text.sender)[0], n)
    loaded = _load_all(db, {n: given[n].text for n in first.values()})
    return [_draft(db, each, loaded.get(n)) for n, each in enumerate(given)]


def _load_all(db: Session, texts: Mapping[int, IncomingText]) -> dict[int, Loaded]:
    """By the same numbers; without those of which a row cannot be read."""
    numbers = list(texts)
    keys = _to_json([_key(text) for text in texts.values()])
    rows = LOADED.fetch_readable(db, ignore, texts=keys)
    answers: dict[int | None, list[Answer]] = defaultdict(list)
    for row in ANSWERS.fetch_all(db, ids=_to_json([row[NEWEST_COLUMN] for row in rows])):
        answer = Answer.from_row(row)
        answers[answer.conversation_id].append(answer)
    loaded = {}
    for n, basis, recorded_id, *row in rows:
        contact, newest, version = split_row(row, Contact, Conversation, Version)
        related = (contact, newest, version, answers[newest.id])
        loaded[numbers[n]] = Loaded(basis, recorded_id, *related)
    return loaded


def _draft(db: Session, given: Given, loaded: Loaded | None) -> Draft | None:
    if loaded is None or loaded.recorded_id:
        return None
    basis, _, contact, newest, version, answers = loaded
    text = given.text
    if contact.id is None:
        contact = Contact(phone=text.sender)
    if text.external_id not in (None, contact.alias) or _has_other_addresses(db, contact):
        return None
    try:
        state = load_state(db, given, contact, newest, version, answers)
        return None if state.typed.keyword else Draft(respond(state, text, given.now), basis)
    except Exception:  # the transaction meets it again, and sets the text aside
        return None


def take_all(db: Session, items: Sequence[tuple[Given, Draft | None]]) -> list[Reply]:
    """Save the drafts that still hold together, and take the other texts one after the other."""
    current = _find_current(db, {n: item for n, item in enumerate(items) if item[1]})
    replies = dict(zip(current, save_all(db, [items[n][1].decision for n in current]), strict=True))
    for n, (given, _) in enumerate(items):
        if n not in replies:
            replies[n] = take(db, given)
    return [replies[n] for n in range(len(items))]


def _find_current(db: Session, drafted: Mapping[int, tuple[Given, Draft]]) -> list[int]:
    """The numbers of drafts of which nothing has changed."""
    if not drafted:
        return []
    numbers = list(drafted)
    keys = [[*_key(given.text), draft.basis] for given, draft in drafted.values()]
    ((found,),) = CURRENT.fetch_all(db, texts=_to_json(keys))
    current = [numbers[n] for n in msgspec.json.decode(found)]
    return [n for n in current if not _has_other_addresses(db, drafted[n][1].decision.contact)]


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
INDEX = literal_column("text.key", Integer)  # not a column of a row that can be named


def _part(n: int) -> ColumnElement[Any]:
    return func.json_extract(TEXT.c.value, literal_column(f"'$[{n}]'"))


SID, NUMBER, SENDER, BASIS_THEN = map(_part, range(4))
PAIR = CONVERSATION.alias()
NEWEST_ID = select(func.max(PAIR.c.id)).where(PAIR.c.sender == SENDER, PAIR.c.number == NUMBER)
RECORDED_ID = select(MESSAGE.c.id).where(MESSAGE.c.sid == SID).scalar_subquery()
LATEST_ID = select(func.max(MESSAGE.c.id)).where(MESSAGE.c.conversation_id == CONVERSATION.c.id)
ANSWER = Answer.__table__


def _quote(*values: ColumnElement[Any]) -> ColumnElement[str]:
    quoted = map(func.quote, values)
    return reduce(lambda before, value: before.concat(literal_column("','")).concat(value), quoted)


ALL_ANSWERS = select(func.group_concat(_quote(*ANSWER.c))).where(
    ANSWER.c.conversation_id == CONVERSATION.c.id
)
BASIS = _quote(
    RECORDED_ID,
    LATEST_ID.scalar_subquery(),
    ALL_ANSWERS.scalar_subquery(),
    *CONTACT.c,
    *CONVERSATION.c,
)
JOINED = TEXT.outerjoin(CONTACT, CONTACT.c.phone == SENDER).outerjoin(
    CONVERSATION, CONVERSATION.c.id == NEWEST_ID.scalar_subquery()
)
LOADED = Statement(
    select(
        INDEX,
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
    select(func.json_group_array(INDEX)).select_from(JOINED).where(BASIS == BASIS_THEN)
)
ID = func.json_each(bindparam("ids")).table_valued("value", name="conversation")
ANSWERS = Statement(
    select(ANSWER).select_from(ID.join(ANSWER, ANSWER.c.conversation_id == ID.c.value))
)
NEWEST_COLUMN = 3 + len(CONTACT.c)  # of the id of the newest conversation
