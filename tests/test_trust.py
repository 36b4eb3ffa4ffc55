import base64
import hmac
import logging
import re
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest
from conftest import ACCOUNT_SID, AUTH_TOKEN, NUMBER, QUESTIONS, REY, mostly_on_sqlite

from gateway.webhook import FORM_TYPE
from logs import JsonFormatter
from phone import new_sid
from storage.base import Base

SID = "SM" + "0123456789abcdef" * 2
OTHER_TOKEN = "another-token-for-the-tests-of-smsconvo"
FIELDS = [
    ("AccountSid", ACCOUNT_SID),
    ("Body", "Blue"),
    ("From", REY),
    ("MessageSid", SID),
    ("To", NUMBER),
]


@pytest.fixture
def has_server() -> bool:
    return True  # what goes over the wire is what matters here


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("smsconvo"), "propagate", True)
    caplog.set_level(logging.INFO, "smsconvo")
    return caplog


def sign(url, fields, token=AUTH_TOKEN):
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


def post(webhook, fields=FIELDS, *, body=None, path="/sms", method="POST", headers=(), **signing):
    address = urlsplit(webhook.url)
    url = f"http://{address.netloc}{signing.pop('signed', path)}"
    body = urlencode(fields).encode() if body is None else body
    headers = {
        "Content-Type": FORM_TYPE,
        "Content-Length": str(len(body)),
        "X-Twilio-Signature": sign(url, fields, **signing),
    } | dict(headers)
    with closing(HTTPConnection(address.netloc, timeout=10)) as connection:
        connection.putrequest(method, path)
        for name, value in headers.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read()


def having(*fields):
    names = [name for name, _ in fields]
    return [field for field in FIELDS if field[0] not in names] + list(fields)


def without(name):
    return [field for field in FIELDS if field[0] != name]


def count_rows(webhook):
    tables = Base.metadata.tables
    return sum(webhook.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables)


def change(webhook, statement):
    webhook.app.database.write(lambda db: db.connection().exec_driver_sql(statement))


def one_line(log, *secrets):
    (record,) = log.records
    line = JsonFormatter().format(record)
    log.clear()
    for secret in (REY, REY[1:], NUMBER, "Blue", AUTH_TOKEN, OTHER_TOKEN, *secrets):
        assert secret not in line
    return record.fields


# Genuine


@pytest.mark.parametrize("text", ["Blue", "Zoë 🙂", " + %20 &=;\r\n", "日本", "\ufffd\u202e"])
@mostly_on_sqlite
def test_what_twilio_signed_is_taken_whatever_the_text(webhook, log, text):
    new = [("New", "b"), ("New", "a"), ("New", "b"), ("Ünknown", "")]
    status, answer = post(webhook, having(("Body", text), *new))
    assert (status, QUESTIONS[0] in answer.decode()) == (200, True)
    assert webhook.rows("SELECT body FROM messages WHERE direction = 'inbound'") == [(text,)]
    ((token,),) = webhook.rows("SELECT token FROM conversations")
    assert one_line(log, text or token, token) == {"sid": SID, "outcome": "open"}


@mostly_on_sqlite
@pytest.mark.parametrize("kind", [f"{FORM_TYPE}; charset=UTF-8", FORM_TYPE.upper()])
@pytest.mark.parametrize("headers", [{}, {"X-Forwarded-Host": "example.org"}])
def test_other_headers_do_not_matter(webhook, kind, headers):
    assert post(webhook, headers={"Content-Type": kind, **headers})[0] == 200


@mostly_on_sqlite
@pytest.mark.parametrize("token", [AUTH_TOKEN, OTHER_TOKEN])
def test_every_token_is_accepted_while_they_rotate(serve, token):
    assert post(serve(auth_tokens=(AUTH_TOKEN, OTHER_TOKEN)), token=token)[0] == 200


@mostly_on_sqlite
@pytest.mark.parametrize(
    "signed, status",
    [("/sms?a=%20b&c", 200), ("/sms", 403), ("/sms?a=+b&c", 403), ("/sms?a=%20b", 403)],
)
def test_the_query_is_part_of_the_signed_url_as_it_came(webhook, signed, status):
    assert post(webhook, path="/sms?a=%20b&c", signed=signed)[0] == status


