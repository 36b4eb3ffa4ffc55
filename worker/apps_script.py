"""Apps Script web apps as receivers: they take a POST, and answer with a redirect to their answer.

The answer is fetched by GET at another host: https://developers.google.com/apps-script/guides/content#redirects
A script that fails, or that catches its error and says so in words of its own, answers 200, too.
"""

import json
from typing import Any

from models.google_form.address import is_apps_script, is_echo
from models.google_form.markup import read_document
from worker.google import GoogleReceiver, classify_redirect
from worker.http_client import (
    HEADERS,
    MAX_BODY_BYTES,
    InvalidRequest,
    RequestFailed,
    Response,
    get,
)
from worker.receivers import Outcome, Sent, absolute_url

HTML = ("<!doctype", "<html")
# What scripts say that have recorded a result, alone or under one of these names in an object.
AFFIRMATIVE = {"ok", "okay", "success", "successful", "succeeded", "true", "done", "200"}
VERDICTS = ("ok", "success", "result", "status")
ERRORS = ("error", "errors", "exception")  # names that must not have anything beside


class AppsScript(GoogleReceiver):
    """An Apps Script web app: delivered when it says so."""

    def matches(self, url: str) -> bool:
        return is_apps_script(url)

    def classify_response(self, request: Sent, response: Response) -> Outcome:
        """Whatever follows the redirect, the script has run: it never counts as not sent."""
        location = absolute_url(request.url, response.location)
        if response.is_redirect and is_echo(location):
            return classify_echo(request, location, response.status)
        if response.is_redirect:
            return classify_redirect(request.url, response)
        if response.is_success:
            return Outcome(response.status, "unconfirmed", answer=show(response.text))
        if response.status in (401, 403):
            return Outcome(response.status, "restricted")
        return super().classify_response(request, response)


def classify_echo(request: Sent, location: str, status: int) -> Outcome:
    """Fetch what the script has answered, by the rules for any receiver."""
    try:
        echo = get(
            location, HEADERS, allow_private=request.allow_private, deadline=request.deadline
        )
    except InvalidRequest as error:
        return Outcome(status, "unconfirmed", answer=f"Its answer cannot be fetched: {error}.")
    except RequestFailed as error:
        return Outcome(status, "unconfirmed", answer=f"Its answer was not fetched: {error}")
    is_whole = len(echo.body) < MAX_BODY_BYTES
    if echo.is_success and is_whole and is_affirmative(echo.text):
        return Outcome(echo.status)
    answer = show(echo.text) or f"Its answer was not fetched: HTTP {echo.status}"
    return Outcome(echo.status, "unconfirmed", answer=answer)


def show(text: str) -> str:
    """What a reader sees of a page, or any other text as it is."""
    is_page = text.lstrip().lower().startswith(HTML)
    return read_document(text).text if is_page else text


def is_affirmative(text: str) -> bool:
    """Whether an answer says that the result was recorded, and says nothing else of that."""
    try:
        answer: Any = json.loads(text)
    except (ValueError, RecursionError):
        answer = text
    if not isinstance(answer, dict):
        return is_yes(answer)
    if any(answer.get(name) for name in ERRORS):
        return False
    # Under "result", there may also be what the script has made of it.
    verdicts = [answer[name] for name in VERDICTS if name in answer]
    verdicts = [verdict for verdict in verdicts if not isinstance(verdict, dict | list | None)]
    return bool(verdicts) and all(map(is_yes, verdicts))


def is_yes(verdict: Any) -> bool:
    """Whether this is one of the words that affirm, or true, or the status 200."""
    return str(verdict).strip(" \t\r\n.!").lower() in AFFIRMATIVE
