"""smsconvo turns texts to a Twilio number into conversations.

It reads once, downwards: settings, application, trust, texts, results, health, command line.
Nothing here decides what a conversation is (`models/` does): it finds, calls one verb, and renders.
"""

import errno
import gc
import json
import logging
import logging.config
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64decode
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import TIMEOUT_MAX, Condition, Event, Thread, main_thread
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

import click
import msgspec
import requests
from bottle import Bottle, FormsDict, HTTPError, HTTPResponse, request, response
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from standardwebhooks import Webhook as StandardWebhook
from twilio.request_validator import RequestValidator
from twilio.twiml.messaging_response import MessagingResponse
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import HTTPResponse as HTTPClientResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as HTTPClientError
from urllib3.exceptions import LocationValueError

from models import (
    Contact,
    Conversation,
    Database,
    Delivery,
    InvalidQuestionnaire,
    Message,
    People,
    Questionnaire,
    Questionnaires,
    receive,
)
from models.database import TOGETHER, may_pass, migrating
from models.delivery import AT_ONCE, GONE
from models.mistakes import Finding, is_web_address
from models.plan import find_plans
from models.replay import Recording, find_ids, find_recordings
from models.replay import load as load_recording
from models.replay import replay as replay_recording
from models.sheet import Cost, Sheet
from models.transfer import NEW_ONE, Tally, Transfer
from phone import Phone, TwilioError, measure

if TYPE_CHECKING:
    from alembic.config import Config

__version__ = "0.1.0"

HERE = Path(__file__).resolve().parent
Clock = Callable[[], datetime]


def utcnow() -> datetime:
    return datetime.now(UTC)


def clock_of(database: Database) -> Clock:
    """The database's own clock, where machines share one; else that of this machine."""
    return lambda: database.tell_time() or utcnow()


###############################################################################
# Settings ####################################################################
###############################################################################


class SettingsError(ValueError):
    """A setting is missing or bad: one sentence that names it and the cure."""


@dataclass(frozen=True)
class Settings:
    """What the environment says; each field but the last two is one variable."""

    database_url: str = "sqlite:///smsconvo.db"
    account_sid: str = ""
    auth_tokens: tuple[str, ...] = ()
    public_url: str = ""
    listen: tuple[str, int] = ("127.0.0.1", 8080)
    questionnaires: Path = Path("questionnaires")
    people: Path = Path("people.toml")
    webhook_secrets: tuple[str, ...] = ()
    allow_private_receivers: bool = False
    results_to: str | None = None  # only `serve --results-to` sets it,
    workers: int = 1  # and `serve --workers` this

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read what is set; SettingsError for what is wrong. `for_serving` says what is missing."""
        read = partial(_variable, environ)
        return cls(
            database_url=read("DATABASE_URL", cls.database_url),
            account_sid=_account_sid(read("TWILIO_ACCOUNT_SID")),
            auth_tokens=_auth_tokens(read("TWILIO_AUTH_TOKEN")),
            public_url=_public_url(read("SMSCONVO_PUBLIC_URL")),
            listen=_listen(read("SMSCONVO_LISTEN", "127.0.0.1:8080")),
            questionnaires=Path(read("SMSCONVO_QUESTIONNAIRES", "questionnaires")),
            people=Path(read("SMSCONVO_PEOPLE", "people.toml")),
            webhook_secrets=_webhook_secrets(read("SMSCONVO_WEBHOOK_SECRET")),
            allow_private_receivers=_allow_private(read("SMSCONVO_ALLOW_PRIVATE_RECEIVERS")),
        )

    @property
    def on_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    def for_serving(self) -> "Settings":
        if not self.account_sid:
            raise SettingsError("TWILIO_ACCOUNT_SID is not set. Copy it from the Twilio console.")
        if not self.auth_tokens:
            raise SettingsError("TWILIO_AUTH_TOKEN is not set. Copy it from the Twilio console.")
        if not self.public_url:
            raise SettingsError(
                "SMSCONVO_PUBLIC_URL is not set. Set it to the address that Twilio calls,"
                " like https://sms.example.org."
            )
        return self


def _variable(environ: Mapping[str, str], name: str, default: str = "") -> str:
    """The variable; else the file that NAME_FILE names; else systemd's credential of that name."""
    if name in environ:
        return environ[name]
    credential = Path(environ.get("CREDENTIALS_DIRECTORY", os.devnull), name)
    path = environ.get(f"{name}_FILE") or (credential if credential.is_file() else None)
    if path is None:
        return default
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, ValueError) as error:
        raise SettingsError(f"{name}: the file {path} cannot be read: {error}.") from None


def _account_sid(value: str) -> str:
    if value and not re.fullmatch(r"AC[0-9a-f]{32}", value):
        raise SettingsError("TWILIO_ACCOUNT_SID is not AC and 32 hex digits. Copy it whole.")
    return value


def _several(value: str) -> tuple[str, ...]:
    """While a secret is rotated, the old one and the new one, separated by commas."""
    return tuple(one.strip() for one in value.split(",")) if value else ()


def _auth_tokens(value: str) -> tuple[str, ...]:
    tokens = _several(value)
    if any(len(token) < 32 for token in tokens):
        raise SettingsError(
            "TWILIO_AUTH_TOKEN holds a token of fewer than 32 characters. Copy it whole;"
            " separate several with commas."
        )
    return tokens


