import os
import re
from datetime import UTC, date, datetime
from pathlib import Path

import hypothesis
import msgspec
import pytest
from conftest import HERE, context_of, examples
from hypothesis import strategies as st

from models import Catalog, InvalidQuestionnaire, People, Questionnaire, load_catalog
from models.questionnaire.answers import KINDS
from models.questionnaire.costs import CostReport

ONE = 'title = "T"\nthanks = "Thanks"\n[[questions]]\nask = "One?"\n'
COUNTS = 'title = "C"\nreply = "{count}"\n'


@pytest.fixture
def load(tmp_path):
    def load(**files: str) -> Catalog:
        for name, content in files.items():
            (tmp_path / f"{name}.toml").write_text(content, "utf-8")
        return load_catalog(tmp_path)

    return load


@pytest.mark.parametrize(
    ("content", "place", "cure"),
    [
        ("title = ", "is not TOML", "Invalid value"),
        ("title = 'T'\n?", "is not TOML", "line 2"),
        (ONE.replace('title = "T"\n', ""), "`title`", "Add it."),
        ("colour = 'red'\n" + ONE, "`colour`", "Remove it"),
        (ONE + "colour = 'red'", "question 1: ", "Remove it"),
        (ONE.replace('"One?"', "1"), "question 1, ask", "got `int`"),
        (ONE.replace('"One?"', '" "'), "question 1, ask", "Write something"),
        ("expires = '4 hours'\n" + ONE, "expires", 'like "4h"'),
        ("expires = '0h'\n" + ONE, "expires", 'like "4h"'),
        (ONE + "key = 'a b'", "question 1, key", "Write letters"),
        (ONE + "key = 'Event'", "question 1, key: Event is taken", "Choose another"),
        (ONE + "key = 'Question2'\n[[questions]]\nask = 'x'", "question 2, key", "Choose another"),
        (
            ONE + "key = 'a'\n[[questions]]\nask = 'x'\nkey = 'a'",
            "question 2, key",
            "Choose another",
        ),
        (ONE.replace("One?", "{colour}?"), "question 1, ask: {colour}", "There can be {name}"),
        (
            ONE.replace("One?", "{Question1}?"),
            "question 1, ask: {Question1}",
            "There can be {name}",
        ),
        (ONE.replace('"Thanks"', '"{nmae}"'), "thanks: {nmae}", "{event}, {Question1}"),
        ("stranger = '{name}'\n" + ONE, "stranger: {name}", "no placeholder"),
        ('title = "T"', "asks nothing and says nothing", "Add [[questions]]"),
        (ONE.replace('thanks = "Thanks"', ""), "has no thanks", "thanks = "),
        ("reply = 'x'\n" + ONE, "reply: belongs to a counter", "Remove one"),
        ("thanks = 'x'\n" + COUNTS, "thanks: belongs to questions", "Remove one"),
        (
            COUNTS + "[results]\nurl = 'https://example.org'",
            "results: belongs to questions",
            "Remove",
        ),
        (ONE + "[results]\nurl = 'example.org'", "results, url", "https://"),
        (ONE + "[results]\nurl = 'http://[::1'", "results, url", "https://"),
        ("trial_url = 'http://a'\n" + ONE, "unknown field `trial_url`", "Remove it"),
        (
            ONE + "[results]\nurl = 'http://a'\nformat = 'xml'",
            "results, format",
            '"form" or "json"',
        ),
        (
            ONE + "[results]\nurl = 'http://a'\n[results.fields]\nQuestion2 = 'x'",
            'results, fields: "Question2"',
            "There can be From, Event, Question1",
        ),
        (
            ONE + "[results]\nurl = 'http://a'\n[results.fields]\nFrom = 'x'\nEvent = 'x'",
            'results, fields: "x" would be sent twice',
            "a field of its own",
        ),
        (
            ONE + "[results]\nurl = 'http://a'\nformat = 'json'\n[results.fields]\nFrom = 'x'",
            "results, fields",
            'format = "form"',
        ),
    ],
)
def test_a_mistake_is_named_with_file_place_and_cure(load, content, place, cure):
    with pytest.raises(InvalidQuestionnaire) as mistake:
        load(party=content)
    assert "party.toml: " in str(mistake.value)
    assert place in str(mistake.value)
    assert cure in str(mistake.value)


def test_all_mistakes_are_named_at_once(load):
    with pytest.raises(InvalidQuestionnaire) as mistake:
        load(a="title = ", b=ONE.replace("One?", "{x} {y}"), c=COUNTS + "colour = 1")
    assert len(str(mistake.value).splitlines()) == 5


