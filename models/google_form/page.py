"""What a form asks, read from the data that its public page carries for its own script.

The positions are those that people have observed; nothing in the data may raise an error here.
"""

import json
import re
from functools import cached_property
from hashlib import sha256
from typing import Any, Literal

import msgspec
from msgspec import Struct

from models.google_form.fields import LIMITS, LONGEST_DURATION
from models.google_form.markup import normalize
from models.questionnaire.answers.kind import PARTS

# The list that follows ends where JSON says: titles may hold "]" and ";".
DATA = re.compile(r"FB_PUBLIC_LOAD_DATA_\s*=\s*(?=\[)")
MAX_TITLE = 60  # characters of a title that a sentence has
MAX_DATA = 4  # that are tried; more than one is not seen
GRID = 7
PAGE_BREAK = 8
TIME = 10
KINDS = {
    0: "short",
    1: "paragraph",
    2: "choice",
    3: "dropdown",
    4: "checkboxes",
    5: "scale",
    6: "title",
    7: "grid",
    9: "date",
    10: "time",
    13: "upload",
    18: "rating",
}
# Kinds that take several values; of other kinds nothing is known.
TAKE_MANY = {"checkboxes", "checkbox_grid", "other"}
EMAIL_RULES = {1: "none", 2: "verified", 3: "typed"}
NEXT_SECTION = (None, 0, -2)  # where an option leads that does not branch


class FormQuestion(Struct, frozen=True):
    """What a form asks under one name; a grid has one for each of its rows.

    `options` are the exact labels, without Other. Where Google shuffles them, they are sorted.
    """

    entry: str  # the name that it is sent under, as "entry.123"
    title: str
    kind: str  # one of KINDS, or "duration", "checkbox_grid" or "other"
    required: bool
    options: tuple[str, ...]
    has_other: bool
    has_time: bool
    has_year: bool
    section: int  # from 0

    def __str__(self) -> str:
        """For a sentence: its title and its entry."""
        title = one_line(self.title)
        title = title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"
        return f'"{title}" ({self.entry})'

    @property
    def parts(self) -> tuple[str, ...]:
        """What a date, a time or a duration is sent in: it takes all of them, or none."""
        year = ("year",) * self.has_year
        date = (*year, "month", "day") if self.kind == "date" else ()
        time = PARTS["time"] if self.has_time else ()
        return (*date, *time, *("second",) * (self.kind == "duration"))

    def limits(self, part: str) -> tuple[int, int]:
        """The least and the largest number that one of its parts can be."""
        is_length = self.kind == "duration" and part == "hour"
        return (0, LONGEST_DURATION) if is_length else LIMITS[part]

    @property
    def is_choice(self) -> bool:
        """Whether it takes nothing but its options, and perhaps Other."""
        return bool(self.options) or self.has_other

    @property
    def takes_many(self) -> bool:
        """Whether it takes several values."""
        return self.kind in TAKE_MANY


class FormPage(Struct, frozen=True, dict=True):
    """What a form is: all that decides on what becomes of an answer sent to it.

    `confirmation` is what the page says that only shows when an answer was recorded. It is "" where
    the owner has not changed Google's own, or where the form says the same in its head.
    """

    id: str  # the public one
    title: str
    confirmation: str
    has_link_to_another: bool  # on the page that confirms
    email_rule: Literal["none", "verified", "typed"]
    sections: int
    branches: bool  # whether answers decide on the sections that follow
    questions: tuple[FormQuestion, ...]

    @cached_property
    def digest(self) -> str:
        """It changes with whatever matters for results; the title of the form does not."""
        fields = msgspec.structs.asdict(self) | {"title": ""}
        return sha256(msgspec.json.encode(list(fields.values()))).hexdigest()

    @cached_property
    def by_entry(self) -> dict[str, FormQuestion]:
        """The questions by the name that each is sent under."""
        return {question.entry: question for question in self.questions}


def one_line(text: str) -> str:
    """A text on one line, without what a terminal or a comment of TOML could not hold."""
    return "".join(filter(str.isprintable, normalize(text)))


def find_data(scripts: list[str]) -> Any:
    """The data that a page's scripts hold; None if there is none that can be read."""
    matches = (match for script in scripts for match in DATA.finditer(script))
    for match, _ in zip(matches, range(MAX_DATA), strict=False):
        try:
            return json.JSONDecoder().raw_decode(match.string, match.end())[0]
        except (ValueError, RecursionError):
            continue
    return None


