"""A mapping of a questionnaire to a Google Form, guessed from its page or read from a link."""

import re
from collections.abc import Mapping
from difflib import SequenceMatcher
from urllib.parse import parse_qsl, urlsplit

import msgspec

from models.google_form.address import response_url
from models.google_form.fields import EMAIL, FIELD, entry_of
from models.google_form.misfits import FREE_KINDS, needed_parts
from models.google_form.options import (
    inline_table,
    match_values,
    own_values,
    quote,
)
from models.google_form.page import FormPage, FormQuestion, one_line
from models.questionnaire.answers import KINDS
from models.questionnaire.form_fields import has_options, known_names, split_ways
from models.questionnaire.schema import Field, Question, Questionnaire, Results
from models.text import comparable

# Titles, in comparable form, that forms give to what we send besides answers.
TITLES = {
    "From": {"from", "phone", "phone number", "telephone", "mobile", "sender", "number"},
    "Event": {"event", "occasion"},
    "Id": {"id", "result", "result id"},
    "Name": {"name", "your name", "guest"},
    "To": {"to"},
    "StartedAt": {"started at", "started", "start"},
    "CompletedAt": {"completed at", "completed", "end"},
    "Conversation": {"conversation"},
}
SIMILAR = 0.6  # of two wordings that ask the same, at least


def propose(
    page: FormPage | None,
    questionnaire: Questionnaire,
    url: str,
    known: Mapping[str, str] | None = None,
) -> Results:
    """The [results] by which a questionnaire's answers go into this form.

    `known`: entries by our names, from a pre-filled link. They count more than any likeness.
    Without a page they are all that there is.
    """
    found = dict(known or {})
    found |= _guess(page, questionnaire, found) if page else {}
    results = msgspec.structs.replace(
        questionnaire.results or Results(url),
        url=response_url(url),
        format="form",
        fields={},
        values={},
        pages=page.sections if page else 1,
    )
    for name in filter(found.get, known_names(questionnaire)):
        question = page and page.by_entry.get(found[name])
        words = match_values(questionnaire, name, question.options) if question else {}
        results.fields[name] = _field(questionnaire, name, found[name], question, words)
        if words:
            results.values[name] = words
    return results


def read_prefilled(url: str, questionnaire: Questionnaire) -> dict[str, str]:
    """The entries by our names, from a pre-filled link whose fields hold them."""
    names = {comparable(name): name for name in known_names(questionnaire)}
    found: dict[str, str] = {}
    for field, value in parse_qsl(urlsplit(url).query):
        name = names.get(comparable(value))
        if name and FIELD.fullmatch(field):
            found[name] = entry_of(field) or field
    return found


def is_prefilled(url: str) -> bool:
    """Whether an address holds answers to questions of a form."""
    return any(entry_of(field) for field, _ in parse_qsl(urlsplit(url).query))


def _field(
    questionnaire: Questionnaire,
    name: str,
    entry: str,
    question: FormQuestion | None,
    words: Mapping[str, str],
) -> str | Field:
    """How a value goes out: in parts, with what is not an option in Other, or as it is."""
    if question is None:
        return entry
    parts = needed_parts(question)
    if parts and parts in split_ways(questionnaire, name):
        return Field(entry, as_=parts)
    own_question = questionnaire.by_key.get(name)
    if question.has_other and has_options(questionnaire, name):
        values = own_values(own_question) if own_question else None
        if values is None or any(words.get(each, each) not in question.options for each in values):
            return Field(entry, options=question.options)
    return entry


# Which question of the form is which of ours #################################


