"""A number, perhaps a whole one or between limits."""

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Protocol

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Number,
    ParseContext,
    Reading,
    read_as,
    show_limits,
)
from models.questionnaire.problem import Problem
from models.text import normalize_number

CURRENCY = "[$€£¥₹]"
NUMBER = re.compile(rf"{CURRENCY}? ?([-+]? ?{CURRENCY}? ?[0-9.,' ]*[0-9]) ?{CURRENCY}?([^0-9]*)")
GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([,' .])[0-9]{3})(?:\1[0-9]{3})*")
MAGNITUDES = {"and", "or", "to", "k", "m", "hundred", "thousand", "million", "billion", "dozen"}
MAGNITUDES |= {"half", "point", "percent", "x", "plus", "minus"}
MAX_DIGITS = 15
MAX_VALUES = 10_000  # of a question, that are ever listed
SUPERSCRIPTS = re.compile("[²³¹\u2070-\u208e]")  # and subscripts


class NumberOptions(Protocol):
    """What a number must be between, and whether it can have a fraction."""

    min: Number | None = None
    max: Number | None = None
    whole: bool = False


class NumberKind(Kind):
    """A number, kept as digits with a point."""

    documentation = "a number with or without a unit; it is kept in digits, like `37.5`"
    retry = "Please reply with a number{limits}."
    options = NumberOptions
    placeholders = {"limits": lambda question, _: show_limits(question.min, question.max, "-")}
    sample = "100"
    numbers_readings = False

    def parse(self, question: NumberOptions, text: str, context: ParseContext) -> Reading:
        found = NUMBER.fullmatch(normalize_number(text))
        if not found or SUPERSCRIPTS.search(text) or not _is_unit(found[2]):
            return UNREAD
        digits = re.sub(CURRENCY, "", found[1]).replace("+", "").strip()
        value = _decimal(digits.lstrip("- "))
        if value is None or len(value.as_tuple().digits) > MAX_DIGITS:
            return UNREAD
        value = -value if digits.startswith("-") else value
        if question.whole and value != value.to_integral_value():
            return UNREAD
        return read_as(
            plain_digits(value) if _is_inside(value, question.min, question.max) else None
        )

    def values(self, question: NumberOptions) -> Sequence[str]:
        if not question.whole or None in (question.min, question.max):
            return ()
        least, most = math.ceil(question.min), math.floor(question.max)
        return [*map(str, range(least, most + 1))] if most - least < MAX_VALUES else ()

    def problems(self, question: NumberOptions) -> Iterator[Problem]:
        least, most = question.min, question.max
        if question.whole:
            least, most = least and math.ceil(least), most and math.floor(most)
        if None not in (least, most) and least > most:
            yield Problem("min", "leaves nothing between it and max. Correct one.")

    def matches(self, question: NumberOptions, value: str, wanted: str | float) -> bool:
        return (number := _finite(value)) is not None and number == _finite(str(wanted))

    def is_between(self, value: str, least: float | None, most: float | None) -> bool:
        return (number := _finite(value)) is not None and _is_inside(number, least, most)

    def candidates(self, question: NumberOptions, wanted: Sequence[str | float]) -> Iterator[str]:
        """The ends of intervals, for one is in all that overlap, or the whole numbers beside."""
        numbers = [number for number in wanted if not isinstance(number, str)]
        numbers += [limit for limit in (question.min, question.max) if limit is not None]
        for number in numbers:
            whole = {math.floor(number), math.ceil(number)}
            for value in map(str, whole if question.whole else {number}):
                if self.is_between(value, question.min, question.max):
                    yield value

    def condition_help(self, question: NumberOptions) -> str:
        return "Write numbers inside its limits, or { min = 1, max = 9 }."


def _is_unit(text: str) -> bool:
    """Up to two words that leave the number what it is."""
    words = text.lstrip(",.! ").split()
    has_only_letters = all(word.isalpha() for word in words)
    return len(words) <= 2 and has_only_letters and not MAGNITUDES & set(words)


def _decimal(digits: str) -> Decimal | None:
    """A number with or without separators; None where they can be taken in two ways, or none."""
    if re.fullmatch("[1-9][0-9]{0,2}\\.[0-9]{3}", digits):
        return None  # a thousand in half of the world, and one in the other
    whole, fraction = digits, ""
    if found := re.fullmatch(r"(.*[0-9])([.,])([0-9]+)", digits):
        if found[2] in found[1] or (found[2] == "," and GROUPED.fullmatch(digits)):
            fraction = ""  # all of one kind: they group
        else:
            whole, fraction = found[1], found[3]
    elif found := re.fullmatch(r"[.,]([0-9]+)", digits):
        whole, fraction = "0", found[1]
    if not whole.isdecimal() and not GROUPED.fullmatch(whole):
        return None
    return Decimal(re.sub("[^0-9]", "", whole) + (f".{fraction}" if fraction else ""))


def plain_digits(value: Decimal) -> str:
    """In digits, without zeros at the end."""
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits


def _is_inside(value: Decimal, least: float | None, most: float | None) -> bool:
    is_large_enough = least is None or value >= Decimal(str(least))
    return is_large_enough and (most is None or value <= Decimal(str(most)))


def _finite(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


KIND = NumberKind()
