"""Work that takes turns: however many ask at once, few threads wait for it, and texts go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore, Lock

from storage.database import ReportsBusy

WAITING = 4  # who may wait for their turn
WAIT_SECONDS = 5


class Turns:
    """Lets one work at a time in a process."""

    def __init__(self) -> None:
        self._places, self._turn = BoundedSemaphore(1 + WAITING), Lock()

    @contextmanager
    def take(self) -> Iterator[None]:
        """Wait for the others; ReportsBusy if that takes too long, or too many wait already."""
        if not self._places.acquire(blocking=False):
            raise ReportsBusy
        try:
            if not self._turn.acquire(timeout=WAIT_SECONDS):
                raise ReportsBusy
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()


# A tryout only computes, so two at once would each take twice as long. Those who read the database
# are not held up, and do not hold this up.
TRYING = Turns()
# Shared results are read by people without an account, perhaps by all guests at once.
SHARING = Turns()
