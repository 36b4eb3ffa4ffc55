import ast
import os
import re
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from conftest import FEEDBACK, HEAD, HERE, alembic, migrations, mostly_on_sqlite
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from models import MarkedTest, Note
from models.console import (
    COMMAND_LINE,
    LOOK,
    ConsoleLink,
    ConsolePassword,
    ConsoleSession,
    ConsoleShare,
    SignInAttempt,
)
from models.delivery import IS_PAUSING
from models.search_index import add_texts, count_texts, find_progress
from storage import Database, connect, maintenance_transaction
from storage.sqlite_connection import sqlite3

VERSIONS = sorted((HERE / "migrations" / "versions").glob("*.py"))
TABLES = {"contacts", "questionnaires", "conversations", "messages", "answers", "outbox"}
TABLES |= {"delivery_attempts", "receiver_forms"}
OF_CONSOLE = {"console_sessions", "console_links", "console_passwords", "sign_in_attempts"}
OF_CONSOLE |= {"operator_actions", "console_shares"}
OWNED = {"test_conversations": "conversations", "contact_notes": "contacts"}
TABLES |= OF_CONSOLE | set(OWNED)
SEARCH, BEFORE_SEARCH = "0016", "0015"
VIEWS = {"transcript", "results"}
BEFORE_DISCARDED = "0012"
CHECKS, BEFORE_CHECKS = "0006", "0005"  # the version since which cells are checked
UNCHECK = "op.execute('DROP TRIGGER check_messages')"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")


def version_of(database: Database) -> str:
    with database.engine.connect() as connection:
        return connection.scalar(text("SELECT version_num FROM alembic_version"))


def tables_of(database: Database) -> dict[str, list]:
    with database.engine.connect() as connection:
        names = inspect(connection).get_table_names()
        rows = {name: connection.execute(text(f"SELECT * FROM {name}")).all() for name in names}
        return {name: sorted(map(repr, found)) for name, found in rows.items()}


def columns_of(database: Database) -> dict[str, set[str]]:
    found = inspect(database.engine)
    names = found.get_table_names()
    return {name: {column["name"] for column in found.get_columns(name)} for name in names}


def values_of(database: Database, columns: dict[str, set[str]]) -> dict[str, list]:
    with database.engine.connect() as connection:
        return {
            table: connection.execute(
                text(f"SELECT {', '.join(sorted(names))} FROM {table} ORDER BY 1, 2")
            ).all()
            for table, names in columns.items()
            if table in TABLES
        }


def of_search(database: Database) -> set[str]:
    """The table of the index of words, and those that FTS5 makes of it."""
    parts = ("", "_config", "_data", "_docsize", "_idx")
    is_sqlite = database.engine.dialect.name == "sqlite"
    tables = {f"message_search{part}" for part in (parts if is_sqlite else [""])}
    return tables | ({"erased_words"} if is_sqlite else set())


def views_of(database: Database) -> set[str]:
    return set(inspect(database.engine).get_view_names())


# The migrations, and after them one whose upgrade has this body. It is in a folder of its own, for
# what those of ours make is found out once for each folder.
@pytest.fixture
def followed_by(tmp_path, database_url) -> Callable:
    def write(body: str) -> Config:
        folders = [HERE / "migrations" / "versions", tmp_path / "versions"]
        folders[1].mkdir()
        lines = ["import sqlalchemy as sa", "from alembic import op", "revision = 'next'"]
        lines += [f"down_revision = '{HEAD}'", "def upgrade():", f"    {body}"]
        (folders[1] / "9999_next.py").write_text("\n".join(lines), "utf-8")
        config = migrations(database_url)
        config.set_main_option("version_locations", os.pathsep.join(map(str, folders)))
        return config

    return write


# A database with a whole conversation in it, and its result.
@pytest.fixture
def filled(serve, questionnaires) -> Database:
    results = '\n[results]\nurl = "http://127.0.0.1:9/results"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    webhook = serve()
    for body in TEXTS:
        webhook.phone().text(body)
    return webhook.app.database


