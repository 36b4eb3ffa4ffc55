"""All choices at once: "all", "all three of them", "both", "the two"."""

from collections.abc import Sequence
from typing import NamedTuple

from models.questionnaire.choices.vocabulary import Token, Vocabulary


class AllOf(NamedTuple):
    """Words for all choices: how many choices they name, if they do, and how many tokens say so."""

    size: int
    number: int | None = None
    is_article: bool = False  # "the" alone, which says that only before a number
    is_number_word: bool = False  # "two", not "2"


def find_all(tokens: Sequence[Token], at: int, words: Vocabulary) -> AllOf | None:
    """The words for all choices there."""
    found = words.find(tokens, at, ("both", "all", "all_with_number"))
    if not found or words.find(tokens, at, ("indifferent",)):
        return None
    after = at + found.size
    number = whole_number(tokens, after, words)
    if found.role == "all_with_number" and not number:
        return AllOf(found.size, is_article=True)
    while number is None and (size := _size_of_rest(tokens, after, words)):
        after += size
        number = whole_number(tokens, after, words)
    is_number_word = number is not None and tokens[after].kind == "word"
    after += number is not None
    while size := _size_of_rest(tokens, after, words):
        after += size
    meant = 2 if found.role == "both" else number or None
    return AllOf(after - at, meant, found.role == "all_with_number", is_number_word)


def whole_number(tokens: Sequence[Token], at: int, words: Vocabulary) -> int | None:
    """A whole number in digits or words there."""
    if at >= len(tokens):
        return None
    token = tokens[at]
    if token.kind == "number":
        return int(token.text) if token.text.isdecimal() and len(token.text) < 4 else None
    found = words.find(tokens, at, ("numbers",))
    return found.number if found else None


def _size_of_rest(tokens: Sequence[Token], at: int, words: Vocabulary) -> int:
    found = words.find(tokens, at, ("after_all",)) if at < len(tokens) else None
    return found.size if found else 0
