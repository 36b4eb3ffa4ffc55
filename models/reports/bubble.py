"""A text of a thread: what it was read as, or what became of it, in words."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gateway.segments import measure
from models.attachments import Location, Medium, read_location, read_media, web_address
from models.message import LOST
from models.reports.explanations import (
    COOKIES,
    NOT_OPENED,
    READ_AS,
    explain_code,
    explain_status,
)

MEDIA = {"image": "A picture", "video": "A video", "audio": "A recording"}  # by type


class Given(NamedTuple):
    """An answer, and the text that gave it."""

    key: str
    question: str
    value: str | None
    text: str
    message_id: int
    was_skipped: bool
    address: str  # of that text

    @property
    def differs(self) -> bool:
        """Whether the text is something else than the value."""
        return bool(self.text) and self.text.strip() != self.value

    @property
    def outcome(self) -> str:
        """The value, or why there is none."""
        if self.value is not None:
            return self.value
        return "skipped" if self.was_skipped or not self.text else "could not be read"


class Attachment(NamedTuple):
    """What came with a text. It is at Twilio, and may need the account's token to be seen."""

    words: str  # what it is
    type: str  # the same for machines: image/jpeg
    url: str | None  # None for what is no web address


class Bubble(NamedTuple):
    """A text, in or out."""

    id: int
    is_inbound: bool
    body: str
    at: datetime
    media: list[Attachment]  # what came with it
    location: Location | None
    notes: list[str]  # what is said under it
    codes: list[str]  # the same in the words of machines
    answer: Given | None
    failure: str  # what became of a reply that did not arrive, and why
    params: dict[str, str]  # as Twilio sent them

    is_text = True

    @property
    def reading(self) -> str:
        """What the answer was read as, unless that is what it says."""
        outcome = self.answer.outcome if self.answer else ""
        return "" if outcome == self.body.strip() else outcome


class Row(NamedTuple):
    """A row of messages."""

    id: int
    direction: str
    body: str
    media: str | None
    read_as: str | None
    params: str | None
    cookie: str | None
    status: str | None
    error_code: str | None
    created_at: datetime


def make_bubble(message: Row, answers: Sequence[Given]) -> Bubble:
    """A text, with what is known of it."""
    is_inbound = message.direction == "inbound"
    answer = next((each for each in answers if each.message_id == message.id), None)
    fields = _read_params(message.params)
    encoding, segments = measure(message.body)
    if is_inbound:
        notes = _describe(message, answer)
        codes = [message.read_as or "not opened", f"cookie {message.cookie or 'unknown'}"]
    else:
        notes = [] if message.status in LOST else [explain_status(message.status)]
        notes.append(f"{segments} segment{'' if segments == 1 else 's'}")
        codes = [message.status or "no status", *filter(None, [message.error_code]), encoding]
    return Bubble(
        message.id,
        is_inbound,
        message.body,
        message.created_at,
        list(map(_describe_medium, read_media(fields))),
        read_location(fields),
        notes,
        codes,
        None if answer and answer.was_skipped else answer,
        "" if is_inbound else _describe_failure(message),
        {name: _as_text(value) for name, value in fields.items()},
    )


def _describe(message: Row, answer: Given | None) -> list[str]:
    """What a text was read as, unless it is the answer that is shown; and an odd cookie."""
    notes, read_as, cookie = [], message.read_as, message.cookie
    if answer is None or read_as == "perhaps_opt_out":
        notes.append(READ_AS.get(read_as, read_as) if read_as else NOT_OPENED)
    is_first = read_as == "opening" and cookie == "none"  # nobody has a cookie before
    if cookie not in (None, "matched") and not is_first:
        notes.append(COOKIES.get(cookie, f"cookie {cookie}"))
    return notes


def _describe_failure(message: Row) -> str:
    if message.status not in LOST:
        return ""
    parts = (explain_status(message.status), explain_code(message.error_code))
    return ": ".join(filter(None, parts))


def _describe_medium(medium: Medium) -> Attachment:
    words = MEDIA.get(medium.type.partition("/")[0], "A file")
    return Attachment(words, medium.type, web_address(medium.url))


def _read_params(params: str | None) -> dict[str, Any]:
    """The fields of the request; nothing of what somebody has edited into no JSON object."""
    try:
        found = msgspec.json.decode(params or "{}")
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
