"""The version of a database, and how it gets to the one that this program needs."""

import sys
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine, inspect, text
from sqlalchemy.orm import Session

from storage.database import Database
from storage.sqlite_connection import sqlite3

ROOT = Path(__file__).resolve().parents[1]
SELECT_VERSION = text("SELECT version_num FROM alembic_version")
FTS5 = text("SELECT count(*) FROM pragma_module_list WHERE name = 'fts5'")
MADE = text(
    "SELECT name FROM sqlite_master UNION ALL SELECT made.name || '.' || columns.name"
    " FROM sqlite_master AS made JOIN pragma_table_info(made.name) AS columns"
    " WHERE made.type = 'table'"
)
# A row that a migration or another machine's check has locked is left alone: that is no trouble.
TOUCH_VERSION = """UPDATE alembic_version SET version_num = version_num WHERE version_num IN
(SELECT version_num FROM alembic_version {skip_locked})"""


class MigrationFailed(Exception):
    """Why the tables could not be migrated: a sentence for the operator."""


def known_versions() -> list[str]:
    """The versions of the database that this program knows, up to the one that it needs."""
    return sorted(path.name[:4] for path in Path(ROOT, "migrations/versions").glob("[0-9]*.py"))


def read_version(database: Database) -> tuple[str | None, bool]:
    """The version of the database, None without one, and whether the database has no tables."""
    with database.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        version = connection.scalar(SELECT_VERSION) if "alembic_version" in tables else None
    # Alembic leaves its own table behind when a downgrade removes all others.
    return version, set(tables) <= {"alembic_version"}


def has_full_text(database: Database) -> bool:
    """Whether the search can work: not every SQLite has FTS5."""
    if database.engine.dialect.name != "sqlite":
        return True
    with database.engine.connect() as connection:
        return bool(connection.scalar(FTS5))


def check_writable(database: Database) -> None:
    """Commit a transaction that writes, but changes nothing; raise what keeps it from that.

    A BEGIN alone would not do: SQLite refuses a read-only file only at the first write.
    """
    database.write(_touch)


def _touch(db: Session) -> None:
    on_postgresql = db.connection().dialect.name == "postgresql"
    skip_locked = "FOR UPDATE SKIP LOCKED" if on_postgresql else ""
    db.execute(text(TOUCH_VERSION.format(skip_locked=skip_locked)))


@cache  # it takes longer than a migration of a small database
def made_by_migrations(folder: str, version: str | None) -> frozenset[str]:
    """The names of all that the migrations up to a version make: tables, views, indexes, columns.

    A column has its table before it, like `answers.value`. The migrations of the folder are run on
    an empty database in memory, so that nobody has to keep a list.
    """
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    revisions = ScriptDirectory(folder).iterate_revisions(version, "base") if version else ()
    engine = create_engine("sqlite://", module=sqlite3)
    with engine.connect() as connection:
        with Operations.context(MigrationContext.configure(connection)):
            for revision in reversed(list(revisions)):
                revision.module.upgrade()
        made = frozenset(connection.scalars(MADE))
    engine.dispose()
    return made | {"alembic_version", "alembic_version.version_num"}


def made_by_program() -> frozenset[str]:
    """The names of all that the migrations of this program make; see `made_by_migrations`."""
    return made_by_migrations(str(ROOT / "migrations"), known_versions()[-1])


def migrate(url: str, version: str = "head") -> None:
    """Create the tables, or bring them to this version; MigrationFailed says why that cannot be."""
    from alembic import command  # takes a sixth of the start, and mostly there is nothing to do
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(ROOT / "alembic.ini", stdout=sys.stdout)
    config.attributes["url"] = url
    try:
        command.upgrade(config, version)
    except CommandError as error:
        raise MigrationFailed(str(error)) from None
