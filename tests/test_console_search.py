"""The search of the console: numbers, names and words."""

import os
import re
from contextlib import closing
from datetime import timedelta
from html import unescape
from urllib.parse import quote_plus

import pytest
from browsing import Browser, evils, one_database
from click.testing import CliRunner
from conftest import REY, STRANGER, Webhook, mostly_on_sqlite
from sqlalchemy import text
from test_console import CORPUS

from commands import cli
from models import search_index
from models.reports import search, search_terms
from models.reports.search_terms import SearchTerms
from storage import versions
from storage.sqlite_connection import sqlite3
from worker.indexing import IndexTexts

pytestmark = mostly_on_sqlite

ANN, BOB = "+14150000001", "+14150000002"
SAID = [
    "No thanks, the PIZZA was cold",  # 1, as replies have the even ids
    "thanks? No, pizza",
    "Zoë mag Käse",
    "ПРИВЕТ мир",
    "e-mail me: ann@example.org",
    "שלום עולם 🍕",
    "日本語",
]


@pytest.fixture
def said(webhook: Webhook) -> Webhook:
    for body in SAID:
        webhook.phone(ANN).text(body)
    webhook.phone(REY).text("Mats BBQ")
    return webhook


def index(webhook: Webhook) -> None:
    """As the worker does once all transactions have ended."""
    IndexTexts(webhook.app.database).run(webhook.clock() + timedelta(minutes=2))


def add_some(webhook: Webhook, count: int) -> None:
    later = webhook.clock() + timedelta(minutes=2)
    webhook.app.database.write(lambda db: search_index.add_texts(db, later, count))


def run(webhook: Webhook, *statements: str, **values: object) -> None:
    for each in statements:
        webhook.app.database.write(lambda db, each=each: db.execute(text(each), values))


def count_indexed(webhook: Webhook) -> int:
    postgresql = webhook.app.database.engine.dialect.name == "postgresql"
    table = "message_search" if postgresql else "message_search_docsize"
    ((count,),) = webhook.rows(f"SELECT count(*) FROM {table}")
    return count


def look(operator: Browser, query: str, rest: str = "") -> str:
    answer = operator.get(f"/console/search?q={quote_plus(query)}{rest}")
    assert answer.status == 200
    assert evils(answer.body) == []
    return answer.body


def found(operator: Browser, query: str, rest: str = "") -> list[str]:
    """The texts that a search finds, with brackets around what is marked."""
    page = look(operator, query, rest)
    texts = re.findall(r'<span dir="auto">(.*?)</span>', page, re.DOTALL)
    return [unescape(re.sub("</?mark>", "|", each)).strip() for each in texts]


def people(operator: Browser, query: str) -> list[int]:
    listed = look(operator, query).partition("<h2>People</h2>")[2].partition("</ul>")[0]
    return list(map(int, re.findall(r"/console/people/(\d+)", listed)))


