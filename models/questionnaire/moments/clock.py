"""What names a time of day in a text: rules about symbols, each of which makes a Clock of some."""

import re
from collections.abc import Callable, Sequence
from datetime import time
from typing import NamedTuple

from models.questionnaire.moments.lexicon import Lexicon
from models.questionnaire.moments.symbols import Match, Numeric, Rule, Symbol, reduce

NO_TIME = Symbol("z", None, "")
ROUND = {5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55}  # minutes that are said after an hour


QUARTERS = {"00", "15", "30", "45"}


class Clock(NamedTuple):
    """An hour and a minute; the part of the day decides between 7:00 and 19:00."""

    hour: int
    minute: int
    part: str | None = None

    def times(self) -> list[time]:
        """The times that it can be: one, two halves of the day, or none."""
        if self.minute > 59 or self.hour > 24 or (self.hour == 24 and self.minute):
            return []
        hours = [self.hour % 24] if self.hour in (0, *range(13, 25)) else self._halves()
        if self.part:
            hours = [hour for hour in hours if hour in PARTS[self.part] or self.hour == 24]
        return [time(hour, self.minute) for hour in hours]

    def _halves(self) -> list[int]:
        return [self.hour % 12, self.hour % 12 + 12]


# The hours of a part of the day; what is half past eleven at night begins before midnight.
PARTS: dict[str, set[int]] = {
    "am": set(range(12)),
    "pm": set(range(12, 24)),
    "morning": set(range(1, 12)),
    "afternoon": set(range(12, 21)),
    "evening": {*range(16, 24), 0},
    "night": {*range(18, 24), *range(6)},
    "midday": set(range(11, 16)),
    "dinner": set(range(16, 24)),
}


def find_times(symbols: Sequence[Symbol], lexicon: Lexicon) -> list[Symbol]:
    """The symbols, with a "K" in the place of what certainly names a time; its value is a Clock."""
    return reduce(reduce(symbols, TimeRules(lexicon).certain), AROUND)


def join_spans(symbols: Sequence[Symbol]) -> list[Symbol]:
    """With one "K" for a span or a bound of hours, for it says no more about a day than one."""
    return reduce(symbols, SPANS)


def without_hours(symbols: Sequence[Symbol]) -> list[Symbol]:
    """Days without the hours that bound them, as in "tomorrow after 6" or "late on Friday"."""
    return reduce(reduce(symbols, [(HOUR_OF_DAY, _bounded)]), BOUNDED)


def _bounded(found: Match) -> Symbol | None:
    """A day, unless the number may be another day, as in "apres le 6"."""
    day, bound, article = (found.get(number) for number in (1, 2, 3))
    last = bound.text.split()[-1]
    is_hour = last in BEFORE_HOURS or (last == "de" and article and article.text == "las")
    if bound.category == "~":
        is_hour = article is not None or last not in DAY_ARTICLES
    return day if is_hour and (not article or article.text in ARTICLES_OF_HOURS) else None


def find_points(symbols: Sequence[Symbol], lexicon: Lexicon) -> list[Symbol]:
    """With a "K" for 5.12, which is a time where a time is asked for."""
    return reduce(symbols, TimeRules(lexicon).points)


def find_hours(symbols: Sequence[Symbol], lexicon: Lexicon) -> list[Symbol]:
    """With a "K" for numbers alone, where a time is asked for and days are found already."""
    rules = TimeRules(lexicon)
    return reduce(reduce(reduce(symbols, rules.bare), AROUND), [(TWO, rules.same_half)])


def with_part(symbols: Sequence[Symbol], whole: Sequence[Symbol], lexicon: Lexicon) -> list[Symbol]:
    """With the part of the day that is said elsewhere, as in "tomorrow morning at 8".

    `whole` is the whole text.
    """
    parts = {part for symbol in whole if (part := _part_in(symbol, lexicon))}
    found = [_in_part(symbol, parts) for symbol in symbols]
    return [symbol for symbol in found if symbol]


def _part_in(symbol: Symbol, lexicon: Lexicon) -> str | None:
    if symbol.category == "H":
        return str(symbol.value)
    return lexicon.part_of_day(symbol.text) if symbol.category in "RWw" else None


def _in_part(symbol: Symbol, parts: set[str]) -> Symbol | None:
    """A time in that part of the day; None where it stays one of two that does not fit it."""
    if symbol.category != "K" or symbol.value.part or not parts:
        return symbol
    clock = symbol.value._replace(part=next(iter(parts)))
    if len(parts) == 1 and clock.times():
        return Symbol("K", clock, symbol.text)
    return symbol if len(symbol.value.times()) == 1 else None


