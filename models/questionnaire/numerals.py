"""The numbers in a text, in digits and in words, and all that stands around them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cache

from msgspec import Struct, field

from models.questionnaire.languages import ENGLISH, LANGUAGES, section
from models.questionnaire.number_words import find_number_words
from models.questionnaire.tokens import MAX_TOKENS, Phrases, Token, tokens_of

MAX_DIGITS = 15
CURRENCY = r"(?:(?<!\w)(?:r|us|au?|ca?))?[$€£¥₹]"
CURRENCY_BEFORE = re.compile(rf"(?<![\w.,]){CURRENCY} ?(?=[-−]?[.,]?\d)", re.IGNORECASE)
CURRENCY_BEHIND = re.compile(r"(?<=\d) ?[$€£¥₹](?! ?\d)")
NO_CENTS = re.compile(r"(?<=\d)[.,](?:-{1,2}|[−–—])(?![\w-])")
FRACTION = re.compile("(?<![0-9.,/])([0-9]{0,12}) ?([¼½¾])(?![0-9])")
QUARTERS = {"¼": "25", "½": "5", "¾": "75"}
OTHER_MARKS = str.maketrans("٫٬", ".,")  # the Arabic decimal and thousands separators
NO_DIGITS = re.compile("[²³¹\u2070-\u208e]")  # superscripts and subscripts
KEYCAP = "\u20e3"
HUNDRED = 100
THOUSAND = 1000
MILLION = 1_000_000
MAX_DECIMALS = 8  # in words
SHORT = 2  # letters of a multiplier that no other part follows: "5k"
# With a full stop that ends no sentence.
ABBREVIATION = re.compile(
    r"(?i)\b((?:mio|mrd|tsd|mln|mld|ca|circa|approx|aprox|env|ung|pers|stk|incl|inkl|evtl|vllt|yrs|jr)\b)\."
)


class NumberWords(Struct, frozen=True, forbid_unknown_fields=True):
    """What a language says around numbers; phrases are found whatever their case and accents."""

    decimal_mark: str
    and_: str = field(name="and")  # in a number, as in "two thousand and five"
    multipliers: dict[str, int]
    words: dict[str, int] = field(default_factory=dict)  # besides those of num2words
    bare: dict[str, int] = field(default_factory=dict)  # multipliers that are numbers alone
    minus: tuple[str, ...] = ()
    point: tuple[str, ...] = ()  # in a number, as in "two point five"
    or_: tuple[str, ...] = field(default=(), name="or")
    none: tuple[str, ...] = ()  # 0, alone
    just_me: tuple[str, ...] = ()  # 1, alone, of whole numbers
    articles: tuple[str, ...] = ()  # which are 1 only where no other number follows
    lead: tuple[str, ...] = ()  # before a number that answers
    results: tuple[str, ...] = ()  # the same, and the number can have a minus in words
    about: tuple[str, ...] = ()  # before a number, which it leaves as it is
    units: tuple[str, ...] = ()
    distances: tuple[str, ...] = ()  # units of times and ways, which do not answer "I'm 5 …"
    moments: tuple[str, ...] = ()  # units that, with a small number, only ask for patience
    tail: tuple[str, ...] = ()  # behind a number
    greetings: tuple[str, ...] = ()  # which a name can follow
    polite: tuple[str, ...] = ()
    signoffs: tuple[str, ...] = ()  # before the guest's own name
    inquiries: tuple[str, ...] = ()  # how a question begins that does not doubt the number
    closings: tuple[str, ...] = ()  # how a clause begins that says goodbye
    questions: tuple[str, ...] = ()  # how a sentence begins that asks us something
    doubts: tuple[str, ...] = ()  # in an explanation: the number may not hold
    absences: tuple[str, ...] = ()  # in an explanation: somebody does not come
    additions: tuple[str, ...] = ()  # in an explanation: somebody else comes
    plural: str = ""  # ending of most nouns that can be counted
    not_plural: tuple[str, ...] = ()
    not_english: tuple[str, ...] = ()  # English phrases that mean something else here


@dataclass(frozen=True)
class Expression:
    """A number in a text: what it can be, and its tokens from start to end."""

    values: tuple[Decimal, ...]
    start: int
    end: int
    is_in_words: bool
    is_bare: bool = False  # a multiplier without a number before it, such as "mil"
    scale: int = 1  # what its last part was multiplied by
    thousands: Decimal = Decimal(0)  # which a million behind them multiplies, too
    largest: int = 0  # what an earlier part of it was multiplied by, from a million on


@dataclass(frozen=True)
class NumberText:
    """The tokens of a text, and the numbers among them."""

    tokens: list[Token]
    expressions: list[Expression]


@cache
def vocabularies(language: str) -> tuple[NumberWords, ...]:
    """The words of the language, and the English ones."""
    names = [language] if language in LANGUAGES and language != ENGLISH else []
    return tuple(section(name, "numbers", NumberWords) for name in (*names, ENGLISH))


def all_of(language: str, name: str) -> list[str]:
    """The phrases of a field, the language's own before the English ones."""
    own, *english = vocabularies(language)
    more = [phrase for words in english for phrase in getattr(words, name)]
    return [*getattr(own, name), *(phrase for phrase in more if phrase not in own.not_english)]


