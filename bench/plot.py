"""Draw an SVG beside each JSON file in `results/`."""

import json
from statistics import median

from common import RESULTS
from matplotlib import pyplot
from matplotlib.axes import Axes

SERVERS = {"ours": ("smsconvo", "#1f5fa8"), "empty": ("an empty handler", "#b8bec6")}
DATABASES = {
    "empty": ("on a new database", "#b8bec6"),
    "grown": ("on the grown one", "#1f5fa8"),
    "unread": ("on the grown one, nothing of it in memory", "#8db3d9"),
}


def main() -> None:
    # The same figures make the same file, and its text stays text.
    pyplot.rcParams |= {"svg.hashsalt": "smsconvo", "svg.fonttype": "none"}
    pyplot.rcParams |= {"axes.spines.top": False, "axes.spines.right": False}
    pictures = {"turns": draw_turns, "memory": draw_memory, "growth": draw_growth}
    for name, draw in pictures.items():
        file = RESULTS / f"{name}.json"
        figure = draw(json.loads(file.read_text("utf-8")))
        figure.savefig(file.with_suffix(".svg"), metadata={"Date": None})


def draw_turns(report: dict) -> pyplot.Figure:
    runs = report["runs"]
    figure, columns = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    phones = [f"{number:,}" for number in report["phones"]]
    for axes, title, name in (
        (columns[0], "Turns a second: more is better", "turns_per_second"),
        (columns[1], "Milliseconds for 99 of 100 turns: less is better", "p99_ms"),
    ):
        medians = [
            [median(each[server][name] for each in rounds) for rounds in runs] for server in SERVERS
        ]
        draw_groups(axes, SERVERS, medians)
        axes.set(title=title, xlabel="phones at once", yscale="log")
        axes.set_xticks(range(len(phones)), phones)
    columns[0].legend(frameon=False)
    return figure


def draw_groups(axes: Axes, names: dict[str, tuple[str, str]], heights: list[list[float]]) -> None:
    """Bars in groups, with their figures on top."""
    width = 0.8 / len(names)
    for n, (label, colour) in enumerate(names.values()):
        left = [x + width * (n - (len(names) - 1) / 2) for x in range(len(heights[n]))]
        bars = axes.bar(left, heights[n], 0.95 * width, label=label, color=colour)
        axes.bar_label(bars, fmt="{:,.0f}", fontsize=9)


def draw_memory(samples: list[dict[str, float]]) -> pyplot.Figure:
    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    turns, mebibytes = ([sample[name] for sample in samples] for name in ("turns", "memory_mib"))
    axes.plot(turns, mebibytes, marker="o", color=SERVERS["ours"][1])
    axes.set(title="MiB of all processes together", xlabel="turns until then")
    axes.set_ylim(0, 1.2 * max(mebibytes))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def draw_growth(report: dict) -> pyplot.Figure:
    figure, (turns, queries) = pyplot.subplots(
        1, 2, figsize=(12, 5), layout="constrained", width_ratios=(1, 2)
    )
    heights = [[run[key]["turns_per_second"] for run in report["runs"]] for key in DATABASES]
    draw_groups(turns, DATABASES, heights)
    turns.set(title="Turns a second, in alternation")
    turns.set_xticks([])
    figure.legend(*turns.get_legend_handles_labels(), frameon=False, loc="outside lower left")
    names = [row["query"] for row in report["queries"]]
    times = [row["milliseconds"] for row in report["queries"]]
    bars = queries.barh(names, times, color=DATABASES["grown"][1])
    queries.bar_label(bars, fmt="{:,.2f}", fontsize=9, padding=3)
    queries.set(title=f"Milliseconds, with {report['messages']:,} messages", xscale="log")
    queries.invert_yaxis()
    return figure


if __name__ == "__main__":
    main()
