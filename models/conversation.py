"""Conversations: finding the one that a text belongs to, and taking the text.

The cookie is a hint and the row is the truth: Twilio may lose a cookie, or send an old one. Which
conversation a text belongs to is decided by who texts which of our numbers, and when.
"""

import re
import secrets
from datetime import datetime
from typing import Any, Optional

import msgspec
from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, select, text
from sqlalchemy.orm import (
    Mapped,
    Session,
    WriteOnlyMapped,
    mapped_column,
    object_session,
    relationship,
)

from models.contact import Contact
from models.database import Base
from models.delivery import Delivery
from models.message import Message
from models.questionnaire import PLACEHOLDER, Questionnaire, Questionnaires, Version

TOKEN = re.compile(r"[0-9a-f]{32}")
LONGEST_REPLY = 1599  # characters; Twilio refuses 1,600 or more, its pages differ on which (14103)


class Conversation(Base):
    """One run of one phone through one questionnaire."""

    __tablename__ = "conversations"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'completed', 'stopped', 'expired')", "state"),
        Index("ix_conversations_sender_number", "sender", "number", "id"),
        Index(
            "uq_conversations_open",
            "sender",
            "number",
            unique=True,
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    sender: Mapped[str] = mapped_column(ForeignKey("contacts.phone"))
    number: Mapped[str]
    questionnaire_id: Mapped[int] = mapped_column(ForeignKey("questionnaires.id"))
    event: Mapped[str]
    state: Mapped[str]
    asking: Mapped[str | None]  # the key of the question that waits for its answer
    asked: Mapped[str | None]  # that question as it was asked
    message_count: Mapped[int]
    started_at: Mapped[datetime]
    active_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    contact: Mapped[Contact] = relationship(lazy="joined", innerjoin=True)
    version: Mapped[Version] = relationship(lazy="joined", innerjoin=True)
    answers: WriteOnlyMapped["Answer"] = relationship()

    @classmethod
    def find(
        cls, db: Session, cookie: str | None, sender: str, number: str, now: datetime
    ) -> tuple[Optional["Conversation"], str]:
        """The newest conversation of this pair, if it is live, and what its cookie was."""
        newest = db.scalar(
            select(cls)
            .where(
                cls.sender == sender,
                cls.number == number,
                cls.expires_at > now,
                cls.state.in_(("open", "completed")),
            )
            .order_by(cls.id.desc())
            .limit(1)
        )
        live = newest if newest and newest.is_live(now) else None
        return live, cls._judge(db, cookie, live, sender, number)

    @classmethod
    def _judge(
        cls,
        db: Session,
        cookie: str | None,
        live: Optional["Conversation"],
        sender: str,
        number: str,
    ) -> str:
        if cookie is None:
            return "none"
        if not TOKEN.fullmatch(cookie):
            return "malformed"
        if live and live.token == cookie:
            return "matched"
        other = db.scalar(select(cls).where(cls.token == cookie))
        if other is None:
            return "missing"
        return "stale" if (other.sender, other.number) == (sender, number) else "foreign"

    @classmethod
    def go_on_or_start(
        cls,
        db: Session,
        live: Optional["Conversation"],
        said: Message,
        questionnaires: Questionnaires,
        contact: Contact,
        now: datetime,
    ) -> Optional["Conversation"]:
        """The conversation that takes a text: the live one, or a new one if the text opens one.

        A live one gives way to an event while no question waits for its answer.
        """
        opened = questionnaires.opened_by(said.body, said.recipient)
        if opened is None or (live and not live._gives_way_to(questionnaires[opened], said.body)):
            return live
        version = Version.find(db, opened, questionnaires[opened], now)
        return cls.start(db, version, contact, said.recipient, said.body, now)

    @classmethod
    def start(
        cls, db: Session, version: Version, contact: Contact, number: str, event: str, now: datetime
    ) -> "Conversation":
        """Begin anew; one that is open still ends here."""
        cls._end_open(db, contact.phone, number, now)
        conversation = cls(
            token=secrets.token_hex(16),
            contact=contact,
            sender=contact.phone,
            number=number,
            version=version,
            event=version.definition.event or event,
            state="open",
            message_count=0,
            started_at=now,
        )
        db.add(conversation)
        return conversation

    @classmethod
    def _end_open(cls, db: Session, sender: str, number: str, now: datetime) -> None:
        still = select(cls).where(cls.sender == sender, cls.number == number, cls.state == "open")
        for conversation in db.scalars(still):
            conversation.expire(now)
        db.flush()  # only one may be open, and an insert would go before the update

    @property
    def questionnaire(self) -> Questionnaire:
        return self.version.definition

    def is_live(self, now: datetime) -> bool:
        """Whether its last text is near `now`; after it, too, for clocks are set back."""
        silence = self.expires_at - self.active_at
        return abs(now - self.active_at) < silence

    def _gives_way_to(self, opened: Questionnaire, said: str) -> bool:
        if not opened.is_opened_by(said):
            return False
        if self.questionnaire.is_counter:
            return not self.questionnaire.is_opened_by(said)
        return self.state == "completed"

    def receive(self, said: Message, now: datetime) -> Message | None:
        """Take an inbound text: record it, move on, and return the recorded reply, if any.

        1. The text is recorded as part of this conversation.
        2. It is the answer to the question that waits, if one does.
        3. What comes next is said: the next question, the thank-you, or what a counter says.
        """
        db = _session(self)
        self._record(said, now)
        words = self._take(said, now)
        reply = said.reply(words, now) if words else None
        db.add(reply or said)
        db.flush()
        return reply

    def expire(self, now: datetime) -> None:
        """End by silence, or at `now` for a counter that gives way to something else.

        What was asked last stays, to tell where guests stop.
        """
        self.state = "expired"
        self.ended_at = min(self.expires_at, now)

    def complete(self, now: datetime) -> None:
        """End with all answers given, and owe the results to whoever is to have them."""
        self.state, self.asking, self.asked, self.ended_at = "completed", None, None, now
        if results := self.questionnaire.results:
            payload = self._form() if results.format == "form" else self._report(now)
            delivery = Delivery(conversation_id=self.id, url=results.url, format=results.format)
            delivery.payload = msgspec.json.encode(payload).decode()
            delivery.created_at = delivery.next_attempt_at = now
            _session(self).add(delivery)

    def _record(self, said: Message, now: datetime) -> None:
        said.conversation = self
        self.message_count += 1
        self.active_at = now
        self.expires_at = now + self.questionnaire.silence

    def _take(self, said: Message, now: datetime) -> str | None:
        """Move on by one text; the words to say then."""
        questionnaire = self.questionnaire
        if self.state == "completed":
            return self._fill(questionnaire.after)
        if questionnaire.is_counter:
            first = questionnaire.first_reply if self.message_count == 1 else None
            return self._fill(first or questionnaire.reply)
        if self.asking:
            self._answer(said, now)
        following = questionnaire.question_after(self.asking)
        if following is None:
            self.complete(now)
            return self._fill(questionnaire.thanks)
        self.asking, self.asked = following.key, self._fill(following.ask)
        return self.asked

    def _answer(self, said: Message, now: datetime) -> None:
        answer = Answer(key=self.asking, question=self.asked, text=said.body, value=said.body)
        answer.message, answer.answered_at = said, now
        self.answers.add(answer)

    def _fill(self, template: str | None) -> str | None:
        """The words for a template. What people texted is put in, never read as a template."""
        if template is None:
            return None
        return PLACEHOLDER.sub(lambda found: self._word(found[1]), template)[:LONGEST_REPLY]

    def _word(self, name: str) -> str:
        match name:
            case "name":
                return self.contact.name or self.questionnaire.stranger
            case "from":
                return self.sender
            case "to":
                return self.number
            case "count":
                return str(self.message_count)
            case "event":
                return self.event
        return self._answered()[name]

    def _form(self) -> dict[str, str]:
        """The results as form fields, under the receiver's names for them."""
        ours = {"From": self.sender, "Event": self.event} | self._answered()
        return {
            self.questionnaire.results.fields.get(name, name): said for name, said in ours.items()
        }

    def _report(self, now: datetime) -> dict[str, Any]:
        """The results as an event, told once for all."""
        return {
            "type": "conversation.completed",
            "timestamp": now,
            "data": {
                "conversation": self.id,
                "from": self.sender,
                "to": self.number,
                "name": self.contact.name,
                "event": self.event,
                "questionnaire": self.version.name,
                "started_at": self.started_at,
                "completed_at": now,
                "answers": self._answered(),
            },
        }

    def _answered(self) -> dict[str, str]:
        answers = _session(self).scalars(self.answers.select().order_by(Answer.id))
        return {answer.key: answer.value for answer in answers}


class Answer(Base):
    """What was asked, what was texted, and what that was read as."""

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("conversation_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    key: Mapped[str]
    question: Mapped[str]
    text: Mapped[str]
    value: Mapped[str]
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))
    answered_at: Mapped[datetime]

    message: Mapped[Message] = relationship()


def _session(conversation: Conversation) -> Session:
    db = object_session(conversation)
    assert db is not None
    return db
