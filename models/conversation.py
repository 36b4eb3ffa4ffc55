"""Conversations: finding the one that a text belongs to, and taking the text.

The cookie is a hint and the row is the truth: Twilio may lose a cookie, or send an old one. Which
conversation a text belongs to is decided by who texts which of our numbers, and when.
"""

import re
import secrets
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile
from typing import Optional

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
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
from models.questionnaire import PLACEHOLDER, Question, Questionnaire, Version
from models.questionnaires import Questionnaires
from models.words import find_non_answer, find_wish, says_yes

TOKEN = re.compile(r"[0-9a-f]{32}")
LONGEST_REPLY = 1599  # characters; Twilio refuses 1,600 or more, its pages differ on which (14103)
LONGEST_SHOWN = 40  # characters of an answer, where all are listed
REVIEW = "(review)"  # what is asked when all is answered; no key of a question has brackets
ATTEMPTS = 3  # unread texts at the review, and replies after the end, so that machines fall silent
WANDERING = 20  # texts in a row without an answer, and BACK and RESTART lead nowhere any more
RECENT = 5  # of our texts, that a reaction or an echo can be about


def receive(
    db: Session,
    said: Message,
    contact: Contact,
    questionnaires: Questionnaires,
    now: datetime,
    cookie: str | None = None,
) -> tuple[Optional["Conversation"], Message | None]:
    """Take an inbound text: the conversation it belongs to, if any, and the recorded reply, if any.

    1. The newest conversation of the pair is found, whether it is live or not.
    2. What is no answer to anything, such as STOP or a reaction, is recorded and gets no reply.
    3. Every other text goes to that conversation, or to a new one if it opens one.
    """
    newest = Conversation.find(db, said.sender, said.recipient)
    if newest and newest.is_silent(now):  # for nothing may hang on how late the sender's loop is
        newest.expire(now)
    live = newest if newest and newest.is_live(now) else None
    said.cookie = Conversation.judge(db, cookie, live, said)
    if wish := _find_wish(said, contact, live):
        said.read_as = wish
        _follow(db, wish, contact, now)
    elif newest:
        said.read_as = newest.find_non_answer(said, now)
    else:
        said.read_as = find_non_answer(said.body)
    if said.read_as:
        said.conversation = live
        db.add(said)
        return live, None
    conversation = Conversation.go_on_or_start(db, newest, said, questionnaires, contact, now)
    if conversation is None:
        db.add(said)
        return None, None
    return conversation, conversation.receive(said, now)


def _find_wish(said: Message, contact: Contact, live: Optional["Conversation"]) -> str | None:
    """What the sender wants of our texts: `stop`, `start`, `help`; `opted out` if none at all."""
    wish = find_wish(said.body, said.opt_out_type)
    if wish in ("stop", "help"):
        return wish
    if contact.opted_out_at:
        return "start" if wish or says_yes(said.body) else "opted out"
    if wish and said.opt_out_type and not (live and live.takes_for_answer(said.body)):
        return "start"
    return None


