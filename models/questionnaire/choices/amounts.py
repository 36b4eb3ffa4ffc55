"""Numbers, ranges and times of day in labels and in texts: "3-5", "6+", "Under 18", "9am"."""

import math
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from models.questionnaire.choices.vocabulary import UNITS as KNOWN_UNITS
from models.questionnaire.choices.vocabulary import Phrase, Token, Vocabulary

OPEN = 1e-9  # what keeps the number itself out of "over 50"
MINUTES_OF_HALF_DAY = 12 * 60
GROUPED = re.compile(r"[0-9]{1,3}(?:[.,][0-9]{3})+")
DECIMAL = re.compile(r"[0-9]{1,9}(?:[.,][0-9]{1,9})?")
CLOCK = re.compile(r"([0-9]{1,2})\.([0-9]{2})")
BOUNDS = ("above", "at_least", "below", "at_most")
UNITS = ("counting", "units", "hours")
CLOCK_UNIT, OTHER_UNIT = -1, -2  # those of times of day, and of labels like "10 km"
MONEY = re.compile("[$€£]")


class Interval(NamedTuple):
    """All numbers from `low` to `high`; one number where both are the same."""

    low: float
    high: float

    @property
    def is_number(self) -> bool:
        return self.low == self.high


class Clock(NamedTuple):
    """A time of day in minutes; `has_half` where it is certain which half of the day that is."""

    minutes: int
    has_half: bool


Amount = Interval | Clock


class Measured(NamedTuple):
    """An amount, how many tokens say it, and whether it was said as a bound, like "over 50"."""

    amount: Amount
    size: int
    is_bound: bool = False


def read_number(token: Token) -> float | None:
    """The number that a token is written as in digits."""
    if token.kind != "number":
        return None
    if GROUPED.fullmatch(token.text):
        return float(re.sub("[.,]", "", token.text)) if len(token.text) < 16 else None
    return float(token.text.replace(",", ".")) if DECIMAL.fullmatch(token.text) else None


def measure(
    tokens: Sequence[Token], start: int, words: Vocabulary, has_clocks: bool = False
) -> Measured | None:
    """The amount that is said there, or None. "15.30" is a time if `has_clocks`."""
    at = start
    if bound := words.find(tokens, at, BOUNDS):
        at += bound.size
    if at < len(tokens) and (noon := words.find(tokens, at, ("noon",))) and not bound:
        return Measured(Clock(MINUTES_OF_HALF_DAY, True), noon.size)
    if at >= len(tokens) or (number := _number(tokens, at, words)) is None:
        return None
    value, size = number
    clock = _clock(tokens, at, words, value, size, has_clocks)
    if clock:
        return None if bound else clock._replace(size=at - start + clock.size)
    at += size
    while bound is None and at < len(tokens) and (unit := words.find(tokens, at, UNITS)):
        if words.find(tokens, at, ("or_more", "or_less")):
            break
        at += unit.size
    more = at < len(tokens) and words.find(tokens, at, ("or_more", "or_less"))
    if more:
        return None if bound else Measured(_bounded(more, value), at + more.size - start, True)
    if bound:
        return Measured(_bounded(bound, value), at - start, True)
    return Measured(Interval(value, value), at - start)


def _number(tokens: Sequence[Token], at: int, words: Vocabulary) -> tuple[float, int] | None:
    """A number in digits or words, and how many tokens it takes."""
    if (value := read_number(tokens[at])) is not None:
        return value, 1
    if found := words.find(tokens, at, ("numbers",)):
        after = at + found.size
        if found.number >= 20 and found.number % 10 == 0 and after < len(tokens):
            rest = words.find(tokens, after, ("numbers",))
            if rest and 0 < rest.number < 10 and tokens[after].before in ("", "-"):
                return found.number + rest.number, found.size + rest.size
        return found.number, found.size
    if words.find(tokens, at, ("articles",)) and at + 1 < len(tokens):
        # "A person", "a dozen"; alone it may be a letter.
        if found := words.find(tokens, at + 1, ("counting", "units", "numbers")):
            return (found.number, 1 + found.size) if found.role == "numbers" else (1, 1)
    return None


def _clock(
    tokens: Sequence[Token], at: int, words: Vocabulary, value: float, size: int, has_clocks: bool
) -> Measured | None:
    """A time of day: with minutes, the half of the day, or a word such as "Uhr"."""
    start, minutes = at, None
    at += size
    if has_clocks and (found := CLOCK.fullmatch(tokens[start].text)):
        value, minutes = int(found[1]), int(found[2])
    hour_word = _find(words, tokens, at, ("hours",))
    after_word = at + (hour_word.size if hour_word else 0)
    if minutes is None and after_word < len(tokens):
        token = tokens[after_word]
        if re.fullmatch("[0-5][0-9]", token.text) and (token.before == ":" or hour_word):
            minutes, at = int(token.text), after_word + 1
            hour_word = _find(words, tokens, at, ("hours",))
    at += hour_word.size if hour_word else 0
    half = _find(words, tokens, at, ("before_noon", "after_noon"))
    if value != int(value) or value > 24 or (minutes is None and not half and not hour_word):
        return None
    at += half.size if half else 0
    total = int(value) * 60 + (minutes or 0)
    if half:
        is_late, is_twelve = half.role == "after_noon", value == 12
        if value > 12 and not is_late:
            return None
        if value <= 12:
            total += MINUTES_OF_HALF_DAY * (is_late - is_twelve)
    return Measured(Clock(total, half is not None or value > 12 or value == 0), at - start)


