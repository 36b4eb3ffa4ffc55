"""smsconvo against a plain model of it: anything may happen, in any order."""

import io
import logging
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest
from conftest import ACCOUNT_SID, AUTH_TOKEN, Clock, Handset
from expected import FINALITY, QUESTIONNAIRES, Expected
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.orm import Session
from urllib3 import HTTPHeaderDict, HTTPResponse

from models import Conversation, Message
from phone import TwilioError, new_sid
from smsconvo import COOKIE, App, Settings, claim_due, create_app, deliver_one

TMPFS = Path("/dev/shm")
BEGINNING = datetime(2026, 11, 20, 12, tzinfo=UTC)
NUMBERS = ("+14155550100", "+14155550101")
BODIES = [
    *("Party", " PARTY ", "party ", "Count", "count", "Blue", "Pizza 🍕", ""),
    *("{Question1}", "{count}", "<b>&amp;", "x" * 1500, "a\nb", "partys", "'; DROP TABLE x"),
]
COOKIES = ["own", "lost", "stale", "foreign", "malformed", "missing"]
JUMPS = [
    *(timedelta(seconds=seconds) for seconds in (1, 10, 61, 400)),
    *(timedelta(minutes=minutes) for minutes in (30, 59, 60, 61, 119, 121, 239, 240, 241)),
    *(timedelta(hours=hours) for hours in (25, 27, 24 * 365)),
    *(timedelta(minutes=-minutes) for minutes in (1, 30, 70, 300, 60 * 24 * 300)),
]
senders = st.integers(0, 2)
numbers = st.sampled_from(NUMBERS)
bodies = st.sampled_from(BODIES)
places = st.integers(0, 99)  # in lists whose length depends on what happened


class Direct(BaseAdapter):
    """Hands requests to the app itself, as a server would: 2,000 conversations fit in minutes."""

    def __init__(self) -> None:
        super().__init__()
        self.app: App | None = None

    def send(self, request: PreparedRequest, **_: object) -> Response:
        url = urlsplit(request.url)
        environ = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": url.path,
            "QUERY_STRING": url.query,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": request.headers["Content-Type"],
            "CONTENT_LENGTH": request.headers["Content-Length"],
            "wsgi.input": io.BytesIO(request.body.encode()),
            "wsgi.errors": io.StringIO(),
            "wsgi.url_scheme": url.scheme,
        }
        for name, value in request.headers.items():
            environ.setdefault(f"HTTP_{name.upper().replace('-', '_')}", value)
        started: list = []
        body = b"".join(self.app(environ, lambda *told: started.extend(told)))
        status, headers = started[:2]
        answer = Response()
        answer.status_code = int(status.split()[0])
        answer.raw = HTTPResponse(
            io.BytesIO(body), HTTPHeaderDict(headers), answer.status_code, preload_content=False
        )
        return answer

    def close(self) -> None:
        """There is nothing to close."""


class World:
    """The app on one database, kept over all examples; each has senders of its own."""

    def __init__(self, settings: Settings, receiver) -> None:
        self.settings, self.receiver = settings, receiver
        self.clock = Clock()
        self.direct = Direct()
        self.senders = count()
        self.examples = self.texts = 0
        self.restart()

    def restart(self) -> None:
        if self.direct.app:
            self.direct.app.database.close()
        self.direct.app = create_app(self.settings, self.clock)

    def phone(self, sender: str, number: str) -> Handset:
        phone = Handset(
            f"{self.settings.public_url}/sms",
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            sender=sender,
            number=number,
            clock=self.clock,
        )
        phone._http.mount("http://", self.direct)
        return phone

    def select(self, statement: str) -> list[tuple]:
        with self.direct.app.database.read() as db:
            return [tuple(row) for row in db.execute(sql(statement))]


