"""Days in a language that has no file: a library reads them, and only what it cannot mistake.

That is a number and the name of a month, perhaps with a year, or a single word. The library reads
more, but drops words that it does not know, such as "before". It is loaded with the first such
day, as it takes a tenth of a second.
"""

import re
from datetime import date, datetime, time

from models.questionnaire.moments.calendar import Calendar, Days
from models.text import normalize, strip_decoration

NAME = r"[^\W\d_]{1,20}\.?"
ONE_WORD = re.compile(NAME)
WITH_MONTH = re.compile(
    rf"(\d{{1,2}})[. ] ?{NAME}(?:,? \d{{4}})?|{NAME} (\d{{1,2}})(?:,? \d{{4}})?"
)
FAR_EAST = re.compile(r"(?:(\d{4}) ?[年년] ?)?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]")


def find_day(text: str, language: str, calendar: Calendar) -> Days | None:
    """The day that a short text names in a language which the library knows."""
    phrase = strip_decoration(normalize(text))
    if found := FAR_EAST.fullmatch(phrase):
        return calendar.complete([(int(found[2]), int(found[3]))], found[1])
    if ONE_WORD.fullmatch(phrase):
        return _of_word(phrase, language, calendar)
    if found := WITH_MONTH.fullmatch(phrase):
        return _of_month(phrase, int(found[1] or found[2]), language, calendar)
    return None


def _of_month(phrase: str, number: int, language: str, calendar: Calendar) -> Days | None:
    day = _parse(phrase, language, calendar.local_date, "absolute-time", ["day", "month"])
    if day is None or day.day != number:
        return None
    year = re.search(r"\d{4}", phrase)
    return calendar.complete([(day.month, day.day)], year[0] if year else None)


def _of_word(phrase: str, language: str, calendar: Calendar) -> Days | None:
    """A weekday, or a word like "tomorrow"; a month alone is further away than a week."""
    today = calendar.local_date
    if day := _parse(phrase, language, today, "relative-time", []):
        return Days(((day,),), "relative") if abs((day - today).days) < 3 else None
    day = _parse(phrase, language, today, "absolute-time", [])
    is_near = day is not None and len(phrase) > 2 and 0 < (day - today).days <= 7
    return calendar.weekday(day.weekday()) if is_near else None


def _parse(
    phrase: str, language: str, today: date, parser: str, required: list[str]
) -> date | None:
    import dateparser

    settings = {
        "PREFER_LOCALE_DATE_ORDER": False,
        "PREFER_DATES_FROM": "future",
        "RELATIVE_BASE": datetime.combine(today, time(12)),
        "REQUIRE_PARTS": required,
        "PARSERS": [parser],
    }
    found = dateparser.parse(phrase, languages=[language], settings=settings)
    return found and found.date()
