"""`form` and questionnaire files: what it proposes for them, and that it agrees with `check`."""

import json
import os
import re
import sqlite3
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import test_form
from click.testing import Result
from conftest import HERE
from form_questions import Question
from google_form import GoogleForm
from test_form import PARTY, RESULTS, add, change, edit, one, prefilled, proposal_in, save

from models.google_form.answer import AnswerPage
from models.google_form.proposal import propose
from models.questionnaire import loader

fake_hosts, folder = test_form.fake_hosts, test_form.folder
form, party, smsconvo = test_form.form, test_form.party, test_form.smsconvo

README = re.findall("```toml\n(.*?)```", (HERE / "README.md").read_text("utf-8"), re.S)[0]
IN_PLACE = "to paste in the place of its [results]"


def findings(ended: Result) -> list[str]:
    return [
        f"{each['level']}: {each['place']}: {each['sentence']}"
        for questionnaire in json.loads(ended.stdout)["questionnaires"]
        for each in questionnaire["findings"]
    ]


# Proposals and `check` #######################################################


def test_a_proposal_takes_the_place_of_the_results_in_a_file(smsconvo, form, folder):
    form.questions = [
        Question("Phone", entries=[1]),
        Question("Event", "dropdown", options=["Mats BBQ", "Another"], entries=[2]),
        Question("Favourite colour", "choice", options=["Blue"], has_other=True, entries=[3]),
        Question("Meals", "checkboxes", options=["Pizza", "Pasta", "Salad"], entries=[4]),
        Question("Stars", "scale", entries=[5]),
        Question("Day", "date", entries=[6]),
    ]
    path = folder / "questionnaires" / "party.toml"
    path.write_text(README, "utf-8")
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert f"For party.toml, {IN_PLACE}:\n\n" in ended.stdout
    proposal = ended.stdout.partition(f"{IN_PLACE}:\n\n")[2].partition("\n\n")[0]
    before, _, _ = README.partition("[results]")
    path.write_text(before + proposal, "utf-8")
    assert smsconvo("check", "--strict").exit_code == 0
    fields = tomllib.loads(proposal)["results"]["fields"]
    assert fields["colour"] == {"name": "entry.3", "options": ["Blue"]}
    assert fields["day"] == {"name": "entry.6", "as": "date"}
    assert "party: all is well." in smsconvo("form", form.page_url, "--for", "party").stdout


def test_results_that_are_no_table_are_replaced_too(smsconvo, form, party):
    party.write_text(f"results = 5\n{PARTY}", "utf-8")
    assert IN_PLACE in smsconvo("form", form.page_url, "--for", "party").stdout


def test_a_proposal_that_check_refuses_says_so(smsconvo, form, party):
    content = PARTY.replace('kind = "date"\ngive_up = "end"', 'kind = "date"\ngive_up = "keep"')
    party.write_text(content, "utf-8")
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert ended.exit_code == os.EX_CONFIG
    assert "to paste at its end once the errors below are corrected:\n" in ended.stdout
    proposal = ended.stdout.partition("corrected:\n\n")[2].partition("\n\n")[0]
    party.write_text(f"{content}{proposal}", "utf-8")
    refused = smsconvo("check")
    assert refused.exit_code == os.EX_CONFIG
    said = refused.stderr.partition("results, ")[2]
    assert f"party.toml: results, {said}" in ended.stderr


def test_no_more_sections_are_proposed_than_a_file_can_have(smsconvo, form, party):
    party.write_text(PARTY, "utf-8")
    add(*(Question("More", "section") for _ in range(120)))(form)
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert ended.exit_code == os.EX_CONFIG
    assert "the form has 121 sections, and pages can be 100 at most." in ended.stderr
    party.write_text(f"{PARTY}{proposal_in(ended)}", "utf-8")
    assert smsconvo("check").exit_code == 0


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("[results]\n", "[results]\npartail = true\n", "`partail`"),
        ('From = "entry.1"\n', 'From = "entry.1"\nwhat = "entry.9"\nc = 5\n', "results, fields"),
        ('yes = "Ja"', 'maybe = "Ja"', "results, values"),
        ('title = "Party"', 'title = "Party"\ncolour = 3', "colour"),
        ('ask = "Which meal?"', 'ask = "Which {meal}?"', "question 2, ask"),
        ('title = "Party"', "title =", "is not TOML"),
    ],
)
@pytest.mark.parametrize("options", [(), ("--for", "party")])
def test_what_check_refuses_is_not_well(smsconvo, form, party, before, after, place, options):
    edit(party, before, after)
    said = smsconvo("check").stderr.replace(f"{party.parent}/", "")
    assert place in said
    ended = smsconvo("form", form.page_url, *options)
    assert ended.exit_code == os.EX_CONFIG
    assert "all is well" not in ended.stdout
    assert set(said.splitlines()) <= set(ended.stderr.replace(f"{party.parent}/", "").splitlines())


