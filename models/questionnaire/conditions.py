"""Conditions that never hold: what is wrong with the `only_if` of questions."""

from collections.abc import Iterator, Sequence

from models.questionnaire.answers import KINDS
from models.questionnaire.flow import is_met
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Between, Condition, Question, Questionnaire

Needed = dict[str, list[Condition]]  # what answers must be, by the key of their question


def find_problems(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Conditions on what is not asked before, that never hold, or never hold together."""
    earlier: dict[str, Question] = {}
    needed: dict[str, Needed] = {}
    for number, question in enumerate(questionnaire.questions, 1):
        location = f"question {number}, only_if"
        needed[question.key] = {}
        for key, condition in question.only_if.items():
            if sentence := _fault(key, condition, earlier):
                yield Problem(location, sentence)
            else:
                _add(needed[question.key], {key: [condition]})
                _add(needed[question.key], needed[key])
        combined = needed[question.key].items()
        if not all(can_hold(earlier[key], conditions) for key, conditions in combined):
            sentence = "no path leads to this question: its conditions, with those of the questions"
            sentence = f"{sentence} that they name, exclude each other. Change one of them."
            yield Problem(location, sentence)
        earlier[question.key] = question


def _fault(key: str, condition: Condition, earlier: dict[str, Question]) -> str | None:
    if key not in earlier:
        allowed = ", ".join(earlier) or "none, as this is the first"
        return f"{key} is no earlier question. There can be {allowed}."
    if not can_hold(earlier[key], [condition]):
        question = earlier[key]
        return f"{key} can never be that. {KINDS[question.kind].condition_help(question)}"
    return None


def _add(needed: Needed, further: Needed) -> None:
    for key, conditions in further.items():
        needed.setdefault(key, []).extend(conditions)


def can_hold(question: Question, conditions: Sequence[Condition]) -> bool:
    """Whether some answer to a question meets all of these conditions."""
    wanted = [value for condition in conditions for value in _named_values(condition)]
    return any(
        all(is_met(question, value, condition) for condition in conditions)
        for value in KINDS[question.kind].candidates(question, wanted)
    )


def _named_values(condition: Condition) -> Sequence[str | float]:
    """The values that a condition names, or the ends of its interval."""
    if isinstance(condition, Between):
        bounds = (condition.min, condition.max)
        return [bound for bound in bounds if bound is not None] or [0]
    return condition if isinstance(condition, tuple) else (condition,)
