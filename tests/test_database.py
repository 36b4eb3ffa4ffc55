import os
import shutil
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from datetime import UTC
from threading import Barrier, Event

import psycopg
import pytest
from alembic import command
from conftest import migrations
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from models import Contact
from storage import Database, DatabaseBroken, connect
from storage.base import Statement
from storage.column_types import read_time
from storage.sqlite_connection import PRAGMAS, takes_json_for_unsafe
from storage.unreadable import UnreadableRow, UnreadableRows
from storage.writer import TRANSACTIONS, FileLock

PROMISED = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 64 * 1024 * 1024,
    "mmap_size": 0,
    "trusted_schema": int(takes_json_for_unsafe()),
    "secure_delete": 1,
}


@pytest.fixture
def sqlite(tmp_path, migrated) -> Iterator[Database]:
    shutil.copy(migrated, tmp_path / "smsconvo.db")
    with connect(f"sqlite:///{tmp_path}/smsconvo.db") as database:
        yield database


def add(phone: str) -> Callable:
    return lambda db: Contact(phone=phone).insert(db)


def phones(database: Database) -> list[str]:
    with database.read() as db:
        return list(db.scalars(select(Contact.phone).order_by(Contact.id)))


def pragmas(db, names) -> dict:
    connection = db.connection()
    return {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names}


def submit(database: Database, transaction: Callable) -> Future:
    return database._writer.submit(TRANSACTIONS, transaction)


# Transactions that come while this one occupies the writer wait, so one commit serves them all.
def hold(database: Database) -> Event:
    holding, go_on = Event(), Event()

    def occupy(db) -> None:
        holding.set()
        go_on.wait(10)

    submit(database, occupy)
    assert holding.wait(10)
    return go_on


# What is promised of the disk ################################################


def test_the_writer_is_set_up_to_lose_nothing(sqlite):
    wanted = PROMISED | {"wal_autocheckpoint": 1000, "query_only": 0}
    assert sqlite.write(lambda db: pragmas(db, wanted)) == wanted


def test_readers_are_set_up_to_read_only(sqlite):
    wanted = PROMISED | {"wal_autocheckpoint": 0, "query_only": 1}
    with sqlite.read() as first, sqlite.read() as second:
        assert pragmas(first, wanted) == pragmas(second, wanted) == wanted


def test_a_pragma_without_effect_is_an_error(sqlite, patch):
    patch.item(PRAGMAS, "synchronous", 9)
    with connect(str(sqlite.engine.url)) as database, pytest.raises(DBAPIError) as error:
        database.write(add("+1"))
    assert "PRAGMA synchronous is 1, not 9" in str(error.value)


def test_readers_cannot_write(sqlite):
    with sqlite.read() as db, pytest.raises(OperationalError, match="readonly"):
        db.execute(text("INSERT INTO contacts (phone) VALUES ('+1')"))


def test_a_result_comes_back_after_its_commit(sqlite):
    go_on = hold(sqlite)
    last_runs, last_goes_on = Event(), Event()

    def last(db) -> None:
        last_runs.set()
        last_goes_on.wait(10)

    first = submit(sqlite, add("+1"))
    submit(sqlite, last)
    go_on.set()
    assert last_runs.wait(10)
    assert not first.done()
    assert phones(sqlite) == []
    last_goes_on.set()
    first.result(10)
    assert phones(sqlite) == ["+1"]


def test_what_was_written_is_there_for_others(database, database_url):
    assert database.write(lambda db: add("+1")(db) or "result") == "result"
    with connect(database_url) as other:
        assert phones(other) == ["+1"]


def test_a_write_that_waits_too_long_times_out(sqlite, patch):
    patch("storage.database", "WRITE_TIMEOUT_SECONDS", 0.1)
    go_on = hold(sqlite)
    with pytest.raises(TimeoutError):
        sqlite.write(add("+1"))
    go_on.set()


def test_a_write_that_timed_out_is_not_done_later(sqlite, patch):
    go_on = hold(sqlite)
    patch("storage.database", "WRITE_TIMEOUT_SECONDS", 0.1)
    for phone in ("+1", "+2"):
        with pytest.raises(TimeoutError):
            sqlite.write(add(phone))
    patch.undo()
    go_on.set()
    sqlite.write(add("+3"))
    assert phones(sqlite) == ["+3"]


# Transactions that wait together #############################################


