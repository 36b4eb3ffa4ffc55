"""The files in `deploy/`, judged by the programs that read them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from select import select

import pytest

DEPLOY = Path(__file__).parent.parent / "deploy"
PATIENCE_SECONDS = 5  # for what must happen
QUIET_SECONDS = 0.3  # for what must not; without buffering it happens within a millisecond or two

TEXT = b"Body=caf%C3%A9+%F0%9F%99%82&Empty=&From=%2B14158675308"
HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
    "Cookie": "conversation=0123456789abcdef0123456789abcdef",
    "X-Twilio-Signature": "L/OH5YylLD5NRKLltdqwSvS0BnU=",
    "I-Twilio-Idempotency-Token": "6a0ad7fd-b2ff-4f4e-8d92-9e0b4a3d3ff4",
}
COOKIE = "conversation=fedcba9876543210fedcba9876543210; HttpOnly; Max-Age=14400; Path=/; Secure"
LARGEST = 64 * 1024


def test_the_unit_is_clean(tmp_path: Path):
    # The interpreter need not be in /opt on the machine that tests.
    unit = tmp_path / "smsconvo.service"
    unit.write_text(
        replaced((DEPLOY / unit.name).read_text(), "/opt/smsconvo/.venv/bin/python", sys.executable)
    )

    verdict = run(tmp_path, tool("systemd-analyze", "systemd"), "verify", unit)

    assert (verdict.stdout + verdict.stderr, verdict.returncode) == ("", 0)


def test_the_unit_is_hardened(tmp_path: Path):
    unit = DEPLOY / "smsconvo.service"
    analyze = tool("systemd-analyze", "systemd")

    verdict = run(tmp_path, analyze, "security", "--offline=true", "--threshold=15", unit)

    assert verdict.returncode == 0, verdict.stdout


def test_the_caddyfile_is_valid(tmp_path: Path):
    caddy = tool("caddy", "caddy")
    caddyfile = tmp_path / "Caddyfile"
    caddyfile.write_text(caddyfile_for(caddy))

    verdict = run(tmp_path, caddy, "validate", "--adapter", "caddyfile", "--config", caddyfile)

    assert verdict.returncode == 0, verdict.stderr
    assert '"level":"warn"' not in verdict.stderr


def test_a_text_passes_the_proxy_unchanged(tmp_path: Path):
    with listening() as backend, proxy(tmp_path, backend) as address:
        with post(address, "/sms/status?message=1&of=%2Fa+b", TEXT) as client:
            with accept(backend) as texted:
                line, headers, body = receive(texted)
                reply(texted, f"Set-Cookie: {COOKIE}\r\n")
            answer = client.getresponse()

    assert line == "POST /sms/status?message=1&of=%2Fa+b HTTP/1.1"
    assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert headers["connection"] == "close"  # one kept open may be closed when a text is sent on it
    assert body == TEXT
    assert (answer.status, answer.headers.get_all("Set-Cookie")) == (200, [COOKIE])


def test_smsconvo_hears_of_a_slow_text_when_all_of_it_is_there(tmp_path: Path):
    with listening() as backend, proxy(tmp_path, backend) as address:
        with post(address, "/sms", TEXT, declared=len(TEXT) + 4) as client:
            assert is_quiet(backend)
            client.send(b"&To=")
            with accept(backend) as texted:
                *_, body = receive(texted)

    assert body == TEXT + b"&To="


def test_a_body_of_64_kib_passes_the_proxy(tmp_path: Path):
    with listening() as backend, proxy(tmp_path, backend) as address:
        with post(address, "/sms", b"x" * LARGEST) as client:
            with accept(backend) as texted:
                *_, body = receive(texted)
                reply(texted)

            assert client.getresponse().status == 200

    assert len(body) == LARGEST


def test_a_larger_body_stops_at_the_proxy(tmp_path: Path):
    with listening() as backend, proxy(tmp_path, backend) as address:
        with post(address, "/sms", b"x" * LARGEST, declared=LARGEST + 1) as client:
            assert is_quiet(backend)
            client.send(b"x")
            assert client.getresponse().status == 413
            assert is_quiet(backend)


def test_a_text_that_finds_nobody_waits_or_fails(tmp_path: Path):
    with bound() as backend, proxy(tmp_path, backend) as address:
        can_wait = "\n\t\tlb_try_duration" in (tmp_path / "Caddyfile").read_text()  # Caddy 2.11
        with post(address, "/sms", TEXT) as client:
            if can_wait:
                assert is_quiet(client.sock)
                backend.listen()
                with accept(backend) as texted:
                    *_, body = receive(texted)
                    assert body == TEXT
                    reply(texted)

            assert client.getresponse().status == (200 if can_wait else 502)


def tool(name: str, package: str) -> str:
    return shutil.which(name) or pytest.skip(f"{name} is missing: apt-get install {package}")


def run(home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=at_home(home), capture_output=True, text=True, timeout=30)


def at_home(home: Path) -> dict[str, str]:
    """The environment, with all that a program may want to keep below `home`."""
    return os.environ | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "XDG_DATA_HOME": str(home),
    }


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def caddyfile_for(caddy: str) -> str:
    """The Caddyfile; for a Caddy newer than 2.6, edited as a comment there says."""
    text = (DEPLOY / "Caddyfile").read_text()
    version = subprocess.run([caddy, "version"], capture_output=True, text=True, timeout=30).stdout
    if re.match(r"v?2\.6\.", version):
        return text
    text = replaced(text, "\t\tbuffer_requests\n\t\tmax_buffer_size 128KiB\n", "")
    for directive in ("request_buffers", "lb_try_duration", "lb_try_interval"):
        text = replaced(text, f"# {directive}", directive)
    return text


@contextmanager
def bound() -> Iterator[socket.socket]:
    """A port that is ours and refuses connections, until somebody calls `listen`."""
    with socket.socket() as backend:
        backend.settimeout(PATIENCE_SECONDS)
        backend.bind(("127.0.0.1", 0))
        yield backend


@contextmanager
def listening() -> Iterator[socket.socket]:
    with bound() as backend:
        backend.listen()
        yield backend


@contextmanager
def proxy(home: Path, backend: socket.socket) -> Iterator[tuple[str, int]]:
    """The shipped Caddyfile at work on loopback, without HTTPS, in front of `backend`."""
    caddy = tool("caddy", "caddy")
    with bound() as free:
        address = free.getsockname()
    text = replaced(caddyfile_for(caddy), "sms.example.org {", "http://{}:{} {{".format(*address))
    text = replaced(text, "127.0.0.1:8080", "{}:{}".format(*backend.getsockname()))
    # The port for administration is another Caddy's, if one runs on this machine.
    text = replaced(text, "{\n\tservers {", "{\n\tadmin off\n\tservers {")
    (home / "Caddyfile").write_text(text)
    command = [caddy, "run", "--adapter", "caddyfile", "--config", home / "Caddyfile"]
    with open(home / "log", "w+") as log:
        server = subprocess.Popen(command, env=at_home(home), stderr=log)
        try:
            wait_for(address, server, home / "log")
            yield address
        finally:
            server.kill()
            server.wait()


def wait_for(address: tuple[str, int], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as client:
            if client.connect_ex(address) == 0:
                return
        time.sleep(0.01)
    pytest.fail(f"Caddy does not listen:\n{log.read_text()}")


@contextmanager
def post(
    address: tuple[str, int], path: str, body: bytes, declared: int = 0
) -> Iterator[HTTPConnection]:
    """Send a request whose head may promise more of the body than there is so far."""
    with closing(HTTPConnection(*address, timeout=PATIENCE_SECONDS)) as client:
        client.putrequest("POST", path)
        for name, value in HEADERS.items():
            client.putheader(name, value)
        client.putheader("Content-Length", str(declared or len(body)))
        client.endheaders(body)
        yield client


def is_quiet(one: socket.socket) -> bool:
    """Whether for a while nobody connects to it, or answers on it."""
    return not select([one], [], [], QUIET_SECONDS)[0]


@contextmanager
def accept(backend: socket.socket) -> Iterator[socket.socket]:
    connection, _ = backend.accept()
    with connection:
        connection.settimeout(PATIENCE_SECONDS)
        yield connection


def receive(connection: socket.socket) -> tuple[str, dict[str, str], bytes]:
    """The request line, the headers and the body."""
    with connection.makefile("rb") as stream:
        line = stream.readline().decode().strip()
        headers = {}
        while header := stream.readline().decode().strip():
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        return line, headers, stream.read(int(headers["content-length"]))


def reply(connection: socket.socket, headers: str = "") -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{headers}\r\n".encode())
