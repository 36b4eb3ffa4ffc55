"""A turn: what is read for a decision, and the one place that writes what was decided.

`load` reads, `engine.respond` decides, `save` writes.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, delete, func, literal_column, select, type_coerce
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.answer import Answer
from models.contact import Contact, People
from models.conversation import Conversation, Previous
from models.decision import Decision, State
from models.delivery import Delivery
from models.dialog import LOOP_LIMIT
from models.message import Message
from models.non_answers import OPT_OUTS, examine_in
from models.questionnaire.catalog import Catalog
from models.text import IncomingText
from models.version import Version
from storage.base import Base, Statement, split_row
from storage.unreadable import unreadable_rows

# What changes whether a sender wants texts.
CHANGES_WISHES = (*OPT_OUTS, "start", "perhaps_opt_out")


class Given(NamedTuple):
    """A text, and what it is decided from besides the database."""

    text: IncomingText
    now: datetime
    catalog: Catalog
    people: People


class Reply(NamedTuple):
    """What goes out for a text: a body or none, and the conversation's token for the cookie."""

    body: str | None
    message_id: int | None
    status_token: str | None
    token: str | None
    # For the log: the state of the conversation, or `repeated`; where there is no reply, what the
    # text was read as, or `not opened`.
    outcome: str
    has_result: bool = False  # one is owed from now on


def load(db: Session, given: Given) -> State | Reply:
    """Read what a text can depend on; or what went out for it, if it is recorded already.

    The contact's row is locked first, where a database has such locks: texts from one sender are
    serialised, and each sees what the one before has written. UnreadableRow if one of the rows
    cannot be read.
    """
    text = given.text
    contact = Contact.find_or_new(db, text.sender, text.external_id)
    ((recorded_id, *row),) = NEWEST.fetch_all(
        db, sid=text.sid, sender=contact.phone, number=text.number
    )
    if recorded_id is not None:
        return _find_reply(db, recorded_id)
    newest, version = split_row(row, Conversation, Version)
    answers = [] if newest.id is None else Answer.find_all(db, newest.id)
    return load_state(db, given, contact, newest, version, answers)


def load_state(
    db: Session,
    given: Given,
    contact: Contact,
    newest: Conversation,
    version: Version,
    answers: Iterable[Answer],
) -> State:
    """Read the rest. Where there is no conversation yet, `newest` has no id."""
    text, now, catalog, people = given
    name = people.name_of(text.sender)
    if contact.phone != text.sender:
        name = name or people.name_of(contact.phone)
    find_bodies = partial(Message.find_recent_bodies, db, newest.id)
    if newest.id is None:
        newest = None
    else:
        newest.relate(db, version, contact, answers)
    typed = examine_in(newest and version.definition, text, catalog.languages, find_bodies)
    state = State(contact, typed, newest, None, name, catalog.languages)
    parts = load_what_few_need(db, text, state)
    # To compare with all events takes a while, and most texts are answers.
    has_place = newest is not None and newest.is_waiting(now) and not typed.keyword
    opening = None if has_place else catalog.opens(typed.text.body, text.number)
    return state._replace(opening=opening, **parts)


def find_recorded(db: Session, sid: str) -> Reply | None:
    """What went out for a text, if it is recorded already."""
    found = RECORDED.fetch_all(db, sid=sid)
    return _find_reply(db, found[0][0]) if found else None


def _find_reply(db: Session, message_id: int) -> Reply:
    """What went out for a message, and the cookie that went with it, as far as that is there."""
    found = REPLY.fetch_readable(db, unreadable_rows(db).add, id=message_id)
    token, reply_id, status_token, body = found[0] if found else (None, None, None, None)
    cookie = token if isinstance(token, str) else None
    return Reply(body, reply_id, status_token, cookie, "repeated")


def load_what_few_need(db: Session, text: IncomingText, state: State) -> dict[str, Any]:
    """The parts of the state that most texts need nothing of, each a SELECT."""
    parts: dict[str, Any] = {}
    newest = state.newest
    if state.typed.keyword in OPT_OUTS:
        parts["stoppable"] = Conversation.find_stoppable(db, state.contact.find_addresses(db))
    if text.cookie and not (newest and newest.token == text.cookie):
        parts["cookie_pair"] = Conversation.find_pair(db, text.cookie)
    if newest is None:
        return parts
    questionnaire = newest.version.definition
    command = questionnaire.sentences.keywords.get(state.typed.text.comparable)
    if command in ("back", "restart"):
        parts["recent_readings"] = Message.find_recent_readings(db, newest.id, LOOP_LIMIT)
    if newest.is_last_attempt:
        earlier = newest.failed_attempts
        parts["recent_unread"] = Message.find_recent_unread(db, newest.id, earlier)
    if not questionnaire.is_counter:
        parts["previous"] = newest.last_answer_text or _find_previous(db, newest.id)
    return parts


def _find_previous(db: Session, conversation_id: int) -> Previous | None:
    latest = Message.find_latest_inbound(db, conversation_id)
    return latest and Previous(*latest)


def save(db: Session, decision: Decision) -> Reply:
    """Write a turn; returns what goes out."""
    return save_all(db, [decision])[0]


def save_all(db: Session, decisions: Sequence[Decision]) -> list[Reply]:
    """Write turns of different senders: nothing else does. Returns what goes out.

    New rows of a table go into one statement as far as that can be.
    """
    Contact.save_all(db, [each.contact for each in decisions])
    for decision in decisions:
        _save_ends(db, decision)
    conversations = [each.conversation for each in decisions if each.conversation]
    _save_versions(db, conversations)
    Conversation.save_all(db, conversations)
    Delivery.insert_all(db, [result for each in decisions for result in each.results])
    inbound = list(map(_inbound, decisions))
    Message.insert_all(db, inbound)
    answers = list(map(_answer, decisions, inbound))
    outbound = list(map(_outbound, decisions, inbound))
    Answer.save_all(db, filter(None, answers))
    Message.insert_all(db, filter(None, outbound))
    return list(map(partial(_reply, db), decisions, inbound, outbound))


