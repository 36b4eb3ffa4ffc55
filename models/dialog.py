"""The dialog: how a text moves the conversation on that it belongs to, and what is said to it."""

from collections.abc import Collection, Mapping
from itertools import takewhile

from models.conversation import REVIEW
from models.decision import Decision, State
from models.noise import typed_part
from models.questionnaire.answers import KINDS, ParseContext, says_yes
from models.questionnaire.answers.kind import Reading
from models.questionnaire.answers.positions import list_readings
from models.questionnaire.flow import path
from models.questionnaire.openings import event_form
from models.questionnaire.schema import Question
from models.questionnaire.templates import NONE, fill, list_answers, placeholders
from models.text import LONGEST_REPLY, IncomingText, comparable

LOOP_LIMIT = 20  # after so many texts in a row without an answer, BACK and RESTART do nothing
ANSWERS = {"answer", "perhaps_opt_out"}  # what a text that may be an answer is read as
MAX_ATTEMPTS = 3  # at the review, and replies after the end, so that machines fall silent


class DialogStep:
    """One step of a dialog: a text that a conversation takes, and the reply to it.

    `text` is what somebody has typed of it, without quotation and signature.
    It changes the conversation of the decision, and notes in the decision what else becomes of it.
    """

    def __init__(self, decision: Decision, state: State, text: IncomingText) -> None:
        self.decision, self.state, self.conversation = decision, state, decision.conversation
        self.text, self.now = text, decision.now
        self.questionnaire = decision.conversation.version.definition
        self.sentences = self.questionnaire.sentences
        self.context = ParseContext(
            self.now,
            self.questionnaire.timezone,
            self.questionnaire.language,
            self.questionnaire.say.yes,
            self.questionnaire.say.no,
            self.text,
        )

    @property
    def question(self) -> Question:
        """The one that waits for its answer."""
        return self.questionnaire.by_key[self.conversation.current_key]

    def resume(self) -> str:
        """The first text after it has expired is no answer to what was asked: ask that again."""
        self.decision.read_as = "resumed"
        self.conversation.failed_attempts, self.conversation.readings = 0, None
        return self._ask_again(self.sentences.resumed)

    def advance(self) -> str | None:
        """Move the conversation on; the reply, or None for none."""
        conversation = self.conversation
        if conversation.state == "stopped":
            self.decision.read_as = "after"
            return None
        if self.questionnaire.is_counter:
            return self._count()
        if conversation.current_key:
            return self._take_keyword_or_answer()
        return self._open() if conversation.state == "open" else self._take_after()

    def _count(self) -> str:
        self.decision.read_as = "counted"
        is_first = self.conversation.message_count == 1
        first = self.questionnaire.first_reply if is_first else None
        return self._fill(first or self.questionnaire.reply)

    def _open(self) -> str:
        self.decision.read_as = "opening"
        return self._go_on()

    def _take_after(self) -> str | None:
        """Reply with `after`, but not for ever: the sender might be a machine."""
        if question := self._question_to_fix():
            self.decision.read_as = "fix"
            return self._ask(question)
        self.decision.read_as = "after"
        self.conversation.failed_attempts += 1
        after = self.questionnaire.after
        is_said = after and self.conversation.failed_attempts <= MAX_ATTEMPTS
        return self._fill(after) if is_said else None

    def _take_keyword_or_answer(self) -> str | None:
        if self._is_opening_again():
            return self._open_again()
        keyword = self._find_keyword()
        self.decision.read_as = keyword or "answer"
        match keyword:
            case "back":
                return self._go_back()
            case "skip":
                return self._skip()
            case "restart":
                return self._restart()
            case "ok":
                return self._finish()
            case "fix":
                return self._ask(self._question_to_fix())
        return self._take_answer()

    def _is_opening_again(self) -> bool:
        """Whether it is what opened the conversation, while the first question waits.

        A name of an answer precedes it. Where any text opens, only the text right after counts, and
        nowhere more than some: what is said again and again is an answer, or a machine's.
        """
        conversation = self.conversation
        if conversation.answers or not conversation.is_asking or conversation.state != "open":
            return False
        limit = LOOP_LIMIT if self.questionnaire.event else 2
        if conversation.message_count > limit or not self._repeats_opening():
            return False
        return conversation.kind.is_free_text or self._read().value is None

    def _repeats_opening(self) -> bool:
        """Whether it is the event, or has the words of the text before, which opened as it could.

        That one may have had a greeting around the event, or a slip in it.
        """
        previous, form = self.state.previous, event_form(self.text.body)
        if previous and previous.read_as in ("opening", "opening_again"):
            if comparable(previous.body) == self.decision.text.comparable:
                return True
        return bool(form) and form == event_form(self.conversation.event)

    def _open_again(self) -> str:
        self.decision.read_as = "opening_again"
        self.conversation.readings = None  # the question is asked, and no longer which was meant
        return self.conversation.current_prompt

    def _find_keyword(self) -> str | None:
        """The keyword that a text is, where it applies. A text that names a choice is none."""
        keyword = self.sentences.keywords.get(self.text.comparable)
        is_review = self.conversation.current_key == REVIEW
        if keyword is None:
            if self._question_to_fix():
                return "fix"
            is_yes = is_review and says_yes(self.text.body, self.context)
            return "ok" if is_yes else None
        if is_review:
            return None if keyword == "skip" else keyword
        if keyword == "ok":
            return None
        is_choice = KINDS[self.question.kind].is_name(self.question, self.text.body)
        return None if is_choice else keyword

    def _question_to_fix(self) -> Question | None:
        """The question whose answer "FIX 2" names, where answers are reviewed."""
        if not self.questionnaire.review:
            return None
        number = self.sentences.correction_number(self.text.comparable)
        answered = self.conversation.answered_questions
        return answered[number - 1] if number and number <= len(answered) else None

    def _go_back(self) -> str | None:
        """Ask the question before again; or cancel a correction."""
        conversation = self.conversation
        if conversation.current_key in conversation.answers or conversation.state == "completed":
            return self._cancel_correction()
        # A correction can have put the question that waits between others that are answered.
        on_path = path(self.questionnaire, conversation.answers)
        before = takewhile(lambda each: each.key != conversation.current_key, on_path)
        answered = [question for question in before if question.key in conversation.answers]
        if not answered or self._is_looping():
            return self._count_failed_attempt(conversation.current_prompt)
        self._delete_answers([answered[-1].key])
        return self._ask(answered[-1])

    def _skip(self) -> str | None:
        if self.question.optional:
            return self._keep(None)
        return self._count_failed_attempt(self._ask_again(self.sentences.needed))

    def _restart(self) -> str | None:
        if self.conversation.state == "completed":
            return self._cancel_correction()
        if not self.conversation.answers or self._is_looping():
            return self._count_failed_attempt(self.conversation.current_prompt)
        self._delete_answers(list(self.conversation.answers))
        return self._go_on()

    def _is_looping(self) -> bool:
        """Whether so many texts in a row answered nothing that it may well be a machine."""
        readings = self.state.recent_readings
        return len(readings) == LOOP_LIMIT and not ANSWERS.intersection(readings)

    def _take_answer(self) -> str | None:
        conversation = self.conversation
        if conversation.current_key == REVIEW:
            return self._count_failed_attempt(conversation.current_prompt)
        match self._read().values:
            case (value,):
                return self._keep(value)
            case ():
                retry = self.sentences.retry_prompt(self.question)
                return self._count_failed_attempt(self._fill_for(self.question, retry))
            case values:
                return self._ask_which(values)

    def _read(self) -> Reading:
        """What the text can be taken for, as an answer to the question that waits."""
        question, text, readings = self.question, self.text, self.conversation.readings
        kind = KINDS[question.kind]
        if readings:
            return kind.settle(question, readings, text.body, self.context)
        return kind.read(question, text.body, self.context, text.media)

    def _ask_which(self, values: tuple[str, ...]) -> str | None:
        """Of two or three readings, the guest says which was meant: silently choosing is worse."""
        question, kind = self.question, self.conversation.kind
        shown = [kind.show_reading(question, value, self.context) for value in values]
        readings = list_readings(shown, kind.numbers_readings, self.questionnaire.language)
        return self._count_failed_attempt(
            self._fill(self.sentences.which, readings=readings), values
        )

    def _count_failed_attempt(
        self, reply: str, readings: tuple[str, ...] | None = None
    ) -> str | None:
        """Record the text as `unread`, and reply with this; at the limit give up instead.

        With `readings` it is `ambiguous`: they are what it can mean.

        That is a text that cannot be read, or a keyword that applies but cannot be followed: BACK
        with nothing before, RESTART without answers, SKIP where an answer is needed.
        """
        conversation = self.conversation
        self.decision.read_as = "ambiguous" if readings else "unread"
        conversation.count_failed_attempt(readings)
        is_review = conversation.current_key == REVIEW
        attempts = MAX_ATTEMPTS if is_review else self.question.attempts
        return reply if conversation.failed_attempts < attempts else self._give_up()

    def _give_up(self) -> str | None:
        conversation = self.conversation
        if conversation.current_key == REVIEW:
            return self._finish()
        if conversation.current_key in conversation.answers:
            return self._cancel_correction()
        give_up = self.question.give_up
        if give_up == "end" and conversation.state == "open":
            self._set_answer(None, self._unread_texts())
            self.decision.enqueue(conversation.end("stopped", self.now))
            return self._fill(self.sentences.ended)
        if give_up == "keep" and self._is_worth_keeping(self.text.body):
            return self._keep(self.text.body)
        self._set_answer(None, self._unread_texts())
        return self._go_on()

    def _unread_texts(self) -> str:
        """All texts to the question that waits, so that the host can read what nobody else could.

        Keywords and lone signatures are left out, except where there is nothing else.
        """
        last = self.decision.text.body.strip()
        texts = [*reversed(self.state.recent_unread), self.text.body]
        return "\n".join(filter(self._is_worth_keeping, texts)) or self.text.body or last

    def _is_worth_keeping(self, body: str) -> bool:
        """Whether somebody has typed something in it that is no keyword."""
        typed = typed_part(body, [self.conversation.current_prompt])
        return typed != "" and self.sentences.find_keyword(comparable(typed)) is None

    def _cancel_correction(self) -> str | None:
        """Cancel a correction. One before it may have led to questions that are still open."""
        conversation = self.conversation
        if conversation.state == "open":
            return self._go_on()
        is_answered = conversation.current_key in conversation.answers
        return self._close(self.sentences.unchanged if is_answered else self.sentences.corrected)

    def _keep(self, value: str | None) -> str | None:
        self._set_answer(value, self.decision.text.body)
        return self._go_on()

    def _set_answer(self, value: str | None, body: str) -> None:
        self.decision.answer = self.conversation.set_answer(body, value, self.now)

    def _go_on(self) -> str:
        """Ask what comes next on the path, or end; the reply."""
        conversation = self.conversation
        on_path = list(path(self.questionnaire, conversation.answers))
        off_path = conversation.answers.keys() - {question.key for question in on_path}
        if off_path:
            self._delete_answers(off_path)
        is_completed = conversation.state == "completed"
        if is_completed and self.questionnaire.results:
            self.decision.enqueue(conversation.build_delivery("corrected", self.now))
        for question in on_path:
            if question.key not in conversation.answers:
                return self._ask(question)
        if is_completed:
            return self._close(self.sentences.corrected)
        return self._review() if self.questionnaire.review else self._finish()

    def _delete_answers(self, keys: Collection[str]) -> None:
        self.decision.deleted_answers += self.conversation.delete_answers(keys)

    def _ask(self, question: Question) -> str:
        return self.conversation.ask(question.key, self._fill_for(question, question.ask))

    def _review(self) -> str:
        return self.conversation.ask(REVIEW, self._fill_with_answers(self.sentences.review))

    def _finish(self) -> str:
        self.decision.enqueue(self.conversation.complete(self.now))
        return self._fill(self.questionnaire.thanks)

    def _close(self, sentence: str) -> str:
        """Ask nothing any more, in a conversation that was completed before."""
        self.conversation.ask_nothing()
        return self._fill_with_answers(sentence)

    def _ask_again(self, sentence: str) -> str:
        """The sentence, and what was asked, of which nothing is cut as long as it can be echoes."""
        key, prompt = self.conversation.current_key, self.conversation.current_prompt
        asked_again = f"{self._fill(sentence)} {prompt}"
        if len(asked_again) <= LONGEST_REPLY:
            return asked_again
        if key == REVIEW:
            return self._fill_with_answers(f"{sentence} {self.sentences.review}")
        return self._fill_for(self.question, f"{sentence} {self.question.ask}")

    def _fill(self, template: str, fixed: Mapping[str, str] = NONE, **more: str) -> str:
        """The sentence; `fixed` and `more` are the values that only some sentences have."""
        names = [name for name in placeholders(template) if name not in fixed]
        return fill(template, {name: self._value(name, more) for name in names}, fixed)

    def _fill_for(self, question: Question, template: str) -> str:
        """With what only sentences about this kind of question can hold."""
        kind = KINDS[question.kind]
        if not kind.placeholders:
            return self._fill(template)
        today, language = self.context.local_date, self.context.language
        return self._fill(template, kind.placeholder_values(question, today, language))

    def _fill_with_answers(self, sentence: str) -> str:
        """A sentence that lists the answers, with these cut where it would be too long."""
        shown = [self._shown(question) for question in self.conversation.answered_questions]
        return self._fill(sentence, answers=list_answers(shown), last=str(len(shown)))

    def _value(self, name: str, more: Mapping[str, str]) -> str:
        conversation = self.conversation
        match name:
            case "name":
                return conversation.contact.name or self.questionnaire.stranger
            case "from":
                return conversation.sender
            case "to":
                return conversation.number
            case "count":
                return str(conversation.message_count)
            case "event":
                return conversation.event
        return more[name] if name in more else self._shown(self.questionnaire.by_key[name])

    def _shown(self, question: Question) -> str:
        """An answer as guests see it, or nothing where none was given."""
        answer = self.conversation.answers.get(question.key)
        value = answer and answer.value
        return KINDS[question.kind].show(question, value, self.sentences) if value else ""
