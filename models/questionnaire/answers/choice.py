"""One of several choices, or any number of them.

A guest can name a choice, begin its name as no other begins, or give its number or letter.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import combinations, permutations
from typing import Protocol

from msgspec import Struct

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Name,
    OwnWords,
    ParseContext,
    Reading,
    Sentence,
    read_as,
)
from models.questionnaire.answers.positions import find_position
from models.questionnaire.choices.amounts import overlap
from models.questionnaire.choices.letters import begins_with_digit, letter_of
from models.questionnaire.choices.names import NamedChoice
from models.questionnaire.choices.reader import ChoiceReader, reader_of
from models.questionnaire.languages import ENGLISH
from models.questionnaire.problem import Problem
from models.text import normalize, strip_decoration, without_accents, without_signature

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


MARK = re.compile("[0-9]+|[a-z]")  # a number or letter, alone


@lru_cache(maxsize=1024)
def _names(choice: Choice) -> frozenset[str]:
    names = {_fold(name) for name in (choice.value, choice.label, *choice.also)}
    return frozenset(names | {WRAPPING.sub("", name) or name for name in names})


class ChoiceOptions(Protocol):
    """What can be chosen, and whether more than one can be."""

    choices: tuple[Sentence | Choice, ...] = ()
    many: bool = False


def marked_list(question: ChoiceOptions, _: date) -> str:
    """The choices with their numbers, or letters where a label begins with a digit."""
    has_letters = listed_with_letters(question)
    return ", ".join(
        f"{_mark(index, has_letters)} {choice.label}"
        for index, choice in enumerate(question.choices)
    )


class ChoiceKind(Kind):
    """A choice of one, or with `many` of several, whose values are then joined by SEPARATOR."""

    documentation = "a choice by a name or its beginning, or by its number; its value is kept"
    retry = "Please reply with one of these: {choices}."
    more_retries = {"many": "Please reply with one or more of these: {choices}."}
    options = ChoiceOptions
    has_options = True
    numbers_readings = False  # for they have the numbers or letters of the list
    placeholders = {"choices": marked_list}

    def parse(self, question: ChoiceOptions, text: str, context: ParseContext) -> Reading:
        text = without_signature(text)
        if len(named := _find_named(question, text)) == 1:
            return read_as(named[0].value)
        found = _reader(question, context.language).read(text, question.many)
        chosen = [[question.choices[n].value for n in sorted(positions)] for positions in found]
        return read_as(*map(SEPARATOR.join, chosen))

    def settle(
        self, question: ChoiceOptions, values: Sequence[str], text: str, context: ParseContext
    ) -> Reading:
        """The same as of any kind, but numbers and letters are those of the list.

        "The second" can be of the list or of what was named, so it counts where both are the same.
        """
        value = self.read(question, text, context).value
        at = find_position(text, len(values), self.numbers_readings, context.language)
        if at is not None:
            return read_as(values[at] if value in (None, values[at]) else None)
        if value in values:
            return read_as(value)
        if value is not None and MARK.fullmatch(strip_decoration(normalize(text))):
            return UNREAD
        return super().settle(question, values, text, context)

    def show_reading(self, question: ChoiceOptions, value: str, context: ParseContext) -> str:
        has_letters, parts = listed_with_letters(question), _values(question, value)
        return " & ".join(
            f"{_mark(index, has_letters)} {choice.label}"
            for index, choice in enumerate(question.choices)
            if choice.value in parts
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
        return bool(_find_named(question, text))

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
        yield from _misleading_marks(question)
        amounts = _reader(question, ENGLISH).amounts
        for first, second in combinations(range(len(amounts)), 2):
            if overlap(amounts[first], amounts[second]):
                labels = f"{question.choices[first].label} and {question.choices[second].label}"
                sentence = f"{labels} hold the same numbers. Choose others."
                yield Problem("choices", sentence, is_error=False)


def _misleading_marks(question: ChoiceOptions) -> Iterator[Problem]:
    """Names that are the number or letter of another choice, or have such a number in them."""
    has_letters = listed_with_letters(question)
    for (_, choice), (index, other) in permutations(enumerate(question.choices), 2):
        mark = _mark(index, has_letters).lower()
        words = {word for name in choice.names for word in name.split() if not has_letters}
        if mark in choice.names | words:
            sentence = f"{mark} means {choice.label}, though it is the number or letter of"
            sentence = f"{sentence} {other.label}. Choose longer words."
            yield Problem("choices", sentence, is_error=False)


def _values(question: ChoiceOptions, value: str) -> list[str]:
    return value.split(SEPARATOR) if question.many else [value]


def listed_with_letters(question: ChoiceOptions) -> bool:
    """Whether a label begins with a digit, so that numbers before the labels would mislead."""
    return any(begins_with_digit(choice.label) for choice in question.choices)


def _mark(index: int, has_letters: bool) -> str:
    """What stands before a choice in the list: its number or its letter."""
    return letter_of(index).upper() if has_letters else str(index + 1)


def _fold(text: str) -> str:
    return without_accents(normalize(text))


def _reader(question: ChoiceOptions, language: str) -> ChoiceReader:
    named = [NamedChoice(choice.label, _all_names(choice)) for choice in question.choices]
    return reader_of(tuple(named), language)


def _all_names(choice: Choice) -> tuple[str, ...]:
    return tuple(dict.fromkeys((choice.label, choice.value, *choice.also)))


def _find_named(question: ChoiceOptions, text: str) -> list[Choice]:
    """Those of this name, as it is or without decoration; a question mark is none."""
    folded = _fold(text)
    names = [folded] if "?" in folded else [folded, strip_decoration(folded)]
    found = ([each for each in question.choices if name in each.names] for name in names)
    return next(filter(None, found), [])


KIND = ChoiceKind()
