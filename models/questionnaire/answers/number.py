"""A number, perhaps a whole one or between limits."""

import math
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Protocol

from models.questionnaire.answers.kind import (
    Kind,
    Number,
    ParseContext,
    Reading,
    read_as,
    show_limits,
)
from models.questionnaire.number_sentences import answered_numbers
from models.questionnaire.numerals import in_digits
from models.questionnaire.problem import Problem

MAX_VALUES = 10_000  # of a question, that are ever listed


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
    is_number = True
    numbers_readings = False

    def parse(self, question: NumberOptions, text: str, context: ParseContext) -> Reading:
        numbers = answered_numbers(text, context.language, question.whole)
        return read_as(
            *(
                in_digits(number)
                for number in numbers
                if _is_inside(number, question.min, question.max)
                and (not question.whole or number == number.to_integral_value())
            )
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
