"""What opens a questionnaire, the opening word again, and the same text twice."""

import pytest
from conftest import STRANGER
from test_conversation import Guest

MATS = """
title = "BBQ"
event = "Mat's BBQ"
thanks = "Bye {{who}}."
{more}
[[questions]]
key = "who"
ask = "What is your name?"
[[questions]]
key = "meal"
ask = "And your meal?"
[[questions]]
key = "guests"
kind = "number"
ask = "How many?"
"""
ANY = MATS.replace('event = "Mat\'s BBQ"\n', "")
NAME, MEAL, GUESTS = ["What is your name?"], ["And your meal?"], ["How many?"]
NUMBER_PLEASE = ["Please reply with a number."]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def guest(serve, questionnaires):
    """Texts of `guest(content)` come 10 seconds one after the other."""

    def come(content: str = MATS, more: str = "", **others: str) -> "SlowGuest":
        for path in questionnaires.iterdir():
            path.unlink()
        (questionnaires / "it.toml").write_text(content.format(more=more), "utf-8")
        for name, other in others.items():
            (questionnaires / f"{name}.toml").write_text(other, "utf-8")
        return SlowGuest(serve())

    return come


class SlowGuest(Guest):
    def __init__(self, webhook) -> None:
        super().__init__(webhook)
        self.phone.is_delivered_twice = True

    def text(self, *texts: str, seconds: float = 10, **params: str) -> list[str]:
        replies = []
        for said in texts:
            self.webhook.clock.pass_(seconds=seconds)
            replies += super().text(said, **params)
        return replies


# Which texts open ############################################################


@on_sqlite
@pytest.mark.parametrize(
    "text",
    [
        "mats bbq!! 🍖",
        "“Mat's BBQ”",
        "Hi, Mat's BBQ please",
        "Mat's BBQ\nSent from my iPhone",
        "Matt's BBQ",
        "Mta's BBQ",
    ],
)
def test_an_event_opens_however_it_is_copied(guest, text):
    one = guest()
    assert one.text(text) == NAME
    assert one.rows("event") == [("Mat's BBQ",)]


@on_sqlite
@pytest.mark.parametrize("text", ["BBQ", "Mat", "Mat's BBQ 2", "Is this Mat's BBQ?", "Matss BBBQ"])
def test_what_is_another_text_opens_nothing(guest, text):
    one = guest()
    assert one.text(text) == [""]
    assert one.rows("*") == []


@on_sqlite
def test_a_slip_between_two_events_opens_neither(guest):
    other = 'title = "x"\nevent = "Summer Party"\nreply = "Summer."'
    one = guest(other, sumner=other.replace("Summer", "Sumner"))
    assert one.text("Sumer Party", "sumner party!", "Sommer Party") == ["", "Sumner.", "Summer."]
    phone = one.webhook.phone(STRANGER)
    assert phone.text("Sommer Party") == ["Summer."]


@on_sqlite
def test_two_events_that_only_signs_tell_apart_open_by_the_letter(guest):
    c = 'title = "x"\nevent = "C++"\nreply = "C++."'
    one = guest(c, other=c.replace("C++", "C#"), more="")
    assert one.text("c#", "C") == ["C#.", "C#."]
    assert one.webhook.phone(STRANGER).text("c") == []


@on_sqlite
def test_an_event_is_found_before_what_any_text_opens(guest):
    count = 'title = "x"\nevent = "Counting"\nreply = "Counted."'
    one = guest(ANY, count=count)
    assert one.text("Countng!", "counting") == ["Counted.", "Counted."]
    assert one.webhook.phone(STRANGER).text("County") == NAME


# The opening word again ######################################################


def test_the_opening_word_again_gets_the_question_again(guest):
    one = guest()
    assert one.text("Mat's BBQ", "mats bbq", "MAT'S BBQ!", "Rey") == NAME * 3 + MEAL
    assert one.read_as == ["opening", "opening_again", "opening_again", "answer"]
    assert one.answers == {"who": "Rey"}
    assert one.rows("unread") == [(0,)]


@on_sqlite
def test_at_once_it_gets_the_question_again_too(guest):
    one = guest()
    assert one.text("Mat's BBQ", "Mat's BBQ", seconds=1) == NAME * 2


@on_sqlite
@pytest.mark.parametrize("seconds", [2, 60])
@pytest.mark.parametrize("text", ["Hi, mats bbq please", "Matt's BBQ", "“Mat's BBQ” 🍖"])
def test_the_same_words_again_get_it_too_however_they_opened(guest, text, seconds):
    one = guest()
    assert one.text(text) + one.text(text, seconds=seconds) == NAME * 2
    assert one.read_as == ["opening", "opening_again"]
    assert one.text(text, "Rey", seconds=60) == NAME + MEAL
    assert one.answers == {"who": "Rey"}


