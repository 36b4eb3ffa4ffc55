import errno
import os
import timeit
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import requests
from conftest import FEEDBACK, HANG_SECONDS, HEAD, NUMBER, REY, Webhook, until
from sqlalchemy import make_url

from commands.server import exit_on_storage_failure
from models.undelivered import COUNT_UNDELIVERED
from phone import TwilioError
from storage import Database
from storage.base import Base
from storage.database import DatabaseBroken
from storage.postgresql import SESSION_SETTINGS
from storage.sqlite_connection import (
    PRAGMAS,
    WRITER_PRAGMAS,
    sqlite3,  # two copies of SQLite in a process share no locks
)
from storage.unreadable import UnreadableRow
from storage.writer import FileLock
from worker.results import claim_due, run_attempt
from worker.wal import WatchWal

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")

one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def fresh(patch) -> None:
    """Each look is at the database, not at what the one before has found."""
    patch("storage.probe", "MAX_AGE_SECONDS", 0)


@pytest.fixture
def owing(serve, questionnaires, receiver) -> Webhook:
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    webhook = serve()
    for said in TEXTS:
        webhook.phone().text(said)
    return webhook


def ask(webhook: Webhook, method: str = "GET") -> tuple[int, dict]:
    answer = requests.request(
        method, f"{webhook.app.settings.public_url}/healthz", timeout=HANG_SECONDS
    )
    return answer.status_code, answer.json() if method == "GET" else answer.content


def change(webhook: Webhook, statement: str) -> None:
    webhook.app.database.write(lambda db: db.connection().exec_driver_sql(statement))


def fail_results(webhook: Webhook, count: int) -> None:
    """As many as this, all with the text of the one that is owed."""
    columns = "conversation_id, url, format, payload, attempts, unfinished, created_at"
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
    change(
        webhook,
        f"INSERT INTO outbox (webhook_id, state, {columns}) {numbers} WHERE n < {count})"
        f" SELECT 'msg_' || n, 'failed', {columns} FROM outbox CROSS JOIN numbers",
    )


def damage(database: Database) -> None:
    """Write over the file, but for the page where SQLite looks first."""
    with database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = 0")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    path = Path(database.engine.url.database)
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    database.engine.dispose()


OWES_NOTHING = {"ok": True, "pending": 0, "failed": 0, "unconfirmed": 0, "more": []}
OWES_NOTHING |= {"oldest_pending_seconds": 0}


def test_all_is_well(webhook):
    status, told = ask(webhook)
    on_this_machine = webhook.app.database.engine.dialect.name == "sqlite"
    assert (told.pop("disk")["free_bytes"] is not None) == on_this_machine
    assert (status, told) == (
        200,
        {
            "status": "ok",
            "database": {"ok": True},
            "questionnaires": {"ok": True, "problems": []},
            "migration": {"ok": True, "found": HEAD, "needed": HEAD},
            "wal": told["wal"],
            "outbox": OWES_NOTHING,
            "forms": {"ok": True, "questionnaires": []},
            "rows": {"ok": True, "unreadable": [], "count": 0},
            "log": {"ok": True, "dropped_lines": 0},
            "worker": {"ok": True, "last_run_seconds_ago": None},
        },
    )
    assert told["wal"]["ok"]
    assert (told["wal"]["bytes"] is not None) == on_this_machine


def test_results_that_failed_need_the_operator_but_keep_no_texts_away(owing, receiver, clock):
    clock.pass_(minutes=2)
    status, told = ask(owing)
    assert (status, told["status"]) == (200, "ok")
    assert told["outbox"] == OWES_NOTHING | {"pending": 1, "oldest_pending_seconds": 120}

    receiver.answers = [(410, {})]
    (one,) = claim_due(owing.app.database, clock(), 1)
    run_attempt(owing.app.database, owing.app.settings, one, clock)
    status, told = ask(owing)
    assert (status, told["status"]) == (200, "degraded")
    why = told["outbox"].pop("why")
    assert why.startswith("Results have failed")
    assert told["outbox"] == OWES_NOTHING | {"ok": False, "failed": 1}


