"""Rows as operators leave them: what cannot be read concerns its own sender only."""

import json
import sys
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
import requests
import sqlalchemy as sa
from browsing import Browser
from click.testing import CliRunner
from conftest import FEEDBACK, NUMBER, QUESTIONS, REY, STRANGER, THANKS, Handset, Webhook

from commands import cli
from logs import JsonFormatter
from models import Conversation, Message
from models.dialog import DialogStep
from models.set_aside import MAX_SORRY, SORRY
from phone import new_sid
from storage.base import Base, Statement
from storage.sqlite_connection import sqlite3  # two copies of SQLite in one process share no locks
from worker.expiry import EXPIRED_AT_ONCE, ExpireSilent, expire_silent
from worker.results import claim_due, run_attempt

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")


@pytest.fixture
def edit(database_url) -> Callable:
    """Execute SQL as an operator would, in another program that enforces no foreign keys."""
    if database_url.startswith("postgresql"):
        return lambda *arguments: execute_postgresql(database_url, *arguments)
    return lambda *arguments: execute_sqlite(database_url.removeprefix("sqlite:///"), *arguments)


def execute_postgresql(url: str, statement: str, *values: object) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.replace("?", "%s"), values)


def execute_sqlite(path: str, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@pytest.fixture
def edit_before(edit, database_url) -> Callable:
    """The same, as if it had been before the database checked what is written into it."""
    if database_url.startswith("postgresql"):
        return edit
    return lambda *arguments: execute_unchecked(database_url.removeprefix("sqlite:///"), *arguments)


def execute_unchecked(path: str, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        found = connection.execute(triggers).fetchall()
        for name, _ in found:
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement, values)
        for _, sql in found:
            connection.execute(sql)


@pytest.fixture
def owing(serve, questionnaires, receiver) -> Webhook:
    """The app with a questionnaire that has results."""
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    return serve()


def open_conversation(phone: Handset, answers: int = 0) -> None:
    for body in TEXTS[: answers + 1]:
        assert phone.text(body) != []


def logged(caplog) -> list[dict]:
    """The lines of the log, as they are on stderr."""
    return [json.loads(JsonFormatter().format(record)) for record in caplog.records]


def unreadable(caplog) -> list[str]:
    """What the log says of such rows."""
    lines = [line for line in logged(caplog) if line["event"] in ("unreadable", "log")]
    assert all((line["event"], line["level"]) == ("unreadable", "error") for line in lines), lines
    return [f"{each['table']} {each['id']}: {each['column']} {each['why']}" for each in lines]


def health(webhook: Webhook) -> tuple[int, dict]:
    answer = requests.get(f"{webhook.app.settings.public_url}/healthz", timeout=10)
    return answer.status_code, answer.json()


def deliver(webhook: Webhook) -> list[int]:
    """Deliver all that is due; the ids."""
    app, sent = webhook.app, []
    while claimed := claim_due(app.database, webhook.clock(), 16):
        for delivery in claimed:
            run_attempt(app.database, app.settings, delivery, webhook.clock)
            sent.append(delivery.id)
    return sent


# A text whose conversation cannot be read ####################################

NO_QUESTION = "UPDATE conversations SET asking = 'colour' WHERE id = 1"
BROKEN = {
    NO_QUESTION: "conversations 1: asking names no question of its questionnaire",
    "UPDATE conversations SET asked = NULL WHERE id = 1": "conversations 1: asked is empty,"
    " though something is asked",
    "UPDATE questionnaires SET definition = '{\"title\": 7}'": "questionnaires 1: definition is"
    " no questionnaire",
    "UPDATE questionnaires SET definition = '{}' WHERE id = 1": "questionnaires 1: definition is"
    " no questionnaire",
}
BROKEN_ON_SQLITE = {
    "DELETE FROM questionnaires": "conversations 1: questionnaire_id names no questionnaire",
    "UPDATE questionnaires SET definition = ''": "questionnaires 1: definition is no questionnaire",
    "UPDATE conversations SET expires_at = 'soon' WHERE id = 1": "conversations 1: expires_at is"
    " no time",
    "UPDATE conversations SET active_at = '' WHERE id = 1": "conversations 1: active_at is no time",
    "UPDATE conversations SET message_count = 'three' WHERE id = 1": "conversations 1:"
    " message_count is no number",
    "UPDATE conversations SET event = x'00ff' WHERE id = 1": "conversations 1: event is no text",
    "UPDATE conversations SET event = CAST(x'c3' AS TEXT) WHERE id = 1": "conversations 1:"
    " event is no text",
    "UPDATE answers SET answered_at = 'yesterday' WHERE id = 1": "answers 1: answered_at is"
    " no time",
}


def assert_set_aside(webhook: Webhook, edit: Callable, caplog, statement: str, line: str) -> None:
    phone, other = webhook.phone(), webhook.phone(STRANGER)
    open_conversation(phone, 1)
    before = webhook.rows("SELECT * FROM conversations ORDER BY id")
    edit(statement)
    for _ in range(2):
        assert phone.text("Pizza") == [SORRY]
    if "questionnaires" not in statement:
        open_conversation(other, 4)
    assert unreadable(caplog) == [line]
    status, told = health(webhook)
    assert (status, told["rows"]["unreadable"]) == (200, [line])
    said = webhook.rows("SELECT body, read_as, conversation_id FROM messages WHERE sid IS NOT NULL")
    assert said.count(("Pizza", "set aside", 1)) == 2
    after = webhook.rows("SELECT message_count FROM conversations WHERE id = 1")
    assert "message_count" in statement or after == [(2,)]
    assert len(before) == 1


@pytest.mark.parametrize("statement", BROKEN)
def test_a_text_whose_conversation_cannot_be_read_is_set_aside(webhook, edit, caplog, statement):
    assert_set_aside(webhook, edit, caplog, statement, BROKEN[statement])


@on_sqlite
@pytest.mark.parametrize("statement", BROKEN_ON_SQLITE)
def test_so_is_one_with_what_only_sqlite_holds(webhook, edit_before, caplog, statement):
    assert_set_aside(webhook, edit_before, caplog, statement, BROKEN_ON_SQLITE[statement])


def test_what_is_in_a_cell_is_never_told(webhook, edit, caplog):
    phone = webhook.phone()
    open_conversation(phone)
    edit("UPDATE conversations SET asking = 'a secret'")
    phone.text("Blue")
    assert "a secret" not in json.dumps([record.__dict__ for record in caplog.records], default=str)
    assert "a secret" not in json.dumps(health(webhook))


def test_when_the_row_is_corrected_the_next_text_goes_on(webhook, edit):
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit(NO_QUESTION)
    assert phone.text("Pizza") == [SORRY]
    edit("UPDATE conversations SET asking = 'Question2' WHERE id = 1")
    assert phone.text("Pizza") == [QUESTIONS[2]]
    assert health(webhook)[1]["rows"] == {"ok": True, "unreadable": [], "count": 0}


def test_a_text_that_comes_again_gets_the_same(webhook, edit):
    phone, sid = webhook.phone(), new_sid()
    open_conversation(phone, 1)
    edit(NO_QUESTION)
    answers = []
    for _ in range(3):
        assert phone.text("Pizza", sid=sid) == [SORRY]
        answers.append((phone.last.content, phone.last.headers.get("Set-Cookie")))
    assert len(set(answers)) == 1
    edit("UPDATE conversations SET asking = 'Question2' WHERE id = 1")
    assert phone.text("Pizza", sid=sid) == [SORRY]


def test_two_machines_do_not_talk_for_ever(webhook, edit):
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit(NO_QUESTION)
    replies = [phone.text(f"Beep {n}") for n in range(MAX_SORRY + 2)]
    assert replies == [[SORRY]] * MAX_SORRY + [[]] * 2


def test_what_is_no_answer_gets_no_apology(webhook, edit):
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit(NO_QUESTION)
    assert phone.text("Liked “What about to Drink?”") == []
    assert phone.text("") == phone.text("HELP") == []


def test_a_conversation_that_is_over_keeps_no_other_from_beginning(webhook, edit):
    phone = webhook.phone()
    open_conversation(phone, 4)
    edit("UPDATE conversations SET asking = 'colour' WHERE id = 1")
    assert phone.text("Mats BBQ") == [QUESTIONS[0]]
    assert phone.text("Blue") == [QUESTIONS[1]]


def test_stop_counts_whatever_cannot_be_read(webhook, edit, clock):
    phone, elsewhere = webhook.phone(), webhook.phone(number="+14155550111")
    open_conversation(elsewhere)
    open_conversation(phone, 1)
    edit("UPDATE conversations SET asking = 'colour' WHERE id = 2")
    assert phone.text("STOP") == []
    assert webhook.rows("SELECT count(opted_out_at) FROM contacts") == [(1,)]
    assert webhook.rows("SELECT id, state FROM conversations ORDER BY id") == [
        (1, "stopped"),
        (2, "open"),
    ]
    assert phone.text("Pizza") == []
    edit("UPDATE conversations SET asking = 'Question2' WHERE id = 2")
    assert phone.text("Pizza") == []
    assert phone.text("START") == []
    assert phone.text("Pizza") == [QUESTIONS[2]]


# What was said before, where that cannot be read ##############################

NOT_UTF8 = ["x'c3'", "CAST(x'c3' AS TEXT)"]
LIKED = f"Liked “{QUESTIONS[1]}”"


@on_sqlite
@pytest.mark.parametrize("cell", NOT_UTF8)
@pytest.mark.parametrize(
    ("column", "id", "body", "reply"),
    [
        ("read_as", 3, "BACK", QUESTIONS[0]),
        ("read_as", 3, "RESTART", QUESTIONS[0]),
        ("body", 2, "Spaghetti with tomatoes", QUESTIONS[2]),
    ],
)
def test_a_text_is_answered_without_earlier_ones_that_cannot_be_read(
    webhook, edit_before, caplog, cell, column, id, body, reply
):
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit_before(f"UPDATE messages SET {column} = {cell} WHERE id = {id}")
    assert phone.text(body) == [reply]
    assert unreadable(caplog) == [f"messages {id}: {column} is no text"]


@on_sqlite
@pytest.mark.parametrize("cell", NOT_UTF8)
def test_a_text_is_set_aside_whatever_earlier_ones_were_read_as(webhook, edit_before, caplog, cell):
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit_before(NO_QUESTION)
    edit_before(f"UPDATE messages SET read_as = {cell} WHERE id = 3")
    replies = [phone.text(body) for body in ("Pizza", "BACK", "Pizza", "Pizza", LIKED)]
    assert replies == [[SORRY]] * MAX_SORRY + [[]] * 2
    assert set(unreadable(caplog)) == {
        "conversations 1: asking names no question of its questionnaire",
        "messages 3: read_as is no text",
    }


@on_sqlite
@pytest.mark.parametrize("cell", NOT_UTF8)
def test_a_reply_goes_out_though_its_token_cannot_be_read(webhook, edit_before, caplog, cell):
    phone, sid = webhook.phone(), new_sid()
    open_conversation(phone, 1)
    edit_before(f"UPDATE conversations SET token = {cell}")
    answers = [phone.text("Pizza", sid=sid) for _ in range(2)]
    assert answers == [[SORRY]] * 2
    assert unreadable(caplog) == ["conversations 1: token is no text"]


# A contact that cannot be read ###############################################


@on_sqlite
@pytest.mark.parametrize("cell", ["'yes'", "''", "x'00'"])
def test_who_may_have_opted_out_gets_no_reply(webhook, edit_before, caplog, cell):
    phone = webhook.phone()
    open_conversation(phone)
    edit_before(f"UPDATE contacts SET opted_out_at = {cell}")
    assert phone.text("Blue") == phone.text("Mats BBQ") == []
    assert unreadable(caplog)[0] == "contacts 1: opted_out_at is no time"
    read_as = webhook.rows("SELECT read_as FROM messages WHERE direction = 'inbound' ORDER BY id")
    assert read_as[1:] == [("set aside",)] * 2
    open_conversation(webhook.phone(STRANGER), 4)


@on_sqlite
def test_stop_and_start_correct_what_cannot_be_read(webhook, edit_before):
    phone = webhook.phone()
    open_conversation(phone)
    edit_before("UPDATE contacts SET opted_out_at = 'yes'")
    assert phone.text("STOP") == []
    assert webhook.rows("SELECT opted_out_at FROM contacts") == [("2026-11-20T12:00:00.000000Z",)]
    edit_before("UPDATE contacts SET opted_out_at = 'no'")
    assert phone.text("START") == []
    assert webhook.rows("SELECT opted_out_at FROM contacts") == [(None,)]
    assert phone.text("Mats BBQ") == [QUESTIONS[0]]


@on_sqlite
@pytest.mark.parametrize("body", ["STOP", "START"])
def test_so_they_do_what_perhaps_opted_out(webhook, edit_before, body):
    phone = webhook.phone()
    open_conversation(phone)
    edit_before("UPDATE contacts SET perhaps_opted_out_at = 'perhaps'")
    assert phone.text("Blue") == phone.text(body) == []
    assert webhook.rows("SELECT perhaps_opted_out_at FROM contacts") == [(None,)]


@on_sqlite
def test_a_contact_that_cannot_be_read_concerns_no_other_channel(webhook, edit_before, caplog):
    open_conversation(webhook.phone())
    edit_before("UPDATE contacts SET opted_out_at = 'yes'")
    open_conversation(webhook.phone(f"whatsapp:{REY}"), 4)
    assert unreadable(caplog) == ["contacts 1: opted_out_at is no time"]


@on_sqlite
@pytest.mark.parametrize("body", ["STOP", "no more texts"])
def test_whoever_opts_out_from_another_address_stops_what_cannot_be_read(
    webhook, edit_before, body
):
    id = "whatsapp:US.1234"
    webhook.phone(f"whatsapp:{REY}").text("Mats BBQ", ExternalUserId=id)
    edit_before("UPDATE contacts SET opted_out_at = 'yes'")
    assert webhook.phone(id).text(body) == []
    assert webhook.rows("SELECT state FROM conversations") == [("stopped",)]
    assert webhook.rows("SELECT count(opted_out_at) FROM contacts") == [(1,)]


def test_words_of_a_file_opt_out_though_the_conversation_cannot_be_read(
    serve, questionnaires, edit
):
    stop = '\n[say]\nstop = ["Enough of this"]\nstopped = "Bye."\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + stop, "utf-8")
    webhook = serve()
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit(NO_QUESTION)
    assert phone.text("Enough of this!") != [SORRY]
    assert webhook.rows("SELECT count(opted_out_at) FROM contacts") == [(1,)]
    assert phone.text("Pizza") == []


@on_sqlite
def test_a_contact_that_was_deleted_is_made_anew(webhook, edit):
    phone = webhook.phone()
    open_conversation(phone)
    edit("DELETE FROM contacts")
    assert phone.text("Blue") == [QUESTIONS[1]]


@on_sqlite
def test_a_report_of_a_reply_that_cannot_be_read_names_its_row(webhook, edit_before, caplog):
    phone = webhook.phone()
    open_conversation(phone)
    edit_before("UPDATE messages SET created_at = 'then' WHERE direction = 'outbound'")
    assert phone.report(phone.last.replies[0], "delivered") == 500
    assert unreadable(caplog) == ["messages 2: created_at is no time"]


# A mistake of ours ###########################################################


def divide_by_zero(*_: object) -> None:
    raise ZeroDivisionError("a secret")


def test_a_text_that_deciding_fails_for_is_set_aside(webhook, patch, caplog):
    phone, other = webhook.phone(), webhook.phone(STRANGER)
    open_conversation(phone)
    patch(DialogStep, "advance", divide_by_zero)
    sid = new_sid()
    assert phone.text("Blue", sid=sid) == [SORRY]
    assert other.text("Mats BBQ") == [SORRY]
    (record, *_) = [each for each in caplog.records if each.message == "undecided"]
    assert record.fields["why"].startswith("ZeroDivisionError in ")
    assert "a secret" not in json.dumps(record.fields)
    patch.undo()
    assert phone.text("Blue", sid=sid) == [SORRY]
    assert phone.text("Blue") == [QUESTIONS[1]]


def test_a_text_whose_changes_cannot_be_saved_is_set_aside(webhook, patch):
    phone = webhook.phone()
    open_conversation(phone)
    patch(Conversation, "touch", lambda self, now: setattr(self, "message_count", 2**70))
    assert phone.text("Blue") == [SORRY]
    patch.undo()
    assert phone.text("Blue") == [QUESTIONS[1]]


def test_machines_that_have_no_conversation_do_not_talk_for_ever_either(webhook, patch):
    phone, sid = webhook.phone(), new_sid()
    patch(DialogStep, "advance", divide_by_zero)
    assert phone.text("Mats BBQ", sid=sid) == phone.text("Mats BBQ", sid=sid) == [SORRY]
    assert [phone.text("Mats BBQ") for _ in range(MAX_SORRY)] == [[]] * MAX_SORRY
    patch.undo()
    assert phone.text("Mats BBQ") == [QUESTIONS[0]]


def test_a_text_that_cannot_be_set_aside_either_is_recorded(webhook, patch, caplog):
    phone, sid = webhook.phone(), new_sid()
    open_conversation(phone)
    patch(DialogStep, "advance", divide_by_zero)
    patch(Message, "find_recent_readings", divide_by_zero)
    assert phone.text("Blue", sid=sid) == phone.text("Blue", sid=sid) == []
    said = webhook.rows("SELECT body, read_as FROM messages WHERE direction = 'inbound'")
    assert said == [("Mats BBQ", "opening"), ("Blue", "set aside")]
    assert [line["event"] for line in logged(caplog)].count("undecided") > 0
    patch(Base, "copy", divide_by_zero)
    assert phone.text("STOP") == []
    assert webhook.rows("SELECT count(opted_out_at) FROM contacts") == [(1,)]
    patch.undo()
    assert phone.text("Blue") == []
    phone.text("START")
    assert phone.text("Blue") == [QUESTIONS[1]]


def test_stop_counts_whatever_fails(webhook, patch):
    phone = webhook.phone()
    open_conversation(phone)
    patch(Conversation, "stop", divide_by_zero)
    assert phone.text("STOP") == []
    assert webhook.rows("SELECT count(opted_out_at) FROM contacts") == [(1,)]


def test_an_opting_out_ends_all_whatever_else_a_text_may_be(webhook, patch):
    phone = webhook.phone()
    open_conversation(phone)
    patch("models.noise", "is_reaction", divide_by_zero)
    assert phone.text("Blue, please") == [SORRY]
    assert webhook.rows("SELECT state FROM conversations") == [("open",)]
    (confirmation,) = phone.text("Stop texting me please")
    assert confirmation != SORRY
    assert webhook.rows("SELECT state FROM conversations") == [("stopped",)]
    assert phone.text("And now?") == []
    last = webhook.rows("SELECT read_as FROM messages ORDER BY id DESC LIMIT 1")
    assert last == [("opted out",)]


def test_a_conversation_that_was_opened_again_beside_a_newer_one_is_named(webhook, edit, caplog):
    phone = webhook.phone()
    open_conversation(phone, 4)
    webhook.clock.pass_(hours=5)
    open_conversation(phone, 4)
    edit("UPDATE conversations SET state = 'open' WHERE id = 1")
    webhook.clock.pass_(hours=5)
    assert phone.text("Mats BBQ") == [SORRY]
    assert unreadable(caplog) == ["conversations 1: state is open, though there is a newer one"]


# Others ######################################################################


@on_sqlite
def test_the_rows_of_a_deleted_conversation_are_nobody_elses(webhook, edit):
    open_conversation(webhook.phone(), 2)
    edit("DELETE FROM conversations")
    other = webhook.phone(STRANGER)
    assert [other.text(body) for body in TEXTS] == [[each] for each in (*QUESTIONS, THANKS)]
    mine = webhook.rows("SELECT text FROM answers WHERE conversation_id = 2 ORDER BY id")
    assert [text for (text,) in mine] == list(TEXTS[1:])


def test_a_definition_that_cannot_be_read_is_nothing_to_whoever_comes_new(webhook, edit):
    phone, other = webhook.phone(), webhook.phone(STRANGER)
    open_conversation(phone)
    edit("UPDATE questionnaires SET definition = '{}'")
    assert phone.text("Blue") == [SORRY]
    assert [other.text(body) for body in TEXTS] == [[each] for each in (*QUESTIONS, THANKS)]
    assert phone.text("Blue") == [QUESTIONS[1]]  # it is the same questionnaire, repaired


# Times #######################################################################


@on_sqlite
@pytest.mark.parametrize("written", ["2026-11-20 13:00:00", "2026-11-20T15:00+02:00"])
def test_a_time_without_a_zone_is_utc(webhook, edit, clock, written):
    phone = webhook.phone()
    open_conversation(phone)
    edit("UPDATE conversations SET expires_at = ?", written)
    assert webhook.rows("SELECT expires_at FROM conversations") == [
        ("2026-11-20T13:00:00.000000Z",)
    ]
    clock.pass_(minutes=59)
    expire_silent(webhook.app.database, clock())
    assert webhook.rows("SELECT state FROM conversations") == [("open",)]
    clock.pass_(minutes=2)
    expire_silent(webhook.app.database, clock())
    assert webhook.rows("SELECT state, ended_at FROM conversations") == [
        ("expired", "2026-11-20T13:00:00.000000Z")
    ]


@on_sqlite
def test_a_time_without_a_zone_from_before_is_utc(webhook, edit_before, clock):
    phone = webhook.phone()
    open_conversation(phone)
    edit_before("UPDATE conversations SET expires_at = '2026-11-20 13:00:00'")
    clock.pass_(minutes=59)
    assert phone.text("Blue") == [QUESTIONS[1]]


# Jobs ########################################################################


@on_sqlite
def test_what_cannot_be_ended_holds_up_nothing_else(webhook, edit_before, clock, caplog, patch):
    bad = EXPIRED_AT_ONCE + 10
    for n in range(bad + 1):
        webhook.phone(f"+1415{n:07}").text("Mats BBQ")
        clock.pass_(seconds=1)
    edit_before("UPDATE conversations SET active_at = 'soon' WHERE id BETWEEN 11 AND ?", bad)
    edit_before("UPDATE conversations SET asking = 'colour' WHERE id BETWEEN 6 AND 10")
    edit_before("DELETE FROM contacts WHERE id BETWEEN 1 AND 5")
    clock.pass_(hours=5)
    job = ExpireSilent(webhook.app.database)
    while job.run(clock()):
        pass
    states = webhook.rows("SELECT id FROM conversations WHERE state = 'expired'")
    assert states == [(bad + 1,)]
    named = unreadable(caplog)
    assert len(named) == bad
    assert named[0] == "conversations 1: sender names no contact"
    assert named[5] == "conversations 6: asking names no question of its questionnaire"
    assert named[-1] == f"conversations {bad}: active_at is no time"
    assert job.run(clock()) is False
    edit_before("UPDATE conversations SET asking = 'Question1' WHERE id = 6")
    patch("worker.expiry", "RETRY_SECONDS", 0)
    job = ExpireSilent(webhook.app.database)
    while job.run(clock()):
        patch("worker.expiry", "RETRY_SECONDS", 60)
    assert webhook.rows("SELECT state FROM conversations WHERE id = 6") == [("expired",)]


@on_sqlite
@pytest.mark.parametrize("cell", ["'soon'", "x'ff'", "'7'", "''"])
def test_a_time_that_sorts_anywhere_is_named_before_its_sender_texts(
    webhook, edit_before, clock, caplog, cell
):
    open_conversation(webhook.phone())
    edit_before(f"UPDATE conversations SET expires_at = {cell}")
    expire_silent(webhook.app.database, clock())
    assert unreadable(caplog) == ["conversations 1: expires_at is no time"]


def test_what_fails_to_end_holds_up_nothing_else(owing, patch, clock, caplog):
    for sender in (REY, STRANGER):
        open_conversation(owing.phone(sender))
    clock.pass_(hours=5)
    end = Conversation.end

    def fail_for_rey(conversation: Conversation, *arguments: object) -> object:
        return divide_by_zero() if conversation.sender == REY else end(conversation, *arguments)

    patch(Conversation, "end", fail_for_rey)
    expire_silent(owing.app.database, clock())
    assert owing.rows("SELECT state FROM conversations ORDER BY id") == [("open",), ("expired",)]
    assert unreadable(caplog) == ["conversations 1: state led to an error: see the log"]


@on_sqlite
@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("attempts = 'three'", "Its attempts is no number. Look at it, then retry."),
        ("leased_until = 'soon'", "Its leased_until is no time. Look at it, then retry."),
        ("next_attempt_at = 'soon'", "Its next_attempt_at is no time. Look at it, then retry."),
        ("next_attempt_at = ''", "Its next_attempt_at is no time. Look at it, then retry."),
        ("created_at = 'today'", "Its created_at is no time. Look at it, then retry."),
        ("payload = x'ff'", "Its payload is no text. Correct that, then retry."),
    ],
)
def test_a_result_that_cannot_be_read_is_given_up_and_the_others_are_sent(
    owing, edit_before, receiver, caplog, cell, why
):
    for n in range(8):
        open_conversation(owing.phone(f"+1415{n:07}"), 4)
    payload = owing.rows("SELECT payload FROM outbox WHERE id = 1")[0][0]
    edit_before(f"UPDATE outbox SET {cell} WHERE id <= 6")
    assert deliver(owing) == [7, 8]
    found = owing.rows("SELECT state, last_error FROM outbox ORDER BY id")
    assert found == [("failed", why)] * 6 + [("delivered", None)] * 2
    assert len(unreadable(caplog)) == 6
    edit_before("UPDATE outbox SET payload = ? WHERE id = 1", payload)
    ended = command(owing, "outbox", "retry", "1")
    assert ended.stdout == "To be tried again now: 1.\n"
    assert deliver(owing) == [1]


