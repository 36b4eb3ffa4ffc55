"""Tryouts of questionnaires, one after the other."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from storage.database import ReportsBusy

# In a process. A tryout only computes, so two at once would each take twice as long.
TRYING = BoundedSemaphore(1)
WAIT_SECONDS = 5


@contextmanager
def turn_to_try() -> Iterator[None]:
    """Wait for others who try something out; ReportsBusy if that takes too long.

    Those who read the database are not held up, and do not hold this up.
    """
    if not TRYING.acquire(timeout=WAIT_SECONDS):
        raise ReportsBusy
    try:
        yield
    finally:
        TRYING.release()
