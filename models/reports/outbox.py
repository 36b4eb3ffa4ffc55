"""The outbox as operators see it: counts by state, what is wrong where, and the results."""

from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.acts.results import NO_HOST, host_of
from models.delivery import IS_UNDELIVERED, TABLE
from models.failures import describe_event
from models.outbox import DISCARDED, find_paused_urls
from models.reports.context import MAX_ID, PageContext
from models.undelivered import MAX_COUNT, Undelivered
from storage.base import LITERAL_1, Statement
from storage.column_types import read_time
from storage.unreadable import UnreadableRow, unreadable_rows

ROWS = 50  # of a page
GROUPED = 2000  # results of each state that are grouped, the newest
MAX_GROUPS = 100
SCANNED = 10_000  # results among which one page looks for those of a receiver, or a cause
OWED = ("failed", "unconfirmed", "pending")  # what the page begins with
STATES = {  # as operators read them; all that a filter knows
    "failed": "failed",
    "unconfirmed": "may have arrived",
    "pending": "waiting",
    DISCARDED: "discarded",
    "delivered": "arrived",
}
URGENCY = ("failed", "unconfirmed", "paused", "pending")
MAX_PATH = 40  # characters
NO_CAUSE = "none"  # of a filter: what was not tried yet


class Chip(NamedTuple):
    """A state, how many results are in it, and the address that lists them."""

    state: str
    words: str
    count: int
    is_more: bool  # than `count`
    address: str
    is_current: bool


class Group(NamedTuple):
    """Results for one URL that are in the same state for the same cause."""

    newest_id: int
    host: str
    path: str
    state: str
    words: str  # for the state
    error: str  # of the newest
    count: int
    oldest: datetime | None  # None if that cannot be read
    address: str  # of their list
    can_retry: bool  # whether some may wait, or have failed


class Row(NamedTuple):
    """A result in the list."""

    id: int
    conversation_id: int
    host: str
    state: str
    words: str
    attempts: int
    next_attempt_at: datetime | None  # None unless it is tried again by itself
    status: int | None
    error: str | None
    created_at: datetime
    age: str


class Overview(NamedTuple):
    """What the page shows."""

    chips: list[Chip]
    groups: list[Group]
    is_partial: bool  # whether there are more than were grouped
    rows: list[Row]
    unreadable: list[UnreadableRow]  # rows that would be in the list
    more: str | None  # the address of the next page
    receiver: str | None  # the host that the list is of
    cause: str | None  # the same, in words
    is_filtered: bool


def find_outbox(db: Session, context: PageContext) -> Overview:
    """Counts, groups and a page of results, newest first."""
    query, paused = context.query, find_paused_urls(db)
    state, cause = query.choice("state", STATES), query.value("cause")
    receiver, url = query.id("receiver"), None
    if receiver:
        url = next((url for (url,) in URL_OF.fetch_all(db, this=receiver)), None)
    filters = Filters(state, url, cause)
    is_filtered = bool(state or url or cause)
    groups = [] if is_filtered else _find_groups(db, context, paused)
    page = find_page(db, filters, query.id("before") or MAX_ID)
    rows = [_row(each, paused, context.now) for each in page.rows]
    return Overview(
        chips=_find_chips(db, context, state),
        groups=groups[:MAX_GROUPS],
        is_partial=_is_partial(groups),
        rows=rows,
        unreadable=page.unreadable,
        more=query.address(before=page.next_before) if page.next_before else None,
        receiver=None if url is None else host_of(str(url)),
        cause=cause and name_cause(cause),
        is_filtered=is_filtered,
    )


def name_cause(cause: str) -> str:
    """What has happened, in words, without what differs from result to result."""
    if cause == NO_CAUSE:
        return "not tried yet"
    happened = describe_event(cause, None, "…").replace("HTTP None", "HTTP …")
    return happened.partition(": …")[0].strip(" ….") or cause


