"""The limits of days and times in a questionnaire file: `earliest` and `latest`."""

from datetime import date, time, timedelta
from typing import Annotated

from msgspec import Meta

TIME = "([01][0-9]|2[0-3]):[0-5][0-9]"
# Both kinds have these lines, and a line has one type.
DayOrTime = Annotated[
    str, Meta(pattern=f"^([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}|today([+-][0-9]{{1,4}}d)?|{TIME})$")
]


def resolve_day(written: str | None, today: date) -> date | None:
    """The day that `earliest` or `latest` names: a date, or today and some days.

    ValueError if there is no such day.
    """
    if written is None:
        return None
    if written.startswith("today"):
        return today + timedelta(days=int(written[5:-1] or 0))
    return date.fromisoformat(written)


def resolve_time(written: str | None) -> time | None:
    """The time of day that `earliest` or `latest` names; ValueError if it names a day."""
    if written is None:
        return None
    if ":" not in written:
        raise ValueError(f"{written} is no time of day.")
    return time.fromisoformat(written)
