"""What guests were once misread in, each text in a conversation on Thursday 26 November 2026."""

from datetime import UTC, datetime

import pytest
from conftest import Webhook

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

ASKS = """
title = "Row"
event = "Row {n}"
language = "{language}"
thanks = "Thanks."
[[questions]]
key = "it"
ask = "It?"
{question}
[[questions]]
key = "more"
ask = "More?"
"""
DATE, YES_NO, NUMBER, PHOTO = (f'kind = "{kind}"' for kind in ("date", "yes_no", "number", "photo"))
PAST = f'{DATE}\nlatest = "today"'
CHOICES = 'kind = "choice"\nchoices = '
HOURS = CHOICES + str([f"{n}am" for n in (9, 10, 11)] + [f"{n}pm" for n in (12, 1, 2, 3, 4, 5)])
SIZES = CHOICES + '["1-2", "3-5", "6+"]'
MEALS = CHOICES + '["Pizza", "Pasta", "Salad"]'
# Replies, instead of a value:
A_DATE = "Please reply with a date, like 3 May."
A_PHOTO = "Please reply with a photo."
FRIDAYS = "Did you mean 1 Friday 27 November, or 2 Friday 4 December?"
CENTURIES = "Did you mean 1 Sunday 25 March 1962, or 2 Saturday 25 March 2062?"

ABROAD = ("de", "es", "fr", "it", "pt", "nl")
# The language, the question, a text, and the value that is kept, or the reply that asks.
ROWS = [
    # Days were counted from the wrong end, or not at all
    ("en", DATE, "2 weeks from today", "2026-12-10"),
    ("en", DATE, "3 days from today", "2026-11-29"),
    ("en", DATE, "a month from today", "2026-12-26"),
    ("en", DATE, "two days from tomorrow", "2026-11-29"),
    ("en", DATE, "four days from yesterday", "2026-11-29"),
    ("en", DATE, "two days after today", "2026-11-28"),
    # A day was kept, though none is certain, or none where limits leave one
    ("en", DATE, "3/25/62", CENTURIES),
    ("en", PAST, "3/25/62", "1962-03-25"),
    ("en", DATE, "Monday, December 5th", A_DATE),  # a Saturday
    ("en", DATE, "Friday 13 Nov", A_DATE),
    ("en", DATE, "5 Dec 1030", A_DATE),
    ("en", DATE, "after Dec 5", A_DATE),
    ("en", DATE, "before tomorrow", A_DATE),
    ("en", DATE, "next friday", FRIDAYS),
    # A label was taken for a position
    ("en", HOURS, "9", "9am"),
    ("en", SIZES, "3", "3-5"),
    # What a person is certain of was asked again
    ("en", MEALS, "I'd like pasta", "Pasta"),
    ("en", MEALS, "Pasta for me", "Pasta"),
    ("en", MEALS, "option 2", "Pasta"),
    ("en", MEALS, "number 1", "Pizza"),
    ("en", MEALS, "the first one", "Pizza"),
    ("en", MEALS, "Piza", "Pizza"),
    ("en", YES_NO, "Yes I'll be there", "yes"),
    ("en", YES_NO, "Yesss", "yes"),
    ("en", YES_NO, "Yes plz", "yes"),
    ("en", YES_NO, "Count me in", "yes"),
    ("en", YES_NO, "can't make it", "no"),
    ("en", YES_NO, "absolutely not", "no"),
    ("en", YES_NO, "Yes. See you there", "yes"),
    ("en", NUMBER, "two", "2"),
    ("en", NUMBER, "zero", "0"),
    ("en", NUMBER, "we are 4", "4"),
    ("en", NUMBER, "I'm 24", "24"),
    ("en", NUMBER, "It's 3", "3"),
    # A word that multiplies was dropped
    ("en", NUMBER, "2 million", "2000000"),
    ("en", NUMBER, "3 dozen", "36"),
    ("es", NUMBER, "2 mil", "2000"),
    ("fr", NUMBER, "10 mille", "10000"),
    ("de", NUMBER, "300 Milliarden", "300000000000"),
    ("en", NUMBER, "1.2k", "1200"),
    # All languages were read as English
    *((language, NUMBER, "4,800", "4.8") for language in ABROAD),
    *((language, DATE, "3-7-2027", "2027-07-03") for language in ABROAD),
]
BBQ = """
title = "BBQ"
event = "Mat's BBQ"
thanks = "Thanks."
[[questions]]
key = "colour"
ask = "What is your favourite colour?"
[[questions]]
key = "meal"
ask = "{colour}! And your favourite meal?"
"""
COLOUR, MEAL = "What is your favourite colour?", "Blue! And your favourite meal?"
NAME = "What is your name?"
JOIN = BBQ.replace("Mat's BBQ", "JOIN").replace(COLOUR, NAME)
STOPPED = "You will get no more texts from us. Text START to get them again."
SENT_FROM = "\n\nSent from my iPhone"
ARRIVING = "I'll see your message when I get where I'm going."
MEDIA = "https://api.twilio.com/2010-04-01/Media/ME1"


@pytest.fixture
def serve_all(serve, questionnaires, clock):
    """`serve_all(*contents)`: put these questionnaires on the air, and no others."""

    def start(*contents: str) -> Webhook:
        clock.now = datetime(2026, 11, 26, 12, tzinfo=UTC)
        for path in questionnaires.iterdir():
            path.unlink()
        for n, content in enumerate(contents):
            (questionnaires / f"q{n}.toml").write_text(content, "utf-8")
        return serve()

    return start


