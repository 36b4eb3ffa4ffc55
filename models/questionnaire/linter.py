"""What is wrong or doubtful in a questionnaire file, each in one sentence with its cure."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from itertools import combinations, permutations
from typing import NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from models.contact import ADDRESS
from models.questionnaire.answers import NO, SEPARATOR, YES, Manner, limit, read
from models.questionnaire.keywords import find_wish, says_yes
from models.questionnaire.schema import (
    OF_KIND,
    OF_REVIEW,
    PLACEHOLDER,
    PLACEHOLDERS,
    Between,
    Condition,
    Question,
    Questionnaire,
)
from models.questionnaire.templates import LONGEST_REPLY
from models.text import fold, trim, without_accents

LONGEST = LONGEST_REPLY + 1  # characters, that a text has less than


class Finding(NamedTuple):
    """A mistake, or with `is_error` false a doubt, and its place in a file."""

    place: str
    sentence: str
    is_error: bool = True
    file: str = ""

    @property
    def part(self) -> str:
        """The question, or the line of the file, that it is about."""
        return self.place.partition(", ")[0]

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, self.place, self.sentence)))


def find_mistakes(questionnaire: Questionnaire) -> Iterator[Finding]:
    find: Callable[[Questionnaire], Iterator[Finding]]
    for find in (
        _wrong_parts,
        _wrong_keys,
        _wrong_placeholders,
        _wrong_lengths,
        _wrong_results,
        _wrong_home,
        _wrong_words,
        _wrong_conditions,
    ):
        yield from find(questionnaire)
    for place, question in enumerate(questionnaire.questions, 1):
        for name, sentence in _wrong_question(question):
            yield Finding(_at(place, name), sentence)
        yield from _wrong_choices(question, place)


def _at(place: int, name: str) -> str:
    return f"question {place}, {name}"


OF_QUESTIONS = ("thanks", "after", "results", "review", "resume", "say")
OF_COUNTERS = ("first_reply", "reply")


def _wrong_parts(questionnaire: Questionnaire) -> Iterator[Finding]:
    belongs, strange = "a counter, which has no questions", OF_COUNTERS
    if questionnaire.is_counter:
        belongs, strange = "questions", OF_QUESTIONS
        if questionnaire.reply is None:
            sentence = "asks nothing and says nothing. Add [[questions]], or reply for a counter."
            yield Finding("", sentence)
    elif questionnaire.thanks is None:
        sentence = 'has no thanks. Add what is said at the end, like thanks = "Thank you."'
        yield Finding("", sentence)
    for name in _set(questionnaire, strange):
        yield Finding(name, f"belongs to {belongs}. Remove one of the two.")
    for number in questionnaire.to:
        if not ADDRESS.fullmatch(number):
            sentence = f'{number} is not a number. Write it like "+14155550100", without spaces.'
            yield Finding("to", sentence)


def _set(part: Question | Questionnaire, names: Iterable[str]) -> list[str]:
    """Those of these names that have another value than the default."""
    fresh = type(part)(
        **{name: getattr(part, name) for name in ("ask", "title") if hasattr(part, name)}
    )
    return [name for name in names if getattr(part, name) != getattr(fresh, name)]


def _wrong_keys(questionnaire: Questionnaire) -> Iterator[Finding]:
    taken = set(PLACEHOLDERS)
    if questionnaire.has_further_results:
        taken |= {"type", "corrects"}
    seen: set[str] = set()
    for place, key in enumerate((question.key for question in questionnaire.questions), 1):
        if key.casefold() in taken:
            yield Finding(_at(place, "key"), f"{key} is taken by smsconvo. Choose another key.")
        if key in seen:
            sentence = f"{key} is an earlier question's. Choose another key."
            yield Finding(_at(place, "key"), sentence)
        seen.add(key)


class Text(NamedTuple):
    """Something that is said, with its place and the placeholders that it can hold."""

    place: str
    words: str
    known: tuple[str, ...]
    question: Question | None = None  # what it asks, or asks again
    is_said: bool = True  # whether this questionnaire ever comes to say it


def find_texts(questionnaire: Questionnaire) -> Iterator[Text]:
    """Everything that a questionnaire says."""
    known: tuple[str, ...] = PLACEHOLDERS
    for place, question in enumerate(questionnaire.questions, 1):
        asking = known + OF_KIND.get(question.kind, ())
        yield Text(_at(place, "ask"), question.ask, asking, question)
        if question.retry:
            yield Text(_at(place, "retry"), question.retry, asking, question)
        known += (question.key,)
    for name in ("thanks", "after", "first_reply", "reply"):
        if words := getattr(questionnaire, name):
            yield Text(name, words, known)
    if questionnaire.questions:
        yield from _find_sentences(questionnaire)


SENTENCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("text", "yes_no", "email", "phone", "photo"), ()),
    **dict.fromkeys(("choice", "many"), ("choices",)),
    **dict.fromkeys(("number", "date"), ("limits",)),
    **dict.fromkeys(("review", "corrected"), OF_REVIEW),
    **dict.fromkeys(("needed", "unchanged", "resumed", "ended"), ()),
}


def _find_sentences(questionnaire: Questionnaire) -> Iterator[Text]:
    """Those of [say]. Of a kind that is asked for more than once, each question has its own."""
    said = {
        "needed": any(not question.optional for question in questionnaire.questions),
        "ended": any(question.give_up == "end" for question in questionnaire.questions),
        "resumed": questionnaire.resume is not None,
        **dict.fromkeys(("review", "corrected", "unchanged"), questionnaire.review),
    }
    for name, special in SENTENCES.items():
        words, known = getattr(questionnaire.say, name), PLACEHOLDERS + special
        asked = [
            question
            for question in questionnaire.questions
            if questionnaire.say.name_of_retry(question) == name and not _reads_all(question)
        ]
        if not asked:
            yield Text(f"say, {name}", words, known, is_said=said.get(name, False))
        for question in asked:
            yield Text(f"say, {name}", words, known, question)


def _reads_all(question: Question) -> bool:
    limits = (question.min, question.max, question.pattern)
    return question.kind == "text" and limits == (None, None, None)


def _wrong_placeholders(questionnaire: Questionnaire) -> Iterator[Finding]:
    stranger = Text("stranger", questionnaire.stranger, ())
    for text in {text.place: text for text in (*find_texts(questionnaire), stranger)}.values():
        for name in PLACEHOLDER.findall(text.words):
            if name not in text.known:
                can_be = ", ".join(f"{{{one}}}" for one in text.known) or "no placeholder"
                sentence = f"{{{name}}} is not known here. There can be {can_be}."
                yield Finding(text.place, sentence)


def _wrong_lengths(questionnaire: Questionnaire) -> Iterator[Finding]:
    for text in {text.place: text for text in find_texts(questionnaire)}.values():
        if len(text.words) >= LONGEST:
            sentence = f"has {len(text.words):,} characters, and a text has less than {LONGEST:,}."
            yield Finding(text.place, f"{sentence} Shorten it.")


def _wrong_results(questionnaire: Questionnaire) -> Iterator[Finding]:
    if questionnaire.results is None:
        return
    results = questionnaire.results
    if not is_web_address(results.url):
        sentence = "is not a web address. Write it whole, like https://example.org/results."
        yield Finding("results, url", sentence)
    ours = ["From", "Event", *(question.key for question in questionnaire.questions)]
    if questionnaire.has_further_results:
        ours += ["Type", "Corrects"]
    for name in results.fields:
        if name not in ours:
            sentence = f"{name} is not a name of ours. There can be {', '.join(ours)}."
            yield Finding("results, fields", sentence)
    theirs = [results.fields.get(name, name) for name in ours]
    for name in sorted({name for name in theirs if theirs.count(name) > 1}):
        sentence = f"{name} would be sent twice. Give each name a field of its own."
        yield Finding("results, fields", sentence)
    if results.fields and results.format == "json":
        sentence = 'are names for format = "form". Remove them, or the format.'
        yield Finding("results, fields", sentence)


def is_web_address(url: str) -> bool:
    """Whether this is a whole http or https URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _wrong_home(questionnaire: Questionnaire) -> Iterator[Finding]:
    try:
        ZoneInfo(questionnaire.timezone)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # unknown; a directory; not relative
        sentence = 'is not a time zone. Write one like "Europe/Berlin".'
        yield Finding("timezone", sentence)
    if questionnaire.language != "en" and not _knows_dates_of(questionnaire.language):
        sentence = f'{questionnaire.language} is not known for dates. Write one like "es".'
        yield Finding("language", sentence)


