"""An email address. The library is loaded with the first one that is asked for."""

import re
import unicodedata

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Options,
    ParseContext,
    Reading,
    read_as,
)
from models.text import INVISIBLE, QUOTES


class EmailKind(Kind):
    """An email address, alone or in a sentence."""

    documentation = "an email address, alone or in a sentence"
    retry = "Please reply with an email address, like name@example.org."
    sample = "name@example.org"

    def parse(self, question: Options, text: str, context: ParseContext) -> Reading:
        from email_validator import EmailNotValidError, validate_email

        words = unicodedata.normalize("NFKC", INVISIBLE.sub("", text)).translate(QUOTES).split()
        addresses = [word for word in words if "@" in word]
        if len(addresses) != 1:
            return UNREAD
        address = re.sub("(?i)^mailto:", "", _without_brackets(addresses[0]))
        try:
            value = validate_email(address, check_deliverability=False).normalized
        except EmailNotValidError:
            return UNREAD
        # The library makes "I" with a dot two characters, the second of which is no letter.
        return read_as(value if _without_brackets(value) == value else None)


def _without_brackets(word: str) -> str:
    return re.sub(r"^([<>()\[\]{}\"',;:!?]|[^\w\x00-\x7f])+|[\W_]+$", "", word)


KIND = EmailKind()
