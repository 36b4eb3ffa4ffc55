"""What becomes of results that go to Google Forms and to Apps Script web apps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from google_form import OTHER, SUBMIT, GoogleForm, Question
from hypothesis import given
from hypothesis import strategies as st

from models.google_form.answer import AnswerPage
from worker import google_forms
from worker.google_forms import GoogleForm as Judge
from worker.google_forms import Look
from worker.http_client import RequestFailed, Response, post
from worker.receivers import Outcome, Receiver, Sent, find_receiver

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
    three = [*one("short"), second, Question("Drink"), Question("Third", "section"), *one("scale")]
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
    if case.cause not in (None, "unconfirmed"):
        assert not form.rows
    if case.cause is None:
        assert len(form.rows) == 1
    assert bool(outcome.evidence) == (case.cause == "unconfirmed")
    if outcome.error:
        assert outcome.error.endswith((".", "HTTP 429"))


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
    "no look at the form": (google_forms, "look_at_form", lambda _: Look(is_open=True)),
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
