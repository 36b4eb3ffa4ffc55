"""Several machines at one PostgreSQL."""

import json
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from conftest import FEEDBACK, QUESTIONS, run

from models.database import PATIENCE_SECONDS
from smsconvo import HERE, Settings, program_version

HEAD = program_version(Settings())

on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def empty(environ, postgresql) -> str:
    """An empty database, which the environment names."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    environ["DATABASE_URL"] = postgresql.format(name)
    return environ["DATABASE_URL"]


@pytest.fixture
def next_program(tmp_path) -> Path:
    """The program as it will be after one more migration."""
    copy = tmp_path / "next"
    shutil.copytree(HERE / "models", copy / "models")
    shutil.copytree(HERE / "migrations", copy / "migrations")
    for name in ("smsconvo.py", "phone.py", "alembic.ini"):
        shutil.copy(HERE / name, copy)
    (copy / "migrations/versions/9999_next.py").write_text(
        "import sqlalchemy as sa\n"
        "from alembic import op\n"
        f"revision, down_revision = '9999', '{HEAD}'\n"
        "def upgrade():\n"
        "    op.add_column('answers', sa.Column('note', sa.Text()))\n"
    )
    return copy / "smsconvo.py"


@pytest.fixture
def start(folder, environ) -> Iterator[Callable]:
    """`start(program, command, …)`: in a process of its own, which ends with the test."""
    processes = []

    def start(*arguments: str | Path) -> subprocess.Popen:
        processes.append(
            subprocess.Popen(
                [sys.executable, *arguments],
                cwd=folder,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                encoding="utf-8",
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The clock ###################################################################


@on_postgresql
def test_the_time_is_that_of_the_database_and_utc_whatever_it_shows_to_others(
    database_url, serve, questionnaires
):
    results = '\n[results]\nurl = "http://127.0.0.1:9/results"\nformat = "json"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET timezone = 'Asia/Kolkata'")
    webhook = serve()
    for said in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
        webhook.phone().text(said)
    ((payload,),) = webhook.rows("SELECT payload FROM outbox")
    assert json.loads(payload)["data"]["started_at"] == "2026-11-20T12:00:00Z"
    now = webhook.app.database.tell_time()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


# upgrade #####################################################################


@contextmanager
def migrating_elsewhere(url: str) -> Iterator[Callable[[], int]]:
    """Another machine's migration is under way; yields how many wait for it."""
    with psycopg.connect(url) as migration, psycopg.connect(url, autocommit=True) as observer:
        migration.execute("SELECT pg_advisory_xact_lock(hashtext('smsconvo migration'))")
        waiting = (
            "SELECT count(*) FROM pg_locks JOIN pg_database AS it ON it.oid = database"
            " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
        )
        yield lambda: observer.execute(waiting).fetchone()[0]


def upgrade_at_once(url: str, start: Callable, *command: str | Path) -> list[tuple[int, str]]:
    """The same command on two machines at the same moment."""
    with migrating_elsewhere(url) as count_waiting:
        both = [start(*command) for _ in range(2)]
        until(lambda: count_waiting() == 2)
    return [(one.wait(30), "".join(one.communicate())) for one in both]


def test_of_two_machines_that_make_the_database_one_does(start, empty):
    ended = upgrade_at_once(empty, start, HERE / "smsconvo.py", "upgrade")
    assert ended == [(0, f"The database is at version {HEAD} now.\n")] * 2


@on_postgresql
def test_of_two_machines_that_upgrade_one_does(start, environ, database_url, next_program):
    environ["DATABASE_URL"] = database_url
    ended = upgrade_at_once(database_url, start, next_program, "upgrade", "--no-backup")
    assert ended == [(0, "The database is at version 9999 now.\n")] * 2


@on_postgresql
def test_texts_do_not_wait_for_an_upgrade_that_waits_for_a_table(
    start, folder, environ, database_url, next_program, phone
):
    environ["DATABASE_URL"] = database_url
    phone.text("Mats BBQ")
    with psycopg.connect(database_url) as reader, psycopg.connect(database_url) as observer:
        reader.execute("SELECT count(*) FROM answers")
        upgrade = start(next_program, "upgrade", "--no-backup")
        observer.autocommit = True
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'relation' AND NOT granted"
        until(lambda: observer.execute(waiting).fetchone())
        began = time.monotonic()
        assert phone.text("Blue") == [QUESTIONS[1]]
        assert time.monotonic() - began < PATIENCE_SECONDS / 2
        said = upgrade.communicate()[1]
    assert upgrade.returncode == 78
    assert said.startswith("Somebody has been reading or writing a table for some seconds")
    assert len(said.splitlines()) == 1
    again = run(folder, environ, "upgrade", "--no-backup", program=next_program)
    assert (again.returncode, again.stdout) == (0, "The database is at version 9999 now.\n")
