"""A kind of answer is one module and one line: what it defines, the whole program knows."""

import ast
import json
import os
import sqlite3
import subprocess
import sys
from datetime import date
from typing import Protocol

import pytest
from conftest import HERE, REY, run
from hypothesis import given, settings
from hypothesis import strategies as st

from models.questionnaire import answers
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.choice import Choice
from models.questionnaire.answers.kind import ANY_DAY, PARTS, Kind
from models.questionnaire.flow import is_met
from models.questionnaire.schema import Question, Sentences
from models.questionnaire.templates import PLACEHOLDER

PAGE = (HERE / "docs" / "questionnaires.md").read_text("utf-8")
PACKAGE = HERE / "models" / "questionnaire" / "answers"
TODAY = date(2026, 11, 20)

COLOUR = '''
"""A colour, by its name or as #rrggbb."""

import re
from collections.abc import Iterator
from datetime import date
from typing import Protocol

from models.questionnaire.answers.kind import (
    Kind, OwnWords, ParseContext, Reading, Sentence, read_as
)
from models.questionnaire.problem import Problem
from models.text import comparable

COLOURS = {"red": "#ff0000", "green": "#00ff00", "blue": "#0000ff"}


class ColourOptions(Protocol):
    """The names of the colours that can be given; any without."""

    palette: tuple[Sentence, ...] = ()


def colours(question: ColourOptions, today: date) -> str:
    return " or ".join(question.palette or COLOURS)


class ColourKind(Kind):
    documentation = "a colour; it is kept like `#ff0000`"
    retry = "Please reply with a colour, like {colours}."
    sample = "magenta"
    has_options = True
    options = ColourOptions
    placeholders = {"colours": colours}

    def parse(self, question: ColourOptions, text: str, context: ParseContext) -> Reading:
        value = COLOURS.get(comparable(text), text.strip().lower())
        allowed = [COLOURS[name] for name in question.palette]
        is_colour = re.fullmatch("#[0-9a-f]{6}", value)
        return read_as(value if is_colour and (value in allowed or not allowed) else None)

    def show(self, question: ColourOptions, value: str, own_words: OwnWords) -> str:
        return next((name for name, code in COLOURS.items() if code == value), value)

    def values(self, question: ColourOptions) -> list[str]:
        return [COLOURS[name] for name in question.palette if name in COLOURS]

    def problems(self, question: ColourOptions) -> Iterator[Problem]:
        for name in question.palette:
            if name not in COLOURS:
                yield Problem("palette", f"{name} is no colour. Write one like red.")

    def condition_help(self, question: ColourOptions) -> str:
        return 'Write a colour like "#ff0000".'


KIND = ColourKind()
'''
PARTY = """
title = "Party"
thanks = "Noted: {dress}, {why}."
[[questions]]
key = "dress"
kind = "colour"
palette = ["red", "blue"]
ask = "Which colour will you wear, {colours}?"
[[questions]]
key = "why"
ask = "Why red?"
only_if = { dress = "#ff0000" }
"""


CLOCK = '''
"""A time of day, like 18:30."""

from datetime import time

from models.questionnaire.answers.kind import Kind, Options, ParseContext, Reading, read_as


class ClockKind(Kind):
    documentation = "a time of day"
    retry = "Please reply with a time, like 18:30."
    split_as = ("time",)

    def parse(self, question: Options, text: str, context: ParseContext) -> Reading:
        return read_as(self.moment(text).isoformat("minutes") if ":" in text else None)

    def moment(self, value: str) -> time:
        return time.fromisoformat(value)


KIND = ClockKind()
'''
SENT = """
[results]
url = "https://example.org/results"
[results.fields]
dress = { name = "entry.1", options = ["Rot"] }
when = { name = "entry.2", as = "time" }
[results.values]
dress = { "#ff0000" = "Rot" }
"""
WHEN = '[[questions]]\nkey = "when"\nkind = "clock"\nask = "When?"\n'


@pytest.fixture
def painted(next_program):
    """The program with two kinds of answers more."""
    program = next_program("pass")
    package = program.parent / "models" / "questionnaire" / "answers"
    (package / "colour.py").write_text(COLOUR, "utf-8")
    (package / "clock.py").write_text(CLOCK, "utf-8")
    registry = (package / "__init__.py").read_text("utf-8")
    assert registry.count('        "location",\n') == 1
    more = '        "location",\n        "colour",\n        "clock",\n'
    registry = registry.replace('        "location",\n', more)
    (package / "__init__.py").write_text(registry, "utf-8")
    return program


@pytest.fixture
def paint(folder, environ, painted):
    """Run a command of that program on some files."""

    def paint(files: list[str], *arguments: str, said: str = "") -> subprocess.CompletedProcess:
        for path in (folder / "questionnaires").glob("*.toml"):
            path.unlink()
        for number, content in enumerate(files):
            (folder / "questionnaires" / f"party{number}.toml").write_text(content, "utf-8")
        return run(folder, environ, *arguments, program=painted, said=said)

    return paint


