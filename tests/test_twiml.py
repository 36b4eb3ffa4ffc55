import re
from xml.etree import ElementTree

import hypothesis
from hypothesis import strategies as st
from twilio.twiml.messaging_response import MessagingResponse

from gateway import twiml

FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])
URLS = st.sampled_from(["https://example.org", "http://[::1]:8080/a&b<c>\"d'"])


def as_twilio_writes_it(words: str, url: str) -> str:
    response = MessagingResponse()
    if words.strip():
        response.message(words, action=url, status_callback=url)
    return response.to_xml()


@hypothesis.settings(max_examples=100, deadline=None, database=None)
@hypothesis.given(st.text(), URLS, st.sampled_from(["token", None]))
def test_any_words_make_well_formed_twiml_that_the_library_would_write(words, url, token):
    response = twiml.render(words, url, 7, token)
    sent = words.translate(FORBIDDEN)
    status_url = f"{url}/sms/status?message=7" + (f"&token={token}" if token else "")
    assert response.decode() == as_twilio_writes_it(sent, status_url)
    read = re.sub("\r\n?", "\n", sent)
    messages = ElementTree.fromstring(response)
    assert [message.text for message in messages] == ([read] if sent.strip() else [])
