"""Texts in and out by the hour of the day, and which of ours did not arrive."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.marked_test import is_no_test
from models.message import Message
from models.reports.context import in_zone, known_zone
from models.reports.outcomes import is_lost
from models.reports.period import Period

MAX_TEXTS = 5000  # that are counted: to count more would take too long
HOUR_WIDTH, BAR_HEIGHT = 14, 40  # in the chart
QUARTER = 900  # seconds: some zones differ by quarters of an hour from others


class Hour(NamedTuple):
    """The texts of one hour of the day, on all days of the period."""

    hour: int
    came: int
    sent: int


class Bar(NamedTuple):
    """The two bars of an hour in the chart."""

    left: int
    came: float  # heights
    sent: float


class Texts(NamedTuple):
    """The texts of a period, whatever they are about."""

    hours: list[Hour]
    lost: list[tuple[str, int]]  # Twilio's codes, or "", and how often; the commonest first
    is_partial: bool  # whether only the newest were counted

    @property
    def came(self) -> int:
        """How many came."""
        return sum(hour.came for hour in self.hours)

    @property
    def sent(self) -> int:
        """How many we sent."""
        return sum(hour.sent for hour in self.hours)

    @property
    def highest(self) -> int:
        """The most in an hour, in one direction."""
        return max(max(hour.came, hour.sent) for hour in self.hours)

    @property
    def bars(self) -> list[Bar]:
        """As they are drawn: what came stands on a line, and what we sent hangs from it."""
        unit = BAR_HEIGHT / max(self.highest, 1)
        return [
            Bar(hour * HOUR_WIDTH, round(came * unit, 1), round(sent * unit, 1))
            for hour, came, sent in self.hours
        ]

    @property
    def lost_count(self) -> int:
        """How many of ours did not arrive."""
        return sum(count for _, count in self.lost)


def find_texts(db: Session, period: Period) -> Texts:
    """The newest MAX_TEXTS of a period, without those of tests."""
    by_hour, lost, zone = Counter[tuple[str, int]](), Counter[str](), known_zone(period.zone)
    for direction, quarter, code, count in db.execute(_select_texts(period)):
        if quarter is None or quarter < 0:  # it is no time, or SQLite takes a number for one
            continue
        at = in_zone(datetime.fromtimestamp(int(quarter), UTC), zone)
        by_hour[direction, at.hour] += count
        if code is not None:
            lost[str(code)] += count
    hours = [Hour(n, by_hour["inbound", n], by_hour["outbound", n]) for n in range(24)]
    return Texts(hours, lost.most_common(), by_hour.total() >= MAX_TEXTS)


def select_lost(period: Period) -> sa.Select[tuple[int]]:
    """The conversations of the texts that are counted as lost."""
    newest = _newest(period, TABLE.c.conversation_id)
    return sa.select(newest.c.conversation_id).where(_is_ours_lost(newest))


def _newest(period: Period, *columns: sa.ColumnElement[Any]) -> sa.Subquery:
    return (
        sa.select(TABLE.c.direction, TABLE.c.status, *columns)
        .where(*period.conditions(TABLE.c.created_at), is_no_test(TABLE.c.conversation_id))
        .order_by(TABLE.c.created_at.desc())
        .limit(MAX_TEXTS)
        .subquery()
    )


def _is_ours_lost(texts: sa.Subquery) -> sa.ColumnElement[bool]:
    """That it is a reply which did not arrive; one of no conversation has no thread to look at."""
    is_reply = (texts.c.direction == "outbound") & texts.c.conversation_id.is_not(None)
    return is_reply & is_lost(texts.c.status)


def _select_texts(period: Period) -> sa.Select[Any]:
    newest = _newest(period, TABLE.c.created_at, TABLE.c.error_code, TABLE.c.conversation_id)
    seconds = sa.extract("epoch", newest.c.created_at)
    quarter = seconds - seconds % sa.literal_column(str(QUARTER))
    code = sa.case((_is_ours_lost(newest), sa.func.coalesce(newest.c.error_code, "")))
    rows = sa.select(newest.c.direction, quarter.label("quarter"), code.label("code")).subquery()
    return sa.select(*rows.c, sa.func.count()).group_by(*rows.c)


# Built once: building a statement costs as much as running it.
TABLE = Message.__table__
