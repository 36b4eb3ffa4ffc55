"""Turns that are decided on beside others who write, and saved together.

To load and to decide takes longer than to save, and only saving must be serial. A draft is compared
with what it was decided from when it is saved. Where that has changed, its text is taken without
one.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.answer import Answer
from models.contact import Contact, same_phone
from models.conversation import Conversation
from models.decision import Decision
from models.draft_statements import ANSWERS, CURRENT, LOADED, LOCKED
from models.engine import respond
from models.set_aside import take
from models.text import IncomingText
from models.turn import Given, Reply, count_rows, load_state, save_all
from models.version import Version
from storage.base import split_row
from storage.database import Procedure, ignore
from storage.ids import reserve_ids
from storage.pipelines import has_row_locks, one_trip

NUL = "\0"


class Draft(NamedTuple):
    """What was decided on a text, and what from: its contact and conversation, as SQL."""

    decision: Decision
    basis: str


class Loaded(NamedTuple):
    """What a text can depend on, and the same as SQL."""

    basis: str
    needs_more: bool  # than what follows
    contact: Contact  # like the next two, with None in all columns where there is none
    newest: Conversation
    version: Version
    answers: Sequence[Answer]


def draft_all(db: Session, given: Sequence[Given]) -> list[Draft | None]:
    """Decide on the first text of each phone; the others depend on that one.

    None for a text that depends on more than its contact and conversation, or on what cannot be
    read. UnreadableRow if that is an answer, or an error of the database.
    """
    first: dict[str, int] = {}
    for n, each in enumerate(given):
        if NUL not in each.text.sender:  # which PostgreSQL has in no JSON
            first.setdefault(same_phone(each.text.sender)[0], n)
    loaded = _load_all(db, {n: given[n].text for n in first.values()})
    return [_draft(db, each, loaded.get(n)) for n, each in enumerate(given)]


def _load_all(db: Session, texts: Mapping[int, IncomingText]) -> dict[int, Loaded]:
    """By the same numbers; without those of which a row cannot be read."""
    keys = _to_json({n: _key(text) for n, text in texts.items()})
    with one_trip(db):
        fetch_rows, fetch_answers = LOADED.send(db, texts=keys), ANSWERS.send(db, texts=keys)
    rows = fetch_rows(ignore)
    answers: dict[int | None, list[Answer]] = defaultdict(list)
    for row in fetch_answers():
        answer = Answer.from_row(row)
        answers[answer.conversation_id].append(answer)
    loaded = {}
    for n, basis, needs_more, *row in rows:
        contact, newest, version = split_row(row, Contact, Conversation, Version)
        related = (contact, newest, version, answers[newest.id])
        loaded[int(n)] = Loaded(basis, needs_more, *related)
    return loaded


def _draft(db: Session, given: Given, loaded: Loaded | None) -> Draft | None:
    if loaded is None or loaded.needs_more:
        return None
    basis, _, contact, newest, version, answers = loaded
    text = given.text
    if contact.id is None:
        contact = Contact(phone=text.sender)
    if text.external_id not in (None, contact.alias):
        return None
    try:
        state = load_state(db, given, contact, newest, version, answers)
        return None if state.typed.keyword else Draft(respond(state, text, given.now), basis)
    except (SQLAlchemyError, OSError):
        raise
    except Exception:  # the transaction meets it again, and sets the text aside
        return None


def save_drafts(db: Session, drafted: Sequence[tuple[Given, Draft]]) -> list[Reply | None]:
    """Save the drafts that still hold, together; None for each of the others."""
    current = _find_current(db, drafted)
    replies = save_all(db, [drafted[n][1].decision for n in current])
    saved = dict(zip(current, replies, strict=True))
    return [saved.get(n) for n in range(len(drafted))]


def _find_current(db: Session, drafted: Sequence[tuple[Given, Draft]]) -> list[int]:
    """The numbers of drafts of which nothing has changed.

    Where a database has locks of rows, those of the contacts are held from now on; texts whose
    contact is locked by others are left out.
    """
    keys = {n: [*_key(given.text), draft.basis] for n, (given, draft) in enumerate(drafted)}
    texts = _to_json(keys)
    fetch_locked = LOCKED.send(db, texts=texts) if has_row_locks(db) else None
    fetch_current = CURRENT.send(db, texts=texts)
    reserve_ids(db, count_rows([draft.decision for _, draft in drafted]))
    current = {int(n) for (n,) in fetch_current()}
    if fetch_locked:
        new = {n for n, (_, draft) in enumerate(drafted) if draft.decision.contact.id is None}
        current &= new | {int(n) for (n,) in fetch_locked()}
    return sorted(current)


def _key(text: IncomingText) -> list[Any]:
    return [text.sid, text.number, text.sender, *same_phone(text.sender)]


def _to_json(texts: Mapping[int, Sequence[Any]]) -> str:
    return msgspec.json.encode(texts).decode()


TURNS = Procedure(draft_all, save_drafts, take)
