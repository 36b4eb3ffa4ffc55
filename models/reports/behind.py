"""The conversations behind a figure of the page Now."""

from typing import NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import REVIEW
from models.reports.context import MAX_ID, PageContext
from models.reports.funnel import find_counted
from models.reports.outcomes import CAUSES, OUTCOMES, TABLE, Selection, find_versions
from models.reports.period import Period

ANY = "started"  # of any outcome


class Figure(NamedTuple):
    """What a figure counts: the newest conversations of a questionnaire in a period."""

    selection: Selection
    zone: str

    @classmethod
    def of(cls, db: Session, context: PageContext) -> Self | None:
        """The one that the address asks for, if it does."""
        query = context.query
        outcome = query.choice("outcome", (ANY, *OUTCOMES))
        name = query.value("questionnaire")
        if not (outcome and name):
            return None
        in_use = dict(context.catalog).get(name)
        newest = in_use or next(iter(find_versions(db, name).values()), None)
        zone = newest.timezone if newest else context.zone
        has_days = query.day("from") or query.day("to")
        period = Period.parse(query, zone, context.now) if has_days else None
        selection = Selection(
            questionnaire=name,
            outcome="" if outcome == ANY else outcome,
            key=query.value("asking"),
            cause=query.choice("because", CAUSES),
            period=period,
        )
        return cls(selection, zone)

    @property
    def words(self) -> str:
        """The same for operators."""
        chosen = self.selection
        question = "the review" if chosen.key == REVIEW else chosen.key
        parts = [
            OUTCOMES.get(chosen.outcome, ANY),
            f"at {question}" if question else "",
            CAUSES.get(chosen.cause, ""),
            f"begun {chosen.period.words}" if chosen.period else "",
        ]
        return ", ".join(filter(None, parts))

    def find_ids(self, db: Session, context: PageContext, limit: int) -> list[int]:
        """The next ones before the id of the address, the newest first."""
        before = context.query.id("before")
        chosen = self.selection
        counted, _ = find_counted(db, chosen.questionnaire, chosen.period or EVER)
        fitting = chosen.conditions(find_versions(db, chosen.questionnaire), context.now)
        ids = sa.select(TABLE.c.id).where(TABLE.c.id.in_(counted), *fitting)
        ids = ids.where(TABLE.c.id < (MAX_ID if before is None else before))
        return list(db.scalars(ids.order_by(TABLE.c.id.desc()).limit(limit)))


EVER = Period("all", None, None, "UTC")
