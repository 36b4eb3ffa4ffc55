"""Conversations: finding the one that a text belongs to, how it ends, and what is owed then.

The cookie is a hint and the row is the truth: Twilio may lose a cookie, or send an old one. Which
conversation a text belongs to is decided by who texts which of our numbers, and when.
"""

import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Optional

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    bindparam,
    or_,
    select,
    text,
)
from sqlalchemy.orm import (
    Mapped,
    Session,
    attribute_keyed_dict,
    contains_eager,
    mapped_column,
    object_session,
    relationship,
)

from models import result
from models.contact import Contact
from models.database import Base
from models.delivery import Delivery
from models.message import Message
from models.questionnaire import Question, Questionnaire, Version
from models.questionnaires import Questionnaires
from models.words import find_non_answer, find_wish, says_yes

TOKEN = re.compile(r"[0-9a-f]{32}")
REVIEW = "(review)"  # what is asked when all is answered; no key of a question has brackets
RECENT = 5  # of our texts, that a reaction or an echo can be about


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
        Index(
            "ix_conversations_silent",
            "expires_at",
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
    asking: Mapped[str | None]  # the key of the question that waits for its answer, or REVIEW
    asked: Mapped[str | None]  # that question as it was asked
    unread: Mapped[int] = mapped_column(default=0)  # texts in a row that could not be read
    message_count: Mapped[int]
    started_at: Mapped[datetime]
    active_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    contact: Mapped[Contact] = relationship(lazy="joined", innerjoin=True)
    version: Mapped[Version] = relationship(lazy="joined", innerjoin=True)
    answers: Mapped[dict[str, "Answer"]] = relationship(
        collection_class=attribute_keyed_dict("key"), cascade="all, delete-orphan"
    )

    @classmethod
    def find(cls, db: Session, sender: str, number: str) -> Optional["Conversation"]:
        """The newest conversation of this pair."""
        return db.scalar(NEWEST, {"sender": sender, "number": number})

    @classmethod
    def find_waiting(cls, db: Session, sender: str) -> Iterator["Conversation"]:
        """Those on all numbers in which the sender could be asked or told something."""
        mends = and_(cls.state == "completed", cls.asking.is_not(None))
        waiting = or_(cls.state == "open", mends)
        return db.scalars(select(cls).where(cls.sender == sender, waiting).order_by(cls.id))

    @classmethod
    def judge(
        cls, db: Session, cookie: str | None, live: Optional["Conversation"], said: Message
    ) -> str:
        """What the cookie of a text was."""
        if cookie is None:
            return "none"
        if not TOKEN.fullmatch(cookie):
            return "malformed"
        if live and live.token == cookie:
            return "matched"
        other = db.scalar(select(cls).where(cls.token == cookie))
        if other is None:
            return "missing"
        pair = (other.sender, other.number)
        return "stale" if pair == (said.sender, said.recipient) else "foreign"

    @classmethod
    def go_on_or_start(
        cls,
        db: Session,
        newest: Optional["Conversation"],
        said: Message,
        questionnaires: Questionnaires,
        contact: Contact,
        now: datetime,
    ) -> Optional["Conversation"]:
        """The conversation that takes a text: the newest, or a new one if the text opens one.

        One that is over gives way to all that opens, a live one to an event while no question
        waits for its answer.
        """
        goes_on = newest if newest and newest.goes_on(now) else None
        opened = questionnaires.opened_by(said.body, said.recipient)
        if opened is None:
            return goes_on
        if goes_on and not goes_on._gives_way_to(opened, questionnaires[opened], said.body, now):
            return goes_on
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
            unread=0,
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

    @classmethod
    def is_any_silent(cls, db: Session, now: datetime) -> bool:
        silent = select(cls.id).where(cls.state == "open", cls.expires_at <= now)
        return db.scalar(silent.limit(1)) is not None

    @classmethod
    def expire_silent(cls, db: Session, now: datetime, most: int) -> int:
        """End those that nobody texted for too long; how many it were.

        Whoever is being texted right now is left for the next time.
        """
        silent = (
            select(cls)
            .join(cls.contact)
            .options(contains_eager(cls.contact))
            .where(cls.state == "open", cls.expires_at <= now)
            .order_by(cls.expires_at, cls.id)
            .limit(most)
            .with_for_update(of=[cls, Contact], key_share=True, skip_locked=True)
        )
        conversations = db.scalars(silent).all()
        for conversation in conversations:
            conversation.expire(now)
        return len(conversations)

    @property
    def questionnaire(self) -> Questionnaire:
        return self.version.definition

    def is_silent(self, now: datetime) -> bool:
        return self.state == "open" and self.expires_at <= now

    def is_live(self, now: datetime) -> bool:
        """Whether its last text is near `now`; after it, too, for clocks are set back.

        One that expired by a clock that was wrong is live again. One that we gave up ourselves
        stays, to keep the same texter from beginning anew with whatever could not be read.
        """
        silence = self.expires_at - self.active_at
        is_over = self.state == "stopped" and not self.unread
        return abs(now - self.active_at) < silence and not is_over

    def can_resume(self, now: datetime) -> bool:
        """Whether a texter who was silent for too long may still go on."""
        waits = self.state == "expired" and self.asking is not None
        return waits and self.expires_at <= now < self.expires_at + self.questionnaire.patience

    def goes_on(self, now: datetime) -> bool:
        return self.is_live(now) or self.can_resume(now)

    def takes_for_answer(self, said: str) -> bool:
        """Whether a text that opts in is rather the answer to the question that waits."""
        if self.asking is None or self.state == "stopped" or find_wish(said):
            return False
        return says_yes(said) or self.asks_for("yes_no")

    def find_non_answer(self, said: Message, now: datetime) -> str | None:
        """Why a text is no answer to anything; a picture alone can be one."""
        find_said = partial(Message.find_said, session_of(self), self.id, RECENT)
        why = find_non_answer(said.body, find_said)
        shows = said.media and self.asks_for("photo") and self.goes_on(now)
        return None if why == "empty" and shows else why

    @property
    def question(self) -> Question:
        """The one that waits for its answer."""
        return self.questionnaire.question(self.asking)

    def asks_for(self, kind: str) -> bool:
        return self.asking not in (None, REVIEW) and self.question.kind == kind

    def path(self) -> Iterator[Question]:
        """The questions that the answers until now lead to."""
        return self.questionnaire.path({key: one.value for key, one in self.answers.items()})

    @property
    def answered(self) -> list[Question]:
        """Those that have an answer, or were skipped."""
        return [question for question in self.path() if question.key in self.answers]

    def expire(self, now: datetime) -> None:
        """End by silence, or at `now` for one that gives way to something else.

        Silence about the list of all answers is consent.
        """
        at = min(self.expires_at, now)
        if self.asking == REVIEW:
            self.complete(now, at)
        else:
            self.end("expired", now, at)

    def stop(self, now: datetime) -> None:
        """End because the sender wants no more; one that is completed asks for no change then."""
        if self.state == "completed":
            self.asking, self.asked = None, None
            return
        self.unread = 0
        self.end("stopped", now)

    def end(self, state: str, now: datetime, at: datetime | None = None) -> None:
        """End before all is answered; what was asked last stays, to tell where guests stop."""
        self.state, self.ended_at = state, at or now
        self._owe_partial(state, now)

    def complete(self, now: datetime, at: datetime | None = None) -> None:
        """End with all answers given, and owe the results to whoever is to have them."""
        self.state, self.ended_at = "completed", at or now
        self.ask(None, None)
        if self.questionnaire.results:
            self.owe("completed", now)

    def _owe_partial(self, type: str, now: datetime) -> None:
        """Owe what was answered, unless that is owed already since an end before."""
        results = self.questionnaire.results
        if results and results.partial and self.answers:
            owed = Delivery.find_newest(session_of(self), self.id)
            if owed is None or not result.tells(owed.payload, self):
                self.owe(type, now)

    def owe(self, type: str, now: datetime) -> None:
        db = session_of(self)
        results = self.questionnaire.results
        replaced = None
        if self.questionnaire.has_further_results:
            replaced = Delivery.find_newest(db, self.id)
        delivery = Delivery(conversation_id=self.id, url=results.url, format=results.format)
        delivery.payload = result.write(self, type, replaced and replaced.webhook_id, now)
        delivery.created_at = delivery.next_attempt_at = now
        db.add(delivery)

    def record(self, said: Message, now: datetime) -> None:
        """Note that the sender was heard."""
        said.conversation = self
        if self.state == "expired":
            self.state, self.ended_at = "open", None
        self.message_count += 1
        self.active_at = now
        self.expires_at = now + self.questionnaire.silence

    def ask(self, key: str | None, words: str | None) -> str | None:
        """Wait for the answer to this from now on; None: to nothing."""
        self.asking, self.asked, self.unread = key, words, 0
        return words

    def keep(self, said: Message, value: str | None, now: datetime) -> None:
        """Keep an answer, in the place of the one before if it is mended. None: it is skipped."""
        answer = self.answers.get(self.asking)
        if answer is None:
            answer = self.answers[self.asking] = Answer(key=self.asking)
        answer.question, answer.text, answer.value = self.asked, said.body, value
        answer.message, answer.answered_at = said, now

    def _gives_way_to(self, name: str, opened: Questionnaire, said: str, now: datetime) -> bool:
        if not opened.is_opened_by(said):
            return False
        if self.questionnaire.is_counter:
            return not self.questionnaire.is_opened_by(said)
        if not self.is_live(now):
            return self.version.name != name
        return self.state == "stopped" or (self.state == "completed" and self.asking is None)


# Made once: to make a statement takes as long as to run it.
NEWEST = (
    select(Conversation)
    .where(Conversation.sender == bindparam("sender"), Conversation.number == bindparam("number"))
    .order_by(Conversation.id.desc())
    .limit(1)
)


class Answer(Base):
    """What was asked, what was texted, and what that was read as; no value where it was skipped."""

    __tablename__ = "answers"
    __table_args__ = (UniqueConstraint("conversation_id", "key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"))
    key: Mapped[str]
    question: Mapped[str]
    text: Mapped[str]
    value: Mapped[str | None]
    message_id: Mapped[int] = mapped_column(ForeignKey("messages.id"))
    answered_at: Mapped[datetime]

    message: Mapped[Message] = relationship()


def session_of(conversation: Conversation) -> Session:
    db = object_session(conversation)
    assert db is not None
    return db
