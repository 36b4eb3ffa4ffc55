"""What storage needs of SQLAlchemy and psycopg that they do not document, so may change."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from conftest import HERE
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from models import Contact
from storage import Database
from storage.base import Statement

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
CONTACTS = Statement(select(Contact.__table__))
WRONG = Statement(select(text("nothing")).select_from(Contact.__table__))
SLEEP = Statement(select(text("pg_sleep(60)")))
SLEEP_AT_COMMIT = """
    CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER sleep AFTER INSERT ON contacts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sleep()"""


def count(database: Database) -> int:
    with database.read() as db:
        return len(CONTACTS.fetch_all(db))


# raise_as_sqlalchemy #########################################################


def test_an_error_of_the_driver_becomes_sqlalchemys_and_shows_no_values(database):
    database.write(Contact(phone="+1").insert)
    with pytest.raises(IntegrityError, match="SQL parameters hidden") as error:
        database.write(Contact(phone="+1", name="a secret").insert)
    assert "a secret" not in str(error.value)
    assert error.value.statement.startswith("INSERT INTO contacts")
    assert isinstance(error.value.orig, database.engine.dialect.loaded_dbapi.IntegrityError)
    assert not error.value.connection_invalidated
    assert count(database) == 1


def test_listeners_hear_of_an_error(database):
    contexts = []
    event.listen(database.engine, "handle_error", contexts.append)
    with database.read() as db, pytest.raises(DBAPIError) as error:
        WRONG.fetch_all(db)
    (context,) = contexts
    assert context.original_exception is error.value.orig
    assert context.sqlalchemy_exception is error.value
    assert context.statement == error.value.statement


def test_a_listener_may_take_a_connection_for_lost(database):
    @event.listens_for(database.engine, "handle_error")
    def lose(context) -> None:
        context.is_disconnect = True

    with database.read() as db:
        with pytest.raises(DBAPIError) as error:
            WRONG.fetch_all(db)
        assert error.value.connection_invalidated
        assert db.connection().invalidated


@on_postgresql
def test_a_lost_connection_is_let_go_with_all_others_of_the_pool(database, database_url):
    with database.read() as first, database.read() as second:
        assert CONTACTS.fetch_all(first) == CONTACTS.fetch_all(second) == []
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    with database.read() as db:
        with pytest.raises(DBAPIError) as error:
            CONTACTS.fetch_all(db)
        assert error.value.connection_invalidated
        with database.read() as another:
            assert CONTACTS.fetch_all(another) == []


# The standard library's driver, for which a row that cannot be read keeps the snapshot open.
UNREADABLE = """
import gc, sys
sys.modules["pysqlite3"] = None
gc.disable()
from sqlalchemy import select, text
from models import Contact
from storage import connect
from storage.base import Statement
from storage.unreadable import UnreadableRow

contacts = Statement(select(Contact.__table__))
with connect(sys.argv[1]) as database, connect(sys.argv[1]) as other:
    unreadable = text("INSERT INTO contacts (phone, name) VALUES ('+1', CAST(x'ff' AS TEXT))")
    database.write(lambda db: db.execute(unreadable))
    try:
        database.write(contacts.fetch_all)
    except UnreadableRow as error:
        print("cannot be read")
    other.write(Contact(phone="+2").insert)
    database.write(Contact(phone="+3").insert)
"""


# Triggers check what is JSON. SQLite 3.40 takes that for unsafe if it trusts no schema.
JSON = """
import sys
sys.modules["pysqlite3"] = None
from alembic import command, config
from sqlalchemy import text
from storage import connect

with connect(sys.argv[1]) as database:
    for update in ("outbox SET payload = '{}'", "conversations SET readings = '[]'"):
        database.write(lambda db: db.execute(text(f"UPDATE {update}")))
migrations = config.Config("alembic.ini")
migrations.attributes["url"] = sys.argv[1]
command.downgrade(migrations, "0009")
"""


def run_alone(script: str, migrated: Path, folder: Path) -> str:
    """What a script prints that is given a database of its own."""
    (folder / "smsconvo.db").write_bytes(migrated.read_bytes())
    ended = subprocess.run(
        [sys.executable, "-c", script, f"sqlite:///{folder}/smsconvo.db"],
        cwd=HERE,
        capture_output=True,
        text=True,
    )
    assert (ended.stderr, ended.returncode) == ("", 0)
    return ended.stdout


def test_a_row_that_cannot_be_read_keeps_nothing_from_being_written(tmp_path, migrated):
    assert run_alone(UNREADABLE, migrated, tmp_path) == "cannot be read\n"


def test_an_older_sqlite_writes_and_migrates_what_is_json(tmp_path, migrated):
    assert run_alone(JSON, migrated, tmp_path) == ""


# DeadlineConnection ##########################################################


@on_postgresql
def test_a_server_that_does_not_answer_in_time_loses_the_connection(database, patch):
    with database.read() as db:
        db.connection()
        patch("storage.psycopg_connection", "RESPONSE_TIMEOUT_SECONDS", 0.2)
        began = time.monotonic()
        with pytest.raises(DBAPIError) as error:
            SLEEP.fetch_all(db)
        assert time.monotonic() - began < 4  # its own timeout comes after 5 seconds
        assert error.value.connection_invalidated


@on_postgresql
def test_a_commit_that_is_not_answered_in_time_loses_the_connection(database, database_url, patch):
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(SLEEP_AT_COMMIT)
    patch("storage.psycopg_connection", "RESPONSE_TIMEOUT_SECONDS", 0.2)
    patch("storage.postgresql", "MAX_ATTEMPTS", 1)
    with pytest.raises(DBAPIError) as error:
        database.write(Contact(phone="+1").insert)
    assert error.value.connection_invalidated
