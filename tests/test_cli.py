import json
import os
import pty
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from select import select
from urllib.parse import parse_qsl

import click
import pytest
import requests
from alembic import command
from click.testing import CliRunner
from conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FEEDBACK,
    HANG_SECONDS,
    HEAD,
    HERE,
    NUMBER,
    QUESTIONS,
    REY,
    STRANGER,
    THANKS,
    free_address,
    migrations,
    run,
    until,
)
from preloaded import Process
from sqlalchemy import inspect

from commands import cli
from commands.serve import default_workers
from models.console import ConsolePassword
from models.console.token import digest
from phone import Phone, TwilioError, new_sid
from settings import Settings
from storage import connect, maintenance_transaction
from worker.results import claim_due, run_attempt

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
PIPED = "".join(f"{said}\n" for said in TEXTS)
REPLIES = (*QUESTIONS, THANKS)
TRANSCRIPT = [
    row
    for said, words in zip(TEXTS, REPLIES, strict=True)
    for row in (("inbound", said), ("outbound", words))
]
RESULT = [
    ("From", REY),
    ("Event", "Mats BBQ"),
    ("Question1", "Blue"),
    ("Question2", "Pizza 🍕"),
    ("Question3", "Cola"),
    ("Question4", "Yes"),
]
# Root may write anywhere, unless it gives that right away.
BOUND = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def environ(environ, request) -> dict[str, str]:
    """It names the database of the test, unless that is the default's file."""
    for name in {"database_url", "empty_url"} & set(request.fixturenames):
        if (url := request.getfixturevalue(name)).startswith("postgresql"):
            environ["DATABASE_URL"] = url
    return environ


@pytest.fixture
def database_file(folder, migrated) -> Path:
    return Path(shutil.copy(migrated, folder / "smsconvo.db"))


