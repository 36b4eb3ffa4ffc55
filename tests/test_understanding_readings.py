"""A text that can mean two things or three is asked about, and the next text says which."""

from dataclasses import replace

import pytest
from conftest import NUMBER
from test_conversation import Guest

from models.questionnaire.answers import KINDS
from models.questionnaire.answers.date import DateKind
from models.questionnaire.answers.kind import ANY_DAY, Kind, read_as
from models.questionnaire.answers.number import NumberKind

ASKS = """
title = "Trip"
event = "Trip"
{language}
thanks = "Thanks: {{day}}, {{guests}}."
[say]
{say}
[[questions]]
key = "day"
kind = "date"
ask = "Which day?"
[[questions]]
key = "guests"
kind = "number"
ask = "How many?"
"""
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
FRIDAY, NEXT_FRIDAY, WHICH = "2026-11-27", "2026-12-04", "Which day?"
BOTH = f"Did you mean 1 {FRIDAY}, or 2 {NEXT_FRIDAY}?"
# What texts can mean: how kinds find that out is tested with each kind.
AMBIGUOUS = {
    "next friday": (FRIDAY, NEXT_FRIDAY),
    "3/5/62": ("1962-03-05", "1962-05-03", "2062-03-05"),
    "1.000": ("1", "1000"),
    "3 or 4": ("3", "4"),
}


class AmbiguousDate(DateKind):
    def parse(self, question, text, context):
        values = AMBIGUOUS.get(text.lower())
        return read_as(*values) if values else super().parse(question, text, context)

    def settle(self, question, values, text, context):
        return Kind.settle(self, question, values, text, context)

    def show_reading(self, question, value, context):
        return value


class AmbiguousNumber(NumberKind):
    numbers_readings = False

    def parse(self, question, text, context):
        values = AMBIGUOUS.get(text.lower())
        return read_as(*values) if values else super().parse(question, text, context)


# Readings that do not depend on how far the rules of each kind have come.
@pytest.fixture
def ambiguous(patch):
    patch.item(KINDS, "date", AmbiguousDate())
    patch.item(KINDS, "number", AmbiguousNumber())


@pytest.fixture
def guest(serve, questionnaires, ambiguous):
    def come(say: str = "", language: str = "", **changes) -> Guest:
        content = ASKS.format(say=say, language=language)
        (questionnaires / "trip.toml").write_text(content, "utf-8")
        return Guest(serve(**changes))

    return come


def test_a_guest_is_asked_which_of_two_readings_was_meant(guest):
    one = guest()
    assert one.text("Trip", "next friday") == [WHICH, BOTH]
    assert one.rows("readings") == [(f'["{FRIDAY}","{NEXT_FRIDAY}"]',)]
    assert one.read_as == ["opening", "ambiguous"]


@on_sqlite
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", FRIDAY),
        ("2", NEXT_FRIDAY),
        ("2️⃣", NEXT_FRIDAY),
        ("#2.", NEXT_FRIDAY),
        ("two", NEXT_FRIDAY),
        ("option 2 please", NEXT_FRIDAY),
        ("The first one, sorry!", FRIDAY),
        ("the last", NEXT_FRIDAY),
        ("2026-12-04", NEXT_FRIDAY),
        ("November 27", FRIDAY),
        ("27", FRIDAY),
        ("December 5", "2026-12-05"),  # neither: another answer
    ],
)
def test_the_next_text_says_which(guest, text, value):
    one = guest()
    one.text("Trip", "next friday")
    assert one.text(text) == ["How many?"]
    assert one.answers == {"day": value}
    assert one.rows("readings") == [(None,)]
    assert one.rows("question, text", "answers") == [(WHICH, text)]


@on_sqlite
@pytest.mark.parametrize("text", ["3", "1 or 2", "1-2", "2?", "not 2", "yes", "both", "1.2"])
def test_what_names_none_is_asked_again(guest, text):
    one = guest()
    one.text("Trip", "next friday")
    assert one.text(text) == ["Please reply with a date, like 3 May."]
    assert one.answers == {}
    assert one.rows("readings, unread") == [(None, 2)]


@on_sqlite
def test_a_position_counts_only_while_it_is_asked_for(guest):
    one = guest()
    one.text("Trip", "next friday", "what")
    assert one.text("2") == ["How many?"]  # given up after three attempts
    assert one.answers == {"day": None}


