"""What happens without a request: results are delivered, and silent conversations end.

A new job is one file and one line in `create_worker`. A new kind of receiver is one file, and one
line that adds it to `RECEIVERS` here.
"""

from threading import Event

from settings import Settings
from storage import Clock, Database
from worker.apps_script import AppsScript
from worker.expiry import ExpireSilent
from worker.google_forms import GoogleForm
from worker.receivers import RECEIVERS
from worker.results import DeliverResults
from worker.wal import WatchWal
from worker.worker import Worker

RECEIVERS += [GoogleForm(), AppsScript()]


def create_worker(database: Database, settings: Settings, clock: Clock, wake: Event) -> Worker:
    """The worker with all its jobs; `wake` is to be set when a result was written."""
    jobs = [
        ExpireSilent(database),
        WatchWal(database),
        DeliverResults(database, settings, clock, wake),
    ]
    return Worker(jobs, database, clock, wake)
