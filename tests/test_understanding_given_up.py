"""What could not be read stays with the answer; a long echo never cuts a question off."""

import json

import pytest
from test_conversation import Guest

GIVEN_UP = """
title = "Heights"
event = "Heights"
thanks = "Thanks."
[[questions]]
key = "height"
kind = "number"
optional = true
ask = "How tall are you?"
{more}
[[questions]]
key = "colour"
ask = "Your colour?"
[results]
url = "https://example.org/results"
format = "{format}"
partial = true
"""
RETRY = "Please reply with a number."
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def guest(serve, questionnaires):
    def come(content: str, more: str = "", format: str = "json") -> Guest:
        for path in questionnaires.iterdir():
            path.unlink()
        content = content.replace("{more}", more).replace("{format}", format)
        (questionnaires / "it.toml").write_text(content, "utf-8")
        return Guest(serve())

    return come


def data_of(one: Guest) -> list[dict]:
    payloads = [json.loads(payload) for (payload,) in one.rows("payload", "outbox")]
    return [payload.get("data", payload) for payload in payloads]


# Given up ####################################################################


def test_all_that_was_texted_to_a_question_stays_when_it_is_given_up(guest):
    one = guest(GIVEN_UP)
    assert one.text("Heights", "very", "like my dad", "taller than you", "Blue")[1:] == [
        RETRY,
        RETRY,
        "Your colour?",
        "Thanks.",
    ]
    texts = "very\nlike my dad\ntaller than you"
    view = one.webhook.rows("SELECT text, value FROM results WHERE key = 'height'")
    assert view == [(texts, None)]
    assert data_of(one)[0]["answers"] == {"height": None, "colour": "Blue"}
    assert data_of(one)[0]["unread"] == {"height": texts}


@on_sqlite
def test_what_was_skipped_was_not_unread(guest):
    one = guest(GIVEN_UP)
    one.text("Heights", "hm", "skip", "Blue")
    assert one.rows("text", "answers")[0] == ("skip",)
    assert "unread" not in data_of(one)[0]


@on_sqlite
def test_a_keyword_that_led_nowhere_is_no_text_that_a_host_needs(guest):
    one = guest(GIVEN_UP)
    one.text("Heights", "tall", "BACK", "restart", "Blue")
    assert data_of(one)[0]["unread"] == {"height": "tall"}


@on_sqlite
def test_only_texts_to_this_question_stay_with_it(guest):
    one = guest(GIVEN_UP.replace('ask = "Your colour?"', 'kind = "number"\nask = "Your colour?"'))
    one.text("Heights", "small", "180", "red", "blue", "green")
    assert data_of(one)[0]["unread"] == {"colour": "red\nblue\ngreen"}


@on_sqlite
def test_what_ended_a_conversation_stays_too(guest):
    one = guest(GIVEN_UP, 'attempts = 2\ngive_up = "end"')
    assert one.text("Heights", "very", "very tall")[-1].startswith("Sorry")
    assert one.rows("text, value", "answers") == [("very\nvery tall", None)]
    assert data_of(one)[0]["unread"] == {"height": "very\nvery tall"}


@on_sqlite
def test_with_keep_the_text_is_the_value(guest):
    one = guest(GIVEN_UP, 'attempts = 1\ngive_up = "keep"')
    one.text("Heights", "very tall", "Blue")
    assert data_of(one)[0]["answers"]["height"] == "very tall"
    assert "unread" not in data_of(one)[0]


@on_sqlite
def test_nothing_but_a_signature_is_not_kept(guest):
    one = guest(GIVEN_UP, 'attempts = 1\ngive_up = "keep"')
    one.text("Heights", "Sent from my iPhone", "Blue")
    assert one.rows("text, value", "answers")[0] == ("Sent from my iPhone", None)


@on_sqlite
@pytest.mark.parametrize("skip", ["SKIP\n\nSent from my iPhone", "“How tall are you?”\nskip"])
def test_what_was_skipped_was_not_unread_whatever_is_around_the_word(guest, skip):
    one = guest(GIVEN_UP)
    one.text("Heights", "hm", skip, "Blue")
    assert "unread" not in data_of(one)[0]


@on_sqlite
def test_a_keyword_with_a_signature_is_no_text_that_a_host_needs(guest):
    one = guest(GIVEN_UP)
    one.text("Heights", "tall", "BACK\nSent from my iPhone", "very tall", "Blue")
    assert data_of(one)[0]["unread"] == {"height": "tall\nvery tall"}


@on_sqlite
def test_a_text_that_sounds_like_opting_out_was_unread_all_the_same(guest):
    one = guest(GIVEN_UP.replace('ask = "Your colour?"', 'kind = "number"\nask = "Your colour?"'))
    one.text("Heights", "hm", "180", "no idea", "wrong number, sorry", "whatever")
    assert one.read_as[-3:] == ["unread", "perhaps_opt_out", "unread"]
    assert data_of(one)[0]["unread"] == {"colour": "no idea\nwrong number, sorry\nwhatever"}


@on_sqlite
def test_a_form_has_no_field_for_it(guest):
    one = guest(GIVEN_UP, "attempts = 1", "form")
    one.text("Heights", "very tall", "Blue")
    assert "very tall" not in str(data_of(one)[0])


# Long echoes #################################################################

ECHO = """
title = "Echo"
event = "Echo"
{more}
thanks = "Thanks, {a}."
[[questions]]
key = "a"
ask = "A?"
[[questions]]
key = "b"
ask = "{a}. {a} And what is your favourite meal?"
[[questions]]
key = "c"
ask = "{b} after {a}: and what do you drink?"
"""
LONG = "a" * 1580


def test_a_long_answer_never_cuts_the_question_that_echoes_it(guest):
    one = guest(ECHO)
    asked = one.text("Echo", LONG)[-1]
    echo = asked.partition("...")[0]
    assert asked == f"{echo}... {echo}.. And what is your favourite meal?"
    assert 1590 < len(asked) < 1600
    assert one.answers == {"a": LONG}


@on_sqlite
def test_a_short_answer_stays_whole_beside_a_long_one(guest):
    one = guest(ECHO)
    asked = one.text("Echo", LONG, "Pizza")[-1]
    assert asked.startswith("Pizza after aaa")
    assert asked.endswith("a..: and what do you drink?")
    assert len(asked) == 1599


@on_sqlite
def test_what_is_said_before_a_question_does_not_cut_it_either(guest):
    one = guest(ECHO)
    asked = one.text("Echo", LONG, "SKIP")[-1]
    assert asked.startswith("This one cannot be skipped. aaa")
    assert asked.endswith("a.. And what is your favourite meal?")


@on_sqlite
def test_nor_does_a_welcome_after_a_silence(guest):
    one = guest(ECHO, 'expires = "1h"\nresume = "1h"')
    one.text("Echo", LONG)
    one.wait(minutes=70)
    asked = one.text("Hello")[0]
    assert asked.startswith("Welcome back. aaa")
    assert asked.endswith("a.. And what is your favourite meal?")


@on_sqlite
def test_a_review_of_long_answers_keeps_its_words(guest):
    more = "review = true\nsay = { review = '{answers} {event} OK, or FIX {last}?' }"
    one = guest(ECHO.replace('event = "Echo"', ""), more)
    review = one.text("e" * 1590, LONG, "b" * 1600, "c")[-1]
    assert review.startswith(f"1 {'a' * 38}.., 2 {'b' * 38}.., 3 c eee")
    assert review.endswith("e.. OK, or FIX 3?")
