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

    It is accepted when it is first seen, and whenever the operator looks at it with `form`.
    `digest` is of the page as it was accepted; `page` and `confirmation` are of the latest look.
    """

    __tablename__ = "receiver_forms"

    id: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(unique=True)
    page: Mapped[FormPage | None] = mapped_column(StoredPage())
    digest: Mapped[str | None]
    confirmation: Mapped[str | None]
    problem: Mapped[str | None]  # why it would not take results: MAPPING or a cause of failures
    accepted_at: Mapped[datetime | None]
    checked_at: Mapped[datetime | None]
    changed_at: Mapped[datetime | None]  # when a look first found it other than it was accepted

    @classmethod
    def find(cls, db: Session, url: str) -> Optional["ReceiverForm"]:
        """The form with this address; None too if somebody has made its row unreadable."""
        return next(iter(cls.all(db, BY_URL, url=url)), None)

    @classmethod
    def find_changed(cls, db: Session, urls: Collection[str]) -> list["ReceiverForm"]:
        """Those of these forms that have changed since, or that would not take results."""
        return [form for form in cls.all(db, CHANGED) if form.url in urls]

    @classmethod
    def find_confirmation(cls, db: Session, url: str) -> str:
        """What the form with this address says when it has recorded a result; "" if unknown."""
        rows = CONFIRMATION.fetch_all(db, url=form_url(url))
        return (rows[0][1] or "") if rows else ""

    @classmethod
    def claim(cls, db: Session, url: str, now: datetime, interval: timedelta) -> bool:
        """Take the next look at a form, if it `is_due`; of several processes, one gets it."""
        db.execute(INSERT, {"url": url})
        form = next(iter(cls.all(db, BY_URL_LOCKED, url=url)), None)
        if form is None or not form.is_due(now, interval):
            return False
        form.checked_at = now
        form.update(db)
        return True

    @classmethod
    def save_accepted(
        cls,
        db: Session,
        url: str,
        page: FormPage,
        questionnaires: Iterable[Named],
        now: datetime,
    ) -> None:
        """Accept a form as the operator has just seen it."""
        db.execute(INSERT, {"url": url})
        form = cls.first(db, BY_URL_LOCKED, url=url)
        form.see(page, None, now)
        form.accept(now)
        form.problem = form.compared(questionnaires)
        form.update(db)

    def is_due(self, now: datetime, interval: timedelta) -> bool:
        """Whether nobody has looked for so long; a time that is ahead comes from a wrong clock."""
        return self.checked_at is None or abs(now - self.checked_at) >= interval

    def see(self, page: FormPage | None, cause: str | None, now: datetime) -> None:
        """Note what a look has found: a page, or why there is none to see.

        The first page is accepted.
        """
        self.checked_at, self.problem = now, cause
        if page is None:
            return
        self.page, self.confirmation = page, page.confirmation
        if self.digest is None:
            self.accept(now)
        is_other = page.digest != self.digest
        self.changed_at = (self.changed_at or now) if is_other else None

    def accept(self, now: datetime) -> None:
        """From now on it counts as unchanged while it is what it is now."""
        self.digest, self.accepted_at, self.changed_at = self.page.digest, now, None

    def compared(self, questionnaires: Iterable[Named]) -> str | None:
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
CONFIRMATION = Statement(sa.select(TABLE.c.id, TABLE.c.confirmation).where(IS_URL))
CHANGED = Statement(
    sa.select(TABLE).where(sa.or_(TABLE.c.changed_at.is_not(None), TABLE.c.problem.is_not(None)))
)
INSERT = sa.text("INSERT INTO receiver_forms (url) VALUES (:url) ON CONFLICT (url) DO NOTHING")
