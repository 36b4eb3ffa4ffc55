"""A row that can be told from a guest's: what `form --send-test` sends."""

import json
from datetime import datetime

from models.google_form.fields import FIELD, entry_of
from models.google_form.options import list_options, own_values
from models.google_form.page import FormPage, FormQuestion, one_line
from models.payload import ResultData, build_payload
from models.questionnaire.schema import Question, Questionnaire

TEST = "TEST"
SAMPLES = {"email": "test@example.org", "phone": "+12025550123"}


def build_test_row(
    questionnaire: Questionnaire, page: FormPage | None, webhook_id: str, now: datetime
) -> str:
    """A payload with something for each question, and TEST wherever any text can be.

    The event is the questionnaire's own, if it has one: the form may take no other.
    """
    entries = {key: questionnaire.results.field(key).name for key in questionnaire.by_key}
    answers = {
        key: _sample(questionnaire, question, page and page.by_entry.get(entries[key]), now)
        for key, question in questionnaire.by_key.items()
    }
    data = ResultData(
        conversation=0,
        sender=TEST,
        number=TEST,
        name=TEST,
        event=questionnaire.event or TEST,
        questionnaire=TEST,
        started_at=now,
        completed_at=now,
        answers=answers,
    )
    return build_payload(questionnaire, "completed", data, webhook_id, now)


def describe_unmarked(payload: str, page: FormPage | None) -> str:
    """What a form gets that says TEST nowhere: each question and its answer; "" if it says so."""
    read = {
        name: value if isinstance(value, list) else [value]
        for name, value in json.loads(payload).items()
        if FIELD.fullmatch(name) and (page is None or entry_of(name) in ("", *page.by_entry))
    }
    if any(TEST in values for values in read.values()):
        return ""
    shown = [f"{_title(page, name)} = {list_options(values)}" for name, values in read.items()]
    return ", ".join(shown) or "nothing"


def _title(page: FormPage | None, name: str) -> str:
    """The title of a field's question, with the part of a date that the field is."""
    entry = entry_of(name)
    return one_line(page.by_entry[entry].title) + name[len(entry) :] if page and entry else name


def _sample(
    questionnaire: Questionnaire,
    own_question: Question,
    form_question: FormQuestion | None,
    now: datetime,
) -> str | list[str]:
    """An answer that the question of the form takes, if there is one."""
    options = form_question.options if form_question else ()
    words = questionnaire.results.values.get(own_question.key, {})
    if values := own_values(own_question):
        offered = [value for value in values if words.get(value, value) in options]
        value = (offered or values)[0]
        return [value] if own_question.kind == "choice" and own_question.many else value
    if own_question.kind == "date":
        return now.date().isoformat()
    if options and not questionnaire.results.field(own_question.key).options:
        return options[0]
    if own_question.kind == "number":
        return str(own_question.min or own_question.max or 1)
    return SAMPLES.get(own_question.kind, TEST)
