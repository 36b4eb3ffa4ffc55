"""smsconvo turns texts to a Twilio number into conversations: the Bottle app, with every route.

Nothing here decides what a conversation is: `models/` does. A route reads its request, calls
one function, and renders the outcome.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, NamedTuple

import msgspec
from bottle import Bottle, HTTPError, HTTPResponse, request, response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gateway import twiml
from gateway.webhook import COOKIE, RequestRejected, StatusReport, Webhook
from logs import dropped_lines, error_location, log_event
from models import Delivery, Message, ReceiverForm
from models.delivery import Undelivered
from models.receiver_form import group_by_form
from models.set_aside import record_only, set_aside, take
from models.trial import try_recording
from models.turn import Reply
from reloading import WatchedFiles
from resources import open_database
from settings import Settings
from storage import Database, describe, is_deterministic
from storage.probe import Probe
from storage.unreadable import UnreadableRow
from storage.versions import SELECT_VERSION, known_versions
from worker.wal import LARGE_WAL, is_wal_large

Clock = Callable[[], datetime]

ESSENTIAL = {"database", "migration", "disk"}  # without which texts get a 503, or may soon
BROKEN_DATABASE = "The disk failed, or the files are damaged or were taken away. The log says more."
WRONG_VERSION = "The database and this program are not of the same version. See: upgrade --help"
UNKNOWN_VERSION = "The version cannot be read while the database cannot be used."
LITTLE_ROOM = "The disk is nearly full, and texts that find no room get a 503. Make room."
FAILED_RESULTS = "Results have failed, and stay until you retry them. See: outbox --help"
UNCONFIRMED_RESULTS = (
    "Nobody knows whether some results have arrived. Look for them at the receiver, then confirm or"
    " retry them. See: outbox --help"
)
CHANGED_FORMS = (
    "A Google Form that gets results has changed, or would not record what is sent. See: outbox"
)
FILE_PROBLEMS = "The files have mistakes, so those from before are in use. See: check --help"
UNREADABLE_ROWS = "Rows cannot be read. Until you correct them, {}."
UNANSWERED = "their senders are not answered"
HARMS = {  # of rows that keep no sender from an answer, by their table
    "outbox": "their results are not delivered",
    "receiver_forms": "their forms are not looked at",
}
DROPPED_LINES = "Nobody takes the log, or there is no room for it, so lines were dropped."

COOKIE_SECONDS = 4 * 60 * 60  # Twilio keeps no cookie longer
MAX_ROWS = 20  # that cannot be read are named in /healthz
MIN_FREE_DISK = 64 * 1024 * 1024  # bytes; the log of SQLite may need as much


class DatabaseState(NamedTuple):
    """What `/healthz` reads: its version, what it owes, and whose forms need a look."""

    version: str | None = None
    undelivered: Undelivered = Undelivered()
    forms: Sequence[str] = ()  # names of questionnaires


class App(Bottle):
    """The Bottle application, and what its routes need."""

    def __init__(self, settings: Settings, clock: Clock | None, files: WatchedFiles | None) -> None:
        super().__init__()
        self.settings = settings
        self.files = files or WatchedFiles(settings)
        self.webhook = Webhook(settings.account_sid, settings.auth_tokens, settings.public_url)
        self.database = open_database(settings)
        self.clock = clock or self.database.now
        self.needed_version = known_versions()[-1]
        self.result_written = Event()
        self.read_probe = Probe(partial(read_state, self))
        self.write_probe = Probe(lambda: try_recording(self.database, self.clock()))

    def default_error_handler(self, error: HTTPError) -> str:
        """Tell the log, and tell the outside nothing: an error page could be texted to somebody."""
        reason = error.reason if isinstance(error, LoggedError) else error.status_line
        log_event("refused", logging.WARNING, status=error.status_code, why=reason)
        return ""


def create_app(
    settings: Settings, clock: Clock | None = None, files: WatchedFiles | None = None
) -> App:
    """The application, for any WSGI server. Only tests give it a clock, and only `serve` files."""
    app = App(settings, clock, files)
    app.install(errors_as_5xx)
    app.route("/sms", "POST", receive_text)
    app.route("/sms/status", "POST", receive_status)
    app.route("/healthz", "GET", show_health)
    return app


class LoggedError(HTTPError):
    """An error whose reason is for the log only. It must hold nothing that a stranger sent."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status)
        self.reason = reason


def errors_as_5xx(route: Callable) -> Callable:
    """Any doubt is a 5xx, and no exception's own words reach the log: they may quote a text."""

    def guarded(*args, **kwargs):
        try:
            return route(*args, **kwargs)
        except HTTPResponse:
            raise
        except RequestRejected as error:
            raise LoggedError(error.status, error.reason) from None
        except UnreadableRow as error:
            request.app.database.unreadable.add(error)
            raise LoggedError(500, f"{error}, so this row cannot be read") from None
        except (DBAPIError, OSError) as error:
            reason = f"the database did not answer: {error_location(error)}"
            raise LoggedError(503, reason) from None
        except Exception as error:
            raise LoggedError(500, error_location(error)) from None

    return guarded


def receive_text() -> str:
    app = request.app
    text = app.webhook.incoming_text(request.environ)
    catalog, people = app.files.current
    given = {"text": text, "now": app.clock(), "catalog": catalog, "people": people}
    try:
        reply = app.database.write(partial(take, **given))
    except Exception as error:
        reply = record_undecided(app.database, given, error)
    if reply.has_result:
        app.result_written.set()
    log_event("text", sid=text.sid, outcome=reply.outcome)
    return render_reply(reply, app.settings.public_url)


