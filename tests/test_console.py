import json
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http import HTTPStatus
from ipaddress import ip_network

import pytest
from browsing import CORPUS, OWN, URL, Answer, Browser, evils, make_link, one_database, rows
from conftest import HERE, Clock, mostly_on_sqlite
from sqlalchemy import text

from console import pages
from models.console import COMMAND_LINE, DO, LOOK, ConsoleLink, ConsolePassword, ConsoleSession
from models.console.attempt import MAX_OVERALL, MAX_PER_ADDRESS
from models.console.password import COST, hash_password
from models.console.token import TOKEN, new_token
from plugins import ANYONE
from settings import Settings
from smsconvo import App, create_app
from worker.expiry import expire_silent

pytestmark = mostly_on_sqlite

PASSWORD = "correct horse battery staple"
OPEN = {
    ("GET", "/console/"),
    ("GET", "/console/sign-in"),
    ("POST", "/console/sign-in"),
    ("GET", f"/console/enter/<token:re:{TOKEN}>"),
    ("POST", f"/console/enter/<token:re:{TOKEN}>"),
}


def set_password(app: App, password: str = PASSWORD) -> None:
    hashed = hash_password(password)
    app.database.write(lambda db: ConsolePassword.replace(db, hashed, app.clock()))


@pytest.fixture
def make_app(settings: Settings, clock: Clock) -> Iterator[Callable[..., App]]:
    made = []

    def make(**changes) -> App:
        made.append(create_app(replace(settings, **{"public_url": URL} | changes), clock))
        return made[-1]

    yield make
    for app in made:
        app.database.close()


@pytest.fixture
def app(make_app) -> App:
    return make_app()


@pytest.fixture
def browser(app) -> Browser:
    return Browser(app)


@pytest.fixture
def cheap_passwords(patch) -> None:
    """Each takes a tenth of a second else."""
    patch.item(COST, "n", 2)


# Who gets in #################################################################


def console_routes(app: App) -> list[tuple[str, str, str]]:
    """The method, the path and the role of each route of the console."""
    return [
        (route.method, route.rule, route.config.get("role"))
        for route in app.routes
        if route.rule.startswith("/console")
    ]


def guarded_routes(app: App) -> list[tuple[str, str, str]]:
    found = [route for route in console_routes(app) if route[2] != ANYONE]
    values = {"<id:row>": "1", "<name>": "feedback"}
    return [
        (method, re.sub("<.*?>", lambda part: values[part[0]], rule), role)
        for method, rule, role in found
    ]


def page_paths(app: App) -> list[str]:
    """Those of pages: what has an ending is a file."""
    return [path for method, path, _ in guarded_routes(app) if method == "GET" and "." not in path]


@one_database
def test_only_what_signs_in_is_open_to_anyone(app):
    assert {route[:2] for route in console_routes(app) if route[2] == ANYONE} == OPEN
    assert {role for *_, role in guarded_routes(app)} == {LOOK, DO}
    acts = {path for method, path, _ in guarded_routes(app) if method == "POST"}
    pages = [route for route in guarded_routes(app) if route[0] == "GET" and route[1] not in acts]
    assert {role for *_, role in pages} == {LOOK}
    # What whoever looks may POST: it changes nothing but their own session.
    harmless = {route[1] for route in guarded_routes(app) if route[::2] == ("POST", LOOK)}
    tries = {"/console/try", "/console/try/feedback", "/console/try/feedback/test.json"}
    assert harmless == {"/console/sign-out", *tries}


@one_database
def test_a_route_that_does_not_say_for_whom_it_is_is_for_those_who_act(app):
    app.route("/console/new", "GET", lambda operator: operator.role)
    looking, acting = Browser(app), Browser(app)
    looking.enter(LOOK)
    acting.enter()
    found = [each.get("/console/new") for each in (Browser(app), looking, acting)]
    assert [answer.status for answer in found] == [303, 403, 200]
    assert found[2].body == DO


CREDENTIALS = ["none", "expired", "revoked", "signed out", "tampered", "other name", "malformed"]


def with_credential(app: App, clock: Clock, what: str) -> Browser:
    browser = Browser(app)
    if what == "none":
        return browser
    browser.enter()
    name, value = browser.cookie.split("=")
    match what:
        case "expired":
            clock.pass_(days=30)
        case "revoked":
            other = Browser(app)
            other.enter()
            ((id,),) = rows(app, "SELECT min(id) FROM console_sessions")
            assert other.post(f"/console/sessions/{id}/revoke").status == 303
        case "signed out":
            assert browser.post("/console/sign-out").status == 303
        case "tampered":
            browser.cookie = f"{name}={value[:-1]}{'A' if value[-1] != 'A' else 'B'}"
        case "other name":
            browser.cookie = f"smsconvo={value}; conversation={value}; Smsconvo={value}"
        case "malformed":
            browser.cookie = f"{name}=' OR 1=1 --; {name}={value}x; {name}"
    return browser


@pytest.mark.parametrize("what", CREDENTIALS)
def test_without_a_session_every_page_is_refused(app, clock, what):
    browser = with_credential(app, clock, what)
    before = rows(app, "SELECT count(*) FROM operator_actions")
    for method, path, _ in guarded_routes(app):
        answer = browser.ask(method, path, OWN)
        if method == "GET":
            assert (answer.status, answer.headers["Location"]) == (303, "/console/sign-in")
            assert answer.body == ""
        else:
            assert answer.status == 401
            assert "<nav" not in answer.body
    assert rows(app, "SELECT count(*) FROM operator_actions") == before