def numbers_in(text: str, language: str, around: Phrases) -> NumberText | None:
    """The numbers of a text; None if something in it is like a number and cannot be read.

    A word in a phrase that is known to stand around numbers is none: "een stuk of tien".
    """
    if NO_DIGITS.search(text):
        return None
    tokens = tokens_of(_plain_digits(text))
    if len(tokens) > MAX_TOKENS:
        return None
    expressions, at, is_result = [], 0, False
    while at < len(tokens):
        phrase = around.find(tokens, at)
        if (
            phrase
            and phrase[0] in ("lead", "results", "about", "units", "polite")
            and phrase[1] > at + 1
        ):
            at, is_result = phrase[1], phrase[0] == "results"
            continue
        found = _expression(tokens, at, language, is_result)
        if found is None and tokens[at].kind == "digits":
            return None
        if found:
            expressions = _with(found, expressions, tokens, language)
        at, is_result = found.end if found else at + 1, False
    return NumberText(tokens, expressions)


def _with(
    found: Expression, expressions: list[Expression], tokens: list[Token], language: str
) -> list[Expression]:
    """The numbers with one more, which can belong to the last: "two thousand" and "five"."""
    if expressions and _continues(found, expressions[-1], tokens, language):
        return [*expressions[:-1], _sum(expressions[-1], found)]
    return [*_without_article(expressions, tokens, found.start, language), found]


def _continues(found: Expression, last: Expression, tokens: list[Token], language: str) -> bool:
    between = [token.plain for token in tokens[last.end : found.start]]
    and_ = section(language, "numbers", NumberWords).and_
    number, *others = found.values
    if between not in ([], [and_]) or others or last.scale < HUNDRED or last.values[1:]:
        return False
    is_clear = found.is_in_words == last.is_in_words or bool(between)  # "6 crore and two hundred"
    if not is_clear or last.values[0] % last.scale:
        return False
    if not last.is_in_words:  # "2 thousand 500", not "2 thousand 5", nor "5k 300"
        is_short = len(tokens[last.end - 1].plain) <= SHORT
        fills = number == int(number) != 1 and (between or number * 10 >= last.scale)
        if is_short or not fills:
            return False
    if last.thousands and found.scale >= MILLION:  # "455 mil 228 millones"
        whole = last.thousands * found.scale + number
        return number < THOUSAND * found.scale and (not last.largest or whole < last.largest)
    return 0 < number < last.scale


def _sum(last: Expression, found: Expression) -> Expression:
    """One number of two parts; of "3 billones 455 mil 228 millones" both are multiplied."""
    thousands, largest = last.thousands, last.largest
    sign = -1 if last.values[0] < 0 else 1
    total = abs(last.values[0]) + found.values[0]
    if found.scale >= MILLION:
        total += thousands * (found.scale - 1)
        thousands, largest = Decimal(0), found.scale
    elif found.scale == THOUSAND or (thousands and found.scale == 1):
        thousands += found.values[0]
    whole = replace(last, values=(sign * total,), end=found.end, is_bare=False)
    return replace(whole, scale=found.scale, thousands=thousands, largest=largest)


def _without_article(
    expressions: list[Expression], tokens: list[Token], at: int, language: str
) -> list[Expression]:
    """The numbers before one at `at`, without an article that belongs to it, as in "un 5"."""
    if expressions and expressions[-1].end == at == expressions[-1].start + 1:
        articles = section(language, "numbers", NumberWords).articles
        if tokens[at - 1].plain in articles:
            return expressions[:-1]
    return expressions


