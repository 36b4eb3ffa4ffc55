"""An HTTP client for URLs that others choose: bounded in where it goes, in time and in size."""

import socket
import time
from contextlib import suppress
from functools import partial
from math import inf
from threading import TIMEOUT_MAX, Condition, Thread
from typing import NamedTuple, Self

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidHeader, InvalidSchema, InvalidURL, MissingSchema
from urllib3 import HTTPConnectionPool
from urllib3 import HTTPResponse as RawResponse
from urllib3.exceptions import HTTPError, LocationValueError, ReadTimeoutError

from models.failures import describe_event
from settings import __version__
from worker.pinned import ForbiddenAddress, PinnedConnection, PinnedHTTPSConnection

CONNECT_SECONDS = 3.05  # for each address that is tried
READ_SECONDS = 15  # until the next byte
ATTEMPT_SECONDS = 30  # for all of a POST, its response included
GET_SECONDS = 10  # for all of a GET
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
    """There was no whole response in time: `cause` is one of models.failures.CAUSES.

    `was_sent`: whether the request was sent to its end, so that a receiver may have acted on it.
    """

    def __init__(self, cause: str, detail: str = "", *, was_sent: bool = False) -> None:
        super().__init__(cause, detail)
        self.cause, self.detail, self.was_sent = cause, detail, was_sent

    def __str__(self) -> str:
        return describe_event(self.cause, None, self.detail)


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
    url: str,
    headers: dict[str, str],
    *,
    allow_private: bool,
    max_body: int = MAX_BODY_BYTES,
    deadline: float = inf,
) -> Response:
    """GET once; see `send`. By time.monotonic() it ends at the deadline at the latest."""
    seconds = min(GET_SECONDS, deadline - time.monotonic())
    if seconds <= 0:
        raise RequestFailed("connect_timeout", "0")
    return send("GET", url, None, headers, seconds, allow_private, max_body)


def get_deadline() -> float:
    """When GETs that follow each other from now on must have ended, by time.monotonic()."""
    return time.monotonic() + GET_SECONDS


def follow_up_deadline() -> float:
    """When what follows a POST that begins now must have ended, by time.monotonic().

    It is before the lease runs out, whatever the POST takes.
    """
    return time.monotonic() + ATTEMPT_SECONDS + GET_SECONDS


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

    It takes so many seconds at most. Only to resolve a name may take longer, which nobody can cut
    short; then nothing is sent. The body of a 2xx is read to its end, where one that breaks off
    shows, or to `max_body` bytes; other bodies are not read.
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
            raise adapter.classify_error(error) from None
        if adapter.is_aborted:
            raise adapter.timeout_error()
        return response._replace(body=received)


def read_body(raw: RawResponse, max_body: int) -> bytes:
    """Read to the end of a body or to `max_body` bytes, without unpacking it."""
    chunks, left = [], max_body
    while left > 0 and (chunk := raw.read(left, decode_content=False)):
        chunks.append(chunk)
        left -= len(chunk)
    return b"".join(chunks)


class ReceiverAdapter(HTTPAdapter):
    """Sends one request to a permitted address, within so many seconds in all.

    The timeouts of requests begin anew with every byte, so a receiver that drips could hold an
    attempt for ever. At the deadline the sockets are shut down, which wakes whoever reads them.
    """

    def __init__(self, seconds: float, allow_private: bool) -> None:
        self.deadline = time.monotonic() + seconds
        self.is_aborted = False  # because the deadline has passed
        self._was_sent = False
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
        pool.ConnectionCls = partial(
            pinned,
            allow_private=self._allow_private,
            deadline=self.deadline,
            watch=self.watch,
            note_sent=self.note_sent,
        )
        return pool

    def watch(self, connected: socket.socket) -> None:
        """Shut this socket down too at the deadline."""
        self._sockets.append(connected.dup())  # TLS takes the original away
        if self.is_aborted:
            self.abort()

    def note_sent(self) -> None:
        """From now on the receiver may have the whole request."""
        self._was_sent = True

    def classify_error(self, error: Exception) -> RequestFailed:
        """What an operator can act on; the exception's own words name addresses in memory."""
        if isinstance(error, ForbiddenAddress):
            return RequestFailed(error.cause, error.name)
        if self.is_aborted or time.monotonic() >= self.deadline:
            return self.timeout_error()
        return classify_late_error(error) if self._was_sent else classify_early_error(error)

    def timeout_error(self) -> RequestFailed:
        """That the deadline has passed."""
        cause = "total_timeout" if self._was_sent else "connect_timeout"
        return RequestFailed(cause, f"{self._seconds:.3g}", was_sent=self._was_sent)

    def abort(self) -> None:
        """End the request now, from another thread than the one that sends it."""
        self.is_aborted = True
        for watched in self._sockets:
            with suppress(OSError):
                watched.shutdown(socket.SHUT_RDWR)


def classify_early_error(error: Exception) -> RequestFailed:
    """What keeps a request from being sent."""
    match error:
        case requests.Timeout():  # that of TLS, too
            return RequestFailed("connect_timeout", f"{CONNECT_SECONDS}")
        case requests.exceptions.SSLError():
            return RequestFailed("tls")
    return RequestFailed("refused_connection")


def classify_late_error(error: Exception) -> RequestFailed:
    """What keeps the answer to a request from coming, or from coming to its end."""
    match error:
        case requests.Timeout() | ReadTimeoutError():
            return RequestFailed("read_timeout", f"{READ_SECONDS}", was_sent=True)
        case requests.ConnectionError():  # that of TLS, too
            return RequestFailed("broken_connection", was_sent=True)
    return RequestFailed("broken_answer", type(error).__name__, was_sent=True)


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
