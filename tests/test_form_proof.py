"""Which answers of a Google Form prove that a result was recorded, and what the others mean."""

import time
from functools import partial
from operator import attrgetter

import pytest
from conftest import examples, until
from form_answers import answered, one, send
from google_form import GoogleForm, Question
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limits import cut

from worker.form_page import look, read_page
from worker.google_forms import GoogleForm as FormReceiver
from worker.http_client import Response
from worker.receivers import Sent


@pytest.fixture(autouse=True)
def fake_hosts(patch) -> None:
    patch("models.google_form.address", "HOSTS", {"127.0.0.1"})


# What proves nothing ###########################################################


@pytest.fixture
def open_form():
    with GoogleForm(one("short"), padding=0, confirmation="Thanks & bye") as form:
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
    assert answered(page, open_form).cause is None


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
    outcome = answered(page, open_form)
    assert outcome.cause == "unconfirmed"
    assert outcome.answer or not page


@pytest.mark.parametrize(
    "shown",
    [
        "<script>FB_PUBLIC_LOAD_DATA_ = [null,[null,[[1]]]];</script>",
        "<input name='entry.5_year'>",
        "<textarea name=entry.5></textarea>",
    ],
)
def test_a_form_that_is_shown_again_is_no_proof_whatever_else_it_says(open_form, shown):
    proof = f"<a href='{open_form.page_url}?usp=form_confirm'></a><p>Thanks & bye</p>"
    assert answered(proof, open_form).cause is None
    assert answered(proof + shown, open_form).cause == "shown_again"


def test_a_page_that_was_cut_off_at_the_limit_is_no_proof(open_form):
    link = f"<a href='{open_form.page_url}?usp=form_confirm'><p>Thanks & bye</p>"
    for size, cause in ((2**20 - 1, None), (2**20, "unconfirmed")):
        outcome = answered(link.ljust(size), open_form)
        assert outcome.cause == cause


def test_a_megabyte_of_a_page_is_read_and_no_more(patch):
    with GoogleForm(one("short"), padding=900_000) as form:
        payload = {form.questions[0].entry: "a"}
        assert send(form.url, payload).cause is None
        form.padding = 2_000_000
        assert send(form.url, payload).cause == "unconfirmed"


def test_a_page_about_an_error_that_leads_to_the_form_is_not_called_closed(open_form):
    for page in (
        f"<a href='https://accounts.google.com/x?continue={open_form.page_url}'>Sign in",
        "<a href='https://example.org/forms/d/e/{id}/reportabuse'>!</a>",
    ):
        outcome = answered(page, open_form)
        assert outcome.cause == "unconfirmed"
        html = page.replace("{id}", open_form.id)
        assert read_page(html, open_form.page_url).cause == "no_data"


@pytest.mark.parametrize("state", ["closed", "sign_in", "restricted", "deleted", "busy", "captcha"])
def test_what_the_form_is_now_says_nothing_about_another_answer(open_form, state):
    open_form.state = state
    for closed_by in ("redirect", "page"):
        open_form.closed_by = closed_by
        for page in ("<p>?", ""):
            outcome = answered(page, open_form)
            assert (outcome.status, outcome.cause) == (200, "unconfirmed")
            assert outcome.answer == page.removeprefix("<p>")


def test_a_form_is_closed_if_its_page_says_now_what_it_said_before(open_form):
    open_form.state, open_form.closed_by = "closed", "page"
    outcome = send(open_form.url, {})
    assert (outcome.status, outcome.cause) == (200, "closed")
    assert "no longer accepting responses" in outcome.answer


@pytest.mark.parametrize("message", ["Closed. {}", "{}", "Closed.\n{}"])
def test_an_address_that_the_owner_of_a_closed_form_names_is_no_proof(open_form, message):
    link = f"{open_form.page_url}?usp=form_confirm"
    open_form.state, open_form.closed_by = "closed", "page"
    open_form.closed_message = message.format(link)
    assert send(open_form.url, {}).cause == "closed"
    said = f"<p>Thanks! Again: <a href='{link}'>here</a></p>"
    assert answered(said, open_form).cause == "unconfirmed"
    open_form.state = "open"
    assert answered(said, open_form).cause is None


