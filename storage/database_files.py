"""The files of a SQLite database: whether those that are open are still those of its name.

SQLite goes on with files that were moved, replaced or deleted, and the next process would not find
what it writes (https://www.sqlite.org/howtocorrupt.html). Nothing here opens a file of a database:
to close it again would release the locks that SQLite holds on it in this process.
"""

import os
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from glob import escape, glob
from shlex import join, quote
from typing import NamedTuple

from storage.database import DatabaseBroken

WAL, SHM = "-wal", "-shm"  # as SQLite names them
# What a lock file ends with: of all that write, and of the server.
WRITE_LOCK, SERVER_LOCK = "-gate", "-server"
RESCUED = ".rescued-"  # and a time: a copy of a database whose files were taken away
OVERWRITTEN = ".overwritten-"  # and a time: the log of a database that was written over
OPEN_FILES = "/proc/self/fd"
MANY_COPIES = ("hold", "the newest", "these copies")  # what is said of more than one

FileId = tuple[int, int]  # device and inode


class Files(NamedTuple):
    """The files that have the names of a database; None where there is none."""

    database: FileId | None
    wal: FileId | None
    shm: FileId | None
    linked: FileId | None  # where a symbolic link leads that DATABASE_URL names
    names: int  # of the database file


class OpenFile(NamedTuple):
    """A file that this process has open: the path where it is now, if any, and its bytes."""

    path: str
    size: int
    handle: int | None = None


class DatabaseFiles:
    """The files of the database of this name; symbolic links are resolved, as SQLite does it."""

    def __init__(self, name: str) -> None:
        self.name = os.path.abspath(name)
        self.path = os.path.realpath(name)
        self._names = dict.fromkeys((self.path, self.name))  # often they are the same
        self.opened: Files | None = None  # those that this process works on
        self.is_overwritten = False
        self._expected: FileId | None = None  # the database file, once it is known
        self._size = 0  # of the database file when it was last looked at

    def had_database(self) -> bool:
        """Whether lock files show that there is a database, or was one."""
        locks = (WRITE_LOCK, SERVER_LOCK)
        return any(os.path.exists(path + lock) for path in self._names for lock in locks)

    def look(self) -> Files:
        """The files that have the names now; OSError if that cannot be seen."""
        database = look_at(self.path)
        linked = look_at(self.name, follow=True) if self.name != self.path else database
        return Files(
            id_of(database),
            id_of(look_at(self.path + WAL)),
            id_of(look_at(self.path + SHM)),
            id_of(linked),
            database.st_nlink if database else 0,
        )

    def remember(self) -> None:
        """Take the files that have the names now for those that a connection has just opened."""
        found, open_files = self.look(), find_open_files()
        if open_files and not {found.database, found.wal} <= open_files.keys():
            raise DatabaseBroken(f"{self.path} was replaced while it was opened.")
        if found.names > 1:
            raise DatabaseBroken(describe_links(self.path))
        self.opened = found
        self._expected = found.database

    def check(self) -> None:
        """Raise DatabaseBroken if the names are no longer those of the files that were opened."""
        if difference := self.describe_difference():
            raise DatabaseBroken(difference)

    def describe_difference(self) -> str | None:
        """What became of the files that were opened: a sentence; None if they have their names."""
        found, opened = self.look(), self.opened
        if self.is_overwritten:
            return f"{self.path} was overwritten while it was in use."
        if found == opened or opened is None:
            return None
        if found.database is None:
            what = f"{self.path} was moved or deleted"
        elif found.database != opened.database:
            what = f"{self.path} was replaced by another file"
        elif found.names != opened.names:
            what = f"{self.path} was given another name, a hard link,"
        elif found.linked != opened.linked:
            what = f"The symbolic link {self.name} was changed"
        else:
            suffix = WAL if found.wal != opened.wal else SHM
            what = f"{self.path}{suffix} was moved, replaced or deleted"
        return f"{what} while it was in use."

    def is_smaller(self) -> bool:
        """Whether the database file is smaller than when it was looked at last."""
        before, self._size = self._size, os.stat(self.path).st_size
        return self._size < before

    def look_again(self) -> None:
        """Have the next look find it smaller once more: why it is was not to be found out."""
        self._size = sys.maxsize

    def expect(self) -> None:
        """Take the database that has the name now for the one that must be there from now on."""
        self._expected = id_of(look_at(self.path))

    def find_obstacle(self) -> str | None:
        """Why nobody may go on with this database before the operator has acted: a sentence."""
        database = look_at(self.path)
        if database and not stat.S_ISREG(database.st_mode):
            return f"{self.path} is no file. Let DATABASE_URL name one in which to keep a database."
        if copies := self._find(RESCUED):
            return describe_rescued(copies)
        if logs := self._find(OVERWRITTEN):
            return describe_overwritten(logs[-1])
        if (self._expected or self.had_database()) and not (database and database.st_size):
            return describe_missing(self.path)
        if os.path.realpath(self.name) != self.path or self._expected not in (
            None,
            id_of(database),
        ):
            return (
                f"{self.name} is another file than before. To go on with it, start smsconvo again."
            )
        return describe_links(self.path) if database and database.st_nlink > 1 else None

    def _find(self, kind: str) -> list[str]:
        """The files that were put beside the database, the oldest first."""
        found = [copy for path in self._names for copy in glob(f"{escape(path + kind)}*")]
        return sorted(found, key=lambda copy: copy.rpartition(kind)[2])


