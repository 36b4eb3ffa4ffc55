"""Days and times of day, in conversations on Thursday 26 November 2026."""

import tomllib
from datetime import UTC, datetime

import pytest
from test_conversation import Guest

from models.questionnaire.answers import KINDS
from models.questionnaire.languages import FOLDER, LANGUAGES

ASKS = """
title = "Trip"
event = "Trip"
language = "{language}"
thanks = "Thanks: {{it}}."
[[questions]]
key = "it"
kind = "{kind}"
ask = "When?"
{options}
"""
EVENING = 'earliest = "17:00"\nlatest = "23:00"'
AGAIN, AGAIN_TIME = "Please reply with a date", "Please reply with a time"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def guest(serve, questionnaires, clock):
    def come(kind: str = "date", language: str = "en", options: str = "") -> Guest:
        clock.now = datetime(2026, 11, 26, 12, tzinfo=UTC)
        content = ASKS.format(kind=kind, language=language, options=options)
        (questionnaires / "trip.toml").write_text(content, "utf-8")
        one = Guest(serve())
        one.text("Trip")
        return one

    return come


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("friday", "2026-11-27"),
        ("next monday", "2026-11-30"),
    ],
)
@on_sqlite
def test_a_day_that_is_certain_is_read(guest, text, value):
    assert guest().text(text) == [f"Thanks: {value}."]


@pytest.mark.parametrize(
    "text",
    [
        "maybe friday",
        "friday?",
        "I'll let you know tomorrow",
    ],
)
@on_sqlite
def test_a_day_that_is_not_certain_is_asked_for_again(guest, text):
    one = guest()
    assert one.text(text)[0].startswith(AGAIN)
    assert one.answers == {}


@pytest.mark.parametrize(
    ("text", "asked", "settled", "value"),
    [
        ("next friday", "1 Friday 27 November, or 2 Friday 4 December", "2", "2026-12-04"),
        ("next friday", "1 Friday 27 November, or 2 Friday 4 December", "the 4th", "2026-12-04"),
        ("3/5", "1 Friday 5 March 2027, or 2 Monday 3 May 2027", "May", "2027-05-03"),
        ("Thursday", "1 Thursday 26 November, or 2 Thursday 3 December", "today", "2026-11-26"),
        ("3/25/62", "1 Sunday 25 March 1962, or 2 Saturday 25 March 2062", "1962", "1962-03-25"),
        ("fri or sat", "1 Friday 27 November, or 2 Saturday 28 November", "sat", "2026-11-28"),
    ],
)
@on_sqlite
def test_of_two_days_the_guest_says_which(guest, text, asked, settled, value):
    one = guest()
    assert one.text(text, settled) == [f"Did you mean {asked}?", f"Thanks: {value}."]


@on_sqlite
def test_day_first_decides_between_day_and_month(guest):
    assert guest(options="day_first = false").text("3-7-2027") == ["Thanks: 2027-03-07."]


@on_sqlite
def test_two_days_are_named_in_the_questionnaires_language(guest):
    asked = "Was ist gemeint: 1 Freitag, 27. November, oder 2 Freitag, 4. Dezember?"
    assert guest(language="de").text("nächsten Freitag", "1") == [asked, "Thanks: 2026-11-27."]


# Times of day ################################################################


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("14:30", "14:30"),
        ("2pm", "14:00"),
        ("half past two in the afternoon", "14:30"),
        ("noon", "12:00"),
        ("around 3pm", "15:00"),
        ("tomorrow morning at 8", "08:00"),
    ],
)
@on_sqlite
def test_a_time_that_is_certain_is_read(guest, text, value):
    one = guest("time")
    assert one.text(text) == [f"Thanks: {value}."]
    assert one.answers == {"it": value}


@pytest.mark.parametrize("text", ["after 3pm", "3 to 4pm", "maybe 3pm", "3pm?", "evening", "Dec 5"])
@on_sqlite
def test_a_time_that_is_not_certain_is_asked_for_again(guest, text):
    assert guest("time").text(text)[0].startswith(AGAIN_TIME)


@pytest.mark.parametrize(
    ("settled", "value"),
    [("7pm", "19:00"), ("pm", "19:00"), ("in the morning", "07:00"), ("the second", "19:00")],
)
@on_sqlite
def test_a_half_of_the_day_is_asked_for(guest, settled, value):
    asked = "Did you mean 7:00 am or 7:00 pm?"
    assert guest("time").text("7", settled) == [asked, f"Thanks: {value}."]


@on_sqlite
def test_a_time_of_toml_is_a_limit(guest):
    assert guest("time", options="earliest = 17:00:00").text("7") == ["Thanks: 19:00."]


@on_sqlite
def test_limits_decide_between_the_halves_of_the_day(guest):
    one = guest("time", options=EVENING)
    assert one.text("3pm")[0] == "Please reply with a time, like 14:30 or 2:30 pm (17:00 - 23:00)."
    assert one.text("half past seven") == ["Thanks: 19:30."]


# The files of languages ######################################################


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_all_months_weekdays_and_numbers(language):
    dates = tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))["dates"]
    assert [len(dates[name]) for name in ("months", "weekdays", "numbers")] == [12, 7, 60]


@pytest.mark.parametrize(
    ("text", "value"),
    [("5 december", "2026-12-05"), ("fredag", "2026-11-27"), ("imorgon", "2026-11-27")],
)
@on_sqlite
def test_a_language_without_a_file_has_months_and_weekdays(guest, text, value):
    assert guest(language="sv").text(text) == [f"Thanks: {value}."]


@on_sqlite
def test_a_language_without_a_file_has_no_bounds(guest):
    assert guest(language="sv").text("före 5 december")[0].startswith(AGAIN)


def test_a_time_that_is_not_one_is_named_by_check():
    question = type("Question", (), {"earliest": "2026-01-01", "latest": "23:00"})
    (problem,) = KINDS["time"].problems(question)
    assert problem.sentence.startswith("2026-01-01 is not a time.")
