"""Texts as words and marks, and phrases that are looked up in them.

Cost: one pass over the text; a phrase is looked up in dictionaries, for each number of words that
a phrase can have. Nothing goes back.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from models.text import normalize, without_accents, without_signature

MAX_TOKENS = 250  # of a text; an answer has fewer, and a longer text is not read
SMILEY = re.compile(r"(?<![^\s\w.,!)])(?:[:;=]'?-?[)(dpo/|3\]]+|<3+)(?!\w)|\^\^")
SPACED_GROUPS = r"[0-9]{1,3}(?: [0-9]{3})+(?![0-9])(?:[.,][0-9]+)?"
DIGITS = rf"(?<![\w.,]){SPACED_GROUPS}|(?:(?<![\w.,])[.,])?[0-9]+(?:[.,'][0-9]+)*"
TOKEN = re.compile(rf"(?P<digits>{DIGITS})|(?P<word>[^\W\d_]+(?:['`][^\W\d_]+)*'?)|(?P<mark>\S)")
ENDS = frozenset(".!?")
BREAKS = ENDS | frozenset(',;:()[]"¿¡')
OTHER_QUESTION_MARKS = str.maketrans("❓❔؟⁉", "????")


class Token(NamedTuple):
    """A word, a number in digits, or one other character."""

    kind: str  # "word", "digits" or "mark"
    spelled: str  # in small letters, without apostrophes
    plain: str  # the same, without accents
    is_glued: bool  # to the one before, without a blank


class Clause(NamedTuple):
    """What stands between two marks; emoji and other marks inside of it are kept."""

    tokens: list[Token]
    is_question: bool  # whether the sentence that it is in ends with a question mark
    opening: str  # the mark before it, or ""


def tokens_of(text: str) -> list[Token]:
    """The words, numbers and marks of a text without its mail signature; no more than MAX_TOKENS.

    A line break ends a sentence, and is a mark like a full stop.
    """
    lines = without_signature(text).translate(OTHER_QUESTION_MARKS).splitlines()
    normalized = SMILEY.sub(" ", " . ".join(normalize(line) for line in lines if line.strip()))
    tokens, end = [], 0
    for found in TOKEN.finditer(normalized):
        spelled = found[0].replace("'", "") if found.lastgroup == "word" else found[0]
        is_glued = found.start() == end and bool(tokens)
        tokens.append(Token(found.lastgroup or "", spelled, without_accents(spelled), is_glued))
        end = found.end()
        if len(tokens) > MAX_TOKENS:
            break
    return tokens


def clauses_of(tokens: Sequence[Token]) -> list[Clause]:
    """The clauses of a text, in order; none of them is empty."""
    clauses, sentence, opening = [], [Clause([], False, "")], ""
    for token in tokens:
        if token.spelled not in BREAKS:
            sentence[-1].tokens.append(token)
            continue
        opening = token.spelled
        if opening in ENDS or opening == "¿":
            if opening == "?":
                # "yes!?" is one sentence
                sentence = sentence if any(clause.tokens for clause in sentence) else clauses[-1:]
                sentence = [clause._replace(is_question=True) for clause in sentence]
            clauses += sentence
            sentence = []
        sentence.append(Clause([], False, opening))
    return [clause for clause in (*clauses, *sentence) if clause.tokens]


def with_inquiries_apart(clauses: Sequence[Clause], inquiries: "Phrases") -> list[Clause]:
    """The clauses; in "yes, what time?" only the one that inquires is a question.

    `inquiries` are the words that such a clause begins with, with more words behind them.
    """
    apart, is_apart = [], False
    for clause in reversed(clauses):
        if clause.is_question:
            inquires = len(clause.tokens) > 1 and inquiries.find(clause.tokens, 0) is not None
            part = clause._replace(is_question=False) if is_apart and not inquires else clause
        else:
            inquires, part = False, clause
        apart.append(part)
        is_apart = (is_apart or inquires) and clause.opening not in ENDS
    return apart[::-1]


def is_emoji(token: Token) -> bool:
    """Whether a token is a picture that says nothing by itself."""
    return token.kind == "mark" and unicodedata.category(token.spelled) in ("So", "Sk", "Cn", "Me")


class Phrases:
    """Groups of phrases; `find` says which group has the longest one that begins at a word.

    A phrase that is spelled exactly so precedes one that only lacks an accent, and an earlier
    group precedes a later one.
    """

    def __init__(self, groups: Mapping[str, Iterable[str]]) -> None:
        self._spelled: dict[tuple[str, ...], str] = {}
        self._plain: dict[tuple[str, ...], str] = {}
        for group, phrases in groups.items():
            for phrase in phrases:
                tokens = tokens_of(phrase)
                self._spelled.setdefault(tuple(token.spelled for token in tokens), group)
                self._plain.setdefault(tuple(token.plain for token in tokens), group)
        self._longest: dict[str, int] = {}  # of the phrases that begin with a word
        for first, *more in self._plain:
            self._longest[first] = max(len(more) + 1, self._longest.get(first, 0))

    def find(self, tokens: Sequence[Token], start: int) -> tuple[str, int] | None:
        """The group and the end of the longest phrase at `start`, or None."""
        longest = self._longest.get(tokens[start].plain, 0) if start < len(tokens) else 0
        for end in range(min(start + longest, len(tokens)), start, -1):
            part = tokens[start:end]
            group = self._spelled.get(tuple([token.spelled for token in part]))
            if group is None:
                group = self._plain.get(tuple([token.plain for token in part]))
            if group is not None:
                return group, end
        return None
