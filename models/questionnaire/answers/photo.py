"""A photo that comes with a text; or a video, a voice message or a document."""

import math
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import zip_longest
from typing import Literal, Protocol

from msgspec import Struct

from models.questionnaire.answers.kind import (
    Kind,
    OwnWords,
    ParseContext,
    Reading,
    read_as,
)
from models.questionnaire.languages import ENGLISH, section
from models.questionnaire.problem import Problem

MediumType = Literal["image", "video", "audio", "document"]
# Of application/ and text/: what somebody means to send, unlike contact cards and layouts (SMIL).
DOCUMENTS = ("application/pdf", "application/msword", "application/vnd.", "application/rtf")
DOCUMENTS += ("text/plain", "text/rtf", "text/csv")


class PhotoOptions(Protocol):
    """Which types of media are an answer."""

    types: tuple[MediumType, ...] = ("image",)


class TypeNames(Struct, frozen=True, forbid_unknown_fields=True):
    """The section [media] of a language: what guests call the types."""

    image: str
    video: str
    audio: str
    document: str


class PhotoKind(Kind):
    """One medium or more, kept as the URLs that Twilio has them under, with blanks between."""

    documentation = "one photo or more; the addresses that Twilio keeps them under are kept"
    retry = "Please reply with a photo."
    more_retries = {"media": "Please reply with one of these: {types}."}
    options = PhotoOptions
    placeholders = {"types": lambda question, _: name_types(question)}
    sample = "(1)"
    max_length = math.inf  # the URLs of ten photos have 1,600 characters
    reads_media = True
    reads_attachments = True

    def parse(self, question: PhotoOptions, text: str, context: ParseContext) -> Reading:
        types = context.message.media_types if context.message else ()
        urls = text.split()
        # What was recorded before types were has none, and was taken for a photo.
        fitting = [
            url
            for url, type in zip_longest(urls, types[: len(urls)], fillvalue="")
            if (type_of(type) if type else "image") in question.types
        ]
        return read_as(" ".join(fitting) or None)

    def show(self, question: PhotoOptions, value: str, own_words: OwnWords) -> str:
        return f"({len(value.split())})"

    def retry_name(self, question: PhotoOptions) -> str:
        return "photo" if question.types == ("image",) else "media"

    def placeholder_values(
        self, question: PhotoOptions, today: date, language: str = ENGLISH
    ) -> dict[str, str]:
        return {"types": name_types(question, language)}

    def problems(self, question: PhotoOptions) -> Iterator[Problem]:
        if not question.types:
            yield Problem("types", 'is empty. Write what can be sent, like ["image", "video"].')


def type_of(content_type: str) -> str | None:
    """The type that a medium has by its content type; None for what is no answer to anything."""
    written = content_type.partition(";")[0].strip().lower()
    if written.startswith(DOCUMENTS):
        return "document"
    type = written.partition("/")[0]
    return type if type in ("image", "video", "audio") else None


def name_types(question: PhotoOptions, language: str = ENGLISH) -> str:
    """The types that can be sent, in the words of a language."""
    names = section(language, "media", TypeNames)
    types: Sequence[str] = question.types
    return ", ".join(getattr(names, type) for type in types)


KIND = PhotoKind()
