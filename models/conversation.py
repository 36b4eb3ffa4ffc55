"""Conversations: finding the one that a text belongs to, how it ends, and what is owed then.

The cookie is a hint and the row is the truth: Twilio may lose a cookie, or send an old one. Which
conversation a text belongs to is decided by who texts which of our numbers, and when.
"""

import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Optional

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    and_,
    bindparam,
    delete,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from models import result
from models.contact import Contact
from models.delivery import Delivery
from models.message import Message
from models.questionnaire.catalog import Catalog
from models.questionnaire.flow import path
from models.questionnaire.keywords import opt_keyword, says_yes
from models.questionnaire.schema import Question, Questionnaire
from models.reactions import find_non_answer
from models.text import normalize
from models.version import Version
from storage.base import LITERAL_1, Base, Statement, split_row

TOKEN = re.compile(r"[0-9a-f]{32}")
REVIEW = "(review)"  # what is asked when all is answered; no key of a question has brackets
# In words, not by a parameter: no plan that is kept would use the index of these alone.
IS_OPEN = "state = 'open'"
RECENT = 5  # of our texts, that a reaction or an echo can be about


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


class Conversation(Base):
    """One run of one phone through one questionnaire."""

    __tablename__ = "conversations"
    __allow_unmapped__ = True  # for what belongs to it, which `_whole` reads
    __table_args__ = (
        CheckConstraint("state IN ('open', 'completed', 'stopped', 'expired')", "state"),
        Index("ix_conversations_sender_number", "sender", "number", "id"),
        Index(None, "number", "id"),
        Index(
            "uq_conversations_open",
            "sender",
            "number",
            unique=True,
            sqlite_where=text(IS_OPEN),
            postgresql_where=text(IS_OPEN),
        ),
        Index(
            "ix_conversations_silent",
            "expires_at",
            sqlite_where=text(IS_OPEN),
            postgresql_where=text(IS_OPEN),
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

    contact: Contact
    version: Version
    answers: dict[str, Answer]  # by key

    @classmethod
    def find(cls, db: Session, sender: str, number: str) -> Optional["Conversation"]:
        """The newest conversation of this pair."""
        rows = NEWEST.fetch_all(db, sender=sender, number=number)
        return cls._whole(db, rows[0]) if rows else None

    @classmethod
    def find_by_id(cls, db: Session, id: int | None) -> Optional["Conversation"]:
        row = db.execute(BY_ID, {"id": id}).first()
        return row and cls._whole(db, row)

    @classmethod
    def find_waiting(cls, db: Session, sender: str) -> list["Conversation"]:
        """Those on all numbers in which the sender could be asked or told something."""
        mends = and_(cls.state == "completed", cls.asking.is_not(None))
        waiting = or_(cls.state == "open", mends)
        found = db.execute(WHOLE.where(cls.sender == sender, waiting).order_by(cls.id))
        return [cls._whole(db, row) for row in found.all()]

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
        pair = db.execute(select(cls.sender, cls.number).where(cls.token == cookie)).first()
        if pair is None:
            return "missing"
        return "stale" if pair == (said.sender, said.recipient) else "foreign"

    @classmethod
    def go_on_or_start(
        cls,
        db: Session,
        newest: Optional["Conversation"],
        said: Message,
        questionnaires: Catalog,
        contact: Contact,
        now: datetime,
    ) -> Optional["Conversation"]:
        """The conversation that takes a text: the newest, or a new one if the text opens one.

        One that is over gives way to all that opens, a live one to an event while no question
        waits for its answer.
        """
        goes_on = newest if newest and newest.goes_on(now) else None
        opened = questionnaires.opens(said.body, said.recipient)
        if opened is None:
            return goes_on
        if goes_on and not goes_on._gives_way_to(opened, questionnaires[opened], said.body, now):
            return goes_on
        if newest and newest.state == "open":
            newest.expire(db, now)
        version = Version.find(db, opened, questionnaires[opened], now)
        return cls.start(db, version, contact, said.recipient, said.body, now)

    @classmethod
    def start(
        cls, db: Session, version: Version, contact: Contact, number: str, event: str, now: datetime
    ) -> "Conversation":
        conversation = cls(
            token=secrets.token_hex(16),
            sender=contact.phone,
            number=number,
            questionnaire_id=version.id,
            event=version.definition.event or event,
            state="open",
            unread=0,
            message_count=0,
            started_at=now,
            active_at=now,
            expires_at=now + version.definition.expires_after,
        )
        conversation.insert(db)
        conversation.contact, conversation.version, conversation.answers = contact, version, {}
        return conversation

    @classmethod
    def is_any_silent(cls, db: Session, now: datetime) -> bool:
        return db.execute(IS_ANY_SILENT, {"now": now}).first() is not None

    @classmethod
    def expire_silent(cls, db: Session, now: datetime, most: int) -> int:
        """End those that nobody texted for too long; how many it were.

        Whoever is being texted right now is left for the next time.
        """
        rows = db.execute(SILENT, {"now": now, "most": most}).all()
        for row in rows:
            cls._whole(db, row).expire(db, now)
        return len(rows)

    @classmethod
    def _whole(cls, db: Session, row: Sequence[Any]) -> "Conversation":
        """The conversation with all that belongs to it, from a row of WHOLE."""
        conversation, version, contact = split_row(row, cls, Version, Contact)
        answers = map(Answer.from_row, ANSWERS.fetch_all(db, conversation=conversation.id))
        conversation.version, conversation.contact = version, contact
        conversation.answers = {answer.key: answer for answer in answers}
        return conversation

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
        return waits and self.expires_at <= now < self.expires_at + self.questionnaire.resume_window

    def goes_on(self, now: datetime) -> bool:
        return self.is_live(now) or self.can_resume(now)

    def takes_for_answer(self, said: str) -> bool:
        """Whether a text that opts in is rather the answer to the question that waits."""
        if self.asking is None or self.state == "stopped" or opt_keyword(normalize(said)):
            return False
        return says_yes(normalize(said)) or self.asks_for("yes_no")

    def find_non_answer(self, db: Session, said: Message, now: datetime) -> str | None:
        """Why a text is no answer to anything; a picture alone can be one."""
        find_said = partial(Message.find_said, db, self.id, RECENT)
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
        values = {key: one.value for key, one in self.answers.items()}
        return path(self.questionnaire, values)

    @property
    def answered(self) -> list[Question]:
        """Those that have an answer, or were skipped."""
        return [question for question in self.path() if question.key in self.answers]

    def expire(self, db: Session, now: datetime) -> None:
        """End by silence, or at `now` for one that gives way to something else.

        Silence about the list of all answers is consent.
        """
        at = min(self.expires_at, now)
        if self.asking == REVIEW:
            self.complete(db, now, at)
        else:
            self.end(db, "expired", now, at)
        self.update(db)

    def stop(self, db: Session, now: datetime) -> None:
        """End because the sender wants no more; one that is completed asks for no change then."""
        if self.state == "completed":
            self.asking, self.asked = None, None
        else:
            self.unread = 0
            self.end(db, "stopped", now)
        self.update(db)

    def end(self, db: Session, state: str, now: datetime, at: datetime | None = None) -> None:
        """End before all is answered; what was asked last stays, to tell where guests stop."""
        self.state, self.ended_at = state, at or now
        self._owe_partial(db, state, now)

    def complete(self, db: Session, now: datetime, at: datetime | None = None) -> None:
        """End with all answers given, and owe the results to whoever is to have them."""
        self.state, self.ended_at = "completed", at or now
        self.ask(None, None)
        if self.questionnaire.results:
            self.owe(db, "completed", now)

    def _owe_partial(self, db: Session, type: str, now: datetime) -> None:
        """Owe what was answered, unless that is owed already since an end before."""
        results = self.questionnaire.results
        if results and results.partial and self.answers:
            owed = Delivery.find_newest(db, self.id)
            if owed is None or not result.tells(owed.payload, self):
                self.owe(db, type, now)

    def owe(self, db: Session, type: str, now: datetime) -> None:
        results = self.questionnaire.results
        replaced = None
        if self.questionnaire.has_several_results:
            replaced = Delivery.find_newest(db, self.id)
        delivery = Delivery(conversation_id=self.id, url=results.url, format=results.format)
        delivery.payload = result.write(self, type, replaced and replaced.webhook_id, now)
        delivery.created_at = delivery.next_attempt_at = now
        delivery.insert(db)

    def record(self, said: Message, now: datetime) -> None:
        """Note that the sender was heard."""
        said.conversation_id = self.id
        if self.state == "expired":
            self.state, self.ended_at = "open", None
        self.message_count += 1
        self.active_at = now
        self.expires_at = now + self.questionnaire.expires_after

    def ask(self, key: str | None, words: str | None) -> str | None:
        """Wait for the answer to this from now on; None: to nothing."""
        self.asking, self.asked, self.unread = key, words, 0
        return words

    def keep(self, said: Message, value: str | None, now: datetime) -> Answer:
        """Keep an answer, in the place of the one before if it is mended. None: it is skipped."""
        answer = self.answers.get(self.asking)
        if answer is None:
            answer = Answer(conversation_id=self.id, key=self.asking)
            self.answers[self.asking] = answer
        answer.question, answer.text, answer.value = self.asked, said.body, value
        answer.answered_at = now
        return answer

    def forget(self, db: Session, keys: Iterable[str]) -> None:
        """Take answers back."""
        for key in keys:
            FORGET.execute(db, this=self.answers.pop(key).id)

    def _gives_way_to(self, name: str, opened: Questionnaire, said: str, now: datetime) -> bool:
        if not opened.is_opens(said):
            return False
        if self.questionnaire.is_counter:
            return not self.questionnaire.is_opens(said)
        if not self.is_live(now):
            return self.version.name != name
        return self.state == "stopped" or (self.state == "completed" and self.asking is None)


# Made once: to make a statement takes as long as to run it.
TABLE, ANSWER = Conversation.__table__, Answer.__table__
WHOLE = select(TABLE, Version.__table__, Contact.__table__).select_from(
    TABLE.join(Version.__table__).join(Contact.__table__)
)
BY_ID = WHOLE.where(TABLE.c.id == bindparam("id"))
NEWEST = Statement(
    WHOLE.where(TABLE.c.sender == bindparam("sender"), TABLE.c.number == bindparam("number"))
    .order_by(TABLE.c.id.desc())
    .limit(LITERAL_1)
)
IS_SILENT = and_(text(f"conversations.{IS_OPEN}"), TABLE.c.expires_at <= bindparam("now"))
IS_ANY_SILENT = select(TABLE.c.id).where(IS_SILENT).limit(LITERAL_1)
SILENT = (
    WHOLE.where(IS_SILENT)
    .order_by(TABLE.c.expires_at, TABLE.c.id)
    .limit(bindparam("most"))
    .with_for_update(of=[TABLE, Contact.__table__], key_share=True, skip_locked=True)
)
ANSWERS = Statement(select(ANSWER).where(ANSWER.c.conversation_id == bindparam("conversation")))
FORGET = Statement(delete(ANSWER).where(ANSWER.c.id == bindparam("this")))