@mostly_on_sqlite
@pytest.mark.parametrize("length, status", [(64 * 1024, 200), (64 * 1024 + 1, 413)])
def test_a_form_may_have_64_kib(webhook, length, status):
    room = length - len(urlencode([*FIELDS, ("New", "")]))
    assert post(webhook, [*FIELDS, ("New", "x" * room)])[0] == status


@mostly_on_sqlite
@pytest.mark.parametrize("fields, status", [(200, 200), (201, 400)])
def test_a_form_may_have_200_fields(webhook, fields, status):
    new = [(f"New{n}", "") for n in range(fields - len(FIELDS))]
    assert post(webhook, [*FIELDS, *new])[0] == status


@pytest.mark.parametrize(
    "sender", ["72345", "Mats & Co", "3Mobile", "whatsapp:+14158675308", "rcs:mats_agent"]
)
@mostly_on_sqlite
def test_every_kind_of_sender_is_taken(webhook, sender):
    assert post(webhook, having(("From", sender)))[0] == 200


@mostly_on_sqlite
def test_a_sender_may_be_called_like_a_field(webhook):
    assert post(webhook, [*having(("From", "CityBank")), ("FromCity", "")])[0] == 200


def test_a_genuine_report_gets_an_answer_without_content(webhook, log):
    fields = [*without("Body"), ("MessageStatus", "sent")]
    assert post(webhook, fields, path="/sms/status?message=1") == (204, b"")
    assert one_line(log) == {"sid": SID, "outcome": "unknown message"}
    assert count_rows(webhook) == 0


# Refused


@pytest.mark.parametrize("path", ["/sms", "/sms/status?message=1"])
@pytest.mark.parametrize(
    "signature", [None, "", "x", "x" * 28, "é", sign("", FIELDS), sign("", FIELDS) + "="]
)
@mostly_on_sqlite
def test_what_twilio_did_not_sign_is_refused(webhook, log, path, signature):
    fields = [*FIELDS, ("MessageStatus", "sent")]
    answer = post(webhook, fields, path=path, headers={"X-Twilio-Signature": signature})
    assert answer == (403, b"")
    assert one_line(log, SID) == {"status": 403, "why": "the signature does not match"}
    assert count_rows(webhook) == 0


@pytest.mark.parametrize(
    "fields",
    [
        having(("AccountSid", "AC" + "0" * 32)),
        without("AccountSid"),
        without("MessageSid"),
        *(
            having(("MessageSid", sid))
            for sid in (
                "",
                "SM1",
                f"{SID}0",
                f"{SID}\n",
                SID.upper(),
                f"XX{SID[2:]}",
                new_sid("CA"),
            )
        ),
        *(having((name, "")) for name in ("From", "To")),
        *(without(name) for name in ("From", "To")),
        *(having((name, f"{REY}{name}City")) for name in ("From", "To")),
        *(having(("From", sender)) for sender in ("CityPARIS", "72345FromZip", f"x:{REY}From")),
        having(("From", "ToFrom72345")),
        having(("To", "CityPARIS")),
        [*FIELDS, ("FromZip", f"94105MessageSid{SID}OriginalReplied")],
        [*FIELDS, ("MessageS", f"id{SID}x")],
        *([*FIELDS, field] for field in FIELDS),
        *([*FIELDS, (name, "")] for name, _ in FIELDS),
    ],
)
@mostly_on_sqlite
def test_signed_fields_that_are_not_a_text_to_us_are_refused(webhook, log, fields):
    assert post(webhook, fields) == (403, b"")
    assert one_line(log, SID)["status"] == 403
    assert count_rows(webhook) == 0


@mostly_on_sqlite
@pytest.mark.parametrize("status", ["", "sentRawDlrDoneDate2611201200", "Sent", None])
def test_a_report_without_a_status_is_refused(webhook, status):
    fields = [*without("Body"), ("MessageStatus", status)] if status is not None else FIELDS
    assert post(webhook, fields, path="/sms/status?message=1") == (403, b"")


