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
NUMBERS = ("+14155550100", "+14155550101")


@dataclass(frozen=True)
class Form:
    """A questionnaire, or with no questions a counter. The texts are those of QUESTIONNAIRES."""

    name: str
    event: str | None
    silence: timedelta
    numbers: tuple[str, ...] = NUMBERS
    questions: tuple[str, ...] = ()
    thanks: str = ""
    after: str | None = None
    reply: str = ""
    owes: str | None = None  # the format of its results

    def is_opened_by(self, said: str) -> bool:
        return self.event is not None and said.strip().lower() == self.event.lower()


PARTY = Form(
    "party",
    "Party",
    4 * HOUR,
    questions=("Colour?", "Well, {Question1}! And food?"),
    thanks="Thanks.",
    owes="json",
)
OTHER = Form(
    "other",
    None,
    HOUR,
    NUMBERS[:1],
    questions=("Of {event}: how was it?",),
    thanks="Good.",
    after="We have it.",
    owes="form",
)
COUNTER = Form("counter", "Count", 2 * HOUR, reply="{count} times")
FORMS = (PARTY, COUNTER, OTHER)  # an event goes before what any text opens

QUESTIONNAIRES = {
    "party": """
title = "Party"
event = "Party"
to = ["+14155550100", "+14155550101"]
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
to = ["+14155550100"]
expires = "1h"
thanks = "Good."
after = "We have it."
[[questions]]
ask = "Of {event}: how was it?"
[results]
url = "URL"
""",
    "counter": """
title = "Counter"
event = "Count"
to = ["+14155550100", "+14155550101"]
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
    conversation: int | None
    at: datetime
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
    started_at: datetime
    active_at: datetime
    ended_at: datetime | None = None
    state: str = "open"
    count: int = 0
    asked: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    token: str | None = None  # as it was first seen in a cookie

    @property
    def expires_at(self) -> datetime:
        return self.active_at + self.form.silence

    def is_past(self, now: datetime) -> bool:
        return now >= self.expires_at

    def is_ahead(self, now: datetime) -> bool:
        return now <= self.active_at - self.form.silence

    def gives_way_to(self, form: Form, said: str) -> bool:
        if not form.is_opened_by(said):
            return False
        if not self.form.questions:
            return not self.form.is_opened_by(said)
        return self.state == "completed"

    def expire(self, now: datetime) -> None:
        self.state, self.ended_at = "expired", min(now, self.expires_at)

    def take(self, said: str, now: datetime) -> str | None:
        self.count, self.active_at = self.count + 1, now
        if self.state == "completed":
            return self.form.after
        if not self.form.questions:
            return self.form.reply.replace("{count}", str(self.count))
        if self.count > 1:
            self.answers.append(said)
        if len(self.answers) == len(self.form.questions):
            self.state, self.ended_at = "completed", now
            return self.form.thanks
        ask = self.form.questions[len(self.answers)]
        # One of the two at most is in it: what was texted is never read as a template.
        if self.answers:
            ask = ask.replace("{Question1}", self.answers[0])
        else:
            ask = ask.replace("{event}", self.event)
        self.asked.append(ask)
        return ask

    def keyed(self) -> dict[str, str]:
        return {f"Question{n}": said for n, said in enumerate(self.answers, 1)}

    def result(self) -> dict:
        """What the receiver is to have, but for the number that the database gave it."""
        if self.form.owes == "form":
            return {"From": self.pair[0], "Event": self.event} | self.keyed()
        return {
            "from": self.pair[0],
            "to": self.pair[1],
            "name": None,
            "event": self.event,
            "questionnaire": self.form.name,
            "started_at": told(self.started_at),
            "completed_at": told(self.ended_at),
            "answers": self.keyed(),
        }


def told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(eq=False)
class Owed:
    """A result. `planned` is read from the database once it was seen to be as it should."""

    result: dict
    planned: datetime | None
    state: str = "pending"
    attempts: int = 0
    unfinished: int = 0
    is_sent: bool = False  # the receiver has it, whatever it answered

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
        self.unfinished, self.is_sent = 0, True
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
        row = self.rows[sid] = Row(sid, said, self._judge(pair, cookie, live), None, None, now)
        form = self._opened_by(said, pair[1])
        if form and (live is None or live.gives_way_to(form, said)):
            live = self._start(pair, form, said, now)
        if live is None:
            return row
        was_open = live.state == "open"
        row.conversation, row.reply = live.id, live.take(said, now)
        if was_open and live.state == "completed" and live.form.owes:
            self.outbox.append(Owed(live.result(), planned=now))
        return row

    def _opened_by(self, said: str, number: str) -> Form | None:
        forms = [one for one in FORMS if number in one.numbers]
        return next((one for one in forms if one.event is None or one.is_opened_by(said)), None)

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
                one.expire(now)
        new = Conversation(len(self.conversations), pair, form, form.event or said, now, now)
        self.conversations.append(new)
        return new
