"""How long a report has read, so that it can end in time."""

from time import monotonic


class Stopwatch:
    """It runs from when it is made."""

    def __init__(self) -> None:
        self._started_at = monotonic()

    @property
    def seconds(self) -> float:
        """That have passed, whatever is done to the clock of the machine."""
        return monotonic() - self._started_at
