"""How many turns a second `serve` answers, how long each takes, and what it costs.

A turn is one text and its reply. The phones text whole questionnaires over real HTTP, signed and
with cookies, against the server as shipped; they and the server share the machine. So beside each
figure stands that of an empty handler, under the same server and the same phones, in the same run:
the ratio of the two means something on any machine.

The phones take as much of the processors as the server, and wait for each other. How long a turn
takes where they are elsewhere is told by light ones, which take next to nothing.
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
    """Of one server under so many phones."""

    phones: int
    turns: Turns
    cpu: float  # seconds of a processor that the server took for a turn
    memory: float  # MiB, the proportional set size of all its processes
    disk: float  # bytes for a turn, database and log

    def told(self) -> dict[str, float]:
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
@click.option("--long-run", default=0, help="Watch the memory over so many turns.")
@click.option("--json", "for_machines", is_flag=True, help="Tell it as JSON.")
def main(
    phones: tuple[int, ...], seconds: float, burst: int, long_run: int, for_machines: bool
) -> None:
    """Measure turns per second, their time and their cost, beside an empty handler's."""
    told: dict = {"runs": [], "syncs_per_second": round(count_syncs(), 1)}
    for number in phones:
        programs = {"ours": OURS, "empty": EMPTY}
        run = {which: measure(one, number, seconds) for which, one in programs.items()}
        run |= {
            f"{which}, light": measure(one, number, seconds, text=text_lightly)
            for which, one in programs.items()
        }
        told["runs"].append(compare({which: figures.told() for which, figures in run.items()}))
    if burst:
        told["bursts"] = {
            "ours": measure_burst(OURS, burst, text_once),
            "empty": measure_burst(EMPTY, burst, text_once),
            "ours, light": measure_burst(OURS, burst, text_once_lightly),
            "empty, light": measure_burst(EMPTY, burst, text_once_lightly),
        }
    told["start_seconds"] = measure_start()
    keep(told, "turns")
    if long_run:
        told["memory"] = measure_memory(long_run)
        keep(told["memory"], "memory")
    click.echo(json.dumps(told, indent=2) if for_machines else "\n".join(tabulate(told)))


def keep(told: dict | list, name: str) -> None:
    """For `plot.py`, and for whoever compares."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(told, indent=2) + "\n", "utf-8")


def compare(run: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
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
    """The program on a database, by default an empty one, with the questionnaires that ship."""
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
    met: int = 0,
    text: Callable[[Settings, int, float, int], Turns] = text_for,
) -> Figures:
    with serving(program, database) as (settings, server):
        cpu, size = seconds_used(server), bytes_on_disk(settings)
        turns = text(settings, phones, seconds, met)
        count = len(turns.each)
        cpu, size = seconds_used(server) - cpu, bytes_on_disk(settings) - size
        return Figures(phones, turns, cpu / count, memory_of(server), size / count)


def measure_burst(
    program: Path, phones: int, text: Callable[[Settings, int], Turns]
) -> dict[str, float]:
    with serving(program) as (settings, _):
        turns = text(settings, phones)
    return {
        "phones": phones,
        "all_answered_seconds": round(turns.together, 2),
        "p99_ms": round(turns.milliseconds(0.99), 1),
        "unanswered": turns.unanswered,
    }


def measure_start() -> float:
    """From the command to the first 200, on a database that is there."""
    with serving(OURS) as (settings, server):
        environ = server.environ()
        arguments = server.cmdline()
        server.terminate()
        server.wait(30)
        began = time.perf_counter()
        again = psutil.Popen(arguments, env=environ, stderr=-3, stdout=-3)
        wait_for_200(settings)
        took = time.perf_counter() - began
        again.terminate()
        again.wait(30)
    return round(took, 2)


def measure_memory(count: int) -> list[dict[str, float]]:
    """MiB after so many turns of 16 phones, from none to `count`."""
    with serving(OURS) as (settings, server):
        turns, told = 0, []
        while True:
            told.append({"turns": turns, "memory_mib": round(memory_of(server), 1)})
            if turns >= count:
                return told
            met = turns  # whoever texted before is not met again
            turns += len(text_for(settings, 16, SAMPLE_SECONDS, met).each)


def wait_for_200(settings: Settings) -> None:
    while True:
        try:
            if requests.get(f"{settings.public_url}/healthz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.005)


def family(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]


def seconds_used(process: psutil.Process) -> float:
    """Of a processor, by a process and all that have come from it, those that ended too."""
    own = process.cpu_times()
    seconds = own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # PostgreSQL's come and go
            times = child.cpu_times()
            seconds += times.user + times.system
    return seconds


def memory_of(server: psutil.Process) -> float:
    return sum(one.memory_full_info().pss for one in family(server)) / 1024**2


def bytes_on_disk(settings: Settings) -> int:
    path = settings.database_url.removeprefix("sqlite:///")
    return sum(Path(path + end).stat().st_size for end in ("", "-wal") if Path(path + end).exists())


def count_syncs() -> float:
    """How often a second the disk takes 4 KiB and says that it has them."""
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


def tabulate(told: dict) -> Iterator[str]:
    yield f"{'phones':>6}  {'':12}" + "".join(f"{name:>13}" for name in COLUMNS.values())
    for run in told["runs"]:
        for which, figures in run.items():
            cells = "".join(f"{figures.get(name, '-'):>13}" for name in COLUMNS)
            yield f"{figures.get('phones', ''):>6}  {which:12}{cells}"
    for which, burst in told.get("bursts", {}).items():
        yield (
            f"burst, {which}: {burst['phones']} phones answered in"
            f" {burst['all_answered_seconds']} s, {burst['unanswered']} unanswered"
        )
    yield f"start to first 200: {told['start_seconds']} s"
    yield f"the disk: {told['syncs_per_second']} syncs/s"
    for one in told.get("memory", ()):
        yield f"after {one['turns']} turns: {one['memory_mib']} MiB"


if __name__ == "__main__":
    main()