def _plain_digits(text: str) -> str:
    """The text with fractions as decimals, and without currencies around digits."""
    text = text.replace(KEYCAP, "").translate(OTHER_MARKS)
    text = FRACTION.sub(lambda found: f" {found[1] or 0}.{QUARTERS[found[2]]} ", text)
    text = NO_CENTS.sub("", ABBREVIATION.sub(r"\1 ", text))
    text, count = CURRENCY_BEFORE.subn("", text)
    text, count_behind = CURRENCY_BEHIND.subn(" ", text)
    if count + count_behind:  # of money, "M" can only be a million
        text = re.sub(r"(?i)(?<=\d)m(?!\w)", " million", text)
    return text


def _expression(
    tokens: list[Token], start: int, language: str, is_result: bool
) -> Expression | None:
    sign, at = _sign(tokens, start, language, is_result)
    if at >= len(tokens):
        return None
    if tokens[at].kind == "digits":
        values, end, is_in_words, is_bare = _digits(tokens, at, language), at + 1, False, False
    else:
        values, end, is_bare = _in_words(tokens, at, language)
        is_in_words = True
    if not values:
        return None
    scale = int(values[0]) if is_bare else 1
    if is_in_words and not is_bare and values[0] >= THOUSAND and not values[0] % THOUSAND:
        scale = THOUSAND  # "tremila", as "three thousand"
    values, end = _with_decimals(values, tokens, end, language)
    values, end, scale = _multiplied(values, tokens, end, scale, language)
    if not values:
        return None
    values = tuple(sign * value for value in values)
    too_long = any(len(f"{value:f}".replace(".", "").lstrip("-0")) > MAX_DIGITS for value in values)
    if too_long:
        return None
    thousands = abs(values[0]) if scale == THOUSAND else Decimal(0)
    largest = scale if scale >= MILLION else 0
    return Expression(values, start, end, is_in_words, is_bare, scale, thousands, largest)


def _with_decimals(
    values: tuple[Decimal, ...], tokens: list[Token], end: int, language: str
) -> tuple[tuple[Decimal, ...], int]:
    """The number with the decimals in words that follow it, as in "two point zero five".

    They are digits, of which the last can be a number below a hundred. "Two point five hundred" is
    no number.
    """
    point = phrases(language, "point").find(tokens, end)
    if not point or values[0] != int(values[0]) or tokens[end - 1].kind != "word":
        return values, end
    digits, at, last = "", point[1], Decimal(0)
    while len(digits) < MAX_DECIMALS and at < len(tokens) and last < 10:
        found, behind, _ = _in_words(tokens, at, language)
        if not found:
            break
        last = found[0]
        if last >= HUNDRED or (last >= 10 and digits.strip("0")):
            return values, end
        digits, at = f"{digits}{last}", behind
    return ((values[0] + Decimal(f"0.{digits}"),), at) if digits else (values, end)


def _sign(tokens: list[Token], start: int, language: str, is_result: bool) -> tuple[int, int]:
    """1 or -1, and where the number behind it begins."""
    token = tokens[start]
    if token.spelled == "-":
        is_sign = start + 1 < len(tokens) and tokens[start + 1].kind == "digits"
        is_sign = is_sign and tokens[start + 1].is_glued and not token.is_glued
        return (-1, start + 1) if is_sign else (1, start)
    # Only at the start and in "the result is": "menos" is also a part of "más o menos 15".
    found = None if start and not is_result else phrases(language, "minus").find(tokens, start)
    return (-1, found[1]) if found else (1, start)


def _digits(tokens: list[Token], at: int, language: str) -> tuple[Decimal, ...]:
    if tokens[at].is_glued and tokens[at - 1].kind == "word":
        return ()  # B12
    if (
        tokens[at].is_glued
        and [token.spelled for token in tokens[max(at - 3, 0) : at]] != ["."] * 3
    ):
        if tokens[at - 1].spelled == ".":
            return ()  # "..3" may be .3; "...3" is 3
    decimal_mark = section(language, "numbers", NumberWords).decimal_mark
    if decimal_mark == "," and _is_before_stop(tokens, at) and "." in tokens[at].spelled:
        return ()  # 24.12., a day
    return tuple(read_digits(tokens[at].spelled, language))


def _is_before_stop(tokens: list[Token], at: int) -> bool:
    behind = tokens[at + 1 : at + 2]
    return bool(behind) and behind[0].is_glued and behind[0].spelled == "."


