import re
from xml.etree import ElementTree

import hypothesis
from hypothesis import strategies as st

from gateway import twiml

FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])


@hypothesis.settings(max_examples=100, deadline=None, database=None)
@hypothesis.given(st.text())
def test_any_words_make_well_formed_twiml(words):
    response = ElementTree.fromstring(twiml.render(words, "https://example.org", 7, "token"))
    sent = re.sub("\r\n?", "\n", words.translate(FORBIDDEN))
    assert [message.text for message in response] == ([sent] if sent.strip() else [])
