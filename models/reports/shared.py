"""What a link shows to whoever has it: answers to the questions that were chosen, and no more.

Nothing in its address is a filter: with one, hidden answers could be asked for one by one.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

import phonenumbers
from sqlalchemy.orm import Session

from models.console import ConsoleShare
from models.console.share import MASKED, SHOWN
from models.questionnaire.schema import Questionnaire
from models.reports.answer_filter import Filter, find_filter
from models.reports.answers import (
    NEWEST,
    Cell,
    Column,
    count,
    find_columns,
    find_groups,
    find_ids,
    find_rows,
    is_counted,
)
from models.reports.charts import Chart, make_charts
from models.reports.context import NotFound, PageContext, Query


class SharedPage(NamedTuple):
    """What the page shows."""

    title: str
    zone: str
    ends_at: datetime
    looked_at: int
    charts: Sequence[Chart]
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    older: int | None  # the conversation behind which there are more
    is_first: bool

    @property
    def is_partial(self) -> bool:
        """Whether there may be older conversations than were looked at."""
        return self.looked_at >= NEWEST


def find_shared(db: Session, context: PageContext, share: ConsoleShare) -> SharedPage:
    """The charts and the newest rows, or the rows before a conversation."""
    filter = _find_filter(db, context, share)
    before = context.query.id("before")
    if before is not None and not is_counted(db, filter, before):
        raise NotFound  # else the times of all conversations could be found out
    charts, looked_at = [], 0
    if before is None:
        looked_at, _ = count(db, filter)
        about = filter.keys, filter.questions, filter.questionnaire
        charts = list(make_charts(*about, find_groups(db, filter), lambda *_: None))
    columns = _find_columns(filter, share)
    ids, older = find_ids(db, filter, before)
    rows = [list(map(_shown, row.cells)) for row in find_rows(db, filter, ids, columns)]
    about = filter.names[filter.name], filter.zone, share.expires_at, looked_at
    return SharedPage(*about, charts, columns, rows, older, before is None)


def _find_filter(db: Session, context: PageContext, share: ConsoleShare) -> Filter:
    """All conversations, with the questions that still are of the kind that was chosen."""
    query = Query([("questionnaire", share.questionnaire)])
    filter = find_filter(db, context._replace(query=query))
    if filter.name != share.questionnaire:  # it is there no more
        raise NotFound
    kinds = {key: question.kind for key, question in filter.questions.items()}
    keys = [key for key in filter.keys if share.questions.get(key) == kinds[key]]
    chosen = {key: kinds[key] for key in keys}
    versions = [version.id for version in filter.versions if _agrees(version.definition, chosen)]
    return filter._replace(keys=keys, version_ids=versions)


def _agrees(definition: Questionnaire, chosen: Mapping[str, str]) -> bool:
    """Whether its questions are of these kinds: else its answers may be words of guests' own."""
    return all(
        definition.by_key[key].kind == kind
        for key, kind in chosen.items()
        if key in definition.by_key
    )


def _find_columns(filter: Filter, share: ConsoleShare) -> list[Column]:
    shown = {"started_at": True, "state": True}
    shown |= {"sender": share.senders == MASKED, "name": share.names == SHOWN}
    return [
        column
        for column in find_columns(filter, Query())
        if column.key is not None or shown.get(column.name)
    ]


def _shown(cell: Cell) -> Cell:
    """Without what was texted, which may say more than the answer that was read."""
    if cell.column.key is None and cell.column.name == "sender":
        return cell._replace(text=mask_sender(cell.text))
    return cell._replace(hint="")


def mask_sender(address: str) -> str:
    """The country of a number. Whoever knows a guest's number could find them by any digit more."""
    try:
        code = phonenumbers.parse(address.rpartition(":")[2]).country_code
    except phonenumbers.NumberParseException:
        return "…"
    return f"+{code}…"
