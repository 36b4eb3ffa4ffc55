"""Results as the fields of a form: the receiver's names, and how its questions take answers."""

import json
import re
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner, Result
from conftest import HERE, NUMBER, REY, STRANGER, Receiver, Webhook
from google_form import GoogleForm, Question

from commands import cli
from worker.expiry import expire_silent
from worker.results import claim_due, run_attempt

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

FORM = "https://docs.google.com/forms/d/e/FORM/formResponse"
PARTY = """
title = "Party"
event = "Party"
timezone = "Europe/Berlin"
thanks = "Bye."
{head}
[[questions]]
key = "day"
kind = "date"
optional = true
ask = "When?"
[[questions]]
key = "coming"
kind = "yes_no"
ask = "Coming?"
[[questions]]
key = "meals"
kind = "choice"
many = true
ask = "Meals? {{choices}}"
choices = ["Pizza", {{ value = "veg", say = "Salad" }}, "Cola"]
[[questions]]
key = "colour"
ask = "Colour?"
[results]
url = "{url}"
{lines}
[results.fields]
{fields}
[results.values]
{values}
"""
TEXTS = ("Party", "5 March", "yes", "pizza, salad", "Blue")
OURS = {"From": REY, "Event": "Party", "coming": "yes", "meals": ["Pizza", "veg"]}
OURS |= {"colour": "Blue"}


@pytest.fixture
def owe(serve, questionnaires):
    """`owe(fields, …)`: a questionnaire with these lines; the app that has it."""

    def owe(fields: str = "", values: str = "", lines: str = "", head: str = "", url: str = FORM):
        content = PARTY.format(fields=fields, values=values, lines=lines, head=head, url=url)
        (questionnaires / "party.toml").write_text(content, "utf-8")
        return serve()

    return owe


def talk(webhook: Webhook, *texts: str, sender: str = REY) -> None:
    phone = webhook.phone(sender)
    for body in texts:
        phone.text(body)


def payloads(webhook: Webhook) -> list[dict]:
    rows = webhook.rows("SELECT payload FROM outbox ORDER BY id")
    return [json.loads(payload) for (payload,) in rows]


def payload(webhook: Webhook) -> dict:
    """Without what the page of a Google Form adds."""
    (found,) = payloads(webhook)
    assert (found.pop("fvv"), found.pop("pageHistory")) == ("1", "0")
    return found


def attempt(webhook: Webhook) -> None:
    for delivery in claim_due(webhook.app.database, webhook.clock(), 8):
        run_attempt(webhook.app.database, webhook.app.settings, delivery, webhook.clock)


def deliver(webhook: Webhook, receiver: Receiver) -> list[tuple[str, str]]:
    attempt(webhook)
    _, body = receiver.requests[-1]
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


def expire(webhook: Webhook, **duration: float) -> None:
    webhook.clock.pass_(**duration)
    expire_silent(webhook.app.database, webhook.clock())


# Dates and times


def test_a_date_goes_out_in_parts(owe):
    webhook = owe('day = { name = "entry.5", as = "date" }')
    talk(webhook, *TEXTS)
    parts = {"entry.5_year": "2027", "entry.5_month": "3", "entry.5_day": "5"}
    assert payload(webhook) == OURS | parts


def test_a_date_that_was_skipped_has_no_parts(owe):
    webhook = owe('day = { name = "entry.5", as = "date" }')
    talk(webhook, "Party", "skip", *TEXTS[2:])
    assert payload(webhook) == OURS


def test_a_date_that_is_not_split_goes_out_as_it_did(owe):
    webhook = owe('day = "entry.5"')
    talk(webhook, *TEXTS)
    assert payload(webhook) == OURS | {"entry.5": "2027-03-05"}


