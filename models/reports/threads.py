"""The list of threads, the newest text first, and what of each is seen there."""

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.contact import Contact
from models.conversation import REVIEW, Conversation
from models.marked_test import MarkedTest
from models.message import LOST, Message
from models.reports.behind import Figure, LostReplies, find_figure
from models.reports.context import PageContext
from models.reports.explanations import explain_code, explain_status
from models.reports.people import MAX_FOUND, Person, search_people
from models.reports.walk import Walk
from models.version import Version
from storage.base import LITERAL_1, Statement
from storage.unreadable import UnreadableRow, unreadable_rows

PAGE_SIZE = 50
STATES = {"open": "open", "completed": "completed", "stopped": "stopped", "expired": "gone silent"}
WAITS = {"them": "we wait for their answer", "us": "they wait for us"}
MAX_SEARCHED = 500  # threads of the people that a search finds
SET_ASIDE = "set aside"


class Thread(NamedTuple):
    """A conversation in a list."""

    id: int
    position: int  # its newest message, or its newest reply that did not arrive
    person: Person
    number: str
    questionnaire: str
    title: str
    state: str
    current_key: str | None
    active_at: datetime
    text_id: int | None  # of what they texted last
    text: str | None
    text_at: datetime | None
    read_as: str | None
    reply_id: int | None  # of our last reply
    status: str | None  # of that
    error_code: str | None
    is_test: bool

    @property
    def state_name(self) -> str:
        """The state in words."""
        return STATES.get(self.state, self.state)

    @property
    def did_not_arrive(self) -> bool:
        """Whether our last reply did not arrive."""
        return self.status in LOST

    @property
    def failure(self) -> str:
        """What became of that reply, in words."""
        return explain_status(self.status)

    @property
    def reason(self) -> str:
        """Why, as far as Twilio says."""
        return explain_code(self.error_code)

    @property
    def waiting(self) -> str:
        """Who waits for whom: "them" for an answer of theirs, "us" for one of ours, or nobody."""
        if self.did_not_arrive or self.read_as == SET_ASIDE:
            return "us"
        asks = self.state in ("open", "completed") and self.current_key is not None
        return "them" if asks else ""

    @property
    def question(self) -> str | None:
        """What was asked last and has no answer."""
        return "review of the answers" if self.current_key == REVIEW else self.current_key


class Filters(NamedTuple):
    """What is asked for; "" means all."""

    state: str
    questionnaire: str
    number: str
    waiting: str
    undelivered: bool
    words: str

    @classmethod
    def of(cls, context: PageContext) -> "Filters":
        """Those of the address."""
        query = context.query
        return cls(
            query.choice("state", STATES),
            query.value("questionnaire"),
            query.value("number"),
            query.choice("waits", WAITS),
            query.choice("undelivered", ("yes",)) != "",
            query.value("q"),
        )

    def may_fit(self, state: str, key: str | None, number: str, questionnaire: str | None) -> bool:
        """Whether a conversation may be asked for, as far as its row says: most are not."""
        return (
            self.state in ("", state)
            and self.questionnaire in ("", questionnaire)
            and self.number in ("", number)
            and (self.waiting != "them" or key is not None)
        )

    def fit(self, thread: Thread) -> bool:
        """Whether a thread is asked for."""
        row = (thread.state, thread.current_key, thread.number, thread.questionnaire)
        return (
            self.may_fit(*row)
            and self.waiting in ("", thread.waiting)
            and (thread.did_not_arrive or not self.undelivered)
        )


class ThreadList(NamedTuple):
    """A page of threads."""

    threads: list[Thread]
    filters: Filters
    figure: str | None  # of Now that these are behind, in words
    zone: str | None
    numbers: list[str]  # of ours
    questionnaires: dict[str, str]  # titles by name
    states: dict[str, str]
    waits: dict[str, str]
    older: str | None  # the address of the page with older ones
    is_cut: bool  # whether there were too many to look at
    is_only_page: bool  # of all threads, so that nobody has texted if it is empty
    unreadable: int
    event: str | None  # a text that opens a questionnaire

    @property
    def is_filtered(self) -> bool:
        """Whether some threads may be left out."""
        return bool(self.figure) or any(self.filters)