# The same, with a row in each table of the console.
@pytest.fixture
def signed_in(filled) -> Database:
    def write(db) -> None:
        ConsoleLink.make(db, "link", LOOK, NOW)
        ConsoleSession.start(db, "session", "192.0.2.1", NOW)
        SignInAttempt.admit(db, "192.0.2.1", NOW)
        ConsolePassword(hash="scrypt:1:1:1:00:00", created_at=NOW).insert(db)
        share = {"questionnaire": "feedback", "questions": {"Question1": "text"}}
        share |= {"senders": "masked", "names": "absent", "created_by": "Ann"}
        share |= {"created_at": NOW, "expires_at": NOW}
        ConsoleShare(digest="digest", **share).insert(db)
        MarkedTest(conversation_id=1, marked_at=NOW).insert(db)
        Note.write(db, 1, "Wears a red hat.", COMMAND_LINE, NOW)

    filled.write(write)
    assert all(tables_of(filled)[name] for name in (*OF_CONSOLE, *OWNED))
    return filled


# The version files ###########################################################


def test_there_is_one_head():
    assert len(ScriptDirectory(str(HERE / "migrations")).get_heads()) == 1


def test_versions_are_numbered_in_order():
    assert VERSIONS
    for number, path in enumerate(VERSIONS, 1):
        assert re.fullmatch(rf"{number:04}_[a-z_]+\.py", path.name)
    directory = ScriptDirectory(str(HERE / "migrations"))
    revisions = [script.revision for script in directory.walk_revisions()][::-1]
    assert revisions == [path.name[:4] for path in VERSIONS]


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.name)
def test_a_version_does_not_depend_on_what_models_become(path):
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= {"sqlalchemy", "alembic"}


# Up and down #################################################################


def test_an_upgrade_makes_the_tables_and_views(empty_url):
    command.upgrade(migrations(empty_url), "head")
    with connect(empty_url) as database:
        assert set(tables_of(database)) == TABLES | {"alembic_version"} | of_search(database)
        assert views_of(database) == VIEWS
        assert version_of(database) == VERSIONS[-1].name[:4]


def test_models_and_migrations_agree(database_url):
    command.check(migrations(database_url))


def test_an_upgrade_of_what_is_current_changes_nothing(filled, database_url):
    before = tables_of(filled)
    command.upgrade(migrations(database_url), "head")
    assert tables_of(filled) == before


def test_down_and_up_again_with_rows(filled, database_url):
    config = migrations(database_url)
    command.downgrade(config, "base")
    assert tables_of(filled) == {"alembic_version": []}
    assert views_of(filled) == set()
    command.upgrade(config, "head")
    command.check(config)
    assert set(tables_of(filled)) == TABLES | {"alembic_version"} | of_search(filled)
    assert views_of(filled) == VIEWS


@pytest.mark.long
@mostly_on_sqlite
def test_a_step_down_and_up_again_keeps_every_row_and_what_both_versions_know(filled, database_url):
    config = migrations(database_url)
    whole = tables_of(filled)
    for path in VERSIONS[-2::-1]:
        command.downgrade(config, path.name[:4])
        known = columns_of(filled)
        below = values_of(filled, known)
        command.upgrade(config, "head")
        assert values_of(filled, known) == below
        assert {table: len(rows) for table, rows in tables_of(filled).items()} == {
            table: len(rows) for table, rows in whole.items()
        }
        command.check(config)


@mostly_on_sqlite
def test_a_step_down_changes_nothing_that_the_older_version_knows(filled, database_url):
    before = columns_of(filled)
    values = values_of(filled, before)
    for path in VERSIONS[-2::-1]:
        command.downgrade(migrations(database_url), path.name[:4])
        both = {table: before[table] & names for table, names in columns_of(filled).items()}
        for table, names in both.items():
            if table in TABLES:
                kept = [
                    tuple(getattr(row, name) for name in sorted(names)) for row in values[table]
                ]
                now = values_of(filled, {table: names})[table]
                assert sorted(map(repr, map(tuple, now))) == sorted(map(repr, kept))


def test_what_was_skipped_is_empty_below_0003(filled, database_url):
    filled.write(lambda db: db.execute(text("UPDATE answers SET value = NULL WHERE id = 2")))
    command.downgrade(migrations(database_url), "0002")
    with filled.engine.connect() as connection:
        values = connection.scalars(text("SELECT value FROM answers ORDER BY id")).all()
    assert values == ["Blue", "", "Cola", "Yes"]


# What operators wrote ########################################################