def test_a_page_of_a_form_that_is_too_long_to_read_is_not_closed(open_form, patch):
    patch("worker.form_page", "MAX_PAGE_BYTES", 10_000)
    open_form.padding, open_form.state, open_form.closed_by = 1000, "closed", "page"
    page = look(open_form.page_url, allow_private=True)
    assert page.cause == "closed"
    # What is cut off could be the form.
    open_form.closed_message = f"{open_form.base}/reportabuse {'bye ' * 5000}"
    assert look(open_form.page_url, allow_private=True).cause == "no_data"


def test_a_captcha_beside_what_confirms_is_unconfirmed_unless_the_form_is_seen_open(open_form):
    captcha = "<div class=g-recaptcha></div>"
    both = f"<p>Thanks & bye</p>{captcha}<a href='{{base}}/viewform?usp=form_confirm'></a>"
    assert answered(both, open_form).cause is None
    assert answered(captcha, open_form).cause == "captcha"
    open_form.state = "busy"
    assert answered(both, open_form).cause == "unconfirmed"
    assert answered(captcha, open_form).cause == "captcha"


def test_the_text_of_the_owner_is_no_proof_while_the_form_is_not_seen_open(open_form, patch):
    assert answered("<p>Thanks & bye</p>", open_form).cause is None
    for state in ("closed", "sign_in", "restricted", "busy", "deleted"):
        open_form.state = state
        outcome = answered("<p>Thanks & bye</p>", open_form)
        assert (outcome.cause, outcome.answer) == ("unconfirmed", "Thanks & bye")
    open_form.state, open_form.is_cut_off = "open", True
    assert answered("<p>Thanks & bye</p>", open_form).cause == "unconfirmed"
    open_form.is_cut_off, open_form.delay = False, 60
    patch("worker.http_client", "GET_SECONDS", 0.3)
    assert answered("<p>Thanks & bye</p>", open_form).cause == "unconfirmed"


def test_the_page_is_looked_at_by_the_rules_for_receivers(open_form):
    assert answered("<p>Thanks & bye</p>", open_form, allow_private=False).cause == "unconfirmed"
    assert open_form.requests == []


def test_the_page_is_looked_at_in_what_is_left_of_the_lease(open_form):
    over = {"deadline": time.monotonic()}
    assert answered("<p>Thanks & bye</p>", open_form, **over).cause == "unconfirmed"
    assert open_form.requests == []
    open_form.delay = 60
    for url in (open_form.url, open_form.editor_url):
        tries = 0
        while not open_form.requests and tries < 3:  # a busy machine takes long to ask at all
            soon = {"deadline": time.monotonic() + 0.3 * 10**tries, "url": url}
            assert answered("<p>Thanks & bye</p>", open_form, **soon).cause == "unconfirmed"
            tries += 1
        assert 1 <= len(open_form.requests) <= tries
        open_form.requests.clear()


def test_a_redirect_to_the_page_has_no_time_of_its_own(open_form):
    open_form.delay = 0.6
    soon = {"deadline": time.monotonic() + 1, "url": open_form.editor_url}
    assert answered("<p>Thanks & bye</p>", open_form, **soon).cause == "unconfirmed"


class MovedForm(GoogleForm):
    """One whose page is somewhere else each time, until the tenth."""

    def answer(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, str, str]:
        answer = super().answer(method, path, body, kind)
        moved = 302, f"{self.page_url}?{len(self.requests)}", ""
        return moved if len(self.requests) < 10 else answer


