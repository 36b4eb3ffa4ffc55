"""PostgreSQL: for several machines, or for several processes of one."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from math import inf
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from storage.database import WRITE_TIMEOUT_SECONDS, Database, T, Transaction
from storage.semaphore import FairSemaphore

MAX_ATTEMPTS = 5  # on PostgreSQL, for works that met each other
# Works of a process that PostgreSQL has at once, besides those that commit, which only wait for the
# disk. While some wait for PostgreSQL, others use Python's lock; more of them only fight for it,
# which takes the processor as much time as the works do.
MAX_CONCURRENT = 6
# What a process takes where PostgreSQL is on its machine, with the half that PostgreSQL takes for
# it. When that is more cores than there are, all wait for a core, and a second transaction at once would
# only add to the fight. As measured on one core and on two: docs/performance.md.
CORES_PER_PROCESS = 1.5
SLOT_TIMEOUT_SECONDS = (
    0.5  # then a transaction goes on beside those, for they may wait for a lost machine
)
LOCK_TIMEOUT_SECONDS = 3  # that a migration waits for a table, on PostgreSQL
CLOCK_SAMPLE_SECONDS = 1  # until PostgreSQL's clock is read again
# How long PostgreSQL may take. When the first time runs out it says so itself; the second is for
# one that says nothing. That, a new connection and two places are less than WRITE_TIMEOUT_SECONDS.
STATEMENT_TIMEOUT_SECONDS, RESPONSE_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS = 5, 6, 3

# Of a connection to PostgreSQL, and of its session there.
CONNECT_ARGS = {
    "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
    "keepalives_idle": "10",  # seconds until a connection asks whether the other machine still is
    "keepalives_interval": "3",
    "keepalives_count": "3",
}
SESSION_SETTINGS = {
    "timezone": "UTC",
    # Each statement is planned once, and again after ANALYZE only. If its table has a page or two
    # then, a plan that reads all of it would be kept while thousands of rows are added.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",  # whatever reads a whole table nevertheless seems worth it now
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    # What a machine that vanished has locked is locked until then.
    "idle_in_transaction_session_timeout": f"{WRITE_TIMEOUT_SECONDS}s",
}

# For a role or a database for which a commit need not be on disk, there and at the standbys. What
# waits for more than `on` does stays so, and so does what the URL says.
ENFORCE_SYNC_COMMIT = (
    "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name = 'synchronous_commit'"
    " AND setting IN ('off', 'local') AND source <> 'client'"
)


class PostgreSQL(Database):
    """A transaction for each transaction; one that met another or lost its connection runs again.

    Nobody asks whether a connection is still there before it is used: that costs a question more,
    and a transaction whose connection turns out to be lost runs again anyway.

    To look takes no transaction: it would end with ROLLBACK, for which psycopg throws away all
    that the connection has prepared.
    """

    def __init__(self, url: URL, processes: int) -> None:
        engine = _postgresql_engine(url)
        super().__init__(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._writer = engine
        self._semaphore = FairSemaphore(_max_concurrent(engine, processes))
        self._clock_sample = (
            -inf,
            datetime.min,
        )  # when PostgreSQL told the time, by our count, and what

    def write(self, transaction: Transaction[T]) -> T:
        return self._try(self._commit, transaction)

    def now(self) -> datetime:
        """What PostgreSQL's clock said less than a second ago, and what has passed since.

        It may lag by as long as that answer was under way. To ask anew for each text took a tenth
        of the processor's time.
        """
        counted, told = self._clock_sample
        if elapsed_seconds() - counted > CLOCK_SAMPLE_SECONDS:
            counted, told = self._clock_sample = self._try(self._read_clock)
        return told + timedelta(seconds=elapsed_seconds() - counted)

    def back_up(self, ending: str) -> str:
        raise ValueError(
            "smsconvo makes no backup of PostgreSQL. Make one with pg_dump, and run:"
            " python smsconvo.py upgrade --no-backup"
        )

    def _try(self, run: Callable[..., T], *arguments: Any) -> T:
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return run(*arguments)
            except DBAPIError as error:
                if not _is_retryable(error):
                    raise
        return run(*arguments)

    def _commit(self, transaction: Transaction[T]) -> T:
        with Session(self._writer, expire_on_commit=False) as db, db.begin():
            with self._semaphore.slot(SLOT_TIMEOUT_SECONDS):
                return transaction(db)

    def _read_clock(self) -> tuple[float, datetime]:
        with self.read() as db:
            told = db.scalar(CLOCK)
            return elapsed_seconds(), told


CLOCK = text("SELECT clock_timestamp()")


def _max_concurrent(engine: Engine, processes: int) -> int:
    """How many works each of these processes has at PostgreSQL at once."""
    all_cores_taken = CORES_PER_PROCESS * processes > (os.cpu_count() or 1)
    return 1 if all_cores_taken and _is_local(engine) else MAX_CONCURRENT


def _is_local(engine: Engine) -> bool:
    """Whether PostgreSQL is on this machine, by its address, which may be that of a tunnel."""
    from psycopg.pq import Conninfo

    # PostgreSQL's library knows of its own variables and files, but not of a service in the URL.
    usual = {one.keyword.decode(): os.fsdecode(one.val or b"") for one in Conninfo.get_defaults()}
    said = usual | engine.dialect.create_connect_args(engine.url)[1]
    if said["service"] != usual["service"]:
        return False
    return all(map(_is_local_address, str(said["hostaddr"] or said["host"]).split(",")))


def _is_local_address(address: str) -> bool:
    """Whether it is a socket's, in a folder or abstract, or loopback."""
    if address in ("", "localhost") or address.startswith(("/", "@")):
        return True
    with suppress(ValueError):
        return ip_address(address).is_loopback
    return False


