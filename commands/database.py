"""The database of a command, whose version fits this program."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from resources import migrate_database, open_database
from settings import Settings, SettingsError
from storage import Database
from storage.versions import TOUCH_VERSION, known_versions, read_version


def check_database(settings: Settings, create: bool = False) -> None:
    """Refuse a database that this program does not fit; create one that is empty, if asked to."""
    found, needed = read_versions(settings)
    if found == needed:
        with open_database(settings) as database:
            database.write(lambda db: db.execute(TOUCH_VERSION))
        return
    if found or not create:
        raise SettingsError(
            f"The database is at version {found or 'none'} and this program needs {needed}."
            " Run: python smsconvo.py upgrade"
        )
    migrate_database(settings)


def read_versions(settings: Settings) -> tuple[str | None, str]:
    """The version of the database, None when it is empty, and the one that this program needs."""
    with open_database(settings) as database:
        found, is_empty = read_version(database)
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


@contextmanager
def ready_database() -> Iterator[Database]:
    settings = Settings.from_env(os.environ)
    check_database(settings)
    with open_database(settings) as database:
        yield database
