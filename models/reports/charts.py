"""Charts of answers: a bar for each value, or for each range of values, by the kind of question."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import time
from decimal import Decimal, DecimalException
from typing import NamedTuple

from models.attachments import web_address
from models.questionnaire.answers import KINDS
from models.questionnaire.schema import Question, Questionnaire
from models.questionnaire.templates import PLACEHOLDER
from models.reports.bins import Bin, day_bins, hour_bins, number_bins, show_number

# Of the conversations that have a value in a field; None for whoever may not see them.
Address = Callable[[str, str], str | None]

MAX_DIGITS = 15  # of a number that is computed with; a longer one is shown like a word
MOST_NAMED = 12  # values of a question for a number, each of which gets a bar
MOST_WORDS = 5  # of the newest, and of the commonest, that are shown
MOST_PHOTOS = 12
LONGEST_LABEL, LONGEST_WORDS = 80, 280  # characters that are shown of a value
MOST_LINKED = 200  # characters of a value that stands in an address
WIDEST = 62  # percent of a chart; its figures need the rest
SEVERAL = "Several could be chosen, so the shares may be more than 100 % together."
REMOVED = "The file no longer asks this."


class Group(NamedTuple):
    """Answers to one question that are equal; each without a value is a group of its own."""

    key: str
    value: str | None
    count: int
    newest: int  # the id of the last conversation that has it
    is_unread: bool = False  # of one without a value: its texts could not be read


class Bar(NamedTuple):
    """A bar with its figures; `width` is in percent of the chart."""

    label: str
    count: int
    share: str  # of those who answered; "" where that says nothing
    width: float
    address: str | None  # of the conversations behind it

    @property
    def figures(self) -> str:
        """What stands beside the bar."""
        return f"{self.count:,} · {self.share}" if self.count and self.share else f"{self.count:,}"


class Quote(NamedTuple):
    """What somebody answered, and in which conversation."""

    text: str
    id: int
    url: str | None = None  # of a photo


class Chart(NamedTuple):
    """What was answered to a question. `n` conversations have a value for it."""

    key: str
    ask: str
    n: int
    address: str | None  # of these conversations
    unanswered: int  # conversations in which it was asked, and has no value
    unanswered_address: str | None
    hints: Sequence[str]
    facts: Mapping[str, str]  # about all values, such as their mean
    bars: Sequence[Bar]
    grey: Sequence[Bar]  # those who gave no value, by the same scale
    newest: Sequence[Quote] = ()
    photos: Sequence[Quote] = ()


class Counts(NamedTuple):
    """What a chart is made of: bars without their widths, and what is said besides."""

    bins: Sequence[tuple[Bin, int]] = ()
    others: Mapping[str, int] = {}  # values that are in no bin
    facts: Mapping[str, str] = {}


def make_charts(
    keys: Iterable[str],
    questions: Mapping[str, Question],
    now: Questionnaire | None,
    groups: Iterable[Group],
    address: Address,
) -> Iterator[Chart]:
    """A chart for each of the keys, of the answers in these groups."""
    by_key: dict[str, list[Group]] = {key: [] for key in keys}
    for group in groups:
        by_key.get(group.key, []).append(group)
    for key, found in by_key.items():
        hints = [] if now and key in now.by_key else [REMOVED]
        yield _make_chart(questions[key], now, found, hints, address)


def _make_chart(
    question: Question,
    now: Questionnaire | None,
    groups: Sequence[Group],
    hints: list[str],
    address: Address,
) -> Chart:
    kind, key = KINDS[question.kind], question.key
    with_value = [group for group in groups if group.value is not None]
    values = {group.value: group.count for group in with_value}
    n = sum(values.values())
    counts = _count(question, now, values)
    if isinstance(kind.result_value(question, ""), list):
        hints = [*hints, SEVERAL]
    bins = [(each, count, f"answer.{key}") for each, count in (*counts.bins, *_top(counts.others))]
    nothing = list(_without_value(groups))
    most = max((count for _, count, _ in (*bins, *nothing)), default=0)
    newest = sorted(with_value, key=lambda group: group.newest, reverse=True)
    return Chart(
        key,
        show_question(question),
        n,
        address("has", key),
        sum(count for _, count, _ in nothing),
        address("passed", key),
        hints,
        counts.facts,
        [_bar(each, most, n, address) for each in bins],
        [_bar(each, most, 0, address) for each in nothing],
        list(_newest_words(newest)) if _is_free(question) else (),
        list(_photos(newest)) if kind.reads_media else (),
    )


def _without_value(groups: Sequence[Group]) -> Iterator[tuple[Bin, int, str]]:
    """How many skipped a question, and of how many no text could be read, if anybody did so.

    These bars have no links: only the texts tell them apart, and filters are of values.
    """
    counts = Counter(group.is_unread for group in groups if group.value is None)
    for is_unread, label in ((False, "skipped"), (True, "could not be read")):
        if counts[is_unread]:
            yield Bin(label), counts[is_unread], ""


def _bar(counted: tuple[Bin, int, str], most: int, n: int, address: Address) -> Bar:
    bin, count, field = counted
    share = f"{100 * count / n:.0f} %" if n else ""
    is_linked = bin.wanted and len(bin.wanted) <= MOST_LINKED
    width = round(WIDEST * count / most, 2) if most else 0
    link = address(field, bin.wanted) if is_linked else None
    return Bar(shorten(bin.label, LONGEST_LABEL), count, share, width, link)


def shorten(text: str, most: int) -> str:
    """The text, or its beginning if it has more characters."""
    return text if len(text) <= most else f"{text[:most]}…"


def show_question(question: Question) -> str:
    """A question as it is asked of anybody: without its list of choices, which the bars have."""
    own = KINDS[question.kind].placeholders
    shown = PLACEHOLDER.sub(lambda found: "" if found[1] in own else "…", question.ask)
    return " ".join(shown.split()) or question.key


def shows_own_words(question: Question) -> bool:
    """Whether its answers are whatever guests like to say or send."""
    return _is_free(question) or KINDS[question.kind].reads_media


# By kind ####################################################################


def _is_free(question: Question) -> bool:
    """Whether its answers are words of the guests' own."""
    kind = KINDS[question.kind]
    return not (kind.is_number or kind.split_as or kind.reads_media or kind.values(question))