@one_database
def test_who_only_looks_sees_every_page_and_does_nothing(app):
    looking, acting = Browser(app), Browser(app)
    acting.enter()
    looking.enter(LOOK)
    ((before,),) = rows(app, "SELECT count(*) FROM operator_actions")
    for method, path, role in guarded_routes(app):
        if role == DO or method == "GET":
            shown = 404 if "/1" in path else 200  # there is no such row
            assert looking.ask(method, path, OWN).status == (403 if role == DO else shown), path
    assert rows(app, "SELECT count(*) FROM operator_actions") == [(before,)]
    assert acting.get("/console").status == 200
    assert "Sign it out" not in looking.get("/console/sessions").body
    assert looking.post("/console/sign-out").status == 303
    assert looking.get("/console").status == 303


TRICKS = ["//console", "///console/health", "/console//health", "/./console", "/x/../console"]
TRICKS += [
    "/console;x",
    "/console/;",
    "/Console",
    "/CONSOLE/health",
    "/console.",
    "/console\\health",
]
TRICKS += [
    "/console\x00",
    "/console/health\n",
]
TRICKS += ["/console/sign-in/../health", "/console/sign-in;/../health", "/console/health/"]
TRICKS += [
    "/console%2fhealth",
    "/static/../console",
    "/console/enter/../health",
    "console/health",
    "",
]


@one_database
@pytest.mark.parametrize("path", TRICKS)
def test_no_spelling_of_a_path_gets_around_the_guard(browser, path):
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "X"):
        answer = browser.ask(method, path, OWN)
        assert answer.status in (303, 401, 404, 405), (method, answer)
        assert "<nav" not in answer.body


@one_database
@pytest.mark.parametrize("path", ["/con\xffsole", "/con\xffsole/health", "/console/\xff", "/\xff"])
def test_a_path_is_served_only_as_a_proxy_reads_it(browser, path):
    browser.enter()
    for method in ("GET", "POST"):
        assert browser.ask(method, path, OWN).status == 404


@one_database
@pytest.mark.parametrize("id", ["0", "-1", "1e3", "9" * 19, "9" * 400, "Ù£", "1%00", "x"])
def test_an_odd_id_is_no_page(browser, id):
    browser.enter()
    assert browser.post(f"/console/sessions/{id}/revoke").status == 404


@one_database
@pytest.mark.parametrize(
    "name", ["HTTP_COOKIE", "HTTP_ORIGIN", "REMOTE_ADDR", "HTTP_X_FORWARDED_FOR"]
)
@pytest.mark.parametrize(
    "value", ["", "=;=;;", "\xff\xfe", "[::1", "a" * 9000, "fe80::1%x", "null"]
)
def test_odd_headers_are_no_error(make_app, name, value):
    browser = Browser(make_app(console_proxies=(ip_network("127.0.0.1"),)))
    if name == "REMOTE_ADDR":
        browser.peer = value
    headers = {name.removeprefix("HTTP_").replace("_", "-"): value}
    assert browser.get("/console", **headers).status == 303
    assert browser.post(f"/console/enter/{'a' * 43}", OWN | headers).status == 403
    assert browser.post("/console/sign-in", OWN | headers, password="x").status == 401


# Links #######################################################################


def test_a_link_signs_in_once(app):
    token = make_link(app)
    browser, late = Browser(app), Browser(app)
    for _ in range(3):  # programs that preview it
        answer = browser.get(f"/console/enter/{token}")
        assert (answer.status, answer.body.count("<button")) == (200, 1)
        assert token not in answer.body
    answer = browser.post(f"/console/enter/{token}")
    assert (answer.status, answer.headers["Location"]) == (303, "/console")
    assert browser.get("/console").status == 200
    answer = late.post(f"/console/enter/{token}")
    assert (answer.status, late.cookie) == (403, "")
    assert "smsconvo.py console" in answer.body
    assert rows(app, "SELECT role, method, address FROM console_sessions") == [
        (DO, "link", "127.0.0.1")
    ]


def test_a_link_is_good_for_ten_minutes(app, clock):
    tokens = [make_link(app), make_link(app)]
    clock.pass_(minutes=9, seconds=59)
    assert Browser(app).post(f"/console/enter/{tokens[0]}").status == 303
    clock.pass_(seconds=1)
    assert Browser(app).post(f"/console/enter/{tokens[1]}").status == 403
    make_link(app)
    assert len(rows(app, "SELECT id FROM console_links")) == 1


def test_what_operators_did_names_a_row_that_no_later_one_is(app, clock, cheap_passwords):
    for _ in range(2):
        make_link(app)
        set_password(app)
        clock.pass_(minutes=10)
    query = "SELECT row_id FROM operator_actions WHERE table_name = '{}' ORDER BY id"
    for table in ("console_links", "console_passwords"):
        assert rows(app, query.format(table)) == [(1,), (2,)], table
        assert rows(app, f"SELECT id FROM {table}") == [(2,)]


