import random
import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from statistics import median
from urllib.parse import parse_qsl, urlsplit
from zoneinfo import ZoneInfo

import pytest
from bottle import SimpleTemplate
from browsing import Browser, evils, one_database, rows
from conftest import NUMBER, REY, STRANGER, Clock, Webhook, mostly_on_sqlite
from sqlalchemy import bindparam, select, text
from test_console import CORPUS

from models import Message, People, load_catalog
from models.conversation import REVIEW
from models.reports import funnel, texts, totals
from models.reports.outcomes import CAUSES, OUTCOMES
from models.reports.passed import HOWS, REACHED
from models.set_aside import take
from models.silence import end_silent
from models.text import IncomingText
from models.turn import Given
from phone import new_sid
from storage.base import Statement

MESSAGES = Message.__table__
ONE = Statement(select(MESSAGES).where(MESSAGES.c.id == bindparam("this")))
ZONE = "America/New_York"
HEAD = """
title = "Party"
event = "Party"
review = true
resume = "24h"
expires = "4h"
timezone = "America/New_York"
thanks = "Thanks."
"""
NAME = '[[questions]]\nkey = "who"\nask = "Who are you?"\n'
DRINK = (
    '[[questions]]\nkey = "drink"\nkind = "choice"\nchoices = ["Cola", "Water"]\nattempts = 1\n'
    'optional = true\nask = "What do you drink?"\n'
)
COUNT = (
    '[[questions]]\nkey = "guests"\nkind = "number"\nwhole = true\nattempts = 2\n'
    'give_up = "end"\nask = "How many are you?"\n'
)
SONG = '[[questions]]\nkey = "song"\nask = "Which song?"\n'
BEFORE, AFTER = HEAD + NAME + DRINK + COUNT, HEAD + NAME + COUNT + SONG
WORDS = ["Rey", "Cola", "3", "Help!", "2", "7", "SKIP", "banana"]
MANY = 300
PERIODS = ["period=today", "period=week", "period=all", "from=2026-11-15&to=2026-11-17"]


# Conversations as guests have them ###########################################


