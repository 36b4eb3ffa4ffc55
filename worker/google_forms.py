"""Google Forms as receivers: a 200 is a delivery only where the page proves it.

A form that records nothing answers 200, too, and shows itself again. See models.google_form for
what pages and addresses are like.
"""

from models.google_form.address import is_google_form, is_response_url
from models.google_form.answer import AnswerPage
from models.google_form.refusal import find_reasons
from worker.form_page import OF_FORMS, classify_failure, look
from worker.http_client import Response
from worker.receivers import Outcome, Receiver, Sent

MAX_ANSWER_BYTES = 1024 * 1024  # hundreds of kilobytes come before what matters


class GoogleForm(Receiver):
    """A Google Form. The form's own page is looked at where an answer does not say enough."""

    max_body = MAX_ANSWER_BYTES

    def matches(self, url: str) -> bool:
        return is_google_form(url)

    def judge(self, request: Sent, response: Response) -> Outcome:
        """Delivered only with proof; see `Receiver.judge`."""
        if not response.is_success:
            cause, detail = classify_failure(request.url, response)
            return Outcome(response.status, cause, detail)
        page = AnswerPage(response.text, request.url)
        if page.shows_form:
            return refuse(request, response, page)
        # What was cut off could still show the form.
        is_whole = len(response.body) < self.max_body
        if is_whole and page.has_mark():
            return Outcome(response.status)
        return confirm(request, response, page, is_whole and page.says(request.confirmation))


def refuse(request: Sent, response: Response, page: AnswerPage) -> Outcome:
    """The form was shown again, so it has recorded nothing."""
    reasons = find_reasons(page.form, request.payload) if page.form else []
    if not is_response_url(request.url):
        reasons.insert(0, "results go to an address that ends in /formResponse")
    if page.asks_for_captcha and not reasons:
        return Outcome(response.status, "captcha")
    unknown = "its page does not tell why; a question may have a rule for its answers"
    return Outcome(response.status, "shown_again", "; ".join(reasons) or unknown)


def confirm(request: Sent, response: Response, page: AnswerPage, says_so: bool) -> Outcome:
    """What a page means that is neither the form nor marked: the form's own page tells more.

    `says_so`: whether it has the text that confirms. The page of a closed form may have the same
    text, for both are the owner's, so that is proof only while the form is open.
    """
    # No redirect: a POST and one GET are what fits into a lease.
    found = look(request.url, allow_private=request.allow_private, redirects=0)
    if says_so and found.is_open:
        return Outcome(response.status)
    if found.cause in OF_FORMS and not says_so:
        return Outcome(found.status, found.cause)
    if page.asks_for_captcha and not says_so:
        return Outcome(response.status, "captcha")
    return Outcome(response.status, "unconfirmed", evidence=page.text)
