"""commands/replay.py"""

import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import click

from commands.database import ready_database
from commands.terminal import echo, pluralize
from models import Catalog, Conversation
from models.replay import Recording, find_ids, find_recordings
from models.replay import load as load_recording
from models.replay import replay as replay_recording
from resources import migrate_database, open_catalog, open_database, open_people
from settings import Settings, SettingsError
from storage import Database


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--last", default=1000, show_default=True, help="How many of the newest to take.")
@click.option("--conversation", "ids", type=int, multiple=True, help="Only this one, by its id.")
@click.option("--save", type=click.Path(path_type=Path), help="Keep that one in a file, masked.")
def replay(files: tuple[Path, ...], last: int, ids: tuple[int, ...], save: Path | None) -> None:
    """Hold recorded conversations again, and show which replies differ.

    The questionnaires are the files of now; the conversations come from the database, or from FILES
    that --save wrote. It happens in a database of its own, which is thrown away, and nothing is
    sent. The status is 1 where a reply differs.
    """
    if save and (len(ids) != 1 or files):
        raise click.UsageError("Say which one to save: --conversation ID --save FILE.")
    settings = Settings.from_env(os.environ)
    if save:
        save_recording(settings, ids[0], save)
        return
    questionnaires = open_catalog(settings)
    with trial_database() as trial:
        if files:
            compared = compare_files(files, questionnaires, trial)
        else:
            compared = compare_recorded(ids, last, questionnaires, trial)
    if print_diff(compared):
        sys.exit(1)


@contextmanager
def trial_database() -> Iterator[Database]:
    with TemporaryDirectory(prefix="smsconvo-") as folder:
        settings = Settings(database_url=f"sqlite:///{folder}/trial.db")
        migrate_database(settings)
        with open_database(settings) as database:
            yield database


class Compared(NamedTuple):
    """A recorded conversation, and what is said in it now."""

    recording: Recording
    replies: list[str | None]


def compare_recorded(
    ids: tuple[int, ...], last: int, questionnaires: Catalog, trial: Database
) -> list[Compared]:
    with ready_database() as database, database.read() as db:
        ids = ids or find_ids(db, last)
        recordings = find_recordings(db, ids)
        with click.progressbar(recordings, len(ids), "Replaying", file=sys.stderr) as bar:
            return [replay_one(one, questionnaires, trial) for one in bar]


def compare_files(
    files: tuple[Path, ...], questionnaires: Catalog, trial: Database
) -> list[Compared]:
    """Each with the questionnaire that it names, on whatever number that one is in use."""
    compared = []
    for file in files:
        try:
            recording = load_recording(file)
            only = questionnaires.select(recording.questionnaire)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        compared.append(replay_one(recording, only, trial))
    return compared


def replay_one(recording: Recording, questionnaires: Catalog, trial: Database) -> Compared:
    replies = trial.write(lambda db: replay_recording(db, recording, questionnaires))
    return Compared(recording, replies)


def save_recording(settings: Settings, id: int, file: Path) -> None:
    """As the version it began with says it to the masked texts, so that file and replies agree."""
    with ready_database() as database, database.read() as db:
        recording = next(find_recordings(db, [id]), None)
        if recording is None:
            raise SettingsError(f"There is no conversation {id}. Look for its id in the history.")
        version = Conversation.find_by_id(db, id).version
        own = Catalog({version.name: version.definition}).select(version.name)
    masked = recording.masked(open_people(settings).values())
    with trial_database() as trial:
        replies = replay_one(masked, own, trial).replies
    file.write_bytes(masked.saying(replies).encoded())
    echo(f"Saved to {file}. Read it before you share it: only known names and numbers are masked.")


def print_diff(compared: list[Compared]) -> int:
    """Each difference once, the most frequent first; how many replies differ."""
    differences: dict[tuple[str, str], list[tuple[Recording, str]]] = defaultdict(list)
    for one in compared:
        for turn, reply in zip(one.recording.turns, one.replies, strict=True):
            if turn.reply != reply:
                differences[turn.reply or "", reply or ""].append((one.recording, turn.said))
    for (before, now), found in sorted(differences.items(), key=lambda one: -len(one[1])):
        recording, said = found[0]
        origin = f"conversation {recording.conversation}" if recording.conversation else "a file"
        place = f"{origin} ({recording.questionnaire}), at {said!r}"
        echo(f"{pluralize(len(found), 'time')}, first in {place}")
        echo(f"  - {before or SILENCE}", fg="red")
        echo(f"  + {now or SILENCE}", fg="green")
    total = sum(len(one.replies) for one in compared)
    differing = sum(map(len, differences.values()))
    held = pluralize(len(compared), "conversation")
    echo(f"{differing} of {total} replies differ, in {held}.")
    return differing


SILENCE = "(silence)"
