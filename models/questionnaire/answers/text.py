"""Free text, perhaps of a certain length or pattern."""

import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Protocol

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Number,
    ParseContext,
    Reading,
    Sentence,
)
from models.questionnaire.problem import Problem
from models.text import LONGEST_REPLY, normalize, strip_decoration, without_signature

MAX_PATTERN = 100_000  # parts: 40 MB. Ten characters could take all memory while they are compiled
TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{[0-9]*,?[0-9]*\}|.", re.DOTALL)
REPEAT = re.compile(r"\{([0-9]*),?([0-9]*)\}")
PATTERN_SECONDS = 0.03  # to match a pattern: on some texts some would never end, and all texts wait


class TextOptions(Protocol):
    """How many characters a text may have, and the regular expression that it must match."""

    min: Number | None = None
    max: Number | None = None
    pattern: Sentence | None = None


class TextKind(Kind):
    """Any text, kept as it came, without blanks around it and without a mail signature."""

    documentation = "any text; it is kept as it came, without a mail signature"
    retry = "That does not fit. Please try again."
    options = TextOptions
    max_length = math.inf
    is_free_text = True
    has_options = True

    def parse(self, question: TextOptions, text: str, context: ParseContext) -> Reading:
        value = without_signature(text)
        longest = math.inf if question.max is None else question.max
        if not max(question.min or 0, 1) <= len(value) <= longest:
            return UNREAD
        if question.pattern and not _matches(question.pattern, value):
            return UNREAD
        return Reading((value,))

    def matches(self, question: TextOptions, value: str, wanted: str | float) -> bool:
        return _compared(value) == _compared(str(wanted))

    def problems(self, question: TextOptions) -> Iterator[Problem]:
        longest = LONGEST_REPLY + 1 if question.max is None else question.max
        if (question.min or 0) > longest:
            yield Problem("min", "leaves nothing between it and max. Correct one.")
        if longest < 1:
            yield Problem("max", "leaves nothing to text. Write a larger number.")
        if question.pattern and (error := _pattern_error(question.pattern)):
            yield Problem("pattern", f"is not a regular expression: {error}. Correct it.")


@lru_cache(maxsize=1024)  # a turn compares an answer with each condition, several times
def _compared(text: str) -> str:
    return strip_decoration(normalize(text))


def _matches(pattern: str, text: str) -> bool:
    import regex  # comes with dateparser; unlike Python's own it takes a timeout

    try:
        return regex.fullmatch(pattern, text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError:
        return False


def _pattern_error(pattern: str) -> str | None:
    import regex

    if _size(pattern) > MAX_PATTERN:
        return "it repeats too much"
    try:
        regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        return str(error)
    return None


def _size(pattern: str) -> int:
    """About how much memory the compiled pattern takes: how many parts it has, repeats included."""
    sizes, last = [0], 0  # of the groups that are open, and of the part that a number would repeat
    for token in TOKEN.findall(pattern):
        if token == "(":
            sizes.append(0)
            continue
        if token == ")" and len(sizes) > 1:
            last = sizes.pop()
        elif repeats := REPEAT.fullmatch(token):
            added = last * max(map(_count, repeats.groups()))
            last += added
            sizes[-1] += added
            continue
        else:
            last = 1
        sizes[-1] += last
    return sum(sizes)


def _count(digits: str) -> int:
    return int(digits or 0) if len(digits) < 10 else MAX_PATTERN


KIND = TextKind()
