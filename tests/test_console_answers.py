"""The page of answers: its figures against SQL written apart, its filters, and its files."""

import csv
import io
import json
import random
import re
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from html import unescape
from html.parser import HTMLParser
from statistics import mean, median
from urllib.parse import quote, urlencode

import openpyxl
import pytest
from browsing import CORPUS, Answer, Browser, evils, one_database, rows
from conftest import NUMBER, REY, Webhook, mostly_on_sqlite
from test_export import show
from test_rows import execute_unchecked

import formats
from models.reports import answers
from models.set_aside import take
from models.text import IncomingText
from models.turn import Given
from storage.database import MAX_REPORTS
from worker.expiry import expire_silent

PARTY = """
title = "Party"
event = "Party"
timezone = "Europe/Berlin"
thanks = "Thanks."
[[questions]]
key = "coming"
kind = "yes_no"
ask = "Will you come?"
[[questions]]
key = "meals"
kind = "choice"
many = true
optional = true
choices = ["Salad", "Pizza", { value = "Pasta", say = "Noodles" }]
ask = "Which meals, {coming}? {choices}"
[[questions]]
key = "guests"
kind = "number"
attempts = 2
ask = "How many are you?"
[[questions]]
key = "litres"
kind = "number"
attempts = 1
ask = "How many litres?"
[[questions]]
key = "day"
kind = "date"
optional = true
ask = "Which day?"
[[questions]]
key = "at"
kind = "time"
ask = "At what time?"
[[questions]]
key = "stars"
kind = "rating"
ask = "How was it?"
[[questions]]
key = "words"
ask = "What else?"
[[questions]]
key = "mail"
kind = "email"
optional = true
ask = "Your address?"
[[questions]]
key = "photo"
kind = "photo"
optional = true
ask = "A photo?"
"""
KEYS = ["coming", "meals", "guests", "litres", "day", "at", "stars", "words", "mail", "photo"]
TEXTS = {
    "coming": ["yes", "no", "yes", "sure"],
    "meals": ["pizza", "pizza and salad", "noodles", "skip", "all of them", "salad"],
    "guests": ["1", "2", "3", "17", "I cannot say", "44", "58"],
    "litres": ["0.5", "1.25", "2", "3.75", "oh well"],
    "day": ["2026-12-01", "2026-12-05", "2026-12-24", "skip", "2027-01-09"],
    "at": ["noon", "7pm", "18:30", "18:45"],
    "stars": ["1", "2", "4", "5"],
    "words": ["Nothing", "Thank you", "مرحبا", "See\nyou", "So nice 🎉"],
    "mail": ["a@example.org", "b@example.org", "skip"],
    "photo": ["skip", "photo"],
}
PHOTO = "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME"
PAGE = "/console/answers?questionnaire=party"


@pytest.fixture
def webhook(questionnaires, serve) -> Webhook:
    (questionnaires / "party.toml").write_text(PARTY, "utf-8")
    return serve()


def hold_conversations(webhook: Webhook, count: int, seed: int = 1) -> None:
    """Conversations as the engine makes them, several in a transaction; some stop on the way."""
    chance, (catalog, people) = random.Random(seed), webhook.app.files.current

    def receive(db, sender: str, body: str) -> None:
        photos = chance.choice([1, 2]) if body == "photo" else 0
        text = IncomingText(
            *(sender, NUMBER, "" if photos else body, tuple(f"{PHOTO}{n}" for n in range(photos))),
            sid=f"SM{chance.getrandbits(128):032x}",
            media_types=("image/jpeg",) * photos,
        )
        take(db, Given(text, webhook.clock(), catalog, people))

    def hold(db, numbers: range) -> None:
        for number in numbers:
            texts = ["Party", *(chance.choice(TEXTS[key]) for key in KEYS)]
            for body in texts[: chance.choice([4, 6, 8, 11, 11, 11])]:
                for _ in range(2 if body == "I cannot say" else 1):
                    receive(db, f"+1415{5550000 + number}", body)
            webhook.clock.pass_(minutes=chance.choice([1, 100]))

    for start in range(0, count, 20):
        numbers = range(start, min(start + 20, count))
        webhook.app.database.write(lambda db, numbers=numbers: hold(db, numbers))


# What the page says #########################################################


