"""A conversation that is tried out in memory: the same engine, and nothing of it is kept.

It is a list of steps from a moment on. The same steps lead to the same conversation, so whoever
shows it need not remember more than the steps.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from gateway.segments import UCS_2, measure, ucs2_characters
from models.contact import People
from models.conversation import Conversation
from models.decision import Decision
from models.delivery import Delivery
from models.engine import respond
from models.questionnaire.catalog import Catalog
from models.questionnaire.costs import NUMBER, Cost
from models.replay import Exchange, Memory, Recording
from models.text import IncomingText

LONGEST_TEXT = 1600  # characters; Twilio takes no longer ones
MAX_STEPS = 200
SENDERS = tuple(f"+1415867530{n}" for n in (8, 9, 1, 2, 3))
PICTURE, PICTURE_TYPE = "https://example.org/photo.jpg", "image/jpeg"
BETWEEN = timedelta(seconds=30)  # texts: after less than four seconds the same words are a double
WAITS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
COOKIE_LASTS = timedelta(hours=4)  # Twilio keeps none longer

What = Literal["text", "picture", "hour", "day", "sender", "again", "lose cookie"]
Body = Annotated[str, Meta(max_length=LONGEST_TEXT)]


class Step(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is done: a text with words, a picture with or without, another sender by its number."""

    what: What
    words: Body = ""

    def __post_init__(self) -> None:
        if self.what == "sender" and self.words not in SENDERS:
            raise ValueError("This is no sender.")


Steps = Annotated[list[Step], Meta(max_length=MAX_STEPS)]


def read_steps(written: str) -> list[Step]:
    """The steps in JSON; none if it is anything else, for browsers send it."""
    try:
        return msgspec.json.decode(written, type=Steps)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return []


def write_steps(steps: list[Step]) -> str:
    """The same as JSON."""
    return msgspec.json.encode(steps).decode()


class Sent(NamedTuple):
    """A reply as it goes out, and what it costs."""

    body: str
    encoding: str
    segments: int
    because_of: list[str]  # the characters that make it UCS-2

    @classmethod
    def of(cls, body: str) -> "Sent":
        """The reply with these words."""
        encoding, segments = measure(body)
        return cls(body, encoding, segments, ucs2_characters(body) if encoding == UCS_2 else [])


class Turn(NamedTuple):
    """A text, what it was read as, and the reply to it, if there is one."""

    text: IncomingText
    at: datetime
    read_as: str | None
    cookie: str
    reply: Sent | None


class Interlude(NamedTuple):
    """What happened between two texts: a wait, the end of a conversation, a cookie that is lost."""

    what: str
    at: datetime


