"""The page Outbox, and what operators do there and with conversations and people."""

import json
import re

import pytest
from browsing import Browser, evils, one_database, rows
from conftest import REY, STRANGER, Clock, Receiver, Webhook, mostly_on_sqlite
from owing import count, owe, owe_many
from sqlalchemy import text

from console import acting
from models import outbox
from models.acts.conversations import find_choices
from models.console import DO, LOOK, Operator
from models.delivery import LEASE
from models.failures import CAUSES
from models.outbox import MEANINGS, PAGE_SIZE
from models.reports import outbox as page
from models.reports.context import Query
from models.retry import MAX_COUNT
from smsconvo import App
from worker.results import claim_due, run_attempt

pytestmark = mostly_on_sqlite

PARTY = """
title = "Party"
event = "Party"
thanks = "Thanks."
[[questions]]
key = "who"
ask = "Who are you?"
[[questions]]
key = "meal"
ask = "What do you eat?"
[results]
url = "{url}"
partial = true
format = "{format}"
"""
CORPUS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{7*7}} % import os",
    "</pre></details><svg/onload=alert(1)>",
]
GONE, WELL = "https://closed.example/a?key=secret", "https://well.example/"


@pytest.fixture
def party(questionnaires, serve, receiver) -> Webhook:
    return serve_party(questionnaires, serve, receiver)


def serve_party(questionnaires, serve, receiver: Receiver, format: str = "form") -> Webhook:
    file = PARTY.format(url=receiver.url, format=format)
    (questionnaires / "party.toml").write_text(file, "utf-8")
    return serve()


@pytest.fixture
def host(party) -> Browser:
    return sign_in(party.app)


def sign_in(app: App, *role: str) -> Browser:
    browser = Browser(app)
    browser.enter(*role)
    return browser


def deliver(party: Webhook) -> None:
    app = party.app
    for delivery in claim_due(app.database, party.clock(), 16):
        run_attempt(app.database, app.settings, delivery, party.clock)


def change(app: App, statement: str) -> None:
    app.database.write(lambda db: db.execute(text(statement)))


def actions(app: App) -> list[tuple]:
    query = "SELECT action, table_name, row_id, details FROM operator_actions ORDER BY id"
    return [row for row in rows(app, query) if row[0] != "sign in" and "link" not in row[0]]


def answer_all(party: Webhook, sender: str = REY) -> None:
    for body in ("Party", "Rey", "Fish"):
        party.phone(sender).text(body)


def fail_for_good(party: Webhook, receiver: Receiver) -> None:
    """As a 410 does."""
    receiver.answers = [(410, {})]
    deliver(party)


# Acts on results #############################################################


def test_a_failed_result_that_is_retried_from_the_page_arrives(party, host, receiver):
    answer_all(party)
    fail_for_good(party, receiver)
    body = host.get("/console/outbox/1").body
    assert "It is not tried again until you retry it." in body
    assert "HTTP 410: it wants no more." in body
    assert "/console/outbox/1/retry" in body
    assert "Try this result again?" in host.get("/console/outbox/1/retry").body
    answer = host.post("/console/outbox/1/retry")
    assert answer.headers["Location"] == "/console/outbox/1?done=retry"
    assert "It is tried again now." in host.get("/console/outbox/1?done=retry").body
    deliver(party)
    assert len(receiver.requests) == 2
    assert receiver.requests[0][1] == receiver.requests[1][1]
    body = host.get("/console/outbox/1").body
    assert "It has arrived." in body
    assert "/console/outbox/1/retry" not in body
    assert actions(party.app) == [("retry", "outbox", 1, None)]


@one_database
def test_who_looks_sees_all_and_changes_nothing(party, host, receiver):
    answer_all(party)
    fail_for_good(party, receiver)
    looking = sign_in(party.app, LOOK)
    for path in ("/console/outbox", "/console/outbox/1"):
        assert (looking.get(path).status, host.get(path).status) == (200, 200)
        assert 'class="act"' not in looking.get(path).body
        assert 'class="act"' in host.get(path).body
    for name in ("retry", "retry-all", "confirm", "discard"):
        path = f"/console/outbox/1/{name}"
        assert (looking.get(path).status, looking.post(path, reason="x").status) == (403, 403)
    assert rows(party.app, "SELECT state FROM outbox") == [("failed",)]


