"""`check` on [results]: what a mapping cannot carry, and where results would be lost."""

import json
import os
import re

import pytest
from click.testing import CliRunner
from conftest import HERE

from commands import cli

ONE = 'title = "T"\nthanks = "Thanks"\n[[questions]]\nask = "One?"\n'
RESULTS = ONE + '[results]\nurl = "https://example.org"\n'

FORM = "https://docs.google.com/forms/d/e/FORM/formResponse"
MAPPED = """
title = "T"
thanks = "Thanks"
[[questions]]
key = "day"
kind = "date"
ask = "Day?"
[[questions]]
key = "coming"
kind = "yes_no"
ask = "Coming?"
[[questions]]
key = "meals"
kind = "choice"
many = true
choices = ["Pizza", "Pasta"]
ask = "Meals?"
[[questions]]
key = "size"
kind = "choice"
choices = ["Small", "Large"]
ask = "Size?"
[[questions]]
key = "guests"
kind = "number"
ask = "Guests?"
[[questions]]
key = "note"
ask = "A note?"
[results]
url = "{url}"
{lines}
[results.fields]
{fields}
[results.values]
{values}
"""
EVERY = {
    "day": '{ name = "entry.1", as = "date" }',
    "coming": '{ name = "entry.2" }',
    "meals": '{ name = "entry.3", options = ["Pizza", "Nudeln"] }',
    "size": '"entry.4"',
    "guests": '"entry.5"',
    "note": '{ name = "entry.6", options = ["None"] }',
    "StartedAt": '{ name = "entry.7", as = "datetime" }',
    "CompletedAt": '{ name = "entry.8", as = "time" }',
    "Id": '"entry.9"',
    "Event": '{ name = "entry.10", options = ["Mats BBQ"] }',
}
WORDS = {"coming": '{ yes = "Ja", no = "Nein" }', "meals": '{ Pasta = "Nudeln" }'}


@pytest.fixture
def judge(tmp_path):
    """Run `check` on one file; what it says of it."""

    def judge(content: str, *options: str):
        (tmp_path / "party.toml").write_text(content, "utf-8")
        environ = {"SMSCONVO_QUESTIONNAIRES": str(tmp_path)}
        ended = CliRunner().invoke(cli, ["check", "--json", *options], env=environ)
        return ended.exit_code, json.loads(ended.stdout)

    return judge


def findings(told: dict) -> list[tuple[str, str, str]]:
    return [(each["level"], each["place"], each["sentence"]) for each in told["findings"]]


def mapped(fields=(), words=(), url: str = FORM, lines: str = "") -> str:
    """A questionnaire whose answers all have a place in a form, but for these changes."""
    fields, words = EVERY | dict(fields), WORDS | dict(words)
    fields = "\n".join(f"{name} = {field}" for name, field in fields.items())
    values = "\n".join(f"{key} = {word}" for key, word in words.items())
    return MAPPED.format(fields=fields, values=values, url=url, lines=lines)


def test_a_mapping_of_every_kind_has_nothing_wrong_or_doubtful(judge):
    status, told = judge(mapped(lines="pages = 3"), "--strict")
    assert (status, findings(told)) == (0, [])