@on_sqlite
def test_what_is_too_long_for_an_event_counts_again_too(guest):
    one = guest(ANY)
    assert one.text("Hello! " * 100, "Hello! " * 100, seconds=2) == NAME * 2
    assert one.rows("*", "answers") == []


@on_sqlite
def test_what_is_only_near_the_opening_word_is_a_name(guest):
    one = guest()
    one.text("Mat's BBQ", "Matt's BBQ")
    assert one.answers == {"who": "Matt's BBQ"}


@on_sqlite
def test_later_it_is_an_answer(guest):
    one = guest()
    assert one.text("Mat's BBQ", "Rey", "Mat's BBQ")[2:] == GUESTS
    assert one.answers == {"who": "Rey", "meal": "Mat's BBQ"}


@on_sqlite
def test_where_any_text_opens_it_counts_once(guest):
    """Somebody who texts their name at first is asked for it once more, and not for ever."""
    one = guest(ANY)
    assert one.text("Anna", "Anna", "Anna") == NAME * 2 + MEAL
    assert one.answers == {"who": "Anna"}


@on_sqlite
def test_what_a_machine_texts_for_ever_is_an_answer_at_last(guest):
    one = guest()
    assert one.text(*["Mat's BBQ"] * 21) == NAME * 20 + MEAL


@on_sqlite
def test_an_answer_of_the_first_question_is_one_although_it_opened(guest):
    content = ANY.replace('key = "who"', 'key = "who"\nkind = "yes_no"')
    one = guest(content)
    assert one.text("Yes", "Yes") == NAME + MEAL
    assert one.answers == {"who": "yes"}


# The same text twice #########################################################


def test_a_text_that_is_delivered_twice_is_one_answer(guest):
    one = guest()
    one.text("Mat's BBQ", "Blue")
    assert one.text("Blue", seconds=2) == [""]
    assert one.text("Pizza") == GUESTS
    assert one.answers == {"who": "Blue", "meal": "Pizza"}
    assert one.read_as == ["opening", "answer", "double", "answer"]


@on_sqlite
def test_the_same_words_later_are_an_answer(guest):
    one = guest()
    assert one.text("Mat's BBQ", "Blue", "blue", seconds=4)[1:] == MEAL + GUESTS


@on_sqlite
def test_other_words_at_once_are_an_answer(guest):
    one = guest()
    assert one.text("Mat's BBQ", "Blue", "Blue cheese", seconds=1)[1:] == MEAL + GUESTS


@on_sqlite
def test_a_third_delivery_is_none_either(guest):
    one = guest()
    one.text("Mat's BBQ", "Blue")
    assert one.text("Blue", "Blue", "BLUE!", seconds=3) == ["", "", ""]
    assert one.answers == {"who": "Blue"}


def test_a_double_is_no_second_attempt(guest):
    one = guest()
    assert one.text("Mat's BBQ", "Rey", "Pizza", "many")[-1:] == NUMBER_PLEASE
    assert one.text("Many", seconds=1) == [""]
    assert one.text("many") == NUMBER_PLEASE
    assert one.rows("unread") == [(2,)]


@on_sqlite
def test_a_double_of_back_goes_back_once(guest):
    one = guest()
    one.text("Mat's BBQ", "Rey", "Pizza", "BACK")
    assert one.text("back", seconds=1) == [""]
    assert one.answers == {"who": "Rey"}


@on_sqlite
def test_a_double_of_the_last_answer_does_not_get_what_comes_after(guest):
    one = guest(more='after = "Bye bye."')
    one.text("Mat's BBQ", "Rey", "Pizza", "4")
    assert one.text("4", seconds=1) + one.text("4") == ["", "Bye bye."]


@on_sqlite
def test_each_of_two_pictures_is_taken(guest):
    one = guest(MATS.replace('kind = "number"', 'kind = "photo"'))
    one.text("Mat's BBQ", "Rey", "Pizza")
    media = {"NumMedia": "1", "MediaUrl0": "https://example.org/a"}
    media |= {"MediaContentType0": "image/png"}
    assert one.text("", seconds=1, **media) == ["Bye Rey."]


@on_sqlite
def test_a_counter_counts_every_text(guest):
    one = guest('title = "x"\nevent = "Count"\nreply = "{{count}}"')
    assert one.text("Count", "up", "up", seconds=1) == ["1", "2", "3"]
