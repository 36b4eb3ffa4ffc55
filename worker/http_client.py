"""worker/http_client.py"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from threading import TIMEOUT_MAX, Condition, Thread

import requests
from requests.adapters import HTTPAdapter
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3 import HTTPResponse as HTTPClientResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError as HTTPClientError
from urllib3.exceptions import LocationValueError

CONNECT_SECONDS, READ_SECONDS, ATTEMPT_SECONDS = 3.05, 15, 30
MOST_ADDRESSES = 4  # of one name, each of which may take that long to connect to
LARGEST_ANSWER = 64 * 1024


def read_answer(raw: HTTPClientResponse) -> None:
    """To its end, where a body that was cut shows, or as far as is bearable; never unpacked."""
    left = LARGEST_ANSWER
    while left > 0 and (chunk := raw.read(left, decode_content=False)):
        left -= len(chunk)


def in_words(error: Exception) -> str:
    """What an operator can act on; the exception's own words name addresses in memory."""
    match error:
        case NoAddress():
            return str(error)
        case requests.ConnectTimeout():
            return f"No connection within {CONNECT_SECONDS} s."
        case requests.Timeout():
            return f"No answer within {READ_SECONDS} s."
        case requests.exceptions.SSLError():
            return "The certificate or the TLS connection is not valid."
        case (
            MissingSchema() | InvalidSchema() | InvalidURL() | LocationValueError() | UnicodeError()
        ):
            return "The address is not valid."
        case requests.ConnectionError():
            return "The connection was refused or broke off."
    return f"The answer broke off ({type(error).__name__})."


class Line(HTTPAdapter):
    """The way to a receiver: only to addresses that are permitted, and for some seconds in all.

    The timeouts of requests begin anew with every byte, so that a receiver that drips could hold
    an attempt for ever. After the time, the connection is cut, and whoever reads from it wakes up.
    """

    def __init__(self, seconds: float, allow_private: bool) -> None:
        self.ends_at = time.monotonic() + seconds
        self.cut: str | None = None
        self._seconds, self._allow_private = seconds, allow_private
        self._sockets: list[socket.socket] = []
        super().__init__()

    def __enter__(self) -> "Line":
        cutter.add(self)
        return self

    def __exit__(self, *_: object) -> None:
        cutter.remove(self)
        for connection in self._sockets:
            connection.close()
        self.close()

    def init_poolmanager(self, *args, **kwargs) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": partial(GuardedPool, line=self),
            "https": partial(GuardedHTTPSPool, line=self),
        }

    def find_addresses(self, name: str, port: int) -> list[str]:
        return resolve(name, port, self._allow_private)

    def watch(self, connection: socket.socket) -> None:
        """Cut this one too, when it is time; it is known from before TLS."""
        self._sockets.append(connection.dup())  # TLS takes the original away
        if self.cut:
            self.end()

    def end(self) -> None:
        self.cut = f"Not done within {self._seconds:g} s in all."
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Cutter:
    """Ends the lines whose time is over: one thread for all of them.

    A timer for each, which is a thread, would cost as much as all the rest of an attempt.
    """

    def __init__(self) -> None:
        self._lines: set[Line] = set()
        self._changed = Condition()
        self._looks_at = TIMEOUT_MAX  # as good as never
        self._thread: Thread | None = None

    def add(self, line: Line) -> None:
        with self._changed:
            if self._thread is None:
                thread = Thread(target=self._run, name="cutter", daemon=True)
                thread.start()
                self._thread = thread  # not before it runs: there may be too many
            elif line.ends_at < self._looks_at:
                self._changed.notify()
            self._lines.add(line)

    def remove(self, line: Line) -> None:
        with self._changed:
            self._lines.discard(line)

    def _run(self) -> None:
        with self._changed:
            while True:
                for line in [one for one in self._lines if one.ends_at <= time.monotonic()]:
                    self._lines.remove(line)
                    line.end()
                self._looks_at = min((line.ends_at for line in self._lines), default=TIMEOUT_MAX)
                self._changed.wait(self._looks_at - time.monotonic())


cutter = Cutter()


class Guarded(HTTPConnection):
    """A connection to an address that was judged."""

    def __init__(self, *args, line: Line, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._line = line

    def _new_conn(self) -> socket.socket:
        name = self._dns_host
        addresses = self._line.find_addresses(name, self.port)
        try:
            # The name is looked up once: another answer later would not be judged.
            connection = first(addresses, self._connect)
        finally:
            self._dns_host = name  # for TLS, which asks for the name's certificate
        self._line.watch(connection)
        return connection

    def _connect(self, address: str) -> socket.socket:
        self._dns_host = address
        return super()._new_conn()


class GuardedPool(HTTPConnectionPool):
    ConnectionCls = Guarded


class GuardedHTTPS(Guarded, HTTPSConnection):
    pass


class GuardedHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = GuardedHTTPS


def first(addresses: list[str], connect: Callable[[str], socket.socket]) -> socket.socket:
    """The connection to the first address that takes one; the error of the last if none does."""
    *others, last = addresses
    for address in others:
        with suppress(HTTPClientError):
            return connect(address)
    return connect(last)


class NoAddress(ValueError):
    """There is nowhere to send a result to. The words are for the operator."""


def resolve(name: str, port: int, allow_private: bool) -> list[str]:
    """The addresses behind a name that results may go to."""
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        raise NoAddress(f"The name {name} is not known.") from None
    addresses = dict.fromkeys(where[0] for *_, where in found)
    permitted = [one for one in addresses if is_permitted(ip_address(one), allow_private)]
    if permitted:
        return permitted[:MOST_ADDRESSES]
    if any(is_permitted(ip_address(one), allow_private=True) for one in addresses):
        raise NoAddress(
            f"The address of {name} is private. If results are meant to go there, set"
            " SMSCONVO_ALLOW_PRIVATE_RECEIVERS=1."
        )
    raise NoAddress(f"The address of {name} is one that results never go to.")


# Where clouds tell a machine its secrets; most are at the link-local 169.254.169.254.
METADATA = {
    ip_address(one)
    for one in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
}
NAT64 = ip_network("64:ff9b::/96")


def is_permitted(address: IPv4Address | IPv6Address, allow_private: bool) -> bool:
    if address.version == 6:
        address = address.ipv4_mapped or address.sixtofour or address
    if address in NAT64:
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address not in METADATA and (allow_private or address.is_global)
