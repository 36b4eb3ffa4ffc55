"""What a questionnaire says and what that costs, judged before anybody is texted."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from models.questionnaire.answers import SEPARATOR
from models.questionnaire.linter import LONGEST, Finding, Text, find_texts
from models.questionnaire.schema import PLACEHOLDER, Question, Questionnaire
from models.text import QUOTES

Measure = Callable[[str], tuple[str, int]]  # the encoding of a text, and its segments
GSM = "GSM-7"

NUMBER = "+14155550100"
ANYTHING = "x" * 20  # an answer or an event that can be as long as one likes
SAMPLES = {"date": "2026-12-31", "number": "100", "email": "name@example.org"}
SAMPLES |= {"phone": NUMBER, "photo": "(1)"}


class Line(NamedTuple):
    """A text as it is sent, with the values that make it longest."""

    text: Text
    words: str
    encoding: str
    segments: int


class Cost(NamedTuple):
    """Of one whole conversation, both ways: a text of the guest is taken for one segment."""

    texts: int
    segments: int


class Sheet(NamedTuple):
    """All lines of one questionnaire."""

    questionnaire: Questionnaire
    lines: list[Line]

    @classmethod
    def of(
        cls, questionnaire: Questionnaire, names: Collection[str], today: date, measure: Measure
    ) -> "Sheet":
        texts = [text for text in find_texts(questionnaire) if text.is_said]
        names = {questionnaire.stranger, *names}
        return cls(
            questionnaire,
            [_fill(text, questionnaire, names, today, measure) for text in texts],
        )

    def costs(self) -> tuple[Cost, Cost]:
        """The least and the most that a conversation can cost that comes to its end.

        The least asks nothing that has a condition, the most asks all.
        """
        if self.questionnaire.is_counter:
            most = max(line.segments for line in self.lines)
            return Cost(2, 1 + most), Cost(2, 1 + most)
        ends = [line for line in self.lines if line.text.place in ("thanks", "say, review")]
        asks = [line for line in self.lines if line.text.place.endswith(", ask")]
        always = [line for line in asks if line.text.question and not line.text.question.only_if]
        return _cost(always + ends), _cost(asks + ends)

    def find_doubts(self, measure: Measure) -> Iterator[Finding]:
        """What makes its texts dearer than they look, or cuts them."""
        for place, words in dict.fromkeys(self._written()):
            yield from _find_unusual(place, PLACEHOLDER.sub(_as_letters, words), measure)
        for line in self.lines:
            if len(line.words) >= LONGEST:
                sentence = "can be too long for a text when its placeholders are filled, and is cut"
                yield Finding(line.text.place, f"{sentence}. Shorten it.", is_error=False)

    def _written(self) -> Iterator[tuple[str, str]]:
        yield from ((line.text.place, line.text.words) for line in self.lines)
        yield "stranger", self.questionnaire.stranger
        for place, question in enumerate(self.questionnaire.questions, 1):
            for choice in question.choices:
                yield f"question {place}, choices", choice.label

    def find_dear_names(self, names: Iterable[str], measure: Measure) -> Iterator[Finding]:
        """Names that make every text that holds {name} UCS-2."""
        if any("name" in PLACEHOLDER.findall(line.text.words) for line in self.lines):
            for name in names:
                yield from _find_unusual(name, name, measure)


def _cost(lines: list[Line]) -> Cost:
    return Cost(2 * len(lines), len(lines) + sum(line.segments for line in lines))


def _as_letters(found: re.Match[str]) -> str:
    return "x" * len(found[0])


def _fill(
    text: Text, questionnaire: Questionnaire, names: Collection[str], today: date, measure: Measure
) -> Line:
    """With the name that costs most, and all else as long as it may well be."""
    words = text.words
    if text.place in BEFORE_A_QUESTION:
        words += " " + max((question.ask for question in questionnaire.questions), key=len)
    values = _values(text.question, questionnaire, today)
    lines = []
    for name in names if "{name}" in words else {""}:
        values["name"] = name
        filled = PLACEHOLDER.sub(lambda found: values.get(found[1], ANYTHING), words)
        lines.append(Line(text, filled, *measure(filled)))
    return max(lines, key=lambda line: (line.segments, len(line.words)))


BEFORE_A_QUESTION = ("say, needed", "say, resumed")


def _values(question: Question | None, questionnaire: Questionnaire, today: date) -> dict[str, str]:
    shown = {one.key: _sample(one, questionnaire) for one in questionnaire.questions}
    values = shown | {
        "from": NUMBER,
        "to": (*questionnaire.to, NUMBER)[0],
        "count": "10",
        "event": questionnaire.event or ANYTHING,
        "answers": ", ".join(f"{place} {one}" for place, one in enumerate(shown.values(), 1)),
        "last": str(len(shown)),
    }
    return values | (question.placeholders(today) if question else {})


def _sample(question: Question, questionnaire: Questionnaire) -> str:
    if question.kind == "choice":
        shown = [choice.label for choice in question.choices]
        return SEPARATOR.join(shown) if question.many else max(shown, key=len)
    if question.kind == "yes_no":
        return max((question.show(one, questionnaire.say) for one in ("yes", "no")), key=len)
    return SAMPLES.get(question.kind, ANYTHING)


def _find_unusual(place: str, words: str, measure: Measure) -> Iterator[Finding]:
    """Characters that make a whole text UCS-2, in which a segment holds 70 instead of 160."""
    unusual = {
        sign: at for at, sign in reversed([*enumerate(words, 1)]) if _is_unusual(sign, measure)
    }
    before, after = measure(words)[1], measure("".join(_plain(sign, measure) for sign in words))[1]
    for sign, at in sorted(unusual.items(), key=lambda one: one[1]):
        plain = _plain(sign, measure)
        cure = f"Write {plain} instead" if plain.strip() else "Leave it out"
        cure = "Write a blank instead" if plain == " " else cure
        dearer = f": {before} segments instead of {after}" if before > after else ""
        sentence = f"{_visible(sign)} (character {at}) makes it UCS-2{dearer}. {cure}."
        yield Finding(place, sentence, is_error=False)


def _is_unusual(sign: str, measure: Measure) -> bool:
    return measure(sign)[0] != GSM


def _plain(sign: str, measure: Measure) -> str:
    """The same in GSM-7, as far as there is such a sign."""
    if not _is_unusual(sign, measure):
        return sign
    parts = unicodedata.normalize("NFKD", sign.translate(QUOTES))
    plain = "".join(part for part in parts if not _is_unusual(part, measure))
    return plain or (" " if sign.isspace() else "")


def _visible(sign: str) -> str:
    return sign if sign.isprintable() and not sign.isspace() else f"U+{ord(sign):04X}"
