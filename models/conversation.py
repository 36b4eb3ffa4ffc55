"""What is kept of a conversation: its row, and with it its answers and what it still owes.

Which conversation a text belongs to is decided by who texts which of our numbers, and when. The
cookie decides nothing, since Twilio may lose one or send an old one. What happens to a conversation
happens in memory: `models/turn.py` reads and writes it.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.answer import Answer
from models.contact import Contact
from models.delivery import Delivery, new_webhook_id
from models.payload import ResultData, Values, build_payload, has_same_answers, unread_texts
from models.questionnaire.answers import KINDS, Kind
from models.questionnaire.flow import path
from models.questionnaire.schema import Question, Questionnaire
from models.readings import Readings
from models.version import Version
from storage.base import Base, Statement, split_row
from storage.columns import partial_index
from storage.unreadable import UNREADABLE, UnreadableRow, unreadable_rows

REVIEW = "(review)"  # the key of what is asked when all is answered; no question's has brackets
TOKEN = re.compile(r"[0-9a-f]{32}")
IS_OPEN = "state = 'open'"  # the condition of an index, as text


class Previous(NamedTuple):
    """The text before, in the same conversation."""

    body: str
    at: datetime
    read_as: str | None = None  # unless it gave an answer which was kept


class Conversation(Base):
    """One run of one sender through one questionnaire."""

    __tablename__ = "conversations"
    __allow_unmapped__ = True  # for what belongs to it
    __table_args__ = (
        sa.CheckConstraint("state IN ('open', 'completed', 'stopped', 'expired')", "state"),
        sa.Index("ix_conversations_sender_number", "sender", "number", "id"),
        sa.Index(None, "number", "id"),
        sa.Index(None, "questionnaire_id", "started_at", "id"),
        partial_index("uq_conversations_open", "sender", "number", where=IS_OPEN, unique=True),
        partial_index("ix_conversations_silent", "expires_at", where=IS_OPEN),
        {"sqlite_autoincrement": True},  # rows may refer to an id that was deleted
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    sender: Mapped[str] = mapped_column(sa.ForeignKey("contacts.phone"))
    number: Mapped[str]
    questionnaire_id: Mapped[int] = mapped_column(sa.ForeignKey("questionnaires.id"))
    event: Mapped[str]  # that of the file; where it has none, the text that opened it
    state: Mapped[str]
    # The key of the question that waits for its answer, or REVIEW; and how it was asked.
    current_key: Mapped[str | None] = mapped_column("asking", key="current_key")
    current_prompt: Mapped[str | None] = mapped_column("asked", key="current_prompt")
    # While it asks: texts in a row that were `unread`. Once completed: texts that got, or would
    # have got, `after`. Once stopped: above 0 if we gave up; see `was_given_up`.
    failed_attempts: Mapped[int] = mapped_column("unread", key="failed_attempts", default=0)
    message_count: Mapped[int]
    started_at: Mapped[datetime]
    active_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # Of the last text, if the guest was asked which was meant: see Reading.
    readings: Mapped[tuple[str, ...] | None] = mapped_column(Readings())

    contact: Contact
    version: Version
    answers: dict[str, Answer]  # by key
    latest_result: Delivery | None = None  # read only if a later result may replace it

    @classmethod
    def start(
        cls, version: Version, contact: Contact, number: str, event: str, now: datetime
    ) -> "Conversation":
        """A new one, which has no id and no token until it is saved."""
        conversation = cls(
            sender=contact.phone,
            number=number,
            event=version.definition.event or event,
            state="open",
            failed_attempts=0,
            message_count=0,
            started_at=now,
            active_at=now,
            expires_at=now + version.definition.expires_after,
        )
        conversation.contact, conversation.version, conversation.answers = contact, version, {}
        return conversation

    @property
    def questionnaire(self) -> Questionnaire:
        """As it was when the conversation started."""
        return self.version.definition

    @property
    def is_asking(self) -> bool:
        """Whether a question waits for its answer."""
        return self.current_key not in (None, REVIEW)

    @property
    def kind(self) -> Kind:
        """The kind of answer that waits to be given."""
        return KINDS[self.questionnaire.by_key[self.current_key].kind]

    @property
    def is_last_attempt(self) -> bool:
        """Whether the question that waits is given up if the next text cannot be read."""
        if not self.is_asking:
            return False
        return self.failed_attempts + 1 >= self.questionnaire.by_key[self.current_key].attempts

    @property
    def answered_questions(self) -> list[Question]:
        """Those on the path that have an answer, or were skipped."""
        on_path = path(self.questionnaire, self.answers)
        return [question for question in on_path if question.key in self.answers]

    @property
    def last_answer_text(self) -> Previous | None:
        """The last text, if it gave an answer which was kept."""
        for answer in reversed(self.answers.values()):
            if answer.value and answer.answered_at == self.active_at:
                return Previous(answer.text, answer.answered_at)
        return None

    @property
    def can_be_stopped(self) -> bool:
        """Whether STOP changes it: it is open, or asks for a correction after its end."""
        corrects = self.state == "completed" and self.current_key is not None
        return self.state == "open" or corrects

    @property
    def was_given_up(self) -> bool:
        """Whether we stopped it, after too many texts that could not be read."""
        return self.state == "stopped" and self.failed_attempts > 0

    def is_silent(self, now: datetime) -> bool:
        """Whether it is open although nobody has texted for `expires`, so that it must end."""
        return self.state == "open" and self.expires_at <= now

    def is_live(self, now: datetime) -> bool:
        """Whether it takes the next text: its last one came less than `expires` ago.

        That is so after its end, too, unless its sender has texted STOP. One that we gave up stays
        live, or the next text that cannot be read could open a new one.

        A clock can be set back. So a last text that lies ahead of `now` by less than `expires`
        counts as well, and one that expired by a wrong clock is live again.
        """
        expires_after = self.expires_at - self.active_at
        is_over = self.state == "stopped" and not self.was_given_up
        return abs(now - self.active_at) < expires_after and not is_over

    def is_waiting(self, now: datetime) -> bool:
        """Whether something is asked that the next text is for, so that no event replaces it."""
        return self.current_key is not None and self.state != "stopped" and self.is_live(now)

    def can_resume(self, now: datetime) -> bool:
        """Whether it has expired, and its sender may still go on: for `resume` from then on."""
        waits = self.state == "expired" and self.current_key is not None
        return waits and self.expires_at <= now < self.expires_at + self.questionnaire.resume_window

    def touch(self, now: datetime) -> None:
        """Note that its sender has texted."""
        if self.state == "expired":
            self.state, self.ended_at = "open", None
        self.message_count += 1
        self.stay_live(now)

    def stay_live(self, now: datetime) -> None:
        """Expire as long after `now` as the questionnaire says."""
        self.active_at = now
        self.expires_at = now + self.questionnaire.expires_after

    def ask(self, key: str, prompt: str) -> str:
        """Wait for the answer to this question, or to the review; return the prompt."""
        self._wait_for(key, prompt)
        return prompt

    def ask_nothing(self) -> None:
        """Wait for no answer from now on."""
        self._wait_for(None, None)

    def _wait_for(self, key: str | None, prompt: str | None) -> None:
        self.current_key, self.current_prompt = key, prompt
        self.failed_attempts, self.readings = 0, None

    def count_failed_attempt(self, readings: tuple[str, ...] | None = None) -> None:
        """A text could not be read, or only as one of these: the guest is asked again."""
        self.failed_attempts, self.readings = self.failed_attempts + 1, readings

    def set_answer(self, body: str, value: str | None, now: datetime) -> Answer:
        """Take a text as the answer, in the place of one that is corrected. None: it is skipped."""
        key = self.current_key
        columns = {"key": key, "question": self.current_prompt, "text": body}
        columns |= {"value": value, "answered_at": now}
        earlier = self.answers.get(key)
        answer = earlier.copy(**columns) if earlier else Answer(conversation_id=self.id, **columns)
        self.answers = self.answers | {key: answer}
        return answer

    def delete_answers(self, keys: Collection[str]) -> list[Answer]:
        """Take answers back; returns them."""
        deleted = [answer for key, answer in self.answers.items() if key in keys]
        self.answers = {key: answer for key, answer in self.answers.items() if key not in keys}
        return deleted

    def expire(self, now: datetime) -> Delivery | None:
        """End because nobody has texted for `expires`, or because a new one replaces it at `now`.

        Returns the result owed then. At the review all is answered, so it is completed: whoever
        does not reply to the list of answers has nothing to correct.
        """
        ended_at = min(self.expires_at, now)
        if self.current_key == REVIEW:
            return self.complete(now, ended_at)
        return self.end("expired", now, ended_at)

    def stop(self, now: datetime) -> Delivery | None:
        """End because the sender texted STOP; the result owed then.

        One that is completed stays so, but no longer asks for a correction.
        """
        if self.state == "completed":
            self.ask_nothing()
            return None
        self.failed_attempts = 0  # we did not give up
        return self.end("stopped", now)

    def end(self, state: str, now: datetime, ended_at: datetime | None = None) -> Delivery | None:
        """End before all is answered; the partial result owed then.

        What was asked last stays, to tell where guests stop.
        """
        self.state, self.ended_at = state, ended_at or now
        results = self.questionnaire.results
        if results and results.partial and self.answers and not self._has_sent_answers():
            return self.build_delivery(state, now)
        return None

    def complete(self, now: datetime, ended_at: datetime | None = None) -> Delivery | None:
        """End with all answers given; the result owed to whoever is to have it."""
        self.state, self.ended_at = "completed", ended_at or now
        self.ask_nothing()
        return self.build_delivery("completed", now) if self.questionnaire.results else None

    def build_delivery(self, type: str, now: datetime) -> Delivery:
        """A result, which is the answers of now; `type` is what became of the conversation."""
        questionnaire, webhook_id = self.questionnaire, new_webhook_id()
        return Delivery(
            conversation_id=self.id,
            webhook_id=webhook_id,
            url=questionnaire.receiver_url,
            format=questionnaire.results.format,
            payload=build_payload(questionnaire, type, self._result_data(), webhook_id, now),
            created_at=now,
            next_attempt_at=now,
        )

    def _result_data(self) -> ResultData:
        answered = [self.answers[question.key] for question in self.answered_questions]
        return ResultData(
            conversation=self.id,
            sender=self.sender,
            number=self.number,
            name=self.contact.name,
            event=self.event,
            questionnaire=self.version.name,
            started_at=self.started_at,
            completed_at=self.ended_at if self.state == "completed" else None,
            answers=self._answer_values(),
            corrects=self.latest_result and self.latest_result.webhook_id,
            unread_texts=unread_texts(self.questionnaire, answered),
        )

    def _has_sent_answers(self) -> bool:
        """Whether the latest result has just these answers, from an end before `resume`."""
        return self.latest_result is not None and has_same_answers(
            self.latest_result.payload, self.questionnaire, self._answer_values()
        )

    def _answer_values(self) -> Values:
        """The values by key, in the order of the questions; several choices are a list."""
        values: dict[str, str | list[str] | None] = {}
        for question in self.answered_questions:
            value = self.answers[question.key].value
            values[question.key] = value and KINDS[question.kind].result_value(question, value)
        return values

    @classmethod
    def find_by_id(cls, db: Session, id: int) -> Self | None:
        """The conversation with all that belongs to it, or None; UnreadableRow."""
        rows = BY_ID.fetch_all(db, id=id)
        return cls.from_related(db, rows[0]) if rows else None

    @classmethod
    def find_pair(cls, db: Session, token: str) -> tuple[str, str] | None:
        """The sender and the number of the conversation that a cookie names, if it names one."""
        if not TOKEN.fullmatch(token):
            return None
        found = PAIR.fetch_readable(db, unreadable_rows(db).add, token=token)
        return tuple(found[0][1:]) if found else None

    @classmethod
    def find_stoppable(cls, db: Session, senders: Iterable[str]) -> list[Self]:
        """The conversations of these senders that `can_be_stopped`, on all our numbers.

        What cannot be read is left out.
        """
        ids = [id for each in senders for (id,) in STOPPABLE_IDS.fetch_all(db, sender=each)]
        return list(filter(None, (cls.find_readable(db, id) for id in ids)))

    @classmethod
    def find_readable(cls, db: Session, id: int) -> Self | None:
        """The conversation with all that belongs to it; None if that cannot be read, or is not."""
        try:
            return cls.find_by_id(db, id)
        except UnreadableRow as error:
            unreadable_rows(db).add(error)
            return None

    @classmethod
    def from_related(cls, db: Session, row: Sequence[Any]) -> Self:
        """The conversation with all that belongs to it, from a row of WITH_RELATED."""
        conversation, version, contact = split_row(row, cls, Version, Contact)
        conversation.relate(db, version, contact, Answer.find_all(db, conversation.id))
        return conversation

    def relate(
        self, db: Session, version: Version, contact: Contact, answers: Iterable[Answer]
    ) -> None:
        """Give it what belongs to it, and read its newest result if a later one would name it.

        UnreadableRow if something of all that cannot be read.
        """
        self.version, self.contact = version, contact
        self._check_related()
        answers = sorted(answers, key=attrgetter("message_id"))  # as they were given
        self.answers = {answer.key: answer for answer in answers}
        if version.definition.has_several_results:
            self.latest_result = Delivery.find_newest(db, self.id)
        known = db.info.get(UNREADABLE)
        if known and known.met:  # mostly there are none, and every text comes here
            for row in (self, version, contact):
                known.discard(row.__tablename__, row.id)

    def _check_related(self) -> None:
        """UnreadableRow for what each row for itself cannot show.

        The sqlite3 shell enforces no foreign keys, so what belongs to it may have been deleted.
        """
        key = self.current_key
        if self.version.id is None:
            raise self._unreadable("questionnaire_id", "names no questionnaire")
        if self.contact.phone is None:
            raise self._unreadable("sender", "names no contact")
        if key not in (None, REVIEW) and key not in self.questionnaire.by_key:
            raise self._unreadable("asking", "names no question of its questionnaire")
        if key is not None and self.current_prompt is None:
            raise self._unreadable("asked", "is empty, though something is asked")

    def _unreadable(self, column: str, reason: str) -> UnreadableRow:
        return UnreadableRow(self.__tablename__, self.id, column, reason)


# Built once: building a statement costs as much as running it. What begins with IS is a condition.
TABLE = Conversation.__table__
RELATED = TABLE.outerjoin(Version.__table__).outerjoin(Contact.__table__)
WITH_RELATED = sa.select(TABLE, Version.__table__, Contact.__table__).select_from(RELATED)
BY_ID = Statement(WITH_RELATED.where(TABLE.c.id == sa.bindparam("id")))
PAIR = Statement(
    sa.select(TABLE.c.id, TABLE.c.sender, TABLE.c.number).where(
        TABLE.c.token == sa.bindparam("token")
    )
)
STOPPABLE_IDS = Statement(
    sa.select(TABLE.c.id)
    .where(
        TABLE.c.sender == sa.bindparam("sender"),
        sa.text(f"({IS_OPEN} OR state = 'completed' AND asking IS NOT NULL)"),
    )
    .order_by(TABLE.c.id)
)
