"""The database of a command, at the version that this program needs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from models.trial import try_recording
from resources import migrate_database, open_database
from settings import Settings, SettingsError
from storage import Database
from storage.unreadable import UnreadableRow
from storage.versions import check_writable, has_full_text, known_versions, read_version

NO_FTS5 = (
    "The SQLite of this Python has no FTS5, which the search of the console needs. Run: pip install"
    " -r requirements.txt. If that does not help, take another Python, such as your system's."
)
ROW_ID = click.IntRange(1, 2**63 - 1)  # and every other number that a statement gets


@contextmanager
def ready_database() -> Iterator[Database]:
    """The database that the environment names; SettingsError for one that does not fit.

    Rows that a command cannot read are named on stderr, and left out.
    """
    settings = Settings.from_env(os.environ)
    check_database(settings)
    with open_database(settings) as database:
        database.unreadable.on_new = print_unreadable
        yield database


def print_unreadable(error: UnreadableRow) -> None:
    """Name a row that cannot be read."""
    click.echo(f"{error}. This row was left out; correct it, or see docs/operating.md.", err=True)


def check_database(settings: Settings, create: bool = False) -> None:
    """Refuse a database that this program cannot use; create the tables in an empty one if asked.

    SettingsError names the cure.
    """
    found, needed = read_versions(settings)
    if found == needed:
        with open_database(settings) as database:
            if create:
                try_recording(database, database.now())
            else:
                check_writable(database)
    elif found or not create:
        raise SettingsError(
            f"The database is at version {found or 'none'} and this program needs {needed}."
            " Run: python smsconvo.py upgrade"
        )
    else:
        migrate_database(settings)


def read_versions(settings: Settings) -> tuple[str | None, str]:
    """The database's version, None for an empty one, and the version that this program needs.

    SettingsError: the tables are another program's, or a newer version's.
    """
    with open_database(settings) as database:
        check_files(database)
        found, is_empty = read_version(database)
        if not has_full_text(database):
            raise SettingsError(NO_FTS5)
    *_, needed = known = known_versions()
    if found is None and not is_empty:
        raise SettingsError(
            "DATABASE_URL: the tables there are not smsconvo's. Name another database."
        )
    if found and found not in known:
        raise SettingsError(
            f"The database is at version {found}, newer than this program, which needs {needed}."
            " Run the newer program, or put back the backup that its upgrade made."
        )
    return found, needed


def check_files(database: Database) -> None:
    """Refuse files that the operator must see to first; SettingsError says how."""
    if obstacle := database.find_obstacle():
        raise SettingsError(obstacle)
