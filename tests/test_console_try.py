"""The phone in the browser: a tryout is held by the real engine, and nothing of it is kept."""

import html
import json
import re
from contextlib import ExitStack
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlencode

import pytest
from browsing import CORPUS, OWN, Answer, Browser, evils, make_link, one_database, rows
from conftest import QUESTIONS, REY, THANKS

from console.turns import TRYING
from models.console import LOOK
from models.questionnaire.loader import load_catalog
from models.replay import load, replay
from models.reports.explanations import explain_reading
from models.reports.tryout import LONGEST_ADDRESS, LONGEST_DRAFT
from models.tryout import LONGEST_TEXT, MAX_STEPS, SENDERS
from storage.base import Base
from storage.database import MAX_REPORTS

pytestmark = one_database
PATH = "/console/try/feedback"
TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
REPLIES = (*QUESTIONS, THANKS)
PARTY = """title = "Party"
event = "Party"
thanks = "Bye 🎉"
review = true
[[questions]]
key = "drink"
kind = "choice"
choices = ["Beer", "Wine & more"]
ask = "What will you drink? {choices}"
[[questions]]
key = "come"
kind = "yes_no"
optional = true
ask = "Will you come?"
"""


class Page(HTMLParser):
    """What a page of a tryout shows, and what its form would send."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        assert answer.status == 200, answer
        self.body = answer.body
        self.hidden: dict[str, str] = {}
        self.buttons: list[tuple[str, str]] = []
        self.bubbles: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self._side = self._in = ""  # of the bubble, and what the text is part of
        self.feed(answer.body)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        found = dict(attrs)
        if found.get("type") == "hidden":
            self.hidden[found["name"]] = found["value"]
        if tag == "textarea":
            self._in = "draft"
        if tag == "button" and "name" in found:
            self.buttons.append((found["name"], found["value"]))
        if found.get("class", "").startswith("bubble "):
            self._side = found["class"].split()[1]
        if tag == "p":
            kind = found.get("class", "")
            self._in = self._side if kind == "said" else kind

    def handle_endtag(self, tag: str) -> None:
        if tag in ("p", "textarea"):
            self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in ("sent", "came"):
            self.bubbles.append((self._in, data))
        elif self._in in ("secondary", "system"):
            self.notes.append(data.strip())
        elif self._in == "draft":
            self.hidden["draft"] = data.removeprefix("\n")

    @property
    def taps(self) -> list[str]:
        return [value for name, value in self.buttons if name == "tap"]

    @property
    def readings(self) -> list[str]:
        """What stands below each text of a guest's."""
        return [note for note in self.notes if "cookie" in note and " · " in note]

    def fact(self, name: str) -> str:
        (found,) = re.findall(rf"<dt>{name}</dt><dd>(.*?)</dd>", self.body, re.DOTALL)
        return " ".join(re.sub("<.*?>", "", html.unescape(found)).split())


class Trying:
    """An operator who tries a questionnaire out, as a browser without scripts does."""

    def __init__(self, browser: Browser, path: str = PATH) -> None:
        self.browser, self.path = browser, path
        self.page = Page(browser.get(path))

    def post(self, **fields: str) -> Page:
        answer = self.browser.post(self.path, **(self.page.hidden | fields))
        if answer.status == 303:
            answer = self.browser.get(answer.headers["Location"])
        self.page = Page(answer)
        return self.page

    def text(self, words: str) -> Page:
        return self.post(text=words, act="send")


@pytest.fixture
def trying(operator) -> Trying:
    return Trying(operator)


def test_the_phone_opens_with_what_any_text_opens(webhook, operator):
    (webhook.app.settings.questionnaires / "aaa.toml").write_text(
        'title = "First"\nevent = "First"\nthanks = "Thanks."\n[[questions]]\nask = "First?"\n',
        "utf-8",
    )
    webhook.app.files.look(at_once=True)
    assert next(iter(webhook.app.files.current.catalog))[0] == "aaa"
    assert "Any text begins." in operator.get("/console/try").body


