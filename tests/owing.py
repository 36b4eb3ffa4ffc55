"""Results that are owed, as many as a test needs, with nothing about them but that."""

from datetime import UTC, datetime
from functools import partial

from conftest import NUMBER
from sqlalchemy import insert

from models import Contact, Conversation, Delivery, outbox
from models.version import Version
from storage import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAYLOAD = '{"filler": "%s"}' % ("x" * 300)
AT_ONCE = 2_000  # rows of one transaction: on PostgreSQL a statement has five seconds
MANY = """
WITH RECURSIVE numbers(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})
INSERT INTO outbox (conversation_id, webhook_id, url, format, payload, state, attempts,
                    unfinished, next_attempt_at, created_at)
SELECT conversations.id, 'msg_' || n, '{url}', 'json', '{payload}', 'pending', 0,
       0, started_at, started_at
FROM numbers CROSS JOIN conversations WHERE conversations.id = 1
"""


def owe(database: Database, urls: list[str], **values: object) -> None:
    """One result for each URL."""
    owed = {"conversation_id": 1, "format": "json", "payload": "{}"}
    owed |= {"created_at": NOW, "next_attempt_at": NOW} | values

    def work(db, some: list[str]) -> None:
        if not db.get(Conversation, 1):
            add_conversation(db)
        db.execute(insert(Delivery), [owed | {"url": url} for url in some])

    for first in range(0, len(urls), AT_ONCE):
        database.write(partial(work, some=urls[first : first + AT_ONCE]))


def add_conversation(db) -> None:
    Contact(phone="+14155550199").insert(db)
    version = Version(name="feedback", digest="0", definition="{}", created_at=NOW)
    version.insert(db)
    Conversation(
        token="0" * 32,
        sender="+14155550199",
        number=NUMBER,
        questionnaire_id=version.id,
        event="Mats BBQ",
        state="completed",
        message_count=5,
        **dict.fromkeys(("started_at", "active_at", "expires_at", "ended_at"), NOW),
    ).insert(db)


def owe_many(database: Database, count: int, url: str) -> None:
    """So many results for a URL, all due at the same moment."""
    with database.read() as db:
        if not db.get(Conversation, 1):
            database.write(add_conversation)
        before = outbox.count_undelivered(db)
    for first in range(before + 1, before + count + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, before + count)
        statement = MANY.format(first=first, last=last, url=url, payload=PAYLOAD)
        database.write(lambda db, sql=statement: db.connection().exec_driver_sql(sql))


def count(database: Database, condition: str) -> int:
    """The rows of the outbox for which this holds."""
    with database.engine.connect() as connection:
        sql = f"SELECT count(*) FROM outbox WHERE {condition}"
        return connection.exec_driver_sql(sql).scalar_one()