def _knows_dates_of(language: str) -> bool:
    from dateparser.data.languages_info import language_order

    return language in language_order


# The fields that only some kinds have.
KINDS = {
    **dict.fromkeys(("min", "max"), ("text", "number")),
    **dict.fromkeys(("choices", "many"), ("choice",)),
    **dict.fromkeys(("earliest", "latest", "day_first"), ("date",)),
    "pattern": ("text",),
    "whole": ("number",),
    "region": ("phone",),
}


def _wrong_question(question: Question) -> Iterator[tuple[str, str]]:
    for name in _set(question, KINDS):
        if question.kind not in KINDS[name]:
            kinds = " or ".join(f'"{kind}"' for kind in KINDS[name])
            yield name, f"belongs to kind = {kinds}. Remove it, or change the kind."
    least, most = question.min, question.max
    if question.kind == "text":
        least, most = least or 0, LONGEST if most is None else most
    if question.whole:
        least, most = least and math.ceil(least), most and math.floor(most)
    if None not in (least, most) and least > most:
        yield "min", "leaves nothing between it and max. Correct one."
    if question.kind == "text" and most < 1:
        yield "max", "leaves nothing to text. Write a larger number."
    if question.kind == "choice" and not question.choices:
        yield "choices", 'are missing. Add them, like choices = ["Pizza", "Pasta"].'
    yield from _wrong_days(question)
    if question.pattern and (why := _fault_of_pattern(question.pattern)):
        yield "pattern", f"is not a regular expression: {why}. Correct it."
    if question.region and not _is_region(question.region):
        sentence = 'is not a country. Write its two letters, like "US" or "DE".'
        yield "region", f"{question.region} {sentence}"


