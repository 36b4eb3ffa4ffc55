"""The disk fails or is full under SQLite; nobody is told that a text was kept which was not.

A system call is failed by strace, on the files of the database only. It counts the calls of each
thread by itself. One thread does all writes, so its count is that of the database; only the last
checkpoint, when the database is closed, is made and counted in another.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import pytest
from conftest import ACCOUNT_SID, AUTH_TOKEN, FEEDBACK, HANG_SECONDS, HERE, NUMBER
from rig import NOWHERE, REPLIES, TEXTS, TMPFS, Guests, Text, audit, serving

from phone import Phone, TwilioError, new_sid
from storage.sqlite_connection import PRAGMAS

BARE = Path(__file__).with_name("bare.py")
CALLS = ("pwrite64", "fsync,fdatasync", "ftruncate", "openat")
TRIES = 4  # of a text, before the guest takes it that this process will never answer
SENDER = "+14155550123"
DISK = 8 * 1024 * 1024
ROOM = 512 * 1024  # that the texts take by themselves
GUESTS = 4


@dataclass(frozen=True)
class Fault:
    """`call` fails with `error` at its n-th time; `lasting`: and from then on."""

    call: str
    error: str
    lasting: bool
    nth: int = 1

    def strace(self, database: Path, trace: Path) -> list[str]:
        when = f"{self.nth}{'+' if self.lasting else ''}"
        files = [f"{database}{ending}" for ending in ("", "-wal", "-shm", "-gate")]
        return [
            *("strace", "-f", "-o", str(trace), "-e", f"trace={self.call}"),
            *("-e", f"inject={self.call}:error={self.error}:when={when}"),
            *(option for file in files for option in ("-P", file)),
        ]


# What the worker does for its first texts: opens the lock and the database, syncs and writes.
IN_EARNEST = [
    Fault("openat", "EIO", False, 2),
    Fault("fsync,fdatasync", "EIO", False, 2),
    Fault("fsync,fdatasync", "EIO", True, 2),
    Fault("fsync,fdatasync", "ENOSPC", False, 2),
    Fault("pwrite64", "EIO", False, 40),
    Fault("pwrite64", "EIO", True, 40),
    Fault("pwrite64", "ENOSPC", True, 40),
    Fault("openat", "ENOSPC", True, 1),
]


@dataclass
class Guest:
    """Somebody who texts one questionnaire, whatever becomes of the server meanwhile."""

    acknowledged: list[Text] = field(default_factory=list)
    refusals: Counter = field(default_factory=Counter)  # by status; None: the server was gone
    sids: list[str] = field(default_factory=lambda: [new_sid() for _ in TEXTS])

    def text(self, phone: Phone, tries: int = TRIES, pause: float = 0) -> None:
        """Go on where it stopped, until the end or until a text is refused too often."""
        while tries and len(self.acknowledged) < len(TEXTS):
            said, sid = TEXTS[len(self.acknowledged)], self.sids[len(self.acknowledged)]
            sent_at = time.monotonic()
            try:
                replies = phone.text(said, sid=sid)
            except TwilioError:
                tries -= 1
                self.refusals[phone.last.status] += 1
                time.sleep(pause)
            else:
                content, at = phone.last.content, time.monotonic()
                self.acknowledged.append(
                    Text(SENDER, sid, said, replies, content, None, sent_at, at)
                )

    def misses(self, database: Path) -> list[str]:
        """What is wrong now that all is over."""
        told = [reply for text in self.acknowledged for reply in text.replies]
        return [
            *audit(database, self.acknowledged),
            *(f"{found!r} came back" for found in [told] if found != list(REPLIES[: len(told)])),
            *(f"status {status}" for status in self.refusals if status not in (503, None)),
        ]


class Nursery:
    """Starts bare apps, each in a process of its own (see bare.py), and fails their calls."""

    def __init__(self, folder: Path, migrated: Path) -> None:
        self.folder, self.migrated = folder, migrated
        self.socket = folder / "bare.sock"
        questionnaires = folder / "questionnaires"
        questionnaires.mkdir()
        results = f'\n[results]\nurl = "{NOWHERE}"\nformat = "json"\n'
        (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
        log = folder / "bare.log"
        with open(log, "wb") as stderr:
            self.mother = subprocess.Popen(
                [sys.executable, str(BARE), str(self.socket), str(questionnaires)],
                env=os.environ | {"PYTHONPATH": f"{HERE}:{HERE / 'tests'}"},
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        assert self.mother.stdout.readline() == b"ready\n", log.read_text()
        shutil.copy(migrated, folder / "first.db")
        with self.app(folder / "first.db") as phone:
            Guest().text(phone)

    def close(self) -> None:
        self.mother.kill()
        self.mother.communicate()

    @contextmanager
    def app(
        self, database: Path, fault: Fault | None = None, weakness: str | None = None
    ) -> Iterator[Phone]:
        """A phone to text an app that meets with this fault; afterwards the app has ended."""
        with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rw") as wire:
            connection.connect(str(self.socket))
            tell(wire, json.dumps({"database": str(database), "weakness": weakness}))
            pid, port = wire.readline().split()
            strace = fault and attach(fault.strace(database, database.with_name("trace")), int(pid))
            tell(wire, "go")
            assert wire.readline() == "ready\n"
            yield Phone(
                f"http://127.0.0.1:{port}/sms",
                account_sid=ACCOUNT_SID,
                auth_token=AUTH_TOKEN,
                sender=SENDER,
                number=NUMBER,
            )
            if fault and fault.lasting:  # the machine was switched off, as nothing worked any more
                os.kill(int(pid), 9)
            connection.shutdown(socket.SHUT_WR)
            wire.read()
        if strace:
            strace.communicate()

    def try_at(self, fault: Fault, weakness: str | None = None) -> tuple[bool, Guest, list[str]]:
        """Whether the fault came, who met with it, and what was found wrong."""
        folder = self.folder / f"{fault.call}-{fault.error}-{fault.lasting}-{fault.nth}"
        folder.mkdir()
        database, guest = folder / "smsconvo.db", Guest()
        shutil.copy(self.migrated, database)
        with self.app(database, fault, weakness) as phone:
            guest.text(phone)
        came = "(INJECTED)" in (folder / "trace").read_text()
        misses = guest.misses(copy_of(database))
        with self.app(database) as phone:
            guest.text(phone)
        misses += guest.misses(database)
        if len(guest.acknowledged) < len(TEXTS):
            misses.append(f"stuck at {len(guest.acknowledged)} texts after a new start")
        shutil.rmtree(folder)
        return came, guest, [f"{fault}: {miss}" for miss in misses]


def tell(wire: TextIO, line: str) -> None:
    wire.write(f"{line}\n")
    wire.flush()


def attach(strace: list[str], *pids: int) -> subprocess.Popen:
    """Returns when no system call of these processes escapes any more."""
    options = [option for pid in pids for option in ("-p", str(pid))]
    process = subprocess.Popen([*strace, *options], stderr=subprocess.PIPE, text=True)
    said = ""
    while not all(f"Process {pid} attached" in said for pid in pids):
        line = process.stderr.readline()
        said += line
        assert line, f"strace cannot attach: {said}"
    return process


def copy_of(database: Path) -> Path:
    """To audit: the next process must find the log as it was left, and an audit recovers it."""
    folder = database.with_name("copy")
    folder.mkdir()
    for ending in ("", "-wal"):
        with suppress(FileNotFoundError):
            shutil.copy(f"{database}{ending}", folder)
    return folder / database.name


@pytest.fixture(scope="module")
def nursery(migrated) -> Iterator[Nursery]:
    """In memory: which call fails is strace's business, and how long a sync takes is nobody's."""
    with TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None) as folder:
        nursery = Nursery(Path(folder), migrated)
        yield nursery
        nursery.close()


def sweep(nursery: Nursery, fault: Fault, step: int) -> tuple[int, Counter, list[str]]:
    """Fail every `step`-th call until there are no more; how many came, and how it went."""
    refusals, misses = Counter(), []
    for tried in count():
        came, guest, missed = nursery.try_at(replace(fault, nth=1 + tried * step))
        refusals += guest.refusals
        misses += missed
        if not came:
            return tried, refusals, misses


@pytest.mark.first
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "lasting"])
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_no_failed_system_call_makes_a_false_answer(nursery, size, error, lasting):
    for call in CALLS:
        fault = Fault(call, error, lasting)
        came, refusals, misses = sweep(nursery, fault, size(60, 1))
        print(f"{call}: {came} failed, {refusals}")
        assert misses == []
        assert came


@pytest.mark.parametrize("call, nth", [("pwrite64", 40), ("fsync,fdatasync", 3)])
def test_guard_an_answer_in_spite_of_a_failed_commit_is_noticed(nursery, call, nth):
    came, _, misses = nursery.try_at(Fault(call, "EIO", False, nth), "answer_first")
    assert came
    assert any("is None" in miss for miss in misses)


FAILED_SYNC = Fault("fsync,fdatasync", "EIO", False, 3)
# The first is the lock, and three are the files of the connection that only holds them.
OPENED_TO_READ = Fault("openat", "EIO", False, 5)


@pytest.mark.parametrize(
    "fault, weakness, refused",
    [
        (FAILED_SYNC, None, TRIES),
        pytest.param(FAILED_SYNC, "write_on", 1, id="guard"),
        (OPENED_TO_READ, None, 1),
        pytest.param(OPENED_TO_READ, "read_on", TRIES, id="guard"),
    ],
)
def test_a_process_goes_on_only_if_nothing_can_be_lost(nursery, fault, weakness, refused):
    """After a failed sync it does not; after an open that failed, which SQLite makes do with a
    database that can only be read, it does. The guards show what it would do unprotected."""
    came, guest, misses = nursery.try_at(fault, weakness)
    assert (came, guest.refusals[503], misses) == (True, refused, [])


def meet_in_earnest(folder: Path, fault: Fault) -> tuple[Guest, list[str]]:
    """`serve` meets with the fault while somebody texts it; how that ended.

    What fails once must not need anybody: the server mends itself. What lasts ends with a new
    start, on a machine that is well.
    """
    folder.mkdir()
    database, trace, guest = folder / "smsconvo.db", folder / "trace", Guest()
    with serving(folder, settings={"DATABASE_URL": f"sqlite:///{database}"}) as server:
        phone, all_of_it = server.phone(SENDER), processes(server.process.pid)
        traced = all_of_it if fault.lasting else all_of_it - {server.process.pid}
        strace = attach(fault.strace(database, trace), *traced)
        guest.text(phone, tries=12 if fault.lasting else 200, pause=0.2)
        if fault.lasting:
            server.kill()
        else:
            strace.terminate()
        strace.communicate()  # the port is taken until strace has let go of the last process
        if fault.lasting:
            server.start()
            server.wait_until_listening()
            guest.text(phone)
    assert "(INJECTED)" in trace.read_text()
    misses = guest.misses(database)
    if len(guest.acknowledged) < len(TEXTS):
        misses.append(f"stuck at {len(guest.acknowledged)} texts")
    return guest, [f"{fault}: {miss}" for miss in misses]


@pytest.mark.first
def test_the_server_gets_over_a_failing_disk(tmp_path, size):
    for n, fault in enumerate(IN_EARNEST[: size(1, len(IN_EARNEST))]):
        guest, misses = meet_in_earnest(tmp_path / str(n), fault)
        print(fault, guest.refusals)
        assert misses == []


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk in memory, of which every byte counts."""
    assert os.geteuid() == 0, "To mount a small disk, run the tests as root or: unshare -Urm pytest"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, but: int = 0) -> Path:
    """A file that takes all the room but this many bytes."""
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while not but or shutil.disk_usage(disk).free > but:
            file.write(bytes(4096))
    return filler


