"""Where everything is kept: the declarative base, the column types and the database.

All writes go through `Database.write`. On SQLite one thread owns the one connection that writes,
behind a lock that it shares with other processes, so writers wait in a fair queue of ours and never
meet SQLite's own back-off, which starves the ones that wait longest.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from itertools import islice
from math import inf
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, Self, TypeVar

from sqlalchemy import (
    URL,
    BigInteger,
    ColumnDefault,
    ColumnElement,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    Text,
    TypeDecorator,
    bindparam,
    create_engine,
    event,
    insert,
    literal_column,
    make_url,
    text,
    update,
)
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session

from models.places import Places
from models.statement import Statement

try:  # bundles a SQLite without the WAL-reset bug (3.7.0 to 3.51.2); it has no wheel everywhere
    import pysqlite3.dbapi2 as sqlite3
except ImportError:
    import sqlite3

T = TypeVar("T")
Work = Callable[[Session], T]

TOGETHER = 64  # texts that one commit, so one fsync, may serve
# Texts that come now share a commit with those that wait. While their threads are at work, the
# writer would only fight them for Python's lock.
GATHER_SECONDS = 0.002
PATIENCE_SECONDS = 12  # Twilio hangs up after 15
# A disk that fails or a file that is damaged. A commit that ends so may be on disk or not, and the
# next sync of the same process can lie: the kernel drops what it could not write. So this process
# writes no more, and another finds out from the log what is there.
BROKEN = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
# SQLite compiles a statement anew each time if its limit is a parameter, which takes four times as
# long as to run it.
ONE: ColumnElement[int] = literal_column("1")
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

PRAGMAS: dict[str, Any] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: with NORMAL a commit that was acknowledged can be lost with the power
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 64 * 1024 * 1024,
    "mmap_size": 0,
    "trusted_schema": 0,
    "secure_delete": 1,
}
WRITER = {"wal_autocheckpoint": 1000}
# Rebuilding a table deletes the rows that refer to it, silently, when foreign keys are on.
MIGRATOR = WRITER | {"foreign_keys": 0}
READER = {"wal_autocheckpoint": 0, "query_only": 1}


class Moment(TypeDecorator[datetime]):
    """A UTC datetime on SQLite: ISO 8601 text of one width, whose order is that of time."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return value and value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        return value and datetime.fromisoformat(value)


