"""Runs scenarios: texts go in over WSGI, replies and rows come out.

A scenario is a list of JSON objects: a head, the steps, and the rows that they left. A step holds
what is done and what came of it. What follows from the step itself is left out, so that a line
shows what smsconvo decided; anything unusual is added to it.
"""

import io
import re
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from corpus.rows import TABLES, Rows, decoded
from twilio.request_validator import RequestValidator

HERE = Path(__file__).resolve().parent
ACCOUNT_SID, AUTH_TOKEN = "AC" + "0123456789abcdef" * 2, "a-token-for-the-recorded-conversations"
NUMBER = "+14155550100"  # ours, where a scenario names no other
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECONDS = 60  # between two steps, where the step does not say
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None  # where a commit waits for no disk
FORGED = "0123456789abcdef" * 2  # a cookie as ours are, that was never given
# What is done in a step; its other fields came of it.
ACTIONS = {"say", "after", "from", "to", "media", "opt", "cookie", "fields", "token", "repeat"}
ACTIONS |= {"status", "of", "sid", "error", "worker", "app"}
ROWS = {"contact", "conversation", "answer", "result", "extra"}


###############################################################################
# Adapter: the only names of smsconvo that the corpus uses ####################
###############################################################################


class Smsconvo:
    """smsconvo on one database, with the questionnaires of one folder at a time."""

    def __init__(self, folder: Path, clock: "Clock") -> None:
        from settings import Settings
        from storage.versions import migrate

        self.path, self._clock = folder / "corpus.db", clock
        self._settings = Settings(
            database_url=f"sqlite:///{self.path}",
            account_sid=ACCOUNT_SID,
            auth_tokens=(AUTH_TOKEN,),
            people=HERE / "people.toml",
        )
        self._apps: dict[str, object] = {}
        migrate(self._settings.database_url)

    def app(self, name: str):
        """The WSGI application: `usual`, or as APPS has it."""
        from smsconvo import create_app

        if name not in self._apps:
            self._apps[name] = create_app(replace(self._settings, **APPS[name]), self._clock)
        return self._apps[name]

    def expire_silent(self) -> None:
        """What the worker does once in a while."""
        from worker.expiry import expire_silent

        while expire_silent(self.app("usual").database, self._clock()):
            pass

    def close(self) -> None:
        for app in self._apps.values():
            app.database.close()


USUAL = {"public_url": "https://sms.example.org", "questionnaires": HERE / "questionnaires"}
APPS = {
    "usual": USUAL,
    # After a restart with other files.
    "changed": USUAL | {"questionnaires": HERE / "changed", "people": HERE / "people_changed.toml"},
    "http": USUAL | {"public_url": "http://sms.example.org/texts"},
    "trial": USUAL | {"results_to": "https://trial.example.org/"},
}

###############################################################################


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


class Runner:
    """Runs one scenario after the other on one database. Each has senders of its own."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.smsconvo = Smsconvo(folder, self.clock)
        self.db = sqlite3.connect(self.smsconvo.path)
        self.db.execute("PRAGMA synchronous = OFF")
        self._begun = 0

    def run(self, scenario: Iterable[dict]) -> list[dict]:
        """The same scenario, with what comes of it now."""
        head, *steps = scenario
        run = self.begin(head)
        for step in steps:
            if not ROWS & step.keys():
                run.do(step)
        return run.end()

    def begin(self, head: dict) -> "Run":
        return Run(self, head)

    def next_number(self) -> int:
        self._begun += 1
        return self._begun

    def highest_ids(self) -> dict[str, int]:
        return {
            table: self.db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
            for table in TABLES
        }

    def rows(self, table: str, after: int = 0) -> list[dict]:
        found = self.db.execute(f"SELECT * FROM {table} WHERE id > ? ORDER BY id", (after,))
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found]

    def end_open_conversations(self) -> None:
        """Else the worker of a later scenario would find what an earlier one left open."""
        with self.db:
            self.db.execute("UPDATE conversations SET state = 'stopped' WHERE state = 'open'")

    def versions(self) -> list[dict]:
        """The stored questionnaires, each of them once, by name."""
        names = self.version_names()
        versions = [
            {"version": names[row["id"]], "digest": row["digest"], "created_at": row["created_at"]}
            | decoded("definition", row["definition"])
            for row in self.rows("questionnaires")
        ]
        return sorted(versions, key=itemgetter("version"))

    def version_names(self) -> dict[int, str]:
        """The names of the versions by id; the second of a name ends in #2."""
        names: dict[int, str] = {}
        for row in self.rows("questionnaires"):
            count = 1 + sum(name.partition("#")[0] == row["name"] for name in names.values())
            names[row["id"]] = row["name"] if count == 1 else f"{row['name']}#{count}"
        return names

    def close(self) -> None:
        self.db.close()
        self.smsconvo.close()