def test_the_questionnaire_of_the_readme_has_nothing_wrong_or_doubtful(judge):
    (content,) = re.findall("```toml\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.S)
    status, told = judge(content, "--strict")
    assert (status, findings(told)) == (0, [])


def as_(way: str) -> str:
    return f'{{ name = "entry.99", as = "{way}" }}'


OPTIONS = '{ name = "entry.99", options = ["1", "2"] }'
NO_MAPPING = {
    "a date has no time": (
        {"day": as_("time")},
        {},
        '"day" cannot go out as time. Write as = "date"',
    ),
    "nor both": (
        {"day": as_("datetime")},
        {},
        '"day" cannot go out as datetime. Write as = "date"',
    ),
    "a number": ({"guests": as_("date")}, {}, '"guests" cannot go out as date. Remove as.'),
    "a text": ({"note": as_("time")}, {}, '"note" cannot go out as time. Remove as.'),
    "a choice": ({"size": as_("date")}, {}, '"size" cannot go out as date. Remove as.'),
    "an id": ({"Id": as_("date")}, {}, '"Id" cannot go out as date. Remove as.'),
    "a sender": ({"From": as_("date")}, {}, '"From" cannot go out as date. Remove as.'),
    "options of a number": ({"guests": OPTIONS}, {}, '"guests" is no text or choice'),
    "options of a date": ({"day": OPTIONS}, {}, '"day" is no text or choice'),
    "options of a time": ({"StartedAt": OPTIONS}, {}, '"StartedAt" is no text or choice'),
    "no key": (
        {},
        {"From": '{ x = "y" }'},
        '"From" is not the key of a question. There can be day, ',
    ),
    "no value": (
        {},
        {"size": '{ small = "S" }'},
        '"size" can never be "small". Write one of "Small", "Large".',
    ),
    "no yes": (
        {},
        {"coming": '{ Yes = "Ja" }'},
        '"coming" can never be "Yes". Write one of "yes", "no".',
    ),
    "words of a date": (
        {},
        {"day": '{ x = "y" }'},
        '"day" is of kind = "date", whose values have no',
    ),
    "words of a text": (
        {},
        {"note": '{ x = "y" }'},
        '"note" is of kind = "text", whose values have',
    ),
    "equal words": (
        {},
        {"meals": '{ Pizza = "Pasta" }'},
        '"meals" would be "Pasta" for 2 of its values',
    ),
    "a name of nobody": (
        {"Nobody": '"entry.99"'},
        {},
        '"Nobody" is not a name of ours. There can be',
    ),
    "twice": (
        {"Id": '"entry.4"'},
        {},
        '"entry.4" would be sent twice, for "size" and "Id". Give each a',
    ),
    "a part": (
        {"Id": '"entry.1_year"'},
        {},
        '"entry.1_year" would be sent twice, for "day" and "Id".',
    ),
    "the whole of parts": (
        {"Id": '"entry.1"'},
        {},
        '"entry.1" would be sent twice, for "day" and "Id".',
    ),
    "a part of a whole": (
        {"Id": '"entry.4_year"'},
        {},
        '"entry.4_year" would be sent twice, for "size"',
    ),
    "parts of two": ({"CompletedAt": EVERY["StartedAt"]}, {}, '"entry.7" would be sent twice'),
    "the text of Other": (
        {"Id": '"entry.6.other_option_response"'},
        {},
        '"entry.6.other_option_response" would be sent twice, for "note" and "Id".',
    ),
    "the page's own": (
        {"Id": '"pageHistory"'},
        {},
        '"pageHistory" would be sent twice, for "Id" and the',
    ),
    "no way": ({"day": as_("year")}, {}, "Invalid enum value 'year'. Write a name like"),
    "no receiver's name": (
        {"day": '{ as = "date" }'},
        {},
        "missing required field `name`. Write a",
    ),
    "an unknown line": (
        {"day": '{ name = "x", is = "y" }'},
        {},
        "unknown field `is`. Write a name",
    ),
    "no words": ({}, {"coming": '"Ja"'}, "Write the key of a question, and what each value"),
}


@pytest.mark.parametrize("case", NO_MAPPING)
def test_what_a_mapping_cannot_carry_is_an_error_with_its_cure(judge, case):
    fields, words, sentence = NO_MAPPING[case]
    status, told = judge(mapped(fields, words))
    assert status == os.EX_CONFIG
    place = "results, fields" if fields else "results, values"
    errors = [said for level, where, said in findings(told) if (level, where) == ("error", place)]
    assert any(sentence in said for said in errors), findings(told)


def test_a_kept_text_is_no_date_and_has_no_word(judge):
    content = mapped().replace('kind = "date"', 'kind = "date"\ngive_up = "keep"')
    status, told = judge(content)
    assert status == os.EX_CONFIG
    sentence = '"day" goes out as date, and give_up = "keep" keeps any text. Remove one of the two.'
    assert findings(told) == [("error", "results, fields", sentence)]
    status, told = judge(mapped().replace('kind = "yes_no"', 'kind = "yes_no"\ngive_up = "keep"'))
    assert status == 0
    ((level, place, said),) = findings(told)
    assert (level, place) == ("warning", "results, values") and "Add options" in said


@pytest.mark.parametrize(
    "parts",
    [
        {"guests": '"entry.90_year"', "note": '"entry.90_month"', "size": '"entry.90_day"'},
        {"guests": '"entry.1_hour"', "note": '"entry.1_minute"'},  # of the date of `day`
    ],
)
def test_parts_of_a_date_can_be_questions_of_their_own(judge, parts):
    status, told = judge(mapped(parts), "--strict")
    assert (status, findings(told)) == (0, [])


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("pages = 3", "results, pages"),
        ('[results.fields]\nQuestion1 = { name = "entry.1", options = ["x"] }', "results, fields"),
        ('[results.values]\nQuestion1 = { yes = "Ja" }', "results, values"),
    ],
)
def test_what_only_a_form_has_is_an_error_elsewhere(judge, line, place):
    content = RESULTS.replace("One?", 'One?"\nkind = "yes_no', 1)
    status, told = judge(content + 'format = "json"\n' + line)
    assert status == os.EX_CONFIG
    sentence = 'belongs to format = "form". Remove it, or the format.'
    assert findings(told) == [("error", place, sentence)]
    status, told = judge(content + line)
    sentence = "is only for a Google Form, and url is not one. Remove it."
    errors = [("error", place, sentence)] if "pages" in line else []
    assert findings(told) == errors


