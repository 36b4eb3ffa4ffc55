"""Numbers in words: those that num2words has, whatever we put together ourselves."""

import pytest
from num2words import num2words

from models.questionnaire.languages import LANGUAGES
from models.questionnaire.number_words import MOST, find_number_words
from models.questionnaire.tokens import tokens_of

NAMES = [*LANGUAGES, "fr_BE", "fr_CH", "pt_BR"]


@pytest.mark.parametrize("name", NAMES)
def test_the_words_of_each_number_are_that_number(name):
    most = MOST if name in LANGUAGES else 99
    for number in range(most + 1):
        tokens = tokens_of(num2words(number, lang=name))
        assert find_number_words(tokens, 0, name[:2]) == (number, len(tokens)), number


@pytest.mark.parametrize(
    ("language", "words", "number"),
    [
        ("en", "one hundred five", 105),
        ("en", "a hundred and five", 105),
        ("de", "hundertfünf", 105),
        ("de", "zwoundzwanzig", 22),
        ("de", "fuenfzig", 50),
        ("es", "veintiuna", 21),
        ("es", "doscientas", 200),
        ("fr", "vingt et une", 21),
        ("fr", "deux cent", 200),
        ("it", "ventuno", 21),
        ("it", "duemila", 2000),
        ("nl", "tweeduizend", 2000),
        ("pt", "vinte e duas", 22),
        ("es", "ten", 10),
    ],
)
def test_other_spellings_are_the_same_number(language, words, number):
    tokens = tokens_of(words)
    assert find_number_words(tokens, 0, language) == (number, len(tokens))


@pytest.mark.parametrize("words", ["one two", "fourty", "once", "ones", "twenty-"])
def test_what_is_not_all_one_number_is_none_or_only_its_beginning(words):
    tokens = tokens_of(words)
    found = find_number_words(tokens, 0, "en")
    assert found is None or found[1] < len(tokens)
