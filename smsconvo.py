"""smsconvo turns texts to a Twilio number into conversations: the Bottle app, with every route.

Nothing here decides what a conversation is: `models/` does. A route reads its request, calls
one function, and renders the outcome.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any

import msgspec
from bottle import Bottle, HTTPError, HTTPResponse, request, response
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gateway import twiml
from gateway.webhook import COOKIE, RequestRejected, StatusReport, Webhook
from health import Health, status_of
from logs import error_location, log_event
from models import Message
from models.set_aside import record_only, set_aside, take
from models.turn import Reply
from reloading import WatchedFiles
from resources import open_database
from settings import Settings
from storage import Database, is_deterministic
from storage.unreadable import UnreadableRow

Clock = Callable[[], datetime]

COOKIE_SECONDS = 4 * 60 * 60  # Twilio keeps no cookie longer


class App(Bottle):
    """The Bottle application, and what its routes need."""

    def __init__(self, settings: Settings, clock: Clock | None, files: WatchedFiles | None) -> None:
        super().__init__()
        self.settings = settings
        self.files = files or WatchedFiles(settings)
        self.webhook = Webhook(settings.account_sid, settings.auth_tokens, settings.public_url)
        self.database = open_database(settings)
        self.clock = clock or self.database.now
        self.result_written = Event()
        self.health = Health(self.database, self.files, self.clock)

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
    checks = request.app.health.checks()
    status = status_of(checks)
    response.status = 503 if status == "failing" else 200
    response.content_type = "application/json"
    response.set_header("Cache-Control", "no-store")
    return msgspec.json.encode({"status": status} | checks)


if __name__ == "__main__":
    from commands import main

    main(create_app)
