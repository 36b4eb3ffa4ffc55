"""The search of the console: people by number or name, and texts by their words."""

from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.contact import Contact
from models.message import Message
from models.reports.context import MAX_ID, PageContext
from models.reports.people import Person, search_people
from models.reports.search_terms import MAX_PHRASES, Part, SearchTerms
from models.reports.threads import CONVERSATIONS, IDS, PAGE_SIZE, STATES, THESE, Unreadable
from models.search_index import SLICE, find_reached
from storage.base import LITERAL_1, Statement
from storage.stopwatch import Stopwatch

MAX_TEXTS = PAGE_SIZE
MAX_LENGTH = 200  # characters of a query
MAX_PEOPLE = 10  # on the page; the page People shows more
NOT_INDEXED = 1_000  # of the newest texts that are looked through until the index has them
# A page looks into the index for so long, and a look finds so many texts. It takes a tenth of a
# millisecond where a word is rare, and some milliseconds where all are common.
LOOK_SECONDS, AT_ONCE = 0.05, PAGE_SIZE + 1
# FTS5 has soon gone through the texts with a word that fewer have. So many words are looked up.
RARE, MAX_LOOKED_UP = 2_000, 8


class FoundText(NamedTuple):
    """A text that has what was searched for."""

    id: int
    thread: int | None
    person: Person
    is_inbound: bool
    parts: list[Part]
    at: datetime
    title: str  # of the questionnaire
    state: str  # of the conversation, in words


class SearchPage(NamedTuple):
    """What a search finds."""

    query: str
    advice: str  # why nothing was looked for
    people: list[Person]
    has_more_people: bool
    texts: list[FoundText]
    older: str | None  # the address of the page with older texts
    is_cut: bool  # whether there may be older ones, but enough were looked through
    is_first: bool
    reached_at: datetime | None  # of the text up to which the index is true, if it lags behind
    is_behind: bool
    unreadable: int


class Hits(NamedTuple):
    """Ids of texts, the newest first, and the id before which to go on, if there may be more."""

    ids: list[int]
    older: int | None = None
    is_cut: bool = False


def find_matches(db: Session, context: PageContext) -> SearchPage:
    """The people and the texts that a query names."""
    query, left_out = context.query.value("q"), Unreadable(db)
    before = context.query.id("before")
    words, advice = SearchTerms.of(query), ""
    if len(query) > MAX_LENGTH:
        advice = f"Search for {MAX_LENGTH} characters at most."
    elif not words.phrases:
        advice = "Type a number, a name or words."
    people, hits, lag = [], Hits([]), Lag(False)
    if not advice:
        people = _find_people(db, context, query, left_out) if before is None else []
        hits, lag = _find_hits(db, query, words, MAX_ID if before is None else before, left_out)
    return SearchPage(
        query,
        advice,
        people[:MAX_PEOPLE],
        len(people) > MAX_PEOPLE,
        _load_texts(db, context, hits.ids, words, left_out),
        context.query.address(before=hits.older) if hits.older else None,
        hits.is_cut,
        before is None,
        lag.reached_at,
        lag.is_behind,
        left_out.count,
    )


def _find_people(
    db: Session, context: PageContext, query: str, left_out: Unreadable
) -> list[Person]:
    ids = search_people(db, context, query.strip('"“”„ '))[: MAX_PEOPLE + 1]
    people = {
        id: Person(id, phone, context.people.name_of(phone) or name)
        for id, name, phone in _fetch(db, BY_ID, ids, left_out)
    }
    return [people[id] for id in ids if id in people]


# Texts #######################################################################


class Lag(NamedTuple):
    """Whether texts wait for the index that were not looked through, and how far it is."""

    is_behind: bool
    reached_at: datetime | None = None


