import gzip
import json
import random
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from operator import attrgetter
from pathlib import Path
from threading import Barrier, Event, Thread
from urllib.parse import parse_qsl

import pytest
import requests
from conftest import (
    FEEDBACK,
    NUMBER,
    REY,
    STRANGER,
    THANKS,
    Receiver,
    Webhook,
    free_address,
    mostly_on_sqlite,
    until,
)
from http_server import on_the_air
from limits import cut
from proxies import tool
from sqlalchemy import select, text
from standardwebhooks import Webhook as StandardWebhook
from standardwebhooks import WebhookVerificationError

from models import Delivery
from models.delivery import MAX_IN_FLIGHT, MAX_PER_RECEIVER
from models.outbox import redeliver
from settings import Settings, __version__
from storage import connect
from worker import Worker, create_worker, http_client, results
from worker.http_client import (
    ATTEMPT_SECONDS,
    GET_SECONDS,
    MAX_BODY_BYTES,
    RequestFailed,
    Response,
)
from worker.pinned import is_permitted
from worker.receivers import Outcome
from worker.results import claim_due, run_attempt

pytestmark = mostly_on_sqlite

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
RESULT = {
    "From": REY,
    "Event": "Mats BBQ",
    "Question1": "Blue",
    "Question2": "Pizza 🍕",
    "Question3": "Cola",
    "Question4": "Yes",
}
# After the failed attempt of this place, from Standard Webhooks.
SCHEDULE = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    *(timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
]
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NO_ADDRESSES = ("", "http://", "example.org", "ftp://example.org/", "http://[::1")
NO_PAYLOADS = ("", "Blue", "[]", "null", '{"From": ')
BAD_TLS = "The certificate or the TLS connection is not valid."
BROKEN = "The connection was refused, or broke off before all was sent."
MAY_HAVE_IT = " The receiver may have it all the same. Each attempt has the same webhook-id."
UNREACHED = Outcome(None, "refused_connection")
MICROSECOND = timedelta(microseconds=1)
# So long that whoever waits in vain is told apart from whoever was only slow on a busy machine.
DRIP_SECONDS = PATIENCE_SECONDS = 60


def send_results(questionnaires, url: str, lines: str = "", name: str = "feedback") -> None:
    opened = f'event = "{name}"\n' if name != "feedback" else ""
    results = f'\n[results]\nurl = "{url}"\n{lines}'
    (questionnaires / f"{name}.toml").write_text(opened + FEEDBACK + results, "utf-8")


def complete(phone, texts=TEXTS) -> list[str]:
    return [phone.text(said) for said in texts][-1]


def attempt(webhook: Webhook) -> int:
    claimed = claim_due(webhook.app.database, webhook.clock(), 8)
    for delivery in claimed:
        run_attempt(webhook.app.database, webhook.app.settings, delivery, webhook.clock)
    return len(claimed)


def owed(webhook: Webhook) -> Delivery:
    with webhook.app.database.read() as db:
        return db.scalars(select(Delivery)).one()


def owe_more(webhook: Webhook, count: int) -> None:
    def work(db) -> None:
        (one,) = db.scalars(select(Delivery))
        copied = {"conversation_id": one.conversation_id, "url": one.url, "payload": one.payload}
        times = {"created_at": one.created_at, "next_attempt_at": one.next_attempt_at}
        for _ in range(count):
            Delivery(format="form", **copied, **times).insert(db)

    webhook.app.database.write(work)


def fields(receiver: Receiver) -> list[tuple[str, str]]:
    ((_, body),) = receiver.requests
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True)


def change(webhook: Webhook, statement: str) -> None:
    """As an operator does by hand."""
    webhook.app.database.write(lambda db: db.connection().exec_driver_sql(statement))


# One that no database knows, to post only.
def a_delivery(url: str) -> Delivery:
    return Delivery(webhook_id="msg_1", url=url, format="form", payload="{}", attempts=1)


def post(delivery: Delivery, **settings) -> Outcome:
    settings.setdefault("allow_private_receivers", True)
    return results.attempt(delivery, Settings(**settings), datetime.now(UTC))


@pytest.fixture
def completed(serve, questionnaires, receiver) -> Webhook:
    send_results(questionnaires, receiver.url)
    webhook = serve()
    assert complete(webhook.phone()) == [THANKS]
    return webhook


# `answering(behave)` is the address of a receiver that need not be well-behaved: when the whole
# request is there, `behave(connection, over)` has its connection, until the test is over.
@pytest.fixture
def answering() -> Iterator[Callable]:
    over = Event()
    with ExitStack() as servers:

        def start(behave: Callable, port: int = 0) -> str:
            class Handler(BaseHTTPRequestHandler):
                def do_POST(self) -> None:
                    self.rfile.read(int(self.headers["Content-Length"]))
                    with suppress(OSError):
                        behave(self.connection, over)

                def do_GET(self) -> None:
                    behave(self.connection, over)

            server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
            servers.enter_context(on_the_air(server))
            return f"http://127.0.0.1:{server.server_port}/results"

        yield start
        over.set()


def drip(beginning: bytes) -> Callable:
    def behave(connection: socket.socket, over: Event) -> None:
        connection.sendall(beginning)
        for _ in range(50 * DRIP_SECONDS):
            if over.wait(0.02):
                break
            connection.sendall(b"a")

    return behave


def say(answer: bytes) -> Callable:
    return lambda connection, over: connection.sendall(answer)


def hang(connection: socket.socket, over: Event) -> None:
    over.wait()


@contextmanager
def sending(webhook: Webhook) -> Iterator[Worker]:
    worker = create_worker(
        webhook.app.database, webhook.app.settings, webhook.clock, webhook.app.result_written
    )
    thread = Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        webhook.app.result_written.set()  # or it would notice at its next look
        thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


# What is sent ################################################################


def test_a_finished_conversation_is_posted_as_a_form(completed, receiver):
    assert attempt(completed) == 1
    assert fields(receiver) == list(RESULT.items())


