"""What a text is made of, for the grammar: numbers, dates in figures, and words that we know."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from models.questionnaire.moments.lexicon import Lexicon
from models.text import normalize, without_accents

MAX_SYMBOLS = 60  # a text with more is a letter, and no answer
ACCENTED_YES = re.compile("\\bs[íì]\\b|^si(?=,)")  # but "si" is "if" in Spanish
FEIRAS = dict(zip("23456", ("segunda", "terca", "quarta", "quinta", "sexta"), strict=True))
OTHER_SPELLINGS = [
    (re.compile(r"\b([2-6])a\.?[ -]?feira\b"), lambda found: FEIRAS[found[1]]),
    (
        re.compile(
            r"\bsept(?= (?:heures?|h|jours?|semaines?|mois|mai)\b| (?:janv|fevr|mars|avr)|"
            r" (?:jui|aout|sept|oct|nov|dec))"
        ),
        "7",
    ),
    (re.compile(r"\b2(?=day\b|m[a-z]{2,6}\b|nite\b|night\b)"), "to"),
    (re.compile(r"\bb4\b"), "before"),
    (re.compile(r"\bpr(?= l[ea]\b| (?:lun|mar|mer|jeu|ven|sam|dim))"), "pour"),
    (re.compile(r"@(?= ?(?:\d|noon|midn|half|quarter))"), "at "),
    (re.compile(r"\bgr8\b"), "great"),
    (re.compile(r"\bm8\b"), "mate"),
    (re.compile(r"\bl8\b"), "late"),
    (re.compile(r"\bx(?= l[ao]s? )"), "por"),
    (re.compile(r"\bq(?= (?:vi?en|ven))"), "que"),
    (re.compile(r"\b24/7\b"), "always"),
    (re.compile(r"\bdez(?= (?:para|pras?|horas?|da|minutos|dias|pessoas|semanas)\b)"), "10"),
    (re.compile(r"\b([ap])\. ?m\b\.?"), r"\1m"),
    (re.compile(r"\b([a-z])\. ?([a-z])\."), r"\1\2"),  # a.s.
    (
        re.compile(r"\b(noon|midnight|one|two|three|four|five|six|seven|eight|nine|ten)ish\b"),
        r"\1 ish",
    ),
]
HOUR_AM = re.compile(r"(\d) am\b")
PATTERN = re.compile(
    r"""
    (?P<iso>(?<!\d)\d{4}(?P<mark>[-/.])\d{1,2}(?P=mark)\d{1,2}(?!\d))(?:t\d\d:\d\d(?::\d\d)?)?
    | (?P<clock>(?<![\d:.,/])\d{1,2}:\d\d(?::00)?(?![\d:]|[ap]\b))
    | (?P<hour>(?<![\d:.,/])(?:\d{1,2}(?:[.:]?\d\d)?(?:\ ?[ap]m|[ap])\b)(?!\ ?\d)
        | (?<![\d:.,/])\d{1,2}\ ?[hu]\ ?\d\d\b
        | (?<![\d:.,/])\d{1,2}(?:[.:]\d\d)?(?:u|\ ?(?:h|hrs|hr|hs))\b)
    | (?P<date>(?<![\d:.,/+-])(?:\d{1,2}\ ?(?P<sign>[-/.])\ ?\d{1,2}\ ?(?P=sign)\ ?'?\d{4}
        | \d{1,2}(?P<bare>[-/.])\d{1,2}(?P=bare)'?\d\d
        | \d{1,2}\ ?(?P<wide>[-/.])\ \d{1,2}\ ?(?P=wide)\ ?'?\d\d)\b(?![-/:]\d))
    | (?P<day>(?<![\d:.,/+-])\d{1,2}\ ?[/]\ ?\d{1,2}\b(?![-/:.]?\d)
        | (?<![\d:.,/+-])\d{1,2}(?:[-.]\d{1,2}\b\.?|\.\ \d{1,2}\.)(?![-/:]?\d))
    | (?P<digits>(?<![\d.,/+-])\d{8}\b(?![-/:.]\d))
    | (?P<ordinal>(?<![\d.,/-])\d{1,2}(?:st|nd|rd|th|er|e|de|ste|ten|ter|ro|ra|o|a
        |\ ?\N{DEGREE SIGN})(?![^\W_]))
    | (?P<year>(?<![^\W\d])'\d\d\b)
    | (?P<number>\d+(?:[.,]\d+)*)
    | (?P<word>[^\W\d_]+)
    | (?P<end>\.{3,}|[.!?;\N{HORIZONTAL ELLIPSIS}])
    | (?P<other>\S)
    """,
    re.VERBOSE,
)
LETTERS_OF_PUNCTUATION = {",": ",", "(": ",", ")": ",", ":": ",", "-": "-", "/": "|", "&": "|"}
BY_LENGTH = {2: "2", 3: "3", 4: "y"}  # of a number that is no day of a month
IGNORED = set("*_\"'~[]`|<>^") | {"\u00bf", "\u00a1", "\u00b7", "\u2022"}
DOUBTFUL = {"\U0001f937", "\U0001f914", "\u274c", "\U0001f6ab", "\U0001f44e", "\u2753", "\u2754"}
DOUBTFUL |= set("£€¥₹")


class Symbol(NamedTuple):
    """A part of a text: its category, which is one letter, and what it stands for."""

    category: str
    value: object
    text: str


class Numeric(NamedTuple):
    """Numbers of a date in figures, in the order of the text; None where there is no year."""

    first: int
    second: int
    year: str | None = None
    separator: str = ""
    has_point: bool = False  # at its end
    is_iso: bool = False


def symbols_of(text: str, lexicon: Lexicon) -> list[Symbol]:
    """The symbols of a text; none for a text that has too many."""
    normalized = normalize(text.replace("\n", " ; "))
    plain = without_accents(ACCENTED_YES.sub("yes", normalized))
    for pattern, spelling in OTHER_SPELLINGS:
        plain = pattern.sub(spelling, plain)
    if (meaning := lexicon.phrases.get(("am",))) and meaning.category != "H":
        plain = HOUR_AM.sub(r"\1 ~ am", plain)  # "8 am Abend"
    literals = filter(None, map(_literal, PATTERN.finditer(plain)))
    tokens = list(islice(literals, MAX_SYMBOLS + 1))
    return [] if len(tokens) > MAX_SYMBOLS else reduce(list(_with_words(tokens, lexicon)), SLASHES)


def _literal(found: re.Match[str]) -> Symbol | None:
    text, group = found[0], found.lastgroup
    if group == "other" and not (text.isascii() or text in DOUBTFUL) or text in IGNORED:
        return None
    numbers = [int(number) for number in re.findall(r"\d+", text)] if group != "word" else []
    return LITERALS[group](text, numbers)


def _number(text: str, numbers: list[int]) -> Symbol:
    if len(numbers) > 1:
        return Symbol("z", None, text)
    is_small = len(text) < 3 and numbers[0] < 32
    return Symbol("n" if is_small else BY_LENGTH.get(len(text), "z"), numbers[0], text)


def _date(text: str, numbers: list[int]) -> Symbol:
    year = re.findall(r"\d+", text)[2]
    return Symbol("D", Numeric(numbers[0], numbers[1], year), text)


def _iso(text: str, numbers: list[int]) -> Symbol:
    year, month, day = re.findall(r"\d+", text)[:3]
    return Symbol("D", Numeric(int(month), int(day), year, is_iso=True), text)


def _day(text: str, numbers: list[int]) -> Symbol:
    separator = re.sub(r"[\d ]", "", text)[0]
    return Symbol("D", Numeric(*numbers, None, separator, text.endswith(".")), text)


LITERALS: dict[str, Callable[[str, list[int]], Symbol]] = {
    "iso": _iso,
    "clock": lambda text, numbers: Symbol("k", tuple(numbers[:2]), text),
    "hour": lambda text, numbers: Symbol("k", tuple(numbers[:2]), text),
    "date": _date,
    "day": _day,
    "digits": lambda text, numbers: Symbol("8", text, text),
    "ordinal": lambda text, numbers: Symbol("o" if numbers[0] < 32 else "z", numbers[0], text),
    "year": lambda text, numbers: Symbol("y", numbers[0], text),
    "number": _number,
    "word": lambda text, numbers: Symbol("word", None, text),
    "end": lambda text, numbers: Symbol(
        "?" if text == "?" else "." if text == "." else "!", None, text
    ),
    "other": lambda text, numbers: Symbol(LETTERS_OF_PUNCTUATION.get(text, "z"), None, text),
}


def _with_words(tokens: Sequence[Symbol], lexicon: Lexicon) -> Iterator[Symbol]:
    """The same, with the meaning of words; the longest phrase that begins somewhere counts."""
    start = 0
    while start < len(tokens):
        if tokens[start].category != "word":
            yield tokens[start]
            start += 1
            continue
        ends = _ends_of_words(tokens, start, lexicon.longest)
        for end in reversed(ends):
            words = tuple(token.text for token in tokens[start:end] if token.category == "word")
            if meaning := lexicon.phrases.get(words):
                break
        else:
            meaning = lexicon.find(words[0])
        yield Symbol(*meaning, " ".join(words))
        start = end


def _ends_of_words(tokens: Sequence[Symbol], start: int, longest: int) -> list[int]:
    """Where one word, two words and so on end that follow each other, perhaps with hyphens."""
    ends, position = [], start
    while position < len(tokens) and len(ends) < longest:
        if tokens[position].category == "word":
            ends.append(position + 1)
        elif tokens[position].category != "-":
            break
        position += 1
    return ends


# The grammar #################################################################


class Match:
    """Where a pattern has matched: the symbols of its groups."""

    def __init__(self, found: re.Match[str], symbols: Sequence[Symbol]) -> None:
        self._found, self._symbols = found, symbols

    def get(self, group: int) -> Symbol | None:
        """The first symbol of a group; None where the group is left out."""
        start = self._found.start(group)
        return self._symbols[start] if self._found[group] else None

    @property
    def letters(self) -> str:
        """The categories of all that the pattern has matched."""
        return self._found[0]


Rule = tuple[re.Pattern[str], Callable[[Match], list[Symbol] | Symbol | None]]


def reduce(symbols: Sequence[Symbol], rules: Sequence[Rule]) -> list[Symbol]:
    """Put what rules make of symbols in their place, from left to right; the first rule counts."""
    letters = "".join(symbol.category for symbol in symbols)
    reduced: list[Symbol] = []
    position = 0
    while position < len(symbols):
        made, end = _apply(rules, letters, symbols, position)
        reduced += made
        position = end
    return reduced


def _apply(
    rules: Sequence[Rule], letters: str, symbols: Sequence[Symbol], position: int
) -> tuple[list[Symbol], int]:
    for pattern, make in rules:
        found = pattern.match(letters, position)
        if found and (made := make(Match(found, symbols))) is not None:
            return made if isinstance(made, list) else [made], found.end()
    return [symbols[position]], position + 1


# A slash beside the name of a month, as in "2/Oct", joins; elsewhere it means "or".
SLASHES: list[Rule] = [
    (
        re.compile(r"(?<=[noy])([|])(?=M)|(?<=M)([|])(?=[noy2](?!M))"),
        lambda found: _joined(found.get(1) or found.get(2)),
    )
]


def _joined(symbol: Symbol) -> Symbol | None:
    return symbol._replace(category="-") if symbol.text == "/" else None