# Commands ####################################################################


def command(webhook: Webhook, *arguments: str):
    settings = webhook.app.settings
    environ = {
        "DATABASE_URL": settings.database_url,
        "SMSCONVO_QUESTIONNAIRES": str(settings.questionnaires),
        "SMSCONVO_PEOPLE": str(settings.people),
    }
    return CliRunner().invoke(cli, list(arguments), env=environ)


@on_sqlite
def test_outbox_names_what_it_cannot_read_and_lists_the_rest(owing, edit_before):
    for sender in (REY, STRANGER):
        open_conversation(owing.phone(sender), 4)
    edit_before("UPDATE outbox SET attempts = 'three' WHERE id = 1")
    ended = command(owing, "outbox")
    assert ended.exit_code == 0
    assert "outbox 1: attempts is no number. This row was left out" in ended.stderr
    assert ended.stdout.startswith("2  pending, 0 attempts")


@on_sqlite
@pytest.mark.parametrize("cell", NOT_UTF8)
def test_outbox_lists_the_rest_when_a_url_cannot_be_read(owing, edit_before, cell):
    for sender in (REY, STRANGER):
        open_conversation(owing.phone(sender), 4)
    edit_before(f"UPDATE outbox SET url = {cell}, state = 'failed', last_status = 410 WHERE id = 1")
    ended = command(owing, "outbox")
    assert ended.exit_code == 0
    assert "outbox 1: url is no text. This row was left out" in ended.stderr
    assert ended.stdout.startswith("2  pending, 0 attempts")


