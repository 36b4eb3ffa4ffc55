"""What a receiver gets of a conversation, as form fields or as an event."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from models.questionnaire.schema import Results

Values = Mapping[str, str | list[str] | None]


class Result(NamedTuple):
    """What there is to say of a conversation when a result is owed."""

    type: str  # what became of it: completed, corrected, stopped, expired
    conversation: int
    sender: str
    number: str
    name: str | None
    event: str
    questionnaire: str
    started_at: datetime
    completed_at: datetime | None
    answers: Values  # by key, in the order of the questions; several choices are a list
    corrects: str | None = None  # the webhook-id of the result that this one replaces


def build_payload(results: Results, result: Result, has_type: bool, now: datetime) -> str:
    """The body of the POST: JSON of the event, or of the form fields that it will be encoded as.

    `has_type`: whether a form says what became of the conversation.
    """
    payload = _event(result, now) if results.format == "json" else _form(results, result, has_type)
    return msgspec.json.encode(payload).decode()


def _form(results: Results, result: Result, has_type: bool) -> Values:
    """Form fields, under the receiver's names for them; what was skipped has none."""
    values = {"From": result.sender, "Event": result.event} | dict(result.answers)
    if has_type:
        values |= {"Type": result.type, "Corrects": result.corrects}
    names = results.fields
    return {names.get(name, name): value for name, value in values.items() if value is not None}


def _event(result: Result, now: datetime) -> dict[str, Any]:
    data = {
        "conversation": result.conversation,
        "from": result.sender,
        "to": result.number,
        "name": result.name,
        "event": result.event,
        "questionnaire": result.questionnaire,
        "started_at": result.started_at,
        "completed_at": result.completed_at,
        "answers": result.answers,
    }
    if result.corrects:
        data["corrects"] = result.corrects
    return {"type": f"conversation.{result.type}", "timestamp": now, "data": data}


def has_same_answers(payload: str, results: Results, keys: Iterable[str], answers: Values) -> bool:
    """Whether an earlier payload has just these answers to the questions with these keys."""
    earlier = msgspec.json.decode(payload)
    if results.format == "json":
        return earlier["data"]["answers"] == answers
    names = results.fields
    return all(earlier.get(names.get(key, key)) == answers.get(key) for key in keys)