def run(database: Database, *statements: str) -> None:
    for statement in statements:
        database.write(lambda db, statement=statement: db.execute(text(statement)))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_times_without_a_zone_and_results_without_a_time_are_mended(filled, database_url):
    command.downgrade(migrations(database_url), BEFORE_CHECKS)
    run(
        filled,
        "UPDATE conversations SET expires_at = '2026-11-20 13\\:00\\:00', active_at = '2026-11-20'",
        "UPDATE contacts SET opted_out_at = '2026-02-30T01\\:00+02\\:00'",
        "UPDATE outbox SET next_attempt_at = NULL",
    )
    command.upgrade(migrations(database_url), "head")
    with filled.engine.connect() as connection:
        times = "SELECT expires_at, active_at, opted_out_at FROM conversations, contacts"
        assert connection.execute(text(times)).all() == [
            (
                "2026-11-20T13:00:00.000000Z",
                "2026-11-20T00:00:00.000000Z",
                "2026-03-01T23:00:00.000000Z",
            )
        ]
        planned = "SELECT next_attempt_at = created_at FROM outbox"
        assert connection.execute(text(planned)).all() == [(1,)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_cannot_be_mended_is_left_as_it_is(filled, database_url):
    command.downgrade(migrations(database_url), BEFORE_CHECKS)
    changes = [
        "UPDATE conversations SET expires_at = 'soon', message_count = 'three'",
        "UPDATE outbox SET attempts = 'three', leased_until = '', payload = 'none'",
        "UPDATE questionnaires SET definition = '{'",
    ]
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"))) as connection:
        for change in changes:
            connection.execute(change)
        connection.commit()
    command.upgrade(migrations(database_url), "head")
    with filled.engine.connect() as connection:
        written = "SELECT expires_at, message_count, attempts, leased_until, payload, definition"
        written += " FROM conversations, outbox, questionnaires"
        row = ("soon", "three", "three", "", "none", "{")
        assert connection.execute(text(written)).all() == [row]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_times_that_no_program_can_read_are_put_where_it_can(filled, database_url):
    command.downgrade(migrations(database_url), BEFORE_CHECKS)
    run(
        filled,
        "UPDATE conversations SET expires_at = 'infinity', message_count = -3",
        "UPDATE messages SET created_at = '-infinity' WHERE id = 1",
    )
    command.upgrade(migrations(database_url), "head")
    with filled.engine.connect() as connection:
        years = "SELECT extract(year FROM expires_at), message_count FROM conversations"
        assert connection.execute(text(years)).all() == [(9999, 0)]
        first = "SELECT extract(year FROM created_at) FROM messages WHERE id = 1"
        assert connection.scalar(text(first)) == 1


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_an_id_that_rows_refer_to_is_not_used_again_even_if_its_row_was_deleted_before(
    filled, database_url
):
    command.downgrade(migrations(database_url), BEFORE_CHECKS)
    (checks,) = ScriptDirectory(str(HERE / "migrations")).iterate_revisions(CHECKS, BEFORE_CHECKS)
    with maintenance_transaction(database_url) as connection:
        connection.execute(text("DELETE FROM conversations"))
        connection.execute(text("DELETE FROM questionnaires"))
        with Operations.context(MigrationContext.configure(connection)):
            checks.module.upgrade()
        ids = "SELECT name, seq FROM sqlite_sequence ORDER BY name"
        found = connection.execute(text(ids)).all()
    assert found == [("conversations", 1), ("questionnaires", 0)]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_table_has_the_trigger_that_checks_it(database_url):
    """A table that a migration rebuilds loses its own: make it again there."""
    with connect(database_url) as database, database.engine.connect() as connection:
        names = "SELECT tbl_name, name FROM sqlite_master WHERE type = 'trigger'"
        found = set(map(tuple, connection.execute(text(names))))
    checks = {(table, f"check_{table}") for table in TABLES}
    others = {("outbox", "erase_attempts"), ("conversations", "check_readings")}
    others |= {(owner, f"erase_{table}") for table, owner in OWNED.items()}
    others |= {
        ("contacts", "check_perhaps_opted_out"),
        ("operator_actions", "keep_operator_actions"),
        ("operator_actions", "hold_operator_actions"),
        ("messages", "erase_words"),
        ("messages", "change_words"),
    }
    assert found == checks | others


# Results of which nobody knows whether they have arrived #####################

UNCONFIRMED, BEFORE_UNCONFIRMED = "0008", "0007"
# The payload is not what this version would write.
COPY = """
INSERT INTO outbox (conversation_id, webhook_id, url, format, payload, state, attempts, unfinished,
                    next_attempt_at, last_status, last_error, created_at, delivered_at)
SELECT conversation_id, 'msg_{state}_{status}', url, format, '{{"entry.1": "old {status}"}}',
       '{state}', 3, 1, {time}, {status}, 'Said before.', created_at, {delivered}
FROM outbox WHERE id = 1
"""


KNOWN = [("pending", 500), ("failed", 500), ("failed", 410), ("delivered", 204)]
KNOWN += [("pending", 302), ("failed", 303), ("failed", 0)]  # 0 for a worker that has stopped


@pytest.fixture
def in_every_state(filled, database_url) -> Database:
    """Results in every state that version 0007 knows."""
    command.downgrade(migrations(database_url), BEFORE_UNCONFIRMED)
    for state, status in KNOWN:
        time = "next_attempt_at" if state == "pending" else "NULL"
        delivered = "created_at" if state == "delivered" else "NULL"
        values = {"state": state, "status": status, "time": time, "delivered": delivered}
        run(filled, COPY.format(**values).replace('": "', '"\\: "'))
    stopped = "last_error = 'The worker stopped during the last attempt.', last_status = NULL"
    run(filled, f"UPDATE outbox SET {stopped} WHERE last_status = 0")
    return filled


MAY_HAVE_ARRIVED = (  # as migration 0008 says it
    "The result may have arrived: look for it at the receiver. If it is there, confirm it; if not,"
    " retry."
)


def test_results_in_every_state_are_as_they_were_after_an_upgrade(in_every_state, database_url):
    known = {"outbox": columns_of(in_every_state)["outbox"] - {"state", "last_error"}}
    before = values_of(in_every_state, known)["outbox"]
    command.upgrade(migrations(database_url), "head")
    after = values_of(in_every_state, known)["outbox"]
    assert sorted(map(repr, after)) == sorted(map(repr, before))
    with in_every_state.engine.connect() as connection:
        new = text("SELECT state, last_status, cause, unconfirmed FROM outbox ORDER BY id")
        assert list(map(tuple, connection.execute(new))) == [
            ("pending", None, None, 0),
            ("pending", 500, None, 0),
            ("failed", 500, None, 0),
            ("failed", 410, "gone", 0),
            ("delivered", 204, None, 0),
            ("pending", 302, "redirect", 1),
            ("unconfirmed", 303, "redirect", 2),
            ("unconfirmed", None, "crashed", 1),
        ]
        errors = text("SELECT last_error FROM outbox ORDER BY id")
        *old, pending, redirected, crashed = connection.scalars(errors)
    assert old == [None, *["Said before."] * 4]
    redirect = "HTTP {}: it redirects, and redirects are not followed. "
    assert pending == redirect.format(302) + "It may have taken the result."
    assert redirected == redirect.format(303) + MAY_HAVE_ARRIVED.replace(
        "not,", "not, set the address that it redirects to, and"
    )
    assert crashed == f"The worker stopped during the last attempt. {MAY_HAVE_ARRIVED}"


def test_a_step_down_fails_what_is_unconfirmed_and_up_again_it_stays_so(
    in_every_state, database_url
):
    config = migrations(database_url)
    command.upgrade(config, "head")
    run(
        in_every_state,
        "UPDATE outbox SET state = 'unconfirmed', unconfirmed = 2, cause = 'unconfirmed',"
        " last_error = 'Look there.', next_attempt_at = NULL WHERE id = 2",
        "INSERT INTO delivery_attempts (outbox_id, started_at, duration_ms, status, cause, answer)"
        " SELECT id, created_at, 7, 200, 'unconfirmed', '<html>' FROM outbox WHERE id = 2",
    )
    command.downgrade(config, BEFORE_UNCONFIRMED)
    states = text("SELECT state, last_error FROM outbox WHERE id IN (1, 2, 4) ORDER BY id")
    expected = [("pending", None), ("failed", "Look there."), ("failed", "Said before.")]
    for version in (BEFORE_UNCONFIRMED, "head"):
        command.upgrade(config, version)
        with in_every_state.engine.connect() as connection:
            assert list(map(tuple, connection.execute(states))) == expected
    command.check(config)


def test_a_state_that_does_not_exist_is_refused_at_both_versions(in_every_state, database_url):
    for version, states in ((None, ("unconfirmed", "lost")), ("head", ("lost",))):
        if version:
            command.upgrade(migrations(database_url), version)
        for state in states:
            with pytest.raises(DBAPIError):
                run(in_every_state, f"UPDATE outbox SET state = '{state}'")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_index_of_paused_receivers_holds_what_is_looked_for(database_url):
    """Else a cause that pauses has been added without a migration."""
    with connect(database_url) as database, database.engine.connect() as connection:
        name = "SELECT sql FROM sqlite_master WHERE name = 'ix_outbox_pausing'"
        assert connection.scalar(text(name)).endswith(f" WHERE {IS_PAUSING}")


# Forms that get results #####################################################

FORM_ROW = "INSERT INTO receiver_forms (url, page, checked_at) VALUES ('https\\://x', '{}', "
FORM_ROW += "'2026-11-20T12\\:00\\:00.000000Z')"


def test_cells_of_forms_are_checked(database):
    run(database, FORM_ROW)
    wrong = ["checked_at = 'soon'", "changed_at = '9999-12-31 23\\:59\\:59.9+00'"]
    if database.engine.dialect.name == "sqlite":
        wrong = [wrong[0], "page = '{'", "url = 'https\\://y'", "id = 7"]
    for change in wrong:
        with pytest.raises(DBAPIError):
            run(database, f"UPDATE receiver_forms SET {change}")
    run(database, "UPDATE receiver_forms SET changed_at = '2026-11-21 08\\:00\\:00'")
    with pytest.raises(DBAPIError):
        run(database, FORM_ROW)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_time_of_a_form_is_brought_into_our_form(database):
    run(database, FORM_ROW, "UPDATE receiver_forms SET changed_at = '2026-11-21 08\\:00'")
    with database.engine.connect() as connection:
        changed = connection.scalar(text("SELECT changed_at FROM receiver_forms"))
    assert changed == "2026-11-21T08:00:00.000000Z"


def test_forms_are_forgotten_by_a_step_down_and_looked_at_again_after_it(database, database_url):
    config = migrations(database_url)
    run(database, FORM_ROW)
    command.downgrade(config, "0008")
    assert "receiver_forms" not in columns_of(database)
    command.upgrade(config, "head")
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT * FROM receiver_forms")).all() == []


# Readings ####################################################################

WRITE_READINGS = "UPDATE conversations SET readings = '{}' WHERE id = 1"


def test_what_texts_can_mean_is_forgotten_by_a_step_down(filled, database_url):
    run(filled, WRITE_READINGS.format('["1","1000"]'))
    command.downgrade(migrations(database_url), "0009")
    assert "readings" not in columns_of(filled)["conversations"]
    command.upgrade(migrations(database_url), "head")
    with filled.engine.connect() as connection:
        assert connection.scalars(text("SELECT readings FROM conversations")).all() == [None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_readings_must_be_json(filled):
    with pytest.raises(DBAPIError, match="conversations: readings must be JSON"):
        run(filled, WRITE_READINGS.format("1, 1000"))
    run(filled, WRITE_READINGS.format('["1","1000"]'))


# Opting out ##################################################################


def test_an_opting_out_from_before_counts_for_all_channels_after_an_upgrade(filled, database_url):
    command.downgrade(migrations(database_url), "0010")
    for phone, at in (("whatsapp:+14158675308", "2026-02-01"), ("+1415", "2026-02-02")):
        stopped = f"('{phone}', '{at}T00:00:00.000000Z')"
        run(filled, f"INSERT INTO contacts (phone, opted_out_at) VALUES {stopped}")
    run(filled, "INSERT INTO contacts (phone) VALUES ('messenger:1415'), ('rcs:+14158675308')")
    command.upgrade(migrations(database_url), "head")
    with filled.engine.connect() as connection:
        found = connection.execute(text("SELECT phone, opted_out_at FROM contacts")).all()
    assert {phone: at and str(at)[:10] for phone, at in found} == {
        "+14158675308": "2026-02-01",
        "whatsapp:+14158675308": "2026-02-01",
        "rcs:+14158675308": "2026-02-01",
        "+1415": "2026-02-02",
        "messenger:1415": None,
    }


def test_who_perhaps_opted_out_is_forgotten_by_a_step_down(filled, database_url):
    run(filled, "UPDATE contacts SET perhaps_opted_out_at = '2026-02-01 00:00:00'")
    command.downgrade(migrations(database_url), "0010")
    assert "perhaps_opted_out_at" not in columns_of(filled)["contacts"]
    command.upgrade(migrations(database_url), "head")
    with filled.engine.connect() as connection:
        found = connection.scalars(text("SELECT perhaps_opted_out_at FROM contacts"))
        assert found.all() == [None]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_time_of_perhaps_opting_out_is_checked_and_brought_into_our_form(filled):
    write = "UPDATE contacts SET perhaps_opted_out_at = {}"
    with pytest.raises(DBAPIError, match="contacts: times must be like"):
        run(filled, write.format("'soon'"))
    run(filled, write.format("'2026-02-01T02:00:00+02:00'"))
    with filled.engine.connect() as connection:
        (found,) = connection.scalars(text("SELECT perhaps_opted_out_at FROM contacts"))
    assert found == "2026-02-01T00:00:00.000000Z"
    run(filled, write.format("NULL"))


# A migration that goes wrong #################################################


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("body", "tables"),
    [
        ("op.execute('DELETE FROM answers WHERE id = 1')", "answers"),
        ("op.execute('DELETE FROM answers'); op.execute('DELETE FROM messages')", "answers"),
        (f"{UNCHECK}; op.execute('UPDATE messages SET conversation_id = 99')", "messages"),
        ("op.execute('DELETE FROM conversations')", "answers, conversations, messages"),
        ("op.execute('DELETE FROM contacts')", "contacts, conversations"),
    ],
)
def test_rows_that_would_be_lost_or_orphaned_are_kept(filled, followed_by, body, tables):
    before = tables_of(filled)
    with pytest.raises(CommandError, match=f"Rows of {tables}.* would be lost. Nothing was"):
        command.upgrade(followed_by(body), "head")
    assert tables_of(filled) == before


@mostly_on_sqlite
@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("op.create_table('halfway', sa.Column('id', sa.Integer)); 1 / 0", ZeroDivisionError),
        ("op.execute('UPDATE answers SET text = 0'); op.execute('nonsense')", DBAPIError),
        ("op.drop_table('delivery_attempts'); op.drop_table('delivery_attempts')", DBAPIError),
    ],
)
def test_a_migration_that_fails_leaves_nothing_behind(filled, followed_by, body, error):
    before = tables_of(filled)
    with pytest.raises(error):
        command.upgrade(followed_by(body), "head")
    assert tables_of(filled) == before


