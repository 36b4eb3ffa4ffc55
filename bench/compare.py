"""Turns per second of this checkout beside another one's, in the same run.

Each `serve` runs as a program, on a new database, with the Python and the questionnaires of this
checkout. The two take turns, and the order changes each round, so that a machine which slows down
harms both. The phones are light ones, for the servers are what is measured.
"""

import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from lean import text_lightly
from phones import GUESTS
from turns import OURS, seconds_used, serving

WARMING_SECONDS = 1


class Figures(NamedTuple):
    """Of one server in one round."""

    turns_per_second: float
    cpu_ms: float  # of a processor for each turn, by all processes of the server
    p99_ms: float


COLUMNS = ("turns/s", "CPU ms/turn", "p99 ms")  # of Figures


@click.command()
@click.argument(
    "other_checkout",
    type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
)
@click.option("--phones", multiple=True, type=int, default=(16, 256), show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text each time.")
@click.option("--rounds", default=6, show_default=True, help="Runs of each of the two.")
def main(other_checkout: Path, phones: tuple[int, ...], seconds: float, rounds: int) -> None:
    """Compare with OTHER_CHECKOUT, such as a git worktree of an older commit.

    A ratio is the median of those of the rounds, and the least and the greatest of them.
    """
    other = other_checkout / OURS.name
    click.echo(f"{'phones':>6}  {'':12}" + "".join(f"{column:>28}" for column in COLUMNS))
    for number in phones:
        runs = [measure_both(other, number, seconds, bool(n % 2)) for n in range(rounds)]
        for line in tabulate(number, runs):
            click.echo(line)


def measure_both(
    other: Path, phones: int, seconds: float, other_first: bool
) -> tuple[Figures, Figures]:
    """This checkout's figures and the other's."""
    if other_first:
        others = measure(other, phones, seconds)
        return measure(OURS, phones, seconds), others
    return measure(OURS, phones, seconds), measure(other, phones, seconds)


def measure(program: Path, phones: int, seconds: float) -> Figures:
    with serving(program) as (settings, server):
        text_lightly(settings, phones, WARMING_SECONDS)
        before = seconds_used(server)
        turns = text_lightly(settings, phones, seconds, first_guest=GUESTS // 2)
        cpu = seconds_used(server) - before
    return Figures(turns.rate, 1000 * cpu / len(turns.durations), turns.milliseconds(0.99))


def tabulate(phones: int, runs: Sequence[tuple[Figures, Figures]]) -> Iterator[str]:
    ours, others = zip(*runs, strict=True)
    ratios = [[a / b for a, b in zip(*pair, strict=True)] for pair in runs]
    for name, rows, digits in (
        ("this", ours, 2),
        ("other", others, 2),
        ("this ÷ other", ratios, 3),
    ):
        cells = [show_spread(column, digits) for column in zip(*rows, strict=True)]
        yield f"{phones:>6}  {name:12}" + "".join(f"{cell:>28}" for cell in cells)


def show_spread(values: Sequence[float], digits: int) -> str:
    """The median, the least and the greatest, with so many digits after the point."""
    figures = (statistics.median(values), min(values), max(values))
    return "{} ({} to {})".format(*(f"{figure:.{digits}f}" for figure in figures))


if __name__ == "__main__":
    main()
