"""What stands beside a choice and does not change it: why it was made, and a guest's own name."""

from collections.abc import Sequence

from models.questionnaire.choices.names import ChoiceNames
from models.questionnaire.choices.vocabulary import Token, Vocabulary

AGAINST_REASONS = ("denials", "corrections", "alternatives", "indifferent", "requests")
LONGEST_NAMES = {"closings": 2, "thanks": 1}  # in words, behind "kind regards" and "thanks"


def is_harmless_reason(
    tokens: Sequence[Token], said: set[int], names: ChoiceNames, words: Vocabulary
) -> bool:
    """Whether the reason for the choices that were said names no other, and no figure."""
    for at, token in enumerate(tokens):
        named = names.find(tokens, at)
        others = {*(named[0] if named else names.with_word(token.text))} - said
        is_figure = token.kind in ("number", "ordinal")
        if others or is_figure or words.find(tokens, at, AGAINST_REASONS):
            return False
    return bool(said)


def measure_own_name(
    tokens: Sequence[Token], role: str, names: ChoiceNames, words: Vocabulary
) -> int:
    """The tokens of the name behind a closing: at the end, or before more politeness."""
    size = 0
    while size < len(tokens) and _can_be_name(tokens[size], names, words):
        size += 1
    is_end = size == len(tokens) or tokens[size].kind == "emoji"
    is_end = is_end or words.find(tokens, size, ("closings", "fillers")) is not None
    return size if is_end and size <= LONGEST_NAMES[role] else 0


def _can_be_name(token: Token, names: ChoiceNames, words: Vocabulary) -> bool:
    is_known = token.text in words.known or names.resembling(token.text)
    return token.kind == "word" and not is_known
