"""PostgreSQL: for several machines, or for several processes of one."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from math import inf
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from storage.batches import Batches
from storage.database import WRITE_TIMEOUT_SECONDS, Database, Procedure, T, Transaction
from storage.draft_saver import DraftSaver
from storage.kept_session import KeptSession
from storage.pipelines import pipeline
from storage.unreadable import IDS, UNREADABLE, WRITES

MAX_ATTEMPTS = 5  # of a transaction that conflicts with others or loses its connection
LOCK_TIMEOUT_SECONDS = 3  # for a migration that waits for a table
CLOCK_SAMPLE_SECONDS = 1  # how long a reading of PostgreSQL's clock is used
# PostgreSQL ends a statement itself; a server that no longer answers is left a second later. That,
# a new connection and SHARED_SECONDS take less than WRITE_TIMEOUT_SECONDS.
STATEMENT_TIMEOUT_SECONDS, CONNECT_TIMEOUT_SECONDS = 5, 3

CONNECT_ARGS = {
    "connect_timeout": str(CONNECT_TIMEOUT_SECONDS),
    "keepalives_idle": "10",  # seconds of silence until the other machine is probed
    "keepalives_interval": "3",
    "keepalives_count": "3",
}
# What may be set otherwise for a role, a database or the whole server. The URL may set it again.
COMMON_SETTINGS = {
    "idle_session_timeout": "0",
    "lock_timeout": "0",
    "standard_conforming_strings": "on",  # what SQLAlchemy writes depends on it
}
MAINTENANCE_SETTINGS = COMMON_SETTINGS | {
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
SESSION_SETTINGS = COMMON_SETTINGS | {
    # Each statement is planned once, and again only after ANALYZE. A plan made while its table has
    # a page or two would read all of it, and be kept while thousands of rows are added.
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "jit": "off",  # with seqscan off, any plan that reads a whole table looks worth compiling
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    # Until then, what a vanished machine has locked stays locked.
    "idle_in_transaction_session_timeout": f"{WRITE_TIMEOUT_SECONDS}s",
}

SHARED_SECONDS = 2  # for a text to be saved with others, until it is written alone
SHARED_SETTINGS = SESSION_SETTINGS | {
    # A transaction for several texts may not wait for what one of them has to wait for.
    "lock_timeout": "100ms",
    # All that it reads are the rows of a few texts. To join them in another way reads whole tables.
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
}

# Pages and exports: PostgreSQL plans each statement for its own values, as it does by default.
REPORT_SETTINGS = COMMON_SETTINGS | {
    "jit": "off",  # to compile takes longer than pages may
    "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{WRITE_TIMEOUT_SECONDS}s",
}

CHECK_DEFERRED = text("SET CONSTRAINTS ALL IMMEDIATE")  # as a commit would
READ_CLOCK = text("SELECT clock_timestamp()")
READ_SIZE = text("SELECT pg_database_size(current_database())")
RETRYABLE_SQLSTATES = ("40001", "40P01")  # serialization_failure, deadlock_detected


class PostgreSQL(Database):
    """Runs a transaction again when it conflicts with another one or loses its connection.

    Connections are not tested before use. That costs a round trip, and a transaction whose
    connection turns out to be lost runs again anyway.

    Reads use no transaction: it would end with ROLLBACK, after which psycopg forgets all that the
    connection has prepared.
    """

    def __init__(self, url: URL) -> None:
        engine = _create_engine(url, SESSION_SETTINGS, 0)
        super().__init__(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._writer = engine
        shared = _create_engine(url, SHARED_SETTINGS, 0)
        self._shared = shared.execution_options(isolation_level="AUTOCOMMIT")
        info = {UNREADABLE: self.unreadable}
        self._saver = DraftSaver(
            KeptSession(self._shared, None, info),
            KeptSession(self._shared, "BEGIN", info | {WRITES: True, IDS: {}}, pipeline),
        )
        self._batches = Batches(self._saver.save)
        reporter = _create_engine(url, REPORT_SETTINGS, None, pool_pre_ping=True)
        self._reporter = reporter.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._reading_clock = Lock()
        self._clock_sample = (-inf, datetime.min)  # seconds by our own count, PostgreSQL's time

    def write(self, transaction: Transaction[T]) -> T:
        return self._retry(self._commit, transaction)

    def write_together(self, procedure: Procedure, item: Any) -> Any:
        """Wait for the others for SHARED_SECONDS; then, or where the draft fails, write alone.

        An item may be written in both ways at the same time, and must be safe for that.
        """
        failed = None
        try:
            if (result := self._share(procedure, item)) is not None:
                return result
        except Exception as error:  # it may have been another text's
            failed = error
        result = self.write(lambda db: procedure.write(db, item))
        if failed and not _is_retryable(failed):
            self.on_failed_drafts(failed)
        return result

    def try_out(self, transaction: Transaction[object]) -> None:
        self._retry(self._take_back, transaction)

    def now(self) -> datetime:
        """PostgreSQL's time, read within the last second, plus what has passed since.

        It may lag by as long as the answer took. Reading the clock anew for each text took a tenth
        of the processor's time.
        """
        sampled_at, _ = self._clock_sample
        is_old = elapsed_seconds() - sampled_at > CLOCK_SAMPLE_SECONDS
        # One thread reads it; meanwhile the others go by what was read before.
        if is_old and self._reading_clock.acquire(blocking=sampled_at == -inf):
            try:
                self._clock_sample = self._retry(self._read_clock)
            finally:
                self._reading_clock.release()
        sampled_at, time_then = self._clock_sample
        return time_then + timedelta(seconds=elapsed_seconds() - sampled_at)

    def size(self) -> int:
        with self.read() as db:
            return db.scalar(READ_SIZE)

    def close(self) -> None:
        self._batches.end()
        self._saver.close()
        super().close()
        self._shared.dispose()
        self._reporter.dispose()

    def _share(self, procedure: Procedure, item: Any) -> Any:
        """The result, if the item was saved with others."""
        with suppress(OSError):  # nobody saved it in time, or no thread can be started
            future = self._batches.submit(procedure, item)
            try:
                return future.result(timeout=SHARED_SECONDS)
            finally:
                future.cancel()  # if it has not begun, it must not begin when nobody waits for it
        return None

    def _open_report(self) -> Session:
        info = {UNREADABLE: self.unreadable}
        return Session(self._reporter, expire_on_commit=False, info=info)

    def back_up(self, suffix: str) -> str:
        raise ValueError(
            "smsconvo makes no backup of PostgreSQL. Make one with pg_dump, and run:"
            " python smsconvo.py upgrade --no-backup"
        )

    def _retry(self, function: Callable[..., T], *arguments: Any) -> T:
        for _ in range(MAX_ATTEMPTS - 1):
            try:
                return function(*arguments)
            except DBAPIError as error:
                if not _is_retryable(error):
                    raise
        return function(*arguments)

    def _commit(self, transaction: Transaction[T]) -> T:
        info = {UNREADABLE: self.unreadable, WRITES: True}
        with Session(self._writer, expire_on_commit=False, info=info) as db, db.begin():
            return transaction(db)

    def _take_back(self, transaction: Transaction[object]) -> None:
        info = {UNREADABLE: self.unreadable, WRITES: True}
        with Session(self._writer, info=info) as db:
            transaction(db)
            db.execute(CHECK_DEFERRED)

    def _read_clock(self) -> tuple[float, datetime]:
        with self.read() as db:
            time_now = db.scalar(READ_CLOCK)
            return elapsed_seconds(), time_now


def elapsed_seconds() -> float:
    """Seconds of a clock that nobody can set; where the system can, time asleep counts."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def lock_for_migration(connection: Connection) -> None:
    """Wait for another machine's migration to end, but only briefly for a table.

    Every text that arrives waits behind a migration that waits for a table.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # the URL may have one
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('smsconvo migration'))"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))


def _is_retryable(error: Exception) -> bool:
    """Whether a transaction met another one, or lost its connection, perhaps after its commit."""
    if not isinstance(error, DBAPIError):
        return False
    conflicts = isinstance(error, IntegrityError) or error.orig.sqlstate in RETRYABLE_SQLSTATES
    return conflicts or error.connection_invalidated


def maintenance_engine(url: URL) -> Engine:
    """An engine for what may take long: migrations and copies, of which one runs at a time."""
    from storage.psycopg_connection import Connection

    engine = _connecting_engine(Connection, url, MAINTENANCE_SETTINGS)
    event.listen(engine, "begin", lock_for_migration)
    return engine


def _create_engine(
    url: URL, settings: dict[str, str], prepare_threshold: int | None, **options: Any
) -> Engine:
    """An engine whose connections never wait for ever; the URL's own settings come first.

    psycopg prepares a statement that was executed `prepare_threshold` times; None for never.
    """
    from storage.psycopg_connection import DeadlineConnection

    return _connecting_engine(
        DeadlineConnection,
        url.set(query=CONNECT_ARGS | url.query),
        settings,
        connect_args={"prepare_threshold": prepare_threshold},
        **options,
        pool_size=16,
        max_overflow=-1,  # there are never more connections than threads
        pool_use_lifo=True,
    )


def _connecting_engine(kind: type, url: URL, settings: dict[str, str], **options: Any) -> Engine:
    """An engine with connections of this kind, and with these settings unless the URL has others.

    ValueError says what is wrong with the URL.
    """
    from storage.psycopg_connection import connect, option_names

    own = url.query.get("options", "")
    defaults = " ".join(f"-c {name}={value}" for name, value in settings.items())
    if not isinstance(own, str) or not url.query.keys() <= option_names():
        raise ValueError("has an option behind the question mark that PostgreSQL does not know")
    try:
        url = url.set(query=url.query | {"options": f"{defaults} {own}"})
        engine = create_engine(url, hide_parameters=True, **options)
        engine.dialect.create_connect_args(url)
    except ArgumentError:  # its message would show them
        raise ValueError("has hosts and ports that do not go together") from None
    has_password = url.password is not None or "password" in url.query
    event.listen(engine, "do_connect", partial(connect, kind, has_password))
    return engine
