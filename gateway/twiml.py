"""The response to a text: TwiML with one message, or none."""

import re

from twilio.twiml.messaging_response import MessagingResponse

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(body: str | None, status_url: str) -> str:
    """TwiML that texts `body`; no message for None, or where nothing is visible.

    Twilio reports what became of the message to `status_url`. There is at most one message,
    for two may arrive in the wrong order.
    """
    document = MessagingResponse()
    body = NOT_XML.sub("", body or "")
    if body.strip():
        # Twilio reads one of the two, depending on the kind of message.
        document.message(body, action=status_url, status_callback=status_url)
    return document.to_xml()
