"""What phones and machines text by themselves is no answer; what is quoted with words is."""

import pytest
from pace import is_slow
from test_conversation import Guest

from models.non_answers import ignored_reason

ASKS = """
title = "Party"
event = "Party"
thanks = "Thanks, {{colour}}."
{more}
[[questions]]
key = "colour"
ask = "What is your favourite colour?"
{kind}
"""
MEAL = """
[[questions]]
key = "meal"
ask = "Your meal?"
"""
ASK = "What is your favourite colour?"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DRIVING = "I'm driving with Do Not Disturb While Driving turned on. I'll see your message when I"
DRIVING += " get where I'm going."


@pytest.fixture
def guest(serve, questionnaires):
    def come(more: str = "", kind: str = "") -> Guest:
        (questionnaires / "party.toml").write_text(ASKS.format(more=more, kind=kind), "utf-8")
        return Guest(serve())

    return come


@on_sqlite
@pytest.mark.parametrize(
    "body",
    [
        DRIVING,
        "Automatic reply: I am out of the office until Monday.",
        "Réponse automatique : je suis absent jusqu'au 30 novembre.",  # a phone has its own
    ],
)
def test_an_automatic_reply_is_no_answer_and_no_step(guest, body):
    one = guest()
    assert one.text("Party", body, "Blue") == [ASK, "", "Thanks, Blue."]
    assert one.read_as == ["opening", "auto_reply", "answer"]
    assert one.rows("message_count") == [(2,)]


@on_sqlite
@pytest.mark.parametrize(
    "body",
    [
        f"> {ASK}\nBlue",
        f"{ASK} Blue",
        "“What is your favourite…” Blue",
        f"„{ASK}“\n\nBlue\n\nSent from my iPhone",
    ],
)
def test_the_words_behind_a_quotation_of_the_question_are_the_answer(guest, body):
    one = guest()
    assert one.text("Party", body) == [ASK, "Thanks, Blue."]
    assert one.answers == {"colour": "Blue"}
    assert one.rows("text", "answers") == [(body,)]


@on_sqlite
@pytest.mark.parametrize("body", ["BACK\nSent from my iPhone", f"“{ASK}”\nback"])
def test_a_keyword_counts_without_a_quotation_and_without_a_signature(guest, body):
    one = guest(more=MEAL)
    assert one.text("Party", "Pizza", body) == ["Your meal?", ASK, "Your meal?"]
    assert one.read_as == ["opening", "answer", "back"]
    assert one.answers == {}


@on_sqlite
def test_an_opt_out_below_a_quotation_counts(guest):
    one = guest()
    stopped = one.text("Party", f"“{ASK}”\nSTOP")[-1]
    assert stopped.startswith("You will get no more texts")
    assert one.read_as == ["opening", "opt_out"]
    assert one.answers == {}


@on_sqlite
def test_words_of_ours_that_are_quoted_are_no_opt_out(guest):
    ask = 'ask = "Colour? Text no more texts to end."'
    one = guest(more=f'[[questions]]\nkey = "first"\n{ask}\n')
    one.text("Party", "“Colour? Text no more texts to end.”\nBlue")
    assert one.read_as == ["opening", "answer"]
    assert one.answers == {"first": "Blue"}


@on_sqlite
def test_words_of_a_machine_that_are_quoted_are_none_of_it(guest):
    ask = "Are you out of the office until Monday?"
    one = guest(more=f'[[questions]]\nkey = "first"\nask = "{ask}"\n')
    one.text("Party", f"“{ask}”\nSent from my iPhone", f"“{ask}”\nNo", "Blue")
    assert one.read_as == ["opening", "echo", "answer", "answer"]
    assert one.answers == {"first": "No", "colour": "Blue"}


@on_sqlite
@pytest.mark.parametrize("caption", [f"Loved “{ASK}”", ASK, DRIVING, ""])
def test_a_photo_is_the_answer_whatever_its_caption_is(guest, caption):
    one = guest(kind='kind = "photo"')
    one.text("Party")
    media = {"NumMedia": "1", "MediaUrl0": "https://example.org/a"}
    media |= {"MediaContentType0": "image/png"}
    one.text(caption, **media)
    assert one.read_as == ["opening", "answer"]
    assert one.answers == {"colour": "https://example.org/a"}


@on_sqlite
@pytest.mark.parametrize(
    "body", [f"Loved “{ASK}”", f"„{ASK}“ ein Herz hinzugefügt", f"A ajouté un rire à « {ASK} »"]
)
def test_a_phone_tells_of_a_reaction_in_its_own_language(guest, body):
    one = guest()
    assert one.text("Party", body) == [ASK, ""]
    assert one.read_as == ["opening", "reaction"]


@on_sqlite
def test_a_verb_of_another_language_with_a_quotation_is_an_answer(guest):
    one = guest()
    assert one.text("Party", "Curtiu “Blue”") == [ASK, "Thanks, Curtiu “Blue”."]


@pytest.mark.parametrize(
    "piece",
    [
        "“",
        "a“",
        "Liked “",
        "👍 to ",
        "automatic ",
        "out of the office ",
        "bis nicht im büro ",
        "Tasty! ",
    ],
)
def test_a_long_text_takes_no_time(piece):
    text = (piece * 1600)[:1600]
    assert not is_slow(lambda: ignored_reason(text, [text[:1500], ASK], ("de",)))
