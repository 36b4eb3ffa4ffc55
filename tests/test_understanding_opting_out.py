"""Who wants no more texts is understood, on every channel; what only sounds so is an answer."""

from collections.abc import Callable

import pytest
from conftest import NUMBER, REY, STRANGER, mostly_on_sqlite
from pace import is_slow
from sqlalchemy.orm import Session
from test_conversation import Guest

from models import Contact, IncomingText
from models.non_answers import find_opt_keyword, prepare
from models.questionnaire.languages import LANGUAGES

ASKS = """
title = "Party"
event = "Party"
thanks = "Thanks."
{more}
[[questions]]
key = "colour"
ask = "Your favourite colour?"
[[questions]]
key = "guests"
kind = "number"
ask = "How many guests?"
"""
COLOUR, GUESTS = "Your favourite colour?", "How many guests?"
STOPPED = "You will get no more texts from us. Text START to get them again."
WHATSAPP, RCS = f"whatsapp:{REY}", f"rcs:{REY}"
HIDDEN, BOTH = "whatsapp:US.1234567890", "the number and the id"
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def guest(serve, questionnaires):
    def come(more: str = "") -> Guest:
        (questionnaires / "party.toml").write_text(ASKS.format(more=more), "utf-8")
        return Guest(serve())

    return come


def states(one: Guest) -> list[str]:
    return [state for (state,) in one.rows("state")]


@on_sqlite
def test_a_phrase_that_only_we_understand_is_confirmed_once(guest):
    one = guest()
    assert one.text("Party", "no more texts") == [COLOUR, STOPPED]
    assert one.text("no more texts", "Blue", "Party") == ["", "", ""]
    assert one.read_as == ["opening", "opt_out", "opt_out", "opted out", "opted out"]


def test_start_lifts_what_only_we_understood(guest):
    one = guest()
    one.text("Party", "no more texts, thanks")
    assert one.text("START", "Party") == ["", COLOUR]
    assert one.rows("opted_out_at, perhaps_opted_out_at", "contacts") == [(None, None)]


@on_sqlite
@pytest.mark.parametrize(
    "body", ["START\nSent from my iPhone", "Start please", "please START!", "Unstop, thanks"]
)
def test_start_lifts_it_whatever_is_around_the_word(guest, body):
    one = guest()
    one.text("Party", "no more texts")
    assert one.text(body, "Party") == ["", COLOUR]
    assert one.read_as[-2:] == ["start", "opening"]


@on_sqlite
def test_start_with_courtesies_is_an_answer_where_nothing_is_lifted(guest):
    one = guest()
    assert one.text("Party", "Start please") == [COLOUR, GUESTS]
    assert one.answers == {"colour": "Start please"}


@on_sqlite
@pytest.mark.parametrize("before", [("wrong number",), ("Party", "wrong number", "4")])
def test_start_lifts_what_only_sounded_like_opting_out_too(guest, questionnaires, before):
    """Although no question waits."""
    for path in questionnaires.iterdir():
        path.unlink()
    one = guest()
    one.text(*before)
    assert one.rows("*", "contacts", "perhaps_opted_out_at IS NOT NULL")
    assert one.text("START") == [""]
    assert one.read_as[-1] == "start"
    assert one.rows("perhaps_opted_out_at", "contacts") == [(None,)]


@on_sqlite
def test_stop_during_a_correction_leaves_no_readings(guest, questionnaires):
    meal = 'key = "colour"\nkind = "choice"\nchoices = ["Pizza", "Pasta", "Rice"]'
    asks = ASKS.replace('key = "colour"', meal)
    (questionnaires / "meal.toml").write_text(
        asks.replace('"Party"', '"Meal"').format(more="review = true"), "utf-8"
    )
    one = guest()
    one.text("Meal", "Rice", "4", "OK", "FIX 1", "P")
    assert one.rows("readings") != [(None,)]
    one.text("STOP")
    assert one.rows("state, asking, asked, readings, unread") == [
        ("completed", None, None, None, 0)
    ]


@on_sqlite
@pytest.mark.parametrize("keyword", ["BACK", "RESTART"])
def test_an_answer_that_sounds_like_opting_out_is_no_sign_of_a_machine(guest, keyword):
    one = guest()
    one.text("Party", *[text for _ in range(21) for text in ("wrong number", keyword)])
    assert one.read_as[-1] == keyword.lower()


