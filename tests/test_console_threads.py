"""The pages Threads and People."""

import re
from contextlib import closing
from html import unescape

import pytest
from browsing import Browser, evils, one_database, rows
from conftest import NUMBER, REY, STRANGER, Webhook, mostly_on_sqlite
from sqlalchemy import text
from test_console import CORPUS

from console import pages
from models.reports import people, thread, threads, walk
from models.reports.explanations import COOKIES, READ_AS, STATUSES, explain_code, explain_status
from storage.sqlite_connection import sqlite3

pytestmark = mostly_on_sqlite

OTHER = "+14155550101"  # another number of ours
ANN, BOB = "+14150000001", "+14150000002"


def run(webhook: Webhook, *statements: str, **values: object) -> None:
    for each in statements:
        webhook.app.database.write(lambda db, each=each: db.execute(text(each), values))


def write_by_hand(webhook: Webhook, *statements: str, **values: object) -> None:
    """As in the sqlite3 shell, which checks no references, in a database without our triggers."""
    path = webhook.app.settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for (name,) in triggers.fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("PRAGMA ignore_check_constraints = 1")
        for statement in statements:
            connection.execute(statement, values)
        connection.commit()


def listed(operator: Browser, query: str = "") -> list[int]:
    """The ids of the threads in the list, in its order."""
    answer = operator.get(f"/console/threads{query}")
    assert answer.status == 200
    return list(map(int, re.findall(r"/console/threads/(\d+)", answer.body)))


def seen(page: str) -> str:
    """What a reader sees of a page: without tags, and with single blanks."""
    return " ".join(unescape(re.sub("<[^>]*>", "", page)).split())


def converse(webhook: Webhook) -> None:
    """Threads 1 to 4: open, completed, stopped and gone silent."""
    for body in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
        webhook.phone(ANN).text(body)
    webhook.phone(BOB).text("Mats BBQ")
    webhook.phone(STRANGER, OTHER).text("Count")
    webhook.phone(BOB).text("STOP")
    run(webhook, "UPDATE conversations SET state = 'expired' WHERE id = 3")
    webhook.phone(REY).text("Mats BBQ")


# The list ####################################################################


def test_threads_are_listed_by_their_newest_text(webhook, operator):
    assert "Nobody has texted yet. Text anything to your number, or try it here." in seen(
        operator.get("/console/threads").body
    )
    converse(webhook)
    assert listed(operator) == [4, 2, 3, 1]
    webhook.phone(ANN).text("Thanks!")  # comes after the end
    assert listed(operator) == [1, 4, 2, 3]


def test_a_thread_is_listed_with_who_and_what_waits(webhook, operator):
    converse(webhook)
    page = seen(operator.get("/console/threads").body)
    assert f"Rey {REY} Mats BBQ open waits for Question1 Guest feedback" in page
    assert f"{BOB} STOP stopped at Question1" in page
    assert f"{ANN} Yes completed" in page
    assert f"{STRANGER} Count gone silent" in page
    assert "Fri 20 Nov, 12:00" in page


FILTERS = [
    ("?state=open", [4]),
    ("?state=completed", [1]),
    ("?state=stopped", [2]),
    ("?state=expired", [3]),
    ("?questionnaire=counter", [3]),
    ("?questionnaire=feedback", [4, 2, 1]),
    (f"?number=%2B{OTHER[1:]}", [3]),
    (f"?number=%2B{NUMBER[1:]}&state=stopped", [2]),
    ("?waits=them", [4]),
    ("?waits=us", []),
    ("?undelivered=yes", []),
    ("?q=Rey", [4]),
    ("?q=rEY", [4]),
    ("?q=%2B1+(415)+867-5309", [3]),
    ("?q=5309", [3]),
    ("?q=Rey&state=stopped", []),
    ("?q=308", [4]),
    ("?q=09", []),
    ("?q=%25", []),
    ("?q=nobody", []),
]


@pytest.mark.parametrize(("query", "ids"), FILTERS)
def test_threads_are_filtered_by_the_address(webhook, operator, query, ids):
    converse(webhook)
    assert listed(operator, query) == ids
    is_empty = "No conversation matches. Clear filters." in seen(
        operator.get(f"/console/threads{query}").body
    )
    assert is_empty == (not ids)