def test_transactions_run_in_the_order_they_came(sqlite):
    go_on = hold(sqlite)
    waiting = [submit(sqlite, add(f"+{n}")) for n in range(200)]
    go_on.set()
    for future in waiting:
        future.result(10)
    assert phones(sqlite) == [f"+{n}" for n in range(200)]


def test_transactions_that_wait_together_share_a_commit(sqlite):
    go_on = hold(sqlite)
    waiting = [submit(sqlite, lambda db: db) for _ in range(64)]
    go_on.set()
    assert len({future.result(10) for future in waiting}) == 1


@pytest.mark.long
def test_a_transaction_that_comes_a_little_later_shares_the_commit(sqlite, patch):
    patch("storage.batches", "COMMIT_DELAY_SECONDS", 2)
    go_on = hold(sqlite)
    first, second = (submit(sqlite, lambda db: db) for _ in range(2))
    go_on.set()
    assert not wait([first, second], 0.2).done
    later = submit(sqlite, lambda db: db)
    assert first.result(10) is second.result(10) is later.result(10)


def test_a_transaction_that_waits_alone_runs_at_once(sqlite, patch):
    patch("storage.batches", "COMMIT_DELAY_SECONDS", 20)
    submit(sqlite, add("+1")).result(10)


def fail(db) -> None:
    add("+9")(db)
    raise ValueError("mine")


def twice(db) -> None:
    add("+1")(db)  # the database objects later, when another transaction looks


def twice_at_once(db) -> None:
    add("+1")(db)
    db.flush()


@pytest.mark.parametrize(
    ("bad", "error"),
    [(fail, ValueError), (twice, IntegrityError), (twice_at_once, IntegrityError)],
)
def test_a_transaction_that_fails_harms_no_other(sqlite, bad, error):
    go_on = hold(sqlite)
    first = submit(sqlite, add("+1"))
    failing = submit(sqlite, bad)
    counting = submit(sqlite, lambda db: len(db.scalars(select(Contact)).all()))
    later = [submit(sqlite, add(f"+{n}")) for n in (2, 3)]
    go_on.set()
    with pytest.raises(error):
        failing.result(10)
    assert counting.result(10) == 1
    for future in (first, *later):
        future.result(10)
    assert phones(sqlite) == ["+1", "+2", "+3"]


@pytest.mark.parametrize(("bad", "error"), [(fail, ValueError), (twice_at_once, IntegrityError)])
def test_a_transaction_that_fails_leaves_nothing_behind(database, bad, error):
    database.write(add("+1"))
    with pytest.raises(error):
        database.write(bad)
    database.write(add("+2"))
    assert phones(database) == ["+1", "+2"]


def test_transactions_that_conflict_all_succeed(database):
    together = Barrier(8)

    def find_contact(_) -> int:
        together.wait(10)
        return database.write(find_or_insert)

    def find_or_insert(db) -> int:
        contact = Contact.find(db, "+1") or Contact(phone="+1")
        Contact.save_all(db, [contact])
        return contact.id

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(find_contact, range(8)))) == 1
    assert phones(database) == ["+1"]


def test_waiting_transactions_are_written_before_the_database_closes(tmp_path, migrated):
    shutil.copy(migrated, tmp_path / "smsconvo.db")
    url = f"sqlite:///{tmp_path}/smsconvo.db"
    with connect(url) as database:
        go_on = hold(database)
        waiting = [submit(database, add(f"+{n}")) for n in range(100)]
        go_on.set()
    assert all(future.done() for future in waiting)
    with connect(url) as database:
        assert len(phones(database)) == 100


# Backups #####################################################################