ACTS = {"retry": {}, "confirm": {}, "discard": {"reason": "a test"}}


@one_database
@pytest.mark.parametrize("name", ACTS)
def test_an_act_that_is_posted_twice_is_done_once(party, host, receiver, name):
    answer_all(party)
    fail_for_good(party, receiver)
    path = f"/console/outbox/1/{name}"
    assert host.post(path, **ACTS[name]).status == 303
    before = rows(party.app, "SELECT * FROM outbox")
    answer = host.post(path, **ACTS[name])
    assert (answer.status, rows(party.app, "SELECT * FROM outbox")) == (409, before)
    assert len(actions(party.app)) == 1


@one_database
@pytest.mark.parametrize("name", [*ACTS, "retry-all"])
def test_what_has_arrived_is_left_as_it_is(party, host, name):
    answer_all(party)
    deliver(party)
    before = rows(party.app, "SELECT * FROM outbox")
    for answer in (host.get(f"/console/outbox/1/{name}"), host.post(f"/console/outbox/1/{name}")):
        assert answer.status == 409
    assert rows(party.app, "SELECT * FROM outbox") == before
    assert actions(party.app) == []


@one_database
def test_what_is_being_sent_is_neither_retried_nor_discarded(party, host, receiver):
    answer_all(party)
    claimed = claim_due(party.app.database, party.clock(), 16)
    for name in ("retry", "discard"):
        path = f"/console/outbox/1/{name}"
        for answer in (host.get(path), host.post(path, reason="x")):
            assert (answer.status, "just now" in answer.body) == (409, True)
    now = party.clock()  # nor if it was claimed after it was looked up
    assert not party.app.database.write(lambda db: outbox.discard(db, 1, "x", now))
    party.clock.pass_(seconds=LEASE.total_seconds() + 1)  # its worker has died
    assert host.post("/console/outbox/1/discard", reason="x").status == 303
    run_attempt(party.app.database, party.app.settings, claimed[0], party.clock)
    assert rows(party.app, "SELECT state FROM outbox") == [("delivered",)]  # for it has arrived


def test_a_discarded_result_is_not_sent_and_keeps_its_reason(party, host, receiver):
    answer_all(party)
    fail_for_good(party, receiver)
    assert host.post("/console/outbox/1/discard").status == 409  # without a reason
    answer = host.post("/console/outbox/1/discard", reason="The form is <closed>.")
    assert answer.headers["Location"] == "/console/outbox/1?done=discard"
    app = party.app
    assert app.health.checks()["outbox"]["failed"] == 0
    assert "Everything has arrived." in host.get("/console/outbox").body
    assert "Result 1" in host.get("/console/outbox?state=discarded").body
    body = host.get("/console/outbox/1").body
    assert "Discarded: The form is &lt;closed&gt;." in body
    party.clock.pass_(days=9)
    deliver(party)
    assert len(receiver.requests) == 1
    assert actions(app) == [("discard", "outbox", 1, "The form is <closed>.")]
    assert host.post("/console/outbox/1/retry").status == 303  # which takes it back
    deliver(party)
    assert rows(app, "SELECT state, last_error FROM outbox") == [("delivered", None)]
    assert actions(app)[0][3] == "The form is <closed>."


def test_retry_all_leaves_what_is_discarded(operator, webhook):
    app = webhook.app
    owe(app.database, [GONE] * 3)
    change(app, "UPDATE outbox SET state = 'failed', next_attempt_at = NULL")
    operator.post("/console/outbox/1/discard", reason="x")
    assert operator.post("/console/outbox/1/retry-all").status == 303
    # Nor if it was discarded after it was looked up.
    assert app.database.write(lambda db: outbox.redeliver_certain(db, [1], app.clock())) == []
    assert rows(app, "SELECT state FROM outbox ORDER BY id") == [
        ("discarded",),
        ("pending",),
        ("pending",),
    ]