def _guess(
    page: FormPage, questionnaire: Questionnaire, known: Mapping[str, str]
) -> dict[str, str]:
    """Entries by our names: the likest first, then in the order of the questions."""
    found: dict[str, str] = {}
    names = [name for name in known_names(questionnaire) if name not in known]
    free = [question for question in page.questions if question.entry not in known.values()]
    likeness = [
        (_likeness(questionnaire, name, question), -number, name, question)
        for name in names
        for number, question in enumerate(free)
    ]
    for score, _, name, question in sorted(likeness, key=lambda each: each[:2], reverse=True):
        if score >= SIMILAR and name not in found and question.entry not in found.values():
            found[name] = question.entry
    if page.email_rule == "typed" and EMAIL not in known.values():
        found |= _email(questionnaire, {*known, *found})
    return found | _in_order(questionnaire, {*known, *found}, free, set(found.values()))


def _email(questionnaire: Questionnaire, taken: set[str]) -> dict[str, str]:
    keys = [question.key for question in questionnaire.questions if question.kind == "email"]
    return dict.fromkeys([key for key in keys if key not in taken][:1], EMAIL)


def _in_order(
    questionnaire: Questionnaire, taken: set[str], free: list[FormQuestion], used: set[str]
) -> dict[str, str]:
    """Our other questions: each gets the next of the form that can take its answers."""
    found: dict[str, str] = {}
    left = iter([question for question in free if question.entry not in used])
    for own_question in questionnaire.questions:
        if own_question.key not in taken:
            fitting = next((question for question in left if _fits(own_question, question)), None)
            found |= {own_question.key: fitting.entry} if fitting else {}
    return found


def _fits(own_question: Question, question: FormQuestion) -> bool:
    """Whether answers to this question of ours could be answers to that one."""
    kind = KINDS[own_question.kind]
    if parts := needed_parts(question):
        return parts in kind.split_as
    if question.options:
        return question.has_other and kind.has_options or own_values(own_question) is not None
    return question.kind in FREE_KINDS


def _likeness(questionnaire: Questionnaire, name: str, question: FormQuestion) -> float:
    """How sure it is that a question of the form is for this name: from 0 to 2."""
    title = _plain(question.title)
    own_question = questionnaire.by_key.get(name)
    if question.title.strip() == name:
        return 2
    if title == _plain(name):
        return 1.5
    if own_question is None:
        return 0.9 if title in TITLES.get(name, ()) else 0
    return _likeness_of_texts(_plain(own_question.ask), title)


def _likeness_of_texts(ask: str, title: str) -> float:
    if not title or not ask:
        return 0
    all_words, words = set(ask.split()), set(title.split())
    contained = 0.75 + 0.2 * len(words) / len(all_words) if words <= all_words else 0
    return max(contained, SequenceMatcher(None, ask, title).ratio())


def _plain(text: str) -> str:
    """Its words in comparable form; of a key such as favouriteMeal or favourite_meal, too."""
    text = re.sub(r"\{[^{}]*\}", " ", text)
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", text).replace("_", " ")
    return " ".join(re.findall(r"\w+", comparable(text)))


# As it stands in a file ######################################################


def render(results: Results, page: FormPage | None) -> str:
    """The mapping as TOML to paste, with the titles of the form's questions."""
    lines = ["[results]", f"url = {quote(results.url)}"]
    lines += [f"pages = {results.pages}"] if results.pages > 1 else []
    lines += ["partial = true"] if results.partial else []
    lines += ["[results.fields]"]
    lines += [f"{name} = {_render(results.field(name))}{_comment(results, name, page)}"
              for name in results.fields]  # fmt: skip
    if results.values:
        lines += ["[results.values]"]
        lines += [f"{name} = {inline_table(words)}" for name, words in results.values.items()]
    return "\n".join(lines)


def _render(field: Field) -> str:
    if field.as_:
        return inline_table({"name": field.name, "as": field.as_})
    if field.options:
        return inline_table({"name": field.name, "options": field.options})
    return quote(field.name)


def _comment(results: Results, name: str, page: FormPage | None) -> str:
    question = page and page.by_entry.get(results.field(name).name)
    return f"  # {one_line(question.title)}" if question else ""
