"""Twilio's requests: what it signed, as an IncomingText or a StatusReport.

Nothing here needs a web framework: a request is its WSGI environ.
"""

import hmac
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping
from http.cookies import SimpleCookie
from itertools import chain
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import parse_qsl, unquote_to_bytes, urlsplit

import msgspec
from twilio.request_validator import add_port, remove_port

from models.attachments import read_location, read_media
from models.text import IncomingText

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_BODY = 64 * 1024
MAX_FIELDS = 200
COOKIE = "conversation"
COOKIE_SECONDS = 4 * 60 * 60  # Twilio keeps no cookie longer
MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
STATUS = re.compile("[a-z_]+")
SINGLE_FIELDS = ("MessageSid", "AccountSid", "From", "To", "Body", "MessageStatus")
# A number, or what another channel has for one; and the name that a sender of SMS may have instead,
# of 11 characters at most. A name that holds From and a number was cut from two fields.
ADDRESS = re.compile(r"([a-z]+:)?\+?[0-9]+|[a-z]+:[^+0-9].*")
NAME = re.compile(r"(?!\+|[0-9]{5}|.*From[+0-9]).{1,11}")
EXTERNAL_ID_FIELD = "ExternalUserId"
EXTERNAL_ID = re.compile(r"whatsapp:[A-Z]{2}\.[A-Za-z0-9]{1,128}")
GEO_FIELDS = ("City", "State", "Zip", "Country")
# WhatsApp replies have an OriginalRepliedMessageSid: cut there, the real one is in another field.
EMBEDDED_SID = re.compile(r"MessageSid(SM|MM)[0-9a-f]{32}.", re.DOTALL)
EMBEDDED_LENGTH = len("MessageSid") + 34 + 1

Environ = Mapping[str, Any]


class RequestRejected(Exception):
    """A request that is not Twilio's, or not as Twilio sends them.

    `reason` is for the log only, and holds nothing that a stranger sent.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class StatusReport(NamedTuple):
    """What became of a reply of ours: what names its row, and what Twilio says of it."""

    message_id: int
    token: str | None  # none where the reply went out before there were tokens
    sid: str
    sender: str
    recipient: str
    status: str
    error_code: str | None


class Form(dict[str, str]):
    """The fields of a request by name, each with its last value; `fields` are all that came."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        super().__init__(fields)
        self.fields = fields
        self.repeated: set[str] = set()  # the names of those that came more than once
        if len(self) < len(fields):
            counts = Counter(name for name, _ in fields)
            self.repeated.update(name for name, count in counts.items() if count > 1)

    def getall(self, name: str) -> list[str]:
        """All values of a field."""
        return [value for each, value in self.fields if each == name]

    def as_json(self) -> str:
        """All fields: a value, or a list where a field came more than once."""
        values = self | {name: self.getall(name) for name in self.repeated}
        return msgspec.json.encode(values).decode()


class Webhook:
    """The two addresses that Twilio calls, for one account."""

    def __init__(self, account_sid: str, auth_tokens: tuple[str, ...], public_url: str) -> None:
        self._account_sid = account_sid
        self._keys = [token.encode() for token in auth_tokens]
        # Twilio signs a URL with its port or without it, whichever we have set.
        address = urlsplit(public_url)
        self._addresses = (remove_port(address), add_port(address))

    def incoming_text(self, environ: Environ) -> IncomingText:
        """The text of a request to /sms; RequestRejected if Twilio did not send it."""
        form = self.verified_form(environ)
        if "Body" not in form and may_hide_body(form):
            raise RequestRejected(403, "the Body may be in another field")
        # Most texts bring neither, and here that is seen at once.
        media = read_media(form) if "MediaUrl0" in form else []
        return IncomingText(
            sid=form.get("MessageSid"),
            sender=form.get("From"),
            number=form.get("To"),
            body=form.get("Body", ""),  # an MMS or a shared place may come without one
            media=tuple(medium.url for medium in media),
            media_types=tuple(medium.type for medium in media),
            location=read_location(form) if "Latitude" in form else None,
            opt_out_type=None if "OptOutType" in form.repeated else form.get("OptOutType"),
            cookie=read_cookie(environ.get("HTTP_COOKIE", "")),
            status=form.get("SmsStatus"),
            params=form.as_json(),
            external_id=read_external_id(form),
        )

    def status_report(self, environ: Environ) -> StatusReport:
        """The report of a request to /sms/status; RequestRejected if it is about no reply."""
        form = self.verified_form(environ, "MessageStatus")
        query = dict(parse_qsl(environ.get("QUERY_STRING", ""), keep_blank_values=True))
        message_id, status = query.get("message", ""), form.get("MessageStatus")
        if not message_id.isdecimal() or len(message_id) > 18 or not STATUS.fullmatch(status):
            raise RequestRejected(403, "names no message of ours, or no status")
        return StatusReport(
            message_id=int(message_id),
            token=query.get("token"),
            sid=form.get("MessageSid"),
            sender=form.get("From"),
            recipient=form.get("To"),
            status=status,
            error_code=form.get("ErrorCode"),
        )

    def verified_form(self, environ: Environ, *required: str) -> Form:
        """The fields that Twilio sent and signed; RequestRejected for anything else.

        The signature runs names and values together, so that fields can be cut differently under
        the same one. Hence the fields that we rely on must be there, once each and well-formed.
        Where the Body begins and ends cannot be told: people may text anything, names of fields
        included.
        """
        form = parse_form(read_body(environ))
        if not self.is_signed(environ, form):
            raise RequestRejected(403, "the signature does not match")
        if form.get("AccountSid") != self._account_sid:
            raise RequestRejected(403, "the AccountSid is not ours")
        if reason := rejection_reason(form, required):
            raise RequestRejected(403, reason)
        return form

    def is_signed(self, environ: Environ, form: Form) -> bool:
        """What twilio's RequestValidator says, in a quarter of the time."""
        signature = environ.get("HTTP_X_TWILIO_SIGNATURE", "").encode(errors="replace")
        # Every one is tried: which one fits must not show in the time it takes.
        fits = [hmac.compare_digest(signature, each) for each in self._signatures(environ, form)]
        return any(fits)

    def _signatures(self, environ: Environ, form: Form) -> Iterator[bytes]:
        query = environ.get("QUERY_STRING", "")
        # The path as it came: Bottle takes the bytes that are not UTF-8 out of PATH_INFO.
        path = environ.get("bottle.raw_path", environ.get("PATH_INFO", ""))
        fields = "".join(chain.from_iterable(sorted(set(form.fields))))
        signed = path + (f"?{query}" if query else "") + fields
        for address in self._addresses:
            message = (address + signed).encode()
            yield from (b64encode(hmac.digest(key, message, "sha1")) for key in self._keys)


