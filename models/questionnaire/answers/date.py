"""A date as people write it, in English or in the questionnaire's language.

The library is loaded with the first date that is asked for, as it takes a tenth of a second.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Annotated, Protocol

from msgspec import Meta

from models.questionnaire.answers.kind import (
    ANY_DAY,
    UNREAD,
    Kind,
    ParseContext,
    Reading,
    read_as,
    show_limits,
)
from models.questionnaire.problem import Problem
from models.text import normalize, strip_decoration

Day = Annotated[str, Meta(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2}|today([+-][0-9]{1,4}d)?)$")]
MAX_DATE_LENGTH = 60
# The library tries up to 16 meanings of a phrase, and takes milliseconds for each word. What it
# reads has 11 at most: "Tuesday the 24th of November of the year 2026", where 24 and th are two.
MAX_DATE_WORDS, MAX_REPEATS = 12, 3
# A number, a character of Chinese, Japanese or Korean, or a word of any other script.
WORD = re.compile(
    "[0-9]+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
    "|[a-z\x80-\u303f\u3100-\u33ff\ua000-\uabff\ud7a4-\U0010ffff]+"
)
RANGE_OR_PERIOD = re.compile(
    r"[^-]*[0-9] ?- ?[0-9][^-]*|[0-9]+|.*[0-9]:[0-9].*|midnight"
    r"|\w+ (day|week|month|year)s?"
)
DECIMAL = re.compile(r"[0-9]+\.[0-9]+")  # a day and its month only where the day comes first
BEFORE_WEEKDAY = re.compile(r"(?:(?:on|this|next|coming|el|este|pr[oó]ximo) )+")
LEAP_YEARS = 8  # at most so far from one 29 February to the next


class DateOptions(Protocol):
    """The first and the last day that can be given, and the order of day and month."""

    earliest: Day | None = None
    latest: Day | None = None
    day_first: bool = False


def limits(question: DateOptions, today: date) -> str:
    """What a date must be between, to stand in a sentence."""
    earliest, latest = resolve_day(question.earliest, today), resolve_day(question.latest, today)
    return show_limits(earliest, latest, " - ")


def resolve_day(written: str | None, today: date) -> date | None:
    """The day that `earliest` or `latest` names: a date, or today and some days."""
    if written is None:
        return None
    if written.startswith("today"):
        return today + timedelta(days=int(written[5:-1] or 0))
    return date.fromisoformat(written)


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
        phrase = strip_decoration(normalize(text))
        if len(phrase) > MAX_DATE_LENGTH or _is_wordy(phrase):
            return UNREAD
        if RANGE_OR_PERIOD.fullmatch(phrase):
            return UNREAD
        if DECIMAL.fullmatch(phrase) and not question.day_first:
            return UNREAD
        earliest = resolve_day(question.earliest, context.local_date)
        latest = resolve_day(question.latest, context.local_date)
        for day in _find_days(phrase, context, question.day_first):
            if (earliest is None or day >= earliest) and (latest is None or day <= latest):
                return read_as(day.isoformat())
        return UNREAD

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


def _is_wordy(phrase: str) -> bool:
    """Whether it has more words, or one of them more often, than a date has."""
    counts = Counter(WORD.findall(phrase))
    return counts.total() > MAX_DATE_WORDS or max(counts.values(), default=0) > MAX_REPEATS


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


def _find_days(phrase: str, context: ParseContext, day_first: bool) -> Iterable[date]:
    """The days that can be meant, the likeliest first."""
    if day := _parse(phrase, context, "relative-time", "current_period"):
        yield day
        return
    weekday = BEFORE_WEEKDAY.sub("", phrase, count=1)
    if weekday.isalpha() and len(weekday) > 2 and (day := _next_weekday(weekday, context)):
        yield day
        return
    # In the question's order, or in the other one where a number fits only that, such as 13/05.
    may_swap = any(12 < int(number) < 32 for number in re.findall("[0-9]+", phrase))
    orders = [day_first, not day_first] if may_swap else [day_first]
    days = (_absolute_days(phrase, context, order) for order in orders)
    yield from next(filter(None, days), [])


def _absolute_days(phrase: str, context: ParseContext, day_first: bool) -> list[date]:
    numbers = re.findall("[0-9]+", phrase)
    has_year = len(numbers) > (1 if re.search("[^\\W\\d_]{3}", phrase) else 2)
    order = "DMY" if day_first else "MDY"
    prefer = "current_period" if has_year else "future"
    day = _parse(phrase, context, "absolute-time", prefer, order=order)
    if has_year or not day:
        return [day] if day else []
    years = (_nearest_year(day, context.local_date, prefer) for prefer in ("future", "past"))
    return list(chain.from_iterable(years))


def _parse(
    phrase: str,
    context: ParseContext,
    parser: str,
    prefer: str,
    required: Sequence[str] = ("day", "month"),
    order: str = "DMY",
) -> date | None:
    import dateparser

    found = dateparser.parse(
        phrase,
        languages=list(dict.fromkeys([context.language, "en"])),
        settings={
            "DATE_ORDER": order,
            "PREFER_LOCALE_DATE_ORDER": False,
            "PREFER_DATES_FROM": prefer,
            "RELATIVE_BASE": datetime.combine(context.local_date, time(12)),
            "REQUIRE_PARTS": list(required),
            "PARSERS": [parser],
        },
    )
    return found and found.date()


def _next_weekday(word: str, context: ParseContext) -> date | None:
    """After today. A month alone is parsed too, and is further away than a week."""
    day = _parse(word, context, "absolute-time", "future", ())
    return day if day and 0 < (day - context.local_date).days <= 7 else None


def _nearest_year(day: date, today: date, prefer: str) -> Iterable[date]:
    """This day of the year: the next one from today on, or the last one before."""
    step = 1 if prefer == "future" else -1
    for years in range(LEAP_YEARS + 1):
        with suppress(ValueError):  # no 29 February in that year
            candidate = day.replace(year=today.year + step * years)
            if (candidate >= today) == (prefer == "future"):
                yield candidate
                return


KIND = DateKind()
