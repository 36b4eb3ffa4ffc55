"""Phrases that differ in a few words, written as one: "ill|well [also] have|take|go_with"."""

from collections.abc import Iterator
from itertools import product


def variants(pattern: str) -> Iterator[str]:
    """Each phrase: `|` parts words that are as good, brackets hold what can be left out.

    A low line is a blank inside such a word. A phrase without these signs is itself.
    """
    parts = [_words(part) for part in pattern.split()]
    for words in product(*parts):
        yield " ".join(filter(None, words)).replace("_", " ")


def _words(part: str) -> list[str]:
    can_be_missing = part.startswith("[") and part.endswith("]")
    words = part[1:-1].split("|") if can_be_missing else part.split("|")
    return [*words, ""] if can_be_missing else words
