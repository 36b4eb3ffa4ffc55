"""Which questions the answers until now lead to."""

from collections.abc import Iterator, Mapping

from models.questionnaire.answers import KINDS
from models.questionnaire.schema import Between, Condition, Question, Questionnaire


def path(questionnaire: Questionnaire, values: Mapping[str, str | None]) -> Iterator[Question]:
    """The questions that these values of answers lead to, in order.

    `values` are by key, None where the question was skipped. Those of questions off the path do
    not count.
    """
    on_path: dict[str, str | None] = {}
    for question in questionnaire.questions:
        if question.only_if and not _is_asked(questionnaire, question, on_path):
            continue
        if question.key in values:
            on_path[question.key] = values[question.key]
        yield question


def _is_asked(
    questionnaire: Questionnaire, question: Question, values: Mapping[str, str | None]
) -> bool:
    return all(
        is_met(questionnaire.by_key[key], values.get(key), condition)
        for key, condition in question.only_if.items()
    )


def is_met(question: Question, value: str | None, condition: Condition) -> bool:
    """Whether the value of an answer to this question is what a later one asks for."""
    if value is None:
        return False
    kind = KINDS[question.kind]
    if isinstance(condition, Between):
        return kind.is_between(value, condition.min, condition.max)
    allowed = condition if isinstance(condition, tuple) else (condition,)
    return any(kind.matches(question, value, wanted) for wanted in allowed)
