"""Looks at the public page of a Google Form: what it asks, or why it would take no results."""

from typing import NamedTuple
from urllib.parse import urljoin

from models.google_form.address import (
    is_google_form,
    is_short_link,
    is_sign_in,
    page_name,
    page_url,
)
from models.google_form.markup import read_document
from models.google_form.page import FormPage, parse_page
from settings import __version__
from worker.http_client import InvalidRequest, RequestFailed, Response, get

PAGE_SECONDS = 10
MAX_PAGE_BYTES = 2 * 1024 * 1024
HEADERS = {"User-Agent": f"smsconvo/{__version__}", "Accept": "text/html"}
HEADERS |= {"Accept-Encoding": "identity"}  # what comes is read as it is
STATUS_CAUSES = {401: "restricted", 403: "restricted", 404: "no_form", 410: "no_form"}
PAGE_CAUSES = {"closedform": "closed", "formrestricted": "restricted"}


class Look(NamedTuple):
    """What a look at a form's page has found: the form, or why there is none to see."""

    page: FormPage | None = None
    cause: str | None = None  # one of models.failures.CAUSES
    status: int | None = None
    detail: str = ""

    @property
    def is_certain(self) -> bool:
        """Whether it says something of the form, and not of the way there."""
        return self.page is not None or self.cause in {*STATUS_CAUSES.values(), "closed", "sign_in"}


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
        response = _get(page_url(url), allow_private)
        if redirects and page_name(target := urljoin(url, response.location)) == "viewform":
            return look(target, allow_private=allow_private, redirects=0)
        return read(response)
    except RequestFailed as error:
        return Look(cause=error.cause, detail=error.detail)
    except (InvalidRequest, ValueError):
        return Look(cause="invalid", detail="its url is no form's")


def read(response: Response) -> Look:
    """What the answer to a GET of a form's page says."""
    status = response.status
    if 300 <= status < 400:
        return Look(cause=_cause_of_redirect(response.location), status=status)
    if status != 200:
        return Look(cause=STATUS_CAUSES.get(status, "http"), status=status)
    return read_page(response.body.decode("utf-8", "replace"))


def read_page(html: str) -> Look:
    """What a form's page says, as a browser saves it."""
    page = parse_page(html)
    if page and page.questions:
        return Look(page, status=200)
    document = read_document(html)
    if "g-recaptcha" in document.classes or "data-sitekey" in document.attributes:
        return Look(cause="captcha", status=200)
    return Look(cause="closed" if page else "no_data", status=200)


def _cause_of_redirect(location: str) -> str:
    if is_sign_in(location):
        return "sign_in"
    return PAGE_CAUSES.get(page_name(location), "sign_in")


def _get(url: str, allow_private: bool) -> Response:
    return get(
        url,
        HEADERS,
        allow_private=allow_private,
        max_body=MAX_PAGE_BYTES,
        seconds=PAGE_SECONDS,
    )