def _in_words(tokens: list[Token], at: int, language: str) -> tuple[tuple[Decimal, ...], int, bool]:
    """The value of the longest number in words, its end, and whether it is a multiplier alone."""
    if tokens[at].kind != "word" or (tokens[at].is_glued and tokens[at - 1].kind == "digits"):
        return (), at, False
    candidates = (
        find_number_words(tokens, at, language),
        _by_value(language, "words").find(tokens, at),
        bare := _by_value(language, "bare").find(tokens, at),
    )
    found = max(filter(None, candidates), key=lambda found: found[1], default=None)
    return ((Decimal(found[0]),), found[1], found is bare) if found else ((), at, False)


def _multiplied(
    values: tuple[Decimal, ...], tokens: list[Token], end: int, scale: int, language: str
) -> tuple[tuple[Decimal, ...], int, int]:
    """The product with the words that multiply; there can be two, as in "2 hundred thousand"."""
    for _ in range(2):
        found = _by_value(language, "multipliers").find(tokens, end)
        if not found:
            break
        scale = int(found[0])
        if scale <= HUNDRED < values[0] and values[0] % HUNDRED and tokens[end - 1].kind == "word":
            return (), end, scale  # "three hundred and two dozens", "two hundred three hundred"
        values, end = tuple(value * scale for value in values), found[1]
    return values, end, scale


@cache
def _by_value(language: str, name: str) -> Phrases:
    groups: dict[str, list[str]] = {}
    own = vocabularies(language)[0]
    for words in vocabularies(language):
        for phrase, value in getattr(words, name).items():
            if words is own or phrase not in own.not_english:
                groups.setdefault(str(value), []).append(phrase)
    return Phrases(groups)


@cache
def phrases(language: str, *names: str) -> Phrases:
    """The phrases of fields of NumberWords, each in the group of its field."""
    return Phrases({name: all_of(language, name) for name in names})


def read_digits(digits: str, language: str) -> Iterator[Decimal]:
    """What digits with separators can be: nothing, one number, or a fraction and thousands.

    "1.000" is a thousand where the comma is the decimal mark, and either one in English.
    "1,000" is a thousand in English, and one where the comma is the decimal mark. Of a language
    that has no file both can be either.
    """
    marks = re.sub("[0-9]", "", digits)
    head, mark, tail = re.fullmatch(r"(.*?)([.,]?)([0-9]*)", digits).groups()
    if not marks:
        yield Decimal(digits)
    elif len(marks) == 1 and mark:
        yield from _with_one_mark(head, mark, tail, language)
    elif mark and mark not in head and _is_grouped(head):
        yield Decimal(f"{re.sub('[^0-9]', '', head)}.{tail}")
    elif _is_grouped(digits):
        yield Decimal(re.sub("[^0-9]", "", digits))


def _with_one_mark(head: str, mark: str, tail: str, language: str) -> Iterator[Decimal]:
    decimal_mark = section(language, "numbers", NumberWords).decimal_mark
    could_group = len(tail) == 3 and re.fullmatch("[1-9][0-9]{0,2}", head)
    is_decimal = mark == decimal_mark or language not in LANGUAGES
    # In English a point may also group, for that is how the rest of the world writes.
    if could_group and not (is_decimal and decimal_mark == ","):
        is_decimal = is_decimal and (mark == "." or language not in LANGUAGES)
        if is_decimal:
            yield Decimal(f"{head}.{tail}")
        yield Decimal(head + tail)
    elif is_decimal or len(tail) <= 2 or (len(tail) == 3 and not could_group):
        yield Decimal(f"{head or 0}.{tail}")


def _is_grouped(digits: str) -> bool:
    """Whether all marks are the same, and stand where they group thousands, or as in India."""
    marks = set(re.sub("[0-9]", "", digits))
    if len(marks) > 1:
        return False
    first, *groups = re.split("[^0-9]", digits)
    if not groups:
        return True
    is_phone = marks == {" "} and [*map(len, (first, *groups))] == [3, 3, 3]
    sizes = {len(group) for group in groups[:-1]}
    is_plain = bool(re.fullmatch("[1-9][0-9]{0,2}", first)) and len(groups[-1]) == 3
    is_indian = sizes == {2} and marks == {","} and len(first) <= 2
    return is_plain and not is_phone and (sizes <= {3} or is_indian)


def in_digits(value: Decimal) -> str:
    """The canonical form: no zeros that say nothing, no exponent."""
    digits = f"{value:f}"
    digits = digits.rstrip("0").rstrip(".") if "." in digits else digits
    return "0" if digits == "-0" else digits
