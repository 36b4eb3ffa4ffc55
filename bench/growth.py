"""What a long history costs: a turn, the looks of the worker's jobs, and an operator's queries.

Turns are measured in rounds, so that whatever else the machine does affects all alike: on a new
database, on the grown one with all of it in memory, and with nothing of it in memory. The phones
are light ones, so that the server is what is measured.
"""

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
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
from turns import COLUMNS, OURS, Figures, measure, save_results

from models import Conversation, Delivery
from models.turn import end_silent
from storage import Database, connect

REPEATS = 5  # of each query; the median counts
ALL_EXPIRED_AFTER = timedelta(days=1)  # all that is open has been silent for too long by then

# What the server runs besides turns.
SERVER: dict[str, Callable[[Session, datetime], object]] = {
    "worker: is any silent": Conversation.is_any_silent,
    "worker: is any due": Delivery.is_due,
    "worker: end 50 silent ones": lambda db, now: end_silent(db, now + ALL_EXPIRED_AFTER, 50),
    "worker: claim": lambda db, now: Delivery.claim(db, now + ALL_EXPIRED_AFTER, 16),
    "/healthz: what is not delivered": Delivery.count_undelivered,
}
# What an operator asks. The parameters are of a conversation in the middle of the history.
OPERATOR = {
    "the newest 50 conversations": "SELECT * FROM conversations ORDER BY id DESC LIMIT 50",
    "a conversation, word by word": """SELECT created_at, direction, body FROM messages
        WHERE conversation_id = :conversation ORDER BY id""",
    "its answers": "SELECT * FROM answers WHERE conversation_id = :conversation",
    "its results": "SELECT * FROM outbox WHERE conversation_id = :conversation",
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
    "all texts of a sender": """SELECT messages.* FROM conversations
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
@click.option("--rounds", default=5, show_default=True, help="Measurements on each.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(file: Path, phones: int, seconds: float, rounds: int, as_json: bool) -> None:
    """Measure on FILE, a database that history.py made. The texts of this run stay in it."""
    url = f"sqlite:///{file}"
    with connect(url) as database:
        report = {"messages": count_messages(database), "queries": list(time_all(database))}
    report |= compare_turns(url, phones, seconds, rounds)
    save_results(report, "growth")
    click.echo(json.dumps(report, indent=2) if as_json else "\n".join(tabulate(report)))


def count_messages(database: Database) -> int:
    with database.engine.connect() as connection:
        return connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one()


def compare_turns(url: str, phones: int, seconds: float, rounds: int) -> dict[str, Any]:
    file = make_url(url).database
    measured: dict[str, list[Figures]] = {"empty": [], "grown": [], "unread": []}
    for _ in range(rounds):
        for name, prepare in (("empty", None), ("grown", load_file), ("unread", evict_file)):
            first_guest = random.randrange(GUESTS)  # hardly one of an earlier round
            if prepare:
                mark_delivered(url)
                prepare(file)
            database = url if prepare else None
            figures = measure(OURS, phones, seconds, database, first_guest, text_lightly)
            measured[name].append(figures)
    return {
        "phones": phones,
        "turns_per_second": with_ratios(measured, lambda run: round(run.turns.rate, 1)),
        "p99_ms": with_ratios(measured, lambda run: round(run.turns.milliseconds(0.99), 1)),
        "cpu_ms_per_turn": with_ratios(measured, lambda run: round(1000 * run.cpu, 3)),
    }


def with_ratios(
    measured: dict[str, list[Figures]], figure: Callable[[Figures], float]
) -> dict[str, Any]:
    """A figure of each run by database, and how its medians relate to that of the new one."""
    values = {name: [figure(run) for run in runs] for name, runs in measured.items()}
    medians = {name: statistics.median(column) for name, column in values.items()}
    ratios = {name: round(medians[name] / medians["empty"], 3) for name in ("grown", "unread")}
    return values | {"ratio": ratios}


def load_file(file: str) -> None:
    """Have the kernel keep it in memory."""
    with open(file, "rb") as stream:
        while stream.read(16 * 1024**2):
            pass


def evict_file(file: str) -> None:
    """Have the kernel keep nothing of it in memory."""
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def mark_delivered(url: str) -> None:
    """Take the results of earlier rounds off the outbox: retrying them is no part of a turn."""
    statement = text(
        "UPDATE outbox SET state = 'delivered' WHERE state = 'pending' AND attempts < 6"
    )
    with connect(url) as database:
        database.write(lambda db: db.execute(statement))


def time_all(database: Database) -> Iterator[dict[str, Any]]:
    for name, function in SERVER.items():
        yield {"query": name} | time_function(database, function)
    values = find_values(database)
    for name, statement in OPERATOR.items():
        yield {"query": name} | time_statement(database, statement, values)


def find_values(database: Database) -> dict[str, object]:
    """Parameters: of a text in the middle of the history, by a guest who texts seldom."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT conversation_id AS conversation, substr(created_at, 1, 10) AS day, sid, sender"
            " FROM messages WHERE id >= (SELECT max(id) / 2 FROM messages)"
            " AND sender > '+16000100000' LIMIT 1"
        )
        return dict(found.mappings().one())


class RolledBack(Exception):
    """Undoes a transaction that was only measured."""


def time_function(
    database: Database, function: Callable[[Session, datetime], object]
) -> dict[str, float | list[str]]:
    """The time of what the server runs, rolled back each time, and the plans of its SELECTs."""
    statements: list[str] = []
    times = []

    def run(db: Session) -> None:
        driver = db.connection().connection.driver_connection
        driver.set_trace_callback(statements.append)
        began = time.perf_counter()
        function(db, datetime.now(UTC))
        times.append(time.perf_counter() - began)
        driver.set_trace_callback(None)
        raise RolledBack

    for _ in range(REPEATS):
        statements.clear()
        with suppress(RolledBack):
            database.write(run)
    selects = [statement for statement in statements if statement.startswith("SELECT")]
    plans = [line for statement in selects for line in explain(database, statement, {})]
    return {"milliseconds": 1000 * statistics.median(times), "plan": list(dict.fromkeys(plans))}


def time_statement(
    database: Database, statement: str, values: dict[str, object]
) -> dict[str, float | list[str]]:
    times = []
    with database.engine.connect() as connection:
        for _ in range(REPEATS):
            began = time.perf_counter()
            connection.exec_driver_sql(statement, values).all()
            times.append(time.perf_counter() - began)
    plan = explain(database, statement, values)
    return {"milliseconds": 1000 * statistics.median(times), "plan": plan}


def explain(database: Database, statement: str, parameters: Any) -> list[str]:
    with database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [detail for *_, detail in rows]


def tabulate(report: dict) -> Iterator[str]:
    yield f"with {report['messages']:,} messages:"
    for row in report["queries"]:
        yield f"{row['milliseconds']:>10.2f} ms  {row['query']}"
        yield f"{'':15}{'; '.join(row['plan'])}"
    for column in ("turns_per_second", "p99_ms", "cpu_ms_per_turn"):
        figures = report[column]
        for name in ("empty", "grown", "unread"):
            yield f"{COLUMNS[column]}, {name}: {', '.join(f'{value:g}' for value in figures[name])}"
        for name, ratio in figures["ratio"].items():
            yield f"ratio of the medians, {name} to empty: {ratio:g}"


if __name__ == "__main__":
    main()
