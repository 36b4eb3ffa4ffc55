"""`export`: what guests have texted, as files, from the shell."""

import csv
import io
import json
import os
import random
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, time
from pathlib import Path

import openpyxl
import preloaded
import pytest
from click.testing import CliRunner, Result
from conftest import HERE, REY, STRANGER, Handset, Webhook, run
from memory import measure_memory
from test_rows import execute_sqlite, execute_unchecked

from commands import cli
from models.export import PAGE_SIZE, Export
from models.selection import Selection
from storage import Database, connect
from storage.database import MAX_REPORTS
from worker.expiry import expire_silent

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

PARTY = """
title = "Party"
event = "Party"
thanks = "Thanks."
[[questions]]
key = "who"
ask = "Who are you?"
[[questions]]
key = "meals"
kind = "choice"
many = true
choices = ["Pizza", "Pasta", "Salad"]
ask = "Which meals, {who}? {choices}"
[[questions]]
key = "guests"
kind = "number"
attempts = 2
ask = "How many are you?"
[[questions]]
key = "day"
kind = "date"
optional = true
ask = "Which day?"
[[questions]]
key = "at"
kind = "time"
ask = "At what time?"
[[questions]]
key = "photo"
kind = "photo"
optional = true
ask = "A photo?"
"""
QUESTIONS = ["who", "meals", "guests", "day", "at", "photo"]
HEAD = ["conversation", "sender", "name", "event", "state", "started_at", "completed_at"]
TAIL = ["questionnaire", "version"]
WIDE = [*HEAD, *QUESTIONS, "unread", *TAIL]
LONG = [*HEAD, "key", "question", "value", "text", "answered_at", *TAIL]
ALL = ["Party", "Rey", "pizza and salad", "2", "2026-12-05", "noon"]  # but for the photo
PHOTO = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"


@pytest.fixture
def party(questionnaires, serve) -> Webhook:
    (questionnaires / "party.toml").write_text(PARTY, "utf-8")
    return serve()


@pytest.fixture
def environ(environ, database_url) -> dict[str, str]:
    """For the program; to start it takes long, so `export` does without where it can."""
    return environ | {"DATABASE_URL": database_url}


@pytest.fixture
def export(database_url, questionnaires) -> Callable[..., Result]:
    runner = CliRunner(
        env={"DATABASE_URL": database_url, "SMSCONVO_QUESTIONNAIRES": str(questionnaires)}
    )
    return lambda *arguments: runner.invoke(cli, ["export", *arguments])


@pytest.fixture
def rows(export) -> Callable[..., list[dict[str, str]]]:
    """The rows of a table as CSV, by the names of its columns."""

    def read(*arguments: str) -> list[dict[str, str]]:
        ended = export(*arguments)
        assert (ended.exit_code, ended.stderr) == (0, "")
        return list(csv.DictReader(io.StringIO(ended.stdout_bytes.decode(), newline="")))

    return read


def hold(phone: Handset, *texts: str) -> None:
    """Text these, one minute after the other."""
    for text in texts:
        phone.text(text)
        phone.clock.pass_(minutes=1)


def attend(webhook: Webhook, sender: str = REY) -> None:
    """A whole conversation, to its end."""
    phone = webhook.phone(sender)
    hold(phone, *ALL)
    phone.text(media=[PHOTO])


@pytest.fixture
def edit(database_url) -> Callable[[str], None]:
    """Execute SQL on SQLite as an operator would, in another program."""
    return lambda statement: execute_sqlite(database_url.removeprefix("sqlite:///"), statement)


@pytest.fixture
def edit_before(database_url) -> Callable[[str], None]:
    """The same, as if it had been before the database checked what is written into it."""
    return lambda statement: execute_unchecked(database_url.removeprefix("sqlite:///"), statement)


def change(database_url: str, statement: str) -> None:
    with connect(database_url) as database:
        database.write(lambda db: db.connection().exec_driver_sql(statement))


# Tables ######################################################################