class Section:
    """A chart, as a browser shows it."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.ask = unescape(re.search(r"<h2[^>]*>(.*?)</h2>", html)[1])
        self.key = re.search(r"<code>(.*?)</code>", html)[1]
        self.n = int(re.search(r">n = ([\d,]+)<", html)[1].replace(",", ""))
        facts = re.findall(r" · (min|median|mean|max|files) ([-\d.,]+)", html)
        self.facts = {name: float(value.replace(",", "")) for name, value in facts}
        self.bars: dict[str, tuple[int, str]] = {}
        self.grey: dict[str, int] = {}
        self.links: dict[str, str] = {}
        self.widths: dict[str, float] = {}
        for row in re.findall(r'<tr role="row" class="(\w*)">(.*?)</tr>', html, re.S):
            self._read(*row)

    def _read(self, look: str, row: str) -> None:
        head = re.search(r"<th[^>]*>(.*?)</th>", row, re.S)[1].strip()
        label = unescape(re.sub("<[^>]*>", "", head))
        link = re.search(r'href="([^"]*)"', head)
        named, shown = (
            re.search(r'aria-label="([^"]*)"', row)[1],
            re.search(r">([^<]*)</text>", row)[1],
        )
        assert named == shown
        count, _, share = named.partition(" · ")
        assert (label in self.bars or label in self.grey) is False
        if look == "grey":
            self.grey[label] = int(count)
        else:
            self.bars[label] = int(count.replace(",", "")), share
        self.links[label] = unescape(link[1]) if link else ""
        self.widths[label] = float(re.search(r'<rect [^>]*width="([\d.]+)%"', row)[1])


def charts(page: str) -> dict[str, Section]:
    found = map(Section, re.findall(r'<section class="chart">(.*?)</section>', page, re.S))
    return {section.key: section for section in found}


class Table(HTMLParser):
    """The table of conversations: a list of texts for each row."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_in_cell = False
        found = re.search(r'<table role="table" class="rows">(.*?)</table>', page, re.S)
        self.feed(found[1] if found else "")

    def handle_starttag(self, tag, attrs) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._is_in_cell = True
        elif tag == "time":
            self.rows[-1][-1] = dict(attrs)["datetime"]
            self._is_in_cell = False

    def handle_endtag(self, tag) -> None:
        if tag in ("td", "th"):
            self._is_in_cell = False
            self.rows[-1][-1] = self.rows[-1][-1].strip()

    def handle_data(self, data) -> None:
        if self._is_in_cell:
            self.rows[-1][-1] += data


def ids(page: str) -> list[int]:
    return [int(row[0]) for row in Table(page).rows[1:]]


def older(page: str) -> str:
    return unescape(re.search(r'href="([^"]*)#rows">Older', page)[1])


# Figures ####################################################################


def values_of(webhook: Webhook, key: str) -> list[str | None]:
    query = "SELECT a.value FROM answers a JOIN conversations c ON c.id = a.conversation_id"
    query += " JOIN questionnaires q ON q.id = c.questionnaire_id"
    return [
        value for (value,) in webhook.rows(f"{query} WHERE q.name = 'party' AND a.key = '{key}'")
    ]


def count_where(webhook: Webhook, key: str, condition: str) -> int:
    query = f"SELECT count(*) FROM answers WHERE key = '{key}' AND {condition}"
    return rows(webhook.app, query)[0][0]


def share(count: int, n: int) -> str:
    return f"{100 * count / n:.0f} %" if count else ""


