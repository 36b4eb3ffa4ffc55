"""Edits of the files under an app that answers; `look` is what `serve` does every second."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from conftest import COUNTER, FEEDBACK, HERE, QUESTIONS, STRANGER, Webhook

from reloading import MAX_PROBLEMS, Edit

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

# Prints which files texts wait for, of every kind in a language that no text had before an edit.
NEW_LANGUAGE = """
import pickle
import sys
import threading
from wsgiref.simple_server import make_server
from conftest import ACCOUNT_SID, AUTH_TOKEN, Clock, QuietHandler, Webhook
from models.questionnaire.answers import KINDS
from pathlib import Path
from patching import patch
from settings import Settings
from smsconvo import create_app

url, folder, language = sys.argv[1:]
waited, is_noting = [], False
def note(event, arguments):
    name = str(arguments[0]) if arguments else ""
    is_read = event == "open" and name.startswith(str(Path("models").resolve()))
    if is_noting and (event == "import" or is_read):
        waited.append(name)
def note_pattern(frame, event, _):
    code = frame.f_code
    if is_noting and code.co_name == "compile" and code.co_filename.endswith("re/_compiler.py"):
        if event == "call" and len(str(frame.f_locals["p"])) > 10_000:
            waited.append("a pattern")
patch("storage.database", "WRITE_TIMEOUT_SECONDS", 600)  # to note all calls is slow
sys.addaudithook(note)
threading.setprofile(note_pattern)
server = make_server("127.0.0.1", 0, None, handler_class=QuietHandler)
address = f"http://127.0.0.1:{server.server_port}"
clock = Clock()
app = create_app(
    Settings(
        database_url=url, account_sid=ACCOUNT_SID, auth_tokens=(AUTH_TOKEN,), public_url=address,
        questionnaires=Path(folder), people=Path(folder, "no people"),
    ),
    clock,
)
server.set_app(app)
threading.Thread(target=server.serve_forever, daemon=True).start()
webhook = Webhook(app, clock, address)
phone = webhook.phone()
replies = phone.text("Mats BBQ") + phone.text("Blue")  # what the first text of all needs
asked = {kind: 'choices = ["Rot", "Blau"]' if kind == "choice" else "" for kind in KINDS}
questions = [
    f'[[questions]]\\nask = "{kind}?"\\nkind = "{kind}"\\nattempts = 1\\n{more}\\n'
    for kind, more in asked.items()
]
content = f'title = "T"\\nevent = "Fest"\\nthanks = "Bye"\\nlanguage = "{language}"\\n'
Path(folder, "fest.toml").write_text(content + "".join(questions), "utf-8")
watcher = pickle.loads(pickle.dumps(app.files))  # of a process that answers nobody
watcher.look(at_once=True)
assert app.files.follow(watcher.content).changes == ["fest.toml added"]

is_noting = True
for sender, said in (("+14155550198", "So um 3 herum, am 5. Mai"), ("+14155550199", "two")):
    phone = webhook.phone(sender)
    for text in ("Fest", *(said for _ in KINDS)):
        replies += phone.text(text)
    assert replies[-1] == "Bye", replies
