"""The operator's files are edited, broken and removed under a server that guests text."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests
from conftest import COUNTER, FEEDBACK, HANG_SECONDS, HERE, QUESTIONS, REY, STRANGER, until
from rig import Guests, Server, serving, text_until_acknowledged

GUESTS = 8
PAUSE_SECONDS = 0.2  # after each text, where they text for a minute and more
PARTY = 'title = "Party"\nevent = "Party"\nreply = "Hello {name}"\n'
# Root may read anything, unless it gives that right away.
BOUND = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "questionnaires").mkdir()
    (tmp_path / "questionnaires/counter.toml").write_text(COUNTER, "utf-8")
    (tmp_path / "people.toml").write_text(f'"{REY}" = "Rey"\n', "utf-8")
    return tmp_path


def write(folder: Path, name: str, content: str) -> None:
    (folder / name).write_text(content, "utf-8")


def replies(server: Server, said: str, sender: str = REY) -> list[str]:
    return text_until_acknowledged(server.phone(sender), said).replies


def health(server: Server) -> tuple[int, dict]:
    answer = requests.get(f"{server.url}/healthz", timeout=HANG_SECONDS)
    return answer.status_code, answer.json()


def problems(server: Server) -> list[str]:
    """What /healthz says of the files; nothing while nobody answers."""
    with suppress(requests.RequestException):
        return health(server)[1]["questionnaires"]["problems"]
    return []


def events(server: Server, outcome: str) -> list[dict]:
    lines = [line for line in server.logged() if line["event"] == "questionnaires"]
    return [line for line in lines if line["outcome"] == outcome]


def workers(server: Server) -> list[int]:
    """The processes that answer, without the one that `spawn` starts for itself."""
    found = []
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.NoSuchProcess):  # it has just died
            if "resource_tracker" not in str(child.cmdline()):
                found.append(child.pid)
    return found


def kill_worker(server: Server) -> None:
    (before,) = workers(server)
    os.kill(before, signal.SIGKILL)
    until(lambda: workers(server) not in ([], [before]))


def test_an_edit_is_taken_without_a_restart_and_without_a_refusal(folder):
    with serving(folder) as server:
        before = workers(server)
        with Guests(server, GUESTS) as guests:
            guests.wait_for(GUESTS)
            write(folder, "questionnaires/party.toml", PARTY)
            until(lambda: events(server, "taken"))
            write(folder, "people.toml", f'"{STRANGER}" = "Ana"\n')
            until(lambda: len(events(server, "taken")) == 2)
            guests.wait_for(len(guests.acknowledged) + GUESTS)
        assert guests.refusals == guests.surprises == []
        assert server.audit(guests.acknowledged) == []
        assert replies(server, "Party", STRANGER) == ["Hello Ana"]
        assert workers(server) == before
        changes = [event["changes"] for event in events(server, "taken")]
        assert changes == [["party.toml added"], ["people.toml changed"]]
        assert problems(server) == []


def misspell(folder: Path) -> None:
    write(folder, "questionnaires/party.toml", "title = ")


def ask_nothing(folder: Path) -> None:
    write(folder, "questionnaires/party.toml", 'title = "Party"\nevent = "Party"\n')


def open_twice(folder: Path) -> None:
    write(folder, "questionnaires/party.toml", FEEDBACK)


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder / "questionnaires")


def empty_folder(folder: Path) -> None:
    for path in (folder / "questionnaires").iterdir():
        path.unlink()


def forbid_folder(folder: Path) -> None:
    (folder / "questionnaires").chmod(0)


def forbid_file(folder: Path) -> None:
    (folder / "questionnaires/counter.toml").chmod(0)


def make_pipe(folder: Path) -> None:
    os.mkfifo(folder / "questionnaires/party.toml")


def make_folder(folder: Path) -> None:
    (folder / "questionnaires/party.toml").mkdir()


def make_huge(folder: Path) -> None:
    with open(folder / "questionnaires/party.toml", "wb") as file:
        file.write(PARTY.encode() + b"#")
        file.truncate(100 * 1024 * 1024)


def name_badly(folder: Path) -> None:
    write(folder, os.fsdecode(b"questionnaires/f\xeate.toml"), PARTY)


def nest_deeply(folder: Path) -> None:
    write(folder, "questionnaires/party.toml", f"{'a.' * 3000}a = 1\n")


def break_people(folder: Path) -> None:
    write(folder, "people.toml", '# Guests\n"+1 (415) 867" = "Rey"\n')


def people_as_pipe(folder: Path) -> None:
    (folder / "people.toml").unlink()
    os.mkfifo(folder / "people.toml")


@pytest.mark.parametrize(
    ("harm", "named", "why"),
    [
        (misspell, "questionnaires/party.toml: ", "is not TOML: Invalid value"),
        (ask_nothing, "questionnaires/party.toml: ", "asks nothing and says nothing."),
        (open_twice, "feedback.toml and party.toml: ", "any text opens both."),
        (remove_folder, "SMSCONVO_QUESTIONNAIRES: ", "there is no directory questionnaires."),
        (empty_folder, "questionnaires: ", "holds no questionnaire."),
        (forbid_folder, "questionnaires: ", "cannot be read: Permission denied."),
        (forbid_file, "questionnaires/counter.toml: ", "cannot be read: Permission denied."),
        (make_pipe, "questionnaires/party.toml: ", "cannot be read: it is no ordinary file."),
        (make_folder, "questionnaires/party.toml: ", "cannot be read: Is a directory."),
        (make_huge, "questionnaires/party.toml: ", "cannot be read: File too large."),
        (name_badly, "questionnaires/f?te.toml: ", "name is not UTF-8."),
        (nest_deeply, "questionnaires/party.toml: ", "nested too deeply."),
        (break_people, "SMSCONVO_PEOPLE: people.toml: ", "line 2: write each line as"),
        (people_as_pipe, "SMSCONVO_PEOPLE: people.toml: ", "it is no ordinary file."),
    ],
)
def test_an_edit_that_check_refuses_is_named_and_changes_nothing(folder, harm, named, why):
    with serving(folder, under=BOUND) as server:
        assert replies(server, "Count") == ["Rey has messaged +14155550100 1 times"]
        harm(folder)
        until(lambda: problems(server))
        assert health(server)[0] == 200
        assert health(server)[1]["status"] == "degraded"
        (problem,) = problems(server)
        assert named in problem and why in problem
        assert "(415)" not in problem
        assert [event["why"] for event in events(server, "refused")] == [problem]

        os.kill(server.process.pid, signal.SIGHUP)
        kill_worker(server)
        until(lambda: problems(server))
        assert problems(server) == [problem]
        assert replies(server, "Again", REY) == ["Rey has messaged +14155550100 2 times"]
        assert replies(server, "Hello", STRANGER) == [QUESTIONS[0]]
        assert len(events(server, "refused")) == 1
        assert events(server, "taken") == []


def test_an_edit_that_is_undone_or_mended_is_well_again(folder):
    with serving(folder) as server:
        misspell(folder)
        until(lambda: problems(server))
        (folder / "questionnaires/party.toml").unlink()
        until(lambda: health(server)[1]["status"] == "ok")
        until(lambda: events(server, "as in use"))
        misspell(folder)
        until(lambda: problems(server))
        write(folder, "questionnaires/party.toml", PARTY)
        until(lambda: health(server)[1]["status"] == "ok")
        assert replies(server, "Party") == ["Hello Rey"]


def test_a_reload_takes_an_edit_at_once_and_ends_no_process(folder):
    with serving(folder, weakness="look_rarely") as server:
        (before,) = workers(server)
        write(folder, "questionnaires/party.toml", PARTY)
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: events(server, "taken"))
        assert replies(server, "Party") == ["Hello Rey"]
        assert workers(server) == [before]


@pytest.mark.parametrize("weakness", ["look_rarely", "look_rarely,spawn_processes"])
def test_a_process_that_is_replaced_has_the_last_that_were_good(folder, weakness):
    with serving(folder, weakness=weakness) as server:
        write(folder, "questionnaires/party.toml", PARTY)
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: events(server, "taken"))
        misspell(folder)
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: problems(server))
        kill_worker(server)
        assert replies(server, "Party") == ["Hello Rey"]
        assert problems(server) != []


def test_each_process_takes_an_edit(folder, empty_url):
    settings = {"DATABASE_URL": empty_url}
    with serving(folder, weakness="look_rarely", settings=settings, workers=2) as server:
        until(lambda: len(workers(server)) == 2)
        write(folder, "questionnaires/party.toml", PARTY)
        os.kill(server.process.pid, signal.SIGHUP)
        until(lambda: len(events(server, "taken")) == 2)
        for n in range(20):
            assert replies(server, "Party", f"+1415555{n:04}") == ["Hello Friend"]


def test_results_go_where_a_trial_run_sends_them_after_a_reload(folder, receiver):
    with serving(folder, options=("--results-to", receiver.url)) as server:
        content = FEEDBACK.replace("# event", "event") + '[results]\nurl = "http://127.0.0.1:9/"\n'
        write(folder, "questionnaires/feedback.toml", content)
        until(lambda: events(server, "taken"))
        for said in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
            replies(server, said)
        until(lambda: receiver.requests)


def edit_at_random(folder: Path) -> None:
    path = folder / "questionnaires/party.toml"
    edits: list[Callable[[], object]] = [
        lambda: path.write_text(PARTY.replace("Hello", f"Hello {random.random()}"), "utf-8"),
        lambda: path.write_text("title = ", "utf-8"),
        lambda: path.write_text('title = "x"\nlanguage = "xx"', "utf-8"),
        lambda: path.unlink(missing_ok=True),
    ]
    random.choice(edits)()


@pytest.mark.first
def test_processes_are_replaced_in_the_midst_of_edits(folder, size):
    """Between two deaths lies what the server takes for no loop of crashes."""
    weak = {"weakness": "look_often"}
    with serving(folder, **weak) as server, Guests(server, GUESTS, PAUSE_SECONDS) as guests:
        for _ in range(size(2, 8)):
            deadline = time.monotonic() + 6
            while time.monotonic() < deadline:
                edit_at_random(folder)
                time.sleep(random.random() / 50)
            kill_worker(server)
            guests.wait_for(len(guests.acknowledged) + GUESTS)
        misspell(folder)
        until(lambda: problems(server))
        (folder / "questionnaires/party.toml").unlink()
        until(lambda: health(server)[1]["status"] == "ok")
    assert guests.surprises == []
    assert server.audit(guests.acknowledged) == []


# The lock of an import, say, that another thread held would be held for ever in the new process.
FORK = """
import os, sys, time
from threading import Event, Thread
from commands.server import lock_out_forks

lock, has_begun, looks = lock_out_forks(), Event(), []

def look():
    with lock:
        has_begun.set()
        time.sleep(0.5)
        looks.append("whole")

Thread(target=look).start()
has_begun.wait()
if not (pid := os.fork()):
    os._exit(0 if looks and not lock.locked() else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_no_process_begins_in_the_midst_of_a_look():
    ended = subprocess.run([sys.executable, "-c", FORK], cwd=HERE, timeout=60)
    assert ended.returncode == 0
