"""What smsconvo should record, in plain Python: no database, no HTTP, nothing of its own code."""

import re
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
DOUBLE = timedelta(seconds=4)  # within which a network delivers a text again
LONGEST_OPENING = 400


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
    resume: timedelta = timedelta(0)
    partial: bool = False
    reply: str = ""
    owes: str | None = None  # the format of its results

    def is_opened_by(self, said: str) -> bool:
        """Letters and figures count; what ends in an s more is one slip away."""
        own = self.event and letters(self.event)
        return own is not None and letters(said) in (own, f"{own}s")


def letters(said: str) -> str:
    """What of a text can be an event."""
    found = re.findall(r"[^\W_]", said.lower()) if len(said) <= LONGEST_OPENING else []
    return "".join(found)


def is_same(said: str, other: str) -> bool:
    """What stands around the words does not count: "{count}" is "Count"."""
    bare = [re.sub(r"^[\W_]+|[\W_]+$", "", each.lower()) or each for each in (said, other)]
    return bare[0] == bare[1]


PARTY = Form(
    "party",
    "Party",
    4 * HOUR,
    questions=("Colour?", "Well, {Question1}! And food?"),
    thanks="Thanks.",
    resume=2 * HOUR,
    partial=True,
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
resume = "2h"
thanks = "Thanks."
[[questions]]
ask = "Colour?"
[[questions]]
ask = "Well, {Question1}! And food?"
[results]
url = "URL"
format = "json"
partial = true
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
    reply_sid: str | None = None

    def report(self, sid: str, status: str) -> None:
        """The first of the most final things that were told of the reply that was told of first."""
        self.reply_sid = self.reply_sid or sid
        if sid != self.reply_sid:
            return
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
    unread: int = 0  # in a row, or how often it said `after`
    asked: list[str] = field(default_factory=list)
    answers: list[str | None] = field(default_factory=list)
    answered_at: list[datetime] = field(default_factory=list)
    latest: tuple[str, datetime] | None = None  # text to it, whatever became of that
    opens: bool = False  # whether what it took last opened it, or would have again
    has_just_opened: bool = False  # whether the latest text did so
    said: list[str] = field(default_factory=list)
    owed: list[dict] = field(default_factory=list)
    token: str | None = None  # as it was first seen in a cookie

    @property
    def expires_at(self) -> datetime:
        return self.active_at + self.form.silence

    def is_live(self, now: datetime) -> bool:
        near = self.active_at - self.form.silence < now < self.expires_at
        return near and self.state != "stopped"

    def can_resume(self, now: datetime) -> bool:
        waits = self.state in ("open", "expired") and bool(self.asked)
        return waits and self.expires_at <= now < self.expires_at + self.form.resume

    def gives_way_to(self, form: Form, said: str, now: datetime) -> bool:
        if not form.is_opened_by(said):
            return False
        if not self.form.questions:
            return not self.form.is_opened_by(said)
        return self.state == "completed" or (not self.is_live(now) and form != self.form)

    def is_double(self, said: str, now: datetime) -> bool:
        """Whether the text before had the same words, and came just then."""
        if not self.form.questions:
            return False
        given = list(zip(self.answers, self.answered_at, strict=True))
        found = [answer for answer in given if answer[0] and answer[1] == self.active_at]
        previous = found[-1] if found else self.latest if self.count > 1 else None
        return bool(previous) and is_same(previous[0], said) and abs(now - previous[1]) < DOUBLE

    def is_opening_again(self, said: str) -> bool:
        waits = bool(self.asked) and not self.answers
        is_event = bool(letters(said)) and letters(said) == letters(self.event)
        is_repeated = self.has_just_opened and is_same(self.latest[0], said)
        return waits and (is_event or is_repeated) and self.count <= (20 if self.form.event else 2)

    def ends(self, state: str, now: datetime) -> None:
        self.state, self.ended_at = state, now if state != "expired" else min(now, self.expires_at)
        told = self.owed and self.owed[-1]["answers"] == self.keyed()
        if state == "completed" or (self.form.partial and self.answers and not told):
            self.owe(state, now)

    def owe(self, state: str, now: datetime) -> None:
        if self.form.owes:
            self.owed.append(self.result(state))

    def take(self, said: str, now: datetime) -> str | None:
        returns = self.count > 0 and not self.is_live(now)
        if self.state == "expired":
            self.state, self.ended_at = "open", None
        self.count, self.active_at = self.count + 1, now
        reply = self.resume() if returns else self.answer(said, now)
        if reply:
            self.said.append(reply)
        return reply

    def resume(self) -> str:
        self.unread, self.opens = 0, False
        return f"Welcome back. {self.asked[-1]}"

    def answer(self, said: str, now: datetime) -> str | None:
        if self.state == "completed":
            self.unread += 1
            return self.form.after if self.unread <= 3 else None
        if not self.form.questions:
            return self.form.reply.replace("{count}", str(self.count))
        self.opens = not self.asked
        if self.is_opening_again(said):
            self.opens = True
            return self.asked[-1]
        word = said.strip().lower() if self.asked else None
        if word == "skip":
            return self.ask_again(f"This one cannot be skipped. {self.asked[-1]}", now)
        if word in ("back", "restart"):
            if not self.answers:
                return self.ask_again(self.asked[-1], now)
            first = -1 if word == "back" else 0
            del self.answers[first:], self.answered_at[first:]
        elif self.asked:
            self.keep(said.strip(), now)
        return self.go_on(now)

    def ask_again(self, words: str, now: datetime) -> str:
        self.unread += 1
        if self.unread < 3:
            return words
        self.keep(None, now)
        return self.go_on(now)

    def keep(self, value: str | None, now: datetime) -> None:
        self.answers.append(value)
        self.answered_at.append(now)

    def go_on(self, now: datetime) -> str:
        self.unread = 0
        if len(self.answers) == len(self.form.questions):
            self.ends("completed", now)
            return self.form.thanks
        ask = self.form.questions[len(self.answers)]
        # One of the two at most is in it: what was texted is never read as a template.
        if self.answers:
            ask = ask.replace("{Question1}", self.answers[0] or "")
        else:
            ask = ask.replace("{event}", self.event)
        self.asked[len(self.answers) :] = [ask]
        return ask

    def keyed(self) -> dict[str, str | None]:
        return {f"Question{n}": said for n, said in enumerate(self.answers, 1)}

    def result(self, state: str) -> dict:
        """What the receiver is to have, but for the numbers and ids that the database gave."""
        if self.form.owes == "form":
            given = {name: said for name, said in self.keyed().items() if said is not None}
            return {"From": self.pair[0], "Event": self.event} | given
        result = {
            "type": f"conversation.{state}",
            "from": self.pair[0],
            "to": self.pair[1],
            "name": None,
            "event": self.event,
            "questionnaire": self.form.name,
            "started_at": told(self.started_at),
            "completed_at": told(self.ended_at) if state == "completed" else None,
            "answers": self.keyed(),
        }
        return result | ({"corrects": True} if self.owed else {})


def told(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def is_no_answer(said: str, newest: Conversation | None) -> bool:
    """Nothing, a reaction, or what we said ourselves, unless that is short."""
    echo = newest is not None and said in newest.said[-5:] and len(said) >= 10
    return not said or said.startswith("Liked “") or echo


@dataclass(eq=False)
class Owed:
    """A result. `planned` is read from the database once it was seen to be as it should."""

    result: dict
    planned: datetime | None
    whose: Conversation
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
        self.opted_out: set[str] = set()

    def text(
        self, pair: tuple[str, str], sid: str, said: str, cookie: str | None, now: datetime
    ) -> Row:
        """Record a text; one that is recorded already changes nothing."""
        if sid in self.rows:
            return self.rows[sid]
        row = self._take(pair, sid, said, cookie, now)
        if row.conversation is not None:
            one = self.conversations[row.conversation]
            one.latest, one.has_just_opened = (said, now), one.opens and row.reply is not None
        return row

    def _take(
        self, pair: tuple[str, str], sid: str, said: str, cookie: str | None, now: datetime
    ) -> Row:
        newest = next((one for one in reversed(self.conversations) if one.pair == pair), None)
        if newest and newest.state == "open" and newest.expires_at <= now:
            newest.ends("expired", now)
            self._owe(newest, now)
        live = newest if newest and newest.is_live(now) else None
        row = self.rows[sid] = Row(sid, said, self._judge(pair, cookie, live), None, None, now)
        if self._wants(pair[0], said, now, live) or is_no_answer(said, newest):
            row.conversation = live and live.id
            return row
        if live and live.is_double(said, now):
            row.conversation, live.active_at = live.id, now
            return row
        goes_on = newest if newest and (live or newest.can_resume(now)) else None
        form = self._opened_by(said, pair[1])
        if form and (goes_on is None or goes_on.gives_way_to(form, said, now)):
            goes_on = self._start(pair, form, said, now)
        if goes_on is None:
            return row
        row.conversation, row.reply = goes_on.id, goes_on.take(said, now)
        self._owe(goes_on, now)
        return row

    def expire(self, now: datetime) -> None:
        """What the worker does."""
        silent = [one for one in self.conversations if one.state == "open"]
        for one in sorted(silent, key=lambda one: one.expires_at):
            if one.expires_at <= now:
                one.ends("expired", now)
                self._owe(one, now)

    def _wants(self, sender: str, said: str, now: datetime, live: Conversation | None) -> bool:
        """Whether a text is about our texts, or from somebody who wants none."""
        word = said.strip().lower()
        if word == "stop":
            self.opted_out.add(sender)
            for one in self.conversations:
                if one.pair[0] == sender and one.state == "open":
                    one.ends("stopped", now)
                    self._owe(one, now)
        was_out = sender in self.opted_out
        if word in ("start", "yes"):
            self.opted_out.discard(sender)
        # One that expired by a clock that was wrong is live again, and still asks.
        is_asked = live is not None and live.state in ("open", "expired") and bool(live.asked)
        return was_out or word == "help" or (word == "start" and is_asked)

    def _owe(self, one: Conversation, now: datetime) -> None:
        known = sum(owed.whose is one for owed in self.outbox)
        self.outbox += [Owed(result, now, one) for result in one.owed[known:]]

    def _opened_by(self, said: str, number: str) -> Form | None:
        forms = [one for one in FORMS if number in one.numbers]
        return next((one for one in forms if one.event is None or one.is_opened_by(said)), None)

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
                one.ends("expired", now)
                self._owe(one, now)
        new = Conversation(len(self.conversations), pair, form, form.event or said, now, now)
        self.conversations.append(new)
        return new