@contextmanager
def started(
    folder: Path, environ: dict[str, str], *arguments: str, **streams: int
) -> Iterator[Process]:
    command = (str(HERE / "smsconvo.py"), *arguments)
    with open(os.devnull, "rb") as nothing, open(folder / "stderr.log", "wb") as log:
        files = {"stdin": nothing.fileno(), "stdout": log.fileno(), "stderr": log.fileno()}
        process = Process(folder, environ, command, [*(files | streams).values()])
    try:
        yield process
        process.wait(HANG_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def serving(folder: Path, environ: dict[str, str], *options: str) -> Iterator[Process]:
    with started(folder, environ, "serve", *options) as process:
        until(lambda: is_listening(environ))
        yield process
        process.terminate()


def is_listening(environ: dict[str, str]) -> bool:
    host, port = environ["SMSCONVO_LISTEN"].split(":")
    with suppress(OSError), socket.create_connection((host, int(port)), 1):
        return True
    return False


def phone_of(environ: dict[str, str]) -> Phone:
    url = f"{environ['SMSCONVO_PUBLIC_URL']}/sms"
    return Phone(url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, sender=REY, number=NUMBER)


def send_results(questionnaires: Path, url: str) -> None:
    results = f'\n[results]\nurl = "{url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")


def rows(url: str, statement: str) -> list[tuple]:
    with connect(url) as database, database.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def change(url: str, statement: str) -> None:
    with maintenance_transaction(url) as connection:
        connection.exec_driver_sql(statement)


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def assert_refused(
    ended: subprocess.CompletedProcess, *parts: str, status: int = os.EX_CONFIG
) -> None:
    assert ended.returncode == status, ended.stderr
    for part in parts:
        assert part in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert "Traceback" not in ended.stderr


# serve #######################################################################


def test_serve_makes_its_database_converses_and_delivers_until_stopped(
    folder, environ, receiver, empty_url
):
    send_results(folder / "questionnaires", receiver.url)
    with serving(folder, environ) as process:
        phone = phone_of(environ)
        assert [phone.text(said) for said in TEXTS] == [[words] for words in REPLIES]
        until(lambda: rows(empty_url, "SELECT state FROM outbox") == [("delivered",)])
        assert len(workers(process)) == default_workers(Settings(database_url=empty_url))
        assert rows(empty_url, "SELECT direction, body FROM transcript") == TRANSCRIPT
    assert process.returncode == 0
    assert not is_listening(environ)
    ((_, body),) = receiver.requests
    assert parse_qsl(body.decode()) == RESULT


def test_serve_has_a_process_for_each_core_on_sqlite_up_to_two():
    cores = os.sched_getaffinity(0)
    assert default_workers(Settings()) == min(len(cores), 2)
    assert default_workers(Settings(database_url="postgresql://localhost/smsconvo")) == 1
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert default_workers(Settings()) == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_a_conversation_goes_on_after_a_restart(folder, environ, empty_url):
    phone = phone_of(environ)
    with serving(folder, environ):
        phone.text(TEXTS[0])
    with serving(folder, environ):
        assert phone.text(TEXTS[1]) == [QUESTIONS[1]]


def test_texts_are_answered_while_no_log_can_be_written(folder, environ):
    with (
        open("/dev/full", "wb") as full,
        started(folder, environ, "serve", stderr=full.fileno()) as process,
    ):
        until(lambda: is_listening(environ))
        assert phone_of(environ).text("Mats BBQ") == [QUESTIONS[0]]
        process.terminate()


@pytest.mark.parametrize(
    "empty_url, count",
    [("sqlite", 2), ("postgresql", 1), ("postgresql", 2)],
    indirect=["empty_url"],
)
def test_serve_works_on_an_empty_database(folder, environ, receiver, empty_url, count):
    send_results(folder / "questionnaires", receiver.url)
    with serving(folder, environ, f"--workers={count}") as process:
        until(lambda: len(workers(process)) == count)
        # Each text on a connection of its own, to whichever worker takes it, and without a cookie.
        said = [phone_of(environ).text(text) for text in TEXTS]
        assert said == [[words] for words in REPLIES]
        until(lambda: receiver.requests)
    assert process.returncode == 0


def test_a_worker_that_is_killed_is_replaced_and_texting_goes_on(folder, environ, empty_url):
    with serving(folder, environ, "--workers=1") as process:
        phone = phone_of(environ)
        assert phone.text(TEXTS[0]) == [QUESTIONS[0]]
        (worker,) = workers(process)
        os.kill(worker, signal.SIGKILL)
        sid = new_sid()
        until(lambda: text_again(phone, TEXTS[1], sid) == [QUESTIONS[1]])
        assert [phone.text(said) for said in TEXTS[2:]] == [[words] for words in REPLIES[2:]]
        (replacement,) = workers(process)
        assert replacement != worker
    assert rows(empty_url, "SELECT direction, body FROM transcript") == TRANSCRIPT


def workers(process: Process) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


# As Twilio does when it got no answer.
def text_again(phone: Phone, said: str, sid: str) -> list[str] | None:
    with suppress(TwilioError):
        return phone.text(said, sid=sid)


def forget_the_token(folder: Path, environ: dict[str, str]) -> None:
    del environ["TWILIO_AUTH_TOKEN"]


def break_a_questionnaire(folder: Path, environ: dict[str, str]) -> None:
    (folder / "questionnaires/party.toml").write_text('title = "Party"\nevent = "Party"\n', "utf-8")


def remove_the_questionnaires(folder: Path, environ: dict[str, str]) -> None:
    shutil.rmtree(folder / "questionnaires")


def break_the_people(folder: Path, environ: dict[str, str]) -> None:
    (folder / "people.toml").write_text('"+1 (415) 867" = "Rey"\n', "utf-8")


def choose_another_database(folder: Path, environ: dict[str, str]) -> None:
    environ["DATABASE_URL"] = "mysql://me:mine@host/smsconvo"


def miss_a_directory(folder: Path, environ: dict[str, str]) -> None:
    environ["DATABASE_URL"] = f"sqlite:///{folder}/missing/smsconvo.db"


def lose_postgresql(folder: Path, environ: dict[str, str]) -> None:
    environ["DATABASE_URL"] = f"postgresql://me:mine@/smsconvo?host={folder}"


def write_garbage(folder: Path, environ: dict[str, str]) -> None:
    (folder / "smsconvo.db").write_bytes(b"This is no database. " * 1000)


def make_foreign_tables(folder: Path, environ: dict[str, str]) -> None:
    change(
        environ.get("DATABASE_URL", f"sqlite:///{folder}/smsconvo.db"),
        "CREATE TABLE photos (id INTEGER)",
    )


@pytest.mark.parametrize(
    ("mistake", "what", "cure"),
    [
        (forget_the_token, "TWILIO_AUTH_TOKEN is not set.", "Copy it from the Twilio console."),
        (break_a_questionnaire, "party.toml: asks nothing", "Add [[questions]]"),
        (remove_the_questionnaires, "SMSCONVO_QUESTIONNAIRES: there is no directory", "Make it"),
        (break_the_people, "SMSCONVO_PEOPLE: people.toml: ", "write each line as"),
        (choose_another_database, "DATABASE_URL is neither", "like sqlite:///smsconvo.db."),
        (miss_a_directory, "The database cannot be used: ", "Check DATABASE_URL, and the rights"),
        (write_garbage, "file is not a database.", "Check DATABASE_URL"),
        (make_foreign_tables, "the tables there are not smsconvo's.", "Name another database."),
    ],
)
def test_serve_refuses_what_cannot_work(folder, environ, mistake, what, cure):
    mistake(folder, environ)
    before = {path: path.read_bytes() for path in folder.rglob("*.*ml")}
    tables = (folder / "smsconvo.db").exists() and (folder / "smsconvo.db").read_bytes()[100:]
    ended = run(folder, environ, "serve")
    assert_refused(ended, what, cure)
    assert "mine" not in ended.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*.*ml")} == before
    if tables:
        assert (folder / "smsconvo.db").read_bytes()[100:] == tables


def test_serve_names_what_is_wrong_with_all_files(folder, environ):
    break_a_questionnaire(folder, environ)
    break_the_people(folder, environ)
    ended = run(folder, environ, "serve")
    assert ended.returncode == os.EX_CONFIG
    assert [line.split(": ")[0] for line in ended.stderr.splitlines()] == [
        "questionnaires/party.toml",
        "SMSCONVO_PEOPLE",
    ]


@pytest.mark.parametrize("empty_url", ["postgresql"], indirect=True)
def test_serve_refuses_a_postgresql_that_is_somebody_elses(folder, environ, empty_url):
    make_foreign_tables(folder, environ)
    ended = run(folder, environ, "serve")
    assert_refused(ended, "the tables there are not smsconvo's.", "Name another database.")
    assert rows(empty_url, "SELECT * FROM photos") == []


def test_what_may_be_over_soon_is_worth_another_start(folder, environ):
    lose_postgresql(folder, environ)
    ended = run(folder, environ, "serve")
    cure = "Check DATABASE_URL, and the log of PostgreSQL."
    assert_refused(ended, "The database cannot be used: ", cure, status=os.EX_UNAVAILABLE)
    assert "mine" not in ended.stderr


def test_serve_refuses_a_port_that_is_taken(folder, environ):
    host, port = environ["SMSCONVO_LISTEN"].split(":")
    with socket.create_server((host, int(port))):
        ended = run(folder, environ, "serve")
    assert_refused(
        ended, f"SMSCONVO_LISTEN: {host}:{port} cannot be listened on: ", "choose another"
    )


def test_an_address_that_the_machine_has_not_got_yet_is_worth_another_start(folder, environ):
    environ["SMSCONVO_LISTEN"] = "192.0.2.1:8080"  # of documentation: nobody has it
    ended = run(folder, environ, "serve")
    assert_refused(
        ended,
        "SMSCONVO_LISTEN: 192.0.2.1:8080 cannot be listened on: Cannot assign requested address.",
        "Give this machine that address, or choose another.",
        status=os.EX_UNAVAILABLE,
    )


@pytest.mark.parametrize(("host", "warned"), [("127.0.0.1", []), ("0.0.0.0", ["warning"])])
def test_serve_warns_where_it_listens_beyond_this_machine(folder, environ, host, warned):
    port = environ["SMSCONVO_LISTEN"].partition(":")[2]
    environ["SMSCONVO_LISTEN"] = f"{host}:{port}"
    with serving(folder, environ):
        pass
    lines = [json.loads(line) for line in (folder / "stderr.log").read_text().splitlines()]
    exposed = [line for line in lines if line["event"] == "exposed"]
    assert [line["level"] for line in exposed] == warned
    assert all("a proxy in front" in line["why"] for line in exposed)


def test_a_second_server_of_a_database_is_refused(folder, environ):
    with serving(folder, environ):
        ended = run(folder, environ | {"SMSCONVO_LISTEN": free_address()}, "serve")
        assert_refused(ended, "Another server has ", "smsconvo.db. Stop that one")
        phone = phone_of(environ)
        assert phone.text("Mats BBQ") == [QUESTIONS[0]]


def test_serve_refuses_a_directory_that_may_not_be_written(folder, environ):
    kept = folder / "kept"
    kept.mkdir()
    kept.chmod(0o555)
    environ["DATABASE_URL"] = f"sqlite:///{kept}/smsconvo.db"
    ended = run(folder, environ, "serve", under=BOUND)
    assert_refused(ended, "The database cannot be used: ", "the rights on its directory.")
    assert list(kept.iterdir()) == []


def test_serve_refuses_a_database_that_may_not_be_written(folder, environ, database_file):
    database_file.chmod(0o444)
    ended = run(folder, environ, "serve", under=BOUND)
    assert_refused(ended, "The database cannot be used: ", "Check DATABASE_URL")


def test_serve_refuses_an_older_database(folder, environ, database_url, next_program):
    ended = run(folder, environ, "serve", program=next_program())
    assert_refused(ended, f"version {HEAD} and this program needs 9999", "smsconvo.py upgrade")
    assert rows(database_url, "SELECT * FROM alembic_version") == [(HEAD,)]


@pytest.mark.parametrize("command", [["serve"], ["upgrade"]])
def test_a_newer_database_is_refused(folder, environ, database_url, command):
    change(database_url, "UPDATE alembic_version SET version_num = '9999'")
    ended = run(folder, environ, *command)
    assert_refused(ended, "at version 9999, newer than this program", "Run the newer program")
    assert rows(database_url, "SELECT * FROM alembic_version") == [("9999",)]


@pytest.mark.parametrize("command", [["deliver"], ["outbox"]])
def test_only_serve_and_upgrade_make_a_database(folder, environ, empty_url, command):
    assert_refused(run(folder, environ, *command), "Run: python smsconvo.py upgrade")
    with connect(empty_url) as database:
        assert inspect(database.engine).get_table_names() == []


# upgrade #####################################################################


def test_upgrade_makes_a_database_once(folder, environ, empty_url):
    first, second = (run(folder, environ, "upgrade") for _ in range(2))
    assert (first.returncode, first.stdout) == (0, f"The database is at version {HEAD} now.\n")
    assert (second.returncode, second.stdout) == (
        0,
        f"The database is at version {HEAD} already.\n",
    )
    assert list(folder.glob("*.bak")) == []


def test_a_database_whose_tables_were_all_taken_away_is_empty(folder, environ, database_url):
    command.downgrade(migrations(database_url), "base")
    ended = run(folder, environ, "upgrade")
    assert ended.stdout == f"The database is at version {HEAD} now.\n"


def test_what_guests_say_is_for_the_owner_of_the_database_only(folder, environ):
    run(folder, environ, "upgrade")
    assert (folder / "smsconvo.db").stat().st_mode & 0o777 == 0o600


@pytest.fixture
def older(phone, webhook, tmp_path) -> Path:
    for said in TEXTS:
        phone.text(said)
    return tmp_path / "smsconvo.db"


@on_sqlite
def test_upgrade_keeps_a_backup_to_go_back_to(folder, environ, older, next_program):
    before = dump(older)
    ended = run(folder, environ, "upgrade", program=next_program())
    assert ended.returncode == 0, ended.stderr
    (backup,) = folder.glob(f"smsconvo.db.{HEAD}.*.bak")
    assert f"The backup is {backup}. To go back: " in ended.stdout
    assert ended.stdout.endswith("The database is at version 9999 now.\n")
    assert dump(backup) == before
    assert rows(f"sqlite:///{older}", "SELECT direction, body FROM transcript") == TRANSCRIPT
    assert rows(f"sqlite:///{older}", "SELECT text, note FROM answers")[0] == ("Blue", None)
    for path in folder.glob("smsconvo.db*"):
        if path != backup:
            path.unlink()
    backup.rename(older)
    assert run(folder, environ, "outbox").stdout == "Everything is delivered.\n"


@on_sqlite
@pytest.mark.parametrize(
    ("body", "why"),
    [
        (
            "op.execute('DELETE FROM answers')",
            "Rows of answers would be lost. Nothing was changed.",
        ),
        pytest.param("op.execute('nonsense')", "syntax error", marks=pytest.mark.long),
    ],
)
def test_an_upgrade_that_fails_changes_nothing(folder, environ, older, next_program, body, why):
    before = dump(older)
    ended = run(folder, environ, "upgrade", program=next_program(body))
    assert_refused(ended, why)
    assert dump(older) == before


@on_sqlite
def test_an_upgrade_without_room_for_its_backup_changes_nothing(
    folder, environ, older, next_program
):
    before = dump(older)
    full = ("prlimit", "--fsize=50000")
    ended = run(folder, environ, "upgrade", program=next_program(), under=full)
    assert_refused(ended)
    assert dump(older) == before
    assert list(folder.glob("*.bak")) == []  # half a backup would pass for one


@on_postgresql
def test_upgrade_leaves_the_backup_of_postgresql_to_the_operator(
    folder, environ, database_url, next_program
):
    program = next_program()
    assert_refused(run(folder, environ, "upgrade", program=program), "pg_dump", "--no-backup")
    ended = run(folder, environ, "upgrade", "--no-backup", program=program)
    assert (ended.returncode, ended.stdout) == (0, "The database is at version 9999 now.\n")


# outbox, deliver #############################################################


# Two results are owed. One could not be delivered yet; the other was not tried.
@pytest.fixture
def owing(serve, questionnaires, receiver, clock):
    clock.now = datetime.now(UTC)
    send_results(questionnaires, receiver.url)
    webhook = serve()
    for said in TEXTS:
        webhook.phone(REY).text(said)
    receiver.answers = [(500, {"Retry-After": "7200"})]
    (one,) = claim_due(webhook.app.database, clock(), 8)
    run_attempt(webhook.app.database, webhook.app.settings, one, clock)
    for said in TEXTS:
        webhook.phone(STRANGER).text(said)
    return webhook


def test_outbox_lists_what_is_owed_and_why(folder, environ, owing, receiver, clock):
    ended = run(folder, environ, "outbox")
    later, now = clock() + timedelta(hours=2), clock()
    assert ended.returncode == 0
    assert ended.stdout.splitlines() == [
        f"1  pending, 1 attempts, next attempt at {later:%Y-%m-%d %H:%M:%S} UTC, to {receiver.url}",
        "    HTTP 500",
        f"2  pending, 0 attempts, next attempt at {now:%Y-%m-%d %H:%M:%S} UTC, to {receiver.url}",
    ]


@pytest.mark.parametrize(("arguments", "again"), [(["1"], [1]), (["--all"], [1, 2])])
def test_outbox_retry_tries_again_now(folder, environ, owing, arguments, again):
    before = datetime.now(UTC)
    ended = run(folder, environ, "outbox", "retry", *arguments)
    assert (ended.returncode, ended.stdout) == (0, f"To be tried again now: {len(again)}.\n")
    due = dict(owing.rows("SELECT id, next_attempt_at FROM outbox"))
    for id in again:
        assert before <= datetime.fromisoformat(str(due[id])) <= datetime.now(UTC)


def test_outbox_retry_names_what_is_not_owed(folder, environ, owing):
    ended = run(folder, environ, "outbox", "retry", "1", "7", "9")
    assert ended.returncode != 0
    assert "Not in the outbox, or delivered already: 7, 9." in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [[], ["1", "--all"], ["one"]])