def test_retry_all_takes_what_has_failed_at_that_receiver_and_nothing_else(operator, webhook):
    app = webhook.app
    owe(app.database, [GONE] * 6 + [WELL] * 2)
    later = "next_attempt_at = '2026-11-25 12:00:00+00:00'"
    change(app, f"UPDATE outbox SET {later}")
    ended = "next_attempt_at = NULL"
    change(app, f"UPDATE outbox SET state = 'failed', {ended}, cause = 'gone' WHERE id = 1")
    change(app, f"UPDATE outbox SET state = 'failed', {ended}, cause = 'http' WHERE id IN (2, 7)")
    change(app, f"UPDATE outbox SET state = 'unconfirmed', {ended}, cause = 'closed' WHERE id = 3")
    change(app, "UPDATE outbox SET unconfirmed = 1 WHERE id IN (3, 4)")
    change(app, f"UPDATE outbox SET state = 'delivered', {ended} WHERE id = 5")
    before = {id: row for id, *row in rows(app, "SELECT * FROM outbox")}
    body = operator.get("/console/outbox/4/retry-all").body
    assert "3 results are sent to closed.example now." in body
    answer = operator.post("/console/outbox/4/retry-all")
    assert answer.headers["Location"] == "/console/outbox?done=retry-all"
    after = {id: row for id, *row in rows(app, "SELECT * FROM outbox")}
    assert [id for id in sorted(before) if before[id] != after[id]] == [1, 2, 3, 6]
    now = "next_attempt_at = (SELECT max(acted_at) FROM operator_actions)"
    due = rows(app, f"SELECT id FROM outbox WHERE state = 'pending' AND {now} ORDER BY id")
    assert due == [(1,), (2,), (6,)]
    assert rows(app, "SELECT state, cause FROM outbox WHERE id = 3") == [
        ("unconfirmed", "unconfirmed")  # it pauses nothing any more
    ]
    assert operator.post("/console/outbox/4/retry-all").status == 409
    assert actions(app) == [("retry all", "outbox", 4, None)]


def test_retry_all_of_many_takes_slices_and_says_when_some_are_left(operator, webhook, patch):
    app = webhook.app
    total = 5 * PAGE_SIZE
    owe_many(app.database, total, GONE)
    owe_many(app.database, 20, WELL)
    change(app, "UPDATE outbox SET state = 'failed', next_attempt_at = NULL, cause = 'gone'")
    assert f"More than {MAX_COUNT} results" in operator.get("/console/outbox/1/retry-all").body
    patch(acting, "MAX_SECONDS", 0)
    answer = operator.post("/console/outbox/1/retry-all")
    assert answer.headers["Location"] == "/console/outbox/1/retry-all?done=partly"
    assert count(app.database, "state = 'pending'") == PAGE_SIZE
    body = operator.get("/console/outbox/1/retry-all?done=partly").body
    assert "press the button again" in body
    assert f"{total - PAGE_SIZE} results are sent" in body
    patch(acting, "MAX_SECONDS", 60)
    answer = operator.post("/console/outbox/1/retry-all")
    assert answer.headers["Location"] == "/console/outbox?done=retry-all"
    assert count(app.database, "state = 'pending'") == total
    assert count(app.database, "state = 'failed'") == 20
    assert len(actions(app)) == 2


@one_database
def test_failed_results_of_a_receiver_are_found_behind_those_of_others(operator, webhook, patch):
    app = webhook.app
    owe_many(app.database, 11 * PAGE_SIZE, WELL)
    owe(app.database, [GONE])
    change(app, "UPDATE outbox SET state = 'failed', next_attempt_at = NULL")
    last = 11 * PAGE_SIZE + 1
    patch("models.retry", "count_retriable", lambda *_: 0)  # as behind still more of them
    assert (
        "or has failed there, is sent now."
        in operator.get(f"/console/outbox/{last}/retry-all").body
    )
    assert operator.post(f"/console/outbox/{last}/retry-all").status == 303
    assert rows(app, "SELECT id FROM outbox WHERE state = 'pending'") == [(last,)]


