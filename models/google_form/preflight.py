"""What would keep results out of a Google Form, by its public page and a questionnaire's mapping.

Google says nothing of most of this. It takes a result with a field that it does not know, and
drops the field; or it answers 200, shows the form again, and drops all of the result.
"""

from collections.abc import Iterator

from models.google_form.fields import EMAIL, entry_of
from models.google_form.options import (
    inline_table,
    list_options,
    match_values,
    quote,
    sent_values,
)
from models.google_form.page import FormPage, FormQuestion, one_line
from models.questionnaire.answers import KINDS
from models.questionnaire.form_fields import sent_names, split_ways
from models.questionnaire.problem import Problem
from models.questionnaire.schema import MAX_PAGES, Field, Question, Questionnaire

ALWAYS_SENT = {"From", "Event", "To", "Id", "StartedAt", "Conversation"}
SPLIT_KINDS = {"date", "time", "duration"}  # that take a value in parts
MAX_SUGGESTED = 10  # questions that a sentence names
FREE_KINDS = {"short", "paragraph"}  # that take any text


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
    for name, field in fields.items():
        if question := page.by_entry.get(field.name):
            for problem in unfit_field(questionnaire, name, field, question):
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


def unknown_entries(page: FormPage, fields: dict[str, Field]) -> Iterator[Problem]:
    """Entries that the form has not got, and so drops."""
    for name, field in fields.items():
        is_entry = field.name.startswith("entry.")
        if is_entry and entry_of(field.name) not in page.by_entry:
            sentence = f"{field.name} is not in the form: the question was deleted or made anew."
            sentence = f"{sentence} {_suggest_entry(page, fields)}"
            yield Problem(f"results, fields, {name}", sentence)


def unfit_email(
    page: FormPage, questionnaire: Questionnaire, fields: dict[str, Field]
) -> Iterator[Problem]:
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


def _suggest_entry(page: FormPage, fields: dict[str, Field]) -> str:
    taken = {field.name for field in fields.values()}
    free = [str(question) for question in page.questions if question.entry not in taken]
    if len(free) > MAX_SUGGESTED:
        free[MAX_SUGGESTED:] = [f"or {len(free) - MAX_SUGGESTED:,} more"]
    return f"Map one of: {', '.join(free)}." if free else "Add a question there, and map that."


def missing_answers(
    page: FormPage, questionnaire: Questionnaire, fields: dict[str, Field]
) -> Iterator[Problem]:
    """What the form requires, and would not always get."""
    entries = {name: entry_of(field.name) or field.name for name, field in fields.items()}
    sent = set(entries.values())
    if page.email_rule == "typed" and EMAIL not in sent:
        sentence = f'the form requires an e-mail address. Map one: a question = "{EMAIL}",'
        sentence = f'{sentence} or set "Collect email addresses" to "Do not collect".'
        yield Problem("results, fields", sentence)
    for question in page.questions:
        if question.required and question.entry not in sent and question.kind != "upload":
            sentence = "is required, and nothing is sent for it. Map a question to"
            sentence = f"{sentence} {question.entry}, or make it optional in the form."
            yield Problem(_locate(question), sentence)
    for name, entry in entries.items():
        question = page.by_entry.get(entry)
        if (question and question.required) or (entry == EMAIL and page.email_rule == "typed"):
            title = str(question) if question else "the e-mail address"
            yield from _absences(questionnaire, name, title)


def _absences(questionnaire: Questionnaire, name: str, title: str) -> Iterator[Problem]:
    """Why a name may be without a value, although the form requires one."""
    question, required = questionnaire.by_key.get(name), f"is required in the form ({title})"
    location = f"results, fields, {name}"
    if question is None:
        if name not in ALWAYS_SENT:
            sentence = f"{required}, and not every result has it. Make it optional there."
            yield Problem(location, sentence)
        return
    for line in question.changed(("optional", "only_if")):
        sentence = f"{required}, and guests can do without. Remove {line}, or make it optional"
        yield Problem(location, f"{sentence} in the form.")
    if question.give_up == "skip" and _can_be_unread(question):
        sentence = f"{required}, and skipped after {question.attempts} texts that are not read."
        sentence = f'{sentence} Write give_up = "end", or make it optional in the form.'
        yield Problem(location, sentence, is_error=False)
    if questionnaire.results.partial:
        sentence = f"{required}, and a partial result may lack it. Remove partial, or make it"
        yield Problem(location, f"{sentence} optional in the form.", is_error=False)


