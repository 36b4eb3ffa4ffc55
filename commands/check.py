"""`check`: what is wrong with the questionnaire files, and what they cost to send."""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from commands.terminal import echo, pluralize, print_json
from models import Questionnaire
from models.questionnaire import loader
from models.questionnaire.costs import Cost, CostReport, SentText, describe_range
from models.questionnaire.problem import Problem
from resources import open_people
from settings import Settings


@click.command()
@click.option("--price", type=click.FloatRange(0), help="The price of a segment, such as 0.0083.")
@click.option("--strict", is_flag=True, help="Make warnings errors.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(price: float | None, strict: bool, as_json: bool) -> None:
    """Find mistakes in the questionnaire files, and show their costs."""
    reports, problems = examine(Settings.from_env(os.environ))
    problems = [problem._replace(is_error=problem.is_error or strict) for problem in problems]
    has_errors = any(problem.is_error for problem in problems)
    if as_json:
        content = {
            "questionnaires": [as_dict(*named, price) for named in reports.items()],
            "findings": [problem_as_dict(problem) for problem in problems],
        }
        print_json(content, indent=2)
    else:
        if not has_errors:
            echo("\n\n".join("\n".join(tabulate(*named, price)) for named in reports.items()))
        print_problems(problems)
    if has_errors:
        sys.exit(os.EX_CONFIG)


def examine(settings: Settings) -> tuple[Mapping[str, CostReport], list[Problem]]:
    """What each questionnaire says, by its name, and all that is wrong or doubtful."""
    names = set(open_people(settings).values())
    catalog, problems = loader.examine(settings.questionnaires)
    invalid = {Path(problem.file).stem for problem in problems if problem.is_error}
    reports = {
        name: CostReport.of(questionnaire, names, datetime.now(UTC).date())
        for name, questionnaire in catalog
        if name not in invalid
    }
    for name, report in reports.items():
        file = str(settings.questionnaires / f"{name}.toml")
        problems += [warning._replace(file=file) for warning in report.warnings()]
        dear_names = report.ucs2_names(sorted(names))
        problems += [warning._replace(file=str(settings.people)) for warning in dear_names]
    return reports, list(dict.fromkeys(problems))


def as_dict(name: str, report: CostReport, price: float | None) -> dict:
    """A questionnaire, its texts and its costs for `--json`."""
    return {
        "name": name,
        "title": report.questionnaire.title,
        "event": report.questionnaire.event,
        "to": report.questionnaire.to,
        "texts": [
            {
                "place": sent.template.location,
                "kind": kind_of(sent) or None,
                "encoding": sent.encoding,
                "segments": sent.segments,
                "characters": len(sent.text),
            }
            for sent in report.texts
        ],
        "conversation": {
            which: cost._asdict()
            | ({} if price is None else {"cost": round(price * cost.segments, 6)})
            for which, cost in zip(("least", "most"), report.costs(), strict=True)
        },
    }


def problem_as_dict(problem: Problem) -> dict:
    """An error or a warning for `--json`."""
    return {
        "level": "error" if problem.is_error else "warning",
        "file": problem.file,
        "place": problem.location,
        "sentence": problem.sentence,
    }


def print_problems(problems: list[Problem]) -> None:
    for problem in problems:
        if problem.is_error:
            click.secho(str(problem), fg="red", err=True)
        else:
            click.secho(f"warning: {problem}", fg="yellow", err=True)


def tabulate(name: str, report: CostReport, price: float | None) -> Iterator[str]:
    """A line for each text, with as much of it as the terminal has room for."""
    yield click.style(f"{name}: {describe(report.questionnaire)}", bold=True)
    rows = [("", "kind", "encoding", "segments", "")]
    for sent in report.texts:
        text = " ".join(sent.text.split())
        rows.append(
            (sent.template.location, kind_of(sent), sent.encoding, str(sent.segments), text)
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    room = max(shutil.get_terminal_size().columns - sum(widths) - 12, 20)
    for location, kind, encoding, segments, text in rows:
        cells = (location.ljust(widths[0]), kind.ljust(widths[1]), encoding.ljust(widths[2]))
        text = text if len(text) <= room else f"{text[: room - 1]}…"
        yield "  ".join(("", *cells, segments.rjust(widths[3]), text)).rstrip()
    yield f"  {describe_costs(*report.costs(), price, report.questionnaire.is_counter)}"


def kind_of(sent: SentText) -> str:
    """The kind of answer that a text asks for, if it asks for one."""
    question = sent.template.question
    return question.kind if question else ""


def describe(questionnaire: Questionnaire) -> str:
    text = f'the text "{questionnaire.event}"' if questionnaire.event else "any text"
    numbers = f" to {', '.join(questionnaire.to)}" if questionnaire.to else ""
    count = len(questionnaire.questions)
    asks = pluralize(count, "question") if count else "counter"
    return f"{questionnaire.title} ({asks}), opened by {text}{numbers}"


def describe_costs(least: Cost, most: Cost, price: float | None, is_counter: bool) -> str:
    what = "A text and its reply" if is_counter else "A completed conversation"
    counts = f"{what}: {describe_range(least, most)}"
    if price is None:
        return counts
    low, high = (f"{price * cost.segments:.4f}" for cost in (least, most))
    cost = high if low == high else f"{low} to {high}"
    return f"{counts}, {cost} at {price:g} each"
