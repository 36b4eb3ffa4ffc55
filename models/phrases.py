"""Phrases as the files of languages write them, and the form of a text in which they are found.

A phrase is words with blanks between: `leave me|us [the_hell] alone`. A bar stands between words of
which one is meant, brackets around what may be missing, an underscore for a blank within them.
`<texts>` is the set of that name, a comma a break that may be there, a dot one that must be, a star
any word, and three dots are any words. `!of|for` says what may not follow. A phrase begins with a
word.

They are looked up word by word: patterns for them all would take seconds to compile at each start.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import takewhile
from types import MappingProxyType
from typing import Self, TypeAlias

from models.text import normalize, without_accents

INITIALS = re.compile(r"\b(\w)\.(?=\w\b)")  # of a.u.b. and s.v.p.
HYPHEN = re.compile(r"(?<=\w)[-/](?=\w)")
BREAK = re.compile(r"[^\w #]+")  # between clauses; an emoji is one, too
UMLAUT = re.compile("([aou])e")  # as German is written without umlauts
DOT = "."
END = ""  # stands behind the last word of a text
ANY_WORD, ANY_WORDS = "*", "..."
NO_SETS: Mapping[str, str] = MappingProxyType({})

WordTuple: TypeAlias = tuple[str, ...]
# From the indexes of words where something may begin to those behind it, where it may end.
Step: TypeAlias = Callable[[WordTuple, set[int]], set[int]]
Phrase: TypeAlias = tuple[WordTuple, tuple[Step, ...]]  # the words of its beginning, and the rest


@lru_cache(maxsize=64)  # a turn asks several times
def words_of(text: str) -> str:
    """The text as words that end in a blank, with a dot as a word of its own between clauses.

    Without case, accents and apostrophes. It is empty where there are no words.
    """
    lines = text.strip().replace("\n", " . ")
    plain = without_accents(normalize(lines)).replace("'", "")
    plain = INITIALS.sub(r"\1", UMLAUT.sub(r"\1", plain))
    words = " ".join(BREAK.sub(" . ", HYPHEN.sub(" ", plain)).split())
    words = re.sub(r"(?:\. )+", ". ", f"{words} ").removeprefix(". ").removesuffix(". ")
    return words if words.strip(" #_") else ""


def split_words(words: str) -> WordTuple:
    """The words that `words_of` gives, and END; without the last one where that was cut."""
    return (*words.rpartition(" ")[0].split(), END)


class Names:
    """WordTuple of which one is meant, each of them one word or several."""

    def __init__(self, names: Iterable[WordTuple]) -> None:
        self.names = frozenset(names)
        self._counts: dict[str, set[int]] = {}  # of words, by the first
        for name in self.names:
            self._counts.setdefault(name[0], set()).add(len(name))

    def ends(self, words: WordTuple, starts: Iterable[int]) -> set[int]:
        return {
            start + count
            for start in starts
            for count in self._counts.get(words[start], ())
            if words[start : start + count] in self.names
        }

    def ends_if_any(self, words: WordTuple, starts: set[int]) -> set[int]:
        """Where they end, and where they are missing."""
        return starts | self.ends(words, starts)

    def starts_without(self, words: WordTuple, starts: set[int]) -> set[int]:
        """Where they do not follow."""
        return {start for start in starts if not self.ends(words, (start,))}


class Phrases:
    """Lists of phrases, by the two words with which they begin.

    A text is compared with those alone that begin like it: of hundreds these are a few. The second
    word is ANY_WORD where it is not known.
    """

    def __init__(self) -> None:
        self._by_words: dict[str, dict[str, list[Phrase]]] = {}

    def add(self, beginning: WordTuple, seconds: Iterable[str], steps: tuple[Step, ...]) -> None:
        """Add a phrase that begins so, with `steps` behind, of which `seconds` are first words."""
        by_second = self._by_words.setdefault(beginning[0], {})
        for second in beginning[1:2] or seconds:
            by_second.setdefault(second, []).append((beginning, steps))

    @classmethod
    def union(cls, lists: Iterable[Self]) -> Self:
        union = cls()
        for each in lists:
            for word, others in each._by_words.items():
                by_second = union._by_words.setdefault(word, {})
                for second, phrases in others.items():
                    by_second.setdefault(second, []).extend(phrases)
        return union

    def ends(self, words: WordTuple, start: int) -> set[int]:
        """Where those phrases end that begin here."""
        found: set[int] = set()
        by_second = self._by_words.get(words[start])
        if by_second is None:
            return found
        for second in (words[start + 1], ANY_WORD):
            for beginning, steps in by_second.get(second, ()):
                end = start + len(beginning)
                if len(beginning) < 3 or words[start:end] == beginning:
                    found |= _ends_of(steps, words, {end}) if steps else {end}
        return found

    def all_ends(self, words: WordTuple, starts: Iterable[int]) -> set[int]:
        return {end for start in starts for end in self.ends(words, start)}

    def repeated_ends(self, words: WordTuple, starts: Iterable[int]) -> set[int]:
        """Where any number of them end that stand behind each other; the starts, too."""
        reached = set(starts)
        fresh = list(reached)
        while fresh:
            ends = self.ends(words, fresh.pop()) - reached
            reached |= ends
            fresh += ends
        return reached

    def possible_starts(self, words: WordTuple) -> list[int]:
        """Where the first word of one of them stands."""
        return [index for index, word in enumerate(words) if word in self._by_words]

    def is_in(self, words: WordTuple, start: int = 0) -> bool:
        """Whether one of them begins there or behind."""
        starts = self.possible_starts(words)
        return any(self.ends(words, index) for index in starts if index >= start)


class Notation:
    """Reads phrases that name these sets."""

    def __init__(self, sets: Mapping[str, str] = NO_SETS) -> None:
        self._sets = {f"<{name}>": _split_names(names) for name, names in sets.items()}
        self._names: dict[str, Names] = {}  # the same words stand in many phrases

    def read(self, phrases: Iterable[str]) -> Phrases:
        """The phrases as they are looked up. ValueError: one of them begins with no word."""
        found = Phrases()
        for phrase in dict.fromkeys(phrases):
            items = phrase.split()
            for index, item in enumerate(items):
                if item in SPECIAL or item.startswith("!"):
                    raise ValueError(f"This phrase begins with no word, so change it: {phrase}")
                self._add(found, items[index:])
                if not item.startswith("["):
                    break
        return found

    def _add(self, found: Phrases, items: list[str]) -> None:
        """Add a phrase whose first item is there."""
        steps, seconds = tuple(map(self._step, items[1:])), self._first_words(items[1:])
        for name in self._names_in(items[0]).names:
            found.add(name, seconds, steps)

    def _first_words(self, items: list[str]) -> set[str]:
        """The words of which one stands first where these items follow, or ANY_WORD."""
        count = _count_optional(items)
        if count == len(items) or items[count] in SPECIAL or items[count].startswith("!"):
            return {ANY_WORD}
        return {name[0] for item in items[: count + 1] for name in self._names_in(item).names}

    def _step(self, item: str) -> Step:
        if item in SPECIAL:
            return SPECIAL[item]
        names = self._names_in(item)
        if item.startswith("["):
            return names.ends_if_any
        return names.starts_without if item.startswith("!") else names.ends

    def _names_in(self, item: str) -> Names:
        bare = item.strip("[]!")
        if bare not in self._names:
            self._names[bare] = Names(
                name
                for part in bare.split("|")
                for name in (self._sets[part] if part.startswith("<") else _split_names(part))
            )
        return self._names[bare]


def _ends_of(steps: Iterable[Step], words: WordTuple, ends: set[int]) -> set[int]:
    for step in steps:
        if not ends:
            break
        ends = step(words, ends)
    return ends


def _any_word(words: WordTuple, starts: set[int]) -> set[int]:
    return {start + 1 for start in starts if words[start] not in (DOT, END)}


def _any_words(words: WordTuple, starts: set[int]) -> set[int]:
    return set(range(min(starts), len(words)))


SPECIAL: Mapping[str, Step] = {
    ",": Names([(DOT,)]).ends_if_any,
    ANY_WORD: _any_word,
    ANY_WORDS: _any_words,
}


def alternatives(item: str) -> list[str]:
    """The words of which one is meant, without what is around them."""
    return item.strip("[]!").replace("_", " ").split("|")


def _split_names(names: str) -> list[WordTuple]:
    return [tuple((words_of(name) or name).split()) for name in alternatives(names)]


def _count_optional(items: Iterable[str]) -> int:
    return len(list(takewhile(lambda item: item.startswith("["), items)))