def test_outbox_retry_wants_either_ids_or_all(arguments):
    ended = CliRunner().invoke(cli, ["outbox", "retry", *arguments])
    assert ended.exit_code == 2
    assert "Usage: " in ended.stderr


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_deliver_delivers_until_stopped(folder, environ, owing, receiver, stop):
    receiver.requests.clear()
    for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "SMSCONVO_PUBLIC_URL"):
        del environ[name]
    with started(folder, environ, "deliver") as process:
        until(lambda: owing.rows("SELECT state FROM outbox WHERE id = 2") == [("delivered",)])
        process.send_signal(stop)
    assert process.returncode == 0
    ((_, body),) = receiver.requests
    assert parse_qsl(body.decode())[0] == ("From", STRANGER)


# phone ################################################################


def test_phone_texts_a_running_webhook(folder, environ, webhook):
    ended = run(folder, environ, "phone", "--url", webhook.url, "--from", STRANGER, said=PIPED)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [
        line
        for said, words in zip(TEXTS, REPLIES, strict=True)
        for line in (f"> {said}", f"< {words}")
    ]
    assert webhook.rows("SELECT sender, number FROM conversations") == [(STRANGER, NUMBER)]


def test_phone_shows_what_twilio_would_log(folder, environ, webhook):
    environ["TWILIO_AUTH_TOKEN"] = AUTH_TOKEN[::-1]
    ended = run(folder, environ, "phone", "--url", webhook.url, said="Hello\n")
    assert ended.stdout.splitlines() == [
        "> Hello",
        "! 11217: The webhook answered HTTP 403.",
    ]


