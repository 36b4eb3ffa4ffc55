"""`upgrade`: back the database up, then migrate it."""

import os
from datetime import UTC, datetime

import click

from commands.database import read_versions
from resources import migrate_database, open_database
from settings import Settings, SettingsError


@click.command()
@click.option("--no-backup", is_flag=True, help="Make no backup: you have made one yourself.")
def upgrade(no_backup: bool) -> None:
    """Back the database up, then migrate it for this program."""
    settings = Settings.from_env(os.environ)
    found, needed = read_versions(settings)
    if found == needed:
        click.echo(f"The database is at version {needed} already.")
        return
    if found and not no_backup:
        back_up(settings, found)
    migrate_database(settings)
    click.echo(f"The database is at version {needed} now.")


def back_up(settings: Settings, version: str) -> None:
    """Back the database up, and print how to go back to the backup."""
    timestamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    with open_database(settings) as database:
        try:
            path = database.back_up(f"{version}.{timestamp}.bak")
        except ValueError as error:
            raise SettingsError(str(error)) from None
    click.echo(f"The backup is {path}. To go back: stop smsconvo, delete the database with its")
    click.echo("-wal and -shm files, copy the backup to its place, and run the older program.")
