"""Sentences with placeholders. What people texted is never read as a template."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from models.text import LONGEST_REPLY

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
MAX_LISTED = 40  # characters of an answer, where all are listed


@lru_cache(maxsize=1024)
def placeholders(template: str) -> tuple[str, ...]:
    """The names in braces."""
    return tuple(PLACEHOLDER.findall(template))


def fill(template: str, values: Mapping[str, str]) -> str:
    """The template with its placeholders filled, cut to what one text can hold."""
    return PLACEHOLDER.sub(lambda found: values[found[1]], template)[:LONGEST_REPLY]


def list_answers(shown: Iterable[str], room: int) -> str:
    """Answers with their numbers, all cut to fit into `room` characters."""
    listed = ", ".join(
        f"{number} {_cut(answer or '-', MAX_LISTED)}" for number, answer in enumerate(shown, 1)
    )
    return _cut(listed, room)


def _cut(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 2].rstrip() + ".."
