"""Backups of SQLite: a copy of the whole database, checked and synced before it counts."""

import os
from contextlib import closing, suppress

from sqlalchemy import Engine


def back_up(engine: Engine, suffix: str) -> str:
    """Copy the database to a file of its name and this suffix; the path of the copy.

    The copy is complete, passes SQLite's integrity check and is on disk, or a ValueError says what
    is wrong and no copy is left. An existing file is never overwritten.
    """
    path = f"{engine.url.database}.{suffix}"
    try:
        verdict = _copy(engine, path)
    except FileExistsError:
        raise ValueError(f"The backup {path} is there already. Nothing was changed.") from None
    except (engine.dialect.loaded_dbapi.Error, OSError) as error:
        verdict = str(error)
    if verdict != "ok":
        with suppress(OSError):
            os.unlink(path)
        raise ValueError(f"The backup {path} is not whole: {verdict}. Nothing was changed.")
    return path


def _copy(engine: Engine, path: str) -> str:
    """Copy to a new file; "ok", or what SQLite's integrity check finds wrong with the copy."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
    source = engine.raw_connection()
    with closing(source), closing(engine.dialect.loaded_dbapi.connect(path)) as copy:
        source.driver_connection.backup(copy)
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    _sync(path)
    return verdict


def _sync(path: str) -> None:
    """Wait until the file and its name are on disk."""
    for name in (path, os.path.dirname(os.path.abspath(path))):
        handle = os.open(name, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)
