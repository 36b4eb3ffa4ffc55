"""What would keep results out of a Google Form, by its public page and a questionnaire's mapping.

Google says nothing of most of this. It takes a result with a field that it does not know, and
drops the field; or it answers 200, shows the form again, and drops all of the result.
"""

from calendar import isleap, monthrange
from collections.abc import Iterator

from models.google_form.fields import EMAIL, FIELD, entry_of, part_of
from models.google_form.misfits import (
    can_be_unread,
    field_table,
    find_misfits,
    needed_parts,
    part_numbers,
)
from models.google_form.options import MAX_LISTED
from models.google_form.page import FormPage, FormQuestion, one_line
from models.questionnaire.form_fields import (
    field_names,
    is_always_sent,
    sent_names,
    split_ways,
)
from models.questionnaire.problem import Problem
from models.questionnaire.schema import MAX_PAGES, Field, Questionnaire

Fields = dict[str, Field]  # of what is sent, by our names


def find_problems(page: FormPage, questionnaire: Questionnaire) -> Iterator[Problem]:
    """What is wrong with the form, and with `questionnaire.results` as a mapping to it.

    Places are lines of the questionnaire file, or "form" with the title of a question.
    """
    fields = {name: questionnaire.results.field(name) for name in sent_names(questionnaire)}
    yield from find_form_problems(page)
    yield from wrong_pages(page, questionnaire)
    yield from unknown_entries(page, fields)
    yield from unfit_email(page, questionnaire, fields)
    yield from missing_answers(page, questionnaire, fields)
    yield from divided_moments(page, questionnaire, fields)
    yield from unused(page, questionnaire, fields)
    for name, field in fields.items():
        if question := page.by_entry.get(entry_of(field.name)):
            for problem in find_misfits(questionnaire, name, field, question):
                yield problem._replace(location=f"results, fields, {name}")


def find_form_problems(page: FormPage) -> Iterator[Problem]:
    """What no mapping can help."""
    if page.email_rule == "verified":
        sentence = "collects verified e-mail addresses, for which everybody must sign in. Set"
        sentence = f'{sentence} "Collect email addresses" to "Do not collect" in its settings.'
        yield Problem("form", sentence)
    for question in page.questions:
        if question.kind == "upload":
            sentence = "takes a file, for which everybody must sign in. Delete this question."
            yield Problem(_locate(question), sentence)
    if page.branches:
        sentence = "has answers that lead to other sections, and Google may refuse a result that"
        sentence = f"{sentence} answers a skipped one. Let every section continue to the next."
        yield Problem("form", sentence, is_error=False)
    if not page.confirmation and not page.has_link_to_another:
        sentence = "has neither a confirmation message of its own nor the link to submit another"
        sentence = f"{sentence} response, so nothing proves a delivery. Turn that link on."
        yield Problem("form", sentence, is_error=False)


def wrong_pages(page: FormPage, questionnaire: Questionnaire) -> Iterator[Problem]:
    """Another number of sections than the questionnaire says."""
    if page.sections > MAX_PAGES:
        sentence = f"the form has {page.sections} sections, and pages can be {MAX_PAGES} at most."
        yield Problem("results, pages", f"{sentence} Remove some sections from the form.")
    elif questionnaire.results.pages != page.sections:
        sections = f"{page.sections} section{'s' * (page.sections != 1)}"
        sentence = f"the form has {sections}. Write pages = {page.sections} below [results]."
        yield Problem("results, pages", sentence)


def unknown_entries(page: FormPage, fields: Fields) -> Iterator[Problem]:
    """Entries that the form has not got, and so drops."""
    for name, field in fields.items():
        is_entry = field.name.startswith("entry.")
        if is_entry and entry_of(field.name) not in page.by_entry:
            sentence = f"{field.name} is not in the form: the question was deleted or made anew."
            sentence = f"{sentence} {_suggest_entry(page, fields)}"
            yield Problem(f"results, fields, {name}", sentence)


def unfit_email(page: FormPage, questionnaire: Questionnaire, fields: Fields) -> Iterator[Problem]:
    """What goes out as an e-mail address, and is none, or is not collected."""
    for name in (name for name, field in fields.items() if field.name == EMAIL):
        question = questionnaire.by_key.get(name)
        if page.email_rule == "none":
            sentence = "the form does not collect e-mail addresses. Map it to a question, or set"
            sentence = f'{sentence} "Collect email addresses" to "Responder input".'
            yield Problem(f"results, fields, {name}", sentence)
        elif question is None or question.kind != "email":
            sentence = "the form takes only an e-mail address there. Map a question of"
            yield Problem(f"results, fields, {name}", f'{sentence} kind = "email".')


def _suggest_entry(page: FormPage, fields: Fields) -> str:
    free = [str(question) for question in _find_unused(page, fields)]
    return f"Map one of: {_cut(free)}." if free else "Add a question there, and map that."


def _find_unused(page: FormPage, fields: Fields) -> list[FormQuestion]:
    """The questions that nothing is sent for."""
    sent = {entry_of(field.name) for field in fields.values()}
    return [question for question in page.questions if question.entry not in sent]