@one_database
def test_one_that_pauses_its_receiver_says_what_else_follows(operator, webhook):
    app = webhook.app
    owe(app.database, [GONE] * 2)
    change(
        app,
        "UPDATE outbox SET state = 'failed', next_attempt_at = NULL, cause = 'gone' WHERE id = 1",
    )
    assert "Nothing is sent until you retry it" in operator.get("/console/outbox/2").body
    for name in ("confirm", "discard"):
        body = operator.get(f"/console/outbox/1/{name}").body
        assert "Other results for closed.example are sent again." in body
        assert "are sent again" not in operator.get(f"/console/outbox/2/{name}").body
    assert "Other results that wait" in operator.get("/console/outbox/2/retry").body
    assert operator.post("/console/outbox/2/retry").status == 303
    assert count(app.database, "state = 'pending'") == 2


@one_database
def test_confirmed_results_are_sent_no_more(operator, webhook):
    app = webhook.app
    owe(app.database, [GONE])
    change(app, "UPDATE outbox SET state = 'unconfirmed', unconfirmed = 2, next_attempt_at = NULL")
    assert "may have it twice" in operator.get("/console/outbox/1/retry").body
    answer = operator.post("/console/outbox/1/confirm")
    assert answer.headers["Location"] == "/console/outbox/1?done=confirm"
    assert rows(app, "SELECT state, cause FROM outbox") == [("delivered", "confirmed")]
    assert "by an operator’s word" in operator.get("/console/outbox/1").body
    assert actions(app) == [("confirm", "outbox", 1, None)]


# Pages #######################################################################


@one_database
def test_an_empty_outbox_says_when_something_appears(operator):
    assert "Everything has arrived." in operator.get("/console/outbox").body


@pytest.mark.parametrize("format", ["form", "json"])
def test_a_result_shows_what_is_sent_and_each_attempt(
    questionnaires, serve, receiver, clock, format
):
    party = serve_party(questionnaires, serve, receiver, format)
    answer_all(party)
    receiver.answers = [(500, {}), (200, {})]
    deliver(party)
    clock.pass_(minutes=10)
    deliver(party)
    body = sign_in(party.app).get("/console/outbox/1").body
    assert body.count('data-label="What happened"') == 2
    assert "HTTP 500" in body
    assert "Fish" in body
    assert (format == "form") == ("Fields of a form" in body)
    assert ("&quot;meal&quot;: &quot;Fish&quot;" in body) == (format == "json")


def fill(app: App) -> None:
    """Results in every state, for several receivers and causes."""
    urls = [GONE, WELL, "https://well.example/other"]
    owe(app.database, [urls[n % 3] for n in range(300)])
    states = ["pending", "failed", "unconfirmed", "delivered", "discarded"]
    for n, state in enumerate(states):
        time = "next_attempt_at" if state == "pending" else "NULL"
        change(
            app,
            f"UPDATE outbox SET state = '{state}', next_attempt_at = {time} WHERE id % 5 = {n}",
        )
    for n, cause in enumerate(["http", "tls", "shown_again"]):
        change(app, f"UPDATE outbox SET cause = '{cause}' WHERE id % 7 = {n} AND id % 5 < 3")


def listed(body: str) -> list[int]:
    return [int(id) for id in re.findall(r">Result (\d+)</a>", body)]


def all_listed(browser: Browser, path: str) -> list[int]:
    found = []
    while path:
        body = browser.get(path).body
        found += listed(body)
        assert len(listed(body)) <= page.ROWS
        older = body.partition('">Older</a>')[0].rpartition('href="')[2]
        path = older.replace("&amp;", "&") if '">Older</a>' in body else ""
    return found


FILTERS = {
    "": "state IN ('pending', 'failed', 'unconfirmed')",
    "?state=failed": "state = 'failed'",
    "?state=delivered": "state = 'delivered'",
    "?state=discarded": "state = 'discarded'",
    "?receiver=3": f"state IN ('pending', 'failed', 'unconfirmed') AND url = '{GONE}'",
    "?receiver=4&state=delivered": f"state = 'delivered' AND url = '{WELL}'",
    "?cause=tls": "cause = 'tls'",
    "?cause=none&state=pending": "cause IS NULL AND state = 'pending'",
    "?cause=tls&receiver=2&state=failed": "cause = 'tls' AND state = 'failed' AND id % 3 = 2",
    "?cause=nonsense": "id < 0",
    "?state=nonsense&receiver=x&before=-1": "state IN ('pending', 'failed', 'unconfirmed')",
}


