"""Which conversations an operator means: filters, as conditions in SQL."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from models.answer import Answer
from models.conversation import Conversation
from models.marked_test import is_no_test
from models.questionnaire.answers.choice import SEPARATOR

STATES = ("open", "completed", "stopped", "expired")
Condition = sa.ColumnElement[bool]

TABLE, ANSWERED = Conversation.__table__, Answer.__table__
VALUE = ANSWERED.c.value


class Wanted(Protocol):
    """What the value of an answer must be."""

    def condition(self) -> Condition:
        """The same, of the column of values."""


class Exactly(NamedTuple):
    """This value. Line ends and tabs do not count: an address of a page has none."""

    value: str

    def condition(self) -> Condition:
        joined = VALUE
        for control in "\r\n\t":
            joined = sa.func.replace(joined, control, "")
        return joined == self.value


class Among(NamedTuple):
    """This value, alone or among others."""

    value: str

    def condition(self) -> Condition:
        listed, wanted = SEPARATOR + VALUE + SEPARATOR, SEPARATOR + self.value + SEPARATOR
        return sa.func.replace(listed, wanted, "") != listed


class Between(NamedTuple):
    """From one day or time to another, both included: as text their order is the same."""

    least: str
    most: str

    def condition(self) -> Condition:
        return VALUE.between(self.least, self.most)


class InRange(NamedTuple):
    """From a number up to another one, which may itself be left out."""

    least: float
    most: float
    with_most: bool = True

    def condition(self) -> Condition:
        number = number_of(VALUE)
        return sa.and_(
            number >= self.least, number <= self.most if self.with_most else number < self.most
        )


class number_of(FunctionElement):
    """The number that a text is; NULL for what is none, since somebody may have edited it."""

    inherit_cache = True
    type = sa.Float()


@compiles(number_of, "sqlite")
def _number_on_sqlite(element: number_of, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    is_number = f"{text} GLOB '*[0-9]*' AND {text} NOT GLOB '*[^-0-9.]*'"
    return f"CASE WHEN {is_number} THEN CAST({text} AS REAL) END"


@compiles(number_of, "postgresql")
def _number_on_postgresql(element: number_of, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.clauses, **options)
    is_number = f"{text} ~ '^-?[0-9]{{1,99}}([.][0-9]{{1,99}})?$'"
    return f"CASE WHEN {is_number} THEN CAST({text} AS double precision) END"


class Selection(NamedTuple):
    """Which conversations are meant: all that meet whatever is given here."""

    questionnaire: str | None = None  # its name
    state: str | None = None
    since: datetime | None = None  # that started then or later
    ids: Collection[int] = ()
    until: datetime | None = None  # that started before then
    version: int | None = None  # the id of the definition that they have
    # What the answers to questions are, by key; and the keys of questions that were answered, that
    # were not, and that were asked and skipped, or given up.
    answers: Mapping[str, tuple[Wanted, ...]] = {}
    has: Collection[str] = ()
    missing: Collection[str] = ()
    passed: Collection[str] = ()
    with_tests: bool = False

    def scope(self) -> list[Condition]:
        """When they started, and whether tests are meant, too."""
        tests = [] if self.with_tests else [is_no_test(TABLE.c.id)]
        return [*tests, *self.period()]

    def period(self) -> list[Condition]:
        """When they started."""
        conditions = []
        if self.since is not None:
            conditions.append(TABLE.c.started_at >= self.since)
        if self.until is not None:
            conditions.append(TABLE.c.started_at < self.until)
        return conditions

    def details(self) -> list[Condition]:
        """All but the questionnaire and its version, the scope and the ids."""
        conditions = [TABLE.c.state == self.state] if self.state is not None else []
        for key, wanted in self.answers.items():
            conditions += [_answered(key, each.condition()) for each in wanted]
        conditions += [_answered(key, VALUE.is_not(None)) for key in self.has]
        conditions += [~_answered(key, VALUE.is_not(None)) for key in self.missing]
        conditions += [_answered(key, VALUE.is_(None)) for key in self.passed]
        return conditions


def _answered(key: str, condition: Condition) -> Condition:
    """Whether a conversation has an answer to this question that meets a condition."""
    of_question = ANSWERED.c.conversation_id == TABLE.c.id, ANSWERED.c.key == key
    return sa.exists(ANSWERED.c.id).where(*of_question, condition).correlate(TABLE)