def test_results_that_may_have_arrived_need_the_operator_too(owing, clock):
    owing.app.database.write(
        lambda db: db.connection().exec_driver_sql(
            "UPDATE outbox SET state = 'unconfirmed', next_attempt_at = NULL"
        )
    )
    status, told = ask(owing)
    assert (status, told["status"]) == (200, "degraded")
    assert told["outbox"].pop("why").startswith("Nobody knows whether some results have arrived.")
    assert told["outbox"] == OWES_NOTHING | {"ok": False, "unconfirmed": 1}


def test_it_says_nothing_about_anybody(owing):
    told = requests.get(f"{owing.app.settings.public_url}/healthz", timeout=10).text
    for secret in (REY, REY[1:], NUMBER, *TEXTS, "Rey", owing.app.settings.database_url):
        assert secret not in told


def test_whoever_wants_only_the_status_gets_only_that(webhook):
    assert ask(webhook, "HEAD") == (200, b"")


def test_a_database_of_another_version_is_unwell(webhook):
    change(webhook, "UPDATE alembic_version SET version_num = '9999'")
    status, told = ask(webhook)
    assert (status, told["status"]) == (503, "failing")
    assert "not of the same version" in told["migration"].pop("why")
    assert told["migration"] == {"ok": False, "found": "9999", "needed": HEAD}


def test_a_database_that_lacks_a_table_is_unwell(webhook):
    change(webhook, "DROP TABLE delivery_attempts")
    change(webhook, "DROP TABLE outbox")
    status, told = ask(webhook)
    assert (status, told["database"]["ok"]) == (503, False)
    assert "outbox" in told["database"]["why"]


@one_database
def test_a_disk_that_is_nearly_full_is_unwell(webhook, patch):
    patch("health", "MIN_FREE_DISK", 2**62)
    status, told = ask(webhook)
    assert (status, told["disk"]["ok"]) == (503, False)


@one_database
def test_a_damaged_database_is_unwell_and_takes_no_more_texts(owing):
    damage(owing.app.database)
    with pytest.raises(TwilioError, match="HTTP 503"):
        owing.phone().text("Mats BBQ")
    assert owing.app.database.broken.is_set()
    assert ask(owing)[0] == 503
    with pytest.raises(DatabaseBroken):
        owing.app.database.write(lambda db: None)
    with pytest.raises(TwilioError, match="HTTP 503"):
        owing.phone().text("Mats BBQ")


@one_database
def test_a_worker_whose_database_broke_makes_way_for_another(webhook, monkeypatch, patch):
    ended = []
    patch("commands.server", "LAST_ANSWERS_SECONDS", 0)
    monkeypatch.setattr(os, "_exit", ended.append)
    webhook.app.database.broken.set()
    exit_on_storage_failure(webhook.app.database)
    assert ended == [os.EX_SOFTWARE]