def test_phone_needs_what_twilio_signs_with(folder, environ):
    forget_the_token(folder, environ)
    ended = run(folder, environ, "phone", "--url", "http://127.0.0.1:9/sms")
    assert_refused(ended, "Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN")


# rehearse ####################################################################


def test_rehearse_holds_the_conversation_that_is_piped(folder):
    ended = run(folder, {"PATH": os.environ["PATH"]}, "rehearse", said=PIPED)
    assert (ended.returncode, ended.stderr) == (0, "")
    shown = ended.stdout.splitlines()
    assert [line[2:] for line in shown if line.startswith("< ")] == list(REPLIES)
    kept = shown.index("* Without [results], the answers stay in the database:")
    assert shown[kept + 1 : -1] == [f"    {name}: {said}" for name, said in RESULT[2:]]
    transcript = rows(f"sqlite:///{folder}/rehearsal.db", "SELECT direction, body FROM transcript")
    assert transcript == TRANSCRIPT


@pytest.mark.long
def test_rehearse_shows_where_a_result_would_have_gone_and_under_which_names(folder, environ):
    url = "https://receiver.example.org/results"
    send_results(folder / "questionnaires", url)
    with (folder / "questionnaires/feedback.toml").open("a") as file:
        file.write('[results.fields]\nFrom = "phone"\nQuestion3 = "drink"\n')
    ended = run(folder, environ, "rehearse", said=PIPED)
    assert (ended.returncode, ended.stderr) == (0, "")
    names = {"From": "phone", "Question3": "drink"}
    shown = ended.stdout.splitlines()
    sent = shown.index(f"* The result would have gone to {url}:")
    assert shown[sent + 1 : -1] == [f"    {names.get(key, key)}: {said}" for key, said in RESULT]


