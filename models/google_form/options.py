"""Which of a form's options our values are, and how a questionnaire file says so."""

import json
from collections.abc import Iterable, Mapping, Sequence

from models.questionnaire.answers import KINDS
from models.questionnaire.assent import assent_words
from models.questionnaire.form_fields import fold_option, possible_values, sent_word
from models.questionnaire.schema import Question, Questionnaire

MAX_LISTED = 10  # texts in a sentence
# Besides the English words and the questionnaire's own, in the languages that forms are often in.
YES_ABROAD = {"ja", "oui", "si", "sim", "da", "tak", "ano", "evet", "ya", "hai", "yes"}
NO_ABROAD = {
    "nein",
    "non",
    "no",
    "nao",
    "nie",
    "ne",
    "nee",
    "nej",
    "nei",
    "hayir",
    "hayır",
    "tidak",
}


def sent_values(questionnaire: Questionnaire, name: str) -> list[str] | None:
    """All that the receiver can get for this name of ours; None where that has no end."""
    values = possible_values(questionnaire, name)
    return values and [sent_word(questionnaire, name, value) for value in values]


def own_values(question: Question) -> list[str] | None:
    """All values that an answer can have, or None where they have no end."""
    return list(KINDS[question.kind].values(question)) or None


def match_values(questionnaire: Questionnaire, name: str, options: Iterable[str]) -> dict[str, str]:
    """The option that each value of a question means, for those that are not exactly one."""
    question = questionnaire.by_key.get(name)
    options = list(options)
    if question is None or not options:
        return {}
    values = [value for value in own_values(question) or () if value not in options]
    found = {value: _find_option(questionnaire, question, value, options) for value in values}
    return {value: option for value, option in found.items() if option is not None}


def _find_option(
    questionnaire: Questionnaire, question: Question, value: str, options: list[str]
) -> str | None:
    """The only option that is this value in other words, or None."""
    words = words_for(questionnaire, question, value)
    found = [option for option in options if fold_option(option) in words]
    return found[0] if len(found) == 1 else None


def words_for(questionnaire: Questionnaire, question: Question, value: str) -> set[str]:
    """The words, folded, that an option can have for a value of a question."""
    return set(map(fold_option, _names_of(questionnaire, question, value)))


def _names_of(questionnaire: Questionnaire, question: Question, value: str) -> set[str]:
    if question.kind == "yes_no":
        own = {"yes": questionnaire.say.yes, "no": questionnaire.say.no}[value]
        abroad = {"yes": YES_ABROAD, "no": NO_ABROAD}[value]
        return assent_words(value, questionnaire.language) | abroad | {*own}
    choices = [choice for choice in question.choices if choice.value == value]
    names = {name for choice in choices for name in (choice.value, choice.label, *choice.also)}
    return names | {value}


def list_options(options: Iterable[str]) -> str:
    """All options, quoted, so that a blank at an end shows."""
    return ", ".join(map(quote, options))


def list_some(texts: Sequence[str]) -> str:
    """The first of these texts for a sentence, quoted, and how many more there are."""
    more = len(texts) - MAX_LISTED
    return list_options(texts[:MAX_LISTED]) + (f" and {more:,} more" if more > 0 else "")


# TOML ########################################################################


def quote(text: str) -> str:
    """A text as a string of TOML, which shows what does not print, such as a hard blank."""
    return "".join(map(_escape, json.dumps(text, ensure_ascii=False)))


def _escape(character: str) -> str:
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def inline_table(values: Mapping[str, str | Iterable[str]]) -> str:
    """A table of TOML on one line."""
    pairs = [f"{_key(name)} = {_value(value)}" for name, value in values.items()]
    return f"{{ {', '.join(pairs)} }}"


def _value(value: str | Iterable[str]) -> str:
    return quote(value) if isinstance(value, str) else f"[{list_options(value)}]"


def _key(name: str) -> str:
    is_bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if is_bare else quote(name)
