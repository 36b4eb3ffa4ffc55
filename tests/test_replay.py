"""`plan` and `replay`: what a changed file means for those who are asked."""

import json
import re
import time
from datetime import timedelta

import pytest
from conftest import FEEDBACK, NUMBER, QUESTIONS, REY, STRANGER, invoke, run

from models import IncomingText, People, load_catalog, respond
from models.replay import Redactor
from models.turn import Given, load, save

TEXTS = ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes")
CONVERSATIONS, SECONDS = 1000, 60
PARTY = """
title = "Party"
event = "Party"
to = ["+14155550100"]
thanks = "Bye {name}, {to} will call {phone}."
[[questions]]
key = "phone"
kind = "phone"
region = "US"
ask = "Your number, {name}?"
[[questions]]
ask = "Who comes with you?"
"""


@pytest.fixture
def environ(environ, database_url) -> dict[str, str]:
    return environ | {"DATABASE_URL": database_url}


def talk(phone, *texts: str) -> None:
    for said in texts:
        phone.text(said)


def write(questionnaires, **files: str) -> None:
    for name, content in files.items():
        (questionnaires / f"{name}.toml").write_text(content, "utf-8")


# plan


def test_plan_of_files_that_are_in_use_as_they_are(folder, environ, webhook):
    talk(webhook.phone(), *TEXTS)
    talk(webhook.phone(STRANGER), *TEXTS[:2])
    ended = run(folder, environ, "plan")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "counter: new, no conversation has used it yet",
        "feedback: as it is in use",
    ]


def test_plan_says_what_changed_and_who_goes_on_as_before(folder, environ, webhook, questionnaires):
    talk(webhook.phone(), *TEXTS[:3])
    talk(webhook.phone(STRANGER), *TEXTS[:3])
    talk(webhook.phone("+14158675310"), TEXTS[0])
    changed = FEEDBACK.replace(QUESTIONS[0], "Your colour?").replace("fun day", "good day")
    changed = changed.replace(f'[[questions]]\nask = "{QUESTIONS[3]}"\n', "")
    changed = changed.replace(f'ask = "{QUESTIONS[1]}"', f'ask = "{QUESTIONS[1]}"\nkind = "yes_no"')
    changed = changed.replace(f'ask = "{QUESTIONS[2]}"', f'ask = "{QUESTIONS[2]}"\noptional = true')
    write(questionnaires, feedback=changed + '\n[[questions]]\nkey = "more"\nask = "More?"\n')
    ended = invoke(folder, environ, "plan")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[1:] == [
        "feedback: changed for new conversations",
        f"  ~ Question1 reworded: {QUESTIONS[0]} -> Your colour?",
        "  ~ Question2 kind changed: text -> yes_no",
        "  ~ Question3 changed: optional",
        "  + more added: More?",
        f"  - Question4 removed: {QUESTIONS[3]}",
        "  ~ thanks changed",
        "  go on as they began: 3 open conversations",
        "    1 at Question1",
        "    2 at Question3",
    ]


def test_plan_names_what_has_no_file_any_more(folder, environ, webhook, questionnaires):
    talk(webhook.phone(), *TEXTS[:2])
    (questionnaires / "feedback.toml").unlink()
    ended = invoke(folder, environ, "plan")
    assert ended.stdout.splitlines()[1:] == [
        "feedback: has no file any more, so nothing opens it",
        "  go on as they began: 1 open conversation",
        "    1 at Question2",
    ]


MAPPED = """
title = "Party"
event = "Party"
review = true
thanks = "Bye."
[[questions]]
key = "day"
kind = "date"
ask = "When?"
[[questions]]
key = "colour"
ask = "Colour?"
[results]
url = "https://docs.google.com/forms/d/e/FORM/formResponse"
pages = 2
[results.fields]
day = { name = "entry.1", as = "date" }
colour = { name = "entry.2", options = ["Red"] }
Id = "entry.3"
Corrects = "entry.4"
"""


