"""What the fault tests share: a server to do harm to, guests who text it, and an audit of it.

Guests text serially, as people do, and repeat a text until it is acknowledged, as Twilio does. So
what must be in the database afterwards is known to the last row.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import psycopg
import pytest
from conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FEEDBACK,
    HANG_SECONDS,
    HERE,
    NUMBER,
    QUESTIONS,
    THANKS,
    free_address,
    until,
)
from warm import WarmProcess

from phone import Phone, TwilioError, new_sid
from storage.sqlite_connection import sqlite3  # two copies of SQLite in one process share no locks

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
REPLIES = (*QUESTIONS, THANKS)
WEAKENED = Path(__file__).with_name("weakened.py")
NOWHERE = "http://127.0.0.1:9/results"  # the discard port: nothing listens, so results stay owed
RETRY_SECONDS = 0.1  # a shorter wait of many guests takes the processor from a server that starts
TMPFS = Path("/dev/shm")  # where syncs cost nothing
Connection = sqlite3.Connection | psycopg.Connection


def parts(
    fixture: str = "database_url", *, sqlite: int, postgresql: int = 1
) -> pytest.MarkDecorator:
    """So many parts of a test on each database, for several processes to share."""
    both = {"sqlite": sqlite, "postgresql": postgresql}
    each = [(database, part) for database, number in both.items() for part in range(number)]
    return pytest.mark.parametrize(f"{fixture}, part", each, indirect=[fixture])


@dataclass
class Server:
    """`smsconvo.py serve` in a folder of its own, as an operator would run it.

    `weakness` takes one protection out (see weakened.py), to show that a test notices. `under` is
    a command to run it under, such as strace. It is forked (see warm.py), unless it is not `warm`:
    where what it costs is measured, and under another command. It has one process that answers
    unless a test says otherwise: many count, slow or break something in that process.
    """

    folder: Path
    results_to: str | None = NOWHERE
    weakness: str | None = None
    under: tuple[str, ...] = ()
    settings: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    workers: int = 1
    warm: bool = True
    process: subprocess.Popen | WarmProcess | None = None

    def __post_init__(self) -> None:
        questionnaires = self.folder / "questionnaires"
        questionnaires.mkdir(exist_ok=True)
        results = f'\n[results]\nurl = "{self.results_to}"\nformat = "json"\n'
        if self.results_to is None:
            results = ""
        (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
        self.address = free_address()
        self.url = f"http://{self.address}"
        self.database = self.folder / "smsconvo.db"
        self.log = self.folder / "server.log"

    def environ(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "SMSCONVO_LISTEN": self.address,
            "SMSCONVO_PUBLIC_URL": self.url,
            "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1",
        } | self.settings

    def start(self, *options: str) -> None:
        workers = f"--workers={self.workers}"
        self.process = self.run("serve", workers, *self.options, *options)

    def run(self, *command: str) -> subprocess.Popen | WarmProcess:
        """A command of the same program, in the same folder."""
        if self.warm and not self.under:
            return WarmProcess(command, self.folder, self.environ(), self.log, self.weakness)
        program = [str(HERE / "smsconvo.py")]
        if self.weakness:
            program = [str(WEAKENED), self.weakness]
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [*self.under, sys.executable, *program, *command],
                cwd=self.folder,
                env=self.environ(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait_until_listening(self) -> None:
        deadline = time.monotonic() + HANG_SECONDS
        while not self.is_listening():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.01)

    def is_listening(self) -> bool:
        host, port = self.address.split(":")
        with suppress(OSError), socket.create_connection((host, int(port)), 1):
            return True
        return False

    def kill(self) -> None:
        """As a power cut ends it: all its processes at once, with nothing said."""
        self.process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        until(lambda: not self.is_listening())  # its children may take longer to end

    def stop(self, patience: float = HANG_SECONDS) -> int:
        """As systemd stops it; the exit status."""
        os.kill(self.pid(), signal.SIGTERM)
        return self.process.wait(patience)

    def pid(self) -> int:
        """Of the server itself, not of what it runs under."""
        pid = self.process.pid
        return min(children(pid)) if self.under else pid

    def processes(self) -> set[int]:
        """Those that answer."""
        return children(self.pid())

    def logged(self) -> list[dict]:
        lines = self.log.read_text("utf-8", "replace").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # one may be written right now
        return [json.loads(line) for line in whole if line.startswith("{")]

    @property
    def on_postgresql(self) -> bool:
        return self.settings.get("DATABASE_URL", "").startswith("postgresql")

    def audit(self, acknowledged: list["Text"]) -> list[str]:
        if not self.on_postgresql:
            return audit(self.database, acknowledged)
        with psycopg.connect(self.settings["DATABASE_URL"]) as connection:
            return compare(connection, acknowledged)

    def phone(self, sender: str) -> Phone:
        return Phone(
            f"{self.url}/sms",
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            sender=sender,
            number=NUMBER,
        )


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


@contextmanager
def serving(folder: Path, **options) -> Iterator[Server]:
    with running(Server(folder, **options)) as server:
        yield server


@contextmanager
def running(server: Server) -> Iterator[Server]:
    server.start()
    try:
        server.wait_until_listening()
        yield server
    finally:
        server.kill()


@dataclass
class Text:
    """One text that was acknowledged, with the reply that came back."""

    sender: str
    sid: str
    body: str
    replies: list[str]
    content: bytes
    cookie: str | None
    sent_at: float  # by time.monotonic(): when it went out, for the last time
    at: float  # when the acknowledgement had come


class Guests:
    """People who text whole questionnaires, one text after the other, until told to stop.

    Each sender holds one conversation; then the guest goes on as the next sender. `pause`: seconds
    after each text.
    """

    def __init__(self, server: Server, count: int, pause: float = 0) -> None:
        self.server, self.count, self.pause = server, count, pause
        self.acknowledged: list[Text] = []
        self.surprises: list[str] = []  # replies that no guest should have got
        self.refusals: list[int | None] = []  # by status; None: nobody answered
        self._ended = Event()
        self._threads = [Thread(target=self._text, args=(n,), daemon=True) for n in range(count)]

    def __enter__(self) -> "Guests":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Everybody finishes the conversation that is under way; the server must be up."""
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a guest waits for ever"

    def wait_for(self, count: int, patience: float = HANG_SECONDS) -> None:
        """Until this many texts are acknowledged in all."""
        deadline = time.monotonic() + patience
        while len(self.acknowledged) < count:
            assert time.monotonic() < deadline, f"only {len(self.acknowledged)} of {count}"
            time.sleep(0.002)

    def _text(self, n: int) -> None:
        for conversation in range(100_000):
            if self._ended.is_set():
                return
            phone = self.server.phone(f"+1415{n:03}{conversation:05}")
            for said, expected in zip(TEXTS, REPLIES, strict=True):
                text = text_until_acknowledged(phone, said, refusals=self.refusals)
                self.acknowledged.append(text)
                if text.replies != [expected]:
                    self.surprises.append(f"{text.sender} {said!r}: {text.replies}")
                time.sleep(self.pause)


