"""`check`: what an author learns before the guests do."""

import json
import os

import pytest
from conftest import HERE, invoke, run

MISTAKEN = """
title = "Everything that can be wrong"
event = "STOP"
to = ["call me"]
timezone = "Mars/Olympus"
language = "xx"
first_reply = "Hello"
colour = "red"
thanks = "{nmae}"
after = "LONG"

[[questions]]
ask = "Which? {choices}"
kind = "choice"
choices = [
    "Stop", "Start", "Help", { value = "Cola", also = ["coke"] }, "COKE",
    { value = "3", also = ["C"] }
]

[[questions]]
ask = "How many?"
kind = "numbr"
colour = "red"

[[questions]]
ask = "Which of many?"
kind = "choice"
many = true
choices = ["A, B", "C"]

[[questions]]
ask = "Which of none?"
kind = "choice"

[[questions]]
ask = "Number?"
kind = "number"
min = 9
max = 1
earliest = "today"

[[questions]]
ask = "Date?"
kind = "date"
earliest = 2026-12-31
latest = 2026-01-01

[[questions]]
ask = "Date?"
kind = "date"
earliest = "2026-02-31"

[[questions]]
ask = "Code?"
pattern = "(["
retry = "{Question99}"
attempts = 11

[[questions]]
ask = "Phone?"
kind = "phone"
region = "XX"
give_up = "shout"

[[questions]]
key = "coming"
ask = "Coming?"
kind = "yes_no"
only_if = { Question99 = "yes" }

[[questions]]
key = "guests"
ask = "Guests?"
kind = "number"
max = 5
only_if = { coming = "perhaps" }

[[questions]]
key = "seats"
ask = "Seats?"
only_if = { guests = { min = 9 } }

[[questions]]
key = "a"
ask = "A?"
only_if = { coming = "yes" }

[[questions]]
key = "b"
ask = "B?"
only_if = { a = "x", coming = "no" }

[[questions]]
key = "a"
ask = "?"
min = "few"

[say]
back = "END"
skip = "FIX"
yes = ["si", "Info"]
no = ["SI"]
number = "{choices}"

[results]
url = "example"
format = "xml"
fields = { Nobody = "x" }
"""
FOUND = {
    "event": "STOP can never be read, as it stops all our texts. Choose another word.",
    "to": 'call me is not a number. Write it like "+14155550100", without spaces.',
    "timezone": 'is not a time zone. Write one like "Europe/Berlin".',
    "language": 'xx is not known for dates. Write one like "es".',
    "first_reply": "belongs to a counter, which has no questions. Remove one of the two.",
    "": "Object contains unknown field `colour`. Remove it, or correct its spelling.",
    "thanks": "{nmae} is not known here. There can be {name}, ",
    "after": "has 1,600 characters, and a text has less than 1,600. Shorten it.",
    "question 1, choices": [
        "Stop can never be read, as it stops all our texts. Choose another word.",
        "Start opts in at Twilio, which may answer it and have us silent. Choose another word.",
        "Help can never be read, as Twilio answers it with help. Choose another word.",
        "coke means Cola and COKE both. Give each words of its own.",
        "c means 3, though it is the number or letter of Help. Choose longer words.",
    ],
    "question 2, kind": "Invalid enum value 'numbr'. Write one of text, yes_no, choice, number, ",
    "question 2": "Object contains unknown field `colour`. Remove it, or correct its spelling.",
    "question 3, choices": "A, B holds a comma, which is put between several. Remove it.",
    "question 4, choices": 'are missing. Add them, like choices = ["Pizza", "Pasta"].',
    "question 5, earliest": 'belongs to kind = "date" or "time". Remove it, or change the kind.',
    "question 5, min": "leaves nothing between it and max. Correct one.",
    "question 6, earliest": "is after latest. No day could be between them; correct one.",
    "question 7, earliest": "2026-02-31 is not a day. Write one that the calendar has.",
    "question 8, attempts": "Expected `int` <= 10. Write a number from 1 to 10.",
    "question 9, give_up": 'Invalid enum value \'shout\'. Write "skip", "keep" or "end".',
    "question 10, only_if": "Question99 is no earlier question. There can be Question1, ",
    "question 11, only_if": 'coming can never be that. Write "yes" or "no".',
    "question 12, only_if": "guests can never be that. Write numbers inside its limits, ",
    "question 14, only_if": "no path leads to this question: its conditions, ",
    "question 15, min": "Expected `int | float | null`, got `str`. Correct it.",
    "say, back": "END can never be read, as it stops all our texts. Choose another word.",
    "say, fix": "is the same word as skip. Choose another.",
    "say, yes": "Info can never be read, as Twilio answers it with help. Choose another word.",
    "say, no": "si is a word for yes and for no. Remove one of the two.",
    "say, number": "{choices} is not known here. There can be {name}, ",
    "results, format": 'Invalid enum value \'xml\'. Write "form" or "json".',
}
# Where a part does not fit, nothing else is said of it: these are found once it does.
ONE = 'title = "T"\nthanks = "Thanks"\n[[questions]]\nask = "One?"\n'
RESULTS = ONE + '[results]\nurl = "https://example.org"\n'
ALONE = {
    "question 1, key": (
        ONE + 'key = "Corrects"\n[results]\nurl = "http://a"\npartial = true',
        "is t",
    ),
    "question 2, key": (
        ONE + 'key = "a"\n[[questions]]\nask = "?"\nkey = "a"',
        "an earlier question",
    ),
    "question 1, pattern": (ONE + 'pattern = "(["', "is not a regular expression: "),
    "question 1, retry": (ONE + 'retry = "{Question1}"', "{Question1} is not known here."),
    "question 1, region": (ONE + 'kind = "phone"\nregion = "XX"', "XX is not a country."),
    "results, url": (RESULTS.replace("https://", ""), "is not a web address."),
    "results, fields": (RESULTS + 'fields = { Nobody = "x" }', '"Nobody" is not a name of ours.'),
    "say, back": (
        'say = { back = "2" }\n' + ONE + 'kind = "choice"\nchoices = ["x", "y"]',
        "2 is an answer to question 1, too.",
    ),
    "say, skip": (
        'say = { skip = "nope" }\n' + ONE + 'kind = "yes_no"',
        "nope is an answer to question 1, too.",
    ),
    "say, restart": (
        'say = { restart = "7" }\n' + ONE + 'kind = "number"',
        "7 is an answer to question 1, too.",
    ),
    "say, fix": ('say = { fix = "2" }\n' + ONE, "2 has no letter."),
    "say, stop": ('say = { stop = ["🛑"] }\n' + ONE, "🛑 has no letter. Choose a word."),
    "say, stop ": ('say = { stop = ["2"] }\n' + ONE, "2 has no letter."),
    "say, stop  ": (
        'say = { stop = ["Zurück!"] }\nlanguage = "de"\n' + ONE,
        "Zurück! hides the word back: here it opts out. Choose another word.",
    ),
    "say, which": (
        'say = { which = "Which one?" }\n' + ONE,
        "does not name what can be meant. Write {readings} there.",
    ),
    "question 1, min": (ONE + "min = 2000", "leaves nothing between it and max."),
    "question 1, max": (ONE + "max = 0", "leaves nothing to text."),
    "question 1, min ": (
        ONE + 'kind = "number"\nwhole = true\nmin = 1.2\nmax = 1.8',
        "leaves nothing between it and max.",
    ),
    "question 1, earliest": (
        ONE + 'kind = "date"\nearliest = "today+5d"\nlatest = "today-5d"',
        "is after latest.",
    ),
    "question 1, choice 2": (
        ONE + 'kind = "choice"\nchoices = ["A", ""]',
        "is empty. Write something",
    ),
    "question 1": (ONE + '"x`y" = 1', "unknown field `x`y`. Remove it"),
    "results": (RESULTS + 'title = "x"', "unknown field `title`. Remove it"),
    "say, yes": ('say = { yes = "si" }\n' + ONE, 'Write a list, like ["one", "another"].'),
    "question 2, only_if ": (
        ONE + 'kind = "email"\n[[questions]]\nask = "?"\nonly_if = { Question1 = "nope" }',
        "Question1 can never be that.",
    ),
    "resume": ('title = "T"\nreply = "x"\nresume = "1h"', "belongs to questions."),
    "question 2, only_if": (
        ONE + '[[questions]]\nask = "?"\nonly_if = { Question1 = { max = 1 } }',
        "Question1 can never be that. Write a text, or a list of texts",
    ),
}


