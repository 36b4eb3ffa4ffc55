"""smsconvo with one protection taken out: `weakened.py WEAKNESS,… COMMAND …`.

A fault test that passes with its protection taken out tests nothing. The worker is another
process that imports this file anew, so that the weakness is there as well.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bottle import BaseRequest
from granian.http import HTTP1Settings
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from patching import patch, patch_item

import commands
from gateway.webhook import Environ, Form, Webhook
from logs import log_event
from models import IncomingText
from models.decision import Decision
from models.turn import Reply, save_all
from phone import new_sid
from smsconvo import create_app
from storage.batches import Batch
from storage.database_files import DatabaseFiles
from storage.kept_session import KeptSession
from storage.postgresql import PostgreSQL
from storage.sqlite import SQLite
from storage.sqlite_connection import PRAGMAS, WRITER_PRAGMAS, sqlite3
from storage.writer import FileLock, Writer, write_all
from worker.results import encode


def sync_later() -> None:
    """Commits are acknowledged before they are on disk."""
    patch_item(PRAGMAS, "synchronous", 1)  # NORMAL


def checkpoint_often() -> None:
    """No weakness: a few texts make as many checkpoints as some hundred would."""
    patch_item(WRITER_PRAGMAS, "wal_autocheckpoint", 30)


def wait_for_no_lock() -> None:
    """No weakness: SQLite waits for no lock of another program, so that all waiting is ours."""
    patch_item(PRAGMAS, "busy_timeout", 0)


def leave_the_gate_open() -> None:
    """Programs that write do not wait for each other."""
    patch(FileLock, "acquire", lambda *_, **__: True)


def trust_the_files() -> None:
    """Whatever is done to the files of the database, it is not noticed."""
    patch(DatabaseFiles, "describe_difference", lambda _: None)
    patch(DatabaseFiles, "is_smaller", lambda _: False)


def rescue_often() -> None:
    """No weakness: what could not be saved is soon tried again."""
    patch("commands.server", "RESCUE_SECONDS", 0.5)


def commit_later() -> None:
    """Texts are acknowledged before they are committed."""

    def commit(writer: Writer, batch: Batch) -> None:
        with writer._lock, writer._writing.transaction() as db:
            for future, result in write_all(db, batch).items():
                future.set_result(result)
            time.sleep(0.02)

    patch(Writer, "_commit", commit)


def count_repeats() -> None:
    """A text that comes again counts again."""
    incoming_text = Webhook.incoming_text

    def under_another_sid(webhook: Webhook, environ: Environ) -> IncomingText:
        return replace(incoming_text(webhook, environ), sid=new_sid())

    patch(Webhook, "incoming_text", under_another_sid)


def run_ahead() -> None:
    """No weakness: the clock of this machine is an hour ahead."""

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    for module in ("logs", "smsconvo", "storage.sqlite"):
        patch(module, "datetime", Ahead)


def trust_own_clock() -> None:
    """Each machine goes by its own clock."""
    patch(PostgreSQL, "now", SQLite.now)


def lease_briefly() -> None:
    """No weakness: what a sender was killed with is another's after seconds, not a minute."""
    patch("models.delivery", "LEASE", timedelta(seconds=3))


def name_each_attempt() -> None:
    """A result that is sent again is another one to its receiver."""

    def rename(*arguments: object) -> tuple[bytes, dict[str, str]]:
        body, headers = encode(*arguments)
        return body, headers | {"webhook-id": new_sid()}

    patch("worker.results", "encode", rename)


def log_body() -> None:
    """What guests text is in the log."""
    verified_form = Webhook.verified_form

    def logged_form(webhook: Webhook, *arguments: object) -> Form:
        form = verified_form(webhook, *arguments)
        log_event("text", body=form.get("Body"))
        return form

    patch(Webhook, "verified_form", logged_form)


def sleep_on() -> None:
    """A signal that the kernel gives to another thread than the main one wakes nobody."""
    patch("commands.server", "install_signal_wakeup", lambda: None)


def load_for_a_second() -> None:
    """No weakness: there is time to stop the server before its processes answer."""
    load_app = commands.server.load_app

    def load_slowly(*arguments: Any) -> Any:
        time.sleep(1)
        return load_app(*arguments)

    patch("commands.server", "load_app", load_slowly)


def save_for_a_second() -> None:
    """No protection is out, but there is time to stop the server under a text."""

    def save_slowly(db: Session, decisions: Sequence[Decision]) -> list[Reply]:
        if decisions:
            print("under way", flush=True)
            time.sleep(1)
        return save_all(db, decisions)

    patch("models.turn", "save_all", save_slowly)


def open_door() -> None:
    """Nothing about a request is limited but by the server's own limits, and few may wait."""
    by_a_file = lambda environ: BaseRequest(environ).body.read()  # noqa: E731  Bottle's way
    patch("gateway.webhook", "read_body", by_a_file)
    patch("gateway.webhook", "MAX_FIELDS", 1 << 40)
    patch("commands.server", "HTTP1Settings", lambda **_: HTTP1Settings())
    patch("commands.server", "CONNECTIONS", 128)  # the least that the server takes


def hurry() -> None:
    """No weakness: the head of a request has a second only, for tests that have little more."""
    patch("commands.server", "HEAD_SECONDS", 1)


def look_rarely() -> None:
    """No weakness: an edit of a file is noticed at SIGHUP only."""
    patch("commands.server", "LOOK_SECONDS", 3600)


def look_often() -> None:
    """No weakness: the server looks at the files most of the time."""
    patch("commands.server", "LOOK_SECONDS", 0.01)


def spawn_processes() -> None:
    """No weakness: the worker begins anew, as it does where processes are not forked."""
    multiprocessing.set_start_method("spawn", force=True)


def answer_first() -> None:
    """A commit that failed counts as one that was made."""
    commit = KeptSession.commit

    def commit_perhaps(kept: KeptSession) -> None:
        try:
            commit(kept)
        except DBAPIError:
            kept.close()

    patch(KeptSession, "commit", commit_perhaps)


def write_on() -> None:
    """A disk that failed is trusted again."""
    patch("storage.sqlite", "FATAL_CODES", ())


def read_on() -> None:
    """A database that was opened to be read only stays open."""
    close = KeptSession.close

    def roll_back(kept: KeptSession) -> None:
        driver = kept._db and kept._db.connection().connection.driver_connection
        if driver and driver.in_transaction:
            driver.execute("ROLLBACK")
        elif sys.exc_info()[0] is None:
            close(kept)

    patch(KeptSession, "close", roll_back)
    patch(sqlite3, "SQLITE_READONLY", None)


if __name__ == "__main__":
    os.environ["WEAKNESS"] = sys.argv.pop(1)  # for the worker, if it imports this file anew

if __name__ in ("__main__", "__mp_main__"):
    for weakness in os.environ["WEAKNESS"].split(","):
        globals()[weakness]()

if __name__ == "__main__":
    commands.main(create_app)
