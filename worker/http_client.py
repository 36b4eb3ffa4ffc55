"""An HTTP client for URLs that others choose: bounded in where it goes, in time and in size."""

import socket
import time
from contextlib import suppress
from functools import partial
from threading import TIMEOUT_MAX, Condition, Thread
from typing import NamedTuple, Self

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, MissingSchema
from urllib3 import HTTPConnectionPool
from urllib3 import HTTPResponse as RawResponse
from urllib3.exceptions import HTTPError, LocationValueError

from models.failures import describe
from settings import __version__
from worker.pinned import ForbiddenAddress, PinnedConnection, PinnedHTTPSConnection

CONNECT_SECONDS = 3.05  # for each address that is tried
READ_SECONDS = 15  # until the next byte
ATTEMPT_SECONDS = 30  # for all of a POST, its response included
GET_SECONDS = 10  # for all of a GET: where it follows a POST, both must end within a lease
MAX_BODY_BYTES = 64 * 1024  # that are read of a response, unless whoever asks wants more
HEADERS = {"User-Agent": f"smsconvo/{__version__}", "Accept": "*/*"}  # of every request
INVALID_URL = (MissingSchema, InvalidSchema, InvalidURL, LocationValueError, UnicodeError)


class Response(NamedTuple):
    """What a receiver answered: the status, two headers or "", and the body of a 2xx.

    `body` is what came, not unpacked, and cut off at the limit; of other responses it is not read.
    """

    status: int
    retry_after: str = ""
    location: str = ""
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        """Whether this is a status of HTTP for what went well."""
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        """Whether this is a status of HTTP for what is elsewhere."""
        return 300 <= self.status < 400

    @property
    def text(self) -> str:
        """The body, whatever bytes it is of."""
        return self.body.decode("utf-8-sig", "replace")


class RequestFailed(Exception):
    """There was no whole response in time: `cause` is one of models.failures.CAUSES."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(cause, detail)
        self.cause, self.detail = cause, detail

    def __str__(self) -> str:
        return describe(self.cause, None, self.detail)


class InvalidRequest(Exception):
    """It can never be sent; the message, a part of a sentence, says what is wrong with it."""


def post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    *,
    allow_private: bool,
    max_body: int = MAX_BODY_BYTES,
) -> Response:
    """POST once; see `send`. A receiver may have got it, whatever is raised."""
    return send("POST", url, body, headers, ATTEMPT_SECONDS, allow_private, max_body)


def get(
    url: str, headers: dict[str, str], *, allow_private: bool, max_body: int = MAX_BODY_BYTES
) -> Response:
    """GET once; see `send`."""
    return send("GET", url, None, headers, GET_SECONDS, allow_private, max_body)


def send(
    method: str,
    url: str,
    body: bytes | None,
    headers: dict[str, str],
    seconds: float,
    allow_private: bool,
    max_body: int,
) -> Response:
    """Send once: no redirect is followed, no proxy and no `.netrc` is used, nothing is tried again.

    It takes so many seconds at most, once the name is resolved. The body of a 2xx is read to its
    end, where one that breaks off shows, or to `max_body` bytes; other bodies are not read.
    `allow_private` permits addresses of private networks. Raises InvalidRequest for what cannot be
    sent, and RequestFailed for everything else that is not a response.
    """
    with ReceiverAdapter(seconds, allow_private) as adapter:
        try:
            # A session of requests would cost as much again, and look for proxies and a .netrc.
            request = requests.Request(method, url, headers, data=body).prepare()
            timeout = (CONNECT_SECONDS, READ_SECONDS)
            answer = adapter.send(request, stream=True, timeout=timeout)
            after, location = (answer.headers.get(name, "") for name in ("Retry-After", "Location"))
            response = Response(answer.status_code, after, location)
            received = read_body(answer.raw, max_body) if response.is_success else b""
        except INVALID_URL:
            raise InvalidRequest("its url is not valid") from None
        except InvalidHeader:
            raise InvalidRequest("its webhook_id is not valid") from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise adapter.timeout_error or classify_error(error) from None
        if adapter.timeout_error:
            raise adapter.timeout_error
        return response._replace(body=received)


def read_body(raw: RawResponse, max_body: int) -> bytes:
    """Read to the end of a body or to `max_body` bytes, without unpacking it."""
    chunks, left = [], max_body
    while left > 0 and (chunk := raw.read(left, decode_content=False)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


def classify_error(error: Exception) -> RequestFailed:
    """What an operator can act on; the exception's own words name addresses in memory."""
    match error:
        case ForbiddenAddress():
            return RequestFailed(error.cause, error.name)
        case requests.ConnectTimeout():
            return RequestFailed("connect_timeout", f"{CONNECT_SECONDS}")
        case requests.Timeout():
            return RequestFailed("read_timeout", f"{READ_SECONDS}")
        case requests.exceptions.SSLError():
            return RequestFailed("tls")
        case requests.ConnectionError():
            return RequestFailed("refused_connection")
    return RequestFailed("broken_answer", type(error).__name__)


