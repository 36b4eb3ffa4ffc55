"""How a conversation goes when guests do not just answer, over HTTP."""

import json
from itertools import count

import hypothesis
import pytest
from conftest import NUMBER, REY, STRANGER, examples, mostly_on_sqlite
from hypothesis import strategies as st

from worker.expiry import expire_silent

pytestmark = mostly_on_sqlite

ASKS = """
title = "Three"
event = "Three"
thanks = "Bye."
{more}
[[questions]]
key = "a"
ask = "A?"
[[questions]]
key = "b"
ask = "B?"
kind = "number"
max = 9
{b}
[[questions]]
key = "c"
ask = "C, {{a}} {{b}}?"
optional = true
[results]
url = "https://example.org/results"
format = "json"
{results}
"""
PATHS = """
title = "Paths"
event = "Paths"
review = true
thanks = "Bye."
[[questions]]
key = "movies"
kind = "yes_no"
ask = "Movies?"
[[questions]]
key = "film"
ask = "Which film?"
only_if = { movies = "yes" }
[[questions]]
key = "snack"
kind = "choice"
many = true
choices = ["Popcorn", "Chips"]
ask = "Snacks?"
only_if = { film = "Heat" }
[[questions]]
key = "why"
ask = "Why not?"
only_if = { movies = "no" }
[[questions]]
key = "last"
ask = "Last?"
[results]
url = "https://example.org/results"
format = "json"
"""
NUMBER_TWO = "+14155550101"
NEEDED = "This one cannot be skipped."
RETRY = "Please reply with a number (max. 9)."


@pytest.fixture
def guest(serve, questionnaires):
    """`guest(content)`: put a questionnaire on the air, and be a guest of it."""

    def come(content: str) -> "Guest":
        (questionnaires / "it.toml").write_text(content, "utf-8")
        return Guest(serve())

    return come


class Guest:
    def __init__(self, webhook) -> None:
        self.webhook, self.phone = webhook, webhook.phone()

    def text(self, *texts: str, **params: str) -> list[str]:
        return [" ".join(self.phone.text(said, **params)) for said in texts]

    def wait(self, **duration: float) -> None:
        self.webhook.clock.pass_(**duration)
        expire_silent(self.webhook.app.database, self.webhook.clock())

    def rows(self, what: str, table: str = "conversations", where: str = "true") -> list[tuple]:
        order = "answers.id" if table == "answers" else "id"
        return self.webhook.rows(f"SELECT {what} FROM {table} WHERE {where} ORDER BY {order}")

    @property
    def state(self) -> str:
        return self.rows("state")[-1][0]

    @property
    def read_as(self) -> list[str]:
        return [one for (one,) in self.rows("read_as", "messages", "direction = 'inbound'")]

    @property
    def answers(self) -> dict[str, str | None]:
        return dict(self.rows("key, value", "answers"))

    @property
    def results(self) -> list[tuple[str, dict]]:
        told = [json.loads(one) for (one,) in self.rows("payload", "outbox")]
        return [(one["type"].partition(".")[2], one["data"]["answers"]) for one in told]


def three(more: str = "", b: str = "", results: str = "") -> str:
    return ASKS.format(more=more, b=b, results=results)


# Asking again


@pytest.mark.parametrize(
    ("give_up", "value", "said", "text"),
    [
        ("skip", None, "C, x ?", "many\n10\nso many"),
        ("keep", "so many", "C, x so many?", "so many"),
    ],
)
def test_what_is_never_read_is_given_up(guest, give_up, value, said, text):
    one = guest(three(b=f'give_up = "{give_up}"'))
    texts = ("Three", "x", "many", "10", "so many")
    assert one.text(*texts) == ["A?", "B?", RETRY, RETRY, said]
    assert one.answers == {"a": "x", "b": value}
    assert one.read_as == ["opening", "answer", "unread", "unread", "unread"]
    assert one.rows("text", "answers", "key = 'b'") == [(text,)]