class Smsconvo(RuleBasedStateMachine):
    """What may happen, done to the app and to the model alike."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.world.examples += 1
        self.world.clock.now = BEGINNING
        first = next(self.world.senders) * 3
        self.senders = [f"+1999{n:07}" for n in range(first, first + 3)]
        self.phones = {
            (sender, number): self.world.phone(sender, number)
            for sender in self.senders
            for number in NUMBERS
        }
        self.expected = Expected()
        self.answers: dict[str, tuple[bytes, str | None]] = {}  # by sid, as they were sent
        self.pairs: dict[str, tuple[str, str]] = {}  # by sid

    @property
    def now(self) -> datetime:
        return self.world.clock.now

    @rule(sender=senders, number=numbers, said=bodies, cookie=st.sampled_from(COOKIES))
    def text(self, sender: int, number: str, said: str, cookie: str) -> None:
        self._text((self.senders[sender], number), new_sid(), said, cookie)

    @rule(which=places, cookie=st.sampled_from(COOKIES))
    def repeat(self, which: int, cookie: str) -> None:
        if self.answers:
            sid = list(self.answers)[which % len(self.answers)]
            self._text(self.pairs[sid], sid, self.expected.rows[sid].body, cookie)

    @rule(sender=senders, number=numbers, said=st.lists(bodies, min_size=2, max_size=3))
    def text_at_once(self, sender: int, number: str, said: list[str]) -> None:
        """The order in which they are recorded explains what came back."""
        pair = (self.senders[sender], number)
        texts = {new_sid(): body for body in said}
        self.pairs |= dict.fromkeys(texts, pair)
        phones = {sid: self.world.phone(*pair) for sid in texts}
        with ThreadPoolExecutor(len(texts)) as pool:
            sent = {sid: pool.submit(phones[sid].text, texts[sid], sid=sid) for sid in texts}
        for sid in self._recorded(list(texts)):
            row = self.expected.text(pair, sid, texts[sid], None, self.now)
            assert sent[sid].result() == said_by(row)
            self._keep(sid, phones[sid])

    @rule(sender=senders, number=numbers, said=bodies, times=st.integers(2, 4))
    def text_one_at_once(self, sender: int, number: str, said: str, times: int) -> None:
        pair, sid = (self.senders[sender], number), new_sid()
        phones = [self.world.phone(*pair) for _ in range(times)]
        with ThreadPoolExecutor(times) as pool:
            list(pool.map(lambda phone: phone.text(said, sid=sid), phones))
        self.pairs[sid] = pair
        row = self.expected.text(pair, sid, said, None, self.now)
        for phone in phones:
            assert [reply.body for reply in phone.last.replies] == said_by(row)
            self._keep(sid, phone)

    @rule(sender=senders, number=numbers, said=bodies, committed=st.booleans())
    def crash(self, sender: int, number: str, said: str, committed: bool) -> None:
        """Before the commit or after it; nobody hears an answer, and Twilio repeats the text."""
        pair, sid = (self.senders[sender], number), new_sid()
        phone = self.world.phone(*pair)
        with failing(self.world.direct.app, committed), suppress(TwilioError):
            phone.text(said, sid=sid)
        assert phone.last.status == 500
        self.world.restart()
        self._text(pair, sid, said, "lost")

    @rule(jump=st.sampled_from(JUMPS))
    def pass_time(self, jump: timedelta) -> None:
        self.world.clock.now += jump

    @rule(which=places, status=st.sampled_from(list(FINALITY)))
    def report(self, which: int, status: str) -> None:
        """What becomes of a reply is told in any order."""
        told = [phone for phone in self.phones.values() if phone.last and phone.last.replies]
        if told:
            last = told[which % len(told)].last
            phone = self.phones[self.pairs[last.sid]]
            assert phone.report(last.replies[0], status) == 204
            self.expected.rows[last.sid].report(status)

    @rule(status=st.sampled_from([204, 204, 500]), comes_back=st.booleans())
    def deliver(self, status: int, comes_back: bool) -> None:
        """A sender claims and POSTs, and dies or lives to tell."""
        app = self.world.direct.app
        due = [owed for owed in self.expected.outbox if owed.is_due(self.now)]
        attempted = [owed for owed in due if owed.claim(self.now)]
        requests = len(self.world.receiver.requests)
        claimed = []
        while together := claim_due(app.database, self.now, 8):
            claimed += together
            for one in together if comes_back else ():
                self.world.receiver.answers = [(status, {})]
                deliver_one(app.database, self.world.settings, one, self.world.clock)
        assert len(claimed) == len(attempted)
        assert len(self.world.receiver.requests) - requests == len(claimed) * comes_back
        if comes_back:
            self._finish(attempted, status)

    def _finish(self, attempted: list, status: int) -> None:
        """The model adopts the plans for the next attempts, once they are seen to be right."""
        windows = [(owed, owed.finish(status, self.now)) for owed in attempted]
        planned = [moment(row[3]) for row in self._outbox()]
        for owed, window in windows:
            if window:
                found = planned[self.expected.outbox.index(owed)]
                assert window[0] <= found <= window[1]
                owed.planned = found

    def _text(self, pair: tuple[str, str], sid: str, said: str, cookie: str) -> None:
        phone = self.phones[pair]
        sent = self._prepare(phone, pair, cookie)
        replies = phone.text(said, sid=sid)
        self.pairs[sid] = pair
        row = self.expected.text(pair, sid, said, sent, self.now)
        assert replies == said_by(row), (said, replies, row)
        self._keep(sid, phone)

    def _prepare(self, phone: Handset, pair: tuple[str, str], cookie: str) -> str | None:
        """Put a cookie into the phone; the one that it will send."""
        tokens = {one.token: one.pair for one in self.expected.conversations if one.token}
        others = [token for token, whose in tokens.items() if whose != pair]
        if cookie != "own":
            phone.cookies.clear()
        if cookie == "stale" and (old := [t for t, whose in tokens.items() if whose == pair]):
            phone.cookies[COOKIE] = old[0]
        elif cookie == "foreign" and others:
            phone.cookies[COOKIE] = others[0]
        elif cookie == "malformed":
            phone.cookies[COOKIE] = "0" * 31 + "G"
        elif cookie == "missing":
            phone.cookies[COOKIE] = secrets.token_hex(16)
        sent = phone.cookies.header(urlsplit(phone.url), self.now)
        return sent.partition("=")[2] or None

    def _keep(self, sid: str, phone: Handset) -> None:
        """The same bytes for the same text, for ever; the cookie names its conversation."""
        self.world.texts += 1
        cookie = phone.last.headers.get("Set-Cookie")
        answer = (phone.last.content, cookie)
        assert self.answers.setdefault(sid, answer) == answer
        conversation = self.expected.conversations[self.expected.rows[sid].conversation]
        token = cookie.partition("=")[2].partition(";")[0]
        conversation.token = conversation.token or token
        assert conversation.token == token

    def teardown(self) -> None:
        """Everything is recorded as the model has it."""
        try:
            assert self._conversations() == [
                (*one.pair, one.form.name, one.event, one.state, one.count, one.token)
                for one in self.expected.conversations
            ]
            assert self._messages() == sorted(
                (row.sid, row.body, row.cookie, row.reply, row.status, self._token(row))
                for row in self.expected.rows.values()
            )
            assert self._answers() == [
                (one.token, said) for one in self.expected.conversations for said in one.answers
            ]
            assert [row[:3] for row in self._outbox()] == [
                (owed.state, owed.attempts, owed.unfinished) for owed in self.expected.outbox
            ]
        finally:
            self._leave()

    def _token(self, row) -> str:
        return self.expected.conversations[row.conversation].token

    def _mine(self) -> str:
        return "({})".format(", ".join(f"'{sender}'" for sender in self.senders))

    def _recorded(self, sids: list[str]) -> list[str]:
        """These messages in their order."""
        listed = ", ".join(f"'{sid}'" for sid in sids)
        found = self.world.select(f"SELECT sid FROM messages WHERE sid IN ({listed}) ORDER BY id")
        recorded = [sid for (sid,) in found]
        assert len(recorded) == len(sids)
        return recorded

    def _conversations(self) -> list[tuple]:
        return self.world.select(
            "SELECT sender, number, questionnaires.name, event, state, message_count, token"
            " FROM conversations JOIN questionnaires ON questionnaires.id = questionnaire_id"
            f" WHERE sender IN {self._mine()} ORDER BY conversations.id"
        )

    def _messages(self) -> list[tuple]:
        return self.world.select(
            "SELECT said.sid, said.body, said.cookie, reply.body, reply.status, token"
            " FROM messages AS said"
            " JOIN conversations ON conversations.id = said.conversation_id"
            " LEFT JOIN messages AS reply ON reply.reply_to_id = said.id"
            f" WHERE said.direction = 'inbound' AND said.sender IN {self._mine()}"
            " ORDER BY said.sid"
        )

    def _answers(self) -> list[tuple]:
        return self.world.select(
            "SELECT token, value FROM answers"
            " JOIN conversations ON conversations.id = conversation_id"
            f" WHERE sender IN {self._mine()} ORDER BY conversations.id, key"
        )

    def _outbox(self) -> list[tuple]:
        return self.world.select(
            "SELECT outbox.state, attempts, unfinished, next_attempt_at FROM outbox"
            " JOIN conversations ON conversations.id = conversation_id"
            f" WHERE sender IN {self._mine()} ORDER BY outbox.id"
        )

    def _leave(self) -> None:
        """What this example still owes is not the next one's."""
        settle = sql("UPDATE outbox SET state = 'delivered' WHERE state = 'pending'")
        self.world.direct.app.database.write(lambda db: db.execute(settle))