@pytest.mark.parametrize(
    ("way", "began", "ended"),
    [
        ("date", {"year": "2026", "month": "11", "day": "21"}, {}),
        ("time", {"hour": "0", "minute": "30"}, {"hour": "0", "minute": "34"}),
        ("datetime", {"year": "2026", "month": "11", "day": "21", "hour": "0"}, {"minute": "34"}),
    ],
)
def test_a_time_goes_out_in_parts_of_the_questionnaires_time_zone(owe, clock, way, began, ended):
    clock.pass_(hours=11, minutes=30)  # half past eleven in the evening in UTC
    lines = (
        f'{name} = {{ name = "{name}", as = "{way}" }}' for name in ("StartedAt", "CompletedAt")
    )
    webhook = owe("\n".join(lines))
    for text in TEXTS:
        talk(webhook, text)
        clock.pass_(minutes=1)
    sent = payload(webhook)
    assert {f"StartedAt_{part}": value for part, value in began.items()}.items() <= sent.items()
    assert {f"CompletedAt_{part}": value for part, value in ended.items()}.items() <= sent.items()
    assert len([name for name in sent if name.startswith("StartedAt")]) == {"datetime": 5}.get(
        way, len(began)
    )
    assert "StartedAt" not in sent


def test_a_time_that_is_not_split_says_its_zone(owe):
    webhook = owe('StartedAt = "entry.1"\nCompletedAt = "entry.2"')
    talk(webhook, *TEXTS)
    sent = payload(webhook)
    assert sent["entry.1"] == sent["entry.2"] == "2026-11-20T13:00:00+01:00"


# Options, and words of the receiver


def test_what_is_no_option_goes_into_other(owe):
    options = 'options = ["Red", "Green"]'
    webhook = owe(f'colour = {{ name = "entry.7", {options} }}')
    talk(webhook, *TEXTS)
    talk(webhook, *TEXTS[:4], "Red", sender=STRANGER)
    other, option = payloads(webhook)
    assert other["entry.7"] == "__other_option__"
    assert other["entry.7.other_option_response"] == "Blue"
    assert option["entry.7"] == "Red"
    assert "entry.7.other_option_response" not in option


def test_of_several_choices_those_that_are_no_options_go_into_other_together(owe):
    options = 'options = ["Cola", "Pizza"]'
    webhook = owe(f'meals = {{ name = "entry.7", {options} }}', 'meals = { veg = "Salat" }')
    talk(webhook, *TEXTS[:3], "pizza, salad, cola", "Blue")
    sent = payload(webhook)
    assert sent["entry.7"] == ["Pizza", "Cola", "__other_option__"]
    assert sent["entry.7.other_option_response"] == "Salat"


def test_values_go_out_in_the_words_of_the_receiver(owe):
    webhook = owe(values='coming = { yes = "Ja, gern!", no = "Nein" }\nmeals = { veg = "Salat" }')
    talk(webhook, *TEXTS)
    talk(webhook, "Party", "skip", "no", "pizza", "Blue", sender=STRANGER)
    yes, no = payloads(webhook)
    assert (yes["coming"], yes["meals"]) == ("Ja, gern!", ["Pizza", "Salat"])
    assert (no["coming"], no["meals"]) == ("Nein", ["Pizza"])


# Names of ours


def test_more_of_a_result_is_sent_under_names_of_the_receiver_only(owe, receiver):
    names = ("Id", "Name", "To", "Conversation")
    webhook = owe("\n".join(f'{name} = "their {name}"' for name in names), url=receiver.url)
    talk(webhook, *TEXTS)
    talk(webhook, *TEXTS, sender=STRANGER)
    (id, stranger_id) = [id for (id,) in webhook.rows("SELECT webhook_id FROM outbox ORDER BY id")]
    known, unknown = payloads(webhook)
    more = {"their Id": id, "their To": NUMBER, "their Conversation": "1", "their Name": "Rey"}
    assert known == OURS | {"day": "2027-03-05"} | more
    assert unknown["their Id"] == stranger_id
    assert "their Name" not in unknown
    webhook = owe(url=receiver.url)
    talk(webhook, *TEXTS)
    assert payloads(webhook)[-1] == OURS | {"day": "2027-03-05"}


def test_the_id_in_a_form_is_that_of_the_header_at_every_attempt(owe, receiver, clock):
    webhook = owe('Id = "entry.9"', url=receiver.url)
    talk(webhook, *TEXTS)
    receiver.answers = [(500, {})]
    for _ in range(2):
        sent = dict(deliver(webhook, receiver))
        headers, _ = receiver.requests[-1]
        assert sent["entry.9"] == headers["webhook-id"]
        clock.pass_(minutes=1)
    assert len(receiver.requests) == 2


