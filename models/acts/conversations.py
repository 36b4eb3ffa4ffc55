"""What operators do with conversations. Nothing is texted to anybody."""

from collections.abc import Callable

from sqlalchemy.orm import Session

from models.acts.act import Act, CannotAct, Choice
from models.acts.people import find_opt_choice, name_of
from models.causes import note_error
from models.console import OperatorAction
from models.contact import Contact
from models.conversation import Conversation
from models.delivery import Delivery
from models.marked_test import MarkedTest
from models.questionnaire.flow import path
from models.reports.context import NotFound, PageContext
from models.reports.passed import NOT_REVIEWED
from storage.unreadable import UnreadableRow

Ending = Callable[[Conversation], Delivery | None]  # ends it, and returns the result owed then


def find_choices(db: Session, id: int) -> list[Choice]:
    """What can be done with a conversation as it is now, and with whoever texts in it.

    Nothing, if a row of it cannot be read.
    """
    try:
        conversation = find_conversation(db, id)
    except CannotAct:
        return []
    address = f"/console/threads/{id}"
    known = {"stop": ("Stop", why_not_stop), "complete": ("Complete", why_not_complete)}
    found = [
        Choice(label, f"{address}/{name}")
        for name, (label, why_not) in known.items()
        if not why_not(conversation)
    ]
    found.append(
        Choice("Count it again", f"{address}/no-test")
        if MarkedTest.is_marked(db, id)
        else Choice("Mark as test", f"{address}/test")
    )
    return [*found, *find_opt_choice(db, conversation.contact)]


def why_not_stop(conversation: Conversation) -> str:
    """Why it cannot be stopped; "" if it can."""
    return (
        "" if conversation.can_be_stopped else "This conversation is over: nothing is asked in it."
    )


def why_not_complete(conversation: Conversation) -> str:
    """Why it cannot be completed with what there is; "" if it can."""
    if conversation.state == "completed":
        return "This conversation is completed already."
    return "" if conversation.answers else "Nothing is answered in it yet."


def find_stop(db: Session, context: PageContext, id: int) -> Act:
    """End it as if its sender had texted STOP in it, but without opting them out."""

    def end(conversation: Conversation) -> Delivery | None:
        return conversation.stop(context.now)

    conversation, result = _ended(db, id, why_not_stop, end)
    name = name_of(context, conversation.contact)
    sentence = f"{name} gets nothing more from it; {_describe(conversation, result, 'a partial')}."
    if conversation.state == "completed":
        sentence = f"{name} is asked for no correction any more. All answers stay as they are."
    do = _do(context, id, "stop", why_not_stop, end)
    return Act("Stop this conversation?", sentence, "Stop", _back(id, "stop"), do)


def find_complete(db: Session, context: PageContext, id: int) -> Act:
    """End it as completed, with the answers that there are."""

    def end(conversation: Conversation) -> Delivery | None:
        return conversation.complete(context.now)

    conversation, result = _ended(db, id, why_not_complete, end)
    name = name_of(context, conversation.contact)
    sentence = f"It counts as completed: {_describe(conversation, result, 'its')}. {name} gets"
    sentence += " nothing more from it, and is not told."
    if find_conversation(db, id).state == "stopped":
        sentence += " It was stopped, perhaps by their STOP: look before you send their answers."
    do = _do(context, id, "complete", why_not_complete, end)
    title = "Complete this conversation with what there is?"
    return Act(title, sentence, "Complete", _back(id, "complete"), do)


def find_mark(db: Session, context: PageContext, id: int) -> Act:
    """Leave it out of every figure."""

    def do(db: Session) -> None:
        _lock_sender(db, id)
        conversation = _find_marked(db, id, False)
        MarkedTest(conversation_id=id, marked_at=context.now).insert(db)
        OperatorAction.record(db, context.now, context.operator, "mark test", conversation)

    name = name_of(context, _find_marked(db, id, False).contact)
    sentence = "It is left out of all figures, charts and files, and listed as a test. It goes on"
    sentence += f" as before: {name} is told nothing, and its result is sent."
    return Act("Is this conversation a test?", sentence, "Mark as test", _back(id, "mark-test"), do)


def find_unmark(db: Session, context: PageContext, id: int) -> Act:
    """Count it again."""

    def do(db: Session) -> None:
        _lock_sender(db, id)
        conversation = _find_marked(db, id, True)
        MarkedTest.delete(db, id)
        OperatorAction.record(db, context.now, context.operator, "unmark test", conversation)

    _find_marked(db, id, True)
    sentence = "It is in all figures, charts and files of its day again."
    return Act("Count this conversation again?", sentence, "Count it", _back(id, "unmark-test"), do)


def _find_marked(db: Session, id: int, is_test: bool) -> Conversation:
    """The conversation if it is a test, or if it is none; else CannotAct."""
    conversation = find_conversation(db, id)
    if MarkedTest.is_marked(db, id) != is_test:
        raise CannotAct(f"This conversation is {'no test' if is_test else 'a test already'}.")
    return conversation


def _lock_sender(db: Session, id: int) -> None:
    """Let their texts, and other acts, wait from here on."""
    Contact.find(db, find_conversation(db, id).sender)


def _do(
    context: PageContext, id: int, action: str, why_not: Callable[..., str], end: Ending
) -> Callable[[Session], None]:
    """End it as it is now: its sender may have texted since it was read."""

    def do(db: Session) -> None:
        _lock_sender(db, id)
        before = find_conversation(db, id)
        conversation, result = _ended(db, id, why_not, end)
        conversation.update(db)
        if result:
            result.insert(db)
        details = NOT_REVIEWED if _skips_review(before) and action == "complete" else None
        OperatorAction.record(db, context.now, context.operator, action, conversation, details)

    return do


def _skips_review(conversation: Conversation) -> bool:
    """Whether its sender was not asked yet if all is right, and should have been.

    Whoever was has answered all, also while a correction waits. What is given up is answered, too.
    """
    if not conversation.questionnaire.review:
        return False
    on_path = path(conversation.questionnaire, conversation.answers)
    is_answered = all(question.key in conversation.answers for question in on_path)
    return conversation.was_given_up or not is_answered


def _ended(
    db: Session, id: int, why_not: Callable[[Conversation], str], end: Ending
) -> tuple[Conversation, Delivery | None]:
    """The conversation as it will be, and the result owed then; nothing is written."""
    conversation = find_conversation(db, id)
    if reason := why_not(conversation):
        raise CannotAct(reason)
    try:
        return conversation, end(conversation)
    except Exception as error:
        note_error(db, error, conversation)
        raise CannotAct("Its rows lead to an error, which the log and Health name.") from None


def find_conversation(db: Session, id: int) -> Conversation:
    """The conversation with all that belongs to it; CannotAct if that cannot be read."""
    try:
        conversation = Conversation.find_by_id(db, id)
    except UnreadableRow as error:
        raise CannotAct(f"A row of it cannot be read: {error}. Correct that first.") from None
    if conversation is None:
        raise NotFound
    return conversation


def _describe(conversation: Conversation, result: Delivery | None, which: str) -> str:
    """What becomes of the answers, such as "the 2 answers stay and are sent as its result"."""
    count = len(conversation.answers)
    if not count:
        return "nothing was answered in it"
    noun, verb = ("the answer stays", "is") if count == 1 else (f"the {count} answers stay", "are")
    return f"{noun} and {verb} sent as {which} result" if result else noun


def _back(id: int, done: str) -> str:
    return f"/console/threads/{id}?done={done}"