def selected(statement: Statement) -> list[sa.Column]:
    """The columns of tables that a statement selects; one that is read without a type is none."""
    columns = getattr(statement._statement, "selected_columns", ())
    return [column for column in columns if getattr(column, "table", None) is not None]


def test_whatever_is_selected_has_the_id_of_its_row_beside_it():
    """Or no line could name the row."""
    modules = [module for name, module in sys.modules.items() if name.startswith("models.")]
    values = [value for module in modules for value in vars(module).values()]
    statements = [
        each
        for value in values
        for each in (value if isinstance(value, list) else [value])
        if isinstance(each, Statement)
    ]
    assert len(statements) > 20
    for statement in statements:
        columns = selected(statement)
        named = {column.table for column in columns if column.key == "id"}
        assert {column.table for column in columns} == named, statement._statement


# Times as somebody may have written them: in another zone, as none, and where the calendar ends.
TIMES = ("2026-03-01T10:00:00+02:00", "9999-12-31 23:59:59Z", 5, "soon")
PAGES = ("", "?period=all", "/threads", "/people", "/outbox?state=delivered", "/health")
PAGES += tuple(f"/answers{ending}?questionnaire=feedback" for ending in ("", ".csv", ".xlsx"))
PAGES += tuple(f"/{page}/{id}" for page in ("threads", "outbox") for id in range(1, 5))


