"""What operators note on people. Nothing is texted to anybody."""

from sqlalchemy.orm import Session

from models.acts.act import Act, CannotAct, Choice, Field
from models.acts.people import find_contact, name_of
from models.console import OperatorAction
from models.contact import Contact
from models.note import MAX_LENGTH, Note
from models.reports.context import PageContext

TOO_LONG = f"This note is too long. Go back, and shorten it to {MAX_LENGTH:,} characters."


def find_note_choice(id: int, written: Note | None) -> Choice:
    """Writing a note, or changing the one that there is."""
    return Choice("Edit the note" if written else "Add a note", f"/console/people/{id}/note")


def find_note(db: Session, context: PageContext, id: int) -> Act:
    """Write what is to be known of somebody, or remove it."""
    contact = find_contact(db, id)
    written, text = Note.find(db, id), context.query.value("note").replace("\r\n", "\n")
    action = "write note" if text else "remove note"

    def do(db: Session) -> None:
        Contact.find(db, contact.phone)  # so that of two who write, one is later
        if len(text) > MAX_LENGTH:
            raise CannotAct(TOO_LONG)
        Note.write(db, id, text, context.operator, context.now)
        OperatorAction.record(db, context.now, context.operator, action, contact)

    sentence = f"Whoever uses the console sees it. {name_of(context, contact)} is told nothing."
    sentence += " An empty note is removed."
    fields = [Field("note", "Note", "lines", written.text if written else "", MAX_LENGTH)]
    back = f"/console/people/{id}?done={action.replace(' ', '-')}"
    return Act("What should be known of this person?", sentence, "Save", back, do, fields)