@pytest.mark.parametrize("scanned", [page.SCANNED, 60])
def test_filters_list_what_sql_finds_page_by_page(webhook, operator, patch, scanned):
    patch(page, "SCANNED", scanned)
    page._listing.cache_clear()
    fill(webhook.app)
    change(webhook.app, f"UPDATE outbox SET url = '{GONE}' WHERE id = 3")
    change(webhook.app, f"UPDATE outbox SET url = '{WELL}' WHERE id = 4")
    for filters, condition in FILTERS.items():
        expected = rows(webhook.app, f"SELECT id FROM outbox WHERE {condition} ORDER BY id DESC")
        found = all_listed(operator, f"/console/outbox{filters}")
        assert found == [id for (id,) in expected], filters
    page._listing.cache_clear()


@one_database
@pytest.mark.parametrize("state", ["failed", "delivered"])
def test_a_row_that_cannot_be_read_hides_no_older_one(webhook, operator, patch, state):
    for name, size in (("ROWS", 5), ("SCANNED", 15)):
        patch(page, name, size)
    page._listing.cache_clear()
    owe(webhook.app.database, [WELL] * 21)
    change(webhook.app, f"UPDATE outbox SET state = '{state}', next_attempt_at = NULL")
    change(webhook.app, "DROP TRIGGER check_outbox")
    change(webhook.app, "UPDATE outbox SET created_at = 'soon' WHERE id IN (18, 12, 6)")
    found = all_listed(operator, f"/console/outbox?state={state}")
    assert found == [id for id in range(21, 0, -1) if id not in (18, 12, 6)]
    page._listing.cache_clear()


def test_chips_and_groups_count_what_sql_counts(webhook, operator):
    app = webhook.app
    fill(app)
    with app.database.report() as db:
        context = app.context(None, Query())
        found = page.find_outbox(db, context)
    chips = {chip.state: (chip.count, chip.is_more) for chip in found.chips}
    assert chips == {
        state: (number, False)
        for state, number in rows(app, "SELECT state, count(*) FROM outbox GROUP BY state")
    }
    groups = {
        (group.host + group.path, group.state, group.newest_id): group.count
        for group in found.groups
    }
    expected = rows(
        app,
        "SELECT url, state, max(id), count(*) FROM outbox"
        " WHERE state IN ('pending', 'failed', 'unconfirmed') GROUP BY url, state, cause",
    )
    assert groups == {
        (url.removeprefix("https://").partition("?")[0], state, id): number
        for url, state, id, number in expected
    }
    assert not found.is_partial


@one_database
def test_counts_are_bounded_and_say_so(webhook, operator, patch):
    owe_many(webhook.app.database, MAX_COUNT + 5, WELL)
    body = operator.get("/console/outbox").body
    assert f"more than {MAX_COUNT}" in body


@one_database
def test_the_secret_part_of_an_address_is_not_in_the_list(webhook, operator):
    owe(webhook.app.database, [GONE])
    assert "secret" not in operator.get("/console/outbox").body


@one_database
@pytest.mark.parametrize(
    "query",
    ["state=%FF", "receiver=9999", "before=9e9", f"before={'9' * 30}", "cause=%00", "x=" * 200],
)
def test_odd_filters_are_no_error(webhook, operator, query):
    owe(webhook.app.database, [GONE])
    assert operator.get(f"/console/outbox?{query}").status == 200


@one_database
def test_a_result_that_is_not_there_is_404(operator):
    for path in ("", "/retry", "/retry-all", "/confirm", "/discard"):
        assert operator.get(f"/console/outbox/7{path}").status == 404
    for path in ("threads/7/stop", "threads/7/complete", "people/7/opt-out", "people/7/opt-in"):
        assert operator.get(f"/console/{path}").status == 404
        assert operator.post(f"/console/{path}").status == 404