def counts(app) -> dict[str, int]:
    tables = set(Base.metadata.tables) - {"console_sessions"}
    return {table: rows(app, f"SELECT count(*) FROM {table}")[0][0] for table in tables}


def test_the_conversation_of_the_readme_is_held_and_nothing_of_it_is_kept(trying):
    app = trying.browser.app
    before = counts(app)
    for words in TEXTS:
        page = trying.text(words)
    expected = [each for pair in zip(TEXTS, REPLIES, strict=True) for each in pair]
    assert [words for _, words in page.bubbles] == expected
    assert [side for side, _ in page.bubbles] == ["sent", "came"] * len(TEXTS)
    assert page.fact("State") == "completed"
    assert page.fact("Cost so far") == page.fact("Cost of a completed conversation")
    assert "Without [results], the answers stay in the database." in page.body
    assert page.body.count('role="rowheader">Question') == 4
    assert counts(app) == before


def test_it_is_as_it_is_when_somebody_texts(trying, webhook):
    phone = webhook.phone("+14155550001")
    for words in (*TEXTS, "More?", "STOP", "START", "Again"):
        said = phone.text(words)
        page = trying.text(words)
        assert page.bubbles[-1][1] == (said[0] if said else words)
    query = "SELECT read_as FROM messages WHERE direction = 'inbound' ORDER BY id"
    assert [each.split(" · ")[0] for each in page.readings] == [
        explain_reading(word) for (word,) in rows(webhook.app, query)
    ]


def test_a_day_ends_a_conversation_and_an_hour_does_not(trying):
    trying.text("Mats BBQ")
    page = trying.post(act="hour")
    assert page.fact("State") == "waits for the next text open"
    assert "An hour passed." in page.notes
    assert page.fact("Waits for") == f"{QUESTIONS[0]} Question1"
    assert trying.text("Blue").bubbles[-1] == ("came", QUESTIONS[1])
    page = trying.post(act="day")
    assert page.fact("State") == "gone silent expired"
    assert "has gone silent" in page.body
    assert page.fact("Asked last") == f"{QUESTIONS[1]} Question2"
    assert trying.text("Pizza").bubbles[-1] == ("came", QUESTIONS[0])


def test_stop_ends_it_and_start_lets_it_begin_anew(trying):
    trying.text("Mats BBQ")
    page = trying.post(act="stop")
    assert page.bubbles[-1] == ("sent", "STOP")
    assert page.fact("State") == "stopped; wants no texts opted out"
    assert page.fact("Last text") == "opted out"
    assert trying.text("Hello").fact("Last text") == "no reply: this person has opted out"
    assert trying.post(act="start").fact("Last text") == "opted in again"
    assert trying.text("Hello").bubbles[-1] == ("came", QUESTIONS[0])


def test_a_lost_cookie_changes_nothing_and_is_seen(trying):
    trying.text("Mats BBQ")
    assert trying.text("Blue").readings[-1] == "an answer · the cookie matched"
    trying.post(act="lose cookie")
    page = trying.text("Pizza")
    assert page.readings[-1] == "an answer · Twilio sent no cookie"
    assert page.bubbles[-1] == ("came", QUESTIONS[2])
    trying.post(act="day")
    page = trying.text("Mats BBQ")  # Twilio keeps no cookie for a day
    assert page.readings[-1] == "opened the conversation · Twilio sent no cookie"


def test_a_webhook_that_comes_again_gets_the_same_reply_and_changes_nothing(trying):
    trying.text("Mats BBQ")
    trying.text("Blue")
    page = trying.post(act="again")
    assert page.bubbles[-2:] == [("came", QUESTIONS[1])] * 2
    assert "Nothing changed, and it got the same reply." in page.body
    assert page.fact("Cost so far") == "5 texts both ways, 5 segments"
    assert trying.text("Pizza").bubbles[-1] == ("came", QUESTIONS[2])