def has_items(data: Any) -> bool:
    """Whether data shows a form: on the page that confirms an answer, it has nothing to ask."""
    return bool(_at(data, 1, 1))


def read_form(data: Any) -> FormPage | None:
    """The form that the data of a page describes; None if it is not of that shape."""
    form, items = _at(data, 1), _at(data, 1, 1)
    if not isinstance(form, list) or not isinstance(items, list | None):
        return None
    items = items or []
    questions = _read_items(items)
    sections = 1 + sum(_at(item, 3) == PAGE_BREAK for item in items)
    title = _text(_at(form, 8)) or _text(_at(data, 3))
    return FormPage(
        id=_text(_at(data, 14)).removeprefix("e/"),
        title=title,
        confirmation=_confirmation(form, title),
        has_link_to_another=_at(form, 2, 1) in (None, 1, True),
        email_rule=_email_rule(_at(form, 10)),
        sections=sections,
        branches=sections > 1 and any(map(_branches, items)),
        questions=questions,
    )


def _confirmation(form: list, title: str) -> str:
    confirmation = _text(_at(form, 2, 0))
    in_head = {normalize(title), normalize(_text(_at(form, 0)))}
    return "" if normalize(confirmation) in in_head else confirmation


def _email_rule(settings: Any) -> str:
    """What the form does about e-mail addresses; older ones only say that they collect them."""
    rule = _at(settings, 6)
    older = "typed" if _at(settings, 4) == 1 else "none"
    return EMAIL_RULES.get(rule, older) if isinstance(rule, int) else older


def _read_items(items: list) -> tuple[FormQuestion, ...]:
    questions: list[FormQuestion] = []
    section = 0
    for item in items:
        if _at(item, 3) == PAGE_BREAK:
            section += 1
            continue
        entries = _list(_at(item, 4))
        if _at(item, 7) == 1:  # the rows of a grid are shuffled
            entries = sorted(entries, key=lambda entry: str(_at(entry, 0)))
        questions += [_question(item, entry, section) for entry in entries if _is_id(_at(entry, 0))]
    return tuple(questions)


def _question(item: list, entry: list, section: int) -> FormQuestion:
    kind = _kind(item, entry)
    title, row = _text(_at(item, 1)), _text(_at(entry, 3, 0))
    choices = [option for option in _list(_at(entry, 1)) if _at(option, 4) != 1]
    options = [_text(_at(option, 0)) for option in choices]
    return FormQuestion(
        entry=f"entry.{entry[0]}",
        title=f"{title}: {row}" if _at(item, 3) == GRID and row else title,
        kind=kind,
        required=_at(entry, 2) == 1,
        options=tuple(sorted(options) if _at(entry, 8) == 1 else options),
        has_other=len(choices) < len(_list(_at(entry, 1))),
        has_time=kind in ("time", "duration") or (kind == "date" and _at(entry, 7, 0) == 1),
        has_year=kind == "date" and _at(entry, 7, 1) != 0,
        section=section,
    )


def _kind(item: list, entry: list) -> str:
    number = _at(item, 3)
    if number == TIME and _at(entry, 6, 0) == 1:
        return "duration"
    if number == GRID and _at(entry, 11, 0) == 1:
        return "checkbox_grid"
    return KINDS.get(number, "other") if isinstance(number, int) else "other"


def _branches(item: Any) -> bool:
    """Whether something of an item leads elsewhere than to the next section."""
    if _at(item, 3) == PAGE_BREAK:
        return _leads_elsewhere(_at(item, 5))
    options = [option for entry in _list(_at(item, 4)) for option in _list(_at(entry, 1))]
    # The second position is what one reader has found; there, others have found pictures.
    return any(_leads_elsewhere(_at(option, 2)) or _is_id(_at(option, 5)) for option in options)


def _leads_elsewhere(target: Any) -> bool:
    return isinstance(target, int) and target not in NEXT_SECTION


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _at(value: Any, *path: int) -> Any:
    """What is at these positions of lists in lists; None if it is not there."""
    for index in path:
        if not isinstance(value, list) or index >= len(value):
            return None
        value = value[index]
    return value


def _list(value: Any) -> list:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str:
    """A text that can be stored, or a number as text; "" for all else."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode().replace("\0", "")