@pytest.mark.parametrize("table", sorted(TABLES))
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_table_that_is_rebuilt_keeps_its_rows_and_those_that_refer_to_it(
    signed_in, followed_by, table
):
    attempt = "INSERT INTO delivery_attempts (outbox_id, started_at, duration_ms)"
    run(signed_in, f"{attempt} SELECT id, created_at, 7 FROM outbox", FORM_ROW)
    before = tables_of(signed_in)
    drop_views = "; ".join(f"op.execute('DROP VIEW {view}')" for view in sorted(VIEWS))
    erasing = ["erase_attempts", *(f"erase_{owned}" for owned in OWNED)]
    drop_triggers = "; ".join(f"op.execute('DROP TRIGGER {name}')" for name in erasing)
    body = f"{drop_views}; {drop_triggers}\n"
    body += f"    with op.batch_alter_table('{table}', recreate='always') as batch:"
    body += "\n        batch.add_column(sa.Column('note', sa.Text()))"
    command.upgrade(followed_by(body), "head")
    after = tables_of(signed_in)
    assert after.pop("alembic_version") == ["('next',)"]
    assert [len(rows) for rows in after.values()] == [len(before[name]) for name in after]
    assert {name for name in after if after[name] != before[name]} == {table}


# On the command line #########################################################