TABLES = ("conversations", "messages", "answers", "outbox", "delivery_attempts")


@on_sqlite
def test_no_time_breaks_a_page_or_a_file(owing, questionnaires, edit_before):
    file = questionnaires / "feedback.toml"
    file.write_text('timezone = "Asia/Tokyo"\n' + file.read_text("utf-8"), "utf-8")
    owing.app.files.look(at_once=True)
    for n in range(4):
        open_conversation(owing.phone(f"+1415555000{n}"), 4)
    deliver(owing)
    operator = Browser(owing.app)
    operator.enter()
    columns = [
        column
        for table in Base.metadata.sorted_tables
        for column in table.c
        if isinstance(column.type, sa.DateTime) and table.name in TABLES
    ]
    broken = []
    for column in columns:
        table, name = column.table.name, column.name
        before = owing.rows(f"SELECT {name} FROM {table} ORDER BY id")
        write = f"UPDATE {table} SET {name} = CASE id{{}} {{}} END".format
        edit_before(write(" % 4", "".join(f" WHEN {n} THEN ?" for n in range(4))), *TIMES)
        for page in PAGES:
            answer = operator.get(f"/console{page}")
            if answer.status != 200 or b"This file is incomplete" in answer.content:
                broken.append((table, name, page, answer.status))
        cells = [cell for (cell,) in before]
        edit_before(
            write("", "".join(f" WHEN {n} THEN ?" for n in range(1, len(cells) + 1))), *cells
        )
    assert broken == []