def test_files_that_conflict_are_named_as_check_names_them(smsconvo, form, party):
    (party.parent / "fiesta.toml").write_text(party.read_text("utf-8"), "utf-8")
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert ended.exit_code == os.EX_CONFIG
    assert ended.stderr == smsconvo("check").stderr


def test_a_file_that_cannot_be_read_does_not_hide_the_form(smsconvo, form, party):
    (party.parent / "other.toml").write_text("title =", "utf-8")
    ended = smsconvo("form", form.page_url)
    assert ended.exit_code == os.EX_CONFIG
    assert "party: all is well." in ended.stdout and "other.toml: is not TOML" in ended.stderr


def test_a_fault_of_the_form_alone_is_an_error(smsconvo, form, folder):
    add(Question("Photo", "upload", entries=[9]))(form)
    options = [f"--page={save(form, folder / 'form.html')}"]
    ended = smsconvo("form", form.page_url, *options)
    assert '"Photo": takes a file' in ended.stderr
    assert ended.exit_code == os.EX_CONFIG


# What is guessed #############################################################


def guess(smsconvo: Callable, party: Path, form: GoogleForm, asked: str) -> dict:
    """What is proposed for a questionnaire with these questions, by the titles of the form."""
    questions = "".join(f"[[questions]]\n{lines}\n" for lines in asked.split(" | "))
    party.write_text(f'title = "T"\nevent = "T"\nthanks = "Thanks"\n{questions}', "utf-8")
    ended = smsconvo("form", form.page_url, "--for", "party", "--json")
    proposal = json.loads(ended.stdout)["questionnaires"][0]["proposal"]
    fields = tomllib.loads(proposal)["results"]["fields"]
    entries = {each.entry: each.title for each in form.questions}
    return {
        name: entries[field if isinstance(field, str) else field["name"]]
        for name, field in fields.items()
    }


@pytest.mark.parametrize(
    ("asked", "titles", "expected"),
    [
        ('key = "a"\nask = "What is your name?"', ["Name"], {"a": "Name"}),
        ('key = "a"\nask = "Where are you from?"', ["From"], {"a": "From"}),
        ('key = "a"\nask = "How many guests do you bring?"\nkind = "number"', ["Number"],
         {"a": "Number"}),
        ('key = "a"\nask = "When does it start?"', ["Start", "Phone"],
         {"a": "Start", "From": "Phone"}),
        ('key = "a"\nask = "Colour?"', ["Name", "Colour", "Event"],
         {"a": "Colour", "Name": "Name", "Event": "Event"}),
        ('key = "a"\nask = "What is your name?" | key = "b"\nask = "Nickname?"',
         ["Name", "Nickname", "Sender"], {"a": "Name", "b": "Nickname", "From": "Sender"}),
    ],
)  # fmt: skip
def test_questions_of_ours_go_before_our_other_names(
    smsconvo, party, form, asked, titles, expected
):
    form.questions = [Question(title) for title in titles]
    assert guess(smsconvo, party, form, asked) == expected


def test_the_kind_decides_between_questions_that_are_alike(smsconvo, party, form):
    form.questions = [Question("Day of arrival"), Question("Your day of arrival", "date"),
                      Question("Event", "date"), Question("Occasion")]  # fmt: skip
    asked = 'key = "a"\nask = "What is your day of arrival?"'
    day = {"a": "Day of arrival", "Event": "Occasion"}
    assert guess(smsconvo, party, form, asked) == day
    assert guess(smsconvo, party, form, f'{asked}\nkind = "date"')["a"] == "Your day of arrival"


@pytest.mark.long
def test_a_long_form_is_compared_as_far_as_that_is_quick(form, party):
    questions = [[number, f"What is your colour number {number}? {'x' * 100}", None, 0,
                  [[number, None, 1]]] for number in range(1, 30_001)]  # fmt: skip
    html = f"<script>FB_PUBLIC_LOAD_DATA_ = {json.dumps([None, [None, questions]])}</script>"
    questionnaire = loader.examine(party.parent)[0]["party"]

    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    page = AnswerPage(html, "").form
    assert len(page.questions) == 30_000
    read = min(seconds(lambda: AnswerPage(html, "")) for _ in range(3))
    assert seconds(lambda: propose(page, questionnaire, form.url)) < 5 * read