def test_a_conversation_is_a_row_with_a_column_for_each_question(party, export):
    attend(party)
    ended = export("party", "--raw")
    lines = ended.stdout_bytes.decode().splitlines()
    assert lines == [
        ",".join(WIDE),
        f"1,{REY},Rey,Party,completed,2026-11-20T12:00:00Z,2026-11-20T12:06:00Z,"
        f'Rey,"Pizza, Salad",2,2026-12-05,12:00,{PHOTO},,party,1',
    ]
    assert ended.stdout_bytes.endswith(b"\r\n")
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_a_long_export_has_a_row_for_each_answer_as_it_was_asked_and_texted(party, rows):
    attend(party)
    found = rows("--long", "--raw")
    assert [row["key"] for row in found] == QUESTIONS
    assert list(found[1]) == LONG
    assert list(found[1].values()) == [
        *("1", REY, "Rey", "Party", "completed", "2026-11-20T12:00:00Z", "2026-11-20T12:06:00Z"),
        *("meals", "Which meals, Rey? 1 Pizza, 2 Pasta, 3 Salad", "Pizza, Salad"),
        *("pizza and salad", "2026-11-20T12:02:00Z", "party", "1"),
    ]


def test_json_lines_have_the_answers_as_results_do(party, export):
    attend(party)
    (line,) = export("party", "--format", "jsonl").stdout.splitlines()
    assert json.loads(line) == {
        "conversation": 1,
        "sender": REY,
        "name": "Rey",
        "event": "Party",
        "state": "completed",
        "started_at": "2026-11-20T12:00:00Z",
        "completed_at": "2026-11-20T12:06:00Z",
        "answers": {
            "who": "Rey",
            "meals": ["Pizza", "Salad"],
            "guests": "2",
            "day": "2026-12-05",
            "at": "12:00",
            "photo": PHOTO,
        },
        "unread": {},
        "questionnaire": "party",
        "version": 1,
    }
    lines = map(json.loads, export("--format", "jsonl", "--long").stdout.splitlines())
    assert [(line["key"], line["value"]) for line in lines][:2] == [
        ("who", "Rey"),
        ("meals", ["Pizza", "Salad"]),
    ]


@pytest.mark.parametrize("shape", [(), ("--long",)], ids=["wide", "long"])
def test_a_workbook_equals_the_table(party, export, rows, tmp_path, shape):
    attend(party)
    hold(party.phone(STRANGER), "Party", "=1+1", "1", "12345678901234567890", "skip", "9pm")
    ended = export("party", *shape, "--to", str(tmp_path / "party.xlsx"))
    assert ended.output == f"Saved 2 conversations to {tmp_path}/party.xlsx.\n"
    (names, *cells) = openpyxl.load_workbook(tmp_path / "party.xlsx").active.values
    table = rows("party", *shape, "--raw")
    assert [dict(zip(names, map(show, row), strict=True)) for row in cells] == table
    assert table[-1]["sender"] == STRANGER


def show(cell: object) -> str:
    """A cell as CSV has it; what is at midnight is a day."""
    match cell:
        case None:
            return ""
        case datetime(hour=0, minute=0):
            return f"{cell:%Y-%m-%d}"
        case datetime():
            return f"{cell.isoformat()}Z"
        case time():
            return f"{cell:%H:%M}"
    return str(cell)


def test_a_workbook_has_types_by_the_kinds_of_the_questions(party, export, tmp_path):
    attend(party)
    export("party", "--to", str(tmp_path / "party.xlsx"))
    (names, cells) = openpyxl.load_workbook(tmp_path / "party.xlsx").active.values
    row = dict(zip(names, cells, strict=True))
    assert (row["conversation"], row["guests"], row["version"]) == (1, 2, 1)
    assert row["sender"] == REY
    assert row["started_at"] == datetime(2026, 11, 20, 12)
    assert (row["day"], row["at"]) == (datetime(2026, 12, 5), time(12))


# States ######################################################################


@pytest.fixture
def partials(party) -> Webhook:
    """A conversation in each state: completed, stopped, expired and open."""
    attend(party)
    hold(party.phone("+14155550001"), "Party", "Ann", "Stop")
    hold(party.phone("+14155550002"), "Party", "Bea", "2")
    party.clock.pass_(hours=5)
    expire_silent(party.app.database, party.clock.now)
    hold(party.phone("+14155550003"), "Party", "Cec")
    return party


