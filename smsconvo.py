"""smsconvo turns texts to a Twilio number into conversations: the Bottle app, with every route.

Nothing here decides what a conversation is: `models/` does. A route has its request read, one verb
done, and the outcome rendered.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from threading import Event

import msgspec
from bottle import Bottle, HTTPError, HTTPResponse, request, response
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session

from gateway import twiml
from gateway.webhook import COOKIE, RequestRejected, StatusReport, Webhook
from logs import error_location, log_event
from models import Delivery, IncomingText, Message, respond
from models.set_aside import set_aside
from models.turn import Reply, load, save
from resources import open_catalog, open_database, open_people
from settings import Settings
from storage import is_deterministic
from storage.unreadable import UnreadableRow
from storage.versions import SELECT_VERSION, known_versions

Clock = Callable[[], datetime]

COOKIE_SECONDS = 4 * 60 * 60  # Twilio keeps no cookie longer
MAX_ROWS = 20  # that cannot be read are named in /healthz
MIN_FREE_DISK = 64 * 1024 * 1024  # bytes; the log of SQLite may need as much


class App(Bottle):
    """The Bottle application, and what its routes need."""

    def __init__(self, settings: Settings, clock: Clock | None) -> None:
        super().__init__()
        self.settings = settings
        self.people = open_people(settings)
        self.catalog = open_catalog(settings)
        self.webhook = Webhook(settings.account_sid, settings.auth_tokens, settings.public_url)
        self.database = open_database(settings)
        self.clock = clock or self.database.now
        self.needed_version = known_versions()[-1]
        self.result_written = Event()

    def default_error_handler(self, error: HTTPError) -> str:
        """Tell the log, and tell the outside nothing: an error page could be texted to somebody."""
        reason = error.reason if isinstance(error, LoggedError) else error.status_line
        log_event("refused", logging.WARNING, status=error.status_code, why=reason)
        return ""


def create_app(settings: Settings, clock: Clock | None = None) -> App:
    """The application, for any WSGI server. Only tests give it a clock."""
    app = App(settings, clock)
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
    reply = record_text(app, text)
    if reply.has_result:
        app.result_written.set()
    log_event("text", sid=text.sid, outcome=reply.outcome)
    return render_reply(reply, app.settings.public_url)


def record_text(app: App, text: IncomingText) -> Reply:
    """Process a text in a transaction; if what it leads to cannot be saved, set it aside."""
    now = app.clock()
    try:
        return app.database.write(partial(process_text, app=app, text=text, now=now))
    except Exception as error:
        if not is_deterministic(error):
            raise
        reason = error
    return app.database.write(lambda db: set_aside(db, text, now, reason, app.catalog, app.people))


def process_text(db: Session, *, app: App, text: IncomingText, now: datetime) -> Reply:
    """Load, decide, save. What is recorded already goes out again, and changes nothing.

    A text is set aside if a row that it depends on cannot be read, or if deciding fails.
    """
    try:
        state = load(db, text, app.catalog, app.people)
        if isinstance(state, Reply):
            return state
        decision = respond(state, text, now)
    except (SQLAlchemyError, OSError):
        raise
    except Exception as error:
        return set_aside(db, text, now, error, app.catalog, app.people)
    return save(db, decision)


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
    return twiml.render(reply.body, f"{public_url}/sms/status?message={reply.message_id}")


def receive_status() -> None:
    """What became of a reply. The answer may never be a message: Twilio would text it."""
    report = request.app.webhook.status_report(request.environ)
    is_known = request.app.database.write(partial(save_status, report=report))
    log_event("status", sid=report.sid, outcome="recorded" if is_known else "unknown message")
    response.status = 204


def save_status(db: Session, *, report: StatusReport) -> bool:
    message = Message.find_outbound(db, report.message_id)
    if message is None:
        return False
    message.report(report.status, report.sid, report.error_code)
    message.update(db)
    return True


def show_health() -> bytes:
    """Counts and states for whoever watches over smsconvo; nothing about anybody who texts."""
    checks = health_checks(request.app)
    wrong = {name for name, check in checks.items() if check.get("ok") is False}
    failing = wrong - {"rows"}  # which concern only those whose rows they are
    response.status = 503 if failing else 200
    response.content_type = "application/json"
    response.set_header("Cache-Control", "no-store")
    status = "failing" if failing else "degraded" if wrong else "ok"
    return msgspec.json.encode({"status": status} | checks)


def health_checks(app: App) -> dict[str, dict]:
    """What works. A receiver that takes no results is no reason to keep texts away from us."""
    try:
        now = app.clock()
        with app.database.read() as db:
            version = db.scalar(SELECT_VERSION)
            undelivered = Delivery.count_undelivered(db)
    except DBAPIError:
        now, version, undelivered = datetime.now(UTC), None, {}
    free, needed = app.database.free_space(), app.needed_version
    rows = list(map(str, app.database.unreadable))
    return {
        "database": {"ok": version is not None and not app.database.broken.is_set()},
        "migration": {"ok": version == needed, "found": version, "needed": needed},
        "disk": {"ok": free is None or free >= MIN_FREE_DISK, "free_bytes": free},
        "outbox": summarize_outbox(undelivered, now),
        "rows": {"ok": not rows, "unreadable": rows[:MAX_ROWS], "count": len(rows)},
    }


def summarize_outbox(undelivered: dict[str, tuple[int, datetime]], now: datetime) -> dict[str, int]:
    pending, oldest = undelivered.get("pending", (0, now))
    failed, _ = undelivered.get("failed", (0, now))
    age = max(int((now - oldest).total_seconds()), 0)
    return {"pending": pending, "failed": failed, "oldest_pending_seconds": age}


if __name__ == "__main__":
    from commands import main

    main(create_app)
