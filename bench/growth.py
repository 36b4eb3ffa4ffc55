"""What a long history costs: the same turn, the sender's loop, and what an operator asks.

Turns are taken on a new database and on the grown one in alternation, so that whatever else the
machine does weighs on both: on the grown one first with all of it in memory, as where there is
enough, then with nothing of it. The phones are light ones, for it is the server that is measured.
"""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy import make_url, text
from sqlalchemy.orm import Session

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from history import NUMBERS, TESTER
from lean import text_lightly
from phones import GUESTS
from turns import COLUMNS, OURS, Figures, keep, measure

from models import Conversation, Delivery
from storage import Database, connect

AGAIN = 5  # times that each statement is run; the median counts
LATER = timedelta(days=1)  # when all that is open has been silent for too long

# What the server itself runs, beside the turns.
SERVER: dict[str, Callable[[Session, datetime], object]] = {
    "sender: is any silent": Conversation.is_any_silent,
    "sender: is any due": Delivery.is_due,
    "sender: end 50 silent ones": lambda db, now: Conversation.expire_silent(db, now + LATER, 50),
    "sender: claim": lambda db, now: Delivery.claim(db, now + LATER, 16),
    "/healthz: what is not delivered": lambda db, _: Delivery.count_undelivered(db),
}
# What an operator asks, about a conversation in the middle of the history where it is about one.
OPERATOR = {
    "the newest 50 conversations": "SELECT * FROM conversations ORDER BY id DESC LIMIT 50",
    "one conversation, word by word": """SELECT created_at, direction, body FROM messages
        WHERE conversation_id = :some ORDER BY id""",
    "its answers": "SELECT * FROM answers WHERE conversation_id = :some",
    "what is owed for it": "SELECT * FROM outbox WHERE conversation_id = :some",
    "a sender's newest 50": f"""SELECT * FROM conversations WHERE sender = '{TESTER}'
        ORDER BY id DESC LIMIT 50""",
    "a number's newest 50": f"""SELECT * FROM conversations WHERE number = '{NUMBERS[1]}'
        ORDER BY id DESC LIMIT 50""",
    "a questionnaire's newest 50": """SELECT conversations.* FROM conversations
        JOIN questionnaires ON questionnaires.id = questionnaire_id
        WHERE name = 'encuesta' ORDER BY conversations.id DESC LIMIT 50""",
    "the newest 50 that were stopped": """SELECT * FROM conversations WHERE state = 'stopped'
        ORDER BY id DESC LIMIT 50""",
    "all that are open": "SELECT * FROM conversations WHERE state = 'open'",
    "the newest 50 results of a questionnaire": """SELECT * FROM results
        WHERE questionnaire = 'encuesta' ORDER BY conversation DESC LIMIT 50""",
    "what is not delivered": """SELECT * FROM outbox
        WHERE state <> 'delivered' ORDER BY created_at, id""",
    "senders that begin with": "SELECT * FROM contacts WHERE phone GLOB '+1600012*'",
    "a message by its sid": "SELECT * FROM messages WHERE sid = :sid",
    "all that a sender ever texted": """SELECT messages.* FROM conversations
        JOIN messages ON messages.conversation_id = conversations.id
        WHERE conversations.sender = :sender ORDER BY messages.id""",
    "the same, by the view transcript": "SELECT * FROM transcript WHERE sender = :sender",
    "the messages of a day": """SELECT count(*) FROM messages
        WHERE created_at >= :day AND created_at < :day || 'T24'""",
}


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--phones", default=16, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text each time.")
@click.option("--rounds", default=5, show_default=True, help="Of turns on each of the two.")
@click.option("--json", "for_machines", is_flag=True, help="Tell it as JSON.")
def main(file: Path, phones: int, seconds: float, rounds: int, for_machines: bool) -> None:
    """Measure on FILE, a database that history.py made. What is texted there stays in it."""
    url = f"sqlite:///{file}"
    with connect(url) as database:
        told = {"messages": count_messages(database), "queries": list(time_all(database))}
    told |= compare_turns(url, phones, seconds, rounds)
    keep(told, "growth")
    click.echo(json.dumps(told, indent=2) if for_machines else "\n".join(tabulate(told)))