ODD = ["state=x", "before=x", "before=-1", f"before={'9' * 30}", "waits=", "number=%00", "q=%00"]
ODD += ["q=%EF%BF%BE", "q=%ED%A0%80", "number=x&number=y", "before=0", f"before={2**63 - 1}"]
ODD += ["questionnaire=%27%20OR%201", "q=" + "9" * 500, "q=%2B", "q=_____", "&".join(["q=a"] * 200)]


@pytest.mark.parametrize("query", ODD)
def test_odd_filters_are_no_error(webhook, operator, query):
    webhook.phone().text("Mats BBQ")
    for path in ("threads", "threads/1", "people", "people/1"):
        assert operator.get(f"/console/{path}?{query}").status == 200, path


@one_database
@pytest.mark.parametrize("id", ["0", "2", "-1", "x", "9" * 18, "9" * 19, "Ù£"])
@pytest.mark.parametrize("path", ["threads", "people"])
def test_a_row_that_is_not_there_is_no_page(webhook, operator, path, id):
    webhook.phone().text("Mats BBQ")
    assert operator.get(f"/console/{path}/1").status == 200
    assert operator.get(f"/console/{path}/{id}").status == 404


def listed_by_page(operator: Browser, query: str = "") -> list[list[int]]:
    """The ids of the threads on each page."""
    found = []
    while query is not None:
        page = operator.get(f"/console/threads{query}").body
        found.append(list(map(int, re.findall(r"/console/threads/(\d+)", page))))
        older = re.search(r'href="(\?[^"]*)" rel="next"', page)
        query = older and unescape(older[1])
    return found


@one_database
def test_older_threads_are_on_further_pages_each_once(webhook, operator, patch):
    patch(threads, "PAGE_SIZE", 2)
    for number in range(5):
        webhook.phone(f"+1415000000{number}").text("Mats BBQ")
    webhook.phone("+14150000000").text("Blue")
    assert listed_by_page(operator) == [[1, 5], [4, 3], [2]]
    assert listed_by_page(operator, "?undelivered=yes") == [[]]
    for _ in range(2):  # replies of each
        for number in range(1, 5):
            webhook.phone(f"+1415000000{number}").text("?")
    run(webhook, "UPDATE messages SET status = 'undelivered' WHERE direction = 'outbound'")
    webhook.phone("+14150000000").text("?")  # the reply to that may have arrived
    assert listed_by_page(operator, "?undelivered=yes") == [[5, 4], [3, 2]]


@one_database
@pytest.mark.parametrize("edited", [1, 2, 3])
def test_a_row_that_cannot_be_read_hides_no_older_one_of_a_figure(webhook, operator, patch, edited):
    patch(threads, "PAGE_SIZE", 2)
    for number in range(5):
        webhook.phone(f"+1415000000{number}").text("Mats BBQ")
    write_by_hand(webhook, f"UPDATE contacts SET name = x'ff' WHERE id = {edited}")
    found = listed_by_page(operator, "?outcome=started&questionnaire=feedback")
    pages = [[5, 4], [3, 2], [1]]
    assert found == [[id for id in page if id != edited] for page in pages]


@one_database
def test_a_filter_looks_at_so_many_texts_and_then_further_back(webhook, operator, patch):
    patch(walk, "CHUNK", 2)
    patch(walk, "LOOKED", 6)
    converse(webhook)
    page = operator.get("/console/threads?state=completed").body
    assert "No conversation matches among these." in seen(page)
    (older,) = re.findall(r'href="(\?[^"]*)" rel="next">Look further back', page)
    assert listed(operator, unescape(older)) == [1]


def fail(webhook: Webhook, phone, code: str = "30003") -> None:
    phone.report(phone.last.replies[-1], "undelivered", code)


def test_replies_that_did_not_arrive_are_marked_until_another_does(webhook, operator):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    fail(webhook, phone)
    webhook.phone(ANN).text("Mats BBQ")
    for query in ("?undelivered=yes", "?waits=us"):
        assert listed(operator, query) == [1]
    page = seen(operator.get("/console/threads").body)
    assert "did not arrive the phone is off or out of reach (30003) Guest feedback" in page
    phone.text("Blue")
    phone.report(phone.last.replies[-1], "delivered")
    assert listed(operator, "?undelivered=yes") == []
    assert listed(operator, "?waits=them") == [1, 2]


