"""What is called a fault of a form and a mapping really is one, and what is called well arrives.

Each mapping is tried on each form: all that a guest can answer is sent to it.
"""

import json
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from urllib.parse import urlencode

import pytest
from google_form import GoogleForm, Question

from models.google_form import preflight
from models.google_form.page import FormPage
from models.payload import ResultData, build_payload
from models.questionnaire import loader, mapping
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Questionnaire
from worker.form_page import read_page

NOW = datetime(2026, 11, 20, 12, 34, tzinfo=UTC)
FORM_TYPE = "application/x-www-form-urlencoded"
FILE = """
title = "Party"
thanks = "Bye."
{head}
[[questions]]
key = "first"
kind = "yes_no"
give_up = "end"
ask = "First?"
[[questions]]
key = "x"
ask = "What?"
{question}
[results]
url = "{url}"
{results}
[results.fields]
{fields}
[results.values]
{words}
"""
# What goes into a short answer, if it is not what a case is about.
ALWAYS = ("From", "first", "x", "Event", "Type", "Corrects")
Value = str | list[str] | None
Row = dict[str, str]


@pytest.fixture(autouse=True)
def fake_hosts(patch) -> None:
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})


@pytest.fixture(scope="module")
def form() -> Iterator[GoogleForm]:
    with GoogleForm([], padding=0) as form:
        yield form


@dataclass
class Own:
    """Something of ours that goes into the form, by the lines of the file, and what it can be."""

    question: str = ""  # lines of `x`
    values: list[Value] = field(default_factory=lambda: ["Blue"])  # as they are read
    rare: list[Value] = field(default_factory=list)  # if texts are not read, or none more come
    is_free: bool = False  # whether it can also be any option of the form
    words: dict[str, str] = field(default_factory=dict)
    name: str = "x"
    head: str = 'event = "Mats BBQ"'
    results: str = ""

    @property
    def keeps(self) -> bool:
        """Whether any text is kept where none was read."""
        return 'give_up = "keep"' in self.question


def lines(kind: str, *more: str, give_up: str = "end") -> str:
    return "\n".join([f'kind = "{kind}"', f'give_up = "{give_up}"', *more])


AB = 'choices = ["A", "B"]'
LIMITS = "whole = true\nmin = 1\nmax = 3"
STARS = {"1": "1 ⭐", "2": "2 ⭐", "3": "3 ⭐"}
SEVERAL = [["A"], ["B"], ["A", "B"]]
LATER = "2027-03-05"
OWN = {
    "any text": Own(lines("text"), is_free=True),
    "a text that can be skipped": Own(lines("text", give_up="skip"), rare=[None], is_free=True),
    "an optional text": Own(lines("text", "optional = true"), ["Blue", None], is_free=True),
    "a text under a condition": Own(
        lines("text", 'only_if = { first = "yes" }'), ["Blue", None], is_free=True
    ),
    "yes or no": Own(lines("yes_no"), ["yes", "no"]),
    "yes or no in words": Own(lines("yes_no"), ["yes", "no"], words={"yes": "Ja", "no": "Nein"}),
    "a choice": Own(lines("choice", AB), ["A", "B"]),
    "a choice that can be skipped": Own(lines("choice", AB, give_up="skip"), ["A", "B"], [None]),
    "a choice that keeps": Own(lines("choice", AB, give_up="keep"), ["A", "B"], ["Soup", None]),
    "a choice in words": Own(lines("choice", AB), ["A", "B"], words={"A": "Ja", "B": "Nein"}),
    "one choice": Own(lines("choice", 'choices = ["A"]'), ["A"]),
    "several choices": Own(lines("choice", AB, "many = true"), SEVERAL),
    "one choice of several": Own(lines("choice", 'choices = ["A"]', "many = true"), [["A"]]),
    "a number": Own(lines("number"), ["0", "2", "3.5", "1000"]),
    "a whole number": Own(lines("number", LIMITS), ["1", "2", "3"]),
    "a whole number in words": Own(lines("number", LIMITS), ["1", "2", "3"], words=STARS),
    "a date": Own(lines("date"), [LATER]),
    "a date that keeps": Own(lines("date", give_up="keep"), [LATER], ["Soup", None]),
    "an address": Own(lines("email"), ["a@example.org"]),
    "an address that keeps": Own(lines("email", give_up="keep"), ["a@example.org"], ["Soup", None]),
    "the event": Own(name="Event", values=["Mats BBQ"]),
    "any event": Own(name="Event", head="", is_free=True),
    "the type": Own(
        name="Type", head="review = true\nevent = 'E'", values=["completed", "corrected"]
    ),
    "any type": Own(
        name="Type",
        head="event = 'E'",
        results="partial = true",
        values=["completed", "stopped", "expired"],
    ),
    "the end": Own(name="CompletedAt", values=[NOW.isoformat()]),
    "the end of a part": Own(
        name="CompletedAt", results="partial = true", values=[NOW.isoformat(), None]
    ),
    "the beginning": Own(name="StartedAt", values=[NOW.isoformat()]),
    "the name": Own(name="Name", values=["Rey", None], is_free=True),
    "the number": Own(name="To", head='to = ["+14155550122"]', values=["+14155550122"]),
}
FIELDS = {
    "as it is": '"entry.5"',
    "as a date": '{ name = "entry.5", as = "date" }',
    "as a time": '{ name = "entry.5", as = "time" }',
    "as both": '{ name = "entry.5", as = "datetime" }',
    "with options": '{ name = "entry.5", options = ["A", "B"] }',
    "with an option": '{ name = "entry.5", options = ["A"] }',
    "with another option": '{ name = "entry.5", options = ["C"] }',
    "as a year": '"entry.5_year"',
    "as an hour": '"entry.5_hour"',
    "as the text of Other": '"entry.5.other_option_response"',
    "as an address": '"emailAddress"',
    "nowhere": '"x"',
}