def test_partials_are_exported_and_marked_by_their_state(partials, rows):
    found = [(row["state"], row["who"], row["meals"], row["completed_at"]) for row in rows("party")]
    assert found == [
        ("completed", "Rey", "Pizza, Salad", "2026-11-20T12:06:00Z"),
        ("stopped", "Ann", "", ""),
        ("expired", "Bea", "Pasta", ""),
        ("open", "Cec", "", ""),
    ]


SELECTED = {
    "--state expired": "3",
    "--state open --state completed": "1",
    "--since 2026-11-20": "1234",
    "--since 2026-11-21": "",
    "--since 2026-11-20T12:09:00Z": "34",
    "--since 2026-11-20T13:09:00+01:00": "34",
    "--since 2026-11-20T12:00:00Z --state completed": "1",
    "--conversation 4 --conversation 2 --conversation 4": "24",
}


def test_an_export_has_only_what_is_selected(partials, rows):
    found = {
        arguments: "".join(row["conversation"] for row in rows("party", *arguments.split()))
        for arguments in SELECTED
    }
    assert found == SELECTED
    long = rows("--long", "--state", "expired", "--since", "2026-11-20")
    assert {row["conversation"] for row in long} == {"3"}


@on_sqlite
def test_ids_that_were_named_and_not_exported_are_said(partials, export):
    ended = export("--conversation", "2", "--conversation", "17", "--conversation", "1", "--raw")
    assert ended.exit_code == 1
    assert len(ended.stdout.splitlines()) == 3
    assert ended.stderr == "Error: Not there, or not selected by the other options: 17.\n"


def test_texts_to_a_question_that_was_given_up_are_there_but_skips_are_not(party, rows, export):
    hold(party.phone(), "Party", "Rey", "1", "lots", "heaps!", "skip", "noon", "skip")
    (row,) = rows("party")
    assert (row["guests"], row["unread"]) == ("", "guests: lots\nheaps!")
    (found,) = [each for each in rows("--long") if each["key"] == "guests"]
    assert (found["value"], found["text"]) == ("", "lots\nheaps!")
    line = json.loads(export("--format", "jsonl").stdout)
    assert (line["answers"]["guests"], line["answers"]["day"]) == (None, None)
    assert line["unread"] == {"guests": "lots\nheaps!"}


# Versions ####################################################################


@pytest.fixture
def changed(party, questionnaires, serve) -> Webhook:
    """The file has lost a question and got another, and both versions were used."""
    attend(party)
    without_day = PARTY.replace('key = "day"', 'key = "wine"').replace(
        'kind = "date"\noptional = true\nask = "Which day?"', 'ask = "Which wine?"'
    )
    (questionnaires / "party.toml").write_text(without_day, "utf-8")
    webhook = serve()
    hold(webhook.phone(STRANGER), "Party", "Finn", "2", "1", "Red")
    return webhook


def test_questions_that_the_file_no_longer_has_are_exported_behind_the_others(changed, rows):
    found = rows("party")
    now = ["who", "meals", "guests", "wine", "at", "photo"]
    assert list(found[0]) == [*HEAD, *now, "day", "unread", *TAIL]
    assert [(row["day"], row["wine"], row["version"]) for row in found] == [
        ("2026-12-05", "", "1"),
        ("", "Red", "2"),
    ]


def test_questions_that_the_file_no_longer_has_can_be_left_out(changed, rows, export):
    assert "day" not in rows("party", "--no-removed")[0]
    assert "day" not in {row["key"] for row in rows("--long", "--no-removed")}
    lines = export("--format", "jsonl", "--no-removed").stdout.splitlines()
    assert "day" not in json.loads(lines[0])["answers"]
    lines = export("--format", "jsonl").stdout.splitlines()
    assert json.loads(lines[0])["answers"]["day"] == "2026-12-05"


def test_the_columns_are_of_the_newest_version_where_the_file_is_gone(
    changed, rows, questionnaires
):
    with_file = rows("party")
    (questionnaires / "party.toml").unlink()
    assert rows("party") == with_file
    assert list(rows("party")[0]) == list(with_file[0])


@on_sqlite
def test_answers_that_no_column_is_for_are_said(party, export, edit):
    attend(party)
    edit("UPDATE answers SET key = 'whom' WHERE key = 'who'")
    ended = export("party")
    assert ended.exit_code == 0
    assert ended.stderr == "There is no column for answers to whom (1). See them with --long.\n"
    assert "whom" in export("--long").stdout
    assert json.loads(export("--format", "jsonl").stdout)["answers"]["whom"] == "Rey"


