"""What becomes of results that go to Apps Script web apps."""

import json
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from operator import attrgetter
from threading import Event

import pytest
from conftest import examples, until
from http_server import on_the_air
from hypothesis import given, settings
from hypothesis import strategies as st
from limits import cut

from worker.apps_script import AFFIRMATIVE, is_affirmative
from worker.http_client import MAX_BODY_BYTES, RequestFailed, post
from worker.receivers import Outcome, Sent, find_receiver

ERROR_PAGE = """<!DOCTYPE html><html><head><title>Fehler</title><style>body{}</style></head>
<body><div><img alt="Google Apps Script"></div>
<div style="text-align:center">TypeError: Cannot read properties of null (line 5)</div>
</body></html>"""


class Script:
    """A web app: it takes a POST, and sends to another host for its answer."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.port = server.server_port
        self.url = f"http://127.0.0.1:{self.port}/macros/s/AKfycb/exec"
        self.echo_url = f"http://localhost:{self.port}/macros/echo?user_content_key=x"
        self.rows: list[str] = []
        self.requests: list[str] = []
        self.status, self.location, self.page = 302, self.echo_url, ""
        self.echo_status, self.echo = 200, '{"result": "success"}'
        self.delay = self.echo_delay = 0.0
        self.over = Event()


@pytest.fixture
def script(patch) -> Iterator[Script]:
    patch("models.google_form.address", "APPS_SCRIPT_HOSTS", {"127.0.0.1"})
    patch("models.google_form.address", "ECHO_HOSTS", {"localhost"})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            app.rows.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            app.over.wait(app.delay)
            self.respond(app.status, app.page, app.location)

        def do_GET(self) -> None:
            app.over.wait(app.echo_delay)
            self.respond(app.echo_status, app.echo, "")

        def respond(self, status: int, text: str, location: str) -> None:
            app.requests.append(f"{self.command} {self.headers['Host']}{self.path}")
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    app = Script(server)
    with on_the_air(server):
        yield app
        app.over.set()


def send(script: Script) -> Outcome:
    receiver = find_receiver(script.url)
    headers = {"Content-Type": "application/json"}
    try:
        response = post(script.url, b"{}", headers, allow_private=True, max_body=receiver.max_body)
    except RequestFailed as error:
        return receiver.classify_failure(error)
    return receiver.classify_response(Sent(script.url, {}, True), response)


def test_the_answer_of_the_script_is_fetched_once_and_is_a_delivery(script):
    assert send(script) == Outcome(200)
    assert script.rows == ["{}"]
    assert script.requests == [
        f"POST 127.0.0.1:{script.port}/macros/s/AKfycb/exec",
        f"GET localhost:{script.port}/macros/echo?user_content_key=x",
    ]


@pytest.mark.parametrize(
    "echo",
    [
        "ok",
        "Success",
        "OK.\n",
        "true",
        '"done"',
        "200",
        '{"ok": true}',
        '{"success": "true", "row": 5}',
        '{"result": "success", "error": null, "row": 5}',
        '{"status": 200, "result": {"row": 5}}',
        '\ufeff{"status": "ok", "error": ""}',
    ],
)
def test_a_script_that_affirms_has_the_result(script, echo):
    script.echo = echo
    assert send(script) == Outcome(200)


@pytest.mark.parametrize(
    ("echo", "answer"),
    [
        (ERROR_PAGE, "TypeError: Cannot read properties of null (line 5)"),
        ("\ufeff \n<HTML>no", "no"),
        ("<p>ok</p>", "<p>ok</p>"),
        ('{"result": "error", "error": "locked"}', "locked"),
        ('{"status": "Failed"}', "Failed"),
        ('{"success": false}', "false"),
        ('{"ok": false}', "false"),
        ('{"ok": "false"}', "false"),
        ('{"ok": null}', "null"),
        ('{"success": 0}', "0"),
        ('{"success": [], "row": 5}', "5"),
        ('{"status": "err"}', "err"),
        ('{"status": 500, "message": "locked"}', "locked"),
        ('{"status": "ok", "success": false}', "false"),
        ('{"ok": true, "error": "locked"}', "locked"),
        ('{"success": true, "errors": ["locked"]}', "locked"),
        ('{"error": "Exception: sheet not found"}', "sheet not found"),
        ('{"row": 5}', "5"),
        ("[true]", "true"),
        ("null", "null"),
        ("Error: Sheet not found", "Sheet not found"),
        ("TypeError: Cannot read properties of null", "null"),
        ("not ok", "not ok"),
        ("1", "1"),
        ("", "Its answer was not fetched: HTTP 200"),
    ],
)
def test_a_script_that_does_not_affirm_is_unconfirmed(script, echo, answer):
    script.echo = echo
    outcome = send(script)
    assert outcome.cause == "unconfirmed" and answer in outcome.answer


@pytest.mark.parametrize("end", ['", "ok": false}', '", "ok": true}'])
def test_an_answer_that_is_cut_off_at_the_limit_affirms_nothing(script, end):
    script.echo = '{"rows": "' + "x" * 70_000 + end
    assert send(script).cause == "unconfirmed"
    script.echo = "ok".ljust(MAX_BODY_BYTES)
    assert send(script).cause == "unconfirmed"
    script.echo = "ok".ljust(MAX_BODY_BYTES - 1)
    assert send(script).cause is None


def test_an_error_page_instead_of_a_redirect_is_unconfirmed(script):
    script.status, script.location, script.page = 200, "", ERROR_PAGE
    outcome = send(script)
    assert (outcome.status, outcome.cause) == (200, "unconfirmed")
    assert outcome.answer == "TypeError: Cannot read properties of null (line 5)"


@pytest.mark.parametrize("status", [302, 404, 405, 500])
def test_an_answer_that_cannot_be_fetched_is_unconfirmed(script, status):
    script.echo_status, script.echo = status, ""
    outcome = send(script)
    assert (outcome.status, outcome.cause) == (status, "unconfirmed")
    assert f"HTTP {status}" in outcome.answer
    assert len(script.requests) == 2  # a further redirect is not followed


def test_an_answer_that_does_not_come_in_time_is_unconfirmed(script, patch):
    script.echo_delay = 60
    limit, outcome = cut(patch, "GET_SECONDS", partial(send, script), attrgetter("answer"))
    assert (outcome.status, outcome.cause) == (302, "unconfirmed")
    assert f"Not done within {limit} s" in outcome.answer


def test_a_script_that_ran_without_an_answer_may_have_recorded_the_result(script, patch):
    script.delay = 60
    _, outcome = cut(patch, "ATTEMPT_SECONDS", partial(send, script), attrgetter("error"))
    until(lambda: script.rows)
    assert (outcome.cause, script.rows) == ("no_answer", ["{}"])


def test_the_answer_is_fetched_in_what_is_left_of_the_lease(script):
    response = post(script.url, b"", {}, allow_private=True)
    script.requests.clear()
    sent = Sent(script.url, {}, True, deadline=time.monotonic())
    assert find_receiver(script.url).classify_response(sent, response).cause == "unconfirmed"
    assert script.requests == []


def test_the_answer_is_fetched_by_the_rules_for_receivers(script):
    location = script.echo_url
    response = post(script.url, b"", {}, allow_private=True)
    script.requests.clear()
    outcome = find_receiver(script.url).classify_response(Sent(script.url, {}, False), response)
    assert response.location == location
    assert outcome.cause == "unconfirmed" and script.requests == []


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("https://accounts.google.com/ServiceLogin?continue=x", "sign_in"),
        ("https://www.google.com/sorry/index?continue=x", "captcha"),
        ("https://script.googleusercontent.com.example.org/macros/echo", "unexpected_redirect"),
        ("/macros/echo", "unexpected_redirect"),
        ("http://[", "unexpected_redirect"),
        ("", "unexpected_redirect"),
    ],
)
def test_no_other_redirect_is_followed(script, location, cause):
    script.location = location
    outcome = send(script)
    assert outcome.cause == cause and "set the address" not in outcome.error
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("status", "cause"), [(401, "restricted"), (403, "restricted"), (404, "http"), (500, "http")]
)
def test_errors_are_those_of_any_receiver(script, status, cause):
    script.status, script.location = status, ""
    assert send(script).cause == cause


@settings(max_examples=examples(30, 100), deadline=None, database=None)
@given(st.text() | st.recursive(st.booleans() | st.none() | st.text(), st.lists).map(json.dumps))
def test_no_answer_raises_an_error(text):
    assert not is_affirmative(f"_{text}")
    assert is_affirmative(text) == (text.strip(' "\t\r\n.!').lower() in AFFIRMATIVE)
    assert not is_affirmative("[" * 100_000)