def _webhook_secrets(value: str) -> tuple[str, ...]:
    secrets = _several(value)
    for secret in secrets:
        try:
            key = b64decode(secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise SettingsError(
                "SMSCONVO_WEBHOOK_SECRET is not whsec_ and 24 to 64 bytes in base64. Make one:"
                " echo whsec_$(openssl rand -base64 32); separate several with commas."
            )
    return secrets


def _allow_private(value: str) -> bool:
    if value not in ("", "0", "1"):
        raise SettingsError(
            "SMSCONVO_ALLOW_PRIVATE_RECEIVERS is neither 1 nor 0. Set it to 1, or leave it out."
        )
    return value == "1"


def _public_url(value: str) -> str:
    """Without the slash and the fragment at its end, neither of which Twilio signs for us."""
    if value and ("@" in value or not is_web_address(value)):
        raise SettingsError(
            "SMSCONVO_PUBLIC_URL is not a web address. Set it to what Twilio calls,"
            " like https://sms.example.org."
        )
    return urlsplit(value)._replace(query="", fragment="").geturl().rstrip("/")


def _listen(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
        if not 0 < int(port) < 65536:
            raise ValueError
    except ValueError:
        raise SettingsError(
            "SMSCONVO_LISTEN is not IP-ADDRESS:PORT. Set it to one, like 127.0.0.1:8080."
        ) from None
    return str(address), int(port)


###############################################################################
# Application #################################################################
###############################################################################


class App(Bottle):
    """The Bottle application, and what its routes need."""

    def __init__(self, settings: Settings, clock: Clock | None) -> None:
        super().__init__()
        self.settings = settings
        self.people = load_people(settings)
        self.questionnaires = load_questionnaires(settings)
        self.validators = [RequestValidator(token) for token in settings.auth_tokens]
        self.database = open_database(settings)
        self.clock = clock or clock_of(self.database)
        self.version = known_versions()[-1]
        self.result_written = Event()

    def default_error_handler(self, error: HTTPError) -> str:
        """Tell the log, and tell the outside nothing: an error page could be texted to somebody."""
        why = error.why if isinstance(error, Refusal) else error.status_line
        note("refused", logging.WARNING, status=error.status_code, why=why)
        return ""


def create_app(settings: Settings, clock: Clock | None = None) -> App:
    """The application, for any WSGI server. Only tests give it a clock."""
    app = App(settings, clock)
    app.install(failing_safely)
    app.route("/sms", "POST", receive_text)
    app.route("/sms/status", "POST", receive_status)
    app.route("/healthz", "GET", tell_health)
    return app


class Refusal(HTTPError):
    """An error whose reason is for the log only. It must hold nothing that a stranger sent."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(status)
        self.why = why


def failing_safely(route: Callable) -> Callable:
    """Any doubt is a 5xx, and no exception's own words reach the log: they may quote a text."""

    def safely(*args, **kwargs):
        try:
            return route(*args, **kwargs)
        except HTTPResponse:
            raise
        except (DBAPIError, OSError) as error:
            raise Refusal(503, f"the database did not answer: {where(error)}") from None
        except Exception as error:
            raise Refusal(500, where(error)) from None

    return safely


def where(error: BaseException) -> str:
    """The kind of an exception and the place it came from."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f" in {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    cause = getattr(error, "orig", None)
    return type(error).__name__ + (f" ({type(cause).__name__})" if cause else "") + place


def load_questionnaires(settings: Settings) -> Questionnaires:
    if not settings.questionnaires.is_dir():
        raise SettingsError(
            f"SMSCONVO_QUESTIONNAIRES: there is no directory {settings.questionnaires}."
            " Make it, and put questionnaires there."
        )
    questionnaires = Questionnaires.load(settings.questionnaires)
    return questionnaires.sent_to(settings.results_to) if settings.results_to else questionnaires


def load_people(settings: Settings) -> People:
    try:
        return People.load(settings.people)
    except ValueError as error:
        raise SettingsError(f"SMSCONVO_PEOPLE: {error}") from None


def open_database(settings: Settings) -> Database:
    try:
        return Database.open(settings.database_url, settings.workers)
    except ValueError as error:
        raise SettingsError(
            f"DATABASE_URL {error}. Set it to one, like sqlite:///smsconvo.db."
        ) from None


class JsonLines(logging.Formatter):
    """One JSON object a line, so that nothing in a record can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {
            "at": utcnow().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        try:
            told = {"event": record.getMessage()} | getattr(record, "facts", {})
            return msgspec.json.encode(facts | told).decode()
        except Exception as error:  # whatever is told of a text, the text is answered
            told = {"event": "log", "outcome": f"cannot be told: {type(error).__name__}"}
            return msgspec.json.encode(facts | told).decode()


class Stderr(logging.Handler):
    """Writes a line at once, without a lock: threads that answer texts would queue for it."""

    def createLock(self) -> None:
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a log that cannot be written leaves no text unanswered
            os.write(sys.stderr.fileno(), f"{self.format(record)}\n".encode())


log = logging.getLogger("smsconvo")


def note(event: str, level: int = logging.INFO, **facts: object) -> None:
    """Log what happened. Never a number, a text or a token; a MessageSid only once it is signed."""
    log.log(level, event, extra={"facts": facts})


# The server is given the same, so that its lines are like ours.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "handlers": {"stderr": {"()": Stderr, "formatter": "json"}},
    "loggers": {
        "smsconvo": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "_granian": {"handlers": ["stderr"], "propagate": False},
    },
}


###############################################################################
# Trust #######################################################################
###############################################################################

LARGEST_BODY = 64 * 1024
MOST_FIELDS = 200
FORM = "application/x-www-form-urlencoded"
MESSAGE_SID = re.compile(r"(SM|MM)[0-9a-f]{32}")
ONCE = ("MessageSid", "AccountSid", "From", "To", "Body", "MessageStatus")
# A number, or what another channel has for one; and the name that a sender of SMS may have instead,
# of 11 characters at most. In no genuine one does the name of another field begin.
ADDRESS = re.compile(r"([a-z]+:)?\+?[0-9]+|[a-z]+:[^+0-9].*")
NAME = re.compile(r"(?!\+|[0-9]{5}|.*From[+0-9]).{1,11}")
PLACES = ("City", "State", "Zip", "Country")
# WhatsApp replies have an OriginalRepliedMessageSid: cut there, the real one is in another field.
SWALLOWED = re.compile(r"MessageSid(SM|MM)[0-9a-f]{32}.", re.DOTALL)


def signed_form(*needed: str) -> FormsDict:
    """The fields that Twilio sent and signed; a Refusal for anything else.

    The signature runs names and values together, so that fields can be cut differently under the
    same one; hence the fields that we rely on must be there, once each and well-formed. Where the
    Body begins and ends cannot be told, for people may text anything, names of fields included.
    """
    form = parse_form(read_body())
    if not is_signed(form):
        raise Refusal(403, "the signature does not match")
    if why := find_fault(form, needed):
        raise Refusal(403, why)
    return form


def is_signed(form: FormsDict) -> bool:
    app = request.app
    query = f"?{request.query_string}" if request.query_string else ""
    # Bottle's own path lacks the bytes that are not UTF-8.
    url = app.settings.public_url + request.environ["bottle.raw_path"] + query
    signature = header("X-Twilio-Signature")
    # Every token is tried: which one fits must not show in the time it takes.
    fits = [validator.validate(url, form, signature) for validator in app.validators]
    return any(fits)


def find_fault(form: FormsDict, needed: tuple[str, ...]) -> str | None:
    """Why a form that is signed is still no message to us, as Twilio sends them."""
    if form.get("AccountSid") != request.app.settings.account_sid:
        return "the AccountSid is not ours"
    if not MESSAGE_SID.fullmatch(form.get("MessageSid", "")):
        return "the MessageSid is malformed"
    if not all(name in form for name in needed):
        return "a field is missing"
    if not is_sender(form) or not ADDRESS.fullmatch(form.get("To", "")):
        return "From or To is missing, or no address"
    if any(len(form.getall(name)) > 1 for name in ONCE):
        return "a field is there twice"
    if any(name != "Body" and SWALLOWED.search(name + value) for name, value in form.allitems()):
        return "the MessageSid is of another message"
    return None


def is_sender(form: FormsDict) -> bool:
    """Whether From is one, whole: it may run into the next field, or be the rest of FromCity."""
    sender = form.get("From", "")
    is_rest = any(sender.startswith(place) and f"From{place}" not in form for place in PLACES)
    return bool(ADDRESS.fullmatch(sender) or (NAME.fullmatch(sender) and not is_rest))


def read_body() -> bytes:
    """The raw body; nothing is read of one that is too long, or of unknown length."""
    environ = request.environ
    if environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower() != FORM:
        raise Refusal(415, "not a form")
    length = environ.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        raise Refusal(411, "no Content-Length")
    if int(length) > LARGEST_BODY:
        raise Refusal(413, "too long")
    return environ["wsgi.input"].read(int(length))


def header(name: str) -> str:
    """A header as it came; Bottle's own look-up fails at one that is not UTF-8."""
    return request.environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")


def parse_form(body: bytes) -> FormsDict:
    """Strictly: what cannot be decoded is refused, not replaced."""
    form = FormsDict()
    try:
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError:
        raise Refusal(400, "not a well-formed form") from None
    for name, value in fields:
        form.append(name, value)
    return form


###############################################################################
# Texts #######################################################################
###############################################################################

COOKIE = "conversation"
COOKIE_SECONDS = 4 * 60 * 60  # Twilio keeps no cookie longer
STATUS = re.compile("[a-z_]+")
NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Reply(NamedTuple):
    """What goes out for a text: words or silence, and the conversation for the cookie."""

    words: str | None
    message_id: int | None
    token: str | None
    outcome: str

    @classmethod
    def of(cls, reply: Message | None, conversation: Conversation | None, outcome: str) -> "Reply":
        token = conversation and conversation.token
        return cls(reply and reply.body, reply and reply.id, token, outcome)


def receive_text():
    app = request.app
    form = signed_form("Body")
    receive = partial(take_text, app=app, form=form, cookie=read_cookie(), now=app.clock())
    reply = app.database.write(receive)
    if reply.outcome == "completed":
        app.result_written.set()
    note("text", sid=form["MessageSid"], outcome=reply.outcome)
    return answer_text(reply)


def take_text(
    db: Session, *, app: App, form: FormsDict, cookie: str | None, now: datetime
) -> Reply:
    """Record a text, and what is said to it; what is recorded already is only said again."""
    recorded = Message.find(db, form["MessageSid"])
    if recorded:
        conversation = Conversation.find_by_id(db, recorded.conversation_id)
        return Reply.of(recorded.find_reply(db), conversation, "repeated")
    text = inbound(form, now)
    contact = Contact.find(db, text.sender, app.people.name_of(text.sender))
    conversation, reply = receive(db, text, contact, app.questionnaires, now, cookie)
    outcome = conversation.state if reply else text.read_as or "not opened"
    return Reply.of(reply, conversation, outcome)


MOST_MEDIA = 10  # that one message can bring


def inbound(form: FormsDict, now: datetime) -> Message:
    fields = {name: values[0] if len(values) == 1 else values for name, values in form.dict.items()}
    return Message(
        direction="inbound",
        sid=form["MessageSid"],
        sender=form["From"],
        recipient=form["To"],
        body=form.get("Body", ""),
        media=" ".join(filter(None, (form.get(f"MediaUrl{n}") for n in range(MOST_MEDIA)))) or None,
        params=msgspec.json.encode(fields).decode(),
        status=form.get("SmsStatus"),
        created_at=now,
    )


def read_cookie() -> str | None:
    """Ours among the cookies. The standard library reads none of them when one is malformed."""
    found = None
    for part in header("Cookie").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            found = value
    return found


def answer_text(reply: Reply) -> str:
    settings = request.app.settings
    response.content_type = "text/xml; charset=utf-8"
    if reply.token:
        response.set_cookie(
            COOKIE,
            reply.token,
            path="/",
            max_age=COOKIE_SECONDS,
            httponly=True,
            secure=settings.public_url.startswith("https:"),
        )
    return twiml(reply, settings.public_url)


def twiml(reply: Reply, public_url: str) -> str:
    """At most one message: two may arrive in the wrong order."""
    document = MessagingResponse()
    words = NOT_XML.sub("", reply.words or "")
    if words.strip():
        # Twilio reads one of the two, depending on the kind of message.
        status = f"{public_url}/sms/status?message={reply.message_id}"
        document.message(words, action=status, status_callback=status)
    return document.to_xml()


def receive_status():
    """What became of a reply. The answer may never be a message: Twilio would text it."""
    form = signed_form("MessageStatus")
    status = form["MessageStatus"]
    outbound = request.query.get("message", "")
    if not outbound.isdecimal() or len(outbound) > 18 or not STATUS.fullmatch(status):
        raise Refusal(403, "names no message of ours, or no status")
    report = partial(
        take_status,
        id=int(outbound),
        status=status,
        sid=form["MessageSid"],
        error=form.get("ErrorCode"),
    )
    known = request.app.database.write(report)
    note("status", sid=form["MessageSid"], outcome="recorded" if known else "unknown message")
    response.status = 204


def take_status(db: Session, *, id: int, status: str, sid: str, error: str | None) -> bool:
    message = Message.find_outbound(db, id)
    if message is None:
        return False
    message.report(status, sid, error)
    message.update(db)
    return True


###############################################################################
# Results #####################################################################
###############################################################################

CONNECT_SECONDS, READ_SECONDS, ATTEMPT_SECONDS = 3.05, 15, 30
MOST_ADDRESSES = 4  # of one name, each of which may take that long to connect to
LARGEST_ANSWER = 64 * 1024
POLL_SECONDS = 1
GATHER_SECONDS = 0.05  # for what is due at nearly the same moment, so that texts are held up less
EXPIRED_AT_ONCE = 50  # conversations in one transaction, so that no text waits long


class Outcome(NamedTuple):
    """How an attempt went; without an error it was delivered."""

    status: int | None
    error: str | None = None
    retry_after: timedelta = timedelta(0)


class Sender:
    """Delivers what the outbox holds, until it is stopped."""

    def __init__(self, database: Database, settings: Settings, clock: Clock, wake: Event) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._wake = wake
        self._under_way: dict[Future, Delivery] = {}
        self._expires_next = time.monotonic()
        self._stopped = False

    def run(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, "sender") as pool:
            while not (self._stopped or self._database.broken.is_set()):
                if not self._has_started(pool):
                    self._wake.wait(POLL_SECONDS)
                    time.sleep(GATHER_SECONDS)
                    self._wake.clear()

    def stop(self) -> None:
        """Within the next second. It takes no lock, so that a handler of signals may call it."""
        self._stopped = True

    def _has_started(self, pool: ThreadPoolExecutor) -> bool:
        """Whether there was something to do. No failure ends the sender: it tries again."""
        has_expired = self._try("expire", self._expire)
        return self._try("claim", lambda: self._start_attempts(pool)) or has_expired

    def _try(self, verb: str, work: Callable[[], bool]) -> bool:
        try:
            return work()
        except Exception as error:
            note("sender", logging.ERROR, outcome=f"cannot {verb}: {where(error)}")
            return False

    def _expire(self) -> bool:
        """Once in a while, not as often as there is something to send."""
        if time.monotonic() < self._expires_next:
            return False
        more = expire_silent(self._database, self._clock())
        if not more:
            self._expires_next = time.monotonic() + POLL_SECONDS
        return more

    def _start_attempts(self, pool: ThreadPoolExecutor) -> bool:
        """Claim no more than can be sent at once: a lease runs while its delivery waits."""
        under_way = list(self._under_way.values())
        alone = any(one.goes_alone for one in under_way)
        free = 0 if alone else AT_ONCE - len(under_way)
        claimed = claim_due(self._database, self._clock(), free, under_way) if free else []
        for delivery in claimed:
            attempt = pool.submit(
                deliver_one, self._database, self._settings, delivery, self._clock
            )
            self._under_way[attempt] = delivery
            attempt.add_done_callback(self._end_attempt)
        return bool(claimed)

    def _end_attempt(self, attempt: Future) -> None:
        del self._under_way[attempt]
        if error := attempt.exception():
            note("sender", logging.ERROR, outcome=f"cannot record: {where(error)}")
        self._wake.set()


def expire_silent(database: Database, now: datetime) -> bool:
    """End the conversations that have been silent for too long. Looking first costs no write."""
    with database.read() as db:
        if not Conversation.is_any_silent(db, now):
            return False
    expired = database.write(lambda db: Conversation.expire_silent(db, now, EXPIRED_AT_ONCE))
    if expired:
        note("expired", conversations=expired)
    return expired == EXPIRED_AT_ONCE


def claim_due(
    database: Database, now: datetime, most: int, under_way: Collection[Delivery] = ()
) -> list[Delivery]:
    """What is due, under lease. Looking first keeps a long outbox from holding up texts."""
    with database.read() as db:
        if not Delivery.is_due(db, now, under_way):
            return []
    return database.write(lambda db: Delivery.claim(db, now, most, under_way))


def deliver_one(database: Database, settings: Settings, delivery: Delivery, clock: Clock) -> None:
    outcome = post(delivery, settings, clock())
    if outcome.error is None:
        delivery.succeed(outcome.status, clock())
    else:
        delivery.fail(outcome.error, clock(), outcome.status, outcome.retry_after)
    database.write(delivery.record)
    note(
        "delivery", id=delivery.id, attempt=delivery.attempts, outcome=outcome.error or "delivered"
    )


def post(delivery: Delivery, settings: Settings, now: datetime) -> Outcome:
    """One attempt. Only a 2xx that could be read to its end, or to 64 KiB, is a delivery."""
    body, headers = encode(delivery, settings.webhook_secrets, now)
    with Line(ATTEMPT_SECONDS, settings.allow_private_receivers) as line:
        try:
            # A session of requests would cost as much again, and look for proxies and a .netrc.
            asked = requests.Request("POST", delivery.url, headers, data=body).prepare()
            answer = line.send(asked, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
            outcome = judge(answer, now)
            if outcome.error is None:
                read_answer(answer.raw)
        except (requests.RequestException, HTTPClientError, OSError, ValueError) as error:
            return Outcome(None, line.cut or in_words(error))
        return Outcome(None, line.cut) if line.cut else outcome


def read_answer(raw: HTTPClientResponse) -> None:
    """To its end, where a body that was cut shows, or as far as is bearable; never unpacked."""
    left = LARGEST_ANSWER
    while left > 0 and (chunk := raw.read(left, decode_content=False)):
        left -= len(chunk)


def encode(
    delivery: Delivery, secrets: tuple[str, ...], now: datetime
) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an attempt."""
    headers = {"User-Agent": f"smsconvo/{__version__}", "Accept": "*/*"}
    headers["webhook-id"] = delivery.webhook_id
    if delivery.format == "form":
        body = urlencode(json.loads(delivery.payload), doseq=True).encode("ascii")
        return body, headers | {"Content-Type": f"{FORM}; charset=utf-8"}
    body = delivery.payload.encode("utf-8")
    return body, headers | {"Content-Type": "application/json"} | sign(delivery, secrets, now)


def sign(delivery: Delivery, secrets: tuple[str, ...], now: datetime) -> dict[str, str]:
    """The time of this attempt, and that all of it is ours (Standard Webhooks)."""
    headers = {"webhook-timestamp": str(int(now.timestamp()))}
    if secrets:
        signatures = [
            StandardWebhook(secret).sign(delivery.webhook_id, now, delivery.payload)
            for secret in secrets
        ]
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def judge(answer: requests.Response, now: datetime) -> Outcome:
    status = answer.status_code
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"HTTP {status}: it redirects. Set the address it redirects to.")
    if status == GONE:
        return Outcome(status, "HTTP 410: it wants no more. Nothing is sent there until you retry.")
    wait = retry_after(answer.headers.get("Retry-After", ""), now)
    return Outcome(status, f"HTTP {status}", wait)


def retry_after(value: str, now: datetime) -> timedelta:
    """Seconds or a date; nothing where it is neither."""
    try:
        if value.isdecimal():
            return timedelta(seconds=int(value))
        return max(parsedate_to_datetime(value) - now, timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)


def in_words(error: Exception) -> str:
    """What an operator can act on; the exception's own words name addresses in memory."""
    match error:
        case NoAddress():
            return str(error)
        case requests.ConnectTimeout():
            return f"No connection within {CONNECT_SECONDS} s."
        case requests.Timeout():
            return f"No answer within {READ_SECONDS} s."
        case requests.exceptions.SSLError():
            return "The certificate or the TLS connection is not valid."
        case (
            MissingSchema() | InvalidSchema() | InvalidURL() | LocationValueError() | UnicodeError()
        ):
            return "The address is not valid."
        case requests.ConnectionError():
            return "The connection was refused or broke off."
    return f"The answer broke off ({type(error).__name__})."


class Line(HTTPAdapter):
    """The way to a receiver: only to addresses that are permitted, and for some seconds in all.

    The timeouts of requests begin anew with every byte, so that a receiver that drips could hold
    an attempt for ever. After the time, the connection is cut, and whoever reads from it wakes up.
    """

    def __init__(self, seconds: float, allow_private: bool) -> None:
        self.ends_at = time.monotonic() + seconds
        self.cut: str | None = None
        self._seconds, self._allow_private = seconds, allow_private
        self._sockets: list[socket.socket] = []
        super().__init__()

    def __enter__(self) -> "Line":
        cutter.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        cutter.remove(self)
        for connection in self._sockets:
            connection.close()
        self.close()

    def init_poolmanager(self, *args, **kwargs) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(GuardedPool, line=self),
            "https": partial(GuardedHTTPSPool, line=self),
        }

    def find_addresses(self, name: str, port: int) -> list[str]:
        return resolve(name, port, self._allow_private)

    def watch(self, connection: socket.socket) -> None:
        """Cut this one too, when it is time; it is known from before TLS."""
        self._sockets.append(connection.dup())  # TLS takes the original away
        if self.cut:
            self.end()

    def end(self) -> None:
        self.cut = f"Not done within {self._seconds:g} s in all."
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Cutter:
    """Ends the lines whose time is over: one thread for all of them.

    A timer for each, which is a thread, would cost as much as all the rest of an attempt.
    """

    def __init__(self) -> None:
        self._lines: set[Line] = set()
        self._changed = Condition()
        self._looks_at = TIMEOUT_MAX  # as good as never
        self._thread: Thread | None = None

    def add(self, line: Line) -> None:
        with self._changed:
            if self._thread is None:
                thread = Thread(target=self._run, name="cutter", daemon=True)
                thread.start()
                self._thread = thread  # not before it runs: there may be too many
            elif line.ends_at < self._looks_at:
                self._changed.notify()
            self._lines.add(line)

    def remove(self, line: Line) -> None:
        with self._changed:
            self._lines.discard(line)

    def _run(self) -> None:
        with self._changed:
            while True:
                for line in [one for one in self._lines if one.ends_at <= time.monotonic()]:
                    self._lines.remove(line)
                    line.end()
                self._looks_at = min((line.ends_at for line in self._lines), default=TIMEOUT_MAX)
                self._changed.wait(self._looks_at - time.monotonic())


cutter = Cutter()


class Guarded(HTTPConnection):
    """A connection to an address that was judged."""

    def __init__(self, *args, line: Line, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        addresses = self._line.find_addresses(name, self.port)
        try:
            # The name is looked up once: another answer later would not be judged.
            connection = first(addresses, self._connect)
        finally:
            self._dns_host = name  # for TLS, which asks for the name's certificate
        self._line.watch(connection)
        return connection

    def _connect(self, address: str) -> socket.socket:
        self._dns_host = address
        return super()._new_conn()


class GuardedPool(HTTPConnectionPool):
    ConnectionCls = Guarded


class GuardedHTTPS(Guarded, HTTPSConnection):
    pass


class GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPS


def first(addresses: list[str], connect: Callable[[str], socket.socket]) -> socket.socket:
    """The connection to the first address that takes one; the error of the last if none does."""
    *others, last = addresses
    for address in others:
        with suppress(HTTPClientError):
            return connect(address)
    return connect(last)


class NoAddress(ValueError):
    """There is nowhere to send a result to. The words are for the operator."""


def resolve(name: str, port: int, allow_private: bool) -> list[str]:
    """The addresses behind a name that results may go to."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        raise NoAddress(f"The name {name} is not known.") from None
    addresses = dict.fromkeys(where[0] for *_, where in found)
    permitted = [one for one in addresses if is_permitted(ip_address(one), allow_private)]
    if permitted:
        return permitted[:MOST_ADDRESSES]
    if any(is_permitted(ip_address(one), allow_private=True) for one in addresses):
        raise NoAddress(
            f"The address of {name} is private. If results are meant to go there, set"
            " SMSCONVO_ALLOW_PRIVATE_RECEIVERS=1."
        )
    raise NoAddress(f"The address of {name} is one that results never go to.")


# Where clouds tell a machine its secrets; most are at the link-local 169.254.169.254.
METADATA = {
    ip_address(one)
    for one in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
}
NAT64 = ip_network("64:ff9b::/96")


def is_permitted(address: IPv4Address | IPv6Address, allow_private: bool) -> bool:
    if address.version == 6:
        address = address.ipv4_mapped or address.sixtofour or address
    if address in NAT64:
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address not in METADATA and (allow_private or address.is_global)


###############################################################################
# Health ######################################################################
###############################################################################

LEAST_DISK = 64 * 1024 * 1024  # the log of SQLite may need as much


def tell_health():
    """Counts and states for whoever watches over smsconvo; nothing about anybody who texts."""
    app = request.app
    health = judge_health(app)
    sick = [name for name, state in health.items() if name != "outbox" and state["ok"] is False]
    response.status = 503 if sick else 200
    response.content_type = "application/json"
    response.set_header("Cache-Control", "no-store")
    return msgspec.json.encode({"status": "failing" if sick else "ok"} | health)


def judge_health(app: App) -> dict[str, dict]:
    """What works. A receiver that takes no results is no reason to keep texts away from us."""
    try:
        now = app.clock()
        with app.database.read() as db:
            found = db.scalar(VERSION)
            undelivered = Delivery.count_undelivered(db)
    except DBAPIError:
        now, found, undelivered = utcnow(), None, {}
    free = app.database.free_space()
    return {
        "database": {"ok": found is not None and not app.database.broken.is_set()},
        "migration": {"ok": found == app.version, "found": found, "needed": app.version},
        "disk": {"ok": free is None or free >= LEAST_DISK, "free_bytes": free},
        "outbox": summarise(undelivered, now),
    }


def summarise(undelivered: dict[str, tuple[int, datetime]], now: datetime) -> dict[str, int]:
    pending, oldest = undelivered.get("pending", (0, now))
    failed, _ = undelivered.get("failed", (0, now))
    age = max(int((now - oldest).total_seconds()), 0)
    return {"pending": pending, "failed": failed, "oldest_pending_seconds": age}


###############################################################################
# Command line ################################################################
###############################################################################

# Requests at a time in a worker. On SQLite as many as share one commit; on PostgreSQL few have a
# connection at a time, and the others may wait for the rest of their request.
THREADS = 16
STOP_SECONDS = 20
LAST_WORDS_SECONDS = 0.5  # for the texts under way to get their 503

# What one connection may cost. Slow bodies are the business of the proxy in front: each holds up a
# thread here for as long as it likes to.
HEAD_SECONDS = 5  # for the head of a request; also how long a connection may wait for its next one
LARGEST_HEAD = 16 * 1024  # Twilio's has less than 2 KiB; of headers the server allows 100
# At once in each worker, and as many again that the kernel makes wait. The server's own limit is
# 1024 for all workers together, and silent clients could hold those.
CONNECTIONS = 2048


class Commands(click.Group):
    """Ends every command that cannot go on with one sentence, and exit status 78.

    It is 69 for what may be over soon, such as PostgreSQL that is still starting, or an address
    that the machine has not got yet: systemd tries that again.
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (SettingsError, InvalidQuestionnaire) as error:
            fail(str(error))
        except DBAPIError as error:
            of_postgresql = hasattr(error.orig, "diag")
            place = "the log of PostgreSQL" if of_postgresql else "the rights on its directory"
            fail(
                f"The database cannot be used: {in_short(error)}. Check DATABASE_URL, and {place}.",
                status_of(error),
            )
        except BrokenPipeError:
            raise  # whoever read our output has gone; click knows what to do
        except OSError as error:
            fail(f"{error.filename}: {error.strerror}. Run it where it may read and write this.")


def in_short(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split()).rstrip(".?")


def status_of(error: DBAPIError) -> int:
    return os.EX_UNAVAILABLE if may_pass(error) else os.EX_CONFIG


def fail(sentence: str, status: int = os.EX_CONFIG) -> NoReturn:
    click.echo(sentence, err=True)
    sys.exit(status)


@click.group(cls=Commands)
@click.version_option(__version__)
def cli() -> None:
    """Turns texts to a Twilio number into conversations."""
    os.umask(0o077)  # databases, backups and logs hold what guests said


@cli.command()
@click.option("--results-to", metavar="URL", help="Send all results here instead: a trial run.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes; 1 on SQLite.")
def serve(results_to: str | None, workers: int) -> None:
    """Answer Twilio and deliver results, until stopped."""
    settings = Settings.from_env(os.environ).for_serving()
    settings = replace(settings, results_to=results_to, workers=workers)
    if workers > 1 and settings.on_sqlite:
        raise SettingsError("--workers: SQLite has one writer. Leave it out, or use PostgreSQL.")
    load_people(settings)
    load_questionnaires(settings)
    check_database(settings, create=True)
    check_port(*settings.listen)
    keep_others_away(settings)
    logging.config.dictConfig(LOGGING)
    note("serving", listen="{}:{}".format(*settings.listen), version=__version__)
    if not ip_address(settings.listen[0]).is_loopback:
        why = "SMSCONVO_LISTEN is not loopback: slow clients are for a proxy in front to hold"
        note("exposed", logging.WARNING, why=why)
    run_server(settings)


def keep_others_away(settings: Settings) -> Database:
    """From now until the last of our processes has ended, for they inherit the lock."""
    database = open_database(settings)
    try:
        database.serve_alone()
    except ValueError as error:
        raise SettingsError(f"{error}. Stop that one, or name another database.") from None
    return database


def run_server(settings: Settings) -> None:
    address, port = settings.listen
    server = Granian(
        "smsconvo",
        address,
        port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=settings.workers,
        blocking_threads=TOGETHER if settings.on_sqlite else THREADS,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=LARGEST_HEAD
        ),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig=LOGGING,
    )
    hear_signals_at_once()
    gc.freeze()  # else the worker's first collection writes to all that it shares with this process
    server.serve(target_loader=partial(start_worker, settings), wrap_loader=False)


def start_worker(settings: Settings) -> App:
    """The application in the process that answers, with the sender beside it."""
    hear_signals_at_once()
    app = create_app(settings)
    sender = Sender(app.database, settings, app.clock, app.result_written)
    Thread(target=sender.run, name="sender", daemon=True).start()
    Thread(target=end_when_broken, args=(app.database,), name="watch", daemon=True).start()
    return app


def hear_signals_at_once() -> None:
    """Wake the main thread for a signal that the kernel gave to another one.

    Python handles signals in its main thread only, and granian's sleeps there without end: a stop
    would take until the server loses its patience.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)
    signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGURG, lambda *_: None)  # does nothing but interrupt the sleep
    Thread(target=pass_signals_on, args=(heard, told), name="signals", daemon=True).start()


def pass_signals_on(heard: socket.socket, told: socket.socket) -> None:
    """`told` is here to stay open: nothing else holds the end that signals are written to."""
    while number := heard.recv(1):
        if number[0] != signal.SIGURG:
            signal.pthread_kill(main_thread().ident, signal.SIGURG)


def end_when_broken(database: Database) -> None:
    """Make way for another worker, which finds out from the log what is on the disk."""
    database.broken.wait()
    note("broken", logging.CRITICAL, why="the disk failed, or the database file is damaged")
    time.sleep(LAST_WORDS_SECONDS)
    os._exit(os.EX_SOFTWARE)


def check_port(address: str, port: int) -> None:
    """Refuse a taken port: the server itself would share it with whoever has it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            trouble = f"SMSCONVO_LISTEN: {address}:{port} cannot be listened on: {error.strerror}."
            if error.errno == errno.EADDRNOTAVAIL:  # yet: the network may still be coming up
                cure = "Give this machine that address, or choose another."
                fail(f"{trouble} {cure}", os.EX_UNAVAILABLE)
            raise SettingsError(f"{trouble} Stop what uses it, or choose another.") from None


def known_versions() -> list[str]:
    """The versions of the database that this program knows, from the first to the one it needs."""
    return sorted(path.name[:4] for path in Path(HERE, "migrations", "versions").glob("[0-9]*.py"))


VERSION = text("SELECT version_num FROM alembic_version")
# Changes nothing; a file that can only be read refuses it, which it would not a mere BEGIN.
TOUCH = text("UPDATE alembic_version SET version_num = version_num")


def check_database(settings: Settings, create: bool = False) -> None:
    """Refuse a database that this program does not fit; create one that is empty, if asked to."""
    found, needed = read_versions(settings)
    if found == needed:
        with open_database(settings) as database:
            database.write(lambda db: db.execute(TOUCH))
        return
    if found or not create:
        raise SettingsError(
            f"The database is at version {found or 'none'} and this program needs {needed}."
            " Run: python smsconvo.py upgrade"
        )
    migrate(settings)


def read_versions(settings: Settings) -> tuple[str | None, str]:
    """The version of the database, None when it is empty, and the one that this program needs."""
    with open_database(settings) as database:
        found, is_empty = read_version(database)
    *_, needed = known = known_versions()
    if found is None and not is_empty:
        raise SettingsError(
            "DATABASE_URL: the tables there are not smsconvo's. Name another database."
        )
    if found and found not in known:
        raise SettingsError(
            f"The database is at version {found}, newer than this program, which needs {needed}."
            " Run the newer program, or put back the backup that its upgrade made."
        )
    return found, needed


def read_version(database: Database) -> tuple[str | None, bool]:
    """The version of the database, and whether there is no table in it."""
    with database.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        found = connection.scalar(VERSION) if "alembic_version" in tables else None
    # Alembic leaves its own table when it has taken all the others away.
    return found, set(tables) <= {"alembic_version"}


def migrate(settings: Settings) -> None:
    """Bring the tables to what this program needs, or make them."""
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(migrations(settings), "head")
    except CommandError as error:
        raise SettingsError(str(error)) from None


def migrations(settings: Settings) -> "Config":
    from alembic.config import Config  # takes a sixth of the start, and nothing is to be migrated

    config = Config(HERE / "alembic.ini")
    config.attributes["url"] = settings.database_url
    return config


@cli.command()
@click.option("--no-backup", is_flag=True, help="You have made one by other means.")
def upgrade(no_backup: bool) -> None:
    """Back the database up, then migrate it to what this program needs."""
    settings = Settings.from_env(os.environ)
    found, needed = read_versions(settings)
    if found == needed:
        click.echo(f"The database is at version {needed} already.")
        return
    if found and not no_backup:
        back_up(settings, found)
    migrate(settings)
    click.echo(f"The database is at version {needed} now.")


def back_up(settings: Settings, version: str) -> None:
    stamp = utcnow().strftime("%Y%m%d-%H%M%S")
    with open_database(settings) as database:
        try:
            copy = database.back_up(f"{version}.{stamp}.bak")
        except ValueError as error:
            raise SettingsError(str(error)) from None
    click.echo(f"The backup is {copy}. To go back: stop smsconvo, delete the database with its")
    click.echo("-wal and -shm files, copy the backup to its place, and run the older program.")


@cli.command()
@click.argument("database_url")
def copy(database_url: str) -> None:
    """Copy the SQLite database into an empty PostgreSQL one, and compare the two.

    DATABASE_URL is the one to copy to here, like postgresql://smsconvo@db.example.org/smsconvo.
    Others on this machine can see a password in it: put that into ~/.pgpass instead.
    """
    settings = Settings.from_env(os.environ)
    with claim_source(settings), telling_of_target():
        prepare_target(database_url)
        tallies = copy_rows(settings.database_url, database_url)
    for name, tally in tallies.items():
        say(f"{name}: {number(tally.rows, 'row')}, checksum {tally.checksum} on both sides")
    say("Set DATABASE_URL to the new database, and start smsconvo. Let nothing run on the old one,")
    say("`deliver` included: what is owed is owed in both, and would be delivered twice.")


def claim_source(settings: Settings) -> Database:
    """The database to copy from, which no server has, nor gets before this is closed."""
    if not settings.on_sqlite:
        raise SettingsError(
            "DATABASE_URL is not sqlite:///…, and copy goes from SQLite to PostgreSQL."
            " Set it to the database to copy from."
        )
    check_database(settings)
    return keep_others_away(settings)


@contextmanager
def telling_of_target() -> Iterator[None]:
    """PostgreSQL's trouble is not DATABASE_URL's here. Its details would quote what guests said."""
    try:
        yield
    except DBAPIError as error:
        if not hasattr(error.orig, "diag"):
            raise  # it is SQLite's
        why = error.orig.diag.message_primary or in_short(error)
        sentence = f"Copying failed: {why}. Nothing was copied: mend that, and run copy again."
        fail(sentence, status_of(error))


def prepare_target(url: str) -> None:
    """Have the tables in the database to copy to; whether they are empty is seen under a lock."""
    try:
        target = Database.open(url)
        if target.engine.dialect.name != "postgresql":
            raise ValueError("is not postgresql://…")
    except ValueError as error:
        raise SettingsError(
            f"The URL to copy to {error}. Give one like postgresql://smsconvo@db.example.org/smsconvo."
        ) from None
    with target:
        found, is_empty = read_version(target)
    settings = Settings(database_url=url)
    if is_empty:
        migrate(settings)
    elif found != known_versions()[-1]:
        raise SettingsError(f"The database to copy to has other tables. {NEW_ONE}")


def copy_rows(source: str, target: str) -> dict[str, Tally]:
    """Copy every row and compare it, in one transaction on each side; what each table has."""
    with migrating(source) as here, migrating(target) as there:
        transfer = Transfer(here, there)
        count = transfer.count()
        try:
            for label, steps in (("Copying", transfer.copy()), ("Comparing", transfer.compare())):
                with click.progressbar(length=count, label=label, file=sys.stderr) as bar:
                    for rows in steps:
                        bar.update(rows)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    return transfer.tallies


@cli.command()
@click.option("--price", type=click.FloatRange(0), help="What a segment costs, such as 0.0083.")
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--json", "for_machines", is_flag=True, help="Tell it as JSON.")
def check(price: float | None, strict: bool, for_machines: bool) -> None:
    """Judge the questionnaire files, and say what each costs to send."""
    settings = Settings.from_env(os.environ)
    sheets, findings = examine(settings)
    findings = [one._replace(is_error=one.is_error or strict) for one in findings]
    has_errors = any(one.is_error for one in findings)
    if for_machines:
        say(json.dumps(report(sheets, findings, price), indent=2, ensure_ascii=False))
    elif not has_errors:
        say("\n\n".join("\n".join(tabulate(*named, price)) for named in sheets.items()))
    for one in () if for_machines else findings:
        words = str(one) if one.is_error else f"warning: {one}"
        click.secho(words, fg="red" if one.is_error else "yellow", err=True)
    if has_errors:
        sys.exit(os.EX_CONFIG)


def examine(settings: Settings) -> tuple[dict[str, Sheet], list[Finding]]:
    """What each questionnaire says, by its name, and all that is wrong or doubtful."""
    names = set(load_people(settings).values())
    questionnaires, findings = Questionnaires.examine(settings.questionnaires)
    sheets = {
        name: Sheet.of(one, names, utcnow().date(), measure)
        for name, one in questionnaires
        if not any(found.is_error and Path(found.file).stem == name for found in findings)
    }
    for name, sheet in sheets.items():
        file = str(settings.questionnaires / f"{name}.toml")
        findings += [one._replace(file=file) for one in sheet.find_doubts(measure)]
        dear = sheet.find_dear_names(sorted(names), measure)
        findings += [one._replace(file=str(settings.people)) for one in dear]
    return sheets, list(dict.fromkeys(findings))


def report(sheets: Mapping[str, Sheet], findings: list[Finding], price: float | None) -> dict:
    return {
        "questionnaires": [
            {
                "name": name,
                "title": sheet.questionnaire.title,
                "event": sheet.questionnaire.event,
                "to": sheet.questionnaire.to,
                "texts": [
                    {
                        "place": line.text.place,
                        "kind": line.text.question and line.text.question.kind,
                        "encoding": line.encoding,
                        "segments": line.segments,
                        "characters": len(line.words),
                    }
                    for line in sheet.lines
                ],
                "conversation": {
                    which: cost._asdict()
                    | ({} if price is None else {"cost": round(price * cost.segments, 6)})
                    for which, cost in zip(("least", "most"), sheet.costs(), strict=True)
                },
            }
            for name, sheet in sheets.items()
        ],
        "findings": [
            {
                "level": "error" if one.is_error else "warning",
                "file": one.file,
                "place": one.place,
                "sentence": one.sentence,
            }
            for one in findings
        ],
    }


def tabulate(name: str, sheet: Sheet, price: float | None) -> Iterator[str]:
    """A line for each text, with as much of it as the terminal has room for."""
    yield click.style(f"{name}: {describe(sheet.questionnaire)}", bold=True)
    rows = [("", "kind", "encoding", "segments", "")]
    for line in sheet.lines:
        question = line.text.question
        kind = question.kind if question else ""
        words = " ".join(line.words.split())
        rows.append((line.text.place, kind, line.encoding, str(line.segments), words))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    room = max(shutil.get_terminal_size().columns - sum(widths) - 12, 20)
    for place, kind, encoding, segments, words in rows:
        cells = (place.ljust(widths[0]), kind.ljust(widths[1]), encoding.ljust(widths[2]))
        words = words if len(words) <= room else f"{words[: room - 1]}…"
        yield "  ".join(("", *cells, segments.rjust(widths[3]), words)).rstrip()
    yield f"  {tell_costs(*sheet.costs(), price, sheet.questionnaire.is_counter)}"


def describe(questionnaire: Questionnaire) -> str:
    text = f'the text "{questionnaire.event}"' if questionnaire.event else "any text"
    numbers = f" to {', '.join(questionnaire.to)}" if questionnaire.to else ""
    count = len(questionnaire.questions)
    asks = number(count, "question") if count else "counter"
    return f"{questionnaire.title} ({asks}), opened by {text}{numbers}"


def number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def tell_costs(least: Cost, most: Cost, price: float | None, is_counter: bool) -> str:
    what = "A text and its reply" if is_counter else "A completed conversation"
    texts, segments = (
        f"{one} to {other}" if one < other else str(other)
        for one, other in zip(least, most, strict=True)
    )
    told = f"{what}: {texts} texts both ways, {segments} segments"
    if price is None:
        return told
    least_cost, most_cost = (f"{price * cost.segments:.4f}" for cost in (least, most))
    cost = most_cost if least_cost == most_cost else f"{least_cost} to {most_cost}"
    return f"{told}, {cost} at {price:g} each"


@cli.command()
def plan() -> None:
    """Say what the questionnaire files change, and who goes on as before."""
    questionnaires = load_questionnaires(Settings.from_env(os.environ))
    with ready_database() as database, database.read() as db:
        for one in find_plans(db, questionnaires):
            say(f"{one.name}: {STATES[one.state]}")
            for change in one.changes:
                sign, colour = SIGNS.get(change.what, ("~", "yellow"))
                words = f": {change.words}" if change.words else ""
                say(f"  {sign} {change.key} {change.what}{words}", fg=colour)
            if one.open:
                count = number(sum(one.open.values()), "open conversation")
                say(f"  go on as they began: {count}")
                for asking, waiting in one.open.items():
                    say(f"    {waiting} at {asking or 'no question'}")


STATES = {
    "new": "new, no conversation has used it yet",
    "unchanged": "as it is in use",
    "changed": "changed for new conversations",
    "gone": "has no file any more, so nothing opens it",
}
SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}


@cli.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--last", default=1000, show_default=True, help="How many of the newest to take.")
@click.option("--conversation", "ids", type=int, multiple=True, help="Only this one, by its id.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep that one in a file, masked.")
def replay(files: tuple[Path, ...], last: int, ids: tuple[int, ...], save: Path | None) -> None:
    """Hold recorded conversations again, and show which replies differ.

    The questionnaires are the files of now; the conversations come from the database, or from FILES
    that --save wrote. It happens in a database of its own, which is thrown away, and nothing is
    sent. The status is 1 where a reply differs.
    """
    if save and (len(ids) != 1 or files):
        raise click.UsageError("Say which one to save: --conversation ID --save FILE.")
    settings = Settings.from_env(os.environ)
    if save:
        save_recording(settings, ids[0], save)
        return
    questionnaires = load_questionnaires(settings)
    with trial_database() as trial:
        if files:
            compared = compare_files(files, questionnaires, trial)
        else:
            compared = compare_recorded(ids, last, questionnaires, trial)
    if tell_differences(compared):
        sys.exit(1)


@contextmanager
def trial_database() -> Iterator[Database]:
    with TemporaryDirectory(prefix="smsconvo-") as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/trial.db")
        migrate(settings)
        with open_database(settings) as database:
            yield database


class Compared(NamedTuple):
    """A recorded conversation, and what is said in it now."""

    recording: Recording
    replies: list[str | None]


def compare_recorded(
    ids: tuple[int, ...], last: int, questionnaires: Questionnaires, trial: Database
) -> list[Compared]:
    with ready_database() as database, database.read() as db:
        ids = ids or find_ids(db, last)
        recordings = find_recordings(db, ids)
        with click.progressbar(recordings, len(ids), "Replaying", file=sys.stderr) as bar:
            return [hold_again(one, questionnaires, trial) for one in bar]


def compare_files(
    files: tuple[Path, ...], questionnaires: Questionnaires, trial: Database
) -> list[Compared]:
    """Each with the questionnaire that it names, on whatever number that one is in use."""
    compared = []
    for file in files:
        try:
            recording = load_recording(file)
            only = questionnaires.only(recording.questionnaire)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        compared.append(hold_again(recording, only, trial))
    return compared


def hold_again(recording: Recording, questionnaires: Questionnaires, trial: Database) -> Compared:
    replies = trial.write(lambda db: replay_recording(db, recording, questionnaires))
    return Compared(recording, replies)


def save_recording(settings: Settings, id: int, file: Path) -> None:
    """As the version it began with says it to the masked texts, so that file and replies agree."""
    with ready_database() as database, database.read() as db:
        recording = next(find_recordings(db, [id]), None)
        if recording is None:
            raise SettingsError(f"There is no conversation {id}. Look for its id in the history.")
        version = Conversation.find_by_id(db, id).version
        own = Questionnaires({version.name: version.definition}).only(version.name)
    masked = recording.masked(load_people(settings).values())
    with trial_database() as trial:
        replies = hold_again(masked, own, trial).replies
    file.write_bytes(masked.saying(replies).encoded())
    say(f"Saved to {file}. Read it before you share it: only known names and numbers are masked.")


def tell_differences(compared: list[Compared]) -> int:
    """Each difference once, the most frequent first; how many replies differ."""
    differences: dict[tuple[str, str], list[tuple[Recording, str]]] = defaultdict(list)
    for one in compared:
        for turn, reply in zip(one.recording.turns, one.replies, strict=True):
            if turn.reply != reply:
                differences[turn.reply or "", reply or ""].append((one.recording, turn.said))
    for (before, now), found in sorted(differences.items(), key=lambda one: -len(one[1])):
        recording, said = found[0]
        origin = f"conversation {recording.conversation}" if recording.conversation else "a file"
        place = f"{origin} ({recording.questionnaire}), at {said!r}"
        say(f"{number(len(found), 'time')}, first in {place}")
        say(f"  - {before or SILENCE}", fg="red")
        say(f"  + {now or SILENCE}", fg="green")
    total = sum(len(one.replies) for one in compared)
    differing = sum(map(len, differences.values()))
    held = number(len(compared), "conversation")
    say(f"{differing} of {total} replies differ, in {held}.")
    return differing


SILENCE = "(silence)"


@cli.command()
def deliver() -> None:
    """Deliver results without answering Twilio, until stopped."""
    settings = Settings.from_env(os.environ)
    check_database(settings)
    logging.config.dictConfig(LOGGING)
    with open_database(settings) as database:
        sender = Sender(database, settings, clock_of(database), Event())
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: sender.stop())
        note("delivering", version=__version__)
        sender.run()
        if database.broken.is_set():
            sys.exit(os.EX_SOFTWARE)