@pytest.mark.long
def test_rehearse_shows_what_a_google_form_would_get(folder, environ):
    url = "https://docs.google.com/forms/d/e/FORM/formResponse"
    send_results(folder / "questionnaires", url)
    with (folder / "questionnaires/feedback.toml").open("a") as file:
        file.write('pages = 2\n[results.fields]\nQuestion1 = "entry.3"\nId = "entry.4"\n')
    ended = run(folder, environ, "rehearse", said=PIPED)
    assert f"* The result would have gone to {url}:\n" in ended.stdout
    shown = [line.strip() for line in ended.stdout.splitlines()]
    assert {"entry.3: Blue", "fvv: 1", "pageHistory: 0,1"} <= set(shown)
    assert any(line.startswith("entry.4: msg_") for line in shown)


@pytest.mark.long
def test_rehearse_shows_an_event_as_it_would_be_sent(folder, environ):
    send_results(folder / "questionnaires", 'https://example.org/"\nformat = "json')
    ended = run(folder, environ, "rehearse", said=PIPED)
    _, _, after = ended.stdout.partition("* The result would have gone to https://example.org/:\n")
    event = json.loads(after.rpartition("}")[0] + "}")
    assert event["data"]["answers"]["Question1"] == "Blue"


@pytest.mark.long
def test_silence_shows_in_a_rehearsal(folder, environ):
    ended = run(folder, environ, "rehearse", said=PIPED + "More?\n")
    assert ended.stdout.splitlines().count("  (no reply)") == 1


