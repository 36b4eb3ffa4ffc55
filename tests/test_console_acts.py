"""What operators do in the console besides: tests, notes on people, and shared results."""

import io
import json
import re
from contextlib import ExitStack
from urllib.parse import urlencode

import openpyxl
import pytest
from browsing import CORPUS, OWN, Browser, evils, one_database, rows
from click.testing import CliRunner
from conftest import REY, STRANGER, mostly_on_sqlite
from sqlalchemy import text
from test_query_plans import recorded  # noqa: F401

from commands import cli
from console.pages import NAV
from console.turns import SHARING, WAITING
from models.console import LOOK
from models.console.token import TOKEN
from models.reports.metrics import find_figures
from models.reports.shared import mask_sender

pytestmark = mostly_on_sqlite

FIGURES = ("/console?period=all", "/console/answers?questionnaire=feedback")
ACTIONS = "SELECT action, table_name, row_id, details FROM operator_actions WHERE id > 2"


def pages_of(browser: Browser, *addresses: str) -> list[str]:
    """Their content, but for the time on it."""
    found = [browser.get(each).body for each in addresses]
    return [re.sub(r'<span id="as-of">[^<]*', "", each) for each in found]


# Tests #######################################################################


def text_all(webhook, sender: str, *bodies: str) -> None:
    phone = webhook.phone(sender)
    for body in bodies:
        phone.text(body)
        for reply in phone.last.replies:
            phone.report(reply, "undelivered", 30003)


def states(app) -> dict[str, int]:
    with app.database.read() as db:
        return find_figures(db, app.clock()).conversations


def export(webhook, *options: str) -> str:
    environ = {"DATABASE_URL": webhook.app.settings.database_url}
    environ["SMSCONVO_QUESTIONNAIRES"] = str(webhook.app.settings.questionnaires)
    done = CliRunner().invoke(cli, ["export", "feedback", *options], env=environ)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_conversation_that_is_a_test_is_in_no_figure(webhook, operator):
    app = webhook.app
    text_all(webhook, REY, "Mats BBQ", "Blue")
    before = pages_of(operator, *FIGURES), states(app), export(webhook)
    files = operator.get("/console/answers.csv?questionnaire=feedback").body
    text_all(webhook, STRANGER, "Mats BBQ", "Red", "Pizza", "Cola")
    assert pages_of(operator, *FIGURES) != before[0]
    asked = operator.get("/console/threads/2/test").body
    assert "left out of all figures" in asked and STRANGER in asked
    done = operator.post("/console/threads/2/test")
    assert done.headers["Location"] == "/console/threads/2?done=mark-test"
    assert (pages_of(operator, *FIGURES), states(app), export(webhook)) == before
    assert operator.get("/console/answers.csv?questionnaire=feedback").body == files
    behind = operator.get("/console/threads?questionnaire=feedback&outcome=started").body
    assert STRANGER not in behind and STRANGER in operator.get("/console/threads").body
    assert operator.post("/console/threads/2/test").status == 409
    # It is there for whoever asks, and wherever it is listed it says what it is.
    asked = operator.get("/console/answers?questionnaire=feedback&tests=yes").body
    pages = ["/console/threads", "/console/threads/2", "/console/people/2"]
    for page in (asked, *(operator.get(each).body for each in pages)):
        assert page.count(">test</span>") == 1 and STRANGER in page
    assert STRANGER in operator.get("/console/answers.csv?questionnaire=feedback&tests=yes").body
    check_files_with_tests(webhook, operator)
    assert operator.post("/console/threads/2/no-test").status == 303
    assert operator.post("/console/threads/2/no-test").status == 409
    assert states(app)["open"] == 2 and ">test</span>" not in operator.get(pages[0]).body
    found = rows(app, f"{ACTIONS} ORDER BY id")
    assert found == [(action, "conversations", 2, None) for action in ("mark test", "unmark test")]