class Words(TypeDecorator[str]):
    """Text on PostgreSQL, which has no U+0000 in it: U+FFFE is held for that."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value and self.held(value)

    @staticmethod
    def held(value: str) -> str:
        """The text as PostgreSQL can hold it."""
        return value.replace("\0", "\ufffe")

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return value and value.replace("\ufffe", "\0")


class Base(DeclarativeBase):
    """Every table, with named constraints: SQLite cannot drop what has no name.

    Nothing here uses the ORM's unit of work, which takes some times as long as its statements to
    find out what depends on what: an entity belongs to no session, and is written when `insert` or
    `update` is called, not later.
    """

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {
        datetime: DateTime(timezone=True).with_variant(Moment(), "sqlite"),
        str: Text().with_variant(Words(), "postgresql"),
        int: BigInteger().with_variant(Integer, "sqlite"),
    }

    @classmethod
    def of(cls, values: Iterable[Any]) -> Self:
        """The entity with these values of its columns, in their order."""
        entity = cls()
        entity.stored = dict(zip(cls.__table__.columns.keys(), values, strict=True))
        # Where the ORM has them, too; its own setters take as long as to read the row.
        entity.__dict__.update(entity.stored)
        return entity

    @classmethod
    def first(cls, db: Session, statement: Statement, **values: Any) -> Self | None:
        """The entity that a statement about its whole table finds first, if any."""
        rows = statement.rows(db, **values)
        return cls.of(rows[0]) if rows else None

    @classmethod
    def all(cls, db: Session, statement: Statement, **values: Any) -> list[Self]:
        return [cls.of(row) for row in statement.rows(db, **values)]

    def insert(self, db: Session) -> None:
        """Write a new row, with the defaults of its columns, and take its id."""
        for name, default in _defaults(type(self)).items():
            if getattr(self, name) is None:
                setattr(self, name, default.arg(None) if default.is_callable else default.arg)
        values = {name: value for name, value in self._values().items() if value is not None}
        self.id = _inserting(type(self), frozenset(values)).insert(db, **values)
        self.stored = self._values()

    def update(self, db: Session) -> None:
        """Write what differs from the row as it was read or written last."""
        values = self._values()
        changed = {name: value for name, value in values.items() if value != self.stored[name]}
        if changed:
            statement = _updating(type(self), frozenset(changed))
            statement.run(db, **changed, this=self.id)
            self.stored = values

    def save(self, db: Session) -> None:
        """Insert what is new, update what is not."""
        if self.id is None:
            self.insert(db)
        else:
            self.update(db)

    def _values(self) -> dict[str, Any]:
        return {name: self.__dict__.get(name) for name in self.__table__.columns.keys()}


@lru_cache
def _defaults(entity: type[Base]) -> dict[str, ColumnDefault]:
    return {column.key: column.default for column in entity.__table__.columns if column.default}


@lru_cache
def _inserting(entity: type[Base], names: frozenset[str]) -> Statement:
    return Statement(insert(entity.__table__).values({name: bindparam(name) for name in names}))


@lru_cache
def _updating(entity: type[Base], names: frozenset[str]) -> Statement:
    table = entity.__table__
    values = {name: bindparam(name) for name in names}
    return Statement(update(table).where(table.c.id == bindparam("this")).values(values))


def entities(row: Sequence[Any], *kinds: type[Base]) -> list[Any]:
    """One of each kind, from a row that holds their columns one after the other."""
    values = iter(row)
    return [kind.of(islice(values, len(kind.__table__.columns))) for kind in kinds]


def may_pass(error: DBAPIError) -> bool:
    """Whether trying again may help: a disk that is full, a server that is not there yet."""
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is None:
        return isinstance(error, OperationalError)
    return code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


class DatabaseBroken(OSError):
    """The disk failed or the file is damaged: only another process may try again."""


class Database:
    """The database behind a URL: `read()` to look, `write(work)` for everything else.

    Once `broken` is set it takes no writes any more: end the process and start another.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.broken = Event()

    @classmethod
    def open(cls, url: str, processes: int = 1) -> "Database":
        """Open `sqlite:///…` or `postgresql://…`; ValueError says what is wrong with a URL.

        `processes`: how many on this machine have the same to do, this one included.
        """
        location = _location(url)
        if location.get_backend_name() == "sqlite":
            return SQLite(location)
        return PostgreSQL(location, processes)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self.engine, expire_on_commit=False) as db:
            yield db

    def write(self, work: Work[T]) -> T:
        """Run `work(db)` in one transaction and return its result once that is on disk.

        `work` may run more than once and must be safe to. It returns plain values or entities
        whose attributes it has loaded.
        """
        raise NotImplementedError

    def serve_alone(self) -> None:
        """Keep other servers away from what only one may serve; ValueError when one is there."""

    def back_up(self, ending: str) -> str:
        """Copy the database to a file of its name with this ending, and return the copy's path.

        The copy is whole and on disk, or there is a ValueError that says what to do.
        """
        raise NotImplementedError

    def free_space(self) -> int | None:
        """Bytes left where the database is; None where that is another machine's affair."""

    def tell_time(self) -> datetime | None:
        """The time by the clock that several machines share; None where there is only one."""

    def close(self) -> None:
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SQLite(Database):
    """Readers that can only read, and one connection for writes."""

    def __init__(self, url: URL) -> None:
        super().__init__(_sqlite_engine(url, READER, begin="BEGIN"))
        engine = _sqlite_engine(url, WRITER, begin="BEGIN IMMEDIATE")
        for one in (self.engine, engine):
            event.listen(one, "handle_error", self._judge)
        self._writer = Writer(engine, Gate(f"{url.database}-gate"), self.broken)
        self._server = Gate(f"{url.database}-server")

    def serve_alone(self) -> None:
        if not self._server.enter(wait=False):
            raise ValueError(f"Another server has {self.engine.url.database}")

    def write(self, work: Work[T]) -> T:
        turn = self._writer.submit(work)
        try:
            return turn.result(timeout=PATIENCE_SECONDS)
        except TimeoutError:
            turn.cancel()  # what nobody waits for must not happen later
            raise

    def back_up(self, ending: str) -> str:
        path = f"{self.engine.url.database}.{ending}"
        try:
            verdict = self._copy(path)
        except FileExistsError:
            raise ValueError(f"The backup {path} is there already. Nothing was changed.") from None
        except (sqlite3.Error, OSError) as error:
            verdict = str(error)
        if verdict != "ok":
            with suppress(OSError):
                os.unlink(path)
            raise ValueError(f"The backup {path} is not whole: {verdict}. Nothing was changed.")
        return path

    def _copy(self, path: str) -> str:
        """Copy to a new file; "ok", or what SQLite finds wrong with the copy."""
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
        source = self.engine.raw_connection()
        with closing(source), closing(sqlite3.connect(path)) as copy:
            source.driver_connection.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        _sync(path)
        return verdict

    def free_space(self) -> int:
        return shutil.disk_usage(os.path.dirname(os.path.abspath(self.engine.url.database))).free

    def _judge(self, failure: ExceptionContext) -> None:
        """Notice what no retry of ours can cure; a full disk and a lock are not among it."""
        code = getattr(failure.original_exception, "sqlite_errorcode", None) or 0
        code &= 0xFF  # the higher bits say more exactly what
        if code in BROKEN:
            self.broken.set()
        # SQLite opens a file for reading only when it fails to open it for writing: open it anew.
        failure.is_disconnect = failure.is_disconnect or code == sqlite3.SQLITE_READONLY

    def close(self) -> None:
        super().close()
        self._writer.close()
        self._server.close()