def test_a_question_with_the_name_of_another_column_keeps_apart(questionnaires, serve, rows):
    (questionnaires / "party.toml").write_text(PARTY.replace('"guests"', '"state"'), "utf-8")
    attend(serve())
    (row,) = rows("party")
    assert (row["state"], row["answer.state"]) == ("completed", "2")


# Names #######################################################################


@on_sqlite
def test_a_wrong_name_is_a_sentence_that_says_what_to_do(party, export):
    ended = export("partie")
    assert (ended.exit_code, ended.stdout) == (os.EX_CONFIG, "")
    known = "Name one of these: counter, feedback, party."
    assert ended.stderr == f"No questionnaire is called partie. {known}\n"


@on_sqlite
def test_several_questionnaires_have_no_columns_in_common(party, export, rows):
    attend(party)
    hold(party.phone(STRANGER), "Mats BBQ", "Blue")
    for format in ("csv", "xlsx"):
        ended = export("--format", format)
        assert (ended.exit_code, ended.stdout) == (os.EX_CONFIG, "")
        cure = "Name one of them, or say --long.\n"
        assert ended.stderr.startswith("There are conversations of feedback, party, ")
        assert ended.stderr.endswith(cure)
    assert {row["questionnaire"] for row in rows("--long")} == {"feedback", "party"}
    lines = map(json.loads, export("--format", "jsonl").stdout.splitlines())
    assert [line["questionnaire"] for line in lines] == ["party", "feedback"]
    assert [row["Question1"] for row in rows("feedback")] == ["Blue"]


@on_sqlite
def test_without_conversations_there_are_only_names_of_columns(party, export):
    assert export("party").stdout_bytes.decode() == ",".join(WIDE) + "\r\n"
    assert export().stdout_bytes.decode() == ",".join([*HEAD, "unread", *TAIL]) + "\r\n"
    assert export("--format", "jsonl").stdout_bytes == b""


@on_sqlite
@pytest.mark.parametrize("day", ["2026-13-01", "yesterday", "0001-01-01T00:00:00+23:00"])
def test_a_day_that_is_none_is_refused(party, export, day):
    ended = export("--since", day)
    assert ended.exit_code in (2, os.EX_CONFIG)
    assert "--since" in ended.stderr and ended.stdout == ""


# Rows that cannot be read ####################################################


@on_sqlite
@pytest.mark.parametrize(
    ("statement", "named", "left"),
    [
        ("UPDATE answers SET value = x'ff' WHERE id = 1", "answers 1: value is no text", 2),
        ("UPDATE answers SET answered_at = 'x' WHERE id = 2", "answers 2: answered_at", 2),
        ("UPDATE conversations SET started_at = 'x' WHERE id = 1", "conversations 1: started", 1),
        ("UPDATE contacts SET name = x'ff' WHERE id = 1", "contacts 1: name is no text", 1),
        (
            "UPDATE conversations SET questionnaire_id = 9 WHERE id = 1",
            "conversations 1: questionnaire_id names no questionnaire",
            1,
        ),
        (
            "UPDATE questionnaires SET definition = '{' WHERE id = 1",
            "questionnaires 1: definition is no questionnaire",
            2,
        ),
    ],
)
def test_what_cannot_be_read_is_left_out_and_named(
    party,
    export,
    edit_before,
    statement,
    named,
    left,
):
    attend(party)
    attend(party, STRANGER)
    edit_before(statement)
    ended = export("--format", "jsonl")
    assert ended.exit_code == 0
    assert ended.stderr.startswith(named)
    assert ended.stderr.count("This row was left out") == 1
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert len(lines) == left
    assert lines[-1]["sender"] == STRANGER
    assert len(lines[-1]["answers"]) == len(QUESTIONS)