def test_long_lists_of_faults_are_cut(smsconvo, form, party):
    add(*(Question(f"More {number}", required=True) for number in range(1_234)))(form)
    ended = smsconvo("form", form.page_url, "--for", "party")
    lines = ended.stderr.splitlines()
    assert len(lines) == 21 and lines[-1] == "and 1,214 more"
    edit(party, 'colour = "entry.3"', 'colour = "entry.99"')
    add(*(Question(f"Another {number}") for number in range(1_234)))(form)
    assert len(smsconvo("form", form.page_url, "--for", "party").stderr) < 10_000


# Pre-filled links ############################################################


def test_what_a_link_says_is_told_from_what_is_guessed(smsconvo, form, party):
    ended = smsconvo("form", prefilled(form, {"entry.3": "colour"}), "--for", "party")
    lines = ended.stdout.splitlines()
    assert 'colour = "entry.3"  # Favourite colour' in lines
    assert 'From = "entry.1"  # Phone number (a guess)' in lines
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"entry.3": "coulour", "entry.1": "From"},
         'warning: link, entry.3: holds "coulour", which is not a name of ours. Fill it with'),
        ({"entry.3": "colour", "entry.1": "colour"},
         "error: link: entry.1 and entry.3 hold colour, so none counts."),
        ({"entry.4": "Pizza"}, "warning: link: holds no name of ours, so all is guessed."),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_link_is_said(smsconvo, form, party, fields, says):
    party.write_text(PARTY, "utf-8")
    ended = smsconvo("form", prefilled(form, fields), "--for", "party", "--json")
    found = [line for line in findings(ended) if line.startswith(says)]
    assert len(found) == len([line for line in findings(ended) if "link" in line]) == 1, (
        ended.stdout
    )
    assert (ended.exit_code == os.EX_CONFIG) is says.startswith("error")


def test_questions_that_hold_no_text_are_no_mistakes_of_a_link(smsconvo, form, party):
    fields = {"entry.3": "colour", "entry.4": "Pizza", "entry.7": "2026-12-31", "entry.8": "Ja"}
    ended = smsconvo("form", prefilled(form, fields), "--for", "party", "--json")
    assert findings(ended) == []


# The editor's address ########################################################


@pytest.mark.parametrize("end", ["edit", "edit#responses", "viewform", "formResponse", ""])
def test_the_public_address_is_found_by_that_of_the_editor(smsconvo, form, party, end):
    url = form.edit_url.removesuffix("edit") + end
    ended = smsconvo("form", url)
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith(f"Mats BBQ: {form.url}\n")
    assert "party: all is well." in ended.stdout


def test_check_sends_the_owner_of_a_form_to_the_public_address(smsconvo, form, party):
    edit(party, form.url, form.edit_url)
    said = smsconvo("check").stderr
    assert f"Write the public one, which this says: form {form.edit_url}" in said
    ended = smsconvo("form", form.edit_url, "--for", "party")
    assert said.partition(": results")[2] in ended.stderr
    edit(party, form.edit_url, ended.stdout.partition("\n")[0].partition(": ")[2])
    assert smsconvo("check").stderr == ""


@pytest.mark.parametrize("state", ["deleted", "sign_in", "closed"])
def test_a_form_that_is_not_published_has_no_public_address(smsconvo, form, party, state):
    form.state = state
    ended = smsconvo("form", form.edit_url)
    assert ended.exit_code == os.EX_CONFIG
    says = "takes no more responses" if state == "closed" else "copy the responder link"
    assert says in ended.stderr


def test_a_saved_page_tells_the_public_address(smsconvo, form, folder):
    page = save(form, folder / "form.html")
    ended = smsconvo("form", form.edit_url, f"--page={page}")
    assert ended.stdout.startswith(f"Mats BBQ: {form.url}\n")
    assert form.requests == []


def test_the_page_of_another_form_is_refused(smsconvo, form, party, folder):
    page = save(form, folder / "form.html")
    ended = smsconvo("form", form.page_url.replace(form.id, "1FAIpOther"), f"--page={page}")
    assert ended.exit_code == os.EX_CONFIG
    assert f"--page: {page} is the page of another form, Mats BBQ." in ended.stderr


# What is said ################################################################


