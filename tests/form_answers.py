"""Sending to a Google Form, or to whatever answers like one."""

from urllib.parse import urlencode

from google_form import GoogleForm, Question

from worker.google_forms import GoogleForm as FormReceiver
from worker.http_client import RequestFailed, Response, post
from worker.receivers import Outcome, Sent, find_receiver

FORM_TYPE = "application/x-www-form-urlencoded; charset=utf-8"
MEALS = ["Pizza", "Pasta"]


def send(url: str, payload: dict) -> Outcome:
    """What becomes of a result: over HTTP, by the kind of receiver."""
    receiver = find_receiver(url)
    body = urlencode(payload, doseq=True).encode()
    headers = {"Content-Type": FORM_TYPE}
    try:
        response = post(url, body, headers, allow_private=True, max_body=receiver.max_body)
    except RequestFailed as error:
        return receiver.classify_failure(error)
    return receiver.classify_response(Sent(url, payload, True), response)


def one(kind: str, **kwargs) -> list[Question]:
    kwargs |= {"options": MEALS} if kind in ("choice", "dropdown", "checkboxes") else {}
    return [Question("Meal", kind, **kwargs)]


def answered(
    html: str, form: GoogleForm, status: int = 200, location: str = "", **request
) -> Outcome:
    """What becomes of a result that is answered so, while the form is as it is.

    In the page and the location, {base} and {id} stand for those of the form.
    """
    html, location = (
        text.replace("{base}", form.base).replace("{id}", form.id) for text in (html, location)
    )
    sent = Sent(**{"url": form.url, "payload": {}, "allow_private": True} | request)
    response = Response(status, location=location, body=html.encode())
    return FormReceiver().classify_response(sent, response)
