"""Guests text choices, addresses, numbers, photos and places in their own words."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from conftest import context_of
from reading_table import read_rows
from test_conversation import Guest
from test_reading import incoming, questionnaire_of

from models.questionnaire.answers import KINDS

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
DINNER = """
title = "Dinner"
event = "Dinner"
thanks = "Thanks: {it}."
%s
[[questions]]
key = "it"
%s
ask = "Which?%s"
"""
MEALS = 'kind = "choice"\nchoices = ["Pizza", "Pasta", "Salad"]'
HOURS = 'kind = "choice"\nchoices = ["9am", "11am", "1pm", "3pm", "5pm"]'
SIZES = 'kind = "choice"\nchoices = ["1-2", "3-5", "6+"]'
SEVERAL = 'kind = "choice"\nmany = true\nchoices = ["Pizza", "Fish and chips", "Cola"]'
OR_BOTH = "3 Cola or 2 Fish and chips & 3 Cola"
A_PHOTO = "Please reply with a photo."
PHOTO = "https://api.twilio.com/2010-04-01/Media/ME1"


@pytest.fixture
def guest(serve, questionnaires):
    def come(question: str, more: str = "") -> Guest:
        content = DINNER % (more, question, " {choices}" if "choices" in question else "")
        (questionnaires / "dinner.toml").write_text(content, "utf-8")
        one = Guest(serve())
        (one.asked,) = one.text("Dinner")
        return one

    return come


# The table, by each kind itself


@pytest.mark.parametrize("kind", ["choice", "text", "email", "phone", "photo", "location"])
def test_the_kind_reads_each_text_of_the_table_as_it_is_meant(kind):
    missed = []
    for row in read_rows(kind):
        questionnaire, text = questionnaire_of(row, None), incoming(row)
        question = questionnaire.questions[0]
        context = replace(context_of(questionnaire, NOON), message=text)
        found = KINDS[kind].read(question, text.body, context, text.media)
        read = " | ".join(found.values) or "?"
        if read != row.expected and not row.expected.startswith("!"):
            missed.append(f"{row.place}: {row.text!r} -> {read}, not {row.expected}")
    assert missed == []


# Choices


@pytest.mark.parametrize(
    ("question", "text", "label"),
    [
        (MEALS, "pasta\n\nSent from my iPhone", "Pasta"),
        (MEALS, "Pizza! What time do we eat?", "Pizza"),
        (HOURS, "15:00", "3pm"),
        (HOURS, "b", "11am"),
        (SIZES, "we are seven", "6+"),
        (SEVERAL, "all of them", "Pizza, Fish and chips, Cola"),
        (SEVERAL, "chips + cola", "Fish and chips, Cola"),
    ],
)
@on_sqlite
def test_a_choice_is_read_as_it_is_meant(guest, question, text, label):
    assert guest(question).text(text) == [f"Thanks: {label}."]


@pytest.mark.parametrize(
    ("question", "texts"),
    [
        (MEALS, ("not pizza", "pizza?", "my son is allergic to pasta")),
        (MEALS, ("4", "pizza if its gluten free", "b)")),
        (HOURS, ("2", "9:30", "after 3")),
        (SIZES, ("2.5", "not 3", "a few")),
        (SEVERAL, ("pizza and beer", "pizza but no cola", "123")),
    ],
)
@on_sqlite
def test_what_is_no_choice_for_certain_is_asked_again(guest, question, texts):
    one = guest(question)
    assert {reply.partition(":")[0] for reply in one.text(*texts[:2])} < {
        "Please reply with one of these",
        "Please reply with one or more of these",
    }
    one.text(texts[2])
    assert one.answers == {"it": None}


@pytest.mark.parametrize(
    ("question", "listed"),
    [(MEALS, "1 Pizza, 2 Pasta, 3 Salad"), (SIZES, "A 1-2, B 3-5, C 6+")],
)
@on_sqlite
def test_labels_that_begin_with_a_digit_are_listed_with_letters(guest, question, listed):
    assert guest(question).asked == f"Which? {listed}"


@pytest.mark.parametrize(
    ("question", "text", "asked", "answer", "label"),
    [
        (MEALS, "P", "1 Pizza or 2 Pasta", "2", "Pasta"),
        (MEALS, "pasta or salad", "2 Pasta or 3 Salad", "3", "Salad"),
        (MEALS, "2 or 3", "2 Pasta or 3 Salad", "2", "Pasta"),
        (MEALS, "2 pizza", "1 Pizza or 2 Pasta", "pizza", "Pizza"),
        (MEALS, "pasta/salad", "2 Pasta or 3 Salad", "Actually pizza", "Pizza"),
        (HOURS, "9 or 11", "A 9am or B 11am", "b", "11am"),
        (SIZES, "5 or 6", "B 3-5 or C 6+", "6", "6+"),
        (SEVERAL, "2 cola", OR_BOTH, "3", "Cola"),
        (SEVERAL, "2 cola", OR_BOTH, "2 and 3", "Fish and chips, Cola"),
    ],
)
@on_sqlite
def test_which_of_two_choices_is_asked_with_their_own_numbers(
    guest, question, text, asked, answer, label
):
    one = guest(question)
    assert one.text(text) == [f"Did you mean {asked}?"]
    assert one.text(answer) == [f"Thanks: {label}."]


@pytest.mark.parametrize("text", ["1", "the second one", "the last one", "both"])
@on_sqlite
def test_a_position_that_may_be_of_the_list_or_of_what_was_named_is_asked_again(guest, text):
    one = guest(MEALS.replace('"Salad"', '"Salad", "Soup"'))
    one.text("pasta or salad")
    (reply,) = one.text(text)
    assert reply.startswith("Please reply with one of these")


@on_sqlite
def test_a_choice_is_read_in_the_language_of_the_questionnaire(guest):
    one = guest(MEALS.replace("Pasta", "Nudeln"), 'language = "de"')
    assert one.text("Ich nehme die Nudeln, danke!") == ["Thanks: Nudeln."]


# Photos and places


@pytest.mark.parametrize("type", ["audio/amr", "video/mp4"])
@on_sqlite
def test_a_photo_is_taken_after_what_is_none(guest, type):
    one = guest('kind = "photo"')
    assert one.phone.text("", media=[PHOTO], MediaContentType0=type) == [A_PHOTO]
    assert one.phone.text("", media=[PHOTO], MediaContentType0="image/heic") == ["Thanks: (1)."]
    assert one.answers == {"it": PHOTO}


@on_sqlite
def test_of_several_media_the_photos_are_kept(guest):
    one = guest('kind = "photo"')
    one.phone.text("us", media=[f"{PHOTO}1", f"{PHOTO}2"], MediaContentType0="text/vcard")
    assert one.answers == {"it": f"{PHOTO}2"}


@on_sqlite
def test_other_types_of_media_are_taken_where_the_file_says_so(guest):
    one = guest('kind = "photo"\ntypes = ["audio", "video"]')
    again = ["Please reply with one of these: voice message, video."]
    assert one.phone.text("", media=[PHOTO], MediaContentType0="image/jpeg") == again
    assert one.phone.text("", media=[PHOTO], MediaContentType0="audio/ogg") == ["Thanks: (1)."]


@on_sqlite
def test_a_shared_place_is_kept_with_its_label(guest):
    one = guest('kind = "location"')
    assert one.text("at home") == ["Please share a place, or reply with a link to it on a map."]
    place = {"Latitude": "52.5163", "Longitude": "13.3777", "Label": "Brandenburg Gate"}
    assert one.phone.text("", **place) == ["Thanks: 52.5163,13.3777 Brandenburg Gate."]


@on_sqlite
def test_a_photo_instead_of_a_place_is_asked_again(guest):
    (reply,) = guest('kind = "location"').phone.text("", media=[PHOTO])
    assert reply.startswith("Please share a place")


@on_sqlite
def test_a_place_instead_of_a_photo_is_asked_again(guest):
    shared = {"Latitude": "52.5", "Longitude": "13.4"}
    assert guest('kind = "photo"').phone.text("", **shared) == [A_PHOTO]


@pytest.mark.parametrize("latitude", ["", "north", "95.5", "1e1", "52,5"])
@on_sqlite
def test_a_place_that_is_nowhere_is_none(guest, latitude):
    one = guest('kind = "location"')
    one.phone.text("Here", Latitude=latitude, Longitude="13.3777", Label="Here")
    assert one.answers == {}


# Addresses and numbers


@on_sqlite
def test_a_slip_in_a_domain_that_many_use_is_asked_naming_the_likely_one(guest):
    one = guest('kind = "email"')
    asked = "Did you mean 1 anna@gmail.com, or 2 anna@gmial.com?"
    assert one.text("anna@gmial.com") == [asked]
    assert one.text("1") == ["Thanks: anna@gmail.com."]


@pytest.mark.parametrize("channel", ["", "whatsapp:"])
@on_sqlite
def test_this_number_is_the_one_that_texts(guest, channel):
    one = guest('kind = "phone"')
    one.phone.sender = f"{channel}+14155550123"
    assert one.text("Dinner", "This number please!")[1:] == ["Thanks: +14155550123."]


@on_sqlite
def test_a_text_loses_its_signature(guest):
    one = guest('kind = "text"')
    assert one.text("Blue\n\nSent from my iPhone") == ["Thanks: Blue."]
    assert one.rows("text", "answers") == [("Blue\n\nSent from my iPhone",)]