def _is_sound(question: Question) -> bool:
    """Whether it can be tried what it reads."""
    return not any(_wrong_question(question))


def _wrong_days(question: Question) -> Iterator[tuple[str, str]]:
    written = (question.earliest, question.latest)
    for name, day in zip(("earliest", "latest"), written, strict=True):
        if day and not _is_limit(day):
            yield name, f"{day} is not a day. Write one that the calendar has."
            return
    # One that moves with today and one that does not may be in any order, some day.
    if None not in written and len({day.startswith("today") for day in written}) == 1:
        earliest, latest = (limit(day, TRIAL.day) for day in written)
        if earliest > latest:
            yield "earliest", "is after latest. No day could be between them; correct one."


def _is_limit(day: str) -> bool:
    try:
        return limit(day, TRIAL.day) is not None
    except ValueError:
        return False


def _fault_of_pattern(pattern: str) -> str | None:
    import regex

    try:
        regex.compile(pattern)
    except (regex.error, RecursionError) as error:
        return str(error)
    return None


def _is_region(region: str) -> bool:
    import phonenumbers

    return region in phonenumbers.SUPPORTED_REGIONS


WORDS = ("back", "skip", "restart", "ok", "fix")
TRIAL = Manner(date(2000, 1, 1))  # to read words by; which day it is does not matter to them


def _wrong_words(questionnaire: Questionnaire) -> Iterator[Finding]:
    """The words that the file names itself, but for its choices."""
    say = questionnaire.say
    named = [(name, getattr(say, name)) for name in WORDS]
    for name, word in named:
        if not any(sign.isalpha() for sign in word):
            yield Finding(f"say, {name}", f"{word} has no letter. Choose a word.")
        yield from _worth_nothing(f"say, {name}", word)
    for name in ("yes", "no"):
        for word in getattr(say, name):
            yield from _worth_nothing(f"say, {name}", word)
    if questionnaire.event:
        yield from _worth_nothing("event", questionnaire.event)
        yield from _opting_in("event", questionnaire.event)
    yes, no = ({_plain(word) for word in words} for words in (say.yes or YES, say.no or NO))
    for word in sorted(yes & no):
        sentence = f"{word} is a word for yes and for no. Remove one of the two."
        yield Finding("say, no", sentence)
    for (one, word), (other, same) in combinations(named, 2):
        if _plain(word) == _plain(same):
            yield Finding(f"say, {other}", f"is the same word as {one}. Choose another.")
    yield from _words_that_are_answers(questionnaire)


def _words_that_are_answers(questionnaire: Questionnaire) -> Iterator[Finding]:
    """A word goes before an answer, so nobody could give that; the name of a choice goes before."""
    manner = TRIAL._replace(yes=questionnaire.say.yes, no=questionnaire.say.no)
    words = {name: getattr(questionnaire.say, name) for name in ("back", "skip", "restart")}
    for place, question in enumerate(questionnaire.questions, 1):
        if question.kind in ("text", "photo") or not _is_sound(question):
            continue
        for name, word in words.items():
            if question.is_name(word):
                sentence = f"{word} hides the word {name}: here it chooses. Rename one of the two."
                yield Finding(_at(place, "choices"), sentence, is_error=False)
            elif read(question, word, manner) is not None:
                sentence = f"{word} is an answer to question {place}, too. Choose another word."
                yield Finding(f"say, {name}", sentence)


def _plain(word: str) -> str:
    return trim(without_accents(fold(word)))


def _worth_nothing(place: str, word: str) -> Iterator[Finding]:
    if (wish := find_wish(word)) in ("stop", "help"):
        why = "it stops all our texts" if wish == "stop" else "Twilio answers it with help"
        sentence = f"{word} can never be read, as {why}. Choose another word."
        yield Finding(place, sentence)


def _opting_in(place: str, word: str) -> Iterator[Finding]:
    if find_wish(word) == "start" or says_yes(word):
        sentence = f"{word} opts in at Twilio, which may answer it and have us silent."
        yield Finding(place, f"{sentence} Choose another word.", is_error=False)