@mostly_on_sqlite
def test_every_figure_of_every_chart_equals_sql(webhook, operator):
    hold_conversations(webhook, 120)
    found = charts(operator.get(PAGE).body)
    assert list(found) == KEYS

    def check(key: str, conditions: dict[str, str]) -> None:
        n = count_where(webhook, key, "value IS NOT NULL")
        counts = {label: count_where(webhook, key, each) for label, each in conditions.items()}
        assert n > 20 and any(counts.values())
        assert found[key].n == n
        assert found[key].bars == {label: (c, share(c, n)) for label, c in counts.items()}
        skipped = count_where(webhook, key, "value IS NULL AND text = 'skip'")
        unread = count_where(webhook, key, "value IS NULL AND text <> 'skip'")
        grey = {"skipped": skipped, "could not be read": unread}
        assert found[key].grey == {label: c for label, c in grey.items() if c}
        most = max(*counts.values(), skipped, unread)
        for label, count in (counts | found[key].grey).items():
            assert found[key].widths[label] == pytest.approx(62 * count / most, abs=0.01)

    check("coming", {each: f"value = '{each}'" for each in ("yes", "no")})
    each = {"Salad": "Salad", "Pizza": "Pizza", "Noodles": "Pasta"}
    check("meals", {label: f"', ' || value || ', ' LIKE '%, {v}, %'" for label, v in each.items()})
    number = "CAST(value AS INTEGER) BETWEEN {} AND {}"
    bins = {f"{low}–{low + 4}": number.format(low, low + 4) for low in range(0, 60, 5)}
    check("guests", bins)
    real = "CAST(value AS NUMERIC) >= {0} AND CAST(value AS NUMERIC) < {0} + 0.5"
    halves = [n / 2 for n in range(1, 8)]
    check("litres", {f"{n:g} to under {n + 0.5:g}": real.format(n) for n in halves})
    check("at", {f"{hour}:00–{hour}:59": f"value LIKE '{hour}:%'" for hour in (12, 18, 19)})
    check("stars", {str(star): f"value = '{star}'" for star in (1, 2, 3, 4, 5)})
    weeks = {"30 Nov": ("2026-11-30", "2026-12-06"), "21 Dec": ("2026-12-21", "2026-12-27")}
    weeks = {f"week of {day} 2026": each for day, each in weeks.items()}
    weeks["week of 4 Jan 2027"] = ("2027-01-04", "2027-01-10")
    check("day", {label: f"value BETWEEN '{a}' AND '{b}'" for label, (a, b) in weeks.items()})


@one_database
def test_numbers_have_their_least_median_mean_and_largest(webhook, operator):
    hold_conversations(webhook, 60)
    found = charts(operator.get(PAGE).body)
    for key in ("guests", "litres", "stars"):
        numbers = [float(value) for value in values_of(webhook, key) if value]
        assert found[key].facts == {
            "min": min(numbers),
            "median": median(numbers),
            "mean": pytest.approx(mean(numbers), abs=0.005),
            "max": max(numbers),
        }


@one_database
def test_words_are_the_newest_and_the_commonest(webhook, operator):
    hold_conversations(webhook, 60)
    chart = charts(operator.get(PAGE).body)["words"]
    repeated = webhook.rows(
        "SELECT value, count(*) FROM answers WHERE key = 'words' GROUP BY value HAVING count(*) > 1"
    )
    assert {" ".join(k.split()): v[0] for k, v in chart.bars.items()} == {
        " ".join(value.split()): count for value, count in repeated
    }
    newest = webhook.rows(
        "SELECT max(conversation_id), value FROM answers WHERE key = 'words' GROUP BY value"
        " ORDER BY 1 DESC"
    )
    shown = re.findall(r'/console/threads/(\d+)" dir="auto">(.*?)</a>', chart.html, re.S)
    assert [(int(id), unescape(words)) for id, words in shown] == newest[:5]


@one_database
def test_photos_are_counted_and_linked_but_never_shown(webhook, operator):
    hold_conversations(webhook, 20)
    body = operator.get(PAGE).body
    chart, photos = charts(body)["photo"], [v for v in values_of(webhook, "photo") if v]
    assert (chart.n, chart.facts) == (
        len(photos),
        {"files": sum(len(value.split()) for value in photos)},
    )
    assert f'href="{PHOTO}0" rel="noopener noreferrer"' in chart.html
    assert "<img" not in body


@mostly_on_sqlite
def test_each_bar_leads_to_the_rows_behind_it(webhook, operator):
    hold_conversations(webhook, 30)
    for chart in charts(operator.get(PAGE).body).values():
        for label, (count, _) in chart.bars.items():
            page = operator.get(chart.links[label].removesuffix("#rows")).body
            assert len(ids(page)) == count, (chart.key, label)
        assert not any(chart.links[label] for label in chart.grey), chart.key
        found = re.search(r'href="([^"]*)#rows">(\d+) without an answer</a>', chart.html)
        assert bool(found) == bool(chart.grey), chart.key
        if found:
            count = len(ids(operator.get(unescape(found[1])).body))
            assert count == int(found[2]) == sum(chart.grey.values()), chart.key


@one_database
def test_under_a_filter_each_bar_leads_to_rows_that_meet_both(webhook, operator):
    hold_conversations(webhook, 30)
    chart = charts(operator.get(f"{PAGE}&answer.meals=Pizza").body)["meals"]
    both, all_with_salad = (
        webhook.rows(f"SELECT count(*) FROM answers WHERE key = 'meals' AND value LIKE {like}")
        for like in ("'%Salad%Pizza%'", "'%Salad%'")
    )
    assert 0 < both[0][0] < all_with_salad[0][0]
    assert chart.bars["Salad"][0] == both[0][0]
    page = operator.get(chart.links["Salad"].removesuffix("#rows")).body
    assert len(ids(page)) == both[0][0]


