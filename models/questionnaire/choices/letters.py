"""The letters of choices, and when choices are listed with them."""

import re

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def letter_of(position: int) -> str:
    """The letter of a choice: a to z, then aa, ab and so on."""
    first, last = divmod(position, len(LETTERS))
    return (LETTERS[first - 1] if first else "") + LETTERS[last]


def begins_with_digit(label: str) -> bool:
    """Whether the number of a choice before this label would be taken for a part of it."""
    return re.match(r"\W*[0-9]", label) is not None
