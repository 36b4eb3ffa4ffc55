"""One slip of the finger is forgiven in long words, and never in figures."""

import pytest

from models.questionnaire.slips import is_slip


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("pizaza", "pizza"),
        ("piza", "pizza"),
        ("pixza", "pizza"),
        ("pziza", "pizza"),
        ("izza", "pizza"),
        ("pizzaa", "pizza"),
        ("pizaz", "pizza"),
        ("lucnh 2026", "lunch 2026"),
        ("matt's bbq", "mat's bbq"),
    ],
)
def test_one_letter_is_a_slip(typed, name):
    assert is_slip(typed, name)


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("pizza", "pizza"),
        ("pza", "pizza"),
        ("zipza", "pizza"),
        ("", "pizza"),
        ("pizzeria", "pizza"),
        ("bleu", "blue"),
        ("joan", "join"),
        ("room 111", "room 101"),
        ("room 10l", "room 101"),
        ("room 1 01", "room 101"),
        ("6k run", "5k run"),
        ("party 2025", "party 2026"),
        ("party 20261", "party 2026"),
    ],
)
def test_more_than_one_letter_a_short_word_or_a_figure_is_none(typed, name):
    assert not is_slip(typed, name)
