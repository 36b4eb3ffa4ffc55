"""`export`: conversations and their answers, as a file."""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.database import ROW_ID, ready_database
from commands.terminal import escape, pluralize
from exports import FORMATS, Layout, find_chunks, find_shown
from models.export import Export, find_names
from models.questionnaire import loader
from models.questionnaire.schema import Questionnaire
from models.selection import STATES, Selection
from settings import Settings, SettingsError

DAYS = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S%z")


@click.command()
@click.argument("questionnaire", required=False)
@click.option("--format", type=click.Choice(FORMATS), help="csv, if FILE does not end otherwise.")
@click.option("--long", "is_long", is_flag=True, help="A row for each answer.")
@click.option(
    "--since",
    metavar="DAY",
    type=click.DateTime(DAYS),
    help="Only conversations that started on this day or later, by UTC; or since a time, like"
    " 2026-11-20T18:30:00+01:00.",
)
@click.option("--state", type=click.Choice(STATES), help="Only conversations in this state.")
@click.option("--conversation", "ids", type=ROW_ID, multiple=True, help="Only this id.")
@click.option(
    "--removed/--no-removed",
    "with_removed",
    default=True,
    help="Questions that the file no longer has: they are exported, too, unless you say"
    " --no-removed.",
)
@click.option("--tests", "with_tests", is_flag=True, help="Conversations that are tests, too.")
@click.option("--raw", "is_raw", is_flag=True, help="Leave CSV as it is, for machines only.")
@click.option("--to", "path", type=click.Path(path_type=Path), help="The FILE to write.")
def export(
    questionnaire: str | None,
    format: str | None,
    is_long: bool,
    since: datetime | None,
    state: str | None,
    ids: tuple[int, ...],
    with_removed: bool,
    with_tests: bool,
    is_raw: bool,
    path: Path | None,
) -> None:
    """Export conversations and their answers, as CSV, XLSX or JSON lines.

    A row is a conversation, with a column for each question, or with --long an answer. Without
    QUESTIONNAIRE all are exported; as one table with columns for questions only if there is one.
    Conversations that are not completed are exported, too: see the column state.

    In CSV a ' is put before what a spreadsheet could take for a formula, phone numbers included.
    For a spreadsheet, XLSX is better.
    """
    layout = Layout(format or format_of(path), is_long, is_raw, with_removed, with_tests)
    if layout.format == "xlsx" and path is None and sys.stdout.isatty():
        raise SettingsError("XLSX is no text. Say where to write it: --to FILE.xlsx")
    catalog, _ = loader.examine(Settings.from_env(os.environ).questionnaires)
    with ready_database() as database:
        with database.read() as db:
            used = find_names(db)
        name = find_name(questionnaire, used, dict(catalog), layout)
        selection = Selection(name, state, to_utc(since), ids, with_tests=with_tests)
        shown = find_shown(database, [name] if name else used, dict(catalog), layout)
        exported = Export(database, selection, shown)
        write_chunks(find_chunks(exported, shown.get(name, []), layout), path)
    if path:
        click.echo(f"Saved {pluralize(exported.count, 'conversation')} to {path}.")
    say_what_is_missing(exported, layout)


def format_of(path: Path | None) -> str:
    """The format that a file's name ends with."""
    ending = path.suffix.lower().removeprefix(".") if path else ""
    return ending if ending in FORMATS else FORMATS[0]


def to_utc(since: datetime | None) -> datetime | None:
    """A time that was given, which is by UTC where it names no zone."""
    if since is None or since.tzinfo is None:
        return since and since.replace(tzinfo=UTC)
    try:
        return since.astimezone(UTC)
    except OverflowError:
        raise SettingsError(f"--since {since} is no time that anything has. Correct it.") from None


def find_name(
    name: str | None, used: list[str], files: dict[str, Questionnaire], layout: Layout
) -> str | None:
    """The questionnaire that is exported, or None for all; SettingsError if one must be named."""
    known = sorted({*used, *files})
    if name is None and layout.needs_columns and len(used) > 1:
        raise SettingsError(
            f"There are conversations of {', '.join(used)}, which have other columns. Name one of"
            " them, or say --long."
        )
    if name is None and layout.needs_columns:
        return used[0] if used else None
    if name is not None and name not in known:
        cure = f"Name one of these: {', '.join(known)}." if known else "There is none yet."
        raise SettingsError(f"No questionnaire is called {escape(name)}. {cure}")
    return name


def write_chunks(chunks: Iterable[bytes], path: Path | None) -> None:
    """Write them to a file, or to standard output."""
    if path:
        with path.open("wb") as file:
            file.writelines(chunks)
        return
    if sys.stdout.isatty():  # what guests have texted must not move the cursor
        for chunk in chunks:
            for line in chunk.decode().splitlines(keepends=True):
                click.echo(escape(line.rstrip("\r\n")), nl=line.endswith("\n"))
        return
    sys.stdout.buffer.writelines(chunks)
    sys.stdout.buffer.flush()


def say_what_is_missing(exported: Export, layout: Layout) -> None:
    """Name on stderr the answers that no column was for, and ids that were not exported."""
    if exported.left_out and layout.with_removed:
        keys = ", ".join(f"{escape(key)} ({count})" for key, count in exported.left_out.items())
        click.echo(f"There is no column for answers to {keys}. See them with --long.", err=True)
    if exported.missing:
        ids = ", ".join(map(str, sorted(exported.missing)))
        raise click.ClickException(f"Not there, or not selected by the other options: {ids}.")