def test_alembic_takes_the_database_from_the_environment(tmp_path, empty_url):
    upgraded = alembic(tmp_path, "upgrade", "head", DATABASE_URL=empty_url)
    assert upgraded.returncode == 0, upgraded.stderr
    with connect(empty_url) as database:
        assert version_of(database) == VERSIONS[-1].name[:4]


def test_alembic_without_a_setting_takes_the_default_database(tmp_path):
    assert alembic(tmp_path, "upgrade", "head").returncode == 0
    with connect(f"sqlite:///{tmp_path}/smsconvo.db") as database:
        assert version_of(database) == VERSIONS[-1].name[:4]


@pytest.mark.parametrize("name", ["DATABASE_URL_FILE", "CREDENTIALS_DIRECTORY"])
def test_alembic_refuses_settings_that_only_smsconvo_reads(tmp_path, name):
    refused = alembic(tmp_path, "upgrade", "head", **{name: str(tmp_path / "elsewhere")})
    assert refused.returncode != 0
    assert "python smsconvo.py upgrade" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


# Indexes of the console ######################################################

OF_THREADS = {"ix_messages_not_arrived", "ix_messages_opt_keywords", "ix_contacts_opted_out"}


def indexes_of(database: Database) -> set[str]:
    found = inspect(database.engine)
    tables = ("messages", "contacts")
    return {index["name"] for table in tables for index in found.get_indexes(table)}