@one_database
def test_a_text_that_was_set_aside_waits_for_us(webhook, operator):
    webhook.phone().text("Mats BBQ")
    run(webhook, "UPDATE messages SET read_as = 'set aside' WHERE id = 1")
    assert listed(operator, "?waits=us") == [1]


# One thread ##################################################################


def test_a_thread_shows_each_text_with_what_it_was_read_as(webhook, operator):
    phone = webhook.phone()
    for body in ("Mats BBQ", "Blue", "Pizza", "?", "Yes", "Thanks"):
        webhook.clock.pass_(minutes=1)
        phone.text(body)
    page = operator.get("/console/threads/1").body
    assert page.count('class="text in"') == 6
    ((replies,),) = rows(webhook.app, "SELECT count(*) FROM messages WHERE direction = 'outbound'")
    assert page.count('class="text out"') == replies
    shown = seen(page)
    assert "Friday 20 November 2026 Started by “Mats BBQ”" in shown
    assert "Blue 12:02 · answer to Question1 " in shown and "opened the conversation" in shown
    assert "came after the end" in shown
    assert shown.index("Yes 12:05") < shown.index("Completed · 12:05") < shown.index("Thanks 12:06")
    answers = "SELECT key, value, message_id FROM answers ORDER BY message_id"
    found = re.findall(r'<code>(\w+)</code></dt>\s*<dd><a href="#m(\d+)"[^>]*>([^<]+)<', page)
    assert found == [(key, str(id), value) for key, value, id in rows(webhook.app, answers)]
    assert all(f'id="m{id}"' in page for _, id, _ in found)


def test_every_person_and_thread_leads_to_its_page(webhook, operator):
    converse(webhook)
    for id, contact in ((1, 1), (2, 2), (3, 3), (4, 4)):
        assert f'href="/console/people/{contact}"' in operator.get(f"/console/threads/{id}").body
        person = operator.get(f"/console/people/{contact}")
        assert person.status == 200 and f'href="/console/threads/{id}#m' in person.body


def test_a_reply_shows_what_became_of_it_and_its_segments(webhook, operator):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    page = seen(operator.get("/console/threads/1").body)
    assert "no report yet · 1 segment no status · GSM-7" in page
    fail(webhook, phone)
    page = seen(operator.get("/console/threads/1").body)
    assert "did not arrive: the phone is off or out of reach (30003) · 1 segment" in page
    assert "undelivered · 30003 · GSM-7" in page


@one_database
def test_parameters_of_a_text_are_kept_behind_a_fold(webhook, operator):
    webhook.phone().text("Mats BBQ", FromCity="SAUSALITO")
    page = operator.get("/console/threads/1").body
    (fold,) = re.findall("<details>(?:(?!</details>).)*SAUSALITO.*?</details>", page, re.DOTALL)
    assert f"From{REY}" in seen(fold).replace(" ", "")


@one_database
def test_what_comes_with_a_text_is_named_and_linked(webhook, operator):
    phone = webhook.phone()
    types = {
        "https://api.twilio.com/a?b&c": "image/jpeg",
        "javascript:alert(1)": "x/<b>",
        "http://v": "video/mp4",
    }
    for url, type in types.items():
        phone.text("Hi", NumMedia="1", MediaUrl0=url, MediaContentType0=type)
    page = operator.get("/console/threads/1").body
    photos = [
        seen(each) for each in re.findall('<span class="photo">.*?</span>\n</p>', page, re.DOTALL)
    ]
    assert photos == [
        "▧ A picture image/jpeg · Open it at Twilio",
        "▧ A file x/<b> · not at a web address",
        "▧ A video video/mp4 · Open it at Twilio",
    ]
    assert 'href="https://api.twilio.com/a?b&amp;c" rel="noopener noreferrer"' in page
    assert "<img" not in page and 'href="javascript' not in page and evils(page) == []


@one_database
def test_lost_and_wrong_cookies_are_named(webhook, operator):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    assert COOKIES["none"] not in operator.get("/console/threads/1").body  # there was none yet
    phone.cookies["conversation"] = "0" * 32
    phone.text("Blue")
    phone.cookies.clear()
    phone.text("Pizza")
    page = seen(operator.get("/console/threads/1").body)
    assert COOKIES["none"] in page and COOKIES["missing"] in page


