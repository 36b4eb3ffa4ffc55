"""How Alembic reaches the database, and what it may not do to it.

All pending migrations run in one transaction, and one machine migrates at a time. What operators
added to the database stays. On SQLite the transaction is rolled back if rows are missing
afterwards, or refer to rows that are gone and did not before.
"""

import os
import re
from collections.abc import Mapping

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from models import Conversation
from storage import maintenance_transaction
from storage.orphans import Orphans
from storage.postgresql_objects import PostgreSQLObjects
from storage.sqlite_objects import SQLiteObjects
from storage.versions import MigrationFailed, made_by_migrations

# SQLSTATEs of PostgreSQL: somebody has a table; a name is taken, or something depends on a column.
LOCK_NOT_AVAILABLE, IN_THE_WAY = "55P03", ("42P07", "42701", "42710", "2BP01", "0A000")
IN_THE_WAY_OF_SQLITE = re.compile("already exists|duplicate column name|there is already")
OBJECTS = {"sqlite": SQLiteObjects, "postgresql": PostgreSQLObjects}


def database_url(environ: Mapping[str, str]) -> str:
    """The URL that `smsconvo.py` hands over; DATABASE_URL for the command `alembic`."""
    if url := context.config.attributes.get("url") or environ.get("DATABASE_URL"):
        return url
    if "DATABASE_URL_FILE" in environ or "CREDENTIALS_DIRECTORY" in environ:
        raise CommandError("Alembic reads DATABASE_URL only. Run: python smsconvo.py upgrade")
    return "sqlite:///smsconvo.db"


def migrate(connection: Connection) -> bool:
    """Migrate, and keep what the operator added; CommandError where that is impossible.

    Returns whether the version is another one now.
    """
    context.configure(
        connection=connection,
        target_metadata=Conversation.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        transactional_ddl=True,
        compare_type=True,
        include_name=is_of_models,
    )
    version = context.get_context().get_current_revision()
    made = made_by_migrations(context.script.dir, version)
    try:
        objects = OBJECTS[connection.dialect.name](connection, made)
        objects.preserve(context.run_migrations)
    except MigrationFailed as error:
        raise CommandError(str(error)) from None
    except DBAPIError as error:
        if reason := describe_obstacle(error):
            raise CommandError(f"{reason} Nothing was changed.") from None
        raise
    is_changed = context.get_context().get_current_revision() != version
    if objects.found and is_changed:
        context.config.print_stdout("Kept: %s.", ", ".join(map(str, objects.found)))
    return is_changed


def is_of_models(name: str | None, type: str, _: Mapping[str, str | None]) -> bool:
    """Whether Alembic is to compare it with the models: no other table, such as of the search."""
    return type != "table" or name in Conversation.metadata.tables


def describe_obstacle(error: DBAPIError) -> str | None:
    """What somebody else's doing a migration failed for; None where that is not known."""
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate == LOCK_NOT_AVAILABLE:
        return (
            "Somebody has been reading or writing a table for some seconds, and a migration needs"
            " it alone. Run it again when that has ended: pg_stat_activity tells who it is."
        )
    if sqlstate in IN_THE_WAY or IN_THE_WAY_OF_SQLITE.search(str(error.orig)):
        reason = " ".join(str(error.orig).split()).rstrip(".")
        return (
            f"Something of your own is in the way: {reason}. Rename or drop it, and run it again."
        )
    return None


def migrate_sqlite(connection: Connection) -> None:
    """Migrate; CommandError, which rolls back, if that loses rows or leaves more orphans."""
    orphans, before = Orphans(connection), count_rows(connection)
    is_changed = migrate(connection)
    after = count_rows(connection)
    lost = [table for table in before if after.get(table, before[table]) < before[table]]
    if names := sorted({*lost, *orphans.find_new()}):
        raise CommandError(f"Rows of {', '.join(names)} would be lost. Nothing was changed.")
    if is_changed and (names := str(orphans)):
        context.config.print_stdout("Rows that refer to missing rows, as before: %s.", names)


def count_rows(connection: Connection) -> dict[str, int]:
    """The number of rows in each of our tables."""
    tables = Conversation.metadata.tables.keys() & inspect(connection).get_table_names()
    return {table: connection.scalar(text(f"SELECT count(*) FROM {table}")) for table in tables}


with maintenance_transaction(database_url(os.environ)) as connection:
    if connection.dialect.name == "sqlite":
        migrate_sqlite(connection)
    else:
        migrate(connection)