def find_threads(db: Session, context: PageContext) -> ThreadList:
    """A page of those that fit what is asked for."""
    filters, left_out = Filters.of(context), Unreadable(db)
    figure = find_figure(db, context)
    walk = Walk(db, context.query.id("before"), filters.undelivered)
    older, is_cut = None, False
    if filters.words:
        found, is_cut = _search(db, context, filters, left_out)
    elif figure:
        found, older = _find_behind(db, context, figure, left_out)
    else:
        found = list(islice(_fitting(db, context, filters, walk, left_out), PAGE_SIZE + 1))
        if len(found) > PAGE_SIZE:
            older = found[PAGE_SIZE - 1].position
        elif walk.is_cut:
            older, is_cut = walk.last, True
    with_event = (each for _, each in context.catalog if each.questions)
    first = next(with_event, None)
    return ThreadList(
        found[:PAGE_SIZE],
        filters,
        figure and figure.words,
        figure and figure.zone,
        find_numbers(db),
        dict(context.questionnaires),
        STATES,
        WAITS,
        context.query.address(before=older) if older else None,
        is_cut,
        context.query.id("before") is None,
        left_out.count,
        first and first.event,
    )


def _fitting(
    db: Session, context: PageContext, filters: Filters, walk: Walk, left_out: "Unreadable"
) -> Iterator[Thread]:
    """Those that fit, in the order of the walk; what an earlier page had is left out."""
    positions = iter(_that_may_fit(db, filters, walk, left_out))
    while batch := dict(islice(positions, PAGE_SIZE)):
        threads = load_threads(db, context, batch, left_out)
        by_id = {
            thread.id: thread
            for thread, newest in threads
            if thread.position == (thread.reply_id if filters.undelivered else newest)
        }
        yield from (by_id[id] for id in batch if id in by_id and filters.fit(by_id[id]))


def _that_may_fit(
    db: Session, filters: Filters, walk: Walk, left_out: "Unreadable"
) -> Iterator[tuple[int, int]]:
    """The conversations of the walk without those whose own rows say that they do not fit.

    To read the newest messages of each takes several times as long.
    """
    positions = iter(walk)
    if not any((filters.state, filters.questionnaire, filters.number, filters.waiting)):
        yield from positions
    while batch := dict(islice(positions, PAGE_SIZE)):
        ids = dict.fromkeys(IDS, 0) | dict(zip(IDS, batch, strict=False))
        rows = CONVERSATIONS.fetch_readable(db, left_out, **ids)
        fitting = {id for id, _, *row in rows if filters.may_fit(*row)}
        yield from ((id, position) for id, position in batch.items() if id in fitting)


def _search(
    db: Session, context: PageContext, filters: Filters, left_out: "Unreadable"
) -> tuple[list[Thread], bool]:
    """The newest of each person with this name or number, and whether there may be others."""
    people = search_people(db, context, filters.words)
    of_each = [OF_PERSON.fetch_all(db, person=person) for person in people]
    ids = [id for rows in of_each for (id,) in rows]
    is_cut = len(people) == MAX_FOUND or any(len(rows) == PAGE_SIZE for rows in of_each)
    found = []
    for start in range(0, min(len(ids), MAX_SEARCHED), PAGE_SIZE):
        batch = dict.fromkeys(ids[start : start + PAGE_SIZE], 0)
        found += [
            thread._replace(position=newest or 0)
            for thread, newest in load_threads(db, context, batch, left_out)
            if filters.fit(thread)
        ]
    found.sort(key=lambda thread: thread.position, reverse=True)
    return found, is_cut or len(ids) > MAX_SEARCHED or len(found) > PAGE_SIZE


def _find_behind(
    db: Session, context: PageContext, figure: Figure | LostReplies, left_out: "Unreadable"
) -> tuple[list[Thread], int | None]:
    """Those of a figure, by their ids, and the id before which there are more.

    Ids say that, for a thread that cannot be read is left out.
    """
    ids = figure.find_ids(db, context, PAGE_SIZE + 1)
    page = {id: id for id in ids[:PAGE_SIZE]}
    loaded = {thread.id: thread for thread, _ in load_threads(db, context, page, left_out)}
    older = ids[PAGE_SIZE - 1] if len(ids) > PAGE_SIZE else None
    return [loaded[id] for id in page if id in loaded], older


class Unreadable:
    """Counts the rows that cannot be read, and notes them for Health."""

    def __init__(self, db: Session) -> None:
        self.errors: list[UnreadableRow] = []
        self._note: Callable[[UnreadableRow], object] = unreadable_rows(db).add

    def __call__(self, error: UnreadableRow) -> None:
        self.errors.append(error)
        self._note(error)

    @property
    def count(self) -> int:
        """How many rows it were."""
        return len({(error.table, error.id) for error in self.errors})