@pytest.mark.parametrize("pages", ["0", "101", '"3"', "1.5"])
def test_a_form_has_1_to_100_sections(judge, pages):
    status, told = judge(mapped(lines=f"pages = {pages}"))
    assert status == os.EX_CONFIG
    ((_, place, said),) = findings(told)
    assert place == "results, pages"
    assert said.endswith("Write a number from 1 to 100: how many sections the form has.")


ANSWERED = f'Write "{FORM}".'
SHORT = "It is a short link: open it, and write the address that it leads to, with formResponse"
EDITED = "It is of the form's editor. Write the public one, which this says: form https://"


@pytest.mark.parametrize(
    ("url", "cure"),
    [
        (FORM.replace("formResponse", "viewform"), ANSWERED),
        (FORM.replace("formResponse", "viewform?usp=pp_url&entry.1=x"), ANSWERED),
        (FORM.replace("https:", "http:"), ANSWERED),
        ("https://docs.google.com/forms/d/1AbC/edit", EDITED),
        ("https://docs.google.com/forms/d/1AbC/edit#responses", EDITED),
        ("https://docs.google.com/forms/", "Write the address of a form, with /formResponse at"),
        ("https://forms.gle/AbC123", SHORT),
    ],
)
def test_an_address_that_swallows_results_is_a_warning(judge, url, cure):
    status, told = judge(mapped(url=url, lines="pages = 2"))
    assert status == 0
    ((level, place, said),) = findings(told)
    assert (level, place) == ("warning", "results, url")
    assert said.startswith(f"takes no results, so they are lost. {cure}")


@pytest.mark.parametrize(
    ("fields", "lines", "lost"),
    [
        ({"note": '"Note"'}, "", '"note"'),
        ({"note": '"entry.x"', "size": '"Entry.4"'}, "", '"size", "note"'),
        ({"Id": '"Result"'}, "", '"Id"'),
        ({"note": '"emailAddress"'}, "", None),
        ({}, "partial = true", '"Type", "Corrects"'),
        ({"Type": '"entry.20"', "Corrects": '"entry.21"'}, "partial = true", None),
    ],
)
def test_a_name_without_an_entry_of_the_google_form_is_a_warning(judge, fields, lines, lost):
    status, told = judge(mapped(fields, lines=lines))
    assert status == 0
    expected = [("warning", "results, fields")] if lost else []
    assert [found[:2] for found in findings(told)] == expected
    assert all(said.startswith(f"{lost} would be dropped") for *_, said in findings(told))


def test_all_keys_without_an_entry_are_named(judge):
    url = f'\n[results]\nurl = "{FORM}"\n'
    status, told = judge(ONE + '[[questions]]\nask = "Two?"' + url)
    assert status == 0
    ((level, place, said),) = findings(told)
    assert (level, place) == ("warning", "results, fields")
    assert said.startswith('"Question1", "Question2" would be dropped by the Google Form.')
    status, told = judge(ONE + url + 'format = "json"')
    assert status == 0
    ((level, place, said),) = findings(told)
    assert (level, place) == ("warning", "results, format")
    assert said.startswith("is not read by a Google Form, so results are lost.")


@pytest.mark.parametrize(
    ("fields", "words", "place", "sentence"),
    [
        (
            {"size": '{ name = "entry.4", options = ["small", "Large"] }'},
            {},
            "results, fields",
            '"size" can be "Small", which is not among its options, so it goes into Other.',
        ),
        (
            {},
            {"meals": '{ Pasta = "Nudel" }'},
            "results, fields",
            '"meals" can be "Nudel", which is not among',
        ),
        (
            {},
            {"size": '{ Small = "Large" }'},
            "results, values",
            '"size" would be "Large" for 2 of',
        ),
    ],
)
def test_a_word_that_looks_like_a_mistake_is_a_warning(judge, fields, words, place, sentence):
    status, told = judge(mapped(fields, words))
    assert status == 0
    ((level, where, said),) = findings(told)
    assert (level, where) == ("warning", place) and said.startswith(sentence)
