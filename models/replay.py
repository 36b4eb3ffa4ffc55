"""Recorded conversations once more, with the questionnaires of today: what would be said now?"""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path

import msgspec
from msgspec import Struct
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from models.contact import Contact
from models.conversation import Conversation
from models.message import Message
from models.questionnaire.catalog import Catalog
from models.turn import receive
from models.version import Version

AT_ONCE = 100  # conversations that are read together
MASK = "5550100"  # of numbers that nobody has
NAME = "Guest"
SENDER, NUMBER = f"+1415{MASK}", "+14155550199"


class Turn(Struct, frozen=True, omit_defaults=True):
    """A text, and what was said to it."""

    at: datetime
    said: str
    reply: str | None = None
    opt_out_type: str | None = None
    media: str | None = None


class Recording(Struct, frozen=True, omit_defaults=True):
    """A whole conversation."""

    questionnaire: str
    sender: str
    number: str
    turns: list[Turn]
    name: str | None = None
    conversation: int = 0  # which one it was; none of ours in a file

    def masked(self, names: Collection[str]) -> "Recording":
        """Without names that are known, numbers of phones and addresses; replies are to be said."""
        hide = Mask({self.name, *names} - {None})
        turns = [
            Turn(turn.at, hide(turn.said), None, turn.opt_out_type, hide.media(turn.media))
            for turn in self.turns
        ]
        name = self.name and NAME
        return Recording(self.questionnaire, SENDER, NUMBER, turns, name)

    def encoded(self) -> bytes:
        """As a file that people can read."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n"

    def saying(self, replies: Sequence[str | None]) -> "Recording":
        turns = [
            msgspec.structs.replace(turn, reply=reply)
            for turn, reply in zip(self.turns, replies, strict=True)
        ]
        return msgspec.structs.replace(self, turns=turns)


class Mask:
    """Puts what nobody has in the place of what somebody could be known by."""

    ADDRESS = re.compile(r"\S+@\S+\.\w+")
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
        kept = len(re.findall(r"\d", number)) - len(MASK)
        digits = iter("".join(re.findall(r"\d", number))[:kept] + MASK)
        return re.sub(r"\d", lambda _: next(digits), number)

    def media(self, links: str | None) -> str | None:
        return links and self.LINK.sub("https://example.org/photo", links)


def find_recordings(db: Session, ids: Sequence[int]) -> Iterator[Recording]:
    """These conversations, in their order."""
    for start in range(0, len(ids), AT_ONCE):
        reply = aliased(Message)
        some = (
            select(Conversation, Version.name, Contact.name, Message, reply.body)
            .join(Version, Version.id == Conversation.questionnaire_id)
            .join(Contact, Contact.phone == Conversation.sender)
            .join(Message, Message.conversation_id == Conversation.id)
            .outerjoin(reply, reply.reply_to_id == Message.id)
            .where(
                Conversation.id.in_(ids[start : start + AT_ONCE]), Message.direction == "inbound"
            )
            .order_by(Conversation.id, Message.id)
        )
        for (conversation, version, name), rows in groupby(db.execute(some), lambda row: row[:3]):
            yield Recording(
                version,
                conversation.sender,
                conversation.number,
                [_turn(said, reply) for *_, said, reply in rows],
                name,
                conversation.id,
            )
        db.expunge_all()


def _turn(said: Message, reply: str | None) -> Turn:
    return Turn(said.created_at, said.body, reply, said.opt_out_type, said.media)


def find_ids(db: Session, most: int) -> list[int]:
    """The newest conversations, the oldest of them first."""
    newest = select(Conversation.id).order_by(Conversation.id.desc()).limit(most)
    return sorted(db.scalars(newest))


def replay(db: Session, recording: Recording, questionnaires: Catalog) -> list[str | None]:
    """What is said to these texts now. Nothing of it stays in the database."""
    with db.begin_nested() as trial:
        replies = list(_replies(db, recording, questionnaires))
        trial.rollback()
    return replies


def _replies(db: Session, recording: Recording, questionnaires: Catalog) -> Iterator[str | None]:
    for turn in recording.turns:
        contact = Contact.find(db, recording.sender, recording.name)
        said = Message(
            direction="inbound",
            sender=recording.sender,
            recipient=recording.number,
            body=turn.said,
            media=turn.media,
            params=msgspec.json.encode({"OptOutType": turn.opt_out_type}).decode(),
            created_at=turn.at,
        )
        _, reply = receive(db, said, contact, questionnaires, turn.at)
        yield reply and reply.body


def load(path: Path) -> Recording:
    """A saved one; ValueError says what is wrong with the file."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recording)
    except (OSError, msgspec.DecodeError) as error:
        raise ValueError(f"{path}: is no saved conversation: {error}. Save it anew.") from None
