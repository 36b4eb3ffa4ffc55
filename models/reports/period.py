"""The period that a page is about: days in the zone of its questionnaire."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple, Self

import sqlalchemy as sa

from models.reports.context import Query, known_zone

WEEK = 7  # days, with today
NAMES = {"today": "Today", "week": "7 days", "all": "All"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(1970, 9000)  # whose midnights can be computed in every zone


class Period(NamedTuple):
    """From one day to another, both included; None where it has no bound."""

    name: str  # one of NAMES, or "" if the days were chosen
    first: date | None
    last: date | None
    zone: str

    @classmethod
    def parse(cls, query: Query, zone: str, now: datetime) -> Self:
        """That of the fields `from` and `to`, else of `period`, else today."""
        first, last = _read_day(query, "from"), _read_day(query, "to")
        if first or last:
            return cls("", first, last, zone)
        name = query.choice("period", NAMES) or "today"
        today = now.astimezone(known_zone(zone)).date()
        begin = {"today": today, "week": today - timedelta(days=WEEK - 1), "all": None}[name]
        return cls(name, begin, None, zone)

    @property
    def fields(self) -> dict[str, str]:
        """The same days in an address, whatever day it is opened."""
        days = {"from": self.first, "to": self.last}
        return {name: str(day) for name, day in days.items() if day}

    @property
    def words(self) -> str:
        """As in a sentence: "today", "in the last 7 days"."""
        if self.name:
            return {"today": "today", "week": f"in the last {WEEK} days", "all": ""}[self.name]
        since = f"since {self.first}" if self.first else ""
        return " ".join(filter(None, (since, f"until {self.last}" if self.last else "")))

    def conditions(self, column: sa.ColumnElement[Any]) -> Sequence[sa.ColumnElement[bool]]:
        """That a time is within it."""
        # Without any bound a database might not use the index of times.
        found = [column >= (self._midnight(self.first) if self.first else EPOCH)]
        if self.last:
            found.append(column < self._midnight(self.last + timedelta(days=1)))
        return found

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), known_zone(self.zone)).astimezone(UTC)


def _read_day(query: Query, name: str) -> date | None:
    day = query.day(name)
    return day if day and day.year in YEARS else None
