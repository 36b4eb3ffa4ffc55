"""Slow clients do not delay a text, and what is too large or broken is refused and costs nothing.

Slow clients are the business of the proxy in front, sizes that of smsconvo as well.
"""

import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from select import select
from urllib.parse import urlencode

import pytest
from conftest import ACCOUNT_SID, AUTH_TOKEN, HANG_SECONDS, NUMBER, REY, until
from proxies import PROXIES, proxying, tool
from rig import TEXTS, Server, running, serving
from twilio.request_validator import RequestValidator

from commands.server import HEAD_SECONDS, MAX_HEAD_BYTES
from phone import TwilioError, new_sid

SLOW_CLIENTS = Path(__file__).with_name("slow_clients.py")
HELD_UP_SECONDS = 0.25  # a text that slow clients hold up waits for seconds, or for ever
MOST_MEMORY = 20  # MiB
FINE_TEXTS = 20  # before those that may do harm
KEPT_OUT_SECONDS = 20
KIB, MIB = 1024, 1024 * 1024

# How to take out of each proxy that it waits for all of a text.
UNBUFFERED = {
    "caddy": (r"\b(buffer_requests|request_buffers .*)", ""),
    "nginx": ("proxy_request_buffering on", "proxy_request_buffering off"),
}


@contextmanager
def door(proxy: str, folder: Path, change: tuple[str, str] | None = None) -> Iterator[Server]:
    """A server whose address is that of the proxy in front."""
    server = Server(folder)
    with proxying(proxy, folder, server.address, change) as address:
        server.url = f"http://{address}"
        with running(server):
            yield server


