"""Texts that are decided on beside others who write, and saved together."""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest
from conftest import HANG_SECONDS, QUESTIONS, REY, STRANGER, until
from sqlalchemy import column, text

from models import drafts
from models.drafts import TURNS
from models.engine import respond
from models.set_aside import take
from models.turn import save_all
from phone import new_sid
from resources import LOGGED_DRAFTS
from storage.base import Statement
from storage.batches import Queued
from storage.database_files import WRITE_LOCK
from storage.writer import FileLock

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
GUESTS = [f"+1415867{n:04}" for n in range(20)]


@pytest.fixture(autouse=True)
def all_have_drafts(patch) -> None:
    """Also who waits alone, on SQLite, and who waits for long, on PostgreSQL."""
    patch("storage.writer", "FEWEST_DRAFTS", 1)
    patch("storage.postgresql", "SHARED_SECONDS", HANG_SECONDS)


LATER = "2026-11-20T12:00:00.000000Z"


@pytest.fixture
def decided(patch) -> Counter:
    """How often each text was decided on."""
    count: Counter = Counter()

    def counted(state, text, now):
        count[text.sid] += 1
        return respond(state, text, now)

    patch("models.engine", "respond", counted)
    return count


@pytest.fixture
def taken(patch) -> list[str]:
    """What was taken in the transaction, without a draft that holds."""
    bodies: list[str] = []

    def noted(db, given):
        bodies.append(given.text.body)
        return take(db, given)

    patch("models.drafts", "TURNS", TURNS._replace(write=noted))
    return bodies


@pytest.fixture
def before_save(webhook, patch) -> Callable:
    """`with before_save() as is_reached:` no draft is saved before the end."""
    database = webhook.app.database
    if database.engine.name == "sqlite":
        return lambda: FileLock(database.engine.url.database + WRITE_LOCK)

    @contextmanager
    def pause():
        go_on = Event()

        def save_later(*arguments):
            assert go_on.wait(HANG_SECONDS)
            return TURNS.save_drafts(*arguments)

        patch("models.drafts", "TURNS", drafts.TURNS._replace(save_drafts=save_later))
        try:
            yield
        finally:
            go_on.set()

    return pause


@pytest.fixture
def meanwhile(before_save, decided):
    """`with meanwhile(phone, "Blue") as text:` others write between its draft and its save."""

    @contextmanager
    def text_and_wait(phone, body, **fields):
        with ThreadPoolExecutor() as pool:
            with before_save():
                before = decided.total()
                text: Future = pool.submit(phone.text, body, **fields)
                until(lambda: decided.total() > before)
                yield text
            text.result(30)

    return text_and_wait


@contextmanager
def one_batch(webhook, number):
    """So many texts wait before any is drafted."""
    database = webhook.app.database
    take_batch = one_of_sqlite if database.engine.name == "sqlite" else one_of_postgresql
    with ThreadPoolExecutor(number + 1) as pool, take_batch(database, pool, number):
        yield pool


@contextmanager
def one_of_sqlite(database, pool, number):
    """The writer is kept from its queue."""
    batches = database._writer._batches
    with FileLock(database.engine.url.database + WRITE_LOCK):
        pool.submit(database.write, lambda db: None)
        until(lambda: batches._thread and batches._queue.empty())
        yield
        until(lambda: batches._queue.qsize() == number)


@contextmanager
def one_of_postgresql(database, pool, number):
    """They are collected here."""
    batch, submit = [], database._batches.submit

    def collect(procedure, item):
        batch.append(Queued(procedure, item, Future()))
        return batch[-1].future

    database._batches.submit = collect
    yield
    until(lambda: len(batch) == number)
    database._batches.submit = submit
    database._saver.save(batch)


def edit(webhook, *statements: str) -> None:
    """As another process does."""
    engine = webhook.app.database.engine
    with engine.connect() as connection:
        if engine.name == "sqlite":
            connection.exec_driver_sql("PRAGMA query_only = 0")
        for statement in statements:
            connection.exec_driver_sql(statement)
        if engine.name == "sqlite":
            connection.exec_driver_sql("COMMIT")
        connection.detach()


