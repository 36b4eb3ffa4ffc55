import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
import requests
from conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    COUNTER,
    FEEDBACK,
    NUMBER,
    QUESTIONS,
    REY,
    STRANGER,
    THANKS,
    mostly_on_sqlite,
)
from twilio.request_validator import RequestValidator

from phone import TwilioError, new_sid
from storage.base import Base

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
TABLES = list(Base.metadata.tables)
SILENCE = b'<?xml version="1.0" encoding="UTF-8"?><Response />'
RESULTS = '[results]\nurl = "https://example.org/results"\n'
COUNTS = COUNTER.replace("event =", "# event =")
PARTY = """
title = "Party"
event = "Mats BBQ"
thanks = "Bye"
[[questions]]
ask = "Colour?"
"""
ECHO = """
title = "Echo"
thanks = "You said {Question1}"
[[questions]]
ask = "Say something"
"""


@pytest.fixture
def serving(serve, questionnaires):
    def start(**files):
        for path in questionnaires.glob("*.toml"):
            path.unlink()
        for name, content in files.items():
            (questionnaires / f"{name}.toml").write_text(content, "utf-8")
        return serve()

    return start


def talk(phone, *texts):
    return [" ".join(phone.text(text)) for text in texts]


def text_at_once(webhook, *texts):
    with ThreadPoolExecutor(len(texts)) as pool:
        return list(pool.map(lambda text: webhook.phone().text(text), texts))


def column(webhook, name, table):
    return [value for (value,) in webhook.rows(f"SELECT {name} FROM {table} ORDER BY id")]


def texted(webhook, name="body"):
    return column(webhook, name, "(SELECT * FROM messages WHERE direction = 'inbound') AS texts")


def everything(webhook):
    return {table: webhook.rows(f"SELECT * FROM {table} ORDER BY id") for table in TABLES}


def moment(value):
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def rename(webhook, table, name):
    statement = f"ALTER TABLE {table} RENAME TO {name}"
    webhook.app.database.write(lambda db: db.connection().exec_driver_sql(statement))


# Catalog


@mostly_on_sqlite
@pytest.mark.parametrize("first", ["Mats BBQ", "🎉", "Mats\nBBQ\n"])
def test_the_first_text_whatever_it_says_is_the_event(phone, webhook, first):
    assert talk(phone, first, *TEXTS[1:]) == [*QUESTIONS, THANKS]
    assert webhook.rows("SELECT event, state FROM conversations") == [(first, "completed")]


def test_answers_are_kept_as_they_were_texted(phone, webhook):
    answers = ["  Blue ", "Pizza 🍕\nand salad", "=", "\"Cola\" & 'rum' <3"]
    talk(phone, "Mats BBQ", *answers)
    assert webhook.rows("SELECT key, question, text, value FROM answers ORDER BY id") == [
        (f"Question{place}", question, answer, answer.strip())
        for place, (question, answer) in enumerate(zip(QUESTIONS, answers, strict=True), 1)
    ]
    assert texted(webhook) == ["Mats BBQ", *answers]


def test_every_text_and_every_reply_is_recorded(phone, webhook):
    talk(phone, *TEXTS)
    recorded = webhook.rows("SELECT direction, sender, recipient, body FROM messages ORDER BY id")
    texts = [("inbound", REY, NUMBER, text) for text in TEXTS]
    replies = [("outbound", NUMBER, REY, words) for words in [*QUESTIONS, THANKS]]
    assert recorded == [message for turn in zip(texts, replies, strict=True) for message in turn]
    assert column(webhook, "reply_to_id IS NULL", "messages") == [True, False] * 5


def test_everything_that_twilio_sent_is_recorded(phone, webhook):
    phone.text("Look", media=["https://example.org/cat.jpg"], New=["b", "a"])
    ((sid, status, params),) = webhook.rows(
        "SELECT sid, status, params FROM messages WHERE direction = 'inbound'"
    )
    sent = json.loads(params)
    assert (sid, status) == (phone.last.sid, "received")
    assert sent["MediaUrl0"] == "https://example.org/cat.jpg"
    assert (sent["Body"], sent["New"], sent["FromCity"]) == ("Look", ["b", "a"], "")


