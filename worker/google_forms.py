"""Google Forms as receivers: a 200 is a delivery only where the page proves it.

A form that records nothing answers 200, too, and shows itself again. See models.google_form for
what pages and addresses are like.
"""

from typing import NamedTuple
from urllib.parse import urljoin

from models.google_form.address import (
    is_google_form,
    is_response_url,
    is_sign_in,
    page_name,
    page_url,
)
from models.google_form.answer import AnswerPage
from models.google_form.refusal import find_faults
from settings import __version__
from worker.http_client import InvalidRequest, RequestFailed, Response, get
from worker.receivers import Outcome, Receiver, Sent, describe_location

MAX_PAGE_BYTES = 1024 * 1024  # of a form's page; hundreds of kilobytes come before what matters
HEADERS = {"User-Agent": f"smsconvo/{__version__}", "Accept": "*/*"}
CAUSES = {
    400: "bad_fields",
    401: "restricted",
    403: "restricted",
    404: "no_form",
    410: "no_form",
}
PAGES = {"closedform": "closed", "formrestricted": "restricted"}  # that a form redirects to


class GoogleForm(Receiver):
    """A Google Form. The form's own page is looked at where an answer does not say enough."""

    max_body = MAX_PAGE_BYTES

    def accepts(self, url: str) -> bool:
        return is_google_form(url)

    def judge(self, request: Sent, response: Response) -> Outcome:
        """Delivered only with proof; see `Receiver.judge`. RequestFailed is never raised."""
        if not is_success(response.status):
            cause, detail = classify_failure(request.url, response)
            return Outcome(response.status, cause, detail)
        page = read_page(request.url, response)
        if page.shows_form:
            return refuse(request, response, page)
        # What was cut off could still show the form.
        is_whole = len(response.body) < self.max_body
        if is_whole and page.has_mark():
            return Outcome(response.status)
        return confirm(request, response, page, is_whole and page.says(request.confirmation))


class Look(NamedTuple):
    """What the form's own page says of whether the form takes answers."""

    is_open: bool
    cause: str | None = None  # why it takes none, if that is certain
    status: int | None = None


def is_success(status: int) -> bool:
    """Whether this is a status of HTTP for what went well."""
    return 200 <= status < 300


def read_page(url: str, response: Response) -> AnswerPage:
    """The page of a response."""
    return AnswerPage(response.body.decode("utf-8", "replace"), url)


def classify_failure(url: str, response: Response) -> tuple[str, str]:
    """The cause and the detail of any answer that is no page of the form's."""
    if not 300 <= response.status < 400:
        return CAUSES.get(response.status, "http"), ""
    location = absolute_url(url, response.location)
    if is_sign_in(location):
        return "sign_in", ""
    detail = describe_location(location)
    return PAGES.get(page_name(location), "redirect"), detail


def absolute_url(url: str, location: str) -> str:
    """Where a redirect leads; "" for what is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def refuse(request: Sent, response: Response, page: AnswerPage) -> Outcome:
    """The form was shown again, so it has recorded nothing."""
    faults = find_faults(page.form, request.payload) if page.form else []
    if not is_response_url(request.url):
        faults.insert(0, "results go to an address that ends in /formResponse")
    if page.asks_for_captcha and not faults:
        return Outcome(response.status, "captcha")
    unknown = "its page does not tell why; a question may have a rule for its answers"
    return Outcome(response.status, "shown_again", "; ".join(faults) or unknown)


def confirm(request: Sent, response: Response, page: AnswerPage, says_so: bool) -> Outcome:
    """What a page means that is neither the form nor marked: the form's own page tells more.

    `says_so`: whether it has the text that confirms. The page of a closed form may have the same
    text, for both are the owner's, so that is proof only while the form is open.
    """
    look = look_at_form(request)
    if says_so and look.is_open:
        return Outcome(response.status)
    if look.cause and not says_so:
        return Outcome(look.status, look.cause)
    if page.asks_for_captcha and not says_so:
        return Outcome(response.status, "captcha")
    return Outcome(response.status, "unconfirmed", evidence=page.text)


def look_at_form(request: Sent) -> Look:
    """Whether the form takes answers now; one GET, by the rules for any receiver."""
    try:
        url = page_url(request.url)
        response = get(url, HEADERS, allow_private=request.allow_private, max_body=MAX_PAGE_BYTES)
    except (ValueError, RequestFailed, InvalidRequest):
        return Look(is_open=False)
    if not is_success(response.status):
        cause, _ = classify_failure(url, response)
        is_certain = cause in ("sign_in", "restricted", "closed", "no_form")
        return Look(False, cause if is_certain else None, response.status)
    page = read_page(url, response)
    if page.shows_form:
        return Look(is_open=True)
    is_closed = page.names_form and not page.asks_for_captcha
    return Look(False, "closed" if is_closed else None, response.status)
