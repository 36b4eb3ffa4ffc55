"""What a receiver gets of a conversation, as form fields or as an event."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, field

from models.questionnaire.schema import Results

Values = Mapping[str, str | list[str] | None]


class ResultData(Struct, omit_defaults=True):
    """What a result says of a conversation: in JSON, the `data` of an event (Standard Webhooks)."""

    conversation: int
    sender: str = field(name="from")
    number: str = field(name="to")
    name: str | None
    event: str
    questionnaire: str
    started_at: datetime
    completed_at: datetime | None
    answers: Values  # by key, in the order of the questions; several choices are a list
    corrects: str | None = None  # the webhook-id of the result that this one replaces


def build_payload(
    results: Results, type: str, data: ResultData, has_type: bool, now: datetime
) -> str:
    """The body of the POST: JSON of the event, or of the form fields that it will be encoded as.

    `type`: what became of the conversation: completed, corrected, stopped, expired.
    `has_type`: whether a form says it.
    """
    event = {"type": f"conversation.{type}", "timestamp": now, "data": data}
    form_type = type if has_type else None
    payload = event if results.format == "json" else _form(results, data, form_type)
    return msgspec.json.encode(payload).decode()


def _form(results: Results, data: ResultData, type: str | None) -> Values:
    """Form fields, under the receiver's names for them; what was skipped has none."""
    values = {"From": data.sender, "Event": data.event} | dict(data.answers)
    if type:
        values |= {"Type": type, "Corrects": data.corrects}
    names = results.fields
    return {names.get(name, name): value for name, value in values.items() if value is not None}


def has_same_answers(payload: str, results: Results, keys: Iterable[str], answers: Values) -> bool:
    """Whether an earlier payload has just these answers to the questions with these keys."""
    earlier = msgspec.json.decode(payload)
    if results.format == "json":
        return earlier["data"]["answers"] == answers
    names = results.fields
    return all(earlier.get(names.get(key, key)) == answers.get(key) for key in keys)