class Handset:
    """A phone with a sender's number, what happened on it, and what a database would hold of it."""

    def __init__(self, catalog: Catalog, sender: str, name: str | None, number: str) -> None:
        self.sender, self.name, self.number = sender, name, number
        self.events: list[Turn | Interlude] = []
        self.results: list[Delivery] = []
        self._memory = Memory(catalog, sender, name)
        self._token, self._token_expires = "", datetime.min

    @property
    def newest(self) -> Conversation | None:
        """Its newest conversation."""
        return self._memory.newest

    @property
    def is_opted_out(self) -> bool:
        """Whether its owner wants no texts."""
        return self._memory.contact.opted_out_at is not None

    @property
    def turns(self) -> list[Turn]:
        """The texts, those that came again included."""
        return [event for event in self.events if isinstance(event, Turn)]

    @property
    def cost(self) -> Cost:
        """Of all texts until now, both ways."""
        texts = [turn for turn in self.turns if turn.read_as != "repeated"]
        replies = [turn.reply for turn in self.turns if turn.reply]
        segments = sum(reply.segments for reply in replies)
        return Cost(len(texts) + len(replies), len(texts) + segments)

    def send(self, body: str, now: datetime, has_picture: bool = False) -> None:
        """Text our number."""
        text = IncomingText(
            sender=self.sender,
            number=self.number,
            body=body,
            media=(PICTURE,) * has_picture,
            media_types=(PICTURE_TYPE,) * has_picture,
            cookie=self._token if self._token and now < self._token_expires else None,
        )
        # All its cookies are its own: one that is not of the newest conversation is of one before.
        state = self._memory.state(text)._replace(cookie_pair=(self.sender, self.number))
        decision = respond(state, text, now)
        self._remember(decision)
        sent = Sent.of(decision.reply) if decision.reply else None
        self.events.append(Turn(text, now, decision.read_as, decision.cookie, sent))

    def _remember(self, decision: Decision) -> None:
        for result in decision.results:
            self._take_result(result)
        self._memory.remember(decision)
        conversation = decision.conversation
        if conversation:
            # Nothing is random: the same steps lead to the same page.
            conversation.token = conversation.token or f"{conversation.id:032x}"
            self._token, self._token_expires = conversation.token, decision.now + COOKIE_LASTS

    def _take_result(self, result: Delivery) -> None:
        self.results.append(result)
        id = f"msg_{len(self.results):032x}"
        result.payload = result.payload.replace(result.webhook_id, id)
        result.webhook_id = id

    def send_again(self, now: datetime) -> None:
        """Twilio sends the last webhook again: the same reply goes out, and nothing changes."""
        if self.turns:
            self.events.append(self.turns[-1]._replace(at=now, read_as="repeated"))

    def lose_cookie(self, now: datetime) -> None:
        """Twilio forgets the cookie."""
        self._token = ""
        self.events.append(Interlude("lost cookie", now))

    def wait(self, what: str, now: datetime) -> None:
        """Nobody has texted for so long at `now`."""
        self.events.append(Interlude(what, now))
        if ended := self._memory.end_silent(now):
            if ended.result:
                self._take_result(ended.result)
            self.events.append(Interlude(ended.conversation.state, now))

    def record(self, questionnaire: str) -> Recording:
        """What was texted, to be repeated as a test."""
        exchanges = [
            Exchange(
                turn.at,
                turn.text.body,
                media=" ".join(turn.text.media) or None,
                media_types=turn.text.media_types,
            )
            for turn in self.turns
            if turn.read_as != "repeated"
        ]
        return Recording(questionnaire, self.sender, self.number, exchanges, self.name)


class Tryout:
    """Several senders who text one questionnaire, one after the other."""

    def __init__(self, catalog: Catalog, number: str, people: People, started_at: datetime) -> None:
        self._catalog, self._number, self._people = catalog, number, people
        self.now = started_at
        self.handsets: dict[str, Handset] = {}  # by sender
        self.handset = self._use(SENDERS[0])

    @classmethod
    def of(
        cls, name: str, catalog: Catalog, people: People, started_at: datetime, steps: list[Step]
    ) -> "Tryout":
        """What these steps lead to, with the questionnaire of this name alone."""
        number = next(iter(catalog[name].to), NUMBER)
        tryout = cls(catalog.select(name), number, people, started_at)
        for step in steps:
            tryout.take(step)
        return tryout

    def take(self, step: Step) -> None:
        """Do what a step says."""
        self.now += WAITS.get(step.what, BETWEEN)
        match step.what:
            case "text" | "picture":
                self.handset.send(step.words, self.now, has_picture=step.what == "picture")
            case "again":
                self.handset.send_again(self.now)
            case "lose cookie":
                self.handset.lose_cookie(self.now)
            case "sender":
                self.handset = self._use(step.words)
            case _:
                for handset in self.handsets.values():
                    handset.wait(step.what, self.now)

    def _use(self, sender: str) -> Handset:
        if sender not in self.handsets:
            name = self._people.name_of(sender)
            self.handsets[sender] = Handset(self._catalog, sender, name, self._number)
        return self.handsets[sender]
