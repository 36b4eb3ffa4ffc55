"""How many turns a second `serve` answers, how long each takes, and what it costs.

A turn is a text and its reply. The phones answer whole questionnaires over real HTTP, signed and
with cookies. They share the machine with the server, which runs as shipped. So each figure stands
beside that of an empty handler, under the same server and phones, in the same run: the ratio of
the two means something on any machine.

The phones take as much processor time as the server, and wait for each other. Light phones take
little: they show how long a turn takes where the phones are elsewhere.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL

import click
import psutil
import requests

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from layers import HERE, NOWHERE
from lean import text_lightly, text_once_lightly
from phones import Turns, text_for, text_once

from commands.rehearse import rehearsal_environment, running_server
from settings import Settings

OURS, EMPTY = HERE / "smsconvo.py", HERE / "bench" / "empty.py"
RESULTS = HERE / "bench" / "results"
SYNCS = 200
SAMPLE_SECONDS = 20  # between two looks at the memory


@dataclass
class Figures:
    """What was measured of a server under so many phones."""

    phones: int
    turns: Turns
    cpu: float  # seconds of a processor for a turn, by all processes of the server
    memory: float  # MiB, the proportional set size of those processes
    disk: float  # bytes for a turn, database and log

    def as_dict(self) -> dict[str, float]:
        return {
            "phones": self.phones,
            "turns_per_second": round(self.turns.rate, 1),
            "median_ms": round(self.turns.median, 2),
            "p99_ms": round(self.turns.milliseconds(0.99), 2),
            "longest_ms": round(self.turns.milliseconds(1), 2),
            "cpu_ms_per_turn": round(1000 * self.cpu, 3),
            "memory_mib": round(self.memory, 1),
            "disk_bytes_per_turn": round(self.disk),
            "unanswered": self.turns.unanswered,
        }


@click.command()
@click.option("--phones", multiple=True, type=int, default=(16, 256, 2000), show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text.")
@click.option("--burst", default=2000, show_default=True, help="Phones that text at one moment.")
@click.option("--long-run", default=0, help="Watch the memory for so many turns.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(phones: tuple[int, ...], seconds: float, burst: int, long_run: int, as_json: bool) -> None:
    """Measure turns per second, their time and their cost, beside an empty handler's."""
    report: dict = {"runs": [], "syncs_per_second": round(count_syncs(), 1)}
    for number in phones:
        run = {
            "ours": measure(OURS, number, seconds),
            "empty": measure(EMPTY, number, seconds),
            "ours, light": measure(OURS, number, seconds, text=text_lightly),
            "empty, light": measure(EMPTY, number, seconds, text=text_lightly),
        }
        report["runs"].append(add_ratio({name: figures.as_dict() for name, figures in run.items()}))
    if burst:
        report["bursts"] = {
            "ours": measure_burst(OURS, burst, text_once),
            "empty": measure_burst(EMPTY, burst, text_once),
            "ours, light": measure_burst(OURS, burst, text_once_lightly),
            "empty, light": measure_burst(EMPTY, burst, text_once_lightly),
        }
    report["start_seconds"] = measure_start()
    save_results(report, "turns")
    if long_run:
        report["memory"] = measure_memory(long_run)
        save_results(report["memory"], "memory")
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(tabulate(report)))


def save_results(report: dict | list, name: str) -> None:
    """Write `results/NAME.json`, which `plot.py` reads."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def add_ratio(run: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    ours, empty = run["ours"], run["empty"]
    return run | {
        "ratio": {name: round(ours[name] / empty[name], 3) for name in COLUMNS if empty[name]}
    }


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
    program: Path,
    phones: int,
    seconds: float,
    database: str | None = None,
    first_guest: int = 0,
    text: Callable[[Settings, int, float, int], Turns] = text_for,
) -> Figures:
    with serving(program, database) as (settings, server):
        cpu, size = seconds_used(server), bytes_on_disk(settings)
        turns = text(settings, phones, seconds, first_guest)
        count = len(turns.durations)
        cpu, size = seconds_used(server) - cpu, bytes_on_disk(settings) - size
        return Figures(phones, turns, cpu / count, memory_of(server), size / count)


def measure_burst(
    program: Path, phones: int, text: Callable[[Settings, int], Turns]
) -> dict[str, float]:
    with serving(program) as (settings, _):
        turns = text(settings, phones)
    return {
        "phones": phones,
        "all_answered_seconds": round(turns.seconds, 2),
        "p99_ms": round(turns.milliseconds(0.99), 1),
        "unanswered": turns.unanswered,
    }


def measure_start() -> float:
    """Seconds from the command to the first 200, on a database that exists."""
    with serving(OURS) as (settings, server):
        environ = server.environ()
        arguments = server.cmdline()
        server.terminate()
        server.wait(30)
        began = time.perf_counter()
        restarted = psutil.Popen(arguments, env=environ, stderr=DEVNULL, stdout=DEVNULL)
        wait_for_200(settings)
        seconds = time.perf_counter() - began
        restarted.terminate()
        restarted.wait(30)
    return round(seconds, 2)


def measure_memory(count: int) -> list[dict[str, float]]:
    """MiB after so many turns of 16 phones, from none to `count`."""
    with serving(OURS) as (settings, server):
        turns, samples = 0, []
        while True:
            samples.append({"turns": turns, "memory_mib": round(memory_of(server), 1)})
            if turns >= count:
                return samples
            # A number that no phone has come to yet, so that every guest is new.
            turns += len(text_for(settings, 16, SAMPLE_SECONDS, first_guest=turns).durations)


def wait_for_200(settings: Settings) -> None:
    while True:
        try:
            if requests.get(f"{settings.public_url}/healthz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.005)


def processes_of(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]


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
    return sum(process.memory_full_info().pss for process in processes_of(server)) / 1024**2


def bytes_on_disk(settings: Settings) -> int:
    path = settings.database_url.removeprefix("sqlite:///")
    files = [Path(path), Path(f"{path}-wal")]
    return sum(file.stat().st_size for file in files if file.exists())


def count_syncs() -> float:
    """How many writes of 4 KiB the disk syncs in a second."""
    with tempfile.NamedTemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(SYNCS):
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
        return SYNCS / (time.perf_counter() - began)


COLUMNS = {
    "turns_per_second": "turns/s",
    "median_ms": "median ms",
    "p99_ms": "p99 ms",
    "longest_ms": "longest ms",
    "cpu_ms_per_turn": "CPU ms/turn",
    "memory_mib": "MiB",
    "disk_bytes_per_turn": "bytes/turn",
    "unanswered": "unanswered",
}


def tabulate(report: dict) -> Iterator[str]:
    yield f"{'phones':>6}  {'':12}" + "".join(f"{name:>13}" for name in COLUMNS.values())
    for run in report["runs"]:
        for server, figures in run.items():
            cells = "".join(f"{figures.get(name, '-'):>13}" for name in COLUMNS)
            yield f"{figures.get('phones', ''):>6}  {server:12}{cells}"
    for server, burst in report.get("bursts", {}).items():
        yield (
            f"burst, {server}: {burst['phones']} phones answered in"
            f" {burst['all_answered_seconds']} s, {burst['unanswered']} unanswered"
        )
    yield f"start to first 200: {report['start_seconds']} s"
    yield f"the disk: {report['syncs_per_second']} syncs/s"
    for sample in report.get("memory", ()):
        yield f"after {sample['turns']} turns: {sample['memory_mib']} MiB"


if __name__ == "__main__":
    main()
