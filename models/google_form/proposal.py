"""A mapping of a questionnaire to a Google Form, guessed from its page or read from a link."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec

from models.google_form.fields import EMAIL, FIELD, OTHER, OTHER_TEXT, entry_of
from models.google_form.misfits import FREE_KINDS, needed_parts
from models.google_form.options import inline_table, match_values, quote, sent_values
from models.google_form.page import FormPage, FormQuestion, one_line
from models.questionnaire.form_fields import has_options, known_names, split_ways
from models.questionnaire.problem import Problem
from models.questionnaire.schema import MAX_PAGES, Field, Questionnaire, Results
from models.text import comparable

# Titles, in comparable form, that forms give to what we send besides answers.
TITLES = {
    "From": {"phone", "phone number", "telephone", "mobile", "sender"},
    "Event": {"occasion"},
    "Id": {"result", "result id"},
    "Name": {"your name"},
    "StartedAt": {"started"},
    "CompletedAt": {"completed"},
}
SIMILAR = 0.6  # of two wordings that ask the same, at least
UNFIT = 0.4  # what it costs that a question does not take the values: likeness alone is not enough
MAX_PAIRS = 10_000  # of a name and a question that are compared, which takes a second
MAX_LENGTH = 100  # characters of a title or a question that are looked at


class Prefilled(NamedTuple):
    """What a pre-filled link says: the entries by our names, and what is wrong with the link."""

    entries: Mapping[str, str] = {}
    problems: tuple[Problem, ...] = ()


def propose(
    page: FormPage | None,
    questionnaire: Questionnaire,
    url: str,
    known: Mapping[str, str] | None = None,
) -> Results:
    """The [results] by which a questionnaire's answers go into this form, at this address.

    `known`: entries by our names, from a pre-filled link. They count more than any likeness.
    Without a page they are all that there is.
    """
    results = msgspec.structs.replace(
        questionnaire.results or Results(url),
        url=url,
        format="form",
        fields={},
        values={},
        pages=min(page.sections, MAX_PAGES) if page else 1,
    )
    questionnaire = msgspec.structs.replace(questionnaire, results=results)
    found = dict(known or {})
    found |= _guess(page, questionnaire, found) if page else {}
    for name in filter(found.get, known_names(questionnaire)):
        question = page and page.by_entry.get(found[name])
        words = match_values(questionnaire, name, question.options) if question else {}
        results.fields[name] = _field(questionnaire, name, found[name], question, words)
        if words:
            results.values[name] = words
    return results


def is_prefilled(url: str) -> bool:
    """Whether an address holds answers to questions of a form."""
    return any(entry_of(field) for field, _ in parse_qsl(urlsplit(url).query))


def read_prefilled(url: str, page: FormPage | None, questionnaire: Questionnaire) -> Prefilled:
    """The entries by our names, from a pre-filled link whose fields hold them.

    Questions that hold no text cannot hold a name; without a page, it is not known which these are.
    """
    names = {comparable(name): name for name in known_names(questionnaire)}
    found: dict[str, set[str]] = {}
    problems = []
    for field, value in parse_qsl(urlsplit(url).query):
        entry = entry_of(field) or field
        if not (FIELD.fullmatch(field) and _holds_text(field, value, page)):
            continue
        if name := names.get(comparable(value)):
            found.setdefault(name, set()).add(entry)
        elif field != EMAIL:
            sentence = f"holds {quote(one_line(value))}, which is not a name of ours. Fill it with"
            sentence = f"{sentence} one of {', '.join(names.values())}."
            problems.append(Problem(f"link, {entry}", sentence, is_error=False))
    problems += [_repeated(name, entries) for name, entries in found.items() if len(entries) > 1]
    if is_prefilled(url) and not (found or problems):
        sentence = "holds no name of ours, so all is guessed. Fill text questions with names."
        problems.append(Problem("link", sentence, is_error=False))
    entries = {name: entries.pop() for name, entries in found.items() if len(entries) == 1}
    return Prefilled(entries, tuple(problems))


def _holds_text(field: str, value: str, page: FormPage | None) -> bool:
    """Whether a field of a link can hold any text: a name of ours, if its author meant one."""
    question = page and page.by_entry.get(entry_of(field))
    if field.endswith(OTHER_TEXT) or field == EMAIL:
        return True
    if field != entry_of(field) or value == OTHER:  # a part of a date or a time; no text
        return False
    return question is None or question.kind in FREE_KINDS


def _repeated(name: str, entries: Iterable[str]) -> Problem:
    sentence = f"{' and '.join(sorted(entries))} hold {name}, so none counts. Fill one with it."
    return Problem("link", sentence)


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
    if question.has_other and has_options(questionnaire, name):
        values = sent_values(questionnaire, name)
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
        for number, question in enumerate(free[: MAX_PAIRS // (len(names) or 1)])
        for name in names
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
    for key in questionnaire.by_key:
        if key not in taken:
            fitting = (question for question in left if _fits(questionnaire, key, question))
            question = next(fitting, None)
            found |= {key: question.entry} if question else {}
    return found


def _fits(questionnaire: Questionnaire, name: str, question: FormQuestion) -> bool:
    """Whether values of this name of ours could be answers to this question."""
    if parts := needed_parts(question):
        return parts in split_ways(questionnaire, name)
    if question.options:
        values = sent_values(questionnaire, name)
        return values is not None or question.has_other and has_options(questionnaire, name)
    return question.kind in FREE_KINDS


def _likeness(questionnaire: Questionnaire, name: str, question: FormQuestion) -> float:
    """How sure it is that a question of the form is for this name: from 0 to 2.

    A question of ours goes before the names that we send besides, where it has the words of the
    title: "What is your name?" before Name.
    """
    title = _plain(question.title)
    own_question = questionnaire.by_key.get(name)
    if own_question and question.title.strip() == name:
        return 2
    if own_question and title == _plain(name):
        return 1.5
    if own_question is None:
        score = 0.9 if title == _plain(name) or title in TITLES.get(name, ()) else 0
    else:
        score = _likeness_of_texts(_plain(own_question.ask), title)
    return score if not score or _fits(questionnaire, name, question) else score - UNFIT


def _likeness_of_texts(ask: str, title: str) -> float:
    """From 0 to 1.2; above 1 if all words of the title are in what we ask."""
    if not title or not ask:
        return 0
    all_words, words = set(ask.split()), set(title.split())
    if words <= all_words:
        return 1 + 0.2 * len(words) / len(all_words)
    matcher = SequenceMatcher(None, ask, title)
    is_near = min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= SIMILAR
    return matcher.ratio() if is_near else 0  # which takes ten times as long


@lru_cache(maxsize=1_000)
def _plain(text: str) -> str:
    """Its words in comparable form; of a key such as favouriteMeal or favourite_meal, too."""
    text = re.sub(r"\{[^{}]*\}", " ", text[:MAX_LENGTH])
    text = re.sub(r"(?<=[a-z])(?=[A-Z0-9])", " ", text).replace("_", " ")
    return " ".join(re.findall(r"\w+", comparable(text)))


# As it stands in a file ######################################################


def render(results: Results, page: FormPage | None, known: Collection[str] = ()) -> str:
    """The mapping as TOML to paste, with the titles of the form's questions.

    Where some names were `known`, the others are marked as guesses.
    """
    lines = ["[results]", f"url = {quote(results.url)}"]
    lines += [f"pages = {results.pages}"] if results.pages > 1 else []
    lines += ["partial = true"] if results.partial else []
    lines += ["[results.fields]"]
    for name in results.fields:
        is_guess = bool(known) and name not in known
        comment = _comment(results, name, page, is_guess)
        lines += [f"{name} = {_render(results.field(name))}{comment}"]
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


def _comment(results: Results, name: str, page: FormPage | None, is_guess: bool) -> str:
    question = page and page.by_entry.get(results.field(name).name)
    guess = " (a guess)" if is_guess else ""
    return f"  # {one_line(question.title)}{guess}" if question else ""
