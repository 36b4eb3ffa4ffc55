"""The job that looks again at the Google Forms that get results: whoever owns one may change it."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from threading import Event, Thread

from sqlalchemy.orm import Session

from logs import error_location, log_event
from models import Catalog, InvalidQuestionnaire
from models.failures import clean, describe_event
from models.google_form.address import is_google_form
from models.receiver_form import RETRY_DELAY, Named, ReceiverForm, form_url, group_by_form
from storage import Clock, Database
from worker.form_page import Look, look
from worker.worker import FINISH_SECONDS, Job

DAY = timedelta(days=1)  # from one look to the next
AFTER_REFUSAL = timedelta(minutes=1)  # the same if the form has refused a result since
UNREAD_DELAY = timedelta(hours=6)  # the same if there was an answer that says nothing of the form
UNREAD = {"no_data", "captcha", "bad_fields", "unexpected_redirect"}  # such causes
SCAN_SECONDS = 60  # until it is seen that questionnaires have changed
LIKELY_CHANGED = {"shown_again", "bad_fields", "unconfirmed", "sign_in", "restricted"}
LIKELY_CHANGED |= {"closed", "no_form", "captcha"}  # causes that a change of the form can have


class WatchForms(Job):
    """Looks once a day, and soon after a form has refused a result. Several workers take turns.

    A look takes as long as a request, so a thread beside the worker takes it.
    """

    verb = "look at forms"
    interval = 1

    def __init__(
        self,
        database: Database,
        allow_private: bool,
        find_catalog: Callable[[], Catalog],
        clock: Clock,
    ) -> None:
        self._database, self._clock = database, clock
        self._allow_private, self._find_catalog = allow_private, find_catalog
        self._refused: set[str] = set()  # URLs; other threads add to it, in one step each
        self._failures: dict[str, str] = {}  # causes, by URL, of looks that found nothing out
        self._scan_at = 0.0  # by time.monotonic()
        self._looking: Thread | None = None
        self._finished = Event()

    def note_failure(self, url: str, cause: str) -> None:
        """Know that a result for this URL failed for this cause; any thread may say so."""
        if cause in LIKELY_CHANGED and is_google_form(url):
            self._refused.add(form_url(url))
            self._scan_at = 0.0

    def run(self, now: datetime) -> bool:
        """Begin to look, if it is time to and no look is under way."""
        is_looking = self._looking is not None and self._looking.is_alive()
        if not is_looking and time.monotonic() >= self._scan_at:
            self._scan_at = time.monotonic() + SCAN_SECONDS
            self._looking = Thread(target=self._look_at_all, name="forms", daemon=True)
            self._looking.start()
        return False

    def finish(self) -> None:
        """Wait a moment for a look; one that takes longer ends without a trace."""
        self._finished.set()
        if self._looking:
            self._looking.join(FINISH_SECONDS)

    def _look_at_all(self) -> None:
        with suppress(InvalidQuestionnaire):  # whoever edits it is told; the next scan may do
            forms = group_by_form(self._find_catalog())
            for url in self._refused.difference(forms):
                self._refused.discard(url)
            for url, named in forms.items():
                if not self._finished.is_set():
                    self._look_at(url, named)

    def _look_at(self, url: str, named: Sequence[Named]) -> None:
        """No failure at one form keeps the others from being looked at."""
        interval = AFTER_REFUSAL if url in self._refused else DAY
        try:
            if self.look_again(url, named, interval):
                self._refused.discard(url)
        except Exception as error:
            log_event("worker", logging.ERROR, outcome=f"cannot look: {error_location(error)}")

    def look_again(self, url: str, questionnaires: Sequence[Named], interval: timedelta) -> bool:
        """Look at a form, unless somebody has within `interval`; whether that found out about it.

        In any case it is compared with what these questionnaires send now.
        """
        now = self._clock()
        delay = UNREAD_DELAY if self._failures.get(url) in UNREAD else RETRY_DELAY
        with self._database.read() as db:
            form = ReceiverForm.find(db, url)
        if form and not form.is_due(now, interval, delay):
            if form.current_problem(questionnaires) != form.problem:
                self._save(url, None, questionnaires, now)
            return False
        claim = partial(ReceiverForm.claim, url=url, now=now, interval=interval, delay=delay)
        if not self._database.write(claim):
            return False
        found = look(url, allow_private=self._allow_private)
        if self._finished.is_set():
            return False
        self._note(url, found, questionnaires)
        if found.is_certain:
            self._save(url, found, questionnaires, now)
        return found.is_certain

    def _note(self, url: str, found: Look, questionnaires: Sequence[Named]) -> None:
        """Log why a look has found nothing out, unless the last one failed for the same cause."""
        cause = "" if found.is_certain else found.cause
        if cause and cause != self._failures.get(url):
            log_form(questionnaires, f"cannot be looked at: {describe_failure(found)}")
        self._failures[url] = cause

    def _save(
        self, url: str, found: Look | None, questionnaires: Sequence[Named], now: datetime
    ) -> None:
        save = partial(save_look, url=url, found=found, questionnaires=questionnaires, now=now)
        if outcome := self._database.write(save):
            log_form(questionnaires, outcome)


def log_form(questionnaires: Sequence[Named], outcome: str) -> None:
    names = [name for name, _ in questionnaires]
    log_event("form", logging.WARNING, questionnaires=names, outcome=outcome)


def describe_failure(found: Look) -> str:
    """Why a look has found nothing out: its sentence, or that the page says nothing."""
    if found.cause == "no_data":
        return "Its page holds nothing about its questions."
    return describe_event(found.cause, found.status, clean(found.detail))


def save_look(
    db: Session,
    url: str,
    found: Look | None,
    questionnaires: Sequence[Named],
    now: datetime,
) -> str | None:
    """Keep what a look has found; what to log if the form is not what it was before."""
    form = ReceiverForm.find(db, url)
    before = form.describe()
    if found:
        form.see(found.page, found.cause, now)
    form.compare(questionnaires, now)
    form.update(db)
    return form.describe() if form.describe() != before else None
