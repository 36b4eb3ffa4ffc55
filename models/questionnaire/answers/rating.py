"""A rating: one of the whole numbers of a scale, which has 1 to 5 if nothing else is said."""

import math
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from typing import Protocol

from msgspec import Struct

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Number,
    ParseContext,
    Reading,
    read_as,
    show_limits,
)
from models.questionnaire.languages import ENGLISH, LANGUAGES, section
from models.questionnaire.number_sentences import Frame, answered_numbers
from models.questionnaire.numerals import in_digits
from models.questionnaire.problem import Problem
from models.questionnaire.tokens import Phrases, tokens_of

LEAST, MOST = 1, 5
MOST_STEPS = 100  # of a scale
MOST_STARS = 5  # of a scale that stars are for: of ten, "5 stars" may be all or half
FULL_STARS, EMPTY_STARS = "⭐🌟★✭✮", "☆✩"
STARS = re.compile(f"[{FULL_STARS}{EMPTY_STARS}](?:[ \ufe0f]*[{FULL_STARS}{EMPTY_STARS}])*\ufe0f?")
ONE_STAR = re.compile(rf"(?<=\d)[ \ufe0f]*[{FULL_STARS}]\ufe0f?(?![ \ufe0f]*[{FULL_STARS}])")


class RatingWords(Struct, frozen=True, forbid_unknown_fields=True):
    """What a language says around ratings, besides what it says around numbers."""

    stars: tuple[str, ...]
    out_of: tuple[str, ...]  # between a rating and the largest one
    lead: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    because: tuple[str, ...] = ()  # before a reason
    part: tuple[str, ...] = ()  # behind a rating: it is only for what is named next
    praise: tuple[str, ...] = ()  # with the lowest rating: the guest may take it for the best


class RatingOptions(Protocol):
    """The scale."""

    min: Number | None = None
    max: Number | None = None


class RatingKind(Kind):
    """A rating, kept in digits."""

    documentation = (
        "a rating from 1 to 5, or from `min` to `max`, also as `4/5` or in stars; "
        "it is kept in digits, like `4`"
    )
    retry = "Please reply with a rating{limits}."
    options = RatingOptions
    placeholders = {"limits": lambda question, _: show_limits(*_scale(question), "-")}
    sample = "5"
    is_number = True
    numbers_readings = False

    def parse(self, question: RatingOptions, text: str, context: ParseContext) -> Reading:
        least, most = _scale(question)
        frame, language = _frame(context.language, most), context.language
        stars = STARS.findall(ONE_STAR.sub(" ", text) if most <= MOST_STARS else text)
        if len(stars) > 1 or (stars and most > MOST_STARS):
            return UNREAD
        text = ONE_STAR.sub(" ", text)
        numbers = answered_numbers(STARS.sub(" ", text), language, True, frame)
        if stars:
            count = _count(stars[0], most)
            if not numbers:
                numbers = answered_numbers(STARS.sub(f" {count} ", text), language, True, frame)
            if count is None or [*numbers] != [count]:
                return UNREAD
        if least in numbers and _praises(text, language):
            return UNREAD
        return read_as(*(in_digits(each) for each in numbers if _is_on(each, least, most)))

    def values(self, question: RatingOptions) -> Sequence[str]:
        least, most = _scale(question)
        if most - least > MOST_STEPS:
            return ()
        return [*map(str, range(math.ceil(least), math.floor(most) + 1))]

    def problems(self, question: RatingOptions) -> Iterator[Problem]:
        least, most = _scale(question)
        if least > most:
            yield Problem("min", "leaves nothing between it and max. Correct one.")
        if most - least > MOST_STEPS:
            yield Problem("max", 'is too large for ratings. Use kind = "number".')
        for option, limit in (("min", least), ("max", most)):
            if limit != int(limit):
                yield Problem(option, "is no whole number. Ratings are: write one.")

    def matches(self, question: RatingOptions, value: str, wanted: str | float) -> bool:
        return value.isdecimal() and str(wanted).isdecimal() and int(value) == int(wanted)

    def is_between(self, value: str, least: float | None, most: float | None) -> bool:
        is_large_enough = value.isdecimal() and (least is None or least <= int(value))
        return is_large_enough and (most is None or int(value) <= most)

    def candidates(self, question: RatingOptions, wanted: Sequence[str | float]) -> Iterator[str]:
        yield from self.values(question)

    def condition_help(self, question: RatingOptions) -> str:
        return "Write ratings of its scale, or { min = 4, max = 5 }."


def _scale(question: RatingOptions) -> tuple[Number, Number]:
    least = LEAST if question.min is None else question.min
    return least, MOST if question.max is None else question.max


def _is_on(number: Decimal, least: float, most: float) -> bool:
    return number == number.to_integral_value() and least <= number <= most


def _count(stars: str, most: float) -> int | None:
    """How many are full; None if there are more than the scale has, or too few in all."""
    full = sum(stars.count(star) for star in FULL_STARS)
    empty = sum(stars.count(star) for star in EMPTY_STARS)
    return None if full > most or (empty and full + empty != most) else full


def _praises(text: str, language: str) -> bool:
    """Whether a text praises: with a 1, which is the best mark in some countries, that is odd."""
    tokens, praise = tokens_of(text), Phrases({"": _listed(language, "praise")})
    return any(praise.find(tokens, start) for start in range(len(tokens)))


@cache
def _listed(language: str, name: str) -> tuple[str, ...]:
    names = [language] if language in LANGUAGES and language != ENGLISH else []
    words = [section(each, "ratings", RatingWords) for each in (*names, ENGLISH)]
    return tuple(phrase for each in words for phrase in getattr(each, name))


@cache
def _frame(language: str, largest: float) -> Frame:
    stars = _listed(language, "stars") if largest <= MOST_STARS else ()
    out_of = [f"{star} {words}" for words in _listed(language, "out_of") for star in ("", *stars)]
    return Frame(
        lead=_listed(language, "lead"),
        tail=(*_listed(language, "tail"), *stars),
        stars=stars,
        praise=_listed(language, "praise"),
        part=_listed(language, "part"),
        because=_listed(language, "because"),
        out_of=tuple(out_of),
        largest=Decimal(str(largest)),
        has_units=False,
    )


KIND = RatingKind()
