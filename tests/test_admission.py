"""More texts than may be in flight: none waits for ever, and somebody who asks gets an answer."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from threading import Semaphore
from typing import Any

import pytest

from commands.admission import limit_requests


class App:
    """A WSGI app whose requests wait until they may end."""

    def __init__(self) -> None:
        self.may_end = Semaphore(0)
        self.began = Semaphore(0)

    def __call__(self, environ: dict[str, Any], start: Callable) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/sms":
            self.began.release()
            assert self.may_end.acquire(timeout=30)
        start("200 OK", [])
        return [b""]


@pytest.fixture
def app() -> App:
    return App()


def ask(app: Callable, path: str = "/sms") -> str:
    statuses = []
    app({"PATH_INFO": path}, lambda status, headers: statuses.append(status))
    return statuses[0].partition(" ")[0]


def test_a_text_waits_for_a_place_while_others_end(app, patch):
    patch("commands.admission", "STALL_SECONDS", 60)  # a busy machine may stall for a while itself
    limited = limit_requests(app, 2)
    with ThreadPoolExecutor(10) as threads:
        answers = [threads.submit(ask, limited) for _ in range(10)]
        for _ in range(10):
            assert app.began.acquire(timeout=10)
            app.may_end.release()
        assert [answer.result() for answer in answers] == ["200"] * 10


def test_once_nothing_moves_texts_are_refused_at_once_and_health_is_answered(app, patch):
    patch("commands.admission", "STALL_SECONDS", 0.2)
    limited = limit_requests(app, 2)
    with ThreadPoolExecutor(2) as threads:
        held = [threads.submit(ask, limited) for _ in range(2)]
        assert app.began.acquire(timeout=10) and app.began.acquire(timeout=10)
        assert ask(limited) == "503"
        began = time.monotonic()
        assert {ask(limited) for _ in range(100)} == {"503"}
        assert time.monotonic() - began < 10  # each waited 0.2 seconds else
        assert ask(limited, "/healthz") == "200"
        app.may_end.release(3)
        assert [answer.result() for answer in held] == ["200"] * 2
        assert ask(limited) == "200"


def test_a_place_is_given_back_whatever_becomes_of_a_request():
    def fail(environ: dict[str, Any], start: Callable) -> Iterable[bytes]:
        raise ConnectionError

    limited = limit_requests(fail, 1)
    for _ in range(3):
        with pytest.raises(ConnectionError):
            ask(limited)
