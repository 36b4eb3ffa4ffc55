from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from xml.etree import ElementTree

import pytest
from conftest import NUMBER, REY

from phone import new_sid


def reply_to(phone, text="Mats BBQ"):
    phone.text(text)
    (reply,) = phone.last.replies
    return reply


def to_message(reply, id):
    url, _, _ = reply.status_callback.partition("=")
    return replace(reply, status_callback=f"{url}={id}")


def recorded(webhook):
    return webhook.rows("SELECT direction, sid, status, error_code FROM messages ORDER BY id")


def test_a_reply_asks_for_its_status_in_both_of_twilios_ways(phone, webhook):
    reply_to(phone)
    (message,) = ElementTree.fromstring(phone.last.content)
    ((id,),) = webhook.rows("SELECT id FROM messages WHERE direction = 'outbound'")
    callback = f"{webhook.url}/status?message={id}"
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
    phones, together = [webhook.phone(), webhook.phone()], Barrier(2)

    def report(phone, reply, status):
        together.wait(10)
        return phone.report(reply, status)

    replies = [reply_to(webhook.phone(f"+1415555{guest:04}")) for guest in range(40)]
    with ThreadPoolExecutor(2) as pool:
        for reply in replies:
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


def test_a_reply_keeps_its_first_sid(phone, webhook):
    reply = reply_to(phone)
    phone.report(reply, "sent")
    phone.report(replace(reply, sid=new_sid()), "delivered")
    assert recorded(webhook)[1] == ("outbound", reply.sid, "delivered", None)


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
