import json
import os
import shutil
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from click.testing import CliRunner
from conftest import FEEDBACK, HERE, NUMBER, QUESTIONS, REY, STRANGER, THANKS, run, until
from sqlalchemy import select

from commands import cli
from models import Contact, Message
from models.console import ConsoleSession
from phone import new_sid
from storage import connect
from storage.base import Base
from storage.writer import FileLock
from worker.results import claim_due, run_attempt

pytestmark = pytest.mark.long

TABLES = {table.name for table in Base.metadata.sorted_tables}
BIG = 2_500  # rows: more than are sent at a time
# What means something to COPY, to SQL, to C or to Unicode.
ODD = ["", " ", "\\N", "\\.", "\\", "\\x41", "\t", "\n", "\r\n", "\b\f\v", "'\"%s{}", "NULL", "\0"]
ODD += [
    "a\0b\0",
    "\x7f\x80",
    "Zoë 🙂",
    "e\u0301",
    "\u202egnirts",
    "\ud7ff\ue000\uffff",
    "\U0010ffff",
]
ODD += [json.dumps({"Body": "\ud800 \0"}), "long 🙂 " * 200_000]


@pytest.fixture
def source(folder, migrated) -> Path:
    return Path(shutil.copy(migrated, folder / "smsconvo.db"))


@pytest.fixture
def database_url(source) -> str:
    return f"sqlite:///{source}"


# Makes a PostgreSQL database, and returns its URL.
@pytest.fixture
def create(postgresql) -> Callable[..., str]:
    def make(options: str = "") -> str:
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} {options}")
        return postgresql.format(name)

    return make


@pytest.fixture
def target(create) -> str:
    return create()


