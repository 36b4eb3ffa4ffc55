"""`GET /metrics`, and what the processes of a server count together."""

import ast
import hmac
import re
from collections.abc import Iterator
from contextlib import chdir
from multiprocessing import get_context

import psutil
import pytest
import requests
from browsing import Browser, one_database
from conftest import HERE, REY, STRANGER, until
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

import shared_counts
from commands.rehearse import running_server
from models.console import LOOK
from models.reports.metrics import NEWEST
from phone import Phone, TwilioError
from shared_counts import ANOTHER, BOUNDS, HOUR, MAX_CODES, REASONS, ROWS, SIGNATURE, SharedCounts

KEY = "0123456789abcdef" * 2
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
def served(serve):
    return serve(metrics_key=KEY)


def scrape(app) -> dict[tuple[str, str], float]:
    """Each sample by its name, without ours, and the value of its label."""
    answer = Browser(app).get("/metrics", **BEARER)
    assert answer.status == 200
    return samples(answer.body)


def samples(page: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name.removeprefix("smsconvo_"), "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


# The key #####################################################################


@one_database
@pytest.mark.parametrize(
    "given",
    ["", KEY, f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", "Bearer", f"Basic {KEY}", f"Bearer x{KEY}"],
)
def test_without_the_key_nothing_is_told(served, given):
    headers = {"Authorization": given} if given else {}
    answer = Browser(served.app).get("/metrics", **headers)
    assert (answer.status, answer.content) == (401, b"")


@one_database
def test_the_key_counts_in_the_header_only(served):
    browser = Browser(served.app)
    for path in (f"/metrics?key={KEY}", f"/metrics?{KEY}", f"/metrics?access_token={KEY}"):
        assert browser.get(path).status == 401
    assert browser.get(f"/metrics/{KEY}", **BEARER).status == 404
    browser.enter(LOOK)
    assert browser.get("/metrics").status == 401


@one_database
def test_without_the_setting_there_is_no_such_address(webhook):
    browser = Browser(webhook.app)
    for headers in (BEARER, {}, {"Authorization": "Bearer "}):
        assert browser.get("/metrics", **headers).status == 404


@one_database
def test_the_key_is_compared_in_constant_time(served, monkeypatch):
    compared = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *a: compared.append(a) or compare(*a))
    Browser(served.app).get("/metrics", Authorization="Bearer \u00e9")
    assert [key for _, key in compared] == [KEY.encode()]


@one_database
def test_prometheus_knows_the_type_and_nobody_keeps_it(served):
    headers = Browser(served.app).get("/metrics", **BEARER).headers
    assert headers["Content-Type"].startswith("text/plain; version=")
    assert headers["Cache-Control"] == "no-store"


# The figures #################################################################


def test_the_figures_are_those_of_the_database(served, questionnaires):
    rey, stranger = served.phone(REY), served.phone(STRANGER)
    for body in ("Mats BBQ", "Blue"):
        rey.text(body)
    rey.report(rey.last.replies[0], "undelivered", 30003)
    stranger.text("hello")
    stranger.report(stranger.last.replies[0], "failed", 30008)
    stranger.text("STOP")
    stranger.text("again")
    rey.text("Pizza")
    rey.report(rey.last.replies[0], "delivered")
    found = scrape(served.app)
    assert found["texts_undelivered_total", "0"] == 0
    for state, count in served.rows("SELECT state, count(*) FROM conversations GROUP BY state"):
        assert found["newest_conversations", state] == count
    ((texts,),) = served.rows("SELECT count(*) FROM messages WHERE direction = 'inbound'")
    assert found["texts_received_total", ""] == found["turn_seconds_count", ""] == texts == 6
    ((replies,),) = served.rows("SELECT count(*) FROM messages WHERE direction = 'outbound'")
    assert found["texts_sent_total", ""] == replies
    codes = served.rows("SELECT error_code, count(*) FROM messages GROUP BY error_code")
    assert {c: found["texts_undelivered_total", c] for c, _ in codes if c} == {
        code: count for code, count in codes if code
    }
    assert found["database_up", ""] == 1
    assert found["database_bytes", ""] > 50_000
    assert (("wal_bytes", "") in found) == served.app.settings.on_sqlite


def test_results_are_counted_by_state(serve, questionnaires):
    feedback = questionnaires / "feedback.toml"
    results = '\n[results]\nurl = "http://127.0.0.1:9/x"\n'
    feedback.write_text(feedback.read_text("utf-8") + results, "utf-8")
    served = serve(metrics_key=KEY)
    for sender in (REY, STRANGER):
        for body in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
            served.phone(sender).text(body)
    failed = text("UPDATE outbox SET state = 'failed' WHERE id = 1")
    served.app.database.write(lambda db: db.execute(failed))
    served.clock.pass_(seconds=90)
    found = scrape(served.app)
    for state in ("pending", "failed"):
        assert found["outbox_results", state] == 1
    assert found["outbox_results", "unconfirmed"] == 0
    assert found["outbox_oldest_pending_seconds", ""] == 90


@one_database
def test_refused_requests_are_counted_by_reason(served):
    phone = Phone(
        f"{served.app.settings.public_url}/sms",
        account_sid=served.app.settings.account_sid,
        auth_token="x" * 32,
        sender=REY,
        number="+14155550100",
    )
    with pytest.raises(TwilioError):
        phone.text("Mats BBQ")
    browser = Browser(served.app)
    browser.get("/none")
    browser.get("/sms")
    found = scrape(served.app)
    counted = {r: found["requests_refused_total", r] for r in REASONS}
    assert {reason: count for reason, count in counted.items() if count} == {
        SIGNATURE: 1,
        "404 Not Found": 1,
        "405 Method Not Allowed": 1,
    }


@one_database
def test_nothing_of_a_guest_is_in_a_label(served):
    marker = "Canary14158675308"
    phone = served.phone(f"+1{'5' * 10}")
    phone.text(marker)
    phone.report(phone.last.replies[0], "undelivered", 30003)
    browser = Browser(served.app)
    browser.get(f"/{marker}", Authorization=marker)
    page = browser.get("/metrics", **BEARER).body
    assert marker not in page and "5555" not in page and "Rey" not in page
    labels = set(re.findall(r"{(\w+)=", page))
    assert labels == {"version", "le", "code", "reason", "state"}


@one_database
def test_without_the_database_the_counts_are_told(served):
    served.phone().text("hello")
    served.app.database.write(lambda db: db.execute(text("ALTER TABLE outbox RENAME TO away")))
    found = scrape(served.app)
    assert found["database_up", ""] == 0
    assert found["texts_received_total", ""] == 1
    assert not any(name == "newest_conversations" for name, _ in found)


@one_database
def test_a_row_that_cannot_be_read_leaves_the_others(served):
    served.phone(REY).text("hello")
    for (name,) in served.rows("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        served.app.database.write(lambda db, name=name: db.execute(text(f"DROP TRIGGER {name}")))
    served.phone(STRANGER).text("STOP")
    served.app.database.write(
        lambda db: [
            db.execute(text("PRAGMA ignore_check_constraints = 1")),
            db.execute(text("UPDATE conversations SET state = x'ff' WHERE state = 'open'")),
        ]
    )
    assert scrape(served.app)["database_up", ""] == 1


@one_database
def test_only_the_newest_conversations_are_counted(served):
    served.phone().text("hello")
    columns = "questionnaire_id, event, unread, message_count, started_at, active_at, expires_at"
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)"
    copy = f"""INSERT INTO conversations (token, sender, number, state, {columns}) {numbers}
        SELECT 'token' || i, sender, '+1' || i, 'completed', {columns} FROM conversations, n"""
    served.app.database.write(lambda db: db.execute(text(copy), {"count": NEWEST}))
    found = scrape(served.app)
    assert found["newest_conversations", "completed"] == NEWEST
    assert found["newest_conversations", "open"] == 0


# The counts ##################################################################


def literal_reasons() -> Iterator[str]:
    """Each reason that the program gives in so many words."""
    for file in ("smsconvo.py", "plugins.py", "gateway/webhook.py", "console/access.py"):
        for node in ast.walk(ast.parse((HERE / file).read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED:
                if isinstance(node.args[1], ast.Constant):
                    yield node.args[1].value
            if isinstance(node, ast.FunctionDef) and node.name == "rejection_reason":
                for each in ast.walk(node):
                    if isinstance(each, ast.Return) and each.value.value:
                        yield each.value.value


RAISED = {"RequestRejected", "Refused", "LoggedError"}
# Said by Bottle, by `commands/admission.py`, and of errors that the log locates.
OTHERS = {
    "404 Not Found",
    "405 Method Not Allowed",
    "as many requests as may be are in flight, and none has ended lately",
    "the database did not answer",
    "smsconvo failed",
    ANOTHER,
}


def test_every_reason_has_a_count_and_no_count_is_without_one():
    assert set(REASONS) == {*literal_reasons(), *OTHERS}
    assert len(REASONS) == len(set(REASONS))


def test_what_a_stranger_could_make_up_is_another_reason():
    counts = SharedCounts()
    for number in range(100):
        counts.add_refused(f"OSError in x.py:{number}", 418)
    counts.add_refused("ValueError in x.py:1", 500)
    counts.add_refused("the database did not answer: x", 503)
    known = {reason: count for reason, count in counts.refused().items() if count}
    assert known == {ANOTHER: 100, "smsconvo failed": 1, "the database did not answer": 1}


def test_the_last_day_forgets_and_the_total_does_not(patch):
    counts, hours = SharedCounts(), []
    patch("shared_counts", "time", type("Clock", (), {"time": lambda: hours[-1] * HOUR + 1}))
    for hour in range(1000, 1050):
        hours.append(hour)
        counts.add_refused(SIGNATURE, 403)
        assert counts.refused_lately()[SIGNATURE] == min(hour - 999, 24)
    hours.append(1060)
    assert counts.refused_lately()[SIGNATURE] == 13
    hours.append(1100)
    assert counts.refused_lately().total() == 0
    assert counts.refused()[SIGNATURE] == 50


def test_codes_are_apart_until_there_are_too_many():
    counts = SharedCounts()
    for code in ("30003", "30003", None, "", "x", "٣", "9" * 10):
        counts.add_undelivered(code)
    assert counts.undelivered() == {30003: 2, 0: 5}
    for code in range(31000, 31100):
        counts.add_undelivered(str(code))
    found = counts.undelivered()
    assert found.total() == 107 and len(found) == MAX_CODES


def test_a_turn_is_counted_below_its_bound():
    counts = SharedCounts()
    for seconds in (0.0005, BOUNDS[1], 0.3, 16.0):
        counts.add_turn(seconds, has_reply=seconds < 1)
    expected = [0] * (len(BOUNDS) + 1)
    for place in (0, 1, BOUNDS.index(0.5), len(BOUNDS)):
        expected[place] += 1
    assert counts.turns().counts == expected
    assert counts.turns().seconds == pytest.approx(16.303)
    assert counts.replies == 3


@one_database
def test_the_buckets_of_turns_add_up(served):
    for seconds in (0.0005, 0.3, 0.4, 16.0):
        served.app.counts.add_turn(seconds, has_reply=True)
    found = scrape(served.app)
    buckets = [
        found["turn_seconds_bucket", each] for each in ("0.001", "0.25", "0.5", "15", "+Inf")
    ]
    assert buckets == [1, 1, 3, 3, 4]
    assert found["turn_seconds_sum", ""] == pytest.approx(16.7005)


def add(counts: SharedCounts, turns: int) -> None:
    for _ in range(turns):
        counts.add_turn(0.1, has_reply=True)
        counts.add_refused(SIGNATURE, 403)
        counts.add_undelivered("30003")
    counts.beat()


@pytest.mark.long
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_count_together_and_lose_nothing(method):
    counts, context = SharedCounts(), get_context(method)
    if method == "fork":
        counts.give_rows()
    assert counts.last_beat is None
    processes = [context.Process(target=add, args=(counts, 2000)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert sum(counts.turns().counts) == counts.replies == 6000
    assert counts.refused()[SIGNATURE] == counts.refused_lately()[SIGNATURE] == 6000
    assert counts.undelivered() == {0: 0, 30003: 6000}
    assert counts.last_beat
    assert sum(1 for cell in counts._column(shared_counts.REPLIES) if cell) == 3


def test_more_processes_than_rows_begin_again_with_what_was_counted():
    counts = SharedCounts()
    for _ in range(ROWS + 2):
        make, (cells, row, started_at) = counts.__reduce__()
        make(cells, row, started_at).add_turn(0.1, has_reply=True)
    assert counts.replies == ROWS + 2


def test_a_process_that_dies_takes_no_count_with_it(folder, environ):
    environ["SMSCONVO_METRICS_KEY"] = KEY
    url = environ["SMSCONVO_PUBLIC_URL"]

    def read() -> dict[tuple[str, str], float]:
        return samples(requests.get(f"{url}/metrics", headers=BEARER, timeout=10).text)

    def can_read() -> bool:
        try:
            return bool(read())
        except OSError:
            return False

    serving = running_server(environ, "http://127.0.0.1:9/x", options=["--workers=1"])
    with chdir(folder), serving as server:
        until(can_read)
        assert requests.get(f"{url}/nothing", timeout=10).status_code == 404
        until(lambda: ("worker_last_run_timestamp_seconds", "") in read())
        before = read()
        (child,) = psutil.Process(server.pid).children()
        child.kill()
        until(lambda: not can_read())
        until(can_read)
        after = read()
    for name in (("requests_refused_total", "404 Not Found"), ("start_time_seconds", "")):
        assert before[name] == after[name] != 0


# The page ####################################################################


@one_database
def test_health_shows_the_refused_requests_of_the_last_day(webhook, operator):
    page = operator.get("/console/health").body
    assert "None in the last day, since smsconvo was started." in page
    counts = webhook.app.counts
    for _ in range(3):
        counts.add_refused("404 Not Found", 404)
    counts.add_refused(SIGNATURE, 403)
    page = operator.get("/console/health").body
    assert page.index(f">{SIGNATURE}<") < page.index(">404 Not Found<")
    assert "SMSCONVO_PUBLIC_URL" in page
    counts.started_at -= 86401
    assert "since smsconvo was started" not in operator.get("/console/health").body


@one_database
def test_health_says_when_the_worker_has_stopped(webhook, operator, patch):
    assert "last run seconds ago unknown" in operator.get("/console/health").body
    webhook.app.counts.beat()
    health = f"{webhook.app.settings.public_url}/healthz"
    assert requests.get(health, timeout=10).json()["worker"]["ok"]
    patch("health", "MAX_WORKER_AGE", 0)
    told = requests.get(health, timeout=10).json()
    assert (told["status"], told["worker"]["ok"]) == ("degraded", False)
    assert "The worker has stopped" in operator.get("/console/health").body
