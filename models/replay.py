"""Recorded conversations, held again with the questionnaires of now."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct, field
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from models.attachments import Location, read_location, read_media
from models.contact import Contact
from models.conversation import Conversation, Previous
from models.decision import Decision, State
from models.delivery import Delivery
from models.dialog import LOOP_LIMIT
from models.engine import respond
from models.message import NOT_READ, Message
from models.non_answers import examine_in
from models.questionnaire.catalog import Catalog
from models.set_aside import SET_ASIDE
from models.text import IncomingText
from storage.base import Statement
from storage.unreadable import UnreadableRow, unreadable_rows

MASK = "5550100"  # of numbers that nobody has
NAME = "Guest"
NOWHERE = Location("0", "0", "Place")
SENDER, NUMBER = f"+1415{MASK}", "+14155550199"


class Exchange(Struct, frozen=True, omit_defaults=True):
    """A text, and the reply that it got."""

    at: datetime
    text: str = field(name="said")
    reply: str | None = None
    opt_out_type: str | None = None
    media: str | None = None
    media_types: tuple[str, ...] = ()
    location: Location | None = None

    @property
    def media_urls(self) -> tuple[str, ...]:
        """What came with the text."""
        return tuple((self.media or "").split())


class Recording(Struct, frozen=True, omit_defaults=True):
    """A whole conversation."""

    questionnaire: str
    sender: str
    number: str
    exchanges: list[Exchange] = field(name="turns")
    name: str | None = None
    conversation: int = 0  # which one it was; none of ours in a file

    def masked(self, names: Collection[str]) -> "Recording":
        """Without known names, phone numbers and addresses, and without replies."""
        redact = Redactor({self.name, *names} - {None})
        exchanges = [
            msgspec.structs.replace(
                exchange,
                text=redact(exchange.text),
                reply=None,
                media=redact.media(exchange.media),
                location=exchange.location and NOWHERE,
            )
            for exchange in self.exchanges
        ]
        return Recording(self.questionnaire, SENDER, NUMBER, exchanges, self.name and NAME)

    def as_test(self, names: Collection[str], catalog: Catalog) -> bytes:
        """A file of it, masked, with the replies that the masked texts get."""
        masked = self.masked(names)
        return masked.with_replies(replay(masked, catalog)).encoded()

    def encoded(self) -> bytes:
        """As a file that people can read."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def with_replies(self, replies: Sequence[str | None]) -> "Recording":
        """The same texts, with these replies in their order."""
        exchanges = [
            msgspec.structs.replace(exchange, reply=reply)
            for exchange, reply in zip(self.exchanges, replies, strict=True)
        ]
        return msgspec.structs.replace(self, exchanges=exchanges)


class Redactor:
    """Puts what nobody has in the place of what somebody could be known by."""

    ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.\w+")
    DIGITS = re.compile(r"\+?\d(?:[-(). ]*\d){6,}")
    DATE = re.compile(r"\d{1,4}[-/. ]\d{1,2}[-/. ]\d{1,4}")
    LINK = re.compile(r"\S+")

    def __init__(self, names: Collection[str]) -> None:
        words = sorted(map(re.escape, names), key=len, reverse=True)
        self._names = re.compile(rf"\b(?:{'|'.join(words) or '(?!)'})\b", re.IGNORECASE)

    def __call__(self, text: str) -> str:
        text = self._names.sub(NAME, self.ADDRESS.sub("guest@example.org", text))
        return self.DIGITS.sub(lambda found: self._digits(found[0]), text)

    def _digits(self, number: str) -> str:
        """The last seven digits are others, in the same places."""
        if self.DATE.fullmatch(number):
            return number
        kept_digits = len(re.findall(r"\d", number)) - len(MASK)
        digits = iter("".join(re.findall(r"\d", number))[:kept_digits] + MASK)
        return re.sub(r"\d", lambda _: next(digits), number)

    def media(self, links: str | None) -> str | None:
        """The same number of links, to a photo that nobody has."""
        return links and self.LINK.sub("https://example.org/photo", links)


def find_recordings(db: Session, ids: Sequence[int]) -> Iterator[Recording]:
    """These conversations, in their order, without those that cannot be read."""
    for id in ids:
        if conversation := Conversation.find_readable(db, id):
            try:
                yield _recording(db, conversation)
            except UnreadableRow as error:
                unreadable_rows(db).add(error)


def _recording(db: Session, conversation: Conversation) -> Recording:
    return Recording(
        conversation.version.name,
        conversation.sender,
        conversation.number,
        [_exchange(*row) for row in EXCHANGES.fetch_all(db, conversation=conversation.id)],
        conversation.contact.name,
        conversation.id,
    )


