"""smsconvo turns texts to a Twilio number into conversations: the Bottle app, with every route.

Nothing here decides what a conversation is: `models/` does. A route reads its request, calls
one function, and renders the outcome.
"""

import gc

if __name__ == "__main__":
    gc.disable()  # while loading: most collections then find nothing, and take a fifth of the start

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

import msgspec
from bottle import Bottle, HTTPError, HTTPResponse, request, response
from sqlalchemy.orm import Session

from console.access import Access
from console.acting import carry_out
from console.pages import FOREVER, NAV, Pages, static_files
from console.shared import SharedResults
from console.turns import TRYING
from exports import FORMATS, find_file
from gateway import twiml
from gateway.webhook import StatusReport, Webhook, parse_form, read_body, write_cookie
from health import Health, status_of
from logs import log_event
from metrics import CONTENT_TYPE, Metrics, has_key
from models import Message
from models.acts import conversations, notes, people, results, shares
from models.acts.act import Act
from models.console import DO, LOOK, Operator
from models.console.token import TOKEN
from models.drafts import TURNS
from models.message import LOST
from models.reports.answers import find_answers
from models.reports.context import PageContext, Query
from models.reports.files import find_files
from models.reports.now import find_now
from models.reports.outbox import find_outbox
from models.reports.people import find_people
from models.reports.person import find_person
from models.reports.poster import find_poster
from models.reports.result import find_result
from models.reports.search import find_matches
from models.reports.sessions import find_sessions
from models.reports.shares import find_shares
from models.reports.thread import find_thread
from models.reports.threads import find_threads
from models.reports.tryout import find_test, find_tryout
from models.set_aside import record_undecided
from models.turn import Given
from plugins import (
    ANYONE,
    ConsoleGuard,
    LoggedError,
    add_headers,
    errors_as_5xx,
    refuse_odd_path,
    see_other,
)
from reloading import WatchedFiles
from resources import open_database
from settings import Settings
from shared_counts import SharedCounts
from storage.siblings import Siblings

Clock = Callable[[], datetime]

ROW = r"[1-9][0-9]{0,17}"  # an id in a path: any that the databases can hold


