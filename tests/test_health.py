import os
from pathlib import Path

import pytest
import requests
from conftest import FEEDBACK, HEAD, NUMBER, REY, Webhook

from commands.server import exit_on_storage_failure
from phone import TwilioError
from storage import Database
from storage.database import DatabaseBroken
from worker.results import claim_due, run_attempt

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")

one_database = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def owing(serve, questionnaires, receiver) -> Webhook:
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    webhook = serve()
    for said in TEXTS:
        webhook.phone().text(said)
    return webhook


def ask(webhook: Webhook, method: str = "GET") -> tuple[int, dict]:
    answer = requests.request(method, f"{webhook.app.settings.public_url}/healthz", timeout=10)
    return answer.status_code, answer.json() if method == "GET" else answer.content


def change(webhook: Webhook, statement: str) -> None:
    webhook.app.database.write(lambda db: db.connection().exec_driver_sql(statement))


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


def test_all_is_well(webhook):
    status, told = ask(webhook)
    on_this_machine = webhook.app.database.engine.dialect.name == "sqlite"
    assert (told.pop("disk")["free_bytes"] is not None) == on_this_machine
    assert (status, told) == (
        200,
        {
            "status": "ok",
            "database": {"ok": True},
            "migration": {"ok": True, "found": HEAD, "needed": HEAD},
            "outbox": {"pending": 0, "failed": 0, "oldest_pending_seconds": 0},
            "rows": {"ok": True, "unreadable": [], "count": 0},
        },
    )


def test_the_outbox_is_counted_and_no_reason_to_be_unwell(owing, receiver, clock):
    clock.pass_(minutes=2)
    status, told = ask(owing)
    assert (status, told["status"]) == (200, "ok")
    assert told["outbox"] == {"pending": 1, "failed": 0, "oldest_pending_seconds": 120}

    receiver.answers = [(410, {})]
    (one,) = claim_due(owing.app.database, clock(), 1)
    run_attempt(owing.app.database, owing.app.settings, one, clock)
    status, told = ask(owing)
    assert (status, told["status"]) == (200, "ok")
    assert told["outbox"] == {"pending": 0, "failed": 1, "oldest_pending_seconds": 0}


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
    assert told["migration"] == {"ok": False, "found": "9999", "needed": HEAD}


def test_a_database_that_does_not_answer_is_unwell(webhook):
    change(webhook, "DROP TABLE outbox")
    status, told = ask(webhook)
    assert (status, told["database"]) == (503, {"ok": False})


@one_database
def test_a_disk_that_is_nearly_full_is_unwell(webhook, patch):
    patch("smsconvo", "MIN_FREE_DISK", 2**62)
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