def change(path: Path, statement: str, *values) -> None:
    """Change rows as they may be from a time when nothing was checked."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = 1")
        triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        for (name,) in connection.execute(triggers).fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement, values)


def add_text(path: Path, body: str) -> None:
    statement = "INSERT INTO messages (direction, sender, recipient, body, created_at)"
    statement += " VALUES ('inbound', ?, ?, ?, '2026-11-20T12:00:00.000001Z')"
    change(path, statement, REY, NUMBER, body)


def add_contacts(path: Path, count: int) -> None:
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})"
    change(path, f"INSERT INTO contacts (phone) {numbers} SELECT '+1' || i FROM n")


def fill(
    webhook, bodies: tuple[str, ...] = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
) -> None:
    phone = webhook.phone()
    for body in bodies:
        phone.text(body)


def execute(url: str, *statements: str) -> list[tuple]:
    with psycopg.connect(url) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def count(url: str, table: str) -> int:
    ((found,),) = execute(url, f"SELECT count(*) FROM {table}")
    return found


# As the models read it, whichever database it is.
def everything(url: str) -> dict[str, list]:
    with connect(url) as database, database.read() as db:
        return {
            table.name: [tuple(row) for row in db.execute(select(table).order_by(table.c.id))]
            for table in Base.metadata.sorted_tables
        }


def copy(folder: Path, environ: dict[str, str], target: str) -> subprocess.CompletedProcess:
    return run(folder, environ, "copy", target)


def assert_copied(ended: subprocess.CompletedProcess) -> None:
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.split() == ["Copying", "Comparing"]


def assert_refused(
    ended: subprocess.CompletedProcess, *parts: str, status: int = os.EX_CONFIG
) -> None:
    assert ended.returncode == status, ended.stderr
    lines = [line for line in ended.stderr.splitlines() if line not in ("", "Copying", "Comparing")]
    assert len(lines) == 1, ended.stderr
    for part in parts:
        assert part in lines[0]


# What is copied ##############################################################


def test_every_row_is_copied_and_every_table_reported(folder, environ, target, serve, receiver):
    send_results(folder, receiver.url)
    fill(serve())
    add_contacts(folder / "smsconvo.db", BIG)
    before = everything(f"sqlite:///{folder}/smsconvo.db")
    ended = copy(folder, environ, target)
    assert_copied(ended)
    assert everything(target) == before == everything(f"sqlite:///{folder}/smsconvo.db")
    *tables, next_step, warning = ended.stdout.splitlines()
    assert {line.partition(":")[0] for line in tables} == TABLES
    assert [line for line in tables if line.startswith(f"contacts: {BIG + 1} rows, checksum ")]
    assert [line for line in tables if line.startswith("outbox: 1 row, checksum ")]
    assert next_step.startswith("Set DATABASE_URL to the new database, and start smsconvo.")
    assert warning.startswith("`deliver` included: ")


def send_results(folder: Path, url: str) -> None:
    results = f'\n[results]\nurl = "{url}"\n'
    (folder / "questionnaires/feedback.toml").write_text(FEEDBACK + results, "utf-8")


def test_an_empty_database_is_copied(folder, environ, source, target):
    assert_copied(copy(folder, environ, target))
    assert everything(target) == {table: [] for table in TABLES}


def test_odd_texts_and_missing_values_are_copied(folder, environ, source, target):
    for text in ODD:
        add_text(source, text)
    assert_copied(copy(folder, environ, target))
    with connect(target) as database, database.read() as db:
        messages = db.scalars(select(Message).order_by(Message.id)).all()
    assert [message.body for message in messages] == ODD
    assert {(message.sid, message.conversation_id) for message in messages} == {(None, None)}
    assert {message.created_at.microsecond for message in messages} == {1}


def test_every_character_is_copied(folder, environ, source, target):
    whole = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    add_text(source, whole)
    assert_copied(copy(folder, environ, target))
    with connect(target) as database, database.read() as db:
        (found,) = db.scalars(select(Message.body))
    assert found == whole.replace("\ufffe", "\0")  # no character; PostgreSQL holds U+0000 as it


def test_ids_go_on_after_the_highest(folder, environ, source, target):
    change(source, "INSERT INTO contacts (id, phone) VALUES (41, '+1')")
    assert_copied(copy(folder, environ, target))
    with connect(target) as database:
        database.write(Contact(phone="+2").insert)
        with database.read() as db:
            assert list(db.scalars(select(Contact.id).order_by(Contact.id))) == [41, 42]
    add_message = "INSERT INTO messages (direction, sender, recipient, body, created_at)"
    add_message += " VALUES ('inbound', '', '', '', now()) RETURNING id"
    assert execute(target, add_message) == [(1,)]


def test_ids_of_deleted_rows_to_which_others_refer_are_not_used_again(
    folder, environ, source, target
):
    def sign_in(db) -> int:
        now = datetime(2026, 11, 20, tzinfo=UTC)
        session = ConsoleSession.start(db, "token", "192.0.2.1", now)
        ConsoleSession.end(db, session.id, session.operator, now)
        return session.id

    with connect(f"sqlite:///{source}") as database:
        assert [database.write(sign_in) for _ in range(2)] == [1, 2]
    assert_copied(copy(folder, environ, target))
    with connect(target) as database:
        assert database.write(sign_in) == 3


def test_postgresql_knows_at_once_how_large_its_tables_are(folder, environ, source, target):
    add_contacts(source, BIG)
    assert_copied(copy(folder, environ, target))
    assert execute(target, "SELECT reltuples FROM pg_class WHERE relname = 'contacts'") == [(BIG,)]


def test_rows_whose_parents_were_erased_are_copied_and_named(
    folder, environ, source, target, serve, postgresql
):
    fill(serve(), ("Mats BBQ",))
    add_text(source, "Hello")
    change(source, "UPDATE messages SET conversation_id = 99 WHERE body = 'Hello'")
    change(source, "DELETE FROM contacts")
    before = everything(f"sqlite:///{source}")
    ended = copy(folder, environ, target)
    assert_copied(ended)
    assert everything(target) == before
    sentence = "Rows that refer to missing rows: 1 of conversations (contacts), 1 of messages"
    assert f"{sentence} (conversations). PostgreSQL keeps them" in ended.stdout
    unchecked = "SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1"
    assert execute(target, unchecked) == [
        ("fk_conversations_sender_contacts",),
        ("fk_messages_conversation_id_conversations",),
    ]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):  # a new one is refused
        execute(target, "UPDATE messages SET conversation_id = 98")
    assert serve(database_url=target).phone().text("Blue") == [QUESTIONS[1]]
    assert execute(target, "SELECT phone FROM contacts") == [(REY,)]
    execute(target, "UPDATE messages SET conversation_id = NULL WHERE conversation_id = 99")
    for (name,) in execute(target, unchecked):
        execute(target, f"ALTER TABLE {name.split('_')[1]} VALIDATE CONSTRAINT {name}")
    assert schema(target) == schema(postgresql.format("migrated"))


def test_what_operators_added_is_not_copied_and_is_named(folder, environ, source, target):
    change(source, "ALTER TABLE contacts ADD COLUMN note TEXT")
    change(source, "CREATE TABLE visits (contact_id REFERENCES contacts (id))")
    change(source, "CREATE INDEX own_index ON contacts (note)")
    change(source, "CREATE VIEW own_view AS SELECT * FROM visits")
    change(source, "CREATE TRIGGER own AFTER INSERT ON contacts BEGIN SELECT 1; END")
    ended = copy(folder, environ, target)
    assert_copied(ended)
    objects = "table visits, column contacts.note, index own_index, view own_view, trigger own"
    assert f"Not copied: {objects}." in ended.stdout


def test_tables_are_as_the_migrations_make_them(folder, environ, source, target, postgresql):
    assert_copied(copy(folder, environ, target))
    assert schema(target) == schema(postgresql.format("migrated"))


def schema(url: str) -> tuple[list, list]:
    constraints = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid, true)"
    constraints += " FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    return execute(url, constraints), execute(url, indexes)


def test_copying_changes_nothing_in_sqlite(folder, environ, source, target):
    add_text(source, "Hello")
    with closing(sqlite3.connect(source)) as connection:
        before = list(connection.iterdump())
        assert_copied(copy(folder, environ, target))
        assert list(connection.iterdump()) == before


# After it ####################################################################


def test_a_conversation_goes_on_where_it_was(folder, environ, target, serve):
    fill(serve(), ("Mats BBQ", "Blue"))
    assert_copied(copy(folder, environ, target))
    phone = serve(database_url=target).phone()
    assert [phone.text(body) for body in ("Pizza", "Cola", "Yes")] == [
        [reply] for reply in (*QUESTIONS[2:], THANKS)
    ]


def test_a_text_that_comes_again_gets_the_reply_that_was_stored(folder, environ, target, serve):
    sid = new_sid()
    assert serve().phone().text("Mats BBQ", sid=sid) == [QUESTIONS[0]]
    assert_copied(copy(folder, environ, target))
    moved = serve(database_url=target)
    assert moved.phone().text("Mats BBQ", sid=sid) == [QUESTIONS[0]]
    assert moved.rows("SELECT count(*) FROM messages") == [(2,)]
    assert moved.phone(STRANGER).text("Mats BBQ") == [QUESTIONS[0]]


def test_a_result_that_is_owed_is_delivered(folder, environ, target, serve, receiver):
    send_results(folder, receiver.url)
    fill(serve())
    assert_copied(copy(folder, environ, target))
    moved = serve(database_url=target)
    for delivery in claim_due(moved.app.database, moved.app.clock(), 8):
        run_attempt(moved.app.database, moved.app.settings, delivery, moved.app.clock)
    ((_, body),) = receiver.requests
    assert b"Question1=Blue" in body
    assert moved.rows("SELECT state FROM outbox") == [("delivered",)]


# Interrupted #################################################################

# Holds whoever adds a row to messages, until the test lets go.
HOLD = "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
HOLD += " 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END'"
ON_ADDING = "CREATE TRIGGER meddle BEFORE INSERT ON messages FOR EACH ROW EXECUTE FUNCTION"
IS_HELD = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def holding(create) -> str:
    target = create("TEMPLATE migrated")
    execute(target, HOLD, f"{ON_ADDING} hold()")
    return target


# A copy that is in the middle of it for as long as this lasts.
@contextmanager
def held(folder: Path, environ: dict[str, str], target: str) -> Iterator[subprocess.Popen]:
    arguments = [sys.executable, str(HERE / "smsconvo.py"), "copy", target]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen(arguments, cwd=folder, env=environ, **silent) as process,
        psycopg.connect(target) as holder,
    ):
        holder.execute("SELECT pg_advisory_xact_lock(1)")
        until(lambda: execute(target, IS_HELD))
        yield process


def test_a_copy_that_was_killed_starts_over(folder, environ, source, holding):
    add_contacts(source, BIG)
    add_text(source, "Hello")
    with held(folder, environ, holding) as process:
        process.kill()
    assert count(holding, "contacts") == 0
    assert_copied(copy(folder, environ, holding))
    assert (count(holding, "contacts"), count(holding, "messages")) == (BIG, 1)
    first = execute(holding, "SELECT ctid::text FROM contacts ORDER BY id LIMIT 1")
    assert first == [("(0,1)",)]  # no space is lost to the attempt before


def test_nobody_writes_to_sqlite_during_a_copy(folder, environ, source, holding):
    add_text(source, "Hello")
    with held(folder, environ, holding) as process:
        assert not FileLock(f"{source}-gate").acquire(wait=False)
    assert process.returncode == 0


def test_a_lock_of_others_is_not_waited_for_without_end(folder, source, create, patch):
    patch("storage.transfer", "LOCK_TIMEOUT_SECONDS", 0.1)
    target = create("TEMPLATE migrated")
    with psycopg.connect(target) as other:
        other.execute("SELECT * FROM contacts")
        ended = CliRunner().invoke(
            cli, ["copy", target], env={"DATABASE_URL": f"sqlite:///{source}"}
        )
    assert ended.exit_code == os.EX_UNAVAILABLE
    assert "lock timeout. Nothing was copied" in ended.stderr


# What went wrong on the way ##################################################


@pytest.mark.parametrize(
    "meddling",
    [
        "NEW.body := upper(NEW.body); RETURN NEW;",
        "NEW.created_at := NEW.created_at + interval ''1us''; RETURN NEW;",
        "NEW.status := ''sent''; RETURN NEW;",
        "NEW.id := NEW.id + 1; RETURN NEW;",
        "RETURN NULL;",
    ],
)
def test_a_row_that_differs_in_the_target_is_noticed(folder, environ, source, create, meddling):
    target = create("TEMPLATE migrated")
    add_text(source, "Hello")
    meddle = "CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS"
    execute(target, f"{meddle} 'BEGIN {meddling} END'", f"{ON_ADDING} meddle()")
    ended = copy(folder, environ, target)
    assert_refused(ended, "messages has count 1 and checksum", "Nothing was copied: look for")
    assert count(target, "messages") == 0


@pytest.mark.parametrize(
    ("mistake", "why"),
    [
        ("UPDATE messages SET direction = 'sideways'", "violates check constraint"),
    ],
)
def test_invalid_rows_are_refused(folder, environ, source, target, mistake, why):
    add_text(source, "My secret")
    change(source, mistake)
    ended = copy(folder, environ, target)
    assert_refused(ended, "Copying failed: ", why, "Nothing was copied: mend that")
    assert "My secret" not in ended.stderr
    assert count(target, "messages") == 0


def test_rows_that_cannot_be_read_are_named_all_at_once(folder, environ, source, target):
    cells = ["conversation_id = 'nine'", "created_at = 'gestern'"]
    cells += ["body = x'00ff'", "body = CAST(x'eda080' AS TEXT)"]
    for id, cell in enumerate(cells, 1):
        add_text(source, "My secret")
        change(source, f"UPDATE messages SET {cell} WHERE id = {id}")
    add_text(source, "Hello")
    ended = copy(folder, environ, target)
    assert_refused(
        ended,
        "messages 1: conversation_id is no number; messages 2: created_at is no time; messages 3:"
        " body is no text; messages 4: body is no text. Nothing was copied: correct or delete that",
    )
    assert "secret" not in ended.stderr and "nine" not in ended.stderr
    assert count(target, "messages") == 0


def test_times_without_a_zone_are_copied_as_utc(folder, environ, source, target):
    add_text(source, "Hello")
    change(source, "UPDATE messages SET created_at = '2026-11-20 13:00:00'")
    assert_copied(copy(folder, environ, target))
    ((at,),) = execute(
        target, "SELECT to_char(created_at AT TIME ZONE 'UTC', 'HH24') FROM messages"
    )
    assert at == "13"


# The wrong database ##########################################################


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("nonsense", "is not a database URL."),
        ("mysql://me:mine@host/smsconvo", "is neither sqlite:///… nor postgresql://…."),
        ("sqlite:///other.db", "is not postgresql://…."),
    ],
)
def test_a_url_that_is_no_postgresql_is_refused(folder, environ, source, url, what):
    ended = copy(folder, environ, url)
    assert_refused(ended, f"The URL to copy to {what}", "Give one like postgresql://")
    assert "mine" not in ended.stderr
    assert not (folder / "other.db").exists()


def test_a_postgresql_that_does_not_answer_is_a_transient_error(folder, environ, source):
    url = f"postgresql://me:mine@/smsconvo?host={folder}"
    ended = copy(folder, environ, url)
    assert_refused(ended, "Copying failed: ", "run copy again.", status=os.EX_UNAVAILABLE)
    assert "mine" not in ended.stdout + ended.stderr


def test_a_database_with_rows_is_left_as_it_is(folder, environ, source, create):
    target = create("TEMPLATE migrated")
    execute(target, "INSERT INTO contacts (phone) VALUES ('+1')")
    ended = copy(folder, environ, target)
    assert_refused(ended, "The database to copy to is not empty.", "createdb")
    assert count(target, "contacts") == 1


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE photos (id int)", "UPDATE alembic_version SET version_num = '0001'"],
)
def test_a_database_with_other_tables_is_left_as_it_is(folder, environ, source, create, statement):
    target = create("TEMPLATE migrated" if statement.startswith("UPDATE") else "")
    execute(target, statement)
    ended = copy(folder, environ, target)
    assert_refused(ended, "The database to copy to has other tables.", "createdb")


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_all_texts_is_refused(
    folder, environ, source, create, encoding
):
    target = create(f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    ended = copy(folder, environ, target)
    assert_refused(ended, encoding, "createdb --encoding UTF8")


def test_postgresql_is_not_copied_from(folder, environ, create, target):
    ended = copy(folder, environ | {"DATABASE_URL": create("TEMPLATE migrated")}, target)
    assert_refused(ended, "DATABASE_URL is not sqlite:///…", "Set it to the database to copy from")


def test_a_database_of_another_version_is_not_copied(folder, environ, source, target):
    change(source, "UPDATE alembic_version SET version_num = '0001'")
    ended = copy(folder, environ, target)
    assert_refused(ended, "The database is at version 0001", "python smsconvo.py upgrade")


def test_a_database_that_is_served_is_not_copied(folder, environ, database_url, target):
    with connect(database_url) as served:
        served.acquire_server_lock()
        ended = copy(folder, environ, target)
    assert_refused(ended, "Another server has ", "smsconvo.db. Stop that one")
