"""Reading questionnaire files, and finding all their errors."""

import re
from collections.abc import Callable, Iterator
from datetime import date, time
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from models.questionnaire.answers import KINDS
from models.questionnaire.answers.choice import Choice
from models.questionnaire.catalog import Catalog
from models.questionnaire.linter import find_problems
from models.questionnaire.openings import event_form
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Questionnaire
from toml_file import load_toml, parse_toml


class InvalidQuestionnaire(ValueError):
    """What is wrong with questionnaire files: a sentence for each error, with file and cure."""

    def __str__(self) -> str:
        return "\n".join(self.args)


def load_catalog(directory: Path) -> Catalog:
    """Read the questionnaires in `directory`; InvalidQuestionnaire names all errors at once."""
    catalog, problems = examine(directory)
    if errors := [str(problem) for problem in problems if problem.is_error]:
        raise InvalidQuestionnaire(*errors)
    return catalog


def find_files(directory: Path) -> list[Path]:
    """The questionnaires in `directory`: `*.toml`; OSError if it cannot be read.

    Editors keep files of their own beside the one that is open, with a dot at the beginning.
    """
    paths = (path for path in directory.iterdir() if path.suffix == ".toml")
    return sorted(path for path in paths if not path.name.startswith("."))


def examine(directory: Path) -> tuple[Catalog, list[Problem]]:
    """The files that can be read, and all that is wrong or doubtful in any."""
    loaded, problems = {}, []
    try:
        paths = find_files(directory)
    except OSError as error:
        sentence = f"cannot be read: {error.strerror}. Make it a directory that can be."
        return Catalog({}), [Problem("", sentence, file=str(directory))]
    for path in paths:
        questionnaire, found = read_file(path)
        problems += [problem._replace(file=str(path)) for problem in found]
        if questionnaire:
            loaded[path.stem] = questionnaire
    faulty = {(problem.file, problem.part) for problem in problems}
    problems += _conflicts(loaded, directory, faulty)
    if not loaded and not problems:
        sentence = "holds no questionnaire. Put a .toml file there."
        problems.append(Problem("", sentence, file=str(directory)))
    return Catalog(loaded), problems


def read_file(
    path: Path, results: dict[str, Any] | None = None
) -> tuple[Questionnaire | None, list[Problem]]:
    """The questionnaire, as far as it can be read, and what is wrong with it.

    With `results` that is the file as it would be with these in the place of its own.
    """
    if NOT_UTF8.search(path.name):  # and each conversation is stored with that name
        return None, [Problem("", "its name is not UTF-8. Rename it.")]
    return _read(lambda: load_toml(path) | ({"results": results} if results else {}))


def read_text(text: str) -> tuple[Questionnaire | None, list[Problem]]:
    """The same of a file that has this text."""
    return _read(lambda: parse_toml(text.encode()))


def _read(load: Callable[[], dict[str, Any]]) -> tuple[Questionnaire | None, list[Problem]]:
    try:
        content = _dates_as_text(load())
    except RecursionError:
        return None, [Problem("", "is nested too deeply. Correct it there.")]
    except ValueError as error:
        return None, [Problem("", str(error))]
    questionnaire, misfits = _convert(content)
    questionnaire = complete(questionnaire)
    # What is wrong with a part that does not fit may only follow from that.
    unfit = {misfit.part for misfit in misfits}
    others = [problem for problem in find_problems(questionnaire) if problem.part not in unfit]
    return questionnaire, misfits + others


NOT_UTF8 = re.compile("[\ud800-\udfff]")  # what Python makes of such bytes in a name