class TimeRules:
    """What the rules make of what they match."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self.certain: list[Rule] = [
            (re.compile(rf"I[na23]u|I{ABOUT}[na23][uV]"), lambda found: NO_TIME),
            (re.compile(rf"[pu]?(D)u?{PART}"), self.with_point),
            (re.compile(rf"p?e?([nA])[fV]?([<>IFBgb])e?(Z?)([nak])u?{PART}"), self.minutes_beside),
            (re.compile(rf"p?([nak])u?(m)[ep]?([nA]){PART}"), self.minutes_less),
            (re.compile(rf"p?([nak])u?([|])e?([nA]){PART}"), self.minutes_more),
            (re.compile(r"p?([nk])(R)"), self.hour_tonight),
            (re.compile(r"(R)p?([k])"), self.tonight),
            (re.compile(rf"[pu>]?(k)u?{PART}"), self.literal),
            (re.compile(rf"p?([na])u([n2]){PART}"), self.hour_and_minutes),
            (re.compile(rf"p?(Z)([na])u?{PART}"), self.half_before),
            (re.compile(r"(n)(O)"), self.twelve),
            (re.compile(r"p?(O)(?:([|])e?([nA]))?"), self.noon),
            (re.compile(rf"p?([na])(u){PART}"), self.hour),
            (re.compile(rf"[pu>]([na])()(?![MPUV%-]){PART}"), self.hour),
            (re.compile(r"([n])([n]),?(H)"), self.words),
            # Not the day in "Dec 20 in the evening".
            (re.compile(r"(?:(?=p)|(?<![^noa]M)(?<!^M))p?([na])-?~?,?(H)"), self.hour_of_part),
            (re.compile(rf"([23y])(u){PART}"), self.four_figures),
        ]
        self.points: list[Rule] = [
            (re.compile(rf"(?<![TM])(D){PART}(?![MY])"), self.point),
        ]
        self.bare: list[Rule] = [
            (re.compile(rf"([n])([n]){PART}(?![MPUV%])"), self.words),
            (re.compile(r"(R)p?([n])(?![MPUV%])"), self.tonight),
            (re.compile(r"p?([n])()()(?![MPUV%n])"), self.hour),
            (re.compile(rf"p?([3y]){PART}(?![MPUV%])"), self.four_figures),
        ]

    def literal(self, found: Match) -> Symbol:
        numbers = found.get(1).value
        hour, minute = numbers if len(numbers) == 2 else divmod(numbers[0], 100)
        if len(numbers) == 1 and numbers[0] < 100:
            hour, minute = numbers[0], 0
        half, part = _half(found.get(1)), _part(found, 2)
        times = Clock(hour, minute, half).times()
        if half and part and not any(each.hour in PARTS[part] for each in times):
            return NO_TIME  # 8 pm in the morning
        return self._clock(hour, minute, half or part)

    def with_point(self, found: Match) -> Symbol | None:
        """18.30, unless it is a day of a month."""
        numeric: Numeric = found.get(1).value
        is_day = 0 < numeric.second < 13 and not set("puH") & set(found.letters)
        return None if is_day else self.point(found)

    def point(self, found: Match) -> Symbol | None:
        numeric: Numeric = found.get(1).value
        has_minutes = re.search(r"\.\d\d$", found.get(1).text)
        if numeric.year or not has_minutes:
            return None
        return self._clock(numeric.first, numeric.second, _part(found, 2))

    def minutes_beside(self, found: Match) -> Symbol | None:
        """Ten past nine, or five before half past two."""
        minutes, word, half, hour = (found.get(number) for number in (1, 2, 3, 4))
        if word.text in self._lexicon.past:
            sign = 1
        elif word.text in self._lexicon.to and not _is_span(minutes, word):
            sign = -1
        else:
            return None
        return self._around(hour, sign * minutes.value - 30 * bool(half), _part(found, 5))

    def minutes_less(self, found: Match) -> Symbol | None:
        return self._around(found.get(1), -found.get(3).value, _part(found, 4))

    def minutes_more(self, found: Match) -> Symbol | None:
        hour, word, minutes = (found.get(number) for number in (1, 2, 3))
        if word.text not in self._lexicon.plus or minutes.value not in ROUND:
            return None
        return self._around(hour, minutes.value, _part(found, 4))

    def half_before(self, found: Match) -> Symbol:
        return self._around(found.get(2), -30, _part(found, 3))

    def hour_and_minutes(self, found: Match) -> Symbol:
        return self._clock(found.get(1).value, found.get(2).value, _part(found, 3))

    def words(self, found: Match) -> Symbol | None:
        """Eight fifteen, or 8 15."""
        hour, minutes = found.get(1), found.get(2)
        is_in_words = hour.text.isalpha() and minutes.text[0].isalpha() and minutes.value > 9
        if not is_in_words and minutes.text not in QUARTERS:
            return NO_TIME
        return self._clock(hour.value, minutes.value, _part(found, 3))

    def twelve(self, found: Match) -> Symbol | None:
        """12 noon."""
        hour, noon = found.get(1), found.get(2)
        return self._noon(noon.value, 0) if hour.value == 12 else None

    def noon(self, found: Match) -> Symbol | None:
        noon, word, minutes = (found.get(number) for number in (1, 2, 3))
        if word and word.text not in self._lexicon.plus:
            return None
        return self._noon(noon.value, minutes.value if word else 0)

    def _noon(self, hour: int, minute: int) -> Symbol:
        return self._clock(hour, minute, "pm" if hour else None)

    def hour(self, found: Match) -> Symbol:
        return self._clock(found.get(1).value, 0, _part(found, 3))

    def hour_of_part(self, found: Match) -> Symbol:
        return self._clock(found.get(1).value, 0, found.get(2).value)

    def hour_tonight(self, found: Match) -> Symbol | list[Symbol] | None:
        if found.get(2).text not in self._lexicon.tonight:
            return None
        return [self._evening(found.get(1)), found.get(2)]

    def tonight(self, found: Match) -> list[Symbol] | None:
        if found.get(1).text not in self._lexicon.tonight:
            return None
        return [found.get(1), self._evening(found.get(2))]

    def _evening(self, symbol: Symbol) -> Symbol:
        hour, *minutes = symbol.value if symbol.category == "k" else (symbol.value,)
        return self._clock(hour, minutes[0] if minutes else 0, "evening")

    def four_figures(self, found: Match) -> Symbol:
        hour, minute = divmod(found.get(1).value, 100)
        return self._clock(hour, minute, _part(found, 2))

    def _around(self, symbol: Symbol, minutes: int, part: str | None) -> Symbol | None:
        """So many minutes after an hour, or before it; None beside a time with minutes."""
        hour, *more = symbol.value if symbol.category == "k" else (symbol.value,)
        if more:
            return None
        part = part or _half(symbol) or ("pm" if hour == 13 else None)
        total = (hour * 60 + minutes) % (24 * 60)
        is_before_one = hour == 1 and minutes < 0  # 12:45, which can be by night
        return self._clock(12 if is_before_one else total // 60, total % 60, part)

    def _clock(self, hour: int, minute: int, part: str | None) -> Symbol:
        clock = Clock(hour, minute, part)
        return Symbol("K", clock, "") if clock.times() else NO_TIME

    def same_half(self, found: Match) -> list[Symbol] | None:
        """2 or 3pm: both are in the afternoon."""
        first, between, second = (found.get(number) for number in (1, 2, 3))
        part = second.value.part
        if first.value.part or not part:
            return None
        changed = self._clock(first.value.hour, first.value.minute, part)
        return [changed, between, second]


def _part(found: Match, group: int) -> str | None:
    symbol = found.get(group)
    return symbol.value if symbol and symbol.category == "H" else None


def _is_span(minutes: Symbol, word: Symbol) -> bool:
    """Whether it can be hours, as in "3 to 4pm"; nobody writes "three vor vier" so."""
    return word.text in ("to", "till") and minutes.text.isdigit() and minutes.value < 13


def _half(symbol: Symbol) -> str | None:
    """The half of the day that a time in figures has with it."""
    found = re.search("[0-9 ]([ap])m?$", symbol.text)
    return f"{found[1]}m" if found else None


def _keep(group: int) -> Callable[[Match], Symbol]:
    return lambda found: found.get(group)


ABOUT = "[~pef]*"
PART = "(?:-?~?,?(H))?"
TWO = re.compile(r"(K)([|,])[|,pe]*(K)")
AROUND: list[Rule] = [
    (re.compile(r"~[peTf]*(K)(?:-?~)?"), _keep(1)),
    (re.compile(r"(K)-?~"), _keep(1)),
]
BEFORE_HOURS = {
    *("after", "before", "from", "by", "nach", "ab", "na", "vanaf", "apres", "avant", "des"),
    *("dopo", "dalle", "das"),
}
ARTICLES_OF_HOURS = {"las", "le"}
DAY_ARTICLES = {"le", "el", "il", "l", "al", "del", "du", "o", "dia", "pelo", "de", "sur"}
HOUR_OF_DAY = re.compile(r"(E)H?[,p]*([FBb~])[f~]*(e?)A?n~?(?![-MUPo|n.kD/2])")
BOUNDED: list[Rule] = [
    (re.compile(r"(EH?)[,cepf]*[bFB~t][bFB~tcepTi@If]*H"), _keep(1)),
    (re.compile(r"t[cep]*(E)"), _keep(1)),
    (re.compile(r"(E),?t(?=$|[.!,fS])"), _keep(1)),
    (re.compile(r"~[cepT]*(H)"), _keep(1)),
]
# A span of hours says nothing about the day; neither does a bound of them.
SPANS: list[Rule] = [
    (re.compile(r"[bFB>~gs]*[peTfnK]*[-b>|]+[peT]*(K)(?:[-b>|]+[peT]*K)?"), _keep(1)),
    (re.compile(r"[bFB>gs]+[peTf]*(K)"), _keep(1)),
    (re.compile(r"(K)b+(?![eTpi]*[EDMWRno])"), _keep(1)),
]