def test_each_of_several_choices_is_a_field_and_what_was_skipped_is_none(
    serve, questionnaires, receiver
):
    (questionnaires / "party.toml").write_text(
        'title = "Party"\nevent = "Party"\nthanks = "Bye"\n'
        '[[questions]]\nask = "Which?"\nkind = "choice"\nmany = true\nchoices = ["A", "B", "C"]\n'
        '[[questions]]\nask = "More?"\noptional = true\n'
        f'[results]\nurl = "{receiver.url}"\nfields = {{ Question1 = "entry.1" }}\n',
        "utf-8",
    )
    webhook = serve()
    for said in ("Party", "c, 1", "skip"):
        webhook.phone().text(said)
    attempt(webhook)
    expected = [("From", REY), ("Event", "Party"), ("entry.1", "A"), ("entry.1", "C")]
    assert fields(receiver) == expected


def test_answers_are_sent_exactly_as_they_were_texted(serve, questionnaires, receiver):
    said = ("a=b&c;d%26+e", "&", " two\r\nlines\n 🍕 ", "ünï “quoted” {name} 👩‍👩‍👧")
    send_results(questionnaires, receiver.url)
    webhook = serve()
    complete(webhook.phone(), ("Mats & Co = BBQ 🎉", *said))
    attempt(webhook)
    expected = [REY, "Mats & Co = BBQ 🎉", *(text.strip() for text in said)]
    assert fields(receiver) == list(zip(RESULT, expected, strict=True))


def test_names_that_the_receiver_has_go_in_place_of_ours(serve, questionnaires, receiver):
    names = {
        "From": "entry.1001",
        "Event": "entry.1002",
        "Question1": "entry.1003",
        "Question4": "Film & fun",
    }
    lines = "[results.fields]\n" + "".join(f'{our} = "{one}"\n' for our, one in names.items())
    send_results(questionnaires, receiver.url, lines)
    webhook = serve()
    complete(webhook.phone())
    attempt(webhook)
    assert fields(receiver) == [(names.get(name, name), said) for name, said in RESULT.items()]


def test_json_tells_the_whole_event(serve, questionnaires, receiver, clock):
    send_results(questionnaires, receiver.url, 'format = "json"\n')
    webhook = serve()
    for said in TEXTS:
        webhook.phone().text(said)
        clock.pass_(minutes=1)
    attempt(webhook)
    ((headers, body),) = receiver.requests
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == {
        "type": "conversation.completed",
        "timestamp": "2026-11-20T12:04:00Z",
        "data": {
            "conversation": 1,
            "from": REY,
            "to": NUMBER,
            "name": "Rey",
            "event": "Mats BBQ",
            "questionnaire": "feedback",
            "started_at": "2026-11-20T12:00:00Z",
            "completed_at": "2026-11-20T12:04:00Z",
            "answers": {name: RESULT[name] for name in list(RESULT)[2:]},
        },
    }


def test_every_attempt_has_the_same_id_and_body(completed, receiver, clock):
    receiver.answers = [(500, {}), (502, {})]
    for _ in range(3):
        assert attempt(completed) == 1
        clock.pass_(minutes=6)
    assert len({body for _, body in receiver.requests}) == 1
    (webhook_id,) = {headers["webhook-id"] for headers, _ in receiver.requests}
    assert webhook_id == owed(completed).webhook_id
    assert webhook_id.startswith("msg_")


def test_two_results_have_ids_of_their_own(completed, receiver):
    complete(completed.phone(STRANGER))
    attempt(completed)
    assert len({headers["webhook-id"] for headers, _ in receiver.requests}) == 2


def test_headers_say_what_comes_and_from_whom(completed, receiver):
    attempt(completed)
    ((headers, _),) = receiver.requests
    assert headers["Content-Type"] == "application/x-www-form-urlencoded; charset=utf-8"
    assert headers["User-Agent"] == f"smsconvo/{__version__}"
    assert headers["Accept"] == "*/*"


def test_proxies_and_passwords_of_the_environment_are_not_used(receiver, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert post(a_delivery(receiver.url)) == Outcome(204)
    assert "Authorization" not in receiver.requests[0][0]


# Whose it is, and where it may go ############################################

SECRETS = ("whsec_" + "c21z" * 8, "whsec_" + "Y29u" * 16)


def one_json(serve, questionnaires, receiver, **settings) -> Webhook:
    send_results(questionnaires, receiver.url, 'format = "json"')
    webhook = serve(**settings)
    complete(webhook.phone())
    return webhook


@pytest.mark.parametrize("secret", SECRETS)
def test_json_is_signed_with_every_secret(serve, questionnaires, receiver, clock, secret):
    clock.now = datetime.now(UTC)  # who verifies refuses what is old
    attempt(one_json(serve, questionnaires, receiver, webhook_secrets=SECRETS))
    ((headers, body),) = receiver.requests
    told = StandardWebhook(secret).verify(body, headers)
    assert told["data"]["answers"]["Question1"] == "Blue"
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(secret).verify(body.replace(b"Blue", b"Red"), headers)
    with pytest.raises(WebhookVerificationError):
        StandardWebhook("whsec_" + "AAAA" * 8).verify(body, headers)


def test_every_attempt_is_signed_for_its_own_time(serve, questionnaires, receiver, clock):
    webhook = one_json(serve, questionnaires, receiver, webhook_secrets=SECRETS[:1])
    receiver.answers = [(500, {})]
    times = []
    for _ in range(2):
        times.append(str(int(clock().timestamp())))
        attempt(webhook)
        clock.pass_(minutes=1)
    (first, _), (second, _) = receiver.requests
    assert [one["webhook-timestamp"] for one in (first, second)] == times
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]


def test_without_a_secret_json_is_not_signed(serve, questionnaires, receiver):
    attempt(one_json(serve, questionnaires, receiver))
    ((headers, _),) = receiver.requests
    assert "webhook-signature" not in headers
    assert "webhook-timestamp" in headers