def _count(question: Question, now: Questionnaire | None, values: Mapping[str, int]) -> Counts:
    kind = KINDS[question.kind]
    if kind.is_number:
        return _count_numbers(question, values)
    if kind.split_as:
        return _count_moments(question, values)
    if kind.reads_media:
        media = sum(len(value.split()) * count for value, count in values.items())
        return Counts(facts={"files": f"{media:,}"} if media else {})
    if kind.values(question):
        return _count_named(question, now, values)
    repeated = Counter({value: count for value, count in values.items() if count > 1})
    return Counts(others=dict(repeated.most_common(MOST_WORDS)))


def _count_named(
    question: Question, now: Questionnaire | None, values: Mapping[str, int]
) -> Counts:
    """A bar for each value that the file names, in its order."""
    kind, counts = KINDS[question.kind], Counter()
    for value, count in values.items():
        result = kind.result_value(question, value)
        counts.update(dict.fromkeys(result if isinstance(result, list) else [result], count))
    named = kind.values(question)
    shown = {value: kind.show(question, value, now.sentences) if now else value for value in named}
    bins = [(Bin(shown[value], value), counts.pop(value, 0)) for value in named]
    return Counts(bins, counts)


def _count_numbers(question: Question, values: Mapping[str, int]) -> Counts:
    numbers, others = _read(values, _number)
    named = KINDS[question.kind].values(question)
    listed = [Decimal(value) for value in named] if len(named) <= MOST_NAMED else []
    bins = number_bins(numbers, listed)
    facts = {name: show_number(value) for name, value in _figures(numbers).items()}
    return Counts(_fill(bins, numbers), others, facts)


def _count_moments(question: Question, values: Mapping[str, int]) -> Counts:
    moments, others = _read(values, KINDS[question.kind].moment)
    is_time = any(isinstance(moment, time) for moment in moments)
    filled = _fill((hour_bins if is_time else day_bins)(moments), moments)
    return Counts([each for each in filled if each[1]], others)


def _read(values: Mapping[str, int], read: Callable) -> tuple[Counter, dict[str, int]]:
    """The values that can be read, and those that cannot, such as what somebody has edited."""
    found, others = Counter(), {}
    for value, count in values.items():
        try:
            found[read(value)] += count
        except (ValueError, DecimalException):
            others[value] = count
    return found, others


def _number(value: str) -> Decimal:
    number = Decimal(value)
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS:
        raise ValueError
    return number


def _fill(bins: Sequence[Bin], values: Mapping) -> list[tuple[Bin, int]]:
    """How many values are in each of the bins, which follow upon each other."""
    counts = [0] * len(bins)
    for value, count in values.items():
        index = next((n for n, bin in enumerate(bins) if value <= bin.last), len(bins) - 1)
        counts[index] += count
    return list(zip(bins, counts, strict=True))


def _figures(numbers: Mapping[Decimal, int]) -> dict[str, Decimal]:
    if not numbers:
        return {}
    n = sum(numbers.values())
    middle = [_at(numbers, (n - 1) // 2), _at(numbers, n // 2)]
    mean = sum(number * count for number, count in numbers.items()) / n
    return {"min": min(numbers), "median": sum(middle) / 2, "mean": mean, "max": max(numbers)}


def _at(numbers: Mapping[Decimal, int], position: int) -> Decimal:
    """The number at a position, when all stand in their order."""
    for number in sorted(numbers):
        position -= numbers[number]
        if position < 0:
            return number
    raise IndexError


def _top(others: Mapping[str, int]) -> list[tuple[Bin, int]]:
    """The commonest values, and how many have another one."""
    commonest = Counter(others).most_common()
    shown = [(Bin(value, value), count) for value, count in commonest[:MOST_WORDS]]
    rest = commonest[MOST_WORDS:]
    if rest:
        shown.append((Bin(f"{len(rest):,} other answers"), sum(count for _, count in rest)))
    return shown


def _newest_words(newest: Sequence[Group]) -> Iterator[Quote]:
    for group in newest[:MOST_WORDS]:
        yield Quote(shorten(group.value, LONGEST_WORDS), group.newest)


def _photos(newest: Sequence[Group]) -> Iterator[Quote]:
    """Links to the newest photos; what is no web address is not linked."""
    for group in newest[:MOST_PHOTOS]:
        for number, url in enumerate(group.value.split()[:MOST_PHOTOS], 1):
            yield Quote(f"{number}", group.newest, web_address(url))
