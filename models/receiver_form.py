"""The Google Forms that get results: what each was when it was accepted, and what it is now."""

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Optional

import msgspec
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.google_form.address import is_google_form, response_url
from models.google_form.page import FormPage
from models.google_form.preflight import find_problems
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Questionnaire
from storage.base import Base, Statement

Named = tuple[str, Questionnaire]
# From a look to the next one if it found nothing out, or ended with its worker; longer than a look.
RETRY_DELAY = timedelta(minutes=10)
FAULTY_INTERVAL = timedelta(hours=1)  # from one look to the next at a form that has changed
MAPPING = "mapping"  # the problem of a form that does not fit what questionnaires send
PROBLEMS = {
    MAPPING: "does not fit what is sent to it",
    "sign_in": "wants a sign-in",
    "restricted": "is not open to everybody",
    "closed": "takes no more responses",
    "no_form": "is not there any more",
}


class StoredPage(sa.TypeDecorator[FormPage]):
    """A form's page as JSON text."""

    impl = sa.Text
    cache_ok = True
    is_no = "form"  # what a cell is not that cannot be read

    def process_bind_param(self, value: FormPage | None, dialect: sa.Dialect) -> str | None:
        return value and msgspec.json.encode(value).decode()

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Callable[[Any], Any]:
        return lambda page: page and msgspec.json.decode(page, type=FormPage)


class ReceiverForm(Base):
    """A Google Form by the address that takes its answers.

    It is accepted when it is first seen to take what is sent, and whenever the operator looks at it
    with `form` and it does. `digest` is of the page as it was accepted; `page` is that of the
    latest look.
    """

    __tablename__ = "receiver_forms"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(unique=True)
    page: Mapped[FormPage | None] = mapped_column(StoredPage())
    digest: Mapped[str | None]
    problem: Mapped[str | None]  # why it would not take results: MAPPING or a cause of failures
    accepted_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]  # when a look last found out what it is like
    tried_at: Mapped[datetime | None]  # when a look began that has found out nothing so far
    changed_at: Mapped[datetime | None]  # when a look first found it other than it was accepted

    @classmethod
    def find(cls, db: Session, url: str) -> Optional["ReceiverForm"]:
        """The form with this address; None too if somebody has made its row unreadable."""
        return next(iter(cls.all(db, BY_URL, url=url)), None)

    @classmethod
    def find_changed(cls, db: Session, urls: Collection[str]) -> list["ReceiverForm"]:
        """Those of these forms that have changed since, or that would not take results."""
        found = (cls.find(db, url) for url in cls.find_changed_urls(db, urls))
        return [form for form in found if form]

    @classmethod
    def find_changed_urls(cls, db: Session, urls: Collection[str]) -> list[str]:
        """Their addresses alone: to read a page takes a thousand times as long."""
        return list(db.scalars(CHANGED_URLS.where(TABLE.c.url.in_(urls)))) if urls else []

    @classmethod
    def claim(
        cls,
        db: Session,
        url: str,
        now: datetime,
        interval: timedelta,
        delay: timedelta,
    ) -> bool:
        """Take the next look at a form, if it `is_due`; of several processes, one gets it.

        It counts as failed until something is saved, so that none is lost with its worker.
        """
        db.execute(INSERT, {"url": url})
        form = next(iter(cls.all(db, BY_URL_LOCKED, url=url)), None)
        if form is None or not form.is_due(now, interval, delay):
            return False
        form.tried_at = now
        form.update(db)
        return True

    @classmethod
    def save_seen(
        cls,
        db: Session,
        url: str,
        page: FormPage,
        questionnaires: Iterable[Named],
        now: datetime,
        accepts: bool,
    ) -> None:
        """Keep what the operator has just seen of a form, and accept it if that is meant."""
        db.execute(INSERT, {"url": url})
        form = cls.first(db, BY_URL_LOCKED, url=url)
        form.see(page, None, now)
        form.compare(questionnaires, now)
        if accepts:
            form.accept(now)
        form.update(db)

    def is_due(self, now: datetime, interval: timedelta, delay: timedelta) -> bool:
        """Whether nobody has seen it for the interval, and none has begun to look for the delay.

        The interval is shorter while something is wrong, so that it is soon seen to be mended.
        """
        if self.changed_at or self.problem:
            interval = min(interval, FAULTY_INTERVAL)
        return _is_over(self.checked_at, now, interval) and _is_over(self.tried_at, now, delay)

    def see(self, page: FormPage | None, cause: str | None, now: datetime) -> None:
        """Note what a look has found: a page, or why there is none to see."""
        self.checked_at, self.tried_at, self.problem = now, None, cause
        if page is None:
            return
        self.page = page
        is_other = self.digest not in (None, page.digest)
        self.changed_at = (self.changed_at or now) if is_other else None

    def compare(self, questionnaires: Iterable[Named], now: datetime) -> None:
        """Note its problem, given what these send; the first page that fits is accepted."""
        self.problem = self.current_problem(questionnaires)
        if self.digest is None and self.page and self.problem is None:
            self.accept(now)

    def accept(self, now: datetime) -> None:
        """From now on it counts as unchanged while it is what it is now."""
        self.digest, self.accepted_at, self.changed_at = self.page.digest, now, None

    def current_problem(self, questionnaires: Iterable[Named]) -> str | None:
        """What its `problem` is, given what these send."""
        if self.page is None or self.problem not in (None, MAPPING):
            return self.problem
        return MAPPING if any(self.find_misfits(questionnaires)) else None

    def find_misfits(self, questionnaires: Iterable[Named]) -> Iterator[tuple[str, Problem]]:
        """Why it would not take what these send: each error, behind the questionnaire's name."""
        for name, questionnaire in questionnaires if self.page else ():
            for problem in find_problems(self.page, questionnaire):
                if problem.is_error:
                    yield name, problem

    def describe(self) -> str:
        """What is wrong with it, to go behind "the form"."""
        since = f"{self.accepted_at:%Y-%m-%d}" if self.accepted_at else "it was accepted"
        changed = [f"has changed since {since}"] if self.changed_at else []
        problem = [PROBLEMS.get(self.problem, self.problem)] if self.problem else []
        return ", and ".join(changed + problem) or "is as it was accepted"


