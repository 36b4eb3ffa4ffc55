"""`outbox`: what is not delivered, and trying it again."""

import click

from commands.database import ready_database
from models import Delivery


@click.group(invoke_without_command=True)
@click.pass_context
def outbox(ctx: click.Context) -> None:
    """List the results that are not delivered, and why."""
    if ctx.invoked_subcommand:
        return
    with ready_database() as database, database.read() as db:
        undelivered = Delivery.find_undelivered(db)
    paused = {delivery.url for delivery in undelivered if delivery.is_410}
    for delivery in undelivered:
        next_attempt = describe_next_attempt(delivery, paused)
        state = f"{delivery.state}, {delivery.attempts} attempts{next_attempt}"
        click.echo(f"{delivery.id}  {state}, to {delivery.url}")
        if delivery.last_error:
            click.echo(f"    {delivery.last_error}")
    if not undelivered:
        click.echo("Everything is delivered.")


def describe_next_attempt(delivery: Delivery, paused: set[str]) -> str:
    """When it is tried again, to go behind its state; `paused` holds URLs that get nothing."""
    if delivery.next_attempt_at is None:
        return ""
    if delivery.url in paused:
        return ", paused"
    return f", next attempt at {delivery.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"


@outbox.command()
@click.argument("ids", metavar="ID", type=int, nargs=-1)
@click.option("--all", "retry_all", is_flag=True, help="Retry all that are not delivered.")
def retry(ids: tuple[int, ...], retry_all: bool) -> None:
    """Try again now to deliver results: those with an ID, or --all."""
    if bool(ids) == retry_all:
        raise click.UsageError("Name the results by ID, or say --all.")
    with ready_database() as database:
        now = database.now()
        retried = database.write(lambda db: Delivery.redeliver_all(db, ids, now))
    if missing := set(ids) - set(retried):
        missing_ids = ", ".join(map(str, sorted(missing)))
        raise click.ClickException(f"Not in the outbox, or delivered already: {missing_ids}.")
    click.echo(f"To be tried again now: {len(retried)}.")