@on_sqlite
def test_a_text_that_nobody_needs_to_answer_does_not_end_the_choice(guest):
    one = guest()
    one.text("Trip", "next friday", f"Liked “{BOTH}”")
    assert one.text("2") == ["How many?"]
    assert one.answers == {"day": NEXT_FRIDAY}


def test_asking_which_counts_as_an_attempt(guest):
    one = guest()
    assert one.text("Trip", "next friday", "next friday") == [WHICH, BOTH, BOTH]
    assert one.text("next friday") == ["How many?"]
    assert one.answers == {"day": None}


@on_sqlite
@pytest.mark.parametrize("keyword", ["BACK", "SKIP"])
def test_a_keyword_ends_the_choice(guest, keyword):
    one = guest()
    one.text("Trip", "next friday", keyword)
    assert one.rows("readings") == [(None,)]


def test_three_readings_are_asked_too(guest):
    one = guest()
    asked = "Did you mean 1 1962-03-05, 2 1962-05-03, or 3 2062-03-05?"
    assert one.text("Trip", "3/5/62", "third") == [WHICH, asked, "How many?"]
    assert one.answers == {"day": "2062-03-05"}


@on_sqlite
@pytest.mark.parametrize(
    ("text", "value"), [("1", "1"), ("1000", "1000"), ("the second", "1000"), ("5", "5")]
)
def test_numbers_are_named_without_positions(guest, text, value):
    one = guest()
    assert one.text("Trip", "November 27", "1.000")[-1] == "Did you mean 1 or 1000?"
    one.text(text)
    assert one.answers["guests"] == value


@on_sqlite
def test_the_words_precede_the_positions(guest):
    """Of "3 or 4" somebody who texts 3 means 3, and 1 is neither."""
    one = guest()
    one.text("Trip", "November 27", "3 or 4", "1")
    assert one.answers["guests"] == "1"


@on_sqlite
def test_the_file_can_replace_the_sentence(guest):
    one = guest('which = "Which one, {name}: {readings}"')
    assert one.text("Trip", "next friday")[-1] == f"Which one, Rey: 1 {FRIDAY}, or 2 {NEXT_FRIDAY}"


def test_the_choice_is_there_after_a_restart_and_not_after_a_silence(guest):
    one = guest(language='expires = "1h"\nresume = "1h"')
    one.text("Trip", "next friday")
    one.wait(minutes=61)
    assert one.text("hello") == [f"Welcome back. {WHICH}"]
    assert one.text("2") == ["Please reply with a date, like 3 May."]


def test_readings_that_were_edited_into_nonsense_concern_their_sender_only(guest):
    one = guest()
    one.text("Trip", "next friday")
    one.webhook.app.database.write(
        lambda db: db.connection().exec_driver_sql("UPDATE conversations SET readings = '[\"1\"]'")
    )
    assert "cannot answer it just now" in one.text("2")[0]
    assert one.webhook.phone("+14158675399", NUMBER).text("Trip") == [WHICH]


class ColourKind(Kind):
    """A kind that only says what it must."""

    documentation, retry = "a colour", "A colour, please."
    colours = ("navy blue", "sky blue")

    def parse(self, question, text, context):
        return read_as(*(each for each in self.colours if text in each.split()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("navy", ("navy blue",)),
        ("the sky one", ("sky blue",)),
        ("blue", ("navy blue", "sky blue")),
        ("navy sky", ()),
        ("", ()),
        ("second", ("sky blue",)),
        ("x" * 1600, ()),
    ],
)
def test_a_kind_need_not_know_how_readings_are_settled(text, expected):
    kind = ColourKind()
    assert kind.settle(None, kind.colours, text, ANY_DAY).values == expected


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Das zweite bitte"),
        ("de", "the second"),
        ("es", "la segunda"),
        ("fr", "le deuxième"),
        ("it", "la seconda"),
        ("nl", "de tweede graag"),
        ("pt", "o segundo"),
        ("xx", "the second"),
    ],
)
def test_positions_are_known_in_each_language(language, text):
    kind = ColourKind()
    context = replace(ANY_DAY, language=language)
    assert kind.settle(None, kind.colours, text, context).value == "sky blue"


def test_a_language_that_does_not_count_names_no_position():
    assert ColourKind().settle(None, ColourKind.colours, "das zweite", ANY_DAY).values == ()