class ReceiverAdapter(HTTPAdapter):
    """Sends one request to a permitted address, within so many seconds in all.

    The timeouts of requests begin anew with every byte, so a receiver that drips could hold an
    attempt for ever. At the deadline the sockets are shut down, which wakes whoever reads them.
    """

    def __init__(self, seconds: float, allow_private: bool) -> None:
        self.deadline = time.monotonic() + seconds
        self.timeout_error: RequestFailed | None = None  # once the deadline has passed
        self._seconds, self._allow_private = seconds, allow_private
        self._sockets: list[socket.socket] = []
        super().__init__()

    def __enter__(self) -> Self:
        deadline_watcher.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        deadline_watcher.remove(self)
        for watched in self._sockets:
            watched.close()
        self.close()

    def get_connection_with_tls_context(self, *args, **kwargs) -> HTTPConnectionPool:
        """The pool that requests makes, of connections that are pinned."""
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        pinned = PinnedHTTPSConnection if pool.scheme == "https" else PinnedConnection
        pool.ConnectionCls = partial(pinned, allow_private=self._allow_private, watch=self.watch)
        return pool

    def watch(self, connected: socket.socket) -> None:
        """Shut this socket down too at the deadline."""
        self._sockets.append(connected.dup())  # TLS takes the original away
        if self.timeout_error:
            self.abort()

    def abort(self) -> None:
        """End the request now, from another thread than the one that sends it."""
        self.timeout_error = RequestFailed("total_timeout", f"{self._seconds:g}")
        for watched in self._sockets:
            with suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)


class DeadlineWatcher:
    """Aborts requests whose deadline has passed: one thread for all of them.

    A timer for each, which is a thread, would cost as much as all the rest of an attempt.
    """

    def __init__(self) -> None:
        self._adapters: set[ReceiverAdapter] = set()
        self._changed = Condition()
        self._wakes_at: float = TIMEOUT_MAX  # as good as never
        self._thread: Thread | None = None

    def add(self, adapter: ReceiverAdapter) -> None:
        """Abort it at its deadline, unless it is removed before."""
        with self._changed:
            if self._thread is None:
                thread = Thread(target=self._run, name="deadlines", daemon=True)
                thread.start()
                self._thread = thread  # not before it runs: there may be too many threads
            elif adapter.deadline < self._wakes_at:
                self._changed.notify()
            self._adapters.add(adapter)

    def remove(self, adapter: ReceiverAdapter) -> None:
        """Watch it no more."""
        with self._changed:
            self._adapters.discard(adapter)

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for adapter in [each for each in self._adapters if each.deadline <= now]:
                    self._adapters.remove(adapter)
                    adapter.abort()
                self._wakes_at = min(
                    (each.deadline for each in self._adapters), default=TIMEOUT_MAX
                )
                self._changed.wait(self._wakes_at - time.monotonic())


deadline_watcher = DeadlineWatcher()
