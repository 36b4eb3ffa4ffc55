"""`form`: what it finds out about a Google Form, over HTTP."""

import json
import os
import re
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner, Result
from conftest import HERE, REY
from google_form import SUBMIT, GoogleForm, Question
from http_server import on_the_air
from limits import cut

from commands import cli
from worker.results import claim_due, run_attempt

PARTY = """
title = "Party"
event = "Party"
timezone = "Europe/Berlin"
thanks = "Thanks!"
[[questions]]
key = "colour"
ask = "What is your favourite colour?"
give_up = "end"
[[questions]]
key = "meal"
ask = "Which meal?"
kind = "choice"
choices = ["Pizza", "Pasta"]
give_up = "end"
[[questions]]
key = "drinks"
ask = "Which drinks?"
kind = "choice"
many = true
choices = ["Cola", "Water"]
give_up = "end"
[[questions]]
key = "stars"
ask = "How many stars?"
kind = "number"
whole = true
min = 1
max = 5
give_up = "end"
[[questions]]
key = "arrival"
ask = "When will you arrive?"
kind = "date"
give_up = "end"
[[questions]]
key = "coming"
ask = "Are you coming?"
kind = "yes_no"
give_up = "end"
"""
RESULTS = """
[results]
url = "{url}"
[results.fields]
From = "entry.1"
Id = "entry.2"
colour = "entry.3"
meal = "entry.4"
drinks = "entry.5"
stars = "entry.6"
arrival = {{ name = "entry.7", as = "date" }}
coming = "entry.8"
[results.values]
coming = {{ yes = "Ja", no = "Nein" }}
"""
FIELDS = RESULTS.format(url="").partition('"\n')[2]


def questions() -> list[Question]:
    return [
        Question("Phone number", required=True, entries=[1]),
        Question("Result", entries=[2]),
        Question("Favourite colour", "paragraph", required=True, entries=[3]),
        Question("Meal", "choice", required=True, options=["Pizza", "Pasta"], entries=[4]),
        Question("Drinks", "checkboxes", options=["Cola", "Water"], required=True, entries=[5]),
        Question("Stars", "scale", required=True, entries=[6]),
        Question("Arrival", "date", required=True, entries=[7]),
        Question("Coming?", "dropdown", options=["Ja", "Nein"], required=True, entries=[8]),
    ]


@pytest.fixture(autouse=True)
def fake_hosts(patch) -> None:
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})
    patch("models.google_form.address", "SHORT_HOSTS", {"localhost"})


@pytest.fixture
def form() -> Iterator[GoogleForm]:
    with GoogleForm(questions(), padding=1000) as form:
        yield form


@pytest.fixture
def folder(tmp_path, questionnaires) -> Path:
    for path in questionnaires.iterdir():
        path.unlink()
    return tmp_path


@pytest.fixture
def party(folder, form) -> Path:
    """A questionnaire that sends to the form, all as it should be."""
    path = folder / "questionnaires" / "party.toml"
    path.write_text(PARTY + RESULTS.format(url=form.url), "utf-8")
    return path


@pytest.fixture
def smsconvo(folder) -> Callable[..., Result]:
    environ = {
        "DATABASE_URL": f"sqlite:///{folder}/smsconvo.db",
        "SMSCONVO_QUESTIONNAIRES": str(folder / "questionnaires"),
        "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1",
    }

    def run(*arguments: str, said: str = "", **more: str) -> Result:
        ended = CliRunner().invoke(cli, arguments, env=environ | more, input=said)
        assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
        return ended

    return run


def edit(path: Path, before: str, after: str) -> None:
    content = path.read_text("utf-8")
    assert before in content
    path.write_text(content.replace(before, after, 1), "utf-8")


def one(form: GoogleForm, title: str) -> Question:
    return next(each for each in form.questions if each.title == title)


def save(form: GoogleForm, path: Path) -> Path:
    """The page as an owner sees it, saved from a browser."""
    path.write_text(f"<script>var FB_PUBLIC_LOAD_DATA_ = {json.dumps(form.data())};</script>")
    return path


# What is wrong ###############################################################


def test_nothing_is_found_where_all_is_well(smsconvo, form, party):
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "party: all is well." in ended.stdout


@dataclass
class Fault:
    """A fault planted into the file, as (before, after), or into the form."""

    name: str
    says: list[str]  # what happened, and the cure
    file: list[tuple[str, str]] = field(default_factory=list)
    form: Callable[[GoogleForm], object] = lambda form: None
    is_error: bool = True
    is_public: bool = True  # or whoever opens the form must sign in


def change(title: str, /, **values) -> Callable[[GoogleForm], None]:
    def change(form: GoogleForm) -> None:
        vars(one(form, title)).update(values)

    return change


def add(*more: Question) -> Callable[[GoogleForm], None]:
    return lambda form: form.questions.extend(more)


