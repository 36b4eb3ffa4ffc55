"""How often the program moves between its files for an answer: where a reader has to jump.

A call is a `call` event of Python's profiler: a function of the project's own files starts, in any
thread that takes part (the request's, the writer's). The calls of all threads are in order of
time, and two successive calls in different files are a move. A return is no move by itself: it
counts when the caller then calls a function of its own file.

Functions, methods, properties and lambdas count. A generator counts once, when it starts, not each
time it resumes. Comprehensions do not count: Python 3.12 made them part of their function.
`phone.py`, `bench/` and `tests/` do not count, for they are the client. Libraries do not either.

A whole conversation and its delivery come first, so that caches and compiled statements are warm.
The clock is the program's own. No log is set up, so formatting its lines does not count.
"""

import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from inspect import CO_GENERATOR
from itertools import pairwise
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from receiver import receiving

from phone import Phone
from settings import Settings
from smsconvo import App, create_app
from storage.versions import migrate
from worker.results import claim_due, run_attempt

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = ("phone.py", "bench", "tests")
STORAGE = "storage/"
NOT_FUNCTIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<module>")
QUESTIONS = ("Favourite colour?", "Favourite meal?", "And to drink?", "Coming to the movies?")
TEXTS = ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes")
SENDERS = ("+14158675308", "+14158675309")  # the first warms up, the second is measured
MIDDLE, LAST, DELIVERY = "middle answer", "last answer", "delivery"


class Call(NamedTuple):
    """A function that was called, and its file below the project's folder."""

    file: str
    function: str


class Recorder:
    """The calls of the project's functions while it records, of all threads, in order of time."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._is_on = False
        self._generators: set[FrameType] = set()

    def install(self) -> None:
        """For this thread and for those that start later."""
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    @contextmanager
    def recording(self) -> Iterator[None]:
        self.calls, self._generators, self._is_on = [], set(), True
        try:
            yield
        finally:
            self._is_on = False

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if not self._is_on or event != "call":
            return
        file = project_file(frame.f_code.co_filename)
        if file and frame.f_code.co_name not in NOT_FUNCTIONS and not self._has_resumed(frame):
            self.calls.append(Call(file, frame.f_code.co_qualname))

    def _has_resumed(self, frame: FrameType) -> bool:
        if not frame.f_code.co_flags & CO_GENERATOR:
            return False
        has_resumed = frame in self._generators
        self._generators.add(frame)
        return has_resumed


def project_file(filename: str) -> str | None:
    """The path of one of the project's own files below its folder; None for any other file."""
    path = Path(filename)
    if not path.is_relative_to(ROOT):
        return None
    path = path.relative_to(ROOT)
    is_ours = path.parts[0] not in CLIENTS and "site-packages" not in path.parts
    return path.as_posix() if is_ours else None


@click.command()
@click.option("--trace", is_flag=True, help="List every move.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(trace: bool, as_json: bool) -> None:
    """Count the calls, files and moves of an answer and of a delivery."""
    measured = measure()
    figures = {name: summarize(calls) for name, calls in measured.items()}
    traces = {name: trace_of(calls) for name, calls in measured.items()} if trace else {}
    if as_json:
        for name, moves in traces.items():
            figures[name]["trace"] = moves
        click.echo(json.dumps(figures, indent=2))
    else:
        print_table(figures)
        for name, moves in traces.items():
            click.echo(f"\n{name}")
            click.echo("\n".join(f"{n:4} {function}" for n, function in enumerate(moves)))


def measure() -> dict[str, list[Call]]:
    """The calls of a middle answer, of the last answer and of a delivery."""
    sys.setswitchinterval(60)  # seconds: threads switch only where one waits, always in one order
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder, receiving() as (results_url, _):
        recorder.install()
        with serving(Path(folder), results_url, recorder) as app:
            for sender in SENDERS:
                measured = converse(app, sender, recorder)
    return measured


@contextmanager
def serving(folder: Path, results_url: str, recorder: Recorder) -> Iterator[App]:
    """The application behind an HTTP server in this process; every request is recorded."""
    with make_server("127.0.0.1", 0, None, WSGIServer, QuietHandler) as server:
        settings = make_settings(folder, results_url, f"http://127.0.0.1:{server.server_port}")
        migrate(settings.database_url)
        app = create_app(settings)
        server.set_app(recorded(app, recorder))
        thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        with closing(app.database):
            yield app
            server.shutdown()
            thread.join()


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def make_settings(folder: Path, results_url: str, public_url: str) -> Settings:
    """Four questions, and results for the receiver."""
    lines = ['title = "Moves"', 'thanks = "Thanks."']
    lines += [f'[[questions]]\nask = "{question}"' for question in QUESTIONS]
    lines += [f'[results]\nurl = "{results_url}"']
    (folder / "questionnaires").mkdir()
    (folder / "questionnaires" / "moves.toml").write_text("\n".join(lines), "utf-8")
    (folder / "people.toml").write_text("", "utf-8")
    return Settings(
        database_url=f"sqlite:///{folder}/moves.db",
        account_sid="AC" + "0" * 32,
        auth_tokens=("a-token-of-at-least-32-characters",),
        public_url=public_url,
        questionnaires=folder / "questionnaires",
        people=folder / "people.toml",
        allow_private_receivers=True,
    )


def recorded(app: Callable, recorder: Recorder) -> Callable:
    def application(environ: dict[str, Any], start_response: Callable) -> Any:
        with recorder.recording():
            return app(environ, start_response)

    return application


def converse(app: App, sender: str, recorder: Recorder) -> dict[str, list[Call]]:
    """A whole conversation and its delivery; the calls of the third and the fourth answer."""
    phone = Phone(
        f"{app.settings.public_url}/sms",
        account_sid=app.settings.account_sid,
        auth_token=app.settings.auth_tokens[0],
        sender=sender,
    )
    *_, middle, last = [text(phone, body, recorder) for body in TEXTS]
    with recorder.recording():
        deliver(app)
    return {MIDDLE: middle, LAST: last, DELIVERY: recorder.calls}


def text(phone: Phone, body: str, recorder: Recorder) -> list[Call]:
    (_,) = phone.text(body)  # without a reply, something else would be measured
    return recorder.calls


def deliver(app: App) -> None:
    """Claim the delivery that is due, attempt it, save the outcome."""
    (delivery,) = claim_due(app.database, app.clock(), 1)
    run_attempt(app.database, app.settings, delivery, app.clock)


def summarize(calls: Sequence[Call]) -> dict[str, Any]:
    outside = [call for call in calls if not call.file.startswith(STORAGE)]
    return {
        "calls": len(calls),
        "files": len({call.file for call in calls}),
        "moves": count_moves(calls),
        "moves_without_storage": count_moves(outside),
    }


def count_moves(calls: Sequence[Call]) -> int:
    return sum(before.file != after.file for before, after in pairwise(calls))


def trace_of(calls: Sequence[Call]) -> list[str]:
    """The first function, then the one that each move arrives at."""
    moves = [after for before, after in pairwise(calls) if before.file != after.file]
    return [f"{file}:{function}" for file, function in (calls[0], *moves)]


def print_table(figures: dict[str, dict[str, Any]]) -> None:
    click.echo(f"{'what':13} | calls | files | moves | moves without storage")
    for name, counts in figures.items():
        columns = [f"{counts[column]:5}" for column in ("calls", "files", "moves")]
        click.echo(" | ".join((f"{name:13}", *columns, f"{counts['moves_without_storage']:21}")))


if __name__ == "__main__":
    main()