def _follow(db: Session, wish: str, contact: Contact, now: datetime) -> None:
    if wish == "start":
        contact.opted_out_at = None
    if wish == "stop":
        contact.opted_out_at = contact.opted_out_at or now
        for conversation in Conversation.find_waiting(db, contact.phone):
            conversation.stop(now)


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
        pair = select(cls).where(cls.sender == sender, cls.number == number)
        return db.scalar(pair.order_by(cls.id.desc()).limit(1))

    @classmethod
    def find_waiting(cls, db: Session, sender: str) -> Iterator["Conversation"]:
        """Those on all numbers in which the sender could be asked or told something."""
        mends = and_(cls.state == "completed", cls.asking.is_not(None))
        waiting = or_(cls.state == "open", mends)
        return db.scalars(select(cls).where(cls.sender == sender, waiting))

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
            .order_by(cls.expires_at)
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
        return says_yes(said) or self._asks_for("yes_no")

    def find_non_answer(self, said: Message, now: datetime) -> str | None:
        """Why a text is no answer to anything; a picture alone can be one."""
        why = find_non_answer(said.body, Message.find_said(_session(self), self.id, RECENT))
        shows = said.media and self._asks_for("photo") and self.goes_on(now)
        return None if why == "empty" and shows else why

    def path(self) -> Iterator[Question]:
        """The questions that the answers until now lead to."""
        return self.questionnaire.path({key: one.value for key, one in self.answers.items()})

    def receive(self, said: Message, now: datetime) -> Message | None:
        """Take a text: record it, move on, and return the recorded reply, if any.

        1. The text is recorded as part of this conversation.
        2. It is the answer to the question that waits, if one does, or a word such as BACK.
        3. What comes next is said: the next question, the thank-you, or what a counter says.
        """
        db = _session(self)
        is_back = self.active_at is not None and not self.is_live(now)
        self._record(said, now)
        words = self._resume(said) if is_back else self._take(said, now)
        reply = said.reply(words, now) if words else None
        db.add(reply or said)
        db.flush()
        return reply

    def expire(self, now: datetime) -> None:
        """End by silence, or at `now` for one that gives way to something else.

        Silence about the list of all answers is consent.
        """
        at = min(self.expires_at, now)
        if self.asking == REVIEW:
            self.complete(at)
        else:
            self._end("expired", at)

    def stop(self, now: datetime) -> None:
        """End because the sender wants no more; one that is completed asks for no change then."""
        if self.state == "completed":
            self.asking, self.asked = None, None
            return
        self.unread = 0
        self._end("stopped", now)

    def _end(self, state: str, now: datetime) -> None:
        """End before all is answered; what was asked last stays, to tell where guests stop."""
        self.state, self.ended_at = state, now
        self._owe_partial(state, now)

    def complete(self, now: datetime) -> None:
        """End with all answers given, and owe the results to whoever is to have them."""
        self.state, self.asking, self.asked, self.ended_at = "completed", None, None, now
        self.unread = 0
        if self.questionnaire.results:
            self._owe("completed", now)

    def _owe_partial(self, type: str, now: datetime) -> None:
        """Owe what was answered, unless that is owed already since an end before."""
        results = self.questionnaire.results
        if results and results.partial and self.answers:
            owed = Delivery.find_newest(_session(self), self.id)
            if owed is None or not result.tells(owed.payload, self):
                self._owe(type, now)

    def _owe(self, type: str, now: datetime) -> None:
        db = _session(self)
        results = self.questionnaire.results
        replaced = None
        if self.questionnaire.has_further_results:
            replaced = Delivery.find_newest(db, self.id)
        delivery = Delivery(conversation_id=self.id, url=results.url, format=results.format)
        delivery.payload = result.write(self, type, replaced and replaced.webhook_id, now)
        delivery.created_at = delivery.next_attempt_at = now
        db.add(delivery)

    def _gives_way_to(self, name: str, opened: Questionnaire, said: str, now: datetime) -> bool:
        if not opened.is_opened_by(said):
            return False
        if self.questionnaire.is_counter:
            return not self.questionnaire.is_opened_by(said)
        if not self.is_live(now):
            return self.version.name != name
        return self.state == "stopped" or (self.state == "completed" and self.asking is None)

    def _record(self, said: Message, now: datetime) -> None:
        said.conversation = self
        if self.state == "expired":
            self.state, self.ended_at = "open", None
        self.message_count += 1
        self.active_at = now
        self.expires_at = now + self.questionnaire.silence

    def _resume(self, said: Message) -> str:
        said.read_as, self.unread = "resumed", 0
        return f"{self._fill(self.questionnaire.say.resumed)} {self.asked}"[:LONGEST_REPLY]

    def _take(self, said: Message, now: datetime) -> str | None:
        """Move on by one text; the words to say then."""
        if self.state == "stopped":
            said.read_as = "after"
            return None
        if self.questionnaire.is_counter:
            return self._count(said)
        if self.asking is None:
            return self._open(said, now) if self.state == "open" else self._take_after(said, now)
        said.read_as = self._find_word(said.body, now) or "answer"
        match said.read_as:
            case "back":
                return self._go_back(said, now)
            case "skip":
                return self._skip(said, now)
            case "restart":
                return self._restart(said, now)
            case "ok":
                return self._finish(now)
            case "fix":
                return self._fix(said, now)
        return self._take_answer(said, now)

    def _find_word(self, said: str, now: datetime) -> str | None:
        """A word of ours that means something now. The name of a choice goes before."""
        word = self.questionnaire.say.find_word(said)
        if word == "fix":
            return "fix" if self._named(said) else None
        if self.asking == REVIEW:
            agrees = word is None and self.questionnaire.says_yes(said, now)
            return "ok" if agrees else None if word == "skip" else word
        return None if word == "ok" or self._question.is_name(said) else word

    def _count(self, said: Message) -> str | None:
        said.read_as = "counted"
        first = self.questionnaire.first_reply if self.message_count == 1 else None
        return self._fill(first or self.questionnaire.reply)

    def _open(self, said: Message, now: datetime) -> str | None:
        said.read_as = "opening"
        return self._go_on(now)

    def _take_after(self, said: Message, now: datetime) -> str | None:
        """What is said when all is said, but not for ever to somebody who might be a machine."""
        if self._named(said.body):
            said.read_as = "fix"
            return self._fix(said, now)
        said.read_as = "after"
        self.unread += 1
        return self._fill(self.questionnaire.after) if self.unread <= ATTEMPTS else None

    def _take_answer(self, said: Message, now: datetime) -> str | None:
        if self.asking == REVIEW:
            return self._ask_again(said, self.asked, now)
        media = said.media.split() if said.media else ()
        value = self.questionnaire.read(self.asking, said.body, now, media)
        if value is None:
            return self._ask_again(said, self._sentence_for_unread(now), now)
        return self._answer(said, value, now)

    def _sentence_for_unread(self, now: datetime) -> str:
        sentence = self.questionnaire.say.asking_again(self._question)
        return self._fill(sentence, **self._question.placeholders(self.questionnaire.day(now)))

    def _answer(self, said: Message, value: str | None, now: datetime) -> str | None:
        """Keep an answer, in the place of the one before if it is mended. None: it is skipped."""
        answer = self.answers.get(self.asking)
        if answer is None:
            answer = self.answers[self.asking] = Answer(key=self.asking)
        answer.question, answer.text, answer.value = self.asked, said.body, value
        answer.message, answer.answered_at = said, now
        return self._go_on(now)

    def _go_on(self, now: datetime) -> str | None:
        """Ask what comes next on the path, or end; the words to say then."""
        path = list(self.path())
        for key in self.answers.keys() - {question.key for question in path}:
            del self.answers[key]
        if self.state == "completed" and self.questionnaire.results:
            self._owe("corrected", now)
        for question in path:
            if question.key not in self.answers:
                return self._ask(question, now)
        if self.state == "completed":
            return self._leave(self.questionnaire.say.corrected)
        return self._review() if self.questionnaire.review else self._finish(now)

    def _ask(self, question: Question, now: datetime) -> str:
        self.asking, self.unread = question.key, 0
        more = question.placeholders(self.questionnaire.day(now))
        self.asked = self._fill(question.ask, **more)
        return self.asked

    def _review(self) -> str:
        self.asking, self.unread = REVIEW, 0
        self.asked = self._fill_with_answers(self.questionnaire.say.review)
        return self.asked

    def _finish(self, now: datetime) -> str | None:
        self.complete(now)
        return self._fill(self.questionnaire.thanks)

    def _leave(self, sentence: str) -> str:
        """Ask nothing any more, of a conversation that was completed before."""
        self.asking, self.asked, self.unread = None, None, 0
        return self._fill_with_answers(sentence)

    def _ask_again(self, said: Message, sentence: str, now: datetime) -> str | None:
        """Say what can be read, until it was tried often enough."""
        said.read_as = "unread"
        self.unread += 1
        most = ATTEMPTS if self.asking == REVIEW else self._question.attempts
        return sentence if self.unread < most else self._give_up(said, now)

    def _give_up(self, said: Message, now: datetime) -> str | None:
        if self.asking == REVIEW:
            return self._finish(now)
        if self.asking in self.answers:
            return self._leave_as_it_is(now)
        give_up = self._question.give_up
        if give_up == "end" and self.state == "open":
            self._end("stopped", now)
            return self._fill(self.questionnaire.say.ended)
        is_word = self.questionnaire.say.find_word(said.body) is not None
        return self._answer(said, said.body if give_up == "keep" and not is_word else None, now)

    def _leave_as_it_is(self, now: datetime) -> str | None:
        """Ask no more for a change. What a change before has led to may be without an answer."""
        if self.state == "open":
            return self._go_on(now)
        say = self.questionnaire.say
        return self._leave(say.unchanged if self.asking in self.answers else say.corrected)

    def _go_back(self, said: Message, now: datetime) -> str | None:
        """Ask the question before again; or leave an answer as it is, that was to be mended."""
        if self.asking in self.answers or self.state == "completed":
            return self._leave_as_it_is(now)
        before = self._answered_before()
        if not before or self._wanders():
            return self._ask_again(said, self.asked, now)
        del self.answers[before[-1].key]
        return self._ask(before[-1], now)

    def _answered_before(self) -> list[Question]:
        """What was answered before the question that waits, which a change can have put between."""
        asked = takewhile(lambda question: question.key != self.asking, self.path())
        return [question for question in asked if question.key in self.answers]

    def _wanders(self) -> bool:
        """Whether so many texts in a row answered nothing that it may well be a machine."""
        latest = Message.find_read_as(_session(self), self.id, WANDERING)
        return len(latest) == WANDERING and "answer" not in latest

    def _skip(self, said: Message, now: datetime) -> str | None:
        if self._question.optional:
            return self._answer(said, None, now)
        needed = self._fill(self.questionnaire.say.needed)
        return self._ask_again(said, f"{needed} {self.asked}"[:LONGEST_REPLY], now)

    def _restart(self, said: Message, now: datetime) -> str | None:
        if self.state == "completed":
            return self._leave_as_it_is(now)
        if not self.answers or self._wanders():
            return self._ask_again(said, self.asked, now)
        self.answers.clear()
        return self._go_on(now)

    def _fix(self, said: Message, now: datetime) -> str:
        return self._ask(self._named(said.body), now)

    def _named(self, said: str) -> Question | None:
        """The question whose answer "FIX 2" names, where answers are reviewed."""
        place = self.questionnaire.say.find_place(said) if self.questionnaire.review else None
        answered = self._answered_questions()
        return answered[place - 1] if place and place <= len(answered) else None

    def _answered_questions(self) -> list[Question]:
        return [question for question in self.path() if question.key in self.answers]

    @property
    def _question(self) -> Question:
        return self.questionnaire.question(self.asking)

    def _asks_for(self, kind: str) -> bool:
        return self.asking not in (None, REVIEW) and self._question.kind == kind

    def _fill_with_answers(self, sentence: str) -> str:
        """A sentence that lists the answers, with these cut where it would be too long."""
        answered = self._answered_questions()
        room = LONGEST_REPLY - len(self._fill(sentence, answers="", last=str(len(answered))))
        shown = ", ".join(
            f"{place} {_cut(self._shown(question) or '-', LONGEST_SHOWN)}"
            for place, question in enumerate(answered, 1)
        )
        return self._fill(sentence, answers=_cut(shown, room), last=str(len(answered)))

    def _shown(self, question: Question) -> str:
        """An answer in words, or nothing where none was given."""
        answer = self.answers.get(question.key)
        value = answer and answer.value
        return question.show(value, self.questionnaire.say) if value else ""

    def _fill(self, template: str | None, **more: str) -> str | None:
        """The words for a template. What people texted is put in, never read as a template."""
        if template is None:
            return None
        words = PLACEHOLDER.sub(lambda found: self._word(found[1], more), template)
        return words[:LONGEST_REPLY]

    def _word(self, name: str, more: dict[str, str]) -> str:
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
        return more[name] if name in more else self._shown(self.questionnaire.question(name))


def _cut(words: str, length: int) -> str:
    words = " ".join(words.split())
    return words if len(words) <= length else words[: length - 2].rstrip() + ".."


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


def _session(conversation: Conversation) -> Session:
    db = object_session(conversation)
    assert db is not None
    return db
