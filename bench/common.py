"""What the benches share: where the program is, what guests text, how figures are shown.

Whoever imports this can import the program. It is not on Python's path by itself, because a bench
runs as a file of another folder.
"""

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

HERE = Path(__file__).resolve().parents[1]
OURS, EMPTY = HERE / "smsconvo.py", HERE / "bench" / "empty.py"
RESULTS = HERE / "bench" / "results"
TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
NOWHERE = "http://127.0.0.1:9/results"  # the discard port: nothing listens
sys.path.insert(0, str(HERE))

Figures = dict[str, float]
Round = Mapping[str, Figures]  # what was measured of each thing, by its name


def measure_rounds(measures: Mapping[str, Callable[[], Figures]], rounds: int) -> list[Round]:
    """Measure each thing in each round, in the opposite order every second time.

    So a machine which slows down harms all of them.
    """
    runs = []
    for n in range(rounds):
        order = reversed(measures) if n % 2 else measures
        figures = {name: measures[name]() for name in order}
        runs.append({name: figures[name] for name in measures})
    return runs


def print_rounds(title: str, rounds: Sequence[Round]) -> None:
    """A line for each figure, with what each thing has, and the ratios to the first thing's.

    A ratio is that of one round, in which the two were measured one after the other.
    """
    base, *others = rounds[0]
    rows = [[title, base, *(cell for name in others for cell in (name, f"{name} ÷ {base}"))]]
    for figure in rounds[0][base]:
        values = {name: [run[name][figure] for run in rounds] for name in (base, *others)}
        row = [figure, show_spread(values[base])]
        for name in others:
            row += [show_spread(values[name]), show_ratios(values[name], values[base])]
        rows.append(row)
    print_table(rows)


def show_ratios(values: Sequence[float], base: Sequence[float]) -> str:
    if not all(base):
        return "-"
    return show_spread([value / other for value, other in zip(values, base, strict=True)])


def show_spread(values: Sequence[float]) -> str:
    """The median; of several, also the least and the greatest."""
    figures = (statistics.median(values), min(values), max(values))
    median, least, greatest = (f"{round(figure, 3):g}" for figure in figures)
    return f"{median} ({least} to {greatest})" if len(values) > 1 else median


def print_table(rows: Sequence[Sequence[object]]) -> None:
    """The first row is the heading, and each column is as wide as it has to be."""
    widths = [max(len(str(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, strict=True)
        click.echo("  ".join(f"{cell!s:>{width}}" for cell, width in cells))


def save_results(report: dict | list, name: str) -> None:
    """Write `results/NAME.json`, which `plot.py` reads."""
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