@pytest.fixture
def judge(folder, environ):
    """Run `check` on one file; what it says of it."""

    def judge(content: str, *options: str):
        for path in (folder / "questionnaires").glob("*.toml"):
            path.unlink()
        (folder / "questionnaires/party.toml").write_text(content, "utf-8")
        ended = invoke(folder, environ, "check", "--json", *options)
        return ended.returncode, json.loads(ended.stdout)

    return judge


def findings(told: dict) -> list[tuple[str, str, str]]:
    return [(one["level"], one["place"], one["sentence"]) for one in told["findings"]]


def test_a_file_with_every_mistake_has_each_named_with_its_cure(judge):
    status, told = judge(MISTAKEN.replace("LONG", "x" * 1600))
    assert status == os.EX_CONFIG
    found = findings(told)
    assert {one["file"] for one in told["findings"]} == {"questionnaires/party.toml"}
    for place, sentences in FOUND.items():
        for sentence in [sentences] if isinstance(sentences, str) else sentences:
            known = [said for _, where, said in found if where == place]
            assert any(said.startswith(sentence) for said in known), (place, sentence, known)


@pytest.mark.parametrize("place", ALONE)
def test_a_mistake_is_named_where_it_is(judge, place):
    content, sentence = ALONE[place]
    status, told = judge(content)
    assert status == os.EX_CONFIG
    found = [said for _, where, said in findings(told) if where.startswith(place.strip())]
    assert any(sentence in said for said in found), found