def test_of_several_who_open_a_link_at_once_one_gets_in(make_app):
    apps = [make_app() for _ in range(4)]
    paths = [f"/console/enter/{make_link(apps[0])}" for _ in range(5)]
    with ThreadPoolExecutor() as pool:
        for path in paths:
            answers = pool.map(lambda app, path=path: Browser(app).post(path), apps)
            assert sorted(answer.status for answer in answers) == [303, 403, 403, 403]


@one_database
def test_only_digests_of_tokens_are_stored(app):
    browser, token = Browser(app), make_link(app)
    browser.post(f"/console/enter/{token}")
    stored = str(rows(app, "SELECT * FROM console_links"))
    stored += str(rows(app, "SELECT * FROM console_sessions"))
    assert token not in stored
    assert browser.cookie.partition("=")[2] not in stored


# Cookies #####################################################################


@one_database
@pytest.mark.parametrize(
    ("url", "name", "path", "is_secure"),
    [
        (URL, "__Secure-smsconvo", "/console", True),
        (f"{URL}/texts", "__Secure-smsconvo", "/texts/console", True),
        ("http://127.0.0.1:8080", "smsconvo", "/console", False),
        ("http://localhost:8080", "smsconvo", "/console", False),
    ],
)
def test_the_cookie_is_for_the_console_alone(make_app, url, name, path, is_secure):
    browser = Browser(make_app(public_url=url))
    ((key, morsel),) = browser.enter().cookies.items()
    assert (key, morsel["path"], bool(morsel["secure"])) == (name, path, is_secure)
    assert (morsel["httponly"], morsel["samesite"].lower(), morsel["domain"]) == (True, "lax", "")
    assert browser.get("/console").status == 200


@one_database
@pytest.mark.parametrize(
    ("origin", "name"),
    [
        ("http://localhost:9000", "smsconvo"),
        ("http://127.0.0.1", "smsconvo"),
        ("http://[::1]:8080", "smsconvo"),
        ("https://localhost", "__Secure-smsconvo"),
        (URL, "__Secure-smsconvo"),
        ("http://localhost.example.org", "__Secure-smsconvo"),
        ("http://[::2]", "__Secure-smsconvo"),
        ("null", "__Secure-smsconvo"),
        ("", "__Secure-smsconvo"),
    ],
)
def test_through_a_tunnel_the_cookie_is_one_that_browsers_keep(app, origin, name, cheap_passwords):
    set_password(app)
    for path in (f"/console/enter/{make_link(app)}", "/console/sign-in"):
        browser = Browser(app)
        answer = browser.post(path, OWN | {"Origin": origin}, password=PASSWORD)
        ((key, morsel),) = answer.cookies.items()
        assert (key, bool(morsel["secure"])) == (name, name.startswith("__Secure-"))
        assert browser.get("/console").status == 200


@one_database
def test_nobody_signs_in_over_a_network_without_https(make_app):
    app = make_app(public_url="http://sms.example.org")
    browser, token = Browser(app), make_link(app)
    answer = browser.post(f"/console/enter/{token}")
    assert (answer.status, browser.cookie) == (403, "")
    assert "https" in answer.body
    tunneled = OWN | {"Origin": "http://localhost:8080"}
    assert browser.post(f"/console/enter/{token}", tunneled).status == 303  # it was not used up


@one_database
def test_the_cookie_of_a_guest_opens_nothing_and_is_never_set(webhook):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    browser = Browser(webhook.app)
    browser.cookie = f"conversation={phone.cookies['conversation']}"
    assert browser.get("/console").status == 303
    assert "conversation" not in browser.enter().cookies
    assert list(phone.cookies) == ["conversation"]


# Requests of other sites #####################################################

FOREIGN = [
    {},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "same-origin,cross-site"},
    {"Sec-Fetch-Site": "cross-site", "Origin": URL},
    {"Origin": "https://evil.example"},
    {"Origin": f"{URL}.evil.example"},
    {"Origin": "http://sms.example.org"},
    {"Origin": "https://sms.example.org:8443"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Referer": f"{URL}/console"},
    {"X-CSRF-Token": "x", "Host": "sms.example.org"},
]


@one_database
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_what_another_site_has_a_browser_do_is_refused(app, browser, headers, cheap_passwords):
    browser.enter()
    set_password(app)
    token = make_link(app)
    tables = ("console_sessions", "console_links", "operator_actions", "sign_in_attempts")
    before = [rows(app, f"SELECT * FROM {table}") for table in tables]
    posts = [path for method, path, _ in guarded_routes(app) if method == "POST"]
    for path in (*posts, f"/console/enter/{token}", "/console/sign-in"):
        answer = browser.post(path, headers, password=PASSWORD)
        assert (answer.status, dict(answer.cookies)) == (403, {}), path
    assert [rows(app, f"SELECT * FROM {table}") for table in tables] == before


@one_database
@pytest.mark.parametrize(
    "headers",
    [
        OWN,
        OWN | {"Origin": "null"},
        {"Origin": URL},
        {"Origin": "http://127.0.0.1:8080"},
        {"Origin": "http://localhost:8080"},
    ],
    ids=str,
)
def test_what_our_own_pages_have_a_browser_do_is_done(app, headers):
    browser = Browser(app)
    assert browser.post(f"/console/enter/{make_link(app)}", headers).status == 303
    assert browser.post("/console/sign-out", headers).status == 303
    assert rows(app, "SELECT id FROM console_sessions") == []


