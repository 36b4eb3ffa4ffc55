"""`search`: make the index of words anew."""

import sys
from datetime import datetime
from functools import partial

import click

from commands.database import ready_database
from commands.terminal import echo, pluralize
from models.search_index import add_texts, clear, count_texts, find_progress
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
        add_all(database, database.now())
        with database.read() as db:
            count = count_texts(db)
    echo(f"Read {pluralize(count, 'text')}. The search knows their words now.")


def add_all(database: Database, now: datetime) -> None:
    """Add all texts to the index; workers may add some, too."""
    with database.read() as db:
        progress = find_progress(db, now)
    add = partial(add_texts, now=now, limit=TEXTS_AT_ONCE)
    with click.progressbar(length=progress.newest, label="Reading", file=sys.stderr) as bar:
        while not progress.is_complete:
            database.write(add)
            with database.read() as db:
                before, progress = progress, find_progress(db, now)
            bar.update(progress.reached - before.reached)
