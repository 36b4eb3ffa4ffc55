"""Two machines at one PostgreSQL, of which one is an hour ahead: nothing happens too early."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from rig import REPLIES, TEXTS, Server, running

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
HANGS_SECONDS = 2  # the first attempt, during which each sender looks for what is due
DELAY_SECONDS = 5  # until the second
PATIENCE_SECONDS = 60
WEAK_SECONDS = 12  # by then a weakened server has attempted again, or plans to an hour later


@contextmanager
def receiving() -> Iterator[tuple[str, list[float]]]:
    """A receiver that is slow and fails at first; its address, and when attempts came."""
    came: list[float] = []
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            came.append(time.monotonic())
            is_first = len(came) == 1
            if is_first:
                ended.wait(HANGS_SECONDS)
            with suppress(OSError):
                self.send_response(500 if is_first else 204)
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", came
        ended.set()
        server.shutdown()


@contextmanager
def two_machines(folder: Path, url: str, receiver: str, weakness: str) -> Iterator[list[Server]]:
    """One is right, one ahead; who is silent for half an hour is expired."""
    with ExitStack() as stack:
        servers = []
        for name, weaknesses in (("right", weakness), ("ahead", f"run_ahead,{weakness}")):
            (folder / name).mkdir()
            options = {"weakness": weaknesses.rstrip(","), "settings": {"DATABASE_URL": url}}
            server = Server(folder / name, results_to=receiver, **options)
            file = server.folder / "questionnaires" / "feedback.toml"
            file.write_text('expires = "30m"\n' + file.read_text("utf-8"), "utf-8")
            servers.append(stack.enter_context(running(server)))
        yield servers


def converse(servers: list[Server], sender: str, texts: int) -> list[str]:
    """Text each server in turn; the replies."""
    replies = []
    for n, said in enumerate(TEXTS[:texts]):
        replies += servers[n % 2].phone(sender).text(said)
    return replies


def happens_early(
    folder: Path, url: str, weakness: str = "", patience: float = PATIENCE_SECONDS
) -> list[str]:
    with receiving() as (address, came), two_machines(folder, url, address, weakness) as servers:
        asked = converse(servers, "+14155550101", 2)
        thanked = converse(servers, "+14155550102", len(TEXTS))
        with psycopg.connect(url, autocommit=True) as connection:
            wait_for_delivery(connection, patience)
            states = connection.execute("SELECT state FROM conversations ORDER BY sender")
            states = [state for (state,) in states]
            (drift,) = connection.execute(
                "SELECT max(abs(extract(epoch FROM now() - created_at))) FROM messages"
            ).fetchone()
    gaps = [later - earlier for earlier, later in zip(came, came[1:], strict=False)]
    return [
        *([f"replies {asked + thanked}"] if asked + thanked != [*REPLIES[:2], *REPLIES] else []),
        *([f"states {states}"] if states != ["open", "completed"] else []),
        *([f"attempts {gaps} s apart"] if len(gaps) != 1 or gaps[0] < DELAY_SECONDS else []),
        *([f"times {drift} s off"] if drift > 60 else []),
    ]


def wait_for_delivery(connection: psycopg.Connection, patience: float) -> None:
    deadline = time.monotonic() + patience
    while connection.execute("SELECT state FROM outbox").fetchall() != [("delivered",)]:
        if time.monotonic() > deadline:
            return
        time.sleep(0.05)


def test_machines_go_by_the_clock_of_the_database(tmp_path, database_url):
    assert happens_early(tmp_path, database_url) == []


def test_the_check_notices_machines_that_go_by_their_own_clocks(tmp_path, database_url):
    found = happens_early(tmp_path, database_url, "trust_own_clock", WEAK_SECONDS)
    assert {complaint.split()[0] for complaint in found} >= {"states", "attempts", "times"}