@one_database
def test_nothing_is_done_by_a_get(browser):
    browser.enter()
    routes = guarded_routes(browser.app)
    shown = {path for method, path, _ in routes if method == "GET"}  # which ask, or only show
    for method, path, _ in routes:
        if method == "POST" and path not in shown:
            assert browser.get(path).status == 405, path


# Sessions ####################################################################


def test_a_session_lasts_as_long_as_it_is_used_but_not_for_ever(app, clock, browser):
    browser.enter()
    for _ in range(3):
        clock.pass_(days=29)
        assert browser.get("/console").status == 200
    clock.pass_(days=2, hours=23)
    assert browser.get("/console").status == 200
    clock.pass_(hours=1)
    assert browser.get("/console").status == 303


def test_a_request_is_written_down_once_an_hour(app, clock, browser):
    browser.enter()
    first = rows(app, "SELECT seen_at FROM console_sessions")
    clock.pass_(minutes=59)
    browser.get("/console")
    assert rows(app, "SELECT seen_at FROM console_sessions") == first
    clock.pass_(minutes=1)
    browser.get("/console")
    assert rows(app, "SELECT seen_at FROM console_sessions") != first


def test_sessions_that_are_over_are_deleted_by_the_next(app, clock, browser):
    browser.enter()
    clock.pass_(days=30)
    browser.enter()
    assert rows(app, "SELECT id FROM console_sessions") == [(2,)]  # the id is not used again


def test_a_browser_that_signs_in_again_has_one_session(app, cheap_passwords):
    set_password(app)
    browser, other = Browser(app), Browser(app)
    other.enter()
    browser.enter(LOOK)
    old = browser.cookie
    assert browser.post(f"/console/enter/{new_token()}").status == 403
    assert browser.get("/console").status == 200  # it is not lost with a bad link
    assert browser.post("/console/sign-in", password=PASSWORD).status == 303
    assert rows(app, "SELECT id FROM console_sessions ORDER BY id") == [(1,), (3,)]
    query = "SELECT operator, session_id, action FROM operator_actions WHERE row_id IN (2, 3)"
    query += " AND table_name = 'console_sessions' ORDER BY id"
    signing = [("link", 2, "sign in"), ("link", 2, "sign out"), ("password", 3, "sign in")]
    assert rows(app, query) == signing
    browser.cookie = old
    assert browser.get("/console").status == 303


def test_a_session_is_revoked_from_another_browser(app):
    lost, own = Browser(app), Browser(app)
    lost.enter()
    own.enter()
    ((id,),) = rows(app, "SELECT min(id) FROM console_sessions")
    page = own.get("/console/sessions").body
    assert (page.count("Sign it out"), page.count("this browser")) == (1, 1)
    assert "only with a new link, or the password.</p>" in page  # what will happen
    answer = own.post(f"/console/sessions/{id}/revoke")
    assert (answer.status, answer.headers["Location"]) == (303, "/console/sessions")
    assert (lost.get("/console").status, own.get("/console").status) == (303, 200)
    before = rows(app, "SELECT count(*) FROM operator_actions")
    for gone in (id, 10**18 - 1):  # another operator was faster
        answer = own.post(f"/console/sessions/{gone}/revoke")
        assert (answer.status, answer.headers["Location"]) == (303, "/console/sessions")
    assert rows(app, "SELECT count(*) FROM operator_actions") == before


def test_what_operators_did_is_written_down(app, cheap_passwords):
    set_password(app)
    first, second = Browser(app), Browser(app)
    first.enter(LOOK)
    second.post("/console/sign-in", password=PASSWORD)
    second.post("/console/sessions/1/revoke")
    second.post("/console/sign-out")
    query = "SELECT operator, session_id, action, table_name, row_id, details FROM operator_actions"
    assert rows(app, f"{query} ORDER BY id") == [
        (COMMAND_LINE.name, None, "set password", "console_passwords", 1, None),
        (COMMAND_LINE.name, None, "make link", "console_links", 1, "look"),
        ("link", 1, "sign in", "console_sessions", 1, "by link 1"),
        ("password", 2, "sign in", "console_sessions", 2, None),
        ("password", 2, "revoke session", "console_sessions", 1, None),
        ("password", 2, "sign out", "console_sessions", 2, None),
    ]


def test_addresses_of_operators_are_forgotten(app, clock, cheap_passwords):
    set_password(app)
    browser = Browser(app, peer="198.51.100.7")
    browser.enter()
    browser.post("/console/sign-in", password="wrong " * 3)
    tables = ("console_sessions", "sign_in_attempts", "operator_actions")

    def found() -> list[str]:
        expire_silent(app.database, app.clock())
        return [name for name in tables if "198.51" in str(rows(app, f"SELECT * FROM {name}"))]

    assert found() == ["console_sessions", "sign_in_attempts"]
    clock.pass_(minutes=4)
    assert found() == ["console_sessions"]
    clock.pass_(days=30)
    assert found() == []


