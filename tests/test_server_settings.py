"""Whatever is set for a role, a database or the server: texts are taken, or a sentence says why."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import requests
from conftest import FEEDBACK, HERE, QUESTIONS, THANKS, Receiver, Webhook, new_database, run
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from storage import connect, is_transient, maintenance_transaction
from worker.results import claim_due, run_attempt

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
TEXTS = ("Mats BBQ", "“Blue” – it’s 🩵", "Pizza 🍕", r"C:\new\cola", "Yes")
HOSTILE = {
    "DateStyle": "SQL, DMY",
    "TimeZone": "Asia/Kolkata",
    "IntervalStyle": "iso_8601",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "exit_on_error": "on",
    "idle_session_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "lock_timeout": "1ms",
    "statement_timeout": "300ms",
    "transaction_timeout": "300ms",
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "transform_null_equals": "on",
    "bytea_output": "escape",
    "enable_indexscan": "off",
    "synchronous_commit": "off",
    "lc_messages": "C",
}
KEPT = {
    "DateStyle": "ISO, DMY",
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "default_transaction_isolation": "read committed",
    "exit_on_error": "off",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "12s",
    "lock_timeout": "0",
    "statement_timeout": "5s",
    "transaction_timeout": "0",
    "standard_conforming_strings": "on",
    "synchronous_commit": "on",
}


@pytest.fixture
def set_up(database_url) -> Callable[[dict[str, str]], None]:
    def set_for_database(settings: dict[str, str]) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            for name, value in settings.items():
                connection.execute(
                    f"ALTER DATABASE {connection.info.dbname} SET {name} = {quoted(value)}"
                )

    return set_for_database


def quoted(value: str) -> str:
    """A list such as DateStyle's is none in quotation marks."""
    return value if ", " in value else f"'{value}'"


def hold_conversation(webhook: Webhook, sender: str) -> list[list[str]]:
    phone = webhook.phone(sender)
    return [phone.text(body) for body in TEXTS]


@on_postgresql
@pytest.mark.parametrize(
    "setting", ["all", "DateStyle", "default_transaction_isolation", "idle_session_timeout"]
)
def test_texts_and_results_are_as_ever_whatever_is_set_for_the_database(
    serve, set_up, questionnaires, receiver, clock, setting
):
    set_up(HOSTILE if setting == "all" else {setting: HOSTILE[setting]})
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    webhook = serve()
    senders = [f"+1415555{n:04}" for n in range(8)]
    with ThreadPoolExecutor(8) as threads:
        held = threads.map(hold_conversation, [webhook] * 8, senders)
        assert list(held) == [[[reply] for reply in (*QUESTIONS, THANKS)]] * 8
    bodies = webhook.rows("SELECT body FROM messages WHERE direction = 'inbound' ORDER BY id")
    assert sorted(bodies) == sorted((body,) for body in TEXTS * 8)
    deliver_all(webhook, receiver, clock)
    answer = requests.get(f"{webhook.app.settings.public_url}/healthz", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def deliver_all(webhook: Webhook, receiver: Receiver, clock: Callable) -> None:
    database = webhook.app.database
    while claimed := claim_due(database, clock(), 16):
        for delivery in claimed:
            run_attempt(database, webhook.app.settings, delivery, clock)
    assert len(receiver.requests) == 8


@on_postgresql
def test_a_session_is_set_up_whatever_is_set_for_the_database(set_up, database_url):
    set_up(HOSTILE)
    with connect(database_url) as database:
        shown = database.write(lambda db: [db.scalar(text(f"SHOW {name}")) for name in KEPT])
        assert dict(zip(KEPT, shown, strict=True)) == KEPT


@on_postgresql
def test_a_migration_runs_whatever_is_set_for_the_database(set_up, database_url):
    set_up(HOSTILE)
    with maintenance_transaction(database_url) as connection:
        connection.exec_driver_sql("SELECT pg_sleep(0.4)")
        shown = [connection.scalar(text(f"SHOW {name}")) for name in ("DateStyle", "TimeZone")]
        assert shown == ["ISO, DMY", "UTC"]


@on_postgresql
def test_variables_of_the_environment_change_nothing(database_url, monkeypatch):
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGTZ", "Asia/Kolkata")
    monkeypatch.setenv("PGOPTIONS", "-c default_transaction_isolation=serializable")
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    names = ("DateStyle", "TimeZone", "default_transaction_isolation", "client_encoding")
    with connect(database_url) as database:
        shown = database.write(lambda db: [db.scalar(text(f"SHOW {name}")) for name in names])
        assert shown == ["ISO, DMY", "UTC", "read committed", "UTF8"]


@on_postgresql
def test_the_url_comes_first_except_where_that_would_break_something(database_url):
    options = "-c%20transaction_timeout%3D42s%20-c%20lock_timeout%3D41s%20-c%20DateStyle%3DSQL"
    with connect(f"{database_url}&options={options}") as database:
        names = ("transaction_timeout", "lock_timeout", "DateStyle")
        shown = database.write(lambda db: [db.scalar(text(f"SHOW {name}")) for name in names])
        assert shown == ["42s", "41s", "ISO, MDY"]


# What takes no texts ##########################################################


def refusal(url: str) -> DBAPIError:
    with connect(url) as database, pytest.raises(DBAPIError) as refused, database.read() as db:
        db.scalar(text("SELECT 1"))
    return refused.value


@pytest.mark.parametrize("encoding", ["LATIN1", "EUC_JP"])
def test_an_encoding_that_cannot_hold_every_text_is_refused(postgresql, encoding):
    name = make_url(new_database(postgresql)).database
    with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}")
        connection.execute(
            f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
        )
    refused = refusal(postgresql.format(name))
    assert str(refused.orig).startswith(f"its encoding is {encoding}, which lacks characters")
    assert not is_transient(refused)
    with pytest.raises(DBAPIError), maintenance_transaction(postgresql.format(name)):
        pass


@on_postgresql
def test_a_database_that_is_to_be_read_only_is_refused(set_up, database_url):
    set_up({"default_transaction_read_only": "on"})
    refused = refusal(database_url)
    assert str(refused.orig) == "default_transaction_read_only is on, so it takes no texts"
    assert not is_transient(refused)


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("command", ["serve", "upgrade", "deliver"])
@pytest.mark.parametrize(
    ("mistake", "reason"),
    [
        ("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", "its encoding is LATIN1"),
        ("", "default_transaction_read_only is on"),
    ],
)
def test_a_command_refuses_it_with_a_sentence(
    folder, environ, empty_url, command, mistake, reason, postgresql
):
    name = make_url(empty_url).database
    with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name}")
        connection.execute(f"CREATE DATABASE {name} {mistake}")
        if not mistake:
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    environ["DATABASE_URL"] = empty_url
    ended = run(folder, environ, command)
    assert ended.returncode == os.EX_CONFIG
    assert ended.stderr.startswith(f"The database cannot be used: {reason}")
    assert len(ended.stderr.splitlines()) == 1


def test_operators_are_told_how_to_make_a_database_that_fits():
    page = (HERE / "docs" / "operating.md").read_text("utf-8")
    assert "createdb --owner=smsconvo --encoding=UTF8 --template=template0" in page