def test_each_sender_has_a_conversation_of_their_own(trying):
    trying.text("Mats BBQ")
    page = trying.post(sender=SENDERS[1])
    assert page.bubbles == [] and f"Friend</bdi>, {SENDERS[1]}, texts" in page.body
    trying.text("Hello")
    page = trying.post(sender=SENDERS[0])
    assert page.bubbles[-1] == ("came", QUESTIONS[0]) and f"Rey</bdi>, {REY}, texts" in page.body
    assert ("sender", SENDERS[2]) in page.buttons and ("sender", SENDERS[3]) not in page.buttons


def test_a_picture_is_sent_with_words_or_without(trying, questionnaires):
    ask = 'title = "P"\nthanks = "T"\n[[questions]]\nkind = "photo"\nask = "A photo?"\n'
    (questionnaires / "feedback.toml").write_text(ask)
    trying.text("Hi")
    assert trying.text("None").fact("Last text") == "could not be read"
    page = trying.post(act="picture", text="Here")
    assert page.fact("Last text") == "an answer"
    assert page.bubbles[-2:] == [("sent", "Here"), ("came", "T")]
    trying.post(act="start over")
    assert trying.post(act="picture").bubbles[0] == ("sent", "A picture")


def test_what_can_be_chosen_is_tapped(trying, questionnaires):
    (questionnaires / "feedback.toml").write_text(PARTY, "utf-8")
    page = trying.post()
    assert page.taps == ["Party"]
    assert trying.post(tap="Party").taps == ["Beer", "Wine & more"]
    assert trying.post(tap="Wine & more").taps == ["yes", "no", "SKIP"]
    assert trying.post(tap="yes").taps == ["OK"]
    page = trying.post(tap="OK")
    assert (page.fact("State"), page.taps) == ("completed", ["Party"])
    assert "1 segment · UCS-2 because of 🎉" in page.notes


def test_of_readings_the_guest_chooses_one(trying, questionnaires):
    ask = 'title = "P"\nthanks = "T"\n[[questions]]\nkind = "date"\nask = "When?"\n'
    (questionnaires / "feedback.toml").write_text(ask)
    trying.text("Hi")
    taps = trying.text("03/05").taps
    assert len(taps) == 2
    assert trying.post(tap=taps[1]).fact("State") == "completed"


def test_long_replies_count_their_segments(trying, questionnaires):
    (questionnaires / "feedback.toml").write_text(PARTY.replace("Bye", "é" * 80), "utf-8")
    for words in ("Party", "Beer", "no", "OK"):
        page = trying.text(words)
    assert "2 segments · UCS-2 because of 🎉" in page.notes
    assert page.fact("Cost so far") == "8 texts both ways, 9 segments"


RESULTS = '\n[results]\nurl = "http://127.0.0.1:9/never"\n'


def test_the_result_is_shown_as_the_fields_of_a_form(trying, questionnaires):
    with (questionnaires / "feedback.toml").open("a") as file:
        file.write(RESULTS + '[results.fields]\nFrom = "phone"\nId = "id"\nQuestion1 = "colour"\n')
    for words in TEXTS:
        page = trying.text(words)
    shown = dict(re.findall('rowheader">(.*?)</th><td role="cell" dir="auto">(.*?)<', page.body))
    assert (shown["phone"], shown["colour"], shown["id"]) == (REY, "Blue", f"msg_{1:032x}")
    assert "Nothing is sent from here." in page.body
    assert trying.post().body == page.body  # the same steps, the same page


def test_partial_results_are_shown_as_json(trying, questionnaires):
    file = questionnaires / "feedback.toml"
    written = f'resume = "3d"\n{file.read_text("utf-8")}{RESULTS}'
    file.write_text(written + 'format = "json"\npartial = true\n', "utf-8")
    trying.text("Mats BBQ")
    trying.text("Blue")
    assert trying.post(act="day").fact("State").startswith("gone silent; the next text goes on")
    assert trying.text("Back again").readings[-1].startswith("came back: asked again")
    trying.text("Pizza")
    page = trying.post(act="stop")
    shown = re.findall(r"<pre.*?>(.*?)</pre>", page.body, re.DOTALL)
    event, later = (json.loads(html.unescape(each)) for each in shown)
    assert later["data"]["corrects"] == f"msg_{1:032x}"
    assert event["type"] == "conversation.expired"
    assert event["data"]["answers"] == {"Question1": "Blue"}
    assert event["data"]["from"] == REY


