"""What the processes of a server count, in memory that they share: no request writes to a disk.

Each process adds to a row of its own, so that none waits for another. A process that is replaced
leaves its row, so no count ever falls before the whole server ends.
"""

import os
import re
import time
from bisect import bisect_left
from collections import Counter
from multiprocessing import RawArray
from threading import Lock
from typing import Any, NamedTuple, Self

ROWS = 64  # a process takes the next one; whoever had it 64 processes ago has ended
HOUR = 3600  # seconds
HOURS = 24  # that `refused_lately` looks back, of which the first is not whole
# Upper bounds of the seconds that a turn takes: Twilio waits for 15.
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)
CODE = re.compile("[0-9]{1,9}")
MAX_CODES = 40  # of Twilio's errors, that a process counts apart; others count as 0
SIGNATURE = "the signature does not match"
ANOTHER = "another reason, which the log has"
# Why a request is refused, as in the log. Whatever is not here counts as ANOTHER: a stranger must
# not make names, and each name takes memory for each hour.
REASONS = (
    SIGNATURE,
    "the AccountSid is not ours",
    "the path is not UTF-8",
    "as many pages as may be are being read",
    "the Body may be in another field",
    "names no message of ours, or no status",
    "the MessageSid is malformed",
    "a field is missing",
    "From or To is missing, or no address",
    "a field is there twice",
    "the MessageSid is of another message",
    "not a form",
    "no Content-Length",
    "too long",
    "not a well-formed form",
    "as many requests as may be are in flight, and none has ended lately",
    "nobody is signed in to the console",
    "the operator may only look",
    "it comes from another site",
    "the link of the console was used, or is too old",
    "the form has not one password",
    "the console needs HTTPS",
    "the password of the console is wrong",
    "too many passwords were tried",
    "an act does not fit any more",
    "there is no such row or file",
    "there is no such file",
    "a filter makes no sense",
    "the key of the metrics is wrong",
    "404 Not Found",
    "405 Method Not Allowed",
    "the database did not answer",
    "smsconvo failed",
    ANOTHER,
)
OF_STATUS = {500: "smsconvo failed", 503: "the database did not answer"}  # the log says where

# A row: these cells, then a block for each hour, which begins with the number of the hour.
BEAT, REPLIES, NANOSECONDS = range(3)
TURNS = 3  # by the bound that they come below, and those above all
CODES = TURNS + len(BOUNDS) + 1  # code and count in turns; the first is for all others
REFUSED = CODES + 2 * MAX_CODES
BLOCKS = REFUSED + len(REASONS)
BLOCK = 1 + len(REASONS)
WIDTH = BLOCKS + HOURS * BLOCK


class Turns(NamedTuple):
    """How long the turns took: how many came below each bound, and above all; and the sum."""

    counts: list[int]
    seconds: float


class SharedCounts:
    """Counts of all processes that have this from the one that made it, by fork or pickle."""

    def __init__(self, cells: Any = None, row: int = 0, started_at: float = 0) -> None:
        self._cells = RawArray("Q", ROWS * WIDTH) if cells is None else cells
        self._row, self._at, self._lock = row, row * WIDTH, Lock()
        self.started_at = started_at or time.time()

    def give_rows(self) -> Self:
        """Have each process that is forked from this one count in another row."""
        parent = os.getpid()
        os.register_at_fork(before=lambda: self._advance() if os.getpid() == parent else None)
        return self

    def _advance(self) -> None:
        self._row = (self._row + 1) % ROWS
        self._at = self._row * WIDTH

    def __reduce__(self) -> tuple[Any, ...]:
        self._advance()
        return SharedCounts, (self._cells, self._row, self.started_at)

    def add_turn(self, seconds: float, has_reply: bool) -> None:
        """A text was answered after this time, be it a repeat, with a reply or without."""
        cells, at = self._cells, self._at
        with self._lock:
            cells[at + TURNS + bisect_left(BOUNDS, seconds)] += 1
            cells[at + NANOSECONDS] += int(seconds * 1e9)
            cells[at + REPLIES] += has_reply

    def add_refused(self, reason: str, status: int) -> None:
        """A request was refused, for one of REASONS or another."""
        known = reason if reason in REASONS else OF_STATUS.get(status, ANOTHER)
        number, hour = REASONS.index(known), int(time.time()) // HOUR
        cells, block = self._cells, self._at + BLOCKS + hour % HOURS * BLOCK
        with self._lock:
            if cells[block] != hour:
                cells[block : block + BLOCK] = [hour] + [0] * len(REASONS)
            cells[block + 1 + number] += 1
            cells[self._at + REFUSED + number] += 1

    def add_undelivered(self, code: str | None) -> None:
        """Twilio has reported that a reply did not arrive, with this code of an error."""
        number = int(code) if code and CODE.fullmatch(code) else 0
        cells, first = self._cells, self._at + CODES
        with self._lock:
            for at in range(first + 2, first + 2 * MAX_CODES, 2):
                if number and cells[at] in (0, number):
                    cells[at] = number
                    break
            else:
                at = first
            cells[at + 1] += 1

    def beat(self) -> None:
        """Note that the worker of this process runs."""
        self._cells[self._at + BEAT] = int(time.time())

    @property
    def last_beat(self) -> int | None:
        """When a worker last ran, as a Unix time; None if none has."""
        return max(self._column(BEAT)) or None

    @property
    def replies(self) -> int:
        """How many turns had a reply."""
        return sum(self._column(REPLIES))

    def turns(self) -> Turns:
        """How many there were, and how long they took."""
        counts = [sum(self._column(TURNS + number)) for number in range(len(BOUNDS) + 1)]
        return Turns(counts, sum(self._column(NANOSECONDS)) / 1e9)

    def refused(self) -> Counter[str]:
        """How many requests were refused since the start, by reason."""
        return Counter({r: sum(self._column(REFUSED + n)) for n, r in enumerate(REASONS)})

    def refused_lately(self) -> Counter[str]:
        """The same of the last HOURS."""
        first, found = int(time.time()) // HOUR - HOURS + 1, Counter[str]()
        for row in range(0, len(self._cells), WIDTH):
            for block in range(row + BLOCKS, row + WIDTH, BLOCK):
                hour, *counts = self._cells[block : block + BLOCK]
                if hour >= first:
                    found.update(dict(zip(REASONS, counts, strict=True)))
        return found

    def undelivered(self) -> Counter[int]:
        """How many replies did not arrive since the start, by code; 0 is any other."""
        found = Counter[int]()
        for number in range(MAX_CODES):
            at = CODES + 2 * number
            for code, count in zip(self._column(at), self._column(at + 1), strict=True):
                found[code] += count
        return found

    def _column(self, cell: int) -> list[int]:
        return self._cells[cell::WIDTH]
