"""People: who has texted, who wants no more texts, and how to find somebody."""

import re
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.contact import IS_OPTED_OUT, Contact, same_phone
from models.conversation import Conversation
from models.message import IS_OPT_KEYWORD, Message
from models.reports.context import MAX_ID, PageContext
from models.reports.explanations import READ_AS
from models.text import comparable
from storage.base import LITERAL_1, Statement
from storage.unreadable import UnreadableRow, unreadable_rows

PAGE_SIZE = 50
MAX_COUNTED = 100  # conversations of a person that are counted in a list
MAX_FOUND = 50  # people that a search finds
NEWEST = 100_000  # people among whom parts of numbers, and old names, are looked for
SHORTEST_PART = 3  # digits of a number


class Person(NamedTuple):
    """Who a thread is with. Nobody has a page of their own without a row."""

    id: int | None
    phone: str
    name: str | None

    @property
    def label(self) -> str:
        """The name, or else the number."""
        return self.name or self.phone


class OptKeyword(NamedTuple):
    """A text that says whether its sender wants texts."""

    message_id: int
    conversation_id: int | None
    read_as: str
    body: str
    at: datetime

    @property
    def meaning(self) -> str:
        """What it was read as, in words."""
        return READ_AS.get(self.read_as, self.read_as)


class ListedPerson(NamedTuple):
    """Somebody in the list."""

    person: Person
    opted_out_at: datetime | None
    perhaps_opted_out_at: datetime | None
    opting_out: OptKeyword | None  # the text by which they opted out, if it was one
    conversations: int
    first_at: datetime | None
    last_at: datetime | None

    @property
    def has_more(self) -> bool:
        """Whether they may have more conversations than were counted."""
        return self.conversations == MAX_COUNTED


class PeopleList(NamedTuple):
    """A page of people, the newest first."""

    people: list[ListedPerson]
    query: str
    opted_out: bool
    older: str | None  # the address of the next page
    is_cut: bool  # whether a search may have found more
    unreadable: int

    @property
    def is_filtered(self) -> bool:
        """Whether some people may be left out."""
        return bool(self.query) or self.opted_out


def find_people(db: Session, context: PageContext) -> PeopleList:
    """Those of a search, or a page of all, or of all who opted out."""
    query, opted_out = context.query, context.query.choice("show", ("opted-out",)) != ""
    words, left_out, is_cut = query.value("q"), [], False
    if words:
        ids = search_people(db, context, words)
        is_cut = len(ids) == MAX_FOUND
        rows = [row for id in ids for row in _fetch(db, PERSON, left_out, id=id)]
        rows = [row for row in rows if row[3] or not opted_out]
    else:
        before = query.id("before")
        statement = OPTED_OUT if opted_out else PEOPLE
        rows = _fetch(db, statement, left_out, before=MAX_ID if before is None else before)
    page = rows[:PAGE_SIZE]
    is_more = not words and len(rows) + len(left_out) > PAGE_SIZE
    last = page[-1][0] if page else None
    if is_more and last is None:  # none of them can be read
        last = min((error.id for error in left_out if error.id), default=None)
    people = [_list_person(db, context, row, left_out) for row in page]
    older = query.address(before=last) if is_more and last else None
    return PeopleList(people, words, opted_out, older, is_cut, len(left_out))


def _list_person(
    db: Session, context: PageContext, row: list[Any], left_out: list[UnreadableRow]
) -> ListedPerson:
    id, phone, name, opted_out_at, perhaps_opted_out_at = row
    person = Person(id, phone, context.people.name_of(phone) or name)
    opting_out = find_opting_out(db, phone) if opted_out_at else None
    ((count,),) = COUNT.fetch_all(db, sender=phone)
    first = _fetch(db, FIRST_CONVERSATION, left_out, sender=phone)
    last = _fetch(db, LAST_CONVERSATION, left_out, sender=phone)
    times = (first[0][1] if first else None, last[0][1] if last else None)
    return ListedPerson(person, opted_out_at, perhaps_opted_out_at, opting_out, count, *times)


def find_opting_out(db: Session, phone: str) -> OptKeyword | None:
    """The newest text by which somebody opted out, unless another keyword followed it."""
    opt_keywords = find_opt_keywords(db, phone, MAX_ID, 1)
    return (
        opt_keywords[0] if opt_keywords and opt_keywords[0].read_as in ("stop", "opt_out") else None
    )


def find_opt_keywords(db: Session, phone: str, before: int, limit: int) -> list[OptKeyword]:
    """The texts of a number that say whether their sender wants texts, the newest first."""
    values = {"sender": phone, "before": before, "limit": limit}
    return [
        OptKeyword(*row)
        for row in OPT_KEYWORDS.fetch_readable(db, unreadable_rows(db).add, **values)
    ]


def _fetch(
    db: Session, statement: Statement, left_out: list[UnreadableRow], **values: Any
) -> list[list[Any]]:
    """The rows that can be read; the others are noted, too."""

    def leave_out(error: UnreadableRow) -> None:
        left_out.append(error)
        unreadable_rows(db).add(error)

    return statement.fetch_readable(db, leave_out, **values)


# Search ######################################################################


