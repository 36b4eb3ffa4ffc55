"""The job that delivers the outbox: results are claimed under a lease, and POSTed."""

import json
import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any
from urllib.parse import urlencode

from sqlalchemy.orm import Session
from standardwebhooks import Webhook as StandardWebhook

from addresses import is_web_address
from gateway.webhook import FORM_TYPE
from logs import error_location, log_event
from models import Attempt, Delivery
from models.delivery import MAX_IN_FLIGHT
from settings import Settings
from storage import Clock, Database
from worker.hosts import Hosts
from worker.http_client import (
    HEADERS,
    InvalidRequest,
    RequestFailed,
    Response,
    follow_up_deadline,
    post,
)
from worker.receivers import Outcome, Receiver, Sent, find_receiver
from worker.worker import FINISH_SECONDS, Job

MAX_CLAIMS = 100  # in a row that only fail what cannot be read, or was claimed too often


class DeliverResults(Job):
    """Keeps up to MAX_IN_FLIGHT attempts in flight, each in a thread; wakes the worker after each.

    It claims no more than it can send at once: a lease runs out while its delivery waits. The
    threads are daemons, because an attempt may outlast the patience of whoever stops the program.
    """

    verb = "claim"

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        wake: Event,
        note_failure: Callable[[str, str], object] = lambda url, cause: None,
    ) -> None:
        """`note_failure` is called with the URL and the cause of each attempt that has failed."""
        self._database, self._settings, self._clock = database, settings, clock
        self._wake, self._note_failure = wake, note_failure
        self._hosts = Hosts()
        self._in_flight: dict[int, Delivery] = {}  # by id
        self._ended: SimpleQueue[tuple[Delivery, Outcome | None]] = SimpleQueue()

    def run(self, now: datetime) -> bool:
        while not self._ended.empty():
            url, outcome = self._take_ended(0)
            if outcome and outcome.cause != "invalid":  # for that nothing was sent
                self._hosts.learn(url, outcome.status, outcome.cause is None, now)
            if outcome and outcome.cause:
                self._note_failure(url, outcome.cause)
        in_flight = list(self._in_flight.values())
        is_alone = any(delivery.is_quarantined for delivery in in_flight)
        free = 0 if is_alone else MAX_IN_FLIGHT - len(in_flight)
        claimed = claim_due(self._database, now, free, in_flight, self._hosts) if free else []
        for delivery in claimed:
            Thread(target=self._attempt, args=(delivery,), name="result", daemon=True).start()
            self._in_flight[delivery.id] = delivery
        return bool(claimed)

    def finish(self) -> None:
        """Wait a moment for what is in flight, and as long to give the leases of the rest back.

        If that takes too long it is left: a lease runs out by itself.
        """
        deadline = time.monotonic() + FINISH_SECONDS
        with suppress(Empty):
            while self._in_flight:
                self._take_ended(max(deadline - time.monotonic(), 0))
        if self._in_flight:
            releasing = Thread(target=self._release, name="release", daemon=True)
            releasing.start()
            releasing.join(FINISH_SECONDS)

    def _attempt(self, delivery: Delivery) -> None:
        outcome = None
        try:
            outcome = run_attempt(self._database, self._settings, delivery, self._clock)
        except Exception as error:
            log_event("worker", logging.ERROR, outcome=f"cannot record: {error_location(error)}")
        finally:
            self._ended.put((delivery, outcome))
            self._wake.set()

    def _take_ended(self, timeout: float) -> tuple[str, Outcome | None]:
        """The URL and the outcome of an attempt that has ended; Empty if none does in time."""
        delivery, outcome = self._ended.get(timeout=timeout)
        del self._in_flight[delivery.id]
        return delivery.url, outcome

    def _release(self) -> None:
        interrupted = list(self._in_flight.values())
        try:
            now = self._clock()
            self._database.write(partial(release, deliveries=interrupted, now=now))
        except Exception as error:
            outcome = f"cannot give leases back: {error_location(error)}"
            log_event("worker", logging.ERROR, outcome=outcome)


def release(db: Session, *, deliveries: Collection[Delivery], now: datetime) -> None:
    """Give leases back, and record the attempts, for a receiver may have got what they sent."""
    for delivery in deliveries:
        if delivery.lock_lease(db):
            started_at = delivery.claimed_at
            attempt = Attempt.ended(delivery.id, started_at, now - started_at, cause="interrupted")
            attempt.insert(db)
            delivery.release(db, now)


def claim_due(
    database: Database,
    now: datetime,
    limit: int,
    in_flight: Collection[Delivery] = (),
    hosts: Hosts | None = None,
) -> list[Delivery]:
    """Lease up to `limit` deliveries that are due.

    It reads before it writes: a transaction that writes holds up texts.
    """
    hosts = hosts or Hosts()
    for _ in range(MAX_CLAIMS):
        with database.read() as db:
            urls = Delivery.find_due(db, now)
        shares = hosts.share_out(urls, in_flight, limit, now)
        if not shares:
            break
        claim = partial(Delivery.claim, now=now, shares=shares, in_flight=in_flight)
        claimed = database.write(claim)
        if claimed or in_flight:
            return claimed  # with some in flight, this is run again when the next of them ends
    return []


