"""A questionnaire speaks its language throughout, without a word in [say]."""

import msgspec
import pytest
from test_conversation import Guest

from gateway.segments import GSM_7, encoding
from models import Questionnaire
from models.questionnaire.languages import ENGLISH, LANGUAGES
from models.questionnaire.templates import placeholders
from models.questionnaire.wording import Wording, wording_of

ASKS = """
title = "Party"
event = "Party"
language = "{language}"
review = true
thanks = "{{comes}} {{guests}}"
{more}
[[questions]]
key = "comes"
kind = "yes_no"
ask = "1?"
[[questions]]
key = "guests"
kind = "number"
max = 9
ask = "2?"
"""
ABROAD = [language for language in LANGUAGES if language != ENGLISH]
# What a guest texts, in the order of LANGUAGES without English: yes, BACK, FIX 2.
SPOKEN = {
    "de": ("ja", "Zurück", "ändern 2"),
    "es": ("si", "atrás", "Cambiar 2"),
    "fr": ("oui", "Retour !", "corriger 2"),
    "it": ("sì", "indietro", "Cambia 2"),
    "nl": ("ja", "terug", "wijzig 2"),
    "pt": ("sim", "voltar", "mudar 2"),
}
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def guest(serve, questionnaires):
    def come(language: str, more: str = "") -> Guest:
        content = ASKS.format(language=language, more=more)
        (questionnaires / "party.toml").write_text(content, "utf-8")
        return Guest(serve())

    return come


@on_sqlite
@pytest.mark.parametrize("language", SPOKEN)
def test_a_conversation_is_in_the_questionnaires_language(guest, language):
    one, say = guest(language, "say = { yes = ['Y', 'ja'], no = ['N'] }"), wording_of(language)
    _, back, fix = SPOKEN[language]
    review = say.review.replace("{last}", "2")
    assert one.text("Party", "what?", "Y", "many", back, "y", "skip", "4") == [
        "1?",
        say.yes_no,
        "2?",
        say.number.replace("{limits}", " (max. 9)"),
        "1?",
        "2?",
        f"{say.needed} 2?",
        review.replace("{answers}", "1 Y, 2 4"),
    ]
    assert one.text(fix, "5", "OK", fix, back) == [
        "2?",
        review.replace("{answers}", "1 Y, 2 5"),
        "Y 5",
        "2?",
        say.unchanged,
    ]


@on_sqlite
@pytest.mark.parametrize("language", SPOKEN)
def test_english_keywords_count_besides(guest, language):
    one = guest(language, "say = { yes = ['Y'], no = ['N'] }")
    assert one.text("Party", "Y", "BACK", "Y", "4", "FIX 1")[2:] == [
        "1?",
        "2?",
        wording_of(language).review.format(answers="1 Y, 2 4", last="2"),
        "1?",
    ]


@on_sqlite
def test_a_word_of_the_file_replaces_those_of_the_language_and_the_english_one(guest):
    one = guest("de", "say = { yes = ['Y'], no = ['N'], back = 'RETOUR', fix = 'FIX' }")
    assert one.text("Party", "Y", "zurück", "BACK", "retour")[2:] == [
        wording_of("de").number.replace("{limits}", " (max. 9)"),
        wording_of("de").number.replace("{limits}", " (max. 9)"),
        "1?",
    ]
    assert one.text("Y", "4", "ändern 1", "fix 1")[3:] == ["1?"]


@on_sqlite
def test_a_sentence_of_the_file_replaces_that_of_the_language(guest):
    one = guest("fr", 'say = { yes = ["Y"], no = ["N"], number = "Combien ?" }')
    assert one.text("Party", "Y", "many")[-1] == "Combien ?"
    assert wording_of("fr").yes_no == one.text("BACK", "hm")[-1]


@on_sqlite
def test_a_language_that_is_not_built_in_speaks_english(guest):
    assert guest("sv").text("Party", "hm")[-1] == "Please reply yes or no."


def test_a_yes_is_shown_in_the_language_or_in_the_files_word():
    def shown(**content) -> tuple[str, str]:
        sentences = msgspec.convert({"title": "x", **content}, Questionnaire).sentences
        return sentences.yes[0], sentences.no[0]

    assert shown() == ("yes", "no")
    assert shown(language="de") == ("ja", "nein")
    assert shown(language="de", say={"yes": ["klar"]}) == ("klar", "nein")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_every_sentence_and_keyword_of_its_own(language):
    spoken, english = wording_of(language), wording_of(ENGLISH)
    for name in set(Wording.__struct_fields__) - {"stop"}:  # words to add, besides [opt_out]
        assert getattr(spoken, name), name
        if language != ENGLISH and name not in ("yes", "no", "ok"):
            assert getattr(spoken, name) != getattr(english, name), name


@pytest.mark.parametrize("language", ABROAD)
def test_each_sentence_holds_what_the_english_one_holds(language):
    spoken, english = wording_of(language), wording_of(ENGLISH)
    for name in set(Wording.__struct_fields__) - {"yes", "no", "stop"}:
        found = placeholders(getattr(spoken, name))
        assert sorted(found) == sorted(placeholders(getattr(english, name))), name


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_said_costs_no_more_than_it_must(language):
    """One character outside GSM-7 makes the segments of a whole text half as long."""
    for name in Wording.__struct_fields__:
        for sentence in [getattr(wording_of(language), name)]:
            assert encoding("".join(sentence)) == GSM_7, name


def test_check_warns_of_what_the_file_says_only(tmp_path):
    """Nobody can correct a sentence that is not in their file."""
    from models.questionnaire.costs import CostReport
    from models.questionnaire.loader import complete

    questions = [{"ask": "¿Qué día?", "kind": "date"}]
    content = {"title": "x", "language": "pt", "questions": questions, "thanks": "Bom."}
    report = CostReport.of(complete(msgspec.convert(content, Questionnaire)), (), None)
    places = {problem.location for problem in report.warnings()}
    assert places <= {"question 1, ask"}


def test_what_is_stored_does_not_change_with_what_a_language_says():
    """The digest names the version of a questionnaire, and must stay when sentences improve."""
    content = {"title": "x", "language": "de", "thanks": "Danke.", "questions": [{"ask": "?"}]}
    questionnaire = msgspec.convert(content, Questionnaire)
    assert b"say" not in msgspec.json.encode(questionnaire)
    assert questionnaire.sentences.needed != "This one cannot be skipped."
    assert questionnaire.digest == msgspec.convert(content, Questionnaire).digest