@on_sqlite
@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("de", "Bitte keine SMS mehr"),
        ("es", "Baja, por favor"),
        ("fr", "Arrêtez svp"),
        ("it", "Basta!"),
        ("nl", "Afmelden aub"),
        ("pt", "Sair, obrigado"),
    ],
)
def test_the_questionnaires_language_counts_and_answers(guest, language, body):
    one = guest(f'language = "{language}"')
    one.text("Party")
    (reply,) = one.text(body)
    assert reply != STOPPED
    assert "START" in reply
    assert states(one) == ["stopped"]


@on_sqlite
@pytest.mark.parametrize("body", ["Abmelden", "Basta", "Baja"])
def test_words_of_other_languages_are_answers(guest, body):
    one = guest()
    assert one.text("Party", body) == [COLOUR, GUESTS]
    assert one.answers == {"colour": body}


@mostly_on_sqlite
def test_a_first_text_can_opt_out_in_the_language_of_the_questionnaires(guest, questionnaires):
    for path in questionnaires.glob("*.toml"):
        path.unlink()
    one = guest('language = "de"')
    assert one.text("Bitte keine SMS mehr")[0].startswith("Es kommen keine SMS mehr")
    assert one.text("Party") == [""]


@on_sqlite
def test_a_file_can_have_words_and_a_confirmation_of_its_own(guest):
    one = guest('[say]\nstop = ["Enough of this"]\nstopped = "Bye. START brings us back."')
    assert one.text("Party", "enough of THIS!") == [COLOUR, "Bye. START brings us back."]
    assert states(one) == ["stopped"]


@on_sqlite
@pytest.mark.parametrize(
    ("languages", "body", "begins"),
    [
        ("de en", "no more texts", "You will"),
        ("de en", "Stop please", "You will"),
        ("de en", "Keine SMS mehr, danke", "Es kommen"),
        ("de fr", "Laissez-moi tranquille", "Nous"),
        ("de fr", "Keine SMS mehr, danke", "Es kommen"),
    ],
)
def test_a_stranger_is_answered_in_the_language_of_the_words(
    serve, questionnaires, languages, body, begins
):
    for path in questionnaires.iterdir():
        path.unlink()
    for language in languages.split():
        content = ASKS.replace('"Party"', f'"{language}"').format(more=f'language = "{language}"')
        (questionnaires / f"{language}.toml").write_text(content, "utf-8")
    one = Guest(serve())
    one.webhook.app.files.current.catalog.prepare()  # as `serve` does: it takes seconds
    (reply,) = one.text(body)
    assert reply.startswith(begins)


@on_sqlite
@pytest.mark.parametrize(
    "body", ["Blue. Now stop texting me", "wrong number", "How do I unsubscribe?", "STOPP"]
)
def test_an_answer_that_sounds_like_opting_out_is_marked(guest, clock, body):
    one = guest()
    assert one.text("Party", body) == [COLOUR, GUESTS]
    assert one.answers == {"colour": body}
    assert one.read_as == ["opening", "perhaps_opt_out"]
    first = one.rows("opted_out_at, perhaps_opted_out_at", "contacts")
    assert first[0][0] is None
    assert first[0][1] is not None
    one.wait(hours=1)
    assert one.text("wrong number, sorry") == ["Please reply with a number."]
    assert one.rows("opted_out_at, perhaps_opted_out_at", "contacts") == first


@on_sqlite
@pytest.mark.parametrize("body", ["The bus stop", "Don't stop the music", "The End", "Quit my job"])
def test_an_ordinary_sentence_is_not_marked(guest, body):
    one = guest()
    one.text("Party", body)
    assert one.read_as == ["opening", "answer"]
    assert one.rows("perhaps_opted_out_at", "contacts") == [(None,)]


# Channels ####################################################################


@pytest.mark.parametrize("body", ["STOP", "no more texts"])
@pytest.mark.parametrize("sender", [REY, WHATSAPP, RCS])
@mostly_on_sqlite
def test_opting_out_counts_for_the_phone_on_all_channels(guest, sender, body):
    one = guest()
    others = [one.webhook.phone(sender=each) for each in {REY, WHATSAPP, RCS} - {sender}]
    for each in others:
        each.text("Party")
    one.webhook.phone(sender=sender).text(body)
    assert states(one) == ["stopped"] * 2
    assert [each.text("Blue") for each in others] == [[], []]
    others[0].text("START")
    assert [each.text("Party") for each in others] == [[COLOUR], [COLOUR]]


