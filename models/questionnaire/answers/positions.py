"""How readings of a text are named when the guest is asked which was meant, and how one is chosen.

A language's file has the words for that, in its section [readings].
"""

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from models.questionnaire.languages import ENGLISH, section
from models.text import normalize, words

MAX_CHOOSING_WORDS = 8  # of a text that names a position
LONGEST_CHOICE = 400  # characters of a text that names a position, or what was named
LEAST_LETTERS = 3  # of the beginning of a word that chooses: "no" is not November
JOINED_NUMBERS = re.compile(r"[0-9][-/.,:][0-9]")  # as in "1-2" or "1.5": no position
QUESTION_MARK = re.compile(r"\?(?!\w+=)")  # but not that of a link


class Readings(Struct, frozen=True, forbid_unknown_fields=True):
    """A language's words for naming readings, and for choosing one."""

    conjunction: str = field(name="or")
    positions: tuple[tuple[str, ...], ...]  # words for the first, the second and the third
    last: tuple[str, ...]
    numbers: tuple[str, ...]  # one, two, three, alone in a text
    fillers: tuple[str, ...]  # words around a position


def list_readings(shown: Sequence[str], is_numbered: bool, language: str) -> str:
    """All readings in one line: "1 Friday, or 2 Monday", or without numbers "3, 4 or 5"."""
    conjunction = section(language, "readings", Readings).conjunction
    numbers = [f"{number} {reading}" for number, reading in enumerate(shown, 1)]
    *others, last = numbers if is_numbered else shown
    comma = "," if is_numbered else ""
    return f"{', '.join(others)}{comma} {conjunction} {last}"


def find_position(text: str, count: int, is_numbered: bool, language: str) -> int | None:
    """Which of `count` readings a text names by its position, from 0; None if none for certain.

    Where the readings have no numbers, only words like "the second" count.
    """
    plain = normalize(text) if len(text) <= LONGEST_CHOICE else "?"
    if "?" in plain or JOINED_NUMBERS.search(plain):
        return None
    typed = words(plain)
    for name in dict.fromkeys((language, ENGLISH)):
        known = section(name, "readings", Readings)
        found = _position_in(typed, known, is_numbered)
        if found is not None and (found := count - 1 if found < 0 else found) < count:
            return found
    return None


def _position_in(typed: Sequence[str], known: Readings, is_numbered: bool) -> int | None:
    """From 0, or -1 for the last; None if the words name none, two, or something else."""
    if is_numbered and len(typed) == 1 and typed[0] in known.numbers:
        return known.numbers.index(typed[0])
    if len(typed) > MAX_CHOOSING_WORDS:
        return None
    positions = {word: index for index, each in enumerate(known.positions) for word in each}
    positions |= dict.fromkeys(known.last, -1)
    positions |= {str(number): number - 1 for number in range(1, 4)} if is_numbered else {}
    named = {positions[word] for word in typed if word in positions}
    others = {word for word in typed if word not in positions}
    return named.pop() if len(named) == 1 and others <= set(known.fillers) else None


def find_by_words(
    text: str, shown: Sequence[str], language: str, least_letters: int = LEAST_LETTERS
) -> list[int]:
    """The readings, as they were named, that have all words of a text; from 0.

    The beginning of a word counts, such as "Fri", if it has `least_letters`. If the words are all
    that a reading has, it alone counts.
    """
    fillers = section(language, "readings", Readings).fillers
    typed = set(words(text)).difference(fillers) if len(text) <= LONGEST_CHOICE else set()
    if not typed:
        return []
    named = [set(words(reading)) for reading in shown]
    whole = [index for index, known in enumerate(named) if known.difference(fillers) == typed]
    if len(whole) == 1:
        return whole
    beginnings = {word for word in typed if word.isalpha() and len(word) >= least_letters}
    return [index for index, known in enumerate(named) if _has_all(known, typed, beginnings)]


def _has_all(known: Iterable[str], typed: Iterable[str], beginnings: Iterable[str]) -> bool:
    return all(
        word in known or (word in beginnings and any(each.startswith(word) for each in known))
        for word in typed
    )


def is_question(text: str) -> bool:
    """Whether a text asks, instead of choosing."""
    return bool(QUESTION_MARK.search(normalize(text)))
