"""`plan`: what the questionnaire files would change."""

import os

import click

from commands.database import ready_database
from commands.terminal import echo, pluralize
from models.plan import STATES, Plan, find_plans
from resources import open_catalog
from settings import Settings

SIGNS = {"added": ("+", "green"), "removed": ("-", "red")}


@click.command()
def plan() -> None:
    """Show what changed questionnaire files mean for conversations."""
    catalog = open_catalog(Settings.from_env(os.environ))
    with ready_database() as database, database.read() as db:
        for found in find_plans(db, catalog):
            print_plan(found)


def print_plan(plan: Plan) -> None:
    """Print what becomes of one questionnaire."""
    echo(f"{plan.name}: {STATES[plan.state]}")
    for change in plan.changes:
        sign, colour = SIGNS.get(change.what, ("~", "yellow"))
        detail = f": {change.detail}" if change.detail else ""
        echo(f"  {sign} {change.key} {change.what}{detail}", fg=colour)
    if plan.open:
        count = pluralize(sum(plan.open.values()), "open conversation")
        echo(f"  go on as they began: {count}")
        for key, waiting in plan.open.items():
            echo(f"    {waiting} at {key or 'no question'}")