def _find_hits(
    db: Session, query: str, words: SearchTerms, before: int, left_out: Unreadable
) -> tuple[Hits, Lag]:
    """A page of texts with these words, or with this sid."""
    with_sid = [id for (id,) in WITH_SID.fetch_all(db, sid=query, before=before)]
    if with_sid:
        return Hits(with_sid), Lag(False)
    reached = find_reached(db)
    newest = RECENT.fetch_readable(db, left_out, after=reached, before=before, limit=NOT_INDEXED)
    is_behind = len(newest) == NOT_INDEXED
    lag = Lag(is_behind, _time_of(db, reached, left_out) if is_behind else None)
    found = [id for id, body in newest if words.are_in(body)]
    hits = _look_through(db, words, min(before, reached + 1), left_out)
    ids = [*found, *hits.ids]
    if len(ids) > MAX_TEXTS:
        return Hits(ids[:MAX_TEXTS], ids[MAX_TEXTS - 1]), lag
    return Hits(ids, hits.older, hits.is_cut), lag


def _time_of(db: Session, id: int, left_out: Unreadable) -> datetime | None:
    rows = TIME.fetch_readable(db, left_out, id=id)
    return rows[0][1] if rows else None


def _look_through(db: Session, words: SearchTerms, before: int, left_out: Unreadable) -> Hits:
    """Those in the index: MAX_TEXTS, and more if there are.

    Where all words are common, they are looked for in one slice after the other.
    """
    if db.get_bind().dialect.name == "sqlite" and _has_rare(db, words):
        values = words.in_all_slices | {"before": before, "limit": AT_ONCE}
        return Hits([id for (id,) in IN_SLICE["sqlite"].fetch_all(db, **values)])
    ids: list[int] = []
    stopwatch = Stopwatch()
    while before > 1 and len(ids) <= MAX_TEXTS:
        found = _look(db, words, before)
        ids += _with_phrases(db, words, found, left_out)
        before = found[-1] if len(found) == AT_ONCE else (before - 1) // SLICE * SLICE
        if stopwatch.seconds > LOOK_SECONDS:
            break
    is_cut = before > 1 and len(ids) <= MAX_TEXTS
    return Hits(ids, before if is_cut else None, is_cut)


def _has_rare(db: Session, words: SearchTerms) -> bool:
    matches = (f'body:"{word}"' for word in words.words[:MAX_LOOKED_UP])
    return not all(IS_COMMON.fetch_all(db, words=each, count=RARE) for each in matches)


def _look(db: Session, words: SearchTerms, before: int) -> list[int]:
    """The newest in the slice before this id, AT_ONCE at most."""
    dialect, number = db.get_bind().dialect.name, (before - 1) // SLICE
    values = words.in_slice(number) if dialect == "sqlite" else words.for_postgresql(number)
    rows = IN_SLICE[dialect].fetch_all(db, before=before, limit=AT_ONCE, **values)
    return [id for (id,) in rows]


def _with_phrases(
    db: Session, words: SearchTerms, ids: list[int], left_out: Unreadable
) -> list[int]:
    """Those that have the phrases. FTS5 was not asked: it looks for a phrase beyond the slice."""
    if not (words.has_phrases and ids and db.get_bind().dialect.name == "sqlite"):
        return ids
    these = dict.fromkeys(LOOKED_AT, ids[0]) | dict(zip(LOOKED_AT, ids, strict=False))
    rows = BODIES.fetch_readable(db, left_out, **these)
    return [id for id, body in rows if words.are_in(body)]


def _load_texts(
    db: Session, context: PageContext, ids: list[int], words: SearchTerms, left_out: Unreadable
) -> list[FoundText]:
    rows = _fetch(db, FOUND, ids, left_out)
    guests = [sender if direction == "inbound" else to for _, direction, sender, to, *_ in rows]
    contacts = {phone: row for *row, phone in _fetch(db, BY_PHONE, guests, left_out)}
    threads = {
        id: row for id, *row in _fetch(db, CONVERSATIONS, [row[-1] for row in rows], left_out)
    }
    found = []
    for (id, direction, _, _, body, at, thread), phone in zip(rows, guests, strict=True):
        contact, known_as = contacts.get(phone, (None, None))
        person = Person(contact, phone, context.people.name_of(phone) or known_as)
        _, state, _, _, name = threads.get(thread, [None] * 5)
        title = context.questionnaires.get(name, name) or ""
        of_thread = (thread, person, direction == "inbound", words.mark(body), at, title)
        found.append(FoundText(id, *of_thread, STATES.get(state, state) or ""))
    return found