print(*waited)
"""
PARTY = 'title = "Party"\nevent = "Party"\nreply = "Hello {name}"\n'


@pytest.fixture
def party(questionnaires) -> Path:
    return questionnaires / "party.toml"


def look(webhook: Webhook) -> list[Edit]:
    """What comes of two looks, between which nothing happens."""
    return [edit for edit in (webhook.app.files.look(), webhook.app.files.look()) if edit]


def health(webhook: Webhook) -> tuple[int, str, list[str]]:
    answer = requests.get(f"{webhook.app.settings.public_url}/healthz", timeout=10)
    told = answer.json()
    return answer.status_code, told["status"], told["questionnaires"]["problems"]


def test_an_edit_is_taken_once_it_has_stayed_the_same_for_a_look(webhook, phone, party):
    files = webhook.app.files
    assert look(webhook) == []
    party.write_text('title = "Party"\nevent = "Party"\n', "utf-8")  # an editor has begun
    assert files.look() is None
    party.write_text(PARTY, "utf-8")
    assert files.look() is None
    assert phone.text("Party") == [QUESTIONS[0]]
    assert files.look() == Edit(["party.toml added"], [])
    assert webhook.phone(STRANGER).text("Party") == ["Hello Friend"]
    assert look(webhook) == []


def test_an_edit_is_taken_at_once_when_it_is_said_to_be_whole(webhook, phone, party):
    party.write_text(PARTY, "utf-8")
    assert webhook.app.files.look(at_once=True) == Edit(["party.toml added"], [])
    assert phone.text("Party") == ["Hello Rey"]
    assert look(webhook) == []


def test_whatever_is_written_in_the_moment_of_a_reload_is_found_later(webhook, party):
    party.write_text(PARTY, "utf-8")
    webhook.app.files.look(at_once=True)
    before = party.stat()
    party.write_text(PARTY.replace("Hello", "Howdy"), "utf-8")
    os.utime(party, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert look(webhook) == [Edit(["party.toml changed"], [])]


def test_everything_that_an_edit_changed_is_named(webhook, questionnaires, party, tmp_path):
    party.write_text(PARTY, "utf-8")
    (questionnaires / "counter.toml").unlink()
    with (questionnaires / "feedback.toml").open("a", encoding="utf-8") as file:
        file.write('[[questions]]\nask = "More?"\n')
    (tmp_path / "people.toml").unlink()
    names = ["counter.toml removed", "feedback.toml changed", "party.toml added"]
    assert look(webhook) == [Edit([*names, "people.toml changed"], [])]


@pytest.mark.parametrize("content", [COUNTER, f"# Only a comment\n{COUNTER}"])
def test_what_says_the_same_is_no_change(webhook, questionnaires, content):
    (questionnaires / "new").write_text(content, "utf-8")
    os.replace(questionnaires / "new", questionnaires / "counter.toml")
    assert look(webhook) == []


def test_a_conversation_goes_on_as_it_began(webhook, phone, questionnaires):
    assert phone.text("Mats BBQ") == [QUESTIONS[0]]
    content = FEEDBACK.replace(QUESTIONS[0], "Colour?").replace(QUESTIONS[1], "Meal?")
    (questionnaires / "feedback.toml").write_text(content, "utf-8")
    assert look(webhook) != []
    assert phone.text("Blue") == [QUESTIONS[1]]
    assert webhook.phone(STRANGER).text("Mats BBQ") == ["Colour?"]


def test_a_folder_that_a_link_leads_to_can_be_exchanged(serve, questionnaires, tmp_path, party):
    link = tmp_path / "link"
    link.symlink_to(questionnaires)
    webhook = serve(questionnaires=link)
    shutil.copytree(questionnaires, tmp_path / "next")
    (tmp_path / "next" / "party.toml").write_text(PARTY, "utf-8")
    link.unlink()
    link.symlink_to(tmp_path / "next")
    assert look(webhook) == [Edit(["party.toml added"], [])]


@pytest.mark.long
@pytest.mark.parametrize("language", ["de", "pl"])
def test_no_text_waits_for_the_words_of_a_new_language(database_url, questionnaires, language):
    command = [sys.executable, "-c", NEW_LANGUAGE, database_url, str(questionnaires), language]
    path = {"PYTHONPATH": f"{HERE}:{HERE / 'tests'}"}
    ended = subprocess.run(command, cwd=HERE, env=os.environ | path, capture_output=True, text=True)
    assert (ended.stdout, ended.returncode) == ("\n", 0), ended.stderr


def test_what_an_editor_keeps_beside_a_file_is_none(webhook, questionnaires):
    (questionnaires / ".#feedback.toml").symlink_to("somebody@somewhere.4711")
    (questionnaires / ".party.toml").write_text("title = ", "utf-8")
    (questionnaires / "feedback.toml~").write_text("title = ", "utf-8")
    assert look(webhook) == []


def test_an_edit_is_refused_once_with_all_that_is_wrong(webhook, phone, party, tmp_path):
    party.write_text('title = "Party"\nthanks = 1\n[[questions]]\nask = "{x} {y}"\n', "utf-8")
    (tmp_path / "people.toml").write_text('# Guests\n"+1 415 867" = "Rey"\n', "utf-8")
    ((changes, problems),) = look(webhook)
    assert changes == []
    assert len(problems) == 6
    assert problems[0].startswith(f"{party}: thanks: ")
    assert f"{tmp_path / 'people.toml'}: line 2: write each line" in problems[-1]
    assert "+1 415 867" not in problems[-1]
    assert health(webhook) == (200, "degraded", problems)
    assert phone.text("Party") == [QUESTIONS[0]]

    party.touch()
    assert look(webhook) == []
    assert webhook.app.files.look(at_once=True) is None
    party.write_text("title = 'Party'\nthanks = 2\n[[questions]]\nask = '{x} {y}'\n", "utf-8")
    assert look(webhook) == [Edit([], problems)]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'"+14158675308" = "Rey"\n"+14158675308" = "Ray"', "is not TOML (at end of document)"),
        (b'["+14158675308"]\nx = 1\n["+14158675308"]', "(at line 3, "),
        (b'["+14158675308"]\nx = 1\n[["+14158675308"]]', "(at line 3, "),
        (b'x = {"+14158675308" = 1, "+14158675308" = 2}', "(at line 1, "),
        (b'x = {"+14158675308" = {}}\n["x"."+14158675308"]', "(at line 2, "),
        (
            b'"(at +14158675308)" = "Rey"\n"(at +14158675308)".x = 1',
            "is not TOML (at end of document)",
        ),
        (b'+14158675308 = "Rey"', "(at line 1, "),
        (b'"+14158675308" = ', "(at end of document)"),
        (b'"+14158675308" = "Re\xff"', "can't decode byte 0xff in position 20"),
        (b'"+14158675308" = 1' + b"0" * 9999, "is not TOML. Correct it there."),
        (b'"+14158675308" = 2026-13-41', "(at line 1, "),
        (b'"+14158675308" = "\\u+14158675308"', "(at line 1, "),
        (b"x = " + b"[" * 9999, "is nested too deeply"),
        (b'"+14158675308" = 7', "line 1: write each line as"),
    ],
)
def test_nothing_of_the_people_is_quoted(webhook, tmp_path, content, problem):
    path = tmp_path / "people.toml"
    path.write_bytes(content)
    ((_, (told,)),) = look(webhook)
    assert told.startswith(f"SMSCONVO_PEOPLE: {path}: ")
    assert problem in told
    example = '"+14158675308" = "Rey"'
    assert "8675308" not in told.replace(example, "")
    assert health(webhook) == (200, "degraded", [told])


def test_an_edit_that_is_undone_is_well_again(webhook, party):
    party.write_text("title = ", "utf-8")
    look(webhook)
    party.unlink()
    assert look(webhook) == [Edit([], [])]
    assert health(webhook) == (200, "ok", [])


def test_few_of_many_mistakes_are_told(webhook, party):
    wrong = "".join(f"[[questions]]\nask = 'x'\nx{n} = 1\n" for n in range(500))
    party.write_text(f"title = 'Party'\nthanks = 'x'\n{wrong}", "utf-8")
    ((_, problems),) = look(webhook)
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == f"There are {500 + 1 - MAX_PROBLEMS} more problems. Run `check`."


def test_a_mistake_in_reading_the_files_changes_nothing(webhook, phone, party, patch):
    def fail(*_: object) -> None:
        raise KeyError(party.read_text("utf-8"))

    party.write_text(PARTY, "utf-8")
    patch("models.questionnaire.linter", "find_problems", fail)
    ((_, (problem,)),) = look(webhook)
    assert problem.startswith("The files cannot be read: KeyError in ")
    assert "Party" not in problem
    assert phone.text("Party") == [QUESTIONS[0]]


def test_another_process_takes_the_same_and_nothing_else(webhook, party):
    files = webhook.app.files
    other = pickle.loads(pickle.dumps(files))
    party.write_text(PARTY, "utf-8")
    files.look(at_once=True)
    taken = files.content
    party.write_text(PARTY.replace("Hello", "Howdy"), "utf-8")
    assert other.follow(taken) is None  # nobody has examined that
    assert "party" not in dict(other.current.catalog)
    files.look(at_once=True)
    assert other.follow(files.content) == Edit(["party.toml added"], [])
    assert other.follow(files.content) is None
    assert dict(other.current.catalog) == dict(files.current.catalog)

    party.write_text("title = ", "utf-8")
    files.look(at_once=True)
    later = pickle.loads(pickle.dumps(files))
    assert later.problems == files.problems != []
    assert later.current.catalog["party"].reply == "Howdy {name}"
