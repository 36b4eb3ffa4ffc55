"""Who is signed in to the console."""

from sqlalchemy.orm import Session

from models.console import ConsoleSession
from models.reports.context import PageContext


def find_sessions(db: Session, context: PageContext) -> list[ConsoleSession]:
    """The browsers that are signed in now."""
    return ConsoleSession.find_all(db, context.now)
