"""Connections that go only to permitted addresses: those of receivers, but of nothing internal.

A name is resolved once, and the connection is made to the address that was checked: a second
look-up could give another one.
"""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from ssl import SSLContext

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import create_urllib3_context

MAX_ADDRESSES = 4  # of one name that are tried; each may take the whole time to connect
# Where clouds tell a machine its secrets; most are at the link-local 169.254.169.254.
METADATA = set(map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192")))
METADATA |= set(map(ip_address, ("fd00:ec2::254", "fd20:ce::254")))
NAT64 = ip_network("64:ff9b::/96")


class ForbiddenAddress(ValueError):
    """A name has no address that is permitted; `cause` is one of models.failures.CAUSES."""

    def __init__(self, cause: str, name: str) -> None:
        super().__init__(cause, name)
        self.cause, self.name = cause, name


class PinnedConnection(HTTPConnection):
    """A connection to a permitted address of its host.

    `deadline`, by time.monotonic(), is when it must be made. `watch` is called with the connected
    socket, before TLS, so that others can shut it down; `note_sent`, when a request was sent.
    """

    def __init__(
        self,
        host: str,
        *args,
        allow_private: bool,
        deadline: float,
        watch: Callable[[socket.socket], None],
        note_sent: Callable[[], None],
        **kwargs,
    ) -> None:
        super().__init__(host, *args, **kwargs)
        self._name = host  # `self.host` lacks a dot at its end, without which it is another name
        self._allow_private, self._deadline = allow_private, deadline
        self._watch, self._note_sent = watch, note_sent

    def connect(self) -> None:
        """Connect to the first address that takes a connection; the last one's error is raised."""
        *others, last = resolve_allowed(self._name, self.port, self._allow_private)
        try:
            for address in others:
                with suppress(NewConnectionError, ConnectTimeoutError):
                    return self._connect_to(address)
            self._connect_to(last)
        finally:
            self.host = self._name  # for the header Host, and for TLS

    def request(self, *args, **kwargs) -> None:
        """Send a request; what breaks off before its end does not reach `note_sent`."""
        super().request(*args, **kwargs)
        self._note_sent()

    def _connect_to(self, address: str) -> None:
        self.host = address
        seconds_left = self._deadline - time.monotonic()
        if seconds_left <= 0:
            raise ConnectTimeoutError(self, "The deadline has passed.")
        self.timeout = min(self.timeout, seconds_left)
        HTTPConnection.connect(self)
        self._watch(self.sock)


class PinnedHTTPSConnection(PinnedConnection, HTTPSConnection):
    """The same with TLS: the server must prove that it is the host, whatever its address."""

    def connect(self) -> None:
        super().connect()
        self.sock = tls_context(self.ca_certs, self.ca_cert_dir).wrap_socket(
            self.sock, server_hostname=self.host
        )
        self.is_verified = True


@cache
def tls_context(ca_certs: str | None, ca_cert_dir: str | None) -> SSLContext:
    """For a client that checks certificates and host names, as urllib3 makes it.

    Kept, because to load the certificates of authorities takes longer than all else of an attempt.
    """
    context = create_urllib3_context()
    context.load_verify_locations(ca_certs, ca_cert_dir)
    context.set_alpn_protocols(["http/1.1"])
    return context


def resolve_allowed(name: str, port: int, allow_private: bool) -> list[str]:
    """The permitted addresses of a host name, at most MAX_ADDRESSES.

    Raises ForbiddenAddress if it has none. `allow_private` permits private networks and loopback,
    but never link-local addresses and those where clouds keep secrets.
    """
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError:
        raise ForbiddenAddress("unknown_name", name) from None
    addresses = dict.fromkeys(socket_address[0] for *_, socket_address in found)
    permitted = [text for text in addresses if is_permitted(ip_address(text), allow_private)]
    if permitted:
        return permitted[:MAX_ADDRESSES]
    if any(is_permitted(ip_address(text), allow_private=True) for text in addresses):
        raise ForbiddenAddress("private_address", name)
    raise ForbiddenAddress("forbidden_address", name)


def is_permitted(address: IPv4Address | IPv6Address, allow_private: bool) -> bool:
    """Whether a request may go to this address, or to the IPv4 address that it stands for."""
    if address.version == 6:
        address = address.ipv4_mapped or address.sixtofour or address
    if address in NAT64:
        address = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address not in METADATA and (allow_private or address.is_global)
