"""Somebody reads for long: texts are taken all the while, and the log shrinks afterwards."""

from contextlib import closing
from pathlib import Path

import pytest
from conftest import QUESTIONS

from phone import TwilioError
from storage import Database
from storage.sqlite_connection import (  # two copies of SQLite in a process share no locks
    PRAGMAS,
    sqlite3,
)

MIB = 1024 * 1024

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def limit(patch) -> int:
    """Of the log; a small one, so that a few texts go over it."""
    patch.item(PRAGMAS, "journal_size_limit", MIB)
    return MIB


def log_of(database: Database) -> Path:
    return Path(f"{database.engine.url.database}-wal")


def text_while_somebody_reads(webhook) -> tuple[int, int]:
    """How large the log was with a reader, and is without."""
    path = webhook.app.database.engine.url.database
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        (before,) = reader.execute("SELECT count(*) FROM messages").fetchone()
        for n in range(120):
            assert webhook.phone(f"+1415666{n:04}").text("Mats BBQ") == [QUESTIONS[0]]
        assert reader.execute("SELECT count(*) FROM messages").fetchone() == (before,)
        largest = log_of(webhook.app.database).stat().st_size
    for n in range(2):  # the first writes the log into the database, the second begins it anew
        webhook.phone(f"+1415667{n:04}").text("Mats BBQ")
    return largest, log_of(webhook.app.database).stat().st_size


def test_texts_are_taken_while_somebody_reads_and_the_log_shrinks_afterwards(limit, serve):
    largest, left = text_while_somebody_reads(serve())
    assert largest > 2 * limit
    assert left <= limit


def test_the_check_notices_a_log_without_a_limit(serve, patch):
    patch.item(PRAGMAS, "journal_size_limit", -1)
    largest, left = text_while_somebody_reads(serve())
    assert left > MIB


def test_a_program_that_holds_the_lock_delays_a_text_and_loses_none(serve, patch):
    """Somebody else's program may know nothing of our gate."""
    patch.item(PRAGMAS, "busy_timeout", 200)
    webhook = serve()
    phone = webhook.phone()
    path = webhook.app.database.engine.url.database
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TwilioError, match="HTTP 503"):
            phone.text("Mats BBQ")
        sid = phone.last.sid
        other.execute("ROLLBACK")
    assert phone.text("Mats BBQ", sid=sid) == [QUESTIONS[0]]
    assert not webhook.app.database.broken.is_set()
