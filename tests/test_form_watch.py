"""Forms that change after results began to go there: who notices, and what is said of it."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pytest
import requests
from click.testing import CliRunner
from conftest import Webhook, until
from google_form import GoogleForm, Question

from commands import cli
from models import load_catalog
from models.receiver_form import group_by_form
from worker import create_worker
from worker.form_watch import DAY, WatchForms
from worker.results import claim_due, run_attempt

PARTY = """
title = "Party"
event = "Party"
thanks = "Thanks!"
[[questions]]
key = "colour"
ask = "Your favourite colour?"
[results]
url = "{url}"
[results.fields]
From = "entry.1"
Event = "entry.2"
colour = "entry.3"
"""


@pytest.fixture(autouse=True)
def fake_hosts(patch) -> None:
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})


@pytest.fixture
def form() -> Iterator[GoogleForm]:
    titles = ["Phone", "Event", "Colour"]
    questions = [Question(title, entries=[number]) for number, title in enumerate(titles, 1)]
    with GoogleForm(questions, padding=1000) as form:
        yield form


@pytest.fixture
def party(questionnaires, form) -> Path:
    path = questionnaires / "party.toml"
    path.write_text(PARTY.format(url=form.url), "utf-8")
    return path


@pytest.fixture
def webhook(serve, party) -> Webhook:
    return serve()


@pytest.fixture
def look(webhook, party) -> Callable[..., bool]:
    """What the job does, without its thread."""

    def look(interval: timedelta = DAY) -> bool:
        catalog = load_catalog(party.parent)
        ((url, named),) = group_by_form(catalog).items()
        job = WatchForms(webhook.app.database, True, lambda: catalog, webhook.clock)
        return job.look_again(url, named, interval)

    return look


def seen(form: GoogleForm) -> int:
    return sum(method == "GET" for method, *_ in form.requests)


def state(webhook: Webhook) -> tuple:
    ((changed_at, problem),) = webhook.rows("SELECT changed_at, problem FROM receiver_forms")
    return bool(changed_at), problem


def remake(form: GoogleForm) -> None:
    """As an owner does who deletes a question and makes another one of the same title."""
    form.questions[2] = Question("Colour", entries=[33])


def text_and_deliver(webhook: Webhook, settings) -> str | None:
    """What becomes of the result of a conversation."""
    for said in ("Party", "Blue"):
        webhook.phone().text(said)
    database = webhook.app.database
    (delivery,) = claim_due(database, webhook.clock(), 1)
    return run_attempt(database, settings, delivery, webhook.clock).cause


# Looking #####################################################################


def test_a_form_is_accepted_when_it_is_first_seen_and_looked_at_once_a_day(webhook, form, look):
    assert look()
    assert state(webhook) == (False, None)
    remake(form)
    webhook.clock.pass_(hours=23)
    assert not look()
    assert state(webhook) == (False, None)
    webhook.clock.pass_(hours=1)
    assert look()
    assert state(webhook) == (True, "mapping")
    assert seen(form) == 2


def test_a_change_that_harms_nothing_is_told_and_can_be_undone(webhook, form, look):
    look()
    form.questions.append(Question("Anything else?"))
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (True, None)
    form.questions.pop()
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (False, None)


@pytest.mark.parametrize(
    ("closed", "problem"),
    [("closed", "closed"), ("sign_in", "sign_in"), ("restricted", "restricted"),
     ("deleted", "no_form")],
)  # fmt: skip
def test_a_form_that_takes_nothing_is_a_problem_while_it_does(webhook, form, look, closed, problem):
    look()
    form.state = closed
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (False, problem)
    form.state = "open"
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (False, None)


def test_a_form_that_lost_its_questions_has_changed_and_is_not_closed(webhook, form, look):
    look()
    form.questions.clear()
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (True, "mapping")


def test_what_hides_a_form_for_a_while_is_no_change(webhook, form, look):
    look()
    for hidden in ("busy", "captcha"):
        form.state = hidden
        webhook.clock.pass_(days=1)
        assert look()
        assert state(webhook) == (False, None)


def test_an_edit_of_the_file_is_compared_without_another_look(webhook, form, look, party):
    look()
    party.write_text(party.read_text().replace("entry.3", "entry.4"))
    assert not look()
    assert state(webhook) == (False, "mapping")
    party.write_text(party.read_text().replace("entry.4", "entry.3"))
    look()
    assert state(webhook) == (False, None)
    assert seen(form) == 1


def test_of_several_workers_one_looks(webhook, form, look):
    form.delay = 0.2
    with ThreadPoolExecutor(8) as pool:
        looked = list(pool.map(lambda _: look(), range(8)))
    assert sorted(looked) == [False] * 7 + [True]
    assert seen(form) == 1


# The job #####################################################################


@pytest.fixture
def working(webhook, settings) -> Iterator[Callable]:
    """A worker beside the app; by the clock of the database. Starting it returns how to stop it."""
    stops = []

    def start() -> Callable[[], None]:
        database, wake = webhook.app.database, webhook.app.result_written
        worker = create_worker(database, settings, webhook.clock, wake)
        thread = Thread(target=worker.run, daemon=True)
        thread.start()

        def stop() -> None:
            worker.stop()
            wake.set()
            thread.join()

        stops.append(stop)
        return stop

    yield start
    for stop in stops:
        stop()


def test_a_refused_result_leads_to_a_look_at_the_form(webhook, form, working):
    working()
    until(lambda: webhook.rows("SELECT * FROM receiver_forms WHERE digest IS NOT NULL"))
    form.questions[2] = Question("Colour", required=True, entries=[33])
    webhook.clock.pass_(minutes=10)
    for said in ("Party", "Blue"):
        webhook.phone().text(said)
    until(lambda: state(webhook) == (True, "mapping"))
    ((outcome,),) = webhook.rows("SELECT cause FROM outbox")
    assert outcome == "shown_again"


def test_a_look_that_outlasts_its_worker_leaves_no_trace(webhook, form, working, party):
    form.delay = 1
    stop = working()
    until(lambda: seen(form))
    before = webhook.rows("SELECT * FROM receiver_forms")
    stop()
    for thread in threading.enumerate():
        if thread.name == "forms":
            thread.join()
    assert webhook.rows("SELECT * FROM receiver_forms") == before
    assert state(webhook) == (False, None)


def test_a_form_that_does_not_answer_holds_up_no_result(
    webhook, form, working, receiver, party, patch
):
    for name in ("GET_SECONDS", "READ_SECONDS"):
        patch("worker.http_client", name, 600)
    url = f'url = "{receiver.url}"'
    content = party.read_text().replace(f'url = "{form.url}"', url).replace('"Party"', '"Other"')
    (party.parent / "other.toml").write_text(content, "utf-8")
    webhook.app.files.look(at_once=True)
    form.delay = 600
    working()
    until(lambda: seen(form))
    for said in ("Other", "Blue"):
        webhook.phone().text(said)
    until(lambda: receiver.requests)


# What confirms ###############################################################


def test_the_text_that_confirms_is_known_once_the_form_was_seen(webhook, form, look, settings):
    form.has_link, form.confirmation = False, "Noted, thank you!"
    assert text_and_deliver(webhook, settings) == "unconfirmed"
    look()
    webhook.clock.pass_(minutes=6)
    database = webhook.app.database
    (again,) = claim_due(database, webhook.clock(), 1)
    assert run_attempt(database, settings, again, webhook.clock).cause is None


# What operators are told #####################################################


def health(webhook: Webhook) -> dict:
    return requests.get(f"http://{webhook.address}/healthz", timeout=10).json()


def outbox(settings, *arguments: str) -> str:
    environ = {
        "DATABASE_URL": settings.database_url,
        "SMSCONVO_QUESTIONNAIRES": str(settings.questionnaires),
        "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1",
    }
    return CliRunner().invoke(cli, arguments or ["outbox"], env=environ).output


def test_health_and_outbox_say_that_a_form_has_changed_until_it_is_accepted(
    webhook, form, look, settings, party
):
    look()
    assert health(webhook)["forms"] == {"ok": True, "questionnaires": []}
    assert outbox(settings) == "Everything is delivered.\n"
    remake(form)
    webhook.clock.pass_(days=1)
    look()
    until(lambda: not health(webhook)["forms"]["ok"])
    told = health(webhook)
    assert told["status"] == "degraded"
    assert told["forms"]["questionnaires"] == ["party"]
    assert "See: outbox" in told["forms"]["why"]
    assert form.id not in json.dumps(told)
    assert outbox(settings).splitlines() == [
        "The form of party has changed since 2026-11-20, and does not fit what is sent to it."
        f" Run: form {form.page_url} --for party",
        "    party.toml: results, fields, colour: entry.3 is not in the form: the question was"
        ' deleted or made anew. Map one of: "Colour" (entry.33).',
        "Everything is delivered.",
    ]
    assert "entry.3 is not in the form" in outbox(settings, "form", form.page_url, "--for=party")
    assert state(webhook) == (False, "mapping")  # it is known as it is, and still does not fit
    party.write_text(party.read_text().replace("entry.3", "entry.33"))
    outbox(settings, "form", form.page_url)
    assert state(webhook) == (False, None)
    assert outbox(settings) == "Everything is delivered.\n"
    until(lambda: health(webhook)["forms"]["ok"])


def test_forms_that_nothing_goes_to_any_more_are_not_told_of(webhook, form, look, settings, party):
    look()
    form.state = "closed"
    webhook.clock.pass_(days=1)
    look()
    party.unlink()
    assert outbox(settings) == "Everything is delivered.\n"


def test_a_cell_that_somebody_broke_keeps_no_result_back(webhook, form, look, settings):
    look()
    if settings.on_sqlite:
        webhook.app.database.write(
            lambda db: db.connection().exec_driver_sql(
                "UPDATE receiver_forms SET confirmation = x'ff', page = '[]'"
            )
        )
    assert text_and_deliver(webhook, settings) is None
