"""Which receivers get results now: their shares of a worker, and hosts that take nothing."""

import logging
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from logs import log_event
from models import Delivery
from models.delivery import MAX_IN_FLIGHT, MAX_PER_RECEIVER

OPEN_AFTER = 3  # attempts in a row at a host that failed
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=2)  # without an answer
ERROR_PAUSE = timedelta(seconds=1)  # after an answer that is an error
DEFAULT_PORTS = {"http": 80, "https": 443}


class Circuit:
    """Counts the attempts at a host that failed since the last one that did not.

    After OPEN_AFTER of them it is open: there is one attempt at a time, after a pause. The pause
    doubles while there is no answer. An error may be about one result, so after it the pause is
    short. But much that is owed would otherwise be tried as fast as errors come.
    """

    def __init__(self) -> None:
        self.failures = 0
        self.urls: set[str] = set()  # where those attempts went
        self.retry_at: datetime | None = None  # while it is open
        self.pause = timedelta(0)

    @property
    def is_open(self) -> bool:
        return self.retry_at is not None

    def is_paused(self, now: datetime) -> bool:
        """Whether it is too early for the next attempt, by a clock that may have been set back."""
        return self.is_open and self.retry_at - self.pause <= now < self.retry_at

    def fail(self, url: str, has_answered: bool, now: datetime) -> None:
        self.failures += 1
        self.urls.add(url)
        # What fails during a pause began before it, and says nothing new.
        if self.failures >= OPEN_AFTER and not self.is_paused(now):
            longer = min(max(2 * self.pause, FIRST_PAUSE), LONGEST_PAUSE)
            self.pause = ERROR_PAUSE if has_answered else longer
            self.retry_at = now + self.pause


class Hosts:
    """The hosts of one worker, for one thread: what they get, and which of them take nothing."""

    def __init__(self) -> None:
        self._circuits: dict[str, Circuit] = {}  # of hosts whose last attempt failed

    def share_out(
        self, urls: Sequence[str], in_flight: Collection[Delivery], limit: int, now: datetime
    ) -> Counter[str]:
        """How many more attempts each URL gets, at most `limit` in all: one each, then one more.

        A URL has up to MAX_PER_RECEIVER in flight. A host has up to half of what other hosts leave
        of MAX_IN_FLIGHT, so that another one finds a place. URLs of failed attempts come last.
        """
        by_url = Counter(delivery.url for delivery in in_flight)
        by_host = Counter(host_of(delivery.url) for delivery in in_flight)
        shares: Counter[str] = Counter()
        for url in sorted(urls, key=self._is_failing) * MAX_PER_RECEIVER:
            host = host_of(url)
            if shares.total() == limit:
                break
            if by_url[url] < MAX_PER_RECEIVER and by_host[host] < self._limit(host, by_host, now):
                for counts, key in ((by_url, url), (by_host, host), (shares, url)):
                    counts[key] += 1
        return shares

    def learn(self, url: str, status: int | None, is_delivered: bool, now: datetime) -> None:
        """Learn how an attempt ended; without an answer the status is None."""
        host = host_of(url)
        circuit = self._circuits.setdefault(host, Circuit())
        was_open = circuit.is_open
        if is_delivered:
            del self._circuits[host]
        else:
            circuit.fail(url, status is not None, now)
        if is_delivered and was_open:
            log_event("receiver", host=host, outcome="takes results again")
        elif circuit.is_open and not was_open:
            outcome = f"{circuit.failures} attempts in a row failed, so one at a time from now on"
            log_event("receiver", logging.WARNING, host=host, outcome=outcome)

    def _limit(self, host: str, by_host: Counter[str], now: datetime) -> int:
        circuit = self._circuits.get(host)
        if circuit and circuit.is_open:
            return 0 if circuit.is_paused(now) else 1
        left_by_others = MAX_IN_FLIGHT - by_host.total() + by_host[host]
        return (left_by_others + 1) // 2

    def _is_failing(self, url: str) -> bool:
        circuit = self._circuits.get(host_of(url))
        return circuit is not None and url in circuit.urls


@lru_cache
def host_of(url: str) -> str:
    """The host and port of a URL, without what else may be in it; all of what is none."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port or DEFAULT_PORTS.get(parts.scheme)}"
    except ValueError:
        return url