def test_the_page_follows_the_file_and_shows_its_mistakes(trying, questionnaires):
    file = questionnaires / "feedback.toml"
    page = trying.text("Mats BBQ")
    original = file.read_text("utf-8")
    file.write_text(original.replace("Hello.", "Good day."), "utf-8")
    address = f"{PATH}?{urlencode({name: page.hidden[name] for name in ('started', 'steps')})}"
    shown = Page(trying.browser.get(address))
    assert shown.bubbles[-1][1].startswith("Good day.")
    file.write_text(original.replace("thanks", "thank"), "utf-8")
    shown = Page(trying.browser.get(address))
    assert "Correct this, and the phone is back as it was." in shown.body
    assert "unknown field `thank`" in shown.body and shown.bubbles == []
    in_use = trying.browser.get(f"{address}&source=use")
    assert Page(in_use).bubbles[-1] == ("came", QUESTIONS[0])
    file.write_text(original, "utf-8")
    assert Page(trying.browser.get(address)).bubbles == page.bubbles
    file.unlink()
    assert "is not on the disk any more" in trying.browser.get(address).body


def test_two_files_that_the_same_text_opens_are_a_mistake_of_both(trying, questionnaires):
    for name in ("one", "rock and roll"):
        (questionnaires / f"{name}.toml").write_text(PARTY, "utf-8")
    for name in ("one", "rock%20and%20roll"):
        assert (
            "opens both"
            in Trying(trying.browser, f"/console/try/{name}".replace("%20", " ")).page.body
        )
    assert "opens both" not in trying.post().body


def test_a_text_in_the_box_is_tried_with_what_check_says(trying):
    page = trying.post(source="text")
    assert page.hidden["draft"].startswith('title = "Guest feedback"')  # to begin with
    page = trying.post(source="text", draft=PARTY)
    assert page.body.index("<textarea") < page.body.index('id="findings"') < page.body.index("<dl")
    assert "thanks: 🎉 (character 5) makes it UCS-2" in page.body
    assert page.hidden["draft"] == PARTY.strip()
    assert "data-live" not in page.body
    assert trying.post(tap="Party").bubbles[-1][1].startswith("What will you drink?")
    page = trying.post(draft="title = 3")
    assert "Expected `str`, got `int`" in page.body and page.bubbles == []
    page = trying.post(draft="[[[")
    assert "is not TOML" in page.body
    assert trying.post(draft=PARTY).bubbles[0] == ("sent", "Party")


def test_the_box_is_for_those_who_may_act(operator):
    looking = Browser(operator.app)
    looking.enter(LOOK)
    page = Trying(looking).post(source="text", draft=PARTY)
    assert ("source", "text") not in page.buttons
    assert "drink" not in page.body


DRAFTS = {
    "huge": "# " + "a" * LONGEST_DRAFT,
    "deep": "a = " + "[" * 9000,
    "a path": 'title = "a"\nreply = "/etc/passwd"\nlanguage = "../.."',
    "many choices": PARTY.replace('"Beer"', ", ".join(f'"c{n} x"' for n in range(1500))),
    "memory": PARTY + '[[questions]]\nask = "?"\npattern = "((a{1000}){1000}){1000}"',
    "more memory": PARTY + '[[questions]]\nask = "?"\npattern = "a{1000000000}"',
    "time": PARTY + '[[questions]]\nask = "?"\npattern = "(a+)+b"',
    "no zone": 'timezone = "/etc/localtime"\n' + PARTY,
    "conditions": PARTY + '[[questions]]\nask = "?"\nonly_if = { drink = "Beer" }\n' * 300,
    "surrogate": 'title = "\\ud800"',
}


