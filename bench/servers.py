"""Run a server as shipped, and a receiver of its results; measure what texts to it cost."""

import re
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import chdir, contextmanager, suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psutil
from common import HERE, NOWHERE, Figures
from phones import GUESTS, text_for

from commands.rehearse import rehearsal_environment, running_server
from settings import Settings

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@contextmanager
def serving(
    program: Path,
    database: str | None = None,
    options: Collection[str] = (),
    receiver: str = NOWHERE,
) -> Iterator[tuple[Settings, psutil.Process]]:
    """Run the program with the questionnaires that ship, by default on a new database."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        environ = rehearsal_environment() | {
            "SMSCONVO_QUESTIONNAIRES": str(HERE / "questionnaires"),
            "SMSCONVO_PEOPLE": str(HERE / "people.toml"),
        }
        environ |= {"DATABASE_URL": database} if database else {}
        with running_server(environ, receiver, program, options) as server:
            yield Settings.from_env(environ), psutil.Process(server.pid)


def measure(
    settings: Settings,
    server: psutil.Process,
    phones: int,
    seconds: float,
    *,
    warming: float = 0,
    first_guest: int = 0,
    others: Mapping[str, Callable[[], float]] | None = None,
) -> Figures:
    """Have phones text a server, if need be after some seconds that do not count.

    `others` tell the processor time of what else takes part in a turn.
    """
    if warming:
        text_for(settings, phones, warming, first_guest + GUESTS // 2)
    meters = {"cpu_ms_per_turn": partial(seconds_used, server), **(others or {})}
    size, used = bytes_on_disk(settings), {name: meter() for name, meter in meters.items()}
    turns = text_for(settings, phones, seconds, first_guest)
    used = {name: meter() - used[name] for name, meter in meters.items()}
    count = len(turns.durations)
    return {
        "seconds": round(turns.seconds, 2),
        "turns_per_second": round(count / turns.seconds, 1),
        "median_ms": round(turns.milliseconds(0.5), 2),
        "p99_ms": round(turns.milliseconds(0.99), 2),
        "longest_ms": round(turns.milliseconds(1), 2),
        **{name: round(1000 * time / count, 3) for name, time in used.items()},
        "memory_mib": round(memory_of(server), 1),
        "disk_bytes_per_turn": round((bytes_on_disk(settings) - size) / count),
        "unanswered": turns.unanswered,
    }


def measure_program(
    program: Path, phones: int, seconds: float, database: str | None = None, **options: Any
) -> Figures:
    """Measure a program that runs for this only, by default on a new database."""
    with serving(program, database) as running:
        return measure(*running, phones, seconds, **options)


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


@contextmanager
def receiving() -> Iterator[tuple[str, psutil.Process]]:
    """A receiver that accepts every result and does nothing else: its URL, and its process."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        process = get_context("fork").Process(target=_receive, args=(server,), daemon=True)
        process.start()
        try:
            port = server.getsockname()[1]
            yield f"http://127.0.0.1:{port}/results", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.join()


def _receive(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        with connection, suppress(OSError):  # an attempt may be aborted
            _read(connection)
            connection.sendall(NO_CONTENT)


def _read(connection: socket.socket) -> None:
    """Read a whole request, which may come in pieces."""
    request = b""
    while chunk := connection.recv(65536):
        request += chunk
        head, separator, body = request.partition(b"\r\n\r\n")
        if separator and len(body) >= int(LENGTH.search(head)[1]):
            return
