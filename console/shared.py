"""Pages for whoever has a link to results. They are no part of the console, and need no cookie."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import DBAPIError

from console.pages import Pages
from console.turns import SHARING
from models.console import LOOK, ConsoleShare, Operator
from models.reports.context import NotFound, PageContext, Query
from models.reports.shared import find_shared
from storage import Database

STRANGER = Operator("", LOOK)


class SharedResults:
    """Shows what links show. `context(operator, query)` makes what a page goes by."""

    def __init__(
        self, database: Database, pages: Pages, context: Callable[..., PageContext]
    ) -> None:
        self._database, self._pages, self._context = database, pages, context

    def show(self, token: str, query: str) -> str:
        """The page of a link; NotFound whatever is wrong with it.

        Nobody is slowed down who tries tokens. There are too many to find one, each costs little,
        and what slows down passwords would keep operators out.
        """
        context = self._context(STRANGER, Query.parse(query))
        with self._database.read() as db:
            share = ConsoleShare.find(db, token, context.now)
        if share is None:
            raise NotFound
        with SHARING.take(), self._database.report() as db:
            found = find_shared(db, context, share)
        if share.is_opened_late(context.now):
            with suppress(DBAPIError, OSError):  # a full disk must not hide the page
                self._database.write(partial(share.open, now=context.now))
        return self._pages.render_shared(context, found)
