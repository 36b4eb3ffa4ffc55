import fcntl
import json
import logging
import os
import pty
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from select import PIPE_BUF, select

import pytest
import requests
from conftest import ACCOUNT_SID, AUTH_TOKEN, HANG_SECONDS, HERE, NUMBER, QUESTIONS, REY, until
from sqlalchemy.sql.elements import quoted_name

from logs import JsonFormatter, StderrHandler, log_event
from models.set_aside import SORRY
from phone import Phone
from storage.sqlite_connection import sqlite3  # two copies of SQLite in one process share no locks

# Root may open anything, unless it gives that right away.
BOUND = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
# Logs as many lines as it is told, from as many threads, and says on stdout when it has.
LOGGING_PROGRAM = """
import logging.config, sys
from concurrent.futures import ThreadPoolExecutor
from logs import LOGGING, dropped_lines, log_event

logging.config.dictConfig(LOGGING)
print("ready", flush=True)
for command in sys.stdin:
    threads, lines, length = map(int, command.split())
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda n: log_event("text", sid="x" * length), range(threads * lines)))
    print(dropped_lines.count, flush=True)
"""


def line_of(**fields: object) -> bytes:
    record = logging.makeLogRecord({"levelname": "INFO", "msg": "text", "fields": fields})
    return JsonFormatter().format(record).encode()


class Unspeakable:
    def __str__(self) -> str:
        raise ValueError("a secret")


def test_a_line_that_cannot_be_made_is_logged_as_that_and_raises_nothing(capfd):
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter())
    record = logging.LogRecord("smsconvo", logging.INFO, "", 0, "text", None, None)
    record.fields = {"outcome": Unspeakable()}
    handler.handle(record)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["outcome"] == "cannot be logged: ValueError"


@pytest.mark.parametrize(
    ("value", "logged"),
    [
        (quoted_name("answers", None), "answers"),
        (Path("/var/lib/smsconvo.db"), "/var/lib/smsconvo.db"),
        (os.fsdecode(b"/var/lib/\xff.db"), "/var/lib/?.db"),
        (2**70, 2**70),
        ({"at": os.fsdecode(b"\xff"), "id": 2**70}, {"at": "?", "id": 2**70}),
    ],
)
def test_a_value_that_json_does_not_know_keeps_no_line_from_the_log(value, logged):
    assert json.loads(line_of(why=value))["why"] == logged


@pytest.mark.parametrize("character", ["x", "é", "🙂", "\n", "\0", '"'])
def test_a_line_has_room_in_a_pipe_whatever_is_in_it(character):
    for length in (10, 1_000, 5_000, 100_000):
        line = line_of(outcome=character * length)
        assert len(line) <= PIPE_BUF - 2
        assert json.loads(line).get("outcome") or json.loads(line)["cut_bytes"] > PIPE_BUF - 2
    record = logging.makeLogRecord({"levelname": "ERROR", "msg": character * 100_000})
    line = JsonFormatter().format(record).encode()
    assert len(line) <= PIPE_BUF - 2
    assert json.loads(line)["event"].startswith(character * 100)


def test_an_event_has_all_that_a_formatter_of_any_program_may_ask_for(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("smsconvo"), "propagate", True)
    caplog.set_level(logging.INFO, "smsconvo")
    caplog.handler.setLevel(logging.NOTSET)
    names = [*vars(logging.makeLogRecord({})), "asctime"]
    caplog.handler.setFormatter(logging.Formatter("|".join(f"%({name})s" for name in names)))
    log_event("text", sid="SM1")
    log_event("text", logging.DEBUG)
    (record,) = caplog.records
    told = dict(zip(names, caplog.text.strip().split("|"), strict=True))
    assert (told["name"], told["levelname"], told["msg"]) == ("smsconvo", "INFO", "text")
    assert (record.fields, record.levelno) == ({"sid": "SM1"}, logging.INFO)


# A log that nobody reads ######################################################

Ends = tuple[int, int]


def small_pipe() -> Ends:
    """Its two ends: to read, and to write. It has room for a hundred lines."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4 * 4096)
    return reader, writer


def pipe_of_somebody_else() -> Ends:
    """As `sudo`, containers and supervisors have it: it is there, and cannot be opened anew."""
    reader, writer = small_pipe()
    os.fchmod(writer, 0)
    return reader, writer


def terminal() -> Ends:
    return pty.openpty()


def stream_socket() -> Ends:
    """As journald's."""
    reader, writer = socket.socketpair()
    writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return reader.detach(), writer.detach()


