"""What choices can be called: whole names, words of them, their beginnings, and slips."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from models.questionnaire.choices.vocabulary import AND, Token, Vocabulary
from models.questionnaire.slips import is_slip
from models.text import normalize

MAX_FOUND = 4  # choices with one beginning: more than three are not named anyway
SHORTEST_PLURAL = 4  # letters
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
ENDS_WITH_SIGN = re.compile(r"[^\W\d_][-+*#]+$")
SIGNS_IN_NAMES = ("", "-")  # between the words of a name

Positions = tuple[int, ...]  # of choices in their list


class NamedChoice(NamedTuple):
    """A choice as it is read: how it is shown, and all that it can be called."""

    label: str
    names: tuple[str, ...]


class ChoiceNames:
    """The names of some choices, made ready to be found in a text."""

    def __init__(self, choices: Sequence[NamedChoice], words: Vocabulary) -> None:
        self._synonyms = words.synonyms
        self._by_name: dict[tuple[str, ...], set[int]] = {}
        for position, choice in enumerate(choices):
            for name in _tokenized(choice, words):
                self._by_name.setdefault(name, set()).add(position)
        self._longest: dict[str, int] = {}  # name by its first word, in tokens
        self._by_word: dict[str, set[int]] = {}
        for name, positions in self._by_name.items():
            self._longest[name[0]] = max(len(name), self._longest.get(name[0], 0))
            for word in name:
                if word not in words.known:
                    self._by_word.setdefault(word, set()).update(positions)
        joined = [(" ".join(name), positions) for name, positions in self._by_name.items()]
        for position, choice in enumerate(choices):
            signed = filter(ENDS_WITH_SIGN.search, choice.names)
            joined += [(normalize(name), {position}) for name in signed]
        self._joined = sorted(joined, key=itemgetter(0))
        self._starts = [name for name, _ in self._joined]

    def find(self, tokens: Sequence[Token], start: int) -> tuple[Positions, int] | None:
        """The choices that have the longest name which stands there, and its tokens."""
        longest = min(self._longest.get(tokens[start].text, 0), len(tokens) - start)
        for size in range(longest, 0, -1):
            inside = tokens[start : start + size]
            found = self._by_name.get(tuple(token.text for token in inside))
            if found and all(token.before in SIGNS_IN_NAMES for token in inside[1:]):
                return tuple(sorted(found)), size
        return None

    def with_word(self, word: str) -> Positions:
        """The choices with this word in a name, if it says something."""
        return tuple(sorted(self._by_word.get(word, ())))

    def resembling(self, text: str) -> Positions:
        """The choices with this word, else with this beginning, else like it."""
        found = self.with_word(text) or self.begun(text) or self._slipped(text)
        return found or self._with_synonym(text) or self._in_plural(text)

    def continued(self, word: str) -> bool:
        """Whether a word goes on where a word of a name ends: "Saturday" for "Sat"."""
        return any(self.with_word(word[:end]) for end in range(3, len(word)))

    def _in_plural(self, word: str) -> Positions:
        """The choices with the word to which most languages add an "s" for more than one."""
        is_plural = len(word) >= SHORTEST_PLURAL and word.endswith("s")
        return self.with_word(word[:-1]) if is_plural else ()

    def _with_synonym(self, word: str) -> Positions:
        found = (self.with_word(other) for other in self._synonyms.get(word, ()))
        return tuple(sorted({position for positions in found for position in positions}))

    def begun(self, text: str) -> Positions:
        """The choices that have a name with this beginning, which does not end in a figure."""
        found: set[int] = set()
        if text[-1:].isdecimal():
            return ()
        for name, positions in self._joined[bisect_left(self._starts, text) :]:
            if not name.startswith(text) or len(found) >= MAX_FOUND:
                break
            found |= positions
        return tuple(sorted(found))

    def begun_with_words(self, text: str) -> Positions:
        """The same, where the text ends with a word of the name."""
        found = {n for name, at in self._joined if f"{name} ".startswith(f"{text} ") for n in at}
        return tuple(sorted(found))

    def _slipped(self, text: str) -> Positions:
        found = {n for name, at in self._joined if is_slip(text, name) for n in at}
        return tuple(sorted(found))


def _tokenized(choice: NamedChoice, words: Vocabulary) -> Iterator[tuple[str, ...]]:
    for name in choice.names:
        if ENDS_WITH_SIGN.search(name):
            continue  # without it, A+ would be A-
        for spelling in dict.fromkeys((name, name.casefold().translate(UMLAUTS))):
            tokens = tuple(token.text for token in words.tokens(spelling))
            if tokens and tokens != (AND,):
                yield tokens