def test_serve_and_check_find_the_same_mistakes(folder, environ, judge):
    _, told = judge(MISTAKEN)
    ended = run(folder, environ, "serve")
    assert ended.returncode == os.EX_CONFIG
    assert ended.stderr.splitlines() == [
        ": ".join(filter(None, (one["file"], one["place"], one["sentence"])))
        for one in told["findings"]
        if one["level"] == "error"
    ]


def test_the_shipped_files_have_nothing_wrong_or_doubtful(folder, environ):
    shipped = {"SMSCONVO_QUESTIONNAIRES": str(HERE / "questionnaires")}
    ended = run(folder, environ | shipped, "check", "--strict", "--price", "0.0083")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "counter: Message counter (counter), opened by the text" in ended.stdout
    assert "feedback: Guest feedback (4 questions), opened by any text" in ended.stdout
    assert "10 texts both ways, 10 segments, 0.0830 at 0.0083 each" in ended.stdout


def test_a_table_fits_the_terminal(folder, environ):
    ended = invoke(folder, environ | {"COLUMNS": "90"}, "check")
    assert ended.returncode == 0
    assert 70 < max(map(len, ended.stdout.splitlines())) <= 90


@pytest.mark.parametrize(
    ("ask", "sentences"),
    [
        ("Fine?", []),
        ("How’s it?", ["’ (character 4) makes it UCS-2. Write ' instead."]),
        ("Crème\u00a0brûlée", ["U+00A0 (character 6)", "û (character 9) makes it UCS-2. Write u"]),
        ("x" * 71 + "🍕", ["🍕 (character 72) makes it UCS-2: 2 segments instead of 1. Leave it"]),
        ("ç\tç", ["ç (character 1) makes it UCS-2. Write c", "U+0009 (character 2)"]),
        ("{name} “x”", ["“ (character 8)", "” (character 10)"]),
    ],
)
def test_a_character_that_makes_texts_dearer_is_a_warning(judge, ask, sentences):
    status, told = judge(ONE.replace("One?", ask))
    assert status == 0
    assert len(findings(told)) == len(sentences)
    for (level, place, said), sentence in zip(findings(told), sentences, strict=True):
        assert (level, place) == ("warning", "question 1, ask")
        assert said.startswith(sentence)
    assert judge(ONE.replace("One?", ask), "--strict")[0] == (os.EX_CONFIG if sentences else 0)


@pytest.mark.parametrize(
    ("choices", "place", "sentence"),
    [
        ('["Back", "Out"]', "question 1, choices", "BACK hides the word back"),
        ('["0", "A"]', "question 1, choices", "a means A, though it is the number or letter of 0."),
        ('["1-3", "3-5"]', "question 1, choices", "1-3 and 3-5 hold the same numbers."),
        ('["Team 2", "Red"]', "question 1, choices", "2 means Team 2, though it is the number"),
        ('["Yes", "Perhaps"]', "question 1, choices", "Yes opts in at Twilio"),
        ('["Käse", "Crêpes"]', "question 1, choices", "ê (character 3) makes it UCS-2."),
    ],
)
def test_a_doubtful_choice_is_a_warning(judge, choices, place, sentence):
    status, told = judge(ONE + f'kind = "choice"\nchoices = {choices}')
    assert status == 0
    ((level, where, said),) = findings(told)
    assert (level, where) == ("warning", place) and said.startswith(sentence)


