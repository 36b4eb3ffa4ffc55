"""One text, from its arrival to the reply: what it is taken for, and what is said then."""

from datetime import datetime
from itertools import takewhile

from sqlalchemy.orm import Session

from models.contact import Contact
from models.conversation import REVIEW, Answer, Conversation
from models.message import Message
from models.questionnaire import answers
from models.questionnaire.catalog import Catalog
from models.questionnaire.keywords import opt_keyword, says_yes
from models.questionnaire.schema import Question
from models.questionnaire.templates import LONGEST_REPLY, fill, fill_with_answers
from models.reactions import find_non_answer
from models.text import comparable, normalize

ATTEMPTS = 3  # unread texts at the review, and replies after the end, so that machines fall silent
WANDERING = 20  # texts in a row without an answer, and BACK and RESTART lead nowhere any more


def receive(
    db: Session,
    said: Message,
    contact: Contact,
    questionnaires: Catalog,
    now: datetime,
    cookie: str | None = None,
) -> tuple[Conversation | None, Message | None]:
    """Take an inbound text: the conversation it belongs to, if any, and the recorded reply, if any.

    1. The newest conversation of the pair is found, whether it is live or not.
    2. What is no answer to anything, such as STOP or a reaction, is recorded and gets no reply.
    3. Every other text goes to that conversation, or to a new one if it opens one.
    """
    newest = Conversation.find(db, said.sender, said.recipient)
    if newest and newest.is_silent(now):  # for nothing may hang on how late the sender's loop is
        newest.expire(db, now)
    live = newest if newest and newest.is_live(now) else None
    said.cookie = Conversation.judge(db, cookie, live, said)
    if wish := _find_wish(said, contact, live):
        said.read_as = wish
        _follow(db, wish, contact, now)
    elif newest:
        said.read_as = newest.find_non_answer(db, said, now)
    else:
        said.read_as = find_non_answer(said.body)
    if said.read_as:
        said.conversation_id = live and live.id
        said.insert(db)
        return live, None
    conversation = Conversation.go_on_or_start(db, newest, said, questionnaires, contact, now)
    if conversation is None:
        said.insert(db)
        return None, None
    return conversation, Turn(db, conversation, said, now).take()


def _find_wish(said: Message, contact: Contact, live: Conversation | None) -> str | None:
    """What the sender wants of our texts: `stop`, `start`, `help`; `opted out` if none at all."""
    wish = opt_keyword(normalize(said.body), said.opt_out_type)
    if wish in ("stop", "help"):
        return wish
    if contact.opted_out_at:
        return "start" if wish or says_yes(normalize(said.body)) else "opted out"
    if wish and said.opt_out_type and not (live and live.takes_for_answer(said.body)):
        return "start"
    return None


def _follow(db: Session, wish: str, contact: Contact, now: datetime) -> None:
    if wish == "start":
        contact.opted_out_at = None
    if wish == "stop":
        contact.opted_out_at = contact.opted_out_at or now
        for conversation in Conversation.find_waiting(db, contact.phone):
            conversation.stop(db, now)
    contact.update(db)