@one_database
def test_a_page_and_its_own_export_have_the_same_rows(webhook, operator):
    hold_conversations(webhook, 30)
    page = operator.get(f"{PAGE}&answer.meals=Pizza&question=meals&how=is&value=Salad").body
    form = re.search(r'<form [^>]*id="export".*?</form>', page, re.S)[0]
    fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form)
    assert [value for name, value in fields if name == "answer.meals"] == ["Pizza", "Salad"]
    found = read_csv(operator.get(f"/console/answers.csv?{urlencode(fields)}"))
    assert 0 < len(found) == len(ids(page))
    assert sorted(int(row["conversation"]) for row in found) == sorted(ids(page))


@one_database
def test_charts_are_of_the_newest_and_the_page_says_so(webhook, operator, patch):
    hold_conversations(webhook, 12)
    patch(answers, "NEWEST", 12)
    assert "of the newest" not in operator.get(PAGE).body
    patch(answers, "NEWEST", 10)
    page = operator.get(PAGE).body
    assert "of the newest 10 of 12 conversations" in page
    assert charts(page)["coming"].n == 10
    (newest,) = webhook.rows("SELECT max(id) FROM conversations")[0]
    assert ids(page) == [*range(newest, newest - 10, -1)]
    assert ids(operator.get(older(page)).body) == [newest - 10, newest - 11]
    operator.post(f"/console/threads/{newest}/test")
    for more, total in ({"": 11, "&version=1": 11, "&tests=yes": 12}).items():
        assert f"of the newest 10 of {total} conv" in operator.get(PAGE + more).body


# Filters ####################################################################


@pytest.fixture
def three(webhook) -> Webhook:
    """Three conversations: Rey's is complete, one was stopped, one has begun on another day."""
    for body in ("Party", "yes", "pizza", "3", "2", "skip", "noon", "5", "Hi", "skip", "skip"):
        webhook.phone(REY).text(body)
    for body in ("Party", "no", "skip", "what", "ever", "Stop"):
        webhook.phone("+14155550002").text(body)
    webhook.clock.pass_(hours=11, minutes=30)  # it is the next day in Berlin
    expire_silent(webhook.app.database, webhook.clock())
    webhook.phone("+14155550003").text("Party")
    webhook.phone("+14155550003").text("yes")
    return webhook


FILTERS = {
    "": [3, 2, 1],
    "state=completed": [1],
    "state=stopped": [2],
    "state=open": [3],
    "state=expired": [],
    "state=silly": [3, 2, 1],
    "from=2026-11-21": [3],
    "to=2026-11-20": [2, 1],
    "from=2026-11-20&to=2026-11-21": [3, 2, 1],
    "from=2026-11-22": [],
    "from=0001-01-01&to=9999-12-31": [3, 2, 1],
    "from=yesterday": [3, 2, 1],
    "answer.coming=yes": [3, 1],
    "answer.coming=maybe": [],
    "answer.meals=Pizza": [1],
    "answer.meals=Piz": [],
    "answer.meals=Pizza&answer.meals=Salad": [],
    "answer.meals=Salad&answer.meals=Pizza": [],
    "answer.meals=Pizza&answer.meals=Pizza": [1],
    "answer.meals=Salad&question=meals&how=is&value=Pizza": [],
    "answer.guests=9..12&answer.guests=1..5": [],
    "answer.guests=3..5&answer.guests=1..3": [1],
    "answer.guests=3": [1],
    "answer.guests=3.0": [1],
    "answer.guests=1..3": [1],
    "answer.guests=1..<3": [],
    "answer.guests=x..y": [],
    "answer.guests=nan": [],
    "answer.at=12:00..12:59": [1],
    "answer.at=13:00..": [],
    "answer.silly=1": [3, 2, 1],
    "has=guests": [1],
    "missing=guests": [3, 2],
    "has=coming&missing=meals": [3, 2],
    "passed=meals": [2],
    "passed=meals&has=meals": [],
    "question=coming&how=is&value=no": [2],
    "question=guests&how=missing&value=": [3, 2],
    "question=coming&how=&value=": [3, 2, 1],
    "answer.coming=yes&question=meals&how=is&value=Pizza": [1],
    "version=1": [3, 2, 1],
    "version=99": [3, 2, 1],
    "before=3": [2, 1],
    "before=99": [],
    "before=x": [3, 2, 1],
    "ids=1,3": [3, 1],
    "ids=1&ids=2": [2, 1],
    "ids=x": [],
    "ids=" + "9" * 30: [],
    "ids=1&state=open": [],
}


