"""One result: what was sent, each attempt, and what to do next."""

import json
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from models import outbox
from models.acts.act import Choice
from models.acts.results import find_choices, host_of
from models.attempt import Attempt
from models.delivery import Delivery
from models.reports.context import NotFound, PageContext
from models.reports.outbox import STATES, describe_age
from storage.unreadable import UnreadableRow, unreadable_rows

MAX_ATTEMPTS = 50  # that are shown, the newest
MAX_ANSWER = 2000  # characters of an answer


class ShownAttempt(NamedTuple):
    """An attempt, and the beginning of what was answered."""

    started_at: datetime
    seconds: str
    status: int | None
    outcome: str
    answer: str | None
    is_cut: bool  # whether more of the answer is stored


class Result(NamedTuple):
    """What the page shows."""

    id: int
    problem: str | None  # why its row cannot be read; all that follows is empty then
    delivery: Delivery | None = None
    host: str = ""
    state: str = ""
    words: str = ""  # for the state
    meaning: str = ""  # of the state: what happens next, and what to do
    age: str = ""
    fields: list[tuple[str, str]] | None = None  # of a form
    text: str = ""  # of the payload, if it is none
    attempts: list[ShownAttempt] = []
    has_earlier_attempts: bool = False
    choices: list[Choice] = []
    zone: str | None = None


def find_result(db: Session, context: PageContext, id: int) -> Result:
    """A result with its attempts, delivered or not."""
    try:
        delivery = outbox.find_result(db, id)
    except UnreadableRow as error:
        unreadable_rows(db).add(error)
        return Result(id, f"Its {error.column} {error.reason}.")
    if delivery is None:
        raise NotFound
    paused = outbox.find_paused_urls(db)
    state = outbox.state_of(delivery, paused)
    attempts = Attempt.find_newest(db, id, MAX_ATTEMPTS + 1)
    payload = outbox.parse_payload(delivery)
    fields = list_fields(payload) if delivery.format == "form" else None
    is_confirmed = state == "delivered" and delivery.cause == outbox.CONFIRMED
    return Result(
        id=id,
        problem=None,
        delivery=delivery,
        host=host_of(delivery.url),
        state=state,
        words=STATES.get(state, state),
        meaning="It has arrived, by an operator’s word."
        if is_confirmed
        else outbox.MEANINGS[state],
        age=describe_age((context.now - delivery.created_at).total_seconds()),
        fields=fields,
        text="" if fields else show(payload),
        attempts=[_show_attempt(each) for each in attempts[:MAX_ATTEMPTS]],
        has_earlier_attempts=len(attempts) > MAX_ATTEMPTS,
        choices=find_choices(delivery, paused, context.now),
        zone=outbox.find_zone(db, delivery.webhook_id),
    )


def list_fields(payload: object) -> list[tuple[str, str]] | None:
    """The fields as a form sends them, one for each value; None for what is no form."""
    if not isinstance(payload, dict):
        return None
    fields = []
    for name, value in payload.items():
        values = value if isinstance(value, list) else [value]
        fields += [(name, str(each)) for each in values]
    return fields


def show(payload: object) -> str:
    """JSON as people read it; what is none as it is."""
    is_text = isinstance(payload, str)
    return payload if is_text else json.dumps(payload, indent=2, ensure_ascii=False)


def _show_attempt(attempt: Attempt) -> ShownAttempt:
    answer = attempt.answer or ""
    return ShownAttempt(
        attempt.started_at,
        f"{attempt.duration_ms / 1000:.1f}\u00a0s",
        attempt.status,
        attempt.outcome,
        answer[:MAX_ANSWER] or None,
        len(answer) > MAX_ANSWER,
    )