def test_a_directory_without_questionnaires_is_a_mistake(load):
    with pytest.raises(InvalidQuestionnaire, match=r"Put a \.toml file there"):
        load()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (os.mkfifo, "cannot be read: it is no ordinary file."),
        (Path.mkdir, "cannot be read: Is a directory."),
        (lambda path: path.symlink_to("/nowhere"), "cannot be read: No such file"),
        (lambda path: path.symlink_to("/dev/zero"), "cannot be read: it is no ordinary file."),
        (lambda path: path.write_bytes(b"#" * 2**23), "cannot be read: File too large."),
        (lambda path: path.write_bytes(b'title = "\xe9"'), "is not TOML: 'utf-8' codec"),
        (lambda path: path.write_text("a = " + "[" * 5000), "is nested too deeply."),
    ],
)
def test_whatever_is_in_the_place_of_a_file_is_named_at_once(tmp_path, make, sentence):
    make(tmp_path / "party.toml")
    with pytest.raises(InvalidQuestionnaire) as mistake:
        load_catalog(tmp_path)
    assert str(mistake.value).startswith(f"{tmp_path / 'party.toml'}: {sentence}")
    make(tmp_path / "people.toml")
    if not (tmp_path / "people.toml").exists():
        assert People.load(tmp_path / "people.toml") == {}  # as if there were none
    else:
        with pytest.raises(ValueError, match=f"people.toml: {sentence}"):
            People.load(tmp_path / "people.toml")


def test_tables_that_are_nested_too_deeply_are_a_mistake(load):
    with pytest.raises(InvalidQuestionnaire, match="party.toml: is nested too deeply."):
        load(party=f"{'a.' * 5000}a = 1")


def test_a_name_that_cannot_be_stored_is_a_mistake(tmp_path):
    (tmp_path / os.fsdecode(b"f\xeate.toml")).write_text(ONE, "utf-8")
    with pytest.raises(InvalidQuestionnaire, match="its name is not UTF-8. Rename it."):
        load_catalog(tmp_path)


def test_what_an_editor_keeps_beside_the_files_is_no_questionnaire(tmp_path, load):
    (tmp_path / ".#party.toml").symlink_to("somebody@somewhere")
    assert [name for name, _ in load(party=ONE)] == ["party"]


@pytest.mark.parametrize(
    "line", ['"+1 415 867" = "Rey"', "  '+1 415 867' = 'Rey'", '["+1 415 867"]', '"+1 415 867"=1']
)
def test_a_mistake_in_the_people_is_named_by_its_line(tmp_path, line):
    path = tmp_path / "people.toml"
    path.write_text(f'# +1 415 867\n"+1415867" = "+1 415 867"\n{line}\n', "utf-8")
    with pytest.raises(ValueError, match="people.toml: line 3: write each line as") as mistake:
        People.load(path)
    assert "+1 415 867" not in str(mistake.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("", ""),
        ("event = 'Mats BBQ'\n", "event = 'mats  bbq'\n"),
        ("to = ['+1', '+2']\n", "to = ['+2', '+3']\n"),
    ],
)
def test_two_that_one_text_opens_are_a_mistake(load, one, other):
    with pytest.raises(InvalidQuestionnaire, match=r"a\.toml and b\.toml: .* opens both\. Give"):
        load(a=one + ONE, b=other + COUNTS)


def test_those_that_name_the_number_come_first_and_then_an_exact_event(load):
    loaded = load(
        anything=ONE,
        party="event = 'Party'\n" + ONE,
        ours="to = ['+1']\n" + ONE,
        our_party="to = ['+1']\nevent = 'Party'\n" + ONE,
        theirs="to = ['+2']\nevent = 'Picnic'\n" + ONE,
    )
    assert loaded.opens("hello", "+9").name == "anything"
    assert loaded.opens(" PARTY ", "+9").name == "party"
    assert loaded.opens("hello", "+1").name == "ours"
    assert loaded.opens("party", "+1").name == "our_party"
    assert loaded.opens("picnic", "+2").name == "theirs"
    assert loaded.opens("party", "+2").name == "party"


def test_nothing_opens_for_a_text_that_is_no_event(load):
    assert load(party="event = 'Party'\n" + ONE).opens("hello", "+1") is None


def test_questions_without_a_key_are_numbered_by_their_place(load):
    loaded = load(a=ONE + "[[questions]]\nask = 'x'\nkey = 'meal'\n[[questions]]\nask = 'y'")
    assert [question.key for question in loaded["a"].questions] == [
        "Question1",
        "meal",
        "Question3",
    ]


def test_a_key_may_be_what_only_some_sentences_can_hold(load):
    asks = "".join(f"[[questions]]\nask = 'x'\nkey = '{key}'\n" for key in ("last", "choices"))
    loaded = load(a=f'title = "T"\nthanks = "{{last}} {{choices}}"\n{asks}')
    assert [question.key for question in loaded["a"].questions] == ["last", "choices"]


