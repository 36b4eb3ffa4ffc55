"""What is wrong with [results]: where answers cannot go, and what would be lost on the way."""

from collections import Counter
from collections.abc import Iterator
from itertools import combinations

from addresses import is_web_address
from models.google_form.address import (
    form_id,
    is_google_form,
    is_public,
    is_response_url,
    is_short_link,
    response_url,
)
from models.google_form.fields import ENTRY, FIELD, OF_PAGE
from models.google_form.options import list_options, list_some, quote
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import PARTS
from models.questionnaire.form_fields import (
    field_names,
    has_options,
    known_names,
    sent_names,
    split_ways,
)
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Field, Question, Questionnaire
from models.text import fold_case

OF_FORMS = ("fields", "values", "pages")


def find_problems(questionnaire: Questionnaire) -> Iterator[Problem]:
    """All errors and warnings about where the answers of a questionnaire go."""
    results = questionnaire.results
    if results is None:
        return
    yield from bad_address(questionnaire)
    if results.format == "json":
        for name in results.changed(OF_FORMS):
            sentence = 'belongs to format = "form". Remove it, or the format.'
            yield Problem(f"results, {name}", sentence)
        return
    if results.pages > 1 and not (is_google_form(results.url) or is_short_link(results.url)):
        sentence = "is only for a Google Form, and url is not one. Remove it."
        yield Problem("results, pages", sentence)
    for check in (unknown_names, repeated_fields, lost_names):
        yield from check(questionnaire)
    names = known_names(questionnaire)
    for name in (name for name in results.fields if name in names):
        yield from bad_field(questionnaire, name)
    for key in (key for key in results.values if key in questionnaire.by_key):
        yield from bad_words(questionnaire, questionnaire.by_key[key])


def bad_address(questionnaire: Questionnaire) -> Iterator[Problem]:
    """An address that takes no answers, or a format that is not read there."""
    results = questionnaire.results
    if not is_web_address(results.url):
        sentence = "is not a web address. Write it whole, like https://example.org/results."
        yield Problem("results, url", sentence)
    elif cure := _address_cure(results.url):
        yield Problem("results, url", f"takes no results, so they are lost. {cure}", False)
    if results.format == "json" and is_google_form(results.url):
        sentence = "is not read by a Google Form, so results are lost. Remove it, and name the"
        yield Problem("results, format", f"{sentence} entries under [results.fields].", False)


def _address_cure(url: str) -> str | None:
    """What to write for another address of a form than that where it takes answers."""
    if is_short_link(url):
        sentence = "It is a short link: open it, and write the address that it leads to, with"
        return f"{sentence} formResponse in the place of viewform."
    if not is_google_form(url) or is_response_url(url):
        return None
    if form_id(url) and not is_public(url):
        return f"It is of the form's editor. Write the public one, which this says: form {url}"
    try:
        return f'Write "{response_url(url)}".'
    except ValueError:
        return "Write the address of a form, with /formResponse at its end."


