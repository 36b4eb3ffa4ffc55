"""Run a server as shipped, have phones text it, and measure what that costs."""

import os
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType

import psutil
from common import HERE, NOWHERE, Figures
from phones import GUESTS, Kind, LightPhone, text_for

from commands.rehearse import rehearsal_environment, running_server
from settings import Settings


@contextmanager
def serving(
    program: Path,
    database: str | None = None,
    options: Collection[str] = (),
    receiver: str = NOWHERE,
) -> Iterator[tuple[Settings, psutil.Process]]:
    """Run the program with the questionnaires that ship, by default on a new database."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            environ = rehearsal_environment() | {
                "SMSCONVO_QUESTIONNAIRES": str(HERE / "questionnaires"),
                "SMSCONVO_PEOPLE": str(HERE / "people.toml"),
            }
            environ |= {"DATABASE_URL": database} if database else {}
            with running_server(environ, receiver, program, options) as server:
                yield Settings.from_env(environ), psutil.Process(server.pid)
        finally:
            os.chdir(before)


def measure(
    settings: Settings,
    server: psutil.Process,
    phones: int,
    seconds: float,
    kind: Kind = LightPhone,
    *,
    warming: float = 0,
    first_guest: int = 0,
    others: Mapping[str, Callable[[], float]] = MappingProxyType({}),
) -> Figures:
    """Have phones text a server, if need be after some seconds that do not count.

    `others` tell the processor time of what else takes part in a turn.
    """
    if warming:
        text_for(settings, phones, warming, kind, first_guest + GUESTS // 2)
    meters = {"cpu_ms_per_turn": partial(seconds_used, server), **others}
    size, used = bytes_on_disk(settings), {name: meter() for name, meter in meters.items()}
    turns = text_for(settings, phones, seconds, kind, first_guest)
    used = {name: meter() - used[name] for name, meter in meters.items()}
    count = len(turns.durations)
    return {
        "seconds": round(turns.seconds, 2),
        "turns_per_second": round(turns.rate, 1),
        "median_ms": round(turns.median, 2),
        "p99_ms": round(turns.milliseconds(0.99), 2),
        "longest_ms": round(turns.milliseconds(1), 2),
        **{name: round(1000 * time / count, 3) for name, time in used.items()},
        "memory_mib": round(memory_of(server), 1),
        "disk_bytes_per_turn": round((bytes_on_disk(settings) - size) / count),
        "unanswered": turns.unanswered,
    }


def seconds_used(process: psutil.Process) -> float:
    """Processor time of a process and of all that it started, also of those that ended."""
    own = process.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # PostgreSQL's come and go
            times = child.cpu_times()
            seconds += times.user + times.system
    return seconds


def memory_of(server: psutil.Process) -> float:
    """MiB, the proportional set size of all processes of a server."""
    processes = [server, *server.children(recursive=True)]
    return sum(process.memory_full_info().pss for process in processes) / 1024**2


def bytes_on_disk(settings: Settings) -> int:
    """The size of a SQLite database, with its log."""
    path = settings.database_url.removeprefix("sqlite:///")
    files = [Path(path), Path(f"{path}-wal")]
    return sum(file.stat().st_size for file in files if file.exists())