def test_plan_sees_how_answers_go_into_a_form(folder, environ, serve, questionnaires):
    write(questionnaires, party=MAPPED)
    talk(serve().phone(), "Party", "5 March")
    assert "party: as it is in use" in invoke(folder, environ, "plan").stdout.splitlines()
    for before, after in (("pages = 2", "pages = 3"), ('["Red"]', '["Red", "Blue"]')):
        write(questionnaires, party=MAPPED.replace(before, after))
        *_, state, change, waiting, _ = invoke(folder, environ, "plan").stdout.splitlines()
        assert (state, change) == ("party: changed for new conversations", "  ~ results changed")
        assert waiting == "  go on as they began: 1 open conversation"


# replay


def test_replay_takes_answers_that_go_into_a_form(folder, environ, serve, questionnaires):
    write(questionnaires, party=MAPPED)
    talk(serve().phone(), "Party", "5 March", "Blue", "ok", "fix 1", "6 March", "Thanks!")
    ended = invoke(folder, environ, "replay")
    assert ended.stdout == "0 of 7 replies differ, in 1 conversation.\n", ended.stderr
    write(questionnaires, party=MAPPED.replace(', as = "date"', ""))
    assert invoke(folder, environ, "replay").stdout == ended.stdout


def test_replay_of_files_that_did_not_change_differs_nowhere(folder, environ, webhook):
    talk(webhook.phone(), *TEXTS, "Thanks!", "Liked “Thanks”")
    talk(webhook.phone(STRANGER), "Mats BBQ", "back", "Blue", "STOP")
    webhook.phone(STRANGER).text("START", OptOutType="START")
    talk(webhook.phone(STRANGER), "Count", "Hi")
    webhook.clock.pass_(hours=5)
    talk(webhook.phone(), "Count", "again")
    before = webhook.rows("SELECT count(*) FROM messages")
    ended = invoke(folder, environ, "replay")
    assert (ended.returncode, ended.stdout) == (
        0,
        "0 of 15 replies differ, in 4 conversations.\n",
    ), ended.stderr
    assert webhook.rows("SELECT count(*) FROM messages") == before


def test_replay_of_texts_that_came_twice_differs_nowhere(folder, environ, webhook):
    phone = webhook.phone()
    phone.is_delivered_twice = True
    for said in ("Hi, Mats BBQ", "Hi, Mats BBQ", "Hi, Mats BBQ", "Blue", "Blue", "Mats BBQ"):
        webhook.clock.pass_(seconds=1)
        phone.text(said)
    for said in ("Mats BBQ", "Mats BBQ"):
        talk(webhook.phone(STRANGER), said)
    ended = invoke(folder, environ, "replay")
    assert ended.stdout == "0 of 8 replies differ, in 2 conversations.\n", ended.stderr


def test_replay_shows_which_replies_differ(folder, environ, webhook, questionnaires):
    talk(webhook.phone(), *TEXTS)
    talk(webhook.phone(STRANGER), *TEXTS[:2])
    changed = FEEDBACK.replace(QUESTIONS[0], "Your colour?")
    write(questionnaires, feedback=changed.replace(f"{QUESTIONS[3]}", f"{QUESTIONS[3]}!"))
    ended = run(folder, environ, "replay")
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [
        "2 times, first in conversation 1 (feedback), at 'Mats BBQ'",
        f"  - {QUESTIONS[0]}",
        "  + Your colour?",
        "1 time, first in conversation 1 (feedback), at 'Cola'",
        f"  - {QUESTIONS[3]}",
        f"  + {QUESTIONS[3]}!",
        "3 of 7 replies differ, in 2 conversations.",
    ]
    ended = invoke(folder, environ, "replay", "--conversation", "2")
    assert ended.stdout.splitlines()[-1] == "1 of 2 replies differ, in 1 conversation."
    ended = invoke(folder, environ, "replay", "--last", "1")
    assert ended.stdout.splitlines()[-1] == "1 of 2 replies differ, in 1 conversation."