@one_database
def test_rows_that_cannot_be_read_break_no_page(webhook, operator):
    app = webhook.app
    owe(app.database, [WELL] * 4)
    change(app, "DROP TRIGGER check_outbox")
    change(app, "UPDATE outbox SET created_at = 'soon' WHERE id = 1")
    change(app, "UPDATE outbox SET url = CAST(x'FF' AS TEXT) WHERE id = 2")
    change(app, "UPDATE outbox SET payload = 'no JSON', format = 'json' WHERE id = 3")
    change(app, "UPDATE outbox SET created_at = 'x' WHERE id = 4")
    body = operator.get("/console/outbox").body
    assert listed(body) == [3]
    assert body.count("cannot be read: its") == 3
    for id in (1, 2, 4):
        assert "This row cannot be read." in operator.get(f"/console/outbox/{id}").body
        for name in ("retry", "retry-all", "confirm", "discard"):
            assert operator.get(f"/console/outbox/{id}/{name}").status == 409
    assert "no JSON" in operator.get("/console/outbox/3").body
    assert operator.get("/console/outbox?receiver=2").status == 200


@one_database
@pytest.mark.parametrize("evil", CORPUS)
def test_whatever_somebody_has_sent_is_shown_as_words(webhook, operator, evil):
    app = webhook.app
    owe(app.database, [WELL])
    values = {"evil": evil, "url": f"https://{evil}/", "now": app.clock()}

    def write(db) -> None:

        values["payload"] = json.dumps({evil: evil})
        db.execute(
            text(
                "UPDATE outbox SET url = :url, last_error = :evil, cause = :evil,"
                " webhook_id = :evil, payload = :payload, format = 'form', state = 'failed'"
            ),
            values,
        )
        db.execute(
            text(
                "INSERT INTO delivery_attempts (outbox_id, started_at, duration_ms, cause, detail,"
                " answer) VALUES (1, '2026-11-20T12:00:00.000000Z', 5, :evil, :evil, :evil)"
            ),
            values,
        )

    app.database.write(write)
    plain = evils(operator.get("/console/health").body)
    for path in ("", "?receiver=1", "/1", "/1/retry", "/1/retry-all", "/1/discard", "/1/confirm"):
        answer = operator.get(f"/console/outbox{path}")
        assert (answer.status, evils(answer.body)) == (200, plain), path


# Conversations and people ####################################################


def test_a_stopped_conversation_gets_nothing_more_and_sends_what_there_is(party, host, receiver):
    phone = party.phone()
    phone.text("Party")
    phone.text("Rey")
    body = host.get("/console/threads/1/stop").body
    assert (
        "Rey gets nothing more from it; the answer stays and is sent as a partial result." in body
    )
    answer = host.post("/console/threads/1/stop")
    assert answer.headers["Location"] == "/console/threads/1?done=stop"
    assert rows(party.app, "SELECT state, ended_at IS NULL FROM conversations") == [
        ("stopped", False)
    ]
    deliver(party)
    assert b"Rey" in receiver.requests[0][1]
    phone.text("Fish")
    assert rows(party.app, "SELECT count(*) FROM answers") == [(1,)]
    assert host.post("/console/threads/1/stop").status == 409
    other = party.phone(REY, "+14155550101")
    assert other.text("Party") == ["Who are you?"]  # nobody has opted out
    assert actions(party.app) == [("stop", "conversations", 1, None)]


@one_database
def test_what_a_stop_does_is_said_for_each_conversation(party, host):
    party.phone().text("Party")
    assert "nothing was answered in it." in host.get("/console/threads/1/stop").body
    host.post("/console/threads/1/stop")
    assert rows(party.app, "SELECT count(*) FROM outbox") == [(0,)]
    assert host.get("/console/threads/1/complete").status == 409


def test_a_conversation_is_completed_with_what_there_is(party, host, receiver):
    phone = party.phone()
    phone.text("Party")
    phone.text("Rey")
    body = host.get("/console/threads/1/complete").body
    assert "It counts as completed: the answer stays and is sent as its result." in body
    answer = host.post("/console/threads/1/complete")
    assert answer.headers["Location"] == "/console/threads/1?done=complete"
    assert rows(party.app, "SELECT state, asking FROM conversations") == [("completed", None)]
    deliver(party)
    assert b"completed" in receiver.requests[0][1] or b"Rey" in receiver.requests[0][1]
    for name in ("complete", "stop"):
        answer = host.post(f"/console/threads/1/{name}")
        assert answer.status == 409
    assert actions(party.app) == [("complete", "conversations", 1, None)]