class Turn:
    """A text that a conversation takes, and what it says to it."""

    def __init__(
        self, db: Session, conversation: Conversation, said: Message, now: datetime
    ) -> None:
        self.db, self.conversation, self.said, self.at = db, conversation, said, now
        self.questionnaire = conversation.questionnaire
        self.kept: Answer | None = None

    def take(self) -> Message | None:
        """Record the text, move on, and return the recorded reply, if any."""
        is_back = not self.conversation.is_live(self.at)
        self.conversation.record(self.said, self.at)
        words = self._resume() if is_back else self._find_words()
        self.conversation.update(self.db)
        self.said.insert(self.db)
        if self.kept:
            self.kept.message_id = self.said.id
            self.kept.save(self.db)
        return self._reply(words) if words else None

    def _reply(self, words: str) -> Message:
        reply = self.said.reply(words, self.at)
        reply.insert(self.db)
        return reply

    def _resume(self) -> str:
        """What was texted after a silence is not taken for an answer: it is asked again."""
        self.said.read_as = "resumed"
        resumed = f"{self._fill(self.questionnaire.say.resumed)} {self.conversation.asked}"
        self.conversation.unread = 0
        return resumed[:LONGEST_REPLY]

    def _find_words(self) -> str | None:
        """Move on; the words to say then, or None for silence."""
        if self.conversation.state == "stopped":
            self.said.read_as = "after"
            return None
        if self.questionnaire.is_counter:
            return self._count()
        if self.conversation.asking:
            return self._take_word_or_answer()
        return self._open() if self.conversation.state == "open" else self._take_after()

    def _count(self) -> str | None:
        self.said.read_as = "counted"
        is_first = self.conversation.message_count == 1
        first = self.questionnaire.first_reply if is_first else None
        return self._fill(first or self.questionnaire.reply)

    def _open(self) -> str | None:
        self.said.read_as = "opening"
        return self._go_on()

    def _take_after(self) -> str | None:
        """What is said when all is said, but not for ever to somebody who might be a machine."""
        if self._named():
            self.said.read_as = "fix"
            return self._fix()
        self.said.read_as = "after"
        self.conversation.unread += 1
        after = self.questionnaire.after
        return self._fill(after) if after and self.conversation.unread <= ATTEMPTS else None

    def _take_word_or_answer(self) -> str | None:
        self.said.read_as = self._find_word() or "answer"
        match self.said.read_as:
            case "back":
                return self._go_back()
            case "skip":
                return self._skip()
            case "restart":
                return self._restart()
            case "ok":
                return self._finish()
            case "fix":
                return self._fix()
        return self._take_answer()

    def _find_word(self) -> str | None:
        """A word of ours that means something now. The name of a choice goes before."""
        said = self.said.body
        word = self.questionnaire.say.find_keyword(comparable(said))
        if word == "fix":
            return "fix" if self._named() else None
        if self.conversation.asking == REVIEW:
            agrees = word is None and answers.says_yes(
                said, self.questionnaire.parse_context(self.at)
            )
            return "ok" if agrees else None if word == "skip" else word
        return (
            None
            if word == "ok" or answers.is_choice_name(self.conversation.question, said)
            else word
        )

    def _go_back(self) -> str | None:
        """Ask the question before again; or leave an answer as it is, that was to be mended."""
        conversation = self.conversation
        if conversation.asking in conversation.answers or conversation.state == "completed":
            return self._leave_as_it_is()
        # A change can have put the question that waits between others that are answered.
        path = takewhile(lambda question: question.key != conversation.asking, conversation.path())
        before = [question for question in path if question.key in conversation.answers]
        if not before or self._wanders():
            return self._ask_again(conversation.asked)
        conversation.forget(self.db, [before[-1].key])
        return self._ask(before[-1])

    def _skip(self) -> str | None:
        if self.conversation.question.optional:
            return self._keep(None)
        needed = self._fill(self.questionnaire.say.needed)
        return self._ask_again(f"{needed} {self.conversation.asked}"[:LONGEST_REPLY])

    def _restart(self) -> str | None:
        if self.conversation.state == "completed":
            return self._leave_as_it_is()
        if not self.conversation.answers or self._wanders():
            return self._ask_again(self.conversation.asked)
        self.conversation.forget(self.db, list(self.conversation.answers))
        return self._go_on()

    def _wanders(self) -> bool:
        """Whether so many texts in a row answered nothing that it may well be a machine."""
        latest = Message.find_read_as(self.db, self.conversation.id, WANDERING)
        return len(latest) == WANDERING and "answer" not in latest

    def _fix(self) -> str:
        return self._ask(self._named())

    def _named(self) -> Question | None:
        """The question whose answer "FIX 2" names, where answers are reviewed."""
        if not self.questionnaire.review:
            return None
        place, answered = (
            self.questionnaire.say.correction_number(comparable(self.said.body)),
            self.conversation.answered,
        )
        return answered[place - 1] if place and place <= len(answered) else None

    def _take_answer(self) -> str | None:
        conversation = self.conversation
        if conversation.asking == REVIEW:
            return self._ask_again(conversation.asked)
        media = self.said.media.split() if self.said.media else ()
        context = self.questionnaire.parse_context(self.at)
        value = answers.read(conversation.question, self.said.body, context, media)
        if value is None:
            sentence = self.questionnaire.say.retry_prompt(conversation.question)
            return self._ask_again(self._fill_for(conversation.question, sentence))
        return self._keep(value)

    def _ask_again(self, sentence: str) -> str | None:
        """Say what can be read, until it was tried often enough."""
        conversation = self.conversation
        self.said.read_as = "unread"
        conversation.unread += 1
        is_review = conversation.asking == REVIEW
        most = ATTEMPTS if is_review else conversation.question.attempts
        return sentence if conversation.unread < most else self._give_up()

    def _give_up(self) -> str | None:
        conversation = self.conversation
        if conversation.asking == REVIEW:
            return self._finish()
        if conversation.asking in conversation.answers:
            return self._leave_as_it_is()
        give_up = conversation.question.give_up
        if give_up == "end" and conversation.state == "open":
            conversation.end(self.db, "stopped", self.at)
            return self._fill(self.questionnaire.say.ended)
        is_word = self.questionnaire.say.find_keyword(comparable(self.said.body)) is not None
        return self._keep(self.said.body if give_up == "keep" and not is_word else None)

    def _leave_as_it_is(self) -> str | None:
        """Ask no more for a change. What a change before has led to may be without an answer."""
        conversation, say = self.conversation, self.questionnaire.say
        if conversation.state == "open":
            return self._go_on()
        return self._leave(
            say.unchanged if conversation.asking in conversation.answers else say.corrected
        )

    def _keep(self, value: str | None) -> str | None:
        self.kept = self.conversation.keep(self.said, value, self.at)
        return self._go_on()

    def _go_on(self) -> str | None:
        """Ask what comes next on the path, or end; the words to say then."""
        conversation = self.conversation
        path = list(conversation.path())
        conversation.forget(
            self.db, conversation.answers.keys() - {question.key for question in path}
        )
        if conversation.state == "completed" and self.questionnaire.results:
            conversation.owe(self.db, "corrected", self.at)
        for question in path:
            if question.key not in conversation.answers:
                return self._ask(question)
        if conversation.state == "completed":
            return self._leave(self.questionnaire.say.corrected)
        return self._review() if self.questionnaire.review else self._finish()

    def _ask(self, question: Question) -> str:
        return self.conversation.ask(question.key, self._fill_for(question, question.ask))

    def _review(self) -> str:
        review = self.questionnaire.say.review
        return self.conversation.ask(REVIEW, fill_with_answers(self.conversation, review))

    def _finish(self) -> str:
        self.conversation.complete(self.db, self.at)
        return self._fill(self.questionnaire.thanks)

    def _leave(self, sentence: str) -> str:
        """Ask nothing any more, in a conversation that was completed before."""
        self.conversation.ask(None, None)
        return fill_with_answers(self.conversation, sentence)

    def _fill(self, template: str) -> str:
        return fill(self.conversation, template)

    def _fill_for(self, question: Question, template: str) -> str:
        """With what only sentences about this kind of question can hold."""
        day = self.questionnaire.local_date(self.at)
        return fill(self.conversation, template, **answers.placeholder_values(question, day))
