"""The words for numbers, from num2words, which is loaded with the first word that is looked up."""

from collections.abc import Iterator, Sequence
from functools import cache

from models.questionnaire.languages import ENGLISH, LANGUAGES
from models.questionnaire.tokens import Token
from models.text import without_accents

MOST = 999
MAX_TOKENS = 12  # of a number, with hyphens, such as "neuf cent quatre-vingt-dix-neuf"
# The names in num2words; the second ones are said beside the first.
NAMES = {"fr": ("fr", "fr_BE", "fr_CH"), "pt": ("pt", "pt_BR")}
# Other spellings of a part of a number, in the plain form: genders, umlauts, what is left out.
SPELLINGS: dict[str, list[tuple[str, str]]] = {
    "en": [(" and ", " "), ("one hundred", "a hundred")],
    "de": [("einhundert", "hundert"), ("eins", "ein"), ("eins", "eine"), ("eins", "einen")]
    + [("eins", "einer"), ("zwei", "zwo"), ("funf", "fuenf"), ("zwolf", "zwoelf")],
    "es": [("uno", "una"), ("uno", "un"), ("cientos", "cientas"), ("quinientos", "quinientas")],
    "fr": [("un", "une"), ("cents", "cent"), ("vingts", "vingt")],
    "it": [("uno", "una"), ("uno", "un")],
    "nl": [("honderd", "een honderd")],
    "pt": [("um", "uma"), ("dois", "duas"), ("entos", "entas")],
}
# What larger numbers are written with as one word: "zweitausendfünf", "vijfentwintighonderd".
SCALES = {
    "de": {"tausend": 1000, "hundert": 100},
    "it": {"mila": 1000, "mille": 1000},
    "nl": {"duizend": 1000, "honderd": 100},
}
CONJUNCTIONS = {"de": "und", "it": "e", "nl": "en"}  # inside of such a word
# Where only the last word of a number can be spelled so: "einer" is 1, and no part of 21.
AT_THE_END = frozenset({"eins", "uno", "un", "um"})


def find_number_words(tokens: Sequence[Token], start: int, language: str) -> tuple[int, int] | None:
    """The value and the end of the number in words that begins at `start`, the longest one."""
    ahead = tokens[start : start + MAX_TOKENS]
    key, keys = "", []
    for token in ahead:
        if token.kind == "mark" and token.spelled == "-" and token.is_glued:
            keys.append("")  # nothing ends with a hyphen
            continue
        if token.kind != "word":
            break
        key += token.plain
        keys.append(key)
    for spoken in (language, ENGLISH):
        for count in range(len(keys), 0, -1):
            if (value := _value(keys[count - 1], spoken)) is not None:
                return value, start + count
    return None


def _value(key: str, language: str) -> int | None:
    """The value of a number's letters, which can be one word for more than MOST."""
    table = words_of(language)
    if key in table:
        return table[key]
    for word, scale in SCALES.get(language, {}).items():
        before, found, behind = key.partition(word)
        if not found or not (before or behind):
            continue
        more = behind.removeprefix(CONJUNCTIONS[language])
        factor = _value(before, language) if before else 1
        rest = (_value(more, language) or 0) if more else 0
        is_whole = bool(rest) == bool(behind) and bool(factor) and rest < scale
        return factor * scale + rest if is_whole and factor < scale else None
    return None


@cache
def words_of(language: str) -> dict[str, int]:
    """Each number from 0 to MOST by its words, without blanks, hyphens and accents.

    It takes some hundredths of a second, once for each language. For a language that has no file
    it is empty.
    """
    table: dict[str, int] = {}
    for name in NAMES.get(language, (language,)) if language in LANGUAGES else ():
        for number, plain in _words(name):
            for spelling in _spellings(plain, SPELLINGS[language]):
                table.setdefault(spelling.replace(" ", ""), number)
    return table


def _words(name: str) -> Iterator[tuple[int, str]]:
    """Each number with its words, in a language of num2words.

    The library takes a tenth of a second for a thousand. So we put most of those above a hundred
    together, but for Italian, which drops a letter in "centotto".
    """
    from num2words import num2words

    def words(number: int) -> str:
        plain = without_accents(num2words(number, lang=name).casefold())
        return plain.replace("-", " ")

    below = {number: words(number) for number in range(100)}
    yield from below.items()
    for hundreds in range(100, MOST, 100):
        yield hundreds, words(hundreds)
        start = words(hundreds + 11).removesuffix(below[11])
        for number in range(1, 100):
            is_composed = name != "it"
            yield (
                hundreds + number,
                start + below[number] if is_composed else words(hundreds + number),
            )


def _spellings(plain: str, changes: list[tuple[str, str]]) -> set[str]:
    found = {plain}
    for old, new in changes:
        if old in AT_THE_END:
            found |= {each.removesuffix(old) + new for each in found if each.endswith(old)}
        else:
            found |= {each.replace(old, new) for each in found}
    return found