@mostly_on_sqlite
@pytest.mark.parametrize(
    "after, said",
    [("# after", ""), ("after", "We have your answers already, thank you.")],
)
def test_texts_after_the_thanks_are_recorded_and_get_what_the_file_says(serving, after, said):
    webhook = serving(feedback=FEEDBACK.replace("# after", after) + RESULTS)
    phone = webhook.phone()
    talk(phone, *TEXTS)
    assert talk(phone, "Bye", "Mats BBQ") == [said, said]
    assert said or phone.last.content == SILENCE
    assert texted(webhook) == [*TEXTS, "Bye", "Mats BBQ"]
    assert column(webhook, "state", "conversations") == ["completed"]
    assert [len(column(webhook, "id", table)) for table in ("answers", "outbox")] == [4, 1]


@pytest.mark.parametrize("text", ["Mats BBQ", "mats bbq", " MATS\t BBQ\n", "Ｍａｔｓ\u00a0BBQ"])
@mostly_on_sqlite
def test_an_event_opens_in_any_case_and_spacing(serving, text):
    webhook = serving(party=PARTY)
    assert talk(webhook.phone(), text) == ["Colour?"]
    assert column(webhook, "event", "conversations") == ["Mats BBQ"]


@pytest.mark.parametrize("text", ["Mats", "BBQ", "Mats BBQ 2", ""])
@mostly_on_sqlite
def test_a_text_that_opens_nothing_is_recorded_and_gets_silence(serving, text):
    webhook = serving(party=PARTY)
    phone = webhook.phone()
    assert talk(phone, text) == [""]
    assert phone.last.content == SILENCE
    assert "Set-Cookie" not in phone.last.headers
    recorded = webhook.rows("SELECT body, conversation_id, cookie FROM messages")
    assert recorded == [(text, None, "none")]
    assert column(webhook, "id", "conversations") == []


@mostly_on_sqlite
def test_an_event_starts_anew_after_the_thanks(serving):
    webhook = serving(party=PARTY)
    said = talk(webhook.phone(), "Mats BBQ", "Blue", "mats bbq", "Red")
    assert said == ["Colour?", "Bye"] * 2
    assert column(webhook, "state", "conversations") == ["completed"] * 2
    assert column(webhook, "text", "answers") == ["Blue", "Red"]


@mostly_on_sqlite
def test_another_event_is_an_answer_while_a_question_waits(serving):
    other = PARTY.replace("Mats BBQ", "Picnic")
    webhook = serving(party=PARTY, other=other)
    assert talk(webhook.phone(), "Mats BBQ", "Picnic") == ["Colour?", "Bye"]
    assert column(webhook, "text", "answers") == ["Picnic"]


@pytest.mark.parametrize(
    "later, anew",
    [
        ({"feedback": FEEDBACK.replace("meal", "dish")}, "Thanks! Whats your favourite dish"),
        ({"party": PARTY}, "Bye"),
    ],
)
def test_a_conversation_stays_with_the_version_it_started_with(serving, later, anew):
    talk(serving(feedback=FEEDBACK).phone(), "Mats BBQ")
    webhook = serving(**later)
    assert talk(webhook.phone(), *TEXTS[1:]) == [*QUESTIONS[1:], THANKS]
    assert talk(webhook.phone(STRANGER), "Mats BBQ", "Blue")[1] == anew
    assert len(column(webhook, "id", "questionnaires")) == 2


def test_a_file_that_stays_the_same_is_stored_once(serving):
    for sender in (REY, STRANGER):
        webhook = serving(feedback=FEEDBACK)
        talk(webhook.phone(sender), "Mats BBQ")
    assert column(webhook, "name", "questionnaires") == ["feedback"]


# Counters


@pytest.mark.parametrize(
    "sender, name",
    [
        (REY, "Rey"),
        (f"whatsapp:{REY}", "Rey"),
        (STRANGER, "Friend"),
        ("72345", "Friend"),
        ("Mats & Co", "Friend"),
    ],
)
@mostly_on_sqlite
def test_a_counter_knows_its_senders_and_keeps_them_as_they_came(serving, sender, name):
    webhook = serving(counter=COUNTS)
    said = talk(webhook.phone(sender), "a", "b", "c")
    assert said == [f"{name} has messaged +14155550100 {count} times" for count in (1, 2, 3)]
    assert texted(webhook, "sender") == [sender] * 3
    assert column(webhook, "phone", "contacts") == [sender]


@mostly_on_sqlite
def test_a_counter_has_words_of_its_own_for_the_first_text_and_for_strangers(serving):
    words = COUNTS.replace("# first_reply", "first_reply")
    phone = serving(counter='stranger = "Guest"\n' + words).phone(STRANGER)
    assert talk(phone, "a", "b") == [
        "Thanks for your first message, Guest!",
        f"Guest has messaged {NUMBER} 2 times",
    ]