def count_rows(decisions: Sequence[Decision]) -> Counter[type[Base]]:
    """How many rows `save_all` will insert for these; a Version besides where it is new."""
    count: Counter[type[Base]] = Counter()
    for each in decisions:
        count[Message] += 1 + bool(each.reply)
        count[Contact] += each.contact.id is None
        count[Conversation] += bool(each.conversation) and each.conversation.id is None
        count[Answer] += bool(each.answer) and each.answer.id is None
        count[Delivery] += len(each.results)
    return count


def _save_ends(db: Session, decision: Decision) -> None:
    """What a conversation must not find any more when it is saved."""
    contact = decision.contact
    has_opted_out = contact.opted_out_at or contact.perhaps_opted_out_at
    if decision.read_as in CHANGES_WISHES or (contact.has_new_alias and has_opted_out):
        contact.share_opting_out(db)
    for ended in decision.ended:
        ended.update(db)
    for answer in decision.deleted_answers:
        DELETE_ANSWER.execute(db, this=answer.id)


def _save_versions(db: Session, conversations: Iterable[Conversation]) -> None:
    """Give new conversations their token, and the id of the version that they refer to."""
    ids: dict[tuple[str, str], int] = {}
    for conversation in conversations:
        if conversation.id is None:
            conversation.token = secrets.token_hex(16)
            version = conversation.version
            key = version.name, version.digest
            if key not in ids:
                ids[key] = version.save_once(db)
            conversation.questionnaire_id = version.id = ids[key]


def _inbound(decision: Decision) -> Message:
    text, conversation = decision.text, decision.conversation
    return Message(
        conversation_id=conversation.id if conversation else decision.unreadable_id,
        direction="inbound",
        sid=text.sid,
        sender=text.sender,
        recipient=text.number,
        body=text.body,
        media=" ".join(text.media) or None,
        read_as=decision.read_as,
        params=text.params,
        cookie=decision.cookie,
        status=text.status,
        created_at=decision.now,
    )


def _answer(decision: Decision, inbound: Message) -> Answer | None:
    if decision.answer:
        decision.answer.message_id = inbound.id
    return decision.answer


def _outbound(decision: Decision, inbound: Message) -> Message | None:
    if not decision.reply:
        return None
    return Message(
        conversation_id=inbound.conversation_id,
        direction="outbound",
        sender=inbound.recipient,
        recipient=inbound.sender,
        body=decision.reply,
        reply_to_id=inbound.id,
        status_token=secrets.token_hex(16),
        created_at=decision.now,
    )


def _reply(db: Session, decision: Decision, inbound: Message, outbound: Message | None) -> Reply:
    has_result = bool(decision.results)
    if decision.unreadable_id:  # as when the text is repeated
        found = _find_reply(db, inbound.id)
        return found._replace(outcome=decision.read_as, has_result=has_result)
    conversation = decision.conversation
    token = conversation and conversation.token
    if outbound is None:
        return Reply(None, None, None, token, decision.read_as or "not opened", has_result)
    outcome = conversation.state if conversation else decision.read_as
    return Reply(outbound.body, outbound.id, outbound.status_token, token, outcome, has_result)


# Built once: building a statement costs as much as running it.
CONVERSATION, MESSAGE = Conversation.__table__, Message.__table__


def find_newest_id(sender: ColumnElement[str], number: ColumnElement[str]) -> ColumnElement[int]:
    """The id of the newest conversation of a sender and one of our numbers, as SQL.

    Two operations that change nothing leave PostgreSQL only one index to use. In a new database,
    of which it knows no figures yet, it would read all of a number until it comes to the sender.
    """
    pair, nothing = CONVERSATION.alias(), literal_column("''")
    newest = select(func.max(pair.c.id + literal_column("0")))
    of_pair = newest.where(pair.c.sender == sender, pair.c.number.concat(nothing) == number)
    return of_pair.scalar_subquery()


NEWEST_ID = find_newest_id(bindparam("sender"), bindparam("number"))
RECORDED_ID = select(MESSAGE.c.id).where(MESSAGE.c.sid == bindparam("sid"))
RECORDED = Statement(RECORDED_ID)
# One row to join to, so that there is a result even without a conversation.
ANCHOR = select(literal_column("1").label("anchor")).subquery()
NEWEST = Statement(
    select(RECORDED_ID.scalar_subquery(), CONVERSATION, Version.__table__).select_from(
        ANCHOR.outerjoin(CONVERSATION, CONVERSATION.c.id == NEWEST_ID).outerjoin(Version.__table__)
    )
)
DELETE_ANSWER = Statement(
    delete(Answer.__table__).where(Answer.__table__.c.id == bindparam("this"))
)
OUTBOUND = MESSAGE.alias()
# A token that cannot be read keeps no reply from going out.
RAW_TOKEN = type_coerce(CONVERSATION.c.token, NULLTYPE)
REPLY = Statement(
    select(RAW_TOKEN, OUTBOUND.c.id, OUTBOUND.c.status_token, OUTBOUND.c.body)
    .select_from(
        MESSAGE.outerjoin(CONVERSATION).outerjoin(OUTBOUND, OUTBOUND.c.reply_to_id == MESSAGE.c.id)
    )
    .where(MESSAGE.c.id == bindparam("id"))
)