def test_filters_leave_what_meets_all_of_them(three, operator):
    for query, expected in FILTERS.items():
        answer = operator.get(f"{PAGE}&{query}")
        assert (answer.status, ids(answer.body)) == (200, expected), query


ODD = [
    "\x00",
    "%00",
    "%ff",
    "'",
    '"',
    "\u202e",
    "9" * 400,
    "-1",
    "1e400..2",
    "..",
    "a..b",
    "[",
    "%",
]
NAMES = ["questionnaire", "from", "to", "state", "version", "before", "ids", "columns", "removed"]
NAMES += ["question", "how", "value", "has", "missing", "passed", "shape"]
NAMES += [f"answer.{key}" for key in KEYS]


@mostly_on_sqlite
@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.long)])
def test_odd_filters_are_no_error(three, operator, step):
    """Each value in each field; the quick test gives each value to a sixth of the fields."""
    for n, value in enumerate(ODD):
        for name in NAMES[n % step :: step]:
            query = f"?{urlencode([('questionnaire', 'party'), (name, value)])}"
            assert operator.get(f"/console/answers{query}").status == 200, (name, value)
            if name in ("ids", "from", "answer.guests"):
                status = operator.get(f"/console/answers.csv{query}").status
                is_odd = name != "answer.guests" and value != "\x00"
                assert status == (400 if is_odd else 200), (name, value)
    assert operator.get(f"{PAGE}&{'&'.join(f'has={n}' for n in range(500))}").status == 200


# What a file is not made of: without such a filter it would have all conversations.
MISTYPED = {
    "questionnaire=prty": "“questionnaire”",
    "state=complete": "“state”",
    "state=open&state=closed": "“state”",
    "from=2026-11-31": "“from”",
    "to=yesterday": "“to”",
    "version=99": "“version”",
    "removed=yes": "“removed”",
    "ids=x": "“ids”",
    "ticked=%00x": "“ticked”",
    "answer.nothing=yes": "“answer”",
    "has=nothing": "“has”",
    "has=coming&missing=meal": "“missing”",
    "question=nothing&how=is&value=yes": "“question”",
    "question=coming&how=is": "“question”",
    "value=yes": "“value”",
    "question=coming&how=was&value=yes": "“how”",
    "shape=tall": "“shape”",
    "stat%3Cb=completed": "a filter",
    "&".join(f"has={number}" for number in range(501)): "more than 500 filters",
}


@one_database
def test_a_file_is_not_made_of_a_filter_that_makes_no_sense(three, operator):
    for query, words in MISTYPED.items():
        answer = operator.get(f"/console/answers.csv?questionnaire=party&{query}")
        assert answer.status == 400 and words in answer.body, query
        assert "<b=" not in answer.body and "nothing was exported" in answer.body


@one_database
def test_of_the_conversations_that_are_named_a_file_has_those_that_are_ticked(three, operator):
    page = operator.get(f"{PAGE}&ids=1,2").body
    assert 'name="ticked" value="2"' in page and 'name="ids" value="1,2"' in page
    links = re.findall(r'href="([^"]*)#rows"', page)
    assert links and all("ids=1%2C2" in link for link in links) and "2 chosen" in page
    for query, expected in {
        "ids=1&ids=2&ticked=2": [2],
        "ids=1&ticked=2": [],
        "ticked=3": [3],
    }.items():
        found = read_csv(operator.get(f"/console/answers.csv?questionnaire=party&{query}"))
        assert [int(row["conversation"]) for row in found] == expected


@one_database
def test_another_site_cannot_have_a_file_made(three, operator):
    path = "/console/answers.xlsx?questionnaire=party"
    for site, status in {
        "cross-site": 403,
        "same-site": 403,
        "none": 200,
        "same-origin": 200,
    }.items():
        assert operator.get(path, **{"Sec-Fetch-Site": site}).status == status
    assert operator.get(path).status == 200  # of a browser without the header


