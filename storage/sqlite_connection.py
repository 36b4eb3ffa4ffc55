"""Connections to a SQLite file: which SQLite, and the pragmas that each connection has."""

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event

from storage.database_files import DatabaseFiles

try:  # bundles a SQLite without the WAL-reset bug (3.7.0 to 3.51.2); it has no wheel everywhere
    import pysqlite3.dbapi2 as sqlite3
except ImportError:
    import sqlite3


def takes_json_for_unsafe() -> bool:
    """Whether our triggers need a trusted schema: SQLite 3.40 has json_valid() as unsafe."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("PRAGMA trusted_schema=0")
        connection.execute("CREATE VIEW checked AS SELECT json_valid('1')")
        try:
            connection.execute("SELECT * FROM checked")
        except sqlite3.OperationalError:
            return True
    return False


PRAGMAS: dict[str, Any] = {
    "journal_mode": "wal",
    "synchronous": 2,  # FULL: with NORMAL, a power cut can undo an acknowledged commit
    "foreign_keys": 1,
    "busy_timeout": 5000,
    "journal_size_limit": 64 * 1024 * 1024,
    "mmap_size": 0,
    "trusted_schema": int(takes_json_for_unsafe()),
    "secure_delete": 1,
}
WRITER_PRAGMAS = {"wal_autocheckpoint": 1000}
# With foreign keys on, rebuilding a table silently deletes the rows that refer to it.
MIGRATION_PRAGMAS = WRITER_PRAGMAS | {"foreign_keys": 0}
READER_PRAGMAS = {"wal_autocheckpoint": 0, "query_only": 1}


def sqlite_engine(url: URL, pragmas: dict[str, Any], begin: str | None = None) -> Engine:
    """Connections with these pragmas, verified, whose transactions start with this statement.

    Without one, whoever uses a connection begins and ends transactions.
    """
    open_file = partial(connect_to_file, DatabaseFiles(url.database))
    engine = create_engine(url, module=sqlite3, creator=open_file, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # The driver must not begin transactions itself: it does not for SELECT and DDL.
        connection.isolation_level = None
        for name, wanted in (PRAGMAS | pragmas).items():
            connection.execute(f"PRAGMA {name}={wanted}")
            (found,) = connection.execute(f"PRAGMA {name}").fetchone()
            if found != wanted:
                raise sqlite3.OperationalError(f"PRAGMA {name} is {found}, not {wanted}")
        connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1")  # opens the -wal file

    if begin:
        event.listen(engine, "begin", partial(Connection.exec_driver_sql, statement=begin))
    return engine


def connect_to_file(files: DatabaseFiles) -> Any:
    """A connection of the driver; a file is made only where there was none before."""
    mode = "rw" if files.had_database() else "rwc"
    uri = f"{Path(files.path).as_uri()}?mode={mode}"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)
