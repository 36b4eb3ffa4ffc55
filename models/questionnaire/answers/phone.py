"""The number of a phone. The library is loaded with the first one that is asked for."""

import re
from collections.abc import Iterator
from typing import Annotated, Protocol

from msgspec import Meta

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    ParseContext,
    Reading,
    read_as,
)
from models.questionnaire.problem import Problem
from models.text import normalize_number

Region = Annotated[str, Meta(pattern="^[A-Z]{2}$")]


class PhoneOptions(Protocol):
    """The country of numbers without a country code."""

    region: Region | None = None


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
        import phonenumbers

        number = normalize_number(text).strip(".").removeprefix("tel:")
        if not re.fullmatch("[+(]?[-0-9()./ ]+", number):
            return UNREAD
        try:
            parsed = phonenumbers.parse(number, question.region)
        except phonenumbers.NumberParseException:
            return UNREAD
        if not phonenumbers.is_valid_number(parsed):
            return UNREAD
        return read_as(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))

    def problems(self, question: PhoneOptions) -> Iterator[Problem]:
        import phonenumbers

        if question.region and question.region not in phonenumbers.SUPPORTED_REGIONS:
            sentence = 'is not a country. Write its two letters, like "US" or "DE".'
            yield Problem("region", f"{question.region} {sentence}")


KIND = PhoneKind()
