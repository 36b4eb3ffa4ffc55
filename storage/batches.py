"""Items that several threads bring, and one thread works on: all that wait, at once."""

import errno
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from storage.database import Procedure

MAX_BATCH = 64  # items that share one commit, and so one fsync
# When several items wait, more are about to: they share the commit. Starting at once would make
# this thread compete with theirs for Python's lock.
COMMIT_DELAY_SECONDS = 0.002


class Queued(NamedTuple):
    """An item that a procedure is followed for, and the future of its result."""

    procedure: Procedure
    item: Any
    future: Future[Any]
    draft: Any = None

    def is_awaited(self) -> bool:
        """Whether it was not cancelled; after the first call it can no longer be."""
        return self.future.running() or self.future.set_running_or_notify_cancel()


Batch = list[Queued]


class Batches:
    """The thread: first come, first served. `work` gets each batch, and sets all its futures."""

    def __init__(self, work: Callable[[Batch], None]) -> None:
        self._work = work
        self._queue: SimpleQueue[Queued | None] = SimpleQueue()  # None ends the thread
        self._starting = Lock()
        self._thread: Thread | None = None

    def submit(self, procedure: Procedure, item: Any) -> Future[Any]:
        """Queue an item; the future of its result. OSError if the thread cannot be started."""
        with self._starting:
            self._thread = self._thread or self._start()
        future: Future[Any] = Future()
        self._queue.put(Queued(procedure, item, future))
        return future

    def end(self, timeout: float | None = None) -> None:
        """Work on what is queued, and end the thread; wait for that no longer than `timeout`."""
        if self._thread:
            self._queue.put(None)
            self._thread.join(timeout)

    def _start(self) -> Thread:
        thread = Thread(target=self._run, name="writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise OSError(errno.EAGAIN, "No thread can be started") from None
        return thread

    def _run(self) -> None:
        while batch := self._next_batch():
            self._work(batch)

    def _next_batch(self) -> Batch:
        """What waits; nothing, if the thread is to end."""
        if (first := self._queue.get()) is None:
            return []
        if not self._queue.empty():
            time.sleep(COMMIT_DELAY_SECONDS)
        batch = [first]
        with suppress(Empty):
            while len(batch) < MAX_BATCH and batch[-1] is not None:
                batch.append(self._queue.get_nowait())
        if batch[-1] is None:
            self._queue.put(batch.pop())  # it ends after this batch
        return batch


def draft_all(db: Session, batch: Batch) -> Batch:
    """The same with their drafts."""
    drafted = []
    for procedure, same in _by_procedure(batch):
        drafts = procedure.draft_all(db, [queued.item for queued in same])
        pairs = zip(same, drafts, strict=True)
        drafted += [queued._replace(draft=draft) for queued, draft in pairs]
    return drafted


def save_drafts(db: Session, batch: Batch) -> dict[Future[Any], Any]:
    """Save the drafts that still hold: the futures of their items, each with its result."""
    saved = {}
    for procedure, same in _by_procedure([queued for queued in batch if queued.draft]):
        results = procedure.save_drafts(db, [(queued.item, queued.draft) for queued in same])
        pairs = zip(same, results, strict=True)
        saved |= {queued.future: result for queued, result in pairs if result is not None}
    return saved


def _by_procedure(batch: Sequence[Queued]) -> Iterator[tuple[Procedure, Batch]]:
    for procedure in dict.fromkeys(queued.procedure for queued in batch):
        yield procedure, [queued for queued in batch if queued.procedure == procedure]
