"""Kinds of receivers: what the answer to a result means depends on who gave it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

from models.failures import clean, describe
from worker.http_client import MAX_BODY_BYTES, Response

HTTP_GONE = 410  # from a receiver that wants no more


class Outcome(NamedTuple):
    """How an attempt ended: delivered, or for a cause, one of models.failures.CAUSES.

    `detail` and `evidence`, what of the answer tells why, may be what a stranger's server said.
    """

    status: int | None  # of HTTP; None without a whole answer
    cause: str | None = None  # None: delivered
    detail: str = ""
    retry_after: timedelta = timedelta(0)  # the least that the receiver wants us to wait
    evidence: str = ""

    @property
    def error(self) -> str | None:
        """A sentence for the operator, safe to log and to print; None if it was delivered."""
        if self.cause is None:
            return None
        return describe(self.cause, self.status, clean(self.detail))


class Sent(NamedTuple):
    """A result as it was POSTed, for whoever judges the answer."""

    url: str
    payload: Mapping[str, Any]  # form fields, or an event
    allow_private: bool  # whether a request may go to addresses of private networks
    confirmation: str = ""  # what it says when it has recorded a result, if known


class Receiver:
    """Any receiver: a 2xx whose body has arrived is a delivery."""

    max_body = MAX_BODY_BYTES  # bytes of an answer that are read

    def matches(self, url: str) -> bool:
        """Whether results for this URL go to a receiver of this kind."""
        return True

    def judge(self, request: Sent, response: Response) -> Outcome:
        """What the answer means; it may take another request. Whatever it raises: unconfirmed."""
        status = response.status
        if response.is_success:
            return Outcome(status)
        if response.is_redirect:
            return Outcome(status, "redirect", describe_location(response.location))
        return Outcome(status, "gone" if status == HTTP_GONE else "http")


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
    """The receiver that judges the answers of this URL."""
    return next((each for each in RECEIVERS if each.matches(url)), ANY_RECEIVER)
