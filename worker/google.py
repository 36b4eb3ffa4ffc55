"""What all receivers of Google's have in common."""

from models.google_form.address import is_captcha_page, is_sign_in
from worker.http_client import RequestFailed, Response
from worker.receivers import Outcome, Receiver, absolute_url, redirected


class GoogleReceiver(Receiver):
    """A receiver that records whatever comes, and as often as it comes: it knows no webhook-id."""

    def classify_failure(self, error: RequestFailed) -> Outcome:
        """What was sent may have been recorded, so it is not sent time and again."""
        if error.was_sent:
            return Outcome(None, "no_answer", str(error))
        return super().classify_failure(error)


def classify_redirect(url: str, response: Response) -> Outcome:
    """A redirect that is no answer: to a page for people, or to wherever."""
    location = absolute_url(url, response.location)
    if is_sign_in(location):
        return Outcome(response.status, "sign_in")
    if is_captcha_page(location):
        return Outcome(response.status, "captcha")
    return redirected("unexpected_redirect", response)
