"""The files that hold what was recorded: JSON, a line for each step and each row."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).resolve().parent
RECORDED, VERSIONS = HERE / "recorded.jsonl", HERE / "versions.jsonl"
RUN, SHORTENED = re.compile(r"([a-z0-9])\1{29,}"), re.compile("([a-z0-9])⟨([0-9]+)⟩")  # x⟨1000⟩


def encode(line: dict) -> str:
    """A line that an editor shows as it is: what cannot be seen is escaped."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"))
    text = RUN.sub(lambda found: f"{found[1]}⟨{len(found[0])}⟩", text)
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def decode(line: str) -> dict:
    return json.loads(SHORTENED.sub(lambda found: found[1] * int(found[2]), line))


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1]


def read_scenarios() -> list[list[dict]]:
    groups = RECORDED.read_text("utf-8").rstrip("\n").split("\n\n")
    return [[decode(line) for line in group.split("\n")] for group in groups]


def read_versions() -> list[dict]:
    return [decode(line) for line in VERSIONS.read_text("utf-8").rstrip("\n").split("\n")]


def write(scenarios: Iterable[list[dict]], versions: Iterable[dict]) -> None:
    groups = ("".join(f"{encode(line)}\n" for line in scenario) for scenario in scenarios)
    RECORDED.write_text("\n".join(groups), "utf-8")
    VERSIONS.write_text("".join(f"{encode(version)}\n" for version in versions), "utf-8")
