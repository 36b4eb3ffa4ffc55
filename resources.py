"""Opens what the settings name; a SettingsError names the setting that is wrong and the cure."""

import logging
import os
from threading import Lock
from typing import NamedTuple

from sqlalchemy.exc import DBAPIError

from logs import error_location, log_event
from models import Catalog, InvalidQuestionnaire, People, load_catalog
from settings import Settings, SettingsError
from storage import Database, connect, is_transient
from storage.siblings import Siblings
from storage.unreadable import UnreadableRow
from storage.versions import MigrationFailed, migrate

# It may happen with each text, and is said once; several threads may meet it at the same time.
LOGGED_DRAFTS: set[str] = set()
LOGGING_DRAFTS = Lock()


class Files(NamedTuple):
    """What the operator's files say."""

    catalog: Catalog
    people: People


def read_files(settings: Settings) -> tuple[Files | None, list[str]]:
    """The files, or None and all that is wrong with them, a sentence for each error."""
    found, problems = [], []
    for open_them in (open_catalog, open_people):
        try:
            found.append(open_them(settings))
        except (SettingsError, InvalidQuestionnaire) as error:
            problems += error.args
    return (None if problems else Files(*found)), problems


def open_catalog(settings: Settings) -> Catalog:
    """The questionnaires; with `results_to`, all of them send their results there."""
    if not os.path.isdir(settings.questionnaires):  # nor one that can be reached
        raise SettingsError(
            f"SMSCONVO_QUESTIONNAIRES: there is no directory {settings.questionnaires}."
            " Make it, let smsconvo read it, and put questionnaires there."
        )
    return with_results_to(load_catalog(settings.questionnaires), settings)


def with_results_to(catalog: Catalog, settings: Settings) -> Catalog:
    """The same questionnaires; if there is `results_to`, with all results going there."""
    return catalog.with_results_url(settings.results_to) if settings.results_to else catalog


def open_people(settings: Settings) -> People:
    """The names of senders that are known; none if the file is absent."""
    try:
        return People.load(settings.people)
    except ValueError as error:
        raise SettingsError(f"SMSCONVO_PEOPLE: {error}") from None


def open_database(settings: Settings, siblings: Siblings | None = None) -> Database:
    """The database, whatever its version; see `commands/database.py` for that."""
    try:
        database = connect(settings.database_url, siblings)
    except ValueError as error:
        raise SettingsError(
            f"DATABASE_URL {error}. Set it to one, like sqlite:///smsconvo.db."
        ) from None
    database.unreadable.on_new = log_unreadable
    database.on_failed_drafts = log_failed_drafts
    return database


def log_unreadable(error: UnreadableRow) -> None:
    """Name a row that cannot be read, and never what is in it."""
    names = {"table": error.table, "id": error.id, "column": error.column}
    log_event("unreadable", logging.ERROR, **names, why=error.reason)


def log_failed_drafts(error: Exception) -> None:
    """Say why texts are saved one by one, unless that passes or is said otherwise."""
    if isinstance(error, OSError) or (isinstance(error, DBAPIError) and is_transient(error)):
        return
    why = error_location(error)
    with LOGGING_DRAFTS:
        if why in LOGGED_DRAFTS:
            return
        LOGGED_DRAFTS.add(why)
    log_event("drafts", logging.WARNING, why=why)


def migrate_database(settings: Settings) -> None:
    """Create the tables, or bring them to the version that this program needs."""
    try:
        migrate(settings.database_url)
    except MigrationFailed as error:
        raise SettingsError(str(error)) from None
