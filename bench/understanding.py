"""What smsconvo reads of a public test suite of another reader: python bench/understanding.py SPECS

SPECS is the folder of that name in a checkout of github.com/microsoft/Recognizers-Text. Its samples
of yes and no, numbers and days, in the seven languages that are built in, are each texted as a
whole answer, on the day that the sample names.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click
import common  # noqa: F401  it finds the program
import msgspec

from models import Questionnaire
from models.questionnaire.answers import KINDS, ParseContext

LANGUAGES = {
    "Dutch": "nl",
    "English": "en",
    "French": "fr",
    "German": "de",
    "Italian": "it",
    "Portuguese": "pt",
    "Spanish": "es",
}
FILES = {
    "yes_no": "Choice/{}/BooleanModel.json",
    "number": "Number/{}/NumberModel.json",
    "date": "DateTime/{}/DateParser.json",
}
VERDICTS = ("right", "wrong", "asked which", "asked again")
UTC = ZoneInfo("UTC")
TODAY = datetime(2016, 11, 7, tzinfo=UTC)  # of most samples; where one names none


class Sample(NamedTuple):
    """A text, and all that the other reader finds in it."""

    kind: str
    language: str
    text: str
    now: datetime
    expected: list[str]


def read_samples(specs: Path) -> Iterator[Sample]:
    for kind, path in FILES.items():
        for name, language in LANGUAGES.items():
            for row in json.loads((specs / path.format(name)).read_text("utf-8-sig")):
                reference = row.get("Context", {}).get("ReferenceDateTime")
                now = datetime.fromisoformat(reference).replace(tzinfo=UTC) if reference else TODAY
                expected = [value_of(kind, result) for result in row["Results"]]
                yield Sample(kind, language, row["Input"], now, expected)


def value_of(kind: str, result: dict[str, Any]) -> str:
    if kind == "date":
        return result["Value"]["FutureResolution"]["date"]
    value = str(result["Resolution"]["value"]).replace(",", ".")  # a decimal comma
    if kind == "yes_no":
        return {"true": "yes", "false": "no"}[value.lower()]
    try:
        digits = f"{Decimal(value):f}"
    except InvalidOperation:  # as where it is not a number at all
        return value
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def judge(sample: Sample) -> tuple[str, tuple[str, ...]]:
    """One of VERDICTS, and what the text was read as."""
    content = {"title": "Suite", "questions": [{"ask": "What?", "kind": sample.kind}]}
    question = msgspec.convert(content, Questionnaire).questions[0]
    context = ParseContext(sample.now, "UTC", sample.language)
    values = KINDS[sample.kind].read(question, sample.text, context).values
    if len(values) != 1:
        return "asked which" if values else "asked again", values
    return "right" if list(values) == sample.expected else "wrong", values


@click.command(help=__doc__.splitlines()[0])
@click.argument("specs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--list", "listed", type=click.Choice(VERDICTS), help="List what is read so.")
def main(specs: Path, listed: str | None) -> None:
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in FILES}
    for sample in read_samples(specs):
        verdict, values = judge(sample)
        counts[sample.kind][verdict] += 1
        if verdict == listed:
            expected = " and ".join(sample.expected) or "nothing"
            found = " or ".join(values) or "nothing"
            click.echo(f"{sample.kind} {sample.language} {sample.text!r}: {found}, not {expected}")
    for kind, count in (*counts.items(), ("all", sum(counts.values(), Counter()))):
        click.echo(f"{kind:8}" + "".join(f"{count[each]:6} {each}" for each in VERDICTS))


if __name__ == "__main__":
    main()
