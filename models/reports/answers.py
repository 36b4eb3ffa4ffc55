"""What guests have answered: a chart for each question, and a row for each conversation.

Only the newest conversations of the period are looked at, so that no page reads a long history:
the index of a questionnaire's conversations by time has them beside each other.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.answer import Answer
from models.conversation import Conversation
from models.export import ConversationReader, ExportedConversation, wide_columns
from models.questionnaire.answers import KINDS
from models.reports.answer_filter import HOWS, Filter, find_filter
from models.reports.charts import Chart, Group, make_charts, shorten, show_question
from models.reports.context import PageContext, Query
from models.reports.outcomes import was_unread
from models.reports.totals import count_total, show_total
from models.selection import STATES
from storage.base import Statement
from storage.unreadable import unreadable_rows

NEWEST = 2000  # conversations that a page looks at; more would take longer than people wait
PAGE_SIZE = 50  # rows of the table
MOST_RANGES = 100  # ranges of the index that are merged; SQLite merges 500 at most
LONGEST, SHORT = 120, 12  # characters of an answer in the table; and of one that never wraps
TITLES = {
    "started_at": "Started",
    "completed_at": "Completed",
    "state": "State",
    "sender": "Sender",
    "name": "Name",
}


class Column(NamedTuple):
    """A column of the table, and whether it is shown. `key`: that of a question."""

    name: str  # as in exports
    title: str
    key: str | None = None
    hint: str = ""
    is_shown: bool = True


class Cell(NamedTuple):
    """What a row has in a column: a time, or a text."""

    column: Column
    text: str = ""
    time: datetime | None = None
    hint: str = ""  # what was texted
    look: str = "short"  # a class: short, words, or secondary, which says why there is no answer


class Row(NamedTuple):
    """A conversation in the table."""

    id: int
    cells: Sequence[Cell]
    is_test: bool


class AnswersPage(NamedTuple):
    """What the page shows."""

    filter: Filter
    charts: Sequence[Chart]
    looked_at: int  # conversations of the period, of which some match
    total: int  # of the period
    matching: int
    columns: Sequence[Column]
    rows: Sequence[Row]
    older: str | None  # the address of older rows
    newest: str  # that of the first page
    is_first: bool
    columns_named: str  # what the address says of columns
    opening: tuple[str, str] | None  # what to text, and to which number, while nobody has yet

    @property
    def zone(self) -> str:
        """The time zone of the page."""
        return self.filter.zone

    @property
    def is_partial(self) -> bool:
        """Whether there are older conversations than were looked at."""
        return self.total > self.looked_at

    @property
    def total_words(self) -> str:
        """How many there are in the period, for people."""
        return show_total(self.total)

    @property
    def states(self) -> Mapping[str, str]:
        """What the states are called."""
        return {state: show_state(state) for state in STATES}

    @property
    def hows(self) -> Mapping[str, str]:
        """How a question can be asked about besides by its answer."""
        return HOWS

    @property
    def summary(self) -> str:
        """How many conversations the figures are of."""
        if self.matching == self.looked_at:
            return f"{self.matching:,} conversations." if self.matching != 1 else "1 conversation."
        return f"{self.matching:,} of {self.looked_at:,} conversations match."

    @property
    def nothing(self) -> str:
        """What is said instead of rows; there may be some among older conversations."""
        if self.older:
            return f"None among the {'newest' if self.is_first else 'next'} {NEWEST:,}."
        return "No conversation matches." if self.is_first else "No older conversation matches."

    def ask(self, key: str) -> str:
        """A question, to choose it by."""
        return show_question(self.filter.questions[key])


def show_state(state: str) -> str:
    """A state as people say it."""
    return "gone silent" if state == "expired" else state


def find_answers(db: Session, context: PageContext) -> AnswersPage:
    """Find what the filters of the address leave, from the newest to older ones."""
    filter = find_filter(db, context)
    before = context.query.id("before")
    columns = find_columns(filter, context.query)
    charts, looked_at, matched, total = [], 0, 0, 0
    if before is None:
        looked_at, matched = count(db, filter)
        total = looked_at if looked_at < NEWEST else count_all(db, filter)
        about = filter.keys, filter.questions, filter.questionnaire
        if matched:
            charts = list(make_charts(*about, find_groups(db, filter), filter.behind))
    ids, last = find_ids(db, filter, before)
    rows = list(find_rows(db, filter, ids, [each for each in columns if each.is_shown]))
    named = ",".join(context.query.values("columns"))
    shown = [("columns", named)] if named else []
    older = None if last is None else filter.address(*shown, ("before", last))
    return AnswersPage(
        *(filter, charts, looked_at, total, matched, columns, rows, older, filter.address(*shown)),
        *(before is None, named, _opening(filter)),
    )


def _opening(filter: Filter) -> tuple[str, str] | None:
    now = filter.questionnaire
    if now is None:
        return None
    return f"“{now.event}”" if now.event else "anything", next(iter(now.to), "your number")


# Columns ####################################################################


def find_columns(filter: Filter, query: Query) -> list[Column]:
    """All columns but that of the id; those that the address names are shown, or else all."""
    named = {name for value in query.values("columns") for name in value.split(",") if name}
    first, last = wide_columns([]), wide_columns(filter.keys)
    names = last[len(first) - 3 : -3]  # between the first columns, and unread, name and version
    columns = [Column(name, title) for name, title in TITLES.items()]
    columns += [
        Column(name, key, key, show_question(filter.questions[key]))
        for name, key in zip(names, filter.keys, strict=True)
    ]
    known = named & {column.name for column in columns}
    return [column._replace(is_shown=not known or column.name in known) for column in columns]


# Which conversations ########################################################

TABLE, ANSWERED = Conversation.__table__, Answer.__table__


def is_counted(db: Session, filter: Filter, id: int) -> bool:
    """Whether a conversation is of the questionnaire and the period."""
    found = sa.select(TABLE.c.id).where(TABLE.c.id == id, *filter.selection.scope())
    return db.scalar(found.where(TABLE.c.questionnaire_id.in_(filter.version_ids))) is not None


def newest(filter: Filter, before: int | None, limit: int) -> sa.CTE:
    """The ids of the newest conversations of the period; `before`: started before this one."""
    ids, conditions = _find_versions(filter), filter.selection.scope()
    if before is not None:
        at = sa.select(TABLE.c.started_at).where(TABLE.c.id == before).scalar_subquery()
        earlier = sa.or_(TABLE.c.started_at < at, TABLE.c.id < before)
        conditions += [TABLE.c.started_at <= at, earlier]
    columns = TABLE.c.id, TABLE.c.started_at, TABLE.c.questionnaire_id.label("version")
    ranges = [
        sa.select(*columns).where(
            sa.or_(sa.false(), *(TABLE.c.questionnaire_id == id for id in ids[n::MOST_RANGES])),
            *conditions,
        )
        for n in range(min(max(len(ids), 1), MOST_RANGES))
    ]
    merged = sa.union_all(*ranges) if len(ranges) > 1 else ranges[0]
    in_order = merged.order_by(sa.desc("started_at"), sa.desc("id"))
    return in_order.limit(sa.literal_column(str(limit))).cte("newest")


def matching(filter: Filter, found: sa.CTE) -> sa.Select:
    """The ids of those that meet all filters, and their versions."""
    ids, details = filter.selection.ids, filter.selection.details()
    columns = sa.select(found.c.id, found.c.version, found.c.started_at)
    if not ids and not details:
        return columns
    # Numbers, and more of them than an expression may have parts.
    listed = ", ".join(map(str, ids))
    chosen = sa.text(f"conversations.id IN ({listed})") if ids else sa.true()
    joined = columns.select_from(found.join(TABLE, TABLE.c.id == found.c.id))
    return joined.where(chosen, *details)


def count(db: Session, filter: Filter) -> tuple[int, int]:
    """How many conversations are looked at, and how many of these match."""
    found = newest(filter, None, NEWEST)
    some = matching(filter, found).subquery()
    all_found, all_matching = (
        sa.select(sa.func.count()).select_from(each).scalar_subquery() for each in (found, some)
    )
    ((looked_at, matched),) = fetch(db, sa.select(all_found, all_matching))
    return looked_at, matched


def count_all(db: Session, filter: Filter) -> int:
    """How many there are in the period, whether they match or not; see `count_total`."""
    selection = filter.selection
    return count_total(db, _find_versions(filter), selection.period(), selection.with_tests)


def _find_versions(filter: Filter) -> Sequence[int]:
    chosen = filter.selection.version
    return filter.version_ids if chosen is None else [chosen]


def find_ids(db: Session, filter: Filter, before: int | None) -> tuple[list[int], int | None]:
    """Those of a page of the table; and the last that was looked at, if there are older ones."""
    found = newest(filter, before, NEWEST)
    some = matching(filter, found).order_by(sa.desc("started_at"), sa.desc("id"))
    ids = [id for id, *_ in fetch(db, some.limit(sa.literal_column(str(PAGE_SIZE + 1))))]
    if len(ids) > PAGE_SIZE:
        return ids[:PAGE_SIZE], ids[PAGE_SIZE - 1]
    oldest = sa.select(found.c.id).order_by(sa.asc("started_at"), sa.asc("id"))
    all_found = sa.select(sa.func.count()).select_from(found).scalar_subquery()
    last = oldest.where(all_found == NEWEST).limit(sa.literal_column("1"))
    return ids, next((id for (id,) in fetch(db, last)), None)


def fetch(db: Session, statement: sa.Select) -> list[list[Any]]:
    """The rows of a statement that can be read."""
    return Statement(statement).fetch_readable(db, unreadable_rows(db).add)


# Answers ####################################################################


def find_groups(db: Session, filter: Filter) -> Iterator[Group]:
    """The answers of the conversations that match, counted; but for their order."""
    some = matching(filter, newest(filter, None, NEWEST)).subquery()
    without = ANSWERED.c.value.is_(None)
    # Those without a value are told apart by their id, so that each has its own text.
    each = sa.case((without, ANSWERED.c.id))
    text, question = (
        sa.func.max(sa.case((without, column))) for column in (ANSWERED.c.text, ANSWERED.c.question)
    )
    statement = (
        sa.select(
            *(ANSWERED.c.key, ANSWERED.c.value, sa.func.count(), sa.func.max(some.c.id)),
            *(sa.func.max(some.c.version), text, question),
        )
        .select_from(some.join(ANSWERED, ANSWERED.c.conversation_id == some.c.id))
        .group_by(ANSWERED.c.key, ANSWERED.c.value, each)
    )
    definitions = {version.id: version.definition for version in filter.versions}
    for key, value, number, last, version, text, question in fetch(db, statement):
        yield Group(key, value, number, last, was_unread(definitions, version, text, question))


def find_rows(
    db: Session, filter: Filter, ids: Sequence[int], columns: Sequence[Column]
) -> Iterator[Row]:
    """The rows of the table, as exports read them."""
    reader = ConversationReader(filter.selection, {filter.name: filter.keys})
    for found in chain.from_iterable(reader.read(db, id - 1, id) for id in ids):
        yield Row(found.id, [_cell(found, column) for column in columns], bool(found.is_test))


def _cell(found: ExportedConversation, column: Column) -> Cell:
    if column.key is None:
        value = getattr(found, column.name)
        if column.name == "state":
            return Cell(column, show_state(value))
        return (
            Cell(column, time=value) if isinstance(value, datetime) else Cell(column, value or "")
        )
    answer = found.answers.get(column.key)
    if answer is None:
        return Cell(column)
    if answer.value is None:
        text = "could not be read" if column.key in found.unread_texts else "skipped"
        return Cell(column, text, hint=answer.row.text, look="secondary")
    if answer.of and KINDS[answer.of.kind].reads_media:
        files = len(answer.value.split())
        return Cell(column, f"{files} file{'' if files == 1 else 's'}", hint=answer.row.text)
    text = shorten(answer.value, LONGEST)
    return Cell(column, text, hint=answer.row.text, look="words" if len(text) > SHORT else "short")