def forget(title: str) -> Callable[[GoogleForm], None]:
    return lambda form: form.questions.remove(one(form, title))


FAULTS = [
    Fault(
        "a question was made anew",
        ["colour: entry.3 is not in the form", 'Map one of: "Favourite colour" (entry.33)'],
        form=change("Favourite colour", entries=[33]),
    ),
    Fault(
        "a question was deleted",
        ["Id: entry.2 is not in the form", "Add a question there, and map that."],
        form=forget("Result"),
    ),
    Fault(
        "nothing is sent for a required question",
        ['"Table": is required, and nothing is sent for it.', "Map a question to entry.9"],
        form=add(Question("Table", required=True, entries=[9])),
    ),
    Fault(
        "an optional question for a required one",
        ["colour: is required in the form", "Remove optional, or make it optional in the form."],
        file=[('key = "colour"', 'key = "colour"\noptional = true')],
    ),
    Fault(
        "a condition before a required question",
        ["arrival: is required in the form", "Remove only_if"],
        file=[('key = "arrival"', 'key = "arrival"\nonly_if = { meal = "Pizza" }')],
    ),
    Fault(
        "a required question that is given up",
        ["stars: is required in the form", 'Write give_up = "end"'],
        file=[('max = 5\ngive_up = "end"', "max = 5")],
        is_error=False,
    ),
    Fault(
        "a required text that keywords skip",
        ["colour: is required in the form", "skipped after 3 texts like SKIP", 'give_up = "end"'],
        file=[('colour?"\ngive_up = "end"', 'colour?"\ngive_up = "keep"')],
        is_error=False,
    ),
    Fault(
        "partial results for required questions",
        ["colour: is required in the form", "Remove partial"],
        file=[("[results]\n", "[results]\npartial = true\n")],
        is_error=False,
    ),
    Fault(
        "a name that not everybody has",
        ["Name: is required in the form", "Make it optional in the form."],
        file=[('From = "entry.1"', 'Name = "entry.1"')],
    ),
    Fault(
        "an option in another case",
        ['meal: can be "Pizza"', 'Write meal = { Pizza = "pizza" } below [results.values].'],
        form=change("Meal", options=["pizza", "Pasta"]),
    ),
    Fault(
        "a blank at the end of an option",
        ['meal: can be "Pasta"', 'Write meal = { Pasta = "Pasta " } below [results.values].'],
        form=change("Meal", options=["Pizza", "Pasta "]),
    ),
    Fault(
        "an emoji in an option",
        ['meal: can be "Pizza"', 'Write meal = { Pizza = "Pizza 🍕" }'],
        form=change("Meal", options=["Pizza 🍕", "Pasta"]),
    ),
    Fault(
        "an option that nobody foresaw",
        ['meal: can be "Pasta"', 'Write meal = { Pasta = "Soup" } below [results.values].'],
        form=change("Meal", options=["Pizza", "Soup"]),
    ),
    Fault(
        "options of which one is meant",
        ['meal: can be "Pasta"', 'Write meal = { Pasta = "…" } below', 'one of "Soup", "Stew" in'],
        form=change("Meal", options=["Pizza", "Soup", "Stew"]),
    ),
    Fault(
        "options of the file in another spelling",
        ['meal: "PIZZA" is no option of "Meal"', 'Write those that are: "Pizza", "Pasta".'],
        file=[('meal = "entry.4"', 'meal = { name = "entry.4", options = ["PIZZA", "Pasta"] }')],
    ),
    Fault(
        "too few options",
        ['meal: can be "Pasta"', 'too few options left for "Pasta". Add them in the form.'],
        form=change("Meal", options=["Pizza"]),
    ),
    Fault(
        "a word that is written and one that is not",
        ['coming: can be "no"', 'Write coming = { yes = "Oui", no = "Pas du tout" } below'],
        file=[('yes = "Ja", no = "Nein"', 'yes = "Oui"')],
        form=change("Coming?", options=["Oui", "Pas du tout"]),
    ),
    Fault(
        "a no in Turkish",
        ['coming: can be "Ja", "Nein"', 'Write coming = { yes = "Evet", no = "Hayır" } below'],
        form=change("Coming?", options=["Evet", "Hayır"]),
    ),
    Fault(
        "numbers with stars",
        ['stars: can be "1", "2", "3", "4", "5"', 'Write stars = { 1 = "1 ⭐", 2 = "2 ⭐", 3 = "3'],
        form=change("Stars", kind="choice", options=[f"{number} ⭐" for number in range(1, 6)]),
    ),
    Fault(
        "an event that is no option",
        ['Event: can be "Party"', 'Make it a short answer, or add "Party" to its options.'],
        file=[("[results.fields]\n", '[results.fields]\nEvent = "entry.9"\n')],
        form=add(Question("Occasion", "dropdown", options=["Fair"], entries=[9])),
    ),
    Fault(
        "options in the file without Other in the form",
        ['meal: can be "Pasta", which options lacks', 'has no Other. Write meal = "entry.4".'],
        file=[('meal = "entry.4"', 'meal = { name = "entry.4", options = ["Pizza"] }')],
    ),
    Fault(
        "an option of the file that the form has not",
        ['meal: "Soup" is no option of "Meal"', 'Write those that are: "Pizza", "Pasta".'],
        file=[('meal = "entry.4"', 'meal = { name = "entry.4", options = ["Soup"] }'),
              ('["Pizza", "Pasta"]', '["Pizza", "Soup"]')],
        form=change("Meal", has_other=True),
    ),
    Fault(
        "the text of Other alone",
        ["entry.4.other_option_response is read only together with entry.4", 'meal = "entry.4".'],
        file=[('meal = "entry.4"', 'meal = "entry.4.other_option_response"')],
    ),
    Fault(
        "a part for a whole",
        ['"Favourite colour" (entry.3) is not sent as entry.3_year. Name entry.3.'],
        file=[('colour = "entry.3"', 'colour = "entry.3_year"')],
    ),
    Fault(
        "a year alone",
        ['"Arrival" (entry.7) takes all parts or none. Map entry.7_month and entry.7_day, too; or',
         'write arrival = { name = "entry.7", as = "date" }.'],
        file=[('{ name = "entry.7", as = "date" }', '"entry.7_year"')],
    ),
    Fault(
        "a part of a part",
        ["arrival: entry.7_year is a part already."],
        file=[('name = "entry.7"', 'name = "entry.7_year"')],
    ),
    Fault(
        "several choices for a row of a grid",
        ['"Drinks: Today" (entry.5) takes one. Make it a checkbox grid in the form'],
        form=change("Drinks", kind="grid", rows=["Today"]),
    ),
    Fault(
        "an answer to nobody",
        ["results, fields: From would not be in the sheet.", 'like From = "entry.1001".'],
        file=[('From = "entry.1"\n', "")],
        form=change("Phone number", required=False),
        is_error=False,
    ),
    Fault(
        "a question that gets nothing",
        ['form: nothing is sent for "Anything else?" (entry.9). If that is not meant, map what'],
        form=add(Question("Anything else?", entries=[9])),
        is_error=False,
    ),
    Fault(
        "what is not an option although there is Other",
        ['meal: can be "Pasta"', 'meal = { name = "entry.4", options = ["Pizza"] }'],
        form=change("Meal", options=["Pizza"], has_other=True),
    ),
    Fault(
        "several choices for one",
        ['drinks: can have several values, and "Drinks" (entry.5) takes one.', "Make it check"],
        form=change("Drinks", kind="choice"),
    ),
    Fault(
        "yes and no in another language",
        ['coming: can be "yes", "no"', 'Write coming = { yes = "Ja", no = "Nein" }'],
        file=[('[results.values]\ncoming = { yes = "Ja", no = "Nein" }', "")],
    ),
    Fault(
        "words that are no options",
        ['coming: can be "Jawohl"', 'Write coming = { yes = "Ja", no = "Nein" }'],
        file=[('yes = "Ja"', 'yes = "Jawohl"')],
    ),
    Fault(
        "a date in one piece",
        ['arrival: "Arrival" (entry.7)', 'Write arrival = { name = "entry.7", as = "date" }.'],
        file=[('{ name = "entry.7", as = "date" }', '"entry.7"')],
    ),
    Fault(
        "a date with a time",
        ['arrival: "Arrival" (entry.7)', 'Turn off "Include time" in the form.'],
        form=change("Arrival", has_time=True),
    ),
    Fault(
        "a date without a year",
        ['arrival: "Arrival" (entry.7)', 'Turn on "Include year" in the form.'],
        form=change("Arrival", has_year=False),
    ),
    Fault(
        "a text for a date",
        ['colour: "Favourite colour" (entry.3)', 'a short answer in', 'write kind = "date"'],
        form=change("Favourite colour", kind="date"),
    ),
    Fault(
        "a duration",
        ['"Favourite colour" (entry.3)', "takes a duration", "Make it a short answer in the form."],
        form=change("Favourite colour", kind="duration"),
    ),
    Fault(
        "a date in parts for a short answer",
        ['arrival: "Arrival" (entry.7)', 'Write arrival = "entry.7".'],
        form=change("Arrival", kind="short"),
    ),
    Fault(
        "numbers beyond the scale",
        ['stars: can be "4", "5"', 'min and max by its options: "1", "2", "3".'],
        form=change("Stars", options=["1", "2", "3"]),
    ),
    Fault(
        "any number for a scale",
        ["stars: can be anything", "Write whole = true, and min and max by its options"],
        file=[("whole = true\n", "")],
    ),
    Fault(
        "any text for a choice",
        ["colour: can be anything", 'write kind = "choice" and choices = ["Blue", "Red"]'],
        form=change("Favourite colour", kind="choice", options=["Blue", "Red"]),
    ),
    Fault(
        "texts that are kept although they are not read",
        ["meal: keeps texts that are not read", 'Write give_up = "end".'],
        file=[('"Pasta"]\ngive_up = "end"', '"Pasta"]\ngive_up = "keep"')],
        is_error=False,
    ),
    Fault(
        "a file to upload",
        ['"Photo": takes a file', "Delete this question."],
        form=add(Question("Photo", "upload", entries=[9])),
        is_public=False,
    ),
    Fault(
        "verified e-mail addresses",
        ["form: collects verified e-mail addresses", 'to "Do not collect" in its settings.'],
        form=lambda form: setattr(form, "email", "verified"),
        is_public=False,
    ),
    Fault(
        "sections that the file does not know",
        ["results, pages: the form has 2 sections.", "Write pages = 2 below [results]."],
        form=add(Question("More", "section"), Question("Anything else?", entries=[9])),
    ),
    Fault(
        "answers that lead elsewhere",
        ["form: has answers that lead to other sections", "Let every section continue"],
        file=[("[results]\n", "[results]\npages = 2\n")],
        form=lambda form: (
            change("Meal", leads_to={"Pizza": SUBMIT})(form),
            add(Question("More", "section"), Question("Anything else?", entries=[9]))(form),
        ),
        is_error=False,
    ),
    Fault(
        "an e-mail address that is required",
        ["the form requires an e-mail address.", '= "emailAddress", or set'],
        form=lambda form: setattr(form, "email", "typed"),
    ),
    Fault(
        "an e-mail address that is not collected",
        ["colour: the form does not collect e-mail addresses.", 'to "Responder input".'],
        file=[('colour = "entry.3"', 'colour = "emailAddress"')],
        form=change("Favourite colour", required=False),
    ),
    Fault(
        "a text for an e-mail address",
        ["colour: the form takes only an e-mail address there.", 'kind = "email".'],
        file=[('colour = "entry.3"', 'colour = "emailAddress"')],
        form=lambda form: (
            setattr(form, "email", "typed"),
            change("Favourite colour", required=False)(form),
        ),
    ),
    Fault(
        "no proof of a delivery",
        ["form: has neither a confirmation message", "Turn that link on."],
        form=lambda form: setattr(form, "has_link", False),
        is_error=False,
    ),
    Fault(
        "an answer without an entry",
        ['"colour" would be dropped by the Google Form.', 'like colour = "entry.1001".'],
        file=[('colour = "entry.3"\n', "")],
        form=change("Favourite colour", required=False),
        is_error=False,
    ),
    Fault(
        "JSON to a form",
        ["is not read by a Google Form", "Remove it, and name the entries"],
        file=[(FIELDS, ""), ("[results]\n", '[results]\nformat = "json"\n')],
    ),
    Fault(
        "the address of the page",
        ["results, url: takes no results, so they are lost.", 'Write "http', '/formResponse".'],
        file=[('/formResponse"', '/viewform"')],
    ),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_is_named_with_its_cure(smsconvo, form, party, fault):
    for before, after in fault.file:
        edit(party, before, after)
    fault.form(form)
    options = [] if fault.is_public else [f"--page={save(form, party.parent / 'form.html')}"]
    ended = smsconvo("form", form.page_url, "--for", "party", *options)
    assert ended.exit_code == (os.EX_CONFIG if fault.is_error else 0), ended.output
    lines = ended.stderr.splitlines()
    found = [line for line in lines if all(part in line for part in fault.says)]
    assert len(found) == 1, ended.output
    assert found[0].startswith("warning: ") is not fault.is_error
    assert found[0].endswith(".")


def test_parts_of_a_date_can_be_answers_of_their_own(smsconvo, form, party):
    parts = {"year": 9999, "month": 12, "day": 31}
    lines = '[[questions]]\nkey = "{}"\nask = "?"\nkind = "number"\nwhole = true\n'
    lines += 'min = 1\nmax = {}\ngive_up = "end"\n'
    asked = "".join(lines.format(*part) for part in parts.items())
    edit(party, '[[questions]]\nkey = "arrival"\nask = "When will you arrive?"\nkind = "date"\n'
         'give_up = "end"\n', asked)  # fmt: skip
    mapped = "".join(f'{part} = "entry.7_{part}"\n' for part in parts)
    edit(party, 'arrival = { name = "entry.7", as = "date" }\n', mapped)
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert ended.exit_code == 0
    assert "day: can be a day that does not exist, like 31 June" in ended.stderr
    edit(party, "max = 31", "max = 28")
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert (ended.exit_code, ended.stderr) == (0, "")
    edit(party, "max = 12\n", "max = 12\noptional = true\n")
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert 'month: is required in the form ("Arrival" (entry.7))' in ended.stderr


def test_boxes_in_a_grid_take_several_choices(smsconvo, form, party):
    change("Drinks", kind="grid", rows=["Today"], takes_many=True)(form)
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert "entry.5  checkbox_grid  required  Drinks: Today" in ended.stdout


def test_sentences_about_a_long_form_are_short(smsconvo, form, party):
    add(*(Question(f"Number {number}", entries=[100 + number]) for number in range(50)))(form)
    change("Stars", options=["100"])(form)
    edit(party, "max = 5", "max = 5000")
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert '"Number 9" (entry.109) and 40 more.' in ended.stderr
    assert '"10" and 4,989 more, and "Stars"' in ended.stderr


def test_each_way_to_have_no_form_is_told_from_the_others(smsconvo, form, party):
    for state, says in {
        "closed": "takes no more responses. Let it accept responses again",
        "sign_in": "wants a sign-in. Open the form to anybody who has the link",
        "restricted": "is not open to everybody. Publish the form",
        "deleted": "there is no form at this address. Correct the address",
        "busy": "HTTP 429",
    }.items():
        form.state = state
        ended = smsconvo("form", form.page_url, "--for", "party")
        assert ended.exit_code == os.EX_CONFIG
        assert says in ended.stderr, state
        assert len(ended.stderr.splitlines()) == 1
        for advice in ("retry", "nothing is sent", "script"):
            assert advice not in ended.stderr


def test_a_form_that_drips_is_given_up(smsconvo, form, party, patch):
    form.delay = 60
    look = partial(smsconvo, "form", form.page_url, "--for", "party")
    seconds, ended = cut(patch, "GET_SECONDS", look, lambda ended: ended.stderr)
    assert ended.exit_code == os.EX_CONFIG
    assert f"Not done within {seconds} s in all." in ended.stderr


def test_a_page_is_read_up_to_two_mebibytes(smsconvo, form, party):
    form.padding = 1_900_000
    assert smsconvo("form", form.page_url, "--for", "party").exit_code == 0
    form.padding = 2_100_000
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert "The page holds nothing about the form." in ended.stderr


# Addresses ###################################################################


@pytest.mark.parametrize("address", ["viewform", "viewform?usp=sf_link", "formResponse", ""])
def test_each_address_of_a_form_is_understood(smsconvo, form, party, address):
    ended = smsconvo("form", f"{form.base}/{address}")
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith(f"Mats BBQ: {form.url}\n")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/spreadsheets/d/1AbC", "no address of a Google Form"),
        ("http://example.org/forms/d/e/1AbC/viewform", "no address of a Google Form"),
        ("form", "no address of a Google Form"),
        ("http://localhost:9/x", "The short link cannot be followed. The connection was refused"),
    ],
)
def test_other_addresses_are_refused_with_the_way_to_the_right_one(smsconvo, party, url, says):
    ended = smsconvo("form", url)
    assert ended.exit_code == os.EX_CONFIG
    assert says in ended.stderr
    assert "refused" in says or "copy the responder link" in ended.stderr


