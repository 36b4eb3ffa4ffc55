"""How far the guests of a questionnaire come, and where those who stop go."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.orm import Session
from sqlalchemy.types import NULLTYPE

from models.conversation import REVIEW
from models.marked_test import is_no_test
from models.questionnaire.schema import Questionnaire
from models.reports import outcomes
from models.reports.charts import show_question
from models.reports.outcomes import CAUSE, CAUSES, OUTCOMES, Versions, is_of, versions_of
from models.reports.passed import (
    ANSWERS,
    HOWS,
    OF_TABLE,
    Answers,
    Ids,
    count_answers,
    find_reviewed,
)
from models.reports.period import Period
from models.reports.totals import count_total, show_total

MAX_COUNTED = 2000  # conversations: to count more would take too long


class Step(NamedTuple):
    """A question, or the review, and what became of the conversations that reached it."""

    key: str
    label: str
    reached: int
    passed: dict[str, int]  # those that went on, by HOWS
    waiting: int  # for the answer now
    stopped: dict[str, int]  # those that ended here, by CAUSES
    is_asked: bool = True  # in the file as it is now

    @property
    def name(self) -> str:
        """Of the question, as answers are named; the review has none."""
        return "" if self.key == REVIEW else self.key


class Funnel(NamedTuple):
    """The conversations of a questionnaire that started in a period."""

    outcomes: dict[str, int]
    steps: list[Step]
    median_seconds: int | None  # from the first text to the last answer, of those completed
    timed: int  # of how many
    total: int  # conversations, of which only the newest are counted

    @property
    def started(self) -> int:
        """How many there are."""
        return sum(self.outcomes.values())

    @property
    def is_partial(self) -> bool:
        """Whether only the newest are counted."""
        return self.total > self.started

    @property
    def total_words(self) -> str:
        """How many there are in all, for people."""
        return show_total(self.total)

    @property
    def completed(self) -> int:
        """How many of them are completed."""
        return self.outcomes["completed"]

    @property
    def median_words(self) -> str:
        """As people say it: "2 min 10 s"."""
        minutes, seconds = divmod(self.median_seconds or 0, 60)
        hours, minutes = divmod(minutes, 60)
        if hours:
            return f"{hours} h {minutes} min"
        return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"

    def share(self, count: int) -> int:
        """How many that is of a hundred who started."""
        return round(100 * count / self.started) if self.started else 0


class Standing(NamedTuple):
    """Conversations that are alike, and how many there are."""

    version: int
    outcome: str
    key: str | None  # what waits for its answer, or did at the end
    cause: str | None
    has_answer: bool  # to that: it is being corrected, or was given up
    count: int

    @classmethod
    def find_all(cls, db: Session, counted: Ids, versions: Versions, now: datetime) -> list[Self]:
        """All that these conditions select."""
        columns = [TABLE.c.questionnaire_id, outcomes.find_outcome(versions, now)]
        columns += [TABLE.c.current_key, CAUSE, HAS_ANSWER]
        alike = sa.select(
            *(column.label(name) for name, column in zip(cls._fields, columns, strict=False))
        ).where(TABLE.c.id.in_(counted))
        rows = alike.subquery()
        found = db.execute(sa.select(*rows.c, sa.func.count()).group_by(*rows.c))
        return [cls(*row) for row in found]


def find_funnel(
    db: Session,
    name: str,
    questionnaire: Questionnaire | None,
    versions: Versions,
    period: Period,
    now: datetime,
) -> Funnel:
    """That of a questionnaire, of its newest MAX_COUNTED conversations; no file may have it now."""
    counted, is_partial = find_counted(db, name, period)
    standings = Standing.find_all(db, counted, versions, now)
    answers = count_answers(db, counted, versions)
    reviewed = len(find_reviewed(db, counted, versions))
    counter = StepCounter(versions, standings, answers, reviewed)
    median, timed = _find_median(db, counted)
    counts = Counter[str]()
    for each in standings:
        counts[each.outcome] += each.count
    total = counts.total()
    if is_partial:
        total = count_total(db, versions_of(name), period.conditions(TABLE.c.started_at))
    return Funnel(
        outcomes={outcome: counts[outcome] for outcome in OUTCOMES},
        steps=list(counter.find_steps(questionnaire)),
        median_seconds=median,
        timed=timed,
        total=total,
    )


def find_counted(db: Session, name: str, period: Period) -> tuple[Ids, bool]:
    """The conversations that are counted, which are no tests, and whether there are more.

    Each version has its conversations in the order of time in an index, which is all that is read
    to find them. SQLite would rather read the whole table to count, were it not told their ids.
    """
    newest_of_version = (
        sa.select(TABLE.c.id)
        .where(TABLE.c.questionnaire_id == VERSIONS.c.id)
        .where(*period.conditions(TABLE.c.started_at), is_no_test(TABLE.c.id))
        .order_by(TABLE.c.started_at.desc())
        .limit(MAX_COUNTED + 1)
        .correlate(VERSIONS)
    )
    newest = (
        sa.select(RAW_STARTED_AT.label("started_at"))
        .select_from(VERSIONS.join(EACH, EACH.c.id.in_(newest_of_version)))
        .where(VERSIONS.c.name == name)
        .order_by(EACH.c.started_at.desc())
        .limit(MAX_COUNTED + 1)
        .subquery()
    )
    oldest = sa.func.min(newest.c.started_at)
    count, started_at = db.execute(sa.select(sa.func.count(), oldest).select_from(newest)).one()
    counted = sa.select(EACH.c.id).where(is_of(name, EACH), *period.conditions(EACH.c.started_at))
    counted = counted.where(is_no_test(EACH.c.id))
    if count <= MAX_COUNTED:
        return counted, False
    # The oldest is one too many, and may have started at the same moment as others.
    return counted.where(RAW_STARTED_AT > sa.bindparam("oldest", started_at, NULLTYPE)), True


def _find_median(db: Session, counted: Ids) -> tuple[int | None, int]:
    """How many seconds those completed took until the last answer, and how many they are.

    A correction after the end does not count, and neither does the wait for it at the review.
    """
    answers = sa.select(ANSWERS.c.conversation_id, sa.func.max(ANSWERS.c.answered_at).label("at"))
    answers = answers.where(ANSWERS.c.conversation_id.in_(counted))
    last = answers.group_by(ANSWERS.c.conversation_id).subquery()
    ended_at = sa.case((TABLE.c.ended_at < last.c.at, TABLE.c.ended_at), else_=last.c.at)
    seconds = _seconds(ended_at) - _seconds(TABLE.c.started_at)
    taken = sa.select(seconds.label("seconds")).join_from(
        last, TABLE, TABLE.c.id == last.c.conversation_id
    )
    taken = taken.where(TABLE.c.state == "completed").subquery()
    rank = sa.func.row_number().over(order_by=taken.c.seconds).label("rank")
    ranked = sa.select(taken.c.seconds, rank, sa.func.count().over().label("total")).subquery()
    is_middle = (2 * ranked.c.rank).between(ranked.c.total, ranked.c.total + 2)
    median = sa.select(sa.func.avg(ranked.c.seconds), sa.func.max(ranked.c.total)).where(is_middle)
    found, total = db.execute(median).one()
    return (None, 0) if found is None else (int(found), total)


def _seconds(time: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.extract("epoch", time)


class StepCounter:
    """Counts what became of the conversations at each question."""

    def __init__(
        self, versions: Versions, standings: Sequence[Standing], answers: Answers, reviewed: int
    ) -> None:
        self._versions, self._standings, self._answers = versions, standings, answers
        self._reviewed = reviewed  # of those completed

    def find_steps(self, questionnaire: Questionnaire | None) -> Iterator[Step]:
        """The questions of the file, then those that it has no more, then the review."""
        questions = questionnaire.questions if questionnaire else ()
        asked_now = {question.key: show_question(question) for question in questions}
        earlier = self._find_earlier()
        for key in dict.fromkeys([*asked_now, *earlier]):
            step = self._count(key, asked_now.get(key) or earlier[key], key in asked_now)
            if step.is_asked or step.reached:
                yield step
        has_review = bool(questionnaire and questionnaire.review)
        review = self._count(REVIEW, "Review of the answers", has_review)
        reached = review.reached + self._reviewed
        if has_review or reached:
            yield review._replace(reached=reached)

    def _find_earlier(self) -> dict[str, str]:
        """How questions were asked in the versions that were used, and keys that none knows."""
        used = {each.version for each in self._standings}
        older = [definition for id, definition in self._versions.items() if id in used]
        known: dict[str, str] = {}
        for definition in older:
            known = {each.key: show_question(each) for each in definition.questions} | known
        found = {each.key for each in self._standings if each.key != REVIEW}
        found |= {key for key, _ in self._answers}
        return known | {key: key for key in found if isinstance(key, str) and key not in known}

    def _count(self, key: str, label: str, is_asked: bool) -> Step:
        here = [each for each in self._standings if each.key == key]
        passed = {how: count for how in HOWS if (count := self._answers[key, how])}
        without_answer = sum(each.count for each in here if not each.has_answer)
        stopped = Counter[str]()
        for each in here:
            stopped[each.cause] += each.count
        return Step(
            key=key,
            label=label,
            reached=sum(passed.values()) + without_answer,
            passed=passed,
            waiting=sum(each.count for each in here if each.outcome == "open"),
            stopped={cause: stopped[cause] for cause in CAUSES if stopped[cause]},
            is_asked=is_asked,
        )


# Built once: building a statement costs as much as running it.
TABLE, VERSIONS = outcomes.TABLE, outcomes.VERSIONS
EACH = TABLE.alias()
RAW_STARTED_AT = sa.type_coerce(EACH.c.started_at, NULLTYPE)
HAS_ANSWER = sa.and_(
    TABLE.c.current_key.is_not(None),
    sa.exists().where(OF_TABLE, ANSWERS.c.key == TABLE.c.current_key).correlate(TABLE),
)