def _exchange(
    id: int,
    at: datetime,
    text: str,
    media: str | None,
    params: str | None,
    reply_id: int | None,
    reply: str | None,
) -> Exchange:
    try:
        fields = msgspec.json.decode(params, type=dict) if params else {}
    except msgspec.DecodeError:
        raise UnreadableRow("messages", id, "params", "is no JSON") from None
    types = tuple(medium.type for medium in read_media(fields))
    return Exchange(at, text, reply, fields.get("OptOutType"), media, types, read_location(fields))


def find_ids(db: Session, limit: int) -> list[int]:
    """The newest conversations, the oldest of them first."""
    newest = select(Conversation.id).order_by(Conversation.id.desc()).limit(limit)
    return sorted(db.scalars(newest))


def replay(recording: Recording, catalog: Catalog) -> list[str | None]:
    """The replies to these texts now, None for none. It needs no database."""
    memory = Memory(catalog, recording.sender, recording.name)
    replies = []
    for exchange in recording.exchanges:
        text = IncomingText(
            sender=recording.sender,
            number=recording.number,
            body=exchange.text,
            media=exchange.media_urls,
            opt_out_type=exchange.opt_out_type,
            media_types=exchange.media_types,
            location=exchange.location,
        )
        decision = respond(memory.state(text), text, exchange.at)
        memory.remember(decision)
        replies.append(decision.reply)
    return replies


class Ended(NamedTuple):
    """A conversation that was silent for too long, and the result that is owed since."""

    conversation: Conversation
    result: Delivery | None


class Memory:
    """What a database would hold of one sender and one number."""

    def __init__(self, catalog: Catalog, sender: str, name: str | None) -> None:
        self._catalog, self._name = catalog, name
        self._contact = Contact(phone=sender)
        self._conversations: dict[int, Conversation] = {}  # by their ids, which begin with 1
        self._decisions: list[Decision] = []  # about the newest of them, the newest first

    @property
    def contact(self) -> Contact:
        """Who texts; nothing of it is changed."""
        return self._contact

    @property
    def newest(self) -> Conversation | None:
        """The newest conversation; nothing of it is changed."""
        return self._conversations.get(len(self._conversations))

    def state(self, text: IncomingText) -> State:
        """What `turn.load` would read for this text."""
        newest = self.newest
        questionnaire, languages = newest and newest.questionnaire, self._catalog.languages
        typed = examine_in(questionnaire, text, languages, self._find_recent_bodies)
        return State(
            self._contact,
            typed,
            newest,
            self._catalog.opens(typed.text.body, text.number),
            self._name,
            languages,
            stoppable=[each for each in self._conversations.values() if each.can_be_stopped],
            previous=(newest and newest.last_answer_text) or self._previous,
            recent_unread=self._recent_unread,
            recent_readings=[each.read_as for each in self._decisions][:LOOP_LIMIT],
        )

    def _find_recent_bodies(self, limit: int) -> list[str]:
        return [each.reply for each in self._decisions if each.reply][:limit]

    @property
    def _previous(self) -> Previous | None:
        newest = self._decisions[0] if self._decisions else None
        return newest and Previous(newest.text.body, newest.now, newest.read_as)

    @property
    def _recent_unread(self) -> list[str]:
        texts = [each.text.body for each in self._decisions if each.read_as in NOT_READ]
        return texts[: self.newest.failed_attempts] if self.newest else []

    def remember(self, decision: Decision) -> None:
        """Keep what `turn.save` would write."""
        self._contact, conversation = decision.contact, decision.conversation
        if conversation and conversation.id is None:
            conversation.id = len(self._conversations) + 1
            self._decisions = []
        if conversation:
            self._decisions.insert(0, decision)
        for changed in filter(None, (*decision.ended, conversation)):
            self._conversations[changed.id] = changed
        for result in decision.results:
            self._conversations[result.conversation_id].latest_result = result

    def end_silent(self, now: datetime) -> Ended | None:
        """Do what the worker's job does when nobody has texted for too long."""
        if self.newest is None or not self.newest.is_silent(now):
            return None
        ended = self.newest.copy()
        result = ended.expire(now)
        ended.latest_result = result or ended.latest_result
        self._conversations[ended.id] = ended
        return Ended(ended, result)


def load(path: Path) -> Recording:
    """A saved one; ValueError says what is wrong with the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recording)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: is no saved conversation: {error}. Save it anew.") from None


# Built once: building a statement costs as much as running it.
TEXT = Message.__table__
REPLY = TEXT.alias()
EXCHANGES = Statement(
    select(
        TEXT.c.id,
        TEXT.c.created_at,
        TEXT.c.body,
        TEXT.c.media,
        TEXT.c.params,
        REPLY.c.id,
        REPLY.c.body,
    )
    .select_from(TEXT.outerjoin(REPLY, REPLY.c.reply_to_id == TEXT.c.id))
    .where(
        TEXT.c.conversation_id == bindparam("conversation"),
        TEXT.c.direction == "inbound",
        TEXT.c.read_as.is_distinct_from(SET_ASIDE),
    )
    .order_by(TEXT.c.id)
)
