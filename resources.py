"""What the settings name, opened; a SettingsError names the setting and the cure."""

from models import Catalog, People, load_catalog
from settings import Settings, SettingsError
from storage import Database, connect
from storage.versions import migrate


def open_catalog(settings: Settings) -> Catalog:
    """The questionnaires, with their results going elsewhere if the settings say so."""
    if not settings.questionnaires.is_dir():
        raise SettingsError(
            f"SMSCONVO_QUESTIONNAIRES: there is no directory {settings.questionnaires}."
            " Make it, and put questionnaires there."
        )
    catalog = load_catalog(settings.questionnaires)
    return catalog.with_results_url(settings.results_to) if settings.results_to else catalog


def open_people(settings: Settings) -> People:
    try:
        return People.load(settings.people)
    except ValueError as error:
        raise SettingsError(f"SMSCONVO_PEOPLE: {error}") from None


def open_database(settings: Settings) -> Database:
    try:
        return connect(settings.database_url, settings.workers)
    except ValueError as error:
        raise SettingsError(
            f"DATABASE_URL {error}. Set it to one, like sqlite:///smsconvo.db."
        ) from None


def migrate_database(settings: Settings) -> None:
    """Bring the tables to what this program needs, or make them."""
    try:
        migrate(settings.database_url)
    except ValueError as error:
        raise SettingsError(str(error)) from None