def test_what_is_never_read_can_end_the_conversation(guest):
    one = guest(three(b='give_up = "end"\nattempts = 1', results="partial = true"))
    assert one.text("Three", "x", "many")[-1].startswith("Sorry, we could not read that.")
    assert one.state == "stopped"
    assert one.results == [("stopped", {"a": "x", "b": None})]
    assert one.text("Three") == ["A?"]


def test_who_was_given_up_begins_anew_only_with_an_event(guest, questionnaires):
    (questionnaires / "feedback.toml").unlink()
    content = three(b='give_up = "end"\nattempts = 1').replace('event = "Three"\n', "")
    one = guest(content)
    one.text("Hi", "x", "sorry?")
    assert one.text(*["sorry?"] * 9) == [""] * 9
    assert one.read_as[-1] == "after"
    assert one.text("Count") == ["Rey has messaged +14155550100 1 times"]
    one.wait(hours=9)
    assert one.text("Hi") == ["A?"]


@pytest.mark.parametrize("words", [["skip"] * 3, ["?", "?", "RESTART"]])
def test_a_word_of_ours_is_never_kept_as_an_answer(guest, words):
    content = three(b='give_up = "keep"').replace('key = "a"', 'key = "a"\ngive_up = "keep"')
    one = guest(content.replace('ask = "A?"', 'ask = "A?"\nkind = "number"'))
    one.text("Three", *words)
    assert one.answers == {"a": None}


@pytest.mark.parametrize("said", ["nan", "sNaN", "inf", "-Infinity"])
def test_what_is_kept_of_a_number_meets_no_condition_by_mistake(guest, said):
    content = three(b='give_up = "keep"\nattempts = 1').replace(
        "optional = true", "only_if = { b = { min = 1 } }"
    )
    one = guest(content)
    assert one.text("Three", "x", said) == ["A?", "B?", "Bye."]


def test_texts_that_are_read_count_anew(guest):
    one = guest(three())
    assert one.text("Three", "x", "?", "?", "back", "x", "?", "?", "5")[-4:] == [
        "B?",
        RETRY,
        RETRY,
        "C, x 5?",
    ]


@pytest.mark.parametrize("word", ["BACK", "RESTART", "SKIP", "?"])
def test_a_machine_that_says_one_thing_for_ever_is_not_talked_to_for_ever(guest, word):
    one = guest(three(more='after = "We have it."'))
    one.text("Three")
    assert one.text(*[word] * 60)[40:] == [""] * 20
    assert one.state == "completed"


# Back, skip, restart


def test_back_goes_as_far_as_the_first_question(guest):
    one = guest(three())
    assert one.text("Three", "x", "5", "Back", " back.", "BACK", "y", "6", "skip") == [
        "A?",
        "B?",
        "C, x 5?",
        "B?",
        "A?",
        "A?",
        "B?",
        "C, y 6?",
        "Bye.",
    ]
    assert one.results == [("completed", {"a": "y", "b": "6", "c": None})]
    assert one.read_as[3:6] == ["back", "back", "unread"]


def test_only_an_optional_question_can_be_skipped(guest):
    one = guest(three())
    assert one.text("Three", "SKIP", "x", "skip", "5", "Skip!") == [
        "A?",
        f"{NEEDED} A?",
        "B?",
        f"{NEEDED} B?",
        "C, x 5?",
        "Bye.",
    ]
    assert one.rows("key, text, value", "answers")[-1] == ("c", "Skip!", None)


def test_restart_forgets_all_answers_of_the_same_conversation(guest):
    one = guest(three())
    assert one.text("Three", "x", "5", "restart", "y") == ["A?", "B?", "C, x 5?", "A?", "B?"]
    assert one.answers == {"a": "y"}
    assert len(one.rows("id")) == 1


def test_words_in_a_sentence_are_an_answer(guest):
    one = guest(three())
    assert one.text("Three", "go back") == ["A?", "B?"]
    assert one.answers == {"a": "go back"}


def test_the_name_of_a_choice_goes_before_a_word(guest):
    content = three(b="").replace(
        'kind = "number"\nmax = 9', 'kind = "choice"\nchoices = ["Back", "Out"]'
    )
    one = guest(content)
    assert one.text("Three", "x", "back") == ["A?", "B?", "C, x Back?"]


