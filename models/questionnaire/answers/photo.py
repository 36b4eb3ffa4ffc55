"""A photo that comes with a text."""

import math

from models.questionnaire.answers.kind import (
    Kind,
    Options,
    OwnWords,
    ParseContext,
    Reading,
    read_as,
)


class PhotoKind(Kind):
    """One photo or more, kept as the URLs that Twilio has them under, with blanks between."""

    documentation = "one photo or more; the addresses that Twilio keeps them under are kept"
    retry = "Please reply with a photo."
    sample = "(1)"
    max_length = math.inf  # the URLs of ten photos have 1,600 characters
    reads_media = True

    def parse(self, question: Options, text: str, context: ParseContext) -> Reading:
        return read_as(text)

    def show(self, question: Options, value: str, own_words: OwnWords) -> str:
        return f"({len(value.split())})"


KIND = PhotoKind()