def rejection_reason(form: Form, required: tuple[str, ...]) -> str | None:
    """Why a form that is signed is still no message to us, as Twilio sends them."""
    if not MESSAGE_SID.fullmatch(form.get("MessageSid") or ""):
        return "the MessageSid is malformed"
    if not all(name in form for name in required):
        return "a field is missing"
    if not is_sender(form) or not ADDRESS.fullmatch(form.get("To") or ""):
        return "From or To is missing, or no address"
    if not form.repeated.isdisjoint(SINGLE_FIELDS):
        return "a field is there twice"
    if any(EMBEDDED_SID.search(each) for each in long_fields(form)):
        return "the MessageSid is of another message"
    return None


def long_fields(form: Form) -> list[str]:
    """The few fields with room for an EMBEDDED_SID besides the Body, as they are signed."""
    return [
        name + value
        for name, value in form.fields
        if len(name) + len(value) >= EMBEDDED_LENGTH and name != "Body"
    ]


def may_hide_body(form: Form) -> bool:
    """Whether a form without a Body can be one with a Body that was cut differently.

    Fields are signed in the order of their names, so a hidden Body is before From.
    """
    before = "".join(name + value for name, value in sorted(form.fields) if name < "From")
    return "Body" in before


def read_external_id(form: Form) -> str | None:
    """What WhatsApp calls a sender besides their number; it may also stand in its place.

    It decides whose text this is, so nobody may cut it from a Body. Twilio sends it with all texts
    from WhatsApp: where one was cut from the Body, the real one is in a field behind it.
    """
    sender = form.get("From") or ""
    if not sender.startswith("whatsapp:"):
        return None
    if EXTERNAL_ID.fullmatch(sender):
        return sender
    ids = [field for field in form.fields if field[0].startswith(EXTERNAL_ID_FIELD)]
    if len(ids) != 1:
        return None
    ((name, id),) = ids
    return id if name == EXTERNAL_ID_FIELD and EXTERNAL_ID.fullmatch(id) else None


def is_sender(form: Form) -> bool:
    """Whether From is one, whole: it may run into the next field, or be the rest of FromCity."""
    sender = form.get("From") or ""
    if ADDRESS.fullmatch(sender):
        return True
    is_rest = any(sender.startswith(name) and f"From{name}" not in form for name in GEO_FIELDS)
    return bool(NAME.fullmatch(sender)) and not is_rest


def read_body(environ: Environ) -> bytes:
    """The raw body; nothing is read of one that says it is too long, or does not say it."""
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise RequestRejected(415, "not a form")
    length = environ.get("CONTENT_LENGTH", "")
    if not length and is_chunked(environ):
        return read_chunks(environ["wsgi.input"])
    if not length.isdecimal():
        raise RequestRejected(411, "no Content-Length")
    if int(length) > MAX_BODY:
        raise RequestRejected(413, "too long")
    return environ["wsgi.input"].read(int(length))


def is_chunked(environ: Environ) -> bool:
    """Whether the length is unknown, and the server ends the stream where the body ends."""
    coding = environ.get("HTTP_TRANSFER_ENCODING", "").strip().lower()
    return coding == "chunked" and environ.get("wsgi.input_terminated") is True


def read_chunks(stream: BinaryIO) -> bytes:
    """A body of unknown length; what is too long is read no further."""
    body = b""
    while piece := stream.read(MAX_BODY + 1 - len(body)):
        body += piece
        if len(body) > MAX_BODY:
            raise RequestRejected(413, "too long")
    return body


def parse_form(body: bytes) -> Form:
    """Parse strictly: what cannot be decoded is rejected, not replaced."""
    try:
        fields = body.decode("ascii").replace("+", " ").split("&") if body else []
        if len(fields) > MAX_FIELDS:
            raise ValueError
        return Form([parse_field(field) for field in fields])
    except ValueError:
        raise RequestRejected(400, "not a well-formed form") from None


def parse_field(field: str) -> tuple[str, str]:
    """As parse_qsl does, strictly, in a third of the time; ValueError if it is malformed."""
    name, equals, value = field.partition("=")
    if not equals:
        raise ValueError
    if "%" not in field:
        return name, value
    return unquote_to_bytes(name).decode(), unquote_to_bytes(value).decode()


def read_cookie(header: str) -> str | None:
    """Ours among the cookies. The standard library reads none of them when one is malformed."""
    found = None
    for part in header.split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            found = value
    return found


def write_cookie(token: str, *, is_secure: bool) -> str:
    """The header that sets ours, as Bottle would write it in four times the time."""
    _, value = SimpleCookie().value_encode(token)
    end = "; Secure" if is_secure else ""
    return f"{COOKIE}={value}; HttpOnly; Max-Age={COOKIE_SECONDS}; Path=/{end}"