@pytest.fixture
def short_link() -> Iterator[Callable[[str], str]]:
    servers = ExitStack()

    def make(target: str, delay: float = 0) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(delay)
                self.send_response(302)
                self.send_header("Location", target)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.enter_context(on_the_air(server))
        return f"http://localhost:{server.server_port}/abc"

    with servers:
        yield make


def test_a_short_link_is_followed_once(smsconvo, form, party, short_link):
    ended = smsconvo("form", short_link(f"{form.page_url}?usp=send_form"))
    assert ended.stdout.startswith(f"Mats BBQ: {form.url}\n"), ended.stderr
    ended = smsconvo("form", short_link(short_link(form.page_url)))
    assert "This is no address of a Google Form." in ended.stderr
    ended = smsconvo("form", short_link("http://example.org/"))
    assert "This is no address of a Google Form." in ended.stderr


@pytest.mark.long
@pytest.mark.parametrize("is_short", [True, False], ids=["short-link", "editor"])
def test_all_redirects_together_take_no_longer_than_one_request(
    smsconvo, form, party, short_link, patch, is_short
):
    patch("worker.http_client", "GET_SECONDS", 1)
    form.delay = 0.7  # for each request
    url = short_link(form.page_url, form.delay) if is_short else form.editor_url
    ended = smsconvo("form", url)
    assert ended.exit_code == os.EX_CONFIG, ended.output
    assert " within " in ended.stderr


