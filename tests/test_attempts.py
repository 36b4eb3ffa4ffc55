"""Each attempt to deliver a result is kept, and what may have arrived waits for the operator."""

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from threading import Barrier

import pytest
from click.testing import CliRunner, Result
from conftest import FEEDBACK, STRANGER, THANKS, Webhook, mostly_on_sqlite
from sqlalchemy import select

from commands import cli
from models import Attempt, Delivery
from models.attempt import MAX_ANSWER
from models.delivery import MAY_HAVE_ARRIVED, PAUSING
from models.failures import CAUSES, MAX_DETAIL, effect_of
from models.outbox import confirm, redeliver
from storage.sqlite import sqlite3
from worker import receivers
from worker.http_client import RequestFailed, Response
from worker.receivers import Outcome, Sent
from worker.results import claim_due, release, run_attempt

pytestmark = mostly_on_sqlite

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
FIVE_MINUTES = timedelta(minutes=5)
LEFT = (
    "Left as they are, because they may have arrived: {}. Look for them at the receiver, then"
    " confirm or retry them by ID."
)
NASTY = "\x1b[2J\x9b31m\0\u202e\r\nWhat is\tyour name? "
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Form(receivers.Receiver):
    """A kind of receiver that says next what is in `outcomes`, and then that it has everything."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.sent: list[Sent] = []

    def classify_response(self, request: Sent, response: Response) -> Outcome:
        self.sent.append(request)
        return self.outcomes.pop(0) if self.outcomes else Outcome(response.status)


@pytest.fixture
def form(patch) -> Form:
    kind = Form()
    patch(receivers, "RECEIVERS", [kind])
    patch("models.google_form.address", "ignores_id", lambda url: True)
    return kind


@pytest.fixture
def owing(serve, questionnaires, receiver) -> Webhook:
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    webhook = serve()
    owe(webhook)
    return webhook


def owe(webhook: Webhook, sender: str | None = None) -> None:
    phone = webhook.phone(sender) if sender else webhook.phone()
    assert [phone.text(body) for body in TEXTS][-1] == [THANKS]


def attempt(webhook: Webhook) -> int:
    claimed = claim_due(webhook.app.database, webhook.clock(), 8)
    for delivery in claimed:
        run(webhook, delivery)
    return len(claimed)


def claim(webhook: Webhook) -> Delivery:
    (claimed,) = claim_due(webhook.app.database, webhook.clock(), 8)
    return claimed


def run(webhook: Webhook, claimed: Delivery) -> None:
    run_attempt(webhook.app.database, webhook.app.settings, claimed, webhook.clock)


def stop(webhook: Webhook, claimed: Delivery) -> None:
    """What the worker does about an attempt that takes too long when it is stopped."""
    write(webhook, lambda db: release(db, deliveries=[claimed], now=webhook.clock()))


def attempts(webhook: Webhook, id: int = 1) -> list[Attempt]:
    with webhook.app.database.read() as db:
        return Attempt.find_all(db, id)


def owed(webhook: Webhook, id: int = 1) -> Delivery:
    with webhook.app.database.read() as db:
        return db.scalars(select(Delivery).where(Delivery.id == id)).one()


def states(webhook: Webhook) -> list[str]:
    return [state for (state,) in webhook.rows("SELECT state FROM outbox ORDER BY id")]


def write(webhook: Webhook, work: Callable) -> object:
    return webhook.app.database.write(work)


def change(webhook: Webhook, statement: str) -> None:
    write(webhook, lambda db: db.connection().exec_driver_sql(statement))


def outbox(webhook: Webhook, *arguments: str) -> Result:
    environ = {"DATABASE_URL": webhook.app.settings.database_url}
    return CliRunner().invoke(cli, ["outbox", *arguments], env=environ)


def as_json(webhook: Webhook, *arguments: str) -> dict:
    ended = outbox(webhook, *arguments, "--json")
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


# A row for each ##############################################################


def test_each_attempt_that_has_ended_is_kept(owing, receiver, clock):
    receiver.answers = [(503, {}), (302, {"Location": "https://elsewhere.example/thanks?name=Rey"})]
    began = []
    for _ in range(3):
        began.append(clock())
        assert attempt(owing) == 1
        clock.pass_(minutes=6)
    kept = attempts(owing)
    assert [each.started_at for each in kept] == began
    assert [(each.status, each.cause, each.detail) for each in kept] == [
        (503, "http", None),
        (302, "redirect", "elsewhere.example"),
        (204, None, None),
    ]
    assert [each.outcome for each in kept][::2] == ["HTTP 503", "delivered"]
    assert kept[1].outcome.startswith("HTTP 302: it redirects, and redirects")
    assert "It may have taken the result. Once it waits for you, look for it" in kept[1].outcome
    assert kept[1].answer == "Location: https://elsewhere.example/thanks?name=Rey"
    assert all(0 <= each.duration_ms < 60_000 for each in kept)
    assert (owed(owing).state, owed(owing).cause, owed(owing).last_error) == (
        "delivered",
        None,
        None,
    )


def test_an_attempt_without_an_answer_is_kept_with_its_cause(owing, clock):
    change(owing, "UPDATE outbox SET url = 'http://nobody.invalid/'")
    attempt(owing)
    (kept,) = attempts(owing)
    assert (kept.status, kept.cause, kept.detail) == (None, "unknown_name", "nobody.invalid")
    assert owed(owing).cause == "unknown_name"
    assert owed(owing).last_error == "The name nobody.invalid is not known."


def test_what_can_never_be_sent_is_kept_too(owing):
    change(owing, "UPDATE outbox SET payload = '[]'")
    attempt(owing)
    assert [each.cause for each in attempts(owing)] == [owed(owing).cause] == ["invalid"]


def test_an_attempt_whose_lease_ran_out_is_kept_and_changes_nothing_else(owing, receiver, clock):
    (late,) = claim_due(owing.app.database, clock(), 8)
    clock.pass_(seconds=61)
    (newer,) = claim_due(owing.app.database, clock(), 8)
    receiver.answers = [(500, {})]
    run(owing, late)
    assert [each.outcome for each in attempts(owing)] == ["HTTP 500"]
    assert (owed(owing).state, owed(owing).leased_until) == ("pending", newer.leased_until)


def test_an_attempt_that_a_stop_cuts_short_is_kept_once(owing, clock):
    (claimed,) = claim_due(owing.app.database, clock(), 8)
    clock.pass_(seconds=2)
    for _ in range(2):  # as after a connection that was lost when all was committed
        write(owing, lambda db: release(db, deliveries=[claimed], now=clock()))
    (kept,) = attempts(owing)
    assert (kept.cause, kept.duration_ms) == ("interrupted", 2000)
    assert kept.started_at == clock() - timedelta(seconds=2)
    assert kept.outcome == owed(owing).last_error == "The worker was stopped during the attempt."


def test_an_attempt_is_kept_once_though_its_transaction_runs_twice(owing, clock):
    ended = Attempt.ended(1, clock(), timedelta(seconds=1), 500, "http")
    write(owing, ended.record)
    write(owing, ended.record)
    assert len(attempts(owing)) == 1
    clock.pass_(seconds=6)
    another = Attempt.ended(1, clock(), timedelta(seconds=1), 500, "http")
    write(owing, another.record)
    assert len(attempts(owing)) == 2


def test_an_attempt_whose_transaction_was_rolled_back_takes_nobody_elses_id(owing, clock):
    owe(owing, STRANGER)
    ended = Attempt.ended(1, clock(), timedelta(seconds=1), 500, "http")

    def fail(db) -> None:
        ended.record(db)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(owing, fail)
    write(owing, Attempt.ended(2, clock(), timedelta(seconds=1), 204).record)
    write(owing, ended.record)
    assert [(each.outbox_id, each.cause) for id in (1, 2) for each in attempts(owing, id)] == [
        (1, "http"),
        (2, None),
    ]


def test_a_result_that_is_erased_while_it_is_sent_leaves_nothing(owing, receiver, clock, caplog):
    (claimed,) = claim_due(owing.app.database, clock(), 8)
    change(owing, "DELETE FROM outbox")
    run_attempt(owing.app.database, owing.app.settings, claimed, clock)
    assert len(receiver.requests) == 1
    assert owing.rows("SELECT * FROM delivery_attempts") == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_attempts_are_erased_with_their_result(owing, receiver, form, clock):
    form.outcomes = [Outcome(200, "unconfirmed", answer="what a guest said")]
    attempt(owing)
    delete = "DELETE FROM outbox WHERE conversation_id = 1"
    if owing.app.database.engine.dialect.name == "sqlite":  # by hand, without foreign keys
        with closing(sqlite3.connect(owing.app.database.engine.url.database)) as shell, shell:
            shell.execute(delete)
    else:
        change(owing, delete)
    assert owing.rows("SELECT * FROM delivery_attempts") == []


@on_sqlite
def test_the_attempts_of_a_deleted_result_are_not_those_of_the_next(owing):
    attempt(owing)
    change(owing, "DROP TRIGGER erase_attempts")
    with closing(sqlite3.connect(owing.app.database.engine.url.database)) as shell, shell:
        shell.execute("DELETE FROM outbox")
    owe(owing, STRANGER)
    assert owing.rows("SELECT id FROM outbox") == [(2,)]


# What a cause leads to #######################################################


def test_a_result_that_is_refused_for_its_content_fails_at_once(owing, receiver, form, clock):
    detail = "Arrival is required, and was not sent."
    form.outcomes = [Outcome(200, "shown_again", detail)]
    assert attempt(owing) == 1
    row = owed(owing)
    assert (row.state, row.cause, row.attempts) == ("failed", "shown_again", 1)
    assert detail in row.last_error
    assert detail in outbox(owing).stdout
    clock.pass_(days=30)
    owe(owing, STRANGER)
    assert attempt(owing) == 1
    assert states(owing) == ["failed", "delivered"]


@pytest.mark.parametrize("cause", PAUSING)
def test_a_receiver_that_takes_nothing_gets_nothing_until_the_operator_retries(
    owing, receiver, form, clock, cause
):
    form.outcomes = [Outcome(302, cause)]
    attempt(owing)
    for sender in (STRANGER, "+14155550177"):
        owe(owing, sender)
    change(owing, "UPDATE outbox SET url = url || '?other' WHERE id = 3")
    clock.pass_(days=1)
    assert attempt(owing) == 1
    assert states(owing) == ["failed", "pending", "delivered"]
    _, _, paused = outbox(owing).stdout.splitlines()
    assert paused == f"2  pending, 0 attempts, paused, to {receiver.url}"
    assert outbox(owing, "retry", "2").stdout == "To be tried again now: 1.\n"
    clock.now = max(owed(owing, 1).next_attempt_at, owed(owing, 2).next_attempt_at)
    assert attempt(owing) == 2
    assert states(owing) == ["delivered"] * 3


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_a_sentence_and_an_effect(owing, form, cause):
    form.outcomes = [Outcome(200, cause, "{why}")]
    attempt(owing)
    row = owed(owing)
    state = {"retry": "pending", "confirm": "pending"}.get(effect_of(cause), "failed")
    assert (row.state, row.cause) == (state, cause)
    assert row.last_error == attempts(owing)[0].outcome == Outcome(200, cause, "{why}").error
    assert len(row.last_error) > 7
    assert ("{" in row.last_error) == ("{why}" in row.last_error)


def test_a_kind_of_receiver_gets_what_was_sent(owing, receiver, form):
    attempt(owing)
    (sent,) = form.sent
    assert (sent.url, sent.allow_private) == (receiver.url, True)
    assert sent.payload["Question1"] == "Blue"


def test_retry_after_counts_for_every_kind_of_receiver(owing, receiver, form, clock):
    form.outcomes = [Outcome(429, "http")]
    receiver.answers = [(429, {"Retry-After": "7200"})]
    attempt(owing)
    assert owed(owing).next_attempt_at == clock() + timedelta(hours=2)


# What may have arrived #######################################################


def test_what_may_have_arrived_is_tried_once_more_and_then_waits(owing, receiver, form, clock):
    form.outcomes = [Outcome(200, "unconfirmed", answer=f"<p>{n}") for n in range(2)]
    attempt(owing)
    due = owed(owing).next_attempt_at
    assert FIVE_MINUTES <= due - clock() <= FIVE_MINUTES * 1.1
    clock.now = due - timedelta(microseconds=1)
    assert attempt(owing) == 0
    clock.now = due
    assert attempt(owing) == 1
    row = owed(owing)
    assert (row.state, row.unconfirmed, row.next_attempt_at) == ("unconfirmed", 2, None)
    assert (row.cause, row.last_status) == ("unconfirmed", 200)
    clock.pass_(days=3650)
    assert attempt(owing) == 0
    assert [each.answer for each in attempts(owing)] == ["<p>0", "<p>1"]
    assert len(receiver.requests) == 2


def test_what_may_have_arrived_holds_up_no_other_result(owing, form, clock):
    form.outcomes = [Outcome(200, "unconfirmed")] * 2
    for _ in range(2):
        attempt(owing)
        clock.pass_(minutes=6)
    owe(owing, STRANGER)
    assert attempt(owing) == 1
    assert states(owing) == ["unconfirmed", "delivered"]


def test_what_is_recorded_the_second_time_is_delivered(owing, form, clock):
    form.outcomes = [Outcome(200, "unconfirmed")]
    attempt(owing)
    clock.pass_(minutes=6)
    attempt(owing)
    assert (owed(owing).state, owed(owing).last_error) == ("delivered", None)


def test_attempts_that_certainly_failed_do_not_count_as_unconfirmed(owing, receiver, form, clock):
    form.outcomes = [Outcome(200, "unconfirmed"), Outcome(500, "http"), Outcome(500, "http")]
    for _ in range(3):
        attempt(owing)
        clock.pass_(hours=1)
    assert (owed(owing).state, owed(owing).unconfirmed) == ("pending", 1)


def test_a_last_attempt_that_may_have_arrived_is_left_to_the_operator(owing, form, clock):
    form.outcomes = [Outcome(500, "http")] * 9 + [Outcome(200, "unconfirmed")]
    for _ in range(10):
        assert attempt(owing) == 1
        clock.pass_(days=2)
    assert states(owing) == ["unconfirmed"]


@pytest.mark.parametrize("error", [ZeroDivisionError(), RequestFailed("read_timeout", "15")])
def test_an_answer_that_cannot_be_classified_may_be_one_of_success(
    owing, patch, form, caplog, error
):
    def fail(*_: object) -> None:
        raise error

    patch(Form, "classify_response", fail)
    attempt(owing)
    assert (owed(owing).state, owed(owing).cause) == ("pending", "unconfirmed")
    (record,) = [record for record in caplog.records if record.message == "worker"]
    assert record.fields["outcome"].startswith(f"cannot classify: {type(error).__name__}")


def test_a_receiver_that_redirects_gets_a_result_twice_at_most(owing, receiver, clock):
    receiver.answers = [(302, {"Location": "https://elsewhere.example/thanks"})] * 9
    for _ in range(9):
        attempt(owing)
        clock.pass_(days=2)
    assert len(receiver.requests) == 2
    assert (owed(owing).state, owed(owing).cause) == ("unconfirmed", "redirect")
    assert "If it is there, confirm it; if not, set the address" in outbox(owing).stdout
    assert "elsewhere.example/thanks" in outbox(owing, "show", "1").stdout
    assert "elsewhere.example/thanks" not in outbox(owing).stdout


# What may have arrived is not forgotten #######################################

MAYBE = Outcome(200, "unconfirmed")


def crash(owing: Webhook, *_: object) -> None:
    claim(owing)
    owing.clock.pass_(minutes=2)


def cut_short(owing: Webhook, *_: object) -> None:
    stop(owing, claim(owing))
    owing.clock.pass_(minutes=2)


def leave_open(owing: Webhook, form: Form) -> None:
    form.outcomes = [MAYBE, *form.outcomes]
    attempt(owing)
    owing.clock.pass_(minutes=6)


def leaves_it(owing: Webhook) -> bool:
    """Whether a retry of all, and time, send nothing again."""
    before, sent = states(owing), len(owing.rows("SELECT id FROM delivery_attempts"))
    assert outbox(owing, "retry", "--all").stdout.splitlines()[-1] == LEFT.format(1)
    owing.clock.pass_(days=9)
    assert attempt(owing) == 0
    return (states(owing), len(owing.rows("SELECT id FROM delivery_attempts"))) == (before, sent)


@pytest.mark.parametrize("cause", ["shown_again", "closed"])
@pytest.mark.parametrize("first", [leave_open, crash, cut_short])
def test_what_may_have_arrived_once_never_fails(owing, form, first, cause):
    form.outcomes = [Outcome(200, cause)]
    first(owing, form)
    attempt(owing)
    assert (owed(owing).state, owed(owing).cause) == ("unconfirmed", cause)
    assert outbox(owing).stdout.endswith(f". {MAY_HAVE_ARRIVED}\n")
    assert leaves_it(owing)


@pytest.mark.parametrize("first", [leave_open, crash])
def test_it_never_fails_either_when_all_attempts_are_used_up(owing, form, first):
    form.outcomes = [Outcome(500, "http")] * 9
    first(owing, form)
    while attempt(owing):
        owing.clock.pass_(days=2)
    assert (owed(owing).state, owed(owing).cause, owed(owing).attempts) == (
        "unconfirmed",
        "http",
        10,
    )
    assert leaves_it(owing)


@pytest.mark.parametrize("first", [leave_open, lambda *_: None])
def test_it_never_fails_either_when_workers_stop_during_its_attempts(owing, form, first):
    first(owing, form)
    for _ in range(5):
        crash(owing)
    assert attempt(owing) == 0
    assert (owed(owing).state, owed(owing).cause) == ("unconfirmed", "crashed")
    assert leaves_it(owing)


def test_stops_never_make_a_result_wait_for_the_operator(owing, form):
    for _ in range(20):
        cut_short(owing)
    assert attempt(owing) == 1
    assert states(owing) == ["delivered"]


def test_what_waits_for_its_second_attempt_is_left_by_a_retry_of_all(owing, form, clock):
    form.outcomes = [MAYBE]
    attempt(owing)
    due = owed(owing).next_attempt_at
    owe(owing, STRANGER)
    said = outbox(owing, "retry", "--all").stdout.splitlines()
    assert said == ["To be tried again now: 1.", LEFT.format(1)]
    assert (owed(owing).next_attempt_at, owed(owing).state) == (due, "pending")
    assert outbox(owing, "retry", "1").stdout == "To be tried again now: 1.\n"
    assert owed(owing).next_attempt_at != due


@pytest.fixture
def paused(owing, receiver, form) -> Webhook:
    """A result may have arrived, and then its receiver took nothing more: two others are paused."""
    form.outcomes = [MAYBE, Outcome(200, "closed")]
    for _ in range(2):
        attempt(owing)
        owing.clock.pass_(minutes=6)
    for sender in (STRANGER, "+14155550177"):
        owe(owing, sender)
    assert attempt(owing) == 0
    assert outbox(owing).stdout.count(", paused, ") == 2
    return owing


@pytest.mark.parametrize("arguments", [["--all"], ["2", "3"]])
def test_a_retry_lifts_the_pause_and_leaves_what_may_have_arrived(paused, form, arguments):
    said = outbox(paused, "retry", *arguments).stdout.splitlines()
    assert said == ["To be tried again now: 2.", LEFT.format(1)]
    assert "takes no more" not in outbox(paused).stdout
    paused.clock.now = max(owed(paused, id).next_attempt_at for id in (2, 3))
    assert attempt(paused) == 2
    assert states(paused) == ["unconfirmed", "delivered", "delivered"]
    assert [each.cause for each in attempts(paused)] == ["unconfirmed", "closed"]


def test_a_retry_of_it_by_its_id_lifts_the_pause_too(paused, form):
    assert outbox(paused, "retry", "1").stdout == "To be tried again now: 1.\n"
    paused.clock.now = owed(paused).next_attempt_at
    assert attempt(paused) == 3
    assert states(paused) == ["delivered"] * 3


def test_confirm_says_that_a_receiver_gets_results_again(paused, receiver):
    lines = ["Confirmed: 1.", f"Results for {receiver.url} are sent again."]
    assert outbox(paused, "confirm", "1").stdout.splitlines() == lines
    assert attempt(paused) == 2


def test_confirm_says_nothing_while_another_result_pauses_its_receiver(paused, receiver):
    change(paused, "UPDATE outbox SET state = 'failed', cause = 'gone', next_attempt_at = NULL"
                   " WHERE id = 2")  # fmt: skip
    assert outbox(paused, "confirm", "1").stdout == "Confirmed: 1.\n"
    assert attempt(paused) == 0


# What has arrived ############################################################


def test_what_arrives_after_a_stop_is_delivered_and_one_attempt(owing, receiver, clock):
    claimed = claim(owing)
    clock.pass_(seconds=2)
    stop(owing, claimed)
    assert (owed(owing).state, owed(owing).attempts) == ("pending", 0)
    run(owing, claimed)
    (kept,) = attempts(owing)
    assert (kept.status, kept.cause, kept.outcome) == (204, None, "delivered")
    assert (owed(owing).state, owed(owing).attempts) == ("delivered", 1)
    clock.pass_(days=9)
    assert attempt(owing) == 0
    assert len(receiver.requests) == 1


def test_what_fails_after_a_stop_is_one_attempt_too_and_is_sent_again(owing, receiver, clock):
    claimed = claim(owing)
    stop(owing, claimed)
    receiver.answers = [(500, {})]
    run(owing, claimed)
    assert [each.cause for each in attempts(owing)] == ["http"]
    clock.pass_(minutes=1)
    assert attempt(owing) == 1
    assert [each.cause for each in attempts(owing)] == ["http", None]
    assert states(owing) == ["delivered"]


def test_what_arrives_after_it_was_claimed_again_is_delivered_whatever_comes_then(
    owing, receiver, clock
):
    late = claim(owing)
    clock.pass_(seconds=61)
    newer = claim(owing)
    run(owing, late)
    assert (owed(owing).state, owed(owing).attempts) == ("delivered", 2)
    receiver.answers = [(500, {})]
    run(owing, newer)
    assert (owed(owing).state, owed(owing).last_status) == ("delivered", 204)
    assert [each.cause for each in attempts(owing)] == [None, "http"]
    clock.pass_(days=9)
    assert attempt(owing) == 0


def give_up(owing: Webhook) -> None:
    for _ in range(4):
        crash(owing)
    assert attempt(owing) == 0


def retry_it(owing: Webhook) -> None:
    give_up(owing)
    write(owing, lambda db: redeliver(db, (1,), owing.clock()))


@pytest.mark.parametrize("meanwhile", [give_up, retry_it])
def test_what_arrives_after_the_result_was_given_up_is_delivered(owing, receiver, meanwhile):
    late = claim(owing)
    owing.clock.pass_(minutes=2)
    meanwhile(owing)
    run(owing, late)
    assert (owed(owing).state, owed(owing).last_error) == ("delivered", None)
    owing.clock.pass_(days=9)
    assert attempt(owing) == 0


def test_a_stop_at_the_moment_when_it_arrives_loses_nothing(owing, receiver, clock):
    for n in range(15):
        claimed = claim(owing)
        together = Barrier(2)

        def at_once(work: Callable, claimed=claimed, together=together) -> None:
            together.wait(20)
            work(owing, claimed)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(at_once, (stop, run)))
        assert [each.cause for each in attempts(owing, n + 1)] == [None]
        assert owed(owing, n + 1).state == "delivered"
        owe(owing, f"+1415555{n:04}")


# What strangers say ##########################################################


def test_of_an_answer_a_part_is_kept_that_every_database_takes(owing, form):
    said = "a\0" + "🍕" * MAX_ANSWER
    form.outcomes = [Outcome(200, "unconfirmed", answer=said)]
    attempt(owing)
    (kept,) = attempts(owing)
    assert kept.answer.startswith("a\ufffd🍕")
    assert MAX_ANSWER - 4 < len(kept.answer.encode()) <= MAX_ANSWER
    assert set(kept.answer[2:]) == {"🍕"}


def test_what_a_receiver_says_is_one_short_line_wherever_it_is_shown(owing, form, caplog):
    caplog.set_level(logging.INFO)
    form.outcomes = [Outcome(200, "shown_again", NASTY * 1000, answer=NASTY * 1000)]
    attempt(owing)
    (record,) = [record for record in caplog.records if record.message == "delivery"]
    told = record.fields["outcome"]
    assert record.fields["cause"] == "shown_again"
    assert "What is your name?" in told
    assert told == owed(owing).last_error == attempts(owing)[0].outcome
    assert told.isprintable() and len(told) < MAX_DETAIL + 200
    assert NASTY not in caplog.text


def test_what_was_kept_of_an_answer_moves_no_cursor(owing, form):
    form.outcomes = [Outcome(200, "unconfirmed", answer=f"<p>\n{NASTY}")]
    attempt(owing)
    change(owing, "UPDATE outbox SET last_error = 'a' || chr(27)" if is_pg(owing) else BELL)
    for arguments in ((), ("show", "1"), ("--json",), ("show", "1", "--json")):
        said = outbox(owing, *arguments).stdout
        assert set(said) - {"\n"} == {each for each in said if each.isprintable()}
    assert "    <p>\n    \\u001b[2J\\u009b31m\ufffd\\u202e\n" in outbox(owing, "show", "1").stdout
    assert (
        as_json(owing, "show", "1")["delivery_attempts"][0]["answer"] == attempts(owing)[0].answer
    )


BELL = "UPDATE outbox SET last_error = 'a' || char(27)"


def is_pg(webhook: Webhook) -> bool:
    return webhook.app.database.engine.dialect.name == "postgresql"


# What the operator sees and decides ##########################################


def fail_twice(owing: Webhook, form: Form) -> None:
    form.outcomes = [Outcome(200, "unconfirmed", answer="<b>Thanks?</b>\n<p>")] * 2
    for _ in range(2):
        attempt(owing)
        owing.clock.pass_(minutes=6)


def test_show_tells_all_of_a_result(owing, receiver, form):
    fail_twice(owing, form)
    first, second = attempts(owing)
    sentence = owed(owing).last_error
    lines = outbox(owing, "show", "1").stdout.splitlines()
    assert lines[:3] == [
        f"1  unconfirmed, 2 attempts, to {receiver.url}",
        f"    {sentence}",
        f"    {owed(owing).webhook_id}, of conversation 1, 2026-11-20 12:00:00 UTC",
    ]
    assert "Payload, as form:" in lines
    assert '      "Question2": "Pizza 🍕",' in lines
    for each in (first, second):
        took = f"{each.started_at:%Y-%m-%d %H:%M:%S} UTC, {each.duration_ms / 1000:.3f} s"
        assert f"    {took}: {sentence}" in lines
    assert lines[-3:] == [
        f"The answer at {second.started_at:%Y-%m-%d %H:%M:%S} UTC:",
        "    <b>Thanks?</b>",
        "    <p>",
    ]


def test_machines_read_the_same(owing, receiver, form):
    fail_twice(owing, form)
    listed = as_json(owing)
    told = as_json(owing, "show", "1")
    assert listed.items() <= told.items()
    assert (told["state"], told["cause"], told["attempts"]) == ("unconfirmed", "unconfirmed", 2)
    assert told["payload"]["Question1"] == "Blue"
    assert told["delivery_attempts"][1] == {
        "started_at": "2026-11-20T12:06:00Z",
        "duration_ms": attempts(owing)[1].duration_ms,
        "status": 200,
        "cause": "unconfirmed",
        "answer": "<b>Thanks?</b>\n<p>",
        "outcome": owed(owing).last_error,
    }


def test_a_list_for_machines_has_a_line_for_each(owing):
    owe(owing, STRANGER)
    lines = outbox(owing, "--json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2]
    attempt(owing)
    assert outbox(owing, "--json").stdout == ""


def test_show_knows_what_is_delivered(owing):
    attempt(owing)
    assert outbox(owing, "show", "1").stdout.startswith(
        "1  delivered, 1 attempts, at 2026-11-20 12:00:00 UTC, to "
    )


def test_show_of_what_is_not_there_says_so(owing):
    ended = outbox(owing, "show", "7")
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert "No result has the ID 7." in ended.stderr


def test_the_log_tells_what_to_do_as_outbox_does(owing, form, clock, caplog):
    caplog.set_level(logging.INFO)
    form.outcomes = [MAYBE, Outcome(500, "http")] + [Outcome(200, "shown_again")]
    while attempt(owing):
        clock.pass_(hours=1)
    told = [record.fields for record in caplog.records if record.message == "delivery"]
    assert [MAY_HAVE_ARRIVED in each["outcome"] for each in told] == [False, False, True]
    assert told[-1]["outcome"] == owed(owing).last_error


def test_what_was_said_of_a_result_is_over_when_it_is_retried(owing, receiver, clock):
    receiver.answers = [(410, {})]
    attempt(owing)
    assert "Nothing is sent there" in outbox(owing).stdout
    outbox(owing, "retry", "1")
    assert "Nothing is sent there" not in outbox(owing).stdout
    assert "Nothing is sent there" in outbox(owing, "show", "1").stdout


def test_what_is_confirmed_before_any_attempt_says_so(owing):
    outbox(owing, "confirm", "1")
    assert "1  delivered, 0 attempts, confirmed " in outbox(owing, "show", "1").stdout
    assert as_json(owing, "show", "1")["cause"] == "confirmed"


def test_a_result_that_the_operator_has_found_is_delivered(owing, form):
    fail_twice(owing, form)
    assert outbox(owing, "confirm", "1").stdout == "Confirmed: 1.\n"
    row = owed(owing)
    assert (row.state, row.next_attempt_at, row.leased_until) == ("delivered", None, None)
    assert row.delivered_at is not None
    owing.clock.pass_(days=3650)
    assert attempt(owing) == 0
    assert outbox(owing).stdout == "Everything is delivered.\n"
    assert "1  delivered, 2 attempts, confirmed " in outbox(owing, "show", "1").stdout


def test_confirm_names_what_is_not_owed(owing):
    owe(owing, STRANGER)
    attempt(owing)
    owe(owing, "+14155550177")
    ended = outbox(owing, "confirm", "1", "3", "9")
    assert ended.exit_code == 1
    assert "Not in the outbox, or delivered already: 1, 9." in ended.stderr
    assert states(owing) == ["delivered"] * 3


@pytest.mark.parametrize("arguments", [["confirm"], ["confirm", "one"], ["show"]])
def test_confirm_and_show_want_ids(arguments):
    assert CliRunner().invoke(cli, ["outbox", *arguments]).exit_code == 2


def test_an_attempt_in_flight_does_not_undo_what_the_operator_confirmed(owing, receiver, clock):
    (claimed,) = claim_due(owing.app.database, clock(), 8)
    assert write(owing, lambda db: confirm(db, [1], clock())) == [1]
    receiver.answers = [(500, {})]
    run_attempt(owing.app.database, owing.app.settings, claimed, clock)
    assert states(owing) == ["delivered"]
    assert [each.cause for each in attempts(owing)] == ["http"]


def test_a_result_that_may_have_arrived_starts_anew_when_retried(owing, form, clock):
    fail_twice(owing, form)
    assert outbox(owing, "retry", "1").stdout == "To be tried again now: 1.\n"
    row = owed(owing)
    assert (row.state, row.attempts, row.unconfirmed) == ("pending", 0, 0)
    clock.now = row.next_attempt_at
    fail_twice(owing, form)
    assert (owed(owing).state, len(attempts(owing))) == ("unconfirmed", 4)


def test_retry_of_all_leaves_what_may_have_arrived(owing, form, clock):
    fail_twice(owing, form)
    owe(owing, STRANGER)
    said = outbox(owing, "retry", "--all").stdout.splitlines()
    assert said == ["To be tried again now: 1.", LEFT.format(1)]
    assert states(owing) == ["unconfirmed", "pending"]


def test_what_waits_is_tried_again_at_once_if_retried(owing, form, clock):
    form.outcomes = [Outcome(200, "unconfirmed")]
    attempt(owing)
    write(owing, lambda db: redeliver(db, (1,), clock()))
    assert attempt(owing) == 1
    assert states(owing) == ["delivered"]


# Rows as operators leave them ################################################


@pytest.mark.parametrize("cause", ["nonsense", "", "{status}"])
def test_a_cause_that_nobody_knows_disturbs_nothing(owing, receiver, cause):
    receiver.answers = [(500, {})]
    attempt(owing)
    change(owing, f"UPDATE outbox SET cause = '{cause}', state = 'failed', next_attempt_at = NULL")
    change(owing, f"UPDATE delivery_attempts SET cause = '{cause}', detail = 'why'")
    owe(owing, STRANGER)
    assert attempt(owing) == 1
    assert states(owing) == ["failed", "delivered"]
    assert outbox(owing).stdout.splitlines()[1] == "    HTTP 500"
    assert outbox(owing, "show", "1").exit_code == as_json(owing, "show", "1")["id"] - 1 == 0


def test_show_gives_a_payload_as_somebody_has_written_it(owing):
    unchecked = "UPDATE outbox SET payload = 'No JSON'"
    if not is_pg(owing):
        change(owing, "DROP TRIGGER check_outbox")
    change(owing, unchecked)
    assert "Payload, as form:\n    No JSON\n" in outbox(owing, "show", "1").stdout


@on_sqlite
@pytest.mark.parametrize("cell", ["cause = x'ff'", "unconfirmed = 'two'"])
def test_a_cell_that_cannot_be_read_fails_its_result_only(owing, cell):
    owe(owing, STRANGER)
    change(owing, "DROP TRIGGER check_outbox")
    change(owing, f"UPDATE outbox SET {cell} WHERE id = 1")
    assert attempt(owing) == 1
    # A count that is none may have been of attempts that have arrived.
    assert states(owing) == ["unconfirmed" if "two" in cell else "failed", "delivered"]
    assert owed(owing).cause == "unreadable"
    assert "Look at it, then retry." in owed(owing).last_error
    assert outbox(owing, "retry", "1").exit_code == 0
    assert owed(owing).state == "pending"


@on_sqlite
def test_an_attempt_that_cannot_be_read_is_named_and_the_others_are_shown(owing, receiver, clock):
    receiver.answers = [(500, {})]
    for _ in range(2):
        attempt(owing)
        clock.pass_(minutes=1)
    change(owing, "DROP TRIGGER check_delivery_attempts")
    change(owing, "UPDATE delivery_attempts SET started_at = 'soon' WHERE id = 1")
    ended = outbox(owing, "show", "1")
    assert (ended.exit_code, ended.stdout.count(" s: ")) == (0, 1)
    assert "delivery_attempts 1: started_at is no time." in ended.stderr


@pytest.mark.parametrize(
    "cell",
    [
        "outbox SET unconfirmed = -1",
        "outbox SET state = 'lost'",
        "delivery_attempts SET duration_ms = -1",
        "delivery_attempts SET status = -1",
        "delivery_attempts SET started_at = 'then'",
        "delivery_attempts SET outbox_id = 99",
    ],
)
def test_the_database_refuses_what_it_can_check(owing, cell):
    attempt(owing)
    with pytest.raises(Exception, match=r"(?i)check|must be|may not change|invalid input|foreign"):
        change(owing, f"UPDATE {cell}")