def said_by(row) -> list[str]:
    return [row.reply.strip()] if row.reply else []


def moment(value: object) -> datetime | None:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


@contextmanager
def failing(app: App, committed: bool) -> Iterator[None]:
    """The process ends before a commit or after it, as far as anybody outside can tell."""
    write = app.database.write

    def crash(work: Callable) -> None:
        def half(db: Session) -> None:
            work(db)
            raise ZeroDivisionError

        write(work if committed else half)
        raise ZeroDivisionError

    app.database.write = crash
    yield
    app.database.write = write


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory, where syncs cost nothing: the disk is the other tests' business."""
    with TemporaryDirectory(dir=TMPFS if TMPFS.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def world(settings, receiver, tmp_path, monkeypatch) -> Iterator[World]:
    directory = tmp_path / "forms"
    directory.mkdir()
    for name, definition in QUESTIONNAIRES.items():
        (directory / f"{name}.toml").write_text(definition.replace("URL", receiver.url), "utf-8")
    monkeypatch.setattr(logging.getLogger("smsconvo"), "disabled", True)  # it would fill a file
    forms = replace(settings, questionnaires=directory, public_url="http://sms.example")
    world = World(forms, receiver)
    yield world
    world.direct.app.database.close()


def compare(world: World, examples: int, steps: int = 30) -> None:
    """Raise where app and model differ."""
    machine = type("Machine", (Smsconvo,), {"world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            report_multiple_bugs=False,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize("part", range(4))  # so that several processes can share them
def test_whatever_happens_is_recorded_as_the_model_has_it(world, size, part):
    on_sqlite = world.settings.database_url.startswith("sqlite")
    examples = size(3, 500 if on_sqlite else 75)
    compare(world, examples)
    print(f"{world.examples} examples, {world.texts} texts")
    assert world.examples >= examples


def forget_texts(monkeypatch) -> None:
    monkeypatch.setattr(Message, "find", lambda db, sid: None)


def trust_cookies(monkeypatch) -> None:
    find = Conversation.find

    def find_by_cookie(db: Session, cookie: str | None, *others: object) -> tuple:
        live, kind = find(db, cookie, *others)
        return db.scalar(select(Conversation).where(Conversation.token == cookie)) or live, kind

    monkeypatch.setattr(Conversation, "find", find_by_cookie)


def owe_nothing(monkeypatch) -> None:
    def complete(conversation: Conversation, now: datetime) -> None:
        conversation.state, conversation.asking, conversation.ended_at = "completed", None, now

    monkeypatch.setattr(Conversation, "complete", complete)


def believe_the_future(monkeypatch) -> None:
    monkeypatch.setattr(Conversation, "is_live", lambda *_: True)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("weaken", [forget_texts, trust_cookies, owe_nothing, believe_the_future])
def test_the_model_notices(world, monkeypatch, weaken):
    weaken(monkeypatch)
    with pytest.raises((AssertionError, TwilioError)):
        compare(world, 400)