def choice(kind: str, *options: str, other: bool = False, **more: object) -> Question:
    return Question("Q", kind, options=list(options), has_other=other, entries=[5], **more)


TYPES = ("completed", "corrected", "stopped", "expired")
ASKED = {
    "a short answer": choice("short"),
    "a paragraph": choice("paragraph"),
    "A or B": choice("choice", "A", "B"),
    "A": choice("dropdown", "A"),
    "A, B or Other": choice("choice", "A", "B", other=True),
    "A or Other": choice("choice", "A", other=True),
    "only Other": choice("choice", other=True),
    "C or Other": choice("choice", "C", other=True),
    "yes or no": choice("dropdown", "yes", "no"),
    "Ja oder Nein": choice("choice", "Ja", "Nein"),
    "Ja oder Sonstiges": choice("choice", "Ja", other=True),
    "boxes": choice("checkboxes", "A", "B"),
    "boxes with Other": choice("checkboxes", "A", other=True),
    "a scale": choice("scale", "1", "2", "3"),
    "a short scale": choice("scale", "1", "2"),
    "stars": choice("choice", *STARS.values()),
    "a rating": choice("rating"),
    "a grid": choice("grid", "A", "B", rows=["Food"]),
    "a grid of boxes": choice("grid", "A", "B", rows=["Food"], takes_many=True),
    "the event": choice("dropdown", "Mats BBQ"),
    "the number": choice("dropdown", "+14155550122"),
    "a type": choice("dropdown", *TYPES),
    "a correction": choice("dropdown", *TYPES[:2]),
    "a date": choice("date"),
    "a date with a time": choice("date", has_time=True),
    "a date without a year": choice("date", has_year=False),
    "a time": choice("time"),
    "a duration": choice("duration"),
}  # fmt: skip


def others(own: Own) -> dict[str, Question]:
    """Questions for all that is sent besides, by our names."""
    is_several = "review" in own.head or own.results
    names = [name for name in (ALWAYS if is_several else ALWAYS[:4]) if name != own.name]
    return {name: Question(name, entries=[place]) for place, name in enumerate(names, 11)}