@one_database
def test_what_was_skipped_and_the_silence_stand_between_the_texts(serve, questionnaires):
    (questionnaires / "party.toml").write_text(
        'title = "P"\nevent = "Party"\nthanks = "T"\nresume = "24h"\ntimezone = "Asia/Tokyo"\n'
        '[[questions]]\nkey = "who"\noptional = true\nask = "Who?"\n'
        '[[questions]]\nkey = "day"\nkind = "date"\nask = "Which day?"\n',
        "utf-8",
    )
    webhook = serve()
    operator, phone = Browser(webhook.app), webhook.phone()
    operator.enter()
    phone.text("Party")
    phone.text("SKIP")
    webhook.clock.pass_(hours=5)
    phone.text("hello")
    page = seen(operator.get("/console/threads/1").body)
    assert "who was skipped" in page and "Gone silent, and resumed" in page
    assert "Friday 20 November 2026" in page and "Saturday 21 November 2026" in page
    assert "Times in Asia/Tokyo." in page and "hello 02:00" in page


def test_a_result_is_said_with_its_receiver_and_what_became_of_it(webhook, operator):
    webhook.phone().text("Mats BBQ")
    run(
        webhook,
        "INSERT INTO outbox (conversation_id, webhook_id, url, format, payload, state, attempts,"
        " unfinished, unconfirmed, last_status, created_at, delivered_at)"
        " SELECT 1, 'a', 'https\\://forms.example.org/x?secret=1', 'json', '{}', 'delivered', 1, 0,"
        " 0, 200, started_at, started_at FROM conversations",
    )
    page = operator.get("/console/threads/1").body
    assert "Result 1 for forms.example.org was delivered, 200" in seen(page)
    assert "secret" not in page and 'href="/console/outbox/1"' in page


@one_database
def test_of_a_long_thread_the_newest_texts_are_shown(webhook, operator, patch):
    patch(thread, "PAGE_SIZE", 3)
    phone = webhook.phone()
    for body in ("Mats BBQ", "Blue", "Pizza", "Cola"):
        phone.text(body)
    page = operator.get("/console/threads/1").body
    assert re.findall(r'id="m(\d+)"', page) == ["6", "7", "8"]
    assert "Started by" not in page
    assert 'href="?before=4#m3"' in page  # of the first answer
    found = re.findall(r'id="m(\d+)"', operator.get("/console/threads/1?before=4").body)
    assert found == ["1", "2", "3"]
    (earlier,) = re.findall(r'href="(\?before=\d+)">Earlier texts', page)
    assert re.findall(r'id="m(\d+)"', operator.get(f"/console/threads/1{earlier}").body) == [
        "3",
        "4",
        "5",
    ]


def pages_of_thread(operator: Browser) -> list[str]:
    """What a reader sees of each page of thread 1, the newest first."""
    found, query = [], ""
    while query is not None:
        page = operator.get(f"/console/threads/1{query}").body
        found.append(page)
        earlier = re.search(r'href="(\?before=\d+)">Earlier texts', page)
        query = earlier and earlier[1]
    return found