class Run:
    """One run of a scenario."""

    def __init__(self, runner: Runner, head: dict) -> None:
        self.runner, self.head = runner, head
        self.usual_pair = head["from"], head.get("to", NUMBER)
        self.app = runner.smsconvo.app("usual")
        self.public_url = USUAL["public_url"]
        self.start = datetime.fromisoformat(head.get("start", START.isoformat()))
        runner.clock.now = self.start
        self.before = runner.highest_ids()
        self.number = runner.next_number()
        self.steps: list[dict] = []
        self.sent: dict[int, dict] = {}  # request and answer of each text, by the place of its step
        self.jars: dict[tuple[str, str], tuple[str, datetime]] = {}

    def do(self, step: dict) -> dict:
        """Do what a step says. Returns the step with what came of it."""
        step = {name: value for name, value in step.items() if name in ACTIONS}
        self.runner.clock.now += timedelta(seconds=step.get("after", SECONDS))
        self.steps.append(step)
        if "app" in step:
            self.app = self.runner.smsconvo.app(step["app"])
            self.public_url = APPS[step["app"]]["public_url"]
        elif "worker" in step:
            self.runner.smsconvo.expire_silent()
        elif "status" in step:
            self._report(step)
        else:
            self._text(step)
        return step

    def pair(self, step: dict) -> tuple[str, str]:
        return step.get("from", self.usual_pair[0]), step.get("to", self.usual_pair[1])

    def conversations(self) -> list[dict]:
        return self.runner.rows("conversations", self.before["conversations"])

    def _text(self, step: dict) -> None:
        place = len(self.steps) - 1
        now, pair = self.runner.clock.now, self.pair(step)
        form = self._form(step, place)
        cookie = self._cookie(step.get("cookie"), pair)
        status, headers, content = self._post("/sms", form, cookie, step.get("token", AUTH_TOKEN))
        if status != 200:
            step["code"] = status
        if given := headers.get("Set-Cookie"):
            self.jars[pair] = (value_of(given), now)
        self.sent[place] = {"form": form, "cookie": cookie, "given": given, "now": now}
        self.sent[place] |= {"status_url": f"{self.public_url}/sms/status"}
        if status == 200:
            if headers.get("Content-Type") != "text/xml; charset=utf-8":
                step["type"] = headers.get("Content-Type")
            self._take_answer(step, place, content)
        elif content:
            step["content"] = content.decode()

    def _take_answer(self, step: dict, place: int, content: bytes) -> None:
        """Note the reply, and the whole answer where it is not written as usual."""
        try:
            message = ElementTree.fromstring(content).find("Message")
        except ElementTree.ParseError:
            step["content"] = content.decode()
            return
        if message is not None:
            step["reply"] = message.text
            self.sent[place]["callback"] = message.get("statusCallback")
        if content.decode() != twiml(step.get("reply"), self.sent[place].get("callback")):
            named = "(?<=message=)[0-9]+(&amp;token=[0-9a-f]{32})?"
            step["twiml"] = re.sub(named, "ID", content.decode())

    def _report(self, step: dict) -> None:
        """Report the status of a reply to the address that came with it."""
        url = self.sent[step["of"]].get("callback") or "there was no reply"
        sid = sid_of(self.number, step["of"], step.get("sid", "SM1"))
        form = {"MessageSid": sid, "AccountSid": ACCOUNT_SID}
        sender, number = self.pair(self.steps[step["of"]])
        form |= {"From": number, "To": sender, "MessageStatus": step["status"]}
        if "error" in step:
            form["ErrorCode"] = step["error"]
        path, _, query = url.removeprefix(self.public_url).partition("?")
        status, headers, content = self._post(path, form, None, AUTH_TOKEN, query)
        if (status, content, "Set-Cookie" in headers) != (204, b"", False):
            step["code"], step["content"] = status, content.decode()

    def _form(self, step: dict, place: int) -> dict[str, str]:
        if "repeat" in step:
            return self.sent[step["repeat"]]["form"] | step.get("fields", {})
        sender, number = self.pair(step)
        media = step.get("media", [])
        sid = sid_of(self.number, place, "MM" if media else "SM")
        form = {"MessageSid": sid, "SmsSid": sid, "AccountSid": ACCOUNT_SID, "ApiVersion": "2010"}
        form |= {"From": sender, "To": number, "Body": step["say"], "SmsStatus": "received"}
        form |= {"NumMedia": str(len(media)), "FromCity": ""}
        form |= {f"MediaUrl{n}": url for n, url in enumerate(media)}
        if "opt" in step:
            form["OptOutType"] = step["opt"]
        form |= step.get("fields", {})
        return {name: value for name, value in form.items() if value is not None}

    def _cookie(self, kind: str | int | None, pair: tuple[str, str]) -> str | None:
        """The cookie of the jar, unless the step names another, or the step that got another."""
        if isinstance(kind, int):
            return value_of(self.sent[kind]["given"])
        if kind is not None:
            return {"none": None, "forged": FORGED}.get(kind, kind)
        value, since = self.jars.get(pair, (None, self.start))
        return value if self.runner.clock.now - since < timedelta(hours=4) else None

    def _post(
        self, path: str, form: dict, cookie: str | None, token: str, query: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        url = self.public_url + path + (f"?{query}" if query else "")
        body = urlencode(form, doseq=True).encode("ascii")
        environ = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": url.removeprefix(self.public_url).partition("?")[0],
            "QUERY_STRING": query,
            "SERVER_NAME": "sms.example.org",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/x-www-form-urlencoded",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_X_TWILIO_SIGNATURE": RequestValidator(token).compute_signature(url, Fields(form)),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
        }
        if cookie is not None:
            environ["HTTP_COOKIE"] = f"theme=dark; conversation={cookie}"
        began: list = []
        content = b"".join(self.app(environ, lambda *begun: began.extend(begun)))
        return int(began[0].partition(" ")[0]), dict(began[1]), content

    def end(self) -> list[dict]:
        """The scenario with what came of its steps, and the rows that it left."""
        rows = list(Rows(self).lines())
        self.runner.end_open_conversations()
        return [self.head, *self.steps, *rows]


class Fields(dict[str, str | list[str]]):
    """Form fields, some perhaps repeated, in the way RequestValidator asks for them."""

    def getlist(self, name: str) -> list[str]:
        return self[name] if isinstance(self[name], list) else [self[name]]


def sid_of(scenario: int, place: int, prefix: str) -> str:
    """The sid of the text of a step; one that begins with SM1 is that of the reply to it."""
    return prefix + f"{scenario:05x}{place:03x}".rjust(34 - len(prefix), "0")


def value_of(cookie: str | None) -> str:
    return (cookie or "").partition("=")[2].partition(";")[0]


def twiml(reply: str | None, callback: str | None) -> str:
    """The answer as smsconvo writes it."""
    start = '<?xml version="1.0" encoding="UTF-8"?>'
    if reply is None:
        return f"{start}<Response />"
    status = quoteattr(callback)
    message = f"<Message action={status} statusCallback={status}>{escape(reply)}</Message>"
    return f"{start}<Response>{message}</Response>"