@mostly_on_sqlite
@pytest.mark.parametrize("silence, count", [({"hours": 3, "minutes": 59}, 3), ({"hours": 4}, 1)])
def test_a_count_restarts_after_four_hours_of_silence(serving, clock, silence, count):
    phone = serving(counter=COUNTS).phone()
    talk(phone, "a", "b")
    clock.pass_(**silence)
    assert talk(phone, "c") == [f"Rey has messaged {NUMBER} {count} times"]


def test_where_a_guest_stopped_can_be_seen(webhook, phone, clock):
    talk(phone, "Mats BBQ", "Blue")
    clock.pass_(hours=4)
    talk(phone, "Hello again")
    stopped = webhook.rows("SELECT state, asking, asked FROM conversations ORDER BY id")
    assert stopped == [("expired", "Question2", QUESTIONS[1]), ("open", "Question1", QUESTIONS[0])]


@mostly_on_sqlite
def test_a_counter_gives_way_to_another_event_and_counts_its_own(serving):
    webhook = serving(counter=COUNTER, party=PARTY)
    said = talk(webhook.phone(), "Count", "hi", "COUNT", "mats bbq", "Count", "count")
    assert [words.removeprefix(f"Rey has messaged {NUMBER} ") for words in said] == [
        *("1 times", "2 times", "3 times"),
        *("Colour?", "Bye"),
        "1 times",
    ]
    assert column(webhook, "state", "conversations") == ["expired", "completed", "open"]
    assert column(webhook, "text", "answers") == ["Count"]


# Cookies


@mostly_on_sqlite
def test_the_cookie_is_set_on_every_reply(phone, webhook):
    for text in (*TEXTS, "Bye"):
        phone.text(text)
        (cookie,) = phone.last.headers.getlist("Set-Cookie")
        (token,) = column(webhook, "token", "conversations")
        assert re.fullmatch("[0-9a-f]{32}", token)
        attributes = {"Path=/", "Max-Age=14400", "HttpOnly"}
        assert set(cookie.split("; ")) == {f"conversation={token}"} | attributes
    assert texted(webhook, "cookie") == ["none"] + ["matched"] * 5


@mostly_on_sqlite
def test_the_cookie_is_secure_where_the_public_url_is(serve):
    webhook = serve(public_url="https://sms.example.org")
    fields = {"MessageSid": new_sid(), "AccountSid": ACCOUNT_SID, "From": REY, "To": NUMBER}
    fields["Body"] = "Mats BBQ"
    validator = RequestValidator(AUTH_TOKEN)
    signature = validator.compute_signature("https://sms.example.org/sms", fields)
    headers = {"X-Twilio-Signature": signature}
    answer = requests.post(f"http://{webhook.address}/sms", fields, headers=headers)
    assert "Secure" in answer.headers["Set-Cookie"].split("; ")
    assert '"https://sms.example.org/sms/status?message=' in answer.text


@pytest.mark.parametrize(
    "cookie, found",
    [
        (None, "none"),
        ("0" * 32, "missing"),
        ("", "malformed"),
        ("A" * 32, "malformed"),
        ("0" * 33, "malformed"),
        (f'"{"0" * 32}"', "malformed"),
        ("é", "malformed"),
        ("1' OR '1'='1", "malformed"),
    ],
)
@mostly_on_sqlite
def test_the_conversation_goes_on_whatever_became_of_the_cookie(phone, webhook, cookie, found):
    talk(phone, "Mats BBQ")
    phone.cookies.clear()
    if cookie is not None:
        phone.cookies["conversation"] = cookie
    assert talk(phone, *TEXTS[1:]) == [*QUESTIONS[1:], THANKS]
    assert texted(webhook, "cookie") == ["none", found, *["matched"] * 3]


def test_the_cookie_of_an_earlier_conversation_is_stale(serving):
    webhook = serving(party=PARTY)
    phone = webhook.phone()
    talk(phone, "Mats BBQ", "Blue")
    earlier = phone.cookies["conversation"]
    talk(phone, "Mats BBQ")
    phone.cookies["conversation"] = earlier
    assert talk(phone, "Red") == ["Bye"]
    assert texted(webhook, "cookie")[-1] == "stale"
    assert column(webhook, "message_count", "conversations") == [2, 2]