class App(Bottle):
    """The Bottle application, and what its routes need."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None,
        files: WatchedFiles | None,
        counts: SharedCounts | None,
        siblings: Siblings | None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.files = files or WatchedFiles(settings)
        self.webhook = Webhook(settings.account_sid, settings.auth_tokens, settings.public_url)
        self.is_secure = settings.public_url.startswith("https:")
        self.database = open_database(settings, siblings)
        self.clock = clock or self.database.now
        self.result_written = Event()
        self.counts = counts or SharedCounts()
        self.health = Health(self.database, self.files, self.counts, self.clock)
        self.metrics = Metrics(self.database, self.counts, self.clock)
        self.access = Access(settings, self.database, self.clock)
        self.pages = Pages(settings.public_url)
        self.shared = SharedResults(self.database, self.pages, self.context)
        self.router.add_filter("row", lambda _: (ROW, int, str))

    def context(self, operator: Operator, query: Query) -> PageContext:
        """What a page or an act for an operator goes by."""
        catalog, people = self.files.current
        return PageContext(query, catalog, people, self.clock(), operator)

    def default_error_handler(self, error: HTTPError) -> str:
        """Tell the log, and an operator what to do.

        Tell others nothing: an error page could be texted to somebody.
        """
        is_logged = isinstance(error, LoggedError)
        reason = error.reason if is_logged else error.status_line
        log_event("refused", logging.WARNING, status=error.status_code, why=reason)
        self.counts.add_refused(reason, error.status_code)
        advice = error.advice if is_logged else ""
        return self.pages.render_error(request.path, error.status_code, advice)


def create_app(
    settings: Settings,
    clock: Clock | None = None,
    files: WatchedFiles | None = None,
    counts: SharedCounts | None = None,
    siblings: Siblings | None = None,
) -> App:
    """The application, for any WSGI server.

    Only tests give it a clock, and only `serve` what its processes share.
    """
    app = App(settings, clock, files, counts, siblings)
    app.install(errors_as_5xx)
    app.install(ConsoleGuard())
    app.add_hook("before_request", refuse_odd_path)
    app.add_hook("after_request", add_headers)
    app.route("/sms", "POST", receive_text)
    app.route("/sms/status", "POST", receive_status)
    app.route("/healthz", "GET", show_health)
    if settings.metrics_key:
        app.route("/metrics", "GET", show_metrics)
    app.route("/static/<name>", "GET", send_static)
    app.route("/r/<token>", "GET", show_share)
    add_console(app)
    add_acts(app)
    return app


def add_console(app: App) -> None:
    app.route(["/", "/console/"], "GET", open_console, role=ANYONE)
    app.route("/console/sign-in", "GET", show_sign_in, role=ANYONE)
    app.route("/console/sign-in", "POST", sign_in, role=ANYONE)
    app.route(f"/console/enter/<token:re:{TOKEN}>", "GET", show_link, role=ANYONE)
    app.route(f"/console/enter/<token:re:{TOKEN}>", "POST", use_link, role=ANYONE)
    app.route("/console/sign-out", "POST", sign_out, role=LOOK)
    find_here = partial(find_now, checks=app.health.local_checks)
    app.route("/console", "GET", page("now", find_here), role=LOOK)
    app.route("/console/threads", "GET", page("threads", find_threads), role=LOOK)
    app.route("/console/threads/<id:row>", "GET", page("thread", find_thread), role=LOOK)
    app.route("/console/search", "GET", page("search", find_matches), role=LOOK)
    app.route("/console/people", "GET", page("people", find_people), role=LOOK)
    app.route("/console/people/<id:row>", "GET", page("person", find_person), role=LOOK)
    app.route("/console/outbox", "GET", page("outbox", find_outbox), role=LOOK)
    app.route("/console/outbox/<id:row>", "GET", page("result", find_result), role=LOOK)
    app.route("/console/answers", "GET", page("answers", find_answers), role=LOOK)
    for format in FORMATS:
        app.route(f"/console/answers.{format}", "GET", partial(send_file, format), role=LOOK)
    app.route("/console/health", "GET", show_health_page, role=LOOK)
    find_examined = partial(find_files, app.files.examine)
    app.route("/console/files", "GET", page("files", find_examined), role=LOOK)
    app.route("/console/files/<name>/poster", "GET", page("poster", find_poster), role=LOOK)
    app.route("/console/sessions", "GET", page("sessions", find_sessions), role=LOOK)
    app.route("/console/shares", "GET", page("shares", find_shares), role=LOOK)
    app.route("/console/sessions/<id:row>/revoke", "POST", revoke_session, role=DO)
    app.route(["/console/try", "/console/try/<name>"], ["GET", "POST"], try_out, role=LOOK)
    app.route("/console/try/<name>/test.json", "POST", save_test, role=LOOK)


def add_acts(app: App) -> None:
    add_act(app, "/console/outbox/<id:row>/retry", results.find_retry)
    add_act(app, "/console/outbox/<id:row>/retry-all", results.find_retry_all)
    add_act(app, "/console/outbox/<id:row>/confirm", results.find_confirm)
    add_act(app, "/console/outbox/<id:row>/discard", results.find_discard)
    add_act(app, "/console/threads/<id:row>/stop", conversations.find_stop)
    add_act(app, "/console/threads/<id:row>/complete", conversations.find_complete)
    add_act(app, "/console/threads/<id:row>/test", conversations.find_mark)
    add_act(app, "/console/threads/<id:row>/no-test", conversations.find_unmark)
    add_act(app, "/console/people/<id:row>/opt-out", people.find_opt_out)
    add_act(app, "/console/people/<id:row>/opt-in", people.find_opt_in)
    add_act(app, "/console/people/<id:row>/note", notes.find_note)
    add_act(app, "/console/shares/new", shares.find_make)
    add_act(app, "/console/shares/<id:row>/revoke", shares.find_revoke)


def receive_text() -> bytes:
    app, began_at = request.app, perf_counter()
    text = app.webhook.incoming_text(request.environ)
    given = Given(text, app.clock(), *app.files.current)
    try:
        reply = app.database.write_together(TURNS, given)
    except Exception as error:
        reply = record_undecided(app.database, given, error)
    if reply.has_result:
        app.result_written.set()
    app.counts.add_turn(perf_counter() - began_at, reply.body is not None)
    log_event("text", sid=text.sid, outcome=reply.outcome)
    url = app.settings.public_url
    content = twiml.render(reply.body, url, reply.message_id, reply.status_token)
    response.content_type, response.content_length = twiml.CONTENT_TYPE, len(content)
    if reply.token:
        response.add_header("Set-Cookie", write_cookie(reply.token, is_secure=app.is_secure))
    return content


def receive_status() -> None:
    """What became of a reply. The response may never have a body: Twilio would text it."""
    report = request.app.webhook.status_report(request.environ)
    is_known = request.app.database.write(partial(save_status, report=report))
    if is_known and report.status in LOST:
        request.app.counts.add_undelivered(report.error_code)
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


def show_metrics() -> bytes:
    """Figures for Prometheus, for whoever has the key."""
    given = request.environ.get("HTTP_AUTHORIZATION", "")
    if not has_key(given, request.app.settings.metrics_key):
        raise LoggedError(401, "the key of the metrics is wrong")
    response.content_type = CONTENT_TYPE
    response.set_header("Cache-Control", "no-store")
    return request.app.metrics.render()


def send_static(name: str) -> bytes:
    """One of the few files that pages need; no other name leads anywhere."""
    file = static_files().get(name)
    if file is None:
        raise LoggedError(404, "there is no such file")
    response.content_type = file.type
    response.set_header("Cache-Control", FOREVER)
    response.set_header("X-Content-Type-Options", "nosniff")
    return file.content


def show_share(token: str) -> str:
    """Results, for whoever has the link to them."""
    return request.app.shared.show(token, request.query_string)


def open_console() -> HTTPResponse:
    """Browsers do not say here who they are: the cookie is for the console alone."""
    return see_other("/console")


def show_sign_in() -> str:
    return request.app.pages.render("sign_in", advice="")


def sign_in() -> HTTPResponse:
    return see_other("/console", request.app.access.use_password(request.environ))


def show_link(token: str) -> str:
    """Nothing is looked up: programs that preview links come here, too."""
    return request.app.pages.render("enter")


def use_link(token: str) -> HTTPResponse:
    """Whoever opens a link can be led to any page, and nowhere else."""
    landing = Query.parse(request.query_string).choice("to", NAV.values()) or "/console"
    return see_other(landing, request.app.access.use_link(request.environ, token))


def sign_out(operator: Operator) -> HTTPResponse:
    request.app.access.sign_out(operator)
    return see_other("/console/sign-in")


def read_query() -> Query:
    """The fields of the form; without one, of the address."""
    if request.method != "POST":
        return Query.parse(request.query_string)
    return Query.of_form(parse_form(read_body(request.environ)).fields)


def page(view: str, find: Callable[..., object]) -> Callable[..., str]:
    """A route that shows what `find(db, context, **values of the path)` finds."""

    def show(operator: Operator, **path: Any) -> str:
        app = request.app
        context = app.context(operator, Query.parse(request.query_string))
        with app.database.report() as db:
            context = context.with_true_outcome(db, **path)
            found = find(db, context, **path)
        return send_page(context, view, found)

    return show


def send_page(context: PageContext, view: str, found: object) -> str | HTTPResponse:
    """A page, or that it is still the one that the browser has; the time on it does not count."""
    page = request.app.pages.render_for(context, view, found)
    headers = {"ETag": page.etag, "As-Of": page.as_of}
    if request.get_header("If-None-Match") == page.etag:
        return HTTPResponse(status=304, headers=headers)
    response.headers.update(headers)
    return page.content


def send_file(format: str, operator: Operator) -> Iterator[bytes]:
    """The answers that an address asks for, while they are read."""
    app = request.app
    app.access.check_reader(request.environ)
    file = find_file(app.database, app.context(operator, Query.parse(request.query_string)), format)
    log_event("console", outcome="exported", format=format, session=operator.session_id)
    response.content_type = file.type
    response.set_header("Content-Disposition", f'attachment; filename="{file.name}"')
    return file.chunks


def add_act(app: App, address: str, find: Callable[..., Act]) -> None:
    """Routes that ask an operator whether to do what `find` finds, and do it."""
    app.route(address, "GET", page("act", find), role=DO)
    app.route(address, "POST", partial(do_act, find), role=DO)


def do_act(find: Callable[..., Act], operator: Operator, **path: Any) -> HTTPResponse:
    app = request.app
    context = app.context(operator, read_query())
    acted = carry_out(app.database, lambda db: find(db, context, **path))
    if acted.act.secret:
        return send_page(context, "secret", acted.act)
    return see_other(f"{request.path}?done=partly" if acted.is_partial else acted.act.back)


def try_out(operator: Operator, name: str = "") -> str | HTTPResponse:
    """Nothing is kept, so whoever looks may POST. They work one at a time."""
    app = request.app
    context = app.context(operator, read_query())
    with TRYING.take():
        is_form = request.method == "POST"
        found = find_tryout(context, app.settings.questionnaires, name, is_form=is_form)
    if is_form and found.address:
        return see_other(found.address)
    return send_page(context, "try", found)


def save_test(operator: Operator, name: str) -> bytes:
    app = request.app
    context = app.context(operator, read_query())
    with TRYING.take():
        content = find_test(context, app.settings.questionnaires, name)
    response.content_type = "application/json"
    response.set_header("Content-Disposition", 'attachment; filename="test.json"')
    return content


def show_health_page(operator: Operator) -> str | HTTPResponse:
    app = request.app
    return send_page(app.context(operator, Query()), "health", app.health.report(app.settings))


def revoke_session(operator: Operator, id: int) -> HTTPResponse:
    request.app.access.end_session(operator, id)
    return see_other("/console/sessions")


if __name__ == "__main__":
    from commands import main

    gc.enable()
    main(create_app)
