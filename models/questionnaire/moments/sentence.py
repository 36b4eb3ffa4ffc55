"""Whether what surrounds a day or a time leaves it an answer, or makes it a doubt or a bound."""

import re
from collections.abc import Iterator, Sequence

from models.questionnaire.moments.calendar import Days
from models.questionnaire.moments.days import BESIDE, DOUBTFUL
from models.questionnaire.moments.symbols import Match, Rule, Symbol, reduce

# Categories that leave an answer what it is; of unknown words nobody knows that.
HARMLESS = set("fvJeTipcs,|aKEHSI@-.!")
LIGHT = HARMLESS - set("vJs@a")  # without a sentence around
ENDS = set(".!?")
NOTHING = Symbol("f", None, "")
BETWEEN_NAMES = set(",eTipcfKH")  # between two names of the same day, as in "Friday, the 5th"


SPAN = {
    "E": re.compile(r"E[eTpcIf-]*E|I[eTp]*E\|"),
    "K": re.compile(r"K[eTpcIf-]*K|I[ep]*K"),
}


def _drop(_: object) -> Symbol:
    return NOTHING


def _drop_place(found: Match) -> Symbol | None:
    first = found.get(1)
    return NOTHING if first.category == "@" or first.text == "at" else None


# What says nothing about the day: who comes, with whom, where to, and who texts.
COUNTS: list[Rule] = [
    (re.compile(r"b?[na2]P"), _drop),
    (re.compile(r"P[I@]?[na2]"), _drop),
    (re.compile(r"@[ea]?[na2](?![-UuMH.])"), _drop),
]
STAGES: list[Rule] = [
    (re.compile(r"t[cep]*(H)"), lambda found: found.get(1)),
    (re.compile(r"(H),?t(?![cep]*[HEMW])"), lambda found: found.get(1)),
]
SIGNED: Rule = (re.compile(r"S[,fev]*z{0,3}(?=$|[.!,S])"), _drop)
COMPANY: list[Rule] = [
    (re.compile(r"P"), _drop),
    (re.compile(r"([@p])[ecafv]{0,2}z{1,2}(?![nz])"), _drop_place),
    SIGNED,
]
PADDED = re.compile("0[1-9]")
# What follows an answer that is complete: why, or what happens besides.
REASONS: list[Rule] = [
    (re.compile(r"(?<=[EKHfv,-])C[zvJeTipcafs@IPUHSdbt,-]{2,}(?=$|[.!])"), _drop),
    (re.compile(r",[eT]?[v@P][zvJeTipcafs@IPUHt-]{3,}(?=$|[.!])"), _drop),
]


def without_details(symbols: Sequence[Symbol]) -> list[Symbol]:
    """Without the numbers of people and of trains, and whether it is early or late in a part."""
    return reduce(reduce(symbols, COUNTS), STAGES)


def answer_in(symbols: Sequence[Symbol], wanted: str) -> list[Symbol]:
    """The symbols of this category that answer a question; none where no answer is certain.

    `wanted` is "E" for days and "K" for times of day.
    """
    symbols = reduce(reduce(symbols, REASONS), COMPANY)
    sentences = list(_sentences(symbols))
    found = [symbol for symbol in symbols if symbol.category == wanted]
    if not found or not all(_leaves(sentence, wanted) for sentence in sentences):
        return []
    if _has_doubtful(found) and not all(symbol.category in LIGHT for symbol in symbols):
        return []
    return found if any(symbol.text != BESIDE for symbol in found) else []


def is_past(symbols: Sequence[Symbol]) -> bool:
    """Whether it says that somebody came, and not that somebody will."""
    return any(symbol.category == "J" for symbol in symbols)


def is_known(symbols: Sequence[Symbol]) -> bool:
    """Whether every word is one that we know, but for the name of who texts."""
    return all(symbol.category not in "zC" for symbol in reduce(symbols, [SIGNED]))


def is_padded(symbol: Symbol) -> bool:
    """Whether an hour is written like 08:00, which hardly anybody does in the evening."""
    return bool(PADDED.match(symbol.text))


def _sentences(symbols: Sequence[Symbol]) -> Iterator[list[Symbol]]:
    """Each with its end; an abbreviation's point ends one, too, which does no harm."""
    sentence: list[Symbol] = []
    for symbol in symbols:
        sentence.append(symbol)
        if symbol.category in ENDS:
            yield sentence
            sentence = []
    yield sentence


def _leaves(sentence: Sequence[Symbol], wanted: str) -> bool:
    """Whether a sentence is an answer, or no part of one."""
    letters = {symbol.category for symbol in sentence}
    if wanted not in letters:
        return "?" in letters or not letters & set("dhb")
    if "h" in letters and any(_is_full_date(symbol) for symbol in sentence):
        letters -= {"h"}
    return letters <= HARMLESS and not _has_span(sentence, wanted)


def _is_full_date(symbol: Symbol) -> bool:
    return symbol.category == "E" and symbol.value.sort == "date" and not symbol.text


def _has_span(sentence: Sequence[Symbol], wanted: str) -> bool:
    """Whether it may be between two, as in "de 3 a 5" or "tra il 5 e il 7"."""
    letters = "".join(symbol.category for symbol in sentence)
    return bool(SPAN[wanted].search(letters))


def _has_doubtful(found: Sequence[Symbol]) -> bool:
    return any(symbol.text in (DOUBTFUL, BESIDE) for symbol in found)


# Names of the same day #######################################################


def days_in(found: Sequence[Symbol]) -> list[Days]:
    """The days of these symbols."""
    return [symbol.value for symbol in found]


def join_names(symbols: Sequence[Symbol]) -> list[Symbol]:
    """With one symbol for each day that is named twice, as in "Friday, Nov 27".

    Where the two contradict each other it is unknown.
    """
    joined: list[Symbol] = []
    for symbol in symbols:
        index = _last_day(joined) if symbol.category == "E" else None
        if index is None or not _name_one_day(joined[index], symbol):
            joined.append(symbol)
            continue
        days = joined[index].value.agree(symbol.value)
        text = min(joined[index].text, symbol.text)
        joined[index] = Symbol("E", days, text) if days else Symbol("z", None, "")
    return joined


def _last_day(joined: Sequence[Symbol]) -> int | None:
    """Where the day is that nothing but commas, articles and hours part from the end."""
    for index in reversed(range(len(joined))):
        if joined[index].category == "E":
            return index
        if joined[index].category not in BETWEEN_NAMES:
            return None
    return None


def _name_one_day(first: Symbol, other: Symbol) -> bool:
    return first.value.sort != other.value.sort