def test_a_cookie_older_than_the_conversation_may_be_starts_anew(phone, webhook, clock):
    talk(phone, *TEXTS[:3])
    phone.cookies["conversation"] = phone.cookies["conversation"]  # kept for ever
    clock.pass_(hours=4)
    assert talk(phone, "Hi") == [QUESTIONS[0]]
    assert texted(webhook, "cookie")[-1] == "stale"


@mostly_on_sqlite
@pytest.mark.parametrize("sender, number", [(STRANGER, NUMBER), (REY, "+14155550199")])
@pytest.mark.parametrize("texts", [0, 1])
def test_the_cookie_of_another_conversation_leads_nowhere(phone, webhook, sender, number, texts):
    other = webhook.phone(sender, number)
    talk(other, "Picnic", "Red")
    talk(phone, *TEXTS[:texts])
    phone.cookies["conversation"] = other.cookies["conversation"]
    assert talk(phone, *TEXTS[texts:]) == [*QUESTIONS, THANKS][texts:]
    assert texted(webhook, "cookie")[2 + texts] == "foreign"
    assert webhook.rows("SELECT event, message_count FROM conversations ORDER BY id") == [
        ("Picnic", 2),
        ("Mats BBQ", 5),
    ]
    assert column(webhook, "text", "answers") == ["Red", *TEXTS[1:]]


@pytest.mark.parametrize(
    "other", ["1", "[x]", "1; bad name", "1; =", '"un', "1;;", "1; Conversation=0"]
)
@mostly_on_sqlite
def test_other_cookies_do_not_hide_ours(phone, webhook, other):
    talk(phone, "Mats BBQ")
    token = phone.cookies.pop("conversation")
    for name, value in (("before", other), ("conversation", token), ("other[x]", other)):
        phone.cookies[name] = value
    assert talk(phone, "Blue") == [QUESTIONS[1]]
    assert texted(webhook, "cookie") == ["none", "matched"]


# Silence


@pytest.mark.parametrize(
    "line, hours", [("", 4), ('expires = "90m"\n', 1.5), ('expires = "2d"\n', 48)]
)
def test_a_conversation_goes_on_until_the_silence_is_too_long(serving, clock, line, hours):
    webhook = serving(feedback=line + FEEDBACK)
    phone = webhook.phone()
    talk(phone, "Mats BBQ")
    for text, question in (("Blue", QUESTIONS[1]), ("Pizza", QUESTIONS[2])):
        clock.pass_(hours=hours, minutes=-1)
        assert talk(phone, text) == [question]
    silence = timedelta(hours=hours)
    ends = [clock() + silence, clock() + silence * 2, None]
    for event, minutes in (("Picnic", 0), ("Dinner", 5)):
        clock.pass_(hours=hours, minutes=minutes)
        assert talk(phone, event) == [QUESTIONS[0]]
    rows = webhook.rows("SELECT event, state, ended_at FROM conversations ORDER BY id")
    assert [row[:2] for row in rows] == [
        ("Mats BBQ", "expired"),
        ("Picnic", "expired"),
        ("Dinner", "open"),
    ]
    assert [moment(row[2]) for row in rows] == ends


# Repeats and crowds


def test_repeated_texts_get_the_same_bytes_and_change_nothing(serving, clock):
    webhook = serving(feedback=FEEDBACK + RESULTS, counter=COUNTER)
    phone = webhook.phone()
    texts = [(text, new_sid()) for text in (*TEXTS, "Bye", "Count", "hi")]

    def hear(text, sid):
        phone.text(text, sid=sid)
        return phone.last.content, phone.last.headers.getlist("Set-Cookie")

    heard = [hear(*text) for text in texts]
    kept = everything(webhook)
    clock.pass_(hours=5)
    assert [hear(*text) for text in texts] == heard
    assert everything(webhook) == kept


def test_a_repeated_text_that_opened_nothing_stays_unopened(serving):
    phone, sid = serving(party=PARTY).phone(), new_sid()
    phone.text("Mats", sid=sid)
    webhook = serving(feedback=FEEDBACK)
    assert webhook.phone().text("Mats", sid=sid) == []
    assert len(column(webhook, "id", "messages")) == 1


def test_a_repeated_text_gets_the_same_bytes_where_the_reply_quotes_what_xml_forbids(serving):
    phone = serving(echo=ECHO.replace("Say", "{event}? Say")).phone()
    for sid in (new_sid(), new_sid()):
        said = phone.text("a\0b\x07c", sid=sid)
        assert phone.text("a\0b\x07c", sid=sid) == said


