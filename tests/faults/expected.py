"""What smsconvo should record, in plain Python: no database, no HTTP, nothing of its own code."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

HOUR = timedelta(hours=1)
DELAYS = [timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30)]
DELAYS += [n * HOUR for n in (2, 5, 10, 14, 20, 24)]
LEASE = timedelta(seconds=60)
LATER = 1.1  # times a delay, at most
FURTHEST = DELAYS[-1] * LATER
FINALITY = {"queued": 1, "sent": 2, "delivered": 3, "failed": 3, "read": 4}


@dataclass(frozen=True)
class Form:
    """A questionnaire, or with no questions a counter. The texts are those of QUESTIONNAIRES."""

    name: str
    event: str | None
    silence: timedelta
    questions: tuple[str, ...] = ()
    thanks: str = ""
    after: str | None = None
    reply: str = ""
    owes: bool = False

    def is_opened_by(self, said: str) -> bool:
        return self.event is not None and said.split() and said.strip().lower() == self.event


PARTY = Form(
    "party",
    "party",
    4 * HOUR,
    questions=("Colour?", "Well, {Question1}! And food?"),
    thanks="Thanks.",
    owes=True,
)
OTHER = Form(
    "other", None, HOUR, questions=("Of {event}: how was it?",), thanks="Good.", after="We have it."
)
COUNTER = Form("counter", "count", 2 * HOUR, reply="{count} times")
FORMS = (PARTY, COUNTER, OTHER)  # an event goes before what any text opens

QUESTIONNAIRES = {
    "party": """
title = "Party"
event = "Party"
thanks = "Thanks."
[[questions]]
ask = "Colour?"
[[questions]]
ask = "Well, {Question1}! And food?"
[results]
url = "URL"
format = "json"
""",
    "other": """
title = "Any other text"
expires = "1h"
thanks = "Good."
after = "We have it."
[[questions]]
ask = "Of {event}: how was it?"
""",
    "counter": """
title = "Counter"
event = "Count"
expires = "2h"
reply = "{count} times"
""",
}


@dataclass
class Row:
    """One text, with what its cookie was and what was said to it."""

    sid: str
    body: str
    cookie: str
    reply: str | None
    conversation: int
    status: str | None = None

    def report(self, status: str) -> None:
        """The first of the most final things that were told."""
        if self.status is None or FINALITY[status] > FINALITY[self.status]:
            self.status = status


@dataclass
class Conversation:
    id: int  # of the model's own
    pair: tuple[str, str]
    form: Form
    event: str
    active_at: datetime
    state: str = "open"
    count: int = 0
    answers: list[str] = field(default_factory=list)
    token: str | None = None  # as it was first seen in a cookie

    def is_past(self, now: datetime) -> bool:
        return now >= self.active_at + self.form.silence

    def is_ahead(self, now: datetime) -> bool:
        return now <= self.active_at - self.form.silence

    def gives_way_to(self, form: Form, said: str) -> bool:
        if not form.is_opened_by(said):
            return False
        if not self.form.questions:
            return not self.form.is_opened_by(said)
        return self.state == "completed"

    def take(self, said: str) -> str | None:
        self.count += 1
        if self.state == "completed":
            return self.form.after
        if not self.form.questions:
            return self.form.reply.replace("{count}", str(self.count))
        if self.count > 1:
            self.answers.append(said)
        if len(self.answers) == len(self.form.questions):
            self.state = "completed"
            return self.form.thanks
        ask = self.form.questions[len(self.answers)].replace("{event}", self.event)
        return ask.replace("{Question1}", self.answers[0]) if self.answers else ask


@dataclass
class Owed:
    """A result. `planned` is read from the database once it was seen to be as it should."""

    conversation: int
    planned: datetime | None
    state: str = "pending"
    attempts: int = 0
    unfinished: int = 0

    def is_due(self, now: datetime) -> bool:
        return self.state == "pending" and not now < self.planned <= now + FURTHEST

    def claim(self, now: datetime) -> bool:
        """Whether it is attempted."""
        if self.attempts > len(DELAYS) or self.unfinished >= 5:
            self.state, self.planned = "failed", None
            return False
        self.attempts += 1
        self.unfinished += 1
        self.planned = now + LEASE
        return True

    def finish(self, status: int, now: datetime) -> tuple[datetime, datetime] | None:
        """Between when the next attempt may be planned."""
        self.unfinished = 0
        if status < 300:
            self.state, self.planned = "delivered", None
            return None
        if self.attempts > len(DELAYS):
            self.state, self.planned = "failed", None
            return None
        delay = DELAYS[self.attempts - 1]
        return now + delay, now + delay * LATER


class Expected:
    """Everything that should be recorded."""

    def __init__(self) -> None:
        self.conversations: list[Conversation] = []
        self.rows: dict[str, Row] = {}
        self.outbox: list[Owed] = []

    def text(
        self, pair: tuple[str, str], sid: str, said: str, cookie: str | None, now: datetime
    ) -> Row:
        """Record a text; one that is recorded already changes nothing."""
        if sid in self.rows:
            return self.rows[sid]
        live = self._live(pair, now)
        kind = self._judge(pair, cookie, live)
        form = next(one for one in FORMS if one.event is None or one.is_opened_by(said))
        if live is None or live.gives_way_to(form, said):
            live = self._start(pair, form, said, now)
        was_open = live.state == "open"
        live.active_at = now
        row = Row(sid, said, kind, live.take(said), live.id)
        if was_open and live.state == "completed" and live.form.owes:
            self.outbox.append(Owed(live.id, planned=now))
        self.rows[sid] = row
        return row

    def _live(self, pair: tuple[str, str], now: datetime) -> Conversation | None:
        """The newest that is not over; none where that one is from the future."""
        for one in reversed(self.conversations):
            if one.pair == pair and one.state in ("open", "completed") and not one.is_past(now):
                return None if one.is_ahead(now) else one
        return None

    def _judge(self, pair: tuple[str, str], cookie: str | None, live: Conversation | None) -> str:
        if cookie is None:
            return "none"
        if len(cookie) != 32 or set(cookie) - set("0123456789abcdef"):
            return "malformed"
        if live and live.token == cookie:
            return "matched"
        known = [one for one in self.conversations if one.token == cookie]
        if not known:
            return "missing"
        return "stale" if known[0].pair == pair else "foreign"

    def _start(self, pair: tuple[str, str], form: Form, said: str, now: datetime) -> Conversation:
        for one in self.conversations:
            if one.pair == pair and one.state == "open":
                one.state = "expired"
        event = {"party": "Party", "counter": "Count"}.get(form.name, said)
        new = Conversation(len(self.conversations), pair, form, event, now)
        self.conversations.append(new)
        return new
