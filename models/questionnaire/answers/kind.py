"""What a kind of answer is: the base class of the kinds, and what several of them need."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import cached_property
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from msgspec import Meta

from models.questionnaire.answers.positions import (
    LEAST_LETTERS,
    find_by_words,
    find_position,
    is_question,
)
from models.questionnaire.languages import ENGLISH
from models.questionnaire.problem import Problem
from models.text import INVISIBLE, IncomingText

Sentence = Annotated[str, Meta(pattern=r"\S")]
MAX_NUMBER = 10**15  # of a number in a file; this also keeps out nan and inf
Number = (
    Annotated[int, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
    | Annotated[float, Meta(ge=-MAX_NUMBER, le=MAX_NUMBER)]
)
LONG_SAMPLE = "x" * 20  # stands for an answer that can have any length
# A form can take a date or a time in parts: which ones, by what schema.Field has for `as`.
PARTS = {"date": ("year", "month", "day"), "time": ("hour", "minute")}
PARTS["datetime"] = PARTS["date"] + PARTS["time"]


@dataclass(frozen=True)
class ParseContext:
    """What a text is read by, besides the question."""

    now: datetime
    timezone: str = "UTC"  # of the questionnaire
    language: str = "en"
    yes: Sequence[str] = ()  # instead of the English words
    no: Sequence[str] = ()
    message: IncomingText | None = None  # that the text is of: what came with it, and from whom

    @cached_property
    def local_date(self) -> date:
        """The date where the questionnaire is at home."""
        return self.now.astimezone(ZoneInfo(self.timezone)).date()


# For texts whose meaning does not depend on the day.
ANY_DAY = ParseContext(datetime(2000, 1, 1, tzinfo=UTC))


class Reading(NamedTuple):
    """What a text can be taken for as an answer: values, in the order in which they are named.

    One is certain. Of two or three the guest is asked which. Without any the text is unread.
    """

    values: tuple[str, ...] = ()

    @property
    def value(self) -> str | None:
        """The one that is certain; None if the guest has to say more."""
        return self.values[0] if len(self.values) == 1 else None


UNREAD = Reading()
MAX_READINGS = 3  # more are too many to choose from in a text


def read_as(*values: str | None) -> Reading:
    """The reading that has these values, each once; UNREAD for None, and for too many."""
    found = tuple(dict.fromkeys(value for value in values if value is not None))
    return Reading(found) if len(found) <= MAX_READINGS else UNREAD


class OwnWords(Protocol):
    """The words of a questionnaire for yes and no; none for the English ones."""

    yes: Sequence[str]
    no: Sequence[str]


class Options(Protocol):
    """What a question looks like to its kind.

    A kind that has options names a protocol of its own, with types and defaults. They become
    fields of every `schema.Question`, and lines of the file. It is a protocol, and never made,
    because a kind cannot import Question, whose fields depend on the kinds.
    """

    kind: str


class Name(NamedTuple):
    """A name that the file gives to an answer."""

    option: str  # that holds it
    text: str
    is_shown: bool  # in sentences; or only understood


class Kind(ABC):
    """One kind of answer: all that the engine, `check` and the documentation know about it."""

    documentation: ClassVar[str]  # what is read and kept, for the table in docs/questionnaires.md
    retry: ClassVar[str]  # the reply to an unread text; [say] can replace it by the kind's name
    more_retries: ClassVar[Mapping[str, str]] = {}  # others that [say] can replace, by their names
    sample: ClassVar[str] = LONG_SAMPLE  # a long answer as it is shown, to count what texts cost
    options: ClassVar[type] = Options
    option_names: ClassVar[tuple[str, ...]] = ()  # follow from `options`
    # What to write instead, by a part of msgspec's error, such as a pattern: see `phone`.
    option_hints: ClassVar[Mapping[str, str]] = {}
    placeholders: ClassVar[Mapping[str, Callable[[Any, date], str]]] = {}  # and their values
    max_length: ClassVar[float] = 400  # characters; a longer text is not read
    reads_media: ClassVar[bool] = False  # the URLs of what came with a text, instead of the text
    reads_attachments: ClassVar[bool] = False  # whether what comes with a blank text can answer
    is_free_text: ClassVar[bool] = False  # whether any text can be an answer, keywords included
    numbers_readings: ClassVar[bool] = True  # "1 Friday, or 2 Monday"; else "3 or 4"
    # How a form can take a value: split as some of PARTS, or as an option of its question.
    split_as: ClassVar[tuple[str, ...]] = ()
    has_options: ClassVar[bool] = False
    is_number: ClassVar[bool] = False  # whether its values are numbers, to be computed with

    def __init_subclass__(cls) -> None:
        if missing := [name for name in ("documentation", "retry") if not hasattr(cls, name)]:
            raise TypeError(f"{cls.__name__} lacks {' and '.join(missing)}.")
        if cls.options is not Options:
            cls.option_names = tuple(inspect.get_annotations(cls.options))

    def read(
        self, question: Options, text: str, context: ParseContext, media: Sequence[str] = ()
    ) -> Reading:
        """What a text can be taken for, as an answer to this question."""
        text = " ".join(media) if self.reads_media else text
        if len(text) > self.max_length or not INVISIBLE.sub("", text).strip():
            return UNREAD
        return self.parse(question, text, context)

    @abstractmethod
    def parse(self, question: Options, text: str, context: ParseContext) -> Reading:
        """What a text that is not blank can be taken for."""

    def show_reading(self, question: Options, value: str, context: ParseContext) -> str:
        """A value as it is named where the guest is asked which of several was meant."""
        return self.show(question, value, context)

    def settle(
        self, question: Options, values: Sequence[str], text: str, context: ParseContext
    ) -> Reading:
        """What a text can be taken for, if the guest has been asked which of `values` was meant.

        One of them by its own words, by its position, or by words that only it was named with; or
        else another answer. What fits several of them chooses none: they can be asked again.
        """
        if is_question(text):
            return UNREAD
        reading, language = self.read(question, text, context), context.language
        chosen = {index for index, value in enumerate(values) if value in reading.values}
        position = find_position(text, len(values), self.numbers_readings, language)
        if position is not None:
            chosen.add(position)
        shown = [self.show_reading(question, value, context) for value in values]
        # A word as short as the German "Fr" is looked up only to find that it fits another, too.
        named = find_by_words(text, shown, language, 2 if chosen else LEAST_LETTERS)
        if chosen or len(named) > 1 or reading.value is None:
            chosen.update(named)
        return read_as(*(values[index] for index in sorted(chosen))) if chosen else reading

    def show(self, question: Options, value: str, own_words: OwnWords) -> str:
        """A value as it is shown in a sentence."""
        return value

    def long_answer(self, question: Options, own_words: OwnWords) -> str:
        """The longest answer as it is shown, or the sample where there is none."""
        return self.sample

    def placeholder_values(
        self, question: Options, today: date, language: str = ENGLISH
    ) -> dict[str, str]:
        """What only sentences about this kind of question can hold, such as `choices`."""
        return {name: value(question, today) for name, value in self.placeholders.items()}

    def result_value(self, question: Options, value: str) -> str | list[str]:
        """A value as receivers get it."""
        return value

    def values(self, question: Options) -> Sequence[str]:
        """All values that can be read, which a receiver may have words of its own for.

        None at all where there are too many.
        """
        return ()

    def moment(self, value: str) -> date | time:
        """The date or time that a value is, for a kind with `split_as`; ValueError if none."""
        raise ValueError("It is no date.")

    def retry_name(self, question: Options) -> str:
        """The name in [say] of the reply to an unread text."""
        return question.kind

    def is_name(self, question: Options, text: str) -> bool:
        """Whether a text is a name that the file gives to an answer: it precedes any keyword."""
        return False

    def names(self, question: Options) -> Iterator[Name]:
        """The names that the file gives to answers."""
        return iter(())

    def problems(self, question: Options) -> Iterator[Problem]:
        """What leaves no text that could answer the question; places are names of options.

        Only without any does `check` read keywords and conditions as trial answers.
        """
        return iter(())

    def name_problems(self, question: Options) -> Iterator[Problem]:
        """What is wrong with the names that the file gives to answers."""
        return iter(())

    # Conditions

    def matches(self, question: Options, value: str, wanted: str | float) -> bool:
        """Whether a value is the one that a condition names."""
        return value == wanted

    def is_between(self, value: str, least: float | None, most: float | None) -> bool:
        """Whether a value meets a condition with `min` and `max`, which are for numbers."""
        return False

    def candidates(self, question: Options, wanted: Sequence[str | float]) -> Iterator[str]:
        """Values that an answer can have, by what conditions name.

        If any value meets these conditions, then one of the candidates does.
        """
        if any(self.problems(question)):
            return
        for text in map(str, wanted):
            if self.read(question, text, ANY_DAY).value == text:
                yield text

    def condition_help(self, question: Options) -> str:
        """What can stand in a condition, as a sentence."""
        return "Write a text, or a list of texts; min and max are for numbers."


def show_limits(least: object | None, most: object | None, dash: str) -> str:
    """What an answer must be between, to stand in a sentence; nothing where it may be any."""
    if least is None:
        return "" if most is None else f" (max. {most})"
    return f" ({least}+)" if most is None else f" ({least}{dash}{most})"
