"""`search`: make the index of words anew."""

import sys
from datetime import datetime
from functools import partial

import click

from commands.database import ready_database
from commands.terminal import echo, pluralize
from models.search_index import add_texts, clear, find_progress
from storage import Database

TEXTS_AT_ONCE = 1000


@click.group()
def search() -> None:
    """See to the search of the console."""


@search.command()
def rebuild() -> None:
    """Make the index of words anew, from all texts.

    Texts are answered meanwhile. If you interrupt it, the worker of `serve` goes on with it.
    """
    with ready_database() as database:
        database.write(clear)
        count = index_all(database, database.now())
    echo(f"Read {pluralize(count, 'text')}. The search knows their words now.")


def index_all(database: Database, now: datetime) -> int:
    """Add all texts to the index; how many they are."""
    with database.read() as db:
        newest = find_progress(db, now).newest
    add, count = partial(add_texts, now=now, limit=TEXTS_AT_ONCE), 0
    with click.progressbar(length=newest, label="Reading", file=sys.stderr) as bar:
        while added := database.write(add):
            count += added
            bar.update(added)
    return count
