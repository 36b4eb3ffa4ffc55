"""Random guests: they see what they are asked, and mostly text an answer."""

import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from corpus.scenarios import DAY, HOUR, OTHER_PHOTO, PHOTO, A, B
from corpus.texts import TEXTS

if TYPE_CHECKING:
    from corpus.runner import Run

FOLDER = Path(__file__).resolve().parent / "questionnaires"
GUESTS = 64  # scenarios of one each, some with several conversations

WORDS = (
    "BACK", "skip", "Restart", "OK", "FIX 1", "fix 2", "FIX 3", "Back.", "back please", "fix",
    "yes", "no",
)  # fmt: skip
REST = (
    "Liked “an image”", "Loved an image", "❤️ to “Will you come?”", "STOP", "START", "help", "YES",
    "Party", "Count", "Silence", "Thanks!", "", "👍", "who is this?", "Form 2026", "Simple",
    "stop it", "Short", "Encuesta", "Give up", "Paths",
)  # fmt: skip
EVENTS = (
    "Party", "Party", "Form 2026", "Simple", "Silence", "Encuesta", "Give up", "Paths", "Paths",
    "Words", "Photo", "Short", "Defaults", "Count",
)  # fmt: skip


def questions() -> dict[tuple[str, str], dict]:
    """Each question of the files, by the name of the file and its key."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        content = tomllib.loads(path.read_text("utf-8"))
        for place, question in enumerate(content.get("questions", ()), 1):
            found[path.stem, question.get("key", f"Question{place}")] = question
    return found


def drill(kind: str) -> Callable[["Run"], Iterator[dict]]:
    """All texts for one kind, to one question after the other."""

    def texts(run: "Run") -> Iterator[dict]:
        for text in TEXTS[kind]:
            if not is_open(run):
                yield {"say": f"Drill {kind.replace('_', '')}"}
            yield {"say": text}

    return texts


def is_open(run: "Run") -> bool:
    found = run.conversations()
    return bool(found) and found[-1]["state"] == "open"


def wander(seed: int) -> Callable[["Run"], Iterator[dict]]:
    """A guest who mostly answers what is asked."""

    def texts(run: "Run") -> Iterator[dict]:
        chance, asked = Random(seed), questions()
        patience = chance.choice((0.75, 0.85, 0.95))
        yield {"say": chance.choice(EVENTS)}
        for _ in range(chance.randint(4, 14)):
            yield act(chance, run, asked, patience)

    return texts


def act(chance: Random, run: "Run", asked: dict, patience: float) -> dict:
    step = unusual(chance, run) if chance.random() > patience else None
    if step is None:
        step = answer(chance, run, asked)
    if chance.random() < 0.05:
        step["after"] = chance.choice((1, 600, HOUR, 2 * HOUR, 5 * HOUR, 26 * HOUR, -HOUR))
    return step


def answer(chance: Random, run: "Run", asked: dict) -> dict:
    found = run.conversations()
    newest = found[-1] if found else {"asking": None, "state": None}
    if newest["asking"] == "(review)":
        return {
            "say": chance.choice(
                ("OK", "ok", "yes", "FIX 1", "fix 2", "FIX 4", "hm", "VALE", "CAMBIAR 2")
            )
        }
    if newest["state"] != "open" and newest["asking"] is None:
        return {"say": chance.choice(("Thanks", *EVENTS, "fix 1", "FIX 2", "👍"))}
    names = run.runner.version_names()
    name = names[newest["questionnaire_id"]].partition("#")[0]
    if newest["asking"] is None:
        return {"say": chance.choice(REST)}
    return reply_to(chance, asked[name, newest["asking"]])


def reply_to(chance: Random, question: dict) -> dict:
    kind = question.get("kind", "text")
    if kind == "photo" and chance.random() < 0.7:
        return {
            "say": chance.choice(("", "me")),
            "media": chance.choice(([PHOTO], [PHOTO, OTHER_PHOTO])),
        }
    if kind == "choice" and chance.random() < 0.7:
        choice = chance.choice(question["choices"])
        return {"say": choice if isinstance(choice, str) else choice["value"]}
    if kind == "yes_no" and chance.random() < 0.6:
        return {"say": chance.choice(("yes", "no", "claro", "nunca", "aye"))}
    return {"say": chance.choice(TEXTS[kind])}


def unusual(chance: Random, run: "Run") -> dict | None:
    texts = [place for place, step in enumerate(run.steps) if "say" in step]
    replied = [place for place in texts if run.sent[place].get("callback")]
    match chance.randrange(9):
        case 0 | 1:
            return {"say": chance.choice(WORDS)}
        case 2 | 3:
            return {"say": chance.choice(REST)}
        case 4:
            return {"repeat": chance.choice(texts)}
        case 5 if replied:
            return {
                "status": chance.choice(("sent", "delivered", "undelivered")),
                "of": chance.choice(replied),
            }
        case 6:
            return {"worker": True, "after": chance.choice((60, HOUR, 5 * HOUR, DAY))}
        case 7:
            return {"say": chance.choice(REST), "cookie": chance.choice(("none", "forged", "~"))}
        case 8:
            return {"say": chance.choice(EVENTS), "to": chance.choice((A, B))}
    return None
