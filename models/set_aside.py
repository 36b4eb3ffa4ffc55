"""Taking a text, also one that cannot be decided on: because of a row, or of a mistake of ours.

Such a text is recorded, and its conversation stays as it is: when the row is mended, the next text
goes on with it. A STOP counts nonetheless.
"""

from contextlib import suppress
from datetime import datetime
from functools import partial

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from models.causes import note_error
from models.contact import Contact
from models.conversation import Conversation
from models.decision import Decision, State
from models.engine import respond
from models.message import Message
from models.non_answers import OPT_OUTS, Typed, examine, find_opt_keyword
from models.questionnaire.catalog import Catalog
from models.text import IncomingText
from models.turn import NEWEST_ID, Given, Reply, find_recorded, load, load_what_few_need, save
from storage import Database, is_deterministic
from storage.base import Statement
from storage.unreadable import UnreadableRow, unreadable_rows

SET_ASIDE = "set aside"  # what such a text was read as
SORRY = "Thank you. We have your text, but cannot answer it just now. Please text again later."
MAX_SORRY = 3  # times in a row, so that machines fall silent


def take(db: Session, given: Given) -> Reply:
    """Load, decide, save. What is recorded already goes out again, and changes nothing.

    A text is set aside if a row that it depends on cannot be read, or if deciding fails.
    """
    try:
        state = load(db, given)
        if isinstance(state, Reply):
            return state
        decision = respond(state, given.text, given.now)
    except (SQLAlchemyError, OSError):
        raise
    except Exception as error:
        return set_aside(db, given, error=error)
    return save(db, decision)


def set_aside(db: Session, given: Given, error: Exception) -> Reply:
    """Record a text that met this error; what is recorded already goes out again.

    If a row cannot be read and the conversation is over, the text may open another.
    """
    text, now, catalog, people = given
    if recorded := find_recorded(db, text.sid):
        return recorded
    name = people.name_of(text.sender)
    contact = _find_contact(db, text, name)
    newest = NEWEST.fetch_all(db, sender=contact.phone, number=text.number)
    id, is_open = newest[0] if newest else (None, False)
    _note(db, error, id)
    typed = _examine(text, catalog)
    bare = State(contact, typed, None, None, name, catalog.languages)
    if contact.is_unreadable and typed.keyword in OPT_OUTS:
        contact.opt_out(now)
        Contact.save_all(db, [contact])  # so that the conversations which it ends can be read
    states = [bare._replace(stoppable=())]
    if isinstance(error, UnreadableRow):
        more = load_what_few_need(db, text, bare)
        if not is_open:
            more["opening"] = catalog.opens(text.body, text.number)
        states.insert(0, states[0]._replace(**more))
    decision = _respond(states, text, now)
    if decision.conversation is None:
        decision.unreadable_id = id
        _say_sorry(db, decision)
    return save(db, decision)


def _examine(text: IncomingText, catalog: Catalog) -> Typed:
    """Look at a text; only for what it says about our texts, if the rest is what fails."""
    try:
        return examine(text, catalog.languages, catalog.stop_words)
    except Exception:  # the first error is logged
        return Typed(text, find_opt_keyword(text, catalog.languages, catalog.stop_words))


def record_only(db: Session, given: Given, error: Exception) -> Reply:
    """Record a text that could not be set aside either, because of this error, without a reply."""
    text, now, catalog, _ = given
    if recorded := find_recorded(db, text.sid):
        return recorded
    _note(db, error, None)
    decision = Decision(text, now, _find_contact(db, text, None), read_as=SET_ASIDE)
    keyword = find_opt_keyword(text, catalog.languages, catalog.stop_words)
    if keyword in OPT_OUTS:
        decision.read_as = keyword
        decision.contact.opt_out(now)
    return save(db, decision)


def _find_contact(db: Session, text: IncomingText, name: str | None) -> Contact:
    try:
        return Contact.find_or_new(db, text.sender, text.external_id)
    except UnreadableRow as error:
        unreadable_rows(db).add(error)
        return Contact.unreadable(db, error.id, text.sender, name)


def _note(db: Session, error: Exception, newest_id: int | None) -> None:
    if isinstance(error, UnreadableRow):
        unreadable_rows(db).add(error)
    else:
        note_error(db, error, newest_id and Conversation.find_readable(db, newest_id))


def _respond(states: list[State], text: IncomingText, now: datetime) -> Decision:
    """What is decided without the conversation, by the first of these with which that succeeds."""
    for state in states:
        with suppress(Exception):  # the first error is logged
            return respond(state, text, now)
    return Decision(text, now, states[-1].contact.copy())


def _say_sorry(db: Session, decision: Decision) -> None:
    """Apologize for what gets no other reply, but not to whoever may have opted out."""
    if decision.read_as == "opted out" and decision.contact.is_unreadable:
        decision.read_as = SET_ASIDE
    elif decision.read_as is None:
        decision.read_as = SET_ASIDE
        if not _is_looping(db, decision):
            decision.reply = SORRY


def _is_looping(db: Session, decision: Decision) -> bool:
    """Whether it may well be a machine that texts; without a conversation, after its first text."""
    if decision.unreadable_id is None:
        return decision.contact.id is not None
    latest = Message.find_recent_readings(db, decision.unreadable_id, MAX_SORRY)
    return latest == [SET_ASIDE] * MAX_SORRY


# Built once: building a statement costs as much as running it.
TABLE = Conversation.__table__
# Whether it is open is computed there: a state that cannot be read must not raise here.
NEWEST = Statement(select(TABLE.c.id, TABLE.c.state == "open").where(TABLE.c.id == NEWEST_ID))


def record_undecided(database: Database, given: Given, error: Exception) -> Reply:
    """Set a text aside whose turn cannot be saved, because of this error.

    If not even that can be done, the text is recorded, and gets no reply.
    """
    for attempt in (set_aside, record_only):
        if not is_deterministic(error):
            break
        try:
            return database.write(partial(attempt, given=given, error=error))
        except Exception as another:
            error = another
    raise error
