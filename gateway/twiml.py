"""The response to a text: TwiML with one message, or none."""

import re
from xml.sax.saxutils import escape

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
CONTENT_TYPE = "text/xml; charset=utf-8"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
NO_MESSAGE = f"{DECLARATION}<Response />".encode()


def render(body: str | None, public_url: str, message_id: int | None, token: str | None) -> bytes:
    """TwiML that texts `body`; no message for None, or where nothing is visible.

    Twilio reports to us what became of it, with the id and token of the message. There is at most
    one message, for two may arrive in the wrong order.
    """
    body = NOT_XML.sub("", body or "")
    if not body.strip():
        return NO_MESSAGE
    status_url = f"{public_url}/sms/status?message={message_id}"
    if token:  # none where the reply went out before there were tokens
        status_url += f"&token={token}"
    url = escape(status_url, {'"': "&quot;"})
    # Twilio reads one of the two, depending on the kind of message.
    message = f'<Message action="{url}" statusCallback="{url}">{escape(body)}</Message>'
    return f"{DECLARATION}<Response>{message}</Response>".encode()
