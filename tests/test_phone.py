"""The phone is held to what Twilio documents, against a webhook that says what the test scripts."""

import base64
import gzip
import hmac
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest
from http_server import on_the_air
from twilio.request_validator import RequestValidator

from phone import CookieJar, Fields, Phone, TwilioError, measure

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "12345"
PLACES = ("City", "State", "Zip", "Country")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HTTP = urlsplit("http://sms.example.com/sms")
FAMILY = "👨\u200d👩\u200d👧"
HTTPS = urlsplit("https://sms.example.com/sms")


@dataclass
class Request:
    path: str
    headers: dict[str, str]
    fields: list[tuple[str, str]]
    connection: int

    @property
    def form(self) -> dict[str, str]:
        return dict(self.fields)


@dataclass
class Answer:
    content: bytes
    status: int
    headers: list[tuple[str, str]]
    drip: float


@dataclass
class Webhook:
    """Says nothing, unless the test has scripted its next answers."""

    port: int
    requests: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/sms"

    def say(
        self,
        content: str | bytes = "<Response/>",
        status: int = 200,
        kind: str | None = "text/xml",
        drip: float = 0,
        **headers: str,
    ) -> None:
        content = content.encode() if isinstance(content, str) else content
        pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
        if kind is not None:
            pairs.append(("Content-Type", kind))
        self.answers.append(Answer(content, status, pairs, drip))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        webhook = self.server.webhook
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        fields = parse_qsl(body, keep_blank_values=True, strict_parsing=True)
        headers = dict(self.headers.items())
        webhook.requests.append(Request(self.path, headers, fields, self.client_address[1]))
        if not webhook.answers:
            webhook.say()
        self.give(webhook.answers.pop(0))

    def give(self, answer: Answer) -> None:
        time.sleep(answer.drip)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if "Content-Length" not in dict(answer.headers):
            self.send_header("Content-Length", str(len(answer.content)))
        self.end_headers()
        step = 1 if answer.drip else len(answer.content) or 1
        for start in range(0, len(answer.content), step):
            time.sleep(answer.drip)
            self.wfile.write(answer.content[start : start + step])

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        pass  # a phone that lost its patience has hung up


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    server = Server(("127.0.0.1", 0), Handler)
    server.webhook = Webhook(server.server_port)
    with on_the_air(server):
        yield server.webhook


def new_phone(url: str, **settings: str) -> Phone:
    return Phone(url, account_sid=ACCOUNT_SID, auth_token=AUTH_TOKEN, **settings)


@pytest.fixture
def phone(webhook: Webhook) -> Phone:
    return new_phone(webhook.url)


def code_of(phone: Phone, text: str = "hi", **options) -> int:
    with pytest.raises(TwilioError) as caught:
        phone.text(text, **options)
    return caught.value.code


def sign(url: str, fields: list[tuple[str, str]]) -> str:
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    return base64.b64encode(hmac.digest(AUTH_TOKEN.encode(), signed.encode(), "sha1")).decode()


