"""Pictures of every page of the console, in Chromium: to be looked at before a change lands."""

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
from common import NOWHERE
from event import hold, write_files
from layers import ACCOUNT_SID, TOKEN
from playwright.sync_api import Browser, Page, sync_playwright

from models.console import DO, ConsoleLink
from models.console.token import new_token
from settings import Settings
from smsconvo import App, create_app
from storage.versions import migrate

CHROMIUM = "/usr/bin/chromium"
WIDTHS = {"narrow": (360, 800), "wide": (1280, 900)}
SCHEMES = ("light", "dark")
EVENINGS = {"empty": 0, "one": 1, "event": 300}  # how many guests there were
# The address of a page; or that of another one, and the link there that leads to it.
PAGES = {
    "now": ("/console", ""),
    "files": ("/console/files", ""),
    "poster": ("/console/files", 'a[href$="/poster"]'),
    "health": ("/console/health", ""),
    "sessions": ("/console/sessions", ""),
}


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--page", "names", multiple=True, type=click.Choice(list(PAGES)), help="Only these.")
@click.option("--evening", "evenings", multiple=True, type=click.Choice(list(EVENINGS)))
def main(folder: Path, names: tuple[str, ...], evenings: tuple[str, ...]) -> None:
    """Write pictures of the console's pages to FOLDER: narrow and wide, light and dark."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for evening in evenings or EVENINGS:
            with tempfile.TemporaryDirectory() as place, serving(Path(place), evening) as app:
                for kind in product(SCHEMES, WIDTHS):
                    picture(chromium, app, kind, names or PAGES, folder / evening)


@contextmanager
def serving(place: Path, evening: str) -> Iterator[App]:
    """An app on the air that has had the guests of this evening."""
    write_files(place / "questionnaires", NOWHERE)
    server = make_server("127.0.0.1", 0, None, Server, QuietHandler)
    app = create_app(settings_of(place, f"http://127.0.0.1:{server.server_port}"))
    hold(app, EVENINGS[evening], datetime.now(UTC) - timedelta(hours=3))
    server.set_app(app)
    Thread(target=server.serve_forever, daemon=True).start()
    yield app
    server.shutdown()
    app.database.close()


def settings_of(place: Path, url: str) -> Settings:
    settings = Settings(
        database_url=f"sqlite:///{place}/event.db",
        account_sid=ACCOUNT_SID,
        auth_tokens=(TOKEN,),
        public_url=url,
        questionnaires=place / "questionnaires",
        people=place / "people.toml",
    )
    migrate(settings.database_url)
    return settings


def picture(
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
