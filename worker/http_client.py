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

from worker.pinned import ForbiddenAddress, PinnedConnection, PinnedHTTPSConnection

CONNECT_SECONDS = 3.05  # for each address that is tried
READ_SECONDS = 15  # until the next byte
ATTEMPT_SECONDS = 30  # for all of a request, its response included
MAX_BODY_BYTES = 64 * 1024  # that are read of a response
INVALID_URL = (MissingSchema, InvalidSchema, InvalidURL, LocationValueError, UnicodeError)


class Response(NamedTuple):
    """What a receiver answered: the status, and the header Retry-After or ""."""

    status: int
    retry_after: str


class RequestFailed(Exception):
    """There was no whole response in time; the message is a sentence for the operator."""


class InvalidRequest(Exception):
    """It can never be sent; the message, a part of a sentence, says what is wrong with it."""


def post(url: str, body: bytes, headers: dict[str, str], *, allow_private: bool) -> Response:
    """POST once: no redirect is followed, no proxy and no `.netrc` is used, nothing is tried again.

    It takes ATTEMPT_SECONDS at most, once the name is resolved. The body of a 2xx is read to its
    end, where one that breaks off shows, or to MAX_BODY_BYTES; other bodies are not read.
    `allow_private` permits addresses of private networks. Raises InvalidRequest for what cannot be
    sent, and RequestFailed for everything else that is not a response.
    """
    with ReceiverAdapter(ATTEMPT_SECONDS, allow_private) as adapter:
        try:
            # A session of requests would cost as much again, and look for proxies and a .netrc.
            request = requests.Request("POST", url, headers, data=body).prepare()
            timeout = (CONNECT_SECONDS, READ_SECONDS)
            answer = adapter.send(request, stream=True, timeout=timeout)
            if 200 <= answer.status_code < 300:
                read_body(answer.raw)
        except INVALID_URL:
            raise InvalidRequest("its url is not valid") from None
        except InvalidHeader:
            raise InvalidRequest("its webhook_id is not valid") from None
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            raise RequestFailed(adapter.timeout_error or describe_error(error)) from None
        if adapter.timeout_error:
            raise RequestFailed(adapter.timeout_error)
        return Response(answer.status_code, answer.headers.get("Retry-After", ""))


def read_body(raw: RawResponse) -> None:
    """Read to the end of a body or to MAX_BODY_BYTES, without unpacking it."""
    left = MAX_BODY_BYTES
    while left > 0 and (chunk := raw.read(left, decode_content=False)):
        left -= len(chunk)


def describe_error(error: Exception) -> str:
    """A sentence that an operator can act on; the exception's own names addresses in memory."""
    match error:
        case ForbiddenAddress():
            return str(error)
        case requests.ConnectTimeout():
            return f"No connection within {CONNECT_SECONDS} s."
        case requests.Timeout():
            return f"No answer within {READ_SECONDS} s."
        case requests.exceptions.SSLError():
            return "The certificate or the TLS connection is not valid."
        case requests.ConnectionError():
            return "The connection was refused or broke off."
    return f"The answer broke off ({type(error).__name__})."


class ReceiverAdapter(HTTPAdapter):
    """Sends one request to a permitted address, within so many seconds in all.

    The timeouts of requests begin anew with every byte, so a receiver that drips could hold an
    attempt for ever. At the deadline the sockets are shut down, which wakes whoever reads them.
    """

    def __init__(self, seconds: float, allow_private: bool) -> None:
        self.deadline = time.monotonic() + seconds
        self.timeout_error: str | None = None  # a sentence, once the deadline has passed
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
        self.timeout_error = f"Not done within {self._seconds:g} s in all."
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