@pytest.mark.long
def test_a_rehearsal_begins_anew_touches_nothing_else_and_ends_its_server(folder, environ):
    environ["DATABASE_URL"] = f"sqlite:///{folder}/smsconvo.db"
    send_results(folder / "questionnaires", "http://127.0.0.1:9/never")
    (folder / "rehearsal.db").write_bytes(b"from last time")
    ended = run(folder, environ, "rehearse", said="Mats BBQ\n\nBlue\r\n")
    assert ended.returncode == 0, ended.stderr
    assert [line for line in ended.stdout.splitlines() if line[:2] in ("> ", "< ")] == [
        "> Mats BBQ",
        f"< {QUESTIONS[0]}",
        "> Blue",
        f"< {QUESTIONS[1]}",
    ]
    assert not (folder / "smsconvo.db").exists()
    (listen,) = re.findall(r'"listen":"([0-9.:]+)"', (folder / "rehearsal.log").read_text("utf-8"))
    assert not is_listening({"SMSCONVO_LISTEN": listen})


@pytest.mark.long
def test_a_rehearsal_leaves_another_one_alone(folder, environ):
    stdin, lines = os.pipe()
    with started(folder, environ, "rehearse", stdin=stdin) as process, open(lines, "w") as typed:
        os.close(stdin)
        until(lambda: "texting" in (folder / "stderr.log").read_text("utf-8"))
        ended = run(folder, environ, "rehearse", said=PIPED)
        assert_refused(ended, "Another server has ", "rehearsal.db. Stop that one")
        typed.write("Mats BBQ\n")
    assert process.returncode == 0
    texts = rows(f"sqlite:///{folder}/rehearsal.db", "SELECT body FROM messages")
    assert texts == [("Mats BBQ",), (QUESTIONS[0],)]


@pytest.mark.parametrize("end", ["Ctrl-D", pytest.param("Ctrl-C", marks=pytest.mark.long)])
def test_rehearse_in_a_terminal_prompts_shows_results_and_ends(folder, environ, end):
    terminal, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    try:
        with started(folder, environ, "rehearse", **streams) as process:
            os.close(theirs)
            shown = read_until(terminal, "> ")
            assert f"You are {REY}, texting {NUMBER}." in shown
            for said, words in zip(TEXTS, REPLIES, strict=True):
                os.write(terminal, f"{said}\n".encode())
                shown = read_until(terminal, f"< {words}\n")
                assert said in shown
            shown = read_until(terminal, "Question4: Yes\n> ")
            assert "the answers stay in the database:\n    Question1: Blue\n" in shown
            if end == "Ctrl-D":
                os.write(terminal, b"\x04")
            else:
                process.send_signal(signal.SIGINT)
            assert "Every message is in rehearsal.db" in read_until(terminal, "transcript'\n")
        assert process.returncode == 0
    finally:
        os.close(terminal)


