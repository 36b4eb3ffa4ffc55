"""A place: shared from WhatsApp or RCS, a pin on a map, or coordinates."""

import re
from collections.abc import Iterator, Sequence
from urllib.parse import SplitResult, parse_qs, urlsplit

from models.attachments import Location
from models.questionnaire.answers.kind import (
    MAX_READINGS,
    UNREAD,
    Kind,
    Options,
    ParseContext,
    Reading,
    read_as,
)
from models.questionnaire.choices.vocabulary import denies
from models.text import normalize, without_signature

DEGREES = r"[-+]?[0-9]{1,3}(?:\.[0-9]{1,15})?"
PAIR = re.compile(rf"(?:loc:)?({DEGREES}) ?, ?({DEGREES})")
# Without a map around them, only what nobody writes by chance.
COORDINATES = re.compile(r"([-+]?[0-9]{1,3}\.[0-9]{3,15})(?: ?, ?| )([-+]?[0-9]{1,3}\.[0-9]{3,15})")
MAX_COORDINATES = 60  # characters of a text that holds nothing else
LINK = re.compile(r"(?i)\b(?:https?://|geo:)[^\s<>\"]+")
GOOGLE = re.compile(r"(?:www\.|maps\.)?google\.(?:com|[a-z]{2}|com?\.[a-z]{2})")
APPLE = ("maps.apple.com",)
OPEN_STREET_MAP = ("www.openstreetmap.org", "openstreetmap.org")
PIN = re.compile(rf"!3d({DEGREES})!4d({DEGREES})")  # in Google's address of a place
IN_PATH = re.compile(rf"/maps/(?:place|search)/({DEGREES}),[+ ]?({DEGREES})(?:/|$)")
LABEL_IN_GEO = re.compile(r"\(.*$")


class LocationKind(Kind):
    """A place, kept as its latitude and longitude, and its label behind a blank if it has one."""

    documentation = "a shared place, or a link to a pin on a map; `lat,long` and its label are kept"
    retry = "Please share a place, or reply with a link to it on a map."
    sample = "52.51628,13.37770 Brandenburg Gate"
    max_length = 1600
    reads_attachments = True

    def read(
        self, question: Options, text: str, context: ParseContext, media: Sequence[str] = ()
    ) -> Reading:
        if context.message and (location := context.message.location):
            return read_as(write(location))
        return super().read(question, text, context, media)

    def parse(self, question: Options, text: str, context: ParseContext) -> Reading:
        text = without_signature(text)
        links = LINK.findall(text)
        if len(text) > MAX_COORDINATES and not links:
            return UNREAD
        if denies(LINK.sub(" ", text), context.language):
            return UNREAD
        if not links:
            found = COORDINATES.fullmatch(_without_brackets(text))
            return read_as(_checked(found[1], found[2]) if found else None)
        return read_as(*map(_of_link, links[: MAX_READINGS + 1]))


def _without_brackets(text: str) -> str:
    """Coordinates without what stands around them, but with their sign."""
    return re.sub(r"^[^-+0-9]+|[^0-9]+$", "", normalize(text))


def write(location: Location) -> str | None:
    """A place as a value; None if it is nowhere."""
    coordinates = _checked(location.latitude, location.longitude)
    label = " ".join(location.label.split())
    return f"{coordinates} {label}".rstrip() if coordinates else None


def _checked(latitude: str, longitude: str) -> str | None:
    """The coordinates as they are kept; None if they are nowhere on earth."""
    if abs(float(latitude)) > 90 or abs(float(longitude)) > 180:
        return None
    return f"{latitude.removeprefix('+')},{longitude.removeprefix('+')}"


def _of_link(link: str) -> str | None:
    """The pin that a link shows; a link to what is in view, or a short one, shows none."""
    try:
        parts = urlsplit(link.rstrip(".,;:!?)]}'’”*"))
        host = (parts.hostname or "").lower()
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    except ValueError:
        return None
    pins = (PAIR.fullmatch(pin.strip()) for pin in _written_pins(parts, host, query))
    found = next(filter(None, pins), None)
    return _checked(found[1], found[2]) if found else None


def _written_pins(parts: SplitResult, host: str, query: dict[str, str]) -> Iterator[str]:
    """Where a pin would be written in a link, the surest first."""
    if parts.scheme.lower() == "geo":
        yield LABEL_IN_GEO.sub("", query.get("q", ""))
        yield parts.path.partition(";")[0] if "q" not in query else ""
    elif GOOGLE.fullmatch(host):
        found = PIN.search(parts.path) or IN_PATH.match(parts.path)
        yield f"{found[1]},{found[2]}" if found else ""
        yield from (query.get(name, "") for name in ("q", "query", "destination", "daddr"))
    elif host in APPLE:
        yield from (query.get(name, "") for name in ("coordinate", "ll", "q", "daddr"))
    elif host in OPEN_STREET_MAP:
        yield f"{query.get('mlat', '')},{query.get('mlon', '')}"


KIND = LocationKind()
