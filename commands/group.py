"""How every command fails: one sentence, and an exit status that systemd can act on."""

import os
import sys
from typing import NoReturn

import click
from sqlalchemy.exc import DBAPIError

from models import InvalidQuestionnaire
from settings import SettingsError
from storage import DatabaseBroken, is_transient
from storage.unreadable import UnreadableRow


class ErrorHandlingGroup(click.Group):
    """Ends a command that cannot go on with one sentence on stderr and exit status 78.

    The status is 69 for what may be over soon, such as a PostgreSQL that is still starting, or an
    address that the machine has not got yet: systemd then tries again.
    """

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except (SettingsError, InvalidQuestionnaire, DatabaseBroken) as error:
            fail(str(error))
        except UnreadableRow as error:
            fail(f"{error}. Correct this row; see docs/operating.md.")
        except DBAPIError as error:
            of_postgresql = hasattr(error.orig, "diag")
            suspect = "the log of PostgreSQL" if of_postgresql else "the rights on its directory"
            sentence = f"The database cannot be used: {short_message(error)}."
            fail(f"{sentence} Check DATABASE_URL, and {suspect}.", exit_status(error))
        except BrokenPipeError:
            raise  # nobody reads our output any more; click knows what to do
        except OSError as error:
            fail(system_message(error), exit_status(error))


def short_message(error: DBAPIError | OSError) -> str:
    """What the database or the system said, on one line and without a full stop."""
    return " ".join(str(getattr(error, "orig", error)).split()).rstrip(".?")


def system_message(error: OSError) -> str:
    """What the system said of a file, or what became of a wait; and what to do."""
    if isinstance(error, TimeoutError):
        return "The database is in use by something else for too long. Try again when that is over."
    reason = short_message(error) or "The disk failed, or the database file is damaged"
    trouble = f"{error.filename}: {error.strerror}" if error.filename else reason
    cure = "Make room for it" if is_transient(error) else "Run it where it may read and write this"
    return f"{trouble}. {cure}."


def exit_status(error: DBAPIError | OSError) -> int:
    """69 where another start may help, else 78."""
    return os.EX_UNAVAILABLE if is_transient(error) else os.EX_CONFIG


def fail(sentence: str, status: int = os.EX_CONFIG) -> NoReturn:
    """End the program with this sentence on stderr."""
    click.echo(sentence, err=True)
    sys.exit(status)