def check_files_with_tests(webhook, operator: Browser) -> None:
    """The last column, which only they have, says which conversations are tests."""
    address = "/console/answers.{}?questionnaire=feedback&tests=yes"
    for csv in (export(webhook, "--tests"), operator.get(address.format("csv")).body):
        lines = csv.splitlines()
        assert lines[0].endswith(",version,test")
        assert [line.rpartition(",")[2] for line in lines[1:]] == ["", "yes"]
        assert STRANGER in lines[2]
    for option, counts in (("--no-removed", (1, 1)), ("--long", (1, 3))):
        found = export(webhook, "--tests", "--format=jsonl", option).splitlines()
        marks = [json.loads(line)["test"] for line in found]
        assert (marks.count(False), marks.count(True)) == counts
    long = export(webhook, "--tests", "--long").splitlines()
    assert [line.rpartition(",")[2] for line in long] == ["test", "", "yes", "yes", "yes"]
    content = io.BytesIO(operator.get(address.format("xlsx")).content)
    assert [row[-1] for row in openpyxl.load_workbook(content).active.values] == [
        "test",
        None,
        "yes",
    ]


@one_database
def test_a_result_of_a_test_that_failed_still_needs_somebody(webhook, operator):
    text_all(webhook, REY, "Mats BBQ")
    columns = "conversation_id, webhook_id, url, format, payload, attempts, unfinished, unconfirmed"
    insert = f"INSERT INTO outbox ({columns}, created_at, state) SELECT 1, 'msg_1', 'http://a',"
    insert += " 'json', '{}', 1, 0, 0, started_at, 'failed' FROM conversations"
    webhook.app.database.write(lambda db: db.execute(text(insert)))
    operator.post("/console/threads/1/test")
    assert "1 result has failed" in operator.get("/console").body


# Pages that count for whoever runs smsconvo, tests included.
OF_THE_MACHINE = {"People", "Outbox", "Files", "Health"}
# What a receiver does not take of a test it takes of nobody: under *Needs you*, and in `/metrics`.
OWED = re.compile(r"FROM \(SELECT (?:1|outbox\.cause[^()]*) \nFROM outbox")
GUESTS_ROWS = re.compile(r"\b(?:FROM|JOIN) (?:conversations|messages|answers|outbox)\b")


@one_database
def test_a_figure_cannot_forget_tests(webhook, operator, recorded):  # noqa: F811
    text_all(webhook, REY, "Mats BBQ", "Blue", "Pizza", "Cola", "Yes")
    recorded.clear()
    for address in (*(NAV[name] for name in NAV.keys() - OF_THE_MACHINE), *FIGURES):
        assert operator.get(address).status == 200
    states(webhook.app)
    counting = [
        sql
        for sql in recorded
        if re.search(r"\bcount\(|\bGROUP BY\b", sql, re.I)
        and GUESTS_ROWS.search(sql)
        and not OWED.search(sql)
    ]
    assert len(counting) > 5
    assert [sql for sql in counting if "test_conversations" not in sql] == []


# Notes #######################################################################


