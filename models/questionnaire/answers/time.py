"""A time of day as people write it, in English or in the questionnaire's language."""

from collections.abc import Iterator, Sequence
from datetime import date, time
from functools import partial
from typing import Protocol

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    ParseContext,
    Reading,
    read_as,
    show_limits,
)
from models.questionnaire.moments.clock import PARTS
from models.questionnaire.moments.lexicon import lexicon_of
from models.questionnaire.moments.limits import DayOrTime, resolve_time
from models.questionnaire.moments.reading import name_time, part_of_day_in, read_times
from models.questionnaire.problem import Problem
from models.text import without_signature


class TimeOptions(Protocol):
    """The first and the last time that can be given; they may have midnight between them."""

    earliest: DayOrTime | None = None
    latest: DayOrTime | None = None


def limits(question: TimeOptions, today: date) -> str:
    """What a time must be between, to stand in a sentence."""
    return show_limits(question.earliest, question.latest, " - ")


class TimeKind(Kind):
    """A time of day."""

    documentation = "a time of day, also `half past two` or `noon`; it is kept like `14:30`"
    retry = "Please reply with a time, like 14:30 or 2:30 pm{limits}."
    options = TimeOptions
    placeholders = {"limits": limits}
    sample = "14:30"
    split_as = ("time",)
    numbers_readings = False  # for 1 is a time as well

    def parse(self, question: TimeOptions, text: str, context: ParseContext) -> Reading:
        lexicon = lexicon_of(context.language)
        written, is_inside = without_signature(text), partial(_is_inside, question)
        found = read_times(written, lexicon, context.local_date, is_inside)
        return read_as(*(f"{moment:%H:%M}" for moment in found)) if found else UNREAD

    def show_reading(self, question: TimeOptions, value: str, context: ParseContext) -> str:
        return name_time(time.fromisoformat(value), lexicon_of(context.language))

    def settle(
        self, question: TimeOptions, values: Sequence[str], text: str, context: ParseContext
    ) -> Reading:
        is_short = len(text) <= self.max_length
        part = part_of_day_in(text, lexicon_of(context.language)) if is_short else None
        hours = PARTS[part] if part else ()
        meant = [value for value in values if time.fromisoformat(value).hour in hours]
        return read_as(*meant) if meant else super().settle(question, values, text, context)

    def moment(self, value: str) -> time:
        return time.fromisoformat(value)

    def problems(self, question: TimeOptions) -> Iterator[Problem]:
        for name in ("earliest", "latest"):
            if (written := getattr(question, name)) and ":" not in written:
                yield Problem(name, f'{written} is not a time. Write one like "18:30".')

    def candidates(self, question: TimeOptions, wanted: Sequence[str | float]) -> Iterator[str]:
        yield from (moment for moment in wanted if _is_time(moment))

    def condition_help(self, question: TimeOptions) -> str:
        return 'Write a time like "14:30".'


def _is_inside(question: TimeOptions, moment: time) -> bool:
    earliest, latest = resolve_time(question.earliest), resolve_time(question.latest)
    is_late_enough = earliest is None or moment >= earliest
    is_early_enough = latest is None or moment <= latest
    if None not in (earliest, latest) and earliest > latest:
        return is_late_enough or is_early_enough
    return is_late_enough and is_early_enough


def _is_time(value: str | float) -> bool:
    try:
        return f"{time.fromisoformat(str(value)):%H:%M}" == value
    except ValueError:
        return False


KIND = TimeKind()