@one_database
def test_one_that_has_expired_can_still_be_completed(party, host, clock: Clock):
    phone = party.phone()
    phone.text("Party")
    phone.text("Rey")
    clock.pass_(days=3)
    change(party.app, "UPDATE conversations SET state = 'expired', ended_at = expires_at")
    assert host.post("/console/threads/1/stop").status == 409
    assert host.post("/console/threads/1/complete").status == 303
    assert rows(party.app, "SELECT state FROM conversations") == [("completed",)]


def test_who_is_opted_out_by_hand_gets_no_reply_on_any_channel_until_that_is_undone(party, host):
    rey, other = party.phone(), party.phone(f"whatsapp:{REY}")
    rey.text("Party")
    rey.text("Rey")
    other.text("Party")
    body = host.get("/console/people/1/opt-out").body
    assert "The 2 open conversations are stopped." in body
    answer = host.post("/console/people/1/opt-out")
    assert answer.headers["Location"] == "/console/people/1?done=opt-out"
    app = party.app
    assert rows(app, "SELECT DISTINCT state FROM conversations") == [("stopped",)]
    assert rows(app, "SELECT count(*) FROM outbox") == [(1,)]
    assert (rey.text("Party"), other.text("Party")) == ([], [])
    assert host.post("/console/people/1/opt-out").status == 409
    assert host.post("/console/people/2/opt-in").status == 303  # all channels are the same person
    assert host.post("/console/people/1/opt-in").status == 409
    assert rey.text("Party") == ["Who are you?"]
    assert other.text("Party") == ["Who are you?"]
    assert actions(app) == [("opt out", "contacts", 1, None), ("opt in", "contacts", 2, None)]


@one_database
def test_who_is_opted_out_gets_nothing_though_a_conversation_cannot_be_ended(
    questionnaires, serve, receiver
):
    file = PARTY.format(url=receiver.url, format="form").replace('"who"', '"day"\nkind = "date"')
    mapped = '[results.fields]\nday = { name = "entry.1", as = "date" }\n'
    (questionnaires / "party.toml").write_text(file + mapped, "utf-8")
    webhook = serve()
    rey, other = webhook.phone(), webhook.phone(f"whatsapp:{REY}")
    for phone in (rey, other):
        phone.text("Party")
        phone.text("20 December 2026")
    app, host = webhook.app, sign_in(webhook.app)
    change(app, "UPDATE answers SET value = 'soon' WHERE conversation_id = 1")
    assert host.post("/console/people/1/opt-out").status == 303
    assert rows(app, "SELECT state FROM conversations ORDER BY id") == [("open",), ("stopped",)]
    assert rows(app, "SELECT count(*) FROM contacts WHERE opted_out_at IS NULL") == [(0,)]
    assert (rey.text("Fish"), other.text("Party")) == ([], [])
    assert "value is no date" in host.get("/console/health").body


@pytest.mark.parametrize("sender", [REY, f"whatsapp:{REY}"])
def test_who_texts_stop_after_an_operator_opted_them_out_has_opted_out_themselves(
    party, host, clock, sender
):
    phone, texting = party.phone(), party.phone(sender)
    phone.text("Party")
    texting.text("Party")
    host.post("/console/people/1/opt-out")
    clock.pass_(hours=1)
    texting.text("STOP")
    assert host.post("/console/people/1/opt-in").status == 409
    assert phone.text("Party") == []


def test_nobody_takes_back_what_somebody_has_texted(party, host):
    phone = party.phone()
    phone.text("Party")
    phone.text("STOP")
    for answer in (host.get("/console/people/1/opt-in"), host.post("/console/people/1/opt-in")):
        assert (answer.status, "themselves" in answer.body) == (409, True)
    assert rows(party.app, "SELECT opted_out_at IS NULL FROM contacts") == [(False,)]


