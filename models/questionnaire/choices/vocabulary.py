"""The words around a choice, as a language's file has them, and a text as a list of tokens."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import fields

from models.questionnaire.choices.variants import variants
from models.questionnaire.languages import ENGLISH, section
from models.text import normalize, without_accents

AND = "&"  # what stands in tokens for every word that joins choices, names included


class ChoiceVocabulary(Struct, frozen=True, forbid_unknown_fields=True, rename={"and_": "and"}):
    """The section [choices] of a language: for each meaning the words and phrases that have it.

    Phrases that differ in a few words can be written as one, see `variants`.
    """

    elides: bool = False  # whether an apostrophe ends a word: l'option
    fillers: tuple[str, ...] = ()  # politeness, and what says no more than "I choose"
    requests: tuple[str, ...] = ()  # that make an answer of a question
    alternatives: tuple[str, ...] = ()  # between two choices of which one is meant
    halves: tuple[str, ...] = ()  # "half of each" of two choices; beside an amount, part of it
    corrections: tuple[str, ...] = ()  # the same, but harmless where a text begins with them
    and_: tuple[str, ...] = ()
    denials: tuple[str, ...] = ()  # and doubts and conditions: such a text is never an answer
    indifferent: tuple[str, ...] = ()  # "either is fine": harmless only behind "or"
    reasons: tuple[str, ...] = ()  # before what explains a choice that is named
    closings: tuple[str, ...] = ()  # before the guest's own name at the end
    thanks: tuple[str, ...] = ()  # the same, behind a comma
    farewells: tuple[str, ...] = ()  # before a few words more: "see you Saturday"
    introductions: tuple[str, ...] = ()  # before it at the beginning
    apologies: tuple[str, ...] = ()  # those of `corrections` that correct nothing at the end
    figures: tuple[str, ...] = ()  # that stand for words behind a name: "4 me"
    plus: tuple[str, ...] = ()  # the same as "and" where labels are no amounts
    before_amounts: tuple[str, ...] = ()  # before numbers that are no positions: "in 2"
    times: tuple[str, ...] = ()  # between a number and a name: "2x pizza"
    sizes: tuple[str, ...] = ()  # beside a name, but not before a position: "size L"
    options: tuple[str, ...] = ()  # before a number or letter
    before_people: tuple[str, ...] = ()  # before numbers that may be no time of day: "for 2"
    ordinals: tuple[tuple[str, ...], ...] = ()
    synonyms: tuple[tuple[str, ...], ...] = ()  # words, each group of which means the same
    after_ordinals: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    articles: tuple[str, ...] = ()  # that are also the number one
    numbers: dict[str, int] = {}
    counting: tuple[str, ...] = ()  # around a number that is an amount
    units: dict[str, tuple[str, ...]] = {}  # the same, and what it is an amount of: see UNITS
    hours: tuple[str, ...] = ()  # after a number that is a time
    before_noon: tuple[str, ...] = ()
    after_noon: tuple[str, ...] = ()
    noon: tuple[str, ...] = ()
    above: tuple[str, ...] = ()
    at_least: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    at_most: tuple[str, ...] = ()
    or_more: tuple[str, ...] = ()
    or_less: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    all: tuple[str, ...] = ()
    after_all: tuple[str, ...] = ()
    all_with_number: tuple[str, ...] = ()  # "the" in "the three"
    both: tuple[str, ...] = ()


UNITS = ("people", "children", "years", "money")  # what amounts are of, as far as it matters
NO_ROLES = ("elides", "synonyms")
ROLES = [field.name for field in fields(ChoiceVocabulary) if field.name not in NO_ROLES]
LONGEST_KNOWN = 4  # letters of a word that says nothing because it is in a phrase


class Token(NamedTuple):
    """A word, number or emoji; `before` is the sign that stands between it and the one before."""

    text: str
    before: str = ""  # one of - / , ; : or nothing
    kind: str = "word"  # or number, ordinal, emoji
    typed: str = ""  # where `text` is AND: the word itself


class Phrase(NamedTuple):
    """Words with a role: `size` tokens, and the number they stand for, if any."""

    role: str
    size: int
    number: int = 0


class Vocabulary:
    """The words of a language and the English ones; where both have a word, its own counts."""

    def __init__(self, language: str) -> None:
        own = _words(language)
        self.elides = own.elides
        self._joining = {AND, *map(_folded, (*_words(ENGLISH).and_, *own.and_))}
        self._phrases: dict[tuple[str, ...], dict[str, int]] = {}
        for each in dict.fromkeys((ENGLISH, language)):
            self._phrases |= self._read(_words(each))
        self._longest: dict[str, int] = {}  # phrase by its first word, in tokens
        for phrase in self._phrases:
            self._longest[phrase[0]] = max(len(phrase), self._longest.get(phrase[0], 0))
        self._beginnings = {phrase[:2] for phrase in self._phrases}
        self.known = {
            word
            for phrase in self._phrases
            for word in phrase
            if len(phrase) == 1 or len(word) <= LONGEST_KNOWN
        }
        self.synonyms: dict[str, set[str]] = {}
        for group in (*_words(ENGLISH).synonyms, *own.synonyms):
            words_of_group = {_folded(word) for word in group}
            for word in words_of_group:
                self.synonyms.setdefault(word, set()).update(words_of_group)

    def _read(self, words: ChoiceVocabulary) -> dict[tuple[str, ...], dict[str, int]]:
        found: dict[tuple[str, ...], dict[str, int]] = {}
        for role, phrase, number in _entries(words):
            tokens = tuple(token.text for token in self.tokens(phrase))
            found.setdefault(tokens, {})[role] = number
        return found

    def find(self, tokens: Sequence[Token], start: int, roles: Iterable[str]) -> Phrase | None:
        """The longest phrase there that has one of these roles; of two roles the first counts."""
        longest = min(self._longest.get(tokens[start].text, 0), len(tokens) - start)
        if longest > 1 and (tokens[start].text, tokens[start + 1].text) not in self._beginnings:
            longest = 1
        for size in range(longest, 0, -1):
            inside = tokens[start : start + size]
            found = self._phrases.get(tuple(token.text for token in inside), {})
            if any(token.before not in ("", "-") for token in inside[1:]):
                continue
            for role in roles:
                if role in found:
                    return Phrase(role, size, found[role])
        return None

    def all_numbers(self, tokens: Sequence[Token], role: str) -> set[int]:
        """The numbers of all phrases in a text that have a role."""
        found = (self.find(tokens, at, (role,)) for at in range(len(tokens)))
        return {phrase.number for phrase in found if phrase}

    def tokens(self, text: str) -> list[Token]:
        """A text without the punctuation that means nothing."""
        found = _tokens(prepare(text, self.elides))
        return [t._replace(text=AND, typed=t.text) if t.text in self._joining else t for t in found]


def _entries(words: ChoiceVocabulary) -> Iterator[tuple[str, str, int]]:
    """Role, phrase and number of each phrase."""
    for role in ROLES:
        value = getattr(words, role)
        if role == "numbers":
            yield from ((role, phrase, number) for phrase, number in value.items())
        elif role == "ordinals":
            yield from ((role, word, n) for n, group in enumerate(value, 1) for word in group)
        elif role == "units":
            for unit, phrases in value.items():
                number = UNITS.index(unit)
                yield from ((role, phrase, number) for each in phrases for phrase in variants(each))
        else:
            yield from ((role, phrase, 1) for each in value for phrase in variants(each))


def _folded(word: str) -> str:
    return without_accents(normalize(word))


@cache
def _words(language: str) -> ChoiceVocabulary:
    return section(language, "choices", ChoiceVocabulary)


@cache
def vocabulary_of(language: str) -> Vocabulary:
    """The words of a language, or the English ones if it has no file."""
    return Vocabulary(language)


def denies(text: str, language: str) -> bool:
    """Whether a text denies something, doubts or sets a condition: "not this one", "maybe"."""
    words = vocabulary_of(language)
    tokens = words.tokens(text)
    return any(words.find(tokens, at, ("denials",)) for at in range(len(tokens)))


def says_only(text: str, language: str) -> bool:
    """Whether a text holds nothing but politeness, and words that join other things."""
    words = vocabulary_of(language)
    tokens, at = words.tokens(text), 0
    while at < len(tokens):
        found = words.find(tokens, at, FILLERS)
        if not found and tokens[at].kind != "emoji":
            return False
        at += found.size if found else 1
    return True


FILLERS = (
    "fillers",
    "closings",
    "thanks",
    "articles",
    "and_",
    "alternatives",
    "corrections",
    "requests",
)
NUMBER_SIGN = re.compile("[ªº°№]")
SPELLINGS = [  # what stands for the same, before a text is cut into tokens
    (re.compile(r"\b([ap])\.? ?m\b\.?"), r"\1m"),
    (re.compile(r"\b(?:no|nr|n|num) ?[.:] ?(?=[0-9])"), "nr "),
    (re.compile(r"(?<=[0-9])(?:\+(?!\w)| \+(?! ?\w))"), " or more "),
    (re.compile(r"(?<=[0-9])x(?!\w)"), " times "),
    (re.compile("<=|≤"), " at most "),
    (re.compile(">=|≥"), " at least "),
    (re.compile("<(?=[^<>]*[0-9])"), " under "),
    (re.compile(">(?=[^<>]*[0-9])"), " over "),
]
TOKEN = re.compile(
    r"(?P<ordinal>[0-9]{1,3})(?:st|nd|rd|th|e|eme|ieme|ere|er|ste|de)\b"
    r"|(?P<number>[0-9]+(?:[.,][0-9]+)*)|(?P<word>[^\W\d_]+|&|\+|#)|(?P<sign>[-/,;:])|(?P<other>\S)"
)


def prepare(text: str, elides: bool) -> str:
    """Normalized, without accents and apostrophes, and with one spelling of each sign."""
    text = NUMBER_SIGN.sub(". ", text)
    if "\n" in text:
        text = text.replace("\n", " ; ")
    text = without_accents(normalize(text)).replace("'", " " if elides else "")
    for pattern, spelling in SPELLINGS:
        text = pattern.sub(spelling, text)
    return text


def _tokens(prepared: str) -> Iterator[Token]:
    before, end = "", -1
    for found in TOKEN.finditer(prepared):
        kind, text = found.lastgroup, found[found.lastgroup]
        if kind == "sign":
            is_time = text == ":" and end == found.start()
            before = before or text if text != ":" or is_time else before
            end = found.end()
            continue
        if kind == "other" and ord(text) < 0x2190:
            continue
        text = AND if text == "+" else text
        yield Token(text, before, {"other": "emoji"}.get(kind, kind))
        before, end = "", found.end()