def test_senders_at_once_do_not_mix(webhook):
    senders = [f"+1415867530{n}" for n in range(6)]

    def answer(sender):
        return talk(webhook.phone(sender), *(f"{text} of {sender}" for text in TEXTS))

    with ThreadPoolExecutor(len(senders)) as pool:
        said = list(pool.map(answer, senders))
    assert said == [[*QUESTIONS, THANKS]] * len(senders)
    for sender in senders:
        answers = webhook.rows(f"SELECT text FROM results WHERE sender = '{sender}' ORDER BY key")
        assert answers == [(f"{text} of {sender}",) for text in TEXTS[1:]]


def test_one_sender_has_a_conversation_with_each_of_our_numbers(webhook):
    phones = [webhook.phone(number=number) for number in (NUMBER, "+14155550199")]
    for text, words in zip(TEXTS, [*QUESTIONS, THANKS], strict=True):
        assert [phone.text(text) for phone in phones] == [[words]] * 2
    assert column(webhook, "number", "conversations") == [NUMBER, "+14155550199"]


def test_an_event_texted_often_at_once_cuts_no_conversation_off(serving):
    webhook = serving(party=PARTY)
    talk(webhook.phone(), "Mats BBQ", "Blue")
    text_at_once(webhook, *["Mats BBQ"] * 6)
    assert column(webhook, "state", "conversations") == ["completed", "open"]


# Words


@mostly_on_sqlite
def test_placeholders_are_filled(serving):
    phone = serving(
        party="""
        title = "Party"
        thanks = "{colour} {Question2}"
        after = "{count} {Question2}"
        [[questions]]
        key = "colour"
        ask = "{name} {from} {to} {count} {event}"
        [[questions]]
        ask = "{colour}?"
        """
    ).phone()
    assert talk(phone, "Mats BBQ", "Blue", "Yes", "Bye") == [
        f"Rey {REY} {NUMBER} 1 Mats BBQ",
        "Blue?",
        "Blue Yes",
        "4 Yes",
    ]


@pytest.mark.parametrize("text", ["{name}", "{Question1}", "{{count}}", "{", "{0}", "%s", r"\g<0>"])
@mostly_on_sqlite
def test_what_people_text_is_never_a_template(serving, text):
    assert talk(serving(echo=ECHO).phone(), "Hi", text)[1] == f"You said {text}"


@mostly_on_sqlite
@pytest.mark.parametrize("letter", ["x", "🍕", "&"])
def test_a_reply_is_at_most_1599_characters(serving, letter):
    webhook = serving(echo=ECHO)
    said = talk(webhook.phone(), "Hi", letter * 1600)[1]
    assert said == f"You said {letter * 1588}.."
    assert column(webhook, "length(body)", "messages") == [2, 13, 1600, 1599]


@pytest.mark.parametrize(
    "text", ["<b> & </Message>", "]]>", "&amp;", "<!-- \"'", "a\x07b\x1b\ufffe"]
)
def test_what_xml_forbids_is_escaped_or_left_out_and_recorded_as_it_came(serving, text):
    webhook = serving(echo=ECHO)
    sent = re.sub("[\x07\x1b\ufffe]", "", text)
    assert talk(webhook.phone(), "Hi", text)[1] == f"You said {sent}"
    assert texted(webhook) == ["Hi", text]
    assert column(webhook, "text", "answers") == [text]


def test_nul_is_kept_where_the_database_can(webhook, phone):
    talk(phone, "Mats\0BBQ", "Bl\0ue")
    nul = "\0" if webhook.app.database.engine.name == "sqlite" else "\ufffe"
    texts = [f"Mats{nul}BBQ", f"Bl{nul}ue"]
    assert texted(webhook) == texts
    assert column(webhook, "event", "conversations") + column(webhook, "text", "answers") == texts
    assert json.loads(texted(webhook, "params")[1])["Body"] == "Bl\0ue"


# Results and views


