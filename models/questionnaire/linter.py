"""What is wrong or doubtful in a questionnaire, each in one sentence with its cure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from addresses import is_text_address
from models.non_answers import is_opt_in_yes, opt_keyword
from models.opting_out import find_opt_out
from models.questionnaire import answers, conditions, mapping
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import ANY_DAY, ParseContext
from models.questionnaire.assent import assent_words
from models.questionnaire.languages import LANGUAGES
from models.questionnaire.problem import Problem
from models.questionnaire.schema import PLACEHOLDERS, Question, Questionnaire
from models.questionnaire.sentences import Template, find_templates
from models.questionnaire.templates import PLACEHOLDER
from models.text import LONGEST_REPLY, comparable, normalize, strip_decoration

OF_QUESTIONS = ("thanks", "after", "results", "review", "resume", "say")
OF_COUNTERS = ("first_reply", "reply")
KEYWORDS = ("back", "skip", "restart", "ok", "fix")


def find_problems(questionnaire: Questionnaire) -> Iterator[Problem]:
    """All errors and warnings; places are lines of the file, such as "question 2, ask"."""
    check: Callable[[Questionnaire], Iterator[Problem]]
    for check in (
        misplaced_parts,
        bad_keys,
        unknown_placeholders,
        long_sentences,
        mapping.find_problems,
        bad_locale,
        bad_keywords,
        opt_outs,
        bad_stop_words,
        which_without_readings,
        conditions.find_problems,
    ):
        yield from check(questionnaire)
    for number, question in enumerate(questionnaire.questions, 1):
        for problem in (*unreadable(question), *bad_names(question)):
            yield problem._replace(location=_location(number, problem.location))


def _location(number: int, line: str) -> str:
    return f"question {number}, {line}"


def misplaced_parts(questionnaire: Questionnaire) -> Iterator[Problem]:
    """What only questions, or only counters can have, and what is missing in either."""
    owner, misplaced = "a counter, which has no questions", OF_COUNTERS
    if questionnaire.is_counter:
        owner, misplaced = "questions", OF_QUESTIONS
        if questionnaire.reply is None:
            sentence = "asks nothing and says nothing. Add [[questions]], or reply for a counter."
            yield Problem("", sentence)
    elif questionnaire.thanks is None:
        sentence = 'has no thanks. Add what is said at the end, like thanks = "Thank you."'
        yield Problem("", sentence)
    for name in questionnaire.changed(misplaced):
        yield Problem(name, f"belongs to {owner}. Remove one of the two.")
    for number in questionnaire.to:
        if not is_text_address(number):
            sentence = f'{number} is not a number. Write it like "+14155550100", without spaces.'
            yield Problem("to", sentence)


def bad_keys(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Keys that mean something else, or that two questions have."""
    taken = set(PLACEHOLDERS)
    if questionnaire.has_several_results:
        taken |= {"type", "corrects"}
    seen: set[str] = set()
    for number, key in enumerate((question.key for question in questionnaire.questions), 1):
        if key.casefold() in taken:
            sentence = f"{key} is taken by smsconvo. Choose another key."
            yield Problem(_location(number, "key"), sentence)
        if key in seen:
            sentence = f"{key} is an earlier question's. Choose another key."
            yield Problem(_location(number, "key"), sentence)
        seen.add(key)


