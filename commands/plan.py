"""commands/plan.py"""

import os

import click

from commands.database import ready_database
from commands.terminal import echo, pluralize
from models.plan import find_plans
from resources import open_catalog
from settings import Settings


@click.command()
def plan() -> None:
    """Say what the questionnaire files change, and who goes on as before."""
    questionnaires = open_catalog(Settings.from_env(os.environ))
    with ready_database() as database, database.read() as db:
        for one in find_plans(db, questionnaires):
            echo(f"{one.name}: {STATES[one.state]}")
            for change in one.changes:
                sign, colour = SIGNS.get(change.what, ("~", "yellow"))
                words = f": {change.words}" if change.words else ""
                echo(f"  {sign} {change.key} {change.what}{words}", fg=colour)
            if one.open:
                count = pluralize(sum(one.open.values()), "open conversation")
                echo(f"  go on as they began: {count}")
                for asking, waiting in one.open.items():
                    echo(f"    {waiting} at {asking or 'no question'}")


STATES = {
    "new": "new, no conversation has used it yet",
    "unchanged": "as it is in use",
    "changed": "changed for new conversations",
    "gone": "has no file any more, so nothing opens it",
}
SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}
