"""A migration, and what operators did to the database before: erased rows, own views, and so on."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.util import CommandError
from click.testing import CliRunner, Result
from conftest import (
    FEEDBACK,
    HEAD,
    alembic,
    create_database,
    database_name,
    execute,
    migrations,
    run,
)

from commands import cli
from storage.base import Base

LATER = {"delivery_attempts", "receiver_forms"}  # than the version before a table is rebuilt
LATER |= {"console_sessions", "console_links", "console_passwords", "sign_in_attempts"}
LATER |= {"operator_actions", "console_shares", "test_conversations", "contact_notes"}
TABLES = [table.name for table in Base.metadata.sorted_tables if table.name not in LATER]
RESULTS = '\n[results]\nurl = "http://127.0.0.1:9/results"\n'
TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

ByHand = Callable[..., list[tuple]]


# Runs SQL as an operator does: on SQLite with foreign keys off, as they are in its shell.
@pytest.fixture
def by_hand(database_url) -> ByHand:
    def execute(*statements: str) -> list[tuple]:
        path = database_url.removeprefix("sqlite:///")
        is_file = path != database_url
        connection = sqlite3.connect(path) if is_file else psycopg.connect(database_url)
        with closing(connection), connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    return execute


@pytest.fixture(scope="module")
def originals() -> dict[tuple[str, bool], str]:
    """The URLs of databases that tests get copies of."""
    return {}


# `make_once(name, make)`: the database of the test becomes what `make` makes of it. That is called
# for the first test; the others get a copy.
@pytest.fixture
def make_once(request, database_url, originals, tmp_path_factory) -> Callable:
    on_sqlite = database_url.startswith("sqlite")

    def make_once(name: str, make: Callable[[], object]) -> None:
        if original := originals.get((name, on_sqlite)):
            copy_database(original, database_url)
            return
        make()
        if on_sqlite:
            original = f"sqlite:///{tmp_path_factory.mktemp(name)}/{name}.db"
        else:
            original = request.getfixturevalue("postgresql").format(name)
        copy_database(database_url, original)
        originals[name, on_sqlite] = original

    return make_once


def copy_database(source: str, target: str) -> None:
    if source.startswith("sqlite"):
        shutil.copy(source.removeprefix("sqlite:///"), target.removeprefix("sqlite:///"))
    else:
        execute(target, f"DROP DATABASE IF EXISTS {database_name(target)}")
        create_database(target, database_name(source))


# A database with conversations, replies and results in every state.
@pytest.fixture
def filled(request, by_hand, make_once) -> ByHand:
    fixtures = ("serve", "questionnaires")
    make_once("filled", lambda: fill(*map(request.getfixturevalue, fixtures), by_hand))
    return by_hand


def fill(serve: Callable, questionnaires: Path, by_hand: ByHand) -> None:
    (questionnaires / "feedback.toml").write_text(FEEDBACK + RESULTS, "utf-8")
    webhook = serve()
    for guest, texts in enumerate(
        (TEXTS[:2], TEXTS, TEXTS[:1], (*TEXTS[:2], "STOP"), TEXTS, TEXTS)
    ):
        phone = webhook.phone(f"+1415867{guest:04}")
        for body in texts:
            phone.text(body, media=["https://example.org/cat.jpg"] * guest)
            for reply in phone.last.replies:
                phone.report(reply, "delivered" if guest else "failed")
    webhook.app.database.close()
    by_hand(
        "UPDATE outbox SET state = 'delivered' WHERE id = 2",
        "UPDATE outbox SET state = 'failed', last_status = 410, cause = 'gone' WHERE id = 3",
        "UPDATE conversations SET state = 'expired' WHERE id = 1",
        "UPDATE answers SET value = NULL WHERE id = 2",
    )


# The same at the version before a table is rebuilt.
@pytest.fixture
def old(filled, database_url, make_once) -> ByHand:
    make_once("old", lambda: command.downgrade(migrations(database_url), "0002"))
    return filled


def upgrade(url: str) -> Result:
    return CliRunner().invoke(cli, ["upgrade", "--no-backup"], env={"DATABASE_URL": url})


def assert_upgraded(url: str, *sentences: str) -> None:
    ended = upgrade(url)
    assert ended.exit_code == 0, ended.output
    for sentence in sentences:
        assert sentence in ended.stdout


def assert_refused(url: str, *parts: str) -> None:
    ended = upgrade(url)
    assert ended.exit_code == os.EX_CONFIG, ended.output
    for part in parts:
        assert part in ended.stderr


def counts(by_hand: ByHand) -> list[list[tuple]]:
    return [by_hand(f"SELECT count(*) FROM {table}") for table in TABLES]


def schema_of(by_hand: ByHand) -> list[tuple]:
    return by_hand("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")


# Erased rows #################################################################

ERASED = {
    "contacts": "6 of conversations (contacts)",
    "questionnaires": "6 of conversations (questionnaires)",
    "conversations": "14 of answers (conversations), 41 of messages (conversations),"
    " 3 of outbox (conversations)",
    "messages": "14 of answers (messages)",
}


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("table", ERASED)
def test_rows_whose_parents_were_erased_stay_and_are_named(old, database_url, table):
    old(f"DELETE FROM {table}")
    before = counts(old)
    assert_upgraded(database_url, f"missing rows, as before: {ERASED[table]}.", "is at version")
    assert counts(old) == before
    command.downgrade(migrations(database_url), "0002")
    assert counts(old) == before


@on_sqlite
def test_one_erased_row_is_told_from_those_that_a_migration_orphans(
    old, database_url, folder, environ, next_program
):
    old("DELETE FROM conversations WHERE id = 1")
    assert_upgraded(database_url, "1 of answers (conversations), 4 of messages (conversations)")
    program = next_program("op.execute('DELETE FROM contacts WHERE id = 2')")
    before = counts(old)
    ended = run(folder, environ, "upgrade", "--no-backup", program=program)
    assert ended.returncode == os.EX_CONFIG
    sentence = "Rows of contacts, conversations would be lost. Nothing was changed."
    assert ended.stderr.strip() == sentence
    assert counts(old) == before


@on_sqlite
def test_a_reference_of_the_operators_that_leads_nowhere_is_named(old, database_url):
    old("CREATE TABLE visits (sender REFERENCES conversations(sender))")
    assert_upgraded(database_url, "foreign key mismatch")


# What operators add ##########################################################

AUDIT = "CREATE TABLE audit (what TEXT)"
VIEWS = {
    "own_view": "CREATE VIEW own_view AS SELECT * FROM answers WHERE text <> '100%' OR key = ':a'",
    "of_view": "CREATE VIEW of_view AS SELECT at, body FROM transcript",
    "of_own_view": "CREATE VIEW of_own_view AS SELECT count(*) AS n FROM own_view",
    "broken": "CREATE VIEW broken AS SELECT missing FROM nowhere",
}
TRIGGERS = {
    "on_update": "CREATE TRIGGER on_update AFTER UPDATE ON answers BEGIN"
    " INSERT INTO audit VALUES ('update'); END",
    "on_insert": "CREATE TRIGGER on_insert AFTER INSERT ON contacts BEGIN"
    " INSERT INTO audit VALUES (NEW.phone); END",
    "forbidding": "CREATE TRIGGER forbidding BEFORE DELETE ON messages BEGIN"
    " SELECT RAISE(ABORT, 'never'); END",
    "of_own": "CREATE TRIGGER of_own AFTER INSERT ON audit WHEN NEW.what = 'x' BEGIN"
    " UPDATE answers SET value = 'x'; END",
    "instead": "CREATE TRIGGER instead INSTEAD OF INSERT ON own_view BEGIN"
    " INSERT INTO audit VALUES (NEW.text); END",
    "never_right": "CREATE TRIGGER never_right AFTER UPDATE OF body ON messages BEGIN"
    " INSERT INTO nowhere VALUES (1); END",
}
INDEXES = {
    "own_index": "CREATE INDEX own_index ON answers (text)",
    "of_expression": "CREATE INDEX of_expression ON answers (lower(text))",
    "in_another_order": "CREATE INDEX in_another_order ON answers (text COLLATE NOCASE DESC)",
    "of_some": "CREATE UNIQUE INDEX of_some ON answers (id, text) WHERE text <> ''",
}
ADDED = VIEWS | TRIGGERS | INDEXES


@on_sqlite
def test_what_operators_add_is_kept_and_named(old, database_url):
    old(AUDIT, *ADDED.values())
    find = f"SELECT name, sql FROM sqlite_master WHERE name IN {tuple(ADDED)} ORDER BY 1"
    assert_upgraded(database_url, *(f"{type} {name}" for type, name in kinds(old)))
    assert dict(old(find)) == ADDED
    assert old("SELECT count(*) FROM audit") == [(0,)]  # no trigger fired
    assert old("SELECT n FROM of_own_view") == [(14,)]
    old("INSERT INTO contacts (phone) VALUES ('+1')", "INSERT INTO own_view (text) VALUES ('a')")
    assert old("SELECT what FROM audit") == [("+1",), ("a",)]
    command.downgrade(migrations(database_url), "0002")
    assert dict(old(find)) == ADDED
    assert old("SELECT count(*) FROM audit") == [(2,)]


def kinds(by_hand: ByHand) -> list[tuple]:
    return by_hand(f"SELECT type, name FROM sqlite_master WHERE name IN {tuple(ADDED)}")


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("name", ADDED)
def test_each_of_them_alone_lets_a_migration_pass(old, database_url, name):
    needed = [VIEWS["own_view"]] if name in ("of_own_view", "instead") else []
    old(AUDIT, *needed, ADDED[name])
    assert_upgraded(database_url, f" {name}")


@on_sqlite
def test_tables_of_the_operators_are_kept_and_may_refer_to_ours(old, database_url):
    old(
        "CREATE TABLE visits (answer_id REFERENCES answers, sender REFERENCES contacts (phone))",
        "INSERT INTO visits SELECT id, '+14158670000' FROM answers",
        "CREATE VIRTUAL TABLE search USING fts5(text, content='answers', content_rowid='id')",
        "INSERT INTO search(search) VALUES ('rebuild')",
    )
    before = old("SELECT name, sql FROM sqlite_master WHERE name LIKE 'search%' OR name = 'visits'")
    assert_upgraded(database_url)
    assert old("SELECT count(*) FROM visits") == [(14,)]
    assert old("SELECT count(*) FROM search WHERE search MATCH 'Pizza'") == [(3,)]
    after = old("SELECT name, sql FROM sqlite_master WHERE name LIKE 'search%' OR name = 'visits'")
    assert sorted(after) == sorted(before)
    assert old("PRAGMA foreign_key_check") == []


COLUMNS = [
    "plain TEXT",
    "typeless",
    "counted INTEGER NOT NULL DEFAULT 0",
    "priced MONEY(10, 2) DEFAULT 1.5",
    "named TEXT COLLATE NOCASE DEFAULT 'it''s, (odd)'",
    "checked TEXT CHECK (checked IN ('a', 'b'))",
    "staff_id INTEGER REFERENCES staff (id) ON DELETE SET NULL",
    "loud TEXT GENERATED ALWAYS AS ('a' || id) VIRTUAL",
    '"an ""odd"", name" BLOB',
    "[another one] DATETIME",
]
EACH_ALONE = [pytest.param([column], marks=pytest.mark.long) for column in COLUMNS]


@on_sqlite
@pytest.mark.parametrize("columns", [*EACH_ALONE, COLUMNS])
def test_columns_that_operators_add_are_kept_as_they_are(old, database_url, columns):
    old("CREATE TABLE staff (id INTEGER PRIMARY KEY)", "INSERT INTO staff VALUES (7)")
    ours = set(old(NAMES))
    for column in columns:
        for table in ("answers", "contacts"):  # one is rebuilt, and one is not
            old(f"ALTER TABLE {table} ADD COLUMN {column}")
    if columns is COLUMNS:
        old("UPDATE answers SET typeless = x'00ff', named = 'Zoë', checked = 'a', staff_id = 7")
        old("UPDATE answers SET typeless = 5 WHERE id = 1")
        old("CREATE UNIQUE INDEX of_own ON answers (named COLLATE BINARY, id)")
        old("CREATE VIEW names AS SELECT DISTINCT named, loud FROM answers WHERE staff_id = 7")
    names = [name for (name,) in set(old(NAMES)) - ours]
    quoted = ", ".join(f'"{name.replace(QUOTE, 2 * QUOTE)}"' for name in names)
    find = f"SELECT {quoted} FROM answers ORDER BY id"
    before = old(find), described_columns(old, columns, names)
    assert_upgraded(database_url, "column answers.", "column contacts.")
    assert (old(find), described_columns(old, columns, names)) == before
    command.downgrade(migrations(database_url), "0002")
    assert (old(find), described_columns(old, columns, names)) == before


QUOTE = '"'
NAMES = "SELECT name FROM pragma_table_xinfo('answers')"


def described_columns(by_hand: ByHand, columns: list[str], names: list[str]) -> list:
    """All that SQLite tells of columns and references, and that each is written as it was added."""
    found = []
    for table in ("answers", "contacts"):
        ((sql,),) = by_hand(f"SELECT sql FROM sqlite_master WHERE name = '{table}'")
        assert [column for column in columns if column not in sql] == []
        describe = 'SELECT name, type, "notnull", dflt_value, hidden'
        described = sorted(by_hand(f"{describe} FROM pragma_table_xinfo('{table}')"))
        found += [row for row in described if row[0] in names]
        found += sorted(row[2:] for row in by_hand(f"PRAGMA foreign_key_list({table})"))
    return found


# What does not fit any more ##################################################

MISFITS = {
    "view lost": "CREATE VIEW lost AS SELECT id, status_token FROM messages",
    "view of_lost": "CREATE VIEW of_lost AS SELECT m.status_token FROM messages AS m",
    "trigger lost": "CREATE TRIGGER lost AFTER UPDATE OF status_token ON messages BEGIN"
    " SELECT 1; END",
    "trigger of_new": "CREATE TRIGGER of_new AFTER INSERT ON messages BEGIN"
    " SELECT NEW.status_token; END",
    "trigger of_own": "CREATE TRIGGER of_own AFTER DELETE ON audit BEGIN"
    " UPDATE messages SET status_token = 'x'; END",
    "index lost": "CREATE INDEX lost ON messages (status_token)",
    "index of_some": "CREATE INDEX of_some ON messages (body) WHERE status_token IS NULL",
    "column messages.loud": 'ALTER TABLE "messages" ADD COLUMN loud AS (upper(status_token))',
}


@on_sqlite
@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_is_named_with_its_sql_and_nothing_changes(filled, database_url, name):
    filled(AUDIT, VIEWS["own_view"], TRIGGERS["on_insert"], MISFITS[name])
    before = schema_of(filled), counts(filled)
    with pytest.raises(CommandError) as raised:
        command.downgrade(migrations(database_url), "0004")
    sentence, _, sql = str(raised.value).partition("\n")
    assert sentence.startswith(f"Your own {name} does not fit: ")
    assert "Nothing was changed. Drop it" in sentence
    assert sql == MISFITS[name]
    assert (schema_of(filled), counts(filled)) == before


TAKEN = {
    "CREATE INDEX ix_messages_created_at ON messages (body)": "index ix_messages_created_at",
    "ALTER TABLE messages ADD COLUMN status_token TEXT": "column messages.status_token",
    "CREATE TABLE ix_conversations_number_id (x)": "a table named ix_conversations_number_id",
}


@on_sqlite
@pytest.mark.parametrize("statement", TAKEN)
def test_a_name_that_a_migration_needs_is_refused_if_the_operator_has_it(
    old, database_url, statement
):
    old(statement)
    before = schema_of(old)
    assert_refused(database_url, TAKEN[statement], "Nothing was changed.")
    assert schema_of(old) == before


@on_sqlite
def test_an_index_that_is_just_what_a_migration_makes_is_no_obstacle(old, database_url):
    old("CREATE INDEX ix_messages_created_at ON messages (created_at)")
    assert_upgraded(database_url, "Kept: index ix_messages_created_at.")
    command.check(migrations(database_url))


def test_what_operators_dropped_of_ours_is_no_obstacle(filled, database_url):
    filled("DROP VIEW results", "DROP INDEX ix_messages_created_at")
    config = migrations(database_url)
    command.downgrade(config, "0002")
    command.upgrade(config, "head")
    command.check(config)
    assert filled("SELECT count(*) FROM results") == [(14,)]


# PostgreSQL ##################################################################

ON_POSTGRESQL = [
    AUDIT,
    "CREATE VIEW own_view WITH (security_barrier=true) AS SELECT id, body FROM messages"
    " WHERE body <> '100%' OR body = ':a'",
    "CREATE VIEW of_view AS SELECT at, body FROM transcript",
    "CREATE SCHEMA own",
    "CREATE VIEW own.of_own_view AS SELECT count(*) AS n FROM own_view JOIN of_view USING (body)",
    "CREATE MATERIALIZED VIEW daily AS SELECT at::date AS day, count(*) FROM transcript GROUP BY 1",
    "CREATE UNIQUE INDEX by_day ON daily (day)",
    "GRANT SELECT ON of_view TO PUBLIC",
    "GRANT SELECT (n) ON own.of_own_view TO pg_monitor WITH GRANT OPTION",
    "COMMENT ON VIEW of_view IS 'It''s mine'",
    "COMMENT ON COLUMN of_view.at IS 'when'",
    "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN INSERT INTO audit VALUES (TG_OP); RETURN NEW; END'",
    "CREATE TRIGGER on_update AFTER UPDATE ON answers FOR EACH ROW EXECUTE FUNCTION note()",
    "CREATE TRIGGER always AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION note()",
    "ALTER TABLE contacts ENABLE ALWAYS TRIGGER always",
    'CREATE TRIGGER "never ever" AFTER INSERT ON contacts FOR EACH ROW EXECUTE FUNCTION note()',
    'ALTER TABLE contacts DISABLE TRIGGER "never ever"',
    "CREATE TRIGGER instead INSTEAD OF INSERT ON of_view FOR EACH ROW EXECUTE FUNCTION note()",
    "CREATE INDEX of_expression ON answers (lower(text))",
    "ALTER TABLE answers ADD COLUMN note TEXT DEFAULT 'x' CHECK (note <> 'bad')",
    "CREATE TABLE visits (answer_id bigint REFERENCES answers (id))",
    "INSERT INTO visits SELECT id FROM answers",
]
DESCRIBED = """
SELECT relname, relkind::text, relacl::text, reloptions::text, pg_get_viewdef(oid),
    obj_description(oid), relowner::text FROM pg_class WHERE relkind IN ('v', 'm')
    AND relname IN ('own_view', 'of_view', 'of_own_view', 'daily')
