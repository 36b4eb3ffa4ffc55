"""What the words of a language mean in a date or a time, and in the sentence around it.

Each word or phrase has a category, which is one letter: the grammar is patterns of these letters.
English counts in every language; where both have a word, the language's own meaning counts.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from models.questionnaire.languages import ENGLISH, section
from models.questionnaire.slips import MIN_LETTERS, is_slip
from models.text import normalize, without_accents

MIN_BEGINNING = 3  # letters, of the beginning of a month
MIN_TYPED = 4  # letters, of a name with a slip
MIN_GUARDED = 6  # letters, of a word that makes an answer doubtful, for its slips to do so, too
WORD = re.compile(r"[^\W\d_]+")
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


class Meaning(NamedTuple):
    """The category of a word, and what it stands for there."""

    category: str
    value: object = None


def _in_file(name: str) -> str:
    return name.rstrip("_")  # which keeps words of Python apart


class Dates(Struct, forbid_unknown_fields=True, rename=_in_file):
    """[dates]: words separated by commas; lists begin with January, Monday, nought, the first."""

    shown: str  # how a day is named where the guest is asked which one
    months: list[str]
    weekdays: list[str]
    numbers: list[str]
    ordinals: list[str]
    today: str
    tomorrow: str
    in_two_days: str
    yesterday: str
    two_days_ago: str
    days: str
    weeks: str
    months_long: str
    years: str
    after: str
    before: str
    this: str
    coming: str
    next: str
    last: str
    this_week: str
    next_week: str
    last_week: str
    this_month: str
    next_month: str
    this_year: str
    next_year: str
    last_year: str
    last_day_of: str
    of: str
    the: str
    or_: str
    approximately: str
    bounds: str
    doubts: str
    holidays: str
    beside: str  # leave any date what it is
    sentence: str  # say that somebody comes, or the like
    people: str
    closing: str  # before the name of who texts
    places: str  # before the name of a place or a person
    past_verbs: str = ""  # say that it is over: no day that is ahead can be meant
    because: str = ""  # before a reason, which is no part of the answer
    article_for_one: str = ""  # "a week": one, but no number elsewhere
    fortnights: str = ""
    in_: str = ""
    ago: str = ""
    ago_before: str = ""
    from_now: str = ""
    the_day: str = ""  # makes a day of a number alone, such as "le 5"
    week_later: str = ""
    weekdays_that_are_words: str = ""  # only count without a sentence around
    weekdays_beside_dates: str = ""  # only count beside another date
    joined_parts: str = ""  # of the day, which are written behind a weekday: "Freitagabend"
    tomorrow_or_morning: str = ""
    no_dates: str = ""  # look like a date, or like a slip in one, and are none
    not_english: str = ""  # English words that mean something else
    idioms: dict[str, int] = {}  # numbers of days that may also be a number of weeks
    has_hyphens: bool = False  # 5-12 is a day
    has_points: bool = True  # 5.12 is a day
    has_bare_days: bool = False  # "viernes 4" has a day of the month
    has_ordinal_points: bool = False  # "der 5." is a day of the month
    day_first: bool = True


class Times(Struct, forbid_unknown_fields=True, rename=_in_file):
    """[times]: words separated by commas."""

    at: str
    hour: str
    noon: str
    midnight: str
    half: str
    quarter: str
    morning: str
    afternoon: str
    evening: str
    night: str
    midday: str
    dinner: str
    tonight: str  # which are also words for today
    stages: str = ""  # of a part of the day, such as "late"
    before_noon: str = ""
    after_noon: str = ""
    and_: str = ""  # "ocho y media"
    past: str = ""
    to: str = ""
    less: str = ""  # "ocho menos cuarto"
    half_before: str = ""  # "halb acht" is half past seven
    three_quarters: str = ""
    units: str = ""  # of what lasts
    has_halves: bool = False  # 7:00 pm is shown so, and not as 19:00
    not_certain: str = ""


DAY, MONTH = "day", "month"
# For each field its category and value. In the order of precedence, where a phrase is in several.
MEANINGS: dict[str, Meaning] = {
    "no_dates": Meaning("z"),
    "holidays": Meaning("h"),
    "because": Meaning("C"),
    "doubts": Meaning("d"),
    "today": Meaning("R", 0),
    "tomorrow": Meaning("R", 1),
    "in_two_days": Meaning("R", 2),
    "yesterday": Meaning("R", -1),
    "two_days_ago": Meaning("R", -2),
    "tomorrow_or_morning": Meaning("r", 1),
    "article_for_one": Meaning("a", 1),
    "days": Meaning("U", (DAY, 1)),
    "weeks": Meaning("U", (DAY, 7)),
    "fortnights": Meaning("U", (DAY, 14)),
    "months_long": Meaning("U", (MONTH, 1)),
    "years": Meaning("U", (MONTH, 12)),
    "in_": Meaning("I"),
    "ago": Meaning("G"),
    "ago_before": Meaning("g"),
    "from_now": Meaning("x"),
    "after": Meaning("F"),
    "before": Meaning("B"),
    "coming": Meaning("s"),
    "this_week": Meaning("Q", 0),
    "next_week": Meaning("Q", 1),
    "last_week": Meaning("Q", -1),
    "this_month": Meaning("q", 0),
    "next_month": Meaning("q", 1),
    "this_year": Meaning("Y", 0),
    "next_year": Meaning("Y", 1),
    "last_year": Meaning("Y", -1),
    "this": Meaning("i"),
    "next": Meaning("N"),
    "last": Meaning("l"),
    "last_day_of": Meaning("L"),
    "week_later": Meaning("X"),
    "of": Meaning("c"),
    "at": Meaning("p"),
    "the_day": Meaning("T"),
    "the": Meaning("e"),
    "or_": Meaning("|"),
    "noon": Meaning("O", 12),
    "midnight": Meaning("O", 0),
    "half_before": Meaning("Z"),
    "half": Meaning("A", 30),
    "quarter": Meaning("A", 15),
    "three_quarters": Meaning("A", 45),
    "hour": Meaning("u"),
    "past": Meaning("<"),
    "to": Meaning(">"),
    "less": Meaning("m"),
    "before_noon": Meaning("H", "am"),
    "after_noon": Meaning("H", "pm"),
    "morning": Meaning("H", "morning"),
    "afternoon": Meaning("H", "afternoon"),
    "evening": Meaning("H", "evening"),
    "night": Meaning("H", "night"),
    "midday": Meaning("H", "midday"),
    "dinner": Meaning("H", "dinner"),
    "and_": Meaning("|"),
    "stages": Meaning("t"),
    "approximately": Meaning("~"),
    "bounds": Meaning("b"),
    "units": Meaning("V"),
    "not_certain": Meaning("z"),
    "people": Meaning("P"),
    "closing": Meaning("S"),
    "places": Meaning("@"),
    "beside": Meaning("f"),
    "past_verbs": Meaning("J"),
    "sentence": Meaning("v"),
}

Phrase = tuple[str, ...]


class Lexicon:
    """The words of a language and of English, ready to be looked up."""

    def __init__(self, language: str) -> None:
        self.dates, self.times = (
            section(language, "dates", Dates),
            section(language, "times", Times),
        )
        self.phrases: dict[Phrase, Meaning] = {}
        self._names: list[tuple[str, Meaning]] = []  # of five letters or more
        self._beginnings: list[tuple[str, int]] = []
        self._add(self.dates, self.times)
        if language != ENGLISH:
            hidden = set(_phrases_in(self.dates.not_english))
            self._add(section(ENGLISH, "dates", Dates), section(ENGLISH, "times", Times), hidden)
        self._parts = [
            (" ".join(phrase), str(meaning.value))
            for phrase, meaning in self.phrases.items()
            if meaning.category == "H" and len(phrase[-1]) >= MIN_TYPED
        ]
        self._guarded: dict[str, list[tuple[str, str]]] = {}  # by their first two letters
        for phrase, meaning in self.phrases.items():
            if meaning.category in "bd" and len(phrase) == 1 and len(phrase[0]) >= MIN_GUARDED:
                self._guarded.setdefault(phrase[0][:2], []).append((phrase[0], meaning.category))
        self.longest = max(map(len, self.phrases))
        english = section(ENGLISH, "times", Times)
        self.past, self.to, self.plus, self.tonight = (
            _words(f"{getattr(self.times, name)}, {getattr(english, name)}")
            for name in ("past", "to", "and_", "tonight")
        )

    def part_of_day(self, text: str) -> str | None:
        """The part of the day in a word or a phrase, such as "morgen früh" or "vrijdagavond"."""
        if text in self.tonight:
            return "evening"
        return next((part for end, part in self._parts if _ends_with(text, end)), None)

    def _add(self, dates: Dates, times: Times, hidden: set[Phrase] = frozenset()) -> None:
        for phrase, meaning in _meanings(dates, times):
            if phrase not in hidden:
                self.phrases.setdefault(phrase, meaning)
        for category, names in (("M", dates.months), ("W", dates.weekdays)):
            for number, written in enumerate(names, start=category == "M"):
                for name in (word for phrase in _phrases_in(written) for word in phrase[:1]):
                    self._names.append((name, Meaning(category, (number,))))

    def find(self, word: str) -> Meaning:
        """What a word means that is no phrase: a name with a slip, or a beginning; else unknown."""
        by_category: dict[str, set[int]] = {"M": set(), "W": set()}
        for name, (category, (number,)) in self._names:
            if category == "M" and len(word) >= MIN_BEGINNING and name.startswith(word):
                by_category["M"].add(number)
            elif _is_slip_of(word, name):
                by_category[category].add(number)
        found = [
            Meaning(category, tuple(sorted(numbers)))
            for category, numbers in by_category.items()
            if numbers
        ]
        return found[0] if len(found) == 1 else Meaning(self._guard(word))

    def _guard(self, word: str) -> str:
        """The category of an unknown word: a doubt or a bound with a slip in it stays one."""
        guarded = self._guarded.get(word[:2], ())
        return next((category for name, category in guarded if is_slip(word, name)), "z")


def _ends_with(text: str, end: str) -> bool:
    """Whether a phrase ends with a word, or a word with another; "amanhã" is no "manhã"."""
    before = text.removesuffix(end)
    return before != text and (before[-1:] == " " or len(before) >= MIN_BEGINNING)


def _is_slip_of(word: str, name: str) -> bool:
    """Several of a name, such as "fridays", are no slip."""
    if not MIN_TYPED <= len(word) or len(name) < MIN_LETTERS or word in (f"{name}s", f"{name}n"):
        return False
    return is_slip(word, name)


def _meanings(dates: Dates, times: Times) -> Iterator[tuple[Phrase, Meaning]]:
    weak = dict.fromkeys(_phrases_in(dates.weekdays_that_are_words), "w")
    weak |= dict.fromkeys(_phrases_in(dates.weekdays_beside_dates), "j")
    for phrase, meaning in _values(dates.weekdays, "W", 0, is_list=True):
        yield phrase, meaning._replace(category=weak.get(phrase, "W"))
    for (name, *_), meaning in _values(dates.weekdays, "W", 0, is_list=True):
        yield from (((name + part,), meaning) for part in _words(dates.joined_parts))
    yield from _values(dates.months, "M", 1, is_list=True)
    yield from _values(dates.numbers, "n", 0)
    yield from _values(dates.ordinals, "o", 1)
    fields = {
        name: getattr(part, name) for part in (times, dates) for name in part.__struct_fields__
    }
    for name, meaning in MEANINGS.items():
        for phrase in _phrases_in(fields[name]):
            yield phrase, meaning
    for written in dates.weekdays:
        for name, *more in _phrases_in(written):
            if not more and len(name) > MIN_TYPED:
                yield (f"{name}s",), Meaning("b")


def _values(
    written: list[str], category: str, first: int, is_list: bool = False
) -> Iterator[tuple[Phrase, Meaning]]:
    for number, words in enumerate(written, first):
        for phrase in _phrases_in(words):
            yield phrase, Meaning(category, (number,) if is_list else number)


def _words(written: str) -> set[str]:
    return {" ".join(phrase) for phrase in _phrases_in(written)}


def _phrases_in(written: str) -> Iterator[Phrase]:
    """Each phrase in the spellings that people text: without accents, with "ae", without "'"."""
    for phrase in filter(None, (part.strip() for part in written.split(","))):
        for spelling in dict.fromkeys((phrase, phrase.translate(UMLAUTS), phrase.replace("'", ""))):
            yield split_words(spelling)


def split_words(text: str) -> Phrase:
    """The words of a phrase, as symbols of a text have them."""
    return tuple(re.findall(r"[^\W\d_]+|\d+", without_accents(normalize(text))))


@cache
def lexicon_of(language: str) -> Lexicon:
    """The lexicon of a language; the English one where a language has no file."""
    return Lexicon(language)
