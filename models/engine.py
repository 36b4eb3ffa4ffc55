"""The engine: what a text is read as, what is said to it, and what changes.

`respond` depends on nothing but its arguments and changes none of them. It knows no database, no
HTTP and no clock, so that the web app and `replay` decide by the very same function.
"""

from datetime import datetime, timedelta

from models.contact import Contact
from models.conversation import TOKEN, Conversation, Previous
from models.decision import Decision, State
from models.dialog import DialogStep
from models.non_answers import (
    OPT_OUTS,
    Typed,
    find_opt_keyword,
    is_opt_in_yes,
    is_start,
    opt_keyword,
)
from models.questionnaire.answers import KINDS
from models.questionnaire.catalog import Opening
from models.questionnaire.languages import ENGLISH
from models.questionnaire.wording import wording_of
from models.text import IncomingText, comparable
from models.version import Version

DOUBLE = timedelta(seconds=4)  # within which the same words are the same text


def respond(state: State, text: IncomingText, now: datetime) -> Decision:
    """Decide what becomes of a text.

    1. The newest conversation of the pair ends now if nobody has texted for `expires`.
    2. A text that answers nothing, such as STOP, a reaction or the same text twice, is recorded and
       gets no reply. Whoever opts out in words that Twilio does not answer gets one confirmation.
    3. Every other text goes to that conversation, or to a new one if it opens one.
    """
    contact, newest = state.contact.copy(), state.newest and state.newest.copy()
    contact.name = state.name
    decision = Decision(text, now, contact)
    if newest:
        newest.contact = contact
        if newest.is_silent(now):  # for the worker's job may be late
            decision.end(newest, newest.expire(now))
    live = newest if newest and newest.is_live(now) else None
    current = live or (newest if newest and newest.can_resume(now) else None)
    decision.cookie = _classify_cookie(decision, newest, live, state.cookie_pair)
    typed = state.typed
    decision.read_as = _decide_opt_keyword(typed, contact, live, state.opening)
    if decision.read_as:
        _apply_opt_keyword(decision, state, newest)
    else:
        decision.read_as = None if _brings_answer(text, current) else typed.ignored_reason
    if decision.read_as is None and live and _is_double(text, live, state.previous, now):
        decision.read_as = "double"
        live.stay_live(now)
    if decision.read_as:
        decision.conversation = live
        return decision
    conversation = current
    if state.opening:
        conversation = _continue_or_start(state.opening, decision, newest, current)
    if conversation:
        resumes = conversation is current and live is None
        conversation.touch(now)
        decision.conversation = conversation
        step = DialogStep(decision, state, typed.text)
        decision.reply = (step.resume() if resumes else step.advance()) or None
    if typed.keyword == "perhaps_opt_out":
        decision.read_as = typed.keyword
        contact.perhaps_opt_out(now)
    return decision


def _brings_answer(text: IncomingText, current: Conversation | None) -> bool:
    """Whether what comes with a text may be the answer, so that its words do not matter."""
    if not (text.media or text.location) or current is None:
        return False
    return current.is_asking and current.kind.reads_attachments


def _is_double(
    text: IncomingText, live: Conversation, previous: Previous | None, now: datetime
) -> bool:
    """Whether it came just after a text with the same words: networks deliver some texts twice.

    A counter counts all texts, and media and places are new each time. What opened the conversation
    has a rule of its own.
    """
    is_second = live.message_count == 1
    if live.version.definition.is_counter or is_second or text.media or text.location:
        return False
    if previous is None or abs(now - previous.at) >= DOUBLE:
        return False
    return comparable(previous.body) == text.comparable


def _classify_cookie(
    decision: Decision,
    newest: Conversation | None,
    live: Conversation | None,
    pair: tuple[str, str] | None,
) -> str:
    """What the cookie of a text was; `pair` is whose it is if it is not that of `newest`."""
    text = decision.text
    if text.cookie is None:
        return "none"
    if not TOKEN.fullmatch(text.cookie):
        return "malformed"
    if newest and newest.token == text.cookie:
        return "matched" if live else "stale"
    if pair is None:
        return "missing"
    return "stale" if pair == (decision.contact.phone, text.number) else "foreign"


