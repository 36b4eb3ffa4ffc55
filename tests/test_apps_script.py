"""What becomes of results that go to Apps Script web apps."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.apps_script import is_failure
from worker.http_client import post
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
        self.echo_delay = 0.0
        self.over = Event()


@pytest.fixture
def script(patch) -> Iterator[Script]:
    patch("models.google_form.address", "APPS_SCRIPT_HOSTS", {"127.0.0.1"})
    patch("models.google_form.address", "ECHO_HOSTS", {"localhost"})

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            app.rows.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
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

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        app = Script(server)
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield app
        app.over.set()
        server.shutdown()
        thread.join()


def send(script: Script) -> Outcome:
    receiver = find_receiver(script.url)
    headers = {"Content-Type": "application/json"}
    response = post(script.url, b"{}", headers, allow_private=True, max_body=receiver.max_body)
    return receiver.judge(Sent(script.url, {}, True), response)


def test_the_answer_of_the_script_is_fetched_once_and_is_a_delivery(script):
    assert send(script) == Outcome(200)
    assert script.rows == ["{}"]
    assert script.requests == [
        f"POST 127.0.0.1:{script.port}/macros/s/AKfycb/exec",
        f"GET localhost:{script.port}/macros/echo?user_content_key=x",
    ]


@pytest.mark.parametrize("echo", ["", "ok", "Success", "[1]", '{"error": null, "row": 5}', "1 < 2"])
def test_whatever_else_the_script_says_is_a_delivery(script, echo):
    script.echo = echo
    assert send(script) == Outcome(200)


@pytest.mark.parametrize(
    ("echo", "evidence"),
    [
        (ERROR_PAGE, "TypeError: Cannot read properties of null (line 5)"),
        ("\ufeff \n<HTML>no", "no"),
        ('{"result": "error", "error": "locked"}', "locked"),
        ('{"status": "Failed"}', "Failed"),
        ('{"success": false}', "false"),
        ('{"ok": false}', "false"),
    ],
)
def test_a_script_that_failed_is_unconfirmed(script, echo, evidence):
    script.echo = echo
    outcome = send(script)
    assert outcome.cause == "unconfirmed" and evidence in outcome.evidence


def test_an_error_page_instead_of_a_redirect_is_unconfirmed(script):
    script.status, script.location, script.page = 200, "", ERROR_PAGE
    outcome = send(script)
    assert (outcome.status, outcome.cause) == (200, "unconfirmed")
    assert outcome.evidence == "TypeError: Cannot read properties of null (line 5)"


@pytest.mark.parametrize("status", [302, 404, 405, 500])
def test_an_answer_that_cannot_be_fetched_is_unconfirmed(script, status):
    script.echo_status, script.echo = status, ""
    outcome = send(script)
    assert (outcome.status, outcome.cause) == (status, "unconfirmed")
    assert f"HTTP {status}" in outcome.evidence
    assert len(script.requests) == 2  # a further redirect is not followed


def test_an_answer_that_does_not_come_in_time_is_unconfirmed(script, patch):
    patch("worker.http_client", "GET_SECONDS", 0.3)
    script.echo_delay = 60
    outcome = send(script)
    assert (outcome.status, outcome.cause) == (302, "unconfirmed")
    assert "Not done within 0.3 s" in outcome.evidence


def test_the_answer_is_fetched_by_the_rules_for_receivers(script):
    location = script.echo_url
    response = post(script.url, b"", {}, allow_private=True)
    script.requests.clear()
    outcome = find_receiver(script.url).judge(Sent(script.url, {}, False), response)
    assert response.location == location
    assert outcome.cause == "unconfirmed" and script.requests == []


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("https://accounts.google.com/ServiceLogin?continue=x", "sign_in"),
        ("https://script.googleusercontent.com.example.org/macros/echo", "redirect"),
        ("/macros/echo", "redirect"),
        ("http://[", "redirect"),
        ("", "redirect"),
    ],
)
def test_no_other_redirect_is_followed(script, location, cause):
    script.location = location
    assert send(script).cause == cause
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    ("status", "cause"), [(401, "restricted"), (403, "restricted"), (404, "http"), (500, "http")]
)
def test_errors_are_those_of_any_receiver(script, status, cause):
    script.status, script.location = status, ""
    assert send(script).cause == cause


@settings(deadline=None, database=None)
@given(st.text() | st.recursive(st.booleans() | st.none() | st.text(), st.lists).map(json.dumps))
def test_no_answer_raises_an_error(text):
    assert is_failure(text) in (True, False)
    is_failure("[" * 100_000)