def test_a_note_is_seen_with_its_person_and_only_there(webhook, operator, caplog):
    app = webhook.app
    text_all(webhook, REY, "Mats BBQ")
    assert "Add a note" in operator.get("/console/people/1").body
    note = "Sits at table 7.\r\nAllergic to <b>nuts</b> ' \" {{7*7}}"
    done = operator.post("/console/people/1/note", note=note)
    assert done.headers["Location"] == "/console/people/1?done=write-note"
    assert "The note is saved." in operator.get("/console/people/1?done=write-note").body
    for path in ("/console/people/1", "/console/threads/1"):
        page = operator.get(path).body
        assert "Sits at table 7.\nAllergic to &lt;b&gt;nuts&lt;/b&gt; &#039; &quot; {{7*7}}" in page
        assert "Note by <bdi>link</bdi>" in page
    assert "Sits at table 7." in operator.get("/console/people/1/note").body  # to be edited
    assert operator.post("/console/people/1/note", note="x" * 2001).status == 409
    assert rows(app, "SELECT contact_id, written_by FROM contact_notes") == [(1, "link")]
    assert operator.post("/console/people/1/note", note="é" * 2000).status == 303
    removed = operator.post("/console/people/1/note", note=" \r\n").headers["Location"]
    assert "The note is removed." in operator.get(removed).body
    assert rows(app, "SELECT * FROM contact_notes") == []
    assert "Note by" not in operator.get("/console/people/1").body
    assert rows(app, f"{ACTIONS} ORDER BY id") == [
        (action, "contacts", 1, None) for action in ("write note", "write note", "remove note")
    ]
    assert "table 7" not in caplog.text and "table 7" not in str(
        rows(app, "SELECT * FROM messages")
    )
    assert operator.get("/console/people/99/note").status == 404


@one_database
def test_no_note_runs_in_a_browser(webhook, operator):
    text_all(webhook, REY, "Mats BBQ")
    note = "\n".join(["</textarea>", *CORPUS])
    assert operator.post("/console/people/1/note", note=note).status == 303
    for path in ("people/1", "people/1/note", "threads/1"):
        page = operator.get(f"/console/{path}").body
        assert evils(page) == [] and "&lt;script&gt;alert(1)" in page, path


def test_a_note_that_cannot_be_read_breaks_no_page(webhook, operator):
    text_all(webhook, REY, "Mats BBQ")
    operator.post("/console/people/1/note", note="Sits at table 7.")
    if webhook.app.settings.on_sqlite:
        change = text("UPDATE contact_notes SET text = CAST(x'c3' AS TEXT)")
        webhook.app.database.write(lambda db: db.execute(change))
    for path in ("people/1", "people/1/note", "threads/1"):
        assert operator.get(f"/console/{path}").status == 200


# Shares ######################################################################

SHARE = {"questionnaire": "feedback", "question": "Question1"}


def share(browser: Browser, *more: str, **form: str) -> str:
    """The path of a new link."""
    body = urlencode([*(SHARE | form).items(), *(("question", key) for key in more)])
    made = browser.ask("POST", "/console/shares/new", OWN, body)
    assert made.status == 200, made.body
    (path,) = set(re.findall(rf"https?://[^/\s]+(/r/{TOKEN})<", made.body))
    return path


