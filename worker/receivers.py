"""Kinds of receivers: what the answer to a result means depends on who gave it."""

from collections.abc import Mapping
from datetime import timedelta
from math import inf
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from models.failures import clean, describe
from worker.http_client import MAX_BODY_BYTES, RequestFailed, Response

HTTP_GONE = 410  # from a receiver that wants no more


class Outcome(NamedTuple):
    """How an attempt ended: delivered, or for a cause, one of models.failures.CAUSES.

    `detail`, and `answer`, what of the receiver's answer tells why, may be a stranger's words.
    """

    status: int | None  # of HTTP; None without a whole answer
    cause: str | None = None  # None: delivered
    detail: str = ""
    retry_after: timedelta = timedelta(0)  # the least that the receiver wants us to wait
    answer: str = ""

    @property
    def error(self) -> str | None:
        """A sentence for the operator, safe to log and to print; None if it was delivered."""
        if self.cause is None:
            return None
        return describe(self.cause, self.status, clean(self.detail))


class Sent(NamedTuple):
    """A result as it was POSTed, for whoever classifies the answer."""

    url: str
    payload: Mapping[str, Any]  # form fields, or an event
    allow_private: bool  # whether a request may go to addresses of private networks
    deadline: float = inf  # of further requests, by time.monotonic()


class Receiver:
    """Any receiver: a 2xx whose body has arrived is a delivery."""

    max_body = MAX_BODY_BYTES  # bytes of an answer that are read

    def matches(self, url: str) -> bool:
        """Whether results for this URL go to a receiver of this kind."""
        return True

    def classify_response(self, request: Sent, response: Response) -> Outcome:
        """What the answer means; it may take another request. Whatever it raises: unconfirmed."""
        if response.is_success:
            return Outcome(response.status)
        if response.is_redirect:
            return redirected("redirect", response)
        return Outcome(response.status, "gone" if response.status == HTTP_GONE else "http")

    def classify_failure(self, error: RequestFailed) -> Outcome:
        """What it means that no whole answer came."""
        return Outcome(None, error.cause, error.detail)


def redirected(cause: str, response: Response) -> Outcome:
    """A redirect that is not followed. Where it leads is kept, but not shown in a sentence."""
    answer = response.location and f"Location: {response.location}"
    return Outcome(response.status, cause, describe_location(response.location), answer=answer)


def absolute_url(url: str, location: str) -> str:
    """Where a redirect from `url` leads; "" for what is no address."""
    try:
        return urljoin(url, location)
    except ValueError:
        return ""


def describe_location(location: str) -> str:
    """The host that a redirect leads to; the rest of its address may hold what a guest answered."""
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    return host or "another address"


# Kinds that are not any receiver. The package adds them: each of their modules imports this one.
RECEIVERS: list[Receiver] = []
ANY_RECEIVER = Receiver()


def find_receiver(url: str) -> Receiver:
    """The kind of receiver that this URL belongs to."""
    return next((each for each in RECEIVERS if each.matches(url)), ANY_RECEIVER)
