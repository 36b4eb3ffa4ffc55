import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event, Thread

import pytest
from conftest import until

from worker import Worker
from worker.worker import Job

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Recorded(Job):
    """A job that notes when it is run, and does what it is told to."""

    def __init__(self, verb: str = "work", *, interval: float = 0, more: int = 0) -> None:
        self.verb, self.interval, self.more = verb, interval, more
        self.runs: list[datetime] = []
        self.is_finished = False

    def run(self, now: datetime) -> bool:
        self.runs.append(now)
        return len(self.runs) <= self.more

    def finish(self) -> None:
        self.is_finished = True


class Failing(Recorded):
    def run(self, now: datetime) -> bool:
        super().run(now)
        raise ZeroDivisionError("a secret")


@contextmanager
def working(database, clock, *jobs: Job) -> Iterator[Event]:
    """A worker at work, and what wakes it."""
    wake = Event()
    worker = Worker(jobs, database, clock, wake)
    thread = Thread(target=worker.run)
    thread.start()
    try:
        yield wake
    finally:
        worker.stop()
        wake.set()
        thread.join(10)
        assert not thread.is_alive()


def test_every_job_is_run_with_the_time_of_the_clock(database, clock):
    jobs = [Recorded(), Recorded()]
    with working(database, clock, *jobs):
        until(lambda: all(job.runs for job in jobs))
    assert {now for job in jobs for now in job.runs} == {clock()}


def test_a_job_that_fails_ends_neither_the_worker_nor_the_other_jobs(
    database, clock, caplog, patch
):
    patch("worker.worker", "POLL_SECONDS", 0.01)
    failing, other = Failing("count"), Recorded()
    with working(database, clock, failing, other):
        until(lambda: len(failing.runs) >= 3 and len(other.runs) >= 3)
    record = caplog.records[0]
    assert (record.levelno, record.message) == (logging.ERROR, "worker")
    assert record.fields["outcome"].startswith("cannot count: ZeroDivisionError in ")
    assert "secret" not in json.dumps(record.fields)


def test_a_job_is_run_at_once_while_it_has_more_and_then_not_before_its_time(
    database, clock, patch
):
    patch("worker.worker", "POLL_SECONDS", 60)
    job, other = Recorded(interval=60, more=4), Recorded()
    with working(database, clock, job, other) as wake:
        until(lambda: len(job.runs) == 5)
        wake.set()
        until(lambda: len(other.runs) > 5)
    assert len(job.runs) == 5


def test_a_job_without_an_interval_is_run_whenever_the_worker_wakes(database, clock, patch):
    patch("worker.worker", "POLL_SECONDS", 60)
    job = Recorded()
    with working(database, clock, job) as wake:
        for count in range(1, 4):
            until(lambda count=count: len(job.runs) == count)
            wake.set()
        until(lambda: len(job.runs) == 4)


def test_a_stop_waits_for_what_is_in_flight(database, clock):
    job = Recorded()
    with working(database, clock, job):
        until(lambda: job.runs)
        assert not job.is_finished
    assert job.is_finished


def test_the_worker_ends_when_the_database_is_broken(database, clock):
    job = Recorded()
    database.broken.set()
    Worker([job], database, clock, Event()).run()
    assert job.runs == [] and job.is_finished