def test_whoever_has_the_link_sees_what_was_chosen_and_no_more(webhook, operator):
    app, stranger = webhook.app, Browser(webhook.app)
    text_all(webhook, REY, "Mats BBQ", "Blue", "Pizza 🍕")
    text_all(webhook, STRANGER, "Mats BBQ", "Red", "Sushi")
    operator.post("/console/threads/2/test")
    asked = operator.get("/console/shares/new?questionnaire=feedback").body
    assert asked.count('type="checkbox"') == 4 and "checked" not in asked
    path = share(operator)
    page = stranger.get(path)
    assert page.status == 200 and stranger.cookie == "" and not page.cookies
    assert "Blue" in page.body and "n = 1" in page.body and "Fri 20 Nov" in page.body
    for hidden in (
        "Pizza",
        "Question2",
        "Red",
        "Sushi",
        REY,
        REY[-4:],
        "Rey",
        '="/console',
        "<script",
    ):
        assert hidden not in page.body, hidden
    expected = {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    expected["X-Robots-Tag"] = "noindex, nofollow"
    assert expected.items() <= page.headers.items()
    assert "script-src" not in page.headers["Content-Security-Policy"]
    # No field of the address is a filter, by which hidden answers could be guessed.
    for query in (
        "answer.Question2=Sushi",
        "ids=99",
        "tests=yes",
        "columns=sender",
        "has=Question4",
    ):
        assert stranger.get(f"{path}?{query}").body == page.body
    named = stranger.get(share(operator, "Question2", senders="masked", names="shown")).body
    assert "+1…" in named and REY[-3:] not in named and "Pizza 🍕" in named
    assert app.settings.public_url + path not in operator.get("/console/shares").body
    found = rows(app, "SELECT * FROM console_shares")
    assert path.removeprefix("/r/") not in str(found) + str(rows(app, ACTIONS))


def test_a_link_that_shows_nothing_says_always_the_same(webhook, operator, clock, caplog):
    app, stranger = webhook.app, Browser(webhook.app)
    text_all(webhook, REY, "Mats BBQ", "Blue")
    revoked, over = share(operator, days="365"), share(operator, days="1")
    assert "at once" in operator.get("/console/shares/1/revoke").body
    done = operator.post("/console/shares/1/revoke")
    assert done.headers["Location"] == "/console/shares?done=revoke-share"
    assert stranger.get(over).status == 200
    clock.pass_(days=1)
    wrong = [f"/r/{'a' * 43}", "/r/x", "/r/%27", f"{over}/", "/r/a/b", f"{over}\x00", "/r/ÿ", "/r/"]
    found = {stranger.get(path)[::3] for path in (revoked, over, *wrong)}
    ((status, body),) = found
    assert status == 404 and b"This link shows nothing now." in body and b'="/console' not in body
    assert stranger.ask("POST", over, OWN).status == 405
    assert all(path[3:] not in caplog.text for path in (revoked, over))
    share(operator)
    assert rows(app, "SELECT id FROM console_shares") == [(3,)]  # what is over is deleted
    query = "SELECT action, table_name, row_id, details FROM operator_actions"
    assert rows(app, f"{query} WHERE table_name = 'console_shares' ORDER BY id") == [
        ("share", "console_shares", 1, "feedback"),
        ("share", "console_shares", 2, "feedback"),
        ("revoke share", "console_shares", 1, None),
        ("share", "console_shares", 3, "feedback"),
    ]


@one_database
def test_a_link_is_made_only_of_what_makes_sense(webhook, operator):
    text_all(webhook, REY, "Mats BBQ", "Blue")
    for form in ({}, {"question": "nothing"}):
        answer = operator.post("/console/shares/new", questionnaire="feedback", **form)
        assert answer.status == 409 and "Choose at least one question." in answer.body
    for form in ({}, {"questionnaire": "gone"}):  # never one that was not asked for
        assert operator.post("/console/shares/new", question="Question1", **form).status == 404
    share(operator, days="9999", senders="all", names="yes")
    ends = "SELECT senders, names, created_at, expires_at FROM console_shares"
    ((senders, names, created, expires),) = rows(webhook.app, ends)
    assert (senders, names) == ("absent", "absent")
    assert (expires[:10], created[:10]) == ("2026-12-20", "2026-11-20")
    looking = Browser(webhook.app)
    looking.enter(LOOK)
    page = looking.get("/console/shares").body
    assert "Question1" in page and "Revoke" not in page and "/shares/new" not in page
    for path in ("new", "1/revoke"):
        assert looking.post(f"/console/shares/{path}", **SHARE).status == 403


def test_when_a_link_was_opened_last_is_known_within_the_hour(webhook, operator, clock):
    text_all(webhook, REY, "Mats BBQ", "Blue")
    path, opened = share(operator), "SELECT opened_at FROM console_shares"
    found = [rows(webhook.app, opened)]
    for minutes in (0, 59, 1):
        clock.pass_(minutes=minutes)
        assert Browser(webhook.app, "192.0.2.1").get(path).status == 200
        found.append(rows(webhook.app, opened))
    assert found[0] == [(None,)] and found[1] == found[2] != found[3]
    assert "192.0.2.1" not in str(rows(webhook.app, "SELECT * FROM console_shares"))


@one_database
def test_a_question_of_another_kind_than_was_chosen_is_not_shown(webhook, operator):
    text_all(webhook, REY, "Mats BBQ", "Blue", "Pizza")
    path = share(operator, "Question2")
    change = """UPDATE console_shares SET questions = '{"Question1":"text","Question2":"choice"}'"""
    webhook.app.database.write(lambda db: db.execute(text(change.replace(":", "\\:"))))
    page = Browser(webhook.app).get(path).body
    assert "Blue" in page and "Pizza" not in page


@one_database
def test_answers_of_the_time_when_a_question_had_another_kind_are_not_shown(
    webhook, operator, questionnaires
):
    text_all(webhook, REY, "Mats BBQ", "Blue, if Ann agrees")
    file = questionnaires / "feedback.toml"
    asked = 'ask = "Hello. What is your favourite colour"\n'
    changed = file.read_text("utf-8").replace(
        asked, f'{asked}kind = "choice"\nchoices = ["Red", "Green"]\n'
    )
    file.write_text(changed, "utf-8")
    assert [webhook.app.files.look() for _ in range(2)]
    text_all(webhook, STRANGER, "Mats BBQ", "Red", "Pizza")
    page = Browser(webhook.app).get(share(operator)).body
    assert "Red" in page and "Ann" not in page and "n = 1" in page


@one_database
def test_texts_are_answered_while_many_look_at_shared_results(webhook, operator, patch):
    patch("console.turns", "WAIT_SECONDS", 0.01)
    text_all(webhook, REY, "Mats BBQ")
    path, stranger = share(operator), Browser(webhook.app)
    with SHARING.take():
        page = stranger.get(path)
        assert page.status == 503 and "reload this page" in page.body
        assert webhook.phone(STRANGER).text("Mats BBQ")
        assert operator.get(FIGURES[1]).status == 200
    with ExitStack() as waiting:  # as if they were in other threads
        for _ in range(1 + WAITING):
            waiting.enter_context(SHARING._places)
        patch("console.turns", "WAIT_SECONDS", 60)
        assert stranger.get(path).status == 503
    assert stranger.get(path).status == 200


@one_database
def test_older_rows_are_behind_a_shared_one_only(webhook, operator):
    for sender in (REY, STRANGER):
        text_all(webhook, sender, "Mats BBQ", "Blue")
    operator.post("/console/threads/2/test")
    path, stranger = share(operator), Browser(webhook.app)
    assert [stranger.get(f"{path}?before={id}").status for id in (1, 2, 3)] == [200, 404, 404]


def test_a_share_that_cannot_be_read_shows_nothing(webhook, operator):
    text_all(webhook, REY, "Mats BBQ", "Blue")
    path = share(operator)
    change = text("UPDATE console_shares SET questions = '[1]'")
    webhook.app.database.write(lambda db: db.execute(change))
    assert Browser(webhook.app).get(path).status == 404
    assert "Nothing is shared." in operator.get("/console/shares").body
    assert operator.post("/console/shares/1/revoke").status == 404


@one_database
def test_no_words_of_guests_run_in_a_shared_page(webhook, operator):
    for number, words in enumerate(CORPUS):
        text_all(webhook, f"+1415555010{number}", "Mats BBQ", words, words)
    change = text("UPDATE contacts SET name = :name")
    webhook.app.database.write(lambda db: db.execute(change, {"name": "".join(CORPUS)}))
    page = Browser(webhook.app).get(share(operator, "Question2", names="shown")).body
    assert evils(page) == [] and page.count("<a ") == 1  # to its content
    assert page.count("&lt;script&gt;alert(1)") > len(CORPUS)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("+447700900123", "+44…"),
        ("whatsapp:+14158675308", "+1…"),
        ("whatsapp:US.1234", "…"),
        ("77777", "…"),
        ("", "…"),
    ],
)
def test_no_digit_of_a_number_is_left_but_those_of_its_country(address, masked):
    assert mask_sender(address) == masked
