"""Which days something can mean: by today, by the limits of a question, and by its order."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import zip_longest

LEAP_YEARS = 8  # at most so far from one 29 February to the next
NEAR_YEARS = 10  # a year of two digits is one of these, if there are no limits
FIRST_YEAR, LAST_YEAR = 1900, 2100  # others only if a limit is there, too
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Days:
    """The days that something can mean: those that are likelier first, in tiers.

    Limits decide: of the first tier that has days inside them, those days are meant.
    """

    tiers: tuple[tuple[date, ...], ...]
    sort: str  # "weekday", "relative", "day" of a month, or "date"
    weekday: int | None = None  # that it must be
    months: tuple[int, ...] = ()  # and the year, for a day beside it that has none
    year: str | None = None
    day: int | None = None  # of a month that may be said beside it

    def map(self, change: Callable[[date], date | None]) -> "Days | None":
        """Other days that these lead to; None where there is none."""
        tiers = tuple(tuple(filter(None, map(change, tier))) for tier in self.tiers)
        return Days(tiers, "date") if any(tiers) else None

    def agree(self, other: "Days") -> "Days | None":
        """The days that both can mean; None without any that is likely."""
        if self.sort == "weekday" and self.weekday is not None:
            return replace(other, weekday=self.weekday)
        if other.sort == "weekday" and other.weekday is not None:
            return replace(self, weekday=other.weekday)
        theirs = {day for tier in other.tiers for day in tier}
        tiers = tuple(tuple(day for day in tier if day in theirs) for tier in self.tiers)
        return replace(self, tiers=tiers) if any(tiers) else None


def union(found: Iterable[Days]) -> tuple[tuple[date, ...], ...]:
    """The tiers of several, put together."""
    tiers = zip_longest(*(days.tiers for days in found), fillvalue=())
    return tuple(tuple(dict.fromkeys(day for part in tier for day in part)) for tier in tiers)


@dataclass(frozen=True)
class Calendar:
    """What days are reckoned by."""

    local_date: date
    earliest: date | None = None
    latest: date | None = None
    orders: tuple[bool, ...] = (True,)  # whether the day comes first: both where that is not known

    @property
    def has_limits(self) -> bool:
        """Whether the question has any."""
        return self.earliest is not None or self.latest is not None

    def is_inside(self, day: date) -> bool:
        """Whether a day is inside the limits."""
        is_early = self.earliest is not None and day < self.earliest
        return not is_early and (self.latest is None or day <= self.latest)

    def days_meant(self, days: Days) -> list[date]:
        """The days that are meant; none where no day is inside the limits."""
        for tier in days.tiers:
            if inside := sorted(filter(self.is_inside, tier)):
                wanted = days.weekday
                return [day for day in inside if wanted is None or day.weekday() == wanted]
        return []

    # From parts ##############################################################

    def complete(self, parts: Iterable[tuple[int, int]], year: str | None) -> Days | None:
        """What a month with a day of it means, or one of several such pairs; None for no day.

        The year has two digits or four, or is left out.
        """
        found = {pair: tiers for pair in parts if any(tiers := self._tiers(*pair, year))}
        if not found:
            return None
        tiers = union(Days(each, "date") for each in found.values())
        months = tuple(month for month, _ in found)
        return Days(tiers, "date", months=months, year=year)

    def _tiers(self, month: int, day: int, year: str | None) -> tuple[tuple[date, ...], ...]:
        if year is None:
            return self._nearest(month, day, 1), self._nearest(month, day, -1)
        return (tuple(_existing((number, month, day) for number in self._years(year))),)

    def _years(self, written: str) -> list[int]:
        if len(written) != 2:
            years = [int(written)]
        else:
            years = [100 * century + int(written) for century in (18, 19, 20, 21)]
        years = [year for year in years if self._is_usual(year)]
        near = [year for year in years if abs(year - self.local_date.year) <= NEAR_YEARS]
        return near if near and len(written) == 2 and not self.has_limits else years

    def _is_usual(self, year: int) -> bool:
        first = min(FIRST_YEAR, self.earliest.year if self.earliest else FIRST_YEAR)
        last = max(LAST_YEAR, self.latest.year if self.latest else LAST_YEAR)
        return first <= year <= last

    def _nearest(self, month: int, day: int, step: int) -> tuple[date, ...]:
        """This day of the year: the next one from today on, or the last one before."""
        years = range(self.local_date.year, self.local_date.year + step * (LEAP_YEARS + 1), step)
        days = _existing((year, month, day) for year in years)
        return tuple(day for day in days if (day >= self.local_date) == (step > 0))[:1]

    def day_of_month(self, day: int) -> Days | None:
        """The next such day, or the last one; on that very day it can be the next, too."""
        ahead = [found for found in self._days_of_months(day, 1) if found >= self.local_date]
        behind = [found for found in self._days_of_months(day, -1) if found < self.local_date]
        first = ahead[: 2 if ahead[:1] == [self.local_date] else 1]
        tiers = (tuple(first), tuple(behind[:1]))
        return Days(tiers, "day", day=day) if any(tiers) else None

    def _days_of_months(self, day: int, step: int) -> list[date]:
        firsts = (add_months(self.local_date.replace(day=1), step * number) for number in range(13))
        return list(_existing((first.year, first.month, day) for first in firsts))

    def in_month(self, months_on: int, day: int) -> Days | None:
        """A day of this month, the next one and so on."""
        first = add_months(self.local_date.replace(day=1), months_on)
        found = tuple(_existing([(first.year, first.month, day)]))
        return Days((found,), "date") if found else None

    # Weekdays ################################################################

    def _coming(self, weekday: int) -> date:
        return self.local_date + timedelta(days=(weekday - self.local_date.weekday() - 1) % 7 + 1)

    def weekday(self, weekday: int) -> Days:
        """The coming one; on that very day it is today, or in a week."""
        coming = self._coming(weekday)
        is_today = weekday == self.local_date.weekday()
        first = (self.local_date, coming) if is_today else (coming,)
        last = coming - WEEK - WEEK * is_today
        return Days((first, (last,)), "weekday", weekday)

    def coming_weekday(self, weekday: int) -> Days:
        """The first one after today."""
        return Days(((self._coming(weekday),),), "relative")

    def next_weekday(self, weekday: int) -> Days:
        """The coming one if that is in another week; else it can be the one after, too."""
        coming = self._coming(weekday)
        is_this_week = coming - self._monday() < WEEK
        return Days(((coming, coming + WEEK) if is_this_week else (coming,),), "relative")

    def last_weekday(self, weekday: int) -> Days:
        """The one before today if that is in another week; else it can be the one before, too."""
        last = self.local_date - timedelta(days=(self.local_date.weekday() - weekday - 1) % 7 + 1)
        is_this_week = last >= self._monday()
        return Days(((last - WEEK, last) if is_this_week else (last,),), "relative")

    def weekday_of_week(self, weekday: int, weeks_on: int) -> Days:
        """The one of this week, of the next and so on."""
        return Days(((self._monday() + weeks_on * WEEK + timedelta(days=weekday),),), "relative")

    def weekday_of_month(
        self, which: int, weekday: int, month: int, year: str | None
    ) -> Days | None:
        """The first, second and so on of a month, or with 0 the last."""
        found: list[date] = []
        for number in self._two(year):
            days = [day for day in _month(number, month) if day.weekday() == weekday]
            found += days[which - 1 : which] if which else days[-1:]
        return self._first_ahead(found, year)

    def last_of_month(self, month: int, year: str | None) -> Days | None:
        """The last day of a month."""
        return self._first_ahead([_month(number, month)[-1] for number in self._two(year)], year)

    def _two(self, year: str | None) -> list[int]:
        return self._years(year) if year else [self.local_date.year, self.local_date.year + 1]

    def _first_ahead(self, found: list[date], year: str | None) -> Days | None:
        ahead = [day for day in found if year or day >= self.local_date]
        return Days((tuple(ahead[:1]),), "date") if ahead else None

    def _monday(self) -> date:
        return self.local_date - timedelta(days=self.local_date.weekday())


def _month(year: int, month: int) -> list[date]:
    return list(_existing((year, month, day) for day in range(1, 32)))


def _existing(parts: Iterable[tuple[int, int, int]]) -> Iterator[date]:
    for year, month, day in parts:
        with suppress(ValueError):
            yield date(year, month, day)


def add_days(day: date, number: int) -> date | None:
    """So many days on, or back; None beyond the calendar."""
    try:
        return day + timedelta(days=number)
    except OverflowError:
        return None


def add_months(day: date, number: int) -> date | None:
    """The same day so many months on, or back; None where that month has no such day."""
    year, month = divmod(day.year * 12 + day.month - 1 + number, 12)
    return next(_existing([(year, month + 1, day.day)]), None)