@pytest.fixture(scope="module", autouse=True)
def many_files() -> Iterator[None]:
    """As many connections as the machine allows, for us and what we start; 1024 is usual."""
    soft, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (hard, hard))
    yield
    setrlimit(RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module", params=PROXIES)
def fronted(request, tmp_path_factory) -> Iterator[Server]:
    """A server behind one of the shipped proxies."""
    with door(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Iterator[Server]:
    """A server without a proxy, for tests that leave it as it was."""
    with watched(tmp_path_factory.mktemp("plain")) as server:
        yield server


@pytest.fixture(scope="module")
def weak(tmp_path_factory) -> Iterator[Server]:
    """One with an open door, at which the same requests must be noticed."""
    with watched(tmp_path_factory.mktemp("weak"), weakness="open_door") as server:
        yield server


def watched(folder: Path, **options) -> AbstractContextManager[Server]:
    """A server that has a folder `tmp` for temporary files, and a list of the files it opens."""
    (folder / "tmp").mkdir()
    under = (tool("strace", "strace"), "-fqq", "--seccomp-bpf", "-e", "openat")
    options |= {"under": (*under, "-o", str(folder / "opened"))}
    return serving(folder, settings={"TMPDIR": str(folder / "tmp")}, **options)


def temporary_files(server: Server) -> list[str]:
    opened = (server.folder / "opened").read_text().splitlines()
    return [line for line in opened if f'"{server.folder}/tmp' in line]


def address_of(server: Server) -> tuple[str, int]:
    host, port = server.url.removeprefix("http://").split(":")
    return host, int(port)


# Slow clients ################################################################


@contextmanager
def slow_clients(server: Server, heads: int, bodies: int) -> Iterator[None]:
    address = server.url.removeprefix("http://")
    command = [sys.executable, SLOW_CLIENTS, address, str(heads), str(bodies)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
        try:
            assert clients.stdout.readline() == "ready\n"
            yield
        finally:
            clients.kill()


def time_texts(server: Server, count: int) -> list[float]:
    """How long texts take, one after the other over some seconds; the slowest last."""
    times = []
    for n in range(count):
        if n % len(TEXTS) == 0:
            phone = server.phone(f"+1415{time.monotonic_ns() % 10**9:09}")
        start = time.monotonic()
        phone.text(TEXTS[n % len(TEXTS)])
        times.append(time.monotonic() - start)
        time.sleep(count / 10_000)  # so that 200 take as long as a head may
    return sorted(times)


def p99(times: list[float]) -> float:
    return times[-1 - len(times) // 100]


def test_slow_clients_of_a_proxy_do_not_delay_a_text(fronted, size):
    each, count = size(25, 250), size(20, 200)
    fronted.phone(REY).text(TEXTS[0])  # whatever is done but once
    alone = p99(time_texts(fronted, count))
    with slow_clients(fronted, heads=each, bodies=each):
        among = p99(time_texts(fronted, count))
    print(
        f"p99 of {count} texts {alone * 1000:.1f} ms alone,"
        f" {among * 1000:.1f} ms among {2 * each} slow clients, {among / alone:.1f} times as long"
    )
    assert among <= HELD_UP_SECONDS + 4 * alone  # the machine may have become busier


def test_slow_clients_without_a_proxy_keep_texts_out(plain, size):
    with slow_clients(plain, heads=0, bodies=size(150, 500)):
        assert is_kept_out(plain)
    until_taken(plain)


@pytest.mark.parametrize("proxy", PROXIES)
def test_slow_clients_of_a_proxy_that_does_not_buffer_keep_texts_out(proxy, tmp_path, size):
    with door(proxy, tmp_path, UNBUFFERED[proxy]) as server:
        with slow_clients(server, heads=0, bodies=size(150, 500)):
            assert is_kept_out(server)


def is_kept_out(server: Server) -> bool:
    """Whether a text finds no answer, now or as soon as all the clients have been heard.

    It waits for as long as they stay for certain, which is much longer than any answer takes.
    """
    phone = server.phone(REY)
    phone.patience = HEAD_SECONDS
    deadline = time.monotonic() + KEPT_OUT_SECONDS
    with suppress(TwilioError):
        while time.monotonic() < deadline:
            phone.text(TEXTS[0])
        return False
    return True


def until_taken(server: Server) -> None:
    """Until a text finds an answer: it takes the server a moment to see that clients are gone."""
    until(lambda: send(server, fine) == "200")


# What is too large, or broken ################################################


def post(url: str, lines: Iterable[str] = (), length: str | None = "", **fields: str) -> bytes:
    """A genuine text, signed, but for more lines in its head, another length, or more fields."""
    form = {"MessageSid": new_sid(), "AccountSid": ACCOUNT_SID, "From": REY, "To": NUMBER}
    form |= {"Body": "Mats BBQ"} | fields
    body = urlencode(form).encode()
    head = [
        "POST /sms HTTP/1.1",
        f"Host: {url.removeprefix('http://')}",
        "Content-Type: application/x-www-form-urlencoded",
        f"X-Twilio-Signature: {RequestValidator(AUTH_TOKEN).compute_signature(f'{url}/sms', form)}",
        "Connection: close",
        *lines,
    ]
    if length is not None:
        head.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join([*head, "\r\n"]).encode() + body


def chunked(request: bytes) -> bytes:
    head, _, body = request.partition(b"\r\n\r\n")
    return head + b"\r\n\r\n%x\r\n%b\r\n" % (len(body), body)


def endless(start: bytes, piece: bytes) -> Iterator[bytes]:
    """More than anybody should take; the end of it is never sent."""
    yield start
    for _ in range(32 * MIB // len(piece)):
        yield piece


def fine(url: str) -> list[bytes]:
    return [post(url)]


def large(url: str) -> list[bytes]:
    return [post(url, Body="x" * 60 * KIB)]


def too_long(url: str) -> list[bytes]:
    return [post(url, Body="x" * 65 * KIB)]


def thirty_megabytes(url: str) -> list[bytes]:
    return [post(url, Body="x" * 30 * MIB)]


def a_gigabyte(url: str) -> Iterator[bytes]:
    return endless(post(url, length=str(1024 * MIB)), b"x" * 64 * KIB)


def endless_chunks(url: str) -> Iterator[bytes]:
    start = chunked(post(url, ["Transfer-Encoding: chunked"], length=None))
    return endless(start, b"10000\r\n" + b"x" * 64 * KIB + b"\r\n")


def many_fields(url: str) -> list[bytes]:
    return [post(url, **{f"{n}": "" for n in range(10_000)})]


def many_headers(url: str) -> list[bytes]:
    return [post(url, [f"X-{n}: 1" for n in range(300)])]


def a_long_header(url: str) -> list[bytes]:
    return [post(url, ["X-Long: " + "x" * 100 * KIB])]


def long_headers(url: str) -> list[bytes]:
    return [post(url, [f"X-{n}: {'x' * 3 * KIB}" for n in range(6)])]


def a_long_address(url: str) -> list[bytes]:
    return [post(url).replace(b"/sms", b"/sms?" + b"x" * 100 * KIB, 1)]


def two_lengths(url: str) -> list[bytes]:
    return [post(url, ["Content-Length: 5"])]


def a_negative_length(url: str) -> list[bytes]:
    return [post(url, length="-1")]


def a_length_in_words(url: str) -> list[bytes]:
    return [post(url, length="many")]


def a_length_and_chunks(url: str) -> list[bytes]:
    request = post(url, ["Transfer-Encoding: chunked"], length="5")
    return [chunked(request) + b"0\r\n\r\n"]


Request = Callable[[str], Iterable[bytes]]
TOO_LARGE: list[Request] = [too_long, a_gigabyte, endless_chunks, many_fields, many_headers]
TOO_LARGE += [a_long_header, long_headers, a_long_address]
BROKEN: list[Request] = [two_lengths, a_negative_length, a_length_in_words, a_length_and_chunks]
REFUSED = [*TOO_LARGE, *BROKEN]


def send(server: Server, request: Request, patience: float = HANG_SECONDS) -> str:
    """The status of the answer; else `closed`, or `taken` where all is sent and nothing said."""
    with socket.create_connection(address_of(server), HANG_SECONDS) as client:
        try:
            for piece in request(server.url):
                if is_answered(client, 0):
                    break
                client.sendall(piece)
        except ConnectionError:
            pass  # closed, perhaps with an answer
        if not is_answered(client, patience):
            return "taken"
        try:
            line = client.recv(64 * KIB).partition(b"\r\n")[0].decode()
        except ConnectionError:
            return "closed"
    return line.split()[1] if line else "closed"


def is_answered(client: socket.socket, patience: float) -> bool:
    return bool(select([client], [], [], patience)[0])


def is_refused(request: Request, answer: str) -> bool:
    """A client that keeps to HTTP is told why; another may find itself alone."""
    return answer.startswith("4") or (request in BROKEN and answer == "closed")


def count_texts(server: Server) -> int:
    with closing(sqlite3.connect(server.database)) as connection:
        statement = "SELECT count(*) FROM messages WHERE direction = 'inbound'"
        return connection.execute(statement).fetchone()[0]


def processes(server: Server) -> list[int]:
    """The server's own and its worker's."""
    pid = server.pid()
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def forget_peak(server: Server) -> None:
    for pid in processes(server):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_memory(server: Server) -> float:
    """The most MiB that were resident at a time since the peak was forgotten."""
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in processes(server)]
    return sum(int(text.partition("VmHWM:")[2].split()[0]) for text in statuses) / KIB


def test_what_is_too_large_or_broken_stops_at_the_proxy(fronted, size):
    assert harm(fronted, REFUSED * size(1, 17)) == []
    assert send(fronted, fine) == "200"
    assert send(fronted, large) == "200"
    assert not has_written_a_file(fronted)


def test_a_proxy_that_writes_texts_to_files_is_noticed(tmp_path):
    with door("nginx", tmp_path, ("client_body_buffer_size 64k;", "")) as server:
        assert send(server, large) == "200"
        assert has_written_a_file(server)


def has_written_a_file(server: Server) -> bool:
    """Whether nginx has warned that it has; Caddy has no files."""
    return "to a temporary file" in (server.folder / "log").read_text()


def test_what_is_too_large_or_broken_is_refused_and_costs_nothing(plain, size):
    refused = [request for request in REFUSED if request is not a_length_and_chunks]
    assert harm(plain, refused * size(1, 17)) == []
    assert send(plain, fine) == "200"
    assert temporary_files(plain) == []


def test_where_a_length_is_beside_chunks_the_chunks_decide(plain):
    """As RFC 9112 6.3 has it; a proxy refuses both together, for it may not be last in line."""
    before = count_texts(plain)
    assert send(plain, a_length_and_chunks) == "200"
    assert count_texts(plain) == before + 1


def test_a_server_that_takes_anything_is_noticed(weak):
    known = count_texts(weak)
    harms = harm(weak, [thirty_megabytes, a_gigabyte, many_fields], patience=1)
    kinds = {one.partition(":")[0] for one in harms}
    assert kinds >= {"thirty_megabytes", "a_gigabyte", "many_fields", "memory"}
    assert temporary_files(weak)
    # Thirty megabytes keep a busy machine for long. Both texts count, beside those that are fine.
    until(lambda: send(weak, fine) == "200")
    until(lambda: count_texts(weak) >= known + FINE_TEXTS + 1 + 2)


def harm(server: Server, requests: list[Request], patience: float = HANG_SECONDS) -> list[str]:
    """What these requests did: those that were not refused, what they recorded and took."""
    assert [send(server, fine) for _ in range(FINE_TEXTS)] == ["200"] * FINE_TEXTS
    known = count_texts(server)
    forget_peak(server)
    before = peak_memory(server)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda request: send(server, request, patience), requests))
    grown, recorded = peak_memory(server) - before, count_texts(server) - known
    told = list(zip(requests, answers, strict=True))
    print(f"{len(told)} requests, memory grew by {grown:.1f} MiB:")
    print(*sorted({f"{request.__name__}: {answer}" for request, answer in told}), sep="\n")
    return [
        *(f"{request.__name__}: {got}" for request, got in told if not is_refused(request, got)),
        *([f"recorded: {recorded}"] if recorded else []),
        *([f"memory: {grown:.1f} MiB"] if grown > MOST_MEMORY else []),
    ]


# What the server itself limits ###############################################


def test_silent_clients_leave_room_for_a_text(plain, size):
    with silent_clients(plain, size(200, 2000)):
        phone = plain.phone(REY)
        phone.patience = HEAD_SECONDS / 2  # they are gone after the whole
        phone.text(TEXTS[0])


def test_silent_clients_that_take_all_connections_are_noticed(weak):
    with silent_clients(weak, 150):
        assert is_kept_out(weak)
    until_taken(weak)


def test_a_head_that_takes_too_long_is_cut(tmp_path, weak, size):
    seconds = size(1, HEAD_SECONDS)
    with serving(tmp_path, weakness=size("hurry", "")) as server:
        start = time.monotonic()
        with silent_clients(weak, 1) as (kept,), silent_clients(server, 1) as (cut,):
            assert is_answered(cut, seconds + HANG_SECONDS)
            assert cut.recv(1) == b""
            assert time.monotonic() - start > seconds
            assert not is_answered(kept, 0)


@pytest.mark.parametrize(
    ("length", "answer"), [(MAX_HEAD_BYTES - KIB, "200"), (MAX_HEAD_BYTES, "431")]
)
def test_the_head_of_a_text_has_a_largest_size(plain, length, answer):
    assert send(plain, with_header(length)) == answer


def test_a_head_without_a_largest_size_is_noticed(weak):
    assert send(weak, with_header(MAX_HEAD_BYTES)) == "200"


def with_header(length: int) -> Request:
    return lambda url: [post(url, ["X-Long: " + "x" * length])]


@contextmanager
def silent_clients(server: Server, count: int) -> Iterator[list[socket.socket]]:
    """They begin a request, and that is all."""
    with ExitStack() as stack:
        clients = [
            stack.enter_context(socket.create_connection(address_of(server), HANG_SECONDS))
            for _ in range(count)
        ]
        for client in clients:
            client.sendall(b"POST /sms HTTP/1.1\r\n")
        yield clients