def load_threads(
    db: Session, context: PageContext, positions: dict[int, int], leave_out: Unreadable
) -> list[tuple[Thread, int | None]]:
    """These conversations, PAGE_SIZE at most, each with the id of its newest message."""
    ids = dict.fromkeys(IDS, 0) | dict(zip(IDS, positions, strict=False))
    rows = THREADS.fetch_readable(db, leave_out, **ids)
    messages = [id for *_, text, reply, _, _ in rows for id in (text, reply) if id]
    found = {}
    for start in range(0, len(messages), PAGE_SIZE):
        some = zip(IDS, messages[start : start + PAGE_SIZE], strict=False)
        last = LAST_MESSAGES.fetch_readable(db, leave_out, **(dict.fromkeys(IDS, 0) | dict(some)))
        found |= {id: row for id, *row in last}
    return [_thread(context, row, positions[row[0]], found) for row in rows]


def _thread(
    context: PageContext, row: list, position: int, messages: dict[int, list]
) -> tuple[Thread, int | None]:
    id, sender, number, state, key, active_at, _, name, contact_id, known_as = row[:10]
    text_id, reply_id, newest, mark = row[10:]
    text, text_at, read_as, *_ = messages.get(text_id) or [None] * 5
    *_, status, error_code = messages.get(reply_id) or [None] * 5
    person = Person(contact_id, sender, context.people.name_of(sender) or known_as)
    name = name or ""
    title = context.questionnaires.get(name, name)
    thread = Thread(
        *(id, position, person, number, name, title, state, key, active_at),
        *(text_id, text, text_at, read_as, reply_id, status, error_code, mark is not None),
    )
    return thread, newest


def find_numbers(db: Session) -> list[str]:
    """Our numbers that conversations have: a seek of the index for each."""
    return [number for (number,) in NUMBERS.fetch_all(db) if isinstance(number, str)]


# Built once: building a statement costs as much as running it.
TABLE, MESSAGE = Conversation.__table__, Message.__table__
CONTACT, VERSION, MARK = Contact.__table__, Version.__table__, MarkedTest.__table__
# As many parameters as there can be ids: a list of another length would be another statement.
IDS = [f"id{n}" for n in range(PAGE_SIZE)]
THESE = [sa.bindparam(name, type_=TABLE.c.id.type) for name in IDS]


def _newest(*conditions: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
    ids = sa.select(MESSAGE.c.id).where(MESSAGE.c.conversation_id == TABLE.c.id, *conditions)
    return ids.order_by(MESSAGE.c.id.desc()).limit(LITERAL_1).scalar_subquery()


THREADS = Statement(
    sa.select(
        *(TABLE.c.id, TABLE.c.sender, TABLE.c.number, TABLE.c.state, TABLE.c.current_key),
        *(TABLE.c.active_at, VERSION.c.id, VERSION.c.name, CONTACT.c.id, CONTACT.c.name),
        _newest(MESSAGE.c.direction == sa.literal_column("'inbound'")),
        _newest(MESSAGE.c.direction == sa.literal_column("'outbound'")),
        *(
            _newest(),
            sa.select(MARK.c.id).where(MARK.c.conversation_id == TABLE.c.id).scalar_subquery(),
        ),
    )
    .select_from(TABLE.outerjoin(VERSION).outerjoin(CONTACT))
    .where(TABLE.c.id.in_(THESE))
)
CONVERSATIONS = Statement(
    sa.select(
        *(TABLE.c.id, VERSION.c.id, TABLE.c.state, TABLE.c.current_key, TABLE.c.number),
        VERSION.c.name,
    )
    .select_from(TABLE.outerjoin(VERSION))
    .where(TABLE.c.id.in_(THESE))
)
LAST_MESSAGES = Statement(
    sa.select(
        MESSAGE.c.id,
        MESSAGE.c.body,
        MESSAGE.c.created_at,
        MESSAGE.c.read_as,
        MESSAGE.c.status,
        MESSAGE.c.error_code,
    ).where(MESSAGE.c.id.in_(THESE))
)
OF_PERSON = Statement(
    sa.select(TABLE.c.id)
    .select_from(TABLE.join(CONTACT))
    .where(CONTACT.c.id == sa.bindparam("person"))
    .order_by(TABLE.c.id.desc())
    .limit(sa.literal_column(str(PAGE_SIZE)))
)


def _list_numbers() -> sa.Select:
    """Each step of the recursion seeks the next number. DISTINCT would read all of the index."""
    number = TABLE.c.number
    numbers = sa.select(sa.func.min(number).label("number")).cte("numbers", recursive=True)
    following = sa.select(sa.func.min(number)).where(number > numbers.c.number).scalar_subquery()
    numbers = numbers.union_all(sa.select(following).where(numbers.c.number.is_not(None)))
    # Without the type of the column, for which bytes could not be read.
    listed = sa.select(sa.type_coerce(numbers.c.number, sa.types.NullType()))
    return listed.where(numbers.c.number.is_not(None)).limit(sa.literal_column("100"))


NUMBERS = Statement(_list_numbers())