def record_undecided(database: Database, given: Mapping[str, Any], error: Exception) -> Reply:
    """Set a text aside whose turn cannot be saved, because of this error.

    If not even that can be done, the text is recorded, and gets no reply.
    """
    for attempt in (set_aside, record_only):
        if not is_deterministic(error):
            break
        try:
            return database.write(partial(attempt, **given, error=error))
        except Exception as another:
            error = another
    raise error


def render_reply(reply: Reply, public_url: str) -> str:
    response.content_type = "text/xml; charset=utf-8"
    if reply.token:
        response.set_cookie(
            COOKIE,
            reply.token,
            path="/",
            max_age=COOKIE_SECONDS,
            httponly=True,
            secure=public_url.startswith("https:"),
        )
    return twiml.render(reply.body, f"{public_url}/sms/status?{status_query(reply)}")


def status_query(reply: Reply) -> str:
    """What names a reply to Twilio; one that went out before there were tokens, as it was then."""
    token = f"&token={reply.status_token}" if reply.status_token else ""
    return f"message={reply.message_id}{token}"


def receive_status() -> None:
    """What became of a reply. The response may never have a body: Twilio would text it."""
    report = request.app.webhook.status_report(request.environ)
    is_known = request.app.database.write(partial(save_status, report=report))
    log_event("status", sid=report.sid, outcome="recorded" if is_known else "unknown message")
    response.status = 204


def save_status(db: Session, *, report: StatusReport) -> bool:
    message = Message.find_reported(
        db, report.message_id, report.token, report.sid, report.sender, report.recipient
    )
    if message is None:
        return False
    message.report(report.status, report.sid, report.error_code)
    message.update(db)
    return True


def show_health() -> bytes:
    """What works, for whoever watches over smsconvo; nothing about anybody who texts."""
    checks = health_checks(request.app)
    wrong = {name for name, check in checks.items() if not check["ok"]}
    status = "failing" if wrong & ESSENTIAL else "degraded" if wrong else "ok"
    response.status = 503 if status == "failing" else 200
    response.content_type = "application/json"
    response.set_header("Cache-Control", "no-store")
    return msgspec.json.encode({"status": status} | checks)


def health_checks(app: App) -> dict[str, dict]:
    """What each part is like; only one that is ESSENTIAL is a reason to keep texts away from us."""
    (version, undelivered, forms), trouble = probe_database(app)
    free, wal = measure(app.database.free_space), measure(app.database.wal_size)
    dropped, needed = dropped_lines.count, app.needed_version
    problems, rows = app.files.problems, list(app.database.unreadable)
    wrong_version = UNKNOWN_VERSION if trouble and version is None else WRONG_VERSION
    return {
        "database": check(not trouble, trouble),
        "migration": check(version == needed, wrong_version, found=version, needed=needed),
        "disk": check(free is None or free >= MIN_FREE_DISK, LITTLE_ROOM, free_bytes=free),
        "wal": check(not is_wal_large(wal), LARGE_WAL, bytes=wal),
        "outbox": check_outbox(undelivered),
        "forms": check(not forms, CHANGED_FORMS, questionnaires=forms),
        "rows": check_rows(rows),
        "questionnaires": check(not problems, FILE_PROBLEMS, problems=problems),
        "log": check(not dropped, DROPPED_LINES, dropped_lines=dropped),
    }


def check_outbox(undelivered: Undelivered) -> dict[str, object]:
    """Whether results wait for the operator, and for what."""
    reasons = [FAILED_RESULTS] * bool(undelivered.failed)
    reasons += [UNCONFIRMED_RESULTS] * bool(undelivered.unconfirmed)
    return check(not reasons, " ".join(reasons), **undelivered.summary())


def check(ok: bool, why: str, **facts: object) -> dict[str, object]:
    """A part of what `/healthz` shows: whether it is right, else why not, and what is known."""
    return {"ok": ok} | ({} if ok else {"why": why}) | facts


def check_rows(rows: list[UnreadableRow]) -> dict[str, object]:
    """Which rows cannot be read, and whom that harms."""
    found = {HARMS.get(row.table, UNANSWERED) for row in rows}
    harms = [harm for harm in (UNANSWERED, *HARMS.values()) if harm in found]
    why = UNREADABLE_ROWS.format(" and ".join(harms))
    return check(not rows, why, unreadable=list(map(str, rows[:MAX_ROWS])), count=len(rows))


def probe_database(app: App) -> tuple[DatabaseState, str]:
    """What is in it, and why no text can be recorded in it, or ""."""
    state, trouble = DatabaseState(), ""
    try:
        app.write_probe.start()  # beside the other, so that both together take no longer
        state = app.read_probe.result()
        app.write_probe.result()
    except Exception as error:
        trouble = f"No text can be recorded: {describe(error)}."
    return state, BROKEN_DATABASE if app.database.broken.is_set() else trouble


def read_state(app: App) -> DatabaseState:
    now, forms = app.clock(), group_by_form(app.files.current.catalog)
    with app.database.read() as db:
        version, undelivered = db.scalar(SELECT_VERSION), Delivery.count_undelivered(db, now)
        changed = ReceiverForm.find_changed(db, forms)
    names = sorted(name for form in changed for name, _ in forms[form.url])
    return DatabaseState(version, undelivered, names)


def measure(size: Callable[[], int | None]) -> int | None:
    with suppress(OSError):  # the directory may be gone
        return size()


if __name__ == "__main__":
    from commands import main

    main(create_app)