@dataclass
class Fullness:
    """How it went on a disk that is filled and freed, again and again."""

    refusals: Counter = field(default_factory=Counter)
    before: float = 0  # seconds that as many answers took at first
    waits: list[float] = field(default_factory=list)  # from room to the first answers, in seconds
    misses: list[str] = field(default_factory=list)


def text_on_a_full_disk(folder: Path, rounds: int, weakness: str | None = None) -> Fullness:
    """Every other time the filler leaves some room, and the texts themselves take that."""
    fullness = Fullness()
    with small_disk(folder / "disk") as disk:
        database = disk / "smsconvo.db"
        settings = {"DATABASE_URL": f"sqlite:///{database}"}
        with serving(folder, weakness=weakness, settings=settings) as server:
            with Guests(server, GUESTS) as guests:
                guests.wait_for(GUESTS)
                fullness.before = time_answers(guests)
                before = processes(server.process.pid)
                for n in range(rounds):
                    filler = fill(disk, but=ROOM * (n % 2))
                    if weakness:  # it refuses nobody
                        guests.wait_for(len(guests.acknowledged) + 100)
                    else:
                        wait_until_refused(guests)
                    filler.unlink()
                    fullness.waits.append(time_answers(guests))
            if processes(server.process.pid) != before:
                fullness.misses.append("another process answers")
        fullness.refusals.update(guests.refusals)
        fullness.misses += audit(database, guests.acknowledged) + guests.surprises
    return fullness