@one_database
def test_a_chip_removes_its_filter_and_no_other(three, operator):
    query = "&state=completed&answer.meals=Pizza&has=coming&from=2026-11-20"
    page = operator.get(PAGE + query).body
    chips = re.findall(r'class="chip" href="([^"]*)">(.*?)</a>', page)
    words = [unescape(re.sub("<[^>]*>", "", chip)).partition(" ×")[0] for _, chip in chips]
    assert words == ["from 2026-11-20", "state completed", "meals Pizza", "coming was answered"]
    without_meals = unescape(chips[2][0])
    assert "meals" not in without_meals
    assert {"state=completed", "has=coming", "from=2026-11-20"} <= set(
        without_meals.partition("?")[2].split("&")
    )
    clear = re.search(r'href="([^"]*)">Clear filters', page)[1]
    assert ids(operator.get(clear).body) == [3, 2, 1]


@one_database
def test_hidden_columns_stay_hidden_on_the_next_page(webhook, operator, patch):
    hold_conversations(webhook, 4)
    patch(answers, "PAGE_SIZE", 2)
    page = operator.get(f"{PAGE}&columns=state&columns=coming").body
    assert Table(page).rows[0] == ["Id", "State", "coming"]
    page = operator.get(older(page)).body
    assert (Table(page).rows[0], ids(page)) == (["Id", "State", "coming"], [2, 1])
    assert "<section" not in page and "Older" not in page
    assert len(Table(operator.get(f"{PAGE}&columns=silly").body).rows[0]) == 6 + len(KEYS)


@one_database
def test_an_empty_page_says_the_next_step(webhook, operator):
    page = operator.get(PAGE).body
    here = '<a href="/console/try">try it here</a>'
    assert f"Nobody has texted yet. Text “Party” to your number, or {here}." in page
    webhook.phone().text("Party")
    page = operator.get(f"{PAGE}&state=stopped").body
    assert "No conversation matches." in page and "Clear filters" in page
    assert "None among" not in page and "Look further back" not in page


@one_database
def test_a_page_that_finds_nothing_says_how_far_it_has_looked(webhook, operator, patch):
    for number in range(5):
        webhook.phone(f"+1415555000{number}").text("Party")
    patch(answers, "NEWEST", 2)
    expected = [
        "None among the newest 2.",
        "None among the next 2.",
        "No older conversation matches.",
    ]
    page = operator.get(f"{PAGE}&state=stopped").body
    for words in expected:
        said = re.search(r'<p id="rows">(.*?) <a href="[^"]*">Clear filters</a></p>', page)
        assert said and said[1] == words
        further = re.search(r'href="([^"]*)#rows">Look further back</a>', page)
        assert bool(further) == (words != expected[-1])
        page = operator.get(unescape(further[1])).body if further else ""


@one_database
def test_the_questionnaire_that_was_used_last_is_shown_first(webhook, operator):
    webhook.phone().text("Party")
    assert "Will you come?" in operator.get("/console/answers").body
    webhook.phone("+14155550002").text("hello there")
    assert "Will you come?" not in operator.get("/console/answers").body


@one_database
def test_questions_that_the_file_no_longer_has_are_shown_unless_left_out(
    three, questionnaires, serve, operator
):
    (questionnaires / "party.toml").write_text(
        PARTY.replace('"coming"', '"present"').replace("{coming}", "{present}"), "utf-8"
    )
    browser = Browser(serve().app)
    browser.enter()
    found = charts(browser.get(PAGE).body)
    assert found["coming"].n == 3 and "The file no longer asks this." in found["coming"].html
    assert "coming" not in charts(browser.get(f"{PAGE}&removed=no").body)
    head = browser.get("/console/answers.csv?questionnaire=party").body.splitlines()[0]
    assert "present" in head and "coming" in head
    head = browser.get("/console/answers.csv?questionnaire=party&removed=no").body.splitlines()[0]
    assert "present" in head and "coming" not in head


# Rows that cannot be read ###################################################