def test_words_that_the_file_renames_replace_ours(guest):
    one = guest(three(more='[say]\nback = "Zurück"'))
    assert one.text("Three", "x", "ZURUCK", "back") == ["A?", "B?", "A?", "B?"]
    assert one.answers == {"a": "back"}


# Paths, review


def test_only_what_the_answers_lead_to_is_asked(guest):
    one = guest(PATHS)
    assert one.text("Paths", "no", "Tired", "x", "ok") == [
        "Movies?",
        "Why not?",
        "Last?",
        "1 no, 2 Tired, 3 x. Reply OK, or FIX 3",
        "Bye.",
    ]
    assert one.results == [("completed", {"movies": "no", "why": "Tired", "last": "x"})]


def test_an_answer_off_the_path_is_forgotten(guest):
    one = guest(PATHS)
    one.text("Paths", "yes", "heat", "1, chips", "x")
    assert one.text("FIX 1", "no", "Tired") == [
        "Movies?",
        "Why not?",
        "1 no, 2 Tired, 3 x. Reply OK, or FIX 3",
    ]
    assert one.text("OK") == ["Bye."]
    assert one.results == [("completed", {"movies": "no", "why": "Tired", "last": "x"})]
    assert one.answers == {"movies": "no", "why": "Tired", "last": "x"}


def test_several_choices_are_a_list_for_the_receiver(guest):
    one = guest(PATHS)
    one.text("Paths", "yes", " Heat!", "1, chips", "x", "ok")
    assert one.results[0][1]["snack"] == ["Popcorn", "Chips"]