def _decide_opt_keyword(
    typed: Typed, contact: Contact, live: Conversation | None, opening: Opening | None
) -> str | None:
    """What becomes of a keyword about our texts; `opted out` where the sender wants none."""
    text, keyword = typed.text, typed.keyword
    if keyword in (*OPT_OUTS, "help"):
        return keyword
    if contact.opted_out_at:
        lifts = keyword == "start" or is_opt_in_yes(text.word) or is_start(text.body)
        return "start" if lifts else "opted out"
    if keyword != "start" or (live and _expects(live, text)):
        return None
    if text.opt_out_type:
        return "start"
    is_event = opening is not None and opening.is_event
    is_about_texts = contact.perhaps_opted_out_at or (live and live.is_asking)
    return "start" if is_about_texts and not is_event else None


def _expects(live: Conversation, typed: IncomingText) -> bool:
    """Whether a text that opts in is rather the answer to the question that waits."""
    if live.current_key is None or live.state == "stopped":
        return False
    if opt_keyword(typed.word):
        question = live.is_asking and live.questionnaire.by_key[live.current_key]
        return bool(question) and live.kind.is_name(question, typed.body)
    return is_opt_in_yes(typed.word) or (live.is_asking and live.kind is KINDS["yes_no"])


def _apply_opt_keyword(decision: Decision, state: State, newest: Conversation | None) -> None:
    contact, now = decision.contact, decision.now
    if decision.read_as == "start":
        contact.opt_in()
    if decision.read_as not in OPT_OUTS:
        return
    if decision.read_as == "opt_out" and not contact.opted_out_at:
        decision.reply = _confirmation(state, decision.text)
    contact.opt_out(now)
    for stored in state.stoppable:
        is_newest = newest is not None and stored.id == newest.id
        conversation = newest if is_newest else stored.copy()
        if conversation.sender == contact.phone:
            conversation.contact = contact
        if conversation.can_be_stopped:  # the newest may have expired just now
            decision.end(conversation, conversation.stop(now))


def _confirmation(state: State, text: IncomingText) -> str:
    """What is said to whoever opts out in words that Twilio does not answer.

    To a stranger that is in the language of these words. English ones come first: they opt out
    whatever the languages are.
    """
    if state.newest:
        return state.newest.questionnaire.sentences.stopped
    languages = sorted(state.languages, key=ENGLISH.__ne__) or [ENGLISH]
    spoken = (each for each in languages if find_opt_keyword(text, [each]) == "opt_out")
    return wording_of(next(spoken, languages[0])).stopped


def _continue_or_start(
    opening: Opening,
    decision: Decision,
    newest: Conversation | None,
    current: Conversation | None,
) -> Conversation:
    """The conversation that takes a text which opens one: the current one, or that new one.

    If the current one is over, any text that opens a questionnaire starts a new one. If it is
    live, only an event does, and only while no question waits for its answer.
    """
    text, now = decision.text, decision.now
    if current and not _is_replaced_by(current, opening, now):
        return current
    if newest and newest.state == "open":
        decision.end(newest, newest.expire(now))
    version = Version.of(opening.name, opening.questionnaire, now)
    return Conversation.start(version, decision.contact, text.number, text.body, now)


def _is_replaced_by(current: Conversation, opening: Opening, now: datetime) -> bool:
    if not opening.is_event:
        return False
    if current.questionnaire.is_counter:
        return not current.questionnaire.is_opened_by(opening.questionnaire.event)
    if not current.is_live(now):
        return current.version.name != opening.name
    is_done = current.state == "completed" and current.current_key is None
    return current.state == "stopped" or is_done