UNION ALL SELECT tgname, tgenabled::text, pg_get_triggerdef(oid), '', '', '', '' FROM pg_trigger
    WHERE NOT tgisinternal AND tgname !~ '_operator_actions|_words$'
UNION ALL SELECT indexname, indexdef, '', '', '', '', '' FROM pg_indexes
    WHERE indexname IN ('by_day', 'of_expression')
UNION ALL SELECT column_name, privilege_type, grantee, is_grantable, table_name, '', ''
    FROM information_schema.column_privileges WHERE grantee = 'pg_monitor'
UNION ALL SELECT attname, col_description(attrelid, attnum), '', '', '', '', '' FROM pg_attribute
    WHERE attrelid = 'of_view'::regclass AND attname = 'at'
UNION ALL SELECT conname, pg_get_constraintdef(oid), '', '', '', '', '' FROM pg_constraint
    WHERE conrelid = 'visits'::regclass OR conname LIKE 'answers_note%'
ORDER BY 1, 2, 3
"""


@on_postgresql
def test_what_operators_add_to_postgresql_is_kept_and_named(old, database_url):
    old(*ON_POSTGRESQL)
    before = old(DESCRIBED)
    assert len(before) == 14
    assert_upgraded(
        database_url,
        *("view own_view", "view of_view", "view own.of_own_view", "materialized view daily"),
        *("trigger on_update", "trigger always", "index of_expression"),
    )
    assert old(DESCRIBED) == before
    command.downgrade(migrations(database_url), "0002")
    assert old(DESCRIBED) == before
    assert old("SELECT * FROM audit") == []  # no trigger fired
    assert old("SELECT count(*) FROM visits") == old("SELECT count(*) FROM answers") == [(14,)]
    assert old("SELECT count(*) FROM daily") == [(1,)]
    old("INSERT INTO contacts (phone) VALUES ('+1')", "INSERT INTO of_view (body) VALUES ('a')")
    assert old("SELECT * FROM audit") == [("INSERT",)] * 2


ON_POSTGRESQL_LOST = {
    "view lost": "CREATE VIEW lost AS\n SELECT id,\n    status_token\n   FROM messages",
    "materialized view lost": "CREATE MATERIALIZED VIEW lost AS\n SELECT status_token\n"
    "   FROM messages",
    "index lost": "CREATE INDEX lost ON public.messages USING btree (status_token)",
}


@on_postgresql
@pytest.mark.parametrize("name", ON_POSTGRESQL_LOST)
def test_what_does_not_fit_postgresql_is_named_with_its_sql(filled, database_url, name):
    filled(ON_POSTGRESQL_LOST[name])
    with pytest.raises(CommandError) as raised:
        command.downgrade(migrations(database_url), "0004")
    sentence, _, sql = str(raised.value).partition("\n")
    assert sentence.startswith(f"Your own {name} does not fit: ")
    assert sql.startswith(ON_POSTGRESQL_LOST[name])
    assert filled("SELECT count(*) FROM pg_class WHERE relname = 'lost'") == [(1,)]
    assert filled("SELECT version_num FROM alembic_version") == [(HEAD,)]


@on_postgresql
@pytest.mark.parametrize(
    "statement, reason",
    [
        ("CREATE INDEX ix_messages_created_at ON messages (created_at)", "already exists"),
        ("ALTER TABLE messages ADD COLUMN status_token TEXT", "already exists"),
    ],
)
def test_a_taken_name_is_refused_on_postgresql(old, database_url, statement, reason):
    old(statement)
    assert_refused(database_url, "Something of your own is in the way: ", reason, "Nothing was")
    assert old("SELECT version_num FROM alembic_version") == [("0002",)]


@on_postgresql
def test_a_trigger_on_a_column_that_goes_is_named(filled, database_url):
    filled(
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        "CREATE TRIGGER own AFTER UPDATE OF status_token ON messages"
        " FOR EACH ROW EXECUTE FUNCTION note()",
    )
    with pytest.raises(CommandError, match="in the way: .*trigger own on table messages"):
        command.downgrade(migrations(database_url), "0004")
    assert filled("SELECT tgenabled::text FROM pg_trigger WHERE tgname = 'own'") == [("O",)]


# The command `alembic` #######################################################


@pytest.mark.long
@on_sqlite
def test_alembic_itself_keeps_and_names_the_same(old, database_url, tmp_path):
    old(AUDIT, VIEWS["of_view"], TRIGGERS["on_update"], "DELETE FROM questionnaires")
    upgraded = alembic(tmp_path, "upgrade", "head", DATABASE_URL=database_url)
    assert upgraded.stdout.splitlines() == [
        "Kept: view of_view, trigger on_update.",
        "Rows that refer to missing rows, as before: 6 of conversations (questionnaires).",
    ]
    assert alembic(tmp_path, "downgrade", "0002", DATABASE_URL=database_url).returncode == 0
    old("DROP VIEW of_view", "CREATE VIEW lost AS SELECT unread FROM conversations")
    for kept in ("Kept: view lost, trigger on_update.", ""):  # then there is nothing to do
        upgraded = alembic(tmp_path, "upgrade", "head", DATABASE_URL=database_url)
        assert upgraded.stdout.partition("\n")[0] == kept
    refused = alembic(tmp_path, "downgrade", "0002", DATABASE_URL=database_url)
    assert refused.returncode != 0
    assert "Your own view lost does not fit" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
