"""The questionnaire files: what opens each, what is in use, and what `check` and `plan` say."""

from collections.abc import Callable
from datetime import date
from math import isfinite
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy.orm import Session

from models.plan import (
    MAX_OPEN,
    STATES,
    Change,
    Plan,
    count_newest_open,
    find_changes,
    find_plans,
)
from models.questionnaire.costs import SentText
from models.questionnaire.examination import Examination
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Questionnaire
from models.reports.context import PageContext

SHORT_DIGEST = 12  # characters, which tell versions apart
MAX_PROBLEMS = 5  # of a file, that are shown before others are asked for
MAX_PRICE = 1000  # of a segment, in any currency


class FileReport(NamedTuple):
    """One questionnaire: as it is in use, and what its file on disk says."""

    name: str
    in_use: Questionnaire | None
    on_disk: Questionnaire | None  # None if the file has errors, or is not there
    plan: Plan  # what is in use against what conversations have used
    problems: list[Problem]  # of its file
    cost: str
    texts: list[SentText]

    @property
    def shown(self) -> Questionnaire:
        """What the page tells of."""
        return self.in_use or self.on_disk

    @property
    def version(self) -> str:
        """The beginning of the digest of what is in use."""
        return self.in_use.digest[:SHORT_DIGEST]

    @property
    def first_problems(self) -> list[Problem]:
        """All errors, and warnings as far as they leave the page short."""
        errors = [problem for problem in self.problems if problem.is_error]
        return errors + self._warnings[: max(MAX_PROBLEMS - len(errors), 0)]

    @property
    def more_problems(self) -> list[Problem]:
        """The other warnings."""
        return [problem for problem in self.problems if problem not in self.first_problems]

    @property
    def _warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.is_error]

    @property
    def state(self) -> str:
        """Its plan in words."""
        return STATES[self.plan.state]

    @property
    def open_elsewhere(self) -> int:
        """Open conversations that go on with an older version."""
        return sum(self.plan.open.values())

    @property
    def not_taken(self) -> list[Change]:
        """What the file on disk says otherwise than what is in use."""
        return list(find_changes(self.in_use, self.on_disk)) if self.is_not_taken else []

    @property
    def is_not_taken(self) -> bool:
        """Whether the file could be used, and another version of it is."""
        both = self.in_use and self.on_disk
        return bool(both) and self.in_use.digest != self.on_disk.digest

    @property
    def address(self) -> str:
        """Of its poster."""
        return f"/console/files/{quote(self.name, safe='')}/poster"


class FilesPage(NamedTuple):
    """All files, and what belongs to none or to several of them."""

    files: list[FileReport]
    problems: list[Problem]  # of people.toml, of two files together, or of the folder
    former: list[Plan]  # of questionnaires that have no file any more
    has_errors: bool  # so that nothing of an edit is in use
    price: str  # of a segment, as it was asked for
    limit: int  # of open conversations, if there may be more than were counted; else 0


def find_files(
    examine: Callable[[date], Examination], db: Session, context: PageContext
) -> FilesPage:
    """What `examine` says of the files, beside what is in use and what conversations have used."""
    found, price = examine(context.now.date()), find_price(context.query.value("price"))
    counts, is_partial = count_newest_open(db)
    plans = {plan.name: plan for plan in find_plans(db, context.catalog, counts)}
    in_use, on_disk = dict(context.catalog), dict(found.catalog)
    names = sorted(in_use.keys() | on_disk.keys())
    files = [
        FileReport(
            name,
            in_use.get(name),
            on_disk.get(name),
            plans.get(name) or Plan(name, "new", [], {}),
            [problem for problem in found.problems if stem_of(problem) == name],
            report.describe(price) if (report := found.reports.get(name)) else "",
            report.texts if report else [],
        )
        for name in names
    ]
    former = [plan for name, plan in plans.items() if name not in names]
    others = [problem for problem in found.problems if stem_of(problem) not in names]
    has_errors = any(problem.is_error for problem in found.problems)
    shown_price = "" if price is None else f"{price:g}"
    return FilesPage(files, others, former, has_errors, shown_price, MAX_OPEN * is_partial)


def stem_of(problem: Problem) -> str:
    """The name of the questionnaire whose file a problem is in."""
    return Path(problem.file).stem


def find_price(text: str) -> float | None:
    """The price of a segment, or None where that makes no sense."""
    try:
        price = float(text.replace(",", "."))
    except ValueError:
        return None
    return price if isfinite(price) and 0 <= price < MAX_PRICE else None