NEVER = [
    *("169.254.169.254", "169.254.0.1", "[fe80::1]", "100.100.100.200", "168.63.129.16"),
    *("[fd00:ec2::254]", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::]"),
    *(
        "0.0.0.0",
        "[::]",
        "224.0.0.1",
        "[ff02::1]",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
    ),
]
PRIVATE = [
    *("127.0.0.1", "localhost", "[::1]", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1"),
    *("[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:10.1.2.3]", "[64:ff9b::7f00:1]", "2130706433"),
    *("127.1", "0x7f.1"),
]


@pytest.mark.parametrize("host", NEVER)
@pytest.mark.parametrize("allowed", [True, False])
def test_results_never_go_to_where_a_machine_keeps_its_secrets(host, allowed):
    outcome = post(a_delivery(f"http://{host}:9/"), allow_private_receivers=allowed)
    assert "is one that results never go to." in outcome.error


@pytest.mark.parametrize("host", PRIVATE)
def test_results_go_to_private_addresses_only_if_that_is_allowed(host):
    refused = post(a_delivery(f"http://{host}:9/"), allow_private_receivers=False)
    assert "is private." in refused.error
    assert "SMSCONVO_ALLOW_PRIVATE_RECEIVERS=1" in refused.error
    reached = post(a_delivery(f"http://{host}:9/")).error if "127" in host else ""
    assert "private" not in reached


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888", "64:ff9b::808:808"])
def test_public_addresses_are_permitted(address):
    assert is_permitted(ip_address(address), allow_private=False)


def test_the_address_that_was_judged_is_the_one_that_is_reached(receiver, monkeypatch):
    """A name server that says something else the second time leads nowhere else."""
    look_up, asked = socket.getaddrinfo, []

    def rebind(name, *args, **kwargs):
        if name == "results.example":
            asked.append(name)
            name = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return look_up(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    url = receiver.url.replace("127.0.0.1", "results.example")
    assert post(a_delivery(url)) == Outcome(204)
    ((headers, _),) = receiver.requests
    assert headers["Host"].startswith("results.example:")
    assert len(asked) == 1


def test_a_name_with_a_good_address_beside_a_bad_one_is_reached_at_the_good_one(
    receiver, monkeypatch
):
    look_up = socket.getaddrinfo

    def answer(name, port, *args, **kwargs):
        addresses = ["169.254.169.254", "127.0.0.1"] if name == "results.example" else [name]
        return [one for each in addresses for one in look_up(each, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    url = receiver.url.replace("127.0.0.1", "results.example")
    assert post(a_delivery(url)) == Outcome(204)


def test_few_addresses_of_a_name_are_tried(monkeypatch):
    look_up, tried = socket.getaddrinfo, []

    def answer(name, port, *args, **kwargs):
        if name == "results.example":
            addresses = [f"127.0.0.{n}" for n in range(1, 21)]
            return [one for each in addresses for one in look_up(each, port, *args, **kwargs)]
        tried.append(name)
        return look_up(name, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert post(a_delivery("http://results.example:9/")) == UNREACHED
    assert tried == ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"]


def test_tls_asks_for_the_name_and_not_for_the_address():
    asked = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _, name, __: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection, suppress(OSError):
                context.wrap_socket(connection, server_side=True)

        thread = Thread(target=greet)
        thread.start()
        outcome = post(a_delivery(f"https://localhost:{server.getsockname()[1]}/"))
        thread.join()
    assert asked == ["localhost"]
    assert outcome.error == BAD_TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A file with a key, and a certificate for results.example that is its own authority."""
    file = tmp_path_factory.mktemp("certificate") / "results.example.pem"
    name = ("-subj", "/CN=results.example", "-addext", "subjectAltName=DNS:results.example")
    command = (tool("openssl", "openssl"), "req", "-x509", "-nodes", *name)
    subprocess.run([*command, "-keyout", file, "-out", f"{file}.crt"], check=True, timeout=30)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@pytest.mark.parametrize(
    ("host", "is_trusted", "outcome"),
    [
        ("results.example", True, Outcome(204)),
        ("results.example", False, Outcome(None, "tls")),
        ("other.example", True, Outcome(None, "tls")),
        ("127.0.0.1", True, Outcome(None, "tls")),
    ],
)
def test_a_certificate_must_be_for_the_name_and_from_somebody_trusted(
    certificate, monkeypatch, host, is_trusted, outcome
):
    look_up = socket.getaddrinfo
    if is_trusted:
        monkeypatch.setattr(requests.adapters, "DEFAULT_CA_BUNDLE_PATH", str(certificate))
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda _, *args, **kwargs: look_up("127.0.0.1", *args, **kwargs)
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server = context.wrap_socket(server, server_side=True)

        def accept() -> None:
            with suppress(OSError), server.accept()[0] as connection:
                connection.recv(1 << 16)
                connection.sendall(NO_CONTENT)

        thread = Thread(target=accept)
        thread.start()
        url = f"https://{host}:{server.getsockname()[1]}/"
        assert post(a_delivery(url)) == outcome
        thread.join()
        server.close()


def test_a_name_that_nobody_knows_is_told_so():
    outcome = post(a_delivery("http://nobody.invalid/"))
    assert outcome.error == "The name nobody.invalid is not known."


# What counts as delivered ####################################################


@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 226, 299])
def test_a_2xx_is_a_delivery(receiver, status):
    receiver.answers = [(status, {})]
    assert post(a_delivery(receiver.url)) == Outcome(status)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504])
def test_an_error_is_not_a_delivery(receiver, status):
    receiver.answers = [(status, {})]
    assert post(a_delivery(receiver.url)) == Outcome(status, "http")


def test_a_receiver_that_is_gone_gets_nothing_until_the_operator_retries(
    completed, receiver, clock
):
    owe_more(completed, 2)
    receiver.answers = [(410, {})]
    (first,) = claim_due(completed.app.database, clock(), 1)
    run_attempt(completed.app.database, completed.app.settings, first, clock)
    assert completed.rows("SELECT state, last_status FROM outbox WHERE id = 1") == [("failed", 410)]
    clock.pass_(days=30)
    assert attempt(completed) == 0

    completed.app.database.write(lambda db: redeliver(db, (1, 3), clock()))
    assert attempt(completed) == 3
    assert completed.rows("SELECT DISTINCT state FROM outbox") == [("delivered",)]


def test_one_receiver_that_is_gone_stops_no_other(
    serve, questionnaires, receiver, answering, clock
):
    send_results(questionnaires, answering(say(b"HTTP/1.1 410 Gone\r\n\r\n")), name="gone")
    send_results(questionnaires, receiver.url)
    webhook = serve()
    complete(webhook.phone(), ("gone", *TEXTS[1:]))
    assert attempt(webhook) == 1
    complete(webhook.phone(STRANGER))
    assert attempt(webhook) == 1
    states = webhook.rows("SELECT state FROM outbox ORDER BY id")
    assert states == [("failed",), ("delivered",)]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed_and_not_a_delivery(receiver, status):
    receiver.answers = [(status, {"Location": receiver.url})]
    outcome = post(a_delivery(receiver.url))
    assert outcome == Outcome(status, "redirect", "127.0.0.1", answer=f"Location: {receiver.url}")
    assert outcome.error.startswith(
        f"HTTP {status}: it redirects, and redirects are not followed. It may have taken the result"
    )
    assert len(receiver.requests) == 1


def test_a_delivered_result_is_kept_and_never_sent_again(completed, receiver, clock):
    clock.pass_(seconds=3)
    attempt(completed)
    delivery = owed(completed)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("delivered", 1, 204)
    assert delivery.delivered_at == clock()
    assert (delivery.next_attempt_at, delivery.leased_until) == (None, None)
    clock.pass_(days=400)
    assert attempt(completed) == 0
    assert len(receiver.requests) == 1


def test_a_receiver_that_comes_back_gets_the_result(serve, questionnaires, answering, clock):
    address = free_address()
    send_results(questionnaires, f"http://{address}/results")
    webhook = serve()
    complete(webhook.phone())
    attempt(webhook)
    delivery = owed(webhook)
    assert (delivery.state, delivery.last_status, delivery.last_error) == ("pending", None, BROKEN)
    answering(say(OK), int(address.rpartition(":")[2]))
    clock.pass_(seconds=6)
    attempt(webhook)
    delivery = owed(webhook)
    assert (delivery.state, delivery.attempts, delivery.last_error) == ("delivered", 2, None)


def test_a_failure_is_kept_for_the_operator(completed, receiver):
    receiver.answers = [(503, {})]
    attempt(completed)
    delivery = owed(completed)
    assert (delivery.state, delivery.last_status, delivery.last_error) == (
        "pending",
        503,
        "HTTP 503",
    )
    assert delivery.leased_until is None


def test_a_text_after_the_thank_you_posts_nothing_more(completed, receiver, clock):
    attempt(completed)
    for said in ("Yes", "Mats BBQ", ""):
        assert completed.phone().text(said) == []
    clock.pass_(hours=1)
    assert attempt(completed) == 0
    assert owed(completed).state == "delivered"
    assert len(receiver.requests) == 1


# When it is tried again ######################################################


def test_a_receiver_that_stays_down_is_tried_ten_times_in_75_hours(completed, receiver, clock):
    receiver.answers = [(500, {})] * 10
    began = clock()
    for delay in SCHEDULE:
        assert attempt(completed) == 1
        due = owed(completed).next_attempt_at
        assert delay <= due - clock() <= delay * 1.1
        clock.now = due - MICROSECOND
        assert attempt(completed) == 0
        clock.now = due
    assert attempt(completed) == 1
    assert clock() - began >= timedelta(hours=75, minutes=35)
    given_up = owed(completed)
    assert (given_up.state, given_up.attempts, given_up.next_attempt_at) == ("failed", 10, None)
    assert (given_up.last_status, given_up.last_error) == (500, "HTTP 500")
    clock.pass_(days=3650)
    assert attempt(completed) == 0
    assert len(receiver.requests) == 10
    assert owed(completed).payload == given_up.payload


@pytest.mark.parametrize(("attempts", "delay"), list(enumerate(SCHEDULE, 1)))
def test_a_delay_is_up_to_a_tenth_longer_and_never_shorter(attempts, delay):
    random.seed(1)
    now = datetime(2026, 11, 20, tzinfo=UTC)
    waits = set()
    for _ in range(200):
        delivery = Delivery(attempts=attempts, state="pending")
        delivery.fail("http", now, 500)
        waits.add((delivery.next_attempt_at - now) / delay)
    assert 1 <= min(waits) < 1.02
    assert 1.08 < max(waits) <= 1.1


def test_retry_after_puts_the_next_attempt_off(completed, receiver, clock):
    receiver.answers = [(429, {"Retry-After": "7200"})]
    attempt(completed)
    assert owed(completed).next_attempt_at == clock() + timedelta(hours=2)


# How long the first failure puts the next attempt off, with this Retry-After.
def wait_after(receiver: Receiver, header: str) -> timedelta:
    receiver.answers = [(503, {"Retry-After": header})]
    delivery = a_delivery(receiver.url)
    outcome = post(delivery)
    now = datetime.now(UTC)
    delivery.fail(outcome.cause, now, outcome.status, retry_after=outcome.retry_after)
    return delivery.next_attempt_at - now


def test_retry_after_may_be_a_date(receiver):
    wait = wait_after(
        receiver, format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    )
    assert timedelta(hours=2) - timedelta(seconds=10) < wait <= timedelta(hours=2)


@pytest.mark.parametrize("header", ["86401", "999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_retry_after_counts_for_a_day_at_most(receiver, header):
    assert wait_after(receiver, header) == timedelta(hours=24)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "0",
        "1",
        "soon",
        "-7200",
        "7200.5",
        "7200 s",
        "²",
        "Fri, 31 Dec 1999 23:59:59 GMT",
        "Fri, 31 Dec 2999 23:59:59",
        "Fri, 99 Dec 2999 23:59:59 GMT",
        "Fri, 31 Dec 2999 23:59:59 +99999999999",
        ", , ,",
        "(",
    ],
)
def test_retry_after_that_says_nothing_changes_nothing(receiver, header):
    wait = wait_after(receiver, header)
    assert timedelta(seconds=5) <= wait <= timedelta(seconds=5.5)


# Leases ######################################################################


def claim(webhook: Webhook) -> list[Delivery]:
    return claim_due(webhook.app.database, webhook.clock(), 8)


def test_a_claimed_delivery_is_not_claimed_twice_until_its_lease_runs_out(completed, clock):
    (first,) = claim(completed)
    assert first.leased_until == clock() + timedelta(seconds=60)
    assert claim(completed) == []
    clock.now = first.leased_until - MICROSECOND
    assert claim(completed) == []
    clock.now = first.leased_until
    (second,) = claim(completed)
    assert (second.id, second.attempts) == (first.id, 2)


def test_a_lease_is_longer_than_an_attempt_may_last(completed, clock):
    (claimed,) = claim(completed)
    assert claimed.leased_until - clock() > timedelta(seconds=ATTEMPT_SECONDS + GET_SECONDS)


@pytest.mark.parametrize("late_answer", [410, 500])
def test_a_sender_whose_lease_ran_out_changes_nothing(completed, receiver, clock, late_answer):
    (late,) = claim(completed)
    clock.pass_(seconds=61)
    (newer,) = claim(completed)
    receiver.answers = [(late_answer, {})]
    run_attempt(completed.app.database, completed.app.settings, late, clock)
    row = owed(completed)
    assert (row.state, row.attempts, row.last_status) == ("pending", 2, None)
    assert row.leased_until == newer.leased_until
    run_attempt(completed.app.database, completed.app.settings, newer, clock)
    assert owed(completed).state == "delivered"


def test_a_result_that_stops_its_sender_is_set_aside(completed, receiver, clock):
    for count in range(1, 6):
        (claimed,) = claim(completed)
        assert claimed.attempts == count
        clock.pass_(seconds=60)
    assert claim(completed) == []
    row = owed(completed)
    assert (row.state, row.attempts) == ("failed", 5)
    assert row.last_error.startswith("The worker stopped during each of 5 attempts")
    assert row.next_attempt_at is None
    assert receiver.requests == []
    completed.app.database.write(lambda db: redeliver(db, (1,), clock()))
    assert attempt(completed) == 1
    assert owed(completed).state == "delivered"


def test_a_result_that_may_stop_its_worker_is_never_sent_beside_another(completed, clock):
    change(completed, "UPDATE outbox SET unfinished = 2")
    owe_more(completed, 9)
    change(completed, "UPDATE outbox SET url = url || '/' || id WHERE id > 5")
    completed.clock.pass_(seconds=1)
    in_flight = [a_delivery("http://example.org")]
    in_flight[0].id = 99
    assert claim_due(completed.app.database, clock(), MAX_IN_FLIGHT, in_flight) == []
    (suspect,) = claim_due(completed.app.database, clock(), MAX_IN_FLIGHT)
    assert (suspect.id, suspect.is_quarantined) == (1, True)
    assert len(claim_due(completed.app.database, clock(), MAX_IN_FLIGHT)) > 1


def test_an_old_workers_outcome_is_not_taken_for_that_of_a_new_first_attempt(
    completed, receiver, clock
):
    (old,) = claim(completed)
    clock.pass_(seconds=61)
    (newer,) = claim(completed)
    receiver.answers = [(410, {})]
    run_attempt(completed.app.database, completed.app.settings, newer, clock)
    completed.app.database.write(lambda db: redeliver(db, (1,), clock()))
    (newest,) = claim(completed)
    assert (old.attempts, newest.attempts) == (1, 1)
    receiver.answers = [(410, {})]
    run_attempt(completed.app.database, completed.app.settings, old, clock)
    row = owed(completed)
    assert (row.state, row.leased_until) == ("pending", newest.leased_until)
    run_attempt(completed.app.database, completed.app.settings, newest, clock)
    assert owed(completed).state == "delivered"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("url", ["x'ff'", "CAST(x'ff' AS TEXT)", "CAST(x'68ff' AS TEXT)"])
def test_urls_that_cannot_be_read_keep_no_other_result_waiting(completed, url):
    owe_more(completed, 9)
    change(completed, f"UPDATE outbox SET url = {url} WHERE id < 9")
    assert attempt(completed) == 2
    assert attempt(completed) == 0
    assert completed.rows("SELECT state, last_error, count(*) FROM outbox GROUP BY 1, 2") == [
        ("delivered", None, 2),
        ("failed", "Its url is no text. Correct that, then retry.", 8),
    ]


def test_a_result_that_was_set_aside_is_tried_again_if_its_sender_was_only_late(
    completed, receiver, clock
):
    for _ in range(5):
        (claimed,) = claim(completed)
        clock.pass_(seconds=60)
    assert claim(completed) == []
    receiver.answers = [(500, {})]
    run_attempt(completed.app.database, completed.app.settings, claimed, clock)
    row = owed(completed)
    assert (row.state, row.crashed_claims, row.last_error) == ("pending", 0, "HTTP 500")
    assert row.next_attempt_at > clock()


@pytest.mark.parametrize("status", [200, 500, 410])
def test_all_that_an_outcome_changes_is_written(completed, receiver, clock, status):
    receiver.answers = [(status, {})]
    (claimed,) = claim(completed)
    run_attempt(completed.app.database, completed.app.settings, claimed, clock)
    with completed.app.database.read() as db:
        written = Delivery.find_newest(db, 1)
    assert written.stored == {name: getattr(claimed, name) for name in written.stored}
    assert written.last_status == status


def test_an_outcome_shows_that_a_result_stops_no_sender(completed, receiver, clock):
    receiver.answers = [(500, {})] * 2
    for _ in range(2):
        for _ in range(4):
            assert len(claim(completed)) == 1
            clock.pass_(days=2)
        assert attempt(completed) == 1
        clock.pass_(days=2)
    assert (owed(completed).state, owed(completed).attempts) == ("failed", 10)
    assert owed(completed).last_error == "HTTP 500"


def test_a_last_attempt_that_never_ends_is_the_last(completed, receiver, clock):
    receiver.answers = [(500, {})] * 9
    for _ in range(9):
        assert attempt(completed) == 1
        clock.pass_(days=2)
    assert len(claim(completed)) == 1
    clock.pass_(seconds=60)
    assert claim(completed) == []
    row = owed(completed)
    assert (row.state, row.attempts, row.next_attempt_at) == ("failed", 10, None)
    assert row.last_error == "The worker stopped during the last attempt."


def test_no_more_are_claimed_than_asked_for_and_the_longest_due_first(completed, clock):
    for n in range(3):
        clock.pass_(seconds=1)
        complete(completed.phone(f"+1415555000{n}"))
    assert [one.id for one in claim_due(completed.app.database, clock(), 2)] == [1, 2]
    assert [one.id for one in claim_due(completed.app.database, clock(), 8)] == [3, 4]


def test_one_worker_has_at_most_four_attempts_in_flight_at_one_receiver(completed, clock):
    owe_more(completed, 19)
    in_flight: list[Delivery] = []
    for limit, count in ((MAX_PER_RECEIVER - 1, 3), (MAX_IN_FLIGHT, 4), (MAX_IN_FLIGHT, 4)):
        in_flight += claim_due(completed.app.database, clock(), limit, in_flight)
        assert len(in_flight) == count


def test_senders_never_claim_the_same_delivery(completed, clock):
    owe_more(completed, 39)
    url = completed.app.settings.database_url
    together = Barrier(4)

    def claim_all(_) -> list[int]:
        claimed = []
        with connect(url) as own:
            together.wait(PATIENCE_SECONDS)
            while True:
                with own.read() as db:
                    if not Delivery.find_due(db, clock()):
                        return claimed
                claimed += [one.id for one in claim_due(own, clock(), 3)]

    with ThreadPoolExecutor(4) as senders:
        claimed = [one for ids in senders.map(claim_all, range(4)) for one in ids]
    assert sorted(claimed) == list(range(1, 41))


# Again, as the operator wishes ###############################################


def test_a_failed_delivery_starts_anew_when_redelivered(completed, receiver, clock):
    for _ in range(10):
        claim(completed)
        clock.pass_(seconds=60)
    claim(completed)
    assert completed.app.database.write(lambda db: redeliver(db, (1,), clock())) == [1]
    row = owed(completed)
    assert (row.state, row.attempts, row.next_attempt_at) == ("pending", 0, clock())
    receiver.answers = [(500, {})]
    attempt(completed)
    assert owed(completed).next_attempt_at <= clock() + timedelta(seconds=5.5)
    clock.pass_(seconds=6)
    attempt(completed)
    assert owed(completed).state == "delivered"


def test_a_delivery_that_waits_goes_out_at_once_when_redelivered(completed, receiver, clock):
    receiver.answers = [(500, {"Retry-After": "7200"})]
    attempt(completed)
    assert attempt(completed) == 0
    completed.app.database.write(lambda db: redeliver(db, (1,), clock()))
    assert attempt(completed) == 1
    assert owed(completed).state == "delivered"


def test_a_delivered_result_is_not_redelivered(completed, clock):
    attempt(completed)
    assert completed.app.database.write(lambda db: redeliver(db, (1,), clock())) == []
    assert owed(completed).state == "delivered"


def test_an_attempt_under_way_keeps_its_lease_when_redelivered(completed, clock):
    claim(completed)
    completed.app.database.write(lambda db: redeliver(db, (1,), clock()))
    assert claim(completed) == []


# Receivers that are not well-behaved #########################################


@pytest.mark.long
@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
    ],
)
def test_a_receiver_that_drips_is_left_at_the_limit(answering, patch, beginning):
    url, took = answering(drip(beginning)), []

    def attempt() -> Outcome:
        began = time.monotonic()
        outcome = post(a_delivery(url))
        took.append(time.monotonic() - began)
        return outcome

    limit, outcome = cut(patch, "ATTEMPT_SECONDS", attempt, attrgetter("error"))
    assert outcome == Outcome(None, "total_timeout", f"{limit}")
    assert outcome.error == f"Not done within {limit} s in all." + MAY_HAVE_IT
    assert limit <= took[-1] < limit + DRIP_SECONDS / 2


def test_tls_that_hangs_is_left_at_the_limit(patch):
    patch("worker.http_client", "ATTEMPT_SECONDS", 0.3)
    patch("worker.http_client", "CONNECT_SECONDS", PATIENCE_SECONDS)  # for TLS, too
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outcome = post(a_delivery(f"https://127.0.0.1:{silent.getsockname()[1]}/"))
    assert outcome.error == "No connection within 0.3 s."
    assert time.monotonic() - began < PATIENCE_SECONDS / 2


def test_tls_that_hangs_is_left_after_the_time_for_a_connection(patch):
    patch("worker.http_client", "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        outcome = post(a_delivery(f"https://127.0.0.1:{silent.getsockname()[1]}/"))
    assert outcome == Outcome(None, "connect_timeout", "0.2")


def test_addresses_that_take_no_connection_are_left_at_the_limit(patch, monkeypatch):
    patch("worker.http_client", "ATTEMPT_SECONDS", 0.3)
    patch("worker.http_client", "CONNECT_SECONDS", PATIENCE_SECONDS)
    look_up = socket.getaddrinfo

    def answer(name, port, *args, **kwargs):
        addresses = ["127.0.0.1"] * 4 if name == "results.example" else [name]
        return [one for each in addresses for one in look_up(each, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    began = time.monotonic()
    with full_server() as port:
        outcome = post(a_delivery(f"http://results.example:{port}/"))
    assert outcome.error == "No connection within 0.3 s."
    assert time.monotonic() - began < PATIENCE_SECONDS / 2


def test_nothing_is_sent_once_a_name_has_taken_all_of_the_time(receiver, patch, monkeypatch):
    patch("worker.http_client", "ATTEMPT_SECONDS", 0.1)
    look_up = socket.getaddrinfo

    def answer(*args, **kwargs):
        time.sleep(0.2)
        return look_up(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    assert post(a_delivery(receiver.url)).error == "No connection within 0.1 s."
    assert receiver.requests == []


@pytest.mark.long
def test_an_attempt_that_began_later_may_end_sooner(answering, patch):
    arrived = Event()

    def hold(connection: socket.socket, over: Event) -> None:
        arrived.set()
        over.wait()

    patch("worker.http_client", "ATTEMPT_SECONDS", 10)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, a_delivery(answering(hold)))
        assert arrived.wait(PATIENCE_SECONDS)
        attempt = partial(post, a_delivery(answering(hold)))
        limit, later = cut(patch, "ATTEMPT_SECONDS", attempt, attrgetter("error"))
        assert not first.done()
        assert (first.result(PATIENCE_SECONDS).error, later.error) == (
            "Not done within 10 s in all." + MAY_HAVE_IT,
            f"Not done within {limit} s in all." + MAY_HAVE_IT,
        )


def test_a_receiver_that_hangs_is_left(answering, patch):
    patch("worker.http_client", "READ_SECONDS", 0.2)
    assert post(a_delivery(answering(hang))) == Outcome(None, "read_timeout", "0.2")


@contextmanager
def full_server() -> Iterator[int]:
    """The port of a server that takes no more connections."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, ExitStack() as waiting:
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def test_a_receiver_that_takes_no_connections_is_left(patch):
    patch("worker.http_client", "CONNECT_SECONDS", 0.2)
    with full_server() as port:
        outcome = post(a_delivery(f"http://127.0.0.1:{port}/"))
    assert outcome.error == "No connection within 0.2 s."


def test_an_endless_answer_is_read_to_its_limit_and_counts(answering):
    sent = []

    def flood(connection: socket.socket, over: Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not over.is_set():
            sent.append(connection.send(b"a" * 1024))

    assert post(a_delivery(answering(flood))) == Outcome(200)
    # The last piece may have arrived before its length is noted.
    until(lambda: sum(sent) >= MAX_BODY_BYTES)


def body_of(size: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"a" * size


@pytest.mark.parametrize("size", [0, 1, 1 << 17, 1 << 20])
@pytest.mark.parametrize("limit", [1 << 17, 1 << 20])
def test_a_body_is_read_to_the_limit_that_was_asked_for(answering, size, limit):
    url = answering(say(body_of(size)))
    options = {"allow_private": True, "max_body": limit}
    expected = Response(200, body=b"a" * min(size, limit))
    assert http_client.post(url, b"", {}, **options) == expected
    assert http_client.get(url, {}, **options) == expected


def test_a_body_that_is_packed_is_not_unpacked(answering):
    packed = gzip.compress(b"a" * (1 << 20))
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed
    assert http_client.get(answering(say(answer)), {}, allow_private=True).body == packed


def test_where_a_redirect_leads_is_told_and_not_gone_to(answering):
    answer = b"HTTP/1.1 302 Found\r\nLocation: https://other.example/\r\n\r\nbody"
    for send in (http_client.get, partial(http_client.post, body=b"")):
        answered = send(answering(say(answer)), headers={}, allow_private=True)
        assert answered == Response(302, location="https://other.example/")


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0"])
def test_get_goes_only_where_post_may_go(address):
    with pytest.raises(RequestFailed, match="results never go to") as caught:
        http_client.get(f"http://{address}/", {}, allow_private=True)
    assert (caught.value.cause, caught.value.detail) == ("forbidden_address", address)


def test_get_is_left_at_a_limit_of_its_own(answering, patch):
    url = answering(drip(OK[:-4]))

    def look() -> RequestFailed:
        with pytest.raises(RequestFailed) as caught:
            http_client.get(url, {}, allow_private=True)
        return caught.value

    limit, error = cut(patch, "GET_SECONDS", look, str)
    assert f"Not done within {limit} s in all." in str(error)


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://elsewhere.example/?name=Rey", "elsewhere.example"),
        ("//elsewhere.example", "elsewhere.example"),
        ("/login", "another address"),
        ("http://[", "another address"),
    ],
)
def test_a_redirect_is_told_by_its_host_alone(receiver, location, host):
    receiver.answers = [(302, {"Location": location})]
    outcome = post(a_delivery(receiver.url))
    assert (outcome.cause, outcome.detail) == ("redirect", host)
    assert "Rey" not in outcome.error


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe first half",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n40\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_not_a_delivery(answering, answer):
    outcome = post(a_delivery(answering(say(answer))))
    assert outcome.status is None
    assert outcome.error.startswith("The answer broke off (")


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200]
)
def test_what_is_no_answer_is_not_a_delivery(answering, answer):
    outcome = post(a_delivery(answering(say(answer))))
    assert outcome == Outcome(None, "broken_connection")
    assert outcome.error == "The connection broke off before an answer came." + MAY_HAVE_IT


def test_a_connection_that_breaks_off_before_all_was_sent_is_as_good_as_none():
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        delivery = a_delivery(f"http://127.0.0.1:{server.getsockname()[1]}/")
        delivery.payload = json.dumps({"Question1": "a" * 50_000_000})  # more than any buffer
        sending = pool.submit(post, delivery)
        server.accept()[0].close()
        assert sending.result(PATIENCE_SECONDS) == UNREACHED


def test_a_connection_that_is_refused_is_not_a_delivery():
    assert post(a_delivery(f"http://{free_address()}/")) == UNREACHED


def test_a_receiver_without_valid_tls_is_not_a_delivery(receiver):
    outcome = post(a_delivery(receiver.url.replace("http:", "https:")))
    assert outcome == Outcome(None, "tls")
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("changes", "trouble"),
    [
        *(({"url": url}, "its url is not an http or https address") for url in NO_ADDRESSES),
        ({"url": "http://a..b/"}, "its url is not valid"),
        ({"format": "xml"}, "its format is neither form nor json"),
        *(({"payload": payload}, "its payload is not a JSON object") for payload in NO_PAYLOADS),
        ({"format": "json", "payload": "{"}, "its payload is not a JSON object"),
        ({"webhook_id": "日本"}, "its webhook_id is not ASCII"),
        ({"webhook_id": "a\nb"}, "its webhook_id is not valid"),
    ],
)
def test_what_can_never_be_sent_is_told_and_not_tried_again(receiver, changes, trouble):
    delivery = a_delivery(receiver.url)
    for name, value in changes.items():
        setattr(delivery, name, value)
    outcome = post(delivery)
    assert outcome.error == f"It cannot be sent: {trouble}. Correct it, then retry."
    assert (outcome.status, outcome.cause) == (None, "invalid")
    assert receiver.requests == []


def test_a_row_that_can_never_be_sent_fails_at_once_until_it_is_corrected(
    completed, receiver, clock
):
    change(completed, "UPDATE outbox SET payload = '[]'")
    assert attempt(completed) == 1
    row = owed(completed)
    assert (row.state, row.attempts, row.next_attempt_at) == ("failed", 1, None)
    assert "its payload is not a JSON object" in row.last_error
    change(completed, "UPDATE outbox SET payload = '{}'")
    completed.app.database.write(lambda db: redeliver(db, (1,), clock()))
    assert attempt(completed) == 1
    assert owed(completed).state == "delivered"


# The worker ##################################################################


def test_the_worker_delivers_at_once_and_ends_when_stopped(serve, questionnaires, receiver, patch):
    patch("worker.worker", "POLL_SECONDS", 60)
    send_results(questionnaires, receiver.url)
    webhook = serve()
    with sending(webhook):
        for sender in (REY, STRANGER):
            assert complete(webhook.phone(sender)) == [THANKS]
            until(lambda: webhook.rows("SELECT state FROM outbox")[-1] == ("delivered",))
    assert [headers["webhook-id"] for headers, _ in receiver.requests] == [
        row[0] for row in webhook.rows("SELECT webhook_id FROM outbox ORDER BY id")
    ]


def test_a_partial_result_is_delivered_at_once_too(serve, questionnaires, receiver, patch):
    patch("worker.worker", "POLL_SECONDS", 60)
    send_results(questionnaires, receiver.url, "partial = true\n")
    webhook = serve()
    phone = webhook.phone()
    with sending(webhook):
        for body in ("Mats BBQ", "Blue", "STOP"):
            phone.text(body)
        until(lambda: webhook.rows("SELECT state FROM outbox") == [("delivered",)])


def test_the_sender_delivers_what_waited_and_what_falls_due(completed, receiver, clock, patch):
    patch("worker.worker", "POLL_SECONDS", 0.05)
    receiver.answers = [(500, {})]
    completed.app.result_written.clear()
    with sending(completed):
        until(lambda: owed(completed).last_status == 500)
        clock.pass_(seconds=6)
        until(lambda: owed(completed).state == "delivered")


def test_neither_phones_nor_other_receivers_wait_for_one_that_hangs(
    serve, questionnaires, receiver, answering
):
    reached, go_on = Event(), Event()
    send_results(questionnaires, answering(slow(reached, go_on)), name="slow")
    send_results(questionnaires, receiver.url)
    webhook = serve()
    with sending(webhook):
        assert complete(webhook.phone(), ("slow", *TEXTS[1:])) == [THANKS]
        assert reached.wait(PATIENCE_SECONDS)
        owe_more(webhook, 3 * MAX_IN_FLIGHT)
        assert complete(webhook.phone(STRANGER)) == [THANKS]
        until(lambda: receiver.requests)
        assert webhook.rows("SELECT state FROM outbox WHERE id = 1") == [("pending",)]
        go_on.set()


def slow(reached: Event, go_on: Event) -> Callable:
    def behave(connection: socket.socket, over: Event) -> None:
        reached.set()
        go_on.wait(PATIENCE_SECONDS)
        connection.sendall(OK)

    return behave


def test_the_sender_claims_no_more_than_it_can_send_and_in_the_end_sends_all(
    serve, questionnaires, answering, patch
):
    patch("worker.worker", "POLL_SECONDS", 0.02)
    reached, go_on = [], Event()

    def answer_later(connection: socket.socket, over: Event) -> None:
        reached.append(connection)
        go_on.wait(PATIENCE_SECONDS)
        connection.sendall(OK)

    send_results(questionnaires, answering(answer_later))
    webhook = serve()
    complete(webhook.phone())
    owe_more(webhook, 19)
    with sending(webhook):
        until(lambda: len(reached) == MAX_PER_RECEIVER)
        claimed = "SELECT count(*) FROM outbox WHERE attempts = 1"
        assert webhook.rows(claimed) == [(MAX_PER_RECEIVER,)]
        go_on.set()
        until(lambda: webhook.rows("SELECT DISTINCT state FROM outbox") == [("delivered",)])
    assert len(reached) == 20


def test_a_stop_waits_a_moment_for_the_attempt_in_flight(serve, questionnaires, answering, patch):
    patch("worker.worker", "FINISH_SECONDS", PATIENCE_SECONDS)
    reached, go_on = Event(), Event()
    send_results(questionnaires, answering(slow(reached, go_on)))
    webhook = serve()
    with sending(webhook) as worker:
        complete(webhook.phone())
        assert reached.wait(PATIENCE_SECONDS)
        worker.stop()
        go_on.set()
    assert owed(webhook).state == "delivered"


def test_a_stop_gives_the_lease_of_an_attempt_back_that_takes_longer(
    serve, questionnaires, answering, clock, patch
):
    patch("worker.http_client", "READ_SECONDS", 2 * PATIENCE_SECONDS)
    reached, go_on = Event(), Event()
    send_results(questionnaires, answering(slow(reached, go_on)))
    webhook = serve()
    with sending(webhook):
        complete(webhook.phone())
        assert reached.wait(PATIENCE_SECONDS)
        assert owed(webhook).leased_until is not None
    until(lambda: owed(webhook).leased_until is None)  # the worker waits for that a moment only
    row = owed(webhook)
    assert (row.state, row.attempts, row.crashed_claims) == ("pending", 0, 0)
    assert (row.leased_until, row.next_attempt_at) == (None, clock() + timedelta(seconds=5))
    assert row.last_error == "The worker was stopped during the attempt."
    clock.pass_(seconds=5)
    (again,) = claim(webhook)
    assert again.webhook_id == row.webhook_id
    go_on.set()  # the answer to the first attempt comes after all
    until(lambda: all(thread.name != "result" for thread in threading.enumerate()))
    assert owed(webhook).state == "delivered"
    clock.pass_(days=1)
    assert claim(webhook) == []


def test_no_number_of_stops_uses_an_attempt_up(completed, receiver, clock):
    for _ in range(20):
        (claimed,) = claim(completed)
        completed.app.database.write(lambda db, one=claimed: one.release(db, clock()))
        clock.pass_(seconds=5)
    assert attempt(completed) == 1
    assert (owed(completed).state, owed(completed).attempts) == ("delivered", 1)


def test_the_worker_goes_on_after_the_database_failed(completed, receiver, patch, caplog):
    patch("worker.worker", "POLL_SECONDS", 0.02)
    database = completed.app.database
    database.write(lambda db: db.execute(text("ALTER TABLE outbox RENAME TO elsewhere")))
    with sending(completed):
        until(lambda: len(caplog.records) >= 2)
        assert receiver.requests == []
        database.write(lambda db: db.execute(text("ALTER TABLE elsewhere RENAME TO outbox")))
        until(lambda: owed(completed).state == "delivered")
    assert "cannot claim" in caplog.records[0].fields["outcome"]
