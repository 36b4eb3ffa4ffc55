"""The files in `deploy/`, judged by the programs that read them."""

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from ipaddress import ip_network
from pathlib import Path
from select import select

import pytest
from conftest import HANG_SECONDS, free_address
from proxies import (
    DEPLOY,
    PROXIES,
    at_home,
    balancing,
    caddyfile_for,
    nginx_conf_for,
    proxying,
    replaced,
    tool,
)

from settings import Settings

pytestmark = pytest.mark.long

PATIENCE_SECONDS = 30  # for what must happen
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
OPERATING = DEPLOY.parent / "docs" / "operating.md"


def test_the_unit_is_clean(tmp_path: Path):
    # The interpreter need not be in /opt on the machine that tests.
    unit = tmp_path / "smsconvo.service"
    unit.write_text(
        replaced((DEPLOY / unit.name).read_text(), "/opt/smsconvo/.venv/bin/python", sys.executable)
    )

    verdict = run(tmp_path, tool("systemd-analyze", "systemd"), "verify", unit)

    assert (verdict.stdout + verdict.stderr, verdict.returncode) == ("", 0)


def test_the_unit_is_clean_with_what_several_machines_add(tmp_path: Path):
    (added,) = re.findall(r"```ini\n(.*?)```", OPERATING.read_text("utf-8"), re.DOTALL)
    unit = tmp_path / "smsconvo.service"
    for path, text in (
        (unit, (DEPLOY / unit.name).read_text()),
        (tmp_path / "smsconvo.service.d" / "override.conf", added),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(replaced(text, "/opt/smsconvo/.venv/bin/python", sys.executable))

    verdict = run(tmp_path, tool("systemd-analyze", "systemd"), "verify", unit)

    assert (verdict.stdout + verdict.stderr, verdict.returncode) == ("", 0)


def test_the_unit_is_hardened(tmp_path: Path):
    unit = DEPLOY / "smsconvo.service"
    analyze = tool("systemd-analyze", "systemd")

    verdict = run(tmp_path, analyze, "security", "--offline=true", "--threshold=15", unit)

    assert verdict.returncode == 0, verdict.stdout


def test_with_the_unit_a_proxy_of_this_machine_says_where_a_browser_is():
    unit = (DEPLOY / "smsconvo.service").read_text()
    environ = dict(re.findall("(?m)^Environment=(.+?)=(.*)$", unit))
    assert Settings.from_env(environ).console_proxies == (ip_network("127.0.0.1"),)


@pytest.mark.parametrize("file", ["Caddyfile", "Caddyfile.several"])
def test_the_caddyfile_is_valid(tmp_path: Path, file: str):
    caddy = tool("caddy", "caddy")
    caddyfile = tmp_path / "Caddyfile"
    caddyfile.write_text(caddyfile_for(caddy, file))

    verdict = run(tmp_path, caddy, "validate", "--adapter", "caddyfile", "--config", caddyfile)

    assert verdict.returncode == 0, verdict.stderr
    assert '"level":"warn"' not in verdict.stderr


def test_the_nginx_conf_is_valid(tmp_path: Path):
    text = nginx_conf_for(tmp_path, free_address())
    for name in ("fullchain.pem", "privkey.pem"):
        text = replaced(text, f"/etc/letsencrypt/live/sms.example.org/{name}", str(tmp_path / name))
    (tmp_path / "nginx.conf").write_text(text)
    openssl = (tool("openssl", "openssl"), "req", "-x509", "-nodes", "-subj", "/CN=sms.example.org")
    files = ("-keyout", tmp_path / "privkey.pem", "-out", tmp_path / "fullchain.pem")
    assert run(tmp_path, *openssl, *files).returncode == 0

    nginx = tool("nginx", "nginx-light")
    verdict = run(tmp_path, nginx, "-e", "stderr", "-t", "-q", "-c", tmp_path / "nginx.conf")

    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")


@pytest.fixture(params=PROXIES)
def proxy(request, tmp_path: Path) -> Callable:
    """`with proxy(backend) as address`: one of the shipped proxies."""
    return partial(proxying, request.param, tmp_path)


def test_a_text_passes_the_proxy_unchanged(proxy: Callable):
    with listening() as backend, proxy(address_of(backend)) as address:
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


def test_smsconvo_hears_of_a_slow_text_when_all_of_it_is_there(proxy: Callable):
    with listening() as backend, proxy(address_of(backend)) as address:
        with post(address, "/sms", TEXT, declared=len(TEXT) + 4) as client:
            assert is_quiet(backend)
            client.send(b"&To=")
            with accept(backend) as texted:
                *_, body = receive(texted)

    assert body == TEXT + b"&To="


def test_a_body_of_64_kib_passes_the_proxy(proxy: Callable):
    with listening() as backend, proxy(address_of(backend)) as address:
        with post(address, "/sms", b"x" * LARGEST) as client:
            with accept(backend) as texted:
                *_, body = receive(texted)
                reply(texted)

            assert client.getresponse().status == 200

    assert len(body) == LARGEST


def test_a_larger_body_stops_at_the_proxy(proxy: Callable):
    with listening() as backend, proxy(address_of(backend)) as address:
        with post(address, "/sms", b"x" * LARGEST, declared=LARGEST + 1) as client:
            assert is_quiet(backend)
            client.send(b"x")
            assert client.getresponse().status == 413
            assert is_quiet(backend)


def test_a_text_that_finds_nobody_waits_or_fails(proxy: Callable, tmp_path: Path):
    with bound() as backend, proxy(address_of(backend)) as address:
        written = [path.read_text() for path in tmp_path.glob("Caddyfile")]
        can_wait = any("\n\t\tlb_try_duration" in text for text in written)  # Caddy 2.11
        with post(address, "/sms", TEXT) as client:
            if can_wait:
                assert is_quiet(client.sock)
                backend.listen()
                with accept(backend) as texted:
                    *_, body = receive(texted)
                    assert body == TEXT
                    reply(texted)

            assert client.getresponse().status == (200 if can_wait else 502)


LINK, SHARED = "/console/enter/" + "a" * 43, "/r/" + "b" * 43


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_logs_no_link_that_opens_something(tmp_path: Path, name: str):
    with bound() as backend, proxying(name, tmp_path, address_of(backend)) as address:
        assert {status_of(address, path) for path in ("/elsewhere", LINK, SHARED)} == {502}
    log = (tmp_path / "log").read_text()
    assert "refused" in log  # it does log failures
    assert LINK[-43:] not in log and SHARED[-43:] not in log


FORGED = ("X-Forwarded-For", "X_Forwarded_For", "x_forwarded-for", "Remote_User", "REMOTE_USER")


@contextmanager
def one_of_several(home: Path, backend: str) -> Iterator[str]:
    address = free_address()
    with balancing(home, address, [backend]):
        yield address


SHIPPED = {name: partial(proxying, name) for name in PROXIES} | {"several": one_of_several}


@pytest.mark.parametrize("name", SHIPPED)
def test_nobody_but_the_proxy_says_where_a_request_comes_from(tmp_path: Path, name: str):
    with listening() as backend, SHIPPED[name](tmp_path, address_of(backend)) as address:
        with closing(HTTPConnection(address, timeout=PATIENCE_SECONDS)) as client:
            client.putrequest("POST", "/console/sign-in")
            for header in FORGED:
                client.putheader(header, "192.0.2.1")
            client.putheader("Content-Length", "0")
            client.endheaders()
            headers = receive_post(backend)
    # To smsconvo all of these are one header.
    said = [value for header, value in headers.items() if as_cgi(header) == "X_FORWARDED_FOR"]
    assert said == ["127.0.0.1"]
    assert "REMOTE_USER" not in map(as_cgi, headers)


def as_cgi(header: str) -> str:
    return header.upper().replace("-", "_")


def receive_post(backend: socket.socket) -> dict[str, str]:
    """The headers of the first POST; before it may come questions for `/healthz`."""
    while True:
        with accept(backend) as asked:
            line, headers, _ = receive(asked)
            reply(asked)
        if line.startswith("POST "):
            return headers


KEPT = r"(?m)^(\t*)# (?=\t|@stranger|\}$|respond @stranger|geo |set \$asked|if \(\$asked)"
OPEN = ("/sms", "/sms/status", "/healthz", "/healthz?of=x", "/console/../sms")
CLOSED = ("/", "/console", "/console/health", "/con%FFsole", "//console", "/sms/../console")
CLOSED += ("/console;sms", "/static/a.css", "/sms/", "/%63onsole", "/sms%2f..%2fconsole", LINK)


@pytest.mark.parametrize("name", PROXIES)
def test_the_lines_that_keep_the_console_to_some_addresses_do(tmp_path: Path, name: str):
    with bound() as backend:
        with proxying(name, tmp_path, address_of(backend), (KEPT, r"\1")) as address:
            assert {status_of(address, path) for path in CLOSED} == {403}
            assert {status_of(address, path) for path in OPEN} == {502}
    (tmp_path / "mine").mkdir()

    def let_us_in(found: re.Match[str]) -> str:
        return "127.0.0.1/32" if found[1] is None else found[1]

    change = (rf"{KEPT}|192\.0\.2\.0/24", let_us_in)
    with bound() as backend:
        with proxying(name, tmp_path / "mine", address_of(backend), change) as address:
            assert status_of(address, "/console") == 502


def status_of(address: str, path: str) -> int:
    with closing(HTTPConnection(address, timeout=PATIENCE_SECONDS)) as client:
        client.request("GET", path)
        return client.getresponse().status


def run(home: Path, *command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=at_home(home), capture_output=True, text=True, timeout=HANG_SECONDS
    )


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


def address_of(backend: socket.socket) -> str:
    return "{}:{}".format(*backend.getsockname())


@contextmanager
def post(address: str, path: str, body: bytes, declared: int = 0) -> Iterator[HTTPConnection]:
    """Send a request whose head may promise more of the body than there is so far."""
    with closing(HTTPConnection(address, timeout=PATIENCE_SECONDS)) as client:
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
        return line, headers, stream.read(int(headers.get("content-length", 0)))


def reply(connection: socket.socket, headers: str = "") -> None:
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{headers}\r\n".encode())