@pytest.mark.parametrize(("fields", "name"), [('Id = "entry.1"', "entry.1"), ("", "Id")])
def test_a_question_hides_a_name_that_is_its_key(serve, questionnaires, fields, name):
    content = PARTY.format(fields=fields, values="", lines="", head="", url=FORM)
    content = content.replace('key = "colour"', 'key = "Id"\nonly_if = { coming = "yes" }')
    (questionnaires / "party.toml").write_text(content, "utf-8")
    webhook = serve()
    talk(webhook, *TEXTS)
    talk(webhook, *TEXTS[:2], "no", "pizza", sender=STRANGER)
    answered, not_asked = payloads(webhook)
    assert answered[name] == "Blue"
    assert name not in not_asked


# Sections of a Google Form


@pytest.mark.parametrize(("lines", "history"), [("", "0"), ("pages = 3", "0,1,2")])
def test_a_google_form_gets_the_history_of_its_sections(owe, lines, history):
    webhook = owe(lines=lines)
    talk(webhook, *TEXTS)
    (sent,) = payloads(webhook)
    assert list(sent.items())[-2:] == [("fvv", "1"), ("pageHistory", history)]


def test_another_receiver_gets_no_history(owe, receiver):
    webhook = owe(url=receiver.url)
    talk(webhook, *TEXTS)
    assert [name for name, _ in deliver(webhook, receiver)] == [
        *("From", "Event", "day", "coming", "meals", "meals", "colour")
    ]


def test_a_result_from_before_is_sent_as_it_was(owe, receiver):
    webhook = owe('day = { name = "entry.5", as = "date" }', url=receiver.url)
    talk(webhook, *TEXTS)
    before = '{"From":"+1","entry.5":"2027-03-05","meals":["Pizza","veg"]}'

    def edit(db) -> None:
        db.connection().exec_driver_sql(f"UPDATE outbox SET payload = '{before}'")

    webhook.app.database.write(edit)
    sent = [("From", "+1"), ("entry.5", "2027-03-05"), ("meals", "Pizza"), ("meals", "veg")]
    assert deliver(webhook, receiver) == sent


# Several results of one conversation

MAPPED = """
day = { name = "entry.5", as = "date" }
meals = { name = "entry.6", options = ["Pizza"] }
Id = "entry.8"
Corrects = "entry.9"
StartedAt = { name = "entry.10", as = "datetime" }
"""
WORDS = 'coming = { yes = "Ja", no = "Nein" }'
PARTIAL = 'expires = "1h"\nresume = "1d"'


def test_answers_that_were_sent_in_other_words_are_not_sent_again(owe):
    webhook = owe(MAPPED, WORDS, lines="partial = true", head=PARTIAL)
    talk(webhook, "Party", "5 March", "yes", "Cola")
    for _ in range(2):
        expire(webhook, hours=2)
        talk(webhook, "Hello?")
    assert len(payloads(webhook)) == 1
    expire(webhook, hours=2)
    assert len(payloads(webhook)) == 1


@pytest.mark.parametrize(
    ("texts", "field", "value"),
    [
        (("back", "back", "back", "6 March", "yes", "Cola"), "entry.5_day", "6"),
        (("back", "back", "back", "skip", "yes", "Cola"), "entry.5_day", None),
        (("back", "back", "no", "Cola"), "coming", "Nein"),
        (("back", "salad"), "entry.6.other_option_response", "veg"),
        (("back", "pizza"), "entry.6.other_option_response", None),
        (("back", "pizza, cola"), "entry.6", ["Pizza", "__other_option__"]),
    ],
)
def test_answers_that_have_changed_in_any_of_their_fields_are_sent(owe, texts, field, value):
    webhook = owe(MAPPED, WORDS, lines="partial = true", head=PARTIAL)
    talk(webhook, "Party", "5 March", "yes", "Cola")
    expire(webhook, hours=2)
    talk(webhook, "Hello?", *texts)
    expire(webhook, hours=2)
    first, second = payloads(webhook)
    assert first.get(field) != value
    assert second.get(field) == value
    assert second["entry.9"] == first["entry.8"]


