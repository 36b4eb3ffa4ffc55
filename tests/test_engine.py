"""The engine decides from values alone, and changes none of them."""

from datetime import UTC, datetime, timedelta

import pytest
from conftest import NUMBER, REY

from models import Catalog, Contact, Conversation, IncomingText, Questionnaire, respond
from models.decision import Decision, State
from models.non_answers import examine_in
from models.questionnaire.schema import Question, Results
from models.version import Version
from storage.base import Statement

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
PARTY = Questionnaire(
    title="Party",
    questions=(
        Question(ask="Your colour?", key="colour"),
        Question(ask="{colour}, and your meal?", key="meal"),
    ),
    review=True,
    thanks="Thanks, {name}.",
    results=Results("https://example.org", partial=True),
)
ENDED = "Blue Pizza OK"
CATALOG = Catalog({"party": PARTY})


def text(body: str, **more) -> IncomingText:
    return IncomingText(sender=REY, number=NUMBER, body=body, **more)


def state(incoming: IncomingText, newest: Conversation | None = None, **more) -> State:
    opening = CATALOG.opens(incoming.body, NUMBER)
    contact = newest.contact if newest else Contact(phone=REY)
    typed = examine_in(newest and PARTY, incoming, CATALOG.languages, lambda _: ())
    history = {"stoppable": (), "recent_readings": ()}
    return State(contact, typed, newest, opening, "Rey", **history | more)


def asking(*bodies: str) -> Conversation:
    """A conversation of the pair after these texts, as a database would give it back."""
    version, contact = Version.of("party", PARTY, NOW), Contact(id=1, phone=REY, name="Rey")
    conversation = Conversation.start(version, contact, NUMBER, "hi", NOW)
    conversation.id = 17
    for body in ("hi", *bodies):
        incoming = text(body)
        conversation = respond(state(incoming, conversation), incoming, NOW).conversation
        conversation.id = 17
    return conversation


def shown(decision: Decision) -> tuple:
    """A decision as values that compare."""
    changed = filter(
        None, (decision.contact, decision.conversation, decision.answer, *decision.ended)
    )
    rows = [rows_of(entity) for entity in changed]
    results = [(one.payload, one.created_at) for one in decision.results]
    return decision.read_as, decision.cookie, decision.reply, rows, results


def rows_of(entity: object) -> dict:
    return {name: getattr(entity, name) for name in entity.column_names}


@pytest.mark.parametrize(
    "body", ["Blue", "BACK", "STOP", "", "OK", "Liked “Your colour?”", "party"]
)
@pytest.mark.parametrize("hours", [0, 5], ids=["at once", "too late"])
@pytest.mark.parametrize("before", [(), ("Blue",), ("Blue", "Pizza"), ("Blue", "Pizza", "OK")])
def test_deciding_twice_gives_the_same_and_changes_nothing(before, hours, body):
    newest, incoming = asking(*before), text(body, cookie="0" * 32)
    given = state(incoming, newest, stoppable=[newest])
    rows, answers = rows_of(newest), {key: rows_of(one) for key, one in newest.answers.items()}
    now = NOW + timedelta(hours=hours)
    first = shown(respond(given, incoming, now))
    assert shown(respond(given, incoming, now)) == first
    assert rows_of(newest) == rows
    assert {key: rows_of(one) for key, one in newest.answers.items()} == answers
    known = {"id": 1, "phone": REY, "name": "Rey"}
    assert rows_of(newest.contact) == dict.fromkeys(Contact.column_names) | known


@pytest.mark.parametrize("body", ["hi", "STOP", "Blue"])
def test_no_statement_runs_while_the_engine_decides(patch, body):
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a statement ran")

    for name in ("fetch_all", "insert", "execute"):
        patch(Statement, name, fail)
    assert respond(state(text(body)), text(body), NOW).read_as


def test_what_was_not_loaded_cannot_be_used():
    incoming = text("STOP")
    typed = examine_in(None, incoming, CATALOG.languages, lambda _: ())
    unloaded = State(Contact(phone=REY), typed, None)
    with pytest.raises(LookupError, match="turn.load"):
        respond(unloaded, incoming, NOW)


@pytest.mark.parametrize("hours", [0, 3.9, 4, 5])
@pytest.mark.parametrize("before", ["", "Blue", "Blue Pizza", ENDED, f"{ENDED} FIX1"])
def test_what_a_text_opens_does_not_matter_while_something_is_asked(before, hours):
    """So `load` need not find it out."""
    newest, incoming, now = asking(*before.split()), text("Red"), NOW + timedelta(hours=hours)
    if newest.is_waiting(now):
        given = state(incoming, newest)
        without = shown(respond(given._replace(opening=None), incoming, now))
        assert without == shown(respond(given, incoming, now))
    assert newest.is_waiting(now) == (hours < 4 and before != ENDED)
