"""The response to a text: TwiML with one message, or none."""

import re

from twilio.twiml.messaging_response import MessagingResponse

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
CONTENT_TYPE = "text/xml; charset=utf-8"


def render(body: str | None, public_url: str, message_id: int | None, token: str | None) -> str:
    """TwiML that texts `body`; no message for None, or where nothing is visible.

    Twilio reports to us what became of it, with the id and token of the message. There is at most
    one message, for two may arrive in the wrong order.
    """
    document = MessagingResponse()
    body = NOT_XML.sub("", body or "")
    if body.strip():
        status_url = f"{public_url}/sms/status?message={message_id}"
        if token:  # none where the reply went out before there were tokens
            status_url += f"&token={token}"
        # Twilio reads one of the two, depending on the kind of message.
        document.message(body, action=status_url, status_callback=status_url)
    return document.to_xml()
