"""What the engine decides from, and what it decides: values, apart from any database."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from models.answer import Answer
from models.contact import Contact
from models.conversation import Conversation
from models.delivery import Delivery
from models.noise import may_quote, typed_part
from models.non_answers import find_opt_keyword
from models.questionnaire.catalog import Opening
from models.text import IncomingText


class NotLoaded(Sequence[Any]):
    """Stands for what `load` did not read; whoever uses it has missed a condition there."""

    def __getitem__(self, index: object) -> NoReturn:
        raise LookupError("The engine needs what turn.load has not read for this text.")

    def __len__(self) -> NoReturn:
        self[0]


class Previous(NamedTuple):
    """The text before, in the same conversation, and what it was read as."""

    body: str
    at: datetime
    read_as: str | None = None


class State(NamedTuple):
    """All that a decision can depend on. Nothing of it is changed."""

    contact: Contact  # who texts; without an id where that is new
    newest: Conversation | None  # of the sender and the number, whether live or not
    opening: Opening | None = None  # the questionnaire that the text would open
    name: str | None = None  # of the contact, as it is known now
    languages: Sequence[str] = ()  # of all questionnaires, where there is no conversation
    all_stop_words: Sequence[str] = ()  # of all of them, where the conversation cannot be read
    cookie_pair: tuple[str, str] | None = None  # sender and number of another one it names
    stoppable: Sequence[Conversation] = NotLoaded()  # of the sender, on all our numbers
    recent_bodies: Sequence[str] = NotLoaded()  # what we texted last in `newest`, the newest first
    previous: Previous | None = None  # in `newest`, where that is no answer which was kept
    recent_unread: Sequence[str] = NotLoaded()  # of texts to the question that waits, newest first
    recent_readings: Sequence[str | None] = NotLoaded()  # what the last texts in it were read as
    typed: IncomingText | None = None  # what somebody has typed of the text, see `with_typed`
    keyword: str | None = None  # what that says about our texts

    @property
    def spoken_languages(self) -> Sequence[str]:
        """That of the questionnaire which the sender has met last; before, those of all."""
        return (self.newest.questionnaire.language,) if self.newest else self.languages

    @property
    def stop_words(self) -> Sequence[str]:
        """Words of that questionnaire which opt out; of all where that is not known."""
        return self.newest.questionnaire.say.stop if self.newest else self.all_stop_words

    def quotable_bodies(self, text: IncomingText) -> Sequence[str]:
        """What we texted that this text can quote."""
        return self.recent_bodies if self.newest and may_quote(text.body) else ()

    def with_typed(self, text: IncomingText) -> "State":
        """With what was typed of a text, without a signature or a quotation of our texts."""
        body = typed_part(text.body, self.quotable_bodies(text))
        typed = text if body == text.body.strip() else replace(text, body=body)
        keyword = find_opt_keyword(text, self.spoken_languages, self.stop_words, typed)
        return self._replace(typed=typed, keyword=keyword)


@dataclass(slots=True)
class Decision:
    """What becomes of a text, as values: nothing is written yet."""

    text: IncomingText
    now: datetime
    contact: Contact
    cookie: str = "none"  # what the cookie was
    read_as: str | None = None  # as `messages.read_as` records it
    reply: str | None = None
    conversation: Conversation | None = None  # that the text belongs to
    unreadable_id: int | None = None  # of the conversation instead, where that cannot be read
    ended: list[Conversation] = field(default_factory=list)  # by this text, perhaps that one too
    answer: Answer | None = None  # that the text gave
    deleted_answers: list[Answer] = field(default_factory=list)
    results: list[Delivery] = field(default_factory=list)  # owed from now on

    def end(self, conversation: Conversation, result: Delivery | None) -> None:
        """The text ends this conversation, of which this result is owed."""
        self.ended.append(conversation)
        self.enqueue(result)

    def enqueue(self, result: Delivery | None) -> None:
        """This result is owed from now on, if it is one."""
        self.results += [result] if result else []