def test_a_rehearsal_shows_a_phone_in_the_browser_that_follows_the_file(folder):
    stdin, lines = os.pipe()
    environ = {"PATH": os.environ["PATH"]}
    with started(folder, environ, "rehearse", stdin=stdin) as process, open(lines, "w"):
        os.close(stdin)
        log = folder / "stderr.log"
        until(lambda: "You are" in log.read_text("utf-8"))
        (link,) = re.findall("^http://127.0.0.1:.*$", log.read_text("utf-8"), re.M)
        with requests.Session() as browser:
            browser.headers["Sec-Fetch-Site"] = "same-origin"
            assert "<button" in browser.get(link).text
            page = browser.post(link)
            assert page.url.endswith("/console/try") and QUESTIONS[0] not in page.text
            page = browser.post(f"{page.url}/feedback", {"text": "Mats BBQ"})
            assert QUESTIONS[0] in page.text
            file = folder / "questionnaires/feedback.toml"
            file.write_text(file.read_text("utf-8").replace(QUESTIONS[0], "Good day?"), "utf-8")
            assert "Good day?" in browser.get(page.url).text
            assert requests.post(link, headers=browser.headers).status_code == 403  # it works once
    assert process.returncode == 0
    assert rows(f"sqlite:///{folder}/rehearsal.db", "SELECT count(*) FROM messages") == [(0,)]


@pytest.mark.long
def test_a_rehearsal_takes_the_port_that_is_asked_for(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environ = {"PATH": os.environ["PATH"]}
        ended = run(folder, environ, "rehearse", "--port", str(port), said=PIPED)
        assert_refused(ended, f"--port {port} cannot be used: ", "Choose another.")
    ended = run(folder, environ, "rehearse", "--port", str(port), said=PIPED)
    assert f"\nhttp://127.0.0.1:{port}/console/enter/" in ended.stdout


def read_until(terminal: int, words: str) -> str:
    shown, deadline = b"", time.monotonic() + HANG_SECONDS
    while words not in plain(shown):
        ready, _, _ = select([terminal], [], [], max(0, deadline - time.monotonic()))
        assert ready, plain(shown)
        shown += os.read(terminal, 4096)
    return plain(shown)


def plain(shown: bytes) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown.decode("utf-8", "replace")).replace("\r\n", "\n")


def test_rehearse_refuses_a_broken_questionnaire(folder, environ):
    break_a_questionnaire(folder, environ)
    ended = run(folder, environ, "rehearse", said=PIPED)
    assert_refused(ended, "party.toml: asks nothing and says nothing.", "Add [[questions]]")
    assert ended.stdout == ""


@pytest.mark.long  # as `serve` does, whose test is quick
def test_rehearse_refuses_a_folder_that_may_not_be_written(folder, environ):
    folder.chmod(0o555)
    ended = run(folder, environ, "rehearse", said=PIPED, under=BOUND)
    assert_refused(ended, "rehearsal.db-server: ")


# help ########################################################################


def commands(group: click.Group = cli, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, member in group.commands.items():
        yield (*path, name)
        if isinstance(member, click.Group):
            yield from commands(member, (*path, name))


@pytest.mark.parametrize("path", [(), *commands()], ids=" ".join)
def test_every_command_has_help(path):
    shown = CliRunner().invoke(cli, [*path, "--help"])
    assert shown.exit_code == 0
    assert re.search(r"\n\n  [A-Z].+\.\n", shown.output)


# Numbers #####################################################################


def find_parameters(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple]:
    for parameter in command.params:
        yield (*path, command.name), parameter
    for each in getattr(command, "commands", {}).values():
        yield from find_parameters(each, (*path, command.name))


def test_no_number_that_a_command_takes_is_without_bounds():
    """A database takes no larger id, and raises what no operator understands."""
    assert [
        (path, each.name) for path, each in find_parameters(cli) if each.type is click.INT
    ] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("outbox", "retry", "--"),
        ("export", "--conversation"),
        ("replay", "--conversation"),
        ("replay", "--save", "saved.json", "--conversation"),
        ("replay", "--last"),
    ],
)
def test_a_number_that_no_row_can_have_is_refused_in_a_sentence(
    database_url, questionnaires, arguments
):
    environ = {"DATABASE_URL": database_url, "SMSCONVO_QUESTIONNAIRES": str(questionnaires)}
    for number in (0, -1, 2**63, 10**20):
        ended = CliRunner().invoke(cli, [*arguments, str(number)], env=environ)
        assert ended.exit_code == 2, ended.output
        assert ended.output.endswith(f": {number} is not in the range 1<=x<={2**63 - 1}.\n")
    ended = CliRunner().invoke(cli, [*arguments, str(2**63 - 1)], env=environ)
    assert isinstance(ended.exception, SystemExit | None), ended.output