def inbound(webhook) -> list[tuple]:
    return webhook.rows(
        "SELECT body, read_as FROM messages WHERE direction = 'inbound' ORDER BY id"
    )


OPTED_OUT = f"UPDATE contacts SET opted_out_at = '{LATER}'"
ELSEWHERE = f"INSERT INTO contacts (phone, opted_out_at) VALUES ('whatsapp:{STRANGER}', '{LATER}')"
ANOTHER_QUESTION = "UPDATE conversations SET asking = 'Question1', asked = 'Colour?'"
STOPPED = f"UPDATE conversations SET state = 'stopped', ended_at = '{LATER}'"
REPLACED = [
    STOPPED,
    "INSERT INTO conversations (token, sender, number, questionnaire_id, event, state, unread,"
    " message_count, started_at, active_at, expires_at, asking, asked)"
    " SELECT 'another', sender, number, questionnaire_id, event, 'open', 0,"
    " 1, started_at, active_at, expires_at, 'Question1', 'Colour?' FROM conversations",
]
ANOTHER_ANSWER = "UPDATE answers SET value = 'Red'"
A_TEXT = (
    "INSERT INTO messages (conversation_id, direction, sender, recipient, body, created_at)"
    " SELECT 1, 'inbound', sender, recipient, 'Red', created_at FROM messages WHERE id = 3"
)


COPY_EACH = (
    "CREATE TRIGGER copying AFTER INSERT ON messages WHEN new.direction = 'inbound' BEGIN"
    " INSERT INTO messages (direction, sender, recipient, body, created_at)"
    " VALUES ('outbound', 'us', 'them', 'a copy', new.created_at); END"
)


def test_nothing_is_decided_anew_where_nothing_has_changed(webhook, decided, meanwhile):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    with meanwhile(phone, "Blue") as text:
        edit(webhook, "UPDATE contacts SET name = 'Rey' WHERE id = 0")
    assert text.result() == [QUESTIONS[1]]
    assert set(decided.values()) == {1}


@pytest.mark.parametrize(
    ("changes", "said", "read_as"),
    [
        pytest.param([OPTED_OUT], [], "opted out", id="opted out"),
        pytest.param([ANOTHER_QUESTION], [QUESTIONS[1]], "answer", id="another question"),
        pytest.param([STOPPED], [QUESTIONS[0]], "opening", id="stopped"),
        pytest.param(REPLACED, [QUESTIONS[1]], "answer", id="another conversation"),
        pytest.param([ANOTHER_ANSWER], [QUESTIONS[2]], "answer", id="an answer"),
        pytest.param([A_TEXT], [QUESTIONS[2]], "answer", id="a text"),
    ],
)
def test_a_text_is_decided_anew_where_something_has_changed(
    webhook, decided, meanwhile, changes, said, read_as
):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    phone.text("Blue")
    with meanwhile(phone, "Pizza") as text:
        edit(webhook, *changes)
    assert text.result() == said
    assert inbound(webhook)[-1] == ("Pizza", read_as)
    assert sorted(decided.values()) == [1, 1, 2]


def test_whoever_has_opted_out_from_another_address_meanwhile_gets_nothing(
    webhook, decided, meanwhile
):
    with meanwhile(webhook.phone(STRANGER), "Mats BBQ") as text:
        edit(webhook, ELSEWHERE)
    assert text.result() == []
    assert inbound(webhook) == [("Mats BBQ", "opted out")]
    assert list(decided.values()) == [2]


def test_a_text_that_was_recorded_meanwhile_is_repeated(webhook, decided, meanwhile):
    phone, sid = webhook.phone(), new_sid()
    phone.text("Mats BBQ")
    with meanwhile(phone, "Blue", sid=sid) as text:
        edit(webhook, f"UPDATE messages SET sid = '{sid}' WHERE id = 1")
    assert text.result() == [QUESTIONS[0]]
    assert webhook.rows("SELECT count(*) FROM messages") == [(2,)]
    assert decided[sid] == 1


