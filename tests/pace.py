"""How long other texts may have to wait for one, on this machine at this moment."""

import time
from collections.abc import Callable

from models.text import normalize

LIMIT_SECONDS = 0.05
TRIES = 3  # of what seems slow: the machine may have been busy
LONGEST = 1600
PLAIN = ("I would like the blue one, s’il vous plaît " * 40)[:LONGEST]


def limit() -> float:
    """Seconds: LIMIT_SECONDS, or on a slow machine as many as plain work takes.

    What a text may cause takes half of that work at most, or 0.03 s for a pattern.
    """
    return max(LIMIT_SECONDS, least_seconds(lambda: [normalize(PLAIN) for _ in range(100)]))


def is_slow(function: Callable, *arguments: object) -> bool:
    """Whether it takes longer than `limit` whenever it is tried; mostly it is quick at once."""
    return (
        seconds(function, *arguments) > LIMIT_SECONDS
        and least_seconds(function, *arguments) > limit()
    )


def least_seconds(function: Callable, *arguments: object) -> float:
    return min(seconds(function, *arguments) for _ in range(TRIES))


def seconds(function: Callable, *arguments: object) -> float:
    """What it takes of a processor in this thread, whatever else runs."""
    started = time.thread_time()
    function(*arguments)
    return time.thread_time() - started
