"""Pictures of what was measured: an SVG beside each JSON file in `results/`."""

import json
from pathlib import Path

from matplotlib import pyplot
from matplotlib.axes import Axes

RESULTS = Path(__file__).resolve().parent / "results"
WHICH = {"ours": ("smsconvo", "#1f5fa8"), "empty": ("an empty handler", "#b8bec6")}
DATABASES = {
    "empty": ("on a new database", "#b8bec6"),
    "grown": ("on the grown one", "#1f5fa8"),
    "unread": ("on the grown one, nothing of it in memory", "#8db3d9"),
}


def main() -> None:
    # The same figures make the same file, and its words are words.
    pyplot.rcParams |= {"svg.hashsalt": "smsconvo", "svg.fonttype": "none"}
    pyplot.rcParams |= {"axes.spines.top": False, "axes.spines.right": False}
    pictures = {"turns": draw_turns, "memory": draw_memory, "growth": draw_growth}
    for name, draw in pictures.items():
        file = RESULTS / f"{name}.json"
        if file.exists():
            figure = draw(json.loads(file.read_text("utf-8")))
            figure.savefig(file.with_suffix(".svg"), metadata={"Date": None})


def draw_turns(told: dict) -> pyplot.Figure:
    runs = told["runs"]
    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4), layout="constrained")
    phones = [f"{run['ours']['phones']:,}" for run in runs]
    for place, title, name, kind in (
        (axes[0], "Turns a second: more is better", "turns_per_second", ""),
        (axes[1], "Milliseconds for 99 of 100 turns: less is better", "p99_ms", ""),
        (axes[2], "The same, with light phones", "p99_ms", ", light"),
    ):
        heights = [[run[f"{which}{kind}"][name] for run in runs] for which in WHICH]
        stand_beside(place, WHICH, heights)
        place.set(title=title, xlabel="phones at once")
        place.set_xticks(range(len(phones)), phones)
    axes[0].legend(frameon=False)
    for place in axes[1:]:
        place.set_yscale("log")
    return figure


def stand_beside(
    place: Axes, names: dict[str, tuple[str, str]], heights: list[list[float]]
) -> None:
    """Bars in groups, with their figures on top."""
    width = 0.8 / len(names)
    for n, (label, colour) in enumerate(names.values()):
        left = [x + width * (n - (len(names) - 1) / 2) for x in range(len(heights[n]))]
        bars = place.bar(left, heights[n], 0.95 * width, label=label, color=colour)
        place.bar_label(bars, fmt="{:,.0f}", fontsize=9)


def draw_memory(told: list[dict[str, float]]) -> pyplot.Figure:
    figure, place = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    turns, mebibytes = ([one[name] for one in told] for name in ("turns", "memory_mib"))
    place.plot(turns, mebibytes, marker="o", color=WHICH["ours"][1])
    place.set(title="MiB of all processes together", xlabel="turns until then")
    place.set_ylim(0, 1.2 * max(mebibytes))
    place.xaxis.set_major_formatter("{x:,.0f}")
    return figure


def draw_growth(told: dict) -> pyplot.Figure:
    figure, (turns, queries) = pyplot.subplots(
        1, 2, figsize=(12, 5), layout="constrained", width_ratios=(1, 2)
    )
    stand_beside(turns, DATABASES, [told["turns_per_second"][which] for which in DATABASES])
    turns.set(title="Turns a second, in alternation")
    turns.set_xticks([])
    figure.legend(*turns.get_legend_handles_labels(), frameon=False, loc="outside lower left")
    names = [one["query"] for one in told["queries"]]
    times = [one["milliseconds"] for one in told["queries"]]
    bars = queries.barh(names, times, color=DATABASES["grown"][1])
    queries.bar_label(bars, fmt="{:,.2f}", fontsize=9, padding=3)
    queries.set(title=f"Milliseconds, with {told['messages']:,} messages", xscale="log")
    queries.invert_yaxis()
    return figure


if __name__ == "__main__":
    main()