class Writer:
    """The thread that writes: first come first served, and one commit for those that wait."""

    def __init__(self, engine: Engine, gate: "Gate", broken: Event) -> None:
        self._engine, self._gate, self._broken = engine, gate, broken
        self._queue: SimpleQueue[tuple[Work[Any], Future[Any]] | None] = SimpleQueue()
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, work: Work[T]) -> Future[T]:
        turn: Future[T] = Future()
        self._queue.put((work, turn))
        with self._starting:
            if self._thread is None:
                thread = Thread(target=self._run, name="writer", daemon=True)
                thread.start()
                self._thread = thread  # not before it runs: there may be too many
        return turn

    def close(self) -> None:
        if self._thread:
            self._queue.put(None)
            self._thread.join()
        self._engine.dispose()
        self._gate.close()

    def _run(self) -> None:
        closed = False
        while not closed:
            batch = self._next_batch()
            closed = None in batch
            self._commit([turn for turn in batch if turn is not None])

    def _next_batch(self) -> list[tuple[Work[Any], Future[Any]] | None]:
        """What waits, up to the bound; None in it stands for the end."""
        batch = [self._queue.get()]
        if not self._queue.empty():
            time.sleep(GATHER_SECONDS)
        with suppress(Empty):
            while len(batch) < TOGETHER:
                batch.append(self._queue.get_nowait())
        return batch

    def _commit(self, batch: list[tuple[Work[Any], Future[Any]]]) -> None:
        """One transaction for all; if it fails, one each, so that none fails for another."""
        try:
            if self._broken.is_set():
                raise DatabaseBroken
            with self._passing():
                batch = [(work, turn) for work, turn in batch if _is_waited_for(turn)]
                with Session(self._engine, expire_on_commit=False) as db, db.begin():
                    results = [work(db) for work, _ in batch]
        except Exception as error:
            if len(batch) > 1:
                for one in batch:
                    self._commit([one])
            elif batch and _is_waited_for(batch[0][1]):
                batch[0][1].set_exception(error)
        else:
            for (_, turn), result in zip(batch, results, strict=True):
                turn.set_result(result)

    @contextmanager
    def _passing(self) -> Iterator[None]:
        self._gate.enter()
        try:
            yield
        finally:
            self._gate.leave()


def _is_waited_for(turn: Future[Any]) -> bool:
    """Whether it was not cancelled; from the first time on that somebody asks it cannot be."""
    return turn.running() or turn.set_running_or_notify_cancel()


class Gate:
    """A lock that processes share: one file, which stays. It ends with whoever holds it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def enter(self, wait: bool = True) -> bool:
        if self._handle is None:
            self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            return False
        return True

    def leave(self) -> None:
        """Let others in; the file stays open, for who comes again soon."""
        if self._handle is not None:
            fcntl.flock(self._handle, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave for good; processes that inherited it hold it still."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *_: object) -> None:
        self.close()


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

    def tell_time(self) -> datetime:
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


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """A connection for migrations: one transaction for all of them, DDL included."""
    location = _location(url)
    if location.get_backend_name() == "sqlite":
        engine = _sqlite_engine(location, MIGRATOR, begin="BEGIN IMMEDIATE")
        gate = Gate(f"{location.database}-gate")
    else:
        engine, gate = create_engine(location, hide_parameters=True), nullcontext()
        event.listen(engine, "begin", _migrate_alone)
    try:
        with gate, engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def _migrate_alone(connection: Connection) -> None:
    """Wait for the migration of another machine to end, but not for what holds a table for long.

    All texts that come wait behind a migration that waits for a table.
    """
    connection.execute(text("SET LOCAL statement_timeout = 0"))  # a role may have one
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('smsconvo migration'))"))
    connection.execute(text(f"SET LOCAL lock_timeout = '{TABLE_SECONDS}s'"))


def _location(url: str) -> URL:
    try:
        location = make_url(url)
    except Exception:  # its message would show the password
        raise ValueError("is not a database URL") from None
    if location.get_backend_name() == "postgresql":
        # A server in SQL_ASCII would have its texts taken for bytes.
        location = location.update_query_dict({"client_encoding": "utf8"})
        return location.set(drivername="postgresql+psycopg")
    if location.drivername != "sqlite":
        raise ValueError("is neither sqlite:///… nor postgresql://…")
    if location.query:
        raise ValueError("has options behind a question mark, which SQLite does not need")
    if location.database in (None, "", ":memory:"):
        raise ValueError("names no file, and a conversation in memory is lost with the program")
    return location


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


def _sqlite_engine(url: URL, pragmas: dict[str, Any], begin: str) -> Engine:
    engine = create_engine(url, module=sqlite3, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _: Any) -> None:
        # The driver must not begin transactions by itself: it leaves out SELECT and DDL.
        connection.isolation_level = None
        for name, wanted in (PRAGMAS | pragmas).items():
            connection.execute(f"PRAGMA {name}={wanted}")
            (found,) = connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise sqlite3.OperationalError(f"PRAGMA {name} is {found}, not {wanted}")

    @event.listens_for(engine, "begin")
    def begin_transaction(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _sync(path: str) -> None:
    """Have the file and its name on disk."""
    for name in (path, os.path.dirname(os.path.abspath(path))):
        handle = os.open(name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