@on_sqlite
@pytest.mark.parametrize("key", ["guests", "day", "at"])
def test_an_edited_answer_that_is_not_of_its_kind_is_text(
    party,
    export,
    tmp_path,
    edit,
    key,
):
    attend(party)
    edit(f"UPDATE answers SET value = 'many' WHERE key = '{key}'")
    assert export("party", "--to", str(tmp_path / "party.xlsx")).exit_code == 0
    (names, cells) = openpyxl.load_workbook(tmp_path / "party.xlsx").active.values
    assert dict(zip(names, cells, strict=True))[key] == "many"


# Files and streams ###########################################################


@on_sqlite
@pytest.mark.parametrize(
    ("name", "arguments", "start"),
    [
        ("answers.csv", (), b"conversation,"),
        ("answers.XLSX", (), b"PK"),
        ("answers.jsonl", (), b'{"conversation":1'),
        ("answers", (), b"conversation,"),
        ("answers.csv", ("--format", "jsonl"), b'{"conversation":1'),
    ],
)
def test_the_name_of_a_file_tells_its_format(party, export, tmp_path, name, arguments, start):
    attend(party)
    ended = export("party", "--to", str(tmp_path / name), *arguments)
    assert ended.output == f"Saved 1 conversation to {tmp_path / name}.\n"
    assert (tmp_path / name).read_bytes().startswith(start)
    assert (tmp_path / name).stat().st_mode & 0o077 == 0


@on_sqlite
def test_a_file_that_cannot_be_written_is_a_sentence(party, export, tmp_path):
    ended = export("party", "--to", str(tmp_path / "nowhere" / "x.csv"))
    assert ended.exit_code == os.EX_CONFIG
    assert ended.stderr.startswith(f"{tmp_path}/nowhere/x.csv: No such file or directory. ")


def start(folder: Path, environ: dict[str, str], output: int, errors: int, *arguments: str):
    """The program, with these streams."""
    silence = os.open(os.devnull, os.O_RDONLY)
    command = (str(HERE / "smsconvo.py"), "export", *arguments)
    process = preloaded.Process(folder, environ, command, [silence, output, errors])
    for stream in (silence, output, errors):
        os.close(stream)
    return process


@on_sqlite
@pytest.mark.parametrize("format", ["csv", "xlsx", "jsonl"])
def test_a_reader_that_hangs_up_ends_the_export_quietly(party, folder, environ, format):
    attend(party)
    gone, output = os.pipe()
    os.close(gone)
    said, errors = os.pipe()
    process = start(folder, environ, output, errors, "party", "--format", format)
    assert process.wait(60) == 1
    assert preloaded.read(said) == ""


@on_sqlite
def test_a_terminal_shows_nothing_that_moves_its_cursor(party, folder, environ):
    hold(party.phone(), "Party", "Rey\x1b[2J\u202e")
    (ours, terminal), (said, errors) = os.openpty(), os.pipe()
    process = start(folder, environ, terminal, errors, "party")
    shown = read_terminal(ours)
    assert process.wait(60) == 0
    assert preloaded.read(said) == ""
    assert r"Rey\u001b[2J\u202e" in shown
    assert shown.count("\r\n") == 2


@on_sqlite
def test_a_workbook_is_not_written_to_a_terminal(party, folder, environ):
    (ours, terminal), (said, errors) = os.openpty(), os.pipe()
    process = start(folder, environ, terminal, errors, "party", "--format", "xlsx")
    assert process.wait(60) == os.EX_CONFIG
    assert preloaded.read(said) == "XLSX is no text. Say where to write it: --to FILE.xlsx\n"
    assert read_terminal(ours) == ""


def read_terminal(stream: int) -> str:
    """All that was shown there, until nobody has it open any more."""
    shown = b""
    try:
        while chunk := os.read(stream, 65536):
            shown += chunk
    except OSError:  # how a terminal ends
        pass
    os.close(stream)
    return shown.decode()


# Many ########################################################################

MANY = """
WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
INSERT INTO conversations (id, token, sender, number, questionnaire_id, event, state,
                           message_count, started_at, active_at, expires_at, ended_at, unread)
SELECT n, 'token' || n, sender, number, questionnaire_id, event, state,
       message_count, started_at, active_at, expires_at, ended_at, unread
FROM numbers CROSS JOIN conversations WHERE conversations.id = 1
"""
THEIR_ANSWERS = """
INSERT INTO answers (conversation_id, key, question, text, value, message_id, answered_at)
SELECT conversations.id, key, question, text, value, message_id, answered_at
FROM answers CROSS JOIN conversations
WHERE answers.conversation_id = 1 AND conversations.id BETWEEN {first} AND {last}
"""