def run_attempt(
    database: Database, settings: Settings, delivery: Delivery, clock: Clock
) -> Outcome:
    """Send a claimed delivery once, save how that ended, and return it."""
    began = time.monotonic()
    outcome = attempt(delivery, settings, clock())
    ended = Attempt.ended(
        delivery.id,
        delivery.claimed_at,
        timedelta(seconds=time.monotonic() - began),
        outcome.status,
        outcome.cause,
        outcome.detail,
        outcome.answer if outcome.cause else "",
    )
    if outcome.cause is None:
        delivery.succeed(outcome.status, clock())
    else:
        status, cause, detail, retry_after, _ = outcome
        delivery.fail(cause, clock(), status, detail, retry_after)
    database.write(partial(save_outcome, delivery=delivery, attempt=ended))
    log_outcome(delivery, outcome)
    return outcome


def save_outcome(db: Session, *, delivery: Delivery, attempt: Attempt) -> None:
    """Record an attempt that has ended, and what becomes of its delivery.

    In this order: on PostgreSQL the first waits for a stop that is recording what the second finds.
    """
    delivery.save_outcome(db)
    attempt.record(db)


def log_outcome(delivery: Delivery, outcome: Outcome) -> None:
    """The sentence and its symbol; nothing else of what a receiver says."""
    fields = {"cause": outcome.cause} if outcome.cause else {}
    line = delivery.last_error if outcome.cause else "delivered"
    log_event("delivery", id=delivery.id, attempt=delivery.attempts, outcome=line, **fields)


def attempt(delivery: Delivery, settings: Settings, now: datetime) -> Outcome:
    """POST a delivery, and have the receiver's kind classify the answer."""
    allow_private, deadline = settings.allow_private_receivers, follow_up_deadline()
    receiver = find_receiver(delivery.url)
    try:
        body, headers = encode(delivery, settings.webhook_secrets, now)
        response = post(
            delivery.url,
            body,
            headers,
            allow_private=allow_private,
            max_body=receiver.max_body,
        )
        sent = Sent(delivery.url, parse_payload(delivery), allow_private, deadline)
        outcome = classify_response(receiver, sent, response)
    except InvalidRequest as error:
        return Outcome(None, "invalid", str(error))
    except RequestFailed as error:
        return receiver.classify_failure(error)
    except Exception as error:  # else its lease would run out, time and again
        return Outcome(None, "worker_error", error_location(error))
    wait = max(outcome.retry_after, parse_retry_after(response.retry_after, now))
    return outcome._replace(retry_after=wait) if outcome.cause else outcome


def classify_response(receiver: Receiver, sent: Sent, response: Response) -> Outcome:
    """What the answer means to the receiver's kind; unconfirmed where an error keeps it from that.

    Whatever that error is: the receiver has answered.
    """
    try:
        return receiver.classify_response(sent, response)
    except Exception as error:
        log_event("worker", logging.ERROR, outcome=f"cannot classify: {error_location(error)}")
        return Outcome(response.status, "unconfirmed", answer=response.text)


def encode(
    delivery: Delivery, secrets: tuple[str, ...], now: datetime
) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an attempt at `now`, or InvalidRequest."""
    payload = parse_payload(delivery)
    headers = HEADERS | {"webhook-id": delivery.webhook_id}
    if delivery.format == "form":
        body = urlencode(payload, doseq=True).encode("ascii")
        return body, headers | {"Content-Type": f"{FORM_TYPE}; charset=utf-8"}
    body = delivery.payload.encode("utf-8")
    return body, headers | {"Content-Type": "application/json"} | sign(delivery, secrets, now)


def parse_payload(delivery: Delivery) -> dict[str, Any]:
    """The payload; InvalidRequest for what only somebody who edits the row can have written."""
    if not is_web_address(delivery.url):
        raise InvalidRequest("its url is not an http or https address")
    if delivery.format not in ("form", "json"):
        raise InvalidRequest("its format is neither form nor json")
    if not delivery.webhook_id.isascii():
        raise InvalidRequest("its webhook_id is not ASCII")
    try:
        payload = json.loads(delivery.payload)
    except ValueError:
        payload = None
    if not isinstance(payload, dict):
        raise InvalidRequest("its payload is not a JSON object")
    return payload


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


def parse_retry_after(value: str, now: datetime) -> timedelta:
    """How long to wait from `now`, for seconds or a date; nothing where it is neither."""
    try:
        if value.isdecimal():
            return timedelta(seconds=int(value))
        return max(parsedate_to_datetime(value) - now, timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