DIGESTS = {  # what conversations in databases of earlier versions go on with
    "counter": "bcfcd6e5f6fe1401d279905bef701d093d50c1132828a306668d3d7e3548eceb",
    "encuesta": "1770ead5dad00d528278d96187281374f097f8f3190d5788af221c8a9092f8aa",
    "feedback": "b069e160aedb609f7b463c15b8ef09fde5b33c9a4ebf3900b89e53c73e1c6e47",
}
EVERY_FIELD = """{"title":"T","event":"E","to":["+1"],"expires":"1h","resume":"2h","stranger":"S",\
"language":"es","timezone":"Europe/Berlin","say":{"yes":["si"],"no":["nel"],"back":"b1",\
"skip":"s1","restart":"r1","ok":"o1","fix":"f1","text":"1","yes_no":"2","choice":"3","many":"4",\
"number":"5","date":"6","email":"7","phone":"8","photo":"9","needed":"a","review":"b",\
"corrected":"c","unchanged":"d","resumed":"e","ended":"f"},"questions":[{"ask":"A","key":"k",\
"kind":"choice","min":1,"max":2.5,"pattern":"p","choices":[{"value":"v","say":"s","also":["x"]}],\
"many":true,"whole":true,"earliest":"today","latest":"2026-12-31","day_first":true,"region":"US",\
"optional":true,"only_if":{"a":["x",1],"b":{"min":1,"max":2}},"retry":"R","attempts":2,\
"give_up":"end"}],"review":true,"thanks":"D","after":"F","results":{"url":"https://example.org",\
"format":"json","partial":true,"fields":{"From":"f"}},"first_reply":"G","reply":"H"}"""

# What results can have besides: where a file has none of it, its digest is what it was.
MORE_OF_RESULTS = ""","fields":{"From":"f","Day":{"name":"d","as":"datetime","options":["o"]}},\
"values":{"k":{"v":"w"}},"pages":3}"""


def test_a_shipped_file_has_the_digest_that_it_always_had():
    assert {name: one.digest for name, one in load_catalog(HERE / "questionnaires")} == DIGESTS


def test_a_stored_definition_is_written_as_it_always_was():
    decoded = msgspec.json.decode(EVERY_FIELD, type=Questionnaire)
    assert msgspec.json.encode(decoded).decode() == EVERY_FIELD
    more = EVERY_FIELD.replace(',"fields":{"From":"f"}}', MORE_OF_RESULTS)
    decoded = msgspec.json.decode(more, type=Questionnaire)
    assert msgspec.json.encode(decoded).decode() == more != EVERY_FIELD


# Whatever stands in a file

PAGE = (HERE / "docs" / "questionnaires.md").read_text("utf-8")
FILES = [*re.findall("```toml\n(.*?)```", PAGE, re.DOTALL)]
FILES += [path.read_text("utf-8") for path in (HERE / "questionnaires").glob("*.toml")]
ODD = ["true", "0", "-1", "10000000000000000000", "1.5", "nan", "inf", "1e308", '""', '" "', '"x"']
ODD += ['"STOP"', '"{name}"', '"}{"', '"{x}"', f'"{"x" * 1600}"', "[]", "[1]", '[""]', '["a", "A"]']
ODD += [
    "[[]]",
    "{}",
    "{ min = nan }",
    "{ min = 5, max = 1 }",
    '{ value = "" }',
    "[{}]",
    '"\\u0000"',
]
ODD += ["2026-01-01", "12:00:00", '"today"', '"9999-12-31"', '"0000-01-01"', '"99999d"', '"a+)("']
ODD += ['{ From = { name = "x", as = "date" } }', '{ Question1 = { options = ["x"], name = "x" } }']
ODD += ['"Question1"', '"../x"', '"/"', '"zz"', '"ZZ"', '{ Question1 = "x" }', '{ a = ["b", 1] }']
NAMES = [
    *Questionnaire.__struct_fields__,
    "kind",
    "min",
    "max",
    "pattern",
    "choices",
    "many",
    "whole",
]
NAMES += [
    "earliest",
    "latest",
    "region",
    "only_if",
    "attempts",
    "give_up",
    "key",
    "url",
    "back",
    "yes",
    "fields",
    "values",
    "pages",
]


@st.composite
def odd_files(draw) -> str:
    lines = draw(st.sampled_from(FILES)).splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        name, equals, _ = lines[place].partition(" = ")
        value = draw(st.sampled_from(ODD))
        if equals and draw(st.booleans()):
            lines[place] = f"{name} = {value}"
        else:
            lines.insert(place, f"{draw(st.sampled_from(NAMES))} = {value}")
    return "\n".join(lines)


@hypothesis.settings(
    max_examples=examples(50, 200),
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(content=odd_files())
def test_whatever_stands_in_a_file_is_refused_in_sentences_or_works(load, content):
    try:
        one = load(odd=content)["odd"]
    except InvalidQuestionnaire as mistake:
        for sentence in str(mistake).splitlines():
            assert re.fullmatch(r'.*odd\.toml: .+ .+[.)"]', sentence), sentence
        return
    assert msgspec.json.decode(msgspec.json.encode(one), type=Questionnaire) == one
    report = CostReport.of(one, ["Rey", "Zoë"], date(2026, 11, 20))
    assert report.costs()[0] <= report.costs()[1]
    assert all(problem.sentence for problem in report.warnings())
    for question in one.questions:
        for said in ("1", "yes", "3 May", "a@b.org"):
            KINDS[question.kind].read(
                question, said, context_of(one, datetime(2026, 11, 20, tzinfo=UTC))
            )
