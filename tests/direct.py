"""The app without a server between it and its phones: thousands of texts fit in a minute."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from urllib3 import HTTPHeaderDict, HTTPResponse

from smsconvo import App


@dataclass
class Answer:
    """What a phone looks at of the answers of requests."""

    status_code: int
    raw: HTTPResponse


class Direct:
    """Instead of a phone's session: hands its requests to the app itself, as a server would."""

    def __init__(self, app: App | None = None) -> None:
        self.app = app

    @contextmanager
    def post(
        self, url: str, fields: dict, headers: dict[str, str], **_: object
    ) -> Iterator[Answer]:
        parts, body = urlsplit(url), urlencode(fields, doseq=True).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": parts.scheme,
        }
        for name, value in headers.items():
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
        started: list = []
        content = b"".join(self.app(environ, lambda *told: started.extend(told)))
        status, told = started[:2]
        code = int(status.split()[0])
        raw = HTTPResponse(io.BytesIO(content), HTTPHeaderDict(told), code, preload_content=False)
        yield Answer(code, raw)