def test_a_link_can_say_whose_it_is(app):
    token, browser = new_token(), Browser(app)
    app.database.write(lambda db: ConsoleLink.make(db, token, DO, app.clock(), "Zoë <z>"))
    browser.post(f"/console/enter/{token}")
    assert "Zoë &lt;z&gt;, link" in browser.get("/console/sessions").body
    browser.post("/console/sign-out")
    query = "SELECT operator, session_id, action, details FROM operator_actions ORDER BY id"
    assert rows(app, query) == [
        (COMMAND_LINE.name, None, "make link", "do, for Zoë <z>"),
        ("Zoë <z>", 1, "sign in", "by link 1"),
        ("Zoë <z>", 1, "sign out", None),
    ]


# The password ################################################################


@one_database
def test_no_password_lets_anybody_in_before_one_is_set(app, browser):
    for password in ("", "admin", PASSWORD):
        assert browser.post("/console/sign-in", password=password).status == 401
    assert rows(app, "SELECT * FROM console_sessions") == []


def test_the_password_signs_in_until_it_is_replaced(app, cheap_passwords):
    set_password(app, "Zoë's long password")
    browser, by_link = Browser(app), Browser(app)
    by_link.enter()
    wrong = browser.post("/console/sign-in", password="Zoe's long password")
    assert (wrong.status, browser.cookie) == (401, "")
    assert 'role="alert"' in wrong.body
    composed = browser.post("/console/sign-in", password="Zoe\u0308's long password")
    assert (composed.status, composed.headers["Location"]) == (303, "/console")
    assert browser.get("/console").status == 200
    set_password(app)
    assert browser.get("/console").status == 303
    assert by_link.get("/console").status == 200
    assert browser.post("/console/sign-in", password="Zoë's long password").status == 401


@one_database
def test_a_password_is_stored_as_scrypt_with_a_salt(app):
    set_password(app)
    hashes = [hash_password(PASSWORD) for _ in range(2)]
    assert hashes[0] != hashes[1]
    assert all(re.fullmatch("scrypt:32768:8:1:[0-9a-f]{32}:[0-9a-f]{128}", h) for h in hashes)
    assert Browser(app).post("/console/sign-in", password=PASSWORD).status == 303


@one_database
def test_a_password_that_is_replaced_while_it_is_checked_lets_nobody_in(
    app, browser, patch, cheap_passwords
):
    set_password(app)
    is_right = ConsolePassword.is_right

    def replace_meanwhile(known: ConsolePassword, password: str) -> bool:
        found = is_right(known, password)
        set_password(app, "another long password")
        return found

    patch(ConsolePassword, "is_right", replace_meanwhile)
    assert browser.post("/console/sign-in", password=PASSWORD).status == 401
    assert rows(app, "SELECT * FROM console_sessions") == []


def guess(browser: Browser, times: int, **headers: str) -> set[int]:
    posts = (browser.post("/console/sign-in", OWN | headers, password="x") for _ in range(times))
    return {answer.status for answer in posts}


def test_guesses_are_slowed_down_whoever_they_say_that_they_are(app, clock, cheap_passwords):
    set_password(app)
    browser = Browser(app)
    for number in range(MAX_PER_ADDRESS):
        assert guess(browser, 1, **{"X-Forwarded-For": f"192.0.2.{number}"}) == {401}
    clock.pass_(minutes=1)
    answer = browser.post("/console/sign-in", password=PASSWORD)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "120")
    assert "120 s" in answer.body
    assert Browser(app, "192.0.2.1").post("/console/sign-in", password=PASSWORD).status == 303
    assert browser.enter().status == 303  # nobody is locked out who has a link
    clock.pass_(minutes=2)
    assert browser.post("/console/sign-in", password=PASSWORD).status == 303


def test_the_right_password_makes_wrong_ones_before_it_forgotten(app, cheap_passwords):
    set_password(app)
    browser, other = Browser(app), Browser(app, "192.0.2.1")
    for _ in range(2):
        assert guess(browser, MAX_PER_ADDRESS - 1) == {401}
        assert guess(other, 1) == {401}
        assert browser.post("/console/sign-in", password=PASSWORD).status == 303
    assert rows(app, "SELECT address FROM sign_in_attempts") == [("192.0.2.1",)] * 2


def test_a_stranger_who_cannot_get_in_writes_nothing(app, clock, patch, cheap_passwords):
    used, old = make_link(app), make_link(app)
    assert Browser(app).post(f"/console/enter/{used}").status == 303
    clock.pass_(minutes=10)
    undo = forbid_writes(app, patch)
    for token in (used, old, new_token()):
        assert Browser(app).post(f"/console/enter/{token}").status == 403
    assert guess(Browser(app), 1) == {401}  # there is no password
    undo()
    set_password(app)
    assert guess(Browser(app), MAX_PER_ADDRESS) == {401}
    forbid_writes(app, patch)
    assert guess(Browser(app), 1) == {429}


def forbid_writes(app: App, patch) -> Callable[[], None]:
    def fail(*_: object) -> None:
        raise AssertionError("it writes")  # which makes a 500

    return patch(type(app.database), "write", fail)


