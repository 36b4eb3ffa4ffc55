"""A text that can mean two things or three is asked about, and the next text says which."""

from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from conftest import NUMBER, context_of
from test_conversation import Guest

from models import Questionnaire
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.date import DateKind
from models.questionnaire.answers.kind import ANY_DAY, Kind, read_as
from models.questionnaire.answers.number import NumberKind
from models.questionnaire.loader import complete

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


# With the date and the number kinds as they are

THURSDAY = datetime(2026, 11, 26, 12, tzinfo=UTC)
WHICH_FRIDAY = "Did you mean 1 Friday 27 November, or 2 Friday 4 December?"
A_DATE = "Please reply with a date, like 3 May."


@pytest.fixture
def trip(serve, questionnaires, clock):
    """A guest who was asked which of two Fridays was meant."""
    (questionnaires / "trip.toml").write_text(ASKS.format(say="", language=""), "utf-8")
    clock.now = THURSDAY
    one = Guest(serve())
    assert one.text("Trip", "next friday") == [WHICH, WHICH_FRIDAY]
    return one


@on_sqlite
@pytest.mark.parametrize("text", ["friday", "Fri", "the friday", "Friday please"])
def test_words_that_fit_several_readings_choose_none(trip, text):
    assert trip.text(text, "the second") == [WHICH_FRIDAY, "How many?"]
    assert trip.answers == {"day": NEXT_FRIDAY}


@on_sqlite
@pytest.mark.parametrize(
    "text", ["December?", "27?", "4?", "2?", "Friday?", "5 December?", "the last?", "4?please"]
)
def test_a_text_that_asks_chooses_none(trip, text):
    assert trip.text(text) == [A_DATE]
    assert trip.answers == {}


@on_sqlite
@pytest.mark.parametrize(
    ("text", "value"), [("Dec", NEXT_FRIDAY), ("nov please", FRIDAY), ("this friday", FRIDAY)]
)
def test_words_that_fit_one_reading_choose_it(trip, text, value):
    assert trip.text(text) == ["How many?"]
    assert trip.answers == {"day": value}


@on_sqlite
@pytest.mark.parametrize(("text", "value"), [("4?", None), ("4", "4"), ("the last", "4")])
def test_a_number_that_asks_chooses_none(trip, text, value):
    trip.text("2", "3 or 4", text)
    assert trip.answers.get("guests") == value


def settled(kind: str, first: str, text: str, language: str = "en", **options) -> tuple[str, ...]:
    """What a text means once the guest was asked which of the readings of `first` was meant."""
    asked = {"ask": "Which?", "kind": kind, **options}
    content = {"title": "T", "thanks": "T", "language": language, "questions": [asked]}
    questionnaire = complete(msgspec.convert(content, Questionnaire))
    question, context = questionnaire.questions[0], context_of(questionnaire, THURSDAY)
    values = KINDS[kind].read(question, first, context).values
    assert len(values) > 1
    return KINDS[kind].settle(question, values, text, context).values


@pytest.mark.parametrize(
    ("kind", "first", "text", "expected"),
    [
        ("email", "anna@gmial.com", "anna", ("anna@gmail.com", "anna@gmial.com")),
        ("email", "anna@gmial.com", "gmail", ("anna@gmail.com",)),
        ("email", "anna@gmial.com", "anna@gmail.com?", ()),
        ("number", "1 or 1.5", "1", ("1",)),
        ("time", "7", "7:00", ("07:00", "19:00")),
        ("time", "7", "evening", ("19:00",)),
        ("time", "7", "evening?", ()),
        ("rating", "3 or 4", "4?", ()),
        ("location", "geo:1,2 geo:3,4", "https://maps.google.com/?q=1,2", ("1,2",)),
    ],
)
def test_every_kind_settles_alike(kind, first, text, expected):
    assert settled(kind, first, text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pizza", ("Pizza",)),  # it is the whole name, though both begin so
        ("hut", ("Pizza Hut",)),
        ("2", ("Pizza Hut",)),
        ("hut?", ()),
        ("the second", ()),  # of the list, or of what was named
    ],
)
def test_a_choice_is_settled_by_its_name(text, expected):
    assert settled("choice", "2 or 3", text, choices=["Apple", "Pizza Hut", "Pizza"]) == expected


def test_a_word_of_two_letters_can_fit_several_readings():
    assert len(settled("date", "nächsten Freitag", "Fr", "de")) == 2
    assert settled("date", "volgende vrijdag", "no", "nl") == ()


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
