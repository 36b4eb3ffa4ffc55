"""Every example of docs/questionnaires.md, over HTTP."""

import json
import re
from datetime import timedelta

import pytest
from conftest import HERE, REY, mostly_on_sqlite

from worker.expiry import expire_silent

PAGE = (HERE / "docs" / "questionnaires.md").read_text("utf-8")
BLOCK = re.compile(r"```toml\n(.*?)```\s*```\n(.*?)```", re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
PHOTO = "https://api.twilio.com/photo.jpg"
EXAMPLES = [
    pytest.param(*found.groups(), id=HEADING.findall(PAGE[: found.start()])[-1])
    for found in BLOCK.finditer(PAGE)
]


class Guest:
    """Does what a line of an example says, and tells what came of it."""

    def __init__(self, webhook) -> None:
        self.webhook, self.phone = webhook, webhook.phone(REY)
        self.results = 0

    def act(self, line: str) -> list[str]:
        if line.startswith("> "):
            said = self.phone.text(line[2:])
        elif line == "(a photo)":
            said = self.phone.text(media=[PHOTO])
        elif hours := re.fullmatch(r"\((\d+) hours pass\)", line):
            self.webhook.clock.now += timedelta(hours=int(hours[1]))
            expire_silent(self.webhook.app.database, self.webhook.clock())
            return self.new_results()
        else:
            raise AssertionError(f"An example says {line!r}, which nobody can do.")
        return [f"< {words}" for words in said or ["(silence)"]] + self.new_results()

    def new_results(self) -> list[str]:
        rows = self.webhook.rows("SELECT format, payload FROM outbox ORDER BY id")
        new, self.results = rows[self.results :], len(rows)
        return [self.tell(*row) for row in new]

    def tell(self, format: str, payload: str) -> str:
        told = json.loads(payload)
        if format == "json":
            return (
                f"* {told['type'].removeprefix('conversation.')} {shown(told['data']['answers'])}"
            )
        answers = {name: value for name, value in told.items() if name not in ("From", "Event")}
        ((state,),) = self.webhook.rows("SELECT state FROM conversations ORDER BY id DESC LIMIT 1")
        return f"* {state} {shown(answers)}"


def shown(answers: dict) -> str:
    return json.dumps(answers, ensure_ascii=False)


def by_turn(conversation: str) -> list[tuple[str, list[str]]]:
    """What the guest does, with the lines about what comes of it."""
    turns: list[tuple[str, list[str]]] = []
    for line in conversation.splitlines():
        if line.startswith(("<", "*", "(silence)")):
            turns[-1][1].append(f"< {line}" if line == "(silence)" else line)
        else:
            turns.append((line, []))
    return turns


@pytest.mark.parametrize(("file", "conversation"), EXAMPLES)
@mostly_on_sqlite
def test_an_example_happens_as_the_page_tells(serve, questionnaires, file, conversation):
    for path in questionnaires.glob("*.toml"):
        path.unlink()
    (questionnaires / "example.toml").write_text(file, "utf-8")
    guest = Guest(serve())
    for action, outcome in by_turn(conversation):
        assert (action, guest.act(action)) == (action, outcome)


def test_there_is_an_example_of_every_feature():
    assert len(EXAMPLES) == PAGE.count("```toml") >= 16
