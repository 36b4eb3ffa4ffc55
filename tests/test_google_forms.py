"""What becomes of results that go to Google Forms and to Apps Script web apps."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from click.testing import CliRunner
from conftest import FEEDBACK, REY, Webhook
from google_form import OTHER, SUBMIT, GoogleForm, Question
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands import cli
from models.google_form.answer import AnswerPage
from worker.form_page import Look
from worker.google_forms import GoogleForm as Judge
from worker.http_client import RequestFailed, Response, post
from worker.receivers import Outcome, Receiver, Sent, find_receiver
from worker.results import claim_due, run_attempt

FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
ANSWERS = {
    "short": "Blue",
    "paragraph": "Blue\nor green",
    "choice": "Pizza",
    "dropdown": "Pizza",
    "checkboxes": ["Pizza", "Pasta"],
    "scale": "3",
    "rating": "5",
}
MEALS = ["Pizza", "Pasta"]


@pytest.fixture(autouse=True)
def fake_hosts(patch) -> None:
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})


def send(url: str, payload: dict, confirmation: str = "") -> Outcome:
    """What becomes of a result: over HTTP, judged by the kind of receiver."""
    receiver = find_receiver(url)
    body = urlencode(payload, doseq=True).encode()
    headers = {"Content-Type": FORM_TYPE}
    try:
        response = post(url, body, headers, allow_private=True, max_body=receiver.max_body)
    except RequestFailed as error:
        return Outcome(None, error.cause, error.detail)
    return receiver.judge(Sent(url, payload, True, confirmation), response)


@dataclass
class Case:
    """A form, what it is sent, and what truly becomes of that."""

    name: str
    questions: list[Question]
    answers: list[Any]  # to each question, or a dictionary of fields
    cause: str | None = None
    says: str = ""  # what the detail must have
    knows: str = ""  # the text that confirms, as it was when somebody looked
    fields: dict[str, Any] = field(default_factory=dict)  # more, as they are sent
    form: dict[str, Any] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        sent: dict[str, Any] = {}
        inputs = [question for question in self.questions if question.entries]
        for question, answer in zip(inputs, self.answers, strict=True):
            sent |= answer if isinstance(answer, dict) else {question.entry: answer}
        return {name: value for name, value in sent.items() if value is not None} | self.fields


def one(kind: str, **kwargs) -> list[Question]:
    kwargs |= {"options": MEALS} if kind in ("choice", "dropdown", "checkboxes") else {}
    return [Question("Meal", kind, **kwargs)]


def date(*parts: int, question: Question, names: str = "year month day") -> dict[str, Any]:
    return {
        f"{question.entry}_{name}": part for name, part in zip(names.split(), parts, strict=True)
    }


def cases() -> list[Case]:
    day, night = Question("Arrival", "date", required=True), Question("Night", "time")
    lasts = Question("Length", "duration")
    lost_day = Question("Arrival", "date", required=True)
    grid = Question("Rate", "grid", options=["bad", "good"], rows=["Food", "Bed"], required=True)
    half = Question("Rate", "grid", options=["bad", "good"], rows=["Food", "Bed"], required=True)
    second = Question("Second", "section")
    third = Question("Third", "section")
    three = [*one("short"), second, Question("Drink"), third, Question("Stars", "scale")]
    short_history = [*one("short"), Question("Second", "section"), Question("Drink", required=True)]
    branching = [
        Question("Come?", "choice", options=["yes", "no"], leads_to={"no": SUBMIT}, required=True),
        Question("Second", "section"),
        Question("Meal", required=True),
    ]
    other = one("choice", has_other=True, required=True)
    ruled = [Question("Age", "short", rule=str.isdecimal)]
    return [
        # Recorded: each kind of question, and each way to say so.
        *(Case(f"{kind}", one(kind), [answer]) for kind, answer in ANSWERS.items()),
        Case("an optional question without an answer", one("choice"), [None]),
        Case(
            "Other",
            other,
            [{other[0].entry: OTHER, f"{other[0].entry}.other_option_response": "x"}],
        ),
        Case(
            "a date, a time and a duration",
            [day, night, lasts],
            [
                date(2026, 12, 31, question=day),
                date(18, 5, question=night, names="hour minute"),
                date(1, 2, 3, question=lasts, names="hour minute second"),
            ],
        ),
        Case("a grid", [grid], [{f"entry.{number}": "good" for number in grid.entries}]),
        Case("three sections", three, ["a", "b", "3"], fields={"pageHistory": "0,1,2", "fvv": "1"}),
        Case("a branch that ends", branching, ["no", None], fields={"pageHistory": "0"}),
        Case("in German", one("short"), ["a"], form={"language": "de", "markup": "plain"}),
        Case("in Thai", one("short"), ["a"], form={"language": "th", "markup": "older"}),
        Case(
            "the owner's text, without a link",
            one("short"),
            ["a"],
            knows='Thanks; "noted" & <ok>]\nBye',
            form={"confirmation": 'Thanks; "noted" & <ok>]\nBye', "has_link": False},
        ),
        Case("no data on the page", one("short"), ["a"], form={"data_when_recorded": False}),
        Case(
            "an e-mail address",
            one("short"),
            ["a"],
            fields={"emailAddress": "rey@example.org"},
            form={"email": "typed"},
        ),
        # Refused.
        Case(
            "a required question",
            [*one("short", required=True), Question("Drink")],
            [None, "Cola"],
            "shown_again",
            '"Meal" ({0}) needs an answer',
        ),
        Case(
            "no such option, in German",
            one("choice"),
            ["Pizzza"],
            "shown_again",
            '"Meal" ({0}) was sent what is none of its options',
            form={"language": "de", "markup": "plain"},
        ),
        Case(
            "no such option, by 400",
            one("dropdown"),
            ["pizza"],
            "bad_fields",
            form={"unknown_option": 400},
        ),
        Case(
            "a date in one piece, in Thai",
            [lost_day],
            ["2026-12-31"],
            "shown_again",
            '"Arrival" ({0}) is a date, and is sent as {0}_year, {0}_month, {0}_day',
            form={"language": "th"},
        ),
        Case(
            "half a grid",
            [half],
            [{f"entry.{half.entries[0]}": "bad"}],
            "shown_again",
            '"Rate: Bed"',
            form={"markup": "older", "data_when_again": True},
        ),
        Case(
            "too few sections",
            short_history,
            ["a", "b"],
            "shown_again",
            "it has 2 sections, so the results need pages = 2",
        ),
        Case(
            "a rule, with the confirmation's words in its head",
            ruled,
            ["old"],
            "shown_again",
            "a question may have a rule",
            knows="Thanks",
            form={"description": "Thanks", "confirmation": "Thanks", "markup": "plain"},
        ),
        Case(
            "no data when shown again",
            one("short", required=True),
            [None],
            "shown_again",
            "does not tell why",
            form={"data_when_again": False},
        ),
        Case(
            "no inputs with names, in Thai",
            one("paragraph", required=True),
            [None],
            "shown_again",
            "needs an answer",
            form={"has_inputs": False, "markup": "plain", "language": "th"},
        ),
        # Not open.
        Case("sign-in", one("short"), ["a"], "sign_in", form={"state": "sign_in"}),
        Case("401", one("short"), ["a"], "restricted", form={"state": "sign_in", "sign_in": 401}),
        Case("a file", [*one("short"), Question("CV", "upload")], ["a", None], "sign_in"),
        Case("closed, by redirect", one("short"), ["a"], "closed", form={"state": "closed"}),
        Case(
            "closed, in German",
            one("short"),
            ["a"],
            "closed",
            knows="Danke",
            form={"state": "closed", "closed_by": "page", "language": "de", "title": "Danke"},
        ),
        Case(
            "closed, with the words of the confirmation",
            one("short"),
            ["a"],
            "unconfirmed",
            knows="Thanks",
            form={"state": "closed", "closed_by": "page", "closed_message": "Thanks"},
        ),
        Case("captcha", one("short"), ["a"], "captcha", form={"state": "captcha"}),
        Case(
            "captcha with the form",
            one("short"),
            ["a"],
            "captcha",
            form={"state": "captcha", "captcha_with_form": True, "markup": "plain"},
        ),
        Case("deleted", one("short"), ["a"], "no_form", form={"state": "deleted"}),
        Case("too many at once", one("short"), ["a"], "http", form={"state": "busy"}),
        # Nobody can tell.
        Case(
            "recorded, but nothing says so",
            one("short"),
            ["a"],
            "unconfirmed",
            form={"has_link": False, "markup": "plain"},
        ),
        Case(
            "recorded, with a text that has changed",
            one("short"),
            ["a"],
            "unconfirmed",
            knows="Thanks",
            form={"has_link": False, "confirmation": "Thanks for coming", "markup": "today"},
        ),
    ]


CASES = {case.name: case for case in cases()}


def run_case(name: str) -> tuple[Case, GoogleForm, Outcome]:
    case = next(each for each in cases() if each.name == name)
    with GoogleForm(case.questions, **case.form) as form:
        return case, form, send(form.url, case.payload(), case.knows)


def is_right(name: str) -> bool:
    """Whether it was judged truly; a result that is lost must never count as delivered."""
    case, form, outcome = run_case(name)
    entries = [question.entry for question in case.questions if question.entries]
    if case.says.format(*entries) not in outcome.detail:
        return False
    return outcome.cause == case.cause and (form.rows != [] or outcome.cause is not None)


def test_there_are_thirty_forms_and_more():
    assert len(CASES) >= 30
    assert {case.form.get("language", "en") for case in CASES.values()} == {"en", "de", "th"}


@pytest.mark.parametrize("name", CASES)
def test_judge_is_right(name):
    case, form, outcome = run_case(name)
    assert outcome.cause == case.cause, (outcome, form.rows)
    entries = [question.entry for question in case.questions if question.entries]
    assert case.says.format(*entries) in outcome.detail
    if case.cause != "unconfirmed":
        assert len(form.rows) == (case.cause is None)
    assert bool(outcome.evidence) == (case.cause == "unconfirmed")


# Judges that are not good enough ###############################################


def by_text(*texts: str) -> Callable:
    def judge(self: Judge, request: Sent, response: Response) -> Outcome:
        html = response.body.decode()
        found = response.status == 200 and any(text in html for text in texts)
        return Outcome(response.status, None if found else "unconfirmed")

    return judge


WEAKENED = {
    "any 2xx": (Judge, "judge", Receiver.judge),
    "a class name": (Judge, "judge", by_text("vHW8K", "ResponseConfirmationMessage")),
    "an English sentence": (Judge, "judge", by_text("Your response has been recorded")),
    "the link anywhere": (Judge, "judge", by_text("form_confirm")),
    "no look at the form": ("worker.form_page", "look", lambda *_, **__: Look(is_open=True)),
    "the text anywhere": (
        AnswerPage,
        "says",
        lambda page, text: bool(text) and text in page._html,
    ),
    "data is a form": ("models.google_form.page", "has_items", lambda data: data is not None),
    "no data": ("models.google_form.page", "find_data", lambda scripts: None),
    "inputs are not looked at": ("models.google_form.markup", "FIELDS", set()),
}


@pytest.mark.parametrize("name", WEAKENED)
def test_weaker_judges_are_found_out(patch, name):
    patch(*WEAKENED[name])
    assert not all(map(is_right, CASES))


# The sheet #####################################################################


def test_every_cell_of_the_sheet_is_what_was_sent():
    by_name = {name: run_case(name)[1].rows[0] for name in CASES if CASES[name].cause is None}
    assert by_name["checkboxes"] == {"Meal": "Pizza, Pasta"}
    assert by_name["Other"] == {"Meal": "x"}
    assert by_name["a date, a time and a duration"] == {
        "Arrival": "12/31/2026",
        "Night": "6:05:00 PM",
        "Length": "1:02:03",
    }
    assert by_name["a grid"] == {"Rate [Food]": "good", "Rate [Bed]": "good"}
    assert by_name["three sections"] == {"Meal": "a", "Drink": "b", "Stars": "3"}
    assert by_name["a branch that ends"] == {"Come?": "no", "Meal": ""}
    assert by_name["an e-mail address"] == {"Email Address": "rey@example.org", "Meal": "a"}


def test_what_a_form_does_not_know_is_dropped_or_refused():
    with GoogleForm(one("short")) as form:
        assert send(form.url, {"entry.5": "a", form.questions[0].entry: "b"}).cause is None
        assert form.rows == [{"Meal": "b"}]
        form.unknown_entry = 400
        assert send(form.url, {"entry.5": "a"}).cause == "bad_fields"


def test_a_required_question_may_be_answered_by_400():
    with GoogleForm(one("short", required=True), missing=400) as form:
        assert send(form.url, {}).cause == "bad_fields"


def test_an_optional_date_in_one_piece_is_lost_and_recorded():
    arrival = Question("Arrival", "date")
    with GoogleForm([arrival, Question("Name")]) as form:
        assert send(form.url, {arrival.entry: "2026-12-31"}).cause is None
        assert form.rows == [{"Arrival": "", "Name": ""}]
        day = date(2026, 13, 1, question=arrival)
        assert send(form.url, day).cause == "bad_fields"


# Why a form was shown again ####################################################


@pytest.mark.parametrize(
    ("question", "sent", "says"),
    [
        (Question("A", "date"), {"{0}_year": "2026"}, "also needs {0}_month, {0}_day"),
        (Question("A", "date", has_time=True), {"{0}_day": "1"}, "{0}_year, {0}_month, {0}_hour"),
        (Question("A", "time"), {"{0}": "18:00"}, "is a time, and is sent as {0}_hour, {0}_minute"),
        (Question("A", "duration", required=True), {}, "needs an answer"),
        (
            Question("A", "time"),
            {"{0}_hour": "24", "{0}_minute": "0"},
            "a time that does not exist",
        ),
        (
            Question("A", "choice", options=["x", "y"]),
            {"{0}": ["x", "y"]},
            "only one of its options",
        ),
        (Question("A", "choice", options=["x"]), {"{0}": OTHER}, "no option for another text"),
        (Question("A", "scale"), {"{0}": "6"}, "none of its options"),
    ],
)
def test_detail_names_the_question_and_what_is_wrong(question, sent, says):
    blocked = Question("B", required=True)  # shows the form again, whatever is sent
    payload = {name.format(question.entry): value for name, value in sent.items()}
    with GoogleForm([question, blocked], malformed="again") as form:
        outcome = send(form.url, payload)
    assert outcome.cause == "shown_again"
    assert (
        f'"A" ({question.entry})' in outcome.detail
        and says.format(question.entry) in outcome.detail
    )
    assert f'"B" ({blocked.entry}) needs an answer' in outcome.detail


def test_other_without_its_text_is_named():
    meal = Question("Meal", "choice", options=MEALS, has_other=True, required=True)
    with GoogleForm([meal]) as form:
        assert "needs the text of the other option" in send(form.url, {meal.entry: OTHER}).detail


def test_detail_shows_no_answers_and_unknown_names():
    with GoogleForm(one("choice", required=True)) as form:
        detail = send(form.url, {form.questions[0].entry: "secret", "entry.5": "secret"}).detail
    assert "secret" not in detail and "entry.5 is none of its questions" in detail


def test_long_titles_are_shortened():
    question = Question("A\n" + "long " * 100, required=True)
    with GoogleForm([question]) as form:
        assert len(send(form.url, {}).detail) < 120


def test_the_address_of_the_page_takes_no_results():
    with GoogleForm(one("short")) as form:
        outcome = send(form.page_url, {form.questions[0].entry: "a"})
    assert outcome.cause == "shown_again" and "ends in /formResponse" in outcome.detail
    assert form.rows == []


def test_json_is_refused_by_a_form():
    with GoogleForm(one("short")) as form:
        answer = post(form.url, b"{}", {"Content-Type": "application/json"}, allow_private=True)
    assert answer.status == 400


# What proves nothing ###########################################################


def judged(html: str | bytes, form: GoogleForm, confirmation: str = "") -> Outcome:
    """What becomes of a result that is answered with this page, while the form is as it is."""
    body = html.encode() if isinstance(html, str) else html
    return Judge().judge(Sent(form.url, {}, True, confirmation), Response(200, "", "", body))


@pytest.fixture
def open_form():
    with GoogleForm(one("short"), padding=0) as form:
        yield form


@pytest.mark.parametrize(
    "page",
    [
        "<a href='{base}/viewform?usp=form_confirm'>x",
        "<A HREF={base}/viewform?usp=form_confirm>",
        "<a href='/forms/d/e/{id}/viewform?a=b&amp;usp=form_confirm'>",
        "<a href='/forms/u/0/d/e/{id}/viewform?usp=form_confirm&amp;edit2=x'>",
        "<p>Tha&#110;ks &amp;\n<b>bye</b></p>",
        "<h1>Mats BBQ</h1><div>Thanks</div><div>&amp; <a href=x>bye</a></div>",
        "<div class='a freebirdFormviewerViewResponseConfirmationMessage'>x",
    ],
)
def test_proof_in_any_markup_is_proof(open_form, page):
    html = page.replace("{base}", open_form.base).replace("{id}", open_form.id)
    assert judged(html, open_form, "Thanks & bye").cause is None


@pytest.mark.parametrize(
    "page",
    [
        "",
        "<a href='{base}x/viewform?usp=form_confirm'>",
        "<a href='https://example.org/forms/d/e/{id}/viewform?usp=form_confirm'>",
        "<a href='{base}/viewform?usp=form_confirmed'>",
        "<a href='{base}/formResponse?usp=form_confirm'>",
        "<a href='http://[/forms/d/e/{id}/viewform?usp=form_confirm'>",
        "<a>{base}/viewform?usp=form_confirm</a>",
        "<script>'<a href=\"{base}/viewform?usp=form_confirm\">'</script>",
        "<!-- <a href='{base}/viewform?usp=form_confirm'> -->",
        "<link href='{base}/viewform?usp=form_confirm'>",
        "<style>.freebirdFormviewerViewResponseConfirmationMessage{}</style>",
        "<p>Thanks & bye, but no</p>",
        "<p>No Thanks</p><p>& bye</p>",
        "<title>Thanks & bye</title>",
        "<title>Thanks  & bye</title><p>Thanks & bye</p>",
        "<script>'Thanks & bye'</script><p title='Thanks & bye'>",
        "<template>Thanks & bye</template>",
        "Your response has been recorded",
    ],
)
def test_what_only_looks_like_proof_is_none(open_form, page):
    html = page.replace("{base}", open_form.base).replace("{id}", open_form.id)
    outcome = judged(html, open_form, "Thanks & bye")
    assert outcome.cause == "unconfirmed"
    assert outcome.evidence or not page


@pytest.mark.parametrize(
    "shown",
    [
        "<script>FB_PUBLIC_LOAD_DATA_ = [null,[null,[[1]]]];</script>",
        "<input name='entry.5_year'>",
        "<textarea name=entry.5></textarea>",
    ],
)
def test_a_form_that_is_shown_again_is_no_proof_whatever_else_it_says(open_form, shown):
    proof = f"<a href='{open_form.page_url}?usp=form_confirm'></a><p>Thanks</p>"
    assert judged(proof, open_form, "Thanks").cause is None
    assert judged(proof + shown, open_form, "Thanks").cause == "shown_again"


def test_a_page_that_was_cut_off_at_the_limit_is_no_proof(open_form):
    link = f"<a href='{open_form.page_url}?usp=form_confirm'><p>Thanks</p>"
    for size, cause in ((2**20 - 1, None), (2**20, "unconfirmed")):
        outcome = judged(link.ljust(size), open_form, "Thanks")
        assert outcome.cause == cause


def test_a_megabyte_of_a_page_is_read_and_no_more(patch):
    with GoogleForm(one("short"), padding=900_000) as form:
        payload = {form.questions[0].entry: "a"}
        assert send(form.url, payload).cause is None
        form.padding = 2_000_000
        assert send(form.url, payload).cause == "unconfirmed"


def test_a_page_that_names_no_form_is_not_called_closed():
    closed = {"state": "closed", "closed_by": "page", "closed_names_form": False}
    with GoogleForm(one("short"), **closed) as form:
        assert send(form.url, {}).cause == "unconfirmed"


@pytest.mark.parametrize(
    ("state", "cause"),
    [("sign_in", "sign_in"), ("restricted", "restricted"), ("deleted", "no_form")],
)
def test_the_page_of_the_form_tells_why_an_answer_proves_nothing(open_form, state, cause):
    open_form.state = state
    outcome = judged("<p>?", open_form)
    assert outcome.cause == cause and outcome.status != 200


@pytest.mark.parametrize("state", ["open", "busy", "captcha"])
def test_without_certainty_it_is_unconfirmed(open_form, state):
    open_form.state = state
    assert judged("<p>?", open_form).cause == "unconfirmed"


def test_the_text_of_the_owner_is_no_proof_while_the_form_is_not_seen_open(open_form, patch):
    assert judged("<p>Thanks</p>", open_form, "Thanks").cause is None
    for state in ("closed", "sign_in", "restricted", "busy", "deleted"):
        open_form.state = state
        outcome = judged("<p>Thanks</p>", open_form, "Thanks")
        assert (outcome.cause, outcome.evidence) == ("unconfirmed", "Thanks")
    open_form.state, open_form.is_cut_off = "open", True
    assert judged("<p>Thanks</p>", open_form, "Thanks").cause == "unconfirmed"
    open_form.is_cut_off, open_form.delay = False, 60
    patch("worker.http_client", "GET_SECONDS", 0.3)
    assert judged("<p>Thanks</p>", open_form, "Thanks").cause == "unconfirmed"


def test_the_page_is_looked_at_by_the_rules_for_receivers(open_form):
    request = Sent(open_form.url, {}, False, "Thanks")
    outcome = Judge().judge(request, Response(200, "", "", b"<p>Thanks</p>"))
    assert outcome.cause == "unconfirmed" and open_form.requests == []


def test_a_result_is_posted_once_and_the_page_looked_at_only_in_doubt():
    with GoogleForm(one("short")) as form:
        send(form.url, {form.questions[0].entry: "a"})
        assert [method for method, *_ in form.requests] == ["POST"]
        form.has_link = False
        send(form.url, {form.questions[0].entry: "a"})
        assert [method for method, *_ in form.requests] == ["POST", "POST", "GET"]


# Whatever comes ################################################################


@pytest.mark.parametrize(
    ("location", "cause"),
    [
        ("https://accounts.google.com/ServiceLogin?continue=x", "sign_in"),
        ("{base}/closedform", "closed"),
        ("/forms/d/e/{id}/formrestricted", "restricted"),
        ("https://example.org/closedform", "redirect"),
        ("{base}/viewform", "redirect"),
        ("http://[", "redirect"),
        ("", "redirect"),
    ],
)
def test_redirects_tell_their_reasons(open_form, location, cause):
    location = location.replace("{base}", open_form.base).replace("{id}", open_form.id)
    outcome = Judge().judge(Sent(open_form.url, {}, True), Response(302, "", location, b""))
    assert outcome.cause == cause and outcome.error


PARTS = ["<", ">", "'", '"', "<p>", "<a href='", "<script>", "</script>", "entry.5", "name="]
PARTS += ["FB_PUBLIC_LOAD_DATA_ = [null,[null,", "[[1,2,3,4]]", "]", "<input ", "form_confirm"]
PARTS += ["http://[", "viewform?usp=", "class=", "\0", "&#0;", "&#xD800;"]
pages = st.binary() | st.lists(st.sampled_from(PARTS)).map(lambda parts: "".join(parts).encode())


@settings(max_examples=300, deadline=None, database=None)
@given(body=pages, status=st.sampled_from([200, 204, 302, 400, 404, 429, 500, 999]))
def test_nothing_that_comes_raises_an_error_or_proves_anything(body, status):
    # No port of this address answers, so nobody can look at the page.
    url = "http://127.0.0.1:1/forms/d/e/1FAIpQLSdEXAMPLE/formResponse"
    request = Sent(url, {"entry.1": ["a", None, 5], "pageHistory": None}, False, "Thanks")
    assert Judge().judge(request, Response(status, "", "", body)).cause is not None


@settings(
    max_examples=200,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_a_form_that_comes_in_pieces_is_never_proof(open_form, data):
    path = f"/forms/d/e/{open_form.id}/viewform"
    page = open_form.answer("GET", path, b"", "")[2]
    place = st.integers(0, len(page))
    for _ in range(data.draw(st.integers(1, 3))):
        first, last = sorted((data.draw(place), data.draw(place)))
        page = page[:first] + data.draw(st.sampled_from(PARTS)) + page[last:]
    assert judged(page, open_form, "Thanks").cause is not None


@pytest.mark.parametrize("payload", [{}, {"data": {"answers": {}}}, {"entry.1": 5}, {"x": [[]]}])
def test_payloads_of_any_shape_are_compared(payload):
    with GoogleForm(
        [*one("choice", required=True), Question("Day", "date", required=True)]
    ) as form:
        html = form.answer("GET", f"/forms/d/e/{form.id}/viewform", b"", "")[2].encode()
        outcome = Judge().judge(Sent(form.url, payload, True), Response(200, "", "", html))
    assert outcome.cause == "shown_again" and "needs an answer" in outcome.detail


def test_what_is_kept_of_a_page_is_its_text(open_form):
    assert judged("<p>Oh\n  no</p><script>x</script><p>bye", open_form).evidence == "Oh no\nbye"
    assert judged("<img>", open_form).evidence == "<img>"


def test_slow_and_broken_answers_are_tried_again(patch):
    patch("worker.http_client", "ATTEMPT_SECONDS", 0.3)
    with GoogleForm(one("short"), delay=60, faulty=("POST",)) as form:
        assert send(form.url, {}).cause == "total_timeout"
        assert len(form.rows) == 1  # nobody can know
    with GoogleForm(one("short"), is_cut_off=True) as form:
        assert send(form.url, {}).cause == "broken_answer"


# From a phone to the sheet #####################################################

RESULTS = """
[results]
url = "{}"
[results.fields]
From = "{}"
Event = "emailAddress"
Question1 = "{}"
Question2 = "{}"
Question3 = "{}"
Question4 = "{}"
"""


@pytest.fixture
def finished(serve, questionnaires) -> Callable[[GoogleForm], Webhook]:
    """A finished conversation whose result goes to a form: all of its questions, in their order."""

    def finish(form: GoogleForm) -> Webhook:
        entries = [question.entry for question in form.questions]
        results = RESULTS.format(form.url, *entries)
        (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
        webhook = serve()
        for text in ("Mats BBQ", "Blue", "Pizza", "Cola", "Yes"):
            webhook.phone().text(text)
        return webhook

    return finish


def deliver(webhook: Webhook) -> list[tuple]:
    """Attempt what is due, and return the state and the error of each result."""
    for delivery in claim_due(webhook.app.database, webhook.clock(), 8):
        run_attempt(webhook.app.database, webhook.app.settings, delivery, webhook.clock)
    return webhook.rows("SELECT state, last_error FROM outbox ORDER BY id")


def feedback_form(meal: Question) -> GoogleForm:
    colour, drink = Question("Colour"), Question("Drink", "checkboxes", options=["Cola"])
    movies = Question("Movies", "dropdown", options=["Yes", "No"])
    return GoogleForm([Question("Phone"), colour, meal, drink, movies])


def test_a_result_arrives_in_the_sheet(finished):
    with feedback_form(Question("Meal", "choice", options=MEALS, required=True)) as form:
        assert deliver(finished(form)) == [("delivered", None)]
    row = {"Phone": REY, "Colour": "Blue", "Meal": "Pizza", "Drink": "Cola", "Movies": "Yes"}
    assert form.rows == [row]


def test_a_result_that_is_refused_tells_the_question_in_outbox_and_log(finished, caplog):
    caplog.set_level(logging.INFO)
    with feedback_form(Question("Meal", "choice", options=["Pasta"])) as form:
        [(state, error)] = deliver(finished(form))
    assert state == "failed" and form.rows == []
    assert f'"Meal" ({form.questions[2].entry}) was sent what is none of its options' in error
    (record,) = [record for record in caplog.records if record.message == "delivery"]
    assert record.fields["outcome"] == error


def test_a_required_question_without_an_answer_is_named_in_outbox_and_log(finished, caplog):
    caplog.set_level(logging.INFO)
    with feedback_form(Question("Meal")) as form:
        form.questions.append(Question("Table", required=True))
        webhook = finished(form)
        assert deliver(webhook)[0][0] == "failed"
    missing = f'"Table" ({form.questions[-1].entry}) needs an answer'
    environ = {"DATABASE_URL": webhook.app.settings.database_url}
    assert missing in CliRunner().invoke(cli, ["outbox"], env=environ).stdout
    (record,) = [record for record in caplog.records if record.message == "delivery"]
    assert missing in record.fields["outcome"]


def test_a_result_that_nobody_can_confirm_waits(finished):
    with feedback_form(Question("Meal")) as form:
        form.has_link = False
        webhook = finished(form)
        assert deliver(webhook)[0][0] == "pending"
        webhook.clock.pass_(minutes=6)
        assert deliver(webhook)[0][0] == "unconfirmed"
        assert len(form.rows) == 2
    answers = webhook.rows("SELECT cause, answer FROM delivery_attempts")
    assert [cause for cause, _ in answers] == ["unconfirmed"] * 2
    assert "Your response has been recorded." in answers[0][1]


def test_a_form_that_wants_sign_in_pauses_its_results(finished):
    with feedback_form(Question("Meal")) as form:
        form.state = "sign_in"
        [(state, error)] = deliver(finished(form))
    assert state == "failed" and "anybody who has the link" in error
