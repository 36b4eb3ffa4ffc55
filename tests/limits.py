"""Requests that are cut at a limit which is as short as this machine can make them in."""

from collections.abc import Callable
from typing import TypeVar

from patching import Patches

Outcome = TypeVar("Outcome")
SECONDS = (0.3, 3, 30)  # a busy machine takes long to connect at all


def cut(
    patch: Patches, name: str, ask: Callable[[], Outcome], error: Callable[[Outcome], str]
) -> tuple[float, Outcome]:
    """What `ask` returns once it has connected within a limit of the HTTP client, and the limit."""
    for seconds in SECONDS:
        patch("worker.http_client", name, seconds)
        outcome = ask()
        if "No connection within" not in error(outcome):
            break
    return seconds, outcome
