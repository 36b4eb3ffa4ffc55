"""The links that show results to others. What a link is cannot be seen any more."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from models.console import ConsoleShare
from models.reports.answer_filter import find_titles
from models.reports.context import PageContext


class SharesPage(NamedTuple):
    """What is shared now, and what could be."""

    shares: Sequence[ConsoleShare]
    titles: Mapping[str, str]  # of all questionnaires, by name


def find_shares(db: Session, context: PageContext) -> SharesPage:
    """Those that are not over, the newest first."""
    shares = ConsoleShare.find_all(db, context.now)
    return SharesPage(shares, find_titles(db, dict(context.catalog)))
