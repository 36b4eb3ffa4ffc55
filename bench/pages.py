"""What the console costs on a long history: each page by itself, and turns beside an operator.

The pages are those that links lead to from the first one, each sort once, and some searches. Let
`search rebuild` make the index of words first.
"""

import html
import random
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import click
from common import OURS, Figures, measure_rounds, print_rounds, save_results
from phones import GUESTS
from servers import measure, serving

from models.console import DO, ConsoleLink
from models.console.token import new_token
from settings import Settings
from storage import connect

REPEATS = 5  # of each page; the median counts
MOST_PAGES = 200
SEARCHES = {
    "common": "thanks",
    "two words": "blue pizza",
    "common, in no text": "colour meal",
    "common, no phrase": '"meal thanks"',
    "one is rare": "nowhere thanks",
    "none": "nowhere",
    "number": "+1415",
}
PAUSE_SECONDS = 1  # of an operator who looks at a page
LINK = re.compile(r'<a [^>]*href="([^"]+)"')
DOWNLOADS = (".csv", ".xlsx", ".jsonl")


class Operator:
    """A browser that is signed in to a server."""

    def __init__(self, settings: Settings) -> None:
        self._address = urlsplit(settings.public_url)
        self._headers = {"Sec-Fetch-Site": "same-origin"}
        token = new_token()
        with connect(settings.database_url) as database:
            database.write(lambda db: ConsoleLink.make(db, token, DO, database.now()))
        _, cookie, _ = self.ask("POST", f"/console/enter/{token}")
        self._headers["Cookie"] = cookie.partition(";")[0]

    def ask(self, method: str, path: str) -> tuple[int, str, str]:
        """The status, the cookie that is set, and the page."""
        # A new one each time: the server closes one that is silent for five seconds.
        with closing(HTTPConnection(self._address.hostname, self._address.port)) as connection:
            connection.request(method, path, headers=self._headers)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Set-Cookie", ""), answer.read().decode()

    def get(self, path: str) -> str:
        """A page; ValueError if there is none."""
        status, _, body = self.ask("GET", path)
        if status != 200:
            raise ValueError(f"{path} has the status {status}.")
        return body


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--phones", default=16, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text each time.")
@click.option("--rounds", default=5, show_default=True, help="Measurements of each.")
def main(file: Path, phones: int, seconds: float, rounds: int) -> None:
    """Measure on FILE, a database that history.py made. The texts of this run stay in it."""
    with serving(OURS, f"sqlite:///{file}") as (settings, server):
        operator = Operator(settings)
        pages = {sort: time_page(operator, path) for sort, path in find_pages(operator)}
        for sort, milliseconds in pages.items():
            click.echo(f"{milliseconds:>10.1f} ms  {sort}")

        def take() -> Figures:
            first_guest = random.randrange(GUESTS)  # hardly one of an earlier round
            return measure(settings, server, phones, seconds, first_guest=first_guest)

        paths = [path for _, path in find_pages(operator)]
        measures = {"alone": take, "operator": partial(measure_beside, operator, paths, take)}
        runs = measure_rounds(measures, rounds)
    save_results({"pages": pages, "runs": runs}, "pages")
    print_rounds(f"{phones} phones", runs)


def find_pages(operator: Operator) -> Iterator[tuple[str, str]]:
    """The sort and the address of each page that a link leads to, one of each sort."""
    for what, words in SEARCHES.items():
        yield f"/console/search {what}", f"/console/search?{urlencode({'q': words})}"
    waiting, known = ["/console"], set()
    while waiting and len(known) < MOST_PAGES:
        path = waiting.pop(0)
        if (sort := sort_of(path)) in known:
            continue
        known.add(sort)
        yield sort, path
        links = (urljoin(path, html.unescape(link)) for link in LINK.findall(operator.get(path)))
        waiting += [link.partition("#")[0] for link in links if is_page(link)]


def is_page(address: str) -> bool:
    path = urlsplit(address).path
    return path.startswith("/console") and not path.endswith(DOWNLOADS)


def sort_of(address: str) -> str:
    """An address without what differs from row to row."""
    parts = urlsplit(address)
    fields = sorted({name.partition(".")[0] for name, _ in parse_qsl(parts.query)})
    return " ".join([re.sub(r"/\d+", "/N", parts.path), *fields])


def time_page(operator: Operator, path: str) -> float:
    """Milliseconds that the server takes for a page, and to send it here."""
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        operator.get(path)
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def measure_beside(operator: Operator, paths: list[str], take: Callable[[], Figures]) -> Figures:
    with clicking(operator, paths):
        return take()


@contextmanager
def clicking(operator: Operator, paths: list[str]) -> Iterator[None]:
    """An operator who opens one page after the other meanwhile."""
    ended = threading.Event()

    def click_through() -> None:
        while not ended.is_set():
            for path in paths:
                operator.get(path)
                if ended.wait(PAUSE_SECONDS):
                    return

    thread = threading.Thread(target=click_through)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
