"""Recorded conversations are held again. `tests/corpus/record.py` records them anew."""

import shutil
import tempfile
from difflib import unified_diff
from itertools import dropwhile, zip_longest
from pathlib import Path

import pytest
from conftest import run
from corpus.files import encode, read_scenarios, read_versions
from corpus.runner import HERE, MEMORY, Runner

SHOWN, LINES = 5, 20  # scenarios that differ, and lines of each, in the message of a failure


@pytest.fixture(scope="module")
def held():
    """All scenarios and versions as they are now, and the runner with its database."""
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        runner = Runner(Path(folder))
        scenarios = [runner.run(scenario) for scenario in read_scenarios()]
        versions = runner.versions()
        runner.close()
        yield scenarios, versions, runner


def test_recorded_conversations_are_held_again_without_a_difference(held):
    scenarios, versions, _ = held
    differences = find_differences(read_scenarios(), scenarios)
    differences += find_differences(in_groups(read_versions()), in_groups(versions))
    assert not differences, summary(differences)


def in_groups(lines: list[dict]) -> list[list[dict]]:
    return [[line] for line in lines]


def find_differences(recorded: list[list[dict]], held: list[list[dict]]) -> list[str]:
    """A description of each scenario, or version, that is not as it was recorded."""
    pairs = (
        [[encode(line) for line in lines] for lines in pair]
        for pair in zip_longest(recorded, held, fillvalue=())
    )
    return [difference(before, now) for before, now in pairs if before != now]


def difference(before: list[str], now: list[str]) -> str:
    title = (before or now)[0][:100]
    _, _, *lines = unified_diff(before, now, n=1, lineterm="")
    more = [f"... {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    return "\n".join([title, *(line[:300] for line in lines[:LINES]), *more])


def summary(differences: list[str]) -> str:
    count = f"{len(differences)} scenarios or versions differ from what was recorded."
    return "\n\n".join([count, *differences[:SHOWN]])


def test_replay_reproduces_every_recorded_reply(held, environ, tmp_path):
    *_, runner = held
    shutil.copytree(HERE / "questionnaires", tmp_path / "questionnaires")
    shutil.copy(HERE / "people.toml", tmp_path)
    environ |= {"DATABASE_URL": f"sqlite:///{runner.smsconvo.path}"}
    texts = find_replayable(read_scenarios())
    assert len(texts) > 300
    arguments = [argument for id in texts for argument in ("--conversation", str(id))]
    ended = run(tmp_path, environ, "replay", *arguments)
    count = f"{sum(texts.values())} replies differ, in {len(texts)} conversations."
    assert ended.stdout == f"0 of {count}\n", ended.stdout[:3000] + ended.stderr[-1000:]


def find_replayable(scenarios: list[list[dict]]) -> dict[int, int]:
    """How many texts each conversation took, by its id, for those that `replay` can hold again.

    It takes the files of now, and knows nothing but the texts of one conversation. So it cannot
    know what was said while smsconvo ran with other settings or files, what followed from a STOP
    to another number, and what the worker ended by a clock that was set back afterwards.
    """
    texts: dict[int, int] = {}
    before = 0
    for lines in scenarios:
        ids = [line["conversation"] for line in lines if "conversation" in line]
        if not is_restarted(lines) and not is_set_back(lines):
            for id in ids:
                read = [line.get("read", "answer") for line in lines if is_text_of(id, line)]
                if "opted out" not in read or "stop" in read:
                    texts[before + id] = len(read)
        before += len(ids)
    return texts


def is_text_of(conversation: int, line: dict) -> bool:
    return "say" in line and "code" not in line and line.get("in", 1) == conversation


def is_restarted(lines: list[dict]) -> bool:
    return any("app" in line for line in lines)


def is_set_back(lines: list[dict]) -> bool:
    after_worker = dropwhile(lambda line: "worker" not in line, lines)
    return any(line.get("after", 0) < 0 for line in after_worker)
