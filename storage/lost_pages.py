"""Whether a database file that became smaller has lost what SQLite needs of it.

SQLite itself only cuts off pages that nobody needs any more. Each page that it does need is in the
database file or in the -wal file: https://www.sqlite.org/fileformat.html and walformat.html.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from storage.database_files import WAL, DatabaseFiles, find_open_files

WAL_HEADER, FRAME_HEADER = 32, 24  # bytes; a frame is its header and a page
DAMAGE = (11, 26)  # SQLITE_CORRUPT, SQLITE_NOTADB
LOCK_BYTE = 0x40000000  # SQLite locks the page that holds it, and keeps nothing there


def has_lost_pages(files: DatabaseFiles, connection: Any) -> bool | None:
    """Whether something else has cut the file off; None if there is no telling now.

    `connection`, of the driver, is on these files, and in no transaction.
    """
    try:
        return bool(find_lost_pages(files, connection))
    except connection.Error as error:
        code = getattr(error, "sqlite_errorcode", None) or 0
        return True if code & 0xFF in DAMAGE else None
    except OSError:  # one was taken away, which the next look finds
        return None


def find_lost_pages(files: DatabaseFiles, connection: Any) -> set[int]:
    """The numbers of the pages behind the end of the file that are not in the -wal file either.

    In a transaction that reads: until its end nobody begins the -wal file anew, or cuts off what
    it can see.
    """
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT name FROM sqlite_schema").fetchall()
        ((size,),) = connection.execute("PRAGMA page_size").fetchall()
        count = count_pages(files)
        behind = set(range(os.stat(files.path).st_size // size + 1, count + 1))
        behind.discard(LOCK_BYTE // size + 1)
        return behind.difference(pages_in_log(files.path + WAL)) if behind else behind
    finally:
        with suppress(connection.Error):
            connection.execute("ROLLBACK")


def count_pages(files: DatabaseFiles) -> int:
    """How many pages the last commit left, by the -shm file; 0 if nobody knows.

    What SQLite says itself comes from the file that may have been written over. Closing a handle of
    ours would release its locks, so this reads with its own.
    """
    index = find_open_files().get(files.opened.shm)
    header = os.pread(index.handle, 24, 0) if index else b""
    return int.from_bytes(header[20:], sys.byteorder)


def pages_in_log(path: str) -> Iterator[int]:
    """The numbers of the pages in a -wal file, up to what is left of earlier ones.

    SQLite has no locks on this file that would be lost when it is closed here.
    """
    with open(path, "rb") as log:
        header = log.read(WAL_HEADER)
        size, salt = int.from_bytes(header[8:12]), header[16:24]
        while (frame := log.read(FRAME_HEADER)) and frame[8:16] == salt:
            yield int.from_bytes(frame[:4])
            log.seek(size, os.SEEK_CUR)
