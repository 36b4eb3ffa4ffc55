"""What a questionnaire says and what that costs, before anybody is texted."""

import unicodedata
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from gateway.segments import GSM_7, encoding, measure, ucs2_characters
from models.questionnaire.answers import KINDS
from models.questionnaire.answers.kind import LONG_SAMPLE
from models.questionnaire.problem import Problem
from models.questionnaire.schema import Question, Questionnaire
from models.questionnaire.sentences import Template, find_templates
from models.questionnaire.templates import PLACEHOLDER
from models.text import LONGEST_REPLY, QUOTES

NUMBER = "+14155550100"


class SentText(NamedTuple):
    """A text as it is sent, with the values that make it longest."""

    template: Template
    text: str
    encoding: str
    segments: int

    @property
    def kind(self) -> str:
        """The kind of answer that it asks for, if it asks for one."""
        question = self.template.question
        return question.kind if question else ""


class Cost(NamedTuple):
    """Of one whole conversation, both ways: a text of the guest counts as one segment."""

    texts: int
    segments: int


def describe_range(least: Cost, most: Cost) -> str:
    """From the least to the most, in words."""
    texts, segments = (
        f"{low} to {high}" if low < high else str(high)
        for low, high in zip(least, most, strict=True)
    )
    return f"{texts} texts both ways, {segments} segments"


class CostReport(NamedTuple):
    """All texts that one questionnaire can send."""

    questionnaire: Questionnaire
    texts: list[SentText]

    @classmethod
    def of(cls, questionnaire: Questionnaire, names: Collection[str], today: date) -> "CostReport":
        """The report for guests who have these names, or none."""
        names = {questionnaire.stranger, *names}
        used = [template for template in find_templates(questionnaire) if template.is_used]
        return cls(
            questionnaire, [_fill(template, questionnaire, names, today) for template in used]
        )

    def costs(self) -> tuple[Cost, Cost]:
        """The least and the most that a conversation can cost that comes to its end.

        The least asks nothing that has a condition, the most asks all.
        """
        if self.questionnaire.is_counter:
            most = max(sent.segments for sent in self.texts)
            return Cost(2, 1 + most), Cost(2, 1 + most)
        ends = [sent for sent in self.texts if sent.template.location in ("thanks", "say, review")]
        prompts = [sent for sent in self.texts if sent.template.location.endswith(", ask")]
        always = [sent for sent in prompts if not sent.template.question.only_if]
        return _cost(always + ends), _cost(prompts + ends)

    def describe(self, price: float | None) -> str:
        """The same in words, and in money if a segment has a price."""
        is_counter, (least, most) = self.questionnaire.is_counter, self.costs()
        what = "A text and its reply" if is_counter else "A completed conversation"
        counts = f"{what}: {describe_range(least, most)}"
        if price is None:
            return counts
        low, high = (f"{price * cost.segments:.4f}" for cost in (least, most))
        cost = high if low == high else f"{low} to {high}"
        return f"{counts}, {cost} at {price:g} each"

    def warnings(self) -> Iterator[Problem]:
        """What makes its texts cost more than they look, or cuts them."""
        for location, text in dict.fromkeys(self._written()):
            without_placeholders = PLACEHOLDER.sub(lambda found: "x" * len(found[0]), text)
            yield from _ucs2_characters(location, without_placeholders)
        for sent in self.texts:
            if len(sent.text) > LONGEST_REPLY:
                sentence = "can be too long for a text when its placeholders are filled, and is cut"
                yield Problem(sent.template.location, f"{sentence}. Shorten it.", is_error=False)

    def _written(self) -> Iterator[tuple[str, str]]:
        """What the author wrote, by its place in the file."""
        shipped = {f"say, {name}" for name in _left_out(self.questionnaire)}
        for template in (sent.template for sent in self.texts):
            if template.location not in shipped:
                yield template.location, template.text
        yield "stranger", self.questionnaire.stranger
        for number, question in enumerate(self.questionnaire.questions, 1):
            for name in KINDS[question.kind].names(question):
                if name.is_shown:
                    yield f"question {number}, {name.option}", name.text

    def ucs2_names(self, names: Iterable[str]) -> Iterator[Problem]:
        """Names that make every text that holds {name} UCS-2."""
        if any("name" in PLACEHOLDER.findall(sent.template.text) for sent in self.texts):
            for name in names:
                yield from _ucs2_characters(name, name)


def _left_out(questionnaire: Questionnaire) -> list[str]:
    """The names of sentences that its file leaves to its language."""
    written = questionnaire.say
    return [name for name in written.__struct_fields__ if not getattr(written, name)]


def _cost(texts: list[SentText]) -> Cost:
    return Cost(2 * len(texts), len(texts) + sum(sent.segments for sent in texts))


def _fill(
    template: Template, questionnaire: Questionnaire, names: Collection[str], today: date
) -> SentText:
    """With the name that costs most, and everything else as long as it may well be."""
    text = template.text
    if template.location in BEFORE_A_QUESTION:
        text += " " + max((question.ask for question in questionnaire.questions), key=len)
    values = _values(template.question, questionnaire, today)
    candidates = []
    for name in names if "{name}" in text else {""}:
        values["name"] = name
        filled = PLACEHOLDER.sub(lambda found: values.get(found[1], LONG_SAMPLE), text)
        candidates.append(SentText(template, filled, *measure(filled)))
    return max(candidates, key=lambda sent: (sent.segments, len(sent.text)))


BEFORE_A_QUESTION = ("say, needed", "say, resumed")


def _values(question: Question | None, questionnaire: Questionnaire, today: date) -> dict[str, str]:
    """A long value for each placeholder."""
    samples = {
        each.key: KINDS[each.kind].long_answer(each, questionnaire.sentences)
        for each in questionnaire.questions
    }
    longest = max(samples.values(), key=len, default="")
    values = samples | {
        "from": NUMBER,
        "to": (*questionnaire.to, NUMBER)[0],
        "count": "10",
        "event": questionnaire.event or LONG_SAMPLE,
        "answers": ", ".join(f"{n} {sample}" for n, sample in enumerate(samples.values(), 1)),
        "last": str(len(samples)),
        "readings": f"1 {longest}, or 2 {longest}",
    }
    if question:
        values |= KINDS[question.kind].placeholder_values(question, today, questionnaire.language)
    return values


def _ucs2_characters(location: str, text: str) -> Iterator[Problem]:
    """Characters that make a whole text UCS-2, in which a segment holds 70 instead of 160."""
    before, after = measure(text)[1], measure("".join(map(gsm_equivalent, text)))[1]
    for character in ucs2_characters(text):
        equivalent = gsm_equivalent(character)
        cure = f"Write {equivalent} instead" if equivalent.strip() else "Leave it out"
        cure = "Write a blank instead" if equivalent == " " else cure
        price = f": {before} segments instead of {after}" if before > after else ""
        position = text.index(character) + 1
        sentence = f"{visible(character)} (character {position}) makes it UCS-2{price}. {cure}."
        yield Problem(location, sentence, is_error=False)


def gsm_equivalent(character: str) -> str:
    """The same in GSM-7, or nothing where there is no such character."""
    if encoding(character) == GSM_7:
        return character
    parts = unicodedata.normalize("NFKD", character.translate(QUOTES))
    plain = "".join(part for part in parts if encoding(part) == GSM_7)
    return plain or (" " if character.isspace() else "")


def visible(character: str) -> str:
    """The character, or its number where nothing is seen of it."""
    is_visible = character.isprintable() and not character.isspace()
    return character if is_visible else f"U+{ord(character):04X}"