def copy_conversation(database_url: str, first: int, last: int) -> None:
    """Copies of the first conversation with its answers, under these ids."""
    for statement in (MANY, THEIR_ANSWERS):
        change(database_url, statement.format(first=first, last=last))


def test_an_export_takes_page_after_page_and_reads_in_none_of_them_for_long(
    party, database_url, rows
):
    attend(party)
    copy_conversation(database_url, 10, 2 * PAGE_SIZE + 20)
    found = rows("party")
    ids = [1, *range(10, 2 * PAGE_SIZE + 21)]
    assert [int(row["conversation"]) for row in found] == ids
    assert {row["at"] for row in found} == {"12:00"}
    with connect(database_url) as database:
        reading = iter(Export(database, Selection(), {}))
        assert [next(reading).id for _ in range(PAGE_SIZE + 1)] == ids[: PAGE_SIZE + 1]
        assert connections(database) == 0
        with ExitStack() as reports:  # all are free: one that is not would take five seconds
            for _ in range(MAX_REPORTS):
                reports.enter_context(database.report())
        assert len(list(reading)) == len(ids) - PAGE_SIZE - 1


def connections(database: Database) -> int:
    """How many are in use: one that is may hold a transaction open."""
    return database.engine.pool.checkedout()


@pytest.mark.long
@on_sqlite
@pytest.mark.parametrize("format", ["csv", "xlsx"])
def test_an_export_needs_no_more_memory_for_much(party, folder, environ, database_url, format):
    attend(party)
    copy_conversation(database_url, 2, 1_000)
    command = ["export", "party", "--format", format]
    few = measure_memory(folder, environ, *command)
    copy_conversation(database_url, 1_001, 9_000)
    many = measure_memory(folder, environ, *command)
    assert many < few + 8 * 1024


# Figures #####################################################################

WORDS = ["Blue", "=1+1", "-5", 'Ann, "Bob"', "two\nlines", "🍕", "مرحبا", "skip", "back", "stop"]
WORDS += ["1", "2 and 3", "pizza", "noon", "9pm", "tomorrow", "2026-12-24", "4,5", "@home", "Party"]


@pytest.fixture
def crowd(party) -> Webhook:
    """Guests who text at random, some to the end."""
    chance = random.Random(17)
    for guest in range(20):
        phone = party.phone(f"+141555501{guest:02}")
        hold(phone, "Party", *chance.choices(WORDS, k=chance.randrange(3, 9)))
        if guest % 5 == 0:
            party.clock.pass_(hours=3)
            expire_silent(party.app.database, party.clock.now)
    attend(party)
    return party


def test_exports_say_what_sql_says(crowd, rows):
    long, wide = rows("--long", "--raw"), rows("party", "--raw")
    answers = "SELECT conversation, sender, name, event, questionnaire, key, question, text, value"
    expected = crowd.rows(f"{answers} FROM results ORDER BY conversation, key")
    names = answers.removeprefix("SELECT ").split(", ")
    found = [tuple(row[name] for name in names) for row in long]
    assert sorted(found) == sorted(
        tuple("" if x is None else str(x) for x in row) for row in expected
    )
    assert len(found) > 40

    counts = dict(crowd.rows("SELECT state, count(*) FROM conversations GROUP BY state"))
    assert Counter(row["state"] for row in wide) == counts
    assert counts.keys() == {"open", "completed", "stopped", "expired"}
    for key in QUESTIONS:
        of_key = f"FROM answers WHERE key = '{key}' AND value IS NOT NULL"
        expected = dict(crowd.rows(f"SELECT value, count(*) {of_key} GROUP BY value"))
        assert Counter(row[key] for row in wide if row[key]) == expected


@on_postgresql
def test_a_text_with_a_nul_is_exported_as_it_came(party, rows):
    hold(party.phone(), "Party", "Rey\x00!")
    assert rows("party")[0]["who"] == "Rey\x00!"


def test_the_program_exports(party, folder, environ):
    attend(party)
    ended = run(folder, environ, "export", "party", "--long")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.count("\n") == 1 + len(QUESTIONS)