def test_the_indexes_of_threads_come_and_go_with_the_rows_in_them(filled, database_url):
    run(
        filled,
        "UPDATE messages SET status = 'failed' WHERE id = 2",
        "UPDATE messages SET read_as = 'stop' WHERE id = 3",
        "UPDATE contacts SET opted_out_at = (SELECT created_at FROM messages WHERE id = 3)",
    )
    before = tables_of(filled)
    command.downgrade(migrations(database_url), "0012")
    assert OF_THREADS & indexes_of(filled) == set()
    command.upgrade(migrations(database_url), "head")
    command.check(migrations(database_url))
    assert OF_THREADS <= indexes_of(filled)
    assert tables_of(filled) == before


# The console #################################################################

BEFORE_CONSOLE = "0011"


def test_below_0012_the_console_is_not_there_and_above_it_nobody_is_signed_in(
    signed_in, database_url
):
    before = tables_of(signed_in)
    command.downgrade(migrations(database_url), BEFORE_CONSOLE)
    assert (OF_CONSOLE | set(OWNED)) & set(tables_of(signed_in)) == set()
    command.upgrade(migrations(database_url), "head")
    command.check(migrations(database_url))
    after = tables_of(signed_in)
    assert [after.pop(name) for name in (*OF_CONSOLE, *OWNED)] == [[]] * 8
    assert {name: before[name] for name in after} == after