# Twilio's security page, and the tests of twilio-python.
CALL = {"CallSid": "CA1234567890ABCDE", "Caller": "+14158675310", "Digits": "1234"}
CALL |= {"From": "+14158675310", "To": "+18005551212"}
KEYS = {"Sid": "CA123", "SidAccount": "AC123", "Digits": ["5678", "1234", "1234"]}
SMILE = {"From": "+15551234567", "Body": "hi 😀 ñ"}
EMPTY = {"From": "+15551234567", "Body": ""}
EXAMPLE = "https://example.com/myapp.php?foo=1&bar=2"
COMPANY = "https://mycompany.com/myapp.php?foo=1&bar=2"
VECTORS = [
    (EXAMPLE, CALL, "L/OH5YylLD5NRKLltdqwSvS0BnU="),
    (COMPANY, KEYS, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
    ("https://sms.example.com/sms", SMILE, "InzEFMvV7NDcu5QLzXywl6phywk="),
    ("https://sms.example.com/sms", EMPTY, "A27v0U7CP5d/SxQG75atgb1K2FU="),
    ("https://sms.example.com/sms", {"D": KEYS["Digits"]}, "qr64iVksbBwqr1MELfq8Sbz5IaM="),
]


@pytest.mark.parametrize("url, params, signature", VECTORS)
def test_fields_are_signed_as_twilio_publishes(url, params, signature):
    fields = Fields(params)
    pairs = [(name, value) for name in fields for value in fields.getlist(name)]
    assert RequestValidator(AUTH_TOKEN).compute_signature(url, fields) == signature
    assert sign(url, pairs) == signature


@pytest.mark.parametrize("params", [params for _, params, _ in VECTORS])
def test_what_arrives_carries_the_signature_of_what_arrived(phone, webhook, params):
    phone.text()
    others = dict.fromkeys(webhook.requests[0].form)
    phone.text(**others | params)
    request = webhook.requests[1]
    fields = Fields(params)
    pairs = [(name, value) for name in fields for value in fields.getlist(name)]
    assert sorted(request.fields) == sorted(pairs)
    assert request.headers["X-Twilio-Signature"] == sign(webhook.url, pairs)


def test_fragment_is_neither_sent_nor_signed(webhook):
    new_phone(f"{webhook.url}?a=%20b#rc=2&rp=5xx").text("hi")
    (request,) = webhook.requests
    assert request.path == "/sms?a=%20b"
    assert request.headers["X-Twilio-Signature"] == sign(f"{webhook.url}?a=%20b", request.fields)


def test_text_carries_the_fields_that_twilio_sends(phone, webhook):
    phone.text("Zoë 🙂")
    form = webhook.requests[0].form
    sid = form["MessageSid"]
    places = {f"{end}{place}" for end in ("From", "To") for place in PLACES}
    assert re.fullmatch("SM[0-9a-f]{32}", sid)
    assert {name: value for name, value in form.items() if name not in places} == {
        "MessageSid": sid,
        "SmsSid": sid,
        "SmsMessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "From": "+14158675308",
        "To": "+14155550100",
        "Body": "Zoë 🙂",
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }
    assert places <= form.keys()


def test_text_carries_the_headers_that_twilio_sends(phone, webhook):
    phone.text("hi")
    headers = webhook.requests[0].headers
    assert headers["User-Agent"] == "TwilioProxy/1.1"
    assert headers["Accept"] == "*/*"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["X-Home-Region"] == "us1"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_picture_is_sent_with_its_type_under_an_mm_sid(phone, webhook):
    phone.text("ç" * 99, media=["https://example.com/cat.jpg", "https://example.com/ME1"])
    form = webhook.requests[0].form
    assert form["MessageSid"].startswith("MM")
    assert (form["NumMedia"], form["NumSegments"]) == ("2", "1")
    assert (form["MediaUrl0"], form["MediaContentType0"]) == (
        "https://example.com/cat.jpg",
        "image/jpeg",
    )
    assert form["MediaUrl1"] == "https://example.com/ME1"
    assert form["MediaContentType1"] == "image/jpeg"


def test_whatsapp_sender_has_a_profile(webhook):
    new_phone(webhook.url, sender="whatsapp:+14158675308").text("a" * 500)
    form = webhook.requests[0].form
    assert form["From"] == "whatsapp:+14158675308"
    assert (form["ProfileName"], form["WaId"]) == ("+14158675308", "14158675308")
    assert form["NumSegments"] == "1"


def test_every_text_has_a_sid_and_a_token_of_its_own(phone, webhook):
    phone.text("hi")
    phone.text("hi")
    first, second = webhook.requests
    assert first.form["MessageSid"] != second.form["MessageSid"]
    assert token_of(first) != token_of(second)


def test_repeat_has_the_same_sid_and_another_token(phone, webhook):
    phone.text("hi")
    phone.text("hi", sid=phone.last.sid)
    first, second = webhook.requests
    assert first.fields == second.fields
    assert token_of(first) != token_of(second)


def token_of(request: Request) -> str:
    return request.headers["I-Twilio-Idempotency-Token"]


def test_texts_share_a_connection(phone, webhook):
    phone.text("hi")
    phone.text("again")
    first, second = webhook.requests
    assert first.connection == second.connection


def test_environment_has_no_say(webhook, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    new_phone(webhook.url).text("hi")
    assert "Authorization" not in webhook.requests[0].headers


# The counts of Twilio's own calculator, sms-segments-calculator 1.3.0.
@pytest.mark.parametrize(
    "text, segments",
    [
        *(("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3)),
        *(("é" * 160, 1), ("Ç" * 160, 1), ("ç" * 70, 1), ("ç" * 71, 2), ("ç" * 134, 2)),
        *(("ç" * 135, 3), ("’" + "a" * 69, 1), ("’" + "a" * 70, 2), ("\u00a0" + "a" * 70, 2)),
        # Of the extension a character takes two places, which stay together.
        *(("€" * 80, 1), ("€" * 81, 2), ("€" * 153, 3), ("[x]|{y}~" * 20, 2)),
        *(("a" * 158 + "€", 1), ("a" * 159 + "€", 2)),
        *(("a" * 152 + "€" + "a" * 151, 2), ("a" * 152 + "€" + "a" * 152, 3)),
        *(("\r\n" * 80, 1), ("\r\n" * 81, 2), ("ç" + "\r\n" * 35, 2)),
        # So do the two units of an emoji, and all those of a family.
        *(("😀" * 35, 1), ("😀" * 36, 2), ("😀" * 67, 3), ("🇩🇪" * 17, 1), ("🇩🇪" * 18, 2)),
        *(("a" * 66 + "😀" + "a" * 65, 2), ("a" * 66 + "😀" + "a" * 66, 3)),
        *(("👍🏽" * 17, 1), ("👍🏽" * 18, 2), ("👍🏽" * 34, 3), ("a\u0301" * 36, 2)),
        *((FAMILY * 8, 1), (FAMILY * 9, 2), (FAMILY * 16, 2), (FAMILY * 17, 3)),
    ],
)
def test_segments_are_those_that_twilio_counts(text, segments):
    """As Twilio's own calculator does: sms-segments-calculator 1.3.0."""
    assert measure(text)[1] == segments


def test_segments_are_sent(phone, webhook):
    phone.text("a" * 161)
    assert webhook.requests[0].form["NumSegments"] == "2"


def texts_with(phone: Phone, webhook: Webhook, now: datetime) -> str | None:
    phone.text("hi", now=now)
    return webhook.requests[-1].headers.get("Cookie")


def test_cookie_comes_back_for_four_hours(phone, webhook):
    webhook.say(Set_Cookie="conversation=abc; Path=/; HttpOnly")
    assert texts_with(phone, webhook, NOW) is None
    assert phone.cookies["conversation"] == "abc"
    before, after = timedelta(hours=4, seconds=-1), timedelta(hours=4)
    assert texts_with(phone, webhook, NOW + before) == "conversation=abc"
    assert texts_with(phone, webhook, NOW + after) is None


def test_four_hours_begin_anew_when_the_cookie_is_set_anew(phone, webhook):
    for hours in (0, 3):
        webhook.say(Set_Cookie="conversation=abc; Max-Age=14400")
        phone.text("hi", now=NOW + timedelta(hours=hours))
    assert texts_with(phone, webhook, NOW + timedelta(hours=6)) == "conversation=abc"
    assert texts_with(phone, webhook, NOW + timedelta(hours=7)) is None


def test_now_is_the_real_clock_unless_given(phone, webhook):
    webhook.say(Set_Cookie="conversation=abc")
    phone.text("hi", now=datetime.now(UTC) - timedelta(hours=5))
    phone.text("hi")
    assert "Cookie" not in webhook.requests[1].headers


def test_cookie_is_replaced(phone, webhook):
    webhook.say(Set_Cookie="conversation=abc")
    webhook.say(Set_Cookie="conversation=def")
    phone.text("hi")
    phone.text("hi")
    assert texts_with(phone, webhook, datetime.now(UTC)) == "conversation=def"


def test_each_phone_has_cookies_of_its_own(phone, webhook):
    webhook.say(Set_Cookie="conversation=abc")
    phone.text("hi", now=NOW)
    other = new_phone(webhook.url, sender="+14158675309")
    assert texts_with(other, webhook, NOW) is None


def test_cookie_can_be_forged_and_cleared(phone, webhook):
    phone.cookies["conversation"] = "stale"
    assert texts_with(phone, webhook, NOW + timedelta(days=9)) == "conversation=stale"
    phone.cookies.clear()
    assert texts_with(phone, webhook, NOW) is None
    assert "conversation" not in phone.cookies


def jar_with(*headers: str) -> CookieJar:
    jar = CookieJar()
    jar.take(headers, HTTP, NOW)
    return jar


@pytest.mark.parametrize(
    "attributes, seconds",
    [
        ("Max-Age=60", 60),
        ("max-age=60; Expires=Fri, 20 Nov 2026 12:00:10 GMT", 60),
        ("Max-Age=99999999999999999999", 14400),
        ("Max-Age=soon", 14400),
        ("Expires=Fri, 20 Nov 2026 12:00:10 GMT", 10),
        ("Expires=Fri, 20 Nov 2026 12:00:10 -0000", 10),
        ("Expires=Sat, 21 Nov 2026 12:00:00 GMT", 14400),
        ("Expires=one day", 14400),
    ],
)
def test_cookie_lives_as_long_as_it_says_up_to_four_hours(attributes, seconds):
    jar = jar_with(f"a=b; {attributes}")
    assert jar.header(HTTP, NOW + timedelta(seconds=seconds - 1)) == "a=b"
    assert jar.header(HTTP, NOW + timedelta(seconds=seconds)) == ""


@pytest.mark.parametrize(
    "attributes",
    ["Max-Age=0", "Max-Age=-9999999999999999", "Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
)
def test_cookie_is_deleted_by_one_that_is_over(attributes):
    assert "a" not in jar_with("a=b", f"a=; {attributes}")


@pytest.mark.parametrize(
    "path, sent_to",
    [
        ("", "/sms /sms/status /other /"),
        ("Path=/", "/sms /sms/status /other /"),
        ("Path=relative", "/sms /sms/status /other /"),
        ("Path=/sms", "/sms /sms/status"),
        ("Path=/sms/", "/sms/status"),
        ("Path=/sm", ""),
    ],
)
def test_cookie_goes_to_its_path_and_below(path, sent_to):
    jar = jar_with(f"a=b; {path}")
    paths = ["/sms", "/sms/status", "/other", "/"]
    sent = [path for path in paths if jar.header(HTTP._replace(path=path), NOW)]
    assert sent == sent_to.split()


def test_cookie_without_a_path_stays_in_its_folder():
    jar = CookieJar()
    jar.take(["a=b"], HTTP._replace(path="/hooks/sms"), NOW)
    assert jar.header(HTTP._replace(path="/hooks/other"), NOW) == "a=b"
    assert jar.header(HTTP, NOW) == ""


def test_secure_cookie_goes_over_https_only():
    jar = jar_with("a=b; Secure")
    assert jar.header(HTTPS, NOW) == "a=b"
    assert jar.header(HTTP, NOW) == ""
    assert jar.header(urlsplit("http://127.0.0.1/sms"), NOW) == ""


def test_cookie_value_is_kept_as_it_is():
    assert jar_with('a="b=c, d" ; Path=/').header(HTTP, NOW) == 'a="b=c, d"'


@pytest.mark.parametrize(
    "bad", ["=b", "b", "", "a=b\tc", "a=b\rc", "a=b\nc", "a=b\vc", "a=b\fc", "a\t=b"]
)
def test_bad_cookie_spoils_the_answer(bad):
    jar = jar_with("a=old")
    with pytest.raises(TwilioError) as caught:
        jar.take(["a=new", bad], HTTP, NOW)
    assert caught.value.code == 11206
    assert jar["a"] == "old"


def test_bad_cookie_is_an_error_of_the_text(phone, webhook):
    webhook.say("<Response><Message>Hello</Message></Response>", Set_Cookie="=abc")
    assert code_of(phone) == 11206


def message(text: str, attributes: str = "") -> str:
    return f"<Response><Message{attributes}>{text}</Message></Response>"


@pytest.mark.parametrize("kind", ["text/xml", "application/xml; charset=utf-8", "Text/HTML"])
def test_messages_are_texted_back(phone, webhook, kind):
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?>'
        "<Response><!-- two --><Message>Zoë &amp; 🙂</Message><Message>Bye</Message></Response>"
    )
    webhook.say(xml, kind=kind)
    assert phone.text("hi") == ["Zoë & 🙂", "Bye"]


@pytest.mark.parametrize(
    "inside, text",
    [
        ("<Body>Hello</Body>", "Hello"),
        ("One <Body>two</Body><Body>, three</Body>", "One two, three"),
        ("\n  <Body>Hel</Body>\n  <Body>lo</Body>\n", "Hello"),
        ("Look<Media>https://example.com/cat.jpg</Media>", "Look"),
        ("<Media>https://example.com/cat.jpg</Media>", ""),
        ("a<!-- -->b", "ab"),
    ],
)
def test_message_is_its_text_and_its_bodies(phone, webhook, inside, text):
    webhook.say(message(inside))
    assert phone.text("hi") == [text]


@pytest.mark.parametrize("answer", [{}, {"status": 204, "kind": None, "content": ""}])
def test_silence_texts_nothing_back(phone, webhook, answer):
    webhook.say(**answer)
    assert phone.text("hi") == []


def test_plain_text_is_texted_as_it_is(phone, webhook):
    webhook.say("<b>Internal error</b> ñ\n".encode() + b"\xff", kind="text/plain")
    assert phone.text("hi") == ["<b>Internal error</b> ñ\n\ufffd"]


def test_compressed_answer_is_read(phone, webhook):
    webhook.say(gzip.compress(message("Hello").encode()), Content_Encoding="gzip")
    assert phone.text("hi") == ["Hello"]


@pytest.mark.parametrize(
    "code, answer",
    [
        (11217, {"status": 403}),
        (11217, {"status": 429}),
        (11217, {"status": 500, "content": message("Sorry")}),
        (11216, {"status": 302, "Location": "/other"}),
        (11216, {"status": 308, "Location": "/other"}),
        (11750, {"content": f"<Response>{' ' * 65_516}</Response>"}),
        (11750, {"content": gzip.compress(b" " * 1_000_000), "Content_Encoding": "gzip"}),
        (12300, {"kind": None}),
        (12300, {"kind": "application/json", "content": "{}"}),
        (12100, {"content": ""}),
        (12100, {"content": "OK"}),
        (12100, {"content": '\n<?xml version="1.0"?><Response/>'}),
        (12100, {"content": message("a & b")}),
        (12100, {"content": message("\x1b")}),
        (12100, {"content": message("&#55357;")}),
        (12100, {"content": '<?xml version="1.0" encoding="klingon"?><Response/>'}),
        (12102, {"content": "<response/>"}),
        (12102, {"content": '<Response xmlns="http://example.com"/>'}),
        (12200, {"content": "<Response>Hello</Response>"}),
        (12200, {"content": "<Response><Message>a</Message>b</Response>"}),
        (12200, {"content": "<Response><message>a</message></Response>"}),
        (12200, {"content": "<Response><Say>a</Say></Response>"}),
        (12200, {"content": '<Response to="all"/>'}),
        (12200, {"content": message("a", ' status_callback="/status"')}),
        (12200, {"content": message("<body>a</body>")}),
        (12200, {"content": message("<Body><b>a</b></Body>")}),
        (12200, {"content": message('<Body lang="en">a</Body>')}),
        (14103, {"content": message("")}),
        (14103, {"content": message(" \n ")}),
        (14103, {"content": message("a" * 1601)}),
        (14103, {"content": message("a" * 1601 + "<Media>https://example.com/a</Media>")}),
        (14103, {"content": "", "kind": "text/plain"}),
        (14103, {"content": " ", "kind": "text/plain"}),
        (14103, {"content": "a" * 1601, "kind": "text/plain"}),
        (14109, {"content": f"<Response>{'<Message>a</Message>' * 11}</Response>"}),
        (0, {"content": "<Response><Redirect>/other</Redirect></Response>"}),
    ],
)
def test_answer_that_twilio_refuses_is_its_error(phone, webhook, code, answer):
    webhook.say(**answer)
    assert code_of(phone) == code
    assert len(webhook.requests) == 1
    assert phone.last.status == answer.get("status", 200)
    assert phone.last.replies == []


@pytest.mark.parametrize(
    "content, texts",
    [
        (f"<Response>{' ' * 65_515}</Response>", 0),
        (message("a" * 1600), 1),
        (f"<Response>{'<Message>a</Message>' * 10}</Response>", 10),
    ],
)
def test_answer_may_be_as_long_as_twilio_allows(phone, webhook, content, texts):
    webhook.say(content)
    assert len(phone.text("hi")) == texts


def test_error_says_its_number_and_what_is_wrong(phone, webhook):
    webhook.say("<Response><Say>a</Say></Response>")
    with pytest.raises(TwilioError, match="12200: <Response> may not have <Say>"):
        phone.text("hi")


def test_refused_connection_is_an_error():
    with Server(("127.0.0.1", 0), Handler) as server:
        url = f"http://127.0.0.1:{server.server_port}/sms"
    phone = new_phone(url)
    assert code_of(phone) == 11205
    assert phone.last.status is None


@pytest.mark.parametrize("content, drip", [("", 9), (message("Hello") * 9, 0.05)])
def test_answer_that_comes_too_slowly_is_an_error(phone, webhook, content, drip):
    assert phone.patience == 15
    phone.patience = 0.3
    webhook.say(content, drip=drip)
    start = time.monotonic()
    assert code_of(phone) == 11205
    assert 0.3 <= time.monotonic() - start < 9  # both would take longer, even undisturbed


def test_answer_that_breaks_off_is_an_error(phone, webhook):
    webhook.say("<Response/>", Content_Length="1000", Connection="close")
    assert code_of(phone) == 11205


def test_no_more_is_read_than_twilio_reads(phone, webhook):
    webhook.say(" " * 70_000, Content_Length="1000000", Connection="close")
    assert code_of(phone) == 11750


def test_phone_goes_on_after_an_error(phone, webhook):
    webhook.say("", status=500)
    webhook.say(message("Hello"))
    assert code_of(phone) == 11217
    assert phone.text("hi") == ["Hello"]


def test_fallback_answers_instead(webhook):
    phone = new_phone(f"{webhook.url}#rc=2", fallback_url=f"{webhook.url}/fallback#rc=0")
    webhook.say("", status=500)
    webhook.say(message("Later, please."))
    assert phone.text("hi") == ["Later, please."]
    first, second = webhook.requests
    assert second.path == "/sms/fallback"
    assert second.form == first.form | {"ErrorCode": "11217", "ErrorUrl": webhook.url}
    signature = sign(f"{webhook.url}/fallback", second.fields)
    assert second.headers["X-Twilio-Signature"] == signature
    assert token_of(first) != token_of(second)


def test_fallback_is_asked_once_and_only_after_an_error(webhook):
    phone = new_phone(webhook.url, fallback_url=f"{webhook.url}/fallback")
    phone.text("hi")
    assert len(webhook.requests) == 1
    webhook.say("", status=500)
    webhook.say("", kind="application/json")
    assert code_of(phone) == 12300
    assert len(webhook.requests) == 3


def test_fallback_is_not_asked_for_what_only_the_phone_cannot_do(webhook):
    phone = new_phone(webhook.url, fallback_url=f"{webhook.url}/fallback")
    webhook.say("<Response><Redirect>/other</Redirect></Response>")
    assert code_of(phone) == 0
    assert len(webhook.requests) == 1


def test_last_exchange_is_remembered(phone, webhook):
    assert phone.last is None
    webhook.say(message("Hello"), X_Request="7")
    phone.text("hi", sid="SM" + "1" * 32)
    assert phone.last.sid == "SM" + "1" * 32
    assert phone.last.status == 200
    assert phone.last.headers["x-request"] == "7"
    assert phone.last.content == message("Hello").encode()
    assert [reply.body for reply in phone.last.replies] == ["Hello"]


@pytest.mark.parametrize(
    "attributes, callback",
    [
        ("", None),
        (' statusCallback="/status?m=1"', "/status?m=1"),
        (' action="status"', "/status"),
        (' action="/a" statusCallback="/b"', "/b"),
    ],
)
def test_reply_knows_where_its_status_goes(phone, webhook, attributes, callback):
    webhook.say(message("Hello", attributes))
    phone.text("hi")
    expected = callback and f"http://127.0.0.1:{webhook.port}{callback}"
    assert phone.last.replies[0].status_callback == expected


def reply_of(phone: Phone, webhook: Webhook):
    webhook.say(message("Hello", ' statusCallback="/status?m=1#rc=3"'))
    phone.text("hi")
    return phone.last.replies[0]


def test_report_tells_the_status_as_twilio_does(phone, webhook):
    reply = reply_of(phone, webhook)
    webhook.say("", status=204)
    assert phone.report(reply, "sent") == 204
    inbound, request = webhook.requests
    assert request.path == "/status?m=1"
    assert reply.sid != inbound.form["MessageSid"]
    assert request.form == {
        "MessageSid": reply.sid,
        "SmsSid": reply.sid,
        "AccountSid": ACCOUNT_SID,
        "From": "+14155550100",
        "To": "+14158675308",
        "MessageStatus": "sent",
        "SmsStatus": "sent",
        "ApiVersion": "2010-04-01",
    }
    url = f"http://127.0.0.1:{webhook.port}/status?m=1"
    assert request.headers["X-Twilio-Signature"] == sign(url, request.fields)


def test_report_of_a_failure_names_the_error_and_the_time(phone, webhook):
    reply = reply_of(phone, webhook)
    phone.report(reply, "undelivered", 30003)
    form = webhook.requests[1].form
    assert form["ErrorCode"] == "30003"
    assert re.fullmatch("[0-9]{10}", form["RawDlrDoneDate"])


def test_report_returns_the_status_of_a_refusal(phone, webhook):
    reply = reply_of(phone, webhook)
    webhook.say("", status=403)
    assert phone.report(reply, "delivered") == 403


def test_report_carries_no_cookie(phone, webhook):
    phone.cookies["conversation"] = "abc"
    phone.report(reply_of(phone, webhook), "sent")
    inbound, report = webhook.requests
    assert "Cookie" in inbound.headers
    assert "Cookie" not in report.headers


def test_reply_without_a_callback_has_no_report(phone, webhook):
    webhook.say(message("Hello"))
    phone.text("hi")
    with pytest.raises(ValueError, match="no status callback"):
        phone.report(phone.last.replies[0], "sent")
