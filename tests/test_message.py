import logging
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from xml.etree import ElementTree

import pytest
from alembic import command
from conftest import NUMBER, REY, STRANGER, Webhook, migrations, mostly_on_sqlite, new_database

from phone import new_sid

pytestmark = mostly_on_sqlite


@pytest.fixture
def has_server() -> bool:
    return True  # what goes over the wire is what matters here


def reply_to(phone, text="Mats BBQ"):
    phone.text(text)
    (reply,) = phone.last.replies
    return reply


def to_message(reply, id):
    callback = re.sub("message=[0-9]+", f"message={id}", reply.status_callback)
    return replace(reply, status_callback=callback)


def without_token(reply):
    return replace(reply, status_callback=reply.status_callback.partition("&")[0])


def sent_to(webhook, reply):
    """The reply, whose status goes to another server now."""
    _, _, query = reply.status_callback.partition("?")
    return replace(reply, status_callback=f"{webhook.url}/status?{query}")


def recorded(webhook):
    return webhook.rows("SELECT direction, sid, status, error_code FROM messages ORDER BY id")


def test_a_reply_asks_for_its_status_in_both_of_twilios_ways(phone, webhook):
    reply_to(phone)
    (message,) = ElementTree.fromstring(phone.last.content)
    ((id, token),) = webhook.rows(
        "SELECT id, status_token FROM messages WHERE direction = 'outbound'"
    )
    assert re.fullmatch("[0-9a-f]{32}", token)
    callback = f"{webhook.url}/status?message={id}&token={token}"
    assert message.attrib == {"action": callback, "statusCallback": callback}


@pytest.mark.parametrize(
    "reports, status",
    [
        ("queued", "queued"),
        ("sent", "sent"),
        ("sent delivered", "delivered"),
        ("delivered sent", "delivered"),
        ("delivered queued sent delivered", "delivered"),
        ("delivered read", "read"),
        ("read sent delivered", "read"),
        ("sent undelivered sent", "undelivered"),
        ("failed queued", "failed"),
        ("delivered failed", "delivered"),
        ("accepted queued sending", "sending"),
        ("nonsense sent", "sent"),
        ("sent nonsense", "sent"),
    ],
)
def test_the_most_final_report_is_kept_in_whatever_order_they_come(phone, webhook, reports, status):
    reply = reply_to(phone)
    assert {phone.report(reply, report) for report in reports.split()} == {204}
    assert recorded(webhook)[1] == ("outbound", reply.sid, status, None)


def test_reports_that_come_at_the_same_moment_do_not_undo_each_other(webhook):
    together = Barrier(2)

    def report(phone, reply, status):
        together.wait(10)
        return phone.report(reply, status)

    with ThreadPoolExecutor(2) as pool:
        for guest in range(40):
            phones = [webhook.phone(f"+1415555{guest:04}") for _ in range(2)]
            reply = reply_to(phones[0])
            answers = pool.map(report, phones, [reply, reply], ["delivered", "sent"])
            assert list(answers) == [204, 204]
    sent = [row[2] for row in recorded(webhook) if row[0] == "outbound"]
    assert sent == ["delivered"] * 40


def test_a_failure_is_kept_with_its_code(phone, webhook):
    reply = reply_to(phone)
    for status, code in (("sent", None), ("undelivered", 30003), ("sent", None)):
        phone.report(reply, status, code)
    assert recorded(webhook)[1] == ("outbound", reply.sid, "undelivered", "30003")


def test_each_report_is_of_its_own_reply(phone, webhook):
    first, second = reply_to(phone), reply_to(phone, "Blue")
    phone.report(second, "delivered")
    phone.report(first, "failed", 30007)
    sent = [row[1:] for row in recorded(webhook) if row[0] == "outbound"]
    assert sent == [(first.sid, "failed", "30007"), (second.sid, "delivered", None)]


# What a report must agree with


@pytest.fixture
def outcomes(caplog, monkeypatch) -> Callable[[], list[str]]:
    """What the log says became of each report."""
    monkeypatch.setattr(logging.getLogger("smsconvo"), "propagate", True)
    caplog.set_level(logging.INFO, "smsconvo")
    return lambda: [
        record.fields["outcome"] for record in caplog.records if record.getMessage() == "status"
    ]


@pytest.fixture
def restored(serve, database_url, tmp_path, request) -> Callable[[], Webhook]:
    """A server on a backup, which was made before any text came."""
    if database_url.startswith("sqlite"):
        shutil.copy(tmp_path / "smsconvo.db", tmp_path / "backup.db")
        return lambda: serve(database_url=f"sqlite:///{tmp_path}/backup.db")
    backup = new_database(request.getfixturevalue("postgresql"), "migrated")
    return lambda: serve(database_url=backup)


