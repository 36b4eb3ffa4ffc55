"""One of several choices, or any number of them.

A guest can name a choice, begin its name as no other begins, or give its number or letter.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import combinations, permutations
from typing import Protocol

from msgspec import Struct

from models.questionnaire.answers.kind import (
    Kind,
    Name,
    OwnWords,
    ParseContext,
    Reading,
    Sentence,
    read_as,
)
from models.questionnaire.problem import Problem
from models.text import normalize, strip_decoration, without_accents

SEPARATOR = ", "  # between the values of several choices


class Choice(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of several answers: the value that is kept, how it is shown, and other names for it."""

    value: Sentence
    say: Sentence | None = None
    also: tuple[Sentence, ...] = ()

    @property
    def label(self) -> str:
        """How the choice is called in sentences."""
        return self.say or self.value

    @property
    def names(self) -> frozenset[str]:
        """What it can be called: normalized, without accents, also without what is around."""
        return _names(self)


# Around a name: emoji, quotes, blanks; but not the sign that tells A+ from A-, or C# from C.
WRAPPING = re.compile(r"^\W+|[^\w+*#-]+$")


# At the end; the blanks before it are looked at once, and not from each of them to the last.
POLITENESS = re.compile(r"(?<![,\s])[,\s]+(please|pls|thanks|thank you)\W*$", flags=re.IGNORECASE)


@lru_cache(maxsize=1024)
def _names(choice: Choice) -> frozenset[str]:
    names = {_fold(name) for name in (choice.value, choice.label, *choice.also)}
    return frozenset(names | {WRAPPING.sub("", name) or name for name in names})


class ChoiceOptions(Protocol):
    """What can be chosen, and whether more than one can be."""

    choices: tuple[Sentence | Choice, ...] = ()
    many: bool = False


def numbered_list(question: ChoiceOptions, _: date) -> str:
    """The choices with their numbers."""
    return ", ".join(
        f"{number} {choice.label}" for number, choice in enumerate(question.choices, 1)
    )


class ChoiceKind(Kind):
    """A choice of one, or with `many` of several, whose values are then joined by SEPARATOR."""

    documentation = "the name of a choice or its beginning, number or letter; its value is kept"
    retry = "Please reply with one of these: {choices}."
    more_retries = {"many": "Please reply with one or more of these: {choices}."}
    options = ChoiceOptions
    has_options = True
    placeholders = {"choices": numbered_list}

    def parse(self, question: ChoiceOptions, text: str, context: ParseContext) -> Reading:
        names = _names_of(question.choices)
        if not question.many:
            choice = _find_choice(names, text)
            return read_as(choice and choice.value)
        chosen = _find_choices(names, text)
        return read_as(
            SEPARATOR.join(choice.value for choice in question.choices if choice in chosen) or None
        )

    def long_answer(self, question: ChoiceOptions, own_words: OwnWords) -> str:
        labels = [choice.label for choice in question.choices]
        return SEPARATOR.join(labels) if question.many else max(labels, key=len)

    def show(self, question: ChoiceOptions, value: str, own_words: OwnWords) -> str:
        labels = {choice.value: choice.label for choice in question.choices}
        return SEPARATOR.join(labels.get(part, part) for part in _values(question, value))

    def result_value(self, question: ChoiceOptions, value: str) -> str | list[str]:
        return _values(question, value) if question.many else value

    def values(self, question: ChoiceOptions) -> Sequence[str]:
        return [choice.value for choice in question.choices]

    def retry_name(self, question: ChoiceOptions) -> str:
        return "many" if question.many else "choice"

    def is_name(self, question: ChoiceOptions, text: str) -> bool:
        return bool(_names_of(question.choices).find_named(_fold(text)))

    def names(self, question: ChoiceOptions) -> Iterator[Name]:
        for choice in question.choices:
            for name in dict.fromkeys((choice.value, choice.label, *choice.also)):
                yield Name("choices", name, is_shown=name == choice.label)

    def matches(self, question: ChoiceOptions, value: str, wanted: str | float) -> bool:
        return wanted in _values(question, value)

    def candidates(self, question: ChoiceOptions, wanted: Sequence[str | float]) -> Iterator[str]:
        values = [choice.value for choice in question.choices]
        yield from [SEPARATOR.join(values)] if question.many else values

    def condition_help(self, question: ChoiceOptions) -> str:
        values = ", ".join(f'"{choice.value}"' for choice in question.choices)
        return f"Write one of its values: {values}."

    def problems(self, question: ChoiceOptions) -> Iterator[Problem]:
        if not question.choices:
            yield Problem("choices", 'are missing. Add them, like choices = ["Pizza", "Pasta"].')

    def name_problems(self, question: ChoiceOptions) -> Iterator[Problem]:
        for value in (choice.value for choice in question.choices if question.many):
            if SEPARATOR.strip() in value:
                sentence = f"{value} holds a comma, which is put between several. Remove it."
                yield Problem("choices", sentence)
        for first, second in combinations(question.choices, 2):
            for name in sorted(first.names & second.names):
                sentence = f"{name} means {first.label} and {second.label} both."
                yield Problem("choices", f"{sentence} Give each words of its own.")
        for (_, choice), (index, other) in permutations(enumerate(question.choices), 2):
            for name in sorted(choice.names & _marks(index)):
                sentence = f"{name} means {choice.label}, though it is the number or letter of"
                sentence = f"{sentence} {other.label}. Choose longer words."
                yield Problem("choices", sentence, is_error=False)


