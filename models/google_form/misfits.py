"""What a question of a Google Form would not take of what a field sends to it, each with its cure.

Places are left out: all is about one line of [results.fields].
"""

import re
from collections.abc import Iterator

from models.google_form.fields import OTHER_TEXT, part_of
from models.google_form.options import (
    inline_table,
    list_options,
    list_some,
    match_values,
    quote,
    sent_values,
)
from models.google_form.page import FormQuestion
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import PARTS
from models.questionnaire.form_fields import encode, has_options, possible_values, split_ways
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Field, Question, Questionnaire

FREE_KINDS = {"short", "paragraph"}  # that take any text


def find_misfits(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    """What is wrong between a name of ours and the question whose entry its field has."""
    found = [*_find_misfits(questionnaire, name, field, question)]
    yield from found
    if not found and _keeps_unread(questionnaire, name) and not _takes_any(question, field):
        sentence = f"keeps texts that are not read, and {question} takes none of those."
        yield Problem("", f'{sentence} Write give_up = "end".', is_error=False)


def _takes_any(question: FormQuestion, field: Field) -> bool:
    """Whether any text can be sent by this field, and is seen in the sheet."""
    if question.is_choice:
        return question.has_other and bool(field.options)
    return not question.parts and not field.options


def _find_misfits(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    if part := part_of(field.name):
        yield from _unfit_part(questionnaire, name, field, question, part)
    elif question.parts:
        yield from _unfit_moment(questionnaire, name, field, question)
    elif field.as_:
        sentence = f"{question} takes no date or time in parts."
        yield Problem("", f"{sentence} Write {name} = {quote(field.name)}.")
    elif not question.takes_many and _sends_several(questionnaire, name, field):
        kind = "a checkbox grid" if question.kind == "grid" else "checkboxes"
        sentence = f"can have several values, and {question} takes one. Make it"
        yield Problem("", f"{sentence} {kind} in the form, or remove many.")
    elif question.is_choice:
        yield from _unfit_values(questionnaire, name, field, question)
    elif _goes_into_other(questionnaire, name, field):
        sentence = f"{question} has no options. Write {name} = {quote(field.name)}."
        yield Problem("", sentence)


def _keeps_unread(questionnaire: Questionnaire, name: str) -> bool:
    """Whether a value can be a text that was not read."""
    own_question = questionnaire.by_key.get(name)
    return (
        own_question is not None and own_question.give_up == "keep" and can_be_unread(own_question)
    )


def can_be_unread(question: Question) -> bool:
    """Whether there are texts that are no answers to a question of ours, keywords aside."""
    kind = KINDS[question.kind]
    return not kind.is_free_text or bool(question.changed(kind.option_names))


def _sends_several(questionnaire: Questionnaire, name: str, field: Field) -> bool:
    """Whether a field can be sent more than once."""
    question = questionnaire.by_key.get(name)
    if question is None or not question.many:
        return False
    return len(encode(questionnaire, {name: list(_values(questionnaire, name))})[field.name]) > 1


def _goes_into_other(questionnaire: Questionnaire, name: str, field: Field) -> bool:
    """Whether a value that is read can be none of the options that the file lists."""
    values = sent_values(questionnaire, name)
    is_other = values is None or any(value not in field.options for value in values)
    return bool(field.options) and is_other


def _values(questionnaire: Questionnaire, name: str) -> list[str]:
    return list(possible_values(questionnaire, name) or ())


# Dates and times #############################################################


def needed_parts(question: FormQuestion) -> str | None:
    """The `as` of a field for this question, if there is one."""
    return next((way for way, parts in PARTS.items() if parts == question.parts), None)


def field_table(entry: str, parts: str) -> str:
    """The field of a date or a time, as the file has it."""
    return inline_table({"name": entry, "as": parts})


def _unfit_moment(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    """A value that goes out as a whole, or as some date or time, to a question with parts."""
    way, ways = needed_parts(question), split_ways(questionnaire, name)
    if way in ways:
        if field.as_ != way:
            sentence = f"{question} takes a {question.kind} in parts only."
            yield Problem("", f"{sentence} Write {name} = {field_table(field.name, way)}.")
    elif question.kind == "date" and "date" in ways and not question.has_year:
        sentence = f'{question} has no year. Turn on "Include year" in the form.'
        yield Problem("", sentence)
    elif question.kind == "date" and "date" in ways:
        sentence = f'{question} takes a time, too. Turn off "Include time" in the form.'
        yield Problem("", sentence)
    else:
        cure = "Make it a short answer in the form"
        if name in questionnaire.by_key and way == "date":
            cure = f'{cure}, or write kind = "date" and as = "date"'
        sentence = f"{question} takes a {question.kind}, which is something else."
        yield Problem("", f"{sentence} {cure}.")


def _unfit_part(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion, part: str
) -> Iterator[Problem]:
    """A value that goes out as a part of an answer, and is none."""
    if part == OTHER_TEXT:
        options = question.options or ("…",)
        table = inline_table({"name": question.entry, "options": options})
        whole = table if question.has_other else quote(question.entry)
        sentence = f"{field.name} is read only together with {question.entry}."
        yield Problem("", f"{sentence} Write {name} = {whole}.")
    elif part not in question.parts:
        parts = ", ".join(f"{question.entry}_{each}" for each in question.parts)
        sentence = f"{question} is not sent as {field.name}. Name {parts or question.entry}."
        yield Problem("", sentence)
    elif field.as_ or field.options:
        sentence = f"{field.name} is a part already. Write {name} = {quote(field.name)}."
        yield Problem("", sentence)
    elif numbers := part_numbers(questionnaire, name):
        least, most = question.limits(part)
        if not least <= min(numbers) <= max(numbers) <= most:
            yield _bad_part(question, part)
    else:
        yield _bad_part(question, part)


def _bad_part(question: FormQuestion, part: str) -> Problem:
    least, most = question.limits(part)
    sentence = f"can be another {part} than {question} takes, which then refuses the whole result."
    cure = f'Ask for it with kind = "number", whole = true, min = {least} and max = {most}.'
    return Problem("", f"{sentence} {cure}")


def part_numbers(questionnaire: Questionnaire, name: str) -> list[int]:
    """All that a part of a date or a time can be, or none where it can be something else."""
    values = sent_values(questionnaire, name)
    own_question = questionnaire.by_key.get(name)
    if values is None or (own_question and own_question.many):
        return []
    is_number = all(re.fullmatch("-?[0-9]+", value) for value in values)
    return [int(value) for value in values] if is_number else []


# Options #####################################################################


def _unfit_values(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    """Values that are no options: Google refuses the whole result for one of them."""
    values = sent_values(questionnaire, name)
    others = [value for value in values or () if value not in question.options]
    is_any_option = values is not None and not others
    sentence = f"can be {list_some(others) or 'anything'}, and {question} takes only its options."
    if question.has_other and field.options:
        yield from _unknown_options(questionnaire, name, field, question)
    elif is_any_option and _goes_into_other(questionnaire, name, field):
        lacking = list_some([value for value in values if value not in field.options])
        sentence = (
            f"can be {lacking}, which options lacks, so that it goes into Other, and {question}"
        )
        yield Problem("", f"{sentence} has no Other. Write {name} = {quote(field.name)}.")
    elif is_any_option:
        return
    elif question.has_other and question.options and has_options(questionnaire, name):
        table = inline_table({"name": field.name, "options": question.options})
        yield Problem("", f"{sentence} Have it sent as Other: {name} = {table}.")
    else:
        yield Problem("", f"{sentence} {_cure(questionnaire, name, question, others)}")


def _unknown_options(
    questionnaire: Questionnaire, name: str, field: Field, question: FormQuestion
) -> Iterator[Problem]:
    """Options in the file that are none, so that a value which is one of them is refused."""
    values, is_kept = sent_values(questionnaire, name), _keeps_unread(questionnaire, name)
    for option in field.options:
        is_read = values is None or option in values
        if option not in question.options and (is_read or is_kept):
            sentence = f"{quote(option)} is no option of {question}. Write those that are:"
            yield Problem("", f"{sentence} {list_some(question.options)}.", is_read)


def _cure(
    questionnaire: Questionnaire, name: str, question: FormQuestion, others: list[str]
) -> str:
    own_question, options = questionnaire.by_key.get(name), list_some(question.options)
    if own_question and own_question.kind == "number" and _are_numbers(question):
        return f"Write whole = true, and min and max by its options: {options}."
    if own_question and others:
        return _cure_words(questionnaire, name, question)
    if others:
        return f"Make it a short answer, or add {list_some(others)} to its options."
    choices = f'write kind = "choice" and choices = [{list_options(question.options)}]'
    can_choose = own_question and question.options
    return f"Make it a short answer{f', or {choices}' if can_choose else ''}."


def _are_numbers(question: FormQuestion) -> bool:
    return all(re.fullmatch("-?[0-9]+", option) for option in question.options)


def _cure_words(questionnaire: Questionnaire, name: str, question: FormQuestion) -> str:
    """The line of [results.values], as far as it can be known, and what else it takes."""
    values, options = _values(questionnaire, name), question.options
    words = questionnaire.results.values.get(name, {})
    right = {value: word for value, word in words.items() if word in options}
    right = match_values(questionnaire, name, options) | right
    lacking = [value for value in values if right.get(value, value) not in options]
    taken = {right.get(value, value) for value in values}
    left = [option for option in options if option not in taken]
    if len(lacking) > len(left):
        return f"It has too few options left for {list_some(lacking)}. Add them in the form."
    named = {value: right.get(value, "…") for value in values if value in {*right, *lacking}}
    cure = f"Write {name} = {inline_table(named)} below [results.values]"
    return f"{cure}, with one of {list_some(left)} in the place of …." if lacking else f"{cure}."
