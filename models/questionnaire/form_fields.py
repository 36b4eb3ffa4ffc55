"""How our names and values become the fields of a form.

Google Forms splits a date into fields of its own, and has two fields for what is not an option.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time

from models.google_form.fields import OTHER, OTHER_TEXT
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.choice import SEPARATOR
from models.questionnaire.answers.kind import PARTS
from models.questionnaire.schema import Field, Questionnaire

Value = str | list[str] | datetime | None  # several choices are a list; None was skipped
Form = dict[str, str | list[str]]  # what is sent, by the receiver's names

TIMES = ("StartedAt", "CompletedAt")
SOMETIMES = ("Name", "Corrects", "CompletedAt")  # a result has them
IF_MAPPED = ("Id", "Name", "To", *TIMES, "Conversation")  # sent only under a name of the receiver


def known_names(questionnaire: Questionnaire) -> list[str]:
    """The names of ours that the receiver can have names for, in the order in which they go out.

    A question's key hides another name that is the same.
    """
    names = ["From", "Event", *(question.key for question in questionnaire.questions)]
    if questionnaire.has_several_results:
        names += ["Type", "Corrects"]
    return list(dict.fromkeys([*names, *IF_MAPPED]))


def sent_names(questionnaire: Questionnaire) -> list[str]:
    """Those of them that are sent if they have a value."""
    return [name for name in known_names(questionnaire) if _is_sent(questionnaire, name)]


def _is_sent(questionnaire: Questionnaire, name: str) -> bool:
    is_optional = name in IF_MAPPED and name not in questionnaire.by_key
    return not is_optional or name in questionnaire.results.fields


def possible_values(questionnaire: Questionnaire, name: str) -> Sequence[str] | None:
    """All that a name can be, each once; None where that has no end.

    What `give_up = "keep"` keeps comes on top.
    """
    if question := questionnaire.by_key.get(name):
        return KINDS[question.kind].values(question) or None
    if name == "Type":
        corrected, partial = ["corrected"], ["stopped", "expired"]
        results = questionnaire.results
        return ["completed", *corrected * questionnaire.review, *partial * results.partial]
    found = {"Event": [questionnaire.event], "To": questionnaire.to}.get(name)
    return found if found and found[0] else None


def is_always_sent(questionnaire: Questionnaire, name: str) -> bool:
    """Whether each result has a value of this name, which is no question's."""
    is_partial = questionnaire.results.partial
    return name not in SOMETIMES or (name == "CompletedAt" and not is_partial)


def field_names(field: Field) -> list[str]:
    """The receiver's names that a value can go out under."""
    if field.as_:
        return [f"{field.name}_{part}" for part in PARTS[field.as_]]
    return [field.name, field.name + OTHER_TEXT] if field.options else [field.name]


def split_ways(questionnaire: Questionnaire, name: str) -> tuple[str, ...]:
    """How a value of this name can go out in parts: some of PARTS."""
    if question := questionnaire.by_key.get(name):
        return KINDS[question.kind].split_as
    return tuple(PARTS) if name in TIMES else ()


def has_options(questionnaire: Questionnaire, name: str) -> bool:
    """Whether a value of this name can be an option of a question, or the text of its Other."""
    question = questionnaire.by_key.get(name)
    return KINDS[question.kind].has_options if question else name not in TIMES


def encode(questionnaire: Questionnaire, values: Mapping[str, Value]) -> Form:
    """The fields of a form for these values, by our names; ValueError for a date that is none."""
    form: Form = {}
    for name in sent_names(questionnaire):
        value = values.get(name)
        if value is not None:
            form |= _encode_one(questionnaire, name, value)
    return form


def _encode_one(questionnaire: Questionnaire, name: str, value: Value) -> Form:
    field, words = questionnaire.results.field(name), questionnaire.results.values.get(name, {})
    if field.as_:
        return _split(field, _moment(questionnaire, name, value))
    if isinstance(value, datetime):
        return {field.name: value.isoformat(timespec="seconds")}
    if isinstance(value, list):
        return _offered(field, [words.get(each, each) for each in value])
    word = words.get(value, value)
    form = _offered(field, [word])
    return form | {field.name: form[field.name][0]}


def _moment(questionnaire: Questionnaire, name: str, value: Value) -> date | time:
    question = questionnaire.by_key.get(name)
    return KINDS[question.kind].moment(value) if question else value


def _split(field: Field, moment: date | time) -> Form:
    names = zip(field_names(field), PARTS[field.as_], strict=True)
    return {name: str(getattr(moment, part)) for name, part in names}


def _offered(field: Field, words: list[str]) -> Form:
    """The words that are options, and Other with the rest, for which a question has one field."""
    others = [word for word in words if field.options and word not in field.options]
    if not others:
        return {field.name: words}
    offered = [word for word in words if word not in others]
    return {field.name: [*offered, OTHER], field.name + OTHER_TEXT: SEPARATOR.join(others)}