def _values(question: ChoiceOptions, value: str) -> list[str]:
    return value.split(SEPARATOR) if question.many else [value]


def _marks(index: int) -> set[str]:
    """The number and the letter of a choice."""
    return {str(index + 1)} | ({chr(ord("a") + index)} if index < 26 else set())


def _fold(text: str) -> str:
    return without_accents(normalize(text))


class ChoiceNames:
    """What choices can be called, made ready to find one by a name or its beginning."""

    def __init__(self, choices: tuple[Choice, ...]) -> None:
        self.choices = choices
        self._positions: dict[str, set[int]] = {}  # of the choices that have a name
        for position, choice in enumerate(choices):
            for name in choice.names:
                self._positions.setdefault(name, set()).add(position)
        self._sorted = sorted(self._positions)
        # How many parts an "and" can divide a name into, even one inside of a word.
        self.max_parts = 1 + max((name.count("and") for name in self._sorted), default=0)

    def find_named(self, folded: str) -> list[Choice]:
        """Those of this name, as it is or without decoration."""
        names = (folded, strip_decoration(folded))
        return self._at(set().union(*(self._positions.get(name, ()) for name in names)))

    def find_begun(self, beginning: str) -> list[Choice]:
        """Those that have a name with this beginning; not all where there are many."""
        positions: set[int] = set()
        for name in self._sorted[bisect_left(self._sorted, beginning) :]:
            if not name.startswith(beginning) or len(positions) > 1:
                break
            positions |= self._positions[name]
        return self._at(positions)

    def at(self, mark: str) -> Choice | None:
        """The choice of this number or letter, if there are so many."""
        number = int(mark) if mark.isdecimal() else ord(mark) - ord("a") + 1
        return self.choices[number - 1] if 1 <= number <= len(self.choices) else None

    def _at(self, positions: set[int]) -> list[Choice]:
        return [self.choices[position] for position in sorted(positions)]


@lru_cache(maxsize=256)
def _names_of(choices: tuple[Choice, ...]) -> ChoiceNames:
    return ChoiceNames(choices)


def _find_choice(names: ChoiceNames, text: str) -> Choice | None:
    """The one that is meant: named, by number or letter, or begun as no other is."""
    folded = strip_politeness(_fold(text))
    if named := names.find_named(folded):
        return named[0] if len(named) == 1 else None
    bare = strip_decoration(folded)
    if not bare:
        return None
    marked = re.fullmatch(r"#?([0-9]{1,2}|[a-z])(?:[).: ]+(.+))?", bare)
    at_mark = names.at(marked[1]) if marked else None
    begun = names.find_begun(bare)
    only_begun = begun[0] if len(begun) == 1 else None
    if marked and marked[2]:
        is_consistent = at_mark and strip_decoration(marked[2]) in at_mark.names
        return at_mark if is_consistent else only_begun
    if re.fullmatch("[0-9]*", bare):
        return at_mark
    if at_mark and begun not in ([], [at_mark]):
        return None
    return at_mark or only_begun


def strip_politeness(text: str) -> str:
    """Without a "please" or "thanks" at the end."""
    return POLITENESS.sub("", text)


def _find_choices(names: ChoiceNames, text: str) -> list[Choice]:
    """All that are meant, or none where a part is none of them."""
    if choice := _find_choice(names, text):
        return [choice]
    found: list[Choice] = []
    text = strip_politeness(unicodedata.normalize("NFKC", text))
    for part in filter(str.strip, re.split(r"[,;/&+\n]", text)):
        joined = re.split(r"\band\b", part, flags=re.IGNORECASE)
        if not (several := _find_joined(names, joined)):
            return []
        found += several
    return found


def _find_joined(names: ChoiceNames, parts: list[str]) -> list[Choice]:
    """What stands between "and"s, which can be part of a name: the longest name counts."""
    found: list[Choice] = []
    start = 0 if parts[0].strip() else 1
    while start < len(parts):
        for end in range(min(start + names.max_parts, len(parts)), start, -1):
            name = "and".join(parts[start:end])
            choice = _find_choice(names, name)
            if several := [choice] if choice else _find_marks(names, name):
                break
        else:
            return []
        found += several
        start = end
    return found


def _find_marks(names: ChoiceNames, text: str) -> Iterable[Choice]:
    """Those whose numbers or letters stand there with nothing but blanks between them."""
    marks = strip_decoration(normalize(text)).split()
    if not all(re.fullmatch("[0-9]{1,2}|[a-z]", mark) for mark in marks):
        return []
    found = [_find_choice(names, mark) for mark in marks]
    return [] if None in found else found


KIND = ChoiceKind()