@one_database
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE conversations SET started_at = 'soon' WHERE id = 2",
        "UPDATE conversations SET questionnaire_id = 77 WHERE id = 2",
        "UPDATE questionnaires SET definition = '{' WHERE name = 'party'",
        "UPDATE answers SET value = x'ff00' WHERE conversation_id = 2",
        "UPDATE answers SET text = CAST(x'ff' AS TEXT), value = NULL WHERE conversation_id = 2",
        "UPDATE answers SET value = 'no such' WHERE conversation_id = 1",
        "UPDATE answers SET value = '1e999' WHERE conversation_id = 1",
        "UPDATE answers SET answered_at = 'soon' WHERE conversation_id = 1",
        "UPDATE contacts SET name = x'ff' WHERE id = 2",
    ],
)
def test_rows_that_cannot_be_read_break_no_page(three, operator, database_url, edit):
    execute_unchecked(database_url.removeprefix("sqlite:///"), edit)
    for path in ("/console/answers", "/console/answers.csv", "/console/answers.xlsx"):
        assert operator.get(f"{path}?questionnaire=party").status == 200
    assert 3 in ids(operator.get(PAGE).body)


# What strangers write #######################################################


@one_database
def test_nothing_that_guests_or_files_say_becomes_html(questionnaires, serve, people_name):
    words = [word.replace("\x00", "") for word in CORPUS]
    asked = json.dumps(words[1])
    (questionnaires / "party.toml").write_text(
        PARTY.replace('"What else?"', asked).replace('"Party"', json.dumps(words[0]), 1), "utf-8"
    )
    webhook = serve()
    operator = Browser(webhook.app)
    operator.enter()
    for number, body in enumerate(words * 2):
        phone = webhook.phone(f"+1415555{number:04}")
        for text in ("Party", "yes", "skip", "2", "1", "skip", "noon", "3", body):
            phone.text(text)
    pages = [operator.get(PAGE).body]
    pages += [operator.get(f"{PAGE}&answer.words={quote(body)}").body for body in words]
    for page in pages:
        assert [each for each in evils(page) if each != ("svg", SVG)] == []
        addresses = re.findall(r'<(?:a|form|button) [^>]*?\b\w*(?:href|action)="([^"]*)"', page)
        assert len(addresses) > 10
        assert [each for each in addresses if not LOCAL.match(unescape(each))] == []
    assert all(unescape(pages[0]).count(body) >= 2 for body in words[:3])


SVG = {"class", "role", "aria-label", "height"}
LOCAL = re.compile(r"/(?!/)|#")  # an address of ours


@pytest.fixture
def people_name(tmp_path) -> None:
    (tmp_path / "people.toml").write_text(f'"{REY}" = "<script>alert(1)</script>"\n', "utf-8")


# Files ######################################################################


def read_csv(answer: Answer) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.body, newline="")))


def read_xlsx(answer: Answer) -> list[dict[str, object]]:
    names, *cells = openpyxl.load_workbook(io.BytesIO(answer.content)).active.values
    return [dict(zip(names, row, strict=True)) for row in cells]


@mostly_on_sqlite
def test_the_workbook_equals_the_table_under_a_filter(webhook, operator):
    hold_conversations(webhook, 60)
    query = "questionnaire=party&answer.coming=yes&state=completed&from=2026-11-20"
    head, *table = Table(operator.get(f"/console/answers?{query}").body).rows
    book = read_xlsx(operator.get(f"/console/answers.xlsx?{query}"))
    assert 5 < len(book) < 50 and len(book) == len(table)
    names = ["conversation", "started_at", "completed_at", "state", "sender", "name", *KEYS]
    assert [name.lower() for name in head[1:6]] == [
        "started",
        "completed",
        "state",
        "sender",
        "name",
    ]
    for row, cells in zip(reversed(table), book, strict=True):
        shown = [show(cells[name]) for name in names]
        shown[-1] = (len(shown[-1].split()) or "") and f"{len(shown[-1].split())} file"
        texts = ["" if cell in ("skipped", "could not be read") else cell for cell in row]
        texts[-1] = texts[-1].removesuffix("s")
        shown = [" ".join(cell.split()) for cell in shown]
        assert [" ".join(cell.split()) for cell in texts] == shown


@mostly_on_sqlite  # their rows are those of the export, which is tried on both
@pytest.mark.parametrize("format", ["csv", "xlsx", "jsonl"])
def test_a_file_has_the_rows_of_the_filter_in_both_shapes(three, operator, format):
    for query, expected in FILTERS.items():
        if "before" in query:
            continue
        answer = operator.get(f"/console/answers.{format}?questionnaire=party&{query}")
        if answer.status == 400:  # on the page it is left out, or names no conversation
            assert expected in ([3, 2, 1], []), query
            continue
        assert read_ids(answer, format) == sorted(expected), query
    answer = operator.get(f"/console/answers.{format}?questionnaire=party&shape=long&ids=1")
    assert len(read_ids(answer, format)) == len(KEYS)