def describe_rescued(copies: Sequence[str]) -> str:
    """What rescued copies are, and the command that puts the newest in place."""
    path, _, time = copies[-1].rpartition(RESCUED)
    hold, it, them = ("holds", "it", "this copy") if not copies[1:] else MANY_COPIES
    another = "another database, put that in place in the same way, and"
    if (database := look_at(path, follow=True)) and database.st_size:
        another = "the database that is there now, only"
    return (
        f"{' and '.join(copies)} {hold} what was recorded when the files of {path} were taken away."
        f" To go on with {it}: {put_in_place(copies, path, f'{path}.aside-{time}')}."
        f" To go on with {another} move {them} to another folder."
    )


def put_in_place(copies: Sequence[str], path: str, folder: str) -> str:
    """The command that makes the newest copy the database, and overwrites or deletes nothing.

    All that is in its way goes to a folder: another database, which may be newer, and its log.
    """
    *older, newest = copies
    in_way = [file for file in (path, path + WAL, path + SHM) if os.path.lexists(file)]
    if aside := in_way + older:
        moves = (["mkdir", folder], ["mv", *aside, folder], ["mv", newest, path])
    else:
        moves = (["mv", newest, path],)
    return " && ".join(map(join, moves))


def describe_overwritten(log: str) -> str:
    path = log.rpartition(OVERWRITTEN)[0]
    return (
        f"{log} is what was recorded last when another file was written over {path}, and of no use"
        f" without the rest. Put a whole backup in the place of {path}, and delete {log}."
    )


def describe_missing(path: str) -> str:
    return (
        f"{path} is missing or empty, although there was a database. Put it back, with its -wal"
        f" file, or a backup without one. For a new database, delete {path}{WRITE_LOCK} and"
        f" {path}{SERVER_LOCK}."
    )


def describe_links(path: str) -> str:
    return (
        f"{path} has another name, a hard link, under which SQLite would not see what is written"
        f" here. Delete the other one, which this finds: find / -xdev -samefile {quote(path)}"
    )


def find_open_files() -> dict[FileId, OpenFile]:
    """All files that this process has open; none where the system does not tell."""
    files = {}
    with suppress(FileNotFoundError):
        for handle in os.listdir(OPEN_FILES):
            link = f"{OPEN_FILES}/{handle}"
            with suppress(OSError):  # it was closed meanwhile
                if file := look_at(link, follow=True):
                    files[id_of(file)] = OpenFile(os.readlink(link), file.st_size, int(handle))
    return files


def look_at(path: str, follow: bool = False) -> os.stat_result | None:
    """The file of this path, which may be a link itself unless we follow it; None without one."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.stat(path, follow_symlinks=follow)
    return None


def id_of(file: os.stat_result | None) -> FileId | None:
    return (file.st_dev, file.st_ino) if file else None
