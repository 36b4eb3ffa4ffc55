"""What becomes of results that go to Google Forms and to Apps Script web apps."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import FEEDBACK, REY, Webhook
from form_answers import MEALS, one, send
from google_form import OTHER, SUBMIT, GoogleForm, Question

from commands import cli
from models.failures import effect_of
from models.google_form.answer import AnswerPage
from worker.form_page import Look
from worker.google import GoogleReceiver
from worker.google_forms import GoogleForm as FormReceiver
from worker.http_client import Response, post
from worker.receivers import Outcome, Receiver, Sent
from worker.results import claim_due, run_attempt

ANSWERS = {
    "short": "Blue",
    "paragraph": "Blue\nor green",
    "choice": "Pizza",
    "dropdown": "Pizza",
    "checkboxes": ["Pizza", "Pasta"],
    "scale": "3",
    "rating": "5",
}


@pytest.fixture(autouse=True)
def fake_hosts(patch) -> None:
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})


@dataclass
class Case:
    """A form, what it is sent, and what truly becomes of that."""

    name: str
    questions: list[Question]
    answers: list[Any]  # to each question, or a dictionary of fields
    cause: str | None = None
    says: str = ""  # what the detail must have
    fields: dict[str, Any] = field(default_factory=dict)  # more, as they are sent
    form: dict[str, Any] = field(default_factory=dict)

    def payload(self) -> dict[str, Any]:
        sent: dict[str, Any] = {}
        inputs = [question for question in self.questions if question.entries]
        for question, answer in zip(inputs, self.answers, strict=True):
            sent |= answer if isinstance(answer, dict) else {question.entry: answer}
        return {name: value for name, value in sent.items() if value is not None} | self.fields


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
            '"Meal" ({0}) was sent what is none of its options',
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
            form={"description": "Thanks", "confirmation": "Thanks", "markup": "plain"},
        ),
        Case(
            "no data when shown again",
            one("short", required=True),
            [None],
            "shown_again",
            '"Meal" ({0}) needs an answer',
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
            form={"state": "closed", "closed_by": "page", "language": "de", "title": "Danke"},
        ),
        Case(
            "closed, with the words of the confirmation",
            one("short"),
            ["a"],
            "closed",
            form={
                "state": "closed",
                "closed_by": "page",
                "closed_message": "Thanks",
                "confirmation": "Thanks",
            },
        ),
        Case(
            "closed, and its page says nothing that we know",
            one("short"),
            ["a"],
            "unconfirmed",
            form={"state": "closed", "closed_by": "page", "closed_has_report": False},
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
            "recorded by a form that has closed since, which shows its page",
            one("short"),
            ["a"],
            "unconfirmed",
            form={"has_link": False, "state_after_row": "closed", "closed_by": "page"},
        ),
        *(
            Case(
                f"recorded by a form that is {state} since",
                one("short"),
                ["a"],
                "unconfirmed",
                form={"has_link": False, "confirmation": "Thanks", "state_after_row": state},
            )
            for state in ("closed", "sign_in", "restricted", "deleted", "busy")
        ),
        Case(
            "recorded, and the connection was lost",
            one("short"),
            ["a"],
            "no_answer",
            "The connection broke off before an answer came.",
            form={"is_dropped": True, "faulty": ("POST",)},
        ),
        Case(
            "recorded, and half an answer came",
            one("short"),
            ["a"],
            "no_answer",
            "The answer broke off",
            form={"is_cut_off": True, "faulty": ("POST",)},
        ),
    ]


CASES = {case.name: case for case in cases()}


def run_case(name: str) -> tuple[Case, GoogleForm, Outcome]:
    case = next(each for each in cases() if each.name == name)
    with GoogleForm(case.questions, **case.form) as form:
        return case, form, send(form.url, case.payload())


def is_right(name: str) -> bool:
    """Whether it was classified truly; a result that is lost must never count as delivered."""
    case, form, outcome = run_case(name)
    entries = [question.entry for question in case.questions if question.entries]
    if case.says.format(*entries) not in outcome.detail:
        return False
    return outcome.cause == case.cause and (form.rows != [] or outcome.cause is not None)


def test_there_are_thirty_forms_and_more():
    assert len(CASES) >= 30
    assert {case.form.get("language", "en") for case in CASES.values()} == {"en", "de", "th"}


@pytest.mark.parametrize("name", CASES)
def test_every_answer_is_classified_truly(name):
    case, form, outcome = run_case(name)
    assert outcome.cause == case.cause, (outcome, form.rows)
    entries = [question.entry for question in case.questions if question.entries]
    assert case.says.format(*entries) in outcome.detail
    if effect_of(case.cause or "") != "confirm":
        assert len(form.rows) == (case.cause is None)
    if case.cause == "unconfirmed":
        assert (outcome.status, bool(outcome.answer)) == (200, True)


# What is not good enough #######################################################


def by_text(*texts: str) -> Callable:
    def classify(self: FormReceiver, request: Sent, response: Response) -> Outcome:
        html = response.body.decode()
        found = response.status == 200 and any(text in html for text in texts)
        return Outcome(response.status, None if found else "unconfirmed")

    return classify


CLASSIFY = "classify_response"
WEAKENED = {
    "any 2xx": (FormReceiver, CLASSIFY, Receiver.classify_response),
    "a class name": (FormReceiver, CLASSIFY, by_text("vHW8K", "ResponseConfirmationMessage")),
    "an English sentence": (FormReceiver, CLASSIFY, by_text("Your response has been recorded")),
    "the link anywhere": (FormReceiver, CLASSIFY, by_text("form_confirm")),
    "a lost answer is a failure": (GoogleReceiver, "classify_failure", Receiver.classify_failure),
    "any page of Google's is the form's": (AnswerPage, "is_of_form", True),
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


@pytest.mark.long
@pytest.mark.parametrize("name", WEAKENED)
def test_weaker_rules_are_found_out(patch, name):
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


@pytest.mark.parametrize("state", ["open", "closed", "sign_in", "restricted"])
def test_the_address_of_the_page_takes_no_results_whatever_it_says(state):
    with GoogleForm(one("short"), state=state) as form:
        outcome = send(form.page_url, {form.questions[0].entry: "a"})
    assert outcome.cause == "wrong_address" and "…/formResponse, over https" in outcome.error
    assert form.rows == []


def test_a_form_that_is_busy_is_tried_again_at_whatever_address():
    with GoogleForm(one("short"), state="busy") as form:
        assert send(form.page_url, {}).cause == "http"


def test_the_address_of_the_editor_takes_results():
    without_link = {"has_link": False, "confirmation": "Thanks"}
    for settings in ({}, {"data_when_recorded": False}, without_link):
        with GoogleForm(one("short"), **settings) as form:
            assert send(form.editor_url, {form.questions[0].entry: "a"}).cause is None
            assert form.rows == [{"Meal": "a"}]
            form.questions[0].required = True
            assert "needs an answer" in send(form.editor_url, {}).detail


def test_what_a_form_does_not_ask_is_told_beside_the_reason_and_is_none():
    ruled = Question("Age", rule=str.isdecimal)
    with GoogleForm([ruled]) as form:
        outcome = send(form.url, {ruled.entry: "old", "entry.5": "x"})
        assert "may have a rule" in outcome.detail
        assert outcome.detail.endswith("; entry.5 is none of its questions")
        form.state, form.captcha_with_form = "captcha", True
        assert send(form.url, {"entry.5": "x"}).cause == "captcha"
        ruled.required = True
        assert send(form.url, {"entry.5": "x"}).cause == "shown_again"


def test_fields_that_are_refused_without_a_known_reason_say_what_to_compare():
    with GoogleForm(one("short"), unknown_entry=400) as form:
        outcome = send(form.url, {"entry.5": "a"})
        assert "each choice one of its options; entry.5 is none of its questions" in outcome.error
        form.faulty, form.is_cut_off = ("GET",), True
        assert "each choice one of its options. Compare" in send(form.url, {"entry.5": "a"}).error


def test_a_page_without_a_reason_is_kept_for_whoever_looks():
    ruled = Question("Age", rule=str.isdecimal)
    with GoogleForm([ruled]) as form:
        assert "Age" in send(form.url, {ruled.entry: "old"}).answer


def test_json_is_refused_by_a_form():
    with GoogleForm(one("short")) as form:
        answer = post(form.url, b"{}", {"Content-Type": "application/json"}, allow_private=True)
    assert answer.status == 400


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


def test_a_result_whose_answer_is_lost_is_sent_twice_and_not_ten_times(finished):
    with feedback_form(Question("Meal")) as form:
        form.is_dropped = True
        webhook = finished(form)
        assert deliver(webhook)[0][0] == "pending"
        webhook.clock.pass_(minutes=6)
        [(state, error)] = deliver(webhook)
        webhook.clock.pass_(days=30)
        assert deliver(webhook)[0][0] == state == "unconfirmed"
    assert len(form.rows) == 2
    assert error.startswith("The connection broke off before an answer came. It may have been")


def test_a_text_that_confirms_is_known_without_another_look(finished):
    with feedback_form(Question("Meal")) as form:
        form.has_link, form.confirmation = False, "Noted, thank you!"
        assert deliver(finished(form)) == [("delivered", None)]
        assert len(form.rows) == 1


def test_a_form_that_wants_sign_in_pauses_its_results(finished):
    with feedback_form(Question("Meal")) as form:
        form.state = "sign_in"
        [(state, error)] = deliver(finished(form))
    assert state == "failed" and "anybody who has the link" in error
