"""The number of a phone. The library is loaded with the first one that is asked for."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Protocol

from msgspec import Meta, Struct

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    ParseContext,
    Reading,
    read_as,
)
from models.questionnaire.choices.vocabulary import denies, says_only
from models.questionnaire.languages import ENGLISH, section
from models.questionnaire.problem import Problem
from models.text import comparable, normalize, normalize_number, without_signature

Region = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
SENDER = re.compile(r"(?:[a-z]+:)?(\+[0-9]{7,15})")  # a number, on whatever channel
MAX_TRIES = 20  # numbers that the library looks for in a text; each takes it a millisecond


class PhoneOptions(Protocol):
    """The country of numbers without a country code."""

    region: Region | None = None


class PhoneWords(Struct, frozen=True, forbid_unknown_fields=True):
    """The section [phones] of a language."""

    this_number: tuple[str, ...]  # the one that the guest texts from
    fillers: tuple[str, ...] = ()  # around it


class PhoneKind(Kind):
    """The number of a phone, kept with its country code."""

    documentation = "the number of a phone; it is kept with its country code (E.164)"
    retry = "Please reply with a phone number."
    sample = "+14155550100"
    options = PhoneOptions
    option_hints = {
        "[A-Z]{2}": 'is not a region. Write the two capital letters of a country, like "US".'
    }

    def parse(self, question: PhoneOptions, text: str, context: ParseContext) -> Reading:
        text = without_signature(text)
        if number := _read_all(text, question.region):
            return read_as(number)
        if denies(text, context.language):
            return UNREAD
        numbers, rest = _find(normalize(text), question.region)
        if re.search(r"\d", rest):
            return UNREAD  # not a number, or not a whole one
        return read_as(*_sender(rest, context), *numbers)

    def problems(self, question: PhoneOptions) -> Iterator[Problem]:
        import phonenumbers

        if question.region and question.region not in phonenumbers.SUPPORTED_REGIONS:
            sentence = 'is not a country. Write its two letters, like "US" or "DE".'
            yield Problem("region", f"{question.region} {sentence}")


def _read_all(text: str, region: str | None) -> str | None:
    """The number that the whole text is, however it is divided."""
    import phonenumbers

    number = normalize_number(text).strip(".").removeprefix("tel:")
    if not re.fullmatch("[+(]?[-0-9()./ ]+", number):
        return None
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    return _written(parsed) if phonenumbers.is_valid_number(parsed) else None


def _find(text: str, region: str | None) -> tuple[list[str], str]:
    """The numbers in a text, and the text without them."""
    import phonenumbers

    leniency = phonenumbers.Leniency.VALID
    matcher = phonenumbers.PhoneNumberMatcher(text, region, leniency, MAX_TRIES)
    numbers, rest, end = [], "", 0
    for found in matcher:
        if found.number.extension:
            return [], text
        numbers.append(_written(found.number))
        rest, end = f"{rest}{text[end : found.start]} ", found.end
    return numbers, rest + text[end:]


def _written(number: object) -> str:
    import phonenumbers

    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _sender(text: str, context: ParseContext) -> Sequence[str]:
    """The number that the text comes from, if it says "this number" and no more than that."""
    sender = SENDER.fullmatch(context.message.sender) if context.message else None
    plain, (this_number, fillers) = _plain(text), _phrases(context.language)
    if not sender or "?" in text or not this_number.search(plain):
        return ()
    rest = fillers.sub(" ", this_number.sub(" ", plain))
    return (sender[1],) if says_only(rest, context.language) else ()


@cache
def _phrases(language: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What names the sender's own number, and what can stand around it."""
    words = [section(each, "phones", PhoneWords) for each in dict.fromkeys((language, ENGLISH))]
    this_number = [phrase for each in words for phrase in each.this_number]
    return _any_of(this_number), _any_of([phrase for each in words for phrase in each.fillers])


def _plain(text: str) -> str:
    """As it is compared, also without the apostrophe that many leave out."""
    return comparable(text).replace("'", "")


def _any_of(phrases: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted(map(_plain, phrases), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b")


KIND = PhoneKind()
