import pytest
from twilio.request_validator import RequestValidator

from gateway.webhook import parse_form


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
    assert RequestValidator("12345").validate(url, parse_form(body), signature)
    assert not RequestValidator("12345").validate(url, parse_form(body + b"&New="), signature)