def test_private_addresses_are_looked_at_only_where_results_may_go_there(form, folder):
    environ = {"SMSCONVO_QUESTIONNAIRES": str(folder), "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "0"}
    ended = CliRunner().invoke(cli, ["form", form.page_url], env=environ)
    assert ended.exit_code == os.EX_CONFIG
    assert "SMSCONVO_ALLOW_PRIVATE_RECEIVERS=1" in ended.stderr
    assert form.requests == []


# Proposals ###################################################################


def proposal_in(ended: Result) -> str:
    _, _, proposal = ended.stdout.partition("to paste at its end:\n\n")
    return proposal.partition("\n\n")[0]


def propose(smsconvo: Callable, party: Path, url: str, *options: str) -> dict:
    """What is proposed for the questionnaire, after `check` has accepted it."""
    party.write_text(PARTY, "utf-8")
    ended = smsconvo("form", url, "--for", "party", *options)
    proposal = proposal_in(ended)
    party.write_text(f"{PARTY}\n{proposal}\n", "utf-8")
    checked = smsconvo("check", "--json")
    assert checked.exit_code == 0, checked.output
    return tomllib.loads(proposal)["results"] | {"ended": ended}


def test_a_mapping_is_proposed_by_titles(smsconvo, form, party):
    proposed = propose(smsconvo, party, form.page_url)
    assert proposed["ended"].exit_code == 0, proposed["ended"].stderr
    expected = tomllib.loads(RESULTS.format(url=form.url))["results"]
    assert {name: proposed[name] for name in expected} == expected
    assert "pages" not in proposed


def test_a_proposed_mapping_delivers(smsconvo, form, party, serve, settings):
    change("Meal", options=["pizza!", "Soup"], has_other=True)(form)
    add(Question("More", "section"), Question("Event", required=True))(form)
    propose(smsconvo, party, form.page_url)
    webhook = serve(questionnaires=party.parent)
    for said in ("Party", "Blue", "Pasta", "cola, water", "4", "2026-12-31", "yes"):
        webhook.phone().text(said)
    database = webhook.app.database
    (delivery,) = claim_due(database, webhook.clock(), 1)
    assert run_attempt(database, settings, delivery, webhook.clock).error is None
    ((_, row),) = webhook.rows("SELECT id, webhook_id FROM outbox")
    assert form.rows == [
        {
            "Phone number": REY,
            "Result": row,
            "Favourite colour": "Blue",
            "Meal": "Pasta",
            "Drinks": "Cola, Water",
            "Stars": "4",
            "Arrival": "12/31/2026",
            "Coming?": "Ja",
            "Event": "Party",
        }
    ]


def test_words_for_numbers_are_proposed(smsconvo, form, party):
    words = {str(number): f"{number} ⭐" for number in range(1, 6)}
    change("Stars", kind="dropdown", options=list(words.values()))(form)
    proposed = propose(smsconvo, party, form.page_url)
    assert proposed["values"]["stars"] == words
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert (ended.exit_code, ended.stderr) == (0, "")


def test_questions_without_likeness_are_mapped_in_their_order(smsconvo, form, party):
    for number, question in enumerate(form.questions[2:]):
        question.title = f"({number}) ???"
    proposed = propose(smsconvo, party, form.page_url)
    assert list(proposed["fields"]) == [
        *("From", "colour", "meal", "drinks", "stars", "arrival", "coming", "Id"),
    ]
    assert proposed["fields"]["stars"] == "entry.6"


def in_kind(kind: str, *options: str, **more: object) -> Question:
    return Question("???", kind, options=list(options), **more)


@pytest.mark.parametrize(
    ("asked", "questions", "expected"),
    [
        (["text", "choice", "text"],
         [in_kind("choice", "Red", "Blue"), in_kind("short"), in_kind("short")], [1, 0, 2]),
        (["date", "text"], [in_kind("short"), in_kind("date")], [1, 0]),
        (["date", "text"], [in_kind("short"), in_kind("short")], [0, 1]),
        (["choice", "text"], [in_kind("short"), in_kind("choice", "red!", "BLUE")], [1, 0]),
        (["choice", "yes_no"],
         [in_kind("choice", "Ja", "Nein"), in_kind("dropdown", "Red", "Green")], [1, 0]),
        (["choice", "many"],
         [in_kind("checkboxes", "Red", "Blue"), in_kind("choice", "Red", "Blue")], [1, 0]),
        (["choice", "choice"],
         [in_kind("choice", "Red", "Blue", "Green"), in_kind("choice", "Red", "Blue")], [1, 0]),
        (["choice", "yes_no"],
         [in_kind("choice", "Red", "Blue", "Ja", "Nein"), in_kind("choice", "Ja")], [0, 1]),
        (["choice"], [in_kind("choice", "Tea", "Cola"), in_kind("choice", "Red", "Green")], [1]),
        (["yes_no", "text"], [in_kind("short"), in_kind("short")], [0, 1]),
    ],
)  # fmt: skip
def test_the_kind_goes_before_the_order_and_no_question_is_lost(
    smsconvo, form, party, asked, questions, expected
):
    lines = {"choice": 'kind = "choice"\nchoices = ["Red", "Blue"]'}
    lines["many"] = f"{lines['choice']}\nmany = true"
    content = PARTY.partition("[[questions]]")[0]
    for number, kind in enumerate(asked):
        line = lines.get(kind, f'kind = "{kind}"')
        content += f'[[questions]]\nkey = "q{number}"\nask = "{number}?"\n{line}\n'
    party.write_text(content, "utf-8")
    form.questions = questions
    ended = smsconvo("form", form.page_url, "--for", "party")
    fields = tomllib.loads(proposal_in(ended))["results"]["fields"]
    fields = {name: there if isinstance(there, str) else there["name"]
              for name, there in fields.items()}  # fmt: skip
    entries = [questions[place].entry for place in expected]
    assert fields == {f"q{number}": entry for number, entry in enumerate(entries)}


def test_other_sections_and_e_mail_are_proposed(smsconvo, form, party):
    change("Meal", options=["Pizza"], has_other=True)(form)
    add(Question("More", "section"), Question("When did it start", "date", has_time=True))(form)
    form.questions[-1].title = "Started at"
    form.email = "typed"
    content = PARTY + '[[questions]]\nkey = "mail"\nask = "Mail?"\nkind = "email"\n'
    party.write_text(content, "utf-8")
    ended = smsconvo("form", form.page_url, "--for", "party")
    proposed = tomllib.loads(proposal_in(ended))["results"]
    assert proposed["pages"] == 2
    assert proposed["fields"]["mail"] == "emailAddress"
    assert proposed["fields"]["meal"] == {"name": "entry.4", "options": ["Pizza"]}
    started = {"name": form.questions[-1].entry, "as": "datetime"}
    assert proposed["fields"]["StartedAt"] == started


def test_titles_that_would_break_a_file_do_not(smsconvo, form, party):
    change("Meal", title='Which "meal"?\n[results]\u2028# \x7f\t\\', options=['Pi"zz\\a', "Pasta"])(
        form
    )
    party.write_text(PARTY.replace('"Pizza"', "'Pi\"zz\\A'"), "utf-8")
    ended = smsconvo("form", form.page_url, "--for", "party")
    proposed = tomllib.loads(proposal_in(ended))["results"]
    assert proposed["values"]["meal"] == {'Pi"zz\\A': 'Pi"zz\\a'}


def prefilled(form: GoogleForm, fields: dict[str, str]) -> str:
    return f"{form.page_url}?{urlencode({'usp': 'pp_url'} | fields)}"


def test_a_mapping_is_read_from_a_pre_filled_link(smsconvo, form, party):
    for question in form.questions:
        question.title = "?"
    change("?", title="??")(form)
    fields = {"entry.3": "Id", "entry.2": "colour", "entry.1": "FROM", "entry.4": "Pizza"}
    fields |= {"entry.5": "__other_option__", "entry.5.other_option_response": "drinks"}
    proposed = propose(smsconvo, party, prefilled(form, fields))
    assert proposed["fields"]["Id"] == "entry.3"
    assert proposed["fields"]["colour"] == "entry.2"
    assert proposed["fields"]["From"] == "entry.1"
    assert proposed["fields"]["drinks"] == "entry.5"
    assert proposed["fields"]["coming"] == "entry.8"  # by the order


def test_a_pre_filled_link_is_enough_where_the_page_cannot_be_read(smsconvo, form, party, tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<html>Another layout</html>")
    url = prefilled(form, {"entry.3": "colour", "entry.1": "From"})
    proposed = propose(smsconvo, party, url, f"--page={page}")
    assert proposed["fields"] == {"From": "entry.1", "colour": "entry.3"}
    ended = smsconvo("form", form.page_url, "--for", "party", f"--page={page}")
    assert ended.exit_code == os.EX_CONFIG
    assert "or name a pre-filled link whose fields hold our names" in ended.stderr


# What is shown ###############################################################


def test_questions_are_listed(smsconvo, form, folder):
    change("Meal", has_other=True)(form)
    ended = smsconvo("form", form.page_url)
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.splitlines()[2:6] == [
        "  entry.1  short       required  Phone number",
        "  entry.2  short                 Result",
        "  entry.3  paragraph   required  Favourite colour",
        '  entry.4  choice      required  Meal: "Pizza", "Pasta", Other',
    ]


def test_json_holds_the_same(smsconvo, form, party):
    change("Coming?", options=["Ja", "Vielleicht"])(form)
    ended = smsconvo("form", form.page_url, "--for", "party", "--json")
    assert ended.exit_code == os.EX_CONFIG
    content = json.loads(ended.stdout)
    assert content["url"] == form.url
    assert content["form"]["questions"][0] == {
        "entry": "entry.1", "title": "Phone number", "kind": "short", "required": True,
        "options": [], "has_other": False, "has_time": False, "has_year": False, "section": 0,
    }  # fmt: skip
    (questionnaire,) = content["questionnaires"]
    assert (questionnaire["name"], questionnaire["proposal"]) == ("party", None)
    assert [each["place"] for each in questionnaire["findings"]] == ["results, fields, coming"]


def test_no_database_is_made(smsconvo, form, party, folder):
    before = sorted(folder.rglob("*"))
    assert smsconvo("form", form.page_url).exit_code == 0
    assert sorted(folder.rglob("*")) == before


def test_only_questionnaires_with_questions_can_be_named(smsconvo, form, party):
    ended = smsconvo("form", form.page_url, "--for", "nobody")
    assert ended.exit_code == os.EX_CONFIG
    assert "--for: nobody is no questionnaire with questions. Name one: party." in ended.stderr


# A row to test with ##########################################################


def test_a_test_row_is_sent_with_consent_and_proved(smsconvo, form, party):
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", said="n\n")
    assert ended.exit_code == 1
    assert form.rows == []
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", said="y\n")
    assert ended.exit_code == 0, ended.output
    assert "has recorded a row marked TEST. Delete it there." in ended.stderr
    (row,) = form.rows
    assert row["Phone number"] == row["Favourite colour"] == "TEST"
    assert row["Result"].startswith("msg_")
    assert all(row.values())


def test_a_test_row_needs_a_questionnaire(smsconvo, form, party):
    ended = smsconvo("form", form.page_url, "--send-test", "--yes")
    assert "--send-test needs --for NAME" in ended.stderr
    assert form.requests == []


def test_a_test_row_is_sent_by_a_pre_filled_link_alone(smsconvo, form, party, tmp_path):
    party.write_text(PARTY, "utf-8")
    page = tmp_path / "page.html"
    page.write_text("<html>Another layout</html>")
    for question in form.questions:
        question.required = False
    url = prefilled(form, {"entry.3": "colour"})
    options = (f"--page={page}", "--send-test", "--yes")
    ended = smsconvo("form", url, "--for", "party", *options)
    assert "has recorded a row" in ended.stderr, ended.output
    assert form.rows[0]["Favourite colour"] == "TEST"


@pytest.mark.parametrize(
    "faults",
    [{"has_link": False}, {"faulty": ("POST",), "is_dropped": True}],
    ids=["no-proof", "no-answer"],
)
def test_a_test_row_that_may_be_recorded_is_to_be_looked_for(smsconvo, form, party, faults):
    vars(form).update(faults)
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", "--yes")
    assert ended.exit_code == 1
    assert "may have been recorded: look for it in the sheet, and delete it there" in ended.stderr
    assert "was not recorded" not in ended.stderr
    assert "confirm it" not in ended.stderr and "retry" not in ended.stderr
    assert len(form.rows) == 1


def test_a_test_row_gets_no_advice_for_results(smsconvo, form, party):
    edit(party, "/formResponse", "/viewform")
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", "--yes")
    assert "was not recorded. A form takes results at …/formResponse" in ended.stderr
    assert "retry" not in ended.stderr and "row of this result" not in ended.stderr


def test_a_test_row_that_is_not_recorded_is_not_called_so(smsconvo, form, party):
    add(Question("Table", required=True, entries=[9]))(form)
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", "--yes")
    assert ended.exit_code == 1
    assert "was not recorded. The form was shown again" in ended.stderr
    assert '"Table"' in ended.stderr
    assert form.rows == []


# The documentation ###########################################################


def test_what_the_documentation_shows_is_what_is_said(smsconvo, form, folder):
    page = (HERE / "docs" / "google-forms.md").read_text("utf-8")
    ((questionnaire, shown),) = re.findall(
        r"```toml\n(.*?)```.*?```\n\$ form .*?\n(.*?)```", page, re.S
    )
    (folder / "questionnaires" / "party.toml").write_text(questionnaire, "utf-8")
    form.title = "Party"
    form.questions = [
        Question("Phone number", required=True, entries=[1001]),
        Question("Result", entries=[1002]),
        Question("Arrival", "date", required=True, entries=[1003]),
        Question("Meal", "choice", required=True, options=["Pizza", "Pasta "], entries=[1004]),
        Question("Sauna", "choice", options=["Ja", "Nein"], entries=[1005]),
        Question("Table", required=True, entries=[1006]),
    ]
    said = smsconvo("form", form.page_url, "--for", "party").output
    assert said.replace(form.base, "https://docs.google.com/forms/d/e/FORM") == shown
