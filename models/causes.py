"""Which row is to blame when a conversation could not go on."""

import logging
from collections.abc import Iterator

import msgspec
from sqlalchemy import bindparam, select, text
from sqlalchemy.orm import Session

from logs import error_location, log_event
from models.answer import Answer
from models.conversation import IS_OPEN, Conversation
from models.questionnaire.form_fields import encode
from models.questionnaire.schema import Questionnaire
from storage.base import Statement
from storage.unreadable import UnreadableRow, unreadable_rows


def note_error(db: Session, error: Exception, conversation: Conversation | None) -> None:
    """Log an error, and note the rows that are its cause; else it is a mistake of ours."""
    log_event("undecided", logging.ERROR, why=error_location(error))
    if conversation:
        for cause in find_causes(db, conversation):
            unreadable_rows(db).add(cause)


def find_causes(db: Session, conversation: Conversation) -> list[UnreadableRow]:
    """What somebody has written into the rows of a conversation; or the conversation itself."""
    return list(_find_causes(db, conversation)) or [
        UnreadableRow("conversations", conversation.id, "state", "led to an error: see the log")
    ]


def _find_causes(db: Session, conversation: Conversation) -> Iterator[UnreadableRow]:
    version, result = conversation.version, conversation.latest_result
    if version.definition.digest != version.digest:
        reason = "is not the one that it was: its digest differs"
        yield UnreadableRow("questionnaires", version.id, "definition", reason)
    if result and not _is_json(result.payload):
        yield UnreadableRow("outbox", result.id, "payload", "is no result")
    for answer in conversation.answers.values():
        if not _can_be_sent(version.definition, answer):
            yield UnreadableRow("answers", answer.id, "value", "is no date, and goes out as one")
    pair = {"sender": conversation.sender, "number": conversation.number}
    for (id,) in OPEN_IDS.fetch_all(db, **pair):
        if id != conversation.id:
            yield UnreadableRow(
                "conversations", id, "state", "is open, though there is a newer one"
            )


def _is_json(payload: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(payload), dict)
    except msgspec.DecodeError:
        return False


def _can_be_sent(questionnaire: Questionnaire, answer: Answer) -> bool:
    if questionnaire.results is None:
        return True
    try:
        encode(questionnaire, {answer.key: answer.value})
    except ValueError:
        return False
    return True


# Built once: building a statement costs as much as running it.
TABLE = Conversation.__table__
OPEN_IDS = Statement(
    select(TABLE.c.id).where(
        TABLE.c.sender == bindparam("sender"), TABLE.c.number == bindparam("number"), text(IS_OPEN)
    )
)
