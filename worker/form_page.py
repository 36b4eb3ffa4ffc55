"""Looks at the public page of a Google Form: what it asks, or why it would take no results."""

from typing import NamedTuple
from urllib.parse import urljoin

from models.google_form.address import is_google_form, is_short_link, page_name, page_url
from models.google_form.answer import AnswerPage
from models.google_form.page import FormPage
from worker.google_forms import HEADERS, classify_failure, is_success
from worker.http_client import InvalidRequest, RequestFailed, Response, get

MAX_PAGE_BYTES = 2 * 1024 * 1024
OF_FORMS = {"sign_in", "restricted", "closed", "no_form"}  # causes that are the form's own state


class Look(NamedTuple):
    """What a look at a form's page has found: the form, or why there is none to see."""

    page: FormPage | None = None
    cause: str | None = None  # one of models.failures.CAUSES, or "no_data"
    status: int | None = None
    detail: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether it says what the form is like, and not only that the way there is blocked."""
        return self.page is not None or self.cause in OF_FORMS


def resolve(url: str, *, allow_private: bool) -> str:
    """Where a short link leads to; any other address as it is.

    RequestFailed or InvalidRequest where there is no answer, ValueError where it leads elsewhere.
    """
    if not is_short_link(url):
        return url
    target = urljoin(url, _get(url, allow_private).location)
    if not is_google_form(target):
        raise ValueError("This short link leads to no Google Form.")
    return target


def look(url: str, *, allow_private: bool, redirects: int = 1) -> Look:
    """Look at the public page of the form with this address.

    It is found by the id of its editor, too: that redirects to the public page.
    """
    try:
        url = page_url(url)
        response = _get(url, allow_private)
        target = urljoin(url, response.location)
        if redirects and target != url and page_name(target) == "viewform":
            return look(target, allow_private=allow_private, redirects=0)
    except RequestFailed as error:
        return Look(cause=error.cause, detail=error.detail)
    except (InvalidRequest, ValueError):
        return Look(cause="invalid", detail="its url is no form's")
    if is_success(response.status):
        return read_page(response.body.decode("utf-8", "replace"), url)
    cause, detail = classify_failure(url, response)
    return Look(cause=cause, status=response.status, detail=detail)


def read_page(html: str, url: str) -> Look:
    """What a form's page says, as it came or as a browser has saved it."""
    page = AnswerPage(html, url)
    if page.form and page.form.questions:
        return Look(page.form)
    if page.asks_for_captcha:
        return Look(cause="captcha", status=200)
    is_closed = page.names_form and not page.shows_form
    return Look(cause="closed" if is_closed else "no_data", status=200)


def _get(url: str, allow_private: bool) -> Response:
    return get(url, HEADERS, allow_private=allow_private, max_body=MAX_PAGE_BYTES)
