"""Opens what the settings name; a SettingsError names the setting that is wrong and the cure."""

from models import Catalog, People, load_catalog
from settings import Settings, SettingsError
from storage import Database, connect
from storage.versions import MigrationFailed, migrate


def open_catalog(settings: Settings) -> Catalog:
    """The questionnaires; with `results_to`, all of them send their results there."""
    if not settings.questionnaires.is_dir():
        raise SettingsError(
            f"SMSCONVO_QUESTIONNAIRES: there is no directory {settings.questionnaires}."
            " Make it, and put questionnaires there."
        )
    catalog = load_catalog(settings.questionnaires)
    return catalog.with_results_url(settings.results_to) if settings.results_to else catalog


def open_people(settings: Settings) -> People:
    """The names of senders that are known; none if the file is absent."""
    try:
        return People.load(settings.people)
    except ValueError as error:
        raise SettingsError(f"SMSCONVO_PEOPLE: {error}") from None


def open_database(settings: Settings) -> Database:
    """The database, whatever its version; see `commands/database.py` for that."""
    try:
        return connect(settings.database_url, settings.processes)
    except ValueError as error:
        raise SettingsError(
            f"DATABASE_URL {error}. Set it to one, like sqlite:///smsconvo.db."
        ) from None


def migrate_database(settings: Settings) -> None:
    """Create the tables, or bring them to the version that this program needs."""
    try:
        migrate(settings.database_url)
    except MigrationFailed as error:
        raise SettingsError(str(error)) from None
