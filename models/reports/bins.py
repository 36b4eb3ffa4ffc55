"""Ranges of numbers, days and times of day that get a bar together, with readable bounds."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, time, timedelta
from decimal import ROUND_FLOOR, Decimal
from typing import Any, NamedTuple

MOST_BINS = 12  # of a histogram
MOST_DAYS = 31  # bars of days, or of weeks and so on
STEPS = (1, 2, 5)  # times a power of ten


class Bin(NamedTuple):
    """A bar's label, what a filter calls it, and the last value that is in it."""

    label: str
    wanted: str = ""
    last: Any = None


def show_number(number: Decimal) -> str:
    """A number with two decimal places at most."""
    shown = f"{number:,.2f}"
    return shown.rstrip("0").rstrip(".")


# Numbers ####################################################################


def number_bins(numbers: Collection[Decimal], listed: Sequence[Decimal] = ()) -> list[Bin]:
    """Bins of one width for all of these; a bin for each number that is listed, if they are few."""
    if listed and all(number in listed for number in numbers):
        return [_single(number) for number in listed]
    if len(set(numbers)) < 2:
        return [_single(number) for number in numbers]
    is_whole = all(number == number.to_integral_value() for number in numbers)
    step = next(_steps(min(numbers), max(numbers), is_whole))
    first, last = _floor(min(numbers), step), _floor(max(numbers), step)
    return [_between(n * step, step, is_whole) for n in range(first, last + 1)]


def _steps(least: Decimal, most: Decimal, is_whole: bool) -> Iterator[Decimal]:
    """The widths of bins that are readable and wide enough, the smallest first."""
    exponent = ((most - least) / MOST_BINS).adjusted()
    exponent = max(exponent, 0) if is_whole else exponent
    while True:
        for digit in STEPS:
            step = Decimal(digit).scaleb(exponent)
            if _floor(most, step) - _floor(least, step) < MOST_BINS:
                yield step
        exponent += 1


def _floor(number: Decimal, step: Decimal) -> int:
    return int((number / step).to_integral_value(ROUND_FLOOR))


def _single(number: Decimal) -> Bin:
    return Bin(show_number(number), f"{number:f}", number)


def _between(least: Decimal, step: Decimal, is_whole: bool) -> Bin:
    if is_whole:
        most = least + step - 1
        if step == 1:
            return _single(least)
        return Bin(f"{_plain(least)}–{_plain(most)}", f"{least:f}..{most:f}", most)
    after = least + step
    label = f"{_plain(least)} to under {_plain(after)}"
    return Bin(label, f"{least:f}..<{after:f}", after.next_minus())


def _plain(number: Decimal) -> str:
    """All its digits, and no zeros that say nothing."""
    shown = f"{number:,f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


# Days and times #############################################################


def day_bins(days: Collection[date]) -> list[Bin]:
    """A bin for each day from the first to the last; or for each week, month or so, if many."""
    if not days:
        return []
    for start, following, label in UNITS:
        bins = _calendar(min(days), max(days), start, following, label)
        if bins:
            return bins
    return []


def _calendar(
    first: date,
    last: date,
    start: Callable[[date], date],
    following: Callable[[date], date],
    label: Callable[[date], str],
) -> list[Bin]:
    """The bins from one day to another; none if they were too many."""
    bins, day = [], start(first)
    while day <= last and len(bins) < MOST_DAYS:
        try:
            after = following(day)
        except (ValueError, OverflowError):  # the end of the calendar
            after = None
        end = after - timedelta(days=1) if after else date.max
        wanted = day.isoformat() if day == end else f"{day.isoformat()}..{end.isoformat()}"
        bins.append(Bin(label(day), wanted, end))
        if after is None:
            return bins
        day = after
    return [] if day <= last else bins


def _years(count: int) -> tuple[Callable, Callable, Callable]:
    return (
        lambda day: date(max(day.year - day.year % count, 1), 1, 1),
        lambda day: date(day.year - day.year % count + count, 1, 1),
        lambda day: f"{day.year}" if count == 1 else f"from {day.year}",
    )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=31)).replace(day=1)


# How units of the calendar begin, which one follows, and what they are called.
UNITS = (
    (
        lambda day: day,
        lambda day: day + timedelta(days=1),
        lambda day: f"{day:%a} {day.day} {day:%b} {day.year}",
    ),
    (
        lambda day: date.fromordinal(max(day.toordinal() - day.weekday(), 1)),
        lambda day: day + timedelta(days=7 - day.weekday()),
        lambda day: f"week of {day.day} {day:%b} {day.year}",
    ),
    (lambda day: day.replace(day=1), _next_month, lambda day: f"{day:%B} {day.year}"),
    *(_years(count) for count in (1, 5, 10, 50, 100, 500)),
)


def hour_bins(times: Collection[time]) -> list[Bin]:
    """A bin for each hour from the first to the last."""
    if not times:
        return []
    return [
        Bin(f"{hour:02}:00–{hour:02}:59", f"{hour:02}:00..{hour:02}:59", time(hour, 59, 59, 999999))
        for hour in range(min(times).hour, max(times).hour + 1)
    ]
