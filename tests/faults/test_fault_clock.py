"""The clock jumps: nothing gets stuck, and nothing is tried before its time."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from conftest import FEEDBACK, QUESTIONS, REY, THANKS
from sqlalchemy import select

from models import Delivery
from worker.results import claim_due, run_attempt

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
LONGEST_PLAN = timedelta(hours=26, minutes=24)  # a day, and a tenth by chance
END_OF_32_BITS = datetime(2038, 1, 20, tzinfo=UTC)
JUMPS = [
    *(timedelta(hours=hours) for hours in (1, -1, 26, -26)),
    *(timedelta(seconds=seconds) for seconds in (-1, 1, 5, 61, 400)),
    timedelta(days=4000),
    timedelta(days=-4000),
]


@pytest.fixture
def owing(serve, questionnaires, receiver):
    results = f'\n[results]\nurl = "{receiver.url}"\n'
    (questionnaires / "feedback.toml").write_text(FEEDBACK + results, "utf-8")
    return serve()


def complete(webhook, sender=REY) -> None:
    assert [webhook.phone(sender).text(said) for said in TEXTS][-1] == [THANKS]


def read(webhook) -> list[Delivery]:
    with webhook.app.database.read() as db:
        return list(db.scalars(select(Delivery).order_by(Delivery.id)))


def attempt(webhook) -> list[Delivery]:
    """One round of the sender; half of what it claims it never comes back from."""
    claimed = claim_due(webhook.app.database, webhook.clock(), 8)
    for one in claimed:
        if random.random() < 0.5:
            run_attempt(webhook.app.database, webhook.app.settings, one, webhook.clock)
    return claimed


def is_early(planned: datetime, now: datetime) -> bool:
    """A plan from a clock that was days ahead counts for nothing."""
    return now < planned <= now + LONGEST_PLAN


def walk(webhook, receiver, jumps: list[timedelta]) -> list[str]:
    """Let the clock jump about, and then be right; what was claimed early, and what got stuck."""
    early = []
    for jump in jumps:
        webhook.clock.now += jump
        receiver.answers = [(random.choice([500, 503, 204]), {}) for _ in range(8)]
        planned = {one.id: one.next_attempt_at for one in read(webhook)}
        early += [
            f"{one.id} is early at {webhook.clock()}: {planned[one.id]}"
            for one in attempt(webhook)
            if is_early(planned[one.id], webhook.clock())
        ]
    receiver.answers = []
    for _ in range(11):
        webhook.clock.now += LONGEST_PLAN
        for one in claim_due(webhook.app.database, webhook.clock(), 8):
            run_attempt(webhook.app.database, webhook.app.settings, one, webhook.clock)
    pending = [one for one in read(webhook) if one.state == "pending"]
    return early + [f"{one.id} is stuck until {one.next_attempt_at}" for one in pending]


@pytest.fixture
def trusting(patch) -> None:
    """Nothing is set aside: the clock is to be the only trouble."""
    patch("models.delivery", "MAX_CRASHED_CLAIMS", 10**6)
    patch("models.delivery", "QUARANTINE_AFTER", 10**6)


def test_a_clock_that_jumps_makes_nothing_early_and_nothing_stuck(owing, receiver, size, trusting):
    for n in range(size(3, 50)):
        random.seed(n)
        complete(owing, f"+1415777{n:04}")
        assert walk(owing, receiver, random.choices(JUMPS, k=9)) == [], f"seed {n}"


def test_the_check_notices_what_is_stuck(owing, receiver, patch):
    patch("models.delivery", "MAX_DELAY", timedelta(days=100_000))
    owing.clock.now = END_OF_32_BITS
    complete(owing)
    (found,) = walk(owing, receiver, [NOW - END_OF_32_BITS])
    assert "is stuck until 2038" in found


def test_the_check_notices_what_is_early(owing, receiver, patch, trusting):
    """One seed may bring no failed attempt: of half of the attempts nothing is heard."""
    patch("models.delivery", "MAX_DELAY", timedelta(0))

    def found(seed: int) -> list[str]:
        random.seed(seed)
        complete(owing, f"+1415777{seed:04}")
        return walk(owing, receiver, [timedelta(seconds=1)] * 4)

    assert any("is early" in one for seed in range(20) for one in found(seed))


def test_an_attempt_that_is_under_way_is_not_begun_again_when_the_clock_leaps(owing, clock):
    complete(owing)
    database = owing.app.database
    in_flight = claim_due(database, clock(), 8)
    clock.pass_(hours=1)
    assert claim_due(database, clock(), 8, in_flight) == []
    assert len(claim_due(database, clock(), 8)) == 1  # by another, who cannot know


@pytest.mark.parametrize("texts", [1, 2, len(TEXTS)])
def test_a_conversation_from_the_future_answers_nobody(owing, clock, texts):
    clock.now = END_OF_32_BITS
    phone = owing.phone()
    for said in TEXTS[:texts]:
        phone.text(said)
    clock.now = NOW
    assert phone.text("Mats BBQ") == [QUESTIONS[0]]
    assert phone.text("Blue") == [QUESTIONS[1]]
    states = owing.rows("SELECT state FROM conversations ORDER BY id")
    assert states == [("completed" if texts == len(TEXTS) else "expired",), ("open",)]


def test_a_clock_that_is_set_back_a_little_interrupts_nobody(owing, clock):
    phone = owing.phone()
    for said, question in zip(TEXTS, QUESTIONS, strict=False):
        assert phone.text(said) == [question]
        clock.pass_(minutes=-20)
    assert owing.rows("SELECT count(*) FROM conversations") == [(1,)]
