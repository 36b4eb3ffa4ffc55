"""Google Forms as receivers: a 200 is a delivery only where the page proves it.

A form that records nothing answers 200, too, and shows itself again. See models.google_form for
what pages and addresses are like.
"""

from models.failures import effect_of
from models.google_form.address import is_google_form, is_response_url
from models.google_form.answer import AnswerPage
from models.google_form.page import FormPage
from models.google_form.refusal import Payload, find_reasons, find_unknown
from worker.form_page import Look, classify_error, look
from worker.google import GoogleReceiver
from worker.http_client import Response
from worker.receivers import Outcome, Sent

MAX_ANSWER_BYTES = 1024 * 1024  # hundreds of kilobytes come before what matters
NO_REASON = "its page does not tell why; a question may have a rule for its answers"


class GoogleForm(GoogleReceiver):
    """A Google Form. The form's own page is looked at where an answer does not say enough."""

    max_body = MAX_ANSWER_BYTES

    def matches(self, url: str) -> bool:
        return is_google_form(url)

    def classify_response(self, request: Sent, response: Response) -> Outcome:
        """Delivered only with proof; see `Receiver.classify_response`."""
        outcome = self._classify(request, response)
        if is_response_url(request.url) or outcome.cause in (None, "unconfirmed"):
            return outcome
        if effect_of(outcome.cause) == "retry":
            return outcome
        return outcome._replace(cause="wrong_address", detail="")

    def _classify(self, request: Sent, response: Response) -> Outcome:
        if not response.is_success:
            return classify_refusal(request, response)
        page = AnswerPage(response.text, request.url)
        if page.shows_form:
            return classify_shown_form(request, response, page)
        # What was cut off could still show the form.
        is_whole = len(response.body) < self.max_body
        if is_whole and page.is_marked:
            return Outcome(response.status)
        return classify_by_form_page(request, response, page, is_whole)


def classify_refusal(request: Sent, response: Response) -> Outcome:
    """What an error means. Why fields were refused, only the form's page can tell."""
    outcome = classify_error(request.url, response)
    if outcome.cause != "bad_fields":
        return outcome
    form = look_at_form(request).page
    reasons = (form and find_reasons(form, request.payload)) or [outcome.detail]
    return outcome._replace(detail=join_reasons(reasons, form, request.payload))


def classify_shown_form(request: Sent, response: Response, page: AnswerPage) -> Outcome:
    """The form was shown again, so it has recorded nothing."""
    form = page.form if page.form and page.form.questions else look_at_form(request).page
    reasons = find_reasons(form, request.payload) if form else []
    if page.asks_for_captcha and not reasons:
        return Outcome(response.status, "captcha")
    detail = join_reasons(reasons or [NO_REASON], form, request.payload)
    return Outcome(response.status, "shown_again", detail, answer="" if reasons else page.text)


def classify_by_form_page(
    request: Sent, response: Response, page: AnswerPage, is_whole: bool
) -> Outcome:
    """What a page means that is neither the form nor marked: the form's own page tells more.

    The form may have changed since the POST, so what it is now counts only if it agrees.
    """
    found = look_at_form(request)
    may_confirm = is_whole and page.confirms(found.page)
    if may_confirm and found.is_open:
        return Outcome(response.status)
    cause = "unconfirmed"
    if found.cause == "closed" and found.text and found.text == page.text:
        cause = "closed"
    elif page.asks_for_captcha and not may_confirm:
        cause = "captcha"
    return Outcome(response.status, cause, answer=page.text)


def look_at_form(request: Sent) -> Look:
    """Look at the form that has just answered a POST, in what is left of the lease."""
    return look(request.url, allow_private=request.allow_private, deadline=request.deadline)


def join_reasons(reasons: list[str], form: FormPage | None, payload: Payload) -> str:
    """A detail: why a form took nothing, and what it would drop."""
    return "; ".join(reasons + (find_unknown(form, payload) if form else []))
