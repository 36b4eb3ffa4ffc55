"""Segments: what Twilio's calculator counts, and what our phone reports."""

import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

import phone
from gateway.segments import encoding, measure

FAMILY = "👨\u200d👩\u200d👧"
PIECES = [
    *"ab c{}€~^\\[]|\n\f\r@£ΔÇ",
    "ç",
    "’",
    "é",
    "e\u0301",
    "\u00a0",
    "\x1b",
    "😀",
    FAMILY,
    "👍🏽",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=400).map("".join) | st.text(max_size=700)
LONG = st.builds(lambda piece, times: piece * times, st.sampled_from(PIECES), st.integers(0, 700))


@settings(max_examples=examples(100, 1000), deadline=None)
@given(text=TEXTS | LONG)
def test_the_phone_reports_the_segments_that_we_count(text):
    assert measure(text) == phone.measure(text)
    assert measure(text)[0] == encoding(text)


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", ("GSM-7", 1)),
        ("a" * 160, ("GSM-7", 1)),
        ("a" * 161, ("GSM-7", 2)),
        ("a" * 306, ("GSM-7", 2)),
        ("a" * 307, ("GSM-7", 3)),
        ("€" * 80, ("GSM-7", 1)),
        ("€" * 81, ("GSM-7", 2)),
        ("a" * 152 + "€" * 77, ("GSM-7", 3)),  # an escape and its character stay together
        ("ç" * 70, ("UCS-2", 1)),
        ("ç" * 71, ("UCS-2", 2)),
        ("😀" * 35, ("UCS-2", 1)),
        ("😀" * 67, ("UCS-2", 3)),  # 33 in each, as none is split
        (FAMILY * 9, ("UCS-2", 2)),
    ],
)
def test_segments_are_counted_as_twilio_does(text, counted):
    assert measure(text) == counted