@pytest.mark.long
def test_a_new_kind_is_one_module_and_one_line(paint, folder, painted):
    ended = paint([PARTY], "check", "--json", "--strict")
    assert ended.returncode == 0, ended.stdout
    (questionnaire,) = json.loads(ended.stdout)["questionnaires"]
    texts = {text["place"]: text for text in questionnaire["texts"]}
    assert texts["question 1, ask"]["kind"] == texts["say, colour"]["kind"] == "colour"
    assert texts["say, colour"]["characters"] == len(
        "Please reply with a colour, like red or blue."
    )
    assert texts["thanks"]["characters"] == len("Noted: magenta, .") + 20

    ended = paint([PARTY], "rehearse", said="Hi\ngreen\nRed!\nfor luck\n")
    assert [line for line in ended.stdout.splitlines() if line[0] in "<>"] == [
        "> Hi",
        "< Which colour will you wear, red or blue?",
        "> green",
        "< Please reply with a colour, like red or blue.",
        "> Red!",
        "< Why red?",
        "> for luck",
        "< Noted: red, for luck.",
    ], ended.stdout + ended.stderr
    with sqlite3.connect(folder / "rehearsal.db") as db:
        values = db.execute("SELECT key, value FROM answers ORDER BY id").fetchall()
    assert values == [("dress", "#ff0000"), ("why", "for luck")]

    program = "from models.questionnaire import answers; print(answers.documentation_table())"
    command = [sys.executable, "-c", program]
    table = subprocess.run(command, cwd=painted.parent, capture_output=True, encoding="utf-8")
    line = "| `colour` | a colour; it is kept like `#ff0000` | `palette` |"
    assert line in table.stdout.splitlines()


MISTAKES = [
    ('"blue"', '"mauve"', "question 1, palette", "mauve is no colour. Write one like red."),
    ('["red", "blue"]', '"red"', "question 1, palette", 'Write a list, like ["one", "another"].'),
    ('kind = "colour"', "", "question 1, palette", 'belongs to kind = "colour". Remove it'),
    ('"#ff0000"', '"red"', "question 2, only_if", "dress can never be that. Write a colour"),
    ('"#ff0000"', "{ min = 1 }", "question 2, only_if", "dress can never be that."),
    ("{why}", "{colours}", "thanks", "{colours} is not known here."),
    ("{colours}", "{limits}", "question 1, ask", "{limits} is not known here."),
    ('"colour"', '"color"', "question 1, kind", "Write one of text, yes_no, choice, number, "),
    ("[[questions]]", '[say]\nback = "red"\n[[questions]]', "say, back", "red is an answer"),
    ("[[questions]]", '[say]\ncolour = ""\n[[questions]]', "say, colour", "is empty. Write"),
    *(
        ("[[questions]]", f"{WHEN}{SENT.replace(before, after)}[[questions]]", location, sentence)
        for before, after, location, sentence in [
            ('as = "time"', 'as = "date"', "results, fields", 'as date. Write as = "time".'),
            ('as = "time"', 'options = ["x"]', "results, fields", '"when" is no text or choice'),
            ('"#ff0000" =', "red =", "results, values", 'can never be "red". Write one of "#'),
            ('dress = { "', 'when = { "', "results, values", '"when" is of kind = "clock", whose'),
        ]
    ),
]


def test_check_judges_a_new_kind(paint):
    files = [PARTY.replace(before, after, 1) for before, after, *_ in MISTAKES]
    ended = paint(files, "check", "--json")
    assert ended.returncode == os.EX_CONFIG
    problems = json.loads(ended.stdout)["findings"]
    for number, (*_, location, sentence) in enumerate(MISTAKES):
        file = f"questionnaires/party{number}.toml"
        found = [
            one["sentence"] for one in problems if (one["file"], one["place"]) == (file, location)
        ]
        assert any(sentence in one for one in found), (number, found)


@pytest.mark.long
def test_a_form_takes_answers_of_a_new_kind_as_the_kind_says(paint, folder):
    content = PARTY + WHEN + SENT
    assert paint([content], "check", "--strict").returncode == 0
    ended = paint([content], "rehearse", said="Hi\nred\nfor luck\n18:05\n")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with sqlite3.connect(folder / "rehearsal.db") as db:
        ((payload,),) = db.execute("SELECT payload FROM outbox")
    answers = {"entry.1": "Rot", "why": "for luck", "entry.2_hour": "18", "entry.2_minute": "5"}
    assert json.loads(payload) == {"From": REY, "Event": "Hi"} | answers


@pytest.mark.long
def test_the_sentence_of_a_new_kind_can_be_replaced(paint):
    content = PARTY.replace("[[questions]]", '[say]\ncolour = "{colours}!"\n[[questions]]', 1)
    ended = paint([content], "rehearse", said="Hi\ngreen\n")
    assert "< red or blue!" in ended.stdout.splitlines()


# What each kind defines


