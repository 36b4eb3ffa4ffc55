"""What a receiver is told of a conversation, as form fields or as an event."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from models.questionnaire.answers import SEPARATOR

if TYPE_CHECKING:
    from models.conversation import Conversation

Given = dict[str, str | list[str] | None]


def write(conversation: "Conversation", type: str, corrects: str | None, now: datetime) -> str:
    """The payload; `type` is what became of it, `corrects` the id of the result it replaces."""
    payload = _form if conversation.questionnaire.results.format == "form" else _event
    return msgspec.json.encode(payload(conversation, type, corrects, now)).decode()


def tells(payload: str, conversation: "Conversation") -> bool:
    """Whether an earlier result has told just these answers."""
    told, given = msgspec.json.decode(payload), _given(conversation)
    if conversation.questionnaire.results.format == "json":
        return told["data"]["answers"] == given
    names = conversation.questionnaire.results.fields
    asked = [question.key for question in conversation.questionnaire.questions]
    return all(told.get(names.get(key, key)) == given.get(key) for key in asked)


def _form(
    conversation: "Conversation", type: str, corrects: str | None, now: datetime
) -> dict[str, str | list[str]]:
    """Form fields, under the receiver's names for them; what was skipped has none."""
    given = {"From": conversation.sender, "Event": conversation.event} | _given(conversation)
    if conversation.questionnaire.has_several_results:
        given |= {"Type": type, "Corrects": corrects}
    names = conversation.questionnaire.results.fields
    return {names.get(name, name): value for name, value in given.items() if value is not None}


def _event(
    conversation: "Conversation", type: str, corrects: str | None, now: datetime
) -> dict[str, Any]:
    """The result as an event, told once for all."""
    completed = conversation.state == "completed"
    return {
        "type": f"conversation.{type}",
        "timestamp": now,
        "data": {
            "conversation": conversation.id,
            "from": conversation.sender,
            "to": conversation.number,
            "name": conversation.contact.name,
            "event": conversation.event,
            "questionnaire": conversation.version.name,
            "started_at": conversation.started_at,
            "completed_at": conversation.ended_at if completed else None,
            "answers": _given(conversation),
        }
        | ({"corrects": corrects} if corrects else {}),
    }


def _given(conversation: "Conversation") -> Given:
    """The values by key, in the order of the questions; several choices are a list."""
    given: Given = {}
    for question in conversation.path():
        if question.key in conversation.answers:
            value = conversation.answers[question.key].value
            given[question.key] = value.split(SEPARATOR) if question.many and value else value
    return given