def test_a_correction_names_the_result_that_it_replaces_by_its_id(owe):
    webhook = owe(MAPPED, WORDS, head="review = true")
    talk(webhook, *TEXTS, "ok", "fix 1", "6 March")
    first, second = payloads(webhook)
    assert [first["entry.5_day"], second["entry.5_day"]] == ["5", "6"]
    assert "entry.9" not in first
    assert second["entry.9"] == first["entry.8"] != second["entry.8"]


def test_a_value_that_somebody_wrote_where_a_date_goes_out_is_named(owe, caplog):
    webhook = owe('day = { name = "entry.5", as = "date" }')
    talk(webhook, *TEXTS[:4])

    def edit(value: str) -> None:
        statement = f"UPDATE answers SET value = '{value}' WHERE key = 'day'"
        webhook.app.database.write(lambda db: db.connection().exec_driver_sql(statement))

    edit("in spring")
    talk(webhook, "Blue")
    named = [record.fields for record in caplog.records if record.message == "unreadable"]
    assert [(row["table"], row["column"]) for row in named] == [("answers", "value")]
    assert "spring" not in json.dumps(named)
    assert payloads(webhook) == []
    edit("2027-03-01")
    talk(webhook, "Blue")
    assert payload(webhook)["entry.5_day"] == "1"


# The sheet of a Google Form


def states(webhook: Webhook) -> list[str]:
    return [state for (state,) in webhook.rows("SELECT state FROM outbox ORDER BY id")]


def run_form(questionnaires, form: GoogleForm, name: str) -> Result:
    """What `form` says of a form and this questionnaire."""
    environ = {"SMSCONVO_QUESTIONNAIRES": str(questionnaires)}
    environ |= {"SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1", "DATABASE_URL": "sqlite:///nothing.db"}
    return CliRunner().invoke(cli, ["form", form.page_url, "--for", name], env=environ)


def test_the_feedback_of_the_readme_fills_every_cell_of_a_sheet(serve, questionnaires, patch):
    (content,) = re.findall("```toml\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.S)
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})
    questions = [
        Question("Sender", required=True, entries=[1001]),
        Question("Party", "dropdown", True, ["Mats BBQ", "Picnic"], entries=[1002]),
        Question("Colour", "choice", True, ["Blue", "Red"], has_other=True, entries=[1003]),
        Question("Meals", "checkboxes", True, ["Pasta", "Pizza", "Salad"], entries=[1004]),
        Question("Stars", "scale", True, entries=[1005]),
        Question("Next time", "date", True, entries=[1006]),
    ]
    with GoogleForm(questions) as form:
        content = content.replace("https://docs.google.com/forms/d/e/FORM/formResponse", form.url)
        (questionnaires / "readme.toml").write_text(content, "utf-8")
        webhook = serve()
        said = run_form(questionnaires, form, "readme")
        assert said.exit_code == 0, said.stderr
        assert {line.split(": ")[0] for line in said.stderr.splitlines()} == {"warning"}
        talk(webhook, "mats bbq", "Blue", "pizza & salad", "5", "24 December")
        talk(webhook, "Mats BBQ", "Teal 🦚", "2", "three", "3", "1 Feb 2028", sender=STRANGER)
        attempt(webhook)
        assert states(webhook) == ["delivered", "delivered"]
        cells = [REY, "Mats BBQ", "Blue", "Pizza, Salad", "5", "12/24/2026"]
        others = [STRANGER, "Mats BBQ", "Teal 🦚", "Pasta", "3", "2/1/2028"]
        titles = [question.title for question in questions]
        rows = sorted(form.rows, key=lambda row: row["Sender"] == STRANGER)
        assert [list(row) for row in rows] == [titles, titles]
        assert [list(row.values()) for row in rows] == [cells, others]


