"""The console as somebody uses it: the program itself, in real Chromium."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import openpyxl
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import FEEDBACK, QUESTIONS, THANKS, Receiver, free_address, invoke, until
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from test_cli import phone_of, rows, send_results, serving

from console.pages import NAV
from phone import Phone

pytestmark = pytest.mark.long  # whoever tests a change may have no browser
NAMES = ("chromium", "chromium-browser", "google-chrome")  # what packages call it
OPTIONS = ["--no-sandbox", "--disable-dev-shm-usage"]  # root may have no sandbox
TIMEOUT = 30_000  # ms: other tests may want the same cores
SOON = 20_000  # ms: a page looks every five seconds
NEW_SHARE = "/console/shares/new?questionnaire=feedback"
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

    def phone_of(self, sender: str) -> Phone:
        phone = self.phone
        phone.sender = sender
        return phone

    def print_link(self, *options: str) -> str:
        said = invoke(self.folder, self.environ, "console", *options)
        return re.search(r"http\S+", said.stdout)[0]


@pytest.fixture
def server(request, tmp_path, environ) -> Iterator[Server]:
    """Its results go to the receiver of the test, if it has one."""
    directory = tmp_path / "questionnaires"
    directory.mkdir()
    (directory / "feedback.toml").write_text(FEEDBACK, "utf-8")
    if "receiver" in request.fixturenames:
        send_results(directory, request.getfixturevalue("receiver").url)
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


def test_a_thread_follows_its_guest(server, page):
    phone = server.phone
    phone.text("Mats BBQ")
    page.goto(f"{server.url}/console/threads")
    page.get_by_role("link", name="Mats BBQ").click()
    phone.text("Bright blue")
    expect(page.locator(".in")).to_have_count(2, timeout=SOON)
    expect(page.get_by_role("link", name="Bright blue")).to_be_visible()  # among the answers


def test_the_export_of_a_filter_is_its_table(server, page, tmp_path):
    for number, colour in enumerate(("Blue", "Red", "Blue")):
        phone = server.phone_of(f"+1415555010{number}")
        phone.text("Mats BBQ")
        phone.text(colour)
    page.goto(f"{server.url}/console/answers")
    page.locator(".bars").first.get_by_role("link", name="Blue").click()
    page.wait_for_url("**answer.Question1=Blue**")
    names = page.locator(".rows thead th").all_inner_texts()
    rows = page.locator(".rows tbody tr").all()
    shown = [dict(zip(names, row.locator("th, td").all_inner_texts(), strict=True)) for row in rows]
    with page.expect_download() as download:
        page.get_by_role("button", name="XLSX").click()
    download.value.save_as(tmp_path / "answers.xlsx")
    head, *cells = openpyxl.load_workbook(tmp_path / "answers.xlsx").active.values
    exported = [dict(zip(head, row, strict=True)) for row in cells]
    assert sorted(
        (each["sender"], each["Question1"], each["state"]) for each in exported
    ) == sorted((each["Sender"], each["Question1"], each["State"]) for each in shown)
    assert len(exported) == 2


def test_a_failed_result_that_is_tried_again_arrives(receiver: Receiver, server, page):
    receiver.answers.append((410, {}))
    phone = server.phone
    for body in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
        phone.text(body)
    need = page.get_by_role("link", name="1 result has failed")
    expect(need).to_be_visible(timeout=SOON)
    need.click()
    page.get_by_role("link", name="Result 1").click()
    page.get_by_role("link", name="Try again", exact=True).click()
    page.get_by_role("button").filter(has_text="ry again").click()
    expect(page.get_by_role("status")).to_contain_text("tried again")
    until(lambda: len(receiver.requests) == 2)
    until(lambda: page.reload() and page.get_by_text("arrived").count())


def test_the_phone_in_the_browser_holds_a_conversation(server, page):
    page.goto(f"{server.url}/console/try/feedback")
    for body, question in zip(("Mats BBQ", "Blue"), QUESTIONS, strict=False):
        say(page, body)
        expect(page.locator(".came").last).to_contain_text(question)
    press(page, "Lose the cookie")
    say(page, "Pizza 🍕")
    expect(page.locator(".came").last).to_contain_text(QUESTIONS[2])
    press(page, "STOP")
    expect(page.locator(".system").last).to_have_text("No reply.")
    press(page, "START")
    press(page, "A day passes")
    for body in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
        say(page, body)
    expect(page.locator(".came").last).to_contain_text(THANKS)
    assert server_rows(server) == 0


def test_the_phone_in_the_browser_follows_the_file(server, page):
    page.goto(f"{server.url}/console/try/feedback")
    say(page, "Mats BBQ")
    edited = FEEDBACK.replace(QUESTIONS[0], "Which colour do you like?")
    (server.folder / "questionnaires/feedback.toml").write_text(edited, "utf-8")
    newest = page.locator(".came").last
    expect(newest).to_contain_text("Which colour do you like?", timeout=SOON)
    assert page.evaluate("document.activeElement.id") == "text"


def test_what_check_says_of_the_text_in_the_box_follows_while_it_is_typed(server, page):
    page.goto(f"{server.url}/console/try/feedback")
    press(page, "Text in the box")
    box, findings = page.locator("#draft"), page.locator("#findings")
    expect(findings).to_have_text("No mistakes.")
    box.press_sequentially("thank = 1\n")
    expect(findings).to_contain_text("unknown field `thank`")
    box.fill(FEEDBACK)
    expect(findings).to_have_text("No mistakes.")
    page.context.set_offline(True)
    box.fill("[[[")
    expect(findings).to_have_text("Not checked: the server cannot be reached.")


def say(page: Page, body: str) -> None:
    page.locator("#text").fill(body)
    press(page, "Send")


def press(page: Page, name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


def server_rows(server: Server) -> int:
    url = server.environ.get("DATABASE_URL", f"sqlite:///{server.folder}/smsconvo.db")
    ((count,),) = rows(url, "SELECT count(*) FROM messages")
    return count


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
    for address in (*NAV.values(), "/console/search?q=bbq"):
        page.goto(server.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, address


def test_axe_finds_nothing_on_any_page(server, open_browser):
    hold_conversations(server)
    page = open_browser(bypass_csp=True)  # for axe itself
    addresses = [
        *NAV.values(),
        "/console/search?q=blue",
        "/console?period=all",
        "/console/sign-in",
        "/console/nowhere",
    ]
    addresses += [f"/console/{path}" for path in ("threads/1", "people/1", "people/1/opt-out")]
    addresses += ["/console/people/1/note", "/console/threads/1/test", NEW_SHARE]
    addresses += [share_results(server, page), "/r/nothing"]
    addresses += ["/console/files/feedback/poster"]
    for address in addresses:
        page.goto(server.url + address)
        open_all(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found = Axe().run(page, options=RULES)
            assert not found.violations_count, f"{address} {scheme}\n{found.generate_report()}"


def share_results(server: Server, page: Page) -> str:
    page.goto(server.url + NEW_SHARE)
    for box in page.get_by_role("checkbox").all():
        box.check()
    page.get_by_role("button", name="Make the link").click()
    return page.get_by_role("link", name="/r/").get_attribute("href").removeprefix(server.url)


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