def test_a_saved_conversation_is_masked_and_can_be_held_again(
    folder, environ, webhook, questionnaires, serve
):
    write(questionnaires, party=PARTY)
    webhook = serve()
    talk(webhook.phone(), "Party", "not 415 867 5311", "(415) 867-5311", "Rey and rey@example.com")
    ended = invoke(folder, environ, "replay", "--conversation", "1", "--save", "one.json")
    assert ended.returncode == 0, ended.stderr
    saved = (folder / "one.json").read_text("utf-8")
    assert not re.search("Rey|8675308|5311|rey@", saved, re.IGNORECASE)
    turns = json.loads(saved)["turns"]
    assert [(turn["said"], turn.get("reply")) for turn in turns] == [
        ("Party", "Your number, Guest?"),
        ("not 415 555 0100", "Please reply with a phone number."),
        ("(415) 555-0100", "Who comes with you?"),
        ("Guest and guest@example.org", "Bye Guest, +14155550199 will call +14155550100."),
    ]
    ended = invoke(folder, environ, "replay", "one.json")
    assert (ended.returncode, ended.stdout) == (
        0,
        "0 of 4 replies differ, in 1 conversation.\n",
    ), ended.stderr
    write(questionnaires, party=PARTY.replace("Who comes", "Who is"))
    ended = invoke(folder, environ, "replay", "one.json")
    assert ended.returncode == 1
    assert "  + Who is with you?\n" in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (("--save", "one.json"), 2, "Say which one to save"),
        (
            ("--conversation", "99", "--save", "one.json"),
            78,
            "There is no conversation 99 to read.",
        ),
        (("missing.json",), 78, "missing.json: is no saved conversation"),
        (("people.toml",), 78, "people.toml: is no saved conversation"),
        (("gone.json",), 78, "gone.toml: is not there"),
    ],
)
def test_what_cannot_be_replayed_is_said_in_a_sentence(
    folder, environ, webhook, arguments, status, sentence
):
    gone = {"questionnaire": "gone", "sender": REY, "number": NUMBER, "turns": []}
    (folder / "gone.json").write_text(json.dumps(gone), "utf-8")
    ended = invoke(folder, environ, "replay", *arguments)
    assert ended.returncode == status
    assert sentence in ended.stderr and "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("Call +1 (415) 867-5311.", "Call +1 (415) 555-0100."),
        ("+4915123456789", "+4915125550100"),
        ("8675311", "5550100"),
        ("REY's boat", "Guest's boat"),
        ("Reynolds and O'Neil", "Reynolds and Guest"),
        ("2026-12-31", "2026-12-31"),
        ("03/05/2026", "03/05/2026"),
        ("write me@home.example.com!", "write guest@example.org!"),
        ("12345", "12345"),
    ],
)
def test_names_numbers_and_addresses_are_masked(said, masked):
    assert Redactor({"Rey", "O'Neil"})(said) == masked


@pytest.mark.long
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it is about the time
def test_a_thousand_conversations_are_replayed_within_a_minute(
    folder, environ, webhook, questionnaires
):
    files = load_catalog(questionnaires)
    start = webhook.clock()

    def hold(db, first: int) -> None:
        for guest in range(first, first + 50):
            sender = f"+1415{guest:07}"
            for place, said in enumerate(TEXTS):
                now = start + timedelta(minutes=place)
                sid = f"SM{guest:027}{place:05}"
                text = IncomingText(sender=sender, number=NUMBER, body=said, sid=sid)
                save(db, respond(load(db, Given(text, now, files, People())), text, now))

    for first in range(0, CONVERSATIONS, 50):
        webhook.app.database.write(lambda db, first=first: hold(db, first))
    write(questionnaires, feedback=FEEDBACK.replace(QUESTIONS[1], "Your meal?"))
    began = time.process_time()  # a busy machine takes longer
    ended = invoke(folder, environ, "replay")
    took = time.process_time() - began
    assert ended.stdout.splitlines() == [
        "1000 times, first in conversation 1 (feedback), at 'Blue'",
        f"  - {QUESTIONS[1]}",
        "  + Your meal?",
        "1000 of 5000 replies differ, in 1000 conversations.",
    ]
    assert "Replaying" in ended.stderr
    assert took < SECONDS
