"""What a poster for a questionnaire says, and the links in its QR codes."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import phonenumbers
import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.message import Message
from models.questionnaire.schema import Questionnaire
from models.reports.context import NotFound, PageContext
from storage.base import Statement
from storage.unreadable import unreadable_rows

LATEST = 100  # texts among which our numbers are looked for
WHATSAPP = "whatsapp:"


class Way(NamedTuple):
    """One way to text: a number, and a link that opens it on a phone with the text in it."""

    app: str
    number: str
    link: str


class Poster(NamedTuple):
    """A questionnaire as guests are told of it."""

    title: str
    event: str | None  # None: any text opens it
    ways: list[Way]
    zone: str


def find_poster(db: Session, context: PageContext, name: str) -> Poster:
    """The poster of a questionnaire in use. NotFound for any other name.

    If its file names no number, those count that guests have texted lately.
    """
    found: Questionnaire | None = dict(context.catalog).get(name)
    if found is None:
        raise NotFound
    numbers = found.to or find_numbers(db)
    ways = [way for number in numbers for way in find_ways(number, found.event)]
    return Poster(found.title, found.event, ways, found.timezone)


def find_numbers(db: Session) -> list[str]:
    """Our numbers that were texted last."""
    rows = LATEST_NUMBERS.fetch_readable(db, unreadable_rows(db).add)
    return sorted({number for _, number in rows})


def find_ways(number: str, event: str | None) -> Iterator[Way]:
    """The way to text one of our numbers, if phones have a link for its channel."""
    digits = number.removeprefix(WHATSAPP)
    if number.startswith(WHATSAPP) and digits.removeprefix("+").isdigit():
        yield Way("WhatsApp", spaced(digits), whatsapp_link(digits, event))
    elif ":" not in number:
        yield Way("Text message", spaced(number), sms_link(number, event))


def sms_link(number: str, event: str | None) -> str:
    """A link that phones open as a text that is only to be sent.

    RFC 5724 separates the body by ?, as Android reads it: Chromium looks for `body=` between the
    &s behind it (ExternalNavigationHandler). Messages on an iPhone takes &, which Apple does not
    document (flutter/flutter#18823). Both take ?& (LivePersonInc/developer-center#228). A + would
    be a blank to some.
    """
    body = f"?&body={quote(event, safe='')}" if event else ""
    return f"sms:{quote(number, safe='+')}{body}"


def whatsapp_link(number: str, event: str | None) -> str:
    """The same for WhatsApp: the number without +, as its FAQ "How to use click to chat" has it."""
    text = f"?text={quote(event, safe='')}" if event else ""
    return f"https://wa.me/{number.removeprefix('+')}{text}"


def spaced(number: str) -> str:
    """A number with blanks as people write it, if it is one."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    style = phonenumbers.PhoneNumberFormat.INTERNATIONAL
    return phonenumbers.format_number(parsed, style)


# Built once: building a statement costs as much as running it.
TABLE = Message.__table__
LATEST_NUMBERS = Statement(
    sa.select(TABLE.c.id, TABLE.c.recipient)
    .where(TABLE.c.direction == sa.literal_column("'inbound'"))
    .order_by(TABLE.c.id.desc())
    .limit(sa.literal_column(str(LATEST)))
)
