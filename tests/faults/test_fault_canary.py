"""Nothing that a guest or a stranger sends, and no secret, is ever in the log.

Marked words go through every path of the real server, happy and failing; then its whole output is
searched for them, in any dress, and each line of it must be one JSON object.
"""

import base64
import hmac
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from urllib.parse import quote, urlencode

import psycopg
import pytest
from conftest import ACCOUNT_SID, FEEDBACK, HANG_SECONDS, HERE, NUMBER, until
from rig import TEXTS, Server, serving

from gateway.webhook import FORM_TYPE
from phone import new_sid

SENDER = "+4915799887766"
WORD = "Kanarienvogel"
TOKEN = "Token-of-the-canary-0123456789-xyz"
COOKIE = "ca7a41e0" * 4
SECRET_PATH = "results-for-Stieglitz"  # a receiver's address can be a secret, as that of a form is
CANARIES = (SENDER[1:], WORD, TOKEN, COOKIE, SECRET_PATH)
CONTROL = '\r\n{"event": "forged"}\n\x1b[31m\0\x07\x85\u2028'

Fields = dict[str, str]


def dresses(canary: str) -> set[str]:
    """How a word may be written: percent-encoded, in base64 at any place, in hex, and so on."""
    data = canary.encode()
    inside = {base64.b64encode(b"x" * n + data)[4:-4].decode() for n in range(3)}
    percent = {"".join(f"%{byte:02x}" for byte in data), quote(canary, safe="")}
    plain = {canary, repr(canary)[1:-1], json.dumps(canary)[1:-1], canary[::-1]}
    return {one.lower() for one in inside | percent | plain | {data.hex()}}


def leaks(output: str, canaries: tuple[str, ...]) -> list[str]:
    """Every line in which a canary is, in any dress and case."""
    words = {dress for canary in canaries for dress in dresses(canary)}
    return [line for line in output.splitlines() if any(word in line.lower() for word in words)]


def no_objects(output: str) -> list[str]:
    """Every line that is not one JSON object of ours, as forged and torn ones are."""
    return [line for line in output.split("\n") if line and not is_ours(line)]


def is_ours(line: str) -> bool:
    try:
        facts = json.loads(line)
    except ValueError:
        return False
    return {"at", "level", "event"} <= facts.keys() and facts["event"] != "forged"


# A receiver that says what it is told to


class Parrot:
    """Answers each result with the next of `answers`, bytes as they are; then it refuses."""

    def __init__(self) -> None:
        self.heard = b""
        self.answers = [
            f"HTTP/1.1 500 {WORD} {SENDER}\r\nContent-Length: 0\r\n\r\n".encode(),
            f"HTTP/1.1 302 Found\r\nLocation: http://{WORD}/{SENDER}\r\n\r\n".encode(),
            f"HTTP/1.1 429 x\r\nRetry-After: {WORD}\r\nContent-Length: 0\r\n\r\n".encode(),
            f"HTTP/1.1 200 OK\r\n{WORD} {SENDER}\r\nContent-Length: 99\r\n\r\n{WORD}".encode(),
            f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{WORD}\r\n".encode(),
            f"HTTP/1.1 {WORD}\r\n\r\n".encode(),
            f"{WORD} {SENDER}\r\n\x1b[31m\r\n\r\n".encode(),
            f"HTTP/1.1 400 x\r\nContent-Length: 20\r\n\r\n{WORD}".encode(),
            b"",
        ]
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/{SECRET_PATH}"

    def run(self) -> None:
        for answer in self.answers:
            connection, _ = self._socket.accept()
            with connection:
                self.heard += read_request(connection)
                connection.sendall(answer)
        self._socket.close()


