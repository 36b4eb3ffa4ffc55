"""An operator's browser for the tests: it asks the app for pages, without a server between."""

import io
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from sqlalchemy import text

from models.console import DO, ConsoleLink
from models.console.token import new_token
from smsconvo import App

URL = "https://sms.example.org"
OWN = {"Sec-Fetch-Site": "same-origin"}
# What strangers, or their phones, may try on whoever reads their words in a browser.
CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "{{7*7}} % import os",
    "</p><svg/onload=alert(1)>",
    "&lt;b&gt; \u202e\u0000 \ud7ff",
]
one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    cookies: SimpleCookie
    content: bytes

    @property
    def body(self) -> str:
        return self.content.decode()


class Browser:
    """Asks an app for pages, and keeps the cookie that it gets."""

    def __init__(self, app: App, peer: str = "127.0.0.1") -> None:
        self.app, self.peer = app, peer
        self.cookie = ""

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers)

    def post(self, path: str, _headers: dict[str, str] | None = None, **form: str) -> Answer:
        return self.ask("POST", path, OWN if _headers is None else _headers, urlencode(form))

    def ask(self, method: str, path: str, headers: dict[str, str], body: str = "") -> Answer:
        path, _, query = path.partition("?")
        environ = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_ADDR": self.peer,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body.encode()),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": "http",
        }
        if self.cookie:
            headers = {"Cookie": self.cookie} | headers
        for name, value in headers.items():
            cgi = name.upper().replace("-", "_")
            environ[cgi if cgi.startswith("CONTENT_") else f"HTTP_{cgi}"] = value
        started = []
        content = self.app(environ, lambda status, found, *_: started.append((status, found)))
        ((status, found),) = started
        assert environ["wsgi.errors"].getvalue() == ""
        cookies = SimpleCookie(next((v for name, v in found if name == "Set-Cookie"), ""))
        for name, morsel in cookies.items():
            self.cookie = f"{name}={morsel.value}"
        return Answer(int(status[:3]), dict(found), cookies, b"".join(content))

    def enter(self, role: str = DO) -> Answer:
        return self.post(f"/console/enter/{make_link(self.app, role)}")


def make_link(app: App, role: str = DO) -> str:
    token = new_token()
    app.database.write(lambda db: ConsoleLink.make(db, token, role, app.clock()))
    return token


def rows(app: App, query: str) -> list[tuple]:
    with app.database.engine.connect() as connection:
        return list(map(tuple, connection.execute(text(query))))


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, set[str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name for name, _ in attrs}))


def elements(page: str) -> list[tuple[str, set[str]]]:
    """The tags of a page, each with the names of its attributes, as a browser reads them."""
    parser = Elements()
    parser.feed(page)
    return parser.found


def evils(page: str) -> list[tuple[str, set[str]]]:
    """What the policy of our pages would not let run, and should not be there at all.

    Pages have charts, and the layout one script of ours.
    """
    evil = {"style", "img", "iframe", "object", "base", "foreignobject", "use", "image"}
    found = elements(page)
    scripts = [each for each in found if each[0] == "script"]
    return (
        [each for each in scripts if each[1] != {"src", "defer"}]
        + scripts[1:]
        + [
            (tag, names)
            for tag, names in found
            if tag in evil or any(name == "style" or name.startswith("on") for name in names)
        ]
    )
