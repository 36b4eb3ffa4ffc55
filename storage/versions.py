"""The version of a database, and how it gets to the one that this program needs."""

from pathlib import Path

from sqlalchemy import inspect, text

from storage.database import Database

ROOT = Path(__file__).resolve().parents[1]
SELECT_VERSION = text("SELECT version_num FROM alembic_version")
# Changes nothing; a file that can only be read refuses it, which it would not a mere BEGIN.
TOUCH_VERSION = text("UPDATE alembic_version SET version_num = version_num")


def known_versions() -> list[str]:
    """The versions of the database that this program knows, from the first to the one it needs."""
    return sorted(path.name[:4] for path in Path(ROOT, "migrations/versions").glob("[0-9]*.py"))


def read_version(database: Database) -> tuple[str | None, bool]:
    """The version of the database, and whether there is no table in it."""
    with database.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        found = connection.scalar(SELECT_VERSION) if "alembic_version" in tables else None
    # Alembic leaves its own table when it has taken all the others away.
    return found, set(tables) <= {"alembic_version"}


def migrate(url: str, version: str = "head") -> None:
    """Bring the tables to this version, or make them; ValueError says why that cannot be."""
    from alembic import command  # takes a sixth of the start, and mostly nothing is to be migrated
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config(ROOT / "alembic.ini")
    config.attributes["url"] = url
    try:
        command.upgrade(config, version)
    except CommandError as error:
        raise ValueError(str(error)) from None