def test_fifty_texts_of_a_guest_at_once_are_each_decided_at_most_twice(webhook, decided):
    webhook.phone().text("Mats BBQ")
    said = [f"text {n}" for n in range(50)]
    with one_batch(webhook, len(said)) as pool:
        texting = [pool.submit(webhook.phone().text, body) for body in said]
    replies = [reply for text in texting for reply in text.result()]
    assert sorted(body for body, _ in inbound(webhook)) == sorted(["Mats BBQ", *said])
    outbound = webhook.rows("SELECT body FROM messages WHERE direction = 'outbound' ORDER BY id")
    assert Counter((reply,) for reply in [QUESTIONS[0], *replies]) == Counter(outbound)
    assert webhook.rows("SELECT message_count FROM conversations") == [(51,)]
    assert Counter(decided.values()) == {1: 51}


@on_sqlite
@pytest.mark.parametrize("address", [REY, f"whatsapp:{REY}"])
def test_texts_of_a_phone_that_wait_together_are_taken_in_their_order(webhook, address):
    """A keyword has no draft, and yet the text behind it may not be saved before it."""
    queue = webhook.app.database._writer._batches._queue
    webhook.phone().text("Mats BBQ")
    webhook.phone().text("STOP")
    with one_batch(webhook, 2) as pool:
        pool.submit(webhook.phone().text, "START")
        until(lambda: queue.qsize() == 1)
        text = pool.submit(webhook.phone(address).text, "Mats BBQ")
    assert text.result() == [QUESTIONS[0]]


def test_texts_are_decided_on_once_and_saved_together(webhook, decided, taken):
    phones = list(map(webhook.phone, GUESTS))
    for said, answer in zip(("Mats BBQ", "Blue", "Pizza"), QUESTIONS, strict=False):
        with one_batch(webhook, len(phones)) as pool:
            texting = [pool.submit(phone.text, said) for phone in phones]
        assert [text.result() for text in texting] == [[answer]] * len(phones)
    assert set(decided.values()) == {1}
    assert webhook.rows("SELECT count(*), sum(message_count) FROM conversations") == [(20, 60)]
    recorded = {("Mats BBQ", "opening"), ("Blue", "answer"), ("Pizza", "answer")}
    assert set(inbound(webhook)) == recorded
    assert taken == []


@on_sqlite
def test_a_guest_whose_row_cannot_be_read_costs_no_other_a_draft(webhook, taken):
    for guest in GUESTS[:3]:
        webhook.phone(guest).text("Mats BBQ")
    checks = webhook.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    unreadable = "UPDATE conversations SET active_at = 'soon' WHERE id = 1"
    taken.clear()
    edit(webhook, *(f"DROP TRIGGER {name}" for (name,) in checks), unreadable)
    with one_batch(webhook, 3) as pool:
        texting = [pool.submit(webhook.phone(guest).text, "Blue") for guest in GUESTS[:3]]
    assert [text.result() for text in texting][1:] == [[QUESTIONS[1]]] * 2
    assert taken == ["Blue"]


@on_sqlite
def test_ids_are_those_of_the_rows_whatever_triggers_add(webhook, decided):
    """A trigger that adds rows to the same table takes some of the ids."""
    edit(webhook, COPY_EACH)
    phones = list(map(webhook.phone, GUESTS[:4]))
    for said, answer in zip(("Mats BBQ", "Blue"), QUESTIONS, strict=False):
        with one_batch(webhook, len(phones)) as pool:
            texting = [pool.submit(phone.text, said) for phone in phones]
        assert [text.result() for text in texting] == [[answer]] * len(phones)
    replies = webhook.rows(
        "SELECT inbound.sender = outbound.recipient, inbound.direction FROM messages AS outbound"
        " JOIN messages AS inbound ON inbound.id = outbound.reply_to_id"
    )
    assert replies == [(1, "inbound")] * 8
    answered = "SELECT body FROM answers JOIN messages ON messages.id = message_id"
    assert webhook.rows(answered) == [("Blue",)] * 4
    assert set(decided.values()) == {1}


