"""What stands beside a choice and does not change it: why it was made, and a guest's own name."""

from collections.abc import Sequence

from models.questionnaire.choices.names import ChoiceNames, Positions
from models.questionnaire.choices.vocabulary import Token, Vocabulary

AGAINST_REASONS = ("denials", "corrections", "alternatives", "indifferent", "requests")
LONGEST_FAREWELL = 4  # words behind "see you" and "thanks for"
SHORTEST_WORD = 4  # letters of a word that could be another name with a slip in it
# In words, behind "kind regards", "thanks" and "this is".
LONGEST_NAMES = {"closings": 2, "thanks": 1, "introductions": 2}


def is_harmless_reason(
    tokens: Sequence[Token], named_before: set[int], names: ChoiceNames, words: Vocabulary
) -> bool:
    """Whether the reason for the choices that were said names no other, and no figure."""
    for at, token in enumerate(tokens):
        named = names.find(tokens, at)
        others = {*(named[0] if named else _resembling(token, names))} - named_before
        is_figure = token.kind in ("number", "ordinal")
        if others or is_figure or words.find(tokens, at, AGAINST_REASONS):
            return False
    return bool(named_before)


def _resembling(token: Token, names: ChoiceNames) -> Positions:
    find = names.resembling if len(token.text) >= SHORTEST_WORD else names.with_word
    return find(token.text)


def measure_own_name(
    tokens: Sequence[Token], role: str, names: ChoiceNames, words: Vocabulary
) -> int:
    """The tokens of the name behind a closing: at the end, or before a sign or politeness."""
    if role == "farewells":
        return _measure_farewell(tokens, names, words)
    size = 0
    while size < len(tokens) and _can_be_name(tokens[size], names, words):
        size += 1
    return size if size <= LONGEST_NAMES[role] and _ends(tokens, size, role, words) else 0


def _measure_farewell(tokens: Sequence[Token], names: ChoiceNames, words: Vocabulary) -> int:
    """The tokens behind "see you": a few to the next sign, none a figure or like a choice."""
    size = 0
    while size < len(tokens) and not (tokens[size].before or tokens[size].kind == "emoji"):
        is_polite = words.find(tokens, size, ("fillers", "articles")) is not None
        if not is_polite and not _can_be_name(tokens[size], names, words):
            return 0
        size += 1
    return size if size <= LONGEST_FAREWELL else 0


def _ends(tokens: Sequence[Token], size: int, role: str, words: Vocabulary) -> bool:
    if size == len(tokens):
        return role != "introductions"
    if tokens[size].before or role == "introductions":
        return bool(tokens[size].before)
    is_polite = words.find(tokens, size, ("closings", "fillers")) is not None
    return is_polite or tokens[size].kind == "emoji"


def _can_be_name(token: Token, names: ChoiceNames, words: Vocabulary) -> bool:
    is_known = token.text in words.known or names.resembling(token.text)
    is_known = is_known or names.continued(token.text)
    return token.kind == "word" and not is_known