@mostly_on_sqlite
@pytest.mark.parametrize(
    "fields, names",
    [
        ("", {}),
        ('[results.fields]\nFrom = "entry.1"\nQuestion4 = "entry.2"', {0: "entry.1", 5: "entry.2"}),
    ],
)
def test_the_results_are_owed_under_the_receivers_names(serving, fields, names):
    webhook = serving(feedback=FEEDBACK + RESULTS + fields)
    phone = webhook.phone(STRANGER)
    talk(phone, *TEXTS[:4])
    assert column(webhook, "id", "outbox") == []
    talk(phone, TEXTS[4])
    ((payload, *delivery),) = webhook.rows(
        "SELECT payload, url, format, state, attempts FROM outbox"
    )
    assert delivery == ["https://example.org/results", "form", "pending", 0]
    ours = ["From", "Event", "Question1", "Question2", "Question3", "Question4"]
    theirs = [names.get(place, name) for place, name in enumerate(ours)]
    assert json.loads(payload) == dict(zip(theirs, [STRANGER, *TEXTS], strict=True))


@pytest.mark.parametrize("sender, name", [(REY, "Rey"), (STRANGER, None)])
def test_the_results_as_json_tell_of_the_conversation(serving, clock, sender, name):
    webhook = serving(feedback=FEEDBACK + RESULTS + 'format = "json"')
    phone = webhook.phone(sender)
    talk(phone, *TEXTS[:4])
    clock.pass_(minutes=5)
    talk(phone, TEXTS[4])
    (payload,) = column(webhook, "payload", "outbox")
    assert json.loads(payload) == {
        "type": "conversation.completed",
        "timestamp": "2026-11-20T12:05:00Z",
        "data": {
            "conversation": 1,
            "from": sender,
            "to": NUMBER,
            "name": name,
            "event": "Mats BBQ",
            "questionnaire": "feedback",
            "started_at": "2026-11-20T12:00:00Z",
            "completed_at": "2026-11-20T12:05:00Z",
            "answers": {f"Question{n}": text for n, text in enumerate(TEXTS[1:], 1)},
        },
    }


def test_a_conversation_ends_with_its_results_in_the_outbox_or_not_at_all(serving):
    webhook = serving(feedback=FEEDBACK + RESULTS)
    phone, sid = webhook.phone(), new_sid()
    talk(phone, *TEXTS[:4])
    rename(webhook, "outbox", "lost")
    with pytest.raises(TwilioError, match="HTTP 503"):
        phone.text(TEXTS[4], sid=sid)
    assert column(webhook, "state", "conversations") == ["open"]
    assert texted(webhook) == list(TEXTS[:4])
    rename(webhook, "lost", "outbox")
    assert phone.text(TEXTS[4], sid=sid) == [THANKS]
    assert column(webhook, "state", "outbox") == ["pending"]


def test_the_transcript_has_a_line_for_each_message(serving, clock):
    webhook = serving(party=PARTY)
    started_at = clock()
    talk(webhook.phone(), "Hi", "Mats BBQ")
    clock.pass_(minutes=1)
    talk(webhook.phone(STRANGER), "mats bbq")
    rows = webhook.rows(
        "SELECT at, sender, name, number, direction, body, questionnaire, state FROM transcript"
    )
    assert [(moment(at) - started_at, *row) for at, *row in rows] == [
        (minutes * timedelta(minutes=1), sender, name, NUMBER, direction, body, *of)
        for minutes, sender, name, direction, body, *of in [
            (0, REY, None, "inbound", "Hi", None, None),
            (0, REY, "Rey", "inbound", "Mats BBQ", "party", "open"),
            (0, REY, "Rey", "outbound", "Colour?", "party", "open"),
            (1, STRANGER, None, "inbound", "mats bbq", "party", "open"),
            (1, STRANGER, None, "outbound", "Colour?", "party", "open"),
        ]
    ]


def test_the_results_have_a_line_for_each_answer(phone, webhook, clock):
    talk(phone, *TEXTS[:3])
    rows = webhook.rows(
        "SELECT conversation, sender, name, event, questionnaire, key, question, text, value,"
        " answered_at FROM results"
    )
    assert [(*row, moment(at)) for *row, at in rows] == [
        (1, REY, "Rey", "Mats BBQ", "feedback", key, question, text, text, clock())
        for key, question, text in [
            ("Question1", QUESTIONS[0], "Blue"),
            ("Question2", QUESTIONS[1], "Pizza 🍕"),
        ]
    ]


def test_times_are_utc_and_on_sqlite_iso_8601(phone, webhook, clock):
    talk(phone, "Mats BBQ")
    (at, _) = column(webhook, "created_at", "messages")
    assert moment(at) == clock()
    assert at in (clock(), "2026-11-20T12:00:00.000000Z")