def _cut(clauses: list[str]) -> str:
    """The first of these, and how many more there are."""
    more = len(clauses) - MAX_LISTED
    return ", ".join(clauses[:MAX_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def missing_answers(
    page: FormPage, questionnaire: Questionnaire, fields: Fields
) -> Iterator[Problem]:
    """What the form requires, and would not always get."""
    if page.email_rule == "typed" and EMAIL not in {field.name for field in fields.values()}:
        sentence = f'the form requires an e-mail address. Map one: a question = "{EMAIL}",'
        sentence = f'{sentence} or set "Collect email addresses" to "Do not collect".'
        yield Problem("results, fields", sentence)
    for question in _find_unused(page, fields):
        if question.required and question.kind != "upload":
            sentence = "is required, and nothing is sent for it. Map a question to"
            sentence = f"{sentence} {question.entry}, or make it optional in the form."
            yield Problem(_locate(question), sentence)
    for name, field in fields.items():
        question = page.by_entry.get(entry_of(field.name))
        if (question and question.required) or (field.name == EMAIL and page.email_rule == "typed"):
            reason = f"is required in the form ({question or 'the e-mail address'})"
            yield from _absences(questionnaire, name, reason, "make it optional in the form")


def _absences(questionnaire: Questionnaire, name: str, reason: str, cure: str) -> Iterator[Problem]:
    """How a name may be without a value, although one is needed; `cure` helps each time."""
    question, location = questionnaire.by_key.get(name), f"results, fields, {name}"
    if question is None:
        if not is_always_sent(questionnaire, name):
            sentence = f"{reason}, and not every result has it. {cure.capitalize()}."
            yield Problem(location, sentence)
        return
    for line in question.changed(("optional", "only_if")):
        sentence = f"{reason}, and guests can do without. Remove {line}, or {cure}."
        yield Problem(location, sentence)
    if question.give_up != "end":  # keywords that do not apply are not kept, either
        keyword = f"like {questionnaire.sentences.skip}"
        texts = "that are not read" if can_be_unread(question) else keyword
        sentence = f"{reason}, and skipped after {question.attempts} texts {texts}."
        yield Problem(location, f'{sentence} Write give_up = "end", or {cure}.', is_error=False)
    if questionnaire.results.partial:
        sentence = f"{reason}, and a partial result may lack it. Remove partial, or {cure}."
        yield Problem(location, sentence, is_error=False)


# Dates of which each part has a field of its own #############################


def divided_moments(
    page: FormPage, questionnaire: Questionnaire, fields: Fields
) -> Iterator[Problem]:
    """Dates and times that would lack a part, so that Google drops the others."""
    divided: dict[str, dict[str, str]] = {}  # by entry: our names by part
    for name, field in fields.items():
        if len(field_names(field)) == 1:  # else it is whole, or wrong in itself
            divided.setdefault(entry_of(field.name), {})[part_of(field.name)] = name
    for entry, names in divided.items():
        question = page.by_entry.get(entry)
        if question and names.keys() <= {*question.parts}:
            yield from _bad_moment(questionnaire, names, question)


def _bad_moment(
    questionnaire: Questionnaire, names: dict[str, str], question: FormQuestion
) -> Iterator[Problem]:
    """`names`: ours, by the part that each is sent as."""
    if lacking := [part for part in question.parts if part not in names]:
        yield _lacks_parts(questionnaire, next(iter(names.values())), question, lacking)
    elif question.kind == "date" and _has_gaps(questionnaire, names, question):
        sentence = f"can be a day that does not exist, like 31 June, and {question} then refuses"
        sentence = f'{sentence} the whole result. Ask for all in one question of kind = "date".'
        yield Problem(f"results, fields, {names['day']}", sentence, is_error=False)
    for name in names.values() if not question.required else ():
        reason = f"is a part of what {question} takes whole or not at all"
        yield from _absences(questionnaire, name, reason, "make all parts one question")


def _lacks_parts(
    questionnaire: Questionnaire, name: str, question: FormQuestion, lacking: list[str]
) -> Problem:
    lines = " and ".join(f"{question.entry}_{part}" for part in lacking)
    sentence = f"{question} takes all parts or none. Map {lines}, too"
    if needed_parts(question) in split_ways(questionnaire, name):
        table = field_table(question.entry, needed_parts(question))
        sentence = f"{sentence}; or write {name} = {table}"
    return Problem(f"results, fields, {name}", f"{sentence}.")


def _has_gaps(questionnaire: Questionnaire, names: dict[str, str], question: FormQuestion) -> bool:
    """Whether there are days among the dates that no calendar has."""
    numbers = {part: part_numbers(questionnaire, name) for part, name in names.items()}
    for part, values in numbers.items():
        least, most = question.limits(part)
        if not values or min(values) < least or max(values) > most:
            return False  # wrong in itself
    is_leap = all(map(isleap, numbers.get("year", ())))
    shortest = min(monthrange(2000 if is_leap else 2001, month)[1] for month in numbers["month"])
    return max(numbers["day"]) > shortest


# What gets nothing, or goes nowhere ##########################################


def unused(page: FormPage, questionnaire: Questionnaire, fields: Fields) -> Iterator[Problem]:
    """Questions whose cells stay empty, and what is in no cell: that may be meant."""
    names = ["From"] if questionnaire.event else ["From", "Event"]
    lost = [name for name in names if not FIELD.fullmatch(fields[name].name)]
    if lost:
        sentence = f"{' and '.join(lost)} would not be in the sheet. If that is not meant, name the"
        sentence = f'{sentence} entry, like {lost[0]} = "entry.1001".'
        yield Problem("results, fields", sentence, is_error=False)
    free = [each for each in _find_unused(page, fields) if not each.required]
    if free:
        sentence = f"nothing is sent for {_cut(list(map(str, free)))}. If that is not meant, map"
        yield Problem("form", f"{sentence} what belongs there.", is_error=False)


def _locate(question: FormQuestion) -> str:
    return f'form, "{one_line(question.title)}"'