def test_an_open_form_that_asks_nothing_is_not_called_closed(smsconvo, form, party):
    form.questions = []
    ended = smsconvo("form", form.page_url, "--for", "party")
    assert ended.exit_code == os.EX_CONFIG
    assert ended.stderr == (
        "The form has no questions. Add one for each answer that should get there.\n"
    )
    form.state, form.closed_by = "closed", "page"
    assert "takes no more responses" in smsconvo("form", form.page_url).stderr


def test_no_title_moves_the_cursor(smsconvo, form, party):
    change("Result", title="a\x1b[2J\u202eb\nc")(form)
    form.title = "x\x07y"
    for options in ((), ("--json",), ("--for", "party"), ("--for", "party", "--json")):
        said = smsconvo("form", form.page_url, *options).output
        assert re.findall("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", said) == []
    assert json.loads(said)["form"]["questions"][1]["title"] == "a\x1b[2J\u202eb\nc"


def test_it_is_said_whether_the_form_is_accepted(smsconvo, form, party, folder):
    run = ("form", form.page_url, "--for", "party")
    said = smsconvo(*run).stdout.splitlines()[-1]
    assert said == "`serve` keeps what the form is like once it runs."
    assert smsconvo("upgrade").exit_code == 0
    assert smsconvo(*run).stdout.splitlines()[-1] == "The form is accepted as it is now."
    told = json.loads(smsconvo(*run, "--json").stdout)
    assert told["accepted"] == "The form is accepted as it is now."
    change("Meal", options=["Soup"])(form)
    said = smsconvo(*run).stdout.splitlines()[-1]
    assert said == "The form is not accepted as it is now. Correct the errors, and run this again."
    edit(party, form.url, "https://example.org/")
    assert "accepted" not in smsconvo(*run).stdout


def test_a_row_that_cannot_be_read_keeps_no_test_row_back(smsconvo, form, party, folder):
    run = ("form", form.page_url, "--for", "party")
    assert smsconvo("upgrade").exit_code == 0
    smsconvo(*run)
    with sqlite3.connect(folder / "smsconvo.db") as database:
        database.execute("PRAGMA ignore_check_constraints = 1")
        database.execute("UPDATE receiver_forms SET page = '{}'")
    ended = smsconvo(*run, "--send-test", "--yes")
    assert "is not kept. " in ended.stdout and "receiver_forms" in ended.stdout, ended.output
    assert len(form.rows) == 1


def test_a_database_that_is_away_keeps_no_test_row_back(smsconvo, form, party):
    url = "postgresql://me:secret@127.0.0.1:1/smsconvo"
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", "--yes",
                     DATABASE_URL=url)  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert "is not kept. The database cannot be used: " in ended.stdout
    assert "secret" not in ended.output
    assert len(form.rows) == 1


# A row to test with ##########################################################


def test_a_test_row_has_the_event_that_the_form_takes(smsconvo, form, party):
    add(Question("Event", "dropdown", options=["Party", "Dinner"], entries=[9]))(form)
    edit(party, "[results.fields]\n", '[results.fields]\nEvent = "entry.9"\n')
    ended = smsconvo("form", form.page_url, "--for", "party", "--send-test", "--yes")
    assert "has recorded a row marked TEST" in ended.stderr, ended.output
    assert form.rows[0]["Event"] == "Party"


def test_a_test_row_without_a_mark_is_told_before(smsconvo, form, party):
    form.questions = [one(form, "Meal"), one(form, "Stars")]
    fields = '[results.fields]\nmeal = "entry.4"\nstars = "entry.6"\n'
    party.write_text(PARTY + RESULTS.format(url=form.url).partition("[results.fields]")[0] + fields)
    run = ("form", form.page_url, "--for", "party", "--send-test")
    told = "without TEST, as no question takes it: "
    assert told in smsconvo(*run, said="n\n").stderr
    assert form.rows == []
    ended = smsconvo(*run, "--yes")
    assert told in ended.stderr and "marked TEST" not in ended.stderr
    assert 'Meal = "Pizza", Stars = "1"' in ended.stderr
    assert form.rows == [{"Meal": "Pizza", "Stars": "1"}]


def test_the_text_of_other_marks_a_test_row(smsconvo, form, party):
    change("Favourite colour", kind="choice", options=["Blue"], has_other=True)(form)
    edit(party, 'colour = "entry.3"', 'colour = { name = "entry.3", options = ["Blue"] }')
    smsconvo("form", form.page_url, "--for", "party", "--send-test", "--yes")
    assert form.rows[0]["Favourite colour"] == "TEST"