def _find(
    words: Vocabulary, tokens: Sequence[Token], at: int, roles: tuple[str, ...]
) -> Phrase | None:
    return words.find(tokens, at, roles) if at < len(tokens) else None


def _bounded(bound: Phrase, value: float) -> Interval:
    match bound.role:
        case "above":
            return Interval(value + OPEN, math.inf)
        case "below":
            return Interval(-math.inf, value - OPEN)
        case "at_most" | "or_less":
            return Interval(-math.inf, value)
    return Interval(value, math.inf)


def amount_of_label(tokens: Sequence[Token], words: Vocabulary) -> Amount | None:
    """What a label says in numbers; None if nothing, or more than one amount or range."""
    at, found = 0, []
    while at < len(tokens):
        if measured := measure(tokens, at, words):
            is_range = tokens[at].before == "-" or (at and words.find(tokens, at - 1, ("ranges",)))
            found.append((measured.amount, bool(is_range)))
            at += measured.size
        elif tokens[at].kind == "ordinal":
            found.append((Interval(*[float(tokens[at].text)] * 2), False))
            at += 1
        elif tokens[at].kind == "number":
            return None
        else:
            at += 1
    match found:
        case [(amount, _)]:
            return amount
        case [(Interval() as first, _), (Interval() as last, True)] if first.low < last.high:
            return Interval(first.low, last.high)
    return None


def may_be_people(tokens: Sequence[Token], at: int, measured: Measured, words: Vocabulary) -> bool:
    """Whether a number is perhaps that of people or portions, as in "for 2"; not in "for 2pm"."""
    is_certain = isinstance(measured.amount, Clock) and measured.amount.has_half
    is_behind = at > 0 and not is_certain and not tokens[at].before
    return is_behind and words.find(tokens, at - 1, ("before_people",)) is not None


def units_of(label: str, words: Vocabulary) -> set[int]:
    """What the amount of a label is of, as far as it says so; people are no years, and no hours."""
    tokens = words.tokens(label)
    units = words.all_numbers(tokens, "units")
    units |= {KNOWN_UNITS.index("money")} if MONEY.search(label) else set()
    has_noun = any(
        first.kind == "number" and second.kind == "word" and second.text not in words.known
        for first, second in pairwise(tokens)
    )
    return units or ({OTHER_UNIT} if has_noun else set())


def labels_with(amounts: Sequence[Amount | None], measured: Measured) -> list[int]:
    """The positions of the labels that a number, a time or a bound can mean."""
    wanted = measured.amount
    if not measured.is_bound:
        return [n for n, amount in enumerate(amounts) if amount and _holds(amount, wanted)]
    found = [n for n, amount in enumerate(amounts) if amount and _overlaps(amount, wanted)]
    # Of single numbers, "more than 25" is none.
    return [] if any(not _is_range(amounts[n]) for n in found) else found


def _holds(label: Amount, wanted: Amount) -> bool:
    if isinstance(label, Interval):
        return isinstance(wanted, Interval) and label.low <= wanted.low <= label.high
    if isinstance(wanted, Interval):
        wanted = Clock(int(wanted.low) * 60, wanted.low > 12) if _is_hour(wanted) else None
    if wanted is None:
        return False
    can_be_either = label.has_half and not wanted.has_half
    return wanted.minutes == label.minutes or (can_be_either and _same_on_dial(label, wanted))


def _is_hour(number: Interval) -> bool:
    return number.low == int(number.low) and 0 <= number.low <= 24


def _same_on_dial(label: Clock, wanted: Clock) -> bool:
    return label.minutes % MINUTES_OF_HALF_DAY == wanted.minutes % MINUTES_OF_HALF_DAY


def _overlaps(label: Amount, wanted: Amount) -> bool:
    if not isinstance(label, Interval) or not isinstance(wanted, Interval):
        return isinstance(label, Clock)
    return label.low <= wanted.high and wanted.low <= label.high


def _is_range(label: Amount | None) -> bool:
    return isinstance(label, Interval) and not label.is_number


def overlap(label: Amount | None, other: Amount | None) -> bool:
    """Whether there are numbers that two labels hold both."""
    are_ranges = isinstance(label, Interval) and isinstance(other, Interval)
    return are_ranges and _overlaps(label, other)
