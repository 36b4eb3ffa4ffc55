"""Looks at the public page of a Google Form: what it asks, or why it would take no results."""

from typing import NamedTuple

from models.google_form.address import (
    is_google_form,
    is_short_link,
    is_sign_in,
    page_name,
    page_url,
)
from models.google_form.answer import AnswerPage
from models.google_form.page import FormPage
from worker.http_client import HEADERS, InvalidRequest, RequestFailed, Response, get
from worker.receivers import absolute_url, describe_location

MAX_PAGE_BYTES = 2 * 1024 * 1024
CAUSES = {
    400: "bad_fields",
    401: "restricted",
    403: "restricted",
    404: "no_form",
    410: "no_form",
}
PAGES = {"closedform": "closed", "formrestricted": "restricted"}  # that a form redirects to
OF_FORMS = {"sign_in", "restricted", "closed", "no_form"}  # causes that are the form's own state


class Look(NamedTuple):
    """What a look at a form's page has found: the form, or why there is none to see."""

    page: FormPage | None = None  # without questions where an open form has none
    cause: str | None = None  # one of models.failures.CAUSES, or "no_data"
    status: int | None = None
    detail: str = ""
    is_open: bool = False  # whether it can be filled in, also where its data cannot be read

    @property
    def is_certain(self) -> bool:
        """Whether it says what the form is like, and not only that the way there is blocked."""
        return self.page is not None or self.cause in OF_FORMS


def follow_short_link(url: str, *, allow_private: bool) -> str:
    """Where a short link leads to; any other address as it is.

    RequestFailed or InvalidRequest where there is no answer, ValueError where it leads elsewhere.
    """
    if not is_short_link(url):
        return url
    target = absolute_url(url, _get(url, allow_private).location)
    if not is_google_form(target):
        raise ValueError("This short link leads to no Google Form.")
    return target


def look(url: str, *, allow_private: bool, redirects: int = 1) -> Look:
    """Look at the public page of the form with this address, in one GET for each redirect, too.

    A form is also found by the id of its editor: that redirects to the public page.
    """
    try:
        url = page_url(url)
        response = _get(url, allow_private)
    except RequestFailed as error:
        return Look(cause=error.cause, detail=error.detail)
    except (InvalidRequest, ValueError):
        return Look(cause="invalid", detail="its url is no form's")
    target = absolute_url(url, response.location)
    if redirects and target != url and page_name(target) == "viewform":
        return look(target, allow_private=allow_private, redirects=redirects - 1)
    if response.is_success:
        found = read_page(response.text, url)
        is_cut_off = len(response.body) == MAX_PAGE_BYTES and not found.is_open
        return Look(cause="no_data", status=response.status) if is_cut_off else found
    cause, detail = classify_failure(url, response)
    return Look(cause=cause, status=response.status, detail=detail)


def read_page(html: str, url: str) -> Look:
    """What a form's page says, as it came or as a browser has saved it."""
    page = AnswerPage(html, url)
    if page.shows_form:
        form = page.form if page.form and page.form.questions else None
        return Look(form, None if form else "no_data", status=200, is_open=True)
    if page.form and page.can_be_sent:  # a form that asks nothing yet, or any more
        return Look(page.form, status=200, is_open=True)
    if page.asks_for_captcha:
        return Look(cause="captcha", status=200)
    return Look(cause="closed" if page.names_form else "no_data", status=200)


def classify_failure(url: str, response: Response) -> tuple[str, str]:
    """The cause and the detail of any answer that is no page of the form's."""
    if not response.is_redirect:
        return CAUSES.get(response.status, "http"), ""
    location = absolute_url(url, response.location)
    if is_sign_in(location):
        return "sign_in", ""
    return PAGES.get(page_name(location), "redirect"), describe_location(location)


def _get(url: str, allow_private: bool) -> Response:
    return get(url, HEADERS, allow_private=allow_private, max_body=MAX_PAGE_BYTES)