@one_database
@pytest.mark.parametrize("unreadable", [0, 3, 4])
def test_what_happened_is_on_one_page_of_a_long_thread(webhook, operator, patch, unreadable):
    phone = webhook.phone()
    for body in ("Mats BBQ", "Blue", "Pizza", "Cola"):
        webhook.clock.pass_(minutes=1)
        phone.text(body)
    run(
        webhook,
        "INSERT INTO outbox (conversation_id, webhook_id, url, format, payload, state, attempts,"
        " unfinished, unconfirmed, created_at)"
        " SELECT 1, id, 'https\\://x.example', 'json', '{}', 'pending', 0, 0, 0, created_at"
        " FROM messages WHERE id IN (1, 3, 5)",
    )
    if unreadable:
        write_by_hand(webhook, f"UPDATE messages SET body = x'ff' WHERE id = {unreadable}")
    ids = [str(id) for id in range(1, 9) if id != unreadable]
    for size in (1, 2, 3, 4, 5, 7, 8):
        patch(thread, "PAGE_SIZE", size)
        found = pages_of_thread(operator)
        assert len(found) == -(-8 // size)
        shown = "".join(reversed(found))
        assert re.findall(r'id="m(\d+)"', shown) == ids, size
        assert shown.count("Started by") == 1 and "Started by" in found[-1]
        assert re.findall(r"Result (\d) for", shown) == ["1", "2", "3"], size
        assert shown.count(f"messages {unreadable}: body") == bool(unreadable)


# People ######################################################################


def test_people_are_listed_with_their_conversations(webhook, operator):
    assert "Nobody has texted yet." in seen(operator.get("/console/people").body)
    converse(webhook)
    webhook.clock.pass_(days=1)
    webhook.phone(ANN).text("Mats BBQ")
    page = operator.get("/console/people").body
    assert re.findall(r"/console/people/(\d+)", page) == ["4", "3", "2", "1"]
    shown = seen(page)
    assert f"{ANN} 2 Fri 20 Nov, 12:00 Sat 21 Nov, 12:00 no" in shown
    assert f"{BOB} 1 Fri 20 Nov, 12:00 Fri 20 Nov, 12:00 Fri 20 Nov, 12:00 by texting “STOP”" in (
        shown
    )


PEOPLE = [
    ("?show=opted-out", [2]),
    ("?q=0001", [1]),
    ("?q=rey", [4]),
    ("?q=rey&show=opted-out", []),
    ("?q=STOP", []),
]


@pytest.mark.parametrize(("query", "ids"), PEOPLE)
def test_people_are_found_and_filtered(webhook, operator, query, ids):
    converse(webhook)
    page = operator.get(f"/console/people{query}").body
    assert list(map(int, re.findall(r"/console/people/(\d+)", page))) == ids
    assert ("Nobody matches." in page) == (not ids)


@one_database
def test_a_search_that_finds_too_many_says_so(webhook, operator, patch):
    for n in range(3):
        webhook.phone(f"+1{n}155550000").text("Mats BBQ")
    for most, says in ((2, True), (3, True), (4, False)):
        patch("models.reports.people", "MAX_FOUND", most)
        for page in ("threads", "people"):
            body = operator.get(f"/console/{page}?q=5550000").body
            assert ("There may be others: a search stops" in body) == says, (page, most)
    patch("models.reports.threads", "PAGE_SIZE", 2)
    body = operator.get("/console/threads?q=5550000").body
    assert "There may be others" in body and body.count('role="rowheader"') == 2


def test_the_threads_of_a_person_are_in_time_order_with_what_opted_out(webhook, operator):
    phone = webhook.phone()
    for body in ("Mats BBQ", "STOP", "START", "Mats BBQ", "please stop texting me"):
        webhook.clock.pass_(minutes=1)
        phone.text(body)
    page = operator.get("/console/people/1").body
    ids = [int(id) for id in re.findall(r"/console/threads/(\d+)#", page)]
    assert ids == [id for (id,) in rows(webhook.app, "SELECT id FROM conversations ORDER BY id")]
    shown = seen(page)
    assert shown.count("opted out, by “STOP”") == 1 and "opted in again, by “START”" in shown
    assert "opted out Fri 20 Nov, 12:05. They get nothing more until they text START." in shown


def test_names_of_the_file_count_and_those_that_it_no_longer_has(webhook, operator):
    for phone in (REY, ANN):
        webhook.phone(phone).text("Mats BBQ")
    run(
        webhook,
        "UPDATE contacts SET name = NULL WHERE id = 1",
        "UPDATE contacts SET name = 'Ann_100%' WHERE id = 2",
    )
    for path in ("threads", "people"):
        page = seen(operator.get(f"/console/{path}").body)
        assert f"Rey {REY}" in page and f"Ann_100% {ANN}" in page
    assert [
        listed(operator, f"?q={each}") for each in ("R%C3%89Y", "ann", "n_1", "0%25", "n%25_")
    ] == [
        [1],
        [2],
        [2],
        [2],
        [],
    ]


@one_database
def test_other_addresses_of_a_sender_are_named(webhook, operator):
    webhook.phone().text("Mats BBQ")
    webhook.phone(f"whatsapp:{REY}").text("STOP")
    assert "other addresses" in seen(operator.get("/console/people/1").body)
    page = seen(operator.get("/console/people?show=opted-out").body)
    assert "by texting “STOP”" in page and "not by a text from here" in page


@one_database
def test_people_and_their_threads_are_on_several_pages(webhook, operator, patch):
    for number in range(1, 4):
        webhook.phone(f"+1415000000{number}").text("Mats BBQ")
    patch(people, "PAGE_SIZE", 2)
    page = operator.get("/console/people").body
    assert re.findall(r"/console/people/(\d+)", page) == ["3", "2"]
    (older,) = re.findall(r'href="(\?[^"]*)" rel="next"', page)
    page = operator.get(f"/console/people{unescape(older)}").body
    assert re.findall(r"/console/people/(\d+)", page) == ["1"] and 'rel="next"' not in page


# Whatever is in the rows #####################################################


@one_database
@pytest.mark.parametrize("evil", [*CORPUS, "", "x" * 1600, "שלום עולם", "👨‍👩‍👧‍👦" * 30])
def test_what_guests_text_is_shown_as_text(webhook, operator, evil):
    webhook.phone().text("Mats BBQ")
    write_by_hand(
        webhook,
        "UPDATE messages SET body = :evil, read_as = :evil, cookie = :evil, status = :evil",
        "UPDATE contacts SET name = :evil, phone = phone || :evil, alias = :evil",
        "UPDATE conversations SET sender = sender || :evil, event = :evil, number = :evil",
        evil=evil,
    )
    shown = pages.SimpleTemplate("{{evil}}").render(evil=evil)
    for path in ("threads", "threads/1", "people", "people/1", "threads?number=x", "people?q=x"):
        page = operator.get(f"/console/{path}")
        assert page.status == 200 and evils(page.body) == [], path
        assert shown in page.body or "?" in path


UNREADABLE = [
    "UPDATE conversations SET active_at = 'soon' WHERE id = 2",
    "UPDATE conversations SET started_at = x'ff' WHERE id = 2",
    "UPDATE conversations SET questionnaire_id = 99 WHERE id = 2",
    "UPDATE conversations SET sender = '+0' WHERE id = 2",
    "UPDATE conversations SET number = x'ff' WHERE id = 2",
    "UPDATE contacts SET opted_out_at = 'yes' WHERE id = 2",
    "UPDATE contacts SET name = x'ff' WHERE id = 2",
    "UPDATE contacts SET phone = x'ff' WHERE id = 2",
    "UPDATE messages SET created_at = 'soon', read_as = x'ff' WHERE conversation_id = 2",
    "UPDATE messages SET params = '[', media = 7, body = 7 WHERE conversation_id = 2",
    "UPDATE messages SET params = '[1]' WHERE conversation_id = 2",
    "UPDATE messages SET conversation_id = 'x' WHERE conversation_id = 2",
    "UPDATE answers SET answered_at = '', value = x'ff' WHERE conversation_id = 2",
    "UPDATE questionnaires SET definition = '{'",
    "UPDATE questionnaires SET name = x'ff'",
]


@one_database
@pytest.mark.parametrize("change", UNREADABLE)
def test_rows_that_cannot_be_read_break_no_page(webhook, operator, change):
    webhook.phone(ANN).text("Mats BBQ")
    for body in ("Mats BBQ", "Blue", "STOP"):
        webhook.phone(BOB).text(body)
    write_by_hand(webhook, change)
    paths = ["threads", "people", "people?show=opted-out", "threads?q=0002", "people?q=0002"]
    paths += [f"{each}/{id}" for each in ("threads", "people") for id in (1, 2)]
    for path in paths:
        assert operator.get(f"/console/{path}").status == 200, path
    if "questionnaires SET name" not in change:
        assert ANN in operator.get("/console/threads").body


def test_every_word_of_ours_has_an_explanation():
    known = (pages.ROOT / "docs" / "architecture.md").read_text("utf-8")
    table = known.partition("## What a text is read as")[2].partition("\n## ")[0]
    first_cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert {name for cell in first_cells for name in re.findall("`([^`]+)`", cell)} - {
        "read_as"
    } == set(READ_AS)
    cookies = known.partition("| cookie | meaning |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", cookies, re.MULTILINE)) == set(COOKIES)


def test_a_status_that_is_not_known_is_shown_as_it_is():
    assert explain_status(None) == "no report yet"
    assert explain_status("delivered") == STATUSES["delivered"]
    assert explain_status("new status") == "new status"
    assert explain_code("30007") == "filtered by the network as unwanted (30007)"
    assert explain_code("99999") == "Twilio's code is 99999"
    assert explain_code(None) == ""
