"""What a questionnaire says by itself and the words it knows: its file's, or its language's.

The section [say] of a file in `languages/` has the same lines as that of a questionnaire. The
English replies to unread texts stand with their kinds of answers.
"""

import re
from functools import cache, cached_property
from typing import Protocol

import msgspec
from msgspec import defstruct

from models.questionnaire import answers
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import Options, Sentence
from models.questionnaire.languages import ENGLISH, section
from models.questionnaire.part import Part
from models.text import comparable

KEYWORDS = ("ok", "restart", "skip", "back")  # the last counts where two are the same word


class Keywords(Part):
    """The words that a guest can use, of which an author can choose others."""

    yes: tuple[Sentence, ...] = ()  # instead of those of the language
    no: tuple[Sentence, ...] = ()
    stop: tuple[Sentence, ...] = ()  # besides those of the language
    back: Sentence | None = None
    skip: Sentence | None = None
    restart: Sentence | None = None
    ok: Sentence | None = None
    fix: Sentence | None = None


RETRY_FIELDS = [(name, Sentence | None, None) for name in answers.retry_prompts()]


class Wording(defstruct("RetryPrompts", RETRY_FIELDS, bases=(Keywords,))):
    """The section [say]. What it leaves out is said as the language says it.

    Besides these fields it has the keywords, and for each kind of answer the reply to a text that
    cannot be read as one.
    """

    needed: Sentence | None = None
    review: Sentence | None = None
    corrected: Sentence | None = None
    unchanged: Sentence | None = None
    resumed: Sentence | None = None
    ended: Sentence | None = None
    which: Sentence | None = None
    stopped: Sentence | None = None


NOTHING_WRITTEN = Wording()


class LanguageWording(Wording, forbid_unknown_fields=False):
    """The section [say] of a language, which may know sentences that nothing says yet."""


@cache
def wording_of(language: str) -> Wording:
    """What is said in a language; in English where it is not built in."""
    found = section(language, "say", LanguageWording)
    english = {name: prompt for name, (prompt, _) in answers.retry_prompts().items()}
    if language != ENGLISH:
        english = msgspec.structs.asdict(wording_of(ENGLISH))
    return _complete(found, english)


def _complete(wording: Wording, others: dict[str, object]) -> Wording:
    names = wording.__struct_fields__
    missing = [name for name in names if not getattr(wording, name) and name in others]
    return msgspec.structs.replace(wording, **{name: others[name] for name in missing})


class Repeatable(Options, Protocol):
    """A question, as far as it matters here: it can have a reply of its own to unread texts."""

    retry: str | None


class Sentences:
    """Everything that a questionnaire says by itself, by its name in [say], and its keywords.

    `yes` and `no` begin with the word that is shown for these answers.
    """

    yes: tuple[str, ...]
    no: tuple[str, ...]
    fix: str
    needed: str
    review: str
    corrected: str
    unchanged: str
    resumed: str
    ended: str
    which: str
    stopped: str

    def __init__(self, written: Wording = NOTHING_WRITTEN, language: str = ENGLISH) -> None:
        spoken = msgspec.structs.asdict(wording_of(language))
        self.__dict__.update(msgspec.structs.asdict(_complete(written, spoken)))
        self._written, self._language = written, language

    def __getattr__(self, name: str) -> str:
        raise AttributeError(f"[say] has no {name}.")  # all that it has are attributes

    def retry_prompt(self, question: Repeatable) -> str:
        """The reply to a text that was not read as an answer to this question."""
        return question.retry or getattr(self, KINDS[question.kind].retry_name(question))

    def find_keyword(self, text: str) -> str | None:
        """`back`, `skip`, `restart`, `ok`, or `fix` with a number, by a comparable text."""
        return self.keywords.get(text) or ("fix" if self._fix.fullmatch(text) else None)

    def correction_number(self, text: str) -> int | None:
        """The number in "FIX 2", by a comparable text."""
        found = self._fix.fullmatch(text)
        return int(found[1]) if found else None

    @cached_property
    def keywords(self) -> dict[str, str]:
        """What each word but `fix` means, by its comparable form; the last where two are equal."""
        words = [(word, name) for name in KEYWORDS for word in self._words(name)]
        own = [(getattr(self, name), name) for name in KEYWORDS]
        return {comparable(word): name for word, name in words + own}

    @cached_property
    def _fix(self) -> re.Pattern[str]:
        words = "|".join(re.escape(comparable(word)) for word in self._words("fix"))
        return re.compile(rf"(?:{words})\W*([0-9]{{1,3}})")

    def _words(self, name: str) -> list[str]:
        """A keyword's words: that of the file, or else those of the language and of English."""
        if own := getattr(self._written, name):
            return [own]
        return [getattr(wording_of(language), name) for language in (ENGLISH, self._language)]