def test_plan_names_what_it_cannot_read_and_goes_on(webhook, edit):
    open_conversation(webhook.phone())
    webhook.phone(STRANGER).text("count")
    edit("UPDATE questionnaires SET definition = '{}' WHERE id = 1")
    ended = command(webhook, "plan")
    assert ended.exit_code == 0, ended.output
    assert "questionnaires 1: definition is no questionnaire. This row was left" in ended.stderr
    assert "counter: as it is in use" in ended.stdout


@on_sqlite
@pytest.mark.parametrize("cell", NOT_UTF8)
def test_plan_and_replay_name_each_row_that_they_leave_out(webhook, edit_before, cell):
    open_conversation(webhook.phone())
    webhook.phone(STRANGER).text("count")
    edit_before(f"UPDATE conversations SET asking = {cell} WHERE id = 1")
    ended = command(webhook, "plan")
    assert (ended.exit_code, ended.stderr) == (0, "")
    edit_before(f"UPDATE questionnaires SET name = {cell} WHERE id = 1")
    edit_before(f"UPDATE messages SET body = {cell} WHERE id = 4")
    ended = command(webhook, "plan")
    assert ended.exit_code == 0
    assert set(ended.stderr.splitlines()) == {
        "questionnaires 1: name is no text. This row was left out; correct it,"
        " or see docs/operating.md."
    }
    ended = command(webhook, "replay")
    assert "conversations 1: asking is no text" in ended.stderr
    assert "messages 4: body is no text" in ended.stderr