@on_postgresql
def test_who_waits_for_a_lock_keeps_no_other_waiting(webhook, decided, taken):
    phones = list(map(webhook.phone, GUESTS[:3]))
    with one_batch(webhook, 3) as pool:
        opened = [pool.submit(phone.text, "Mats BBQ") for phone in phones]
    assert [text.result() for text in opened] == [[QUESTIONS[0]]] * 3
    with ThreadPoolExecutor(3) as pool, webhook.app.database.engine.connect() as other:
        other = other.execution_options(isolation_level="READ COMMITTED")
        with other.begin():
            lock = f"SELECT id FROM contacts WHERE phone = '{GUESTS[0]}' FOR UPDATE"
            other.exec_driver_sql(lock)
            texts = [pool.submit(phone.text, "Blue") for phone in phones]
            assert [text.result(30) for text in texts[1:]] == [[QUESTIONS[1]]] * 2
            assert not texts[0].done()
        assert texts[0].result(30) == [QUESTIONS[1]]
    assert taken == ["Blue"]


@on_postgresql
def test_a_save_that_fails_costs_no_text(webhook, patch, caplog, taken):
    """One contact comes into being between the comparison and the INSERT: none is saved."""
    phones = list(map(webhook.phone, GUESTS[:3]))
    inserts = [f"INSERT INTO contacts (phone) VALUES ('{GUESTS[0]}')"]

    def fail_first(db, decisions):
        if inserts:
            edit(webhook, inserts.pop())
        return save_all(db, decisions)

    patch("models.turn", "save_all", fail_first)
    with one_batch(webhook, 3) as pool:
        texts = [pool.submit(phone.text, "Mats BBQ") for phone in phones]
    assert [text.result() for text in texts] == [[QUESTIONS[0]]] * 3
    assert set(taken) == {"Mats BBQ"} and len(taken) >= 3
    assert webhook.rows("SELECT count(*), sum(message_count) FROM conversations") == [(3, 3)]
    assert "drafts" not in [record.message for record in caplog.records]  # it is no bug


@on_postgresql
def test_a_text_that_waited_too_long_is_taken_alone_and_only_once(
    webhook, patch, before_save, decided, taken
):
    """The thread goes on, also when all that waits next is awaited by nobody any more."""
    patch("storage.postgresql", "SHARED_SECONDS", 0.2)
    phones = list(map(webhook.phone, GUESTS[:3]))
    with before_save(), ThreadPoolExecutor(3) as pool:
        texts = [pool.submit(phones[0].text, "Mats BBQ")]
        until(lambda: decided)
        texts += [pool.submit(phone.text, "Mats BBQ") for phone in phones[1:]]
        assert [text.result(30) for text in texts] == [[QUESTIONS[0]]] * 3
    until(webhook.app.database._batches._queue.empty)
    assert set(taken) == {"Mats BBQ"}
    patch("storage.postgresql", "SHARED_SECONDS", HANG_SECONDS)
    assert [phone.text("Blue") for phone in phones] == [[QUESTIONS[1]]] * 3
    assert set(taken) == {"Mats BBQ"}
    assert webhook.rows("SELECT count(*), sum(message_count) FROM conversations") == [(3, 6)]


def test_where_drafts_fail_texts_do_not_and_the_log_says_so_once(webhook, patch, caplog):
    wrong = Statement(text("SELECT sid FROM nowhere WHERE sid = :texts").columns(column("sid")))
    LOGGED_DRAFTS.clear()
    patch("models.draft_statements", "CURRENT", wrong)
    phones = list(map(webhook.phone, GUESTS[:3]))
    for _ in range(4):
        with one_batch(webhook, len(phones)) as pool:
            texting = [pool.submit(phone.text, "Mats BBQ") for phone in phones]
        assert all(each.result() for each in texting)
    lines = [record.fields["why"] for record in caplog.records if record.message == "drafts"]
    assert lines and len(lines) == len(set(lines))
    assert all("Error" in line for line in lines)


def test_a_sender_that_no_json_can_hold_costs_no_other_a_draft(webhook, taken):
    phones = [webhook.phone(GUESTS[0]), webhook.phone("rcs:a\0b")]
    with one_batch(webhook, len(phones)) as pool:
        texting = [pool.submit(phone.text, "Mats BBQ") for phone in phones]
    assert [each.result() for each in texting] == [[QUESTIONS[0]]] * 2
    assert taken == ["Mats BBQ"]
