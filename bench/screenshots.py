"""Pictures of every page of the console, in Chromium: to be looked at before a change lands."""

import io
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import click
from common import HERE, NOWHERE
from event import hold, write_files
from layers import make_app
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from models.console import DO, ConsoleLink
from models.console.token import new_token
from smsconvo import App

CHROMIUM = "/usr/bin/chromium"
WIDTHS = {"narrow": (360, 800), "wide": (1280, 900)}
SCHEMES = ("light", "dark")
EVENINGS = {"empty": 0, "one": 1, "event": 300}  # how many guests there were
# The address of a page; or that of another one, and the link there that leads to it.
PAGES = {
    "now": ("/console?period=week", ""),
    "answers": ("/console/answers", ""),
    "threads": ("/console/threads", ""),
    "thread": ("/console/threads", "main a[href*='/console/threads/']"),
    "people": ("/console/people", ""),
    "person": ("/console/people", "main a[href*='/console/people/']"),
    "search": ("/console/search?q=thanks", ""),
    "outbox": ("/console/outbox", ""),
    "result": ("/console/outbox?state=failed", "main a[href*='/console/outbox/']"),
    "files": ("/console/files", ""),
    "poster": ("/console/files", "a[href$='/poster']"),
    "try": ("/console/try", ""),
    "health": ("/console/health", ""),
    "sessions": ("/console/sessions", ""),
    "shares": ("/console/shares", ""),
    "share": ("/console/shares", "a[href*='/shares/new']"),
}
IMAGES = HERE / "docs" / "images"
TRIED = ("Mats BBQ", "Green", "yes", "2")


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), required=False)
@click.option("--page", "names", multiple=True, type=click.Choice(list(PAGES)), help="Only these.")
@click.option("--evening", "evenings", multiple=True, type=click.Choice(list(EVENINGS)))
def main(folder: Path | None, names: tuple[str, ...], evenings: tuple[str, ...]) -> None:
    """Write pictures of the console's pages to FOLDER: narrow and wide, light and dark.

    Without FOLDER, make those of README anew.
    """
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        if folder is None:
            return illustrate_readme(chromium)
        for evening in evenings or EVENINGS:
            with tempfile.TemporaryDirectory() as place, serving(Path(place), evening) as app:
                for kind in product(SCHEMES, WIDTHS):
                    take_pictures(chromium, app, kind, names or PAGES, folder / evening)


def illustrate_readme(chromium: Browser) -> None:
    with tempfile.TemporaryDirectory() as place, serving(Path(place), "event") as app:
        size = {"width": 1000, "height": 720}
        with chromium.new_context(viewport=size, base_url=app.settings.public_url) as context:
            page = context.new_page()
            sign_in(page, app)
            page.goto("/console?period=week")
            save_small(page, "now")
            page.goto("/console/try")
            for text in TRIED:
                page.get_by_label("Text", exact=True).fill(text)
                page.get_by_role("button", name="Send", exact=True).click()
            save_small(page, "try")


def save_small(page: Page, name: str) -> None:
    """With few colours, which a page like these has anyway."""
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(64).save(IMAGES / f"{name}.png", optimize=True)


@contextmanager
def serving(place: Path, evening: str) -> Iterator[App]:
    """An app on the air that has had the guests of this evening."""
    write_files(place / "questionnaires", NOWHERE)
    server = make_server("127.0.0.1", 0, None, Server, QuietHandler)
    app = make_app(
        place / "event.db",
        public_url=f"http://127.0.0.1:{server.server_port}",
        questionnaires=place / "questionnaires",
        people=place / "people.toml",
    )
    hold(app, EVENINGS[evening], datetime.now(UTC) - timedelta(hours=3))
    server.set_app(app)
    Thread(target=server.serve_forever, daemon=True).start()
    yield app
    server.shutdown()
    app.database.close()


def take_pictures(
    chromium: Browser, app: App, kind: tuple[str, str], names: Iterable[str], folder: Path
) -> None:
    """Pictures of these pages in a browser of this scheme and width."""
    scheme, width = kind
    size = dict(zip(("width", "height"), WIDTHS[width], strict=True))
    url = app.settings.public_url
    with chromium.new_context(color_scheme=scheme, viewport=size, base_url=url) as context:
        page = context.new_page()
        sign_in(page, app)
        for name in names:
            address, link = PAGES[name]
            page.goto(address)
            if link:
                page.locator(link).first.click()
            page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)


def sign_in(page: Page, app: App) -> None:
    token = new_token()
    app.database.write(lambda db: ConsoleLink.make(db, token, DO, app.clock()))
    page.goto(f"/console/enter/{token}")
    page.get_by_role("button").click()


if __name__ == "__main__":
    main()
