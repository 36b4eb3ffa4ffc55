"""The table of what texts are read as: tests/reading/, a file for each kind and language.

A file's name is the kind and the language. A line in brackets has the settings of the question for
the lines below it, as an inline table of TOML; besides the lines of a question it can have `today`
(the guest's day; noon there), and what only some kinds need. Then each line is a text, an arrow
and what it is read as:

    3/25/62 -> 1962-03-25                  this value
    next friday -> 2026-11-27 | 2026-12-04 one of these, so the guest is asked which
    some day -> ?                          unread
    STOP please -> !opt_out                no answer, but this

In a text, <image/jpeg> is a medium that comes with it, and <place 52.5,13.4 Label> a shared place.
A comment is a "#" with a blank behind it. In a text, \\n is a line break and \\\\ a backslash.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from models.attachments import Location

FOLDER = Path(__file__).parent / "reading"
ARROW = " -> "
MEDIUM = re.compile(r"<([a-z]+/[a-z0-9.+-]+)>")
PLACE = re.compile(r"<place (-?[0-9.]+),(-?[0-9.]+)( [^>]+)?>")
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


def taken_apart(text: str) -> tuple[str, list[str], Location | None]:
    """The body of a text, the types of its media, and the place that is shared with it."""
    place = PLACE.search(text)
    location = Location(place[1], place[2], (place[3] or "").strip()) if place else None
    body = MEDIUM.sub("", PLACE.sub("", text))
    return body if body == text else body.strip(), MEDIUM.findall(text), location


def _read_file(path: Path) -> Iterator[Row]:
    kind, language = path.stem.rsplit("_", 1)
    settings: dict[str, Any] = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if ARROW in line:
            text, expected = map(_unescaped, line.split(ARROW))
            yield Row(f"{path.name}:{number}", kind, language, settings, text, expected.strip())
        elif line.startswith("["):
            settings = tomllib.loads(f"settings = {{{line.strip()[1:-1]}}}")["settings"]
        elif line.strip() and not line.startswith("# "):
            raise ValueError(f"{path.name}:{number}: is no row, no settings and no comment: {line}")


def _unescaped(text: str) -> str:
    return ESCAPED.sub(lambda found: "\n" if found[1] == "n" else found[1], text)
