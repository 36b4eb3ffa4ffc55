"""How Alembic reaches the database, and what it may not do to it.

All pending migrations run in one transaction, and one machine migrates at a time. On SQLite the
transaction is rolled back if rows are missing afterwards, or refer to rows that are.
"""

import os
from collections.abc import Mapping

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from models import Conversation
from storage import maintenance_transaction

LOCK_NOT_AVAILABLE = "55P03"


def database_url(environ: Mapping[str, str]) -> str:
    """The URL that `smsconvo.py` hands over; DATABASE_URL for the command `alembic`."""
    if url := context.config.attributes.get("url") or environ.get("DATABASE_URL"):
        return url
    if "DATABASE_URL_FILE" in environ or "CREDENTIALS_DIRECTORY" in environ:
        raise CommandError("Alembic reads DATABASE_URL only. Run: python smsconvo.py upgrade")
    return "sqlite:///smsconvo.db"


def migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Conversation.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        compare_type=True,
    )
    context.run_migrations()


def migrate_sqlite(connection: Connection) -> None:
    """Migrate; CommandError, which rolls back, if that loses rows or leaves orphans."""
    before = count_rows(connection)
    migrate(connection)
    after = count_rows(connection)
    lost = [table for table in before if after.get(table, before[table]) < before[table]]
    orphans = connection.execute(text("PRAGMA foreign_key_check")).fetchall()
    if lost or orphans:
        names = sorted({*lost, *(table for table, *_ in orphans)})
        raise CommandError(f"Rows of {', '.join(names)} would be lost. Nothing was changed.")


def count_rows(connection: Connection) -> dict[str, int]:
    """The number of rows in each table."""
    tables = inspect(connection).get_table_names()
    return {
        table: connection.scalar(text(f'SELECT count(*) FROM "{table}"'))
        for table in tables
        if table != "alembic_version"
    }


def migrate_postgresql(connection: Connection) -> None:
    """Migrate beside running servers; CommandError if one holds a table for too long."""
    try:
        migrate(connection)
    except OperationalError as error:
        if error.orig.sqlstate != LOCK_NOT_AVAILABLE:
            raise
        raise CommandError(
            "Somebody has been reading or writing a table for some seconds, and a migration needs"
            " it alone. Nothing was changed. Run it again when that has ended: pg_stat_activity"
            " tells who it is."
        ) from None


with maintenance_transaction(database_url(os.environ)) as connection:
    if connection.dialect.name == "sqlite":
        migrate_sqlite(connection)
    else:
        migrate_postgresql(connection)
