"""How many turns a second `serve` answers, how long each takes, and what it costs.

A turn is a text and its reply. The phones answer whole questionnaires over real HTTP, signed and
with cookies. They share the machine with the server, which runs as shipped. So each figure stands
beside that of an empty handler, under the same server and phones, in the same run: the ratio of
the two means something on any machine.
"""

import os
import tempfile
import time
from functools import partial

import click
import requests
from common import (
    EMPTY,
    NOWHERE,
    OURS,
    Round,
    measure_rounds,
    print_rounds,
    save_results,
    show_spread,
)
from phones import text_for
from servers import measure_program, memory_of, serving

from commands.rehearse import running_server
from settings import Settings

SYNCS = 200
STARTS = 5
SAMPLE_SECONDS = 20  # between two looks at the memory


@click.command()
@click.option("--phones", multiple=True, type=int, default=(16, 256, 2000), show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text.")
@click.option("--rounds", default=3, show_default=True, help="Runs of each server.")
@click.option("--long-run", default=0, help="Watch the memory for so many turns.")
def main(phones: tuple[int, ...], seconds: float, rounds: int, long_run: int) -> None:
    """Measure turns per second, their time and their cost, beside an empty handler's.

    At last, the greatest number of phones text once, all at one moment.
    """
    runs = [measure_both(f"{number} phones", number, seconds, rounds) for number in phones]
    burst = measure_both(f"{max(phones)} phones, once", max(phones), 0, rounds)
    report = {"phones": phones, "runs": runs, "burst": burst}
    report |= {"start_seconds": measure_starts(), "syncs_per_second": round(count_syncs(), 1)}
    click.echo(f"start to first 200: {show_spread(report['start_seconds'])} s")
    click.echo(f"the disk: {report['syncs_per_second']} syncs/s")
    save_results(report, "turns")
    if long_run:
        save_results(measure_memory(long_run), "memory")


def measure_both(title: str, phones: int, seconds: float, rounds: int) -> list[Round]:
    """Measure and print both servers, in alternation."""
    programs = {"empty": EMPTY, "ours": OURS}
    measures = {
        name: partial(measure_program, program, phones, seconds)
        for name, program in programs.items()
    }
    runs = measure_rounds(measures, rounds)
    print_rounds(title, runs)
    return runs


def measure_starts() -> list[float]:
    """Seconds from the command to the first 200, on a database that exists, several times."""
    with serving(OURS) as (settings, server):
        environ = server.environ()
        server.terminate()
        server.wait(30)
        return [measure_start(settings, environ) for _ in range(STARTS)]


def measure_start(settings: Settings, environ: dict[str, str]) -> float:
    began = time.perf_counter()
    with running_server(environ, NOWHERE):
        requests.get(f"{settings.public_url}/healthz", timeout=5).raise_for_status()
        return round(time.perf_counter() - began, 2)


def measure_memory(count: int) -> list[dict[str, float]]:
    """MiB after so many turns of 16 phones, from none to `count`; one process answers."""
    with serving(OURS, options=["--workers=1"]) as (settings, server):
        turns, samples = 0, []
        while True:
            samples.append({"turns": turns, "memory_mib": round(memory_of(server), 1)})
            click.echo("after {turns} turns: {memory_mib} MiB".format(**samples[-1]))
            if turns >= count:
                return samples
            # A number that no phone has come to yet, so that every guest is new.
            new = text_for(settings, 16, SAMPLE_SECONDS, first_guest=turns)
            turns += len(new.durations)


def count_syncs() -> float:
    """How many writes of 4 KiB the disk syncs in a second."""
    with tempfile.NamedTemporaryFile() as file:
        began = time.perf_counter()
        for _ in range(SYNCS):
            file.write(bytes(4096))
            file.flush()
            os.fdatasync(file.fileno())
        return SYNCS / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
