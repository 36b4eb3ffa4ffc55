"""A date as people write it, in English or in the questionnaire's language."""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Protocol

from models.questionnaire.answers.kind import (
    ANY_DAY,
    UNREAD,
    Kind,
    ParseContext,
    Reading,
    read_as,
    show_limits,
)
from models.questionnaire.moments.calendar import Calendar
from models.questionnaire.moments.lexicon import lexicon_of
from models.questionnaire.moments.limits import DayOrTime, resolve_day
from models.questionnaire.moments.reading import name_day, read_days_in
from models.questionnaire.problem import Problem
from models.text import without_signature


class DateOptions(Protocol):
    """The first and the last day that can be given, and the order of day and month."""

    earliest: DayOrTime | None = None
    latest: DayOrTime | None = None
    day_first: bool | None = None


def limits(question: DateOptions, today: date) -> str:
    """What a date must be between, to stand in a sentence."""
    earliest, latest = resolve_day(question.earliest, today), resolve_day(question.latest, today)
    return show_limits(earliest, latest, " - ")


class DateKind(Kind):
    """A day of a year."""

    documentation = "a day, also `tomorrow` or `next Tuesday`; it is kept like `2026-12-31`"
    retry = "Please reply with a date, like 3 May{limits}."
    options = DateOptions
    option_hints = {
        "today": 'is not a day. Write a date like 2026-12-31, or "today", "today+30d", "today-1d".'
    }
    placeholders = {"limits": limits}
    sample = "2026-12-31"
    split_as = ("date",)

    def parse(self, question: DateOptions, text: str, context: ParseContext) -> Reading:
        calendar = _calendar(question, context)
        days = read_days_in(context.language, without_signature(text), calendar)
        return read_as(*(day.isoformat() for day in days)) if days else UNREAD

    def show_reading(self, question: DateOptions, value: str, context: ParseContext) -> str:
        lexicon = lexicon_of(context.language)
        return name_day(date.fromisoformat(value), lexicon, context.local_date)

    def moment(self, value: str) -> date:
        return date.fromisoformat(value)

    def problems(self, question: DateOptions) -> Iterator[Problem]:
        written = (question.earliest, question.latest)
        for name, day in zip(("earliest", "latest"), written, strict=True):
            if day and not _is_in_calendar(day):
                sentence = f"{day} is not a day. Write one that the calendar has."
                yield Problem(name, sentence)
                return
        # One that moves with today and one that does not may be in any order, some day.
        if None not in written and len({day.startswith("today") for day in written}) == 1:
            earliest, latest = (resolve_day(day, ANY_DAY.local_date) for day in written)
            if earliest > latest:
                sentence = "is after latest. No day could be between them; correct one."
                yield Problem("earliest", sentence)

    def candidates(self, question: DateOptions, wanted: Sequence[str | float]) -> Iterator[str]:
        yield from (day for day in wanted if _is_iso_day(day))

    def condition_help(self, question: DateOptions) -> str:
        return "Write a date like 2026-12-31."


def _calendar(question: DateOptions, context: ParseContext) -> Calendar:
    today = context.local_date
    earliest, latest = resolve_day(question.earliest, today), resolve_day(question.latest, today)
    orders = (question.day_first,)
    if question.day_first is None:
        orders = (True,) if lexicon_of(context.language).dates.day_first else (True, False)
    return Calendar(today, earliest, latest, orders)


def _is_in_calendar(written: str) -> bool:
    try:
        return resolve_day(written, ANY_DAY.local_date) is not None
    except ValueError:
        return False


def _is_iso_day(value: str | float) -> bool:
    try:
        return date.fromisoformat(str(value)).isoformat() == value
    except ValueError:
        return False


KIND = DateKind()