def _wrong_choices(question: Question, place: int) -> Iterator[Finding]:
    at = _at(place, "choices")
    for choice in question.choices:
        for word in dict.fromkeys((choice.value, choice.label, *choice.also)):
            yield from _worth_nothing(at, word)
            yield from _opting_in(at, word)
        if question.many and SEPARATOR.strip() in choice.value:
            sentence = f"{choice.value} holds a comma, which is put between several. Remove it."
            yield Finding(at, sentence)
    for one, other in combinations(question.choices, 2):
        for word in sorted(one.names & other.names):
            sentence = f"{word} means {one.label} and {other.label} both."
            yield Finding(at, f"{sentence} Give each words of its own.")
    for (_, one), (spot, other) in permutations(enumerate(question.choices), 2):
        for word in sorted(one.names & _marks(spot)):
            sentence = f"{word} means {one.label}, though it is the number or letter of"
            yield Finding(at, f"{sentence} {other.label}. Choose longer words.", is_error=False)


def _marks(place: int) -> set[str]:
    return {str(place + 1)} | ({chr(ord("a") + place)} if place < 26 else set())


Conditions = dict[str, list[Condition]]


def _wrong_conditions(questionnaire: Questionnaire) -> Iterator[Finding]:
    """Conditions on what is not asked before, that never hold, or never hold together."""
    earlier: dict[str, Question] = {}
    needed: dict[str, Conditions] = {}
    for place, question in enumerate(questionnaire.questions, 1):
        at = _at(place, "only_if")
        needed[question.key] = {}
        for key, condition in question.only_if.items():
            if key not in earlier:
                can_be = ", ".join(earlier) or "none, as this is the first"
                sentence = f"{key} is no earlier question. There can be {can_be}."
                yield Finding(at, sentence)
            elif not _can_hold(earlier[key], [condition]):
                sentence = f"{key} can never be that. {_what_it_can_be(earlier[key])}"
                yield Finding(at, sentence)
            else:
                _add(needed[question.key], {key: [condition]}, needed[key])
        if not all(_can_hold(earlier[key], all_) for key, all_ in needed[question.key].items()):
            sentence = "no path leads to this question: its conditions, with those of the questions"
            yield Finding(at, f"{sentence} that they name, exclude each other. Change one of them.")
        earlier[question.key] = question


def _add(needed: Conditions, *more: Mapping[str, list[Condition]]) -> None:
    for one in more:
        for key, conditions in one.items():
            needed.setdefault(key, []).extend(conditions)


def _can_hold(question: Question, conditions: list[Condition]) -> bool:
    """Whether some answer to a question meets all of these."""
    return any(
        all(question.meets(value, one) for one in conditions)
        for value in _candidates(question, conditions)
    )


def _candidates(question: Question, conditions: list[Condition]) -> Iterator[str]:
    """Values that an answer can have; if any value meets the conditions, then one of these does."""
    listed = [one for condition in conditions for one in _listed(condition)]
    match question.kind:
        case "yes_no":
            yield from ("yes", "no")
        case "choice" if question.many:
            yield SEPARATOR.join(choice.value for choice in question.choices)
        case "choice":
            yield from (choice.value for choice in question.choices)
        case "number":
            yield from _numbers(question, [one for one in listed if not isinstance(one, str)])
        case "date":
            yield from (one for one in listed if _is_day(one))
        case _:
            texts = map(str, listed)
            is_sound = _is_sound(question)
            yield from (one for one in texts if is_sound and read(question, one, TRIAL) == one)


def _listed(condition: Condition) -> Iterable[str | int | float]:
    if isinstance(condition, Between):
        bounds = (condition.min, condition.max)
        return [one for one in bounds if one is not None] or [0]
    return condition if isinstance(condition, tuple) else (condition,)


def _numbers(question: Question, listed: list[int | float]) -> Iterator[str]:
    """The ends of intervals, for one is in all that overlap, or the whole numbers next to them."""
    bounds = [one for one in (question.min, question.max) if one is not None]
    for number in (*listed, *bounds):
        for one in {math.floor(number), math.ceil(number)} if question.whole else {number}:
            if question.meets(str(one), Between(question.min, question.max)):
                yield str(one)


def _is_day(value: str | int | float) -> bool:
    try:
        return date.fromisoformat(str(value)).isoformat() == value
    except ValueError:
        return False


def _what_it_can_be(question: Question) -> str:
    match question.kind:
        case "yes_no":
            return 'Write "yes" or "no".'
        case "choice":
            values = ", ".join(f'"{choice.value}"' for choice in question.choices)
            return f"Write one of its values: {values}."
        case "number":
            return "Write numbers inside its limits, or { min = 1, max = 9 }."
        case "date":
            return "Write a date like 2026-12-31."
    return "Write a text, or a list of texts; min and max are for numbers."