def test_what_sounds_like_opting_out_counts_for_the_phone_on_all_channels(guest):
    one = guest()
    other = one.webhook.phone(sender=WHATSAPP)
    other.text("Party")
    one.text("Party", "wrong number")
    assert [bool(at) for (at,) in one.rows("perhaps_opted_out_at", "contacts")] == [True, True]
    other.text("START")
    assert one.rows("perhaps_opted_out_at", "contacts") == [(None,), (None,)]


def test_a_channel_that_is_new_is_opted_out_already(guest):
    one = guest()
    one.text("STOP")
    assert one.webhook.phone(sender=WHATSAPP).text("Party") == []
    opted_out = one.rows("phone", "contacts", "opted_out_at IS NOT NULL")
    assert opted_out == [(REY,), (WHATSAPP,)]


def test_senders_without_a_number_are_each_for_themselves(guest):
    one = guest()
    one.webhook.phone(sender="messenger:1234").text("STOP")
    assert one.webhook.phone(sender="whatsapp:US.1234").text("Party") == [COLOUR]


def test_whoever_hides_the_number_at_whatsapp_stays_the_same_guest(guest):
    one = guest()
    seen, hidden = (one.webhook.phone(sender=each) for each in (WHATSAPP, HIDDEN))
    assert seen.text("Party", ExternalUserId=HIDDEN) == [COLOUR]
    assert hidden.text("Blue", ExternalUserId=HIDDEN) == [GUESTS]
    assert hidden.text("4") == ["Thanks."]
    assert one.rows("phone, alias", "contacts") == [(WHATSAPP, HIDDEN)]
    assert one.rows("sender", "messages")[-2] == (HIDDEN,)


def test_whoever_shows_the_number_later_stays_the_same_guest(guest):
    one = guest()
    seen, hidden = (one.webhook.phone(sender=each) for each in (WHATSAPP, HIDDEN))
    assert hidden.text("Party") == [COLOUR]
    assert seen.text("Blue", ExternalUserId=HIDDEN) == [GUESTS]
    assert one.rows("phone, alias", "contacts") == [(HIDDEN, WHATSAPP)]
    assert seen.text("4") == ["Thanks."]


@mostly_on_sqlite
@pytest.mark.parametrize("id", ["whatsapp:US.12 34", "US.1234", "", "whatsapp:+14155550123"])
def test_what_is_no_id_of_whatsapps_names_nobody(guest, id):
    one = guest()
    one.webhook.phone(sender=WHATSAPP).text("Party", ExternalUserId=id)
    assert one.rows("alias", "contacts") == [(None,)]


@pytest.fixture
def whatsapp(guest) -> Callable:
    """`text(sender, body)`: what that one of the guest's addresses gets; and the guest."""
    one = guest()

    def text(sender: str, body: str, **params: str) -> list[str]:
        params |= {"ExternalUserId": HIDDEN} if sender == BOTH else {}
        return one.webhook.phone(sender=WHATSAPP if sender == BOTH else sender).text(body, **params)

    text.guest = one
    return text


def test_whoever_had_a_number_before_keeps_what_they_wished(guest):
    one = guest()
    shown, hidden = (one.webhook.phone(sender=each) for each in (WHATSAPP, HIDDEN))
    shown.text("Party")
    hidden.text("STOP")
    shown.text("Blue", ExternalUserId=HIDDEN)
    shown.text("START", ExternalUserId="whatsapp:US.9999")
    wishes = dict(one.rows("phone, opted_out_at IS NULL", "contacts"))
    assert wishes == {WHATSAPP: True, HIDDEN: False}


def test_a_number_that_is_shown_later_has_opted_out_before(whatsapp):
    assert whatsapp(HIDDEN, "Party") == [COLOUR]
    whatsapp(REY, "STOP")
    assert whatsapp(BOTH, "Blue") == []
    assert whatsapp(HIDDEN, "Blue") == []
    whatsapp(BOTH, "START")
    assert whatsapp(REY, "Party") == [COLOUR]


def test_whoever_opted_out_with_a_hidden_number_has_done_so_when_it_is_shown(whatsapp):
    assert whatsapp(REY, "Party") == [COLOUR]
    whatsapp(HIDDEN, "STOP")
    assert whatsapp(BOTH, "hi") == []
    assert whatsapp(REY, "Blue") == []