def test_replay_names_what_it_cannot_read_and_goes_on(webhook, edit):
    for sender in (REY, STRANGER, "+14155550177"):
        open_conversation(webhook.phone(sender), 4)
    edit("UPDATE conversations SET asking = 'colour' WHERE id = 1")
    edit("UPDATE messages SET params = 'none' WHERE conversation_id = 2")
    ended = command(webhook, "replay")
    assert ended.exit_code == 0, ended.output
    assert "conversations 1: asking names no question" in ended.stderr
    assert "messages " in ended.stderr and "params is no JSON" in ended.stderr
    assert "0 of 5 replies differ, in 1 conversation." in ended.stdout


def test_replay_leaves_out_texts_that_were_set_aside(webhook, edit):
    phone = webhook.phone()
    open_conversation(phone, 1)
    edit(NO_QUESTION)
    assert phone.text("Pizza") == [SORRY]
    edit("UPDATE conversations SET asking = 'Question2' WHERE id = 1")
    for body in TEXTS[2:]:
        phone.text(body)
    assert "0 of 5 replies differ" in command(webhook, "replay").stdout


# What the database refuses ###################################################


REFUSED = [
    "contacts SET opted_out_at = 'yes'",
    "conversations SET expires_at = 'soon'",
    "conversations SET message_count = -1",
    "conversations SET message_count = 9223372036854775807",
    "conversations SET state = 'paused'",
    "answers SET conversation_id = 99",
    "messages SET reply_to_id = 99",
    "messages SET created_at = 'then'",
    "outbox SET attempts = 'three'",
    "outbox SET leased_until = 'soon'",
    "outbox SET next_attempt_at = NULL",
    "outbox SET next_attempt_at = '12:30'",
]