REST = f"BlueFrom{REY}MessageSid{SID}To{NUMBER}"


@pytest.mark.parametrize(
    "fields",
    [
        [("AccountSid", ACCOUNT_SID), ("Body", REST)],
        [("AccountSid", ACCOUNT_SID), (f"Body{REST}", "")],
        [("AccountSid", f"{ACCOUNT_SID}Body{REST}")],
        [*FIELDS[:2], ("From", f"{REY}MessageSid{SID}"), ("To", NUMBER)],
        [*FIELDS[:4], (f"To{NUMBER}", "")],
    ],
)
@mostly_on_sqlite
def test_fields_cut_differently_under_the_same_signature_are_refused(webhook, fields):
    signature = sign(webhook.url, FIELDS)
    assert signature == sign(webhook.url, fields)
    assert post(webhook, fields, headers={"X-Twilio-Signature": signature}) == (403, b"")


@pytest.mark.parametrize(
    "status, options",
    [
        *((415, {"headers": {"Content-Type": kind}}) for kind in (None, "", "text/plain", "é")),
        (415, {"headers": {"Content-Type": "multipart/form-data; boundary=x"}}),
        (415, {"headers": {"Content-Type": "application/json"}, "body": b"{}"}),
        (413, {"headers": {"Content-Length": str(64 * 1024 + 1)}, "body": b""}),
        (413, {"headers": {"Content-Length": "9" * 30}, "body": b""}),
        *((411, {"headers": {"Content-Length": length}}) for length in (None, "-1", "1e3")),
        (411, {"headers": {"Content-Length": None, "Transfer-Encoding": "chunked"}}),
        (400, {"body": urlencode(FIELDS).encode() + b"&New=%ff"}),
        (400, {"body": urlencode(FIELDS).encode() + b"&New=%ed%a0%80"}),
        (400, {"body": urlencode(FIELDS).encode() + "&New=é".encode()}),
        (400, {"body": urlencode(FIELDS).encode() + b"&New"}),
        (400, {"body": urlencode(FIELDS).encode() + b"&&"}),
        (403, {"body": b""}),
        (405, {"method": "GET"}),
        (405, {"method": "PUT"}),
        (404, {"path": "/nothing"}),
        (404, {"path": "/sms/"}),
        (404, {"path": "/sm%ffs", "signed": "/sms"}),
    ],
)
@mostly_on_sqlite
def test_what_is_no_form_of_ours_is_refused(webhook, log, status, options):
    assert post(webhook, **options) == (status, b"")
    assert one_line(log, SID)["status"] == status
    assert count_rows(webhook) == 0


# Trouble


def test_a_database_that_fails_gives_503_and_nothing_away(webhook, log):
    change(webhook, "ALTER TABLE messages RENAME TO lost")
    assert post(webhook) == (503, b"")
    facts = one_line(log, SID, "INSERT", "SELECT")
    assert facts["status"] == 503
    assert facts["why"].startswith("the database did not answer: ")
    change(webhook, "ALTER TABLE lost RENAME TO messages")
    assert count_rows(webhook) == 0
    assert post(webhook)[0] == 200


def test_what_nobody_expected_gives_500_and_its_kind_and_place_only(webhook, log, patch):
    def fail_too(*_, **__):
        raise ArithmeticError(f"{REY} Blue")

    post(webhook)
    log.clear()
    broken = '{"title": "x", "nonsense": 1}'
    patch("models.set_aside", "set_aside", fail_too)
    patch("models.set_aside", "record_only", fail_too)
    change(webhook, f"UPDATE questionnaires SET definition = '{broken}'")
    before = count_rows(webhook)
    assert post(webhook, having(("MessageSid", new_sid()), ("Body", "Blue"))) == (500, b"")
    facts = one_line(log)
    assert facts["status"] == 500
    assert re.fullmatch(rf"ArithmeticError in {re.escape(__file__)}:[0-9]+", facts["why"])
    assert count_rows(webhook) == before