def test_guesses_are_slowed_down_overall_and_their_table_stays_small(app, clock, cheap_passwords):
    set_password(app)
    for number in range(MAX_OVERALL):
        assert guess(Browser(app, f"10.0.0.{number}"), 1) == {401}
    assert guess(Browser(app, "10.0.1.1"), 1) == {429}
    assert rows(app, "SELECT count(*) FROM sign_in_attempts") == [(MAX_OVERALL,)]
    clock.pass_(minutes=3)
    assert guess(Browser(app, "10.0.1.1"), 1) == {401}
    assert rows(app, "SELECT count(*) FROM sign_in_attempts") == [(1,)]


def test_several_processes_count_together(make_app, cheap_passwords):
    apps = [make_app() for _ in range(4)]
    set_password(apps[0])
    with ThreadPoolExecutor() as pool:
        statuses = [
            answer.status
            for answers in pool.map(guess_five_times, map(Browser, apps))
            for answer in answers
        ]
    assert sorted(statuses) == [401] * MAX_PER_ADDRESS + [429] * MAX_PER_ADDRESS


def guess_five_times(browser: Browser) -> list[Answer]:
    return [browser.post("/console/sign-in", password="x") for _ in range(5)]


@one_database
def test_attempts_of_a_clock_that_was_ahead_are_forgotten(app, clock, browser, cheap_passwords):
    set_password(app)
    clock.pass_(days=365)
    guess(browser, MAX_PER_ADDRESS)
    clock.pass_(days=-365)
    assert guess(browser, 1) == {401}


@one_database
def test_a_house_has_one_count_of_its_many_addresses(app, cheap_passwords):
    set_password(app)
    for number in range(MAX_PER_ADDRESS):
        assert guess(Browser(app, f"2001:db8::{number}"), 1) == {401}
    assert guess(Browser(app, "2001:db8::ffff"), 1) == {429}
    assert guess(Browser(app, "2001:db8:0:1::1"), 1) == {401}


@one_database
def test_a_trusted_proxy_says_last_who_guesses(make_app, cheap_passwords):
    app = make_app(console_proxies=(ip_network("127.0.0.1"),))
    set_password(app)
    one, other = (
        {"X-Forwarded-For": f"198.51.100.9, {each}"} for each in ("192.0.2.1", "192.0.2.2")
    )
    assert guess(Browser(app), MAX_PER_ADDRESS, **one) == {401}
    assert guess(Browser(app), 1, **one) == {429}
    assert Browser(app).post("/console/sign-in", OWN | other, password=PASSWORD).status == 303
    assert rows(app, "SELECT address FROM console_sessions") == [("192.0.2.2",)]


@one_database
def test_one_password_is_checked_at_a_time_and_nobody_waits(app, browser, patch, cheap_passwords):
    set_password(app)
    meanwhile = []

    def look_meanwhile(known: ConsolePassword, password: str) -> bool:
        meanwhile.append(Browser(app).post("/console/sign-in", password=PASSWORD))
        return False

    patch(ConsolePassword, "is_right", look_meanwhile)
    assert browser.post("/console/sign-in", password=PASSWORD).status == 401
    ((answer),) = meanwhile
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


@one_database
def test_whoever_tried_too_often_does_not_wait_for_others(app, browser, patch, cheap_passwords):
    set_password(app)
    stranger, meanwhile = Browser(app, "192.0.2.1"), []
    assert guess(stranger, MAX_PER_ADDRESS) == {401}

    def guess_meanwhile(known: ConsolePassword, password: str) -> bool:
        meanwhile.append(stranger.post("/console/sign-in", password="x"))
        return True

    patch(ConsolePassword, "is_right", guess_meanwhile)
    assert browser.post("/console/sign-in", password=PASSWORD).status == 303
    ((answer),) = meanwhile
    assert (answer.status, answer.headers["Retry-After"]) == (429, "180")


@one_database
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("", {}, 400),
        ("password=a&password=b", {}, 400),
        ("word=a", {}, 400),
        ("password=%ff", {}, 400),
        ("password=é", {}, 400),
        ("password=" + "a" * 201, {}, 400),
        ("password", {}, 400),
        ("&".join(["a=1"] * 300), {}, 400),
        ("password=" + "a" * 70_000, {}, 413),
        ('{"password": "a"}', {"Content-Type": "application/json"}, 415),
        ("x", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
        ("password=a", {"Content-Length": ""}, 411),
        ("password=a", {"Content-Length": "-1"}, 411),
        ("password=a", {"Content-Length": "9" * 30}, 413),
    ],
)
def test_a_form_is_bounded_and_read_strictly(browser, body, headers, status):
    assert browser.ask("POST", "/console/sign-in", OWN | headers, body).status == status


# A proxy that says who somebody is ###########################################

PROXY = {"console_proxies": (ip_network("10.0.0.0/8"),), "console_user_header": "Remote-User"}


@one_database
def test_a_trusted_proxy_says_who_an_operator_is(make_app):
    app = make_app(**PROXY)
    browser = Browser(app, "10.0.0.7")
    name = {"Remote-User": "ann@example.org"}
    page = browser.get("/console", **name)
    assert (page.status, "Sign out" in page.body) == (200, False)
    assert "proxy says who you are" in browser.get("/console/sessions", **name).body
    Browser(app).enter()
    assert browser.post("/console/sessions/1/revoke", name).status == 403  # another site
    assert browser.post("/console/sessions/1/revoke", OWN | name).status == 303
    assert browser.post("/console/sign-out", OWN | name).status == 303
    query = "SELECT operator, session_id, action FROM operator_actions WHERE id > 2"
    assert rows(app, query) == [("ann@example.org", None, "revoke session")]


