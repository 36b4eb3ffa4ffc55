"""What comes with a text besides its words: media and shared places, in Twilio's fields."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

MEDIA = range(10)  # that one message can bring
MAX_LABEL = 200  # characters
DEGREES = re.compile(r"-?[0-9]{1,3}(\.[0-9]{1,20})?")


class Medium(NamedTuple):
    """The address under which Twilio keeps something, and its content type, like image/jpeg."""

    url: str
    type: str


class Location(NamedTuple):
    """A place that somebody shares: degrees in digits, and what it is called, or nothing."""

    latitude: str
    longitude: str
    label: str = ""


def read_media(fields: Mapping[str, Any]) -> list[Medium]:
    """All media, in their order; a type is empty where it is missing."""
    if "MediaUrl0" not in fields:
        return []
    names = ((f"MediaUrl{n}", f"MediaContentType{n}") for n in MEDIA)
    media = (Medium(_text(fields, url), _text(fields, type)) for url, type in names)
    return [medium for medium in media if medium.url]


def read_location(fields: Mapping[str, Any]) -> Location | None:
    """The place that somebody shares, on a channel that can: WhatsApp or RCS."""
    latitude, longitude = _text(fields, "Latitude"), _text(fields, "Longitude")
    if not DEGREES.fullmatch(latitude) or not DEGREES.fullmatch(longitude):
        return None
    label = _text(fields, "Label") or _text(fields, "Address")
    return Location(latitude, longitude, " ".join(label.split())[:MAX_LABEL])


def web_address(url: str) -> str | None:
    """A URL that a page may lead to: guests' programs and operators may have written another."""
    return url if re.match("https?://", url) else None


def _text(fields: Mapping[str, Any], name: str) -> str:
    """The value of a field that came once: a list is of one that came more often."""
    value = fields.get(name)
    return value if isinstance(value, str) else ""