def read_ids(answer: Answer, format: str) -> list[int]:
    if format == "jsonl":
        return [json.loads(line)["conversation"] for line in answer.body.splitlines()]
    read = read_xlsx if format == "xlsx" else read_csv
    return [int(row["conversation"]) for row in read(answer)]


@one_database
def test_partials_and_versions_are_in_the_file(three, operator):
    found = read_csv(operator.get("/console/answers.csv?questionnaire=party"))
    assert [row["state"] for row in found] == ["completed", "stopped", "open"]
    assert {row["version"] for row in found} == {"1"}
    assert found[1]["unread"] == "guests: what\never"
    assert found[1]["sender"] == "'+14155550002"  # no formula


@one_database
@pytest.mark.parametrize(
    ("format", "type"),
    [
        ("csv", "text/csv; charset=utf-8"),
        ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("jsonl", "application/x-ndjson; charset=utf-8"),
    ],
)
def test_a_file_says_what_it_is_and_is_not_kept_by_anybody(three, operator, format, type):
    headers = operator.get(f"/console/answers.{format}?questionnaire=party").headers
    assert headers["Content-Type"] == type
    assert headers["Content-Disposition"] == f'attachment; filename="answers-party.{format}"'
    assert (headers["Cache-Control"], headers["X-Content-Type-Options"]) == ("no-store", "nosniff")


@one_database
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('a"b; filename=x.exe', "answers-a-b-filename-x-exe.csv"),
        ("..", "answers.csv"),
        ("\u202egnp", "answers-gnp.csv"),
        ("x" * 200, f"answers-{'x' * 60}.csv"),
        ("\u00fc\U0001f389", "answers.csv"),
        ("<script>alert(1)<\u2215script>", "answers-script-alert-1-script.csv"),
    ],
)
def test_the_name_of_a_file_is_safe_whatever_the_questionnaire_is_called(
    three, operator, name, expected
):
    three.app.database.write(
        lambda db: db.connection().exec_driver_sql(
            "UPDATE questionnaires SET name = ? WHERE name = 'party'", (name,)
        )
    )
    answer = operator.get(f"/console/answers.csv?{urlencode({'questionnaire': name})}")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{expected}"'
    assert len(read_csv(answer)) == 3


@pytest.fixture
def stream(operator) -> Callable[[str], object]:
    """What the server would send, piece by piece."""

    def start(path: str) -> object:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": path.partition("?")[0],
            "QUERY_STRING": path.partition("?")[2],
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_COOKIE": operator.cookie,
            "wsgi.input": io.BytesIO(),
            "wsgi.errors": io.StringIO(),
        }
        return operator.app(environ, lambda *_: None)

    return start


@mostly_on_sqlite
@pytest.mark.parametrize("format", ["csv", "xlsx", "jsonl"])
def test_a_reader_who_hangs_up_leaves_nothing_open(webhook, stream, patch, tmp_path, format):
    hold_conversations(webhook, 20)
    patch(tempfile, "tempdir", str(tmp_path))
    patch(formats, "CHUNK_SIZE", 200)
    before = set(tmp_path.iterdir())
    database = webhook.app.database
    content = stream(f"/console/answers.{format}?questionnaire=party")
    pieces = iter(content)
    assert next(pieces) and next(pieces)
    assert len(set(tmp_path.iterdir()) - before) == (1 if format == "xlsx" else 0)
    content.close()
    assert set(tmp_path.iterdir()) == before
    assert database.engine.pool.checkedout() == 0
    with ExitStack() as reports:  # all are free: one that is not would take five seconds
        for _ in range(MAX_REPORTS):
            reports.enter_context(database.report())


@one_database
def test_a_file_is_read_while_it_is_sent(webhook, stream, patch):
    hold_conversations(webhook, 20)
    patch(formats, "CHUNK_SIZE", 200)
    content = stream("/console/answers.csv?questionnaire=party")
    pieces = [len(piece) for piece in content]
    assert len(pieces) > 10 and max(pieces) < 4000


@one_database
def test_a_database_that_fails_gives_no_half_of_a_file(three, operator):
    three.app.database.write(
        lambda db: db.connection().exec_driver_sql("ALTER TABLE answers RENAME TO away")
    )
    answer = operator.get("/console/answers.csv?questionnaire=party")
    assert (answer.status, "database does not answer" in answer.body) == (503, True)
