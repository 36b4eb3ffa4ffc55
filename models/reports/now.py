"""What the page Now shows: how far guests come, and what needs somebody."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.message import Message
from models.questionnaire.schema import Questionnaire
from models.reports.answer_filter import find_default_name, find_titles
from models.reports.behind import ANY
from models.reports.context import PageContext
from models.reports.funnel import Funnel, find_funnel
from models.reports.needs import Checks, Need, find_needs
from models.reports.outcomes import CAUSES, OUTCOMES, find_definitions
from models.reports.period import NAMES, Period
from models.reports.texts import Texts, find_texts
from storage.base import LITERAL_1, Statement
from storage.unreadable import unreadable_rows


class Choice(NamedTuple):
    """A link to the same page of something else."""

    label: str
    address: str  # from the question mark on
    is_current: bool


class Overview(NamedTuple):
    """A questionnaire in a period, and whatever needs somebody."""

    name: str  # of the questionnaire
    title: str
    zone: str
    is_counter: bool  # whether it asks nothing
    period: Period
    questionnaires: list[Choice]
    periods: list[Choice]
    funnel: Funnel
    texts: Texts
    needs: list[Need]
    event: str | None  # a text that opens it; any does if there is none
    number: str | None  # where that is to be sent, if the file says so

    outcomes, causes = OUTCOMES, CAUSES

    def threads(self, outcome: str = ANY, **fields: object) -> str:
        """The address of the conversations behind a figure, below the root."""
        given = {"questionnaire": self.name, "outcome": outcome, **fields, **self.period.fields}
        return f"/console/threads?{urlencode(given)}"


def find_now(db: Session, context: PageContext, *, checks: Callable[[], Checks]) -> Overview:
    """The questionnaire that was asked for, else the one that guests used last.

    `checks` finds what of `/healthz` needs no database.
    """
    catalog = dict(context.catalog)
    titles = find_titles(db, catalog)
    name = context.query.choice("questionnaire", titles)
    name = name or find_default_name(db, context.catalog, titles)
    questionnaire = catalog.get(name)
    versions = find_definitions(db, name)
    known = questionnaire or next(iter(versions.values()), Questionnaire(title=name))
    period = Period.parse(context.query, known.timezone, context.now)
    texts = find_texts(db, period)
    return Overview(
        name=name,
        title=titles.get(name, name),
        zone=known.timezone,
        is_counter=known.is_counter,
        period=period,
        questionnaires=_list_questionnaires(context, titles, name),
        periods=_list_periods(context, period),
        funnel=find_funnel(db, name, questionnaire, versions, period, context.now),
        texts=texts,
        needs=find_needs(db, context, period, texts, checks()),
        event=known.event,
        number=next(iter(known.to), None),
    )


def _list_questionnaires(context: PageContext, titles: dict[str, str], name: str) -> list[Choice]:
    address = context.query.address
    return [
        Choice(title, address(questionnaire=each), each == name) for each, title in titles.items()
    ]


def _list_periods(context: PageContext, period: Period) -> list[Choice]:
    days = {"from": None, "to": None}
    return [
        Choice(label, context.query.address(period=name, **days), name == period.name)
        for name, label in NAMES.items()
    ]


def find_last_text_at(db: Session) -> datetime | None:
    """When somebody texted last; None if nobody has, or that cannot be read."""
    found = LAST_TEXT.fetch_readable(db, unreadable_rows(db).add)
    return found[0][1] if found else None


# Built once: building a statement costs as much as running it.
MESSAGES = Message.__table__
LAST_TEXT = Statement(
    sa.select(MESSAGES.c.id, MESSAGES.c.created_at)
    .where(MESSAGES.c.direction == sa.literal_column("'inbound'"))
    .order_by(MESSAGES.c.id.desc())
    .limit(LITERAL_1)
)