def load(folder: Path, own: Own, line: str, url: str) -> Questionnaire | None:
    """The questionnaire of a file, unless `check` refuses that, or takes it for a mistake."""
    words = ", ".join(f'"{value}" = "{word}"' for value, word in own.words.items())
    fields = {name: f'"{question.entry}"' for name, question in others(own).items()}
    content = FILE.format(
        head=own.head,
        question=own.question or lines("text"),
        url=url,
        results=own.results,
        fields="\n".join(
            f"{each} = {there}" for each, there in (fields | {own.name: line}).items()
        ),
        words=f"{own.name} = {{ {words} }}" if words else "",
    )
    (folder / "party.toml").write_text(content, "utf-8")
    catalog, problems = loader.examine(folder)
    doubtful = [each for each in problems if each.is_error or "Correct one" in each.sentence]
    return None if doubtful else catalog["party"]


def look(form: GoogleForm) -> FormPage:
    _, _, html = form.answer("GET", "/forms/d/e/" + form.id + "/viewform", b"", "")
    page = read_page(html, form.page_url).page
    assert page is not None
    return page


def find_all(page: FormPage, questionnaire: Questionnaire) -> list[Problem]:
    found = [*preflight.find_problems(page, questionnaire), *mapping.find_problems(questionnaire)]
    for problem in found:
        assert problem.sentence.endswith("."), problem
    return found


def post(form: GoogleForm, questionnaire: Questionnaire, values: dict[str, Value]) -> Row | None:
    """The row that the form records of a result with these values, if it does."""
    data = ResultData(
        conversation=1,
        sender=values["From"],
        number=values.get("To", "+14155550122"),
        name=values.get("Name"),
        event=values["Event"],
        questionnaire="party",
        started_at=NOW,
        completed_at=NOW if values.get("CompletedAt", NOW) else None,
        answers={key: value for key, value in values.items() if key in questionnaire.by_key},
        corrects=values["Corrects"],
    )
    type = values.get("Type", "completed")
    payload = json.loads(build_payload(questionnaire, type, data, "msg_1", NOW))
    body = urlencode(payload, doseq=True).encode()
    form.rows.clear()
    form.answer("POST", f"/forms/d/e/{form.id}/formResponse", body, FORM_TYPE)
    return form.rows[0] if form.rows else None


def arrives(
    form: GoogleForm, questionnaire: Questionnaire, own: Own, value: Value, way: str
) -> bool:
    """Whether a result with this value is recorded, with the value in its cell, and all others."""
    values: dict[str, Value] = {"From": "+14155550199", "first": "yes", "x": "Blue"}
    values |= {"Event": questionnaire.event or "Hi", "Type": "completed", "Corrects": "msg_0"}
    values[own.name] = value
    row = post(form, questionnaire, values)
    if row is None or any(row.pop(name) != values[name] for name in others(own)):
        return False
    cells = list(filter(None, row.values()))
    if value is None:
        return not cells
    if own.name in ("StartedAt", "CompletedAt") or value == LATER:
        return cells == [shown(way, value)]
    sent = {own.words.get(each, each) for each in ([value] if isinstance(value, str) else value)}
    return [set(cell.split(", ")) for cell in cells] == [sent]


def shown(way: str, value: str) -> str:
    """A date or a time as it stands in the sheet."""
    day = date.fromisoformat(value[:10])
    return {
        "as a date": f"{day.month}/{day.day}/{day.year}",
        "as a time": "12:34:00 PM",
        "as both": f"{day.month}/{day.day}/{day.year} 12:34:00",
    }.get(way, value if len(value) == 10 else NOW.isoformat(timespec="seconds"))


def forms(own: Own) -> Iterator[tuple[str, list[Question], str]]:
    """What each form is, its questions, and what it does about e-mail addresses."""
    more = list(others(own).values())
    for (name, question), required in product(ASKED.items(), (True, False)):
        title = f"{name}, required" if required else name
        yield title, [*more, replace(question, required=required)], "none"
    yield "an address", more, "typed"
    yield "nothing", more, "none"


@pytest.mark.parametrize("own", OWN)
def test_faults_are_found_where_something_would_not_arrive_and_only_there(form, tmp_path, own):
    mistakes, own = [], OWN[own]
    counts = {True: 0, False: 0}
    ways = {way: load(tmp_path, own, line, form.url) for way, line in FIELDS.items()}
    for title, form.questions, form.email in forms(own):
        page = look(form)
        for way, questionnaire in ways.items():
            if questionnaire:
                found = find_all(page, questionnaire)
                errors = [problem for problem in found if problem.is_error]
                usual, always = find_out(form, questionnaire, own, way)
                is_missed = bool(errors) is usual and way != "nowhere"  # which may be meant
                if is_missed or bool(found) is always:
                    mistakes.append((title, way, usual, always, list(map(str, found))))
                counts[always] += 1
    assert mistakes == []
    assert min(counts.values()) > 0


