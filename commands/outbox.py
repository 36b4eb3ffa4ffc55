"""`outbox`: what is not delivered, and trying it again."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from heapq import merge
from itertools import chain
from operator import attrgetter

import click

from commands.database import ROW_ID, ready_database
from models import Delivery
from models import outbox as results
from models.outbox import PAGE_SIZE
from storage import Database

STATES = ("pending", "failed")  # in this order: a failed one that is retried is pending then


@click.group(invoke_without_command=True)
@click.pass_context
def outbox(ctx: click.Context) -> None:
    """List the results that are not delivered, and why."""
    if ctx.invoked_subcommand:
        return
    with ready_database() as database:
        with database.read() as db:
            paused = results.find_paused_urls(db)
        is_empty = True
        for delivery in find_undelivered(database):
            is_empty = False
            show(delivery, paused)
    if is_empty:
        click.echo("Everything is delivered.")


def show(delivery: Delivery, paused: set[str]) -> None:
    """Print its state, and why; `paused` holds URLs that get nothing."""
    next_attempt = describe_next_attempt(delivery, paused)
    state = f"{delivery.state}, {delivery.attempts} attempts{next_attempt}"
    click.echo(f"{delivery.id}  {state}, to {delivery.url}")
    if delivery.last_error:
        click.echo(f"    {delivery.last_error}")


def describe_next_attempt(delivery: Delivery, paused: set[str]) -> str:
    """When it is tried again, to go behind its state."""
    if delivery.next_attempt_at is None:
        return ""
    if delivery.url in paused:
        return ", paused"
    return f", next attempt at {delivery.next_attempt_at:%Y-%m-%d %H:%M:%S} UTC"


def find_undelivered(database: Database) -> Iterator[Delivery]:
    """All that are pending or failed, in the order of their ids; only a few are in memory."""
    return merge(*(find_of_state(database, state) for state in STATES), key=attrgetter("id"))


def find_of_state(database: Database, state: str) -> Iterator[Delivery]:
    """Those of one state. While somebody reads a page, no transaction is open."""
    after = 0
    for page in find_pages(database, state):
        with database.read() as db:
            deliveries = results.find(db, state, after, page[-1])
        yield from deliveries
        after = page[-1]


def find_pages(database: Database, state: str) -> Iterator[list[int]]:
    """The ids of those of one state, page by page."""
    page = [0]
    while page:
        with database.read() as db:
            page = results.find_ids(db, state, page[-1])
        if page:
            yield page


@outbox.command()
@click.argument("ids", metavar="ID", type=ROW_ID, nargs=-1)
@click.option("--all", "retry_all", is_flag=True, help="Retry all that are not delivered.")
def retry(ids: tuple[int, ...], retry_all: bool) -> None:
    """Try again now to deliver results: those with an ID, or --all.

    It may be interrupted, and run again.
    """
    if bool(ids) == retry_all:
        raise click.UsageError("Name the results by ID, or say --all.")
    with ready_database() as database:
        count, missing = redeliver_all(database) if retry_all else redeliver_ids(database, ids)
    if missing:
        missing_ids = ", ".join(map(str, sorted(missing)))
        raise click.ClickException(f"Not in the outbox, or delivered already: {missing_ids}.")
    click.echo(f"To be tried again now: {count}.")


def redeliver_all(database: Database) -> tuple[int, set[int]]:
    with database.read() as db:
        total = results.count_undelivered(db)
    pages = chain.from_iterable(find_pages(database, state) for state in STATES)
    count, _ = redeliver(database, pages, total)  # what is missing was delivered meanwhile
    return count, set()


def redeliver_ids(database: Database, ids: Sequence[int]) -> tuple[int, set[int]]:
    """Redeliver these, and what keeps others from the same URLs: a 410 of theirs."""
    for page in split(ids):
        with database.read() as db:
            blocking = results.find_410_ids(db, page)
        redeliver(database, split(blocking), len(blocking))
    return redeliver(database, split(ids), len(ids))


def split(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + PAGE_SIZE] for start in range(0, len(ids), PAGE_SIZE))


def redeliver(
    database: Database, pages: Iterable[Sequence[int]], total: int
) -> tuple[int, set[int]]:
    """Redeliver page by page; how many, and which were not in the outbox or are delivered.

    Texts wait while a page is written. Whoever releases a lock and takes it again at once
    overtakes those that wait for it, so this pauses for as long as it wrote.
    """
    count, missing = 0, set()
    is_hidden = not sys.stderr.isatty()
    with click.progressbar(length=total, file=sys.stderr, hidden=is_hidden) as bar:
        for page in pages:
            began = time.monotonic()
            work = partial(results.redeliver, ids=page, now=database.now())
            retried = database.write(work)
            count += len(retried)
            missing |= set(page) - set(retried)
            bar.update(len(page))
            time.sleep(time.monotonic() - began)
    return count, missing