def time_answers(guests: Guests) -> float:
    """How many seconds some texts of each guest take from now on."""
    began = time.monotonic()
    guests.wait_for(len(guests.acknowledged) + 5 * GUESTS)
    return time.monotonic() - began


def wait_until_refused(guests: Guests) -> None:
    """Until nobody gets on. That may take a while: the log has room that was taken before."""
    enough = len(guests.refusals) + 5 * GUESTS
    deadline = time.monotonic() + HANG_SECONDS
    while len(guests.refusals) < enough:
        assert time.monotonic() < deadline, "nobody is refused on a full disk"
        time.sleep(0.002)


def processes(pid: int) -> set[int]:
    """A process with all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {pid}.union(*(processes(int(child)) for child in children))


def test_a_full_disk_is_refused_and_needs_no_restart(tmp_path, size):
    fullness = text_on_a_full_disk(tmp_path, size(2, 5))
    print(
        f"{fullness.refusals}, answered again after {max(fullness.waits):.2f} s at most,"
        f" {fullness.before:.2f} s at first"
    )
    assert fullness.misses == []
    assert set(fullness.refusals) == {503}
    # As long as SQLite waits for a lock; the machine may have become busier.
    assert max(fullness.waits) < 4 * fullness.before + PRAGMAS["busy_timeout"] / 1000


def test_guard_an_answer_before_the_commit_is_noticed_on_a_full_disk(tmp_path):
    fullness = text_on_a_full_disk(tmp_path, 1, weakness="answer_first")
    assert any("is None" in miss for miss in fullness.misses)
