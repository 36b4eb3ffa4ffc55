"""The forms in which a text is compared with events.

Guests copy an event from a poster: quotes, apostrophes, blanks, accents, punctuation and emoji do
not matter, nor a mail signature, nor a greeting or thanks around it.
"""

import re
from collections.abc import Iterator
from functools import cache

from msgspec import Struct

from models.questionnaire.languages import LANGUAGES, section
from models.questionnaire.slips import is_slip
from models.text import normalize, strip_decoration, without_signature, words

LONGEST_OPENING = 400  # characters of a text that can be an event, with a mail signature
MAX_COURTESIES = 4  # words before the event, and after it
FIGURES = re.compile("[0-9]+")
# A name like "Room 101" has enough characters for a slip, although not enough letters. The figures
# themselves are compared before.
AS_LETTERS = str.maketrans("0123456789", "αβγδεζηθικ")


class Openings(Struct, frozen=True, forbid_unknown_fields=True):
    """What a language's speakers text with an event."""

    courtesies: tuple[str, ...]  # words before or after it
    conjunctions: tuple[str, ...]  # words that are as good as "&", or as nothing


def event_form(text: str) -> str:
    """The form in which two events, or an event and a text, are the same; "" for a long text."""
    return _join(_words_of(text)) or _symbols(text)


def event_forms(text: str) -> Iterator[str]:
    """The forms of the events that a text can be; first that of all of it."""
    typed = _words_of(text)
    yield _join(typed) or _symbols(text)
    before, after = _count_courtesies(typed), _count_courtesies(typed[::-1])
    for first in range(before + 1):
        for last in range(len(typed), len(typed) - after - 1, -1):
            if typed[first:last] and last - first < len(typed):
                yield _join(typed[first:last])


def is_near(typed: str, form: str) -> bool:
    """Whether the form of a text is that of an event but for one slip of the finger."""
    has_figures = FIGURES.findall(typed) == FIGURES.findall(form)
    return has_figures and is_slip(typed.translate(AS_LETTERS), form.translate(AS_LETTERS))


def _words_of(text: str) -> list[str]:
    if len(text) > LONGEST_OPENING:
        return []
    return words(normalize(without_signature(text)).replace("'", ""))


def _join(typed: list[str]) -> str:
    conjunctions = _known("conjunctions")
    inner = [word for word in typed[1:-1] if word not in conjunctions]
    return "".join([*typed[:1], *inner, *typed[1:][-1:]])


def _symbols(text: str) -> str:
    """That of a text without letters and figures, such as a single emoji."""
    return strip_decoration(normalize(text)) if len(text) <= LONGEST_OPENING else ""


def _count_courtesies(typed: list[str]) -> int:
    known = _known("courtesies")
    others = (count for count, word in enumerate(typed[:MAX_COURTESIES]) if word not in known)
    return next(others, min(len(typed), MAX_COURTESIES))


@cache
def _known(name: str) -> frozenset[str]:
    """In all languages: who texts an event has not chosen one yet."""
    sections = [section(language, "openings", Openings) for language in LANGUAGES]
    return frozenset(word for each in sections for word in getattr(each, name))