def test_back_follows_the_path(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired")
    assert one.text("back", "back", "yes", "Jaws", "x") == [
        "Why not?",
        "Movies?",
        "Which film?",
        "Last?",
        "1 yes, 2 Jaws, 3 x. Reply OK, or FIX 3",
    ]
    assert one.text("back", "y", "ok") == [
        "Last?",
        "1 yes, 2 Jaws, 3 y. Reply OK, or FIX 3",
        "Bye.",
    ]


@pytest.mark.parametrize("said", ["FIX 9", "fix", "FIX 0", "SKIP", "what?", "ok no"])
def test_what_the_review_does_not_know_is_asked_again(guest, said):
    one = guest(PATHS)
    review = one.text("Paths", "no", "Tired", "x")[-1]
    assert one.text(said, said, said) == [review, review, "Bye."]
    assert one.read_as[-3:] == ["unread"] * 3


@pytest.mark.parametrize("said", ["OK", "ok.", "Okay!", "yes", "Yes, thanks", "👍"])
def test_who_agrees_to_the_review_has_finished(guest, said):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x")
    assert one.text(said) == ["Bye."]
    assert one.read_as[-1] == "ok"


@pytest.mark.parametrize("said", ["Fix 2", "fix2", "FIX #2", "fix 2.", "FIX 2️⃣", "ｆｉｘ ２"])
def test_an_answer_is_fixed_however_it_is_texted(guest, said):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x")
    assert one.text(said, "Busy") == ["Why not?", "1 no, 2 Busy, 3 x. Reply OK, or FIX 3"]


def test_back_leaves_what_was_to_be_fixed(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x")
    assert one.text("FIX 1", "back") == ["Movies?", "1 no, 2 Tired, 3 x. Reply OK, or FIX 3"]
    assert one.text("FIX 1", "?", "?", "?")[-1] == "1 no, 2 Tired, 3 x. Reply OK, or FIX 3"


def test_back_goes_to_the_question_before_the_one_that_a_change_put_between(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x")
    assert one.text("FIX 1", "yes", "back") == ["Movies?", "Which film?", "Movies?"]
    assert one.text("no", "Busy") == ["Why not?", "1 no, 2 Busy, 3 x. Reply OK, or FIX 3"]


def test_fix_is_a_word_wherever_answers_are_reviewed(guest):
    one = guest(PATHS)
    assert one.text("Paths", "no", "FIX 1", "nope", "Tired") == [
        "Movies?",
        "Why not?",
        "Movies?",
        "Why not?",
        "Last?",
    ]
    assert one.text("x", "ok", "FIX 3", "fix 2", "Busy")[-3:] == [
        "Last?",
        "Why not?",
        "Thank you, now it is: 1 no, 2 Busy, 3 x.",
    ]


def test_a_list_of_long_answers_fits_a_text(guest):
    asks = "".join(f'[[questions]]\nkey = "q{n}"\nask = "{n}?"\n' for n in range(60))
    one = guest(f'title = "T"\nevent = "Long"\nreview = true\nthanks = "Bye."\n{asks}')
    *_, review = one.text("Long", "x" * 1600, "y " * 800, *["z\n" * 700] * 58)
    assert review.startswith("1 " + "x" * 38 + ".., 2 y y ")
    assert review.endswith("... Reply OK, or FIX 60")
    assert 1590 < len(review) < 1600


def test_a_change_after_the_end_corrects_the_result(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x", "ok")
    one.wait(minutes=1)
    assert one.text("FIX 3", "y") == ["Last?", "Thank you, now it is: 1 no, 2 Tired, 3 y."]
    assert one.text("fix 1", "yes", "Jaws") == [
        "Movies?",
        "Which film?",
        "Thank you, now it is: 1 yes, 2 Jaws, 3 y.",
    ]
    assert one.results == [
        ("completed", {"movies": "no", "why": "Tired", "last": "x"}),
        ("corrected", {"movies": "no", "why": "Tired", "last": "y"}),
        ("corrected", {"movies": "yes", "last": "y"}),
        ("corrected", {"movies": "yes", "film": "Jaws", "last": "y"}),
    ]
    told = [(id, json.loads(sent)) for id, sent in one.rows("webhook_id, payload", "outbox")]
    assert [one["data"].get("corrects") for _, one in told] == [None, *(id for id, _ in told[:-1])]
    assert len({one["data"]["completed_at"] for _, one in told}) == 1
    assert one.state == "completed"


@pytest.mark.parametrize("said", [["back"], ["restart"], ["?", "?", "?"]])
def test_a_change_after_the_end_can_be_left(guest, said):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x", "ok")
    assert one.text("FIX 1", *said)[-1] == "Nothing was changed."
    assert one.text("Hm") == [""]
    assert len(one.results) == 1


def test_what_a_change_after_the_end_leads_to_can_be_left_open(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x", "ok")
    assert one.text("FIX 1", "yes", "back") == [
        "Movies?",
        "Which film?",
        "Thank you, now it is: 1 yes, 2 x.",
    ]
    assert one.results[-1] == ("corrected", {"movies": "yes", "last": "x"})


def test_an_event_is_an_answer_while_a_question_waits_after_the_end_too(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x", "ok")
    assert one.text("FIX 3", "Count") == ["Last?", "Thank you, now it is: 1 no, 2 Tired, 3 Count."]
    assert one.text("Count") == ["Rey has messaged +14155550100 1 times"]


def test_without_a_review_fix_is_an_answer_like_any_other(guest):
    one = guest(three())
    assert one.text("Three", "FIX 1") == ["A?", "B?"]
    assert one.answers == {"a": "FIX 1"}


# Opting out


@pytest.mark.parametrize("how", [{}, {"OptOutType": "STOP"}])
def test_stop_ends_all_conversations_of_the_sender(guest, how):
    one = guest(three(results="partial = true"))
    other = one.webhook.phone(number=NUMBER_TWO)
    one.text("Three", "x")
    other.text("Three")
    assert one.text("STOP" if not how else "Basta", **how) == [""]
    assert one.rows("state") == [("stopped",), ("stopped",)]
    assert one.results == [("stopped", {"a": "x"})]
    assert other.text("y") == []
    assert one.text("Three", "hello", "HELP") == ["", "", ""]
    assert one.read_as[-5:] == ["stop", "opted out", "opted out", "opted out", "help"]


def test_the_results_of_one_stop_are_owed_in_the_order_the_conversations_began(guest):
    one = guest(three(results="partial = true"))
    other = one.webhook.phone(number=NUMBER_TWO)
    other.text("Three")  # on the number that an index has last
    other.text("first")
    one.text("Three", "second", "STOP")
    answers = [answers["a"] for _, answers in one.results]
    assert answers == ["first", "second"]


@pytest.mark.parametrize("word", ["START", "unstop", "YES"])
def test_who_opts_in_again_can_begin_again(guest, word):
    one = guest(three())
    one.text("Three", "x", "STOP")
    assert one.text(word, "Three") == ["", "A?"]
    assert one.rows("opted_out_at", "contacts") == [(None,)]


def test_who_stops_while_mending_mends_no_more(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x", "ok", "FIX 2")
    assert one.text("STOP", "START", "hello") == ["", "", ""]
    assert (one.state, one.read_as[-1], len(one.results)) == ("completed", "after", 1)


def test_start_from_who_never_stopped_is_a_text_like_any_other(guest):
    one = guest(three().replace('event = "Three"', 'event = "Start"'))
    assert one.text("START") == ["A?"]


def test_the_time_of_opting_out_is_that_of_the_first_stop(guest):
    one = guest(three())
    one.text("STOP")
    first = one.rows("opted_out_at", "contacts")
    one.wait(hours=1)
    one.text("STOP")
    assert one.rows("opted_out_at", "contacts") == first != [(None,)]


def test_stop_before_any_conversation_opens_none(guest):
    one = guest(three())
    assert one.text("STOP", "Hello") == ["", ""]
    assert one.rows("id") == []


def test_yes_is_an_answer_where_a_question_waits(guest):
    one = guest(PATHS)
    assert one.text("Paths") == ["Movies?"]
    assert one.text("Yes", OptOutType="START") == ["Which film?"]
    assert one.text("YES", OptOutType="START") == ["Last?"]
    assert one.text("START", OptOutType="START") == [""]
    assert one.answers == {"movies": "yes", "film": "YES"}


def test_a_word_of_the_accounts_own_for_opting_in_answers_yes_or_no(guest):
    one = guest(PATHS.replace('ask = "Movies?"', 'ask = "Movies?"\nretry = "Yes or no?"'))
    one.text("Paths")
    assert one.text("Yep", OptOutType="START") == ["Which film?"]
    assert one.text("Join", OptOutType="START") == [""]


def test_help_moves_nothing(guest):
    one = guest(three())
    assert one.text("Three", "HELP", "info", "x") == ["A?", "", "", "B?"]
    assert one.rows("message_count") == [(2,)]


# No answers


def test_what_is_no_answer_is_recorded_and_moves_nothing(guest):
    one = guest(three().replace('ask = "A?"', 'ask = "Your colour?"'))
    ask = "Your colour?"
    asides = (f"Liked “{ask}”", "YOUR COLOUR?", "", f"❤️ to “{ask}”", f"Le gustó “{ask}”")
    assert one.text("Three", *asides, "x") == [ask, "", "", "", "", "", "B?"]
    reasons = ["reaction", "echo", "empty", "reaction", "reaction"]
    assert one.read_as == ["opening", *reasons, "answer"]
    assert one.rows("message_count") == [(2,)]


def test_a_reaction_to_the_last_text_of_a_conversation_opens_no_other(guest, questionnaires):
    (questionnaires / "feedback.toml").unlink()
    one = guest(three().replace('event = "Three"\n', ""))
    one.text("Hi", "x", "5", "z")
    one.wait(hours=5)
    assert one.text("Hat „Bye.“ mit einem Herz markiert", "Loved “Bye.”") == ["", ""]
    assert len(one.rows("id")) == 1
    assert one.text("Hi") == ["A?"]


def test_pictures_are_recorded_and_are_an_answer_only_where_one_is_asked_for(guest):
    one = guest(three().replace('kind = "number"\nmax = 9', 'kind = "photo"'))
    photo = ["https://api.twilio.com/1", "https://api.twilio.com/2"]
    one.text("Three")
    assert one.phone.text("", media=photo) == []
    assert one.phone.text("Blue", media=photo[:1]) == ["B?"]
    assert one.phone.text("no photo") == ["Please reply with a photo."]
    assert one.phone.text("", media=photo) == ["C, Blue (2)?"]
    assert one.answers == {"a": "Blue", "b": " ".join(photo)}
    media = [one for (one,) in one.rows("media", "messages", "direction = 'inbound'")]
    assert media == [None, " ".join(photo), photo[0], None, " ".join(photo)]


def test_a_picture_is_no_answer_to_a_conversation_that_is_over(guest, questionnaires):
    (questionnaires / "feedback.toml").unlink()
    content = three().replace('kind = "number"\nmax = 9', 'kind = "photo"')
    one = guest(content.replace('event = "Three"\n', ""))
    one.text("Hi", "Blue")
    one.wait(hours=5)
    assert one.phone.text("", media=["https://api.twilio.com/1"]) == []
    assert len(one.rows("id")) == 1


def test_a_choice_that_the_question_is_called_like_can_be_chosen(guest):
    one = guest(three().replace('ask = "A?"', 'ask = "Tea"\nkind = "choice"\nchoices = ["Tea"]'))
    assert one.text("Three", "Tea") == ["Tea", "B?"]


# The end that nobody texts


def test_silence_ends_a_conversation_at_its_time(guest):
    one = guest(three(more='expires = "1h"', results="partial = true"))
    one.text("Three", "x")
    began = one.rows("active_at")
    one.wait(minutes=59)
    assert one.state == "open"
    one.wait(minutes=30)
    assert one.state == "expired"
    assert one.rows("ended_at = expires_at, asking", "conversations") in ([(1, "b")], [(True, "b")])
    assert one.rows("active_at") == began
    assert one.results == [("expired", {"a": "x"})]
    one.wait(hours=9)
    assert len(one.results) == 1


def test_nothing_is_owed_for_a_conversation_without_answers_or_without_partial(guest):
    one = guest(three(more='expires = "1h"', results="partial = true"))
    one.text("Three")
    one.wait(hours=2)
    assert (one.state, one.results) == ("expired", [])
    other = guest(three(more='expires = "1h"'))
    other.text("Three", "x")
    other.wait(hours=2)
    assert (other.state, other.results) == ("expired", [])


def test_who_comes_back_in_time_goes_on(guest):
    one = guest(three(more='expires = "1h"\nresume = "24h"', results="partial = true"))
    one.text("Three", "x")
    one.wait(hours=24)
    assert one.text("5", "lots", "5", "z") == ["Welcome back. B?", RETRY, "C, x 5?", "Bye."]
    assert [kind for kind, _ in one.results] == ["expired", "completed"]
    sent = [json.loads(sent)["data"] for (sent,) in one.rows("payload", "outbox")]
    assert sent[0]["completed_at"] is None and sent[1]["completed_at"]
    ids = [id for (id,) in one.rows("webhook_id", "outbox")]
    assert [data.get("corrects") for data in sent] == [None, ids[0]]
    assert one.rows("state, message_count") == [("completed", 6)]


def test_what_was_told_when_it_expired_is_not_told_again(guest):
    one = guest(three(more='expires = "1h"\nresume = "24h"', results="partial = true"))
    one.text("Three", "x")
    for _ in range(2):
        one.wait(hours=2)
        assert one.text("Hello?") == ["Welcome back. B?"]
    one.text("5")
    one.wait(hours=2)
    assert one.results == [("expired", {"a": "x"}), ("expired", {"a": "x", "b": "5"})]


def test_a_form_is_not_told_again_either(guest):
    content = three(more='expires = "1h"\nresume = "24h"', results="partial = true")
    one = guest(content.replace('format = "json"', 'fields = { a = "entry.1" }'))
    one.text("Three", "x")
    one.wait(hours=2)
    one.text("Hello?")
    one.wait(hours=2)
    assert len(one.rows("id", "outbox")) == 1
    one.text("Hello?", "5")
    one.wait(hours=2)
    told = [json.loads(sent) for (sent,) in one.rows("payload", "outbox")]
    assert [one.get("b") for one in told] == [None, "5"]
    assert [one["Type"] for one in told] == ["expired", "expired"]


def test_who_comes_back_too_late_begins_anew(guest):
    one = guest(three(more='expires = "1h"\nresume = "24h"'))
    one.text("Three", "x")
    one.wait(hours=25)
    assert one.text("Three") == ["A?"]
    assert one.rows("state")[0] == ("expired",)


@pytest.mark.parametrize("has_expired", [True, False])
def test_who_comes_back_to_something_else_begins_that(guest, has_expired):
    one = guest(three(more='expires = "1h"\nresume = "24h"'))
    one.text("Three", "x")
    one.webhook.clock.pass_(hours=2)
    if has_expired:
        one.wait()
    assert one.text("Count") == ["Rey has messaged +14155550100 1 times"]
    assert one.rows("state") == [("expired",), ("open",)]


def test_silence_about_the_review_is_consent(guest):
    one = guest(PATHS)
    one.text("Paths", "no", "Tired", "x")
    one.wait(hours=5)
    assert one.state == "completed"
    assert one.results == [("completed", {"movies": "no", "why": "Tired", "last": "x"})]


def test_an_expired_conversation_is_live_again_when_the_clock_was_wrong(guest):
    one = guest(three(results="partial = true"))
    one.text("Three", "x")
    one.wait(hours=9)
    assert one.state == "expired"
    one.webhook.clock.pass_(hours=-9)
    assert one.text("5") == ["C, x 5?"]
    assert one.rows("state, ended_at") == [("open", None)]


def test_a_conversation_that_is_texted_right_now_does_not_expire_under_the_text(guest):
    one = guest(three(more='expires = "1h"'))
    one.text("Three")
    one.webhook.clock.pass_(minutes=59, seconds=59)
    assert one.text("x") == ["B?"]
    one.wait(minutes=59)
    assert one.state == "open"


# After the end


def test_further_texts_are_answered_three_times_in_a_row(guest):
    one = guest(three(more='after = "We have it."'))
    one.text("Three", "x", "5", "z")
    assert one.text(*["Thanks!"] * 5) == [*["We have it."] * 3, "", ""]
    assert one.text("Three") == ["A?"]
    assert one.read_as[-3:] == ["after", "after", "opening"]


def test_another_guest_is_another_matter(guest):
    one = guest(three())
    one.text("Three", "x", "STOP")
    assert one.webhook.phone(STRANGER).text("Three") == ["A?"]
    assert [phone for (phone,) in one.rows("phone", "contacts")] == [REY, STRANGER]
    assert one.rows("number") == [(NUMBER,)] * 2


# Whatever is texted

KINDS = ["text", "yes_no", "choice", "number", "date", "email", "phone", "photo"]
ALL_KINDS = 'title = "All"\nthanks = "Bye."\nreview = true\nresume = "1d"\n' + "".join(
    f'[[questions]]\nask = "{{name}}?"\nkind = "{kind}"\nattempts = 2\n'
    + ('choices = ["Pizza", "Pasta"]\nmany = true\n' if kind == "choice" else "")
    for kind in KINDS
)
PIECES = ["1", ",", " and ", "Pizza", "yes", "BACK", "FIX 1", "OK", "@a.org", "May", "STOP", "“"]
# What no phone can send, as it is no character, is the door's business: tests/test_trust.py.
said = st.text(st.characters(exclude_categories=["Cs"]), max_size=1600)
said |= st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
numbers = count(1)


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
@hypothesis.settings(
    max_examples=examples(10, 30),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(texts=st.lists(said, min_size=4, max_size=20))
def test_whatever_is_texted_gets_an_answer_and_never_an_error(webhook_of_all_kinds, texts):
    phone = webhook_of_all_kinds.phone(f"+1415{next(numbers):07}")
    for text in texts:
        phone.text(text)
        assert phone.last.status == 200


@pytest.fixture
def webhook_of_all_kinds(serve, questionnaires):
    for path in questionnaires.glob("*.toml"):
        path.unlink()
    (questionnaires / "all.toml").write_text(ALL_KINDS, "utf-8")
    return serve()