def asking(n: int, language: str, question: str) -> str:
    """A questionnaire with the event `Row n`."""
    return ASKS.format(n=n, language=language, question=question)


class Guest:
    """Somebody with a number of their own, who opens a questionnaire."""

    count = 0

    def __init__(self, webhook: Webhook, event: str = "Mat's BBQ") -> None:
        Guest.count += 1
        self.webhook, self.sender = webhook, f"+1415555{Guest.count:04}"
        self.phone = webhook.phone(self.sender)
        self.phone.is_delivered_twice = True  # the clock stands still
        self.asked = self.text(event)

    def text(self, body: str = "", **params) -> str:
        return " ".join(self.phone.text(body, **params))

    def select(self, what: str, table: str, order: str = "1") -> list:
        where = f"sender = '{self.sender}' ORDER BY {order}"
        return [row[0] for row in self.webhook.rows(f"SELECT {what} FROM {table} WHERE {where}")]

    @property
    def values(self) -> list[str | None]:
        return self.select("value", "results")

    @property
    def read_as(self) -> list[str]:
        return self.select("read_as", "messages", "id")


def outcome(guest: Guest, text: str) -> str:
    """The value that is kept, if the next question follows, or else the reply."""
    reply = guest.text(text)
    if reply == "More?":
        (value,) = guest.values
        return value
    assert guest.values == []
    return reply


def test_each_answer_is_read_as_it_is_meant_or_asked_for_again(serve_all):
    questions = list(dict.fromkeys((language, question) for language, question, *_ in ROWS))
    webhook = serve_all(*(asking(n, *each) for n, each in enumerate(questions)))
    read = []
    for language, question, text, _ in ROWS:
        one = Guest(webhook, f"Row {questions.index((language, question))}")
        read.append((language, question, text, outcome(one, text)))
    assert read == ROWS


def test_what_is_no_photo_is_asked_for_again(serve_all):
    webhook = serve_all(asking(1, "en", PHOTO))
    for type in ("text/vcard", "text/x-vcard", "audio/amr", "audio/ogg", "application/pdf"):
        one = Guest(webhook, "Row 1")
        assert one.text(media=[MEDIA], MediaContentType0=type) == A_PHOTO, type
        assert one.values == [], type


def test_each_phrase_opts_out(serve_all):
    webhook = serve_all(BBQ)
    phrases = ["OPT OUT", "opt-out", "STOP ALL", "Stop please", "stop texting me"]
    for phrase in [*phrases, "Unsubscribe me", "no more texts", f"Stop{SENT_FROM}"]:
        one = Guest(webhook)
        assert one.text(phrase) == STOPPED, phrase
        assert (one.values, one.select("state", "conversations")) == ([], ["stopped"]), phrase
        assert [one.text(text) for text in (phrase, "Blue", "Mat's BBQ")] == [""] * 3, phrase


def test_each_copy_of_an_event_opens_it(serve_all):
    webhook = serve_all(BBQ, JOIN)
    for text in ("Mat’s BBQ", "Mat's BBQ.", "Mat's BBQ 🍖", "Mat's BBQ🎉"):
        assert Guest(webhook, text).asked == COLOUR, text
    assert Guest(webhook, "Join!").asked == NAME


def test_the_same_words_within_two_seconds_are_one_answer(serve_all, clock):
    one = Guest(serve_all(BBQ))
    assert one.text("Blue") == MEAL
    clock.pass_(seconds=2)
    assert one.text("Blue") == ""
    assert one.values == ["Blue"]


def test_the_opening_word_again_is_no_name(serve_all):
    one = Guest(serve_all(JOIN), "JOIN")
    assert one.text("JOIN") == NAME
    assert one.values == []


def test_words_behind_a_quotation_of_the_question_are_the_answer(serve_all):
    one = Guest(serve_all(BBQ))
    assert one.text(f"“{COLOUR}”\nBlue") == MEAL
    assert one.values == ["Blue"]


def test_a_long_answer_is_echoed_short_before_the_whole_question(serve_all):
    one = Guest(serve_all(BBQ))
    asked = one.text("a" * 1580)
    assert asked.endswith("a..! And your favourite meal?")
    assert len(asked) <= 1600
    assert one.values == ["a" * 1580]


def test_an_automatic_reply_is_noted_and_is_no_step(serve_all):
    webhook = serve_all(BBQ)
    for text in (
        f"I'm driving with Do Not Disturb on. {ARRIVING}",
        f"I’m driving with Do Not Disturb While Driving turned on. {ARRIVING}",
        "I'm driving with Do Not Disturb on…",
        "I am out of the office until Monday, 30 November.",
        "Automatic reply: I am out of the office until Monday.",
        "Out of office: I'm away with no access to email. Please contact Anna.",
    ):
        one = Guest(webhook)
        assert (one.text(text), one.values, one.read_as[-1]) == ("", [], "auto_reply"), text
        assert one.select("message_count", "conversations") == [1], text
        assert one.text("Blue") == MEAL, text


def test_a_picture_without_a_body_is_as_with_an_empty_one(serve_all):
    webhook = serve_all(BBQ, asking(1, "en", PHOTO))
    for params in ({}, {"Body": None}):
        one, other = Guest(webhook), Guest(webhook, "Row 1")
        assert (one.text(media=[MEDIA], **params), one.read_as[-1]) == ("", "empty")
        assert (other.text(media=[MEDIA], **params), other.values) == ("More?", [MEDIA])
