"""`GET /metrics`: figures for Prometheus, none of which names anybody who texts."""

import hmac
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import accumulate

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from sqlalchemy.exc import DBAPIError

from models.reports.metrics import Figures, find_figures
from settings import __version__
from shared_counts import BOUNDS, SharedCounts
from storage import Database

CONTENT_TYPE = CONTENT_TYPE_LATEST
SCHEME = "bearer "


def has_key(authorization: str, key: str) -> bool:
    """Whether a header `Authorization` has the key; how long that takes tells nothing of it."""
    scheme, given = authorization[: len(SCHEME)], authorization[len(SCHEME) :]
    is_right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), key.encode())
    return is_right and scheme.lower() == SCHEME


class Metrics:
    """What a scrape finds. What processes count is of this machine, the rest of the database."""

    def __init__(
        self, database: Database, counts: SharedCounts, clock: Callable[[], datetime]
    ) -> None:
        self._database, self._counts, self._clock = database, counts, clock

    def render(self) -> bytes:
        """All figures, as Prometheus reads them."""
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        """What prometheus-client asks for. Without the database its figures are left out."""
        yield from self._collect_counts()
        try:
            with self._database.read() as db:
                figures = find_figures(db, self._clock())
            sizes = {"database": self._database.size(), "wal": self._database.wal_size()}
        except (DBAPIError, OSError):  # a TimeoutError is one, too
            figures, sizes = None, {}
        yield gauge("database_up", "1 if the database could be read just now.", figures is not None)
        if figures:
            yield from collect_figures(figures)
        for name, size in sizes.items():
            if size is not None:
                yield gauge(f"{name}_bytes", f"Size of the {name} on disk.", size)

    def _collect_counts(self) -> Iterator[Metric]:
        counts, turns = self._counts, self._counts.turns()
        yield labelled("build_info", "The version of smsconvo.", "version", {__version__: 1})
        yield gauge("start_time_seconds", "When the counters began at 0.", counts.started_at)
        sums = list(accumulate(turns.counts))
        buckets = [*zip(map(str, BOUNDS), sums[:-1], strict=True), ("+Inf", sums[-1])]
        yield HistogramMetricFamily(
            "smsconvo_turn_seconds",
            "How long texts took until they were answered and on disk.",
            buckets=buckets,
            sum_value=turns.seconds,
        )
        received = "Texts that were answered, repeats of Twilio's included."
        yield counter("texts_received", received, "", {"": sums[-1]})
        yield counter("texts_sent", "Replies that went out.", "", {"": counts.replies})
        undelivered = {str(code): count for code, count in counts.undelivered().items()}
        why = "Replies that did not arrive, by Twilio's code; 0 is another or none."
        yield counter("texts_undelivered", why, "code", undelivered)
        yield counter("requests_refused", "By reason.", "reason", counts.refused())
        if counts.last_beat:
            beat = "When the worker, which sends results, last ran."
            yield gauge("worker_last_run_timestamp_seconds", beat, counts.last_beat)


def collect_figures(figures: Figures) -> Iterator[Metric]:
    """What is in the database."""
    newest = f"Of the newest {figures.limit} conversations, by state."
    yield labelled("newest_conversations", newest, "state", figures.conversations)
    outbox = f"Results not delivered, by state; {figures.outbox_limit + 1} is that or more."
    yield labelled("outbox_results", outbox, "state", figures.outbox)
    if figures.oldest_pending_seconds is not None:
        oldest = "Age of the oldest result that is pending; 0 if none is."
        yield gauge("outbox_oldest_pending_seconds", oldest, figures.oldest_pending_seconds)


def gauge(name: str, help: str, value: float) -> Metric:
    """One figure that may rise and fall."""
    return GaugeMetricFamily(f"smsconvo_{name}", help, value=value)


def labelled(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    """Several of these, told apart by a label."""
    family = GaugeMetricFamily(f"smsconvo_{name}", help, labels=[label])
    for value, figure in values.items():
        family.add_metric([value], figure)
    return family


def counter(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    """Figures that only rise until the server ends, perhaps told apart by a label."""
    family = CounterMetricFamily(f"smsconvo_{name}", help, labels=[label] if label else [])
    for value, figure in values.items():
        family.add_metric([value] if label else [], figure)
    return family