EVENING = """
title = "Evening"
event = "Evening"
review = true
timezone = "America/New_York"
thanks = "Bye."
[[questions]]
key = "coming"
kind = "yes_no"
ask = "Coming?"
[[questions]]
key = "drinks"
kind = "choice"
many = true
choices = ["Tea", "Cola", "Beer"]
ask = "Drinks?"
[[questions]]
key = "mail"
kind = "email"
ask = "Your email?"
[[questions]]
key = "note"
optional = true
ask = "A note?"
[results]
url = "{url}"
pages = 3
[results.fields]
From = "entry.1"
Event = "entry.2"
coming = "entry.3"
drinks = {{ name = "entry.4", options = ["Tee"] }}
mail = "emailAddress"
note = "entry.5"
Type = "entry.6"
Corrects = "entry.7"
Id = "entry.8"
Name = "entry.9"
To = "entry.10"
Conversation = "entry.11"
StartedAt = {{ name = "entry.12", as = "datetime" }}
CompletedAt = {{ name = "entry.13", as = "time" }}
[results.values]
coming = {{ yes = "Ja, gern", no = "Leider nein" }}
drinks = {{ Tea = "Tee" }}
"""
QUESTIONS = [
    *(Question(title, entries=[number]) for number, title in enumerate(("From", "Event"), 1)),
    Question("Coming", "choice", True, ["Ja, gern", "Leider nein"], entries=[3]),
    Question("", "section"),
    Question("Drinks", "checkboxes", True, ["Tee"], has_other=True, entries=[4]),
    Question("Note", "paragraph", entries=[5]),
    Question("", "section"),
    Question("Type", "dropdown", True, ["completed", "corrected"], entries=[6]),
    *(Question(title, entries=[n]) for n, title in enumerate(("Corrects", "Id", "Name", "To"), 7)),
    Question("Conversation", "short", True, entries=[11]),
    Question("Began", "date", True, has_time=True, entries=[12]),
    Question("Ended", "time", True, entries=[13]),
]


def test_all_that_a_result_says_fills_a_form_of_three_sections(serve, questionnaires, patch, clock):
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})
    clock.now += timedelta(hours=16, minutes=5)  # late in the evening in New York
    with GoogleForm(QUESTIONS, email="typed") as form:
        (questionnaires / "evening.toml").write_text(EVENING.format(url=form.url), "utf-8")
        webhook = serve()
        said = run_form(questionnaires, form, "evening")
        assert said.exit_code == 0, said.stderr
        assert {line.split(": ")[0] for line in said.stderr.splitlines()} == {"warning"}
        talk(webhook, "Evening", "yes", "tea, cola, beer", "a@example.org", "Two\nlines & more")
        clock.pass_(minutes=30)
        talk(webhook, "ok", "fix 4", "skip")
        attempt(webhook)
        assert states(webhook) == ["delivered", "delivered"]
        first, second = sorted(form.rows, key=lambda row: row["Type"])
        ids = [id for (id,) in webhook.rows("SELECT webhook_id FROM outbox ORDER BY id")]
        assert first == {
            "Email Address": "a@example.org",
            "From": REY,
            "Event": "Evening",
            "Coming": "Ja, gern",
            "Drinks": "Tee, Cola, Beer",
            "Note": "Two\nlines & more",
            "Type": "completed",
            "Corrects": "",
            "Id": ids[0],
            "Name": "Rey",
            "To": NUMBER,
            "Conversation": "1",
            "Began": "11/20/2026 23:05:00",
            "Ended": "11:35:00 PM",
        }
        changed = {"Note": "", "Type": "corrected", "Corrects": ids[0], "Id": ids[1]}
        assert second == first | changed


def test_a_required_text_is_missing_after_three_keywords(serve, questionnaires, patch):
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})
    content = PARTY.format(fields='colour = "entry.1"', values="", lines="", head="", url="{url}")
    content = content.replace('key = "colour"', 'key = "colour"\ngive_up = "keep"')
    with GoogleForm([Question("Colour", required=True, entries=[1])]) as form:
        (questionnaires / "party.toml").write_text(content.replace("{url}", form.url), "utf-8")
        webhook = serve()
        talk(webhook, *TEXTS[:-1], "SKIP", "SKIP", "SKIP")
        attempt(webhook)
        assert (states(webhook), form.rows) == (["failed"], [])
        said = run_form(questionnaires, form, "party").stderr
        assert "colour: is required in the form" in said
        assert "skipped after 3 texts like SKIP" in said