# The console #################################################################


def query(database_url: str, sql: str) -> list[tuple]:
    with connect(database_url) as database, database.engine.connect() as connection:
        return list(map(tuple, connection.exec_driver_sql(sql)))


@pytest.mark.parametrize(("options", "role"), [((), "do"), (("--look",), "look")])
def test_console_prints_a_link_alone_on_a_line(folder, environ, database_file, options, role):
    printed = run(folder, environ, "console", *options)
    assert (printed.returncode, printed.stderr) == (0, "")
    url = re.escape(environ["SMSCONVO_PUBLIC_URL"])
    assert re.fullmatch(rf"{url}/console/enter/[A-Za-z0-9_-]{{43}}\n", printed.stdout)
    kept = query(f"sqlite:///{database_file}", "SELECT role, digest, used_at FROM console_links")
    assert kept == [(role, digest(printed.stdout.strip().rpartition("/")[2]), None)]


@pytest.mark.parametrize(("name", "is_taken"), [("Zoë B.", True), (" ", False), ("a\tb", False)])
def test_console_makes_a_link_for_somebody(folder, environ, database_file, name, is_taken):
    printed = run(folder, environ, "console", "--name", name)
    assert printed.returncode == (0 if is_taken else 78), printed.stderr
    kept = query(f"sqlite:///{database_file}", "SELECT name FROM console_links")
    assert kept == ([(name,)] if is_taken else [])


def test_console_wants_to_know_the_public_url(folder, environ, database_file):
    del environ["SMSCONVO_PUBLIC_URL"]
    printed = run(folder, environ, "console")
    assert (printed.returncode, printed.stdout) == (78, "")
    assert "SMSCONVO_PUBLIC_URL is not set." in printed.stderr


def test_console_password_takes_it_from_a_pipe_and_shows_nothing_of_it(
    folder, environ, database_file
):
    password, url = "a long enough password", f"sqlite:///{database_file}"
    printed = run(folder, environ, "console", "password", said=f"{password}\nmore")
    assert (printed.returncode, printed.stdout, printed.stderr) == (0, "The password is set.\n", "")
    ((stored,),) = query(url, "SELECT hash FROM console_passwords")
    assert ConsolePassword(hash=stored).is_right(password)
    assert not ConsolePassword(hash=stored).is_right(f"{password}\nmore")
    printed = run(folder, environ, "console", "password", "--remove")
    assert printed.returncode == 0
    assert query(url, "SELECT hash FROM console_passwords") == []
    assert query(url, "SELECT operator, action FROM operator_actions ORDER BY id") == [
        ("command line", "set password"),
        ("command line", "remove password"),
    ]


@pytest.mark.parametrize("password", ["", "too short", "x" * 11, "x" * 201, "x" * 9999])
def test_console_password_refuses_one_of_another_length(folder, environ, database_file, password):
    printed = run(folder, environ, "console", "password", said=password)
    assert (printed.returncode, printed.stdout) == (78, "")
    assert "fewer than 12 or more than 200 characters" in printed.stderr
    assert query(f"sqlite:///{database_file}", "SELECT hash FROM console_passwords") == []


@pytest.mark.parametrize("locale", ["C", pytest.param("C.UTF-8", marks=pytest.mark.long)])
def test_console_password_refuses_bytes_that_are_no_text(folder, environ, database_file, locale):
    environ |= {"LC_ALL": locale}
    command = [sys.executable, HERE / "smsconvo.py", "console", "password"]
    said = {"input": b"\xe9 long enough password", "capture_output": True, "timeout": 60}
    printed = subprocess.run(command, cwd=folder, env=environ, **said)
    assert (printed.returncode, printed.stdout) == (78, b"")
    assert b"bytes that are not utf-8" in printed.stderr
    assert query(f"sqlite:///{database_file}", "SELECT hash FROM console_passwords") == []


def test_serve_warns_of_a_header_that_makes_operators(folder, environ):
    environ |= {"SMSCONVO_CONSOLE_PROXIES": "127.0.0.1"}
    environ |= {"SMSCONVO_CONSOLE_USER_HEADER": "Remote-User"}
    with serving(folder, environ):
        page = requests.get(
            f"{environ['SMSCONVO_PUBLIC_URL']}/console", headers={"Remote-User": "Ann"}, timeout=10
        )
    assert (page.status_code, "<h1>Now</h1>" in page.text) == (200, True)
    lines = [json.loads(line) for line in (folder / "stderr.log").read_text().splitlines()]
    (line,) = [line for line in lines if line["event"] == "exposed"]
    assert "whoever can send Remote-User" in line["why"]
