"""What waits for an operator: results, replies, forms, and what `/healthz` finds wrong."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy.orm import Session

from models.delivery import IS_UNDELIVERED, Delivery
from models.receiver_form import ReceiverForm, group_by_form
from models.reports.context import PageContext
from models.reports.explanations import CODES
from models.reports.outbox import NO_CAUSE, name_cause
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
    """One for each cause, of the oldest results, the commonest first."""
    for state, (single, several) in STATES.items():
        found = _count_causes(db, state)
        is_more = sum(count for _, count, _, _ in found) > MAX_COUNT
        for cause, count, first, last in found:
            number = f"at least {count}" if is_more else str(count)
            words = single if count == 1 and not is_more else several.format(number)
            why = first or "No reason is known."
            if cause and first != last:
                why = name_cause(str(cause))
            address = urlencode({"state": state, "cause": cause or NO_CAUSE})
            yield Need(words, str(why).replace("`", ""), f"/console/outbox?{address}", state)


def _count_causes(db: Session, state: str) -> list[tuple[str | None, int, str | None, str | None]]:
    """Causes of a state, how many results have each, and the first and last of their sentences.

    With those of tests: what a receiver does not take of them, it takes of nobody.
    """
    oldest = (
        sa.select(TABLE.c.cause, TABLE.c.last_error)
        .where(sa.text(IS_UNDELIVERED), sa.text(f"state = '{state}'"))
        .order_by(TABLE.c.created_at)
        .limit(MAX_COUNT + 1)
        .subquery()
    )
    count, error = sa.func.count(), oldest.c.last_error
    found = sa.select(oldest.c.cause, count, sa.func.min(error), sa.func.max(error))
    found = found.group_by(oldest.c.cause).order_by(count.desc(), oldest.c.cause)
    return [tuple(row) for row in db.execute(found)]


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
