"""A questionnaire as its file says it.

The order of the fields is that of the JSON which is stored, and so of its digest.
"""

import hashlib
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, defstruct

from models.questionnaire import answers
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import PARTS, Number, Sentence
from models.questionnaire.part import Part
from models.questionnaire.wording import Sentences, Wording
from models.text import fold_case

PLACEHOLDERS = ("name", "from", "to", "count", "event")
REVIEW_PLACEHOLDERS = ("answers", "last")
READINGS_PLACEHOLDER = "readings"
MAX_PAGES = 100  # sections of a Google Form
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

Duration = Annotated[str, Meta(pattern="^[1-9][0-9]{0,4}[smhd]$")]
Key = Annotated[str, Meta(pattern="^[A-Za-z][A-Za-z0-9_]*$")]
Language = Annotated[str, Meta(pattern="^[a-z]{2,3}$")]
Attempts = Annotated[int, Meta(ge=1, le=10)]
Pages = Annotated[int, Meta(ge=1, le=MAX_PAGES)]


class Between(Part):
    """A condition on a number."""

    min: Number | None = None
    max: Number | None = None


Value = Sentence | Number
Condition = Value | tuple[Value, ...] | Between


class QuestionStart(Part):
    """The fields of a question before those that only some kinds have."""

    ask: Sentence
    key: Key = ""
    kind: Literal[tuple(KINDS)] = "text"


class Question(defstruct("QuestionOptions", answers.option_fields(), bases=(QuestionStart,))):
    """One thing that is asked, when it is, and what counts as an answer to it.

    Besides these fields it has `ask`, `key`, `kind`, and the options of all kinds, such as `min`.
    """

    optional: bool = False
    only_if: dict[str, Condition] = {}
    retry: Sentence | None = None
    attempts: Attempts = 3
    give_up: Literal["skip", "keep", "end"] = "skip"


class Field(Part):
    """The receiver's name for one of ours, and how its form takes the value."""

    name: Sentence
    as_: Literal[tuple(PARTS)] | None = msgspec.field(name="as", default=None)  # in these parts
    options: tuple[Sentence, ...] = ()  # of its question; anything else goes into Other


class Results(Part):
    """Where the answers go, and what the receiver calls them."""

    url: str
    format: Literal["form", "json"] = "form"
    partial: bool = False
    fields: dict[str, Sentence | Field] = {}
    values: dict[str, dict[str, Sentence]] = {}  # by key: our value, and the receiver's word
    pages: Pages = 1  # sections of a Google Form

    def field(self, name: str) -> Field:
        """Where a value goes that has this name here."""
        found = self.fields.get(name, name)
        return Field(found) if isinstance(found, str) else found


class Questionnaire(Part, dict=True):
    """A questionnaire file. Without questions it is a counter, which says `reply` to every text."""

    title: Sentence
    event: Sentence | None = None
    to: tuple[Sentence, ...] = ()
    expires: Duration = "4h"
    resume: Duration | None = None
    stranger: Sentence = "Friend"
    language: Language = "en"
    timezone: Sentence = "UTC"
    say: Wording = Wording()
    questions: tuple[Question, ...] = ()
    review: bool = False
    thanks: Sentence | None = None
    after: Sentence | None = None
    results: Results | None = None
    first_reply: Sentence | None = None
    reply: Sentence | None = None

    # What every text asks for is computed once: these objects are kept (see Version).

    @cached_property
    def is_counter(self) -> bool:
        """Whether it asks nothing, but counts texts."""
        return not self.questions

    @cached_property
    def expires_after(self) -> timedelta:
        """How long nobody may text before the conversation is over."""
        return parse_duration(self.expires)

    @cached_property
    def resume_window(self) -> timedelta:
        """How long after that a guest who comes back goes on."""
        return parse_duration(self.resume) if self.resume else timedelta(0)

    @cached_property
    def has_several_results(self) -> bool:
        """Whether one conversation can have several results, so that each says what it is."""
        return self.results is not None and (self.results.partial or self.review)

    @cached_property
    def sentences(self) -> Sentences:
        """What it says by itself, and the keywords of its guests: the file's, or its language's."""
        return Sentences(self.say, self.language)

    @property
    def receiver_url(self) -> str:
        """Where its results go now."""
        return self.results.url

    @cached_property
    def by_key(self) -> dict[str, Question]:
        """The questions by their keys."""
        return {question.key: question for question in self.questions}

    @cached_property
    def digest(self) -> str:
        """The same for the same questionnaire; comments and what is left out do not count."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()

    def is_opened_by(self, text: str) -> bool:
        """Whether `text` is this questionnaire's own event, whatever its case and spacing."""
        return self.event is not None and fold_case(text) == fold_case(self.event)

    def with_results_url(self, url: str) -> "Questionnaire":
        """The same in a trial run: its results go to `url`, as they would go to its receiver.

        Where the file names no receiver, `results.url` is empty.
        """
        if self.is_counter:
            return self
        fields = msgspec.structs.asdict(self) | {"results": self.results or Results("")}
        return StoredQuestionnaire(**fields, trial_url=url)


class StoredQuestionnaire(Questionnaire):
    """A questionnaire as the database keeps it: also where a trial run sends its results."""

    trial_url: str = ""

    @property
    def receiver_url(self) -> str:
        return self.trial_url or super().receiver_url


def parse_duration(written: str) -> timedelta:
    """The length of time that a file names, such as "4h"."""
    return timedelta(seconds=int(written[:-1]) * SECONDS[written[-1]])
