"""A database as two years of guests leave it: a few real conversations, copied many times.

The program itself holds a conversation of each kind, so that every column is filled as it would be.
The copies have other phones, numbers, sids and times, and are in the order of their time.
"""

import random
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import md5
from pathlib import Path

import click
from common import NOWHERE, TEXTS
from layers import make_app, make_form, read_text
from sqlalchemy.orm import Session

from gateway.webhook import Form
from models import Conversation, Delivery, Message
from models.set_aside import take
from models.silence import end_silent
from models.turn import Given
from phone import new_sid
from smsconvo import App
from storage.sqlite_connection import sqlite3

NUMBERS = [f"+141555501{n:02}" for n in range(4)]
TESTER = "+14158675308"  # who tries everything out: every hundredth conversation
GUESTS = 200_000
SPAN = timedelta(days=730)
PAUSE = timedelta(seconds=40)  # between two texts
NEW = 500  # conversations at the end that are still open, and results that are still pending
STRIDE = 1000  # between the ids of two copies; no conversation has as many rows

REVIEWED = ("Encuesta", "no", "SALTAR", "VALE")
# The texts, and how many of a thousand conversations are like that.
KINDS = {
    "completed": (TEXTS, 720),
    "reviewed": (REVIEWED, 60),
    "expired": (TEXTS[:2], 150),
    "stopped": ((*TEXTS[:3], "STOP"), 30),
    "counted": (("Count", "one", "two"), 39),
    "failed": (TEXTS, 1),
    "open": (TEXTS[:2], 0),
    "pending": (TEXTS, 0),
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--messages", default=10_000_000, show_default=True, help="About how many.")
def main(file: Path, messages: int) -> None:
    """Make a SQLite database FILE with a long history in it."""
    if file.exists():
        raise click.ClickException(f"{file} exists. Name another, or delete it.")
    app = make_app(file, NOWHERE)
    app.database.write(partial(hold_each, app=app, began_at=datetime.now(UTC) - SPAN))
    app.database.close()
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        copy_conversations(connection, messages)
        (count,) = connection.execute("SELECT count(*) FROM messages").fetchone()
    size = file.stat().st_size / 1024**3
    click.echo(f"{file}: {count:,} messages, {size:.1f} GiB")


def hold_each(db: Session, *, app: App, began_at: datetime) -> None:
    """A conversation of each kind; its id is the number of the kind, from 1."""
    for id, (kind, (texts, _)) in enumerate(KINDS.items(), 1):
        for turn, body in enumerate(texts):
            now = began_at + turn * PAUSE
            form = make_form(id, turn) | {"To": NUMBERS[0], "Body": body}
            text = read_text(Form(list(form.items())))
            reply = take(db, Given(text, now, *app.files.current))
            if reply.message_id:  # STOP gets no reply of ours, only Twilio's
                sid, names = new_sid(), (reply.message_id, reply.status_token)
                message = Message.find_reported(db, *names, sid, text.number, text.sender)
                message.report("delivered", sid, None)
                message.update(db)
        if kind in ("expired", "counted"):
            end_silent(db, Conversation.find_by_id(db, id).expires_at, 1)
        if delivery := Delivery.find_newest(db, id):
            run_attempts(delivery, kind, now)
            delivery.update(db)


def run_attempts(delivery: Delivery, kind: str, now: datetime) -> None:
    failures = {"pending": 6, "failed": 10}.get(kind, 0)
    for n in range(failures):
        delivery.attempts = n + 1
        delivery.fail("HTTP 500", now, 500)
    if not failures:
        delivery.attempts = 1
        delivery.succeed(204, now + timedelta(seconds=1))


def copy_conversations(connection: sqlite3.Connection, messages: int) -> None:
    """In one transaction without syncs; the indexes are built when the rows are there."""
    connection.create_function("new_token", 2, new_token, deterministic=True)
    for pragma in ("journal_mode=off", "synchronous=off", "cache_size=-2000000"):
        connection.execute(f"PRAGMA {pragma}")
    indexes = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    plan_copies(connection, messages)
    for table in ("conversations", "messages", "answers", "outbox"):
        copy_table(connection, table)
    for _, statement in indexes:
        connection.execute(statement)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=wal")


def plan_copies(connection: sqlite3.Connection, messages: int) -> None:
    """Which conversation is copied, for which phone and number, and how much later."""
    connection.execute(
        "CREATE TEMP TABLE copies (n INTEGER PRIMARY KEY, kind, phone, number, delay, shift)"
    )
    texts = sum(2 * len(texts) * weight for texts, weight in KINDS.values()) / 1000
    copies = make_copies(max(round(messages / texts), 2 * NEW))
    shifted = with_shifts(connection, copies)
    connection.executemany("INSERT INTO copies VALUES (?, ?, ?, ?, ?, ?)", shifted)
    connection.execute(
        "INSERT INTO contacts (phone) SELECT phone FROM copies"
        " WHERE phone NOT IN (SELECT phone FROM contacts) GROUP BY phone ORDER BY min(n)"
    )


def make_copies(count: int) -> Iterator[tuple[int, int, str, str, str]]:
    rng = random.Random(1)
    ids = {kind: id for id, kind in enumerate(KINDS, 1)}
    kinds = rng.choices(list(KINDS), [weight for _, weight in KINDS.values()], k=count)
    kinds[-2 * NEW :] = ["open", "pending"] * NEW
    for n, kind in enumerate(kinds, 1):
        is_new = n > count - 2 * NEW  # with a phone of its own: a pair has one open conversation
        guest = GUESTS + n if is_new else int(GUESTS * rng.random() ** 2)  # a few of them often
        phone = TESTER if n % 100 == 0 and not is_new else f"+1600{guest:07}"
        delay = SPAN.total_seconds() * n / count
        yield n, ids[kind], phone, rng.choice(NUMBERS), f"+{delay:.3f} seconds"


def with_shifts(connection: sqlite3.Connection, copies: Iterator[tuple]) -> Iterator[tuple]:
    """And by how much the ids of messages grow: they have no gaps, for the search counts ids."""
    spans = "SELECT conversation_id, min(id), max(id) FROM messages GROUP BY 1"
    kinds = {id: (first, last - first + 1) for id, first, last in connection.execute(spans)}
    (newest,) = connection.execute("SELECT max(id) FROM messages").fetchone()
    for copy in copies:
        first, count = kinds[copy[1]]
        yield *copy, newest + 1 - first
        newest += count


def copy_table(connection: sqlite3.Connection, table: str) -> None:
    key = "id" if table == "conversations" else "conversation_id"
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    connection.execute(f"CREATE TEMP TABLE original_{table} AS SELECT * FROM {table}")
    connection.execute(f"CREATE INDEX temp.original_{table}_key ON original_{table} ({key})")
    values = ", ".join(copied_value(table, column) for column in columns)
    connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values}"
        f" FROM copies CROSS JOIN original_{table} AS original ON original.{key} = copies.kind"
        " ORDER BY copies.n, original.id"
    )


def copied_value(table: str, column: str) -> str:
    """What a copy has in this column, in SQL."""
    if column in ("message_id", "reply_to_id") or (table, column) == ("messages", "id"):
        return f"original.{column} + shift"
    if column in ("id", "conversation_id"):
        return f"original.{column} + {STRIDE} * n"
    if column in ("sid", "token", "status_token", "webhook_id"):
        return f"new_token(original.{column}, n)"
    if column.endswith("_at") or column == "leased_until":
        return f"strftime('%Y-%m-%dT%H:%M:%f000Z', original.{column}, delay)"
    if column == "params":
        return with_pair("replace(original.params, original.sid, new_token(original.sid, n))")
    if column in ("sender", "recipient", "number", "payload"):
        return with_pair(f"original.{column}")
    return f"original.{column}"


def with_pair(value: str) -> str:
    """With the phone and the number of the copy, in SQL."""
    phone = "printf('+1%010d', kind)"
    return f"replace(replace({value}, {phone}, phone), '{NUMBERS[0]}', copies.number)"


def new_token(token: str | None, n: int) -> str | None:
    """As random as `token`, and another in each copy."""
    return token and token[:-32] + md5(f"{token}{n}".encode()).hexdigest()


if __name__ == "__main__":
    main()
