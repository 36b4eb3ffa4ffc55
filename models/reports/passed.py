"""How conversations have passed the questions: how many, and which."""

from collections import Counter

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.answer import Answer
from models.console import OperatorAction
from models.conversation import REVIEW
from models.reports.outcomes import TABLE, Versions, was_unread

Ids = sa.Select[tuple[int]]  # of the conversations that are counted
Answers = Counter[tuple[str, str]]  # by key, and what became of the question: one of HOWS
REACHED = "reached"  # whether it was passed or not
# What became of questions that conversations have passed.
ANSWERED, SKIPPED, UNREAD = HOWS = ("answered", "skipped", "given up unread")
# What is kept with the act of an operator who completes a conversation before its review.
NOT_REVIEWED = "not reviewed"


def count_answers(db: Session, counted: Ids, versions: Versions) -> Answers:
    """How many conversations have passed a question, by its key and how."""
    rows = _select_answers(ANSWERS.c.key, counted).subquery()
    found = Counter[tuple[str, str]]()
    alike = sa.select(*rows.c, sa.func.count()).group_by(*rows.c)
    for key, *answer, count in db.execute(alike):
        found[key, _how(versions, *answer)] += count
    return found


def find_passed(db: Session, counted: Ids, versions: Versions, key: str, how: str) -> set[int]:
    """The ids of those that have reached a question, or passed it in one of HOWS."""
    rows = _select_answers(ANSWERS.c.conversation_id, counted).where(ANSWERS.c.key == key)
    passed = {id: _how(versions, *answer) for id, *answer in db.execute(rows)}
    if how != REACHED:
        return {id for id, each in passed.items() if each == how}
    at = sa.select(TABLE.c.id).where(TABLE.c.id.in_(counted), TABLE.c.current_key == key)
    reviewed = find_reviewed(db, counted, versions) if key == REVIEW else ()
    return {*passed, *db.scalars(at), *reviewed}


def find_reviewed(db: Session, counted: Ids, versions: Versions) -> list[int]:
    """The ids of those completed that were asked whether all is right.

    No other way leads there, but that an operator completes one before.
    """
    reviewed = {id for id, definition in versions.items() if definition.review}
    if not reviewed:
        return []
    rows = sa.select(TABLE.c.id, TABLE.c.questionnaire_id).where(TABLE.c.id.in_(counted))
    rows = rows.where(TABLE.c.state == "completed", TABLE.c.id.not_in(COMPLETED_BEFORE))
    return [id for id, version in db.execute(rows) if version in reviewed]


def _select_answers(first: sa.ColumnElement, counted: Ids) -> sa.Select:
    """The answers of conversations: a column, and what `_how` goes by."""
    has_value = ANSWERS.c.value.is_not(None)
    # Only those without a value are told apart by their texts.
    why = [TABLE.c.questionnaire_id, ANSWERS.c.text, ANSWERS.c.question]
    texts = [sa.case((~has_value, each)).label(each.name) for each in why]
    rows = sa.select(first, has_value.label("has_value"), *texts).join_from(
        ANSWERS, TABLE, OF_TABLE
    )
    return rows.where(ANSWERS.c.conversation_id.in_(counted))


def _how(versions: Versions, has_value: bool, *why: object) -> str:
    if has_value:
        return ANSWERED
    return UNREAD if was_unread(versions, *why) else SKIPPED


# Built once: building a statement costs as much as running it.
ANSWERS = Answer.__table__
OF_TABLE = ANSWERS.c.conversation_id == TABLE.c.id
ACTIONS = OperatorAction.__table__
# There are few acts, and no index of their rows: all of them are read, once.
COMPLETED_BEFORE = sa.select(ACTIONS.c.row_id).where(
    ACTIONS.c.table_name == TABLE.name,
    ACTIONS.c.details == NOT_REVIEWED,
    ACTIONS.c.row_id.is_not(None),
)
