"""Which questions the answers until now lead to."""

from collections.abc import Iterator, Mapping
from typing import Protocol

from models.questionnaire.answers import KINDS
from models.questionnaire.schema import Between, Condition, Question, Questionnaire


class Answered(Protocol):
    """An answer, as far as the path depends on it: no value where the question was skipped."""

    value: str | None


def path(questionnaire: Questionnaire, answers: Mapping[str, Answered]) -> Iterator[Question]:
    """The questions that these answers, by key, lead to, in order.

    Those to questions off the path do not count.
    """
    on_path: dict[str, str | None] = {}
    for question in questionnaire.questions:
        if question.only_if and not _is_asked(questionnaire, question, on_path):
            continue
        if question.key in answers:
            on_path[question.key] = answers[question.key].value
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
