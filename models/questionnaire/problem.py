"""What is wrong with a questionnaire file, in one sentence with its cure."""

from typing import NamedTuple


class Problem(NamedTuple):
    """An error, or with `is_error` false a warning, and its place in a file."""

    location: str
    sentence: str
    is_error: bool = True
    file: str = ""

    @property
    def part(self) -> str:
        """The question, or the line of the file, that it is about."""
        return self.location.partition(", ")[0]

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.file, self.location, self.sentence)))