AS_NEW = "INTO operator_actions (id, acted_at, operator, action)"
AS_NEW += " SELECT id, acted_at, 'nobody', action FROM operator_actions WHERE true"
CHANGES = {
    "postgresql": ["TRUNCATE operator_actions", "TRUNCATE operator_actions, console_links"],
    "sqlite": [f"REPLACE {AS_NEW}", f"INSERT OR REPLACE {AS_NEW}", f"INSERT OR IGNORE {AS_NEW}"],
}


def test_what_operators_did_can_be_neither_changed_nor_deleted(signed_in):
    before, dialect = tables_of(signed_in), signed_in.engine.dialect.name
    changes = ["UPDATE operator_actions SET operator = 'nobody'", "DELETE FROM operator_actions"]
    changes += ["UPDATE operator_actions SET id = id + 1"]
    changes += [f"INSERT {AS_NEW} ON CONFLICT (id) DO UPDATE SET operator = 'nobody'"]
    for change in changes + CHANGES[dialect]:
        with pytest.raises(DBAPIError, match="what was done stays as it was written"):
            run(signed_in, change)
        assert tables_of(signed_in) == before, change


UNREADABLE = [
    "UPDATE console_sessions SET expires_at = 'infinity'",
    "UPDATE console_links SET used_at = 'infinity'",
    "UPDATE sign_in_attempts SET attempted_at = 'infinity'",
    "UPDATE console_passwords SET created_at = 'infinity'",
    "UPDATE console_sessions SET role = 'all'",
    "UPDATE console_sessions SET method = 'guess'",
    "UPDATE console_links SET role = 'all'",
    "UPDATE console_shares SET expires_at = 'infinity'",
    "UPDATE console_shares SET opened_at = 'infinity'",
    "UPDATE console_shares SET senders = 'all'",
    "UPDATE console_shares SET names = 'all'",
    "UPDATE test_conversations SET marked_at = 'infinity'",
    "UPDATE contact_notes SET written_at = 'infinity'",
    "INSERT INTO operator_actions (id, acted_at, operator, action)"
    " SELECT -1, acted_at, operator, action FROM operator_actions LIMIT 1",
]


def test_a_cell_of_the_console_that_cannot_be_read_is_refused(signed_in):
    assert [change for change in UNREADABLE if not is_refused(signed_in, change)] == []


def is_refused(database: Database, change: str) -> bool:
    try:
        run(database, change)
    except DBAPIError:
        return True
    return False


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_time_of_the_console_is_brought_into_our_form(signed_in):
    run(signed_in, "UPDATE console_sessions SET expires_at = '2026-12-24 18\\:00\\:00'")
    with signed_in.engine.connect() as connection:
        time = connection.scalar(text("SELECT expires_at FROM console_sessions"))
    assert time == "2026-12-24T18:00:00.000000Z"