def find_out(
    form: GoogleForm, questionnaire: Questionnaire, own: Own, way: str
) -> tuple[bool, bool]:
    """Whether all arrives that guests usually send, and all that they ever do."""
    options = [option for question in form.questions for option in question.options]
    options += [*questionnaire.results.field(own.name).options, "__other_option__"]
    values, rare = own.values + options * own.is_free, own.rare + options * own.keeps
    usual = all(arrives(form, questionnaire, own, value, way) for value in values)
    return usual, usual and all(arrives(form, questionnaire, own, value, way) for value in rare)


# Dates of which each part has an answer of its own ###########################


def part(name: str, least: int, most: int, *more: str) -> str:
    limits = f"whole = true\nmin = {least}\nmax = {most}\n"
    asked = lines("number", *more)
    return f'[[questions]]\nkey = "{name}"\nask = "?"\n{asked}\n{limits}'


YEARS, MONTHS, DAYS = part("year", 2026, 2028), part("month", 1, 12), part("day", 1, 28)
PARTS = {
    "all": (YEARS + MONTHS + DAYS, {}, []),
    "no year": (MONTHS + DAYS, {"has_year": False}, []),
    "a time": (part("hour", 0, 23) + part("minute", 0, 59), {"kind": "time"}, []),
    "leap years": (part("year", 2028, 2028) + MONTHS + part("day", 1, 29), {}, []),
    "long months": (YEARS + part("month", 7, 8) + part("day", 1, 31), {}, []),
    "days that are not there": (YEARS + MONTHS + part("day", 1, 30), {}, ["warning"]),
    "too many months": (YEARS + part("month", 1, 13) + DAYS, {}, ["error"]),
    "a month of any size": (YEARS + MONTHS.replace("max = 12\n", "") + DAYS, {}, ["error"]),
    "no day": (YEARS + MONTHS, {}, ["error"]),
    "a day that is not asked for": (YEARS + MONTHS + part("day", 1, 28, "optional = true"), {},
                                    ["error"]),
    "one that can be skipped": (YEARS + MONTHS + DAYS.replace('"end"', '"skip"'), {}, ["warning"]),
    "a year for a time": (YEARS + MONTHS, {"kind": "time"}, ["error", "error"]),
}  # fmt: skip
DATED = """
title = "Party"
event = "Party"
thanks = "Bye."
{questions}
[results]
url = "{url}"
[results.fields]
From = "entry.1"
"""


@pytest.mark.parametrize("case", PARTS)
def test_parts_of_a_date_are_looked_at_together(form, tmp_path, case):
    asked, more, levels = PARTS[case]
    question = Question("Q", **{"kind": "date", "entries": [5]} | more)
    form.questions, form.email = [Question("Sender", entries=[1]), question], "none"
    numbers = {each["key"]: each for each in tomllib.loads(asked)["questions"]}
    content = DATED.format(questions=asked, url=form.url)
    content += "".join(f'{name} = "entry.5_{name}"\n' for name in numbers)
    (tmp_path / "party.toml").write_text(content, "utf-8")
    catalog, problems = loader.examine(tmp_path)
    assert problems == []
    found = find_all(look(form), catalog["party"])
    assert ["error" if each.is_error else "warning" for each in found] == levels, found
    values = [[*map(str, range(each["min"], each.get("max", 13) + 1))] for each in numbers.values()]
    for each, known in zip(numbers.values(), values, strict=True):
        known += [None] * (each.get("optional", False) or each["give_up"] == "skip")
    sent = [dict(zip(numbers, each, strict=True)) for each in product(*values)]
    rows = [post(form, catalog["party"], OTHERS | each) for each in sent]
    cells = [row and row["Q"] for row in rows]
    assert all(cells) is not bool(levels)


OTHERS = {"From": "+14155550199", "Event": "Party", "Corrects": None}
