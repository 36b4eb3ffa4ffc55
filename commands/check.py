"""commands/check.py"""

import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.terminal import echo, pluralize
from models import Questionnaire
from models.questionnaire import loader
from models.questionnaire.costs import Cost, Sheet
from models.questionnaire.linter import Finding
from phone import measure
from resources import open_people
from settings import Settings


@click.command()
@click.option("--price", type=click.FloatRange(0), help="What a segment costs, such as 0.0083.")
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@click.option("--json", "for_machines", is_flag=True, help="Tell it as JSON.")
def check(price: float | None, strict: bool, for_machines: bool) -> None:
    """Judge the questionnaire files, and say what each costs to send."""
    settings = Settings.from_env(os.environ)
    sheets, findings = examine(settings)
    findings = [one._replace(is_error=one.is_error or strict) for one in findings]
    has_errors = any(one.is_error for one in findings)
    if for_machines:
        echo(json.dumps(report(sheets, findings, price), indent=2, ensure_ascii=False))
    elif not has_errors:
        echo("\n\n".join("\n".join(tabulate(*named, price)) for named in sheets.items()))
    for one in () if for_machines else findings:
        words = str(one) if one.is_error else f"warning: {one}"
        click.secho(words, fg="red" if one.is_error else "yellow", err=True)
    if has_errors:
        sys.exit(os.EX_CONFIG)


def examine(settings: Settings) -> tuple[dict[str, Sheet], list[Finding]]:
    """What each questionnaire says, by its name, and all that is wrong or doubtful."""
    names = set(open_people(settings).values())
    questionnaires, findings = loader.examine(settings.questionnaires)
    sheets = {
        name: Sheet.of(one, names, datetime.now(UTC).date(), measure)
        for name, one in questionnaires
        if not any(found.is_error and Path(found.file).stem == name for found in findings)
    }
    for name, sheet in sheets.items():
        file = str(settings.questionnaires / f"{name}.toml")
        findings += [one._replace(file=file) for one in sheet.find_doubts(measure)]
        dear = sheet.find_dear_names(sorted(names), measure)
        findings += [one._replace(file=str(settings.people)) for one in dear]
    return sheets, list(dict.fromkeys(findings))


def report(sheets: Mapping[str, Sheet], findings: list[Finding], price: float | None) -> dict:
    return {
        "questionnaires": [
            {
                "name": name,
                "title": sheet.questionnaire.title,
                "event": sheet.questionnaire.event,
                "to": sheet.questionnaire.to,
                "texts": [
                    {
                        "place": line.text.place,
                        "kind": line.text.question and line.text.question.kind,
                        "encoding": line.encoding,
                        "segments": line.segments,
                        "characters": len(line.words),
                    }
                    for line in sheet.lines
                ],
                "conversation": {
                    which: cost._asdict()
                    | ({} if price is None else {"cost": round(price * cost.segments, 6)})
                    for which, cost in zip(("least", "most"), sheet.costs(), strict=True)
                },
            }
            for name, sheet in sheets.items()
        ],
        "findings": [
            {
                "level": "error" if one.is_error else "warning",
                "file": one.file,
                "place": one.place,
                "sentence": one.sentence,
            }
            for one in findings
        ],
    }


def tabulate(name: str, sheet: Sheet, price: float | None) -> Iterator[str]:
    """A line for each text, with as much of it as the terminal has room for."""
    yield click.style(f"{name}: {describe(sheet.questionnaire)}", bold=True)
    rows = [("", "kind", "encoding", "segments", "")]
    for line in sheet.lines:
        question = line.text.question
        kind = question.kind if question else ""
        words = " ".join(line.words.split())
        rows.append((line.text.place, kind, line.encoding, str(line.segments), words))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    room = max(shutil.get_terminal_size().columns - sum(widths) - 12, 20)
    for place, kind, encoding, segments, words in rows:
        cells = (place.ljust(widths[0]), kind.ljust(widths[1]), encoding.ljust(widths[2]))
        words = words if len(words) <= room else f"{words[: room - 1]}…"
        yield "  ".join(("", *cells, segments.rjust(widths[3]), words)).rstrip()
    yield f"  {tell_costs(*sheet.costs(), price, sheet.questionnaire.is_counter)}"


def describe(questionnaire: Questionnaire) -> str:
    text = f'the text "{questionnaire.event}"' if questionnaire.event else "any text"
    numbers = f" to {', '.join(questionnaire.to)}" if questionnaire.to else ""
    count = len(questionnaire.questions)
    asks = pluralize(count, "question") if count else "counter"
    return f"{questionnaire.title} ({asks}), opened by {text}{numbers}"


def tell_costs(least: Cost, most: Cost, price: float | None, is_counter: bool) -> str:
    what = "A text and its reply" if is_counter else "A completed conversation"
    texts, segments = (
        f"{one} to {other}" if one < other else str(other)
        for one, other in zip(least, most, strict=True)
    )
    told = f"{what}: {texts} texts both ways, {segments} segments"
    if price is None:
        return told
    least_cost, most_cost = (f"{price * cost.segments:.4f}" for cost in (least, most))
    cost = most_cost if least_cost == most_cost else f"{least_cost} to {most_cost}"
    return f"{told}, {cost} at {price:g} each"