def test_a_step_down_fails_what_is_discarded_and_ids_stay_used(in_every_state, database_url):
    config = migrations(database_url)
    command.upgrade(config, "head")
    discard = (
        "UPDATE outbox SET state = 'discarded', cause = 'discarded', last_error = 'Discarded: x',"
        " next_attempt_at = NULL WHERE id = 2"
    )
    run(in_every_state, discard, "DELETE FROM outbox WHERE id = (SELECT max(id) FROM outbox)")
    before = text("SELECT state, cause, last_error FROM outbox WHERE id = 2")
    of_outbox = "FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'outbox'"
    triggers = text(f"SELECT name, sql {of_outbox} ORDER BY name")
    sequence = text("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'")
    is_sqlite = in_every_state.engine.dialect.name == "sqlite"
    found = []
    for step in (None, BEFORE_DISCARDED, "head"):
        if step == BEFORE_DISCARDED:
            command.downgrade(config, step)
        elif step:
            command.upgrade(config, step)
        with in_every_state.engine.connect() as connection:
            states = tuple(connection.execute(before).one())
            of_table = [connection.execute(q).all() for q in (triggers, sequence) if is_sqlite]
        found.append((states, of_table))
    assert [states[0] for states, _ in found] == ["discarded", "failed", "failed"]
    assert {states[1:] for states, _ in found} == {("discarded", "Discarded: x")}
    assert found[0][1] == found[1][1] == found[2][1]
    command.check(config)


# The search ##################################################################


def test_the_index_of_words_comes_empty_and_goes_full(filled, database_url):
    config, before = migrations(database_url), values_of(filled, columns_of(filled))
    command.downgrade(config, BEFORE_SEARCH)
    assert of_search(filled) & set(tables_of(filled)) == set()
    command.upgrade(config, SEARCH)
    rows = len(before["messages"])
    for _ in range(2):
        with filled.read() as db:
            assert not find_progress(db, NOW + timedelta(days=1)).reached
        filled.write(lambda db: add_texts(db, NOW + timedelta(days=1), 1000))
        with filled.read() as db:
            assert count_texts(db) == rows
            assert find_progress(db, NOW + timedelta(days=1)).is_complete
        command.downgrade(config, BEFORE_SEARCH)
        command.upgrade(config, "head")
    command.check(config)
    assert values_of(filled, columns_of(filled)) == before


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_sqlite_without_fts5_gets_a_sentence(filled, database_url, patch):
    script = ScriptDirectory(str(HERE / "migrations")).get_revision(SEARCH).module
    patch.item(vars(script), "INDEX", "CREATE VIRTUAL TABLE words USING fts9(body)")
    with maintenance_transaction(database_url) as connection:
        with Operations.context(MigrationContext.configure(connection)):
            with pytest.raises(CommandError, match=r"has no FTS5, .* Nothing was changed\."):
                script.upgrade()


# Tests, notes and shares ######################################################

BEFORE_SHARES = "0016"


def test_below_0017_there_are_no_tests_notes_and_shares(signed_in, database_url):
    names, before = {*OWNED, "console_shares"}, tables_of(signed_in)
    command.downgrade(migrations(database_url), BEFORE_SHARES)
    below = tables_of(signed_in)
    assert names & set(below) == set()
    command.upgrade(migrations(database_url), "head")
    command.check(migrations(database_url))
    after = tables_of(signed_in)
    assert [after.pop(name) for name in names] == [[]] * 3
    assert after == {name: before[name] for name in after}


def test_marks_and_notes_are_erased_with_their_rows(signed_in):
    run(signed_in, *(f"DELETE FROM {name}" for name in ("outbox", "answers", "messages")))
    run(signed_in, "DELETE FROM conversations")
    assert tables_of(signed_in)["test_conversations"] == []
    assert tables_of(signed_in)["contact_notes"] != []
    run(signed_in, "DELETE FROM contacts")
    assert tables_of(signed_in)["contact_notes"] == []


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_neither_a_mark_nor_a_note_becomes_that_of_another_row(signed_in):
    for table, owner in OWNED.items():
        column = f"{owner[:-1]}_id"
        with pytest.raises(DBAPIError, match=f"{column} may not change"):
            run(signed_in, f"UPDATE {table} SET {column} = {column} + 1")
    with pytest.raises(DBAPIError, match="questions must be JSON"):
        run(signed_in, "UPDATE console_shares SET questions = 'all'")
