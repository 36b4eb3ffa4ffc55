"""Phrases as the files of languages write them, and the form of a text in which they are found.

A phrase is words with blanks between: `leave me|us [the_hell] alone`. A bar stands between words of
which one is meant, brackets around what may be missing, an underscore for a blank within them.
`<texts>` is the set of that name, a comma a break that may be there, three dots are any words, and
`!of` at the end says what may not follow.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from models.text import normalize, without_accents

INITIALS = re.compile(r"\b(\w)\.(?=\w\b)")  # of a.u.b. and s.v.p.
HYPHEN = re.compile(r"(?<=\w)[-/](?=\w)")
BREAK = re.compile(r"[^\w #]+")  # between clauses; an emoji is one, too
UMLAUT = re.compile("([aou])e")  # as German is written without umlauts
SPECIAL = {",": r"(?:\. )?", "...": "(?:[^ ]+ )*?"}
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
    longest_first = sorted(set(phrases), key=len, reverse=True)
    patterns = ["".join(_item_patterns(each, sets, word_pattern)) for each in longest_first]
    return "|".join(patterns) or "(?!)"


def _item_patterns(
    phrase: str, sets: Mapping[str, str], word_pattern: Callable[[str], str]
) -> Iterator[str]:
    for item in phrase.split():
        if item in SPECIAL:
            yield SPECIAL[item]
        elif item.startswith("!"):
            yield f"(?!{word_pattern(item[1:])})"
        else:
            names = [name for part in item.strip("[]").split("|") for name in _expand(part, sets)]
            words = {word_pattern(name.replace("_", " ")) for name in names}
            longest_first = "|".join(sorted(words, key=len, reverse=True))
            yield f"(?:{longest_first}){'?' if item.startswith('[') else ''}"


def _expand(name: str, sets: Mapping[str, str]) -> list[str]:
    return sets[name[1:-1]].split("|") if name.startswith("<") else [name]
