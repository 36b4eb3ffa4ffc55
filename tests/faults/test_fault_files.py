"""Somebody moves, replaces, removes or links the files of the database while guests text.

What was acknowledged is in a file that the operator is pointed to; or it was never acknowledged.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
from conftest import HANG_SECONDS, until
from rig import Guests, Server, Text, audit, running

from storage.sqlite_connection import sqlite3

LANES = 4  # servers at a time: most of a round is waiting
GUESTS = 2
PAUSE_SECONDS = 0.05  # after each text: the machine is for the servers that start
AFTERWARDS_SECONDS = 1.0  # by then nobody may be told any more that a text was kept which is lost


def serve_files(folder: Path, weakness: str | None = None, workers: int = 2) -> Server:
    """A server whose database has a folder of its own; by default two processes answer."""
    database = folder / "data" / "smsconvo.db"
    database.parent.mkdir(parents=True)
    settings = {"DATABASE_URL": f"sqlite:///{database}"}
    server = Server(folder, weakness=weakness, settings=settings, workers=workers)
    server.database = database
    return server


# What somebody does; what undoes it, if anything can #########################

Undo = Callable[[], object]


def nothing_to_undo() -> None: ...


def wal(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal")


def shm(database: Path) -> Path:
    return database.with_name(f"{database.name}-shm")


def move(database: Path) -> Undo:
    away = database.with_name("away.db")
    database.rename(away)
    return lambda: away.rename(database)


def move_all(database: Path) -> Undo:
    elsewhere = database.with_name("elsewhere")
    elsewhere.mkdir(exist_ok=True)
    moved = [
        path.rename(elsewhere / path.name)
        for path in (database, wal(database), shm(database))
        if path.exists()
    ]
    return lambda: [path.rename(database.with_name(path.name)) for path in moved]


def move_there_and_back(database: Path) -> Undo:
    move(database)()
    return nothing_to_undo


def rename_folder(database: Path) -> Undo:
    away = database.parent.with_name("data.away")
    database.parent.rename(away)

    def undo() -> None:
        shutil.rmtree(database.parent, ignore_errors=True)
        away.rename(database.parent)

    return undo


def delete(database: Path) -> Undo:
    database.unlink()
    return nothing_to_undo


def delete_all(database: Path) -> Undo:
    for path in database.parent.glob("smsconvo.db*"):
        path.unlink()
    return nothing_to_undo


def delete_folder(database: Path) -> Undo:
    shutil.rmtree(database.parent)
    return nothing_to_undo


def replace(database: Path) -> Undo:
    """By the first backup, which lacks most of what was recorded since."""
    backup = database.parent.with_name("backup.db")
    if not backup.exists():
        shutil.copy(database, backup)
    shutil.copy(backup, database.with_name("backup.db")).replace(database)
    return nothing_to_undo


def replace_by_link(database: Path) -> Undo:
    real = database.with_name("real.db")
    database.rename(real)
    database.symlink_to(real)
    return lambda: real.replace(database)


def link(database: Path) -> Undo:
    other = database.with_name("other.db")
    os.link(database, other)
    return other.unlink


def delete_wal(database: Path) -> Undo:
    wal(database).unlink()
    return nothing_to_undo


def move_wal(database: Path) -> Undo:
    wal(database).rename(database.with_name("moved-wal"))
    return nothing_to_undo


def replace_wal(database: Path) -> Undo:
    backup = database.with_name("backup.db-wal")
    shutil.copy(wal(database), backup)
    backup.replace(wal(database))
    return nothing_to_undo


def delete_shm(database: Path) -> Undo:
    shm(database).unlink()
    return nothing_to_undo


def delete_wal_and_shm(database: Path) -> Undo:
    wal(database).unlink()
    shm(database).unlink()
    return nothing_to_undo


def delete_locks(database: Path) -> Undo:
    for name in ("smsconvo.db-gate", "smsconvo.db-server"):
        database.with_name(name).unlink(missing_ok=True)
    return nothing_to_undo


def chmod(database: Path) -> Undo:
    for path in (database, wal(database)):
        path.chmod(0o400)
    return lambda: [path.chmod(0o600) for path in (database, wal(database)) if path.exists()]


def lock_folder_a_while(database: Path) -> Undo:
    database.parent.chmod(0o000)
    time.sleep(0.1)
    database.parent.chmod(0o700)
    return nothing_to_undo


HARMS = (
    *(move, move_all, move_there_and_back, rename_folder, delete, delete_all, delete_folder),
    *(replace, replace_by_link, link, delete_wal, move_wal, replace_wal, delete_shm),
    *(delete_wal_and_shm, delete_locks, chmod, lock_folder_a_while),
)


@dataclass
class Lane:
    """A server, those who text it, and an operator who is as careless as can be."""

    server: Server
    guests: Guests
    chance: random.Random
    undo: list[Undo] = field(default_factory=list)
    done: Counter = field(default_factory=Counter)
    history: list[str] = field(default_factory=list)  # exit status None: the server went on
    misses: list[str] = field(default_factory=list)

    def meddle(self) -> None:
        """Do harm once or twice in a row; then see to it that the server answers again."""
        self.guests.wait_for(len(self.guests.acknowledged) + self.chance.randrange(1, 8))
        harms = self.chance.sample(HARMS, k=self.chance.choice((1, 2)))
        for harm in harms:
            with suppress(OSError):  # the one before has left it nothing
                self.undo.append(harm(self.server.database))
                self.done[harm.__name__] += 1
        self.wait_for_the_end(time.monotonic())
        if self.server.process.poll() is None and self.chance.random() < 0.2:
            self.server.stop()
        status = self.server.process.poll()
        self.history.append(f"{' '.join(harm.__name__ for harm in harms)}: {status}")
        if status is not None:
            self.start_again()
        self.undo.clear()

    def wait_for_the_end(self, harmed_at: float) -> None:
        """Until it has ended, or goes on as if nothing had happened."""
        later = lambda text: text.sent_at > harmed_at + AFTERWARDS_SECONDS  # noqa: E731
        until(lambda: self.server.process.poll() is not None or later(self.guests.acknowledged[-1]))

    def start_again(self) -> None:
        """Try to start it, as systemd does; if it refuses, do what it says."""
        acknowledged = list(self.guests.acknowledged)
        *_, sentence = self.server.log.read_text().splitlines()
        may_go_on = sentence.endswith("start smsconvo again.") or self.is_without_trace()
        if may_go_on or self.chance.random() < 0.8:
            self.mend()  # else it refuses to start
        self.server.start()
        if not self.is_listening():
            self.mend()
            self.server.start()
            assert self.is_listening(), self.server.log.read_text()[-2000:]
        lost = find_lost(self.server.database, acknowledged)
        self.misses += [f"{miss}, after {self.history[-2:]}" for miss in lost]

    def is_without_trace(self) -> bool:
        """Whether even the lock files are gone, as docs/operating.md has it for a new database."""
        folder = self.server.database.parent
        return folder.is_dir() and not any(folder.glob("smsconvo.db*"))

    def is_listening(self) -> bool:
        until(lambda: self.server.is_listening() or self.server.process.poll() is not None)
        return self.server.process.poll() is None

    def mend(self) -> None:
        """Put the rescued copy in place, or undo what was done."""
        database = self.server.database
        if rescued := sorted(database.parent.glob("smsconvo.db.rescued-*")):
            for path in (database, wal(database), shm(database)):
                path.unlink(missing_ok=True)
            rescued[-1].rename(database)
            for path in rescued[:-1]:
                path.unlink()
            return
        while self.undo:
            with suppress(OSError):
                self.undo.pop()()


def find_lost(database: Path, acknowledged: list[Text]) -> list[str]:
    """Acknowledged texts that are not in the database."""
    with closing(sqlite3.connect(database)) as connection:
        try:
            kept = {sid for (sid,) in connection.execute("SELECT sid FROM messages")}
        except sqlite3.Error as error:
            return [str(error)]
    return [f"{text.sid} {text.body!r} is lost" for text in acknowledged if text.sid not in kept]


def run_lane(folder: Path, seed: int, harms: int) -> Lane:
    """Do this much harm, or less if something is lost."""
    weakness, workers = "checkpoint_often" if seed % 2 else None, 1 + seed // 2 % 2
    server = serve_files(folder, weakness, workers)
    with running(server):
        with Guests(server, GUESTS, PAUSE_SECONDS) as guests:
            lane = Lane(server, guests, random.Random(seed))
            while lane.done.total() < harms and not lane.misses:
                lane.meddle()
        server.stop()
    lane.misses += audit(server.database, guests.acknowledged) + guests.surprises
    return lane


@pytest.mark.first
def test_nothing_acknowledged_is_lost_whatever_is_done_to_the_files(tmp_path, size):
    each, started = size(3, 75), time.monotonic()
    with ThreadPoolExecutor(LANES) as pool:
        lanes = list(pool.map(lambda n: run_lane(tmp_path / str(n), n, each), range(LANES)))
    done = sum((lane.done for lane in lanes), Counter())
    statuses = Counter(end.rpartition(" ")[2] for lane in lanes for end in lane.history)
    texts = sum(len(lane.guests.acknowledged) for lane in lanes)
    print(f"{done.total()} times in {time.monotonic() - started:.0f} s, {texts} texts: {done}")
    print(f"exit statuses: {statuses}")
    assert [miss for lane in lanes for miss in lane.misses] == []
    assert done.total() >= each * LANES


def broken_lines(server: Server) -> list[str]:
    return [line["why"] for line in server.logged() if line["event"] == "broken"]


def text_some(server: Server) -> list[Text]:
    with Guests(server, 1) as guests:
        guests.wait_for(12)
    return guests.acknowledged


@pytest.mark.parametrize("harm", [move, delete_all, delete_folder, replace, link])
def test_a_server_whose_files_are_gone_says_so_once_and_ends_until_somebody_acts(tmp_path, harm):
    with running(serve_files(tmp_path)) as server:
        acknowledged = text_some(server)
        harm(server.database)  # and nobody texts
        assert server.process.wait(HANG_SECONDS) == os.EX_CONFIG
        (why,) = broken_lines(server)
        *_, sentence = server.log.read_text().splitlines()
        assert why.endswith(sentence)
        server.start()
        assert server.process.wait(HANG_SECONDS) == os.EX_CONFIG
        *_, again = server.log.read_text().splitlines()
        assert again == sentence
        assert harm is link or not broken_lines(server)[1:]
        lane = Lane(server, None, None, undo=[database_link(server).unlink] * (harm is link))
        lane.mend()
        server.start()
        server.wait_until_listening()
        assert find_lost(server.database, acknowledged) == []
        assert text_some(server)


def database_link(server: Server) -> Path:
    return server.database.with_name("other.db")


LOST_LOGS = [(delete_wal, 1), (move_wal, 1), (delete_wal, 2), (delete_shm, 2)]


@pytest.mark.parametrize("harm, workers", [*LOST_LOGS, (delete_wal_and_shm, 2)])
def test_a_log_that_was_taken_away_costs_the_processes_and_no_text(tmp_path, harm, workers):
    with running(serve_files(tmp_path, workers=workers)) as server:
        acknowledged = text_some(server)
        before = server.processes()
        harm(server.database)
        until(lambda: broken_lines(server))
        until(lambda: len(server.processes() - before) == workers)
        text_some(server)
        assert len(broken_lines(server)) == 1
        assert server.process.poll() is None
        assert server.stop() == 0
        assert find_lost(server.database, acknowledged) == []


@pytest.mark.parametrize("harm", [delete, delete_wal])
def test_a_stop_right_after_it_loses_nothing(tmp_path, harm):
    with running(serve_files(tmp_path)) as server:
        acknowledged = text_some(server)
        harm(server.database)
        server.stop()
        Lane(server, None, None).mend()
        assert audit(server.database, acknowledged) == []


def test_a_server_whose_database_is_written_over_ends_and_leaves_it_as_it_is(tmp_path):
    with running(serve_files(tmp_path, "checkpoint_often")) as server:
        backup = tmp_path / "backup.db"
        with Guests(server, GUESTS) as guests:
            guests.wait_for(20)
            before = list(guests.acknowledged)
            with closing(sqlite3.connect(server.database)) as source:
                with closing(sqlite3.connect(backup)) as target:
                    source.backup(target)
            guests.wait_for(200)
        subprocess.run(["cp", backup, server.database], check=True)
        assert server.process.wait(HANG_SECONDS) == os.EX_CONFIG
        assert len(broken_lines(server)) == 1
        assert server.database.read_bytes() == backup.read_bytes()
        server.start()
        assert server.process.wait(HANG_SECONDS) == os.EX_CONFIG
        (log,) = server.database.parent.glob("smsconvo.db.overwritten-*")
        log.unlink()
        server.start()
        server.wait_until_listening()
        assert text_some(server)
        assert find_lost(server.database, before) == []


def test_data_that_cannot_be_saved_keeps_one_process_until_it_can(tmp_path):
    """Another one takes the place of that which is killed."""
    bound = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()
    server = serve_files(tmp_path, "rescue_often")
    server.under = bound
    with running(server):
        acknowledged = text_some(server)
        server.database.unlink()
        server.database.parent.chmod(0o500)
        until(lambda: broken_lines(server))
        time.sleep(2)
        assert requests.get(f"{server.url}/healthz", timeout=10).status_code == 503
        (why,) = broken_lines(server)
        assert "cannot be saved" in why
        first = int(re.search("Only process ([0-9]+)", why)[1])
        os.kill(first, signal.SIGKILL)
        until(lambda: broken_lines(server)[1:])
        _, why = broken_lines(server)
        assert "cannot be saved" in why and f"process {first}" not in why
        server.database.parent.chmod(0o700)
        assert server.process.wait(HANG_SECONDS) == os.EX_CONFIG
        assert "holds what was recorded" in broken_lines(server)[2]
        assert len(broken_lines(server)) == 3
        Lane(server, None, None).mend()
        assert audit(server.database, acknowledged) == []


def test_a_sender_whose_files_are_gone_says_so_and_ends(tmp_path):
    with running(serve_files(tmp_path)) as server:
        acknowledged = text_some(server)
        assert server.stop() == 0
    sender = server.run("deliver")
    try:
        until(lambda: any(line["event"] == "delivering" for line in server.logged()))
        time.sleep(0.5)
        server.database.rename(server.database.with_name("away.db"))
        assert sender.wait(HANG_SECONDS) == os.EX_SOFTWARE
    finally:
        sender.kill()
    assert len(broken_lines(server)) == 1
    Lane(server, None, None, undo=[]).mend()
    assert find_lost(server.database, acknowledged) == []


@pytest.mark.parametrize("harm", [delete, delete_wal, delete_wal_and_shm])
def test_guard_a_server_that_trusts_its_files_loses_texts(tmp_path, harm):
    server = serve_files(tmp_path, "trust_the_files")
    with running(server), Guests(server, GUESTS) as guests:
        guests.wait_for(20)
        harm(server.database)
        guests.wait_for(len(guests.acknowledged) + 20)
    assert find_lost(server.database, guests.acknowledged) != []
