"""A text that nobody sent, to find out whether texts can be recorded; nothing of it stays."""

import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from models.answer import Answer
from models.contact import Contact
from models.conversation import Conversation
from models.delivery import Delivery
from models.message import Message
from models.questionnaire.schema import Questionnaire
from models.version import Version
from storage import is_deterministic
from storage.base import Base, Statement
from storage.database import Database
from storage.versions import check_writable

PREFIX = "+999"  # of numbers that no country has
LOADED = (Contact, Version, Conversation, Answer)  # with each text


def try_recording(database: Database, now: datetime) -> None:
    """Raise what a text would meet: commit a transaction, and write rows and take them back.

    What is committed changes nothing, because rows would use up ids. Rows meet what it does not: a
    table that is missing, or a trigger of the operator's that fails.
    """
    check_writable(database)
    try:
        database.try_out(lambda db: write_rows(db, rows_of_text(now)))
    except Exception as error:
        if not is_deterministic(error):
            raise
        # Then texts are set aside, which takes less.
        database.try_out(lambda db: write_rows(db, rows_of_text(now, is_set_aside=True)))


def write_rows(db: Session, rows: Iterable[Base]) -> None:
    """Write them as texts do, and read again what texts read."""
    for row in rows:
        row.insert(db)
        if isinstance(row, LOADED):
            type(row).first(db, _by_id(type(row)), id=row.id)
        if isinstance(row, Conversation):  # as the next text does
            row.message_count = 1
            row.update(db)


def rows_of_text(now: datetime, is_set_aside: bool = False) -> Iterator[Base]:
    """Rows that nobody else writes, with ids that use up none of the sequences'."""
    id, token = -1 - secrets.randbelow(2**52), secrets.token_hex(16)
    sender, number = f"{PREFIX}{secrets.randbelow(10**11):011}", f"{PREFIX}00000000000"
    yield Contact(id=id, phone=sender)
    text = {"direction": "inbound", "sender": sender, "recipient": number, "body": ""}
    if is_set_aside:
        yield Message(id=id, sid=token, created_at=now, **text)
        return
    definition = Questionnaire(title="(trial)")
    yield Version(id=id, name="", digest=token, definition=definition, created_at=now)
    yield Conversation(
        id=id,
        token=token,
        sender=sender,
        number=number,
        questionnaire_id=id,
        event="",
        state="open",
        message_count=0,
        started_at=now,
        active_at=now,
        expires_at=now,
    )
    of_conversation = {"id": id, "conversation_id": id}
    yield Message(**of_conversation, sid=token, created_at=now, **text)
    empty = {"key": "", "question": "", "text": ""}
    yield Answer(**of_conversation, **empty, message_id=id, answered_at=now)
    owed = {"url": "", "format": "json", "payload": "{}", "next_attempt_at": now}
    yield Delivery(**of_conversation, **owed, created_at=now)


@lru_cache
def _by_id(table: type[Base]) -> Statement:
    columns = table.__table__
    return Statement(select(columns).where(columns.c.id == bindparam("id")))