# What takes a line whole or not at all; and terminals, on which people see what is cut.
KINDS = [small_pipe, pipe_of_somebody_else, stream_socket]
every_kind = pytest.mark.parametrize("kind", KINDS)
every_kind_and_terminals = pytest.mark.parametrize("kind", [*KINDS, terminal])
# To fill one takes hundreds of texts.
a_kind_and_terminals = pytest.mark.parametrize(
    "kind",
    [small_pipe, terminal, *(pytest.param(each, marks=pytest.mark.long) for each in KINDS[1:])],
)


@pytest.fixture
def ends(kind: Callable[[], Ends]) -> Iterator[Ends]:
    ends = kind()
    yield ends
    for end in ends:
        os.close(end)


@contextmanager
def logging_to(stderr: int) -> Iterator[Callable[[int, int, int], int]]:
    """A process that logs there; `log(threads, lines, length)` returns how many were dropped."""
    process = subprocess.Popen(
        [*BOUND, sys.executable, "-c", LOGGING_PROGRAM],
        cwd=HERE,
        env={"PATH": os.environ["PATH"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )

    def log(threads: int, lines: int, length: int = 30) -> int:
        process.stdin.write(f"{threads} {lines} {length}\n")
        process.stdin.flush()
        return int(answer(process))

    try:
        assert answer(process) == "ready"
        yield log
    finally:
        process.kill()
        process.communicate()


def answer(process: subprocess.Popen) -> str:
    ready, _, _ = select([process.stdout], [], [], 30)
    assert ready, "it waits for its log"
    return process.stdout.readline().strip()


def drain(reader: int) -> list[str]:
    """The lines that can be read at once."""
    data = b""
    while select([reader], [], [], 0.3)[0]:
        data += os.read(reader, 65536)
    return data.decode().splitlines()


def read_all(reader: int) -> list[dict]:
    return [json.loads(line) for line in drain(reader)]


@every_kind
def test_lines_that_nobody_takes_are_dropped_counted_and_told_when_somebody_does(ends):
    reader, writer = ends
    with logging_to(writer) as log:
        dropped = log(8, 200)
        assert 0 < dropped < 1600
        assert len(read_all(reader)) == 1600 - dropped
        assert log(1, 1) == 0
        told, line = read_all(reader)
        assert (told["event"], told["level"], told["lines"]) == ("dropped", "warning", dropped)
        assert line["event"] == "text"


@pytest.mark.long
@every_kind_and_terminals
def test_nothing_is_dropped_that_somebody_takes(ends):
    reader, writer = ends
    lines = []
    with logging_to(writer) as log:
        for _ in range(4):
            assert log(1, 8) == 0
            lines += read_all(reader)
    assert [line["event"] for line in lines] == ["text"] * 32


@every_kind_and_terminals
def test_whoever_shares_stderr_may_still_wait_for_it(ends):
    """A flag on what they share would make their own output fail."""
    _, writer = ends
    with logging_to(writer) as log:
        log(1, 1)
        assert os.get_blocking(writer)


@pytest.mark.long
@every_kind
def test_a_line_is_whole_or_not_there(ends):
    reader, writer = ends
    read: list[dict] = []
    with logging_to(writer) as log, ThreadPoolExecutor(1) as pool:
        writing = pool.submit(log, 8, 100, 700)
        while not writing.done():
            read += read_all(reader)  # raises for what is no line
        read += read_all(reader)
        dropped = sum(line.get("lines", 0) for line in read) + log(1, 0)
        assert len([line for line in read if line["event"] == "text"]) + dropped == 800


def test_a_file_is_written_to_its_end_and_told_of_what_it_had_no_room_for(tmp_path):
    path = tmp_path / "log"
    path.write_text("before\n")
    with open(path, "r+b") as file:  # as a shell opens it for 2>>, but for O_APPEND
        file.seek(0, os.SEEK_END)
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (500, -1))\n"
        grow = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))\n"
        log = "for n in range(20): log_event('text', sid='x' * 30)\n"
        program = LOGGING_PROGRAM.partition("print(")[0] + limit + log + grow + log
        subprocess.run([sys.executable, "-c", program], cwd=HERE, stderr=file, check=True)
    before, *lines = path.read_text().splitlines()
    assert before == "before"
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    (told,) = [line for line in whole if line["event"] == "dropped"]
    texts = [line for line in whole if line["event"] == "text"]
    assert len(texts) + told["lines"] == 40
    assert len(lines) - len(whole) <= 1  # the one for which the room was not enough


