"""Turns per second of this checkout beside another one's, in the same run.

Each `serve` runs as a program, on a new database, with the Python and the questionnaires of this
checkout. The phones are light ones, for the servers are what is measured.
"""

from functools import partial
from pathlib import Path

import click
from common import OURS, measure_rounds, print_rounds
from servers import measure_program

WARMING_SECONDS = 1


@click.command()
@click.argument("other_checkout", type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--phones", multiple=True, type=int, default=(16, 256), show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text each time.")
@click.option("--rounds", default=6, show_default=True, help="Runs of each of the two.")
def main(other_checkout: Path, phones: tuple[int, ...], seconds: float, rounds: int) -> None:
    """Compare with OTHER_CHECKOUT, such as a git worktree of an older commit."""
    programs = {"other": other_checkout / OURS.name, "this": OURS}
    for number in phones:
        measures = {
            name: partial(measure_program, program, number, seconds, warming=WARMING_SECONDS)
            for name, program in programs.items()
        }
        print_rounds(f"{number} phones", measure_rounds(measures, rounds))


if __name__ == "__main__":
    main()
