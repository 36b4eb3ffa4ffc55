"""What an operator asks a page for."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple, Self
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from models.console.action import Operator, OperatorAction
from models.contact import People
from models.questionnaire.catalog import Catalog

MAX_FIELDS = 500
MAX_ID = 2**63 - 1
# What no text has that is searched for; PostgreSQL cannot even be asked for the first.
CONTROLS = dict.fromkeys([*range(32), 127])
CONTROLS_IN_LINES = {each: None for each in CONTROLS if chr(each) not in "\t\r\n"}


def known_zone(name: str) -> ZoneInfo:
    """A time zone; UTC where somebody has edited its name to one that is unknown."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


def in_zone(time: datetime, zone: ZoneInfo) -> datetime:
    """A time by the clocks of a zone; by those of UTC where the calendar ends before."""
    try:
        return time.astimezone(zone)
    except OverflowError:
        return time.astimezone(UTC)


class NotFound(LookupError):
    """There is no row, or no file, at the address that was asked for."""


class OddFilter(ValueError):
    """A filter that makes no sense, where nobody would see that it is left out.

    The message is a sentence for the operator, with nothing in it that was sent.
    """


class Query:
    """The fields of a form, or behind the question mark of an address.

    What makes no sense there counts as absent: filters are typed by hand, and old links kept.
    """

    def __init__(self, fields: Iterable[tuple[str, str]] = (), is_too_long: bool = False) -> None:
        self._fields = [(name, value) for name, value in fields if value]
        self.is_too_long = is_too_long  # and so none of its fields was read

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read it; of too many fields none."""
        try:
            found = parse_qsl(text, errors="replace", max_num_fields=MAX_FIELDS)
        except ValueError:
            return cls(is_too_long=True)
        return cls((name.translate(CONTROLS), value.translate(CONTROLS)) for name, value in found)

    @classmethod
    def of_form(cls, fields: Iterable[tuple[str, str]]) -> Self:
        """The fields of a form, whose values may have several lines."""
        return cls((name, value.translate(CONTROLS_IN_LINES)) for name, value in fields)

    def value(self, name: str) -> str:
        """The last value of a field, without spaces around it; "" if there is none."""
        found = self.values(name)
        return found[-1] if found else ""

    def values(self, name: str) -> list[str]:
        """All values of a field."""
        return [value.strip() for each, value in self._fields if each == name]

    def behind(self, prefix: str) -> list[tuple[str, str]]:
        """The rest of the name, and the value, of all fields whose names begin so."""
        found = [field for field in self._fields if field[0].startswith(prefix)]
        return [(name.removeprefix(prefix), value.strip()) for name, value in found]

    def choice(self, name: str, known: Iterable[str]) -> str:
        """The value if it is one of these, else ""."""
        value = self.value(name)
        return value if value in known else ""

    def id(self, name: str) -> int | None:
        """A number that the database can hold, from 0 on."""
        value = self.value(name)
        if not (value.isascii() and value.isdigit() and len(value) < 20):
            return None
        return number if (number := int(value)) <= MAX_ID else None

    def day(self, name: str) -> date | None:
        """A day like 2026-11-20."""
        try:
            return date.fromisoformat(self.value(name))
        except ValueError:
            return None

    def without(self, name: str) -> Self:
        """The same without the fields of this name."""
        return type(self)((field for field in self._fields if field[0] != name), self.is_too_long)

    def address(self, **changes: object) -> str:
        """The same with other values, as in an address: "?state=open"; None leaves a field out.

        What an operator has done is said once.
        """
        fields = [(name, value) for name, value in self._fields if name not in (*changes, "done")]
        fields += [(name, str(value)) for name, value in changes.items() if value not in (None, "")]
        return f"?{urlencode(fields)}"


class PageContext(NamedTuple):
    """What a page is made for, besides the rows of the database."""

    query: Query  # of the address; of the form, if something is to be done
    catalog: Catalog
    people: People
    now: datetime
    operator: Operator

    @property
    def questionnaires(self) -> Mapping[str, str]:
        """The titles of the questionnaires in use, by name."""
        return {name: questionnaire.title for name, questionnaire in self.catalog}

    def with_true_outcome(self, db: Session, id: int | None = None, **_: object) -> Self:
        """The same, without `done` unless the operator has just done that, to the row of an id.

        Anybody can write an address that tells of what was never done.
        """
        done = self.query.value("done")
        if not done or OperatorAction.was_just_done(db, self.operator, done, id, self.now):
            return self
        return self._replace(query=self.query.without("done"))

    @property
    def zone(self) -> str:
        """The time zone of the page: that of the questionnaire asked for, else of the first."""
        wanted = self.query.value("questionnaire")
        zones = {name: questionnaire.timezone for name, questionnaire in self.catalog}
        return zones.get(wanted) or next(iter(zones.values()), "UTC")
