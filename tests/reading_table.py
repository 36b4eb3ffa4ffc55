"""The table of what texts are read as: tests/reading/, a file for each kind and language.

A file's name is the kind and the language. A line in brackets has the settings of the question for
the lines below it, as an inline table of TOML; besides the lines of a question it can have `today`
(the guest's day; noon there), and what only some kinds need. Then each line is a text, an arrow
and what it is read as:

    3/25/62 -> 1962-03-25                  this value
    next friday -> 2026-11-27 | 2026-12-04 one of these, so the guest is asked which
    some day -> ?                          unread
    STOP please -> !opt_out                no answer, but this

A comment is a "#" with a blank behind it. In a text, \\n is a line break and \\\\ a backslash.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent / "reading"
ARROW = " -> "
ESCAPED = re.compile(r"\\(.)")


class Row(NamedTuple):
    """A text and what it is to be read as; `place` is its file and line."""

    place: str
    kind: str
    language: str
    settings: dict[str, Any]
    text: str
    expected: str


def read_rows(kind: str) -> Iterator[Row]:
    """The rows of all files about a kind of answer or of noise."""
    for path in sorted(FOLDER.glob(f"{kind}_??.txt")):
        yield from _read_file(path)


def _read_file(path: Path) -> Iterator[Row]:
    kind, language = path.stem.rsplit("_", 1)
    settings: dict[str, Any] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if ARROW in line:
            text, expected = line.split(ARROW)
            text = ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)
            yield Row(f"{path.name}:{number}", kind, language, settings, text, expected.strip())
        elif line.startswith("["):
            settings = tomllib.loads(f"settings = {{{line.strip()[1:-1]}}}")["settings"]
        elif line.strip() and not line.startswith("# "):
            raise ValueError(f"{path.name}:{number}: is no row, no settings and no comment: {line}")