def _fetch(
    db: Session, statement: Statement, values: list[Any], left_out: Unreadable
) -> list[list[Any]]:
    """The rows with these values, fewer than PAGE_SIZE; none without values."""
    known = [value for value in dict.fromkeys(values) if value is not None]
    if not known:
        return []
    these = dict.fromkeys(IDS, known[0]) | dict(zip(IDS, known, strict=False))
    return statement.fetch_readable(db, left_out, **these)


# Built once: building a statement costs as much as running it.
TABLE, CONTACT = Message.__table__, Contact.__table__
BEFORE, LIMIT = sa.bindparam("before"), sa.bindparam("limit")
ID = sa.column("id", sa.BigInteger())
FOUND = Statement(
    sa.select(
        *(TABLE.c.id, TABLE.c.direction, TABLE.c.sender, TABLE.c.recipient, TABLE.c.body),
        *(TABLE.c.created_at, TABLE.c.conversation_id),
    )
    .where(TABLE.c.id.in_(THESE))
    .order_by(TABLE.c.id.desc())
)
PEOPLE = sa.select(CONTACT.c.id, CONTACT.c.name, CONTACT.c.phone)
BY_ID = Statement(PEOPLE.where(CONTACT.c.id.in_(THESE)))
BY_PHONE = Statement(
    PEOPLE.where(
        CONTACT.c.phone.in_([sa.bindparam(name, type_=CONTACT.c.phone.type) for name in IDS])
    )
)
WITH_SID = Statement(
    sa.select(TABLE.c.id).where(TABLE.c.sid == sa.bindparam("sid"), TABLE.c.id < BEFORE)
)
TIME = Statement(
    sa.select(TABLE.c.id, TABLE.c.created_at)
    .where(TABLE.c.id == sa.bindparam("id"))
    .limit(LITERAL_1)
)
RECENT = Statement(
    sa.select(TABLE.c.id, TABLE.c.body)
    .where(TABLE.c.id > sa.bindparam("after"), TABLE.c.id < BEFORE)
    .order_by(TABLE.c.id.desc())
    .limit(LIMIT)
)
LOOKED_AT = [f"id{n}" for n in range(AT_ONCE)]
BODIES = Statement(
    sa.select(TABLE.c.id, TABLE.c.body)
    .where(TABLE.c.id.in_([sa.bindparam(name, type_=TABLE.c.id.type) for name in LOOKED_AT]))
    .order_by(TABLE.c.id.desc())
)
HAS_ALL = " && ".join(
    f"phraseto_tsquery('pg_catalog.simple', :phrase{n})" for n in range(MAX_PHRASES)
)
IS_COMMON = Statement(
    sa.text(
        "SELECT rowid AS id FROM message_search WHERE message_search MATCH :words"
        " LIMIT 1 OFFSET :count"
    ).columns(ID)
)
IN_SLICE = {
    "sqlite": Statement(
        sa.text(
            "SELECT rowid AS id FROM message_search WHERE message_search MATCH :words"
            " AND rowid < :before ORDER BY rowid DESC LIMIT :limit"
        ).columns(ID)
    ),
    # Materialized: else PostgreSQL reads all rows from the newest on, as if each word were
    # everywhere.
    "postgresql": Statement(
        sa.text(
            "WITH found AS MATERIALIZED (SELECT id FROM message_search"
            f" WHERE words @@ (CAST(:slice AS tsquery) && {HAS_ALL}))"
            " SELECT id FROM found WHERE id < :before ORDER BY id DESC LIMIT :limit"
        ).columns(ID)
    ),
}
