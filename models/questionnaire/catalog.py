"""The questionnaires in use, and which of them a text opens."""

from collections.abc import Iterator

import msgspec

from models.questionnaire.schema import Questionnaire


class Catalog:
    """The questionnaires in use, by name (the file's, without its ending)."""

    def __init__(self, questionnaires: dict[str, Questionnaire]) -> None:
        self._named = questionnaires

    def __iter__(self) -> Iterator[tuple[str, Questionnaire]]:
        return iter(self._named.items())

    def with_results_url(self, url: str) -> "Catalog":
        """The same, with all results going to `url`."""
        return Catalog({name: one.with_results_url(url) for name, one in self})

    def select(self, name: str) -> "Catalog":
        """The one of this name, on every number; ValueError where there is none."""
        if name not in self._named:
            raise ValueError(f"{name}.toml: is not there, and was asked for. Add it.")
        return Catalog({name: msgspec.structs.replace(self[name], to=())})

    def opened_by(self, text: str, number: str) -> str | None:
        """The name of the questionnaire that `text` to our `number` opens, if there is one.

        Those that name our number come first, and among them an exact event comes first.
        """
        named = [name for name, one in self if number in one.to]
        others = [name for name, one in self if not one.to]
        for candidates in (named, others):
            exact = [name for name in candidates if self[name].is_opened_by(text)]
            if opened := exact or [name for name in candidates if self[name].event is None]:
                return opened[0]
        return None

    def __getitem__(self, name: str) -> Questionnaire:
        return self._named[name]
