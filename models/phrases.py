"""Phrases as the files of languages write them, and the form of a text in which they are found.

A phrase is words with blanks between: `leave me|us [the_hell] alone`. A bar stands between words of
which one is meant, brackets around what may be missing, an underscore for a blank within them.
`<texts>` is the set of that name, a comma a break that may be there, a dot one that must be, a star
any word, and three dots are any words. `!of|for` says what may not follow.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from models.text import normalize, without_accents

INITIALS = re.compile(r"\b(\w)\.(?=\w\b)")  # of a.u.b. and s.v.p.
HYPHEN = re.compile(r"(?<=\w)[-/](?=\w)")
BREAK = re.compile(r"[^\w #]+")  # between clauses; an emoji is one, too
UMLAUT = re.compile("([aou])e")  # as German is written without umlauts
SPECIAL = {",": r"(?:\. )?", ".": r"\. ", "*": "[^ .]+ ", "...": "(?:[^ ]+ )*?"}
NO_SETS: Mapping[str, str] = MappingProxyType({})


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


def word_pattern(word: str) -> str:
    """The pattern of a word, or of several, in what `words_of` gives."""
    return re.escape(words_of(word) or f"{word} ")


def pattern_of(
    phrases: Iterable[str],
    sets: Mapping[str, str] = NO_SETS,
    word_pattern: Callable[[str], str] = word_pattern,
) -> str:
    """A pattern for a text that fits one of these phrases, as `words_of` gives it.

    Longer phrases come first, so that the first that fits is the one which is meant. In a text of
    another form, `word_pattern` gives the pattern of a word.
    """
    patterns = [
        "".join(_item_patterns(each.split(), sets, word_pattern))
        for each in _longest_first(phrases)
    ]
    return "|".join(patterns) or "(?!)"


def sorted_pattern_of(lists: Iterable[tuple[Iterable[str], Mapping[str, str]]]) -> str:
    """The same pattern for lists of phrases, each with its sets; the first list that fits counts.

    The phrases are sorted by their first letter and their first word, so that a word of a text is
    compared with the few that begin alike: with hundreds of phrases that takes a tenth of the time.
    A first word that is a phrase by itself comes last of these.
    """
    rests: dict[str, dict[str, dict[str, None]]] = {}
    for phrases, sets in lists:
        for phrase in _longest_first(phrases):
            for first, rest in _beginnings(phrase.split(), sets):
                rests.setdefault(first[0], {}).setdefault(first[1:], {})[rest] = None
    letters = (
        re.escape(letter)
        + _either(
            re.escape(end) + _either(sorted(each, key=bool, reverse=True))
            for end, each in words.items()
        )
        for letter, words in rests.items()
    )
    return "|".join(letters) or "(?!)"


def _either(patterns: Iterable[str]) -> str:
    return f"(?:{'|'.join(patterns)})"


def _longest_first(phrases: Iterable[str]) -> list[str]:
    return sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))


def _beginnings(items: list[str], sets: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each first word of a phrase, and the pattern of what follows it."""
    rest = "".join(_item_patterns(items[1:], sets, word_pattern))
    for words in sorted(map(words_of, _names(items[0], sets)), key=len, reverse=True):
        first, _, others = words.partition(" ")
        yield f"{first} ", re.escape(others) + rest
    if items[0].startswith("["):
        yield from _beginnings(items[1:], sets)


def _item_patterns(
    items: Iterable[str], sets: Mapping[str, str], word_pattern: Callable[[str], str]
) -> Iterator[str]:
    for item in items:
        if item in SPECIAL:
            yield SPECIAL[item]
            continue
        words = {word_pattern(name) for name in _names(item.removeprefix("!"), sets)}
        longest_first = "|".join(sorted(words, key=len, reverse=True))
        pattern = f"(?{'!' if item.startswith('!') else ':'}{longest_first})"
        yield f"{pattern}?" if item.startswith("[") else pattern


def _names(item: str, sets: Mapping[str, str]) -> list[str]:
    parts = item.strip("[]").split("|")
    return [name.replace("_", " ") for part in parts for name in _expand(part, sets)]


def _expand(name: str, sets: Mapping[str, str]) -> list[str]:
    return sets[name[1:-1]].split("|") if name.startswith("<") else [name]