def _can_be_unread(question: Question) -> bool:
    kind = KINDS[question.kind]
    return not kind.is_free_text or bool(question.changed(kind.option_names))


# One field and its question of the form ######################################


def unfit_field(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    """What the question of the form would not take of what we send; without places."""
    own_question = questionnaire.by_key.get(name)
    if question.kind in SPLIT_KINDS:
        yield from _unfit_parts(questionnaire, name, field, question)
    elif field.as_:
        sentence = f"{question} takes no date or time in parts."
        yield Problem("", f"{sentence} Write {name} = {quote(field.name)}.")
    elif (
        own_question
        and getattr(own_question, "many", False)
        and question.kind not in ("checkboxes", "grid")
    ):
        sentence = f"can have several values, and {question} takes one. Make it"
        yield Problem("", f"{sentence} checkboxes in the form, or remove many.")
    elif question.options:
        yield from _unfit_values(questionnaire, name, field, question)
    elif field.options:
        sentence = f"{question} has no options. Write {name} = {quote(field.name)}."
        yield Problem("", sentence)
    if own_question and own_question.give_up == "keep" and question.kind not in FREE_KINDS:
        sentence = f"keeps texts that are not read, and {question} takes none of those."
        yield Problem("", f'{sentence} Write give_up = "end".', is_error=False)


def _unfit_parts(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    own_question, ways = questionnaire.by_key.get(name), split_ways(questionnaire, name)
    needed = needed_parts(question)
    if needed not in ways and "date" in ways and needed == "datetime":
        sentence = f'{question} takes a time, too. Turn off "Include time" in the form.'
        yield Problem("", sentence)
    elif needed not in ways:
        cure = "Make it a short answer in the form"
        if own_question and needed == "date":
            cure = f'{cure}, or write kind = "date" and as = "date"'
        sentence = f"{question} takes a {question.kind}, which is something else."
        yield Problem("", f"{sentence} {cure}.")
    elif field.as_ != needed:
        sentence = f"{question} takes a {question.kind} in parts only."
        yield Problem("", f"{sentence} Write {name} = {field_table(field.name, needed)}.")
    elif question.kind == "date" and not question.has_year:
        sentence = f'{question} has no year. Turn on "Include year" in the form.'
        yield Problem("", sentence)


def needed_parts(question: FormQuestion) -> str | None:
    """The `as` of a field for this question, if it is a date or a time."""
    if question.kind == "date":
        return "datetime" if question.has_time else "date"
    return "time" if question.kind == "time" else None


def field_table(entry: str, parts: str) -> str:
    """The field of a date or a time, as the file has it."""
    return inline_table({"name": entry, "as": parts})


def _unfit_values(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    """Values that are no options: Google refuses the whole result for one of them."""
    for option in field.options:
        if option not in question.options:
            sentence = f"{quote(option)} is no option of {question}. Write one of"
            yield Problem("", f"{sentence} {list_options(question.options)}.")
    values = sent_values(questionnaire, name)
    others = [value for value in values or () if value not in question.options]
    if values is not None and not others:
        return
    values_or_any = list_options(others) or "anything"
    sentence = f"can be {values_or_any}, and {question} takes only its options."
    if not question.has_other:
        yield Problem("", f"{sentence} {_cure(questionnaire, name, question, others)}")
    elif not field.options:
        table = inline_table({"name": field.name, "options": question.options})
        yield Problem("", f"{sentence} Have it sent as Other: {name} = {table}.")


def _cure(
    questionnaire: Questionnaire, name: str, question: FormQuestion, others: list[str]
) -> str:
    own_question, options = questionnaire.by_key.get(name), list_options(question.options)
    if own_question and own_question.kind == "number":
        return f"Write whole = true, and min and max by its options: {options}."
    if others:
        words = questionnaire.results.values.get(name, {})
        words = words | match_values(questionnaire, name, question.options)
        right = {value: word for value, word in words.items() if word in question.options}
        example = inline_table(right or {others[0]: question.options[0]})
        return f"Its options are {options}. Write {name} = {example} below [results.values]."
    choices = f'write kind = "choice" and choices = [{options}]'
    return f"Make it a short answer{f', or {choices}' if own_question else ''}."


def _locate(question: FormQuestion) -> str:
    return f'form, "{one_line(question.title)}"'
