"""Backups of SQLite: a copy of the whole database, checked and synced before it counts."""

import os
from contextlib import closing, suppress
from typing import Any

from sqlalchemy import Engine


def back_up(engine: Engine, suffix: str) -> str:
    """Copy the database to a file of its name and this suffix; the path of the copy.

    The copy is complete, passes SQLite's integrity check and is on disk, or a ValueError says what
    is wrong and no copy is left. An existing file is never overwritten.
    """
    path = f"{engine.url.database}.{suffix}"
    try:
        with closing(engine.raw_connection()) as source:
            copy_database(source.driver_connection, path)
    except FileExistsError:
        raise ValueError(f"The backup {path} is there already. Nothing was changed.") from None
    except (engine.dialect.loaded_dbapi.Error, OSError, ValueError) as error:
        reason = f"The backup {path} is not whole: {error}. Nothing was changed."
        raise ValueError(reason) from None
    return path


def copy_database(source: Any, path: str) -> None:
    """Copy all that a connection of the driver sees to a new file.

    The copy is whole and on disk, or none is left: the driver's error, an OSError, or a ValueError
    with what SQLite's integrity check found. FileExistsError: nothing was overwritten.
    """
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(type(source)(path)) as copy:
            source.backup(copy)
            (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise ValueError(verdict)
        sync(path)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def sync(path: str) -> None:
    """Wait until the file and its name are on disk."""
    for name in (path, os.path.dirname(os.path.abspath(path))):
        handle = os.open(name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
