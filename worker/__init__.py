"""What happens without a request: results are delivered, and silent conversations end.

A new job is one file and one line in `create_worker`. A new kind of receiver is one file, and one
line that adds it to `RECEIVERS` here.
"""

from collections.abc import Callable
from functools import partial
from threading import Event

from models import Catalog, load_catalog
from settings import Settings
from storage import Clock, Database
from storage.database import ignore
from worker.apps_script import AppsScript
from worker.expiry import ExpireSilent
from worker.form_watch import WatchForms
from worker.google_forms import GoogleForm
from worker.indexing import IndexTexts
from worker.receivers import RECEIVERS
from worker.results import DeliverResults
from worker.wal import WatchWal
from worker.worker import Worker

RECEIVERS += [GoogleForm(), AppsScript()]


def create_worker(
    database: Database,
    settings: Settings,
    clock: Clock,
    wake: Event,
    find_catalog: Callable[[], Catalog] | None = None,
    beat: Callable[[], object] = ignore,
) -> Worker:
    """The worker with all its jobs; `wake` is to be set when a result was written.

    `find_catalog` gives the questionnaires in use; without it they are read from their files.
    `beat` is called again and again, for whoever wants to know that it runs.
    """
    find_catalog = find_catalog or partial(load_catalog, settings.questionnaires)
    forms = WatchForms(database, settings.allow_private_receivers, find_catalog, clock)
    jobs = [
        ExpireSilent(database),
        WatchWal(database),
        DeliverResults(database, settings, clock, wake, forms.note_failure),
        forms,
        IndexTexts(database),
    ]
    return Worker(jobs, database, clock, wake, beat)