def count_messages(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one()


def compare_turns(url: str, phones: int, seconds: float, rounds: int) -> dict[str, Any]:
    file = make_url(url).database
    measured: dict[str, list[Figures]] = {"empty": [], "grown": [], "unread": []}
    for _ in range(rounds):
        for which, prepare in (("empty", None), ("grown", read_through), ("unread", forget)):
            met = random.randrange(GUESTS)  # no guest of another round, who could be answered less
            if prepare:
                settle(url)
                prepare(file)
            database = url if prepare else None
            figures = measure(OURS, phones, seconds, database, met, text_lightly)
            measured[which].append(figures)
    return {
        "phones": phones,
        "turns_per_second": beside(measured, lambda one: round(one.turns.rate, 1)),
        "p99_ms": beside(measured, lambda one: round(one.turns.milliseconds(0.99), 1)),
        "cpu_ms_per_turn": beside(measured, lambda one: round(1000 * one.cpu, 3)),
    }


def beside(
    measured: dict[str, list[Figures]], figure: Callable[[Figures], float]
) -> dict[str, Any]:
    told: dict[str, Any] = {
        which: list(map(figure, several)) for which, several in measured.items()
    }
    medians = {which: statistics.median(several) for which, several in told.items()}
    ratios = {which: round(medians[which] / medians["empty"], 3) for which in ("grown", "unread")}
    return told | {"ratio": ratios}


def read_through(file: str) -> None:
    with open(file, "rb") as opened:
        while opened.read(16 * 1024**2):
            pass


def forget(file: str) -> None:
    """Have the kernel keep nothing of it in memory."""
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def settle(url: str) -> None:
    """Take off what earlier rounds owe: to try it again is no part of a turn."""
    owed = text("UPDATE outbox SET state = 'delivered' WHERE state = 'pending' AND attempts < 6")
    with connect(url) as database:
        database.write(lambda db: db.execute(owed))


def time_all(database: Database) -> Iterator[dict[str, Any]]:
    values = find_values(database)
    for name, work in SERVER.items():
        yield {"query": name} | time_work(database, work)
    for name, statement in OPERATOR.items():
        yield {"query": name} | time_statement(database, statement, values)


def find_values(database: Database) -> dict[str, object]:
    """Of a text in the middle of the history, which a guest sent who comes seldom."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT conversation_id AS some, substr(created_at, 1, 10) AS day, sid, sender"
            " FROM messages WHERE id >= (SELECT max(id) / 2 FROM messages)"
            " AND sender > '+16000100000' LIMIT 1"
        )
        return dict(found.mappings().one())


def time_work(
    database: Database, work: Callable[[Session, datetime], object]
) -> dict[str, float | list[str]]:
    """What the server's own code runs, undone each time.

    The plans are of what only the loop runs; tests/test_query_plans.py reads those of all.
    """
    statements: list[str] = []
    times = []
    for _ in range(AGAIN):
        statements.clear()
        with Session(database._writer._engine) as db:
            driver = db.connection().connection.driver_connection
            driver.set_trace_callback(statements.append)
            began = time.perf_counter()
            work(db, datetime.now(UTC))
            times.append(time.perf_counter() - began)
            driver.set_trace_callback(None)
            db.rollback()
    plans = [
        line
        for statement in statements
        if statement.startswith("SELECT")
        for line in explain(database, statement, {})
    ]
    return {"milliseconds": 1000 * statistics.median(times), "plan": list(dict.fromkeys(plans))}


def time_statement(
    database: Database, statement: str, values: dict[str, object]
) -> dict[str, float | list[str]]:
    times = []
    with database.engine.connect() as connection:
        for _ in range(AGAIN):
            began = time.perf_counter()
            connection.exec_driver_sql(statement, values).all()
            times.append(time.perf_counter() - began)
    plan = explain(database, statement, values)
    return {"milliseconds": 1000 * statistics.median(times), "plan": plan}


def explain(database: Database, statement: str, parameters: Any) -> list[str]:
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [detail for *_, detail in rows]


def tabulate(told: dict) -> Iterator[str]:
    yield f"with {told['messages']:,} messages:"
    for one in told["queries"]:
        yield f"{one['milliseconds']:>10.2f} ms  {one['query']}"
        yield f"{'':15}{'; '.join(one['plan'])}"
    for name in ("turns_per_second", "p99_ms", "cpu_ms_per_turn"):
        for which in ("empty", "grown", "unread"):
            yield f"{COLUMNS[name]}, {which}: {', '.join(f'{one:g}' for one in told[name][which])}"
        for which, ratio in told[name]["ratio"].items():
            yield f"ratio of the medians, {which} to empty: {ratio:g}"


if __name__ == "__main__":
    main()
