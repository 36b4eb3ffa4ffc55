"""Which conversations the page of answers is asked for, and its addresses."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import Conversation
from models.export import find_keys, find_names, find_version_ids, find_versions
from models.questionnaire.answers import KINDS
from models.questionnaire.catalog import Catalog
from models.questionnaire.schema import Question, Questionnaire
from models.reports.context import MAX_FIELDS, MAX_ID, OddFilter, PageContext, Query, known_zone
from models.selection import STATES, Among, Between, Exactly, InRange, Selection, Wanted
from models.version import Version
from storage.base import LITERAL_1, Statement
from storage.unreadable import unreadable_rows

Fields = list[tuple[str, str]]  # of an address, in its order

RANGE = re.compile(r"(.+?)\.\.(<?)(.+)")  # 3..5 and 1.5..<2, like the addresses of bars
ANSWER = "answer."  # before a key, in the name of a field
# How a question can be asked about besides by its answer: what the form and the chips say.
HOWS = {
    "has": "was answered",
    "missing": "was not answered",
    "passed": "was skipped or could not be read",
}
NO_REMOVED = ("removed", "no")
WITH_TESTS = ("tests", "yes")
SHAPES = ("wide", "long")  # of a file: a row for each conversation, or for each answer
# All that an address can have besides answers: an error may name these.
KNOWN = {"questionnaire", "from", "to", "state", "version", "removed", "tests", "ids", "ticked"}
KNOWN |= {"answer", "question", "how", "value", "shape", *HOWS}
NOT_EXPORTED = "So nothing was exported. Go back, and correct it."


class Chip(NamedTuple):
    """A filter that is in use, and the address of the page without it."""

    label: str
    words: str
    address: str


class Filter(NamedTuple):
    """What is asked for, and what can be."""

    names: Mapping[str, str]  # the titles of all questionnaires, by name
    name: str  # of the one that is shown; "" if there is none at all
    questionnaire: Questionnaire | None  # as its file is now; its newest version without a file
    versions: Sequence[Version]  # that can be read, the newest first
    version_ids: Sequence[int]  # of all
    keys: Sequence[str]  # of the questions that are shown
    questions: Mapping[str, Question]
    selection: Selection
    fields: Fields

    @property
    def zone(self) -> str:
        """The time zone of its questionnaire."""
        return self.questionnaire.timezone if self.questionnaire else "UTC"

    @property
    def with_removed(self) -> bool:
        """Whether questions are shown that the file no longer has."""
        return NO_REMOVED not in self.fields

    @property
    def is_narrow(self) -> bool:
        """Whether some conversations of the questionnaire may be left out."""
        return bool(self.chips)

    @property
    def clear(self) -> str:
        """The address of the same questionnaire without filters."""
        return "?" + urlencode([("questionnaire", self.name)])

    @property
    def others(self) -> list[Chip]:
        """All questionnaires: name, title and address."""
        addresses = {name: "?" + urlencode([("questionnaire", name)]) for name in self.names}
        return [Chip(name, title, addresses[name]) for name, title in self.names.items()]

    def address(self, *more: tuple[str, object]) -> str:
        """That of the same, and of further fields; those of one name replace it."""
        replaced = {name for name, _ in more}
        fields = [field for field in self.fields if field[0] not in replaced]
        return "?" + urlencode([*fields, *((name, str(value)) for name, value in more)])

    def behind(self, field: str, value: str) -> str:
        """The address of the conversations behind a figure."""
        fields = [each for each in self.fields if each != (field, value)]
        return "?" + urlencode([*fields, (field, value)]) + "#rows"

    @property
    def chips(self) -> list[Chip]:
        """The filters in use."""
        return [
            Chip(*words, "?" + urlencode([each for each in self.fields if each != field]))
            for field in self.fields
            if (words := _chip_words(*field))
        ]


def _chip_words(name: str, value: str) -> tuple[str, str] | None:
    """The label and the words of a field, if it is a filter."""
    if name in HOWS:
        return value, HOWS[name]
    if (name, value) == WITH_TESTS:
        return name, "counted, too"
    if name.startswith(ANSWER):
        return name.removeprefix(ANSWER), value
    if name == "ids":
        return "conversations", f"{value.count(',') + 1} chosen"
    if name in ("from", "to", "state", "version"):
        return name, value
    return None


def find_filter(db: Session, context: PageContext) -> Filter:
    """Read what an address asks for. What makes no sense there is left out."""
    query, catalog = context.query, dict(context.catalog)
    names = find_titles(db, catalog)
    name = query.choice("questionnaire", names) or find_default_name(db, context.catalog, names)
    versions = find_versions(db, name)
    now = catalog.get(name) or (versions[0].definition if versions else None)
    questions = {
        key: question
        for each in (
            *reversed([version.definition for version in versions]),
            *([now] if now else ()),
        )
        for key, question in each.by_key.items()
    }
    fields = list(_read_fields(query, name, versions, questions))
    zone = known_zone(now.timezone if now else "UTC")
    keys = find_keys(db, name, now, NO_REMOVED not in fields)
    selection = _select(name, fields, questions, zone)._replace(ids=_read_ids(query))
    return Filter(
        names, name, now, versions, find_version_ids(db, name), keys, questions, selection, fields
    )


def check_filter(query: Query, filter: Filter) -> None:
    """OddFilter for the first field that is left out: a file does not show what it is of."""
    if query.is_too_long:
        raise OddFilter(f"This address has more than {MAX_FIELDS} filters. {NOT_EXPORTED}")
    for name, value in query.behind(""):
        if value and not _is_understood(query, filter, name, value):
            field = "answer" if name.startswith(ANSWER) else name
            which = f"“{field}”" if field in KNOWN else "a filter"
            raise OddFilter(f"This address has {which} with no meaning here. {NOT_EXPORTED}")


def _is_understood(query: Query, filter: Filter, name: str, value: str) -> bool:
    """Whether a field does what somebody meant by it."""
    match name:
        case "questionnaire":
            return value == filter.name
        case "from" | "to" | "state" | "version" | "removed":
            return name in dict(filter.fields)
        case "ids" | "ticked":
            return _read_numbers([value]) != [0]
        case "question" | "value":
            found = next(_read_question(query), None)
            return found in filter.fields
        case "how":
            return value == "is" or value in HOWS
        case "shape":
            return value in SHAPES
    return name in ("columns", "before") or (name, value) in filter.fields


def find_titles(db: Session, catalog: Mapping[str, Questionnaire]) -> dict[str, str]:
    """The titles of the questionnaires that there are, by name, and the names of others."""
    titles = {name: questionnaire.title for name, questionnaire in catalog.items()}
    return titles | {name: name for name in find_names(db) if name not in titles}


def find_default_name(db: Session, catalog: Catalog, names: Iterable[str]) -> str:
    """What pages show unless another is asked for: the questionnaire used last.

    Before any was, the first that asks something.
    """
    last = next((name for _, _, name in LAST_USED.fetch_readable(db, unreadable_rows(db).add)), "")
    with_questions = (name for name, questionnaire in catalog if questionnaire.questions)
    return last or next(with_questions, next(iter(names), ""))


def _read_fields(
    query: Query, name: str, versions: Sequence[Version], questions: Mapping[str, Question]
) -> Iterator[tuple[str, str]]:
    """The fields that make sense, in the order of the chips; none twice with the same value."""
    yield "questionnaire", name
    for field in ("from", "to"):
        if day := query.day(field):
            yield field, day.isoformat()
    if state := query.choice("state", STATES):
        yield "state", state
    if version := query.choice("version", [str(version.id) for version in versions]):
        yield "version", version
    about = [(f"{ANSWER}{key}", value) for key, value in query.behind(ANSWER) if value]
    about += [(how, key) for how in HOWS for key in query.values(how)]
    about += _read_question(query)
    for field, value in dict.fromkeys(about):
        if (value if field in HOWS else field.removeprefix(ANSWER)) in questions:
            yield field, value
    for flag in (NO_REMOVED, WITH_TESTS):
        if query.value(flag[0]) == flag[1]:
            yield flag
    if ids := _read_ids(query):
        yield "ids", ",".join(map(str, ids))


def _read_question(query: Query) -> Iterator[tuple[str, str]]:
    """What the form says of a question: which one, how it was answered, and what."""
    key, how, value = map(query.value, ("question", "how", "value"))
    if key and how in HOWS:
        yield how, key
    elif key and value:
        yield f"{ANSWER}{key}", value


def _read_ids(query: Query) -> tuple[int, ...]:
    """The conversations that are named, and of these those that were ticked; 0 is none of them."""
    named, ticked = (_read_numbers(query.values(name)) for name in ("ids", "ticked"))
    if not (named and ticked):
        return tuple(named or ticked)
    return tuple(id for id in ticked if id in named) or (0,)


def _read_numbers(values: Iterable[str]) -> list[int]:
    """The ids; 0, which no row has, instead of all that are none."""
    written = [id for value in values for id in value.split(",") if id]
    numbers = [int(id) for id in written if id.isascii() and id.isdigit() and len(id) < 20]
    return [id for id in numbers if id <= MAX_ID] or [0] * bool(written)


def _select(
    name: str, fields: Fields, questions: Mapping[str, Question], zone: ZoneInfo
) -> Selection:
    values = dict(fields)
    answers: dict[str, tuple[Wanted, ...]] = {}
    for field, value in fields:
        if field.startswith(ANSWER):
            key = field.removeprefix(ANSWER)
            answers[key] = (*answers.get(key, ()), _wanted(questions[key], value))
    keys = {how: [value for field, value in fields if field == how] for how in HOWS}
    return Selection(
        questionnaire=name,
        state=values.get("state"),
        since=_start_of_day(values.get("from"), 0, zone),
        until=_start_of_day(values.get("to"), 1, zone),
        version=int(values["version"]) if "version" in values else None,
        with_tests=WITH_TESTS in fields,
        answers=answers,
        **keys,
    )


def _start_of_day(written: str | None, more: int, zone: ZoneInfo) -> datetime | None:
    """When a day begins, or one that comes some days later."""
    if written is None:
        return None
    try:
        day = date.fromisoformat(written) + timedelta(days=more)
        return datetime.combine(day, time.min, zone).astimezone(UTC)
    except OverflowError:  # at the ends of the calendar nothing is left out
        return None


def _wanted(question: Question, value: str) -> Wanted:
    kind, found = KINDS[question.kind], RANGE.fullmatch(value)
    if kind.is_number:
        least, is_open, most = found.groups() if found else (value, "", value)
        numbers = _number(least), _number(most)
        return InRange(*numbers, not is_open) if None not in numbers else Exactly(value)
    if found and kind.split_as:
        return Between(found[1], found[3])
    if isinstance(kind.result_value(question, value), list):
        return Among(value)
    return Exactly(value)


def _number(written: str) -> float | None:
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


# Built once: building a statement costs as much as running it.
TABLE, VERSIONED = Conversation.__table__, Version.__table__
LAST_USED = Statement(
    sa.select(TABLE.c.id, VERSIONED.c.id, VERSIONED.c.name)
    .select_from(TABLE.join(VERSIONED))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
