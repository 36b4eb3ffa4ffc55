"""Questionnaires: the files that say what is asked, and the versions of them that were used.

A conversation stays with the version it started with, so what is asked next is read from the
database, not from the file.
"""

import hashlib
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct
from sqlalchemy import Dialect, Text, TypeDecorator, UniqueConstraint, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.database import Base

PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS = ("name", "from", "to", "count", "event")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Sentence = Annotated[str, Meta(pattern=r"\S")]
Duration = Annotated[str, Meta(pattern="^[1-9][0-9]{0,4}[smhd]$")]
Key = Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_]*$")]


class InvalidQuestionnaire(ValueError):
    """What is wrong with questionnaire files: a sentence for each mistake, with file and cure."""


class Question(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is asked."""

    ask: Sentence
    key: Key = ""


class Results(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the answers go, and what the receiver calls them."""

    url: str
    format: Literal["form", "json"] = "form"
    fields: dict[str, Sentence] = {}


class Questionnaire(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A questionnaire file. Without questions it is a counter, which says `reply` to every text."""

    title: Sentence
    event: Sentence | None = None
    to: tuple[Sentence, ...] = ()
    expires: Duration = "4h"
    stranger: Sentence = "Friend"
    questions: tuple[Question, ...] = ()
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
        return timedelta(seconds=int(self.expires[:-1]) * SECONDS[self.expires[-1]])

    def question(self, key: str) -> Question:
        return next(question for question in self.questions if question.key == key)

    def question_after(self, key: str | None) -> Question | None:
        """The question to ask next; the first one after None."""
        if key is None:
            return self.questions[0]
        place = self.questions.index(self.question(key)) + 1
        return self.questions[place] if place < len(self.questions) else None

    def is_opened_by(self, text: str) -> bool:
        """Whether `text` is this questionnaire's own event, whatever its case and spacing."""
        return self.event is not None and _folded(text) == _folded(self.event)

    def sent_to(self, url: str) -> "Questionnaire":
        """The same, with its results going to `url`."""
        if self.is_counter:
            return self
        results = msgspec.structs.replace(self.results or Results(url), url=url)
        return msgspec.structs.replace(self, results=results)


class Definition(TypeDecorator[Questionnaire]):
    """A questionnaire as JSON text."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Questionnaire | None, dialect: Dialect) -> str | None:
        return value and msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Questionnaire | None:
        return value and _decoded(value)


@lru_cache(maxsize=256)
def _decoded(definition: str) -> Questionnaire:
    return msgspec.json.decode(definition, type=Questionnaire)


class Version(Base):
    """A questionnaire as it was when a conversation first used it."""

    __tablename__ = "questionnaires"
    __table_args__ = (UniqueConstraint("name", "digest"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    digest: Mapped[str]
    definition: Mapped[Questionnaire] = mapped_column(Definition())
    created_at: Mapped[datetime]

    @classmethod
    def find(cls, db: Session, name: str, questionnaire: Questionnaire, now: datetime) -> "Version":
        """The stored version that equals this one; stored now if it is used for the first time."""
        digest = hashlib.sha256(msgspec.json.encode(questionnaire)).hexdigest()
        version = db.scalar(select(cls).where(cls.name == name, cls.digest == digest))
        if version is None:
            version = cls(name=name, digest=digest, definition=questionnaire, created_at=now)
            db.add(version)
        return version


class Questionnaires:
    """The questionnaires in use, by name (the file's, without its ending)."""

    def __init__(self, questionnaires: dict[str, Questionnaire]) -> None:
        self._named = questionnaires

    @classmethod
    def load(cls, directory: Path) -> "Questionnaires":
        """Read every `*.toml` in `directory`; InvalidQuestionnaire names all mistakes at once."""
        loaded, mistakes = {}, []
        for path in sorted(directory.glob("*.toml")):
            try:
                loaded[path.stem] = _read(path)
            except InvalidQuestionnaire as error:
                mistakes.append(str(error))
        mistakes += _ties(loaded, directory)
        if not loaded and not mistakes:
            mistakes.append(f"{directory}: holds no questionnaire. Put a .toml file there.")
        if mistakes:
            raise InvalidQuestionnaire("\n".join(mistakes))
        return cls(loaded)

    def __iter__(self) -> Iterator[tuple[str, Questionnaire]]:
        return iter(self._named.items())

    def sent_to(self, url: str) -> "Questionnaires":
        """The same, with all results going to `url`."""
        return Questionnaires({name: one.sent_to(url) for name, one in self})

    def opened_by(self, text: str, number: str) -> str | None:
        """The name of the questionnaire that `text` to our `number` opens, if there is one.

        Those that name our number come first, and among them an exact event comes first.
        """
        named = [name for name, one in self if number in one.to]
        others = [name for name, one in self if not one.to]
        for candidates in (named, others):
            exact = [name for name in candidates if self[name].is_opened_by(text)]
            if opened := exact or [name for name in candidates if self[name].event is None]:
                return opened[0]
        return None

    def __getitem__(self, name: str) -> Questionnaire:
        return self._named[name]


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _read(path: Path) -> Questionnaire:
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidQuestionnaire(f"{path}: is not TOML: {error}. Correct it there.") from None
    try:
        questionnaire = _with_keys(msgspec.convert(content, Questionnaire))
    except msgspec.ValidationError as error:
        raise InvalidQuestionnaire(f"{path}: {_in_words(str(error))}") from None
    if mistakes := list(_mistakes(questionnaire)):
        raise InvalidQuestionnaire("\n".join(f"{path}: {mistake}" for mistake in mistakes))
    return questionnaire


def _with_keys(questionnaire: Questionnaire) -> Questionnaire:
    """Give the questions that have no key of their own Question1, Question2 and so on."""
    questions = tuple(
        question if question.key else msgspec.structs.replace(question, key=f"Question{place}")
        for place, question in enumerate(questionnaire.questions, 1)
    )
    return msgspec.structs.replace(questionnaire, questions=questions)


def _in_words(error: str) -> str:
    """msgspec's sentence, with `$.questions[0].ask` turned to words that an author uses."""
    what, _, path = error.partition(" - at `$")
    parts = re.findall(r"\w+|\[\d+\]", path)
    place = ", ".join(parts).replace("questions, [", "question [")
    place = re.sub(r"\[(\d+)\]", lambda index: str(int(index[1]) + 1), place)
    said = next((said for hint, said in SAYINGS.items() if hint in what), "{}. Correct it.")
    return ": ".join(filter(None, (place, said.format(what))))


# What an author can do about it, by a part of what msgspec says.
SAYINGS = {
    "unknown field": "{}. Remove it, or correct its spelling.",
    "missing required": "{}. Add it.",
    "[smhd]": 'is not a length of time. Write a number and s, m, h or d, like "4h".',
    "[A-Za-z0-9_]": "is not a key. Write letters, digits and _, a letter first.",
    r"'\\S'": "is empty. Write something between the quotes.",
    "Invalid enum": '{}. Write "form" or "json".',
}


def _mistakes(questionnaire: Questionnaire) -> Iterator[str]:
    """What is wrong between the parts of a file, one sentence each."""
    check: Callable[[Questionnaire], Iterator[str]]
    for check in (_wrong_parts, _wrong_keys, _wrong_placeholders, _wrong_results):
        yield from check(questionnaire)


def _wrong_parts(questionnaire: Questionnaire) -> Iterator[str]:
    if questionnaire.is_counter:
        if questionnaire.reply is None:
            yield "asks nothing and says nothing. Add [[questions]], or reply for a counter."
        belongs, strange = "questions", ("thanks", "after", "results")
    else:
        if questionnaire.thanks is None:
            yield 'has no thanks. Add what is said at the end, like thanks = "Thank you."'
        belongs, strange = "a counter, which has no questions", ("first_reply", "reply")
    for name in strange:
        if getattr(questionnaire, name) is not None:
            yield f"{name}: belongs to {belongs}. Remove one of the two."


def _wrong_keys(questionnaire: Questionnaire) -> Iterator[str]:
    seen: set[str] = set()
    for place, key in enumerate((question.key for question in questionnaire.questions), 1):
        if key.casefold() in PLACEHOLDERS:
            yield f"question {place}, key: {key} is taken by smsconvo. Choose another key."
        if key in seen:
            yield f"question {place}, key: {key} is an earlier question's. Choose another key."
        seen.add(key)


def _wrong_placeholders(questionnaire: Questionnaire) -> Iterator[str]:
    known: list[str] = list(PLACEHOLDERS)
    for place, question in enumerate(questionnaire.questions, 1):
        yield from _unknown_in(question.ask, known, f"question {place}, ask")
        known.append(question.key)
    for name in ("thanks", "after", "first_reply", "reply"):
        yield from _unknown_in(getattr(questionnaire, name) or "", known, name)
    yield from _unknown_in(questionnaire.stranger, [], "stranger")


def _unknown_in(text: str, known: Iterable[str], place: str) -> Iterator[str]:
    for name in PLACEHOLDER.findall(text):
        if name not in known:
            can_be = ", ".join(f"{{{one}}}" for one in known) or "no placeholder"
            yield f"{place}: {{{name}}} is not known here. There can be {can_be}."


def _wrong_results(questionnaire: Questionnaire) -> Iterator[str]:
    if questionnaire.results is None:
        return
    results = questionnaire.results
    if not is_web_address(results.url):
        yield "results, url: is not a web address. Write it whole, like https://example.org/results."
    ours = ["From", "Event", *(question.key for question in questionnaire.questions)]
    for name in results.fields:
        if name not in ours:
            yield f"results, fields: {name} is not a name of ours. There can be {', '.join(ours)}."
    theirs = [results.fields.get(name, name) for name in ours]
    for name in sorted({name for name in theirs if theirs.count(name) > 1}):
        yield f"results, fields: {name} would be sent twice. Give each name a field of its own."
    if results.fields and results.format == "json":
        yield 'results, fields: are names for format = "form". Remove them, or the format.'


def is_web_address(url: str) -> bool:
    """Whether this is a whole http or https URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _ties(loaded: dict[str, Questionnaire], directory: Path) -> list[str]:
    """Pairs that one text to one number would open both."""
    return [
        f"{directory / one}.toml and {other}.toml: {_opener(loaded[one])} opens both."
        ' Give one of them another event = "…", or a to = ["…"] of its own.'
        for one, other in combinations(loaded, 2)
        if _tie(loaded[one], loaded[other])
    ]


def _tie(one: Questionnaire, other: Questionnaire) -> bool:
    same_event = one.event and other.event and one.is_opened_by(other.event)
    same_number = set(one.to) & set(other.to) or not (one.to or other.to)
    return bool(same_number and (same_event or one.event is other.event is None))


def _opener(questionnaire: Questionnaire) -> str:
    return f'the text "{questionnaire.event}"' if questionnaire.event else "any text"
