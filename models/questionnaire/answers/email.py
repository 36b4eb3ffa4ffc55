"""An email address. The library is loaded with the first one that is asked for."""

import re
import unicodedata
from collections.abc import Iterator

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Options,
    ParseContext,
    Reading,
    read_as,
)
from models.questionnaire.choices.vocabulary import denies
from models.questionnaire.slips import is_slip
from models.text import INVISIBLE, QUOTES, without_signature

# Where so many people have their mail that a domain one letter away is most often a slip.
LARGEST = """
gmail.com googlemail.com hotmail.com outlook.com yahoo.com icloud.com live.com aol.com
hotmail.co.uk yahoo.co.uk hotmail.fr orange.fr wanadoo.fr hotmail.de outlook.de t-online.de
gmx.de gmx.net web.de hotmail.it libero.it hotmail.es yahoo.es yahoo.fr yahoo.de yahoo.it
yahoo.com.br hotmail.com.br uol.com.br protonmail.com
""".split()
# Others that are one letter away from those, and are no slips.
OTHERS = """
ymail.com mail.com email.com me.com mac.com gmx.at gmx.ch gmx.com live.fr live.nl live.de live.it
live.co.uk yahoo.ca yahoo.in outlook.es outlook.fr outlook.it outlook.pt hotmail.nl hotmail.ca
hotmail.be hotmail.se proton.me
""".split()
MAX_ADDRESSES = 6  # in one text, of which some may be the same
SPACED_AT = re.compile(r"(\S+)(?: @ ?|@ )(\S+)")
SEVERAL = re.compile(r"[,;/]")


class EmailKind(Kind):
    """An email address, alone or in a sentence."""

    documentation = "an email address, alone or in a sentence"
    retry = "Please reply with an email address, like name@example.org."
    sample = "name@example.org"

    def parse(self, question: Options, text: str, context: ParseContext) -> Reading:
        text = unicodedata.normalize("NFKC", INVISIBLE.sub("", without_signature(text)))
        words = _joined(text.translate(QUOTES).split())
        written = [part for word in words if "@" in word for part in _parts(word)]
        others = " ".join(word for word in words if "@" not in word)
        if len(written) > MAX_ADDRESSES or denies(others, context.language):
            return UNREAD
        addresses = [_address(word) for word in dict.fromkeys(written)]
        if None in addresses:
            return UNREAD
        return read_as(*(each for address in addresses for each in _meant(address)))


def _joined(words: list[str]) -> list[str]:
    """Without blanks around the @ where there is nothing else: anna @ example.com."""
    text = " ".join(words)
    spaced = SPACED_AT.fullmatch(text) if text.count("@") == 1 else None
    return [f"{spaced[1]}@{spaced[2]}"] if spaced else words


def _parts(word: str) -> list[str]:
    """Several addresses without blanks between them, each for itself."""
    parts = SEVERAL.split(_without_brackets(word))
    return parts if all("@" in part for part in parts) else [word]


def _address(word: str) -> str | None:
    """The address that a word is, with its domain in small letters."""
    from email_validator import EmailNotValidError, validate_email

    address = re.sub("(?i)^mailto:", "", _without_brackets(word))
    try:
        value = validate_email(address, check_deliverability=False).normalized
    except EmailNotValidError:
        return None
    has_top_domain = len(value.rpartition(".")[2]) > 1
    # The library makes "I" with a dot two characters, the second of which is no letter.
    return value if has_top_domain and _without_brackets(value) == value else None


def _meant(address: str) -> Iterator[str]:
    """The address, behind those that it may be a slip of."""
    local, _, domain = address.rpartition("@")
    if domain not in LARGEST and domain not in OTHERS:
        yield from (f"{local}@{known}" for known in LARGEST if is_slip(domain, known))
    yield address


def _without_brackets(word: str) -> str:
    return re.sub(r"^([<>()\[\]{}\"',;:!?]|[^\w\x00-\x7f])+|[\W_]+$", "", word)


KIND = EmailKind()
