"""The conversations behind a figure of the page Now."""

from collections.abc import Iterator
from typing import NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.conversation import REVIEW
from models.reports.context import MAX_ID, PageContext, known_zone
from models.reports.funnel import find_counted
from models.reports.outcomes import (
    CAUSE,
    CAUSES,
    OUTCOMES,
    TABLE,
    find_definitions,
    find_outcome,
)
from models.reports.passed import HOWS, REACHED, Ids, find_passed
from models.reports.period import Period
from models.reports.texts import select_lost

ANY = "started"  # of any outcome


class Figure(NamedTuple):
    """What a figure counts, of the newest conversations of a questionnaire in a period."""

    questionnaire: str  # its name
    outcome: str  # "" for any
    key: str  # of the question, or REVIEW, that waits for its answer, or did at the end
    cause: str
    how: str  # that question was reached, or passed
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
        return cls(
            questionnaire=name,
            outcome="" if outcome == ANY else outcome,
            key=query.value("asking"),
            cause=query.choice("because", CAUSES),
            how=query.choice("how", (REACHED, *HOWS)),
            period=_read_period(context, zone),
            zone=zone,
        )

    @property
    def words(self) -> str:
        """The same for operators."""
        question = "the review" if self.key == REVIEW else self.key
        at = f"{question} {self.how}" if self.how else f"at {question}"
        parts = [
            OUTCOMES.get(self.outcome, ANY),
            at if question else "",
            CAUSES.get(self.cause, ""),
            f"begun {self.period.words}" if self.period else "",
        ]
        return ", ".join(filter(None, parts))

    def find_ids(self, db: Session, context: PageContext, limit: int) -> list[int]:
        """The next ones before the id of the address, the newest first."""
        counted, _ = find_counted(db, self.questionnaire, self.period or EVER)
        conditions = TABLE.c.id.in_(counted), *self._conditions(db, context, counted)
        return _find_page(db, context, limit, *conditions)

    def _conditions(
        self, db: Session, context: PageContext, counted: Ids
    ) -> Iterator[sa.ColumnElement[bool]]:
        definitions = find_definitions(db, self.questionnaire)
        if self.outcome:
            yield find_outcome(definitions, context.now) == self.outcome
        if self.key and self.how:
            yield TABLE.c.id.in_(find_passed(db, counted, definitions, self.key, self.how))
        elif self.key:
            yield TABLE.c.current_key == self.key
        if self.cause:
            yield CAUSE == self.cause


class LostReplies(NamedTuple):
    """The replies of a period that did not arrive, whatever became of later ones."""

    period: Period | None
    zone: str

    @property
    def words(self) -> str:
        """The same for operators."""
        sent = f", sent {self.period.words}" if self.period else ""
        return f"a reply did not arrive{sent}"

    def find_ids(self, db: Session, context: PageContext, limit: int) -> list[int]:
        """The next conversations before the id of the address, the newest first."""
        lost = select_lost(self.period or EVER)
        return _find_page(db, context, limit, TABLE.c.id.in_(lost))


def find_figure(db: Session, context: PageContext) -> Figure | LostReplies | None:
    """What the address asks for, if it does."""
    if context.query.choice("lost", ("yes",)):
        zone = known_zone(context.query.value("zone") or context.zone).key
        return LostReplies(_read_period(context, zone), zone)
    return Figure.of(db, context)


def _read_period(context: PageContext, zone: str) -> Period | None:
    has_days = context.query.day("from") or context.query.day("to")
    return Period.parse(context.query, zone, context.now) if has_days else None


def _find_page(
    db: Session, context: PageContext, limit: int, *conditions: sa.ColumnElement[bool]
) -> list[int]:
    before = context.query.id("before")
    ids = sa.select(TABLE.c.id).where(*conditions)
    ids = ids.where(TABLE.c.id < (MAX_ID if before is None else before))
    return list(db.scalars(ids.order_by(TABLE.c.id.desc()).limit(limit)))


EVER = Period("all", None, None, "UTC")