def test_the_database_refuses_what_it_can_check(owing, edit):
    open_conversation(owing.phone(), 4)
    for cell in REFUSED:
        table = cell.partition(" ")[0]
        before = owing.rows(f"SELECT * FROM {table} ORDER BY id")
        with pytest.raises((sqlite3.IntegrityError, psycopg.Error)):
            edit(f"UPDATE {cell}")
            pytest.fail(f"taken: {cell}")
        assert owing.rows(f"SELECT * FROM {table} ORDER BY id") == before, cell


@on_sqlite
@pytest.mark.parametrize(
    "cell",
    [
        "questionnaires SET definition = '{'",
        "outbox SET payload = 'none'",
        "conversations SET id = 99",
        "answers SET id = 99",
    ],
)
def test_sqlite_refuses_more(owing, edit, cell):
    open_conversation(owing.phone(), 4)
    with pytest.raises(sqlite3.IntegrityError):
        edit(f"UPDATE {cell}")


@on_sqlite
def test_a_contact_that_was_added_by_hand_is_read(webhook, edit):
    edit("INSERT INTO contacts (phone, opted_out_at) VALUES (?, datetime('now'))", REY)
    edit("INSERT INTO contacts (phone, opted_out_at) VALUES (?, 'yes')", STRANGER)
    assert webhook.phone().text("Mats BBQ") == webhook.phone(STRANGER).text("Mats BBQ") == []
    assert webhook.phone().text("START") == []
    assert webhook.phone().text("Mats BBQ") == [QUESTIONS[0]]


@on_sqlite
def test_what_was_wrong_before_stays_and_disturbs_neither_changes_nor_backups(
    webhook, edit_before, edit
):
    open_conversation(webhook.phone(), 1)
    edit_before("UPDATE conversations SET started_at = 'soon', message_count = 'three'")
    edit("UPDATE conversations SET number = ?, expires_at = '2026-11-20 13:00:00'", NUMBER)
    assert webhook.rows("SELECT started_at, message_count, expires_at FROM conversations") == [
        ("soon", "three", "2026-11-20T13:00:00.000000Z")
    ]
    webhook.app.database.back_up("bak")
