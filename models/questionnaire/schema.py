"""A questionnaire as its file says it."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property, lru_cache
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from models.questionnaire import answers
from models.questionnaire.answers import SEPARATOR, is_between
from models.text import fold, trim, without_accents

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS = ("name", "from", "to", "count", "event")
OF_REVIEW = ("answers", "last")
OF_KIND = {"choice": ("choices",), "number": ("limits",), "date": ("limits",)}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Sentence = Annotated[str, Meta(pattern=r"\S")]
Duration = Annotated[str, Meta(pattern="^[1-9][0-9]{0,4}[smhd]$")]
Key = Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
Day = Annotated[str, Meta(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2}|today([+-][0-9]{1,4}d)?)$")]
Region = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Language = Annotated[str, Meta(pattern="^[a-z]{2,3}$")]
MOST = 10**15  # of a number that a file can hold; neither more nor no number at all
Number = Annotated[int, Meta(ge=-MOST, le=MOST)] | Annotated[float, Meta(ge=-MOST, le=MOST)]
Attempts = Annotated[int, Meta(ge=1, le=10)]


class Choice(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of several answers: what is stored, what is said for it, and other words for it."""

    value: Sentence
    say: Sentence | None = None
    also: tuple[Sentence, ...] = ()

    @property
    def label(self) -> str:
        return self.say or self.value

    @property
    def names(self) -> frozenset[str]:
        """What it can be called, in the shape that texts are compared in."""
        return _names(self)


# Around a name: emoji, quotes, blanks, but not the sign that tells A+ from A-, or C# from C.
WRAPPING = re.compile(r"^\W+|[^\w+*#-]+$")


@lru_cache(maxsize=1024)
def _names(choice: Choice) -> frozenset[str]:
    folded = {without_accents(fold(name)) for name in (choice.value, choice.label, *choice.also)}
    return frozenset(folded | {WRAPPING.sub("", name) or name for name in folded})


Kind = Literal["text", "yes_no", "choice", "number", "date", "email", "phone", "photo"]


