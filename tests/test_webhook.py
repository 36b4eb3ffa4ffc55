import io
import json
from urllib.parse import parse_qsl, urlencode, urlsplit

import hypothesis
import pytest
from bottle import Response
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator, add_port, remove_port

from gateway.webhook import FORM_TYPE, RequestRejected, Webhook, parse_form, write_cookie

VALIDATORS = [RequestValidator(token) for token in ("12345", "another-é", "a-stranger's")]
URLS = [
    "https://sms.example.org",
    "http://Sms.example.org/guests;a=b",
    *(f"{scheme}://sms.example.org:{port}" for scheme in ("http", "https") for port in (80, 443)),
    "http://[::1]:8080/guests",
]
# All that a server passes on.
QUERIES = st.text([chr(code) for code in range(33, 256) if chr(code) not in "#\x7f"], max_size=9)
PIECES = st.one_of(st.sampled_from(["", "Body", "From", "Zoë", "🙂", "=", "&", "%41"]), st.text())
FIELDS = st.lists(st.tuples(PIECES, PIECES), max_size=9)


def is_signed(webhook: Webhook, path: str, query: str, body: bytes, signature: str) -> bool:
    environ = {
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": FORM_TYPE,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_TWILIO_SIGNATURE": signature,
        "wsgi.input": io.BytesIO(body),
    }
    with pytest.raises(RequestRejected) as rejected:  # no account has this name
        webhook.verified_form(environ)
    return rejected.value.reason != "the signature does not match"


@hypothesis.settings(max_examples=100, deadline=None, database=None)
@hypothesis.given(st.sampled_from(URLS), st.sampled_from(["", "/status"]), QUERIES, FIELDS)
def test_a_signature_counts_if_the_library_of_twilio_takes_it(public_url, end, query, fields):
    *ours, stranger = VALIDATORS
    webhook = Webhook("no account", ("12345", "another-é"), public_url)
    url = f"{public_url}/sms{end}" + (f"?{query}" if query else "")
    body = urlencode(fields).encode()
    form = parse_form(body)
    signed = {url, remove_port(urlsplit(url)), add_port(urlsplit(url)), url.upper()}
    signatures = [each.compute_signature(one, form) for each in VALIDATORS for one in signed]
    cut = [signatures[0][:-1], f"{signatures[0]}=", signatures[0].swapcase(), "", "é" * 28]
    for signature in [*signatures, *cut, stranger.compute_signature(url, dict(fields))]:
        expected = any(each.validate(url, form, signature) for each in ours)
        assert is_signed(webhook, f"/sms{end}", query, body, signature) == expected


@pytest.mark.parametrize(
    "url, body, signature",
    [
        (
            "https://example.com/myapp.php?foo=1&bar=2",
            b"CallSid=CA1234567890ABCDE&Caller=%2B14158675310&Digits=1234"
            b"&From=%2B14158675310&To=%2B18005551212",
            "L/OH5YylLD5NRKLltdqwSvS0BnU=",
        ),
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234",
            "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
        ),
        (
            "https://sms.example.com/sms",
            b"From=%2B15551234567&Body=hi+%F0%9F%98%80+%C3%B1",
            "InzEFMvV7NDcu5QLzXywl6phywk=",
        ),
        (
            "https://sms.example.com/sms",
            b"From=%2B15551234567&Body=",
            "A27v0U7CP5d/SxQG75atgb1K2FU=",
        ),
        (
            "https://sms.example.com/sms",
            b"D=5678&D=1234&D=1234",
            "qr64iVksbBwqr1MELfq8Sbz5IaM=",
        ),
    ],
)
def test_the_published_signatures_fit_what_is_parsed(url, body, signature):
    address, query = urlsplit(url), urlsplit(url).query
    webhook = Webhook("no account", ("12345",), f"{address.scheme}://{address.netloc}")
    assert is_signed(webhook, address.path, query, body, signature)
    assert not is_signed(webhook, address.path, query, body + b"&New=", signature)


BYTES = st.sampled_from([b"a", b"=", b"&", b"+", b"%", b"%C3", b"%a9", b";", b"#", b"\n", b"\xc3"])


@hypothesis.settings(max_examples=300, deadline=None, database=None)
@hypothesis.given(st.lists(BYTES, max_size=12).map(b"".join))
def test_a_form_is_parsed_as_strictly_as_the_standard_library_can(body):
    try:
        fields = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:
        fields = None
    try:
        parsed = parse_form(body).fields
    except RequestRejected as rejected:
        assert rejected.status == 400
        parsed = None
    assert parsed == fields


@hypothesis.given(FIELDS.filter(bool))
@hypothesis.settings(max_examples=100, deadline=None, database=None)
def test_all_fields_are_kept_and_a_list_where_one_came_more_often(fields):
    values = {name: [value for one, value in fields if one == name] for name, _ in fields}
    kept = {name: each if len(each) > 1 else each[0] for name, each in values.items()}
    form = parse_form(urlencode(fields).encode())
    assert list(json.loads(form.as_json()).items()) == list(kept.items())
    assert {name: form.getall(name) for name in values} == values


@hypothesis.settings(deadline=None, database=None)
@hypothesis.given(st.text(), st.booleans())
def test_a_cookie_is_as_bottle_would_set_it(token, is_secure):
    ours, bottles = Response(), Response()
    ours.add_header("Set-Cookie", write_cookie(token, is_secure=is_secure))
    options = {"path": "/", "httponly": True, "max_age": 4 * 60 * 60, "secure": is_secure}
    bottles.set_cookie("conversation", token, **options)
    assert sorted(ours.headerlist) == sorted(bottles.headerlist)
