"""What somebody searches for, and where a text has it."""

import re
import unicodedata
from typing import NamedTuple, Self

MAX_PHRASES = 8  # that have to be found together; what is typed behind them is left out
MAX_WORDS = 16  # of a phrase
EXCERPT, BEFORE = 240, 60  # characters of a text that are shown, and of them before what was found
# As FTS5 divides texts, an accent that stands behind its letter included.
WORD = re.compile(r"(?:[^\W_][\u0300-\u036f]*)+")
ACCENT = re.compile(r"[\u0300-\u036f]+")
PHRASE = re.compile(r'["“”„]([^"“”„]*)["“”„]|(\S+)')

Part = tuple[str, bool]  # some of a text, and whether it is what was searched for


def without_accents(word: str) -> str:
    """A word in small letters without accents, as the indexes have it."""
    # Most words have none, and a page looks at thousands of texts for a phrase.
    plain = word if word.isascii() else ACCENT.sub("", unicodedata.normalize("NFD", word))
    return plain.lower()


class SearchTerms(NamedTuple):
    """The phrases that a text must have, each with its words one after the other."""

    phrases: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, query: str) -> Self:
        """Those of a query. What is in quotes is one phrase, and so is a word with a hyphen."""
        typed = (quoted or word for quoted, word in PHRASE.findall(query))
        found = (tuple(WORD.findall(each)[:MAX_WORDS]) for each in typed)
        return cls(tuple(dict.fromkeys(filter(None, found)))[:MAX_PHRASES])

    @property
    def has_phrases(self) -> bool:
        """Whether some words have to stand together."""
        return any(len(phrase) > 1 for phrase in self.phrases)

    @property
    def words(self) -> list[str]:
        """Those of all phrases, each once."""
        return list(dict.fromkeys(word for phrase in self.phrases for word in phrase))

    @property
    def in_all_slices(self) -> dict[str, str]:
        """As FTS5 is asked for texts with all the phrases.

        Words are letters and digits, so nothing in quotes is an operator.
        """
        phrases = (f'"{" ".join(phrase)}"' for phrase in self.phrases)
        return {"words": f"body:({' '.join(phrases)})"}

    def in_slice(self, slice: int) -> dict[str, str]:
        """As FTS5 is asked for texts of a slice that have all the words, wherever they stand."""
        words = " ".join(f'"{word}"' for word in self.words)
        return {"words": f"slice:{slice} AND body:({words})"}

    def for_postgresql(self, slice: int) -> dict[str, str]:
        """As PostgreSQL is asked for texts of a slice: always with as many phrases."""
        folded = [without_accents(" ".join(phrase)) for phrase in self.phrases]
        folded += [""] * (MAX_PHRASES - len(folded))
        phrases = {f"phrase{n}": phrase for n, phrase in enumerate(folded)}
        return {"slice": f"' {slice}'"} | phrases

    def are_in(self, text: str) -> bool:
        """Whether a text has all of them."""
        found = [without_accents(word) for word in WORD.findall(text)]
        return all(_find(found, _folded(phrase)) for phrase in self.phrases)

    def mark(self, text: str) -> list[Part]:
        """The beginning of a text, or what is around the first of them, divided at each."""
        places = self._places(text)
        start = max(0, places[0][0] - BEFORE) if places else 0
        start = start if start > EXCERPT // 4 and len(text) > EXCERPT else 0
        end = min(len(text), start + EXCERPT)
        parts, at = [("…", False)] if start else [], start
        for first, last in places:
            if first >= at and last <= end:
                parts += [(text[at:first], False), (text[first:last], True)]
                at = last
        parts += [(text[at:end], False), ("…" if end < len(text) else "", False)]
        return [part for part in parts if part[0]]

    def _places(self, text: str) -> list[tuple[int, int]]:
        """Where they begin and end, in the order of the text."""
        words = list(WORD.finditer(text))
        found = [without_accents(word[0]) for word in words]
        return sorted(
            (words[n].start(), words[n + len(phrase) - 1].end())
            for phrase in self.phrases
            for n in _find(found, _folded(phrase))
        )


def _folded(phrase: tuple[str, ...]) -> list[str]:
    return [without_accents(word) for word in phrase]


def _find(words: list[str], phrase: list[str]) -> list[int]:
    """Where a phrase begins among these words."""
    last = len(words) - len(phrase) + 1
    return [n for n in range(last) if words[n : n + len(phrase)] == phrase]
