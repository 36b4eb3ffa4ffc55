"""The worker: runs a list of jobs, each again and again, until it is stopped."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from threading import Event, Thread, main_thread
from typing import TypeVar

from logs import error_location, log_event
from storage import Clock, Database
from storage.database import ignore

T = TypeVar("T")
POLL_SECONDS = 1
GATHER_SECONDS = 0.05  # for what is due at nearly the same moment, so that texts are held up less
STOP_SECONDS = 1  # that the end of the program waits for the worker's
FINISH_SECONDS = 0.25  # that a job waits at the end for what is in flight


class Job:
    """One kind of work that no request asks for."""

    verb: str  # what it does, as in the log's "cannot expire"
    # Seconds until it is run again, unless it had more to do. 0: whenever the worker wakes, which
    # is every POLL_SECONDS, or at once when there is a new result.
    interval: float = 0

    def run(self, now: datetime) -> bool:
        """Do some of what is due at `now`, briefly; return whether there may be more at once."""
        raise NotImplementedError

    def finish(self) -> None:
        """End what is still in flight, within a fraction of a second; the worker has stopped."""


class Worker:
    """Runs jobs until it is stopped, or until the database is broken.

    `wake` ends its sleep. No failure of a job ends it, or keeps the other jobs from running.
    `beat` is called each time that it looks at them.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        database: Database,
        clock: Clock,
        wake: Event,
        beat: Callable[[], object] = ignore,
    ) -> None:
        self._due_at = dict.fromkeys(jobs, 0.0)  # by time.monotonic()
        self._database, self._clock, self._wake, self._beat = database, clock, wake, beat
        self._stopped = False

    def run(self) -> None:
        """Return when it was stopped and its jobs have ended what was in flight."""
        while not (self._stopped or self._database.broken.is_set()):
            self._beat()
            have_more = [self._run_job(job) for job in self._due_at]  # a list: each of them runs
            if not any(have_more):
                self._wake.wait(POLL_SECONDS)
                time.sleep(GATHER_SECONDS)
                self._wake.clear()
        for job in self._due_at:
            self._try(job.finish, f"cannot finish to {job.verb}")

    def start(self) -> None:
        """Run beside the main thread, and stop when that ends.

        The thread that stops it is no daemon, so the interpreter waits for it, but not for long.
        """
        running = Thread(target=self.run, name="worker", daemon=True)
        running.start()
        Thread(target=self._stop_at_exit, args=(running,), name="stop").start()

    def stop(self) -> None:
        """Stop within the next second. It takes no lock, so a signal handler may call it."""
        self._stopped = True

    def _stop_at_exit(self, running: Thread) -> None:
        main_thread().join()
        self.stop()
        self._wake.set()
        running.join(STOP_SECONDS)

    def _run_job(self, job: Job) -> bool:
        """Run it if it is time to; return whether it has more to do at once."""
        if time.monotonic() < self._due_at[job]:
            return False
        has_more = self._try(lambda: job.run(self._clock()), f"cannot {job.verb}") or False
        self._due_at[job] = time.monotonic() + (0 if has_more else job.interval)
        return has_more

    @staticmethod
    def _try(function: Callable[[], T], trouble: str) -> T | None:
        """What it returns, or None and a line in the log: no failure of a job ends the worker."""
        try:
            return function()
        except Exception as error:
            log_event("worker", logging.ERROR, outcome=f"{trouble}: {error_location(error)}")
            return None