@pytest.mark.parametrize("draft", DRAFTS.values(), ids=DRAFTS)
def test_no_draft_is_an_error_of_ours(trying, draft):
    before = counts(trying.browser.app)
    page = trying.post(source="text", draft=draft, text="Party", act="send")
    assert evils(page.body) == []
    page = trying.post(source="text", text="aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", act="send")
    assert counts(trying.browser.app) == before


STEPS = {
    "no JSON": "[",
    "no list": "{}",
    "a number": "[[1]]",
    "an unknown act": '[["delete", ""]]',
    "a sender": '[["sender", "+1"]]',
    "too long": json.dumps([["text", "a" * (LONGEST_TEXT + 1)]]),
    "too many": json.dumps([["hour", ""]] * (MAX_STEPS + 1)),
    "deep": "[" * 9000,
    "more fields": '[["text", "a", "b"]]',
    "null": '[["text", null]]',
    "a state": '[{"state": "completed", "read_as": "answer"}]',
    "a surrogate": '[["text", "\\ud800"]]',
    "infinite": "[[1e999999]]",
}


@pytest.mark.parametrize("steps", STEPS.values(), ids=STEPS)
def test_forged_steps_count_as_none(trying, steps):
    assert trying.post(steps=steps).hidden["steps"] == "[]"
    assert Page(trying.browser.get(f"{PATH}?{urlencode({'steps': steps})}")).bubbles == []


@pytest.mark.parametrize("started", ["", "-1", "x", "1e9", "0", "9" * 18, "9" * 400, "²"])
def test_an_odd_beginning_is_now(trying, started):
    page = trying.post(started=started, text="Mats BBQ")
    assert page.bubbles[-1] == ("came", QUESTIONS[0])
    assert int(page.hidden["started"]) == int(trying.browser.app.clock().timestamp()) // 60 * 60


@pytest.mark.parametrize(
    "fields",
    [
        {"act": "delete"},
        {"sender": "+1"},
        {"source": "../../etc/passwd"},
        {"tap": ""},
        {"text": "\x00"},
        {"act": ["stop", "start"]},
        {"source": "text", "draft": ""},
    ],
    ids=str,
)
def test_odd_fields_are_harmless(trying, fields):
    body = urlencode(fields, doseq=True)
    for method, path in (("POST", PATH), ("GET", f"{PATH}?{body}")):
        answer = trying.browser.ask(method, path, OWN, body if method == "POST" else "")
        assert answer.status in (200, 303), answer


def test_what_is_no_form_or_too_long_is_refused(trying):
    ask = trying.browser.ask
    assert ask("POST", PATH, OWN, "steps").status == 400
    assert ask("POST", PATH, OWN, "text=%ff").status == 400
    assert ask("POST", PATH, OWN, "text=" + "a" * 70_000).status == 413
    assert ask("POST", PATH, OWN | {"Content-Type": "application/json"}, "{}").status == 415


@pytest.mark.parametrize(
    "name", ["nothing", "..", "feedback.toml", "../feedback", "a/b", "%00", "\xff"]
)
def test_a_questionnaire_that_is_not_there_is_no_page(operator, name):
    assert operator.get(f"/console/try/{name}").status == 404
    assert operator.post(f"/console/try/{name}").status == 404


@pytest.mark.parametrize("evil", CORPUS)
def test_whatever_is_texted_is_shown_as_text(trying, questionnaires, evil):
    evil = evil.replace("\0", "")
    asking = evil.replace("{", "(").replace("}", ")")
    party = PARTY.replace('"Beer"', json.dumps(asking, ensure_ascii=False))
    party = party.replace('"Bye 🎉"', json.dumps(asking, ensure_ascii=False))
    (questionnaires / "feedback.toml").write_text(party, "utf-8")
    trying.text("Party")
    trying.text(evil)
    for words in ("2", "yes", "OK"):
        page = trying.text(words)
    assert evils(page.body) == []
    assert ("sent", evil.strip()) in [(side, words.strip()) for side, words in page.bubbles]
    assert page.fact("State") == "completed"


