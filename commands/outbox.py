"""commands/outbox.py"""

import click

from commands.database import ready_database
from models import Delivery


@click.group(invoke_without_command=True)
@click.pass_context
def outbox(ctx: click.Context) -> None:
    """List the results that are owed and not delivered, and why."""
    if ctx.invoked_subcommand:
        return
    with ready_database() as database, database.read() as db:
        undelivered = Delivery.find_undelivered(db)
    gone = {one.url for one in undelivered if one.says_gone}
    for one in undelivered:
        click.echo(
            f"{one.id}  {one.state}, {one.attempts} attempts{tell_next(one, gone)}, to {one.url}"
        )
        if one.last_error:
            click.echo(f"    {one.last_error}")
    if not undelivered:
        click.echo("Everything is delivered.")


def tell_next(delivery: Delivery, gone: set[str]) -> str:
    if delivery.next_attempt_at is None:
        return ""
    if delivery.url in gone:
        return ", paused"
    return f", next attempt at {delivery.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"


@outbox.command()
@click.argument("ids", metavar="ID", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that are not delivered.")
def retry(ids: tuple[int, ...], everything: bool) -> None:
    """Try again now: one or more by their ID, or --all."""
    if bool(ids) == everything:
        raise click.UsageError("Name the results by ID, or say --all.")
    with ready_database() as database:
        now = database.now()
        again = database.write(lambda db: Delivery.redeliver_all(db, ids, now))
    if missing := set(ids) - set(again):
        names = ", ".join(map(str, sorted(missing)))
        raise click.ClickException(f"Not in the outbox, or delivered already: {names}.")
    click.echo(f"To be tried again now: {len(again)}.")