@one_database
def test_who_looks_ends_nothing_and_opts_nobody_out(party):
    party.phone(STRANGER).text("Party")
    looking = sign_in(party.app, LOOK)
    for path in ("threads/1/stop", "threads/1/complete", "people/1/opt-out", "people/1/opt-in"):
        assert looking.get(f"/console/{path}").status == 403
        assert looking.post(f"/console/{path}").status == 403
    assert rows(party.app, "SELECT state FROM conversations") == [("open",)]


SECRET = "https://user:s3cret@hooks.example/T0/s3cret?key=s3cret"


@one_database
def test_who_looks_sees_of_a_receiver_its_host_alone(questionnaires, serve):
    file = PARTY.format(url=SECRET.replace("user:s3cret@", ""), format="json")
    (questionnaires / "party.toml").write_text(file, "utf-8")
    app = serve().app
    error = f"It redirects from {SECRET} to HTTPS://hooks.example/s3cret, and so on."
    owe(app.database, [SECRET, "hooks.example/s3cret"], state="failed", last_error=error)
    paths = ["outbox", "outbox/1", "outbox/2", "try/party", "files", "threads/1", "health", ""]
    for role, sees in ((LOOK, False), (DO, True)):
        bodies = {
            path: sign_in(app, role).get(f"/console/{path}".rstrip("/")).body for path in paths
        }
        shown = {path for path, body in bodies.items() if "s3cret" in body}
        assert shown == ({"", "outbox", "outbox/1", "outbox/2", "try/party"} if sees else set())
        assert all("hooks.example" in bodies[path] for path in ("outbox", "outbox/1", "try/party"))
        assert "and so on." in bodies["outbox/1"]


def test_what_pages_say_of_results_names_no_command():
    sentences = [f"{cause.sentence} {cause.advice}" for cause in CAUSES.values()]
    assert [each for each in [*sentences, *MEANINGS.values()] if "`" in each or "--" in each] == []


@one_database
def test_no_address_tells_of_what_was_not_done(party, host):
    words = "The conversation is stopped."
    for _ in range(2):
        party.phone().text("Party")
        party.phone(STRANGER).text("Party")
    path = "/console/threads/1?done=stop"
    assert words not in host.get(path).body
    assert host.post("/console/threads/1/stop").headers["Location"] == path
    assert words in host.get(path).body
    for other in ("threads/2?done=stop", "threads/1?done=complete", "outbox?done=partly"):
        assert 'class="notice"' not in host.get(f"/console/{other}").body, other
    assert words not in sign_in(party.app).get(path).body
    party.clock.pass_(minutes=2)
    assert words not in host.get(path).body


@one_database
def test_acts_on_rows_that_cannot_be_read_say_so(party, host):
    party.phone().text("Party")
    change(party.app, "DROP TRIGGER check_contacts")
    change(party.app, "DROP TRIGGER check_conversations")
    change(party.app, "UPDATE contacts SET opted_out_at = 'soon'")
    change(party.app, "UPDATE conversations SET asking = 'nothing'")
    for path in ("threads/1/stop", "threads/1/complete", "people/1/opt-out", "people/1/opt-in"):
        assert host.post(f"/console/{path}").status == 409
    assert actions(party.app) == []


@one_database
def test_a_thread_offers_what_can_be_done_with_it(party, host):
    party.phone().text("Party")
    assert labels(party.app) == ["Stop", "Mark as test", "Opt out"]
    party.phone().text("Rey")
    assert labels(party.app) == ["Stop", "Complete", "Mark as test", "Opt out"]
    host.post("/console/threads/1/complete")
    host.post("/console/people/1/opt-out")
    assert labels(party.app) == ["Mark as test", "Opt in again"]
    with party.app.database.read() as db:
        choices = find_choices(db, 1)
    for role, expected in ((DO, 1), (LOOK, 0)):
        operator = Operator("Ann", role)
        part = party.app.pages.render("acts", operator=operator, choices=choices)
        assert part.count('href="/console/people/1/opt-in"') == expected


def labels(app: App) -> list[str]:
    with app.database.read() as db:
        return [choice.label for choice in find_choices(db, 1)]