@pytest.mark.parametrize(
    ("word", "kind", "is_answer"),
    [
        ("Yes", "yes_no", True),
        ("Tomorrow", "date", True),
        ("Enough of this", "yes_no", False),
        ("no more texts", "yes_no", False),  # it opts out anyway
        ("停止", "number", False),
        ("Yes", "text", False),
    ],
)
def test_a_word_that_opts_out_and_answers_is_a_warning(judge, word, kind, is_answer):
    status, told = judge(f'say = {{ stop = ["{word}"] }}\n{ONE}kind = "{kind}"')
    assert status == 0
    sentence = f"{word} is an answer to question 1, too. Choose another word."
    assert findings(told) == [("warning", "say, stop", sentence)] * is_answer


@pytest.mark.parametrize(
    ("one", "other", "to", "is_alike"),
    [
        ("Mats BBQ", "Mat's BBQ", "", True),
        ("Café", "cafe!", "", True),
        ("Mats BBQ", "Mat's BBQ", 'to = ["+14155550101"]\n', False),
        ("Team 1", "Team 2", "", False),
    ],
)
def test_events_that_are_alike_are_a_warning(folder, environ, one, other, to, is_alike):
    files = folder / "questionnaires"
    for path in files.glob("*.toml"):
        path.unlink()
    (files / "a.toml").write_text(f'event = "{one}"\n{ONE}', "utf-8")
    (files / "b.toml").write_text(f'event = "{other}"\n{to}{ONE}', "utf-8")
    ended = invoke(folder, environ, "check", "--json")
    told = json.loads(ended.stdout)
    assert ended.returncode == 0
    sentence = f'"{one}" and "{other}" are alike, so what guests text may open neither. '
    sentence += 'Give one of them another event = "…", or a to = ["…"] of its own.'
    assert findings(told) == [("warning", "", sentence)] * is_alike


def test_the_dearest_name_is_counted_and_named(folder, judge):
    people = '"+14158675308" = "Rey"\n"+14158675309" = "Zoë"\n"+14158675310" = "Maximiliana"\n'
    (folder / "people.toml").write_text(people, "utf-8")
    status, told = judge(ONE.replace("One?", "Hello {name}! " + "x" * 60))
    asked, *_ = told["questionnaires"][0]["texts"]
    assert asked == {
        "place": "question 1, ask",
        "kind": "text",
        "encoding": "UCS-2",
        "segments": 2,
        "characters": 71,
    }
    assert findings(told) == [
        ("warning", "Zoë", "ë (character 3) makes it UCS-2. Write e instead.")
    ]
    assert told["findings"][0]["file"] == "people.toml"


def test_a_conversation_costs_what_its_shortest_and_its_longest_path_do(judge):
    asks = '[[questions]]\nask = "Why?"\nonly_if = { Question1 = "no" }\n' + "[[questions]]\n"
    long = asks + f'ask = "{"x" * 161}"\n'
    _, told = judge("review = true\n" + ONE + 'kind = "yes_no"\n' + long, "--price", "0.01")
    assert told["questionnaires"][0]["conversation"] == {
        "least": {"texts": 8, "segments": 9, "cost": 0.09},
        "most": {"texts": 10, "segments": 11, "cost": 0.11},
    }


def test_what_is_cut_when_it_is_filled_is_a_warning(judge):
    status, told = judge(
        'event = "' + "x" * 800 + '"\n' + ONE.replace("One?", "{event} {event}") + "optional = true"
    )
    assert status == 0
    assert [(level, place) for level, place, _ in findings(told)] == [
        ("warning", "question 1, ask")
    ]


@pytest.mark.parametrize(
    ("more", "place", "word"),
    [
        ('kind = "choice"\nchoices = ["Opt out", "Stay"]', "question 1, choices", "Opt out"),
        ('language = "it"\n', "event", "Basta"),
    ],
)
def test_a_name_that_opts_out_is_a_warning(judge, more, place, word):
    is_event = place == "event"
    content = f'event = "{word}"\n{more}{ONE}' if is_event else f"{ONE}{more}"
    _, told = judge(content)
    sentence = f"{word} opts out, so it can never be read. Choose another word."
    assert ("warning", place, sentence) in findings(told)
