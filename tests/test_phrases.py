"""Phrases of the files of languages are found as their notation says, and read in no time."""

import pytest
from pace import is_slow

from models.noise import NoisePhrases
from models.opting_out import OptOutPhrases
from models.phrases import Notation, Phrases, split_words, words_of
from models.questionnaire.languages import LANGUAGES, section

SETS = {"texts": "text|sms|text_messages", "whom": "me|us"}


def found(phrase: str, text: str) -> list[str]:
    """What is behind the phrase in a text that begins with it, for each way in which it may end."""
    words = split_words(words_of(text))
    return [" ".join(words[end:-1]) for end in sorted(Notation(SETS).read([phrase]).ends(words, 0))]


@pytest.mark.parametrize(
    ("phrase", "text", "behind"),
    [
        ("leave me alone", "Leave me alone, now", [". now"]),
        ("leave me alone", "Leave me", []),
        ("leave me alone", "Please leave me alone", []),
        ("stop|quit it", "Quit it!", [""]),
        ("stop|quit it", "End it", []),
        ("leave [me|us] alone", "leave us alone", [""]),
        ("leave [me|us] alone", "leave alone", [""]),
        ("[please|pls] [do] stop", "please do stop", [""]),
        ("[please|pls] [do] stop", "stop", [""]),
        ("stop [now]", "stop now", ["now", ""]),
        ("leave the_hell|the alone", "leave the hell alone", [""]),
        ("the_long_way|the_long home", "the long home", [""]),
        ("the_long_way|the_long home", "the long way home", [""]),
        ("the_long_way|the_long home", "the wrong way home", []),
        ("no <texts>|mail to <whom>", "No text messages to us", [""]),
        ("no <texts>|mail to <whom>", "no mail to me", [""]),
        ("<texts> [<texts>]", "sms text", ["text", ""]),
        ("stop , now", "stop, now", [""]),
        ("stop , now", "stop now", [""]),
        ("hi . stop", "hi! stop", [""]),
        ("hi . stop", "hi stop", []),
        ("hi * stop", "Hi Anna stop", [""]),
        ("hi * stop", "hi, stop", []),
        ("hi *", "hi", []),
        ("hi ... stop", "hi stop", [""]),
        ("hi ... stop", "hi you. all of you stop and stop", ["and stop", ""]),
        ("list !for|of", "list", [""]),
        ("list !for|of", "list of names", []),
        ("list !for|of *", "list my names", ["names"]),
        ("list !all_of", "list all of us", []),
        ("list !all_of", "list all", ["all"]),
        ("my #", "my # please", ["please"]),
        ("été d'or", "Ete dor", [""]),
    ],
)
def test_a_phrase_is_found_as_its_notation_says(phrase, text, behind):
    assert found(phrase, text) == behind


@pytest.mark.parametrize("phrase", ["* stop", "... stop", "!a stop", "[please] * stop", ", stop"])
def test_a_phrase_that_begins_with_no_word_is_named(phrase):
    with pytest.raises(ValueError, match="begins with no word"):
        Notation().read([phrase])


def test_a_set_that_is_missing_is_named():
    with pytest.raises(KeyError, match="texts"):
        Notation().read(["no <texts>"])


def test_lists_are_repeated_together_and_a_word_that_was_cut_is_none():
    both = Phrases.union([Notation().read(["please", "now then"]), Notation().read(["thank you"])])
    words = split_words("please now then thank you plea")
    assert both.repeated_ends(words, {0}) == {0, 1, 3, 5}
    assert len(words) == 6


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_phrases_of_a_language_are_read_in_no_time(language):
    """Each process reads them before its first text, several languages at that."""
    opt_out = section(language, "opt_out", OptOutPhrases)
    noise = section(language, "noise", NoisePhrases)
    lists = [getattr(opt_out, name) for name in opt_out.__struct_fields__ if name != "sets"]

    def read() -> None:
        notation = Notation(opt_out.sets)
        for phrases in (*lists, noise.starts, noise.contains):
            notation.read(phrases)

    assert not is_slow(read)
