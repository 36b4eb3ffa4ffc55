"""Rows that cannot be read: what is wrong with one, and which were met lately."""

import time
from collections.abc import Callable, Iterator
from threading import Lock

from sqlalchemy.orm import Session

KEPT_SECONDS = 300  # a row that nobody has met for so long may have been mended, or deleted
MAX_KEPT = 1000  # rows; many have one cause, such as an UPDATE without WHERE
# What sessions know, in their `info`.
UNREADABLE, WRITES, CONNECTION, IDS = "unreadable", "writes", "connection", "ids"


class UnreadableRow(ValueError):
    """A row with a cell that cannot be read.

    It names the cell and never says what is in it, which may be a guest's words. `reason` goes on
    where the name of the column ends: "is no time".
    """

    def __init__(self, table: str, id: int | None, column: str, reason: str) -> None:
        super().__init__(f"{table} {id}: {column} {reason}")
        self.table, self.id, self.column, self.reason = table, id, column, reason


class UnreadableRows:
    """The unreadable rows that a process has met in the last KEPT_SECONDS, MAX_KEPT at most."""

    def __init__(self) -> None:
        self.on_new: Callable[[UnreadableRow], object] = lambda error: None
        # By what they say, and with the time: those that were met last are at the end.
        self.met: dict[str, tuple[float, UnreadableRow]] = {}
        self._lock = Lock()

    def add(self, error: UnreadableRow) -> None:
        """Note that a row was met; `on_new` is called with one that was not known."""
        with self._lock:
            self._discard_old()
            is_new = self.met.pop(str(error), None) is None
            if is_new and len(self.met) >= MAX_KEPT:
                return
            self.met[str(error)] = time.monotonic(), error
        if is_new:
            self.on_new(error)

    def discard(self, table: str, id: int | None) -> None:
        """Note that a row could be read."""
        with self._lock:
            for line, (_, error) in list(self.met.items()):
                if (error.table, error.id) == (table, id):
                    del self.met[line]

    def __iter__(self) -> Iterator[UnreadableRow]:
        with self._lock:
            self._discard_old()
            return iter([error for _, error in self.met.values()])

    def _discard_old(self) -> None:
        oldest = time.monotonic() - KEPT_SECONDS
        while self.met and (line := next(iter(self.met))) and self.met[line][0] < oldest:
            del self.met[line]


def unreadable_rows(db: Session) -> UnreadableRows:
    """Those of the process that has opened this session; new ones for a session of nobody's."""
    return db.info.get(UNREADABLE) or UnreadableRows()
