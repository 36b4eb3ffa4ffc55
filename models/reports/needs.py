"""What waits for an operator: results, replies, forms, and what `/healthz` finds wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.delivery import IS_UNDELIVERED, Delivery
from models.marked_test import is_no_test
from models.receiver_form import ReceiverForm, group_by_form
from models.reports.context import PageContext
from models.reports.explanations import CODES
from models.reports.period import Period
from models.reports.texts import Texts
from models.undelivered import MAX_COUNT

Checks = Mapping[str, Mapping[str, Any]]  # parts of what `/healthz` shows, by name
STATES = {
    "failed": ("1 result has failed", "{} results have failed"),
    "unconfirmed": (
        "Nobody knows whether 1 result has arrived",
        "Nobody knows whether {} results have arrived",
    ),
}
HEALTH = "/console/health"


class Need(NamedTuple):
    """A sentence for the operator, and where to see more."""

    words: str
    why: str  # "" where the words say all
    address: str  # below the root
    code: str = ""  # a machine's word for it


def find_needs(
    db: Session, context: PageContext, period: Period, texts: Texts, checks: Checks
) -> list[Need]:
    """All that needs somebody now."""
    needs = [*_find_results(db), *_find_lost(period, texts), *_find_forms(db, context)]
    for name, check in checks.items():
        if not check["ok"]:
            first = next(iter(check.get("problems", ())), "")
            needs.append(Need(check["why"], first, HEALTH, name))
    return needs


def _find_results(db: Session) -> Iterator[Need]:
    for state, (single, several) in STATES.items():
        found = _count_errors(db, state)
        total = sum(count for _, count in found)
        if total == 0:
            continue
        number = f"more than {MAX_COUNT}" if total > MAX_COUNT else str(total)
        words = single if total == 1 else several.format(number)
        error, count = found[0]
        others = f" ({total - count} for other reasons)" if total > count else ""
        why = f"{error or 'No reason is known.'}{others}".replace("`", "")
        yield Need(words, why, f"/console/outbox?state={state}", state)


def _count_errors(db: Session, state: str) -> list[tuple[str | None, int]]:
    """Why results are in a state, in words, and how many: of the oldest, the commonest first."""
    oldest = (
        sa.select(TABLE.c.last_error)
        .where(sa.text(IS_UNDELIVERED), sa.text(f"state = '{state}'"))
        .where(is_no_test(TABLE.c.conversation_id))
        .order_by(TABLE.c.created_at)
        .limit(MAX_COUNT + 1)
        .subquery()
    )
    count = sa.func.count()
    found = sa.select(oldest.c.last_error, count).group_by(oldest.c.last_error)
    return [tuple(row) for row in db.execute(found.order_by(count.desc()))]


def _find_lost(period: Period, texts: Texts) -> Iterator[Need]:
    if texts.lost:
        total, (code, count) = texts.lost_count, texts.lost[0]
        words = "1 reply did not arrive" if total == 1 else f"{total} replies did not arrive"
        words += f" {period.words}" if period.name != "all" else ""
        others = f" ({total - count} for other reasons)" if total > count else ""
        why = CODES.get(code, "Twilio says why by a code" if code else "no reason was given")
        why = f"{why[0].upper()}{why[1:]}{others}."
        fields = {"lost": "yes", "zone": period.zone, **period.fields}
        yield Need(words, why, f"/console/threads?{urlencode(fields)}", code)


def _find_forms(db: Session, context: PageContext) -> Iterator[Need]:
    forms = group_by_form(context.catalog)
    for form in ReceiverForm.find_changed(db, forms):
        names = ", ".join(name for name, _ in forms[form.url])
        yield Need(f"The form of {names} {form.describe()}.", "", HEALTH, "forms")


# Built once: building a statement costs as much as running it.
TABLE = Delivery.__table__
