"""What people text is read as they mean it; what may be two things is asked, or is unread."""

from collections import Counter
from datetime import UTC, datetime, time

import msgspec
import pytest
from reading_table import Row, read_rows, taken_apart

from models import IncomingText, respond
from models.decision import Decision
from models.questionnaire.catalog import Catalog
from models.questionnaire.loader import complete
from models.questionnaire.schema import Questionnaire
from models.replay import Memory

KINDS = ("text", "yes_no", "choice", "number", "rating", "date", "time", "email", "phone", "photo")
KINDS += ("location", "opt_out", "noise")
SENDER, NUMBER = "+14155550123", "+14155550100"
TODAY = "2026-11-26"
OTHER_SETTINGS = ("today", "from", "question", "previous", "seconds", "opened")  # of a row
NOT_READ = ("?", "!")


def questionnaire_of(row: Row) -> Questionnaire:
    """One question of the row's kind, and one behind it."""
    options = {name: value for name, value in row.settings.items() if name not in OTHER_SETTINGS}
    kind = row.kind if row.kind not in ("opt_out", "noise") else "text"
    ask = row.settings.get("question", "What is it?")
    questions = [
        {"key": "it", "ask": ask, "kind": kind, **options},
        {"key": "more", "ask": "More?"},
    ]
    content = {"title": "Reading", "language": row.language, "questions": questions}
    questionnaire = msgspec.convert(content | {"thanks": "Thank you."}, Questionnaire)
    return complete(questionnaire)


def incoming(row: Row, body: str | None = None) -> IncomingText:
    """The text of a row, or another one of its guest, with the media and the place in it."""
    body, media, location = taken_apart(row.text if body is None else body)
    sender = row.settings.get("from", SENDER)
    # A medium is known by its type alone, so that is its address here.
    return IncomingText(
        sender,
        NUMBER,
        body,
        tuple(f"<{each}>" for each in media),
        media_types=tuple(media),
        location=location,
    )


def decide(row: Row) -> Decision:
    """What the engine makes of the row's text as the answer to the first question."""
    catalog = Catalog({"reading": questionnaire_of(row)})
    memory = Memory(catalog, row.settings.get("from", SENDER), None)
    today = datetime.fromisoformat(row.settings.get("today", TODAY)).date()
    now = datetime.combine(today, time(12), UTC)
    for body in ("Hello", row.text):
        text = incoming(row, body)
        decision = respond(memory.state(text), text, now)
        memory.remember(decision)
    return decision


def read(row: Row) -> str:
    """What the text was read as, in the words of the table."""
    decision = decide(row)
    if decision.answer:
        return decision.answer.value
    return "?" if decision.read_as == "unread" else f"!{decision.read_as}"


def is_wrong(row: Row, found: str) -> bool:
    """Whether a text was taken for something that it is not; being asked again is no such thing."""
    return found != row.expected and found != "?" and " | " not in found


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_read_as_they_are_meant(kind):
    rows = list(read_rows(kind))
    wrong, missed, counts = [], [], Counter()
    for row in rows:
        found = read(row)
        line = f"{row.place}: {row.text!r} -> {found}, not {row.expected}"
        counts[found == row.expected] += 1
        if is_wrong(row, found):
            wrong.append(line)
        elif found != row.expected:
            missed.append(line)
    print("\n".join(["Wrong:", *wrong, "Not as in the table:", *missed]))
    print(f"{kind}: {counts[True]} of {len(rows)} as in the table, {len(wrong)} wrong")
    assert not wrong
    assert not missed
