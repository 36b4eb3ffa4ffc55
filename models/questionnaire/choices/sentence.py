"""A sentence while it is read: the choices that are named in it, and how they are linked."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from models.questionnaire.choices.names import Positions
from models.questionnaire.choices.vocabulary import Token

# What words can be beside the names of choices; of two roles the first counts.
ROLES = (
    "corrections",
    "alternatives",
    "halves",
    "and_",
    "both",
    "all",
    "denials",
    "indifferent",
    "reasons",
    "options",
    "numbers",
    "ordinals",
    "last",
    "requests",
    "figures",
    "closings",
    "farewells",
    "introductions",
    "fillers",
    "articles",
)
APART = ("and_", "alternatives", "corrections", "options", "fillers")
AMOUNT_ROLES = ("counting", "units", "hours", "ranges", "or_more", "or_less")
LINKS = {"corrections": "or", "alternatives": "or", "halves": "or", "and_": "and"}
LINKS |= {"ranges": "range", "plus": "and"}

# "+1" and "me +1": the same as somebody else, or one person more; "n/a".
NO_CHOICE = re.compile(
    r"\W*(?:(?:me|us|ich|wir|moi|nous|yo|io|noi|ik|wij|eu|nós)?\s*\+\s*[0-9]|n ?/ ?a\W*$)", re.I
)


class Item(NamedTuple):
    """Choices of which one is meant by some words; `is_number` if these are a bare number."""

    positions: Positions
    is_number: bool = False
    is_adjacent: bool = False  # nothing stands between it and the item before


class Denied(Exception):
    """A text is no answer: it denies something, doubts, sets a condition, or names the unknown."""


class Sentence:
    """A sentence of a text while it is read: its items, and the links between them."""

    def __init__(self, tokens: Sequence[Token], is_question: bool) -> None:
        self.tokens, self.is_question, self.is_request = tokens, is_question, False
        self.items: list[Item] = []
        self.links: list[str] = []
        self.named_before: frozenset[int] = frozenset()  # the choices that sentences before it name
        self.run: list[Token] = []  # of words that are not known, and not read yet
        self.sign = ""  # before the item that comes next
        self.is_unclear = False  # something in it is not known, or holds for no choice
        self.has_one = False  # "one" beside a name is no number
        self.has_all = False
        self.is_indifferent = False  # it says that several are as good

    @property
    def is_harmless(self) -> bool:
        """Whether it is a question that has nothing to do with the choices."""
        return self.is_question and not self.items and "or" not in self.links

    @property
    def is_unreadable(self) -> bool:
        """Whether it leaves the text unread, whatever the other sentences say."""
        is_open = self.is_question and not self.is_request
        return is_open or self.is_unclear or (self.has_all and "item" in self.links)


def common_choices(first: Positions, second: Positions) -> Positions:
    """The choices of both, where one of them alone leaves several: "5 Dec" is one of three days."""
    is_open = max(len(first), len(second)) > 1
    return tuple(sorted({*first} & {*second})) if is_open else ()
