"""Forms that change after results began to go there: who notices, and what is said of it."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
import requests
from click.testing import CliRunner
from conftest import Webhook, mostly_on_sqlite, until
from google_form import GoogleForm, Question

from commands import cli
from models import load_catalog
from models.receiver_form import group_by_form
from worker import create_worker
from worker.form_watch import DAY, WatchForms
from worker.results import claim_due, run_attempt

pytestmark = mostly_on_sqlite

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


def wait_for_looks() -> None:
    for thread in threading.enumerate():
        if thread.name == "forms":
            thread.join()


def known(webhook: Webhook) -> bool:
    return bool(webhook.rows("SELECT * FROM receiver_forms WHERE digest IS NOT NULL"))


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


def test_a_form_with_a_problem_is_looked_at_every_hour(webhook, form, look):
    look()
    form.state = "closed"
    webhook.clock.pass_(days=1)
    look()
    form.state = "open"
    webhook.clock.pass_(minutes=59)
    assert not look()
    webhook.clock.pass_(minutes=1)
    assert look()
    assert state(webhook) == (False, None)
    webhook.clock.pass_(hours=23)
    assert not look()


def test_a_form_is_not_accepted_before_it_fits(webhook, form, look):
    questions = list(form.questions)
    remake(form)
    look()
    assert state(webhook) == (False, "mapping")
    form.questions = questions
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (False, None)
    form.questions.append(Question("Anything else?"))
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (True, None)


def test_what_hides_a_form_for_a_while_is_no_change(webhook, form, look):
    look()
    for hidden in ("busy", "captcha"):
        form.state = hidden
        webhook.clock.pass_(days=1)
        look()
        assert state(webhook) == (False, None)


def test_a_look_that_finds_nothing_out_is_repeated_within_minutes_and_logged(
    webhook, form, look, caplog
):
    form.state = "busy"
    assert not look()
    (record,) = [record for record in caplog.records if record.message == "form"]
    assert record.fields["questionnaires"] == ["party"]
    assert record.fields["outcome"] == "cannot be looked at: HTTP 429"
    webhook.clock.pass_(minutes=9)
    assert not look()
    assert seen(form) == 1
    webhook.clock.pass_(minutes=1)
    form.state = "open"
    assert look()
    assert known(webhook)
    webhook.clock.pass_(hours=23)
    assert not look()
    assert seen(form) == 2


def test_a_page_that_cannot_be_read_is_fetched_every_few_hours(webhook, form, party):
    catalog = load_catalog(party.parent)
    ((url, named),) = group_by_form(catalog).items()
    job = WatchForms(webhook.app.database, True, lambda: catalog, webhook.clock)
    form.padding = 2_100_000
    for _ in range(5 * 6):
        assert not job.look_again(url, named, timedelta(0))
        webhook.clock.pass_(minutes=10)
    assert seen(form) == 1
    form.padding = 1000
    webhook.clock.pass_(hours=1)
    assert job.look_again(url, named, timedelta(0))
    assert known(webhook)


def test_a_daily_look_that_finds_nothing_out_is_repeated_too(webhook, form, look):
    look()
    form.state = "busy"
    webhook.clock.pass_(days=1)
    look()
    remake(form)
    form.state = "open"
    webhook.clock.pass_(minutes=10)
    assert look()
    assert state(webhook) == (True, "mapping")


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
    until(lambda: known(webhook))
    form.questions[2] = Question("Colour", required=True, entries=[33])
    webhook.clock.pass_(minutes=10)
    for said in ("Party", "Blue"):
        webhook.phone().text(said)
    until(lambda: state(webhook) == (True, "mapping"))
    ((outcome,),) = webhook.rows("SELECT cause FROM outbox")
    assert outcome == "shown_again"


def test_a_look_that_outlasts_its_worker_leaves_no_trace(webhook, form, working, party):
    form.delay = 60
    stop = working()
    until(lambda: seen(form))
    before = webhook.rows("SELECT * FROM receiver_forms")
    stop()
    form.end_delay()
    wait_for_looks()
    assert webhook.rows("SELECT * FROM receiver_forms") == before
    assert state(webhook) == (False, None)
    webhook.clock.pass_(minutes=10)
    working()
    until(lambda: known(webhook))


def test_the_same_failure_is_logged_once(webhook, form, party, caplog):
    catalog = load_catalog(party.parent)
    ((url, named),) = group_by_form(catalog).items()
    job = WatchForms(webhook.app.database, True, lambda: catalog, webhook.clock)
    for form.state in ("busy", "busy", "open", "busy", "busy"):
        job.look_again(url, named, timedelta(0))
        webhook.clock.pass_(minutes=10)
    logged = [record for record in caplog.records if record.message == "form"]
    assert [each.fields["outcome"] for each in logged] == ["cannot be looked at: HTTP 429"] * 2


def test_a_failure_elsewhere_leads_to_no_look(webhook, form, party):
    scans = []
    catalog = load_catalog(party.parent)
    job = WatchForms(webhook.app.database, True, lambda: scans.append(1) or catalog, webhook.clock)
    for url in ("https://elsewhere.example/", form.url):
        job.run(webhook.clock())
        wait_for_looks()
        job.note_failure(url, "unconfirmed")
        job.run(webhook.clock())
        wait_for_looks()
    assert len(scans) == 2


@pytest.mark.parametrize("is_meanwhile_elsewhere", [False, True])
def test_a_refusal_counts_only_while_results_go_there(webhook, form, party, is_meanwhile_elsewhere):
    find_catalog = partial(load_catalog, party.parent)
    job = WatchForms(webhook.app.database, True, find_catalog, webhook.clock)

    def refuse(url: str) -> None:
        job.note_failure(url, "shown_again")
        job.run(webhook.clock())
        wait_for_looks()

    content = party.read_text("utf-8")
    refuse(form.url)
    webhook.clock.pass_(seconds=30)  # too early for another look
    if is_meanwhile_elsewhere:
        party.write_text(content.replace(form.url, f"{form.url}/elsewhere"), "utf-8")
    refuse(form.url)
    party.write_text(content, "utf-8")
    webhook.clock.pass_(minutes=5)
    refuse("http://127.0.0.1:9/forms/d/e/1FAIpQLSdOTHER/formResponse")
    assert seen(form) == (1 if is_meanwhile_elsewhere else 2)


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
        f" Run: form {form.page_url}",
        "    party.toml: results, fields, colour: entry.3 is not in the form: the question was"
        ' deleted or made anew. Map one of: "Colour" (entry.33).',
        "Everything is delivered.",
    ]
    assert "entry.3 is not in the form" in outbox(settings, "form", form.page_url, "--for=party")
    assert state(webhook) == (True, "mapping")
    party.write_text(party.read_text().replace("entry.3", "entry.33"))
    outbox(settings, "form", form.page_url)
    assert state(webhook) == (False, None)
    assert outbox(settings) == "Everything is delivered.\n"
    until(lambda: health(webhook)["forms"]["ok"])


def test_a_form_that_was_faulty_and_is_restored_has_not_changed(webhook, form, look, settings):
    look()
    questions = list(form.questions)
    remake(form)
    assert "is not accepted" in outbox(settings, "form", form.page_url, "--for=party")
    assert state(webhook) == (True, "mapping")
    form.questions = questions
    webhook.clock.pass_(days=1)
    look()
    assert state(webhook) == (False, None)


def test_no_questionnaire_hides_that_the_form_does_not_fit_another(
    webhook, form, look, settings, party
):
    content = party.read_text().replace('"Party"', '"Other"').replace("entry.3", "entry.4")
    (party.parent / "zoo.toml").write_text(content)
    look()
    assert f"Run: form {form.page_url}\n" in outbox(settings)
    said = outbox(settings, "form", form.page_url, "--for=party").splitlines()
    assert said[-2:] == [
        "party: all is well.",
        "The form is not accepted as it is now: it does not fit what zoo sends."
        f" Run: form {form.page_url}",
    ]
    assert state(webhook) == (False, "mapping")
    assert not health(webhook)["forms"]["ok"]
    assert "zoo.toml: results, fields, colour" in outbox(settings, "form", form.page_url)


def test_machines_read_that_a_form_has_changed_in_a_line_of_its_own(webhook, form, look, settings):
    look()
    remake(form)
    webhook.clock.pass_(days=1)
    look()
    text_and_deliver(webhook, settings)
    (line,) = outbox(settings, "outbox", "--json").splitlines()
    told = json.loads(line)
    assert told.pop("problems")[0].startswith("party.toml: results, fields, colour: entry.3 is not")
    assert told == {
        "form": form.url,
        "questionnaires": ["party"],
        "changed_at": "2026-11-21T12:00:00Z",
        "problem": "mapping",
    }


def test_health_names_a_changed_form_whatever_is_in_its_page(webhook, form, look):
    look()
    form.state = "closed"
    webhook.clock.pass_(days=1)
    look()
    webhook.app.database.write(
        lambda db: db.connection().exec_driver_sql("UPDATE receiver_forms SET page = '[]'")
    )
    until(lambda: health(webhook)["forms"]["questionnaires"] == ["party"])


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
                "UPDATE receiver_forms SET digest = x'ff', page = '[]'"
            )
        )
    assert text_and_deliver(webhook, settings) is None
