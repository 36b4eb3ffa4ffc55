"""Record the corpus anew: python tests/corpus/record.py. Review what changes as a diff.

It writes what this program says and stores now into recorded.jsonl and versions.jsonl, from
scenarios.py and, with a fixed seed, from guests.py. Recorded twice, the files are the same.
"""

import logging
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from zlib import crc32

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from corpus.files import write
from corpus.guests import GUESTS, drill, wander
from corpus.runner import HERE, MEMORY, Run, Runner
from corpus.scenarios import SCENARIOS, A
from corpus.texts import TEXTS

PEOPLE = tomllib.loads((HERE / "people.toml").read_text("utf-8"))
NAMES = list(dict.fromkeys(PEOPLE.values()))[:10]
Steps = Callable[[Run], Iterable[dict]]


def main() -> None:
    logging.disable()  # some requests are meant to be refused
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        runner = Runner(Path(folder))
        scenarios = [list(perform(runner, head, steps)) for head, steps in numbered(find_all())]
        write(scenarios, runner.versions())
        runner.close()


def find_all() -> Iterator[tuple[dict, Steps]]:
    for title, to, *steps in SCENARIOS:
        head = steps.pop() if isinstance(steps[-1], dict) and not is_step(steps[-1]) else {}
        steps = [{"say": step} if isinstance(step, str) else step for step in steps]
        head |= {"to": to} if to != A else {}
        yield {"scenario": title} | head, lambda _, steps=steps: steps
    for kind in TEXTS:
        if kind != "photo":
            yield {"scenario": f"texts for {kind}"}, drill(kind)
    for place in range(GUESTS):
        name = NAMES[place % 30] if place % 30 < len(NAMES) else None
        yield {"scenario": f"guest {place}", "name": name}, wander(place)


def is_step(head: dict) -> bool:
    return bool({"say", "repeat", "status", "worker", "app"} & head.keys())


def numbered(scenarios: Iterable[tuple[dict, Steps]]) -> Iterator[tuple[dict, Steps]]:
    """Each with a sender of its own, who has a name if it asks for one."""
    known = defaultdict(list)
    for number, name in reversed(PEOPLE.items()):
        known[name].append(number)
    for head, steps in scenarios:
        name, title = head.pop("name", None), head.pop("scenario")
        sender = known[name].pop() if name else stranger(title)
        yield {"scenario": title, "from": sender} | head, steps


def stranger(title: str) -> str:
    """A number by the title, so that a scenario that is added changes no other."""
    return f"+1555{crc32(title.encode()) % 10**7:07}"


def perform(runner: Runner, head: dict, steps: Steps) -> list[dict]:
    run = runner.begin(head)
    for step in steps(run):
        run.do(step)
    return run.end()


if __name__ == "__main__":
    main()