def dump(path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_a_backup_is_the_whole_database(sqlite, tmp_path):
    for n in range(50):
        sqlite.write(add(f"+{n}"))
    with sqlite.read() as db:
        db.scalar(select(Contact.id))  # a reader keeps the rows in the -wal file
        path = sqlite.back_up("0001.bak")
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert path == f"{tmp_path}/smsconvo.db.0001.bak"
        assert dump(path) == dump(tmp_path / "smsconvo.db")
    with connect(f"sqlite:///{path}") as copy:
        assert len(phones(copy)) == 50


def lose_a_row_in_an_index(content: bytearray) -> None:
    offset = content.index(b"+00000042")
    content[offset : offset + 9] = b"+00000024"


def lose_a_page(content: bytearray) -> None:
    page = content.index(b"+00000042") // 4096 * 4096
    content[page : page + 4096] = b"\xc8" * 4096


def lose_entries_of_an_index(content: bytearray) -> None:
    page = content.rindex(b"+00000250") // 4096 * 4096
    content[page + 8 : page + 24] = bytes(range(200, 216))


@pytest.mark.parametrize("damage", [lose_a_row_in_an_index, lose_a_page, lose_entries_of_an_index])
def test_a_backup_that_is_not_whole_is_refused(sqlite, tmp_path, damage):
    for n in range(500):
        submit(sqlite, add(f"+{n:08}"))
    sqlite.write(lambda db: None)
    sqlite.close()
    path = tmp_path / "smsconvo.db"
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    with connect(f"sqlite:///{path}") as database, pytest.raises(ValueError) as refused:
        database.back_up("0001.bak")
    assert "smsconvo.db.0001.bak is not whole: " in str(refused.value)
    assert str(refused.value).endswith(" Nothing was changed.")
    assert not os.path.exists(f"{path}.0001.bak")


def test_a_backup_never_overwrites_another(sqlite, tmp_path):
    path = sqlite.back_up("0001.bak")
    before = dump(path)
    sqlite.write(add("+1"))
    with pytest.raises(ValueError, match="0001.bak is there already. Nothing was changed."):
        sqlite.back_up("0001.bak")
    assert dump(path) == before


def test_a_backup_of_postgresql_is_left_to_the_operator(postgresql):
    with connect(postgresql.format("migrated")) as database:
        with pytest.raises(ValueError, match="pg_dump.*--no-backup"):
            database.back_up("0001.bak")


# What cannot be opened #######################################################


def unreadable(tmp_path, kind: str) -> str:
    path = tmp_path / kind
    match kind:
        case "garbage":
            path.write_bytes(b"This is no database. " * 1000)
        case "directory":
            path.mkdir()
        case "missing/smsconvo.db":
            pass
    return f"sqlite:///{path}"


@pytest.fixture
def no_busy_timeout(patch):
    """SQLite waits for no lock, so that all waiting is smsconvo's."""
    patch.item(PRAGMAS, "busy_timeout", 0)


def write_during_another(sqlite: Database, write: Callable) -> None:
    """Call `write` while another write is under way, and wait for both."""
    begun, go_on = Event(), Event()

    def slow(db) -> None:
        add("+1")(db)
        db.flush()
        begun.set()
        go_on.wait(10)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sqlite.write, slow)
        begun.wait(10)
        second = pool.submit(write, sqlite.engine.url.render_as_string())
        with suppress(TimeoutError):
            second.result(0.3)
        go_on.set()
        first.result(10)
        second.result(10)


each_writer = pytest.mark.parametrize(
    "write",
    [
        lambda url: connect(url).write(add("+2")),
        lambda url: command.stamp(migrations(url), "head"),
    ],
    ids=["a program", "a migration"],
)


@each_writer
def test_another_program_waits_until_it_may_write(no_busy_timeout, sqlite, write):
    write_during_another(sqlite, write)
    assert phones(sqlite)[0] == "+1"


@each_writer
@pytest.mark.long  # it waits for ten seconds
def test_without_the_file_lock_another_program_finds_the_database_locked(
    no_busy_timeout, sqlite, write, patch
):
    patch(FileLock, "acquire", lambda *_: True)
    with pytest.raises(OperationalError, match="database is locked"):
        write_during_another(sqlite, write)


def test_one_server_has_a_database_until_it_ends(sqlite):
    url = sqlite.engine.url.render_as_string()
    with connect(url) as server, connect(url) as another:
        server.acquire_server_lock()
        with pytest.raises(ValueError, match="^Another server has .*/smsconvo.db$"):
            another.acquire_server_lock()
        server.close()
        another.acquire_server_lock()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_several_servers_may_have_postgresql(database_url):
    with connect(database_url) as server, connect(database_url) as another:
        server.acquire_server_lock()
        another.acquire_server_lock()


