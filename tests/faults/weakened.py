"""smsconvo with one protection taken out: `weakened.py WEAKNESS,… COMMAND …`.

A fault test that passes with its protection taken out tests nothing. The worker is another
process that imports this file anew, so that the weakness is there as well.
"""

import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bottle import FormsDict
from granian.http import HTTP1Settings
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import smsconvo
from models import database, delivery
from phone import new_sid


def sync_later() -> None:
    """Commits are acknowledged before they are on disk."""
    database.PRAGMAS["synchronous"] = 1  # NORMAL


def checkpoint_often() -> None:
    """No weakness: a few texts make as many checkpoints as some hundred would."""
    database.WRITER["wal_autocheckpoint"] = 30


def wait_for_no_lock() -> None:
    """No weakness: SQLite waits for no lock of another program, so that all waiting is ours."""
    database.PRAGMAS["busy_timeout"] = 0


def leave_the_gate_open() -> None:
    """Programs that write do not wait for each other."""
    database.Gate.enter = lambda *_, **__: True


def commit_later() -> None:
    """Texts are acknowledged before they are committed."""

    def commit(writer: database.Writer, batch: list) -> None:
        with writer._gate, Session(writer._engine, expire_on_commit=False) as db, db.begin():
            for work, turn in batch:
                turn.set_result(work(db))
            time.sleep(0.02)

    database.Writer._commit = commit


def count_repeats() -> None:
    """A text that comes again counts again."""
    smsconvo.Message.find = lambda db, sid: None
    inbound = smsconvo.inbound

    def under_another_sid(form: FormsDict, now: datetime) -> smsconvo.Message:
        text = inbound(form, now)
        text.sid = new_sid()
        return text

    smsconvo.inbound = under_another_sid


def run_ahead() -> None:
    """No weakness: the clock of this machine is an hour ahead."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    smsconvo.datetime = Ahead


def trust_own_clock() -> None:
    """Each machine goes by its own clock."""
    database.PostgreSQL.tell_time = lambda _: None


def lease_briefly() -> None:
    """No weakness: what a sender was killed with is another's after seconds, not a minute."""
    delivery.LEASE = timedelta(seconds=3)


def name_each_attempt() -> None:
    """A result that is sent again is another one to its receiver."""
    encode = smsconvo.encode

    def rename(*arguments: object) -> tuple[bytes, dict[str, str]]:
        body, headers = encode(*arguments)
        return body, headers | {"webhook-id": new_sid()}

    smsconvo.encode = rename


def log_body() -> None:
    """What guests text is in the log."""
    trust = smsconvo.signed_form

    def signed_form(*needed: str) -> FormsDict:
        form = trust(*needed)
        smsconvo.note("text", body=form.get("Body"))
        return form

    smsconvo.signed_form = signed_form


def sleep_on() -> None:
    """A signal that the kernel gives to another thread than the main one wakes nobody."""
    smsconvo.hear_signals_at_once = lambda: None


def take_a_second() -> None:
    """No protection is out, but there is time to stop the server under a text."""
    take_text = smsconvo.take_text

    def take_slowly(db: Session, **options: object) -> smsconvo.Reply:
        print("under way", flush=True)
        time.sleep(1)
        return take_text(db, **options)

    smsconvo.take_text = take_slowly


def open_door() -> None:
    """Nothing about a request is limited but by the server's own limits, and few may wait."""
    smsconvo.read_body = lambda: smsconvo.request.body.read()  # Bottle's way, by a file
    smsconvo.MOST_FIELDS = 1 << 40
    smsconvo.HTTP1Settings = lambda **_: HTTP1Settings()
    smsconvo.CONNECTIONS = 128  # the least that the server takes


def hurry() -> None:
    """No weakness: the head of a request has a second only, for tests that have little more."""
    smsconvo.HEAD_SECONDS = 1


def answer_first() -> None:
    """A commit that failed counts as one that was made."""
    commit = SQLiteDialect.do_commit

    def commit_perhaps(dialect: SQLiteDialect, connection: Any) -> None:
        try:
            commit(dialect, connection)
        except database.sqlite3.Error:
            connection.rollback()

    SQLiteDialect.do_commit = commit_perhaps


def write_on() -> None:
    """A disk that failed is trusted again."""
    database.BROKEN = ()


def read_on() -> None:
    """A database that was opened to be read only stays open."""
    database.sqlite3.SQLITE_READONLY = None


if __name__ in ("__main__", "__mp_main__"):
    for weakness in sys.argv[1].split(","):
        globals()[weakness]()

if __name__ == "__main__":
    del sys.argv[1]
    smsconvo.cli()
