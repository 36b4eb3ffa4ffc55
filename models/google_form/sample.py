"""A row that can be told from a guest's: what `form --send-test` sends."""

from datetime import datetime

from models.google_form.options import own_values
from models.google_form.page import FormPage, FormQuestion
from models.payload import ResultData, build_payload
from models.questionnaire.schema import Question, Questionnaire

TEST = "TEST"
SAMPLES = {"email": "test@example.org", "phone": "+12025550123", "number": "1"}


def build_test_row(
    questionnaire: Questionnaire, page: FormPage | None, webhook_id: str, now: datetime
) -> str:
    """A payload with something for each question, and TEST wherever any text can be."""
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
        event=TEST,
        questionnaire=TEST,
        started_at=now,
        completed_at=now,
        answers=answers,
    )
    return build_payload(questionnaire, "completed", data, webhook_id, now)


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
    return (options or [SAMPLES.get(own_question.kind, TEST)])[0]