def _is_over(since: datetime | None, now: datetime, duration: timedelta) -> bool:
    """Whether so long has passed; a time that is ahead comes from a wrong clock."""
    return since is None or abs(now - since) >= duration


def form_url(url: str) -> str:
    """The address that takes answers, of a form's address; any other as it is."""
    try:
        return response_url(url)
    except ValueError:
        return url


def group_by_form(questionnaires: Iterable[Named]) -> dict[str, list[Named]]:
    """The questionnaires that send to Google Forms now, with their names, by the form's address."""
    found: dict[str, list[Named]] = {}
    for name, questionnaire in questionnaires:
        results = questionnaire.results
        if results and results.format == "form" and is_google_form(questionnaire.receiver_url):
            found.setdefault(form_url(questionnaire.receiver_url), []).append((name, questionnaire))
    return found


# Built once: building a statement costs as much as running it.
TABLE = ReceiverForm.__table__
IS_URL = TABLE.c.url == sa.bindparam("url")
BY_URL = Statement(sa.select(TABLE).where(IS_URL))
BY_URL_LOCKED = Statement(sa.select(TABLE).where(IS_URL).with_for_update())
CHANGED_URLS = (
    sa.select(TABLE.c.url)
    .where(TABLE.c.changed_at.is_not(None) | TABLE.c.problem.is_not(None))
    .order_by(TABLE.c.id)
)
INSERT = sa.text("INSERT INTO receiver_forms (url) VALUES (:url) ON CONFLICT (url) DO NOTHING")
