"""What operators do in the console besides: tests, notes on people, and shared results."""

import re

import pytest
from browsing import CORPUS, Browser, evils, one_database, rows
from click.testing import CliRunner
from conftest import REY, STRANGER
from sqlalchemy import text
from test_query_plans import recorded  # noqa: F401

from commands import cli
from console.pages import NAV
from models.reports.metrics import find_figures

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
    assert done.headers["Location"] == "/console/threads/2?done=marked"
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
    assert STRANGER in export(webhook, "--tests")
    assert operator.post("/console/threads/2/no-test").status == 303
    assert operator.post("/console/threads/2/no-test").status == 409
    assert states(app)["open"] == 2 and ">test</span>" not in operator.get(pages[0]).body
    found = rows(app, f"{ACTIONS} ORDER BY id")
    assert found == [(action, "conversations", 2, None) for action in ("mark test", "unmark test")]


# Pages that count for whoever runs smsconvo, tests included.
OF_THE_MACHINE = {"People", "Outbox", "Files", "Health"}
OWED = "FROM (SELECT 1 \nFROM outbox"  # the same in `/metrics`
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
        and OWED not in sql
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
    assert done.headers["Location"] == "/console/people/1?done=noted"
    for path in ("/console/people/1?done=noted", "/console/threads/1"):
        page = operator.get(path).body
        assert "Sits at table 7.\nAllergic to &lt;b&gt;nuts&lt;/b&gt; &#039; &quot; {{7*7}}" in page
        assert "Note by <bdi>link</bdi>" in page
    assert "Sits at table 7." in operator.get("/console/people/1/note").body  # to be edited
    assert operator.post("/console/people/1/note", note="x" * 2001).status == 409
    assert rows(app, "SELECT contact_id, written_by FROM contact_notes") == [(1, "link")]
    assert operator.post("/console/people/1/note", note="é" * 2000).status == 303
    assert operator.post("/console/people/1/note", note=" \r\n").status == 303
    assert rows(app, "SELECT * FROM contact_notes") == []
    assert "Note by" not in operator.get("/console/people/1").body
    assert rows(app, f"{ACTIONS} ORDER BY id") == [
        (action, "contacts", 1, None) for action in ("write note", "write note", "remove note")
    ]
    assert "table 7" not in caplog.text and "table 7" not in str(
        rows(app, "SELECT * FROM messages")
    )
    assert operator.get("/console/people/99/note").status == 404


@pytest.mark.parametrize("words", CORPUS)
@one_database
def test_no_note_runs_in_a_browser(webhook, operator, words):
    text_all(webhook, REY, "Mats BBQ")
    assert operator.post("/console/people/1/note", note=f"</textarea>{words}").status == 303
    for path in ("people/1", "people/1/note", "threads/1"):
        assert evils(operator.get(f"/console/{path}").body) == [], path


def test_a_note_that_cannot_be_read_breaks_no_page(webhook, operator):
    text_all(webhook, REY, "Mats BBQ")
    operator.post("/console/people/1/note", note="Sits at table 7.")
    if webhook.app.settings.on_sqlite:
        change = text("UPDATE contact_notes SET text = CAST(x'c3' AS TEXT)")
        webhook.app.database.write(lambda db: db.execute(change))
    for path in ("people/1", "people/1/note", "threads/1"):
        assert operator.get(f"/console/{path}").status == 200
