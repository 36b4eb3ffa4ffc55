"""The console as somebody uses it: the program itself, in real Chromium."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import FEEDBACK, free_address, invoke
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from test_cli import phone_of, serving

from console.pages import NAV
from phone import Phone

pytestmark = pytest.mark.long  # whoever tests a change may have no browser
NAMES = ("chromium", "chromium-browser", "google-chrome")  # what packages call it
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]  # root may have no sandbox
TIMEOUT = 30_000  # ms: other tests may want the same cores
SOON = 20_000  # ms: a page looks every five seconds
RULES = {
    "resultTypes": ["violations"],
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=OPTIONS)
        yield browser
        browser.close()


class Server:
    """The program as operators run it, and phones to text it with."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder, self.environ = folder, environ
        self.url = environ["SMSCONVO_PUBLIC_URL"]

    @property
    def phone(self) -> Phone:
        return phone_of(self.environ)

    def print_link(self, *options: str) -> str:
        said = invoke(self.folder, self.environ, "console", *options)
        return re.search(r"http\S+", said.stdout)[0]


@pytest.fixture
def server(tmp_path, environ) -> Iterator[Server]:
    directory = tmp_path / "questionnaires"
    directory.mkdir()
    (directory / "feedback.toml").write_text(FEEDBACK, "utf-8")
    address = free_address()
    local = {"SMSCONVO_LISTEN": address, "SMSCONVO_PUBLIC_URL": f"http://{address}"}
    with serving(tmp_path, environ | local):
        yield Server(tmp_path, environ | local)


@pytest.fixture
def open_browser(chromium, server) -> Iterator[Callable[..., Page]]:
    """`open_browser(**options)`: a page of a browser of its own, signed in by a printed link.

    Whatever its policy would not let run, or the script throws, fails the test.
    """
    complaints: list[str] = []
    with ExitStack() as stack:

        def start(**options) -> Page:
            context = chromium.new_context(**options)
            stack.callback(context.close)
            context.set_default_timeout(TIMEOUT)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda each: complaints.append(each.text) if is_bad(each) else None)
            page.goto(server.print_link())
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{server.url}/console")
            return page

        yield start
    assert complaints == []


def is_bad(message) -> bool:
    """Not that there is no network, or no page: tests want that."""
    return message.type == "error" and not re.search("net::|status of 404", message.text)


@pytest.fixture
def page(open_browser) -> Page:
    return open_browser()


def figure(page: Page, name: str) -> Locator:
    return page.locator(".figures div").filter(has_text=re.compile(name)).locator("dd")


def test_now_follows_a_guest_without_reload(server, page):
    page.evaluate("window.isSame = true")
    expect(page.get_by_text("Nobody has started today.")).to_be_visible()
    phone = server.phone
    phone.text("Mats BBQ")
    expect(figure(page, "started")).to_have_text("1", timeout=SOON)
    expect(page.locator("#live")).to_have_text(" · live")
    days = page.locator("details", has_text="Days")
    days.locator("summary").click()
    page.evaluate("window.scrollTo(0, 50)")
    for body in ("Blue", "Pizza", "Cola", "Yes"):
        phone.text(body)
    expect(figure(page, "completed")).to_have_text("1", timeout=SOON)
    assert page.evaluate("window.isSame"), "it was loaded anew"
    assert days.get_attribute("open") is not None
    assert page.evaluate("window.scrollY") == 50


def test_while_nothing_changes_only_the_time_does(server, page):
    server.phone.text("Mats BBQ")
    expect(figure(page, "started")).to_have_text("1", timeout=SOON)
    page.evaluate("document.querySelector('.figures').id = 'kept'")
    before = page.locator("#as-of").text_content()
    with page.expect_response(lambda answer: answer.status == 304, timeout=SOON):
        pass
    expect(page.locator("#as-of")).not_to_have_text(before)
    assert page.locator("#kept").count() == 1


def test_a_page_that_is_not_kept_up_to_date_says_why(server, page):
    live = page.locator("#live")
    page.locator("details", has_text="Days").locator("summary").click()
    page.get_by_label("from").focus()
    look_now(page)
    expect(live).to_contain_text("while you fill in a form")
    page.get_by_role("link", name="Today").focus()
    look_now(page)
    expect(live).to_have_text(" · live")
    page.context.set_offline(True)
    expect(live).to_contain_text("you are offline")
    page.context.set_offline(False)
    expect(live).to_have_text(" · live")
    page.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    expect(live).to_contain_text("while this page is hidden")
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(live).to_have_text(" · live")
    page.context.clear_cookies()
    look_now(page)
    expect(live).to_contain_text("you are signed out")


def look_now(page: Page) -> None:
    """As after the next five seconds."""
    page.evaluate("window.dispatchEvent(new Event('online'))")


def test_without_scripts_all_is_there(server, open_browser):
    server.phone.text("Mats BBQ")
    page = open_browser(java_script_enabled=False)
    assert figure(page, "started").text_content() == "1"
    page.get_by_role("link", name="All").click()
    assert figure(page, "started").text_content() == "1"
    page.locator("summary", has_text="Days").click()
    page.get_by_label("from").fill("2020-01-01")
    page.get_by_role("button", name="Show").click()
    assert "from=2020-01-01" in page.url
    assert page.locator("#live").text_content() == ""
    page.get_by_role("button", name="Sign out").click()
    assert page.url == f"{server.url}/console/sign-in"


def test_the_keyboard_is_enough(server, page):
    server.phone.text("Mats BBQ")
    page.reload()
    press_tab_to(page, "Skip to the content")
    page.keyboard.press("Enter")
    press_tab_to(page, "7 days")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console?period=week")
    press_tab_to(page, "Days")
    page.keyboard.press("Enter")
    press_tab_to(page, "Show")
    ring = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert ring == "solid"
    press_tab_to(page, "1")  # the figure behind which the conversations are
    press_tab_to(page, "Sessions", "Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/sessions")


def press_tab_to(page: Page, words: str, key: str = "Tab") -> None:
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.textContent.trim()") == words:
            return
    raise AssertionError(f"Tab does not lead to {words}")


def test_no_page_is_wider_than_a_phone(server, open_browser):
    server.phone.text("Mats BBQ " + "W" * 200)
    page = open_browser(viewport={"width": 360, "height": 800})
    for address in NAV.values():
        page.goto(server.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address


def test_axe_finds_nothing_on_any_page(server, open_browser):
    hold_conversations(server)
    page = open_browser(bypass_csp=True)  # for axe itself
    addresses = [*NAV.values(), "/console?period=all", "/console/sign-in", "/console/nowhere"]
    addresses += [f"/console/{path}" for path in ("threads/1", "people/1", "people/1/opt-out")]
    addresses += ["/console/files/feedback/poster"]
    for address in addresses:
        page.goto(server.url + address)
        open_all(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page, options=RULES)
            assert not found.violations_count, f"{address} {scheme}\n{found.generate_report()}"


def hold_conversations(server: Server) -> None:
    phone = server.phone
    for body in ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes"):
        phone.text(body)
    phone.report(phone.last.replies[0], "undelivered", 30003)
    other = server.phone
    other.sender = "+14158675310"
    other.text("مرحبا")
    other.text("STOP")


def open_all(page: Page) -> None:
    """Unfold what is folded, so that it is looked at, too."""
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
