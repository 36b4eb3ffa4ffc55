"""A text without a Body is taken as an empty one, but not one whose Body is somewhere else."""

import pytest
from conftest import ACCOUNT_SID, NUMBER, REY, mostly_on_sqlite
from test_trust import post

from phone import new_sid


def form(**changes: str) -> list[tuple[str, str]]:
    """The fields of a text, each new."""
    fields = {"AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01", "From": REY, "To": NUMBER}
    return sorted((fields | {"MessageSid": new_sid("SM")} | changes).items())


def test_a_text_without_a_body_is_an_empty_text(webhook):
    fields = form(MediaUrl0="https://example.org/photo", NumMedia="1")
    status, twiml = post(webhook, fields)
    assert (status, twiml.count(b"<Message")) == (200, 0)
    assert webhook.rows("SELECT body, read_as FROM messages") == [("", "empty")]


@pytest.mark.parametrize(
    "fields",
    [
        [("ApiVersion", "2010-04-01BodyBlue")],
        [("ApiVersion", "2010-04-01"), ("ApiVersion2", "BodyBlue")],
        [("ApiVersion", "2010-04-01Bo"), ("Cy", "Body")],
        [("ApiVersion", "2010-04-01"), ("BodyBlue", "")],
        [("ApiVersion", "2010-04-01"), ("Bod", "yBlue")],
    ],
)
@mostly_on_sqlite
def test_a_body_that_was_cut_into_another_field_is_not_taken_for_none(webhook, fields):
    others = [field for field in form() if field[0] != "ApiVersion"]
    assert post(webhook, sorted(others + fields)) == (403, b"")
    assert webhook.rows("SELECT body FROM messages") == []


# What WhatsApp calls a sender ################################################

ID, OTHER_ID = "whatsapp:US.1234567890", "whatsapp:US.987"


@pytest.mark.parametrize(
    ("sender", "fields"),
    [
        (REY, [("Body", "hello"), ("ExternalUserId", ID)]),
        (
            f"whatsapp:{REY}",
            [("Body", "hello"), ("ExternalUserId", ID), (f"ExternalUserId{OTHER_ID}", "")],
        ),
        (
            f"whatsapp:{REY}",
            [("Body", "hello"), ("ExternalUserId", f"{ID}ExternalUserId{OTHER_ID}")],
        ),
        (
            f"whatsapp:{REY}",
            [("Body", "hello"), ("ExternalUserId", ID), ("ExternalUserId", OTHER_ID)],
        ),
        ("whatsapp:US.22", [("Body", "hello"), ("ExternalUserId", ID)]),
    ],
)
@mostly_on_sqlite
def test_an_id_that_was_cut_from_a_body_names_nobody(webhook, sender, fields):
    webhook.phone(sender=ID).text("Mats BBQ")
    others = [field for field in form(From=sender) if field[0] != "Body"]
    assert post(webhook, sorted(others + fields))[0] == 200
    assert webhook.rows("SELECT phone, alias FROM contacts ORDER BY id") == [
        (ID, None),
        (sender, None),
    ]
