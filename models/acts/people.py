"""What operators do with people. Nothing is texted to anybody."""

from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.acts.act import Act, CannotAct, Choice
from models.causes import note_error
from models.console import OperatorAction
from models.contact import Contact
from models.conversation import Conversation
from models.reports.context import NotFound, PageContext
from models.reports.people import find_opting_out
from storage.base import Statement
from storage.database import WRITE_TIMEOUT_SECONDS
from storage.unreadable import UnreadableRow

OPT_OUT = "opt out"
THEIR_OWN = "They have opted out themselves, and opt in by texting START."


def name_of(context: PageContext, contact: Contact) -> str:
    """The name of somebody, or else the address that they text from."""
    return context.people.name_of(contact.phone) or contact.name or contact.phone


def find_opt_choice(db: Session, contact: Contact) -> list[Choice]:
    """Opting a person out, or taking that back if an operator has done it."""
    address = f"/console/people/{contact.id}"
    if not contact.opted_out_at:
        return [Choice("Opt out", f"{address}/opt-out")]
    return [Choice("Opt in again", f"{address}/opt-in")] if _is_by_operator(db, contact) else []


def find_opt_out(db: Session, context: PageContext, id: int) -> Act:
    """Send somebody no more texts, on any channel, as if they had texted STOP."""
    contact = find_contact(db, id)
    if contact.opted_out_at:
        raise CannotAct("They have opted out already.")
    count = len(_find_stoppable(db, contact))
    sentence = f"{name_of(context, contact)} gets no text from us any more, on any channel, until"
    sentence += " they text START, or you take it back here. What they text is kept."
    if count:
        open_ = "The open conversation is" if count == 1 else f"The {count} open conversations are"
        sentence += f" {open_} stopped."

    def do(db: Session) -> None:
        locked = Contact.find(db, contact.phone)
        if locked is None or locked.opted_out_at:
            raise CannotAct("They have opted out already.")
        locked.opt_out(context.now)
        locked.update(db)
        locked.share_opting_out(db)
        for conversation in _find_stoppable(db, locked):
            try:
                result = conversation.stop(context.now)
            except Exception as error:  # a row was edited; they get no texts all the same
                note_error(db, error, conversation)
                continue
            conversation.update(db)
            if result:
                result.insert(db)
        OperatorAction.record(db, context.now, context.operator, OPT_OUT, locked)

    return Act("Opt this person out?", sentence, "Opt out", _back(id, "opt-out"), do)


def find_opt_in(db: Session, context: PageContext, id: int) -> Act:
    """Take back what an operator did; never what somebody has texted."""
    contact = find_contact(db, id)
    _check_opt_in(db, contact)
    sentence = f"{name_of(context, contact)} gets replies again when they text. Conversations that"
    sentence += " were stopped stay so."

    def do(db: Session) -> None:
        locked = Contact.find(db, contact.phone)
        _check_opt_in(db, locked)
        locked.opt_in()
        locked.update(db)
        locked.share_opting_out(db)
        OperatorAction.record(db, context.now, context.operator, "opt in", locked)

    return Act("Opt this person in again?", sentence, "Opt in", _back(id, "opt-in"), do)


def _check_opt_in(db: Session, contact: Contact | None) -> None:
    if contact is None or not contact.opted_out_at:
        raise CannotAct("They have not opted out.")
    if not _is_by_operator(db, contact):
        raise CannotAct(THEIR_OWN)


def _is_by_operator(db: Session, contact: Contact) -> bool:
    """Whether an operator opted them out, here or on another channel, and they themselves did not.

    The time of the act is that of the opting out. A STOP that they have texted since changes no
    time, but it counts.
    """
    if not BY_OPERATOR.fetch_all(db, time=contact.opted_out_at):
        return False
    theirs = (find_opting_out(db, sender) for sender in contact.find_senders(db))
    since = contact.opted_out_at - timedelta(seconds=WRITE_TIMEOUT_SECONDS)  # one may have waited
    return not any(text and text.at > since for text in theirs)


def find_contact(db: Session, id: int) -> Contact:
    """The contact with this id; CannotAct if its row cannot be read."""
    try:
        contact = Contact.find_by_id(db, id)
    except UnreadableRow as error:
        raise CannotAct(f"Its {error.column} {error.reason}. Correct that row first.") from None
    if contact is None:
        raise NotFound
    return contact


def _find_stoppable(db: Session, contact: Contact) -> list[Conversation]:
    return Conversation.find_stoppable(db, contact.find_addresses(db))


def _back(id: int, done: str) -> str:
    return f"/console/people/{id}?done={done}"


# Built once: building a statement costs as much as running it.
ACTIONS = OperatorAction.__table__
BY_OPERATOR = Statement(
    sa.select(ACTIONS.c.id).where(
        ACTIONS.c.acted_at == sa.bindparam("time", type_=ACTIONS.c.acted_at.type),
        ACTIONS.c.action == sa.literal_column(f"'{OPT_OUT}'"),
    )
)
