"""What the processes of one `serve` share beside a SQLite database: who saves what all can reach.

All have the same files open. When those were taken away, one saves what is in them, and nobody
writes to them any more. What they tell each other is in memory, for the disk may be full.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import Structure, c_bool, c_char, c_uint64
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, lockf
from multiprocessing.reduction import DupFd
from multiprocessing.sharedctypes import RawValue
from tempfile import mkstemp
from typing import Any, NamedTuple

from storage.database import WRITE_TIMEOUT_SECONDS, Rescue
from storage.database_files import Files

SAVING, WRITING = range(2)  # the bytes of a file that are locked; it holds nothing
RETRY_SECONDS = 0.01


class _Memory(Structure):
    _fields_ = [
        ("number", c_uint64),  # how often something was told
        ("ids", c_uint64 * 6),  # of the files that it is about
        ("is_safe", c_bool),
        ("why", c_char * 8192),
    ]


class Notice(NamedTuple):
    """What another process does about files that were taken away."""

    why: str  # what happened to them, a sentence
    is_safe: bool  # whether all is saved; else it was saving, or still is


class Siblings:
    """One end of what is shared; each process has another, from the one that made it.

    The locks are those of a process: the kernel takes them away when it ends, however that is.
    """

    def __init__(self, handle: int | None = None, memory: Any = None) -> None:
        self._handle = _open_nameless() if handle is None else handle
        self._memory = RawValue(_Memory) if memory is None else memory
        self._seen = 0

    def __reduce__(self) -> tuple[Any, ...]:
        return _receive, (DupFd(self._handle), self._memory)

    def begin(self) -> None:
        """Files are about to be opened: whatever was told is about earlier ones.

        The kernel may give these the ids that those had.
        """
        self._seen = self._memory.number

    def find(self, opened: Files) -> Notice | None:
        """What was told of these files since they were opened."""
        memory = self._memory
        if memory.number == self._seen or list(memory.ids) != _ids(opened):
            return None
        return Notice(os.fsdecode(memory.why), memory.is_safe)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Commit in here, after a look at what was told: who begins to save waits until then."""
        lockf(self._handle, LOCK_SH, 1, WRITING)
        try:
            yield
        finally:
            lockf(self._handle, LOCK_UN, 1, WRITING)

    def save_once(self, opened: Files, why: str, save: Callable[[], Rescue]) -> Rescue:
        """What became of these files: what `save` returns, unless another has saved all of them.

        From then on the others wait in here until this process ends. So the next one takes over if
        it is killed.
        """
        lockf(self._handle, LOCK_EX, 1, SAVING)
        if (notice := self.find(opened)) and notice.is_safe:
            return Rescue(None, is_safe=True)
        self._post(opened, Notice(why, is_safe=False))
        self._wait_for_writers()
        rescue = save()
        self._post(opened, Notice(why, rescue.is_safe))
        return rescue

    def _post(self, opened: Files, notice: Notice) -> None:
        memory = self._memory
        memory.ids[:] = _ids(opened)
        memory.why = os.fsencode(notice.why)[: _Memory.why.size - 1]
        memory.is_safe = notice.is_safe
        memory.number += 1

    def _wait_for_writers(self) -> None:
        """Until all have ended who have not seen what was told; or nobody waits for them any more.

        It does not wait in the kernel, which takes the threads of a process for one, and so would
        see a deadlock.
        """
        deadline = time.monotonic() + WRITE_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            with suppress(BlockingIOError, PermissionError):
                lockf(self._handle, LOCK_EX | LOCK_NB, 1, WRITING)
                lockf(self._handle, LOCK_UN, 1, WRITING)
                return
            time.sleep(RETRY_SECONDS)


def _receive(handle: Any, memory: Any) -> Siblings:
    return Siblings(handle.detach(), memory)


def _open_nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("siblings")
    handle, path = mkstemp()
    os.unlink(path)
    return handle


def _ids(files: Files) -> Sequence[int]:
    found = (files.database, files.wal, files.shm)
    return [number for id in found for number in id or (0, 0)]
