"""Everything that a questionnaire says, with the placeholders that each sentence can hold."""

from collections.abc import Iterator
from typing import NamedTuple

from models.questionnaire import answers
from models.questionnaire.answers import KINDS
from models.questionnaire.schema import (
    PLACEHOLDERS,
    READINGS_PLACEHOLDER,
    REVIEW_PLACEHOLDERS,
    Question,
    Questionnaire,
)


class Template(NamedTuple):
    """Something that is said, before its placeholders are filled."""

    location: str  # in the file
    text: str
    placeholders: tuple[str, ...]  # that it can hold
    question: Question | None = None  # which it asks, or asks again
    is_used: bool = True  # whether this questionnaire can come to say it


def find_templates(questionnaire: Questionnaire) -> Iterator[Template]:
    """Everything that a questionnaire says."""
    known: tuple[str, ...] = PLACEHOLDERS
    for number, question in enumerate(questionnaire.questions, 1):
        of_question = (*known, *KINDS[question.kind].placeholders)
        yield Template(f"question {number}, ask", question.ask, of_question, question)
        if question.retry:
            yield Template(f"question {number}, retry", question.retry, of_question, question)
        known += (question.key,)
    for name in ("thanks", "after", "first_reply", "reply"):
        if text := getattr(questionnaire, name):
            yield Template(name, text, known)
    if questionnaire.questions:
        yield from _find_retry_prompts(questionnaire)
        yield from _find_other_sentences(questionnaire)


def _find_retry_prompts(questionnaire: Questionnaire) -> Iterator[Template]:
    """Those without placeholders come first. Of a kind that is asked for, one for each question."""
    prompts = answers.retry_prompts().items()
    for name, (_, kind) in sorted(prompts, key=lambda prompt: tuple(prompt[1][1].placeholders)):
        text, known = getattr(questionnaire.sentences, name), (*PLACEHOLDERS, *kind.placeholders)
        questions = [question for question in questionnaire.questions if _can_need(question, name)]
        for question in questions or [None]:
            yield Template(f"say, {name}", text, known, question, is_used=question is not None)


def _can_need(question: Question, name: str) -> bool:
    """Whether there can be a text that is answered with this sentence of [say]."""
    kind = KINDS[question.kind]
    reads_all = kind.is_free_text and not question.changed(kind.option_names)
    return kind.retry_name(question) == name and not question.retry and not reads_all


MORE_PLACEHOLDERS = dict.fromkeys(("review", "corrected"), REVIEW_PLACEHOLDERS)
MORE_PLACEHOLDERS |= {"which": (READINGS_PLACEHOLDER,)}


def _can_be_ambiguous(question: Question) -> bool:
    kind = KINDS[question.kind]
    return not (kind.is_free_text or kind.reads_media)


def _find_other_sentences(questionnaire: Questionnaire) -> Iterator[Template]:
    used = {
        **dict.fromkeys(("review", "corrected"), questionnaire.review),
        "needed": any(not question.optional for question in questionnaire.questions),
        "unchanged": questionnaire.review,
        "resumed": questionnaire.resume is not None,
        "ended": any(question.give_up == "end" for question in questionnaire.questions),
        "which": any(map(_can_be_ambiguous, questionnaire.questions)),
    }
    for name, is_used in used.items():
        more = MORE_PLACEHOLDERS.get(name, ())
        text = getattr(questionnaire.sentences, name)
        yield Template(f"say, {name}", text, PLACEHOLDERS + more, is_used=is_used)
    yield Template("say, stopped", questionnaire.sentences.stopped, ())
