"""`outbox`: what is not delivered and why, and what the operator makes of it."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from heapq import merge
from itertools import chain
from operator import attrgetter

import click

from commands.database import ROW_ID, ready_database
from commands.terminal import MAX_LINES, describe_more, escape, print_json
from models import Attempt, Delivery, ReceiverForm
from models import outbox as results
from models.google_form.address import page_url
from models.outbox import CONFIRMED, PAGE_SIZE
from models.questionnaire import loader
from models.receiver_form import group_by_form
from settings import Settings
from storage import Database

# In this order: a failed one that is retried is pending then.
RETRIED = ("pending", "failed")
STATES = (*RETRIED, "unconfirmed")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


HELP = f"""List the results that are not delivered, and why.

pending: {results.MEANINGS["pending"]}
paused: {results.MEANINGS["paused"]}
failed: {results.MEANINGS["failed"]}
unconfirmed: {results.MEANINGS["unconfirmed"]}
What was discarded in the console is not listed."""


@click.group(invoke_without_command=True, help=HELP)
@click.option("--json", "as_json", is_flag=True, help="Print a line of JSON for each, forms too.")
@click.pass_context
def outbox(ctx: click.Context, as_json: bool) -> None:
    if ctx.invoked_subcommand:
        return
    with ready_database() as database:
        with database.read() as db:
            paused = results.find_paused_urls(db)
        is_empty = True
        for delivery in find_undelivered(database):
            is_empty = False
            if as_json:
                print_json(as_dict(delivery, paused))
            else:
                print_state(delivery, paused)
        print_forms(database, as_json)
    if is_empty and not as_json:
        click.echo("Everything is delivered.")


def print_forms(database: Database, as_json: bool) -> None:
    """Print which Google Forms have changed, or take nothing as it is sent; and what to do."""
    catalog, _ = loader.examine(Settings.from_env(os.environ).questionnaires)
    forms = group_by_form(catalog)
    with database.read() as db:
        changed = ReceiverForm.find_changed(db, forms)
    for form in changed:
        names = [name for name, _ in forms[form.url]]
        misfits = form.find_misfits(forms[form.url])
        problems = [str(problem._replace(file=f"{name}.toml")) for name, problem in misfits]
        if as_json:
            print_json(form_as_dict(form, names, problems))
            continue
        # Without --for, which would leave out what the others send.
        command = f"form {page_url(form.url)}"
        click.echo(f"The form of {', '.join(names)} {form.describe()}. Run: {command}")
        for problem in problems[:MAX_LINES]:
            click.echo(f"    {escape(problem)}")
        if more := describe_more(len(problems)):
            click.echo(f"    {more}")


def form_as_dict(form: ReceiverForm, names: list[str], problems: list[str]) -> dict[str, object]:
    """The same for machines: of all lines, those of forms have a `form`, and those only."""
    found = {"form": form.url, "questionnaires": names, "changed_at": form.changed_at}
    return found | {"problem": form.problem, "problems": problems}


def print_state(delivery: Delivery, paused: set[str]) -> None:
    """Print its state, and why; `paused` holds URLs that get nothing."""
    when = describe_time(delivery, paused)
    state = f"{delivery.state}, {delivery.attempts} attempts{when}"
    click.echo(f"{delivery.id}  {state}, to {escape(delivery.url)}")
    if delivery.last_error:
        click.echo(f"    {escape(delivery.last_error)}")


def describe_time(delivery: Delivery, paused: set[str]) -> str:
    """When it is tried again, or was delivered, to go behind its state."""
    if delivery.state == "delivered" and delivery.delivered_at:
        how = "confirmed" if delivery.cause == CONFIRMED else "at"
        return f", {how} {format_time(delivery.delivered_at)}"
    if delivery.next_attempt_at is None:
        return ""
    if results.state_of(delivery, paused) == "paused":
        return ", paused"
    return f", next attempt at {format_time(delivery.next_attempt_at)}"


def format_time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def as_dict(delivery: Delivery, paused: set[str]) -> dict[str, object]:
    """What is listed of a result, for machines."""
    return {
        "id": delivery.id,
        "state": delivery.state,
        "paused": results.state_of(delivery, paused) == "paused",
        "attempts": delivery.attempts,
        "next_attempt_at": delivery.next_attempt_at,
        "url": delivery.url,
        "status": delivery.last_status,
        "cause": delivery.cause,
        "error": delivery.last_error,
        "conversation": delivery.conversation_id,
        "webhook_id": delivery.webhook_id,
        "created_at": delivery.created_at,
        "delivered_at": delivery.delivered_at,
    }


def find_undelivered(database: Database) -> Iterator[Delivery]:
    """All that are not delivered, in the order of their ids; only a few are in memory."""
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
@click.argument("id", metavar="ID", type=ROW_ID)
@AS_JSON
def show(id: int, as_json: bool) -> None:
    """Show a result: its payload, all attempts, and what of an answer was kept.

    It shows what a guest has answered.
    """
    with ready_database() as database, database.read() as db:
        delivery = results.find_result(db, id)
        if delivery is None:
            raise click.ClickException(f"No result has the ID {id}.")
        attempts, paused = Attempt.find_all(db, id), results.find_paused_urls(db)
    payload = results.parse_payload(delivery)
    if as_json:
        more = {"format": delivery.format, "payload": payload}
        tried = {"delivery_attempts": list(map(attempt_as_dict, attempts))}
        print_json(as_dict(delivery, paused) | more | tried, indent=2)
        return
    print_state(delivery, paused)
    origin = f"{delivery.webhook_id}, of conversation {delivery.conversation_id}"
    click.echo(f"    {escape(origin)}, {format_time(delivery.created_at)}")
    is_text = isinstance(payload, str)
    text = payload if is_text else json.dumps(payload, indent=2, ensure_ascii=False)
    print_block(f"Payload, as {delivery.format}:", text)
    print_attempts(attempts)


def attempt_as_dict(attempt: Attempt) -> dict[str, object]:
    names = ("started_at", "duration_ms", "status", "cause", "answer")
    return {name: getattr(attempt, name) for name in names} | {"outcome": attempt.outcome}


def print_attempts(attempts: Sequence[Attempt]) -> None:
    lines = [
        f"{format_time(each.started_at)}, {each.duration_ms / 1000:.3f} s: {escape(each.outcome)}"
        for each in attempts
    ]
    print_block("Attempts:" if lines else "Attempts: none was recorded.", "\n".join(lines))
    answers = [each for each in attempts if each.answer]
    if answers:
        last = answers[-1]
        print_block(f"The answer at {format_time(last.started_at)}:", last.answer)


def print_block(title: str, text: str) -> None:
    """A title, and lines under it, whoever wrote them."""
    click.echo(escape(title))
    for line in text.splitlines():
        click.echo(f"    {escape(line)}")


@outbox.command()
@click.argument("ids", metavar="ID...", type=ROW_ID, nargs=-1, required=True)
def confirm(ids: tuple[int, ...]) -> None:
    """Say that results have arrived.

    They count as delivered, and are not sent again. A receiver that got nothing only because of one
    of these gets results again.
    """
    with ready_database() as database:
        paused = find_pausing_urls(database, ids)
        count, missing = change(database, results.confirm, split(ids), len(ids))
        with database.read() as db:
            paused -= results.find_paused_urls(db)
    click.echo(f"Confirmed: {count}.")
    for url in sorted(map(str, paused)):
        click.echo(f"Results for {escape(url)} are sent again.")
    refuse_missing(missing)


def find_pausing_urls(database: Database, ids: Sequence[int]) -> set[str]:
    """The URLs that get nothing because of one of these results."""
    with database.read() as db:
        return set().union(*(results.find_pausing_urls(db, page) for page in split(ids)))


def refuse_missing(ids: set[int]) -> None:
    if ids:
        missing = ", ".join(map(str, sorted(ids)))
        raise click.ClickException(f"Not in the outbox, or delivered already: {missing}.")


@outbox.command()
@click.argument("ids", metavar="ID", type=ROW_ID, nargs=-1)
@click.option("--all", "retry_all", is_flag=True, help="Retry all that are pending or failed.")
def retry(ids: tuple[int, ...], retry_all: bool) -> None:
    """Try again now to deliver results: those with an ID, or --all.

    It may be interrupted, and run again. --all leaves what was discarded, and what may have
    arrived: what is unconfirmed, and what is tried again by itself though an attempt may have
    arrived.
    """
    if bool(ids) == retry_all:
        raise click.UsageError("Name the results by ID, or say --all.")
    with ready_database() as database:
        if retry_all:
            count, missing, left = redeliver_all(database)
        else:
            count, missing, left = redeliver_ids(database, ids)
    click.echo(f"To be tried again now: {count}.")
    if left:
        click.echo(
            f"Left as they are, because they may have arrived: {left}. Look for them at the"
            " receiver, then confirm or retry them by ID."
        )
    refuse_missing(missing)


Redelivered = tuple[int, set[int], int]  # how many, which are not there, and how many were left


def redeliver_all(database: Database) -> Redelivered:
    with database.read() as db:
        total = results.count_undelivered(db)
    pages = chain.from_iterable(find_pages(database, state) for state in STATES)
    count, left = change(database, results.redeliver_certain, pages, total)
    return count, set(), count_undelivered(database, left)


def redeliver_ids(database: Database, ids: Sequence[int]) -> Redelivered:
    """Redeliver these, and what keeps others from the same URLs and has certainly failed."""
    left: set[int] = set()
    for page in split(ids):
        with database.read() as db:
            blocking = results.find_pausing_ids(db, page)
        left |= change(database, results.redeliver_certain, split(blocking), len(blocking))[1]
    count, missing = change(database, results.redeliver, split(ids), len(ids))
    return count, missing, count_undelivered(database, left - set(ids))


def count_undelivered(database: Database, ids: set[int]) -> int:
    """How many of these have not been delivered meanwhile."""
    with database.read() as db:
        pages = split(sorted(ids))
        return sum(len(results.find_undelivered_ids(db, page)) for page in pages)


def split(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + PAGE_SIZE] for start in range(0, len(ids), PAGE_SIZE))


def change(
    database: Database, work: Callable, pages: Iterable[Sequence[int]], total: int
) -> tuple[int, set[int]]:
    """Do something to results, page by page; how many, and which are not there or delivered.

    Texts wait while a page is written. Whoever releases a lock and takes it again at once
    overtakes those that wait for it, so this pauses for as long as it wrote.
    """
    count, missing = 0, set()
    is_hidden = not sys.stderr.isatty()
    with click.progressbar(length=total, file=sys.stderr, hidden=is_hidden) as bar:
        for page in pages:
            began = time.monotonic()
            changed = database.write(partial(work, ids=page, now=database.now()))
            count += len(changed)
            missing |= set(page) - set(changed)
            bar.update(len(page))
            time.sleep(time.monotonic() - began)
    return count, missing