def test_a_stderr_that_is_closed_harms_nothing():
    program = LOGGING_PROGRAM.partition("for command")[0]
    program += "log_event('text'); print(dropped_lines.count)"
    command = ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program]
    ended = subprocess.run(
        command, cwd=HERE, stdout=subprocess.PIPE, text=True, timeout=HANG_SECONDS
    )
    assert (ended.returncode, ended.stdout) == (0, "ready\n1\n")


# The server ###################################################################


@contextmanager
def serving(folder: Path, environ: dict[str, str], stderr: int) -> Iterator[None]:
    process = subprocess.Popen(
        [*BOUND, sys.executable, str(HERE / "smsconvo.py"), "serve", "--workers=1"],
        cwd=folder,
        env=environ,
        stderr=stderr,
    )
    try:
        until(lambda: health_of(environ))
        yield
    finally:
        process.terminate()
        process.wait(HANG_SECONDS)


def text(environ: dict[str, str], body: str) -> list[str]:
    url = f"{environ['SMSCONVO_PUBLIC_URL']}/sms"
    return Phone(
        url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, sender=REY, number=NUMBER
    ).text(body)


def test_a_row_that_cannot_be_read_is_named_on_stderr(folder, environ, migrated):
    """Where the driver finds it, where we do, and where it only shows beside other rows."""
    path = shutil.copy(migrated, folder / "smsconvo.db")
    cells = ("answers SET value = x'c3'", "answers SET value = CAST(x'c3' AS TEXT)")
    cells += ("conversations SET asking = 'colour'",)
    log = folder / "log"
    with open(log, "wb") as stderr, serving(folder, environ, stderr.fileno()):
        assert text(environ, "Mats BBQ") == [QUESTIONS[0]]
        assert text(environ, "Blue") == [QUESTIONS[1]]
        for cell in cells:
            with closing(sqlite3.connect(path)) as connection, connection:
                connection.execute("UPDATE answers SET value = 'Blue'")
                connection.execute(f"UPDATE {cell}")
            assert text(environ, "Pizza") == [SORRY]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    named = [line for line in lines if line["level"] == "error"]
    assert [(line["event"], line["table"], line["id"], line["column"]) for line in named] == [
        ("unreadable", "answers", 1, "value"),
        ("unreadable", "conversations", 1, "asking"),
    ]
    assert not [line for line in lines if line["event"] == "log"]


def health_of(environ: dict[str, str]) -> dict | None:
    try:
        return requests.get(f"{environ['SMSCONVO_PUBLIC_URL']}/healthz", timeout=10).json()
    except requests.ConnectionError:
        return None


@pytest.mark.long
@a_kind_and_terminals
def test_texts_are_answered_while_nobody_reads_the_log_and_it_shows(folder, environ, ends):
    reader, writer = ends
    url = f"{environ['SMSCONVO_PUBLIC_URL']}/sms"

    def come(guest: int) -> Phone:
        sender = f"+1415555{guest:04}"
        phone = Phone(
            url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, sender=sender, number=NUMBER
        )
        assert phone.text("Mats BBQ") == [QUESTIONS[0]]
        return phone

    with serving(folder, environ, writer):
        for guest in range(400):
            come(guest)
            if guest % 20 == 0 and health_of(environ)["log"]["dropped_lines"]:
                break
        for guest in range(400, 440):
            phone = come(guest)
        told = health_of(environ)
        assert (told["status"], told["log"]["ok"]) == ("degraded", False)
        assert told["log"]["dropped_lines"] > 0
        drain(reader)
        phone.text("Blue")
        *_, dropped, _ = drain(reader)
        assert json.loads(dropped)["lines"] == told["log"]["dropped_lines"]
        assert health_of(environ)["status"] == "ok"