def search_people(db: Session, context: PageContext, words: str) -> list[int]:
    """The ids of the people with this number, a part of it, or of a name; MAX_FOUND at most.

    Numbers and the names of `people.toml` are looked up. What else there is, a part of a number
    and a name that the file no longer has, is looked for among the newest people.
    """
    digits = _digits(words)
    exact = [words, f"+{digits}"] if digits else [words]
    exact += _addresses_named(context, words)
    found = [id for each in dict.fromkeys(exact) for id in _ids_of(db, each)][:MAX_FOUND]
    some = f"%{digits}%" if len(digits) >= SHORTEST_PART else None
    part = f"%{_escape(words.lower())}%"
    newest = next((id for (id,) in NEWEST_ID.fetch_all(db, before=MAX_ID)), 0)
    rows = AMONG_NEWEST.fetch_all(db, after=newest - NEWEST, some=some, part=part)
    return list(dict.fromkeys([*found, *(id for (id,) in rows)]))[:MAX_FOUND]


def _digits(words: str) -> str:
    """The digits of what looks like a number, or a part of one; else nothing."""
    number = words.rpartition(":")[2]
    bare = re.sub(r"[\s().+/\u00a0\u2010-\u2015-]", "", number)
    return bare if bare.isascii() and bare.isdigit() else ""


def _addresses_named(context: PageContext, words: str) -> Iterable[str]:
    wanted = comparable(words)
    names = context.people.items() if wanted else ()
    return islice((phone for phone, name in names if wanted in comparable(name)), MAX_FOUND)


def _ids_of(db: Session, address: str) -> list[int]:
    """The ids of those with this address, on whatever channel."""
    addresses = {f"phone{n}": phone for n, phone in enumerate(same_phone(address))}
    return [id for (id,) in WITH_ADDRESS.fetch_all(db, **addresses, alias=address)]


def _escape(words: str) -> str:
    return re.sub(r"([%_/])", r"/\1", words)


# Built once: building a statement costs as much as running it.
TABLE, CONVERSATION, MESSAGE = Contact.__table__, Conversation.__table__, Message.__table__
BEFORE, SENDER = sa.bindparam("before"), sa.bindparam("sender")
LIMIT = sa.literal_column(str(PAGE_SIZE + 1))
COLUMNS = (TABLE.c.id, TABLE.c.phone, TABLE.c.name)
COLUMNS += (TABLE.c.opted_out_at, TABLE.c.perhaps_opted_out_at)
NEWEST_FIRST = (
    sa.select(*COLUMNS).where(TABLE.c.id < BEFORE).order_by(TABLE.c.id.desc()).limit(LIMIT)
)
PEOPLE = Statement(NEWEST_FIRST)
OPTED_OUT = Statement(NEWEST_FIRST.where(sa.text(IS_OPTED_OUT)))
PERSON = Statement(sa.select(*COLUMNS).where(TABLE.c.id == sa.bindparam("id")))
OF_SENDER = CONVERSATION.c.sender == SENDER
COUNTED = sa.select(CONVERSATION.c.id).where(OF_SENDER)
COUNTED = COUNTED.limit(sa.literal_column(str(MAX_COUNTED))).subquery()
COUNT = Statement(sa.select(sa.func.count()).select_from(COUNTED))


def _of_ends(column: sa.ColumnElement[Any], end: sa.ColumnElement[int]) -> Statement:
    """That column of the first or the last conversation: the id is in the index."""
    id = sa.select(end).where(OF_SENDER).scalar_subquery()
    return Statement(sa.select(CONVERSATION.c.id, column).where(CONVERSATION.c.id == id))


FIRST_CONVERSATION = _of_ends(CONVERSATION.c.started_at, sa.func.min(CONVERSATION.c.id))
LAST_CONVERSATION = _of_ends(CONVERSATION.c.active_at, sa.func.max(CONVERSATION.c.id))
OPT_KEYWORDS = Statement(
    sa.select(
        MESSAGE.c.id,
        MESSAGE.c.conversation_id,
        MESSAGE.c.read_as,
        MESSAGE.c.body,
        MESSAGE.c.created_at,
    )
    .where(MESSAGE.c.sender == SENDER, MESSAGE.c.id < BEFORE, sa.text(IS_OPT_KEYWORD))
    .order_by(MESSAGE.c.id.desc())
    .limit(sa.bindparam("limit"))
)
WITH_ADDRESS = Statement(
    sa.select(TABLE.c.id)
    .where(
        sa.or_(
            *(
                TABLE.c.phone == sa.bindparam(f"phone{n}", type_=TABLE.c.phone.type)
                for n in range(len(same_phone("+1")))
            ),
            TABLE.c.alias == sa.bindparam("alias", type_=TABLE.c.alias.type),
        )
    )
    .limit(sa.literal_column(str(MAX_FOUND)))
)
NEWEST_ID = Statement(
    sa.select(TABLE.c.id).where(TABLE.c.id < BEFORE).order_by(TABLE.c.id.desc()).limit(LITERAL_1)
)
AMONG_NEWEST = Statement(
    sa.select(TABLE.c.id)
    .where(
        TABLE.c.id > sa.bindparam("after"),
        sa.or_(
            TABLE.c.phone.like(sa.bindparam("some", type_=TABLE.c.phone.type)),
            sa.func.lower(TABLE.c.name).like(
                sa.bindparam("part", type_=TABLE.c.name.type), escape="/"
            ),
        ),
    )
    .order_by(TABLE.c.id.desc())
    .limit(sa.literal_column(str(MAX_FOUND)))
)
