"""Looks at the public page of a Google Form: what it asks, or why it would take no results."""

from math import inf
from typing import NamedTuple

from models.google_form.address import (
    is_google_form,
    is_short_link,
    page_name,
    page_url,
)
from models.google_form.answer import AnswerPage
from models.google_form.page import FormPage
from worker.google import classify_redirect
from worker.http_client import (
    HEADERS,
    InvalidRequest,
    RequestFailed,
    Response,
    get,
    get_deadline,
)
from worker.receivers import Outcome, absolute_url

MAX_PAGE_BYTES = 2 * 1024 * 1024
CAUSES = {
    400: "bad_fields",
    401: "restricted",
    403: "restricted",
    404: "no_form",
    410: "no_form",
}
PAGES = {"closedform": "closed", "formrestricted": "restricted"}  # that a form redirects to
RULES = "each must be one of its questions, and each choice one of its options"
OF_FORMS = {"sign_in", "restricted", "closed", "no_form"}  # causes that are the form's own state


class Look(NamedTuple):
    """What a look at a form's page has found: the form, or why there is none to see."""

    page: FormPage | None = None  # without questions where an open form has none
    cause: str | None = None  # one of models.failures.CAUSES, or "no_data"
    status: int | None = None
    detail: str = ""
    is_open: bool = False  # whether it can be filled in, also where its data cannot be read
    text: str = ""  # what a reader sees of it

    @property
    def is_certain(self) -> bool:
        """Whether it says what the form is like, and not only that the way there is blocked."""
        return self.page is not None or self.cause in OF_FORMS


def follow_short_link(url: str, *, allow_private: bool, deadline: float) -> str:
    """Where a short link leads to; any other address as it is.

    RequestFailed or InvalidRequest where there is no answer, ValueError where it leads elsewhere.
    """
    if not is_short_link(url):
        return url
    target = absolute_url(url, _get(url, allow_private, deadline).location)
    if not is_google_form(target):
        raise ValueError("This short link leads to no Google Form.")
    return target


def look(url: str, *, allow_private: bool, deadline: float = inf, redirects: int = 1) -> Look:
    """Look at the public page of the form with this address, in one GET for each redirect, too.

    A form is also found by the id of its editor: that redirects to the public page. All of this
    takes as long as one GET at most. By time.monotonic() it ends at the deadline at the latest.
    """
    deadline = min(deadline, get_deadline())
    try:
        url = page_url(url)
        response = _get(url, allow_private, deadline)
    except RequestFailed as error:
        return Look(cause=error.cause, detail=error.detail)
    except (InvalidRequest, ValueError):
        return Look(cause="invalid", detail="its url is no form's")
    target = absolute_url(url, response.location)
    if redirects and target != url and page_name(target) == "viewform":
        redirects -= 1
        return look(target, allow_private=allow_private, deadline=deadline, redirects=redirects)
    if response.is_success:
        found = read_page(response.text, url)
        is_cut_off = len(response.body) == MAX_PAGE_BYTES and not found.is_open
        return Look(cause="no_data", status=response.status) if is_cut_off else found
    outcome = classify_error(url, response)
    return Look(cause=outcome.cause, status=response.status, detail=outcome.detail)


def read_page(html: str, url: str) -> Look:
    """What a form's page says, as it came or as a browser has saved it."""
    page = AnswerPage(html, url)
    if page.shows_form:
        form = page.form if page.form and page.form.questions else None
        return Look(form, None if form else "no_data", status=200, is_open=True, text=page.text)
    if page.form and page.can_be_sent:  # a form that asks nothing yet, or any more
        return Look(page.form, status=200, is_open=True, text=page.text)
    if page.asks_for_captcha:
        return Look(cause="captcha", status=200, text=page.text)
    cause = "closed" if page.is_of_form else "no_data"
    return Look(cause=cause, status=200, text=page.text)


def classify_error(url: str, response: Response) -> Outcome:
    """What an answer means that is no page."""
    if response.is_redirect:
        name = page_name(absolute_url(url, response.location))
        if name in PAGES:
            return Outcome(response.status, PAGES[name])
        return classify_redirect(url, response)
    cause = CAUSES.get(response.status, "http")
    return Outcome(response.status, cause, RULES if cause == "bad_fields" else "")


def _get(url: str, allow_private: bool, deadline: float) -> Response:
    options = {"allow_private": allow_private, "max_body": MAX_PAGE_BYTES, "deadline": deadline}
    return get(url, HEADERS, **options)