def elapsed_seconds() -> float:
    """Seconds that nobody can set; where the system knows them, those that it slept count too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _is_retryable(error: DBAPIError) -> bool:
    """Whether a transaction met another one, or lost its connection, perhaps after its commit."""
    met = isinstance(error, IntegrityError) or error.orig.sqlstate in RETRYABLE_SQLSTATES
    return met or error.connection_invalidated


RETRYABLE_SQLSTATES = ("40001", "40P01")  # serialization_failure, deadlock_detected


def lock_for_migration(connection: Connection) -> None:
    """Wait for the migration of another machine to end, but not for what holds a table for long.

    All texts that come wait behind a migration that waits for a table.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # a role may have one
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('smsconvo migration'))"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))


def _postgresql_engine(url: URL) -> Engine:
    """With connections that wait for nothing for ever; what the URL says goes before."""
    from psycopg import Connection, OperationalError  # costs time that SQLite need not take
    from psycopg.pq import TransactionStatus
    from psycopg.types.numeric import Int8Dumper

    class DeadlineConnection(Connection):
        def wait(self, *arguments: Any) -> Any:
            try:
                return super().wait(*arguments, timeout=RESPONSE_TIMEOUT_SECONDS)
            except OperationalError:
                if self.info.transaction_status == TransactionStatus.ACTIVE:  # still no answer
                    self.close()
                raise

    options = " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items())
    query = CONNECT_ARGS | url.query | {"options": f"{options} {url.query.get('options', '')}"}
    # There are never more connections than threads.
    sizes = {"pool_size": 16, "max_overflow": -1, "pool_use_lifo": True}
    url, prepared = url.set(query=query), {"prepare_threshold": 0}  # from the first time on
    engine = create_engine(url, connect_args=prepared, hide_parameters=True, **sizes)
    event.listen(
        engine, "do_connect", lambda _, __, args, named: DeadlineConnection.connect(*args, **named)
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Connection, _: Any) -> None:
        # With one kind of number, whatever its size, each statement is prepared only once.
        connection.adapters.register_dumper(int, Int8Dumper)
        # In no transaction, for what is set in one that fails is set no more.
        connection.autocommit = True
        connection.execute(ENFORCE_SYNC_COMMIT)
        connection.autocommit = False

    return engine
