"""The conversations behind a figure of the page Now."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import REVIEW
from models.reports.context import MAX_ID, PageContext
from models.reports.funnel import find_counted
from models.reports.outcomes import (
    CAUSE,
    CAUSES,
    OUTCOMES,
    TABLE,
    find_definitions,
    find_outcome,
)
from models.reports.period import Period

ANY = "started"  # of any outcome


class Figure(NamedTuple):
    """What a figure counts, of the newest conversations of a questionnaire in a period."""

    questionnaire: str  # its name
    outcome: str  # "" for any
    key: str  # of the question, or REVIEW, that waits for its answer, or did at the end
    cause: str
    period: Period | None
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
        newest = in_use or next(iter(find_definitions(db, name).values()), None)
        zone = newest.timezone if newest else context.zone
        has_days = query.day("from") or query.day("to")
        return cls(
            questionnaire=name,
            outcome="" if outcome == ANY else outcome,
            key=query.value("asking"),
            cause=query.choice("because", CAUSES),
            period=Period.parse(query, zone, context.now) if has_days else None,
            zone=zone,
        )

    @property
    def words(self) -> str:
        """The same for operators."""
        question = "the review" if self.key == REVIEW else self.key
        parts = [
            OUTCOMES.get(self.outcome, ANY),
            f"at {question}" if question else "",
            CAUSES.get(self.cause, ""),
            f"begun {self.period.words}" if self.period else "",
        ]
        return ", ".join(filter(None, parts))

    def find_ids(self, db: Session, context: PageContext, limit: int) -> list[int]:
        """The next ones before the id of the address, the newest first."""
        before = context.query.id("before")
        counted, _ = find_counted(db, self.questionnaire, self.period or EVER)
        ids = sa.select(TABLE.c.id).where(TABLE.c.id.in_(counted), *self._conditions(db, context))
        ids = ids.where(TABLE.c.id < (MAX_ID if before is None else before))
        return list(db.scalars(ids.order_by(TABLE.c.id.desc()).limit(limit)))

    def _conditions(self, db: Session, context: PageContext) -> Iterator[sa.ColumnElement[bool]]:
        if self.outcome:
            definitions = find_definitions(db, self.questionnaire)
            yield find_outcome(definitions, context.now) == self.outcome
        if self.key:
            yield TABLE.c.current_key == self.key
        if self.cause:
            yield CAUSE == self.cause


EVER = Period("all", None, None, "UTC")
