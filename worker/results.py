"""The job that delivers the outbox: results are claimed under a lease, and POSTed."""

import json
import logging
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from threading import Event
from typing import NamedTuple
from urllib.parse import urlencode

from standardwebhooks import Webhook as StandardWebhook

from gateway.webhook import FORM_TYPE
from logs import error_location, log_event
from models import Delivery
from models.delivery import HTTP_GONE, MAX_IN_FLIGHT
from settings import Settings, __version__
from storage import Clock, Database
from worker.http_client import RequestFailed, Response, post
from worker.worker import Job

MAX_CLAIMS = 100  # in a row that find nothing to send


class DeliverResults(Job):
    """Keeps up to MAX_IN_FLIGHT attempts in flight, each in a thread; wakes the worker after each.

    It claims no more than it can send at once: a lease runs out while its delivery waits.
    """

    verb = "claim"

    def __init__(self, database: Database, settings: Settings, clock: Clock, wake: Event) -> None:
        self._database, self._settings, self._clock = database, settings, clock
        self._wake = wake
        self._pool = ThreadPoolExecutor(MAX_IN_FLIGHT, "results")
        self._in_flight: dict[Future, Delivery] = {}

    def run(self, now: datetime) -> bool:
        in_flight = list(self._in_flight.values())
        is_alone = any(delivery.is_quarantined for delivery in in_flight)
        free = 0 if is_alone else MAX_IN_FLIGHT - len(in_flight)
        claimed = claim_due(self._database, now, free, in_flight) if free else []
        for delivery in claimed:
            self._start(delivery)
        return bool(claimed)

    def finish(self) -> None:
        self._pool.shutdown()

    def _start(self, delivery: Delivery) -> None:
        future = self._pool.submit(
            run_attempt, self._database, self._settings, delivery, self._clock
        )
        self._in_flight[future] = delivery
        future.add_done_callback(self._end)

    def _end(self, future: Future) -> None:
        del self._in_flight[future]
        if error := future.exception():
            log_event("worker", logging.ERROR, outcome=f"cannot record: {error_location(error)}")
        self._wake.set()


def claim_due(
    database: Database, now: datetime, limit: int, in_flight: Collection[Delivery] = ()
) -> list[Delivery]:
    """Lease up to `limit` deliveries that are due.

    It reads before it writes: a transaction that writes holds up texts.
    """
    for _ in range(MAX_CLAIMS):  # a claim that finds only rows that cannot be read sets those aside
        with database.read() as db:
            if not Delivery.is_due(db, now, in_flight):
                return []
        if claimed := database.write(lambda db: Delivery.claim(db, now, limit, in_flight)):
            return claimed
    return []


def run_attempt(database: Database, settings: Settings, delivery: Delivery, clock: Clock) -> None:
    """Send a claimed delivery once, and save how that ended."""
    outcome = attempt(delivery, settings, clock())
    if outcome.error is None:
        delivery.succeed(outcome.status, clock())
    else:
        delivery.fail(outcome.error, clock(), outcome.status, outcome.retry_after)
    database.write(delivery.save_outcome)
    log_event(
        "delivery", id=delivery.id, attempt=delivery.attempts, outcome=outcome.error or "delivered"
    )


class Outcome(NamedTuple):
    """How an attempt ended: delivered, or with an error that is a sentence for the operator."""

    status: int | None
    error: str | None = None
    retry_after: timedelta = timedelta(0)


def attempt(delivery: Delivery, settings: Settings, now: datetime) -> Outcome:
    """POST a delivery. Only a 2xx whose body has arrived counts; see `post`."""
    body, headers = encode(delivery, settings.webhook_secrets, now)
    allow_private = settings.allow_private_receivers
    try:
        response = post(delivery.url, body, headers, allow_private=allow_private)
    except RequestFailed as error:
        return Outcome(None, str(error))
    return classify_response(response, now)


def encode(
    delivery: Delivery, secrets: tuple[str, ...], now: datetime
) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an attempt at `now`."""
    headers = {"User-Agent": f"smsconvo/{__version__}", "Accept": "*/*"}
    headers["webhook-id"] = delivery.webhook_id
    if delivery.format == "form":
        body = urlencode(json.loads(delivery.payload), doseq=True).encode("ascii")
        return body, headers | {"Content-Type": f"{FORM_TYPE}; charset=utf-8"}
    body = delivery.payload.encode("utf-8")
    return body, headers | {"Content-Type": "application/json"} | sign(delivery, secrets, now)


def sign(delivery: Delivery, secrets: tuple[str, ...], now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks: the time of this attempt, and a signature per secret."""
    headers = {"webhook-timestamp": str(int(now.timestamp()))}
    if secrets:
        signatures = [
            StandardWebhook(secret).sign(delivery.webhook_id, now, delivery.payload)
            for secret in secrets
        ]
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def classify_response(response: Response, now: datetime) -> Outcome:
    """What a receiver's response means for the delivery."""
    status = response.status
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"HTTP {status}: it redirects. Set the address it redirects to.")
    if status == HTTP_GONE:
        return Outcome(status, "HTTP 410: it wants no more. Nothing is sent there until you retry.")
    return Outcome(status, f"HTTP {status}", parse_retry_after(response.retry_after, now))


def parse_retry_after(value: str, now: datetime) -> timedelta:
    """How long to wait from `now`, for seconds or a date; nothing where it is neither."""
    try:
        if value.isdecimal():
            return timedelta(seconds=int(value))
        return max(parsedate_to_datetime(value) - now, timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