@one_database
def test_it_makes_way_even_if_its_files_cannot_be_looked_at(webhook, monkeypatch, patch):
    ended = []

    def fail(*_: object, **options: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    patch("commands.server", "LAST_ANSWERS_SECONDS", 0)
    monkeypatch.setattr(os, "_exit", ended.append)
    webhook.app.database.broken.set()
    patch("storage.database_files", "look_at", fail)
    exit_on_storage_failure(webhook.app.database)
    assert ended == [os.EX_SOFTWARE]


# When texts get a 503 #########################################################


@contextmanager
def gate_held(webhook: Webhook) -> Iterator[None]:
    """As a migration or a copy holds it."""
    with FileLock(f"{webhook.app.database.engine.url.database}-gate"):
        yield


@contextmanager
def write_lock_held(webhook: Webhook) -> Iterator[None]:
    """As somebody's own program does, which knows nothing of our gate."""
    path = webhook.app.database.engine.url.database
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def administrating(webhook: Webhook) -> Iterator[psycopg.Connection]:
    with psycopg.connect(webhook.app.settings.database_url, autocommit=True) as connection:
        yield connection


@contextmanager
def all_read_only(webhook: Webhook) -> Iterator[None]:
    """For all sessions, those that are connected already included."""
    with administrating(webhook) as admin:
        admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        try:
            admin.execute("SELECT pg_reload_conf()")
            until(lambda: is_read_only(webhook))
            yield
        finally:
            admin.execute("SET default_transaction_read_only = off")
            admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
            admin.execute("SELECT pg_reload_conf()")
            until(lambda: not is_read_only(webhook))


def is_read_only(webhook: Webhook) -> bool:
    """Of a session that is new; the server tells the others at the same time."""
    with administrating(webhook) as connection:
        (setting,) = connection.execute("SHOW default_transaction_read_only").fetchone()
        return setting == "on"


@contextmanager
def database_read_only(webhook: Webhook) -> Iterator[None]:
    """For sessions that begin from now on, and all others have ended."""
    name = make_url(webhook.app.settings.database_url).database
    with administrating(webhook) as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        yield
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


@contextmanager
def table_locked(webhook: Webhook) -> Iterator[None]:
    """As CREATE INDEX does."""
    with administrating(webhook) as admin, admin.transaction():
        admin.execute("LOCK TABLE messages IN SHARE MODE")
        yield


@contextmanager
def unreachable(webhook: Webhook) -> Iterator[None]:
    with psycopg.connect(
        make_url(webhook.app.settings.database_url)
        .set(drivername="postgresql", database="postgres")
        .render_as_string(),
        autocommit=True,
    ) as admin:
        name = make_url(webhook.app.settings.database_url).database
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS off")
        admin.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        yield
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS on")


HINDRANCES = [
    ("sqlite", gate_held, "it takes too long"),
    ("sqlite", write_lock_held, "database is locked"),
    ("postgresql", all_read_only, "in a read-only transaction"),
    ("postgresql", database_read_only, "default_transaction_read_only is on"),
    ("postgresql", table_locked, "statement timeout"),
    ("postgresql", unreachable, "PostgreSQL cannot be reached, or refuses us"),
]


@pytest.mark.long
@pytest.mark.parametrize(
    ("database_url", "hindrance", "why"), HINDRANCES, indirect=["database_url"]
)
def test_it_is_unwell_while_no_text_can_be_recorded(serve, patch, hindrance, why):
    patch("storage.database", "WRITE_TIMEOUT_SECONDS", 1.5)
    patch.item(PRAGMAS, "busy_timeout", 200)
    patch.item(SESSION_SETTINGS, "statement_timeout", "300ms")
    webhook = serve()
    assert ask(webhook)[0] == 200
    with hindrance(webhook):
        with pytest.raises(TwilioError, match="HTTP 503"):
            webhook.phone().text("Mats BBQ")
        status, told = ask(webhook)
        assert (status, told["status"], told["database"]["ok"]) == (503, "failing", False)
        assert told["database"]["why"].startswith("No text can be recorded: ")
        assert why in told["database"]["why"]
        assert "upgrade" not in told["migration"].get("why", "")
    until(lambda: ask(webhook)[0] == 200)
    assert webhook.phone().text("Mats BBQ")


# What makes a text fail where a transaction that changes nothing succeeds, and what undoes it.
FAIL_OF_SQLITE = "CREATE TRIGGER fail AFTER {what} BEGIN INSERT INTO audit VALUES (NEW.id); END"
BROKEN = {
    "a table has another name": (
        "sqlite",
        ["DROP VIEW transcript", "DROP VIEW results", "ALTER TABLE messages RENAME TO m"],
        "no such table",
    ),
    "a column has another name": (
        "sqlite",
        ["ALTER TABLE conversations RENAME COLUMN asked TO prompt"],
        "asked",
    ),
    "a trigger refuses": (
        "sqlite",
        ["CREATE TRIGGER fail BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'frozen'); END"],
        "frozen",
    ),
    "a trigger lacks its table": ("sqlite", [FAIL_OF_SQLITE.format(what="INSERT ON messages")], ""),
    "a trigger of an update lacks its table": (
        "sqlite",
        [FAIL_OF_SQLITE.format(what="UPDATE ON conversations")],
        "audit",
    ),
    "a trigger of PostgreSQL lacks its table": (
        "postgresql",
        ["CREATE TRIGGER fail AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()"],
        "audit",
    ),
    "a trigger at the commit lacks its table": (
        "postgresql",
        [
            "CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON messages INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION fail()"
        ],
        "audit",
    ),
}
FUNCTION = """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NEW; END $$"""


@pytest.mark.parametrize(
    ("database_url", "statements", "why"), BROKEN.values(), ids=BROKEN, indirect=["database_url"]
)
def test_it_is_unwell_while_the_tables_take_no_text(webhook, statements, why):
    webhook.phone().text("Mats BBQ")
    on_sqlite = webhook.app.settings.on_sqlite
    for statement in [] if on_sqlite else [FUNCTION]:
        change(webhook, statement)
    for statement in statements:
        change(webhook, statement)
    with pytest.raises(TwilioError, match="HTTP 5"):
        webhook.phone().text("Blue")
    status, told = ask(webhook)
    assert (status, told["status"]) == (503, "failing")
    assert told["database"]["why"].startswith("No text can be recorded: ")
    assert why in told["database"]["why"]


@one_database
def test_it_is_not_unwell_while_texts_are_set_aside(webhook):
    webhook.phone().text("Mats BBQ")
    refuse = "BEGIN SELECT RAISE(ABORT, 'frozen'); END"
    change(webhook, f"CREATE TRIGGER fail BEFORE INSERT ON answers {refuse}")
    assert webhook.phone().text("Blue")
    assert ask(webhook)[0] == 200


ALL_ROWS = " UNION ALL ".join(
    f"SELECT '{table}', id FROM {table}" for table in Base.metadata.tables
)


def test_nothing_of_a_trial_stays(webhook):
    on_sqlite = webhook.app.settings.on_sqlite
    change(webhook, "CREATE TABLE audit (id bigint)")
    trigger = FAIL_OF_SQLITE.format(what="INSERT ON messages")
    if not on_sqlite:
        change(webhook, FUNCTION)
        trigger = "CREATE TRIGGER a AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION fail()"
    change(webhook, trigger)
    before = webhook.app.database.wal_size()
    assert {ask(webhook)[0] for _ in range(5)} == {200}
    # A page for each commit, at most two each time; the rows would be dozens of pages.
    assert not on_sqlite or webhook.app.database.wal_size() <= before + 2 * 5 * 4120
    assert webhook.rows(ALL_ROWS) == webhook.rows("SELECT * FROM audit") == []
    webhook.phone().text("Mats BBQ")
    ids = {id for _, id in webhook.rows(ALL_ROWS)}
    assert ids == {1, 2}  # there are two messages


def test_trials_of_several_processes_do_not_meet(serve, patch):
    patch("storage.probe", "ANSWER_SECONDS", 60)  # a busy machine takes long by itself
    webhooks = [serve() for _ in range(3)]
    with ThreadPoolExecutor(6) as watchers:
        answers = list(watchers.map(ask, webhooks * 10))
        texts = [webhook.phone(f"+1415866{n:04}").text for n, webhook in enumerate(webhooks * 3)]
        assert all(watchers.map(lambda text: text("Mats BBQ"), texts))
    assert {status for status, _ in answers} == {200}


@one_database
def test_it_answers_in_time_whatever_hangs_and_asks_the_database_once(webhook, patch):
    patch("storage.probe", "ANSWER_SECONDS", 0.5)
    queue = webhook.app.database._writer._batches._queue
    with gate_held(webhook), ThreadPoolExecutor(20) as watchers:
        answers = list(watchers.map(ask, [webhook] * 20))
        # It has hung for long enough, so nobody waits for it again; a busy machine is slow itself.
        until(lambda: timeit.timeit(lambda: answers.append(ask(webhook)), number=1) < 0.5)
        assert queue.qsize() == 0  # the only one is in the writer's hands
        until(lambda: ask(webhook)[1]["migration"]["ok"])  # to read is still possible
    assert {status for status, _ in answers} == {503}
    assert all("takes too long" in told["database"]["why"] for _, told in answers)
    until(lambda: ask(webhook)[0] == 200)


def test_those_who_ask_within_a_second_share_an_answer(webhook, patch):
    patch("storage.probe", "MAX_AGE_SECONDS", 60)
    assert ask(webhook)[1]["migration"]["found"] == HEAD
    change(webhook, "UPDATE alembic_version SET version_num = '9999'")
    assert ask(webhook)[1]["migration"]["found"] == HEAD


@on_postgresql
def test_what_another_machine_locks_for_a_moment_is_no_trouble(webhook):
    with administrating(webhook) as migration, migration.transaction():
        migration.execute("UPDATE alembic_version SET version_num = version_num")
        assert ask(webhook)[0] == 200


def test_a_text_is_not_delayed_by_a_thousand_questions(webhook, patch):
    patch("storage.probe", "ANSWER_SECONDS", 60)  # a busy machine takes long by itself
    with ThreadPoolExecutor(8) as watchers:
        answers = watchers.map(ask, [webhook] * 100)
        assert webhook.phone().text("Mats BBQ")
        assert {status for status, _ in answers} == {200}


# Whatever the rows hold #######################################################

ODD_ROWS = [
    "UPDATE outbox SET created_at = '-infinity'",
    "UPDATE outbox SET created_at = 'infinity'",
    "UPDATE outbox SET created_at = '0001-01-01'",
    "INSERT INTO alembic_version VALUES ('0003')",
    "DELETE FROM alembic_version",
]
# Rows from before the migration that checks what is written can hold all this.
DROP_CHECK_OF_SQLITE = "DROP TRIGGER check_outbox"
DROP_CHECK_OF_POSTGRESQL = "ALTER TABLE outbox DROP CONSTRAINT ck_outbox_created_at"
ODD_ROWS_OF_SQLITE = [
    "UPDATE outbox SET created_at = 'soon'",
    "UPDATE outbox SET created_at = ''",
    "UPDATE outbox SET created_at = '2026-11-20'",
    "UPDATE outbox SET created_at = 1e300",
    "UPDATE outbox SET created_at = x'ff'",
    "UPDATE outbox SET created_at = CAST(x'ff' AS TEXT)",
    "UPDATE outbox SET attempts = 'three', leased_until = 'soon', payload = x'ff'",
    "UPDATE alembic_version SET version_num = x'ff'",
    "UPDATE alembic_version SET version_num = CAST(x'ff' AS TEXT)",
    "UPDATE alembic_version SET version_num = 4.5",
]


@pytest.mark.parametrize(
    ("database_url", "statement"),
    [
        *(("sqlite", statement) for statement in ODD_ROWS + ODD_ROWS_OF_SQLITE),
        *(("postgresql", statement) for statement in ODD_ROWS),
    ],
    indirect=["database_url"],
)
def test_it_answers_whatever_the_rows_hold(owing, statement):
    on_sqlite = owing.app.settings.on_sqlite
    change(owing, DROP_CHECK_OF_SQLITE if on_sqlite else DROP_CHECK_OF_POSTGRESQL)
    change(owing, statement)
    status, told = ask(owing)
    assert (status == 503) == (told["status"] == "failing")
    assert (status == 503) == ("alembic_version" in statement and "0003" not in statement)
    assert told["outbox"]["pending"] in (1, None)
    age = told["outbox"]["oldest_pending_seconds"]
    assert age is None or age >= 0


@one_database
@pytest.mark.parametrize(
    ("tables", "harm"),
    [
        (["messages"], "their senders are not answered."),
        (["outbox"], "their results are not delivered."),
        (["receiver_forms"], "their forms are not looked at."),
        (["console_passwords"], "some cannot use the console."),
        (["console_sessions", "console_links"], "some cannot use the console."),
        (
            ["outbox", "contacts"],
            "their senders are not answered and their results are not delivered.",
        ),
    ],
)
def test_it_says_whom_a_row_that_cannot_be_read_concerns(webhook, tables, harm):
    for table in tables:
        webhook.app.database.unreadable.add(UnreadableRow(table, 1, "created_at", "is no time"))
    status, told = ask(webhook)
    assert (status, told["status"], told["rows"]["count"]) == (200, "degraded", len(tables))
    assert told["rows"]["why"] == f"Rows cannot be read. Until you correct them, {harm}"


# What it costs ################################################################


@pytest.mark.parametrize("count", [1000, 1001, 20_000])
def test_it_counts_up_to_a_thousand_and_says_if_there_are_more(owing, count):
    fail_results(owing, count)
    _, told = ask(owing)
    assert told["outbox"]["failed"] == 1000
    assert told["outbox"]["more"] == (["failed"] if count > 1000 else [])
    assert told["outbox"]["pending"] == 1


def steps_of_sqlite(webhook: Webhook) -> int:
    """That SQLite's machine takes to count the outbox, in thousands."""
    thousands = []
    with webhook.app.database.read() as db:
        COUNT_UNDELIVERED.fetch_all(db)  # is compiled, and its schema read
        connection = db.connection().connection.driver_connection
        connection.set_progress_handler(lambda: thousands.append(1), 1000)
        COUNT_UNDELIVERED.fetch_all(db)
        connection.set_progress_handler(None, 1000)
    return len(thousands)


@one_database
def test_counting_takes_no_longer_when_ten_times_as_many_are_owed(owing):
    fail_results(owing, 2_000)
    few = steps_of_sqlite(owing)
    fail_results_again = "UPDATE outbox SET webhook_id = 'first_' || webhook_id"
    change(owing, fail_results_again)
    change(owing, "DELETE FROM outbox WHERE state = 'failed'")
    fail_results(owing, 20_000)
    assert 0 < steps_of_sqlite(owing) <= few + 1


# A reader #####################################################################


@one_database
def test_a_log_that_a_reader_keeps_growing_is_told_once(serve, patch, caplog, clock):
    caplog.set_level("INFO", "smsconvo")
    patch("storage.database", "MAX_WAL_BYTES", 2**20)
    patch.item(PRAGMAS, "journal_size_limit", 2**19)
    patch.item(WRITER_PRAGMAS, "wal_autocheckpoint", 100)  # pages
    webhook = serve()
    job = WatchWal(webhook.app.database)
    path = webhook.app.database.engine.url.database
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchone()
        for n in range(60):
            assert webhook.phone(f"+1415666{n:04}").text("Mats BBQ")
            job.run(clock())
        status, told = ask(webhook)
    assert (status, told["status"], told["wal"]["ok"]) == (200, "degraded", False)
    assert told["wal"]["bytes"] > 2**20
    assert told["wal"]["why"].startswith("A program has been reading")
    (warned,) = [record for record in caplog.records if record.message == "wal"]
    assert (warned.levelname, warned.fields["bytes"] > 2**20) == ("WARNING", True)
    # Each look writes: the first one writes the log into the database, the next begins it anew.
    until(lambda: ask(webhook)[1]["wal"]["ok"])
    job.run(clock())
    (told,) = [record for record in caplog.records if record.message == "wal"][1:]
    assert (told.levelname, told.fields["outcome"]) == ("INFO", "small again")


@one_database
def test_a_folder_that_is_gone_is_no_reason_to_say_nothing(webhook, tmp_path):
    folder = Path(webhook.app.database.engine.url.database).parent
    moved = folder.with_name("moved")
    folder.rename(moved)
    try:
        status, told = ask(webhook)
        assert (status, told["disk"]["free_bytes"]) == (503, 0)
    finally:
        moved.rename(folder)