def text_until_acknowledged(
    phone: Phone, said: str, refusals: list[int | None] | None = None
) -> Text:
    """Text, and repeat the same message while there is no 200, as Twilio may."""
    sid = new_sid()
    deadline = time.monotonic() + HANG_SECONDS
    while True:
        sent_at = time.monotonic()
        try:
            replies = phone.text(said, sid=sid)
        except TwilioError:
            if refusals is not None:
                refusals.append(phone.last.status)
            assert time.monotonic() < deadline, f"{said!r} was never acknowledged"
            time.sleep(RETRY_SECONDS)
        else:
            last = phone.last
            cookie = last.headers.get("Set-Cookie")
            at = time.monotonic()
            return Text(phone.sender, sid, said, replies, last.content, cookie, sent_at, at)


def audit(database: Path, acknowledged: list[Text]) -> list[str]:
    """What a SQLite database lacks, doubles or confuses; nothing where all is kept.

    It need not hold only what was acknowledged: what was recorded without an answer may be there.
    """
    with closing(sqlite3.connect(database)) as connection:
        return [
            *(
                f"integrity: {found}"
                for (found,) in connection.execute("PRAGMA integrity_check")
                if found != "ok"
            ),
            *(f"foreign key: {found}" for found in connection.execute("PRAGMA foreign_key_check")),
            *compare(connection, acknowledged),
        ]


def compare(connection: Connection, acknowledged: list[Text]) -> list[str]:
    """What either database lacks, doubles or confuses."""
    return [
        *_missing(connection, acknowledged),
        *_doubled(connection),
        *_out_of_step(connection),
    ]


def _missing(connection: Connection, acknowledged: list[Text]) -> Iterator[str]:
    """Acknowledged texts that are not recorded, or not with the reply that was sent."""
    recorded = {
        sid: (sender, body, reply)
        for sid, sender, body, reply in connection.execute(
            "SELECT text.sid, text.sender, text.body, reply.body FROM messages AS text"
            " LEFT JOIN messages AS reply ON reply.reply_to_id = text.id"
            " WHERE text.direction = 'inbound'"
        )
    }
    for text in acknowledged:
        (words,) = text.replies or [None]
        if recorded.get(text.sid) != (text.sender, text.body, words):
            yield f"{text.sid} {text.body!r} is {recorded.get(text.sid)}"


DOUBLED = {
    "a text": "SELECT sid FROM messages WHERE sid IS NOT NULL GROUP BY sid HAVING count(*) > 1",
    "a reply": "SELECT reply_to_id FROM messages GROUP BY reply_to_id"
    " HAVING count(reply_to_id) > 1",
    "a result": "SELECT conversation_id FROM outbox GROUP BY 1 HAVING count(*) > 1",
    "a conversation": "SELECT sender FROM conversations GROUP BY sender, number"
    " HAVING count(*) > 1",
}


def _doubled(connection: Connection) -> Iterator[str]:
    for what, statement in DOUBLED.items():
        yield from (f"{what} twice: {found}" for (found,) in connection.execute(statement))


def _out_of_step(connection: Connection) -> Iterator[str]:
    """Conversations whose answers, count or results are not those of the texts in them."""
    texts: dict[int, list[str]] = {}
    for id, body in connection.execute(
        "SELECT conversation_id, body FROM messages WHERE direction = 'inbound' ORDER BY id"
    ):
        texts.setdefault(id, []).append(body)
    answers: dict[int, list[str]] = {}
    for id, value in connection.execute("SELECT conversation_id, value FROM answers ORDER BY key"):
        answers.setdefault(id, []).append(value)
    owed = {id for (id,) in connection.execute("SELECT conversation_id FROM outbox")}
    for id, state, count in connection.execute(
        "SELECT id, state, message_count FROM conversations"
    ):
        said = texts.get(id, [])
        if tuple(said) != TEXTS[: len(said)] or answers.get(id, []) != said[1:]:
            yield f"conversation {id}: {said} but answers {answers.get(id)}"
        done = len(said) == len(TEXTS)
        if count != len(said) or (state == "completed") != done or (id in owed) != done:
            yield f"conversation {id}: {len(said)} texts, count {count}, {state}"