def a_question(name: str) -> Question:
    return Question("?", key="it", kind=name, choices=(Choice("A"),) * (name == "choice"))


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_defines_all_that_the_program_asks_of_it(name):
    kind, question, messages = KINDS[name], a_question(name), Sentences()
    prompt = messages.retry_prompt(question)
    assert prompt == kind.retry
    assert set(PLACEHOLDER.findall(prompt)) <= set(kind.placeholders)
    values = kind.placeholder_values(question, TODAY)
    assert values.keys() == kind.placeholders.keys()
    assert all(isinstance(value, str) for value in values.values())
    sample = kind.long_answer(question, messages)
    assert sample and isinstance(sample, str)
    assert kind.documentation and "|" not in kind.documentation
    assert kind.condition_help(question).endswith(".")
    assert list(kind.problems(question)) == list(kind.name_problems(question)) == []
    assert all(name.text for name in kind.names(question))
    assert set(kind.split_as) <= set(PARTS)
    for way in kind.split_as:
        assert all(hasattr(kind.moment(sample), part) for part in PARTS[way])
    if not kind.split_as:
        with pytest.raises(ValueError, match="no date"):
            kind.moment(sample)
    assert all(
        kind.read(question, value, ANY_DAY).value == value for value in kind.values(question)
    )
    assert kind.read(question, "", ANY_DAY).values == ()
    assert not kind.is_name(question, "?")


CONDITIONS = {"yes_no": "no", "choice": "A", "number": 3, "date": "2026-12-31"}
CONDITIONS |= {"text": "Red", "email": "a@example.org", "phone": "+14158675308", "photo": None}
CONDITIONS |= {"location": "52.51628,13.37770", "rating": 3, "time": "14:30"}


@pytest.mark.parametrize("name", KINDS)
def test_a_value_that_a_condition_names_can_be_a_candidate(name):
    kind, question, wanted = KINDS[name], a_question(name), CONDITIONS[name]
    found = [value for value in kind.candidates(question, [wanted]) if value is not None]
    assert any(is_met(question, value, wanted) for value in found) == (wanted is not None)


@pytest.mark.parametrize("name", KINDS)
def test_a_value_that_is_read_can_be_shown(name):
    kind, question = KINDS[name], a_question(name)
    texts = ("yes", "A", "3", "3 May", "2:30 pm", "a@example.org", "+1 415 867 5308")
    texts += ("52.5163, 13.3777",)
    values = [kind.read(question, text, ANY_DAY, ["https://a"]).value for text in texts]
    assert any(values)
    assert all(kind.show(question, value, Sentences()) for value in values if value)


def test_the_page_has_the_table_of_kinds():
    assert f"\n\n{answers.documentation_table()}\n\n" in PAGE


ALLOWED = ("models.questionnaire.answers.kind", "models.questionnaire.problem", "models.text")
ALLOWED += ("models.questionnaire.answers.positions", "models.questionnaire.choices")
ALLOWED += ("models.questionnaire.languages", "models.questionnaire.slips", "models.attachments")
ALLOWED += ("models.questionnaire.assent", "models.questionnaire.tokens")
ALLOWED += ("models.questionnaire.numerals", "models.questionnaire.number_sentences")
ALLOWED += ("models.questionnaire.moments",)


def test_a_module_of_a_kind_needs_no_other():
    for name in KINDS:
        tree = ast.parse((PACKAGE / f"{name}.py").read_text("utf-8"))
        modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        ours = {module for module in modules if module.partition(".")[0] == "models"}
        assert {module for module in ours if not module.startswith(ALLOWED)} == set(), name


# What is forgotten is an error when the program starts


class WholeKind(Kind):
    documentation = "anything"
    retry = "?"

    def parse(self, question, text, context):
        return text


@pytest.mark.parametrize("name", ["documentation", "retry"])
def test_a_kind_without_a_sentence_cannot_be_defined(name):
    sentences = {"documentation": "anything", "retry": "?"}
    del sentences[name]
    with pytest.raises(TypeError, match=f"HalfKind lacks {name}"):
        type("HalfKind", (Kind,), sentences)


def test_a_kind_that_reads_nothing_cannot_be_made():
    half = type("HalfKind", (Kind,), {"documentation": "anything", "retry": "?"})
    with pytest.raises(TypeError, match="parse"):
        half()
    assert WholeKind()


def test_an_option_needs_a_default(patch):
    class NoDefault(Protocol):
        size: int

    half = type("HalfKind", (WholeKind,), {"options": NoDefault})
    patch(answers, "KINDS", {**KINDS, "half": half()})
    with pytest.raises(AttributeError, match="size"):
        answers.option_fields()


def test_an_option_is_the_same_for_all_kinds_that_have_it(patch):
    class OtherMin(Protocol):
        min: str = ""

    half = type("HalfKind", (WholeKind,), {"options": OtherMin})
    patch(answers, "KINDS", {**KINDS, "half": half()})
    with pytest.raises(TypeError, match="Two kinds have an option min"):
        answers.option_fields()


@settings(deadline=None)  # the parsers of dates are loaded by the first
@given(text=st.text(max_size=50))
def test_a_text_without_an_answer_is_none_of_any_kind(text):
    for name, kind in KINDS.items():
        value = kind.read(a_question(name), text, ANY_DAY).value
        assert value is None or value.strip()
