"""Requests of Twilio's that look unusual, and are taken: to the server as operators run it."""

import re
import socket
from contextlib import closing
from urllib.parse import urlencode

import pytest
from conftest import ACCOUNT_SID, NUMBER, REY
from rig import Server, serving
from test_trust import sign

from gateway.webhook import FORM_TYPE, MAX_BODY
from phone import new_sid

# All that HTTP lets through: for others, the server answers 400 before the program is asked.
CONTROLS = ["\t", "\x80", "\x85", "\x9f", "\xff"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("webhook")) as started:
        yield started


def form(**changes: str) -> list[tuple[str, str]]:
    """The fields of a text, each new."""
    fields = {"AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01", "From": REY, "To": NUMBER}
    return sorted((fields | {"MessageSid": new_sid("SM")} | changes).items())


def send(server: Server, fields: list[tuple[str, str]], *headers: str, body: bytes = b"") -> str:
    """The status of the answer to a form with these headers, and with this body as it is sent."""
    sent = body or urlencode(fields).encode()
    lines = [
        "POST /sms HTTP/1.1",
        f"Host: {server.address}",
        f"Content-Type: {FORM_TYPE}",
        f"X-Twilio-Signature: {sign(f'{server.url}/sms', fields)}",
        "Connection: close",
        *headers,
        *([] if body else [f"Content-Length: {len(sent)}"]),
    ]
    host, _, port = server.address.rpartition(":")
    with closing(socket.create_connection((host, int(port)), 20)) as client:
        client.sendall("\r\n".join([*lines, "\r\n"]).encode("latin-1") + sent)
        return client.makefile("rb").readline().split()[1].decode()


def in_chunks(body: bytes, size: int = 1000) -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_a_form_in_chunks_is_taken(server):
    fields = form(Body="Mats BBQ " + "x" * 5000)
    body = in_chunks(urlencode(fields).encode())
    assert send(server, fields, "Transfer-Encoding: chunked", body=body) == "200"


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, "200"), (MAX_BODY + 1, "413")])
def test_chunks_may_be_as_long_as_a_body_of_known_length(server, size, status):
    fields = form(Body="")
    fields = form(**dict(fields) | {"Body": "x" * (size - len(urlencode(fields)))})
    body = urlencode(fields).encode()
    assert len(body) == size
    assert send(server, fields, "Transfer-Encoding: chunked", body=in_chunks(body)) == status


@pytest.mark.parametrize("character", CONTROLS)
def test_a_control_character_in_a_header_we_do_not_need_is_no_harm(server, character):
    assert send(server, form(Body="Blue"), f"X-Home-Something: a{character}b") == "200"
    assert send(server, form(Body="Blue"), f"I-Twilio-Idempotency-Token: a{character}") == "200"


def test_the_signature_of_chunks_counts(server):
    fields = form(Body="Blue")
    body = re.sub(b"Blue", b"Pink", in_chunks(urlencode(fields).encode()))
    assert send(server, fields, "Transfer-Encoding: chunked", body=body) == "403"
