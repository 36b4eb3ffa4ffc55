"""The questionnaires in use, and which of them a text opens."""

from collections.abc import Iterator, Mapping

import msgspec

from models.questionnaire.schema import Questionnaire


class Catalog:
    """The questionnaires in use, by name (the file's, without its ending)."""

    def __init__(self, questionnaires: Mapping[str, Questionnaire]) -> None:
        self._by_name = questionnaires

    def __iter__(self) -> Iterator[tuple[str, Questionnaire]]:
        return iter(self._by_name.items())

    def __getitem__(self, name: str) -> Questionnaire:
        return self._by_name[name]

    def opens(self, text: str, number: str) -> str | None:
        """The name of the questionnaire that `text` to our `number` opens; None if it opens none.

        Those that name our number come first, and among them an exact event comes first.
        """
        ours = [name for name, questionnaire in self if number in questionnaire.to]
        for_all = [name for name, questionnaire in self if not questionnaire.to]
        for names in (ours, for_all):
            exact = [name for name in names if self[name].is_opened_by(text)]
            if opened := exact or [name for name in names if self[name].event is None]:
                return opened[0]
        return None

    def select(self, name: str) -> "Catalog":
        """Only this questionnaire, on every number; ValueError where there is none."""
        if name not in self._by_name:
            raise ValueError(f"{name}.toml: is not there, and was asked for. Add it.")
        return Catalog({name: msgspec.structs.replace(self[name], to=())})

    def with_results_url(self, url: str) -> "Catalog":
        """The same questionnaires, with all results going to `url`."""
        return Catalog({name: questionnaire.with_results_url(url) for name, questionnaire in self})