class Guests:
    """Guests who text as a seeded dice says, without HTTP, and Twilio's reports of replies."""

    def __init__(self, webhook: Webhook, clock: Clock) -> None:
        self.app, self.clock = webhook.app, clock
        self.dice = random.Random(19)

    def hold(self, count: int, catalogs: list) -> None:
        began_at = self.clock.now - timedelta(days=9)
        for n in range(count):
            started_at = began_at + n * timedelta(days=9) / count
            catalog = catalogs[n * len(catalogs) // count]
            self.app.database.write(
                lambda db, n=n, at=started_at, catalog=catalog: self.text(db, n, at, catalog)
            )
        self.app.database.write(lambda db: end_silent(db, self.clock.now, count))

    def text(self, db, n: int, now: datetime, catalog) -> None:
        dice = random.Random(n)
        bodies = ["Party", *dice.choices(WORDS, k=dice.randrange(6))]
        bodies += dice.choices([["OK"], ["FIX 1"], ["FIX 1", "Finn"], ["STOP"], []])[0]
        for body in bodies:
            incoming = IncomingText(f"+1415{n:07}", NUMBER, body, sid=new_sid())
            reply = take(db, Given(incoming, now, catalog, People({})))
            if reply.message_id and dice.random() < 0.3:
                message = Message.first(db, ONE, this=reply.message_id)
                status = dice.choice(["delivered", "undelivered", "failed"])
                code = None if status == "delivered" else dice.choice(["30003", "30003", "30006"])
                message.report(status, new_sid(), code)
                message.update(db)
            now += timedelta(seconds=dice.randrange(5, 200))


@pytest.fixture
def party(questionnaires, serve, clock) -> Callable[[int], Webhook]:
    """A questionnaire that was changed meanwhile, and guests of both versions."""

    def make(count: int) -> Webhook:
        file, catalogs = questionnaires / "party.toml", []
        for content in (BEFORE, AFTER):
            file.write_text(content, "utf-8")
            catalogs.append(load_catalog(questionnaires))
        webhook = serve()
        Guests(webhook, clock).hold(count, catalogs)
        return webhook

    return make


# What the page says ##########################################################


def enter(webhook: Webhook) -> Browser:
    browser = Browser(webhook.app)
    browser.enter()
    return browser


def plain(html: str) -> str:
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def figures(page: str) -> dict[str, str]:
    """Those with names of their own, big ones and those beside the funnel."""
    found = re.findall("<dt>(.*?)</dt><dd>(.*?)</dd>", page)
    return {plain(name): plain(value) for name, value in found}


def steps(page: str) -> list[str]:
    (found,) = re.findall('<ol class="funnel">(.*?)</ol>', page, re.DOTALL)
    return [plain(line) for line in re.findall("<li>(.*?)</li>", found, re.DOTALL)]


def hours(page: str) -> list[tuple[int, int, int]]:
    (found,) = re.findall("<details><summary>As a table.*?</details>", page, re.DOTALL)
    lines = re.findall(r">(\d+):00<.*?>(\d+)<.*?>(\d+)<", found)
    return [tuple(map(int, line)) for line in lines]


# The same, counted apart from the code #######################################


def parse(time: object) -> datetime:
    found = time if isinstance(time, datetime) else datetime.fromisoformat(time)
    return found.astimezone(UTC)


class Apart:
    """All rows in memory, and counted one by one."""

    def __init__(self, webhook: Webhook, now: datetime, query: str) -> None:
        app, fields = webhook.app, dict(field.split("=") for field in query.split("&"))
        self.now, today = now, now.astimezone(ZoneInfo(ZONE)).date()
        first = {"today": str(today), "week": str(today - timedelta(days=6)), "all": "2000-01-01"}
        self.first = fields.get("from") or first[fields["period"]]
        self.last = fields.get("to", "2999-01-01")
        columns = "id, state, asking, unread, started_at, ended_at, expires_at, questionnaire_id"
        of_party = "questionnaire_id IN (SELECT id FROM questionnaires WHERE name = 'party')"
        found = rows(app, f"SELECT {columns} FROM conversations WHERE {of_party}")
        self.conversations = [each for each in found if self.is_within(each[4])]
        self.answers = {}
        query = "SELECT conversation_id, key, value, answered_at, text FROM answers"
        for id, key, value, at, body in rows(app, query):
            self.answers.setdefault(id, {})[key] = (value, parse(at), body)
        query = "SELECT conversation_id, direction, status, error_code, created_at FROM messages"
        self.messages = rows(app, f"{query} ORDER BY id")
        self.last_status = {id: status for id, way, status, *_ in self.messages if way[0] == "o"}

    def local(self, time: object) -> datetime:
        return parse(time).astimezone(ZoneInfo(ZONE))

    def is_within(self, time: object) -> bool:
        return self.first <= str(self.local(time).date()) <= self.last

    def outcome(self, row: tuple) -> str:
        _, state, key, unread, _, _, expires_at, _ = row
        if state == "expired" and key and self.now < parse(expires_at) + timedelta(hours=24):
            return "asleep"
        return "given_up" if state == "stopped" and unread else state

    def cause(self, row: tuple) -> str | None:
        id, state, _, unread, *_ = row
        if state == "stopped":
            return "unread" if unread else "stop"
        if state != "expired":
            return None
        if self.last_status[id] in ("undelivered", "failed"):
            return "undelivered"
        return "unread" if unread else "silent"

    def figures(self) -> dict[str, str]:
        outcomes = Counter(map(self.outcome, self.conversations))
        total, completed = len(self.conversations), outcomes["completed"]
        found = {words: str(outcomes[outcome]) for outcome, words in OUTCOMES.items()}
        found |= {"started": str(total)}
        if total:
            found[f"completed, {round(100 * completed / total)} %"] = str(completed)
        taken = [
            min(parse(row[5]), max(at for _, at, _ in self.answers[row[0]].values()))
            - parse(row[4])
            for row in self.conversations
            if row[1] == "completed"
        ]
        if taken:
            minutes, seconds = divmod(int(median(each.seconds for each in taken)), 60)
            words = f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
            found[f"median time of {len(taken)} to complete"] = words
        return found

    def step(self, key: str) -> tuple[int, Counter[str]]:
        """How many reached it, and what the small letters say."""
        reached, ends = 0, Counter()
        for row in self.conversations:
            id, state, waiting, *_ = row
            answer = self.answers.get(id, {}).get(key)
            if key == "(review)":
                reached += waiting == key or state == "completed"
            else:
                reached += waiting == key or answer is not None
            if answer:
                value, _, body = answer
                is_skipped = body in ("SKIP", "OK")  # keywords
                how = "skipped" if is_skipped else "given up unread"
                ends["answered" if value is not None else how] += 1
            if waiting == key and state == "open":
                ends["waiting"] += 1
            elif waiting == key and (cause := self.cause(row)):
                ends[CAUSES[cause]] += 1
        return reached, ends

    def steps(self) -> list[str]:
        total = len(self.conversations)
        found = [f"started {total}"]
        for key, ask, is_asked in STEPS:
            reached, ends = self.step(key)
            if not (reached or is_asked):
                continue
            order = ["answered", "skipped", "given up unread", "waiting", *CAUSES.values()]
            small = [f"{ends[word]} {word}" for word in order if ends[word]]
            share = f"{reached} {round(100 * reached / total)} %"
            words = [ask, *([] if is_asked else ["no longer asked"]), share, *small]
            found.append(" ".join(words))
        completed = sum(row[1] == "completed" for row in self.conversations)
        return [*found, f"completed {completed} {round(100 * completed / total)} %"]

    def texts(self) -> list[tuple[int, int, int]]:
        counts = Counter(
            (self.local(at).hour, way) for *_, way, _, _, at in self.messages if self.is_within(at)
        )
        found = [(hour, counts[hour, "inbound"], counts[hour, "outbound"]) for hour in range(24)]
        return [each for each in found if each[1] or each[2]]

    def lost(self) -> Counter[str]:
        return Counter(code for _, code in self.all_lost())

    def lost_conversations(self) -> set[int]:
        return {id for id, _ in self.all_lost()}

    def all_lost(self) -> list[tuple[int, str]]:
        return [
            (id, code)
            for id, way, status, code, at in self.messages
            if way == "outbound" and status in ("undelivered", "failed") and self.is_within(at)
        ]


STEPS = [
    ("who", "who Who are you?", True),
    ("guests", "guests How many are you?", True),
    ("song", "song Which song?", True),
    ("drink", "drink What do you drink?", False),
    ("(review)", "Review of the answers", True),
]


def test_every_figure_is_what_is_counted_apart_from_the_code(party, clock):
    webhook = party(MANY)
    browser = enter(webhook)
    seen = set()
    for query in PERIODS:
        apart = Apart(webhook, clock.now, query)
        page = browser.get(f"/console?questionnaire=party&{query}").body
        assert figures(page) == apart.figures(), query
        assert steps(page) == apart.steps(), query
        assert hours(page) == apart.texts(), query
        lost = apart.lost()
        ((code, _),) = lost.most_common(1)
        assert f"{lost.total()} replies did not arrive" in page
        assert code == "30003" and "The phone is off or out of reach" in page
        seen.update(re.findall(r"\d+ ([\w ]+)</a>", page))
        seen.update(how for how in HOWS if how in page)
    assert {*CAUSES.values(), *HOWS, "waiting"} <= seen  # the guests did all that is counted


@mostly_on_sqlite
@pytest.mark.parametrize("period", ["week", "all"])
def test_behind_every_figure_are_as_many_conversations(party, clock, period):
    webhook = party(MANY // 3)
    browser = enter(webhook)
    page = browser.get(f"/console?questionnaire=party&period={period}").body
    links = re.findall(r'<a href="(/console/threads\?[^"]+)">(\d+)', page)
    figures = {unescape(link): int(figure) for link, figure in links if "outcome=" in link}
    asked = [dict(parse_qsl(urlsplit(link).query)) for link in figures]
    assert {each.get("how") for each in asked} == {None, REACHED, *HOWS}
    assert {each.get("asking") for each in asked} > {None, REVIEW}
    assert {link: len(listed(browser, link)) for link in figures} == figures
    (lost,) = re.findall(r'<a href="(/console/threads\?[^"]+)">\d+ replies did not', page)
    apart = Apart(webhook, clock.now, f"period={period}")
    assert listed(browser, unescape(lost)) == set(map(str, apart.lost_conversations()))


def listed(browser: Browser, address: str) -> set[str]:
    """The threads of a list, on all of its pages."""
    found, pages = set(), [address]
    for path in pages:
        page = browser.get(path).body
        found |= set(re.findall(r'href="/console/threads/(\d+)[#"]', page))
        pages += [
            f"/console/threads{unescape(query)}"
            for query in re.findall(r'<a href="([^"]+)" rel="next"', page)
        ]
    return found


@one_database
def test_a_lost_reply_of_no_conversation_is_not_counted_for_no_thread_shows_it(party):
    webhook = party(0)
    phone = webhook.phone(STRANGER)
    assert phone.text("Please stop texting me")
    phone.report(phone.last.replies[0], "undelivered", 30006)
    page = enter(webhook).get("/console?period=all").body
    assert needs(page) == [] and "1 in, 1 out" in page


@one_database
def test_whoever_has_begun_anew_does_not_come_back_to_the_old_one(party, clock):
    webhook = party(0)
    browser = enter(webhook)
    webhook.phone().text("Party")
    clock.pass_(hours=5)
    webhook.app.database.write(lambda db: end_silent(db, clock.now, 1))
    address, silent = "/console?questionnaire=party&period=all", OUTCOMES["asleep"]
    assert figures(browser.get(address).body)[silent] == "1"
    webhook.phone(STRANGER).text("Party")
    change(webhook, "UPDATE conversations SET sender = (SELECT min(sender) FROM conversations)")
    found = figures(browser.get(address).body)
    assert (found[silent], found[OUTCOMES["expired"]]) == ("0", "1")


@one_database
def test_the_zone_of_the_questionnaire_says_when_a_day_begins(party, clock):
    webhook = party(0)
    browser = enter(webhook)
    clock.now = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)  # half past eleven there
    webhook.phone().text("Party")
    address = "/console?questionnaire=party&period={}"
    assert figures(browser.get(address.format("today")).body)["started"] == "1"
    clock.pass_(hours=1)
    page = browser.get(address.format("today")).body
    assert "Nobody has started today." in page and "Text “Party” to" in page
    assert f"Times in {ZONE}" in page
    assert figures(browser.get(address.format("week")).body)["started"] == "1"
    days = "/console?questionnaire=party&from={}&to={}"
    for first, last, started in (("20", "20", "1"), ("21", "30", None), ("30", "01", None)):
        page = browser.get(days.format(f"2026-11-{first}", f"2026-11-{last}")).body
        assert figures(page).get("started") == started
        assert f'name="from" value="2026-11-{first}"' in page


@one_database
def test_only_the_newest_are_counted_and_the_page_says_so(webhook, clock, patch):
    patch(funnel, "MAX_COUNTED", 3)
    patch(texts, "MAX_TEXTS", 4)
    for n in range(5):
        clock.pass_(seconds=1)
        webhook.phone(f"+1415000000{n}").text("Mats BBQ")
        if n == 2:
            page = enter(webhook).get("/console").body
            assert figures(page)["started"] == "3"
            assert "The newest" not in page
    webhook.phone("+14150000000").text("STOP")  # one that is not counted
    browser = enter(webhook)
    page = browser.get("/console").body
    assert figures(page)["started"] == figures(page)["open now"] == "3"
    assert "The newest 3 of 5 conversations are counted." in page
    assert "only the newest were counted" in page
    browser.post("/console/threads/5/test")
    patch(totals, "MAX_TOTAL", 4)
    assert "The newest 3 of 4 conversations" in browser.get("/console?period=all").body
    patch(totals, "MAX_TOTAL", 3)
    assert "The newest 3 of more than 3 conversations" in browser.get("/console").body


@one_database
def test_a_questionnaire_without_a_file_is_still_shown(webhook, questionnaires, serve):
    webhook.phone().text("Mats BBQ")
    (questionnaires / "feedback.toml").unlink()
    (questionnaires / "other.toml").write_text(HEAD + NAME, "utf-8")
    browser = enter(serve())
    assert "Nobody has started today." in browser.get("/console?questionnaire=other").body
    page = browser.get("/console?questionnaire=feedback").body
    assert figures(page)["started"] == "1"
    assert steps(page)[1].endswith("no longer asked 1 100 % 1 waiting")


@one_database
def test_the_questionnaire_used_last_is_shown_as_on_answers(party):
    webhook = party(0)
    browser = enter(webhook)
    for event, name in (("Mats BBQ", "feedback"), ("Party", "party")):
        webhook.phone(f"+1415000000{len(name)}").text(event)
        for page in ("/console", "/console/answers"):
            assert f'name="questionnaire" value="{name}"' in browser.get(page).body


@mostly_on_sqlite
def test_only_who_was_asked_whether_all_is_right_has_reached_the_review(questionnaires, serve):
    (questionnaires / "party.toml").write_text(HEAD + NAME + COUNT, "utf-8")
    webhook = serve()
    browser = enter(webhook)
    asked = [["2"], ["2", "STOP"], ["2", "FIX 1"], ["2", "OK", "FIX 2"]]
    not_asked = [[], ["what?", "no"], ["2", "BACK"]]  # the second is given up
    for n, bodies in enumerate([*asked, *not_asked]):
        for body in ("Party", "Rey", *bodies):
            webhook.phone(f"+1415000000{n}").text(body)
        browser.post(f"/console/threads/{n + 1}/complete")
    reached = ["Review of the answers 4 57 %", "completed 7 100 %"]
    assert steps(browser.get("/console?questionnaire=party").body)[-2:] == reached
    for body in ("FIX 1", "Finn", "3"):  # what comes later asks nobody whether all is right
        assert webhook.phone("+14150000004").text(body)
    assert steps(browser.get("/console?questionnaire=party").body)[-2:] == reached
    address = "/console/threads?questionnaire=party&outcome=started&asking=(review)&how=reached"
    assert listed(browser, address) == {"1", "2", "3", "4"}


@one_database
def test_a_counter_has_no_funnel(webhook):
    webhook.phone().text("Count")
    page = enter(webhook).get("/console?questionnaire=counter").body
    assert figures(page)["started"] == "1"
    assert "funnel" not in page and "it counts texts" in page


ODD = ["questionnaire=nobody", "questionnaire=%00%ff", "period=year", "period=", "from=x&to=y"]
ODD += ["from=0001-01-01", "to=9999-12-31", "from=9999-12-31&to=0001-01-01", "from=2026-W01-1"]
ODD += ["from=1970-01-01&to=2026-13-01", "done=x&done=y", "a=1&" * 200, "questionnaire=' OR 1 --"]


@one_database
@pytest.mark.parametrize("query", ODD)
def test_odd_fields_are_no_error(webhook, operator, query):
    webhook.phone().text("Mats BBQ")
    answer = operator.get(f"/console?{query}")
    assert answer.status == 200
    assert "How far guests come" in answer.body or "Nobody has started" in answer.body
    assert operator.get(f"/console/threads?lost=yes&zone=../x&{query}").status == 200


# What needs somebody #########################################################


def needs(page: str) -> list[str]:
    return [plain(each) for each in re.findall('<li><a href="/console/[^f].*?</li>', page)]


def test_what_needs_somebody_is_said_with_its_cause(webhook, operator, patch):
    assert "Needs you" not in operator.get("/console").body
    phone = webhook.phone()
    phone.text("Mats BBQ")
    phone.report(phone.last.replies[0], "undelivered", 30006)
    columns = "conversation_id, webhook_id, url, format, payload, attempts, unfinished, unconfirmed"
    insert = f"INSERT INTO outbox ({columns}, created_at, state, cause, last_error) SELECT"
    insert += " 1, :n, 'http://a', 'json', '{}', 1, 0, 0, started_at, :state, :cause, :error"
    failures = [("http", "HTTP 500"), ("invalid", "Meal is required."), ("http", "HTTP 502")]
    for n, (cause, error) in enumerate([*failures, (None, None)]):
        values = {"state": "failed" if error else "unconfirmed", "cause": cause, "error": error}
        change(webhook, f"{insert} FROM conversations", n=str(n), **values)
    webhook.app.files.problems = ["feedback.toml: no title"]
    page = operator.get("/console").body
    assert "/console/outbox?state=failed&amp;cause=http" in page
    assert needs(page) == [
        "2 results have failed HTTP failed",
        "1 result has failed Meal is required. failed",
        "Nobody knows whether 1 result has arrived No reason is known. unconfirmed",
        "1 reply did not arrive today A landline, or a network that cannot be reached. 30006",
        "The files have mistakes, so those from before are in use."
        " feedback.toml: no title questionnaires",
    ]
    patch("health", "MIN_FREE_DISK", 2**62)
    assert ("The disk is nearly full" in operator.get("/console").body) == (
        webhook.app.settings.on_sqlite
    )


@one_database
@pytest.mark.parametrize("evil", CORPUS)
def test_what_files_and_guests_say_is_shown_as_text(webhook, operator, evil):
    evil = evil.replace("\0", "")
    webhook.phone().text(evil)
    webhook.app.files.problems = [evil]
    change(webhook, "UPDATE conversations SET asking = :evil", evil=evil)
    page = operator.get("/console").body
    assert evils(page) == []
    assert page.count(SimpleTemplate("{{evil}}").render(evil=evil)) >= 2


@one_database
def test_rows_that_cannot_be_read_keep_nobody_from_the_page(webhook, operator):
    for sender in (REY, STRANGER):
        webhook.phone(sender).text("Mats BBQ")
        webhook.phone(sender).text("Blue")
    for (name,) in rows(webhook.app, "SELECT name FROM sqlite_master WHERE type = 'trigger'"):
        change(webhook, f"DROP TRIGGER {name}")
    for values in (
        "conversations SET asking = x'ff', started_at = 'soon', unread = 'x' WHERE id = 1",
        "conversations SET state = 'completed', ended_at = 'then' WHERE id = 2",
        "answers SET key = x'ff00', answered_at = 'late' WHERE id = 1",
        "messages SET created_at = 'never', error_code = x'fe', status = 'failed'",
        "questionnaires SET definition = '{'",
    ):
        change(webhook, f"UPDATE {values}")
    for query in ("today", "week", "all"):
        assert operator.get(f"/console?period={query}").status == 200


def change(webhook: Webhook, statement: str, **values: object) -> None:
    webhook.app.database.write(lambda db: db.execute(text(statement), values))


# The same page again #########################################################


def test_a_page_that_shows_the_same_is_not_sent_again(webhook, operator, clock):
    phone = webhook.phone()
    phone.text("Mats BBQ")
    first = operator.get("/console")
    etag = first.headers["Etag"]
    clock.pass_(seconds=5)
    again = operator.get("/console", **{"If-None-Match": etag})
    assert (again.status, again.content, again.headers["Etag"]) == (304, b"", etag)
    assert again.headers["As-Of"] == "12:00:05"
    assert "12:00:00" in first.body and first.headers["Cache-Control"] == "no-store"
    phone.text("Blue")
    changed = operator.get("/console", **{"If-None-Match": etag})
    assert changed.status == 200 and changed.headers["Etag"] != etag
    looking = Browser(webhook.app)
    assert looking.get("/console", **{"If-None-Match": etag}).status == 303


@one_database
def test_the_script_is_small_and_asks_only_for_live_pages(operator):
    page = operator.get("/console").body
    (name,) = re.findall(r'<script src="(/static/console\.[0-9a-f]{16}\.js)" defer></script>', page)
    script = operator.get(name)
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert len(script.content) <= 10_000
    assert "data-live" in page and "data-live" not in operator.get("/console/sessions").body
