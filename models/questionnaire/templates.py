"""Sentences with placeholders. What people texted is never read as a template."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from models.text import LONGEST_REPLY

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
MAX_LISTED = 40  # characters of an answer, where all are listed
NONE: Mapping[str, str] = {}


@lru_cache(maxsize=1024)
def placeholders(template: str) -> tuple[str, ...]:
    """The names in braces."""
    return tuple(PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str], fixed: Mapping[str, str] = NONE) -> str:
    """The template with its placeholders filled, cut to what one text can hold.

    `values` come from guests, so they are shortened first: the longest most. `fixed` ones are the
    author's, as the template is, and are only cut where no room is left for them.
    """
    filled = _fill(template, values | fixed)
    if len(filled) > LONGEST_REPLY:
        lengths = [len(values[name]) for name in placeholders(template) if name in values]
        share = _fair_share(lengths, LONGEST_REPLY - len(filled) + sum(lengths))
        shortened = {name: _shorten(value, share) for name, value in values.items()}
        filled = _fill(template, shortened | fixed)[:LONGEST_REPLY]
    return filled


def _fill(template: str, values: Mapping[str, str]) -> str:
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)


def _fair_share(lengths: Iterable[int], room: int) -> int:
    """The most that each may have, if all share the room and the short ones leave some over."""
    waiting = sorted(lengths)
    while waiting and waiting[0] <= room // len(waiting):
        room -= waiting.pop(0)
    return max(room, 0) // len(waiting) if waiting else LONGEST_REPLY


def list_answers(shown: Iterable[str]) -> str:
    """Answers with their numbers, each cut to what a list has room for."""
    return ", ".join(
        f"{number} {_shorten(' '.join(answer.split()) or '-', MAX_LISTED)}"
        for number, answer in enumerate(shown, 1)
    )


def _shorten(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(length - 2, 0)].rstrip()}.."[:length]