@pytest.mark.parametrize("first", [WHATSAPP, HIDDEN])
@pytest.mark.parametrize("sender", [REY, WHATSAPP, HIDDEN, BOTH])
@mostly_on_sqlite
def test_opting_out_counts_for_both_addresses_at_whatsapp(whatsapp, first, sender):
    for each in (first, *{WHATSAPP, HIDDEN} - {first}):
        assert whatsapp(each, "Party") == [COLOUR]
    assert whatsapp(BOTH, "Blue") == [GUESTS]
    assert whatsapp(REY, "Party") == [COLOUR]
    whatsapp(sender, "STOP")
    assert set(states(whatsapp.guest)) == {"stopped"}
    assert [whatsapp(each, "4") for each in (REY, WHATSAPP, HIDDEN, BOTH)] == [[]] * 4
    whatsapp(sender, "START")
    assert [whatsapp(each, "Party") for each in (HIDDEN, WHATSAPP)] == [[COLOUR]] * 2


def test_a_phone_that_opts_out_by_sms_has_done_so_at_both_addresses(whatsapp):
    assert whatsapp(HIDDEN, "Party") == [COLOUR]
    assert whatsapp(BOTH, "Blue") == [GUESTS]
    whatsapp(REY, "STOP")
    assert [whatsapp(each, "4") for each in (HIDDEN, WHATSAPP, BOTH)] == [[]] * 3


def test_no_number_that_is_known_becomes_another_guest_by_an_id(whatsapp):
    whatsapp(HIDDEN, "Party")
    whatsapp(WHATSAPP, "Party")
    assert whatsapp(BOTH, "Blue") == [GUESTS]
    rows = whatsapp.guest.rows("sender, asking")
    assert rows == [(HIDDEN, "colour"), (WHATSAPP, "guests")]


@mostly_on_sqlite
def test_an_id_counts_at_whatsapp_only(whatsapp):
    whatsapp(BOTH, "Party")
    for sender in (STRANGER, f"rcs:{STRANGER}"):
        whatsapp(sender, "STOP", ExternalUserId=HIDDEN)
    assert states(whatsapp.guest) == ["open"]
    assert whatsapp(BOTH, "Blue") == [GUESTS]


# What perhaps opts out #######################################################

BOTH_TIMES = "phone, opted_out_at IS NOT NULL, perhaps_opted_out_at IS NOT NULL"
EARLIER = f"UPDATE contacts SET perhaps_opted_out_at = '2026-11-19 12:00:00Z' WHERE phone = '{REY}'"


def share(one: Guest, phone: str, change: Callable[[Contact], object]) -> None:
    """Change what is known of opting out, and write it to all addresses."""

    def write(db: Session) -> None:
        contact = Contact.find(db, phone)
        change(contact)
        Contact.save_all(db, [contact])
        contact.share_opting_out(db)

    one.webhook.app.database.write(write)


def test_what_perhaps_opts_out_counts_on_all_channels(guest, clock):
    one = guest()
    for sender in (WHATSAPP, REY):
        one.webhook.phone(sender=sender).text("Party")
    share(one, REY, lambda contact: contact.perhaps_opt_out(clock()))
    one.webhook.phone(sender=RCS).text("Party")
    times = one.rows("perhaps_opted_out_at", "contacts")
    assert len(times) == 3
    assert len(set(times) - {(None,)}) == 1


def test_only_start_forgets_what_perhaps_opted_out(guest, clock):
    one = guest()
    for sender in (WHATSAPP, REY):
        one.webhook.phone(sender=sender).text("Party")
    one.webhook.app.database.write(lambda db: db.connection().exec_driver_sql(EARLIER))
    share(one, WHATSAPP, lambda contact: contact.opt_out(clock()))
    assert one.rows(BOTH_TIMES, "contacts") == [(WHATSAPP, True, False), (REY, True, True)]
    one.webhook.phone(sender=WHATSAPP).text("START")
    assert one.rows(BOTH_TIMES, "contacts") == [(WHATSAPP, False, False), (REY, False, False)]


# Time ########################################################################


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "piece",
    ["stop ", "no thanks ", "please stop texting me ", "i do not want ", "wrong number. ", ". "]
    + [
        "leave me the ",
        "keine sms ",
        "no quiero ",
        "ne plus ",
        "non voglio più ",
        "geen ",
        "não me ",
    ],
)
def test_a_long_text_takes_no_time(language, piece):
    prepare([language])
    text = IncomingText(REY, NUMBER, (piece * 1600)[:1600])
    assert not is_slow(lambda: find_opt_keyword(text, (language,), (str(text),)))