def _dates_as_text(content: Any) -> Any:
    """With dates and times of TOML as texts: a line can say "today", or "18:30", too."""
    if isinstance(content, dict):
        return {name: _dates_as_text(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_dates_as_text(value) for value in content]
    if isinstance(content, time):
        return content.isoformat("minutes")
    return content.isoformat() if isinstance(content, date) else content


def _convert(content: dict[str, Any]) -> tuple[Questionnaire, list[Problem]]:
    """The content as a questionnaire, without the parts that do not fit, and those.

    msgspec reports one error at a time, so the part is mended and converted again until it fits.
    """
    misfits: list[Problem] = []
    while True:
        try:
            return msgspec.convert(content, Questionnaire), misfits
        except msgspec.ValidationError as error:
            reason, _, path = str(error).partition(" - at `$")
            misfits.append(_describe(reason, path))
            _mend(content, reason, path)


def _mend(content: Any, reason: str, path: str) -> None:
    """Substitute what fits for what does not, or remove it where nothing fits."""
    keys = _keys(path)
    if (field := re.search(r"(unknown|required) field `(.+)`", reason)) and "[...]" not in path:
        keys.append(field[2])
    *parents, last = keys
    for key in parents:
        content = content[key]
    if "unknown field" in reason or not (last in SUBSTITUTES or isinstance(last, int)):
        del content[last]
    elif parents == ["questions"]:
        content[last] = {"ask": "?"}
    else:
        content[last] = SUBSTITUTES.get(last, "?")


SUBSTITUTES = {"title": "?", "ask": "?", "value": "?", "url": "https://example.org"}


def _keys(path: str) -> list[str | int]:
    """The way to a part of a file, without the names that an author chose: msgspec hides those."""
    steps = re.findall(r"\w+|\[[0-9]+\]", path.partition("[...]")[0])
    return [int(step[1:-1]) if step[0] == "[" else step for step in steps]


def _describe(reason: str, path: str) -> Problem:
    """msgspec's error about `$.questions[0].ask`, with the place and a cure for an author."""
    location = ", ".join(str(key + 1) if isinstance(key, int) else key for key in _keys(path))
    location = re.sub(r"(question|choice)s, ([0-9])", r"\1 \2", location)
    if cure := CURES.get(location.rpartition(", ")[2]):
        return Problem(location, f"{reason}. {cure}")
    hint = next((hint for part, hint in HINTS.items() if part in reason), "{}. Correct it.")
    return Problem(location, hint.format(reason))


# What an author can do about it, by a part of msgspec's reason, or by the name of the line.
HINTS = {
    "Expected `array`": '{}. Write a list, like ["one", "another"].',
    "unknown field": "{}. Remove it, or correct its spelling.",
    "missing required": "{}. Add it.",
    "[smhd]": 'is not a length of time. Write a number and s, m, h or d, like "4h".',
    "[A-Za-z0-9_]": "is not a key. Write letters, digits and _, a letter first.",
    "[a-z]{2,3}": 'is not a language. Write its two small letters, like "es".',
    r"'\\S'": "is empty. Write something between the quotes.",
    **{part: hint for kind in KINDS.values() for part, hint in kind.option_hints.items()},
}
CURES = {
    "kind": f"Write one of {', '.join(KINDS)}.",
    "format": 'Write "form" or "json".',
    "give_up": 'Write "skip", "keep" or "end".',
    "attempts": "Write a number from 1 to 10.",
    "fields": 'Write a name like "entry.1", or { name = "entry.1", as = "date" }. Besides'
    ' as = "date" there are "time" and "datetime", and options = ["Pizza", "Pasta"].',
    "values": 'Write the key of a question, and what each value is there: { yes = "Ja" }.',
    "pages": "Write a number from 1 to 100: how many sections the form has.",
    "only_if": 'Write { key = "value" }, a list of values, or { key = { min = 1, max = 9 } }.',
}


def complete(questionnaire: Questionnaire) -> Questionnaire:
    """Give questions without a key Question1, Question2 and so on, and labels a choice each."""
    questions = tuple(
        msgspec.structs.replace(
            question,
            key=question.key or f"Question{number}",
            choices=tuple(
                Choice(choice) if isinstance(choice, str) else choice for choice in question.choices
            ),
        )
        for number, question in enumerate(questionnaire.questions, 1)
    )
    return msgspec.structs.replace(questionnaire, questions=questions)


def _conflicts(
    loaded: dict[str, Questionnaire], directory: Path, faulty: set[tuple[str, str]]
) -> list[Problem]:
    """Pairs that one text to one number would open both, of those that say what opens them."""
    unclear = {Path(file).stem for file, part in faulty if part in ("event", "to")}
    return [
        problem._replace(file=f"{directory / name}.toml and {other}.toml")
        for name, other in combinations(loaded, 2)
        if not unclear & {name, other}
        for problem in _conflict(loaded[name], loaded[other])
    ]


def _conflict(first: Questionnaire, second: Questionnaire) -> Iterator[Problem]:
    """An error where one text opens both; a warning where only the exact events open any."""
    cure = 'Give one of them another event = "…", or a to = ["…"] of its own.'
    if not (set(first.to) & set(second.to) or not (first.to or second.to)):
        return
    if _have_same_opener(first, second):
        yield Problem("", f"{_opener(first)} opens both. {cure}")
    elif first.event and second.event and event_form(first.event) == event_form(second.event) != "":
        sentence = f'"{first.event}" and "{second.event}" are alike, so what guests text may open'
        yield Problem("", f"{sentence} neither. {cure}", is_error=False)


def _have_same_opener(first: Questionnaire, second: Questionnaire) -> bool:
    same_event = first.event and second.event and first.is_opened_by(second.event)
    return bool(same_event) or first.event is second.event is None


def _opener(questionnaire: Questionnaire) -> str:
    return f'the text "{questionnaire.event}"' if questionnaire.event else "any text"
