"""What a long history costs: a turn, the looks of the worker's jobs, and an operator's queries.

Turns are measured in rounds, so that whatever else the machine does affects all alike: on a new
database, on the grown one with all of it in memory, and with nothing of it in memory. The phones
are light ones, so that the server is what is measured.
"""

import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import click
from common import OURS, Figures, measure_rounds, print_rounds, save_results
from history import NUMBERS, TESTER
from phones import GUESTS
from servers import measure_program
from sqlalchemy import text
from sqlalchemy.orm import Session

from models import Delivery
from models.silence import end_silent, is_any_silent
from models.undelivered import Undelivered
from storage import Database, connect

REPEATS = 5  # of each query; the median counts
ALL_EXPIRED_AFTER = timedelta(days=1)  # all that is open has been silent for too long by then

Measured = Callable[[Session, datetime], object]

# What the server runs besides turns.
SERVER: dict[str, Measured] = {
    "worker: is any silent": is_any_silent,
    "worker: is any due": Delivery.find_due,
    "worker: end 50 silent ones": lambda db, now: end_silent(db, now + ALL_EXPIRED_AFTER, 50),
    "worker: claim": lambda db, now: claim(db, now + ALL_EXPIRED_AFTER),
    "/healthz: what is not delivered": Undelivered.find,
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


def claim(db: Session, now: datetime) -> list[Delivery]:
    return Delivery.claim(db, now, dict.fromkeys(Delivery.find_due(db, now), 4))


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, resolve_path=True))
@click.option("--phones", default=16, show_default=True)
@click.option("--seconds", default=8.0, show_default=True, help="How long they text each time.")
@click.option("--rounds", default=5, show_default=True, help="Measurements on each.")
def main(file: Path, phones: int, seconds: float, rounds: int) -> None:
    """Measure on FILE, a database that history.py made. The texts of this run stay in it."""
    with connect(f"sqlite:///{file}") as database:
        with database.engine.connect() as connection:
            count = connection.exec_driver_sql("SELECT count(*) FROM messages").scalar_one()
        queries = list(time_all(database))
    click.echo(f"with {count:,} messages:")
    for row in queries:
        click.echo(f"{row['milliseconds']:>10.2f} ms  {row['query']}")
    measures = {
        "empty": partial(measure_program, OURS, phones, seconds),
        "grown": partial(measure_grown, file, load_file, phones, seconds),
        "unread": partial(measure_grown, file, evict_file, phones, seconds),
    }
    runs = measure_rounds(measures, rounds)
    save_results({"messages": count, "queries": queries, "runs": runs}, "growth")
    print_rounds(f"{phones} phones", runs)


def measure_grown(file: Path, prepare: Callable, phones: int, seconds: float) -> Figures:
    url = f"sqlite:///{file}"
    # Retrying the results of earlier rounds is no part of a turn.
    delivered = "UPDATE outbox SET state = 'delivered' WHERE state = 'pending' AND attempts < 6"
    with connect(url) as database:
        database.write(lambda db: db.execute(text(delivered)))
    prepare(file)
    first_guest = random.randrange(GUESTS)  # hardly one of an earlier round
    return measure_program(OURS, phones, seconds, url, first_guest=first_guest)


def load_file(file: Path) -> None:
    """Have the kernel keep it in memory."""
    with open(file, "rb") as stream:
        while stream.read(16 * 1024**2):
            pass


def evict_file(file: Path) -> None:
    """Have the kernel keep nothing of it in memory."""
    with open(file, "rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def time_all(database: Database) -> Iterator[dict[str, float | str]]:
    values = find_values(database)
    functions = SERVER | {name: query(statement, values) for name, statement in OPERATOR.items()}
    for name, function in functions.items():
        yield {"query": name, "milliseconds": time_function(database, function)}


def find_values(database: Database) -> dict[str, object]:
    """Parameters: of a text in the middle of the history, by a guest who texts seldom."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql(
            "SELECT conversation_id AS conversation, substr(created_at, 1, 10) AS day, sid, sender"
            " FROM messages WHERE id >= (SELECT max(id) / 2 FROM messages)"
            " AND sender > '+16000100000' LIMIT 1"
        )
        return dict(found.mappings().one())


def query(statement: str, values: dict[str, object]) -> Measured:
    return lambda db, _: db.connection().exec_driver_sql(statement, values).all()


class RolledBack(Exception):
    """Undoes a transaction that was only measured."""


def time_function(database: Database, function: Measured) -> float:
    """Milliseconds of what is run in a transaction, which is rolled back each time."""
    times = []

    def run(db: Session) -> None:
        began = time.perf_counter()
        function(db, datetime.now(UTC))
        times.append(time.perf_counter() - began)
        raise RolledBack

    for _ in range(REPEATS):
        with suppress(RolledBack):
            database.write(run)
    return 1000 * statistics.median(times)


if __name__ == "__main__":
    main()
