"""One thread: its texts as bubbles, what each was read as, and what happened between them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.acts.act import Choice
from models.acts.conversations import find_choices
from models.acts.results import host_of
from models.answer import Answer
from models.conversation import Conversation
from models.delivery import Delivery
from models.message import Message
from models.note import Note
from models.reports.bubble import Bubble, Given, Row, make_bubble
from models.reports.context import MAX_ID, NotFound, PageContext, Query, in_zone, known_zone
from models.reports.people import Person
from models.reports.threads import STATES, Unreadable, load_threads
from models.version import Version
from storage.base import LITERAL_1, Statement
from storage.unreadable import UnreadableRow, unreadable_rows

PAGE_SIZE = 200  # texts
MAX_RESULTS = 50  # that are shown between them
OUTCOMES = {
    "pending": "waits to be delivered",
    "delivered": "was delivered",
    "failed": "could not be delivered",
    "discarded": "was discarded",
    "unconfirmed": "may have arrived: look, and confirm it or retry",
}


class SystemLine(NamedTuple):
    """Something that happened between the texts."""

    at: datetime
    text: str
    address: str | None = None  # of a page that has more of it

    is_text = False


class Day(NamedTuple):
    """The texts of a day, in the zone of the page."""

    date: date
    items: list[Bubble | SystemLine]

    @property
    def label(self) -> str:
        """The day as operators read it."""
        return f"{self.date:%A} {self.date.day} {self.date:%B} {self.date.year}"


class ThreadPage(NamedTuple):
    """A conversation with up to PAGE_SIZE of its texts."""

    id: int
    person: Person | None  # None where the row of the conversation cannot be read
    number: str
    title: str
    questionnaire: str
    version_id: int | None
    event: str
    state: str
    state_name: str
    question: str | None  # that was asked last, and has no answer
    waiting: str
    is_test: bool
    contact_note: Note | None
    started_at: datetime | None
    days: list[Day]
    answers: list[Given]
    zone: str | None
    earlier: str | None  # the address of the texts before
    is_newest: bool
    unreadable: list[str]  # rows that are left out
    choices: list[Choice]  # of what an operator can do

    @property
    def like_this(self) -> str:
        """The address of all threads with this questionnaire."""
        query = Query([("questionnaire", self.questionnaire)])
        return f"/console/threads{query.address()}"


def find_thread(db: Session, context: PageContext, id: int) -> ThreadPage:
    """The thread with the newest texts, or those before one."""
    left_out = Unreadable(db)
    rows = CONVERSATION_ROW.fetch_readable(db, left_out, id=id)
    if not rows and not left_out.errors:
        raise NotFound
    head = Head(*rows[0][1:]) if rows else None
    before = context.query.id("before")
    answers = _find_answers(db, id, left_out)
    texts = _find_texts(db, id, before, left_out)
    zone = _find_zone(db, head, left_out)
    happened = _find_events(db, id, head, left_out) if head else []
    if texts.since:  # what happened before is on a page before
        happened = [line for line in happened if line.at >= texts.since]
    bubbles = [make_bubble(message, answers) for message in texts.rows]
    skipped = {each.message_id: each.key for each in answers if each.was_skipped}
    items = _merge(bubbles, happened, skipped, is_last=before is None)
    if head and texts.earlier is None:
        items.insert(0, SystemLine(head.started_at, f"Started by “{head.event}”"))
    answers = [_with_address(each, texts.earlier or 0, before is None) for each in answers]
    overview = dict(_overview(db, context, id, left_out) if head else NOTHING_KNOWN)
    person = overview["person"]
    return ThreadPage(
        id=id,
        **overview,
        contact_note=Note.find(db, person.id) if person and person.id else None,
        event=head.event if head else "",
        version_id=head.questionnaire_id if head else None,
        started_at=head.started_at if head else None,
        days=_by_day(items, ZoneInfo(zone or context.zone)),
        answers=answers,
        zone=zone,
        earlier=context.query.address(before=texts.earlier) if texts.earlier else None,
        is_newest=before is None,
        unreadable=sorted({str(error) for error in left_out.errors}),
        choices=find_choices(db, id) if head else [],
    )


class Head(NamedTuple):
    """The row of the conversation, as far as the page needs it."""

    questionnaire_id: int
    event: str
    state: str
    failed_attempts: int
    started_at: datetime
    ended_at: datetime | None


NOTHING_KNOWN = {
    "person": None,
    "number": "",
    "title": "",
    "questionnaire": "",
    "state": "",
    "state_name": "",
    "question": None,
    "waiting": "",
    "is_test": False,
}


def _overview(
    db: Session, context: PageContext, id: int, left_out: Unreadable
) -> Mapping[str, object]:
    """What the list says of it, too."""
    found = load_threads(db, context, {id: 0}, left_out)
    if not found:  # its questionnaire or its contact cannot be read
        return NOTHING_KNOWN
    ((thread, _),) = found
    return {name: getattr(thread, name) for name in NOTHING_KNOWN}


def _find_zone(db: Session, head: Head | None, left_out: Unreadable) -> str | None:
    """The zone of its questionnaire, as it was then; None if that cannot be read."""
    rows = DEFINITION.fetch_readable(db, left_out, id=head.questionnaire_id) if head else []
    return known_zone(rows[0][1].timezone).key if rows else None


def _find_answers(db: Session, id: int, left_out: Unreadable) -> list[Given]:
    rows = ANSWERS.fetch_readable(db, left_out, conversation=id)
    return [Given(*row[1:-2], row[-1] == "skip", "") for row in rows]


def _with_address(given: Given, first_shown: int, is_newest: bool) -> Given:
    """With the address of the text that gave it, on this page or one before."""
    anchor = f"#m{given.message_id}"
    is_here = is_newest and given.message_id >= first_shown
    return given._replace(address=anchor if is_here else f"?before={given.message_id + 1}{anchor}")


class Texts(NamedTuple):
    """Those of a page, in their order."""

    rows: list[Row]
    earlier: int | None  # the id before which there are more
    since: datetime | None  # the time of the one before


def _find_texts(db: Session, id: int, before: int | None, left_out: Unreadable) -> Texts:
    """PAGE_SIZE of them; those that cannot be read count, or there would seem to be no more."""
    errors: list[UnreadableRow] = []
    found = _fetch_texts(db, id, MAX_ID if before is None else before, errors.append)
    ids = sorted((*(row.id for row in found), *(error.id for error in errors)), reverse=True)
    has_more = len(ids) > PAGE_SIZE
    first = ids[PAGE_SIZE - 1] if has_more else 0
    for error in errors:
        if error.id >= first:
            left_out(error)
    rows = [row for row in reversed(found) if row.id >= first]
    if not has_more:
        return Texts(rows, None, None)
    one_before = [row for row in found if row.id == ids[PAGE_SIZE]]
    one_before = one_before or _fetch_texts(db, id, first, unreadable_rows(db).add)
    return Texts(rows, first, one_before[0].created_at if one_before else None)


def _fetch_texts(
    db: Session, id: int, before: int, leave_out: Callable[[UnreadableRow], object]
) -> list[Row]:
    rows = MESSAGES.fetch_readable(db, leave_out, conversation=id, before=before)
    return [Row(*row) for row in rows]


# What happened between them ##################################################


def _find_events(db: Session, id: int, head: Head, left_out: Unreadable) -> list[SystemLine]:
    """The end of the conversation, and its results, in the order of their times."""
    ended = _line_of_end(head)
    results = RESULTS.fetch_readable(db, left_out, conversation=id)
    lines = [*([ended] if ended else []), *(_line_of_result(*row) for row in reversed(results))]
    return sorted(lines, key=lambda line: line.at)


def _line_of_end(head: Head) -> SystemLine | None:
    if head.state == "open" or head.ended_at is None:
        return None
    given_up = head.state == "stopped" and head.failed_attempts > 0
    reason = ": too many texts in a row could not be read" if given_up else ""
    return SystemLine(head.ended_at, f"{STATES.get(head.state, head.state)}{reason}".capitalize())


def _line_of_result(
    id: int, url: str, state: str, status: int | None, created_at: datetime, done: datetime | None
) -> SystemLine:
    text = f"Result {id} for {host_of(url)} {OUTCOMES.get(state, state)}"
    text += f", {status}" if status else ""
    return SystemLine(done or created_at, text, f"/console/outbox/{id}")


def _merge(
    bubbles: Sequence[Bubble],
    happened: Iterable[SystemLine],
    skipped: Mapping[int, str],
    is_last: bool,
) -> list[Bubble | SystemLine]:
    """Texts in their order, and before each what happened since the one before.

    What a text causes has its time, so that is behind it, and what happened since the last text is
    on the page after this one, if there is one. `skipped`: keys, by the id of the text.
    """
    items: list[Bubble | SystemLine] = []
    left = list(happened)
    for bubble in bubbles:
        early = [line for line in left if line.at < bubble.at]
        left = left[len(early) :]
        items += early
        if "resumed" in bubble.codes[:1]:
            items.append(SystemLine(bubble.at, "Gone silent, and resumed"))
        items.append(bubble)
        if bubble.id in skipped:
            items.append(SystemLine(bubble.at, f"{skipped[bubble.id]} was skipped"))
    return items + left if is_last else items


def _by_day(items: Iterable[Bubble | SystemLine], zone: ZoneInfo) -> list[Day]:
    days: list[Day] = []
    for item in items:
        day = in_zone(item.at, zone).date()
        if not days or day != days[-1].date:
            days.append(Day(day, []))
        days[-1].items.append(item)
    return days


# Built once: building a statement costs as much as running it.
TABLE, VERSION, MESSAGE = Conversation.__table__, Version.__table__, Message.__table__
ANSWER, OUTBOX = Answer.__table__, Delivery.__table__
ID, OF_CONVERSATION = sa.bindparam("id"), sa.bindparam("conversation")
CONVERSATION_ROW = Statement(
    sa.select(
        *(TABLE.c.id, TABLE.c.questionnaire_id, TABLE.c.event, TABLE.c.state),
        *(TABLE.c.failed_attempts, TABLE.c.started_at, TABLE.c.ended_at),
    ).where(TABLE.c.id == ID)
)
DEFINITION = Statement(
    sa.select(VERSION.c.id, VERSION.c.definition).where(VERSION.c.id == ID).limit(LITERAL_1)
)
MESSAGES = Statement(
    sa.select(
        *(MESSAGE.c.id, MESSAGE.c.direction, MESSAGE.c.body, MESSAGE.c.media, MESSAGE.c.read_as),
        *(MESSAGE.c.params, MESSAGE.c.cookie, MESSAGE.c.status, MESSAGE.c.error_code),
        MESSAGE.c.created_at,
    )
    .where(MESSAGE.c.conversation_id == OF_CONVERSATION, MESSAGE.c.id < sa.bindparam("before"))
    .order_by(MESSAGE.c.id.desc())
    .limit(sa.literal_column(str(PAGE_SIZE + 1)))
)
ANSWERS = Statement(
    sa.select(
        *(ANSWER.c.id, ANSWER.c.key, ANSWER.c.question, ANSWER.c.value, ANSWER.c.text),
        *(ANSWER.c.message_id, MESSAGE.c.id, MESSAGE.c.read_as),
    )
    .select_from(ANSWER.outerjoin(MESSAGE))
    .where(ANSWER.c.conversation_id == OF_CONVERSATION)
    .order_by(ANSWER.c.message_id)
)
RESULTS = Statement(
    sa.select(
        *(OUTBOX.c.id, OUTBOX.c.url, OUTBOX.c.state, OUTBOX.c.last_status),
        *(OUTBOX.c.created_at, OUTBOX.c.delivered_at),
    )
    .where(OUTBOX.c.conversation_id == OF_CONVERSATION)
    .order_by(OUTBOX.c.id.desc())
    .limit(sa.literal_column(str(MAX_RESULTS)))
)