@cli.group(invoke_without_command=True)
@click.pass_context
def outbox(ctx: click.Context) -> None:
    """List the results that are owed and not delivered, and why."""
    if ctx.invoked_subcommand:
        return
    with ready_database() as database, database.read() as db:
        undelivered = Delivery.find_undelivered(db)
    gone = {one.url for one in undelivered if one.says_gone}
    for one in undelivered:
        click.echo(
            f"{one.id}  {one.state}, {one.attempts} attempts{tell_next(one, gone)}, to {one.url}"
        )
        if one.last_error:
            click.echo(f"    {one.last_error}")
    if not undelivered:
        click.echo("Everything is delivered.")


def tell_next(delivery: Delivery, gone: set[str]) -> str:
    if delivery.next_attempt_at is None:
        return ""
    if delivery.url in gone:
        return ", paused"
    return f", next attempt at {delivery.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"


@outbox.command()
@click.argument("ids", metavar="ID", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are not delivered.")
def retry(ids: tuple[int, ...], everything: bool) -> None:
    """Try again now: one or more by their ID, or --all."""
    if bool(ids) == everything:
        raise click.UsageError("Name the results by ID, or say --all.")
    with ready_database() as database:
        now = clock_of(database)()
        again = database.write(lambda db: Delivery.redeliver_all(db, ids, now))
    if missing := set(ids) - set(again):
        names = ", ".join(map(str, sorted(missing)))
        raise click.ClickException(f"Not in the outbox, or delivered already: {names}.")
    click.echo(f"To be tried again now: {len(again)}.")


@contextmanager
def ready_database() -> Iterator[Database]:
    settings = Settings.from_env(os.environ)
    check_database(settings)
    with open_database(settings) as database:
        yield database


who_texts = click.option(
    "--from", "sender", default="+14158675308", show_default=True, help="Who texts."
)
our_number = click.option(
    "--to", "number", default="+14155550100", show_default=True, help="Our number."
)


@cli.command()
@click.option("--url", required=True, help="The webhook, as Twilio has it: https://…/sms")
@who_texts
@our_number
def phone(url: str, sender: str, number: str) -> None:
    """Text any running webhook from the terminal, as Twilio would."""
    settings = Settings.from_env(os.environ)
    if not (settings.account_sid and settings.auth_tokens):
        raise SettingsError("Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN as the webhook has them.")
    converse(url, settings, sender, number)


def converse(url: str, settings: Settings, sender: str, number: str) -> None:
    """A text for each line of the terminal or the pipe, until it ends."""
    handset = Phone(
        url,
        account_sid=settings.account_sid,
        auth_token=settings.auth_tokens[0],
        sender=sender,
        number=number,
    )
    for line in read_lines():
        try:
            replies = handset.text(line)
        except TwilioError as error:
            say(f"! {error}", fg="red")
            continue
        for reply in replies:
            say("< " + reply.replace("\n", "\n  "), fg="green")
        if not replies:
            say("  (no reply)")


def read_lines() -> Iterator[str]:
    """What is typed after a prompt; what comes through a pipe, shown after the same prompt."""
    if sys.stdin.isatty():
        with suppress(EOFError, KeyboardInterrupt):
            while True:
                if line := input(PROMPT).strip():
                    yield line
        say()
        return
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        if line := line.rstrip("\r\n"):
            say(PROMPT + line)
            yield line


PROMPT = "> "


def say(line: str = "", fg: str | None = None) -> None:
    click.secho(line, fg=fg)
    sys.stdout.flush()


@cli.command()
@who_texts
@our_number
def rehearse(sender: str, number: str) -> None:
    """Hold a conversation on this machine: no Twilio account, and nothing leaves.

    The server, the database and the delivery are the real ones; the phone is your terminal, or a
    pipe with a text a line, and every result is shown instead of sent.
    """
    environ = rehearsal_environment()
    with showing_results() as receiver, running_server(environ, receiver):
        settings = Settings.from_env(environ)
        say(f"You are {sender}, texting {number}. Type a text and press Enter; Ctrl-D ends.")
        converse(f"{settings.public_url}/sms", settings, sender, number)
        undelivered = wait_for_results(settings)
    say(f"Every message is in {REHEARSAL}: sqlite3 {REHEARSAL} 'select * from transcript'")
    if undelivered:
        raise click.ClickException(f"{undelivered} results were not delivered; see {SERVER_LOG}.")


REHEARSAL = "rehearsal.db"
SERVER_LOG = "rehearsal.log"
START_SECONDS, RESULTS_SECONDS = 15, 40


def rehearsal_environment() -> dict[str, str]:
    """This environment, with an empty database, a free port and secrets of its own."""
    with keep_others_away(Settings(database_url=f"sqlite:///{REHEARSAL}")):
        for suffix in ("", "-wal", "-shm"):
            Path(REHEARSAL + suffix).unlink(missing_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    return os.environ | {
        "DATABASE_URL": f"sqlite:///{REHEARSAL}",
        "TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "SMSCONVO_PUBLIC_URL": f"http://{address}",
        "SMSCONVO_LISTEN": address,
        "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1",
    }


@contextmanager
def showing_results() -> Iterator[str]:
    """A receiver on loopback that shows each result; yields its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/results"
        server.shutdown()


class Receiver(BaseHTTPRequestHandler):
    """Stands in for the form or program that gets the results."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        say(
            "\n* The result was delivered:" if sys.stdin.isatty() else "* The result was delivered:"
        )
        if self.headers["Content-Type"] == "application/json":
            say(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
        else:
            for name, value in parse_qsl(body, keep_blank_values=True):
                say(f"    {name}: " + value.replace("\n", "\n      "))
        if sys.stdin.isatty():
            click.echo(PROMPT, nl=False)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: the results are what is to be seen."""


@contextmanager
def running_server(
    environ: dict[str, str],
    receiver: str,
    program: Path = HERE / "smsconvo.py",
    options: Collection[str] = (),
) -> Iterator[subprocess.Popen]:
    arguments = [sys.executable, str(program), "serve", "--results-to", receiver, *options]
    with open(SERVER_LOG, "w+b") as log_file:
        # In a session of its own, so that Ctrl-C reaches it only through us.
        server = subprocess.Popen(
            arguments, env=environ, stdout=log_file, stderr=log_file, start_new_session=True
        )
        try:
            wait_for_server(server, Settings.from_env(environ).listen)
            yield server
        finally:
            server.terminate()
            server.wait(STOP_SECONDS + 5)


def wait_for_server(server: subprocess.Popen, address: tuple[str, int]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SettingsError(Path(SERVER_LOG).read_text("utf-8", "replace").strip())
        with suppress(OSError), socket.create_connection(address, timeout=1):
            return
        time.sleep(0.02)
    raise SettingsError(f"The server did not start within {START_SECONDS} s; see {SERVER_LOG}.")


def wait_for_results(settings: Settings) -> int:
    """How many results are still not delivered when it is time to go."""
    deadline = time.monotonic() + RESULTS_SECONDS
    with open_database(settings) as database:
        while True:
            with database.read() as db:
                pending, _ = Delivery.count_undelivered(db).get("pending", (0, None))
            if not pending or time.monotonic() > deadline:
                return pending
            time.sleep(0.05)


if __name__ == "__main__":
    cli()