def unknown_placeholders(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Names in braces that cannot be filled where they stand."""
    stranger = Template("stranger", questionnaire.stranger, ())
    for template in _by_place([*find_templates(questionnaire), stranger]):
        for name in PLACEHOLDER.findall(template.text):
            if name not in template.placeholders:
                known = ", ".join(f"{{{known}}}" for known in template.placeholders)
                sentence = f"{{{name}}} is not known here. There can be {known or NONE}."
                yield Problem(template.location, sentence)


NONE = "no placeholder"


def long_sentences(questionnaire: Questionnaire) -> Iterator[Problem]:
    """What no text has room for, even before it is filled."""
    for template in _by_place(find_templates(questionnaire)):
        if len(template.text) > LONGEST_REPLY:
            sentence = f"has {len(template.text):,} characters, and a text has less than"
            sentence = f"{sentence} {LONGEST_REPLY + 1:,}. Shorten it."
            yield Problem(template.location, sentence)


def _by_place(templates: Iterable[Template]) -> Iterable[Template]:
    return {template.location: template for template in templates}.values()


def bad_locale(questionnaire: Questionnaire) -> Iterator[Problem]:
    """A time zone or a language that is not known."""
    try:
        ZoneInfo(questionnaire.timezone)
    except (ZoneInfoNotFoundError, OSError, ValueError):  # unknown; a directory; not relative
        sentence = 'is not a time zone. Write one like "Europe/Berlin".'
        yield Problem("timezone", sentence)
    if not _has_dates(questionnaire.language):
        sentence = f'{questionnaire.language} is not known for dates. Write one like "es".'
        yield Problem("language", sentence)


def _has_dates(language: str) -> bool:
    if language in LANGUAGES:
        return True
    from dateparser.data.languages_info import language_order

    return language in language_order


def bad_keywords(questionnaire: Questionnaire) -> Iterator[Problem]:
    """The words that the file itself names, except for names of answers."""
    say = questionnaire.say
    named = [(name, getattr(questionnaire.sentences, name)) for name in KEYWORDS]
    for name, word in named:
        if not any(character.isalpha() for character in word):
            yield Problem(f"say, {name}", f"{word} has no letter. Choose a word.")
        yield from reserved_keyword(f"say, {name}", word)
    for name in ("yes", "no"):
        for word in getattr(say, name):
            yield from reserved_keyword(f"say, {name}", word)
    if questionnaire.event:
        yield from reserved_keyword("event", questionnaire.event)
        yield from opt_in_keyword("event", questionnaire.event)
    yes, no = (
        set(map(comparable, own)) or _assent(value, questionnaire.language)
        for value, own in (("yes", say.yes), ("no", say.no))
    )
    for word in sorted(yes & no):
        sentence = f"{word} is a word for yes and for no. Remove one of the two."
        yield Problem("say, no", sentence)
    for (name, word), (other, same) in combinations(named, 2):
        if comparable(word) == comparable(same):
            yield Problem(f"say, {other}", f"is the same word as {name}. Choose another.")
    yield from keywords_that_are_answers(questionnaire)


@cache  # there are hundreds, and most files have no words of their own
def _assent(value: str, language: str) -> frozenset[str]:
    return frozenset(map(comparable, assent_words(value, language)))


def keywords_that_are_answers(questionnaire: Questionnaire) -> Iterator[Problem]:
    """A keyword precedes an answer, so nobody could give that. A name of an answer precedes it."""
    context = _context_of(questionnaire)
    names = ("back", "skip", "restart")
    words = {name: getattr(questionnaire.sentences, name) for name in names}
    for number, question in enumerate(questionnaire.questions, 1):
        kind = KINDS[question.kind]
        if kind.is_free_text or any(unreadable(question)):
            continue
        for name, word in words.items():
            if kind.is_name(question, word):
                sentence = f"{word} hides the word {name}: here it chooses. Rename one of the two."
                option = next(kind.names(question)).option
                yield Problem(_location(number, option), sentence, is_error=False)
            elif kind.read(question, word, context).values:
                sentence = f"{word} is an answer to question {number}, too. Choose another word."
                yield Problem(f"say, {name}", sentence)


def _context_of(questionnaire: Questionnaire) -> ParseContext:
    say, language = questionnaire.say, questionnaire.language
    return replace(ANY_DAY, language=language, yes=say.yes, no=say.no)


def reserved_keyword(location: str, word: str) -> Iterator[Problem]:
    """A word that never comes to be read, as Twilio or smsconvo does something else with it."""
    if (keyword := opt_keyword(strip_decoration(normalize(word)))) in ("stop", "help"):
        why = "it stops all our texts" if keyword == "stop" else "Twilio answers it with help"
        sentence = f"{word} can never be read, as {why}. Choose another word."
        yield Problem(location, sentence)


def opt_outs(questionnaire: Questionnaire) -> Iterator[Problem]:
    """An event, or a name of an answer, that is taken for opting out where we understand that."""
    words = [("event", questionnaire.event)] if questionnaire.event else []
    for number, question in enumerate(questionnaire.questions, 1):
        names = KINDS[question.kind].names(question)
        words += [(_location(number, name.option), name.text) for name in names]
    languages, stop_words = frozenset([questionnaire.language]), questionnaire.say.stop
    for location, word in words:
        is_reserved = opt_keyword(strip_decoration(normalize(word))) is not None
        if find_opt_out(word, languages, stop_words) == "opt_out" and not is_reserved:
            sentence = f"{word} opts out, so it can never be read. Choose another word."
            yield Problem(location, sentence, is_error=False)


def bad_stop_words(questionnaire: Questionnaire) -> Iterator[Problem]:
    """Words that opt out for this questionnaire alone, and hide something else."""
    sentences, languages = questionnaire.sentences, frozenset([questionnaire.language])
    for word in questionnaire.say.stop:
        if not any(character.isalpha() for character in word):
            yield Problem("say, stop", f"{word} has no letter. Choose a word.")
        elif keyword := sentences.find_keyword(comparable(word)):
            sentence = f"{word} hides the word {keyword}: here it opts out. Choose another word."
            yield Problem("say, stop", sentence)
        elif find_opt_out(word, languages) != "opt_out":
            for number in _questions_answered_by(questionnaire, word):
                sentence = f"{word} is an answer to question {number}, too. Choose another word."
                yield Problem("say, stop", sentence, is_error=False)


def _questions_answered_by(questionnaire: Questionnaire, word: str) -> Iterator[int]:
    """Those that read a word as a value, except as a name that the file gives to it."""
    context = _context_of(questionnaire)
    for number, question in enumerate(questionnaire.questions, 1):
        kind = KINDS[question.kind]
        if kind.is_free_text or any(unreadable(question)) or kind.is_name(question, word):
            continue
        if kind.read(question, word, context).values:
            yield number


def which_without_readings(questionnaire: Questionnaire) -> Iterator[Problem]:
    """A sentence that asks which was meant, and does not say of what."""
    if "{readings}" not in (questionnaire.say.which or "{readings}"):
        yield Problem("say, which", "does not name what can be meant. Write {readings} there.")


def opt_in_keyword(location: str, word: str) -> Iterator[Problem]:
    """A word that Twilio takes for opting in."""
    plain = strip_decoration(normalize(word))
    if opt_keyword(plain) == "start" or is_opt_in_yes(plain):
        sentence = f"{word} opts in at Twilio, which may answer it and have us silent."
        yield Problem(location, f"{sentence} Choose another word.", is_error=False)


def unreadable(question: Question) -> Iterator[Problem]:
    """What makes it impossible to try out what a question reads; places are its lines."""
    for name in question.changed(name for name, *_ in answers.option_fields()):
        if name not in KINDS[question.kind].option_names:
            owners = [f'"{owner}"' for owner, kind in KINDS.items() if name in kind.option_names]
            sentence = f"belongs to kind = {' or '.join(owners)}. Remove it, or change the kind."
            yield Problem(name, sentence)
    yield from KINDS[question.kind].problems(question)


def bad_names(question: Question) -> Iterator[Problem]:
    """What is wrong with the names that the file gives to answers; places are lines."""
    kind = KINDS[question.kind]
    for name in kind.names(question):
        yield from reserved_keyword(name.option, name.text)
        yield from opt_in_keyword(name.option, name.text)
    yield from kind.name_problems(question)