def test_a_page_that_moves_on_and_on_is_followed_once():
    with MovedForm(one("short")) as form:
        found = look(form.page_url, allow_private=True)
        assert len(form.requests) == 2
        assert (found.status, found.cause, found.page) == (302, "unexpected_redirect", None)


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
        ("https://www.google.com/sorry/index?continue=x", "captcha"),
        ("https://ipv4.google.com/sorry/index", "captcha"),
        ("https://www.google.com/sorry.html", "unexpected_redirect"),
        ("https://example.org/sorry/index", "unexpected_redirect"),
        ("https://consent.google.com/m?continue=x", "unexpected_redirect"),
        ("https://example.org/closedform", "unexpected_redirect"),
        ("{base}/viewform", "unexpected_redirect"),
        ("http://[", "unexpected_redirect"),
        ("", "unexpected_redirect"),
    ],
)
def test_redirects_tell_their_reasons(open_form, location, cause):
    outcome = answered("", open_form, 302, location)
    assert outcome.cause == cause
    assert "set the address" not in outcome.error
    if cause == "unexpected_redirect":
        assert outcome.answer.removeprefix("Location: ") == location.replace(
            "{base}", open_form.base
        )


@pytest.mark.parametrize("location", ["https{rest}", "https://accounts.google.com/ServiceLogin"])
def test_an_address_without_tls_or_of_the_editor_is_told_to_be_wrong(patch, location):
    patch("models.google_form.address", "HOSTS", {"docs.google.com"})
    rest = "://docs.google.com/forms/d/e/1FAIpQLSdEXAMPLE/formResponse"
    for url in (f"http{rest}", "https://docs.google.com/forms/d/1editor/edit"):
        response = Response(302, location=location.replace("{rest}", rest))
        outcome = FormReceiver().classify_response(Sent(url, {}, False), response)
        assert outcome.cause == "wrong_address"


PARTS = ["<", ">", "'", '"', "<p>", "<a href='", "<script>", "</script>", "entry.5", "name="]
PARTS += ["FB_PUBLIC_LOAD_DATA_ = [null,[null,", "[[1,2,3,4]]", "]", "<input ", "form_confirm"]
PARTS += ["http://[", "viewform?usp=", "class=", "\0", "&#0;", "&#xD800;"]
pages = st.binary() | st.lists(st.sampled_from(PARTS)).map(lambda parts: "".join(parts).encode())


@settings(max_examples=examples(100, 300), deadline=None, database=None)
@given(body=pages, status=st.sampled_from([200, 204, 302, 400, 404, 429, 500, 999]))
def test_nothing_that_comes_raises_an_error_or_proves_anything(body, status):
    # No port of this address answers, so nobody can look at the page.
    url = "http://127.0.0.1:1/forms/d/e/1FAIpQLSdEXAMPLE/formResponse"
    request = Sent(url, {"entry.1": ["a", None, 5], "pageHistory": None}, False)
    assert (
        FormReceiver().classify_response(request, Response(status, "", "", body)).cause is not None
    )


@settings(
    max_examples=examples(70, 200),
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
    assert answered(page, open_form).cause is not None


@pytest.mark.parametrize("payload", [{}, {"data": {"answers": {}}}, {"entry.1": 5}, {"x": [[]]}])
def test_payloads_of_any_shape_are_compared(payload):
    with GoogleForm(
        [*one("choice", required=True), Question("Day", "date", required=True)]
    ) as form:
        html = form.answer("GET", f"/forms/d/e/{form.id}/viewform", b"", "")[2].encode()
        outcome = FormReceiver().classify_response(
            Sent(form.url, payload, True), Response(200, "", "", html)
        )
    assert outcome.cause == "shown_again" and "needs an answer" in outcome.detail


def test_what_is_kept_of_a_page_is_its_text(open_form):
    assert answered("<p>Oh\n  no</p><script>x</script><p>bye", open_form).answer == "Oh no\nbye"
    assert answered("<img>", open_form).answer == "<img>"


def test_what_was_sent_and_not_answered_may_have_been_recorded(patch):
    with GoogleForm(one("short"), delay=60, faulty=("POST",)) as form:
        post = partial(send, form.url, {})
        limit, outcome = cut(patch, "ATTEMPT_SECONDS", post, attrgetter("error"))
        until(lambda: form.rows)
    assert (outcome.cause, len(form.rows)) == ("no_answer", 1)
    assert outcome.error.startswith(f"Not done within {limit} s in all. It may have been recorded")


def test_what_could_not_be_sent_is_tried_again():
    with GoogleForm(one("short")) as form:
        url = form.url
    assert send(url, {}).cause == "refused_connection"
