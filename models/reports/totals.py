"""How many conversations there are in all, for pages whose figures are of the newest ones."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.marked_test import MarkedTest
from models.reports.outcomes import TABLE, Condition

MAX_TOTAL = 100_000  # to count more would take too long


def count_total(
    db: Session,
    versions: sa.Select[tuple[int]] | Sequence[int],
    period: Sequence[Condition],
    with_tests: bool = False,
) -> int:
    """How many conversations of these versions started in a period: one above MAX_TOTAL at most.

    Tests are few, so they are counted apart and taken off: to look for each conversation among them
    takes four times as long.
    """
    # An expression, lest the index of versions be read for the tests, too.
    is_counted = (TABLE.c.questionnaire_id + 0).in_(versions), *period
    tests = sa.select(sa.func.count()).where(TABLE.c.id.in_(MARKED), *is_counted).scalar_subquery()
    if with_tests:
        tests = sa.literal(0)
    all = sa.select(ONE).where(TABLE.c.questionnaire_id.in_(versions), *period)
    counted = all.limit(tests + MAX_TOTAL + 1).subquery()
    return db.scalar(sa.select(sa.func.count() - tests).select_from(counted))


def show_total(total: int) -> str:
    """As people read it: "5,314"."""
    return f"{total:,}" if total <= MAX_TOTAL else f"more than {MAX_TOTAL:,}"


# Built once: building a statement costs as much as running it.
ONE = sa.literal_column("1")
MARKED = sa.select(MarkedTest.__table__.c.conversation_id)