def unknown_names(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Names that are none of ours, and keys of no question."""
    results, names = questionnaire.results, known_names(questionnaire)
    for name in results.fields:
        if name not in names:
            sentence = f"{quote(name)} is not a name of ours. There can be {', '.join(names)}."
            yield Problem("results, fields", sentence)
    for key in results.values:
        if key not in questionnaire.by_key:
            keys = ", ".join(questionnaire.by_key)
            sentence = f"{quote(key)} is not the key of a question. There can be {keys}."
            yield Problem("results, values", sentence)


def repeated_fields(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Fields that two values would go into, also in parts."""
    results = questionnaire.results
    claims = {quote(name): _claim(results.field(name)) for name in sent_names(questionnaire)}
    if is_google_form(results.url):
        claims["the page of the form"] = set(OF_PAGE)
    for (name, claim), (other, other_claim) in combinations(claims.items(), 2):
        if both := claim & other_claim:
            sentence = f'"{min(both)}" would be sent twice, for {name} and {other}.'
            yield Problem("results, fields", f"{sentence} Give each a field of its own.")


def _claim(field: Field) -> set[str]:
    """What no other value may go into. A question of a Google Form takes a whole value or parts."""
    is_whole_entry = not field.as_ and ENTRY.fullmatch(field.name)
    parts = [f"{field.name}_{part}" for part in PARTS["datetime"]] if is_whole_entry else []
    return {field.name, *field_names(field), *parts}


def lost_names(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Names without an entry in a Google Form, which drops what it does not know."""
    results = questionnaire.results
    if not is_google_form(results.url):
        return
    # Whoever does not want the sender or the event in a form leaves them out.
    needed = [
        name
        for name in sent_names(questionnaire)
        if name in results.fields or name not in ("From", "Event")
    ]
    names = {name: field_names(results.field(name)) for name in needed}
    lost = [name for name in needed if not all(map(FIELD.fullmatch, names[name]))]
    if lost:
        sentence = f"{list_options(lost)} would be dropped by the Google Form. Name the entry of"
        yield Problem("results, fields", f'{sentence} each, like {lost[0]} = "entry.1001".', False)


def bad_field(questionnaire: Questionnaire, name: str) -> Iterator[Problem]:
    """What is wrong with the way that a value goes out."""
    field, question = questionnaire.results.field(name), questionnaire.by_key.get(name)
    ways = split_ways(questionnaire, name)
    if field.as_ and field.as_ not in ways:
        cure = " or ".join(f'as = "{way}"' for way in ways)
        cure = f"Write {cure}." if cure else "Remove as."
        yield Problem("results, fields", f"{quote(name)} cannot go out as {field.as_}. {cure}")
    elif field.as_ and question and question.give_up == "keep":
        sentence = f'{quote(name)} goes out as {field.as_}, and give_up = "keep" keeps any text.'
        yield Problem("results, fields", f"{sentence} Remove one of the two.")
    if field.options and not has_options(questionnaire, name):
        sentence = f"{quote(name)} is no text or choice, so it cannot go into Other. Remove the"
        sentence = f"{sentence} options."
        yield Problem("results, fields", sentence)
    elif field.options and question:
        yield from _near_options(questionnaire, question, field)


def _near_options(
    questionnaire: Questionnaire, question: Question, field: Field
) -> Iterator[Problem]:
    """Values that are meant to be options, and are not written like them."""
    words = questionnaire.results.values.get(question.key, {})
    folded = set(map(fold_case, field.options))
    for value in KINDS[question.kind].values(question):
        word = words.get(value, value)
        if word not in field.options and (value in words or fold_case(word) in folded):
            sentence = (
                f"{quote(question.key)} can be {quote(word)}, which is not among its options,"
            )
            sentence = f"{sentence} so it goes into Other. Correct one of the two."
            yield Problem("results, fields", sentence, False)


def bad_words(questionnaire: Questionnaire, question: Question) -> Iterator[Problem]:
    """Words of the receiver for values that a question cannot have, or for several of them."""
    results, key = questionnaire.results, question.key
    words, values = results.values[key], KINDS[question.kind].values(question)
    if not values:
        cure = "Write whole = true, min and max" if question.kind == "number" else "Remove it"
        sentence = f'{quote(key)} is of kind = "{question.kind}", whose values have no end. {cure}.'
        yield Problem("results, values", sentence)
        return
    for value in words:
        if value not in values:
            sentence = f"{quote(key)} can never be {quote(value)}. Write one of"
            yield Problem("results, values", f"{sentence} {list_some(values)}.")
    counts = Counter(words.get(value, value) for value in values)
    for word in (word for word, count in counts.items() if count > 1):
        sentence = f"{quote(key)} would be {quote(word)} for {counts[word]} of its values, which"
        sentence = f"{sentence} nobody could tell apart. Give each a word of its own."
        yield Problem("results, values", sentence, question.many)
    if question.give_up == "keep" and not results.field(key).options:
        sentence = f'{quote(key)} has no word for the texts that give_up = "keep" keeps.'
        sentence = f"{sentence} Add options, so that they go into Other."
        yield Problem("results, values", sentence, False)
