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

from storage.database import PATIENCE_SECONDS, Database, T, Work
from storage.places import Places

TRIES = 5  # on PostgreSQL, for works that met each other
# Works of a process that PostgreSQL has at once, besides those that commit, which only wait for the
# disk. While some wait for PostgreSQL, others use Python's lock; more of them only fight for it,
# which takes the processor as much time as the works do.
WORKS_AT_ONCE = 6
# What a process takes where PostgreSQL is on its machine, with the half that PostgreSQL takes for
# it. When that is more cores than there are, all wait for a core, and a second work at once would
# only add to the fight. As measured on one core and on two: docs/performance.md.
CORES_FOR_A_PROCESS = 1.5
PLACE_SECONDS = 0.5  # then a work goes on beside those, for they may wait for a lost machine
TABLE_SECONDS = 3  # that a migration waits for a table, on PostgreSQL
CLOCK_SECONDS = 1  # until PostgreSQL's clock is read again
# How long PostgreSQL may take. When the first time runs out it says so itself; the second is for
# one that says nothing. That, a new connection and two places are less than PATIENCE_SECONDS.
STATEMENT_SECONDS, ANSWER_SECONDS, CONNECT_SECONDS = 5, 6, 3

# Of a connection to PostgreSQL, and of its session there.
LINE = {
    "connect_timeout": str(CONNECT_SECONDS),
    "keepalives_idle": "10",  # seconds until a connection asks whether the other machine still is
    "keepalives_interval": "3",
    "keepalives_count": "3",
}
SESSION = {
    "timezone": "UTC",
    # Each statement is planned once, and again after ANALYZE only. If its table has a page or two
    # then, a plan that reads all of it would be kept while thousands of rows are added.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",  # whatever reads a whole table nevertheless seems worth it now
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    # What a machine that vanished has locked is locked until then.
    "idle_in_transaction_session_timeout": f"{PATIENCE_SECONDS}s",
}

# For a role or a database for which a commit need not be on disk, there and at the standbys. What
# waits for more than `on` does stays so, and so does what the URL says.
SYNC = (
    "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name = 'synchronous_commit'"
    " AND setting IN ('off', 'local') AND source <> 'client'"
)


class PostgreSQL(Database):
    """A transaction for each work; one that met another or lost its connection runs again.

    Nobody asks whether a connection is still there before it is used: that costs a question more,
    and a work whose connection turns out to be lost runs again anyway.

    To look takes no transaction: it would end with ROLLBACK, for which psycopg throws away all
    that the connection has prepared.
    """

    def __init__(self, url: URL, processes: int) -> None:
        engine = _postgresql_engine(url)
        super().__init__(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._writer = engine
        self._places = Places(_works_at_once(engine, processes))
        self._told = (-inf, datetime.min)  # when PostgreSQL told the time, by our count, and what

    def write(self, work: Work[T]) -> T:
        return self._try(self._commit, work)

    def now(self) -> datetime:
        """What PostgreSQL's clock said less than a second ago, and what has passed since.

        It may lag by as long as that answer was under way. To ask anew for each text took a tenth
        of the processor's time.
        """
        counted, told = self._told
        if count_seconds() - counted > CLOCK_SECONDS:
            counted, told = self._told = self._try(self._read_clock)
        return told + timedelta(seconds=count_seconds() - counted)

    def back_up(self, ending: str) -> str:
        raise ValueError(
            "smsconvo makes no backup of PostgreSQL. Make one with pg_dump, and run:"
            " python smsconvo.py upgrade --no-backup"
        )

    def _try(self, run: Callable[..., T], *arguments: Any) -> T:
        for _ in range(TRIES - 1):
            try:
                return run(*arguments)
            except DBAPIError as error:
                if not _may_run_again(error):
                    raise
        return run(*arguments)

    def _commit(self, work: Work[T]) -> T:
        with Session(self._writer, expire_on_commit=False) as db, db.begin():
            with self._places.place(PLACE_SECONDS):
                return work(db)

    def _read_clock(self) -> tuple[float, datetime]:
        with self.read() as db:
            told = db.scalar(CLOCK)
            return count_seconds(), told


CLOCK = text("SELECT clock_timestamp()")


def _works_at_once(engine: Engine, processes: int) -> int:
    """How many works each of these processes has at PostgreSQL at once."""
    all_cores_taken = CORES_FOR_A_PROCESS * processes > (os.cpu_count() or 1)
    return 1 if all_cores_taken and _is_beside_us(engine) else WORKS_AT_ONCE


def _is_beside_us(engine: Engine) -> bool:
    """Whether PostgreSQL is on this machine, by its address, which may be that of a tunnel."""
    from psycopg.pq import Conninfo

    # PostgreSQL's library knows of its own variables and files, but not of a service in the URL.
    usual = {one.keyword.decode(): os.fsdecode(one.val or b"") for one in Conninfo.get_defaults()}
    said = usual | engine.dialect.create_connect_args(engine.url)[1]
    if said["service"] != usual["service"]:
        return False
    return all(map(_is_our_own, str(said["hostaddr"] or said["host"]).split(",")))


def _is_our_own(address: str) -> bool:
    """Whether it is a socket's, in a folder or abstract, or loopback."""
    if address in ("", "localhost") or address.startswith(("/", "@")):
        return True
    with suppress(ValueError):
        return ip_address(address).is_loopback
    return False


def count_seconds() -> float:
    """Seconds that nobody can set; where the system knows them, those that it slept count too."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _may_run_again(error: DBAPIError) -> bool:
    """Whether a work met another one, or lost its connection, perhaps after its commit."""
    met = isinstance(error, IntegrityError) or error.orig.sqlstate in MET
    return met or error.connection_invalidated


MET = ("40001", "40P01")  # serialization_failure, deadlock_detected


def migrate_alone(connection: Connection) -> None:
    """Wait for the migration of another machine to end, but not for what holds a table for long.

    All texts that come wait behind a migration that waits for a table.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # a role may have one
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('smsconvo migration'))"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{TABLE_SECONDS}s'"))


def _postgresql_engine(url: URL) -> Engine:
    """With connections that wait for nothing for ever; what the URL says goes before."""
    from psycopg import Connection, OperationalError  # costs time that SQLite need not take
    from psycopg.pq import TransactionStatus
    from psycopg.types.numeric import Int8Dumper

    class Impatient(Connection):
        def wait(self, *arguments: Any) -> Any:
            try:
                return super().wait(*arguments, timeout=ANSWER_SECONDS)
            except OperationalError:
                if self.info.transaction_status == TransactionStatus.ACTIVE:  # still no answer
                    self.close()
                raise

    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    query = LINE | url.query | {"options": f"{options} {url.query.get('options', '')}"}
    # There are never more connections than threads.
    sizes = {"pool_size": 16, "max_overflow": -1, "pool_use_lifo": True}
    url, prepared = url.set(query=query), {"prepare_threshold": 0}  # from the first time on
    engine = create_engine(url, connect_args=prepared, hide_parameters=True, **sizes)
    event.listen(engine, "do_connect", lambda _, __, args, named: Impatient.connect(*args, **named))

    @event.listens_for(engine, "connect")
    def settle(connection: Connection, _: Any) -> None:
        # With one kind of number, whatever its size, each statement is prepared only once.
        connection.adapters.register_dumper(int, Int8Dumper)
        # In no transaction, for what is set in one that fails is set no more.
        connection.autocommit = True
        connection.execute(SYNC)
        connection.autocommit = False

    return engine
