"""Apps Script web apps as receivers: they take a POST, and answer with a redirect to their answer.

The answer is fetched by GET at another host: https://developers.google.com/apps-script/guides/content#redirects
What a script answers is not HTML; Google's own pages about its errors are, and come as a 200.
"""

import json
from typing import Any

from models.google_form.address import is_apps_script, is_echo, is_sign_in
from models.google_form.markup import read_document
from worker.http_client import HEADERS, InvalidRequest, RequestFailed, Response, get
from worker.receivers import Outcome, Receiver, Sent, absolute_url

HTML = ("<!doctype", "<html")
FAILED = {"error", "fail", "failed", "failure"}


class AppsScript(Receiver):
    """An Apps Script web app: delivered when it has answered with a text of its own."""

    def matches(self, url: str) -> bool:
        return is_apps_script(url)

    def judge(self, request: Sent, response: Response) -> Outcome:
        """Whatever follows the redirect, the script has run: it is never judged as not sent."""
        status = response.status
        location = absolute_url(request.url, response.location)
        if response.is_redirect and is_echo(location):
            return judge_echo(request, location, status)
        if response.is_redirect and is_sign_in(location):
            return Outcome(status, "sign_in")
        if response.is_success:
            return Outcome(status, "unconfirmed", evidence=show(response.text))
        if status in (401, 403):
            return Outcome(status, "restricted")
        return super().judge(request, response)


def judge_echo(request: Sent, location: str, status: int) -> Outcome:
    """Fetch what the script has answered, by the rules for any receiver."""
    try:
        echo = get(location, HEADERS, allow_private=request.allow_private)
    except InvalidRequest as error:
        return Outcome(status, "unconfirmed", evidence=f"Its answer cannot be fetched: {error}.")
    except RequestFailed as error:
        return Outcome(status, "unconfirmed", evidence=f"Its answer was not fetched: {error}")
    if echo.is_success and not is_failure(echo.text):
        return Outcome(echo.status)
    evidence = show(echo.text) or f"Its answer was not fetched: HTTP {echo.status}"
    return Outcome(echo.status, "unconfirmed", evidence=evidence)


def show(text: str) -> str:
    """What a reader sees of a page, or any other text as it is."""
    return read_document(text).text if is_html(text) else text


def is_html(text: str) -> bool:
    """Whether this is a page."""
    return text.lstrip().lower().startswith(HTML)


def is_failure(text: str) -> bool:
    """Whether an answer is a page of Google's, or says that the script has failed.

    Scripts that catch their errors can only say so in the text: the status is 200 all the same.
    """
    if is_html(text):
        return True
    try:
        answer: Any = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(answer, dict):
        return False
    says_no = any(answer.get(name) is False for name in ("ok", "success"))
    words = (answer.get(name) for name in ("result", "status"))
    return says_no or any(isinstance(word, str) and word.lower() in FAILED for word in words)
