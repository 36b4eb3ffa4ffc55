"""The questionnaires in use, and which of them a text opens."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from models.questionnaire.schema import Questionnaire
from models.text import fold_case


class Opening(NamedTuple):
    """The questionnaire that a text opens: by its own event, or because any text opens it."""

    name: str
    questionnaire: Questionnaire
    is_event: bool


class Catalog:
    """The questionnaires in use, by name (the file's, without its ending)."""

    def __init__(self, questionnaires: Mapping[str, Questionnaire]) -> None:
        self._by_name = questionnaires
        self._openings: dict[tuple[str | None, str | None], Opening] = {}
        for name, questionnaire in questionnaires.items():
            event = questionnaire.event and fold_case(questionnaire.event)
            opening = Opening(name, questionnaire, event is not None)
            for number in questionnaire.to or (None,):
                self._openings.setdefault((number, event), opening)

    def __iter__(self) -> Iterator[tuple[str, Questionnaire]]:
        return iter(self._by_name.items())

    def __getitem__(self, name: str) -> Questionnaire:
        return self._by_name[name]

    def opens(self, folded: str, number: str) -> Opening | None:
        """What a text, as `fold_case` gives it, to our `number` opens; None if nothing.

        Questionnaires that name our number come first, and among them an exact event comes first.
        """
        for key in ((number, folded), (number, None), (None, folded), (None, None)):
            if key in self._openings:
                return self._openings[key]
        return None

    def select(self, name: str) -> "Catalog":
        """Only this questionnaire, on every number; ValueError where there is none."""
        if name not in self._by_name:
            raise ValueError(f"{name}.toml: is not there, and was asked for. Add it.")
        return Catalog({name: msgspec.structs.replace(self[name], to=())})

    def with_results_url(self, url: str) -> "Catalog":
        """The same questionnaires, with all results going to `url`."""
        return Catalog({name: questionnaire.with_results_url(url) for name, questionnaire in self})
