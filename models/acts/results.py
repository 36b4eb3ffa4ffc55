"""What operators do with results of the outbox."""

from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

from sqlalchemy.orm import Session

from models import outbox
from models.acts.act import Act, CannotAct, Choice, Field, Rest
from models.console import OperatorAction
from models.delivery import LEASE, Delivery
from models.reports.context import NotFound, PageContext
from models.retry import MAX_COUNT, count_retriable, retry_slice
from storage.unreadable import UnreadableRow

MAX_REASON = 500  # characters
ARRIVED = "This result has arrived already."
NO_HOST = "no address"  # instead of what cannot be read as one
IN_FLIGHT = "It is being sent just now. Look again in a minute."


def host_of(url: str) -> str:
    """The receiver of a URL, as people read it.

    Whoever edits a row may have written anything, and that may hold a secret all the same.
    """
    try:
        return urlsplit(url).hostname or NO_HOST
    except ValueError:
        return NO_HOST


def find_choices(delivery: Delivery, paused: set[str], now: datetime) -> list[Choice]:
    """What can be done with a result as it is now."""
    known = {
        "retry": ("Try again", why_not_retry),
        "confirm": ("It has arrived", why_not_confirm),
        "discard": ("Discard", why_not_discard),
    }
    return [
        Choice(label, f"/console/outbox/{delivery.id}/{name}")
        for name, (label, why_not) in known.items()
        if not why_not(delivery, paused, now)
    ]


def why_not_retry(delivery: Delivery, paused: set[str], now: datetime) -> str:
    """Why it cannot be tried again now; "" if it can."""
    if delivery.state == "delivered":
        return ARRIVED
    if delivery.state != "pending":
        return ""
    if is_in_flight(delivery, now):
        return IN_FLIGHT
    is_due = delivery.next_attempt_at is not None and delivery.next_attempt_at <= now
    return "It is tried again now in any case." if is_due and delivery.url not in paused else ""


def why_not_confirm(delivery: Delivery, paused: set[str], now: datetime) -> str:
    """Why nobody can say that it has arrived; "" if they can."""
    return ARRIVED if delivery.state == "delivered" else ""


def why_not_discard(delivery: Delivery, paused: set[str], now: datetime) -> str:
    """Why it cannot be discarded; "" if it can."""
    if delivery.state == "delivered":
        return ARRIVED
    if delivery.state == outbox.DISCARDED:
        return "It was discarded already."
    return IN_FLIGHT if is_in_flight(delivery, now) else ""


def is_in_flight(delivery: Delivery, now: datetime) -> bool:
    """Whether somebody holds its lease. A longer one is from a clock that was wrong."""
    return delivery.leased_until is not None and now <= delivery.leased_until <= now + LEASE


def find_retry(db: Session, context: PageContext, id: int) -> Act:
    """Try one again now."""
    delivery, paused = _find(db, context, id, why_not_retry)
    host = host_of(delivery.url)
    sentence = f"It is sent to {host} now."
    if delivery.unconfirmed:
        sentence += " If it has arrived there before, the receiver may have it twice."
    if delivery.url in paused:
        sentence += f" Other results that wait for {host} are sent, too."

    def do(db: Session) -> None:
        outbox.retry(db, id, context.now)
        OperatorAction.record(db, context.now, context.operator, "retry", delivery)

    return Act("Try this result again?", sentence, "Try again", _back(id, "retry"), do)


def find_retry_all(db: Session, context: PageContext, id: int) -> Act:
    """Try all again that wait for the receiver of this result, or have failed there."""
    delivery, paused = _find(db, context, id)
    url, host = delivery.url, host_of(delivery.url)
    count = count_retriable(db, url, context.now)
    has_failed = delivery.state == "failed"  # perhaps behind more of others than were counted
    if not (count or has_failed or url in paused):
        raise CannotAct(
            f"Nothing waits for another attempt at {host}, and nothing has failed there."
        )
    number = f"More than {MAX_COUNT}" if count > MAX_COUNT else str(count)
    sentence = f"{number} {'result is' if count == 1 else 'results are'} sent to {host} now."
    if not count:
        sentence = f"What waits for {host}, or has failed there, is sent now."
    sentence += " What may have arrived there is left: look for it at the receiver."
    if count > MAX_COUNT:
        sentence += " This may take some seconds, in which texts are answered as usual."

    def do(db: Session) -> Rest | None:
        OperatorAction.record(db, context.now, context.operator, "retry all", delivery)
        return go_on(db, 0)

    def go_on(db: Session, after: int) -> Rest | None:
        following = retry_slice(db, url, context.now, after)
        return None if following is None else Rest(lambda db: go_on(db, following))

    back = "/console/outbox?done=retry-all"
    return Act(f"Try all results for {host} again?", sentence, "Try all again", back, do)


def find_confirm(db: Session, context: PageContext, id: int) -> Act:
    """Take the operator's word that it has arrived."""
    delivery, paused = _find(db, context, id, why_not_confirm)
    sentence = "It counts as delivered, and is not sent again." + _lifted(db, delivery)

    def do(db: Session) -> None:
        outbox.confirm(db, [id], context.now)
        OperatorAction.record(db, context.now, context.operator, "confirm", delivery)

    return Act("Has this result arrived?", sentence, "It has arrived", _back(id, "confirm"), do)


def find_discard(db: Session, context: PageContext, id: int) -> Act:
    """Send it no more, for a reason that is kept."""
    delivery, paused = _find(db, context, id, why_not_discard)
    sentence = f"It is not sent to {host_of(delivery.url)} any more. Its answers stay here, and"
    sentence += " you can still try it again." + _lifted(db, delivery)

    def do(db: Session) -> None:
        reason = context.query.value("reason")[:MAX_REASON].strip()
        if not reason:
            raise CannotAct("Say why it is discarded: the reason is kept.")
        if not outbox.discard(db, id, reason, context.now):
            raise CannotAct(IN_FLIGHT)
        OperatorAction.record(db, context.now, context.operator, "discard", delivery, reason)

    label = "The reason, which is kept. Name no guest in it."
    fields = [Field("reason", label, longest=MAX_REASON)]
    return Act("Discard this result?", sentence, "Discard", _back(id, "discard"), do, fields)


def _find(
    db: Session, context: PageContext, id: int, why_not: Callable[..., str] | None = None
) -> tuple[Delivery, set[str]]:
    """The result, and which URLs are paused; CannotAct for the reason why it does not fit."""
    try:
        delivery = outbox.find_result(db, id)
    except UnreadableRow as error:
        raise CannotAct(f"Its {error.column} {error.reason}. Correct that row first.") from None
    if delivery is None:
        raise NotFound
    paused = outbox.find_paused_urls(db)
    reason = why_not(delivery, paused, context.now) if why_not else ""
    if reason:
        raise CannotAct(reason)
    return delivery, paused


def _lifted(db: Session, delivery: Delivery) -> str:
    """What else follows if this one is what keeps others from its URL."""
    is_cause = outbox.find_pausing_ids(db, [delivery.id]) == [delivery.id]
    return f" Other results for {host_of(delivery.url)} are sent again." if is_cause else ""


def _back(id: int, done: str) -> str:
    return f"/console/outbox/{id}?done={done}"
