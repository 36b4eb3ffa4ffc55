"""The questionnaires in use, and which of them a text opens."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import msgspec

from models.non_answers import find_opt_keyword, prepare
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import ANY_DAY
from models.questionnaire.openings import event_form, event_forms, is_near
from models.questionnaire.schema import Questionnaire
from models.text import IncomingText, fold_case

SAMPLES = ("Hello, I would like 3 please.", "tomorrow", "two")  # what leads to all words


class Opening(NamedTuple):
    """The questionnaire that a text opens: by its own event, or because any text opens it."""

    name: str
    questionnaire: Questionnaire
    is_event: bool


class Openers:
    """What opens the questionnaires of one number, or those of all numbers."""

    def __init__(self) -> None:
        self._exact: dict[str | None, Opening] = {}  # by the folded event; None for any text
        self._similar: dict[str, list[Opening]] = defaultdict(list)  # by the form of the event

    def add(self, event: str | None, opening: Opening) -> None:
        """Another one; of two with the same event the first one counts."""
        folded = event and fold_case(event)
        if folded not in self._exact:
            self._exact[folded] = opening
            if event:
                self._similar[event_form(event)].append(opening)

    def find(self, text: str) -> Opening | None:
        """What a text opens: by an event, written in some way, or because any text does."""
        if found := self._exact.get(fold_case(text)):
            return found
        return (self._similar and self._find_similar(text)) or self._exact.get(None)

    def _find_similar(self, text: str) -> Opening | None:
        """The only event that has a form of the text, or else that is one slip away."""
        forms = dict.fromkeys(event_forms(text))
        for form in forms:
            if found := self._similar.get(form):
                return found[0] if len(found) == 1 else None
        near = [
            opening
            for form, openings in self._similar.items()
            for opening in openings
            if any(is_near(typed, form) for typed in forms)
        ]
        return near[0] if len(near) == 1 else None


class Catalog:
    """The questionnaires in use, by name (the file's, without its ending)."""

    def __init__(self, questionnaires: Mapping[str, Questionnaire]) -> None:
        self._by_name = questionnaires
        self._by_number: dict[str | None, Openers] = defaultdict(Openers)
        for name, questionnaire in questionnaires.items():
            event = questionnaire.event
            opening = Opening(name, questionnaire, event is not None)
            for number in questionnaire.to or (None,):
                self._by_number[number].add(event, opening)

    def __iter__(self) -> Iterator[tuple[str, Questionnaire]]:
        return iter(self._by_name.items())

    def __getitem__(self, name: str) -> Questionnaire:
        return self._by_name[name]

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Those of the questionnaires."""
        return tuple(sorted({questionnaire.language for _, questionnaire in self}))

    @cached_property
    def stop_words(self) -> tuple[str, ...]:
        """Those that the questionnaires have for opting out."""
        return tuple(word for _, questionnaire in self for word in questionnaire.say.stop)

    def prepare(self) -> None:
        """Read samples as answers to each question, and for what opts out.

        The first text of a kind in a language loads words, for up to 160 ms.
        """
        prepare(self.languages)
        find_opt_keyword(IncomingText("", "", "Hello"), self.languages)  # as of a stranger
        for _, questionnaire in self:
            context = replace(ANY_DAY, language=questionnaire.language)
            for question in questionnaire.questions:
                kind = KINDS[question.kind]
                for sample in (kind.sample, *SAMPLES):
                    kind.read(question, sample, context)

    def opens(self, text: str, number: str) -> Opening | None:
        """What a text to our `number` opens; None if nothing.

        Questionnaires that name our number come first, and among them an event comes first.
        """
        openers = (self._by_number[each] for each in (number, None) if each in self._by_number)
        return next(filter(None, (each.find(text) for each in openers)), None)

    def select(self, name: str) -> "Catalog":
        """Only this questionnaire, on every number; ValueError where there is none."""
        if name not in self._by_name:
            raise ValueError(f"{name}.toml: is not there, and was asked for. Add it.")
        return Catalog({name: msgspec.structs.replace(self[name], to=())})

    def with_results_url(self, url: str) -> "Catalog":
        """The same questionnaires, with all results going to `url`."""
        return Catalog({name: questionnaire.with_results_url(url) for name, questionnaire in self})
