"""The power fails: what was acknowledged is on the disk, whole and once."""

import random
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from recording import Call, File, read_calls, strace
from rig import TMPFS, Guests, Server, Text, audit, running


class Recording(NamedTuple):
    """A database as it was at first, all calls on it, and what was acknowledged meanwhile."""

    base: bytes
    calls: list[Call]
    acknowledged: list[Text]


def record(folder: Path, migrated: Path, texts: int, guests: int, **options) -> Recording:
    """Have a server under strace take this many texts."""
    server = Server(folder, under=strace(folder), **options)
    shutil.copy(migrated, server.database)
    with running(server):
        with Guests(server, guests) as texting:
            texting.wait_for(texts, patience=120)
    calls = list(read_calls(folder / "trace", server.database))
    return Recording(migrated.read_bytes(), calls, texting.acknowledged)


# A sync before every answer ##################################################


def answered_unsynced(calls: Iterable[Call]) -> tuple[int, int]:
    """How many answers to texts there were, and how many left while the log was not on disk.

    With one guest and no results nothing else is written while an answer leaves.
    """
    log, answers, unsynced, written = File(), 0, 0, False
    for call in calls:
        if call.file == "-wal":
            log.take(call)
            written = written or call.name == "pwrite64"
        elif call.name == "answer" and b"<Response" in call.data:
            answers += 1
            unsynced += bool(log.since) or not written
            written = False
    return answers, unsynced


def test_every_answer_leaves_after_a_sync(tmp_path, migrated, size):
    texts = size(20, 200)
    calls = record(tmp_path, migrated, texts, guests=1, results_to=None).calls
    answers, unsynced = answered_unsynced(calls)
    print(f"{answers - unsynced} of {answers} answers after a sync")
    assert answers >= texts
    assert unsynced == 0


def test_the_check_notices_answers_before_the_sync(tmp_path, migrated):
    weak = {"results_to": None, "weakness": "sync_later"}
    answers, unsynced = answered_unsynced(record(tmp_path, migrated, 10, 1, **weak).calls)
    assert unsynced == answers >= 10


# Power cuts ##################################################################


class Image(NamedTuple):
    """What a power cut left, and how many texts had been acknowledged."""

    database: bytes
    log: bytes
    acknowledged: list[Text]


def cut_power(recording: Recording, count: int, seed: int) -> Iterator[Image]:
    """Images of this many power cuts, at moments spread over all calls."""
    chance = random.Random(seed)
    moments = Counter(chance.choices(range(len(recording.calls)), k=count))
    files = {"": File(bytearray(recording.base)), "-wal": File()}
    by_reply = {reply_of(text.content): text for text in recording.acknowledged}
    acknowledged: list[Text] = []
    for moment, call in enumerate(recording.calls):
        for _ in range(moments[moment]):
            database, log = (files[name].after_power_cut(chance) for name in ("", "-wal"))
            yield Image(database, log, acknowledged.copy())
        if call.name != "answer":
            files[call.file].take(call)
        elif text := by_reply.get(reply_of(call.data)):
            acknowledged.append(text)


def reply_of(answer: bytes) -> bytes | None:
    """The id of the outbound message in an answer, which no other answer has."""
    found = re.search(rb"message=(\d+)", answer)
    return found and found[1]


def recover(image: Image, folder: Path) -> list[str]:
    """What is wrong with a database once SQLite has recovered it."""
    database = folder / "smsconvo.db"
    database.write_bytes(image.database)
    Path(f"{database}-wal").write_bytes(image.log)
    Path(f"{database}-shm").unlink(missing_ok=True)
    return audit(database, image.acknowledged)


def examine(recording: Recording, count: int, seed: int) -> list[str]:
    """All complaints about this many images."""
    with TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None) as folder:
        images = cut_power(recording, count, seed)
        return [complaint for image in images for complaint in recover(image, Path(folder))]


def examine_on_both_cores(recording: Recording, count: int) -> list[str]:
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        found = pool.map(partial(examine, recording, count // 2), (1, 2))
        return [complaint for one in found for complaint in one]


def tell(recording: Recording, count: int) -> str:
    names = Counter(f"{call.name}{call.file}" for call in recording.calls)
    return f"{count} images of {len(recording.acknowledged)} texts: {dict(names)}"


@pytest.mark.first
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path, migrated, size):
    count = size(300, 10_000)
    recording = record(tmp_path, migrated, size(60, 100), 4, weakness="checkpoint_often")
    print(tell(recording, count))
    assert sum(call.name == "pwrite64" and call.file == "" for call in recording.calls) > 20
    assert examine_on_both_cores(recording, count) == []


def test_the_check_notices_what_a_power_cut_loses(tmp_path, migrated):
    recording = record(tmp_path, migrated, 40, 4, weakness="sync_later,checkpoint_often")
    found = (complaint for seed in range(20) for complaint in examine(recording, 100, seed))
    assert any(" is None" in complaint for complaint in found)
