"""An act of an operator: what a page asks before it, and what is then done."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session


class CannotAct(Exception):
    """What an operator wants cannot be done. The message is a sentence for the page."""


class Field(NamedTuple):
    """What an act asks for besides its button. `kind`: line, lines, choice, checks or hidden."""

    name: str
    label: str
    kind: str = "line"
    value: str = ""  # what is in it at first
    longest: int = 500  # characters
    options: Mapping[str, str] = {}  # of a choice or of checks: what each value is called


class Act(NamedTuple):
    """What an operator is asked, and does with the button.

    It is found twice: to ask, and, in the transaction that does it, to see that it still fits.
    """

    title: str  # the question, such as "Stop this conversation?"
    sentence: str  # what will happen
    button: str
    back: str  # the address of the page that shows the outcome, below the root
    do: Callable[[Session], object]  # returns Rest if it has done a part only
    fields: Sequence[Field] = ()
    secret: str = ""  # what the page after it shows, and no page later


class Rest(NamedTuple):
    """What is left of an act that is too long for one transaction: texts wait for each."""

    do: Callable[[Session], object]  # the next part; returns Rest as well, unless it was the last


class Choice(NamedTuple):
    """An act that a page offers: what its button says, and its address below the root."""

    label: str
    address: str