def test_a_tryout_is_bounded(trying):
    steps = json.dumps([["text", "Mats BBQ"]] + [["hour", ""]] * (MAX_STEPS - 2))
    page = trying.post(steps=steps, act="hour")
    assert f"That was the last step of {MAX_STEPS}." in page.body
    assert page.hidden["steps"] == trying.text("Blue").hidden["steps"]
    assert trying.post(act="start over").hidden["steps"] == "[]"


def test_a_reload_shows_the_same_as_long_as_it_fits_into_an_address(trying):
    answer = trying.browser.post(PATH, text="Mats BBQ")
    assert answer.status == 303
    assert "data-live" in trying.browser.get(answer.headers["Location"]).body
    steps = json.dumps([["text", "a" * LONGEST_TEXT]] * 3)
    answer = trying.browser.post(PATH, steps=steps, text="b" * LONGEST_TEXT)
    assert answer.status == 200 and len(steps) > LONGEST_ADDRESS
    assert len(Page(answer).bubbles) == 8 and "data-live" not in answer.body


def test_a_tryout_is_saved_as_a_test_that_replays(trying, questionnaires, tmp_path):
    (questionnaires / "feedback.toml").write_text(PARTY, "utf-8")
    assert trying.browser.post(f"{PATH}/test.json", **trying.page.hidden).status == 404
    for words in ("Party", "Rey likes Beer", "Beer"):
        trying.text(words)
    trying.post(act="again")
    trying.post(act="day")
    trying.post(act="picture")
    answer = trying.browser.post(f"{PATH}/test.json", **trying.page.hidden)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="test.json"'
    (tmp_path / "test.json").write_bytes(answer.content)
    recording = load(tmp_path / "test.json")
    assert [each.text for each in recording.exchanges] == ["Party", "Guest likes Beer", "Beer", ""]
    assert REY not in answer.body and "Rey" not in answer.body
    replies = replay(recording, load_catalog(questionnaires).select("feedback"))
    assert replies == [each.reply for each in recording.exchanges]
    assert replies[0].startswith("What will you drink?")


def test_reading_and_trying_do_not_wait_for_each_other(trying, patch):
    patch("storage.database", "REPORT_WAIT_SECONDS", 0.01)
    patch("console.turns", "WAIT_SECONDS", 0.01)
    database = trying.browser.app.database
    with ExitStack() as reports:
        for _ in range(MAX_REPORTS):
            reports.enter_context(database.report())
        assert trying.text("Mats BBQ").bubbles[-1] == ("came", QUESTIONS[0])
    with TRYING.take():
        answer = trying.browser.get(PATH)
        assert answer.status == 503 and "Others are at work just now." in answer.body
        assert trying.browser.get("/console/threads").status == 200
    assert trying.text("Blue").bubbles[-1] == ("came", QUESTIONS[1])


def test_no_place_is_taken_for_good(trying, questionnaires):
    for _ in range(4):
        assert trying.browser.get("/console/try/nothing").status == 404
    assert trying.text("Mats BBQ").bubbles[-1] == ("came", QUESTIONS[0])


def test_a_link_leads_to_the_page_that_it_names_and_nowhere_else(operator):
    for to, landing in (("/console/try", "/console/try"), ("https://evil.example", "/console")):
        browser = Browser(operator.app)
        path = f"/console/enter/{make_link(operator.app)}?{urlencode({'to': to})}"
        assert browser.get(path).status == 200
        assert browser.post(path).headers["Location"] == landing


def test_the_first_page_tries_a_questionnaire_that_asks_something(operator):
    page = Trying(operator, "/console/try").page
    assert 'aria-current="true">feedback</a>' in page.body
    assert "Any text begins." in page.body
    assert dict(parse_qsl(page.hidden["steps"])) == {}
