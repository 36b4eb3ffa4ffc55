"""Reading questionnaire files, and finding all their mistakes."""

import re
import tomllib
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import msgspec

from models.questionnaire.catalog import Catalog
from models.questionnaire.linter import Finding, find_mistakes
from models.questionnaire.schema import Choice, Kind, Questionnaire


class InvalidQuestionnaire(ValueError):
    """What is wrong with questionnaire files: a sentence for each mistake, with file and cure."""


def load_catalog(directory: Path) -> Catalog:
    """Read every `*.toml` in `directory`; InvalidQuestionnaire names all mistakes at once."""
    catalog, findings = examine(directory)
    if mistakes := [str(one) for one in findings if one.is_error]:
        raise InvalidQuestionnaire("\n".join(mistakes))
    return catalog


def examine(directory: Path) -> tuple[Catalog, list[Finding]]:
    """The files that can be read, and all that is wrong or doubtful in any."""
    loaded, findings = {}, []
    for path in sorted(directory.glob("*.toml")):
        questionnaire, found = _read(path)
        findings += [one._replace(file=str(path)) for one in found]
        if questionnaire:
            loaded[path.stem] = questionnaire
    findings += _ties(loaded, directory, {(one.file, one.part) for one in findings})
    if not loaded and not findings:
        sentence = "holds no questionnaire. Put a .toml file there."
        findings.append(Finding("", sentence, file=str(directory)))
    return Catalog(loaded), findings


def _read(path: Path) -> tuple[Questionnaire | None, list[Finding]]:
    """The questionnaire, as far as it can be read, and its mistakes."""
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        return None, [Finding("", f"is not TOML: {error}. Correct it there.")]
    questionnaire, misfits = _convert(_dates_written(content))
    questionnaire = _completed(questionnaire)
    # What is said of a part that does not fit may only follow from that.
    unfit = {one.part for one in misfits}
    others = [one for one in find_mistakes(questionnaire) if one.part not in unfit]
    return questionnaire, misfits + others


def _dates_written(content: Any) -> Any:
    """With the dates that TOML knows as the text they are in the file: they may be "today" too."""
    if isinstance(content, dict):
        return {name: _dates_written(value) for name, value in content.items()}
    if isinstance(content, list):
        return [_dates_written(value) for value in content]
    return content.isoformat() if isinstance(content, date) else content


def _convert(content: dict[str, Any]) -> tuple[Questionnaire, list[Finding]]:
    """The content as a questionnaire, without the parts that do not fit, and those.

    msgspec tells of one at a time, so it is asked again until it is content.
    """
    misfits: list[Finding] = []
    while True:
        try:
            return msgspec.convert(content, Questionnaire), misfits
        except msgspec.ValidationError as error:
            what, _, path = str(error).partition(" - at `$")
            misfits.append(_in_words(what, path))
            _take_out(content, what, path)


def _take_out(content: Any, what: str, path: str) -> None:
    """Put what fits in the place of what does not, or nothing where nothing fits."""
    keys = _keys(path)
    if (field := re.search(r"(unknown|required) field `(.+)`", what)) and "[...]" not in path:
        keys.append(field[2])
    *parents, last = keys
    for key in parents:
        content = content[key]
    if "unknown field" in what or not (last in FITTING or isinstance(last, int)):
        del content[last]
    else:
        content[last] = {"ask": "?"} if parents == ["questions"] else FITTING.get(last, "?")


FITTING = {"title": "?", "ask": "?", "value": "?", "url": "https://example.org"}


def _keys(path: str) -> list[str | int]:
    """The way to a part of a file, without the names that an author chose: msgspec hides those."""
    steps = re.findall(r"\w+|\[[0-9]+\]", path.partition("[...]")[0])
    return [int(step[1:-1]) if step[0] == "[" else step for step in steps]


def _in_words(what: str, path: str) -> Finding:
    """msgspec's sentence about `$.questions[0].ask` in words that an author uses."""
    place = ", ".join(str(key + 1) if isinstance(key, int) else key for key in _keys(path))
    place = re.sub(r"(question|choice)s, ([0-9])", r"\1 \2", place)
    said = next((said for hint, said in SAYINGS.items() if hint in what), "{}. Correct it.")
    cure = CURES.get(place.rpartition(", ")[2])
    return Finding(place, f"{what}. {cure}" if cure else said.format(what))


# What an author can do about it, by a part of what msgspec says, or by the name of the line.
SAYINGS = {
    "Expected `array`": '{}. Write a list, like ["one", "another"].',
    "unknown field": "{}. Remove it, or correct its spelling.",
    "missing required": "{}. Add it.",
    "[smhd]": 'is not a length of time. Write a number and s, m, h or d, like "4h".',
    "[A-Za-z0-9_]": "is not a key. Write letters, digits and _, a letter first.",
    "[A-Z]{2}": 'is not a region. Write the two capital letters of a country, like "US".',
    "[a-z]{2,3}": 'is not a language. Write its two small letters, like "es".',
    "today": 'is not a day. Write a date like 2026-12-31, or "today", "today+30d", "today-1d".',
    r"'\\S'": "is empty. Write something between the quotes.",
}
CURES = {
    "kind": f"Write one of {', '.join(get_args(Kind))}.",
    "format": 'Write "form" or "json".',
    "give_up": 'Write "skip", "keep" or "end".',
    "attempts": "Write a number from 1 to 10.",
    "only_if": 'Write { key = "value" }, a list of values, or { key = { min = 1, max = 9 } }.',
}


def _completed(questionnaire: Questionnaire) -> Questionnaire:
    """Give questions without a key Question1, Question2 and so on, and labels a choice each."""
    questions = tuple(
        msgspec.structs.replace(
            question,
            key=question.key or f"Question{place}",
            choices=tuple(Choice(one) if isinstance(one, str) else one for one in question.choices),
        )
        for place, question in enumerate(questionnaire.questions, 1)
    )
    return msgspec.structs.replace(questionnaire, questions=questions)


def _ties(
    loaded: dict[str, Questionnaire], directory: Path, mistaken: set[tuple[str, str]]
) -> list[Finding]:
    """Pairs that one text to one number would open both, of those that say what opens them."""
    wrong = {Path(file).stem for file, part in mistaken if part in ("event", "to")}
    return [
        Finding(
            "",
            f"{_opener(loaded[one])} opens both."
            ' Give one of them another event = "…", or a to = ["…"] of its own.',
            file=f"{directory / one}.toml and {other}.toml",
        )
        for one, other in combinations(loaded, 2)
        if _tie(loaded[one], loaded[other]) and not wrong & {one, other}
    ]


def _tie(one: Questionnaire, other: Questionnaire) -> bool:
    same_event = one.event and other.event and one.is_opened_by(other.event)
    same_number = set(one.to) & set(other.to) or not (one.to or other.to)
    return bool(same_number and (same_event or one.event is other.event is None))


def _opener(questionnaire: Questionnaire) -> str:
    return f'the text "{questionnaire.event}"' if questionnaire.event else "any text"
