"""The questions of a fake Google Form: what its page's data has of them, and cells of its sheet."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, time
from itertools import count
from typing import ClassVar

NEXT, FIRST, SUBMIT = -2, -1, -3  # where an option or a section leads
NUMBERS = {
    "short": 0,
    "paragraph": 1,
    "choice": 2,
    "dropdown": 3,
    "checkboxes": 4,
    "scale": 5,
    "title": 6,
    "grid": 7,
    "section": 8,
    "date": 9,
    "time": 10,
    "duration": 10,
    "image": 11,
    "video": 12,
    "upload": 13,
    "rating": 18,
}
WITHOUT_ANSWER = {"title", "section", "image", "video"}


@dataclass
class Question:
    """An item of a form; `options` lead to sections where `leads_to` says so."""

    title: str
    kind: str = "short"
    required: bool = False
    options: list[str] = field(default_factory=list)
    has_other: bool = False
    rows: list[str] = field(default_factory=list)
    takes_many: bool = False  # a grid of checkboxes
    has_year: bool = True
    has_time: bool = False
    shuffled: bool = False
    leads_to: dict[str, int] = field(default_factory=dict)  # an option, and an id or SUBMIT
    then: int = NEXT  # of a section: where the one before it leads
    rule: Callable[[str], bool] | None = None  # of the owner's, for a text
    id: int = field(default_factory=count(1_000).__next__)
    entries: list[int] = field(default_factory=list)  # given if it has none

    ids: ClassVar = count(700_000_001, 7)

    def __post_init__(self) -> None:
        if self.kind in ("scale", "rating") and not self.options:
            self.options = ["1", "2", "3", "4", "5"]
        needed = 0 if self.kind in WITHOUT_ANSWER else len(self.rows) or 1
        self.entries += [next(self.ids) for _ in range(needed - len(self.entries))]

    @property
    def entry(self) -> str:
        """The name that its answer is sent under."""
        return f"entry.{self.entries[0]}"

    @property
    def parts(self) -> list[str]:
        """What a date or a time is sent in."""
        parts = ["year"] * self.has_year + ["month", "day"] if self.kind == "date" else []
        if self.kind in ("time", "duration") or self.has_time:
            parts += ["hour", "minute"]
        return parts + ["second"] * (self.kind == "duration")

    def data(self) -> list:
        """What the page's data has of it."""
        if self.kind == "section":
            return [self.id, self.title, None, 8, None, self.then]
        if not self.entries:
            return [self.id, self.title, None, NUMBERS[self.kind]]
        entries = [self._entry_data(place) for place in range(len(self.entries))]
        return [self.id, self.title, None, NUMBERS[self.kind], entries, *[None] * 6, ["", ""]]

    def _entry_data(self, place: int) -> list:
        leads = self.leads_to
        options = [[text, None, leads.get(text), None, 0] for text in self.options]
        if self.shuffled:
            random.shuffle(options)
        options += [["", None, leads.get(""), None, 1]] if self.has_other else []
        data = [self.entries[place], options or None, int(self.required), *[None] * 9]
        if self.kind in ("scale", "rating", "grid"):
            data[1] = [[text] for text in self.options]
        if self.kind == "scale":
            data[3] = ["bad", "great"]
        if self.kind == "grid":
            data[3], data[11] = [self.rows[place]], [int(self.takes_many)]
        if NUMBERS[self.kind] == 10:
            data[6] = [int(self.kind == "duration")]
        if self.kind == "date":
            data[7] = [int(self.has_time), int(self.has_year)]
        if self.kind in ("choice", "dropdown", "checkboxes"):
            data[8] = int(self.shuffled)
        return data


class Malformed(ValueError):
    """A POST that is answered with a 400."""


def first(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def moment(question: Question, name: str, fields: dict[str, list[str]]) -> str:
    """The cell of a date or a time; "" where parts are missing: a whole date is not looked at."""
    texts = {part: first(fields, f"{name}_{part}") for part in question.parts}
    if not all(texts.values()):
        return ""
    try:
        numbers = {part: int(text) for part, text in texts.items()}
        if question.kind == "duration":
            return "{hour}:{minute:02}:{second:02}".format(**numbers)
        if question.kind == "time":
            return clock(time(**numbers))
        date = datetime(**{"year": 2000} | numbers)
    except ValueError:
        raise Malformed(f"{name} is no {question.kind}.") from None
    day = f"{date.month}/{date.day}" + f"/{date.year}" * question.has_year
    return f"{day} {date.hour}:{date:%M:%S}" if question.has_time else day


def clock(moment: time) -> str:
    return f"{moment.hour % 12 or 12}:{moment:%M:%S %p}"
