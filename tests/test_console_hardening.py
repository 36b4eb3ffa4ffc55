"""What an operator, a link from elsewhere or an edited row must not bring about in the console."""

import json
import time
from urllib.parse import urlencode

import pytest
from browsing import Browser, one_database, rows
from conftest import REY
from sqlalchemy import text

from exports import BROKEN_OFF, MAKING, MAX_SENT, begin
from models.console import LOOK
from models.replay import Redactor
from storage.database import MAX_REPORTS, ReportsBusy

HIDDEN = "whatsapp:US.1234"


def change(app, statement: str) -> None:
    app.database.write(lambda db: db.execute(text(statement)))


@one_database
def test_a_stop_from_the_hidden_id_of_a_sender_is_not_taken_back(webhook, operator, clock):
    webhook.phone(f"whatsapp:{REY}").text("Mats BBQ", ExternalUserId=HIDDEN)
    assert operator.post("/console/people/1/opt-out").status == 303
    clock.pass_(hours=1)
    webhook.phone(HIDDEN).text("STOP")
    assert operator.post("/console/people/1/opt-in").status == 409


@one_database
def test_a_stop_that_waited_while_an_operator_acted_counts(webhook, operator, clock):
    webhook.phone().text("Mats BBQ")
    assert operator.post("/console/people/1/opt-out").status == 303
    clock.pass_(seconds=-5)
    webhook.phone().text("STOP")
    clock.pass_(minutes=5)
    assert operator.post("/console/people/1/opt-in").status == 409


def test_no_text_takes_long_to_be_made_anonymous():
    began = time.process_time()
    for words in ("@" * 1600, "a@" * 800, "a@a." * 400, "1-" * 800):
        Redactor({"Rey"})(words)
    assert time.process_time() - began < 2  # the first one alone took twenty seconds


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_a_file_that_breaks_off_says_so(format):
    def chunks():
        yield b"first\n"
        raise OSError("secret words")

    sent = list(begin(chunks(), format))
    assert sent == [b"first\n", BROKEN_OFF[format]]
    assert b"incomplete" in sent[-1] and b"secret" not in sent[-1]
    if format == "jsonl":
        assert json.loads(sent[-1])["error"].startswith("This file is incomplete")


@one_database
def test_few_files_are_sent_at_once(webhook, operator):
    def chunks():
        yield from (b"a", b"b")

    webhook.phone().text("Mats BBQ")
    held = [begin(chunks(), "csv") for _ in range(MAX_SENT)]
    answer = operator.get("/console/answers.csv?questionnaire=feedback")
    assert answer.status == 503 and "Others are at work just now." in answer.body
    with pytest.raises(ReportsBusy):
        begin(chunks(), "csv")
    for each in held:
        each.close()
    assert operator.get("/console/answers.csv?questionnaire=feedback").status == 200


@one_database
def test_a_workbook_is_bounded_and_made_one_at_a_time(webhook, operator, patch):
    for n in range(3):
        webhook.phone(f"+1415555000{n}").text("Mats BBQ")
    path = "/console/answers.xlsx?questionnaire=feedback"
    with MAKING:
        assert operator.get(path).status == 503
        assert operator.get(path.replace("xlsx", "csv")).status == 200
    patch("exports", "PAUSE_EVERY", 1)
    patch("exports", "MAX_IN_WORKBOOK", 3)
    assert operator.get(path).status == 200
    patch("exports", "MAX_IN_WORKBOOK", 2)
    with MAKING:  # what is too long is refused before it is begun
        answer = operator.get(path)
    assert answer.status == 409 and "A workbook has 2 conversations here at most." in answer.body
    assert operator.get(f"{path}&state=open").body == answer.body  # as soon as that is known
    patch("exports", "MAX_IN_WORKBOOK", 3)
    patch("formats", "LEAST", 2**62)
    answer = operator.get(path)
    assert answer.status == 409 and "no room for XLSX." in answer.body
    patch("formats", "LEAST", 0)
    assert operator.get(path).status == 200  # none of these has kept its place


@one_database
def test_a_page_that_has_to_wait_too_long_blames_no_database(webhook, operator, patch):
    patch("storage.database", "REPORT_WAIT_SECONDS", 0.01)
    opened = [webhook.app.database.report() for _ in range(MAX_REPORTS)]
    for each in opened:
        each.__enter__()
    answer = operator.get("/console/threads")
    assert answer.status == 503 and "Others are at work just now." in answer.body
    for each in opened:
        each.__exit__(None, None, None)
    assert operator.get("/console/threads").status == 200


def test_a_time_zone_that_nobody_knows_breaks_no_page(webhook, operator):
    webhook.phone().text("Mats BBQ")
    change(
        webhook.app,
        "UPDATE questionnaires SET definition ="
        ' replace(definition, \'"title"\', \'"timezone":"Nowhere/X","title"\')',
    )
    webhook.app.files.current.catalog._by_name.clear()
    for page in ("", "/threads/1", "/answers?questionnaire=feedback"):
        assert operator.get(f"/console{page}").status == 200, page


@one_database
def test_more_ids_than_a_statement_can_list_one_by_one_are_found(webhook, operator):
    webhook.phone().text("Mats BBQ")
    ids = ",".join(map(str, range(1, 1500)))
    page = operator.get(f"/console/answers?questionnaire=feedback&ids={ids}")
    assert page.status == 200 and "1 conversation" in page.body


@one_database
def test_no_link_brings_a_text_into_the_box(operator):
    query = urlencode({"source": "text", "draft": 'title = "From a link"'})
    page = operator.get(f"/console/try/feedback?{query}").body
    assert "From a link" not in page and "<textarea" not in page


@one_database
def test_a_reason_has_no_control_characters(webhook, operator):
    webhook.phone().text("Mats BBQ")
    operator.post("/console/people/1/opt-out", reason="a\0b")
    assert rows(webhook.app, "SELECT count(*) FROM operator_actions WHERE action = 'opt out'") == [
        (1,)
    ]


@one_database
def test_without_files_there_is_nothing_to_try(webhook, questionnaires):
    browser = Browser(webhook.app)
    browser.enter(LOOK)
    for path in questionnaires.iterdir():
        path.unlink()
    webhook.app.files.current.catalog._by_name.clear()
    assert browser.get("/console/try").status == 404
