"""One person: all their threads in time order, and what they said of our texts."""

from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.acts.act import Choice
from models.acts.notes import find_note_choice
from models.acts.people import find_opt_choice
from models.contact import Contact
from models.conversation import Conversation
from models.note import Note
from models.reports.context import MAX_ID, NotFound, PageContext
from models.reports.people import OptKeyword, Person, find_opt_keywords
from models.reports.threads import PAGE_SIZE, Thread, Unreadable, load_threads
from storage.base import Statement
from storage.unreadable import UnreadableRow

MAX_OPT_KEYWORDS = 50


class PersonPage(NamedTuple):
    """Somebody, with up to PAGE_SIZE of their threads."""

    person: Person
    alias: str | None
    opted_out_at: datetime | None
    perhaps_opted_out_at: datetime | None
    contact_note: Note | None
    others: list[Person]  # the same sender at other addresses
    opt_keywords: list[OptKeyword]  # the newest first
    threads: list[Thread]  # the oldest first
    earlier: str | None  # the address of the threads before
    is_newest: bool
    unreadable: list[str]
    choices: list[Choice]  # of what an operator can do


def find_person(db: Session, context: PageContext, id: int) -> PersonPage:
    """The person with this row."""
    left_out = Unreadable(db)
    contact = _find_contact(db, id, left_out)
    before = context.query.id("before")
    values = {"sender": contact.phone, "before": MAX_ID if before is None else before}
    ids = [id for (id,) in THREAD_IDS.fetch_all(db, **values)]
    shown = dict.fromkeys(ids[:PAGE_SIZE][::-1], 0)
    threads = {each.id: each for each, _ in load_threads(db, context, shown, left_out)}
    is_known, contact_note = not contact.is_unreadable, Note.find(db, id)
    return PersonPage(
        Person(id, contact.phone, context.people.name_of(contact.phone) or contact.name),
        contact.alias,
        contact.opted_out_at if is_known else None,
        contact.perhaps_opted_out_at if is_known else None,
        contact_note,
        _find_others(db, context, contact),
        find_opt_keywords(db, contact.phone, MAX_ID, MAX_OPT_KEYWORDS),
        [threads[each] for each in shown if each in threads],
        context.query.address(before=ids[PAGE_SIZE - 1]) if len(ids) > PAGE_SIZE else None,
        before is None,
        sorted({str(error) for error in left_out.errors}),
        [*find_opt_choice(db, contact), find_note_choice(id, contact_note)] if is_known else [],
    )


def _find_contact(db: Session, id: int, left_out: Unreadable) -> Contact:
    """The row, or what stands for one that cannot be read."""
    try:
        contact = Contact.first(db, BY_ID, id=id)
    except UnreadableRow as error:
        left_out(error)
        return Contact.unreadable(db, id, "", None)
    if contact is None:
        raise NotFound
    return contact


def _find_others(db: Session, context: PageContext, contact: Contact) -> list[Person]:
    others = []
    for phone in contact.find_addresses(db)[1:]:
        others += [
            Person(id, phone, context.people.name_of(phone))
            for (id,) in ID_OF.fetch_all(db, phone=phone)
        ]
    return others


# Built once: building a statement costs as much as running it.
TABLE, CONVERSATION = Contact.__table__, Conversation.__table__
BY_ID = Statement(sa.select(TABLE).where(TABLE.c.id == sa.bindparam("id")))
ID_OF = Statement(sa.select(TABLE.c.id).where(TABLE.c.phone == sa.bindparam("phone")))
THREAD_IDS = Statement(
    sa.select(CONVERSATION.c.id)
    .where(
        CONVERSATION.c.sender == sa.bindparam("sender"),
        CONVERSATION.c.id < sa.bindparam("before"),
    )
    .order_by(CONVERSATION.c.id.desc())
    .limit(sa.literal_column(str(PAGE_SIZE + 1)))
)