def seen(page: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", "", page)).split())


QUERIES = [
    ("pizza", [1, 0]),
    ("PIZZA no", [1, 0]),
    ('"no thanks"', [0]),
    ("“thanks no”", [1]),
    ("piz", []),
    ("zoe", [2]),
    ("kase ZOË", [2]),
    ("привет", [3]),
    ("e-mail", [4]),
    ("mail-e", []),
    ("ann@example.org", [4]),
    ("עולם", [5]),
    ("日本語", [6]),
    ("pizza OR привет", []),
    ("NEAR(pizza no)", []),
    ("pizza*", [1, 0]),
    ("body:pizza", []),
    ("0", []),
    ("slice:0", []),
    ("no NOT pizza", []),
    ("-pizza", [1, 0]),
    ("^no", [1, 0]),
    ("pizza' & ''", [1, 0]),
]


def test_words_are_found_before_they_are_in_the_index_and_after(said, operator):
    before = {query: found(operator, query) for query, _ in QUERIES}
    assert count_indexed(said) == 0
    index(said)
    assert count_indexed(said) == len(said.rows("SELECT id FROM messages"))
    for query, expected in QUERIES:
        bodies = [each.replace("|", "") for each in found(operator, query)]
        assert bodies == [SAID[n] for n in expected], query
        assert before[query] == found(operator, query), query


def test_a_text_is_shown_with_what_was_found_who_when_and_its_thread(said, operator):
    index(said)
    assert found(operator, "no cold pizza")[0] == "|No| thanks, the |PIZZA| was |cold|"
    assert found(operator, "zoe") == ["|Zoë| mag Käse"]
    assert found(operator, '"no thanks"') == ["|No thanks|, the PIZZA was cold"]
    assert "they: Zoë mag Käse Thread 1 completed Guest feedback Fri 20 Nov, 12:00" in seen(
        look(operator, "zoe")
    )
    page = look(operator, "bbq")
    assert 'href="/console/threads/2?before=14#m13"' in page
    assert f"Rey {REY} they: Mats BBQ Thread 2 open Guest feedback" in seen(page)
    assert 'id="m13"' in operator.get("/console/threads/2?before=14").body


def test_the_middle_of_a_long_text_is_shown_where_it_was_found():
    parts = SearchTerms.of("needle").mark(f"{'hay ' * 300}needle{' hay' * 300}")
    assert [part for part, is_found in parts if is_found] == ["needle"]
    assert parts[0][0] == parts[-1][0] == "…"
    assert sum(len(part) for part, _ in parts) <= search_terms.EXCERPT + 2


@pytest.mark.parametrize(
    "query",
    [*(REY, "+1 (415) 867-5308", "415 867 5308", "8675308", "1415867", "415-867"), *("Rey", "rE")],
)
def test_people_are_found_by_a_part_of_a_number_and_by_name(said, operator, query):
    ((rey,),) = said.rows(f"SELECT id FROM contacts WHERE phone = '{REY}'")
    assert rey in people(operator, query)


def test_a_text_is_found_by_its_sid(said, operator):
    ((sid,),) = said.rows("SELECT sid FROM messages WHERE id = 1")
    assert found(operator, sid) == [SAID[0]]
    assert found(operator, f"{sid[:-1]}x") == []


ODD = ["", " ", "?!", "🍕", "a" * 10_000, "\0", "\ud7ff", "%_'\"", '"', '""', "“", "\u202e", "()"]
ODD += ["' OR 1=1 --", "q " * 90, "1e5", "x" * 200, "\ufffe", "é" * 199, "9" * 199, "' 0'", ":q:*"]


def test_odd_queries_find_nothing_and_say_so(said, operator):
    index(said)
    for query in ODD:
        page = look(operator, query)
        assert "/console/threads/" not in page.partition("</header>")[2], query
        assert re.search(r"Type a number|at most|no text has these words", page), query
    assert "Search for 200 characters at most." in look(operator, "a" * 201)
    for rest in ("&before=0", "&before=x", f"&before={2**63 - 1}", "&before=-1", "&q=", "&q=pizza"):
        look(operator, "pizza", rest)


@pytest.mark.parametrize("evil", CORPUS)
def test_what_strangers_text_is_shown_as_text(webhook, operator, evil):
    webhook.phone(ANN).text(f"needle {evil}")
    index(webhook)
    for query in ("needle", evil):
        assert "<script>" not in look(operator, query)
    assert found(operator, "needle")


def test_more_than_a_page_is_shown_page_by_page(webhook, operator, patch):
    for n in range(7):
        webhook.phone(ANN).text(f"needle {n}")
        if n == 3:
            index(webhook)
    patch(search, "MAX_TEXTS", 3)
    pages, page = [], "/console/search?q=needle"
    while page:
        body = operator.get(page).body
        pages.append(re.findall(r"</mark> (\d)", body))
        link = re.search(r'<a href="(\?[^"]+)" rel="next">Older', body)
        page = f"/console/search{unescape(link[1])}" if link else None
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"]]


# A copy of the first texts, so many slices further back than the newest ones, and what it says.
COPY = """
INSERT INTO messages (id, direction, sender, recipient, body, created_at)
SELECT id + {slices} * 100000, direction, sender, recipient, '{body}', created_at
FROM messages WHERE id = 1
"""


def pages_of(operator: Browser, query: str) -> list[list[str]]:
    """The texts of each page; all but the last have a link that goes on."""
    page, pages = f"/console/search?q={quote_plus(query)}", []
    while page and len(pages) < 20:
        body = operator.get(page).body
        pages.append(re.findall(r'<span dir="auto">(.*?)</span>', body, re.DOTALL))
        link = re.search(r'<a href="(\?[^"]+)" rel="next">Look further', body)
        page = f"/console/search{unescape(link[1])}" if link else None
        assert pages[-1] or not link or "None of the texts looked through has" in seen(body)
    return [[seen(each) for each in found] for found in pages]


def test_where_it_takes_long_one_can_look_further_back(webhook, operator, patch):
    webhook.phone(ANN).text("needle thread")
    for slices, body in enumerate(["needle", "thread", "needle thread 3", "needle", "needle"], 1):
        run(webhook, COPY.format(slices=slices, body=body))
    index(webhook)
    found = ["needle thread 3", "needle thread"]
    patch(search, "RARE", 0)
    patch(search, "LOOK_SECONDS", 60)  # however busy the machine is
    assert pages_of(operator, "thread needle") == [found]
    patch(search, "LOOK_SECONDS", 0)  # so each page looks into one slice
    pages = [[], [], [found[0]], [], [], [found[1]]]
    assert pages_of(operator, "thread needle") == pages
    assert pages_of(operator, '"needle thread"') == pages
    if webhook.app.settings.on_sqlite:
        assert pages_of(operator, "needle nowhere") == [[]]
        patch(search, "RARE", 100)
        assert pages_of(operator, "thread needle") == [found]
        assert pages_of(operator, '"needle thread" 3') == [found[:1]]


@one_database
def test_words_of_a_phrase_may_stand_apart_in_many_texts(webhook, operator, patch):
    for n in range(7):
        webhook.phone(ANN).text("thread needle" if n in (0, 4) else f"needle {n} thread")
    index(webhook)
    patch(search, "AT_ONCE", 2)
    patch(search, "RARE", 0)
    patch(search, "LOOK_SECONDS", 60)
    assert pages_of(operator, '"thread needle"') == [["thread needle"] * 2]
    patch(search, "LOOK_SECONDS", 0)
    pages = pages_of(operator, '"thread needle"')
    assert [each for page in pages for each in page] == ["thread needle"] * 2
    assert len(pages) > 3


def test_the_page_says_how_far_the_index_is_while_it_is_made(said, operator, patch):
    assert "index of words" not in look(operator, "pizza")
    patch(search, "NOT_INDEXED", 3)
    assert "The index of words is being made. Of all others" in seen(look(operator, "bbq"))
    assert found(operator, "zoe") == []
    add_some(said, 5)
    page = seen(look(operator, "bbq"))
    assert "It has the texts up to Fri 20 Nov, 12:00. Of all others," in page


# The index ###################################################################


WORDS = "SELECT term, doc, col, offset FROM {}_words ORDER BY 1, 2, 3, 4"
FRESH = """
CREATE VIRTUAL TABLE temp.fresh USING fts5(body, slice, tokenize='unicode61 remove_diacritics 2');
INSERT INTO temp.fresh (rowid, body, slice) SELECT id, body, id / 100000 FROM messages;
CREATE VIRTUAL TABLE temp.fresh_words USING fts5vocab(temp, fresh, instance);
CREATE VIRTUAL TABLE temp.kept_words USING fts5vocab(main, message_search, instance);
"""


def check_integrity(webhook: Webhook) -> None:
    """That FTS5 has the words of all texts, and of no others."""
    if not webhook.app.settings.on_sqlite:
        return
    run(webhook, "INSERT INTO message_search (message_search) VALUES ('integrity-check')")
    file = webhook.app.settings.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(FRESH)
        fresh, kept = (
            connection.execute(WORDS.format(each)).fetchall() for each in ("fresh", "kept")
        )
    assert kept == fresh


CHANGES = (
    "UPDATE messages SET body = 'ramen' WHERE id = 1",
    "UPDATE messages SET body = 'sushi' WHERE id = 1",
    "UPDATE messages SET status = 'sent' WHERE id = 2",
    "DELETE FROM messages WHERE id = 11",
)


def test_what_is_deleted_or_edited_is_so_in_the_index_too(said, operator):
    index(said)
    count = count_indexed(said)
    run(said, *CHANGES)
    assert found(operator, "עולם") == []
    index(said)
    check_integrity(said)
    for word in ("cold", "ramen", "עולם"):
        assert found(operator, word) == [], word
    assert found(operator, "sushi") == ["|sushi|"]
    assert count_indexed(said) == count - 1
    if said.app.settings.on_sqlite:
        words = b"".join(block for (block,) in said.rows("SELECT block FROM message_search_data"))
        assert b"sushi" in words
        assert b"cold" not in words or sqlite3.sqlite_version_info < (3, 42)
        assert said.rows("SELECT * FROM erased_words") == []


def test_what_is_not_in_the_index_yet_can_be_deleted_and_edited(said, operator):
    add_some(said, 2)
    run(said, *CHANGES, "UPDATE messages SET body = 'curry' WHERE id = 5")
    index(said)
    check_integrity(said)
    for word in ("cold", "ramen", "עולם", "zoe"):
        assert found(operator, word) == [], word
    assert (found(operator, "sushi"), found(operator, "curry")) == (["|sushi|"], ["|curry|"])


def test_the_index_grows_with_the_texts_and_in_no_turn(said, operator):
    index(said)
    before = count_indexed(said)
    said.phone(STRANGER).text("more")
    assert count_indexed(said) == before
    index(said)
    assert count_indexed(said) > before
    index(said)


def test_search_rebuild_reads_all_texts_again(said, operator):
    index(said)
    count = count_indexed(said)
    run(said, "UPDATE messages SET body = 'sushi' WHERE id = 1")
    url = said.app.settings.database_url
    ended = CliRunner(env={"DATABASE_URL": url}).invoke(cli, ["search", "rebuild"])
    assert ended.exit_code == 0, ended.output
    assert f"Read {count} texts. The search knows their words now." in ended.output
    assert count_indexed(said) == count
    assert (found(operator, "sushi"), found(operator, "cold")) == (["|sushi|"], [])


def test_a_rebuild_that_is_interrupted_is_ended_by_the_worker(said, operator):
    index(said)
    count = count_indexed(said)
    said.app.database.write(search_index.clear)
    assert count_indexed(said) == 0
    assert found(operator, "pizza")  # the newest are looked through
    index(said)
    assert count_indexed(said) == count


def test_every_page_has_the_box(operator):
    for path in ("", "/threads", "/search?q=x%22%3E%3Cb%3E", "/health"):
        page = operator.get(f"/console{path}").body
        assert re.search(r'<label class="unseen" for="search">.*<input id="search" name="q"', page)
    assert 'value="x&quot;&gt;&lt;b&gt;"' in operator.get("/console/search?q=x%22%3E%3Cb%3E").body


@one_database
def test_a_sqlite_without_fts5_is_refused_with_a_sentence(said, patch):
    patch(versions, "FTS5", text("SELECT 0"))
    environ = {"DATABASE_URL": said.app.settings.database_url}
    for command in ("search rebuild", "upgrade", "plan", "deliver"):
        ended = CliRunner(env=environ).invoke(cli, command.split())
        assert ended.exit_code == os.EX_CONFIG, command
        assert "has no FTS5, which the search" in ended.output and "Traceback" not in ended.output
