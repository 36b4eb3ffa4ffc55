"""The days and the times of day that a whole text may mean as an answer."""

from collections.abc import Callable
from datetime import date, time

from models.questionnaire.languages import LANGUAGES
from models.questionnaire.moments.calendar import Calendar
from models.questionnaire.moments.clock import (
    find_hours,
    find_points,
    find_times,
    join_spans,
    with_part,
    without_hours,
)
from models.questionnaire.moments.days import find_days
from models.questionnaire.moments.lexicon import Lexicon, lexicon_of
from models.questionnaire.moments.other_languages import find_day
from models.questionnaire.moments.sentence import (
    answer_in,
    is_known,
    is_padded,
    is_past,
    join_names,
    without_details,
)
from models.questionnaire.moments.symbols import symbols_of


def read_days(text: str, lexicon: Lexicon, calendar: Calendar) -> list[date]:
    """The days that an answer may mean, in their order; none where it is not certain to be one."""
    symbols = without_details(symbols_of(text, lexicon))
    symbols = find_days(join_spans(find_times(symbols, lexicon)), calendar, lexicon)
    symbols = without_hours(symbols)
    found = answer_in(join_names(symbols), "E")
    meant = sorted({day for symbol in found for day in calendar.days_meant(symbol.value)})
    return [] if is_past(symbols) and meant and meant[-1] > calendar.local_date else meant


def read_days_in(language: str, text: str, calendar: Calendar) -> list[date]:
    """The same in any language that we, or a library, know the names of months of."""
    found = read_days(text, lexicon_of(language), calendar)
    if found or language in LANGUAGES:
        return found
    days = find_day(text, language, calendar)
    return calendar.days_meant(days) if days else []


def read_times(
    text: str, lexicon: Lexicon, today: date, is_inside: Callable[[time], bool]
) -> list[time]:
    """The times of day that an answer may mean, in their order; none where it is not certain.

    Limits decide between the halves of a day only if every word is known: an unknown one may be
    what says which half it is.
    """
    whole = without_details(symbols_of(text, lexicon))
    symbols = find_points(find_times(whole, lexicon), lexicon)
    symbols = find_hours(find_days(symbols, Calendar(today), lexicon), lexicon)
    found = with_part(answer_in(join_names(symbols), "K"), whole, lexicon)
    meant = sorted({moment for symbol in found for moment in symbol.value.times()})
    inside = [moment for moment in meant if is_inside(moment)]
    is_certain = is_known(symbols) and not any(map(is_padded, whole))
    return inside if inside == meant or is_certain else []


def part_of_day_in(text: str, lexicon: Lexicon) -> str | None:
    """The part of the day that a text names and nothing else, such as "in the evening"."""
    symbols = symbols_of(text, lexicon)
    parts = {str(symbol.value) for symbol in symbols if symbol.category == "H"}
    is_alone = all(symbol.category in "HTefv,.!p" for symbol in symbols)
    return parts.pop() if is_alone and len(parts) == 1 else None


def name_day(day: date, lexicon: Lexicon, local_date: date) -> str:
    """A day with its weekday, and with its year if that is not this one."""
    words = lexicon.dates
    weekday, month = words.weekdays[day.weekday()], words.months[day.month - 1]
    names = {"weekday": weekday.partition(",")[0], "month": month.partition(",")[0]}
    named = words.shown.format(day=day.day, **names)
    return named if day.year == local_date.year else f"{named} {day.year}"


def name_time(moment: time, lexicon: Lexicon) -> str:
    """A time of day as people of a language write it."""
    if not lexicon.times.has_halves:
        return f"{moment:%H:%M}"
    return f"{moment.hour % 12 or 12}:{moment:%M} {'pm' if moment.hour > 11 else 'am'}"
