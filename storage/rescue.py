"""Saves what only this process can still reach, when the files of its database were taken away."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

from storage.backup import copy_database, sync
from storage.database import Rescue
from storage.database_files import (
    OVERWRITTEN,
    RESCUED,
    SHM,
    WAL,
    DatabaseFiles,
    FileId,
    OpenFile,
    find_open_files,
    id_of,
    look_at,
)


def rescue(
    files: DatabaseFiles, connection: Any, reason: str, announce: Callable[[str], object]
) -> Rescue:
    """Bring all that `connection`, of the driver, can see into a file that has a name.

    The connection is on the files that were opened, wherever they are now, and nobody in this
    process writes to them any more. `reason`: what happened to them, a sentence. `announce` gets
    one before what may take minutes.
    """
    saving = f"{reason} Process {os.getpid()} is saving what was recorded: do not stop it."
    try:
        location = save(files, connection, partial(announce, saving))
    except (connection.Error, OSError, ValueError) as error:
        warning = (
            f"What was recorded cannot be saved: {short_reason(error)}. Only process"
            f" {os.getpid()} can reach it, and tries again: do not stop it before it says where"
            " everything is."
        )
        return Rescue(f"{reason} {warning}", False)
    obstacle = None
    with suppress(OSError):  # all is safe, whatever cannot be looked at now
        obstacle = files.find_obstacle()
    return Rescue(" ".join(filter(None, (reason, location, obstacle))), True)


def short_reason(error: Exception) -> str:
    """Without the path, which is another one at each attempt."""
    return getattr(error, "strerror", None) or str(error)


def save(files: DatabaseFiles, connection: Any, announce: Callable[[], object]) -> str:
    """Do it, in the way that changes least; a sentence that says where everything is."""
    if files.is_overwritten:
        set_log_aside(files)
        return "What it held is lost."
    if location := find_complete(files):
        return f"All that was recorded is in {location}."
    announce()
    if is_log_free(files) and checkpoint(connection):
        return f"All that was recorded is in {files.path}."
    return f"All that was recorded is in {copy_beside(files, connection)}."


def find_complete(files: DatabaseFiles) -> str | None:
    """Where the opened database lies with its log beside it; None if it lies nowhere so."""
    open_files = find_open_files()
    path = open_files.get(files.opened.database, OpenFile(files.path, 0)).path
    if find_id(path) != files.opened.database:
        return None  # it was deleted
    if find_id(path + WAL) == files.opened.wal:
        return f"{path} and {path}{WAL}"
    log = open_files.get(files.opened.wal)
    return path if log and not log.size else None


def is_log_free(files: DatabaseFiles) -> bool:
    """Whether SQLite can write its log, which has lost its name, back into the database.

    Not if others can have opened the database without seeing this log: they share neither its
    content nor its locks, and a -wal file of theirs would be applied to what is written here.
    """
    opened, found = files.opened, files.look()
    log = look_at(files.path + WAL)
    return (
        (found.database, found.names) == (opened.database, 1)
        and found.shm in (opened.shm, None)
        and not (log and log.st_size)
    )


def checkpoint(connection: Any) -> bool:
    """Write the whole log back into the database; whether that went well."""
    with suppress(connection.Error):
        connection.execute("PRAGMA query_only = 0")
        (is_busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not is_busy
    return False


def copy_beside(files: DatabaseFiles, connection: Any) -> str:
    """Copy the database to where it should be, under another name; the path of the copy."""
    timestamp = time_suffix()
    path, partial = (f"{files.path}{name}{timestamp}" for name in (RESCUED, ".partial-"))
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    copy_database(connection, partial)
    os.rename(partial, path)
    sync(path)
    if look_at(files.path):
        remove_log(files)
    return path


def set_log_aside(files: DatabaseFiles) -> None:
    """Copy the log, and empty it: SQLite would apply it to what is in the database now.

    It would do so even without its name, when this process closes its last connection.
    """
    log = files.path + WAL
    if find_id(log) == files.opened.wal:
        copy = f"{files.path}{OVERWRITTEN}{time_suffix()}"
        shutil.copy(log, copy)
        sync(copy)
        os.truncate(log, 0)
    remove_log(files)


def remove_log(files: DatabaseFiles) -> None:
    """Remove the log, which was copied: SQLite would apply it to the file that is there now."""
    for suffix, opened in ((WAL, files.opened.wal), (SHM, files.opened.shm)):
        if find_id(files.path + suffix) == opened:
            os.unlink(files.path + suffix)


def time_suffix() -> str:
    return datetime.now(UTC).strftime("%Y%m%d-%H%M%S-%f")


def find_id(path: str) -> FileId | None:
    return id_of(look_at(path))
