"""Texts arrive at once: the same one often, many of one sender, on one server and on several.

Each is recorded once and answered alike, and one sender's texts take effect one after the other.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from itertools import cycle
from threading import Barrier
from typing import NamedTuple
from urllib.parse import urlencode

import pytest
from conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FEEDBACK,
    NUMBER,
    QUESTIONS,
    REY,
    THANKS,
    Webhook,
)
from sqlalchemy import select
from sqlalchemy.orm import Session
from twilio.request_validator import RequestValidator

from gateway.webhook import FORM_TYPE
from models import Contact
from models.decision import Decision
from models.turn import Reply, save
from phone import new_sid
from storage.database import Procedure
from storage.sqlite_connection import WRITER_PRAGMAS, sqlite3, sqlite_engine

PUBLIC = "https://sms.example.org"  # of all servers, as behind one proxy: their answers name it
COPIES, THREADS = 10, 16
REPLIES = (*QUESTIONS, THANKS)
GAP_SECONDS = 0.05  # of a weakened server, in which two texts meet for certain, nearly
DISTURBANCES = 20  # at most
VALIDATOR = RequestValidator(AUTH_TOKEN)


class Answer(NamedTuple):
    status: int
    content: bytes
    cookies: tuple[str, ...]


class Text(NamedTuple):
    sender: str
    body: str
    sid: str


@pytest.fixture
def webhooks(serve, questionnaires, database_url) -> list[Webhook]:
    """One server on SQLite, three at one database on PostgreSQL."""
    results = '\n[results]\nurl = "https://example.org/results"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    count = 1 if database_url.startswith("sqlite") else 3
    return [serve(public_url=PUBLIC) for _ in range(count)]


def send(webhook: Webhook, text: Text, path: str = "/sms", **more: str) -> Answer:
    fields = {"MessageSid": text.sid, "AccountSid": ACCOUNT_SID, "From": text.sender}
    fields |= {"To": NUMBER, "Body": text.body} | more
    signature = VALIDATOR.compute_signature(PUBLIC + path, fields)
    headers = {"Content-Type": FORM_TYPE, "X-Twilio-Signature": signature}
    with closing(HTTPConnection(webhook.address, timeout=60)) as connection:
        connection.request("POST", path, urlencode(fields), headers)
        answer = connection.getresponse()
        cookies = answer.headers.get_all("Set-Cookie", ())
        return Answer(answer.status, answer.read(), tuple(cookies))


def storm(webhooks: list[Webhook], texts: list[Text]) -> dict[Text, list[Answer]]:
    """Each text ten times, the copies next to each other, at each server in turn."""
    copies = [text for text in texts for _ in range(COPIES)]
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(send, cycle(webhooks), copies))
    return {text: answers[n * COPIES : (n + 1) * COPIES] for n, text in enumerate(texts)}


def rush(webhooks: list[Webhook], texts: list[Text]) -> dict[Text, list[Answer]]:
    """All texts at the same moment."""
    start = Barrier(len(texts))

    def wait_and_send(webhook: Webhook, text: Text) -> list[Answer]:
        start.wait(30)
        return [send(webhook, text)]

    with ThreadPoolExecutor(len(texts)) as pool:
        return dict(zip(texts, pool.map(wait_and_send, cycle(webhooks), texts), strict=True))


def everything(webhook: Webhook) -> list[list[tuple]]:
    tables = ("contacts", "conversations", "messages", "answers", "outbox", "questionnaires")
    return [webhook.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables]


def audit(webhook: Webhook, heard: dict[Text, list[Answer]]) -> Iterator[str]:
    """What was dropped, doubled or confused; nothing where it is as if one text came at a time."""
    for text, answers in heard.items():
        if {answer.status for answer in answers} != {200}:
            yield f"an answer: {text.body!r} got {sorted(answer.status for answer in answers)}"
        elif len(set(answers)) != 1:
            yield f"an answer: {text.body!r} got {len(set(answers))} different ones"
    yield from _doubled(webhook, heard)
    conversations = webhook.rows("SELECT id, state, message_count FROM conversations ORDER BY id")
    for id, state, count in conversations:
        yield from _out_of_step(webhook, id, state, count)


def _doubled(webhook: Webhook, heard: dict[Text, list[Answer]]) -> Iterator[str]:
    sids = [sid for (sid,) in webhook.rows("SELECT sid FROM messages WHERE direction = 'inbound'")]
    for text in heard:
        if sids.count(text.sid) != 1:
            yield f"a row: {text.body!r} is recorded {sids.count(text.sid)} times"
    for (sender,) in webhook.rows(
        "SELECT sender FROM conversations WHERE state = 'open' GROUP BY sender HAVING count(*) > 1"
    ):
        yield f"a row: two conversations of {sender} are open"


def _out_of_step(webhook: Webhook, id: int, state: str, count: int) -> Iterator[str]:
    """The ids of messages tell the order in which the texts of a conversation took effect."""
    turns = webhook.rows(
        "SELECT text.body, reply.body FROM messages AS text"
        " LEFT JOIN messages AS reply ON reply.reply_to_id = text.id"
        f" WHERE text.direction = 'inbound' AND text.conversation_id = {id} ORDER BY text.id"
    )
    said = [body for body, _ in turns]
    replies = [*REPLIES, *[None] * len(turns)][: len(turns)]
    answers = webhook.rows(f"SELECT text FROM answers WHERE conversation_id = {id} ORDER BY key")
    owed = webhook.rows(f"SELECT id FROM outbox WHERE conversation_id = {id}")
    is_done = len(turns) >= len(REPLIES)
    if [reply for _, reply in turns] != replies:
        yield f"a step: conversation {id} said {[reply for _, reply in turns]}"
    if [text for (text,) in answers] != said[1 : len(REPLIES)]:
        yield f"a step: conversation {id} has the answers {answers} of {said}"
    if count != len(turns) or (state == "completed") != is_done and state != "expired":
        yield f"a step: conversation {id} is {state} with a count of {count} after {len(turns)}"
    if len(owed) != is_done:
        yield f"a step: conversation {id} owes {len(owed)} results"


def test_a_text_that_comes_ten_times_at_once_is_recorded_once_and_answered_alike(
    webhooks, clock, size
):
    heard = {}
    for body in ("Mats BBQ", "Blue"):
        texts = [Text(f"+1415867{n:04}", body, new_sid()) for n in range(size(5, 50))]
        heard |= storm(webhooks, texts)
        assert list(audit(webhooks[0], heard)) == []
    print(f"{sum(map(len, heard.values()))} requests for {len(heard)} texts")
    kept = everything(webhooks[0])
    assert [len(rows) for rows in kept[:4]] == [len(texts), len(texts), 4 * len(texts), len(texts)]
    clock.pass_(days=365)
    failed = {"ErrorCode": "11200", "ErrorUrl": f"{PUBLIC}/sms"}
    for webhook, (text, (answer, *_)) in zip(cycle(webhooks), heard.items(), strict=False):
        assert send(webhook, text) == answer
        assert send(webhook, text, "/sms?fallback=1", **failed) == answer
    assert everything(webhooks[0]) == kept


@pytest.mark.parametrize("earlier, hours", [(0, 0), (1, 0), (1, 4)])
def test_texts_of_one_sender_at_once_are_one_conversation(webhooks, clock, size, earlier, hours):
    """Whether it is new, goes on, or begins again after a silence."""
    heard = {}
    for n in range(earlier):
        heard |= rush(webhooks, [Text(REY, f"earlier {n}", new_sid())])
    clock.pass_(hours=hours)
    texts = [Text(REY, f"text {n}", new_sid()) for n in range(size(12, 50))]
    heard |= rush(webhooks, texts)
    assert list(audit(webhooks[0], heard)) == []
    conversations = webhooks[0].rows("SELECT message_count FROM conversations ORDER BY id")
    counts = [count for (count,) in conversations]
    assert counts == ([1, len(texts)] if hours else [len(texts) + earlier])
    recorded = webhooks[0].rows("SELECT body FROM messages WHERE direction = 'inbound'")
    assert sorted(body for (body,) in recorded) == sorted(text.body for text in heard)


# Guards


def forget_the_index(webhook: Webhook) -> None:
    """Let a sid be recorded twice. SQLite can only make the table anew; it is still empty."""
    engine = webhook.app.database.engine
    if engine.name == "postgresql":
        with engine.begin() as db:
            db.exec_driver_sql("ALTER TABLE messages DROP CONSTRAINT uq_messages_sid")
        return
    with closing(sqlite3.connect(engine.url.database)) as db:
        ((table,),) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'messages'")
        db.execute("DROP TABLE messages")
        db.execute(table.replace("CONSTRAINT uq_messages_sid UNIQUE (sid),", ""))


def forget_the_order(webhook: Webhook, monkeypatch, patch) -> None:
    """Let texts take effect at once: without the lock on the row, or without the one writer."""
    database = webhook.app.database
    if database.engine.name == "postgresql":
        patch(Contact, "find", find_unlocked)
        return

    def write_together(procedure: Procedure, item: object) -> object:
        no_transaction = "SELECT 1"
        engine = sqlite_engine(database.engine.url, WRITER_PRAGMAS, begin=no_transaction)
        try:
            with Session(engine, expire_on_commit=False) as db, db.begin():
                return procedure.write(db, item)
        finally:
            engine.dispose()

    monkeypatch.setattr(database, "write_together", write_together)


def find_unlocked(db: Session, phone: str) -> Contact | None:
    row = db.execute(select(Contact.__table__).where(Contact.phone == phone)).first()
    return row and Contact.from_row(row)


def save_late(db: Session, decision: Decision) -> Reply:
    """Give the other texts that have come the time to be decided on as well."""
    time.sleep(GAP_SECONDS)
    return save(db, decision)


def disturb(webhooks: list[Webhook], kind: Callable, n: int) -> dict[Text, list[Answer]]:
    """Open conversations of the n-th senders one at a time, and then text into them at once."""
    first = [Text(f"+1415{n:03}{m:04}", "Mats BBQ", new_sid()) for m in range(5)]
    for text in first:
        send(webhooks[0], text)
    if kind is storm:
        return storm(webhooks, [text._replace(body="Blue", sid=new_sid()) for text in first])
    return rush(webhooks, [Text(first[0].sender, f"text {m}", new_sid()) for m in range(25)])


@pytest.mark.parametrize("kind, fault", [(storm, "a row"), (rush, "a step")])
def test_a_server_without_the_index_and_the_order_is_noticed(
    webhooks, monkeypatch, patch, kind, fault
):
    forget_the_index(webhooks[0])
    for webhook in webhooks:
        forget_the_order(webhook, monkeypatch, patch)
    patch("models.turn", "save", save_late)
    for n in range(DISTURBANCES):
        found = list(audit(webhooks[0], disturb(webhooks, kind, n)))
        if any(one.startswith(fault) for one in found):
            break
    else:
        pytest.fail(f"No fault in {DISTURBANCES} disturbances.")
    print(f"noticed at disturbance {n + 1}", *found[:5], sep="\n")