@pytest.mark.parametrize("kind", ["garbage", "directory", "missing/smsconvo.db"])
def test_what_is_no_database_is_an_error_of_the_driver(tmp_path, kind):
    with connect(unreadable(tmp_path, kind)) as database:
        with pytest.raises((DBAPIError, FileNotFoundError)):
            phones(database)
        with pytest.raises((DBAPIError, DatabaseBroken, FileNotFoundError)):
            database.write(add("+1"))


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "is not a database URL"),
        ("smsconvo.db", "is not a database URL"),
        ("postgresql://me:secret@host:port/smsconvo", "is not a database URL"),
        ("mysql://me:secret@host/smsconvo", "is neither sqlite:///… nor postgresql://…"),
        ("postgres://me:secret@host/smsconvo", "is neither sqlite:///… nor postgresql://…"),
        ("sqlite+aiosqlite:///smsconvo.db", "is neither sqlite:///… nor postgresql://…"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///smsconvo.db?secret=1", "has options behind a question mark"),
    ],
)
def test_a_url_that_will_not_do_is_refused_without_its_password(url, why):
    with pytest.raises(ValueError, match=why) as refused:
        connect(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_postgresql_goes_through_psycopg_3(scheme):
    with connect(f"{scheme}://me@host/smsconvo") as database:
        assert database.engine.driver == "psycopg"


# PostgreSQL ##################################################################


def test_texts_are_texts_where_postgresql_takes_them_for_bytes(postgresql):
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
        options = "ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0"
        connection.execute(f"CREATE DATABASE {name} {options}")
    with connect(postgresql.format(name)) as database:
        assert database.write(lambda db: db.scalar(text("SELECT 'Zoë 🙂'"))) == "Zoë 🙂"


# Rows that cannot be read ####################################################

CONTACTS = Statement(select(Contact.__table__).order_by(Contact.id))


def spoil(database: Database, *names: str) -> None:
    """Add a contact for each of these literals of SQL, which is its name."""
    for name in names:
        statement = text(
            f"INSERT INTO contacts (phone, name) SELECT count(*), {name} FROM contacts"
        )
        database.write(lambda db, statement=statement: db.execute(statement))


def test_what_cannot_be_read_hides_nothing_else(sqlite):
    spoil(sqlite, "'Rey'", "CAST(x'c3' AS TEXT)", "x'00'", "'Zoë'")
    noted = []
    sqlite.unreadable.on_new = lambda error: noted.append(str(error))
    with sqlite.read() as db:
        assert [contact.name for contact in Contact.all(db, CONTACTS)] == ["Rey", "Zoë"]
        with pytest.raises(UnreadableRow, match="^contacts 2: name is no text$"):
            CONTACTS.fetch_all(db)
    assert noted == ["contacts 2: name is no text", "contacts 3: name is no text"]
    assert list(map(str, sqlite.unreadable)) == noted


def test_a_text_is_read_as_text_again_after_one_that_cannot_be(sqlite):
    spoil(sqlite, "CAST(x'c3' AS TEXT)")
    with sqlite.read() as db:
        assert Contact.all(db, CONTACTS) == []
        assert db.scalar(text("SELECT 'Zoë'")) == "Zoë"


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        ("2026-11-20T12:00:00.000000Z", 12),
        ("2026-11-20 12:00:00", 12),
        ("2026-11-20T12:00", 12),
        ("2026-11-20 12:00:00+02:00", 10),
        ("2026-11-20", 0),
    ],
)
def test_a_time_is_utc_however_it_is_written(written, hour):
    found = read_time(written)
    assert (found.hour, found.tzinfo) == (hour, UTC)


@pytest.mark.parametrize(
    "written", ["", "soon", "12:30", "2026-02-30", "now", 7, 3.5, b"2026-11-20"]
)
def test_what_is_no_time_is_an_error(written):
    with pytest.raises((ValueError, TypeError)):
        read_time(written)


def test_unreadable_rows_are_told_once_and_kept_for_a_while(patch):
    rows, told = UnreadableRows(), []
    rows.on_new = told.append
    first, second = (UnreadableRow("contacts", id, "name", "is no text") for id in (1, 2))
    for error in (first, second, first):
        rows.add(error)
    assert (told, list(rows)) == ([first, second], [second, first])
    rows.discard("contacts", 1)
    assert list(rows) == [second]
    patch("storage.unreadable", "KEPT_SECONDS", -1)
    assert list(rows) == []
    rows.add(second)
    assert told == [first, second, second]


def test_no_more_unreadable_rows_are_kept_than_memory_has_room_for(patch):
    patch("storage.unreadable", "MAX_KEPT", 2)
    rows = UnreadableRows()
    for id in range(5):
        rows.add(UnreadableRow("contacts", id, "name", "is no text"))
    assert [error.id for error in rows] == [0, 1]


def test_a_new_entity_is_noted_for_no_unit_of_work():
    """To note it takes longer than all the rest of making it."""
    assert inspect(Contact(phone="+1"), raiseerr=False) is None
