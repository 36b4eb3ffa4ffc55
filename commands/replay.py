"""`replay`: recorded conversations once more, with the questionnaires of today."""

import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import click

from commands.database import ROW_ID, ready_database
from commands.terminal import echo, pluralize
from models import Catalog, Conversation
from models.replay import Recording, find_ids, find_recordings
from models.replay import load as load_recording
from models.replay import replay as replay_recording
from resources import open_catalog, open_people
from settings import Settings, SettingsError

SILENCE = "(silence)"


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--last",
    type=ROW_ID,
    default=1000,
    show_default=True,
    help="How many of the newest to repeat.",
)
@click.option("--conversation", "ids", type=ROW_ID, multiple=True, help="Repeat only this id.")
@click.option("--save", type=click.Path(path_type=Path), help="Write that one to a file, masked.")
def replay(files: tuple[Path, ...], last: int, ids: tuple[int, ...], save: Path | None) -> None:
    """Repeat recorded conversations, and show which replies differ.

    The conversations come from the database, or from FILES that --save wrote. They are repeated
    with the current questionnaire files. Nothing is stored or sent. The exit status is 1 if a reply
    differs.
    """
    if save and (len(ids) != 1 or files):
        raise click.UsageError("Say which one to save: --conversation ID --save FILE.")
    settings = Settings.from_env(os.environ)
    if save:
        save_recording(settings, ids[0], save)
        return
    catalog = open_catalog(settings)
    replayed = replay_files(files, catalog) if files else replay_stored(ids, last, catalog)
    if print_diff(replayed):
        sys.exit(1)


class Replayed(NamedTuple):
    """A recorded conversation, and the replies that its texts get now."""

    recording: Recording
    replies: list[str | None]


def replay_stored(ids: tuple[int, ...], last: int, catalog: Catalog) -> list[Replayed]:
    """The conversations of the database with these ids; without ids, the newest `last`."""
    with ready_database() as database, database.read() as db:
        ids = ids or find_ids(db, last)
        recordings = find_recordings(db, ids)
        with click.progressbar(recordings, len(ids), "Replaying", file=sys.stderr) as bar:
            return [Replayed(each, replay_recording(each, catalog)) for each in bar]


def replay_files(files: tuple[Path, ...], catalog: Catalog) -> list[Replayed]:
    """Each with the questionnaire that it names, whatever numbers that one is for."""
    replayed = []
    for file in files:
        try:
            recording = load_recording(file)
            selected = catalog.select(recording.questionnaire)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        replayed.append(Replayed(recording, replay_recording(recording, selected)))
    return replayed


def save_recording(settings: Settings, id: int, file: Path) -> None:
    """Save a conversation to a file, masked, with the replies that the masked texts get.

    Those are the replies of the version that it began with, so that the file agrees with itself.
    """
    with ready_database() as database, database.read() as db:
        recording = next(find_recordings(db, [id]), None)
        if recording is None:
            raise SettingsError(
                f"There is no conversation {id} to read. Look for its id in the history."
            )
        version = Conversation.find_by_id(db, id).version
        catalog = Catalog({version.name: version.definition}).select(version.name)
    file.write_bytes(recording.as_test(open_people(settings).values(), catalog))
    echo(f"Saved to {file}. Read it before you share it: only known names and numbers are masked.")


def print_diff(replayed: list[Replayed]) -> int:
    """Print each difference once, the most frequent first; return how many replies differ."""
    differences: dict[tuple[str, str], list[tuple[Recording, str]]] = defaultdict(list)
    for recording, replies in replayed:
        for exchange, reply in zip(recording.exchanges, replies, strict=True):
            if exchange.reply != reply:
                difference = exchange.reply or "", reply or ""
                differences[difference].append((recording, exchange.text))
    for (before, after), found in sorted(differences.items(), key=lambda item: -len(item[1])):
        recording, text = found[0]
        origin = f"conversation {recording.conversation}" if recording.conversation else "a file"
        location = f"{origin} ({recording.questionnaire}), at {text!r}"
        echo(f"{pluralize(len(found), 'time')}, first in {location}")
        echo(f"  - {before or SILENCE}", fg="red")
        echo(f"  + {after or SILENCE}", fg="green")
    total = sum(len(replies) for _, replies in replayed)
    differing = sum(map(len, differences.values()))
    conversations = pluralize(len(replayed), "conversation")
    echo(f"{differing} of {total} replies differ, in {conversations}.")
    return differing
