"""An act of an operator: what a page asks before it, and what is then done."""

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy.orm import Session


class CannotAct(Exception):
    """What an operator wants cannot be done. The message is a sentence for the page."""


class Act(NamedTuple):
    """What an operator is asked, and does with the button.

    It is found twice: to ask, and, in the transaction that does it, to see that it still fits.
    """

    title: str  # the question, such as "Stop this conversation?"
    sentence: str  # what will happen
    button: str
    back: str  # the address of the page that shows the outcome, below the root
    do: Callable[[Session], object]  # returns Rest if it has done a part only
    reason: str | None = None  # the label of a box for one, if it is to be kept


class Rest(NamedTuple):
    """What is left of an act that is too long for one transaction: texts wait for each."""

    do: Callable[[Session], object]  # the next part; returns Rest as well, unless it was the last


class Choice(NamedTuple):
    """An act that a page offers: what its button says, and its address below the root."""

    label: str
    address: str
