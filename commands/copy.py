"""`copy`: move from SQLite to PostgreSQL."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from commands.database import check_database
from commands.group import exit_status, fail, short_message
from commands.serve import acquire_server_lock
from commands.terminal import echo, pluralize
from resources import migrate_database
from settings import Settings, SettingsError
from storage import Database, connect, maintenance_transaction
from storage.sqlite_objects import SQLiteObjects
from storage.transfer import HOW_TO_CREATE, SqliteToPostgres, TableChecksum
from storage.versions import known_versions, made_by_program, read_version

NEXT_STEPS = """\
Set DATABASE_URL to the new database, and start smsconvo. Let nothing run on the old one,
`deliver` included: what is owed is owed in both, and would be delivered twice."""


@click.command()
@click.argument("database_url")
def copy(database_url: str) -> None:
    """Copy the SQLite database into an empty PostgreSQL database.

    Each row is then compared. DATABASE_URL is the database to copy to, like
    postgresql://smsconvo@db.example.org/smsconvo. Put its password into ~/.pgpass: others on this
    machine can see the arguments of a command.
    """
    settings = Settings.from_env(os.environ)
    with lock_source(settings), reporting_target_errors():
        prepare_target(database_url)
        checksums, warnings = copy_rows(settings.database_url, database_url)
    for name, table in checksums.items():
        echo(f"{name}: {pluralize(table.rows, 'row')}, checksum {table.checksum} on both sides")
    for warning in warnings:
        echo(warning)
    echo(NEXT_STEPS)


def lock_source(settings: Settings) -> Database:
    """The database to copy from; no server has it, nor gets it before this is closed."""
    if not settings.on_sqlite:
        raise SettingsError(
            "DATABASE_URL is not sqlite:///…, and copy goes from SQLite to PostgreSQL."
            " Set it to the database to copy from."
        )
    check_database(settings)
    return acquire_server_lock(settings)


@contextmanager
def reporting_target_errors() -> Iterator[None]:
    """Report an error of PostgreSQL as the target's, without details, which would quote texts."""
    try:
        yield
    except DBAPIError as error:
        if not hasattr(error.orig, "diag"):
            raise  # it is SQLite's
        reason = error.orig.diag.message_primary or short_message(error)
        sentence = f"Copying failed: {reason}. Nothing was copied: mend that, and run copy again."
        fail(sentence, exit_status(error))


def prepare_target(url: str) -> None:
    """Create the tables to copy to; whether they are empty is checked under a lock, later."""
    try:
        target = connect(url)
        if target.engine.dialect.name != "postgresql":
            raise ValueError("is not postgresql://…")
    except ValueError as error:
        raise SettingsError(
            f"The URL to copy to {error}. Give one like postgresql://smsconvo@db.example.org/smsconvo."
        ) from None
    with target:
        found, is_empty = read_version(target)
    if is_empty:
        migrate_database(Settings(database_url=url))
    elif found != known_versions()[-1]:
        raise SettingsError(f"The database to copy to has other tables. {HOW_TO_CREATE}")


def copy_rows(source_url: str, target_url: str) -> tuple[dict[str, TableChecksum], list[str]]:
    """Copy and compare all rows, in one transaction on each side.

    Returns a checksum for each table, and what the operator should know.
    """
    with (
        maintenance_transaction(source_url) as source,
        maintenance_transaction(target_url) as target,
    ):
        transfer = SqliteToPostgres(source, target)
        count = transfer.count()
        try:
            for label, batches in (("Copying", transfer.copy()), ("Comparing", transfer.compare())):
                with click.progressbar(length=count, label=label, file=sys.stderr) as bar:
                    for rows in batches:
                        bar.update(rows)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        return transfer.checksums, list(find_warnings(source, transfer))


def find_warnings(source: Connection, transfer: SqliteToPostgres) -> Iterator[str]:
    """What is not as it was, as sentences."""
    if names := str(transfer.orphans):
        yield (
            f"Rows that refer to missing rows: {names}. PostgreSQL keeps them, and checks only new"
            " ones (NOT VALID)."
        )
    added = SQLiteObjects(source, made_by_program())
    if objects := [*added.tables, *added.found]:
        yield f"Not copied: {', '.join(map(str, objects))}."