def describe_age(age_seconds: float) -> str:
    """How long something has waited, as people say it."""
    units = ((86400, "day"), (3600, "hour"), (60, "minute"))
    size, unit = next((each for each in units if age_seconds >= each[0]), (1, "second"))
    count = max(int(age_seconds // size), 0)
    return f"{count} {unit}{'' if count == 1 else 's'}"


# Counts and groups ###########################################################


def _find_chips(db: Session, context: PageContext, current: str) -> list[Chip]:
    undelivered = Undelivered.find(db, context.now)
    ((discarded, delivered, seen),) = COUNTS.fetch_all(db)
    counts = {state: getattr(undelivered, state) or 0 for state in OWED}
    counts |= {DISCARDED: discarded, "delivered": delivered}
    more = {state for state, count in counts.items() if count > MAX_COUNT}
    if seen == SCANNED:
        more.add("delivered")
    return [
        Chip(
            state,
            STATES[state],
            min(count, MAX_COUNT),
            state in more,
            context.query.address(state=state, before=None),
            state == current,
        )
        for state, count in counts.items()
    ]


def _is_partial(groups: list[Group]) -> bool:
    totals: dict[str, int] = {}
    for group in groups:
        state = "pending" if group.state == "paused" else group.state
        totals[state] = totals.get(state, 0) + group.count
    return len(groups) > MAX_GROUPS or any(total >= GROUPED for total in totals.values())


def _find_groups(db: Session, context: PageContext, paused: set[str]) -> list[Group]:
    found = []
    for id, url, state, cause, count, oldest, status, error in GROUPS.fetch_all(db):
        shown = "paused" if state == "pending" and url in paused else state
        host = host_of(str(url))
        words = str(error) if error else "Not tried yet."
        if cause and not error:
            words = describe_event(str(cause), status, None)
        changes = {"state": state, "receiver": id, "cause": cause or NO_CAUSE}
        address = context.query.address(**changes, before=None)
        path = str(url) if host == NO_HOST else str(url).partition(host)[2].partition("?")[0]
        can_retry = shown in ("failed", "paused") or (shown == "pending" and bool(cause))
        shown_as = (shown, STATES.get(shown, shown), words)
        found.append(
            Group(id, host, _shorten(path), *shown_as, count, _time(oldest), address, can_retry)
        )
    return sorted(found, key=_urgency)


def _urgency(group: Group) -> tuple[bool, int]:
    """What needs the operator comes first; what is yet to be tried, last."""
    return not group.can_retry and group.state == "pending", URGENCY.index(group.state)


def _shorten(path: str) -> str:
    """A path without its middle, for forms have long ones."""
    return path if len(path) <= MAX_PATH else f"{path[: MAX_PATH // 2]}…{path[-MAX_PATH // 2 :]}"


def _time(raw: Any) -> datetime | None:
    """A time as the database holds it, for one that cannot be read must not hide its group."""
    try:
        return raw if isinstance(raw, datetime) else read_time(raw)
    except (TypeError, ValueError):
        return None


# The list ####################################################################


class Filters(NamedTuple):
    """What is listed: "" or None passes all."""

    state: str = ""
    url: Any = None  # bytes if somebody has written such
    cause: str = ""

    @property
    def states(self) -> tuple[str, ...]:
        """Those that the rows can be in."""
        return (self.state,) if self.state else OWED


class Page(NamedTuple):
    """The rows of a page, and the id below which the next one begins."""

    rows: list[list[Any]]
    unreadable: list[UnreadableRow]
    next_before: int | None


def find_page(db: Session, filters: Filters, before: int) -> Page:
    """The newest results below this id that pass, ROWS at most, from a bounded number of rows.

    If a filter passes few of those that were looked at, a page holds fewer, and has a next one.
    """
    found, unreadable = [], []
    floor = 0  # below it not all states were looked at
    for state in filters.states:
        listing = _listing(state, filters.url is not None, _kind_of(filters.cause))
        ((lowest, is_full),) = listing.window.fetch_all(db, before=before)
        if lowest is None:
            continue
        floor = max(floor, lowest if is_full else 0)
        values = {"before": before, "lowest": lowest}
        values |= {name: getattr(filters, name) for name in listing.filters}
        found += listing.rows.fetch_readable(db, unreadable.append, **values)
    for error in unreadable:
        unreadable_rows(db).add(error)
    # Those that cannot be read have a place, too: without them there would seem to be no more.
    ids = sorted((*(row[0] for row in found), *(error.id for error in unreadable)), reverse=True)
    ids = [id for id in ids if id >= floor]
    last, next_before = floor, floor or None
    if len(ids) > ROWS:
        last = next_before = ids[ROWS - 1]
    found = sorted((row for row in found if row[0] >= last), key=lambda row: -row[0])
    return Page(found, [error for error in unreadable if error.id >= last], next_before)


def _kind_of(cause: str) -> str:
    return cause if cause in ("", NO_CAUSE) else "some"


def _row(row: list[Any], paused: set[str], now: datetime) -> Row:
    id, conversation_id, url, state, attempts, next_at, status, error, created_at = row
    shown = "paused" if state == "pending" and url in paused else state
    return Row(
        id,
        conversation_id,
        host_of(url),
        shown,
        STATES.get(shown, shown),
        attempts,
        next_at if shown == "pending" else None,
        status,
        error,
        created_at,
        describe_age((now - created_at).total_seconds()),
    )


# Built once: building a statement costs as much as running it.
BEFORE = TABLE.c.id < sa.bindparam("before")
COLUMNS = ("id", "conversation_id", "url", "state", "attempts", "next_attempt_at", "last_status")
COLUMNS += ("last_error", "created_at")
URL_OF = Statement(
    sa.select(sa.type_coerce(TABLE.c.url, NULLTYPE)).where(TABLE.c.id == sa.bindparam("this"))
)


def _first(statement: sa.Select, count: int) -> sa.Select:
    return statement.limit(sa.literal_column(str(count)))


def _in_state(state: str) -> list[sa.ColumnElement[bool]]:
    """As an index has it, which the delivered ones are not in."""
    condition = TABLE.c.state == sa.literal_column(f"'{state}'")
    return [condition] if state == "delivered" else [sa.text(IS_UNDELIVERED), condition]


class Listing(NamedTuple):
    """The statements of a list: which ids it looks at, and which rows of these it shows."""

    window: Statement
    rows: Statement
    filters: tuple[str, ...]


@cache
def _listing(state: str, has_url: bool, cause: str) -> Listing:
    conditions = {"state": _in_state(state)}
    if has_url:
        conditions["url"] = [TABLE.c.url == sa.bindparam("url", type_=NULLTYPE)]
    if cause == NO_CAUSE:
        conditions["no cause"] = [TABLE.c.cause.is_(None)]
    elif cause:
        conditions["cause"] = [TABLE.c.cause == sa.bindparam("cause")]
    is_plain = len(conditions) == 1 and state != "delivered"
    size = ROWS + 1 if is_plain else SCANNED
    seen = sa.select(TABLE.c.id).where(BEFORE).order_by(TABLE.c.id.desc())
    if state != "delivered":
        seen = seen.where(*_in_state(state))
    window = _first(seen, size).subquery()
    is_full = sa.func.count() == sa.literal_column(str(size))
    rows = sa.select(*(TABLE.c[name] for name in COLUMNS)).where(
        BEFORE,
        TABLE.c.id >= sa.bindparam("lowest"),
        *(c for each in conditions.values() for c in each),
    )
    return Listing(
        Statement(sa.select(sa.func.min(window.c.id), is_full)),
        Statement(_first(rows.order_by(TABLE.c.id.desc()), ROWS + 1)),
        tuple(name for name in ("url", "cause") if name in conditions),
    )


def _newest(state: str, count: int, *columns: sa.ColumnElement) -> sa.Subquery:
    rows = sa.select(*columns).where(*_in_state(state)).order_by(TABLE.c.id.desc())
    return _first(rows, count).subquery()


def _count(rows: sa.Subquery) -> sa.ScalarSelect:
    return sa.select(sa.func.count()).select_from(rows).scalar_subquery()


# All ids are above 0; with this condition SQLite and PostgreSQL begin at the end of the index.
NEWEST = sa.select(TABLE.c.id, TABLE.c.state).where(TABLE.c.id > sa.literal_column("0"))
ALL = _first(NEWEST.order_by(TABLE.c.id.desc()), SCANNED).subquery()
IS_DELIVERED = ALL.c.state == sa.literal_column("'delivered'")
# How many are discarded, and of the newest how many are delivered, and how many these are.
COUNTS = Statement(
    sa.select(
        _count(_newest(DISCARDED, MAX_COUNT + 1, TABLE.c.id)),
        sa.func.count(sa.case((IS_DELIVERED, LITERAL_1))),
        sa.func.count(ALL.c.id),
    ).select_from(ALL)
)
# As the database holds them, for what cannot be read must be counted, too.
RAW = {
    name: sa.type_coerce(TABLE.c[name], NULLTYPE).label(name)
    for name in ("url", "cause", "created_at", "last_error")
}
GROUPED_ROWS = sa.union_all(
    *(
        sa.select(
            _newest(
                state,
                GROUPED,
                *(TABLE.c.id, RAW["url"], TABLE.c.state, RAW["cause"], RAW["created_at"]),
            )
        )
        for state in OWED
    )
).subquery()
SAME = (GROUPED_ROWS.c.url, GROUPED_ROWS.c.state, GROUPED_ROWS.c.cause)
TOTALS = (
    sa.select(
        sa.func.max(GROUPED_ROWS.c.id).label("id"),
        *SAME,
        sa.func.count().label("count"),
        sa.func.min(GROUPED_ROWS.c.created_at).label("oldest"),
    )
    .group_by(*SAME)
    .order_by(sa.func.count().desc())
    .limit(sa.literal_column(str(MAX_GROUPS + 1)))
    .subquery()
)
GROUPS = Statement(
    sa.select(
        *(sa.type_coerce(column, NULLTYPE) for column in TOTALS.c),
        sa.type_coerce(TABLE.c.last_status, NULLTYPE),
        RAW["last_error"],
    )
    .join_from(TOTALS, TABLE, TOTALS.c.id == TABLE.c.id)
    .order_by(TOTALS.c.count.desc(), TOTALS.c.id.desc())
)