@one_database
@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("127.0.0.1", {"Remote-User": "ann"}),
        ("192.0.2.1", {"Remote-User": "ann", "X-Forwarded-For": "10.0.0.7"}),
        ("10.0.0.7", {"X-Forwarded-For": "10.0.0.7"}),
        ("10.0.0.7", {"Remote-User": ""}),
        ("10.0.0.7", {"Remote-User": " "}),
        ("10.0.0.7", {"Remote-User": "mallory,ann"}),
        ("10.0.0.7", {"Remote-User": "an\x7fn"}),
        ("10.0.0.7", {"Remote-User": "a" * 201}),
        ("10.0.0.7", {"X-Remote-User": "ann"}),
        ("::ffff:192.0.2.1", {"Remote-User": "ann"}),
        ("", {"Remote-User": "ann"}),
    ],
)
def test_nobody_else_says_who_an_operator_is(make_app, peer, headers):
    assert Browser(make_app(**PROXY), peer).get("/console", **headers).status == 303


@one_database
def test_the_header_means_nothing_unless_it_is_set(make_app):
    app = make_app(console_proxies=PROXY["console_proxies"])
    assert Browser(app, "10.0.0.7").get("/console", **{"Remote-User": "ann"}).status == 303


# What is sent ################################################################


@one_database
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "X"])
@pytest.mark.parametrize(
    "path",
    ["/", "/console", "/console/", "/console/sign-in", "/console/nowhere", "/console/health"],
)
@pytest.mark.parametrize("is_signed_in", [False, True])
def test_every_answer_of_the_console_has_its_headers(browser, method, path, is_signed_in):
    if is_signed_in:
        browser.enter()
    answer = browser.ask(method, path, OWN)
    assert {name: answer.headers.get(name) for name in pages.HEADERS} == {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
            " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        "Referrer-Policy": "strict-origin",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    assert answer.status != 500


@one_database
def test_a_process_keeps_the_pages_that_it_began_with(browser, patch, tmp_path):
    patch(pages, "VIEWS", tmp_path)
    patch(pages, "STATIC", tmp_path)
    browser.enter()
    assert browser.get("/console").status == 200


@one_database
def test_an_error_has_a_title_in_plain_words(app):
    for status in (each for each in HTTPStatus if each >= 400 and each not in (401, 429)):
        page = app.pages.render_error("/console", status)
        (title,) = re.findall("<h1>(.*)</h1>", page)
        assert title and title.lower() != status.phrase.lower(), status
        assert len(re.findall("<p>.+</p>", page)) == 2  # what to do, and the way back


@one_database
def test_only_of_the_console_and_of_links_an_error_has_a_page(browser):
    assert [browser.post(path).body for path in ("/", "/nowhere", "/static/x")] == [""] * 3


@one_database
def test_the_root_leads_to_the_console_whatever_host_is_named(make_app):
    browser = Browser(make_app(public_url=f"{URL}/texts"))
    answer = browser.get("/", Host="evil.example", **{"X-Forwarded-Host": "evil.example"})
    assert (answer.status, answer.headers["Location"]) == (303, "/texts/console")


@one_database
def test_a_file_is_served_under_the_name_of_its_content_for_ever(browser):
    (address,) = re.findall(
        r'href="(/static/console\.[0-9a-f]{16}\.css)"', browser.get("/console/sign-in").body
    )
    answer = browser.get(address)
    assert (answer.status, answer.body) == (200, (HERE / "static/console.css").read_text("utf-8"))
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@one_database
@pytest.mark.parametrize(
    "name",
    ["", "console.css", "console.0000000000000000.css", "../smsconvo.py", "..%2fsmsconvo.py", "."]
    + ["\xff", "/etc/passwd", "console.css\x00", "layout.tpl", "../views/layout.tpl"],
)
def test_no_other_file_is_served(browser, name):
    answer = browser.get(f"/static/{name}")
    assert (answer.status, answer.body) == (404, "")


def test_only_the_layout_puts_in_what_is_not_escaped():
    for path in (HERE / "views").iterdir():
        found = re.findall(r"{{!(?!show_time\()(.*?)}}", path.read_text("utf-8"))
        assert found == (["base"] if path.name == "layout.tpl" else []), (
            path.name
        )  # the page itself


@one_database
def test_no_page_has_a_script_or_a_style_of_its_own(browser):
    browser.enter()
    paths = page_paths(browser.app)
    for path in (*paths, "/console/sign-in", f"/console/enter/{'a' * 43}", "/console/nowhere"):
        page = browser.get(path).body
        assert page.startswith("<!doctype html>") and 'lang="en"' in page
        assert evils(page) == [], path
        assert page.count("<h1") == page.count("<main") == 1
        assert not re.search("https?://(?!sms.example.org)", page), path


ROLES = {"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row", "td": "cell"}
ROLES |= {'th scope="col"': "columnheader", 'th scope="row"': "rowheader"}


@one_database
def test_a_table_stays_one_for_screen_readers_where_it_looks_like_cards(browser):
    browser.enter()
    paths = page_paths(browser.app)
    shown = "".join(browser.get(path).body for path in paths)
    for tag, role in ROLES.items():
        found = re.findall(rf"<{tag}(?: [^>]*)?>", shown)
        assert found and all(f' role="{role}"' in each for each in found), tag
    assert len(re.findall(r"<th\b", shown)) == len(re.findall("<th scope=", shown))


def test_the_style_has_no_shadows_and_few_corners():
    css = (HERE / "static/console.css").read_text("utf-8")
    assert not re.search("shadow|gradient", css)
    rounded = re.findall(r"(\S+) \{[^}]*border-radius: [1-9]", css)
    assert set(rounded) <= {".state", ".bubble", ".chip"}


@one_database
@pytest.mark.parametrize("evil", CORPUS)
def test_what_is_stored_is_shown_as_text(make_app, questionnaires, evil):
    evil = evil.replace("\0", "").replace("{", "(").replace("}", ")")  # not in a questionnaire
    question = '[[questions]]\nkey = "a"\nask = "A?"'
    asking = (
        f"title = 'A'\nthanks = 'T'\nevent = {json.dumps(evil, ensure_ascii=False)}\n{question}"
    )
    (questionnaires / "a.toml").write_text(asking, "utf-8")
    app = make_app(people=questionnaires / evil.replace("/", "_"), **PROXY)
    app.files.problems = [evil]
    browser = Browser(app, "10.0.0.1")
    now, health = (
        browser.get(path, **{"Remote-User": "ann"}).body for path in ("/console", "/console/health")
    )
    for shown in (now, health):
        assert pages.SimpleTemplate("{{evil}}").render(evil=evil) in shown
        assert evils(shown) == []


@one_database
def test_an_error_page_and_the_log_show_nothing_of_what_was_sent(
    app, monkeypatch, caplog, cheap_passwords
):
    monkeypatch.setattr(logging.getLogger("smsconvo"), "propagate", True)
    caplog.set_level("INFO", "smsconvo")
    set_password(app)
    browser, marker = Browser(app, "192.0.2.99"), "Canary14158675308"
    headers = OWN | {"Cookie": marker, "User-Agent": marker, "Referer": marker}
    token = make_link(app)
    answers = [
        browser.get(f"/console/{marker}?{marker}=1", **headers),
        browser.post(f"/console/{marker}", headers),
        browser.post("/console/sign-in", headers, password=marker),
        browser.post(f"/console/sign-in?{marker}", headers, **{marker: marker}),
        browser.post("/console/sign-out", {"Origin": marker}),
        browser.post(f"/console/enter/{marker.ljust(43, 'x')}", headers),
        browser.post(f"/console/enter/{token}", headers),
        browser.ask(marker, "/console", headers),
    ]
    assert [answer.status for answer in answers] == [404, 404, 401, 400, 403, 403, 303, 405]
    assert not any(marker in answer.body for answer in answers)
    assert [record.message for record in caplog.records].count("refused") == 7
    told = "".join(str(record.__dict__) for record in caplog.records)
    for secret in (marker, token, PASSWORD, "192.0.2.99", browser.cookie.partition("=")[2]):
        assert secret not in told


@one_database
@pytest.mark.parametrize("table", ["console_sessions", "messages"])
def test_a_database_that_fails_gives_a_plain_page(browser, table):
    browser.enter()
    browser.app.database.write(lambda db: db.execute(text(f"ALTER TABLE {table} RENAME TO away")))
    answer = browser.get("/console/health")
    assert (answer.status, "<nav" in answer.body) == (503, False)
    assert "database does not answer" in answer.body


@one_database
def test_a_disk_that_takes_no_more_does_not_hide_the_pages(app, clock, browser, patch):
    browser.enter()
    clock.pass_(hours=2)

    def fail(session: ConsoleSession, db, now) -> None:
        raise OSError(28, "No space left on device")

    patch(ConsoleSession, "see", fail)
    assert browser.get("/console/health").status == 200


# Pages #######################################################################


def test_health_shows_what_is_wrong_and_no_secrets(make_app, patch):
    app = make_app(webhook_secrets=("whsec_" + "c21z" * 8,), results_to="http://a.example/?key=k")
    browser = Browser(app)
    browser.enter()
    page = browser.get("/console/health").body
    assert ("All is well." in page, "nobody has texted yet" in page) == (True, True)
    patch("health", "MIN_FREE_DISK", 2**62)
    if app.settings.on_sqlite:
        page = browser.get("/console/health").body
        assert "Texts get a 503" in page and "The disk is nearly full" in page
    for secret in (*app.settings.auth_tokens, *app.settings.webhook_secrets, "key=k"):
        assert secret not in page


@one_database
def test_health_says_when_somebody_texted_last(webhook):
    webhook.phone().text("Mats BBQ")
    browser = Browser(webhook.app)
    browser.enter()
    shown = 'title="2026-11-20 12:00:00 UTC">Fri 20 Nov, 12:00</time>'
    assert shown in browser.get("/console/health").body


@one_database
def test_sessions_are_listed_without_a_digest(app, clock, browser):
    browser.enter()
    clock.pass_(hours=3)
    page = browser.get("/console/sessions").body
    ((digest,),) = rows(app, "SELECT digest FROM console_sessions")
    assert "127.0.0.1" in page and "Fri 20 Nov, 15:00" in page
    assert digest not in page
