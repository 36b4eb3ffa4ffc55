"""An evening as its guests leave it: some hundred conversations through the engine itself.

Some complete it, others fall silent, say STOP, cannot be understood, or never get a question. A few
text what breaks pages: very long words, right-to-left, emoji, markup.
"""

import random
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from layers import make_form, read_text
from sqlalchemy.orm import Session

from gateway.webhook import Form
from models import Delivery, Message
from models.attempt import Attempt
from models.set_aside import take
from models.silence import end_silent
from phone import new_sid
from smsconvo import App
from storage.base import Statement

NUMBER = "+14155550100"
PARTY = """
title = "Mats' barbecue"
event = "Mats BBQ"
to = ["+14155550100"]
timezone = "America/Los_Angeles"
resume = "24h"
thanks = "Thanks, {name}. See you at the fire!"

[[questions]]
key = "colour"
kind = "choice"
choices = ["Blue", "Green", "Red", "Yellow"]
ask = "Hello {name}. What is your favourite colour? {choices}"

[[questions]]
key = "coming"
kind = "yes_no"
ask = "Do you come on Saturday?"

[[questions]]
key = "people"
kind = "number"
whole = true
min = 1
max = 20
ask = "How many are you?"
only_if = { coming = "yes" }

[[questions]]
key = "words"
optional = true
ask = "Anything that we should know?"

[results]
url = "{url}"
format = "json"
"""
NAMES = ("Rey", "Finn", "Rose", "Poe", "Ana-Sofía", "Øystein", "نور", "さくら")
LONG_NAME = "Hubert Blaine Wolfeschlegelsteinhausenbergerdorff the Younger"
WORDS = ("No", "I bring salad", "Is there parking?", "vegetarian please 🥗", "skip", "Can't wait!")
ODD_WORDS = (
    "I have so much to say. " * 69,
    "سأحضر مع عائلتي إن شاء الله، هل يوجد موقف للسيارات؟",
    "👨‍👩‍👧‍👦🎉🔥" * 8,
    '<b>bold</b> & "quotes" =1+1',
    "Donaudampfschifffahrtsgesellschaftskapitänswitwenrentenauszahlungsstelle" * 3,
)
# How a conversation goes, and how many of a hundred go so.
WAYS = {"completes": 74, "silent": 11, "stops": 4, "unreadable": 3, "undelivered": 4, "open": 4}
UNDELIVERED = ("30003", "30005", "30007")


class Guest(NamedTuple):
    """What one guest texts, and when they begin."""

    sender: str
    began_at: datetime
    way: str
    texts: list[str]


def write_files(folder: Path, receiver: str) -> None:
    """The questionnaire and the names of people, for the settings of an app."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "party.toml").write_text(PARTY.replace("{url}", receiver), "utf-8")
    names = {sender_of(n): name for n, name in enumerate((*NAMES, LONG_NAME))}
    lines = [f'"{sender}" = "{name}"\n' for sender, name in names.items()]
    (folder.parent / "people.toml").write_text("".join(lines), "utf-8")


def hold(app: App, guests: int, began_at: datetime, seed: int = 1) -> None:
    """Have so many guests text from then on, for three hours."""
    rng = random.Random(seed)
    for n in range(guests):
        guest = invent(rng, n, began_at + timedelta(hours=3) * n / guests)
        app.database.write(partial(converse, app=app, guest=guest, rng=rng))
    app.database.write(partial(send_results, rng=rng, now=began_at + timedelta(hours=3)))


def sender_of(n: int) -> str:
    return f"+1415867{n:04}"


def invent(rng: random.Random, n: int, began_at: datetime) -> Guest:
    way = rng.choices(list(WAYS), WAYS.values())[0]
    coming = rng.choices(["yes", "no"], [8, 2])[0]
    people = [str(min(20, 1 + int(rng.expovariate(0.5))))] if coming == "yes" else []
    words = rng.choice(ODD_WORDS if n % 12 == 5 else WORDS)
    colour = rng.choices(["Blue", "green", "RED", "yellow"], [5, 3, 2, 1])[0]
    texts = ["Mats BBQ", colour, coming, *people, words]
    kept = rng.randrange(1, len(texts))
    if way == "stops":
        texts = [*texts[:kept], "STOP"]
    elif way == "unreadable":
        texts = ["Mats BBQ", *["who is this?"] * 3]
    elif way != "completes":
        texts = texts[:kept]
    return Guest(sender_of(n), began_at, way, texts)


def converse(db: Session, *, app: App, guest: Guest, rng: random.Random) -> None:
    """One conversation, with what Twilio reports of the replies."""
    now = guest.began_at
    for turn, body in enumerate(guest.texts):
        form = make_form(0, 0) | {"From": guest.sender, "To": NUMBER, "Body": body}
        form |= {"MessageSid": f"SM{guest.sender[2:]:0>28}{turn:04}"}
        reply = take(db, read_text(Form(list(form.items()))), now, *app.files.current)
        if reply.message_id:
            is_last = turn == len(guest.texts) - 1
            is_lost = is_last and guest.way == "undelivered"
            report(db, reply, guest.sender, rng.choice(UNDELIVERED) if is_lost else None)
        now += timedelta(seconds=rng.randrange(10, 90))
    if guest.way == "silent":
        end_silent(db, now + timedelta(hours=5), 1)


def report(db: Session, reply: object, sender: str, error: str | None) -> None:
    sid, names = new_sid(), (reply.message_id, reply.status_token)
    message = Message.find_reported(db, *names, sid, NUMBER, sender)
    message.report("undelivered" if error else "delivered", sid, error)
    message.update(db)


def send_results(db: Session, *, rng: random.Random, now: datetime) -> None:
    """Most arrive; some are refused, some may have arrived, some are still to be sent."""
    for delivery in Delivery.all(db, PENDING):
        status, cause, attempts = rng.choices(list(OUTCOMES), OUTCOMES.values())[0]
        for n in range(attempts):
            delivery.attempts = n + 1
            if cause is None:
                delivery.succeed(status, now)
            else:
                delivery.fail(cause, now, status)
            took = timedelta(milliseconds=rng.randrange(40, 900))
            Attempt.ended(delivery.id, now + timedelta(minutes=n), took, status, cause).record(db)
        delivery.update(db)


PENDING = Statement(sa.select(Delivery.__table__).where(Delivery.__table__.c.state == "pending"))
# What becomes of results: status, cause and attempts; and of how many in a hundred.
OUTCOMES = {
    (204, None, 1): 88,
    (500, "http", 10): 3,
    (410, "gone", 1): 1,
    (302, "redirect", 4): 2,
    (503, "http", 2): 6,
}
