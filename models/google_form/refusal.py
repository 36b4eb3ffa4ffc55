"""Why a form did not take an answer, told by its questions and by what it was sent."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from models.google_form.fields import EMAIL, OTHER, OTHER_TEXT, entry_of
from models.google_form.page import FormPage, FormQuestion

Payload = Mapping[str, Any]  # of each name a text, or a list of texts


def find_reasons(page: FormPage, payload: Payload) -> list[str]:
    """What of a payload the form cannot have taken, each a clause that names the question.

    They do not show what was sent: logs hold no answers. A rule that the owner has set for a
    question is not looked at, so there may be nothing to find.
    """
    reasons = [*_find_form_reasons(page, payload)]
    for question in page.questions:
        reasons += [f"{question} {reason}" for reason in _find_question_reasons(question, payload)]
    return reasons + [*_find_unknown(page, payload)]


def _find_form_reasons(page: FormPage, payload: Payload) -> Iterator[str]:
    history = {
        number.strip() for text in _values(payload, "pageHistory") for number in text.split(",")
    }
    if page.sections > 1 and not page.branches and len(history) < page.sections:
        yield f"it has {page.sections} sections, so the results need pages = {page.sections}"
    if page.email_rule == "typed" and not _values(payload, EMAIL):
        yield f"it asks for an e-mail address, which is sent as {EMAIL}"
    if page.email_rule == "verified":
        yield "it collects verified e-mail addresses, so only people who sign in can respond"


def _find_question_reasons(question: FormQuestion, payload: Payload) -> Iterator[str]:
    if question.kind == "upload":
        if question.required:
            yield "needs a file, which only people who sign in can send"
    elif question.parts:
        yield from _find_part_reasons(question, payload)
    elif not (sent := _values(payload, question.entry)):
        if question.required:
            yield "needs an answer"
    elif question.is_choice:
        yield from _find_choice_reasons(question, sent, payload)


def _find_part_reasons(question: FormQuestion, payload: Payload) -> Iterator[str]:
    names = [f"{question.entry}_{part}" for part in question.parts]
    sent = [_values(payload, name) for name in names]
    missing = [name for name, values in zip(names, sent, strict=True) if not values]
    if not missing:
        if not _is_moment(question, [values[0] for values in sent]):
            yield f"was sent a {question.kind} that does not exist"
    elif len(missing) < len(names):
        yield f"also needs {', '.join(missing)}"
    elif _values(payload, question.entry):
        yield f"is a {question.kind}, and is sent as {', '.join(names)}"
    elif question.required:
        yield "needs an answer"


def _is_moment(question: FormQuestion, texts: list[str]) -> bool:
    """Whether a date, a time or a duration exists, by the text of each part."""
    try:
        numbers = dict(zip(question.parts, map(int, texts), strict=True))
        if question.kind == "date":
            date(numbers.get("year", 2000), numbers["month"], numbers["day"])  # a leap year
    except ValueError:
        return False
    limits = {part: question.limits(part) for part in numbers}
    return all(least <= numbers[part] <= most for part, (least, most) in limits.items())


def _find_choice_reasons(
    question: FormQuestion, sent: list[str], payload: Payload
) -> Iterator[str]:
    if not question.takes_many and len(sent) > 1:
        yield "takes only one of its options"
    if any(value not in question.options and value != OTHER for value in sent):
        yield "was sent what is none of its options"
    if OTHER in sent and not question.has_other:
        yield "has no option for another text"
    elif OTHER in sent and not _values(payload, question.entry + OTHER_TEXT):
        yield "needs the text of the other option"


def _find_unknown(page: FormPage, payload: Payload) -> Iterator[str]:
    for entry in dict.fromkeys(map(entry_of, payload)):
        if entry and entry not in page.by_entry:
            yield f"{entry} is none of its questions"


def _values(payload: Payload, name: str) -> list[str]:
    """What was sent under a name, without what is empty."""
    value = payload.get(name)
    values = value if isinstance(value, list) else [value]
    return [str(each) for each in values if each not in (None, "")]
