"""worker/results.py"""

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import urlencode

import requests
from standardwebhooks import Webhook as StandardWebhook
from urllib3.exceptions import HTTPError as HTTPClientError

from gateway.webhook import FORM_TYPE
from logs import log_event
from models import Delivery
from models.delivery import GONE
from settings import Settings, __version__
from storage import Clock, Database
from worker.http_client import (
    ATTEMPT_SECONDS,
    CONNECT_SECONDS,
    READ_SECONDS,
    Line,
    in_words,
    read_answer,
)


class Outcome(NamedTuple):
    """How an attempt went; without an error it was delivered."""

    status: int | None
    error: str | None = None
    retry_after: timedelta = timedelta(0)


def claim_due(
    database: Database, now: datetime, most: int, under_way: Collection[Delivery] = ()
) -> list[Delivery]:
    """What is due, under lease. Looking first keeps a long outbox from holding up texts."""
    with database.read() as db:
        if not Delivery.is_due(db, now, under_way):
            return []
    return database.write(lambda db: Delivery.claim(db, now, most, under_way))


def deliver_one(database: Database, settings: Settings, delivery: Delivery, clock: Clock) -> None:
    outcome = post(delivery, settings, clock())
    if outcome.error is None:
        delivery.succeed(outcome.status, clock())
    else:
        delivery.fail(outcome.error, clock(), outcome.status, outcome.retry_after)
    database.write(delivery.record)
    log_event(
        "delivery", id=delivery.id, attempt=delivery.attempts, outcome=outcome.error or "delivered"
    )


def post(delivery: Delivery, settings: Settings, now: datetime) -> Outcome:
    """One attempt. Only a 2xx that could be read to its end, or to 64 KiB, is a delivery."""
    body, headers = encode(delivery, settings.webhook_secrets, now)
    with Line(ATTEMPT_SECONDS, settings.allow_private_receivers) as line:
        try:
            # A session of requests would cost as much again, and look for proxies and a .netrc.
            asked = requests.Request("POST", delivery.url, headers, data=body).prepare()
            answer = line.send(asked, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS))
            outcome = judge(answer, now)
            if outcome.error is None:
                read_answer(answer.raw)
        except (requests.RequestException, HTTPClientError, OSError, ValueError) as error:
            return Outcome(None, line.cut or in_words(error))
        return Outcome(None, line.cut) if line.cut else outcome


def encode(
    delivery: Delivery, secrets: tuple[str, ...], now: datetime
) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of an attempt."""
    headers = {"User-Agent": f"smsconvo/{__version__}", "Accept": "*/*"}
    headers["webhook-id"] = delivery.webhook_id
    if delivery.format == "form":
        body = urlencode(json.loads(delivery.payload), doseq=True).encode("ascii")
        return body, headers | {"Content-Type": f"{FORM_TYPE}; charset=utf-8"}
    body = delivery.payload.encode("utf-8")
    return body, headers | {"Content-Type": "application/json"} | sign(delivery, secrets, now)


def sign(delivery: Delivery, secrets: tuple[str, ...], now: datetime) -> dict[str, str]:
    """The time of this attempt, and that all of it is ours (Standard Webhooks)."""
    headers = {"webhook-timestamp": str(int(now.timestamp()))}
    if secrets:
        signatures = [
            StandardWebhook(secret).sign(delivery.webhook_id, now, delivery.payload)
            for secret in secrets
        ]
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def judge(answer: requests.Response, now: datetime) -> Outcome:
    status = answer.status_code
    if 200 <= status < 300:
        return Outcome(status)
    if 300 <= status < 400:
        return Outcome(status, f"HTTP {status}: it redirects. Set the address it redirects to.")
    if status == GONE:
        return Outcome(status, "HTTP 410: it wants no more. Nothing is sent there until you retry.")
    wait = retry_after(answer.headers.get("Retry-After", ""), now)
    return Outcome(status, f"HTTP {status}", wait)


def retry_after(value: str, now: datetime) -> timedelta:
    """Seconds or a date; nothing where it is neither."""
    try:
        if value.isdecimal():
            return timedelta(seconds=int(value))
        return max(parsedate_to_datetime(value) - now, timedelta(0))
    except (ValueError, TypeError, OverflowError):
        return timedelta(0)