class Between(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A condition on a number."""

    min: Number | None = None
    max: Number | None = None


Value = Sentence | Number
Condition = Value | tuple[Value, ...] | Between


class Question(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is asked, when it is, and what counts as an answer to it."""

    ask: Sentence
    key: Key = ""
    kind: Kind = "text"
    min: Number | None = None
    max: Number | None = None
    pattern: Sentence | None = None
    choices: tuple[Sentence | Choice, ...] = ()
    many: bool = False
    whole: bool = False
    earliest: Day | None = None
    latest: Day | None = None
    day_first: bool = False
    region: Region | None = None
    optional: bool = False
    only_if: dict[str, Condition] = {}
    retry: Sentence | None = None
    attempts: Attempts = 3
    give_up: Literal["skip", "keep", "end"] = "skip"

    def placeholders(self, today: date) -> dict[str, str]:
        """What only sentences about this kind of question can hold."""
        values = {"choices": self._list(), "limits": self._limits(today)}
        return {name: values[name] for name in OF_KIND.get(self.kind, ())}

    def _list(self) -> str:
        """The choices with their numbers."""
        return ", ".join(f"{place} {one.label}" for place, one in enumerate(self.choices, 1))

    def is_name(self, text: str) -> bool:
        """Whether a text is the name of a choice, which goes before any word of ours."""
        said = without_accents(fold(text))
        return any(said in one.names or trim(said) in one.names for one in self.choices)

    def meets(self, value: str | None, condition: Condition) -> bool:
        """Whether the value of an answer to this question is what a later one asks for."""
        if value is None:
            return False
        if isinstance(condition, Between):
            number = _number(value) if self.kind == "number" else None
            return number is not None and is_between(number, condition.min, condition.max)
        wanted = condition if isinstance(condition, tuple) else (condition,)
        return any(self._is_given(value, one) for one in wanted)

    def _is_given(self, value: str, wanted: Value) -> bool:
        if self.kind == "number":
            return (number := _number(value)) is not None and number == _number(str(wanted))
        if self.kind == "text":
            return trim(fold(value)) == trim(fold(str(wanted)))
        return wanted in (value.split(SEPARATOR) if self.many else [value])

    def show(self, value: str, say: "Say") -> str:
        """A value in the words of a sentence."""
        if self.kind == "yes_no" and (words := {"yes": say.yes, "no": say.no}.get(value)):
            return words[0]
        if self.kind == "photo":
            return f"({len(value.split())})"
        labels = {one.value: one.label for one in self.choices}
        given = value.split(SEPARATOR) if self.many else [value]
        return SEPARATOR.join(labels.get(one, one) for one in given)

    def _limits(self, today: date) -> str:
        """What a number or a date must be between; nothing where it may be any."""
        least, most = self.min, self.max
        if self.kind == "date":
            least, most = answers.limit(self.earliest, today), answers.limit(self.latest, today)
        if least is None:
            return "" if most is None else f" (max. {most})"
        if most is None:
            return f" ({least}+)"
        return f" ({least} - {most})" if self.kind == "date" else f" ({least}-{most})"


def _number(value: str) -> Decimal | None:
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


class Say(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """What smsconvo says by itself, and the words it knows: all of it can be replaced."""

    yes: tuple[Sentence, ...] = ()  # instead of the English words
    no: tuple[Sentence, ...] = ()
    back: Sentence = "BACK"
    skip: Sentence = "SKIP"
    restart: Sentence = "RESTART"
    ok: Sentence = "OK"
    fix: Sentence = "FIX"
    text: Sentence = "That does not fit. Please try again."
    yes_no: Sentence = "Please reply yes or no."
    choice: Sentence = "Please reply with one of these: {choices}."
    many: Sentence = "Please reply with one or more of these: {choices}."
    number: Sentence = "Please reply with a number{limits}."
    date: Sentence = "Please reply with a date, like 3 May{limits}."
    email: Sentence = "Please reply with an email address, like name@example.org."
    phone: Sentence = "Please reply with a phone number."
    photo: Sentence = "Please reply with a photo."
    needed: Sentence = "This one cannot be skipped."
    review: Sentence = "{answers}. Reply OK, or FIX {last}"
    corrected: Sentence = "Thank you, now it is: {answers}."
    unchanged: Sentence = "Nothing was changed."
    resumed: Sentence = "Welcome back."
    ended: Sentence = "Sorry, we could not read that. We stop here. Thank you for your time."

    def asking_again(self, question: Question) -> str:
        """The sentence for a text that was not read as an answer."""
        return question.retry or getattr(self, self.name_of_retry(question))

    def name_of_retry(self, question: Question) -> str | None:
        """The name of its own sentence for that, which a question can replace."""
        return None if question.retry else "many" if question.many else question.kind

    def find_word(self, text: str) -> str | None:
        """Which of its words a text is: `back`, `skip`, `restart` or `ok`, or `fix` and a place."""
        said = _word(text)
        return self._words.get(said) or ("fix" if self._fix.fullmatch(said) else None)

    def find_place(self, text: str) -> int | None:
        """Which answer "FIX 2" names."""
        found = self._fix.fullmatch(_word(text))
        return int(found[1]) if found else None

    @cached_property
    def _words(self) -> dict[str, str]:
        """What each word means, the first of them where two are the same."""
        return {_word(getattr(self, name)): name for name in ("ok", "restart", "skip", "back")}

    @cached_property
    def _fix(self) -> re.Pattern[str]:
        return re.compile(rf"{re.escape(_word(self.fix))}\W*([0-9]{{1,3}})")


def _word(text: str) -> str:
    return trim(without_accents(fold(text)))


class Results(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the answers go, and what the receiver calls them."""

    url: str
    format: Literal["form", "json"] = "form"
    partial: bool = False
    fields: dict[str, Sentence] = {}


class Questionnaire(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, dict=True):
    """A questionnaire file. Without questions it is a counter, which says `reply` to every text."""

    title: Sentence
    event: Sentence | None = None
    to: tuple[Sentence, ...] = ()
    expires: Duration = "4h"
    resume: Duration | None = None
    stranger: Sentence = "Friend"
    language: Language = "en"
    timezone: Sentence = "UTC"
    say: Say = Say()
    questions: tuple[Question, ...] = ()
    review: bool = False
    thanks: Sentence | None = None
    after: Sentence | None = None
    results: Results | None = None
    first_reply: Sentence | None = None
    reply: Sentence | None = None

    @property
    def is_counter(self) -> bool:
        return not self.questions

    @property
    def silence(self) -> timedelta:
        """How long nobody may text before the conversation is over."""
        return length(self.expires)

    @property
    def patience(self) -> timedelta:
        """How long after that a texter who comes back goes on."""
        return length(self.resume) if self.resume else timedelta(0)

    @property
    def has_further_results(self) -> bool:
        """Whether one conversation can have several results, so that each says what it is."""
        return self.results is not None and (self.results.partial or self.review)

    @cached_property
    def digest(self) -> str:
        """The same for the same questionnaire; comments and what is left out do not count."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def question(self, key: str) -> Question:
        return next(question for question in self.questions if question.key == key)

    def path(self, values: Mapping[str, str | None]) -> Iterator[Question]:
        """The questions that these values of answers lead to, in order; a value off it is none."""
        given: dict[str, str | None] = {}
        for question in self.questions:
            conditions = question.only_if.items()
            if all(self.question(key).meets(given.get(key), one) for key, one in conditions):
                if question.key in values:
                    given[question.key] = values[question.key]
                yield question

    def read(self, key: str, text: str, now: datetime, media: Sequence[str] = ()) -> str | None:
        """The value of a text as the answer to a question; None where it is none."""
        return answers.read(self.question(key), text, self._manner(now), media)

    def says_yes(self, text: str, now: datetime) -> bool:
        return answers.read(YES_OR_NO, text, self._manner(now)) == "yes"

    def _manner(self, now: datetime) -> answers.Manner:
        return answers.Manner(self.day(now), self.language, self.say.yes, self.say.no)

    def day(self, now: datetime) -> date:
        """The day it is where the questionnaire is at home."""
        return now.astimezone(ZoneInfo(self.timezone)).date()

    def is_opened_by(self, text: str) -> bool:
        """Whether `text` is this questionnaire's own event, whatever its case and spacing."""
        return self.event is not None and _spaced(text) == _spaced(self.event)

    def with_results_url(self, url: str) -> "Questionnaire":
        """The same, with its results going to `url`."""
        if self.is_counter:
            return self
        results = msgspec.structs.replace(self.results or Results(url), url=url)
        return msgspec.structs.replace(self, results=results)


YES_OR_NO = Question(ask="?", kind="yes_no")


def length(duration: str) -> timedelta:
    return timedelta(seconds=int(duration[:-1]) * SECONDS[duration[-1]])


def _spaced(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
