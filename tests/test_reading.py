"""What people text is read as they mean it; what may be two things is asked, or is unread."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

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
KINDS += ("location", "opt_out", "noise", "opening")
SENDER, NUMBER = "+14155550123", "+14155550100"
TODAY = "2026-11-26"
OTHER_SETTINGS = ("today", "from", "question", "previous", "seconds", "opened", "events", "words")
MARKED = ("perhaps_opt_out",)  # an answer, too
IN_TABLE = {"stop": "opt_out_twilio", "start": "opt_in"}  # by what it is read as


CATALOGS: dict[str, Catalog] = {}  # many rows have the same settings


def catalog_of(row: Row) -> Catalog:
    """A questionnaire that any text opens, or those that the row's events open."""
    settings = repr((row.kind, row.language, row.settings))
    if settings not in CATALOGS:
        CATALOGS[settings] = make_catalog(row)
    return CATALOGS[settings]


def make_catalog(row: Row) -> Catalog:
    events = [*row.settings.get("events", ()), *row.settings.get("words", ())]
    return Catalog({event or "reading": questionnaire_of(row, event) for event in events or [None]})


def questionnaire_of(row: Row, event: str | None) -> Questionnaire:
    """A question of the row's kind, and one behind it; before it the one that was answered."""
    options = {name: value for name, value in row.settings.items() if name not in OTHER_SETTINGS}
    kind = row.kind if row.kind not in ("opt_out", "noise", "opening") else "text"
    ask = row.settings.get("question", "What is it?")
    questions = [
        {"key": "it", "ask": ask, "kind": kind, **options},
        {"key": "more", "ask": "More?"},
    ]
    if "previous" in row.settings:
        questions.insert(0, {"key": "previous", "ask": "And what is this?"})
    content = {"title": "Reading", "language": row.language, "questions": questions}
    content |= {"thanks": "Thank you."} | ({"event": event} if event else {})
    return complete(msgspec.convert(content, Questionnaire))


def texts_of(row: Row) -> Iterator[tuple[str, float]]:
    """What the guest texts, and how many seconds after the text before."""
    if "events" not in row.settings:
        yield "Hello", 0
    elif "opened" in row.settings:
        yield row.settings["opened"], 0
    if "previous" in row.settings:
        yield row.settings["previous"], 60
    yield row.text, row.settings.get("seconds", 60)


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
    """What the engine makes of the row's text: as the first one, or as an answer."""
    sender = row.settings.get("from", SENDER)
    memory = Memory(catalog_of(row), sender, None)
    today = datetime.fromisoformat(row.settings.get("today", TODAY)).date()
    now = datetime.combine(today, time(12), UTC)
    for body, seconds in texts_of(row):
        now += timedelta(seconds=seconds)
        text = incoming(row, body)
        decision = respond(memory.state(text), text, now)
        memory.remember(decision)
    return decision


def read(row: Row) -> str:
    """What the text was read as, in the words of the table."""
    decision = decide(row)
    match decision.read_as:
        case "answer":
            return decision.answer.value
        case "ambiguous":
            return " | ".join(decision.conversation.readings or ())
        case "opening":
            return decision.conversation.event
        case "unread" | None:
            return "?"
    return f"!{IN_TABLE.get(decision.read_as, decision.read_as)}"


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
