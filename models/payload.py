"""What a receiver gets of a conversation, as form fields or as an event."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, field

from models.answer import Answer
from models.google_form.address import is_google_form
from models.google_form.fields import OF_PAGE
from models.noise import typed_part
from models.questionnaire.form_fields import Form, Value, encode, field_names
from models.questionnaire.schema import Questionnaire
from models.text import comparable

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
    # What was texted to questions that were given up, by key.
    unread_texts: Mapping[str, str] = field(name="unread", default={})


def unread_texts(questionnaire: Questionnaire, answers: Iterable[Answer]) -> dict[str, str]:
    """What was texted to questions without a value, by key; not where they were skipped."""
    without = [answer for answer in answers if answer.value is None]
    given_up = [each for each in without if is_unread(questionnaire, each.text, each.question)]
    return {answer.key: answer.text for answer in given_up}


def is_unread(questionnaire: Questionnaire, text: str, question: str) -> bool:
    """Whether a text without a value could not be read; else it skipped the question."""
    typed = comparable(typed_part(text, [question]))
    return bool(text) and questionnaire.sentences.find_keyword(typed) is None


def build_payload(
    questionnaire: Questionnaire, type: str, data: ResultData, webhook_id: str, now: datetime
) -> str:
    """The body of the POST: JSON of the event, or of the form fields that it will be encoded as.

    `type`: what became of the conversation: completed, corrected, stopped, expired. ValueError if
    an answer is no date where the form takes one; only somebody who edits its row can do that.
    """
    event = {"type": f"conversation.{type}", "timestamp": now, "data": data}
    is_json = questionnaire.results.format == "json"
    payload = event if is_json else _form(questionnaire, type, data, webhook_id)
    return msgspec.json.encode(payload).decode()


def _form(questionnaire: Questionnaire, type: str, data: ResultData, webhook_id: str) -> Form:
    """Form fields, under the receiver's names for them; what was skipped has none."""
    zone = ZoneInfo(questionnaire.timezone)
    values: dict[str, Value] = {
        "From": data.sender,
        "Event": data.event,
        "Type": type,
        "Corrects": data.corrects,
        "Id": webhook_id,
        "Name": data.name,
        "To": data.number,
        "StartedAt": data.started_at.astimezone(zone),
        "CompletedAt": data.completed_at and data.completed_at.astimezone(zone),
        "Conversation": str(data.conversation),
    }
    answers = dict.fromkeys(questionnaire.by_key) | dict(data.answers)
    return encode(questionnaire, values | answers) | _page_fields(questionnaire)


def _page_fields(questionnaire: Questionnaire) -> Form:
    """What the page of a Google Form adds: without its history only the first section counts."""
    if not is_google_form(questionnaire.results.url):
        return {}
    history = ",".join(map(str, range(questionnaire.results.pages)))
    return dict(zip(OF_PAGE, ("1", history), strict=True))


def has_same_answers(payload: str, questionnaire: Questionnaire, answers: Values) -> bool:
    """Whether an earlier payload has just these answers."""
    earlier = msgspec.json.decode(payload)
    if questionnaire.results.format == "json":
        return earlier["data"]["answers"] == answers
    form = encode(questionnaire, answers)
    fields = map(questionnaire.results.field, questionnaire.by_key)
    names = [name for each in fields for name in field_names(each)]
    return all(earlier.get(name) == form.get(name) for name in names)
