"""What the engine decides from, and what it decides: values, apart from any database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, NoReturn

from models.answer import Answer
from models.contact import Contact
from models.conversation import Conversation, Previous
from models.delivery import Delivery
from models.non_answers import Typed
from models.questionnaire.catalog import Opening
from models.text import IncomingText


class NotLoaded(Sequence[Any]):
    """Stands for what `load` did not read; whoever uses it has missed a condition there."""

    def __getitem__(self, index: object) -> NoReturn:
        raise LookupError("The engine needs what turn.load has not read for this text.")

    def __len__(self) -> NoReturn:
        self[0]


class State(NamedTuple):
    """All that a decision can depend on. Nothing of it is changed."""

    contact: Contact  # who texts; without an id where that is new
    typed: Typed  # what somebody has typed of the text
    newest: Conversation | None  # of the sender and the number, whether live or not
    opening: Opening | None = None  # the questionnaire that the text would open
    name: str | None = None  # of the contact, as it is known now
    languages: Sequence[str] = ()  # of all questionnaires, where there is no conversation
    cookie_pair: tuple[str, str] | None = None  # sender and number of another one it names
    stoppable: Sequence[Conversation] = NotLoaded()  # of the sender, on all our numbers
    previous: Previous | None = None  # in `newest`, unless that is a counter
    recent_unread: Sequence[str] = NotLoaded()  # of texts to the question that waits, newest first
    recent_readings: Sequence[str | None] = NotLoaded()  # what the last texts in it were read as


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