@pytest.mark.parametrize("sender", [STRANGER, REY])
def test_a_report_from_before_a_restore_marks_no_other_message(phone, restored, outcomes, sender):
    lost = reply_to(phone)
    webhook = restored()
    kept = reply_to(webhook.phone(sender))
    assert phone.report(sent_to(webhook, lost), "undelivered", 30003) == 204
    assert recorded(webhook)[1] == ("outbound", None, None, None)
    assert webhook.phone(sender).report(kept, "delivered") == 204
    assert recorded(webhook)[1] == ("outbound", kept.sid, "delivered", None)
    assert outcomes() == ["unknown message", "recorded"]


@pytest.mark.parametrize(
    "sender, number", [(STRANGER, NUMBER), (REY, "+14155550199"), (f"whatsapp:{REY}", NUMBER)]
)
def test_a_report_must_be_about_a_message_between_the_same_two(webhook, phone, sender, number):
    reply = reply_to(phone)
    assert webhook.phone(sender, number).report(reply, "delivered") == 204
    assert recorded(webhook)[1] == ("outbound", None, None, None)


@pytest.mark.parametrize("sender", [f"whatsapp:{REY}", "72345", "rcs:mats_agent"])
def test_a_report_names_both_as_they_came(webhook, sender):
    phone = webhook.phone(sender)
    reply = reply_to(phone)
    assert phone.report(reply, "delivered") == 204
    assert recorded(webhook)[1] == ("outbound", reply.sid, "delivered", None)


def test_a_report_under_another_sid_changes_nothing(phone, webhook):
    reply = reply_to(phone)
    phone.report(reply, "sent")
    assert phone.report(replace(reply, sid=new_sid()), "delivered") == 204
    assert recorded(webhook)[1] == ("outbound", reply.sid, "sent", None)


def test_a_report_under_the_sid_of_another_message_changes_nothing(phone, webhook):
    first = reply_to(phone)
    text_sid = phone.last.sid
    second = reply_to(phone, "Blue")
    phone.report(first, "sent")
    before = recorded(webhook)
    for sid in (first.sid, text_sid):
        assert phone.report(replace(second, sid=sid), "delivered") == 204
    assert recorded(webhook) == before


@pytest.mark.parametrize("token", ["", "&token=", f"&token={'0' * 32}", "&token=%00", "&token=%FF"])
def test_a_report_without_the_token_of_its_reply_changes_nothing(phone, webhook, token):
    reply = without_token(reply_to(phone))
    reply = replace(reply, status_callback=f"{reply.status_callback}{token}")
    assert phone.report(reply, "delivered") == 204
    assert recorded(webhook)[1] == ("outbound", None, None, None)


def test_replies_of_the_version_before_tokens_are_reported_and_repeated_as_they_were(
    phone, webhook, database_url
):
    reply, sid = reply_to(phone), phone.last.sid
    webhook.app.database.engine.dispose()
    for step in (command.downgrade, command.upgrade):
        step(migrations(database_url), "0004" if step is command.downgrade else "head")
    old = without_token(reply)
    phone.text("Mats BBQ", sid=sid)
    (repeated,) = phone.last.replies
    assert repeated.status_callback == old.status_callback
    assert phone.report(reply, "failed") == 204
    assert recorded(webhook)[1] == ("outbound", None, None, None)
    assert phone.report(old, "delivered") == 204
    assert recorded(webhook)[1] == ("outbound", reply.sid, "delivered", None)


def test_a_repeated_text_asks_for_the_status_at_the_same_address(phone):
    first, sid = reply_to(phone), phone.last.sid
    phone.text("Mats BBQ", sid=sid)
    assert phone.last.replies[0].status_callback == first.status_callback


@pytest.mark.parametrize("id", [0, 999, 10**17, 1])
def test_a_report_of_what_is_no_reply_of_ours_changes_nothing(phone, webhook, id):
    reply = reply_to(phone)
    before = recorded(webhook)
    assert phone.report(to_message(reply, id), "delivered") == 204
    assert recorded(webhook) == before


@pytest.mark.parametrize("id, status", [("", "sent"), ("-1", "sent"), ("1e1", "sent"), ("2", "")])
def test_a_report_without_a_message_or_a_status_is_refused(phone, webhook, id, status):
    reply = reply_to(phone)
    before = recorded(webhook)
    assert phone.report(to_message(reply, id), status) == 403
    assert recorded(webhook) == before


def test_a_report_is_no_text(phone, webhook):
    phone.report(reply_to(phone), "delivered")
    texts = webhook.rows("SELECT sender, recipient FROM messages ORDER BY id")
    assert texts == [(REY, NUMBER), (NUMBER, REY)]
    assert webhook.rows("SELECT message_count FROM conversations") == [(1,)]
