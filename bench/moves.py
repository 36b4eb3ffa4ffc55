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

import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from inspect import CO_GENERATOR
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple
from urllib.parse import urlencode

import click
from common import HERE, TEXTS, print_table
from layers import PUBLIC_URL, TOKEN, make_app, make_form
from servers import receiving
from twilio.request_validator import RequestValidator

from gateway.webhook import FORM_TYPE
from smsconvo import App
from worker.results import claim_due, run_attempt

CLIENTS = ("phone.py", "bench", "tests")
STORAGE = "storage/"
NOT_FUNCTIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<module>")
GUESTS = (4158675308, 4158675309)  # the first warms up, the second is measured
COLUMNS = ("calls", "files", "moves", "moves without storage")


class Call(NamedTuple):
    """A function that was called, and its file below the project's folder."""

    file: str
    function: str


class Recorder:
    """The calls of the project's functions while it records, of all threads, in order of time."""

    def __init__(self) -> None:
        """Record this thread and those that start later."""
        self._calls: list[Call] = []
        self._is_on = False
        self._generators: set[FrameType] = set()
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def record(self, function: Callable[..., object], *arguments: object) -> list[Call]:
        """The calls while this function runs."""
        self._calls, self._generators, self._is_on = [], set(), True
        try:
            function(*arguments)
        finally:
            self._is_on = False
        return self._calls

    def _profile(self, frame: FrameType, event: str, _: Any) -> None:
        if not self._is_on or event != "call":
            return
        file = project_file(frame.f_code.co_filename)
        if file and frame.f_code.co_name not in NOT_FUNCTIONS and not self._has_resumed(frame):
            self._calls.append(Call(file, frame.f_code.co_qualname))

    def _has_resumed(self, frame: FrameType) -> bool:
        if not frame.f_code.co_flags & CO_GENERATOR:
            return False
        has_resumed = frame in self._generators
        self._generators.add(frame)
        return has_resumed


def project_file(filename: str) -> str | None:
    """The path of one of the project's own files below its folder; None for any other file."""
    path = Path(filename)
    if not path.is_relative_to(HERE):
        return None
    path = path.relative_to(HERE)
    is_ours = path.parts[0] not in CLIENTS and "site-packages" not in path.parts
    return path.as_posix() if is_ours else None


@click.command()
@click.option("--trace", is_flag=True, help="List every move.")
def main(trace: bool) -> None:
    """Count the calls, files and moves of an answer and of a delivery."""
    measured = measure()
    print_table([("", *COLUMNS), *((name, *count(calls)) for name, calls in measured.items())])
    for name, calls in measured.items() if trace else ():
        click.echo(f"\n{name}")
        for n, (file, function) in enumerate(moves_of(calls)):
            click.echo(f"{n:4} {file}:{function}")


def measure() -> dict[str, list[Call]]:
    """The calls of a middle answer, of the last answer and of a delivery."""
    sys.setswitchinterval(60)  # seconds: threads switch only where one waits, always in one order
    with tempfile.TemporaryDirectory() as folder, receiving() as (results, _):
        recorder = Recorder()
        app = make_app(Path(folder) / "moves.db", results)
        for guest in GUESTS:
            measured = converse(app, guest, recorder)
        app.database.close()
    return measured


def converse(app: App, guest: int, recorder: Recorder) -> dict[str, list[Call]]:
    """A whole conversation and its delivery; the calls of the third and the fourth answer."""
    headers: dict[str, str] = {}

    def start_response(status: str, fields: list[tuple[str, str]], _: object) -> None:
        assert status == "200 OK", status  # without a reply, something else would be measured
        headers.update(fields)

    texts = []
    for turn in range(len(TEXTS)):
        environ = make_environ(make_form(guest, turn), headers.get("Set-Cookie", ""))
        texts.append(recorder.record(app, environ, start_response))
    return {
        "middle answer": texts[-2],
        "last answer": texts[-1],
        "delivery": recorder.record(deliver, app),
    }


def make_environ(form: dict[str, str], set_cookie: str) -> dict[str, Any]:
    """What a server makes of Twilio's request."""
    body = urlencode(form).encode("ascii")
    signature = RequestValidator(TOKEN).compute_signature(f"{PUBLIC_URL}/sms", form)
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/sms",
        "CONTENT_TYPE": FORM_TYPE,
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_TWILIO_SIGNATURE": signature,
        "HTTP_COOKIE": set_cookie.partition(";")[0],
        "wsgi.input": BytesIO(body),
    }


def deliver(app: App) -> None:
    """Claim the delivery that is due, attempt it, save the outcome."""
    (delivery,) = claim_due(app.database, app.clock(), 1)
    run_attempt(app.database, app.settings, delivery, app.clock)


def count(calls: Sequence[Call]) -> tuple[int, ...]:
    """The figures of COLUMNS. A move is counted where it arrives; the first call is none."""
    outside = [call for call in calls if not call.file.startswith(STORAGE)]
    files = {call.file for call in calls}
    return len(calls), len(files), len(moves_of(calls)) - 1, len(moves_of(outside)) - 1


def moves_of(calls: Sequence[Call]) -> list[Call]:
    """The first function, then the one that each move arrives at."""
    moves = [after for before, after in pairwise(calls) if before.file != after.file]
    return [calls[0], *moves]


if __name__ == "__main__":
    main()