def read_request(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(65536)
    head, _, body = head.partition(b"\r\n\r\n")
    length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(body) < length:
        body += connection.recv(65536)
    return head + body


# Sending


def post(server: Server, fields: Fields, path: str = "/sms", **options) -> int:
    """Signed as it should be, unless the options say otherwise."""
    signed = server.url + path + "".join(name + fields[name] for name in sorted(fields))
    signature = base64.b64encode(hmac.digest(TOKEN.encode(), signed.encode(), "sha1")).decode()
    body = options.get("body", urlencode(fields).encode())
    headers = {"Content-Type": FORM_TYPE, "X-Twilio-Signature": signature, "User-Agent": WORD}
    headers |= {"Cookie": f"conversation={COOKIE}", "X-Forwarded-Host": SENDER}
    headers |= {"X-Canary": f"{WORD}\t{SENDER} é"} | options.get("headers", {})
    with closing(HTTPConnection(server.address, timeout=HANG_SECONDS)) as connection:
        connection.request(options.get("method", "POST"), path, body, headers)
        return connection.getresponse().status


def text(body: str = WORD, **more: str) -> Fields:
    fields = {"MessageSid": new_sid(), "AccountSid": ACCOUNT_SID, "From": SENDER, "To": NUMBER}
    return fields | {"Body": body, "ProfileName": f"{WORD}{CONTROL}", WORD: SENDER} | more


def complete(server: Server, sender: str) -> None:
    for n in range(len(TEXTS)):
        assert post(server, text(f"{WORD} {n}", From=sender)) == 200


# The paths


def text_in_every_way(server: Server) -> None:
    once = text(f"{WORD}{CONTROL}{SENDER}{TOKEN}")
    find_reply = "SELECT id, status_token, recipient FROM messages WHERE status_token IS NOT NULL"
    (id, token, guest), *_ = change(server, f"{find_reply} ORDER BY id")
    report = {**text(From=NUMBER, To=guest), "MessageStatus": "failed", "ErrorCode": WORD}
    assert [post(server, once) for _ in range(2)] == [200, 200]
    assert post(server, text(To="+14155550199")) == 200  # where nothing opens
    for cookie in (f"{WORD}{SENDER}", f'"{WORD}', "é"):
        assert post(server, text(), headers={"Cookie": f"conversation={cookie}"}) == 200
    for named in (f"{id}&token={token}", f"{id}&token={WORD}", f"{id}", "999999"):
        assert post(server, report, f"/sms/status?message={named}") == 204
    assert post(server, report, f"/sms/status?message={WORD}") == 403
    assert post(server, report | {"MessageStatus": WORD}, "/sms/status?message=2") == 403


def send_what_is_refused(server: Server) -> None:
    for signature in ("", WORD, TOKEN, f"{SENDER}é"):
        assert post(server, text(), headers={"X-Twilio-Signature": signature}) == 403
    for wrong in ({"MessageSid": WORD}, {"AccountSid": SENDER}, {"From": f"{SENDER}{CONTROL}"}):
        assert post(server, text(**wrong)) == 403
    for kind in (f"text/{WORD}", f"{FORM_TYPE}-{SENDER}", f"multipart/form-data; boundary={WORD}"):
        assert post(server, text(), headers={"Content-Type": kind}) == 415
    assert post(server, text(), body=WORD.encode() * 10_000) == 413
    for body in (
        f"{WORD}={SENDER}&{WORD}",
        f"{WORD}={SENDER}%ff",
        f"{WORD}é={SENDER}",
        f"={WORD}&",
    ):
        assert post(server, text(), body=body.encode()) == 400
    for path in (f"/{WORD}/{quote(SENDER)}", f"/{WORD}%0d%0a%1b?{WORD}={quote(SENDER)}", "/%ff"):
        assert post(server, text(), path) == 404
    assert post(server, text(), f"/sms?{WORD}={quote(SENDER)}", method="DELETE") == 405


MALFORMED = (
    f"{WORD} {SENDER}\r\n\r\n",
    f"GET /{WORD}\x1b{SENDER} HTTP/9.9\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nContent-Length: {WORD}\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n{WORD}",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {WORD}\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{WORD}\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\n{WORD}\0: {SENDER}\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nX: {WORD}\x1b[31m\x07{SENDER}\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\n{WORD}\r {SENDER}\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nX: {WORD * 100_000}\r\n\r\n",
    f"POST /sms HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM_TYPE}\r\n"
    f"Content-Length: 999\r\n\r\n{WORD}",
    f"{SENDER}\r\n{WORD}\0\x1b",
)


def send_what_is_not_http(server: Server) -> None:
    """And read what comes, or go away."""
    host, port = server.address.split(":")
    for sent in MALFORMED:
        with socket.create_connection((host, int(port)), 5) as connection:
            with suppress(OSError):  # it may be reset: what is looked for is in the log
                connection.sendall(sent.encode())
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass


def fail_in_the_database(server: Server) -> None:
    """Tables that are missing, and a refusal that quotes: SQLAlchemy knows all parameters then."""
    report = {**text(), "MessageStatus": "sent"}
    for table, of_report in (("messages", 503), ("contacts", 204)):
        change(server, f"ALTER TABLE {table} RENAME TO {WORD}")
        assert post(server, text()) == 503
        assert post(server, report, "/sms/status?message=2") == of_report
        change(server, f"ALTER TABLE {WORD} RENAME TO {table}")
    quoted = f"{WORD} {SENDER}\r\n{{}}\x1b"
    for statement in REFUSING[server.on_postgresql]:
        change(server, statement.format(quoted))
    assert post(server, text()) == 503
    change(server, "DROP TRIGGER quoting" + " ON messages" * server.on_postgresql)


REFUSING = (
    ["CREATE TRIGGER quoting BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, '{}'); END"],
    [
        "CREATE OR REPLACE FUNCTION quote() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RAISE '{}'; END $$",
        "CREATE TRIGGER quoting BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION quote()",
    ],
)


def fail_in_the_code(server: Server) -> None:
    """An exception that quotes the name of an unknown field."""
    ((kept,),) = change(server, "SELECT definition FROM questionnaires WHERE name = 'feedback'")
    broken = json.dumps({"title": "x", f"{WORD} {SENDER}\n": 1})
    update = "UPDATE questionnaires SET definition = ? WHERE name = 'feedback'"
    change(server, update, broken)
    assert post(server, text()) == 200  # it is set aside
    change(server, update, kept)
    assert post(server, text()) == 200


def wait_at_a_locked_database(server: Server) -> None:
    with closing(connect(server)) as db:
        db.execute("BEGIN" if server.on_postgresql else "BEGIN IMMEDIATE")
        if server.on_postgresql:
            db.execute("LOCK messages")
        assert post(server, text()) == 503
        db.execute("ROLLBACK")
    assert post(server, text()) == 200


def change(server: Server, statement: str, *values: str) -> list[tuple]:
    with closing(connect(server)) as db:
        if server.on_postgresql:
            found = db.execute(statement.replace("?", "%s"), values or None)
            return found.fetchall() if found.description else []
        db.execute("PRAGMA legacy_alter_table = ON")  # leaves the views as they are
        return db.execute(statement, values).fetchall()


def connect(server: Server) -> sqlite3.Connection | psycopg.Connection:
    if server.on_postgresql:
        return psycopg.connect(server.settings["DATABASE_URL"], autocommit=True)
    return sqlite3.connect(server.database, timeout=10, isolation_level=None)


def crash_a_worker(server: Server) -> None:
    """The server starts another one."""
    children = Path(f"/proc/{server.pid()}/task/{server.pid()}/children")
    workers = [pid for pid in map(int, children.read_text().split()) if is_worker(pid)]
    os.kill(workers[0], signal.SIGSEGV)
    until(lambda: not Path(f"/proc/{workers[0]}/fd/0").exists())
    server.wait_until_listening()
    until(lambda: can_text(server))


def is_worker(pid: int) -> bool:
    return b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes()


def can_text(server: Server) -> bool:
    with suppress(OSError, HTTPException):
        return post(server, text()) == 200
    return False


def restart(server: Server) -> None:
    assert server.stop() == 0
    server.start()
    server.wait_until_listening()


def command(server: Server, *words: str, **settings: str) -> str:
    """All that another command says."""
    done = subprocess.run(
        [sys.executable, HERE / "smsconvo.py", *words],
        cwd=server.folder,
        env=server.environ() | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=HANG_SECONDS,
    )
    return done.stdout.decode("utf-8", "replace")


def deliver_again(server: Server) -> str:
    """`outbox retry`, and `deliver` until it has tried; to a receiver that is no longer there."""
    attempts = "SELECT sum(attempts) FROM outbox"
    ((before,),) = change(server, attempts)
    said = command(server, "outbox", "retry", "--all")
    with open(server.folder / "deliver.log", "w+b") as log:
        delivering = subprocess.Popen(
            [sys.executable, HERE / "smsconvo.py", "deliver"],
            cwd=server.folder,
            env=server.environ(),
            stdout=log,
            stderr=log,
        )
        until(lambda: change(server, attempts)[0][0] > before)
        until(lambda: '"delivering"' in Path(log.name).read_text())
        delivering.terminate()
        assert delivering.wait(HANG_SECONDS) == 0
        log.seek(0)
        output = log.read().decode()
    assert no_objects(output) == []
    return said + output


# The tests


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    parrot = Parrot()
    Thread(target=parrot.run, daemon=True).start()
    return parrot


@pytest.fixture
def options(tmp_path, parrot, empty_url) -> dict:
    directory = tmp_path / "canaries"
    directory.mkdir()
    results = f'\n[results]\nurl = "{parrot.url}"\n'
    opened = f'to = ["{NUMBER}"]\n'
    (directory / "feedback.toml").write_text(opened + FEEDBACK + results, "utf-8")
    settings = {"TWILIO_AUTH_TOKEN": TOKEN, "SMSCONVO_QUESTIONNAIRES": str(directory)}
    return {"settings": settings | {"DATABASE_URL": empty_url}}


@pytest.mark.first
def test_no_canary_is_ever_in_the_log(tmp_path, parrot, options, size):
    said = ""
    with serving(tmp_path, **options) as server:
        for n in range(len(parrot.answers)):
            complete(server, f"{SENDER}{n}")
        until(lambda: change(server, "SELECT count(*) FROM outbox WHERE attempts = 0") == [(0,)])
        for _ in range(size(0, 1)):  # it takes five seconds
            wait_at_a_locked_database(server)
        for _ in range(size(1, 2)):
            text_in_every_way(server)
            send_what_is_refused(server)
            send_what_is_not_http(server)
            fail_in_the_database(server)
            fail_in_the_code(server)
            crash_a_worker(server)
            restart(server)
            said += deliver_again(server)
        assert server.stop() == 0
        (tmp_path / WORD).write_text(f"{WORD} {SENDER}")
        said += command(server, "serve", DATABASE_URL=f"sqlite:///{WORD}")
        assert "not a database" in said
        said += command(server, "serve", TWILIO_AUTH_TOKEN=TOKEN[:20])
        said += command(server, "serve", DATABASE_URL=f"postgresql://x:{WORD}@127.0.0.1:9/x")
        tokens = [token for (token,) in change(server, "SELECT token FROM conversations")]
        sent = change(server, "SELECT status_token FROM messages WHERE error_code IS NOT NULL")
        tokens += [token for (token,) in sent]
        assert sent
        kept = change(server, "SELECT sender, body, params FROM messages")
    output = server.log.read_text("utf-8")
    print(f"{len(output.splitlines())} lines {events(output)}, {len(kept)} messages")
    assert leaks(output + said, (*CANARIES, *tokens)) == []
    assert no_objects(output) == []
    assert {"serving", "text", "refused", "status", "delivery"} <= events(output).keys()
    # It was all there to be told.
    assert any(
        SENDER in sender and WORD in body and WORD in params for sender, body, params in kept
    )
    assert parrot.heard.count(WORD.encode()) >= len(parrot.answers)
    assert SECRET_PATH.encode() in parrot.heard


def events(output: str) -> dict[str, int]:
    found = [json.loads(line)["event"] for line in output.splitlines()]
    return {event: found.count(event) for event in found}


def test_a_request_makes_one_line_whatever_is_in_it(tmp_path, options):
    with serving(tmp_path, **options) as server:
        before = len(server.log.read_text().splitlines())
        for place in ("Body", "From", "MessageSid", "New"):
            post(server, text(**{place: f"{WORD}{CONTROL}"}))
        post(server, text(), f"/sms%0d%0a%1b%00{WORD}")
        assert server.stop() == 0
    output = server.log.read_text("utf-8")
    assert len(output.splitlines()) == before + 5
    assert no_objects(output) == []


def test_a_log_with_the_body_in_it_is_noticed(tmp_path, options):
    with serving(tmp_path, weakness="log_body", **options) as server:
        assert post(server, text()) == 200
    assert leaks(server.log.read_text("utf-8"), CANARIES)


@pytest.mark.parametrize("dress", sorted({one for word in CANARIES for one in dresses(word)}))
def test_a_canary_is_found_in_any_dress(dress):
    assert leaks(f'{{"event": "x{dress.upper()}y"}}', CANARIES)


@pytest.mark.parametrize("line", ["Traceback", '{"event": "forged"}', '{"at": 1', "\x1b[31m{}"])
def test_a_line_that_is_not_ours_is_noticed(line):
    assert no_objects(f"{line}\n") == [line]
