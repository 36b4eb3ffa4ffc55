"""Texts in which somebody wants no more texts, beyond the words that Twilio answers itself."""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct
from msgspec.structs import asdict

from models.phrases import DOT, END, Notation, Phrases, WordTuple, split_words, words_of
from models.questionnaire.languages import ENGLISH, section
from models.questionnaire.slips import is_slip
from models.text import without_signature

LONGEST_PHRASE = 400  # characters of a text; what comes behind is no part of a phrase
MOST_OTHER_NAMES = 2  # words of a name behind its first one
LONG_WORD = 8  # letters; shorter words are one letter from too many others
DOUBLED = re.compile(r"([a-z])\1+")


class OptOutPhrases(Struct, forbid_unknown_fields=True):
    """The section [opt_out] of a language; its file says what each list is for."""

    words: list[str]
    clauses: list[str]
    phrases: list[str]
    commands: list[str]
    perhaps: list[str]
    mentions: list[str]
    around: list[str]
    closings: list[str]
    leads: list[str]
    fillers: list[str]
    reasons: list[str]
    limits: list[str]
    negations: list[str]
    sets: dict[str, str]


class OptOutLists(NamedTuple):
    """What is looked for in a text, in some languages at once."""

    lead: Phrases  # stands before an explicit one, dots included
    explicit: Phrases
    before_words: Phrases
    words: Phrases
    around: Phrases
    also: Phrases  # stands behind the whole
    closings: Phrases
    no_names: Phrases  # words that are no name behind a closing
    reasons: Phrases
    limits: Phrases  # of when, or where no texts are wanted
    negations: Phrases  # that somebody can, or does
    mentions: Phrases  # are about opting out wherever they are
    commands: Phrases
    before_clause: Phrases
    clauses: Phrases  # are about opting out where they are a clause
    fillers: Phrases
    long_words: frozenset[str]  # whose slips are known


@lru_cache(maxsize=64)  # a turn asks twice: when it reads what it needs, and when it decides
def find_opt_out(
    text: str, languages: frozenset[str], stop_words: tuple[str, ...] = ()
) -> Literal["opt_out", "perhaps_opt_out"] | None:
    """Whether a text is an opting out as a whole, or merely holds such words.

    English words count in every language. `stop_words` are those of a questionnaire.
    """
    form = words_of(without_signature(text[: 2 * LONGEST_PHRASE]))[:LONGEST_PHRASE]
    if form in map(words_of, stop_words):
        return "opt_out"
    lists, words = _lists(languages | {ENGLISH}), split_words(form)
    if _is_opt_out(words, lists):
        return "opt_out"
    words = _without_denied(words, lists)
    is_perhaps = _is_perhaps(words, lists) or _is_slip(words, lists.long_words)
    return "perhaps_opt_out" if is_perhaps else None


def _is_opt_out(words: WordTuple, lists: OptOutLists) -> bool:
    explicit = lists.explicit.all_ends(words, lists.lead.repeated_ends(words, {0}))
    bare = lists.words.all_ends(words, lists.before_words.repeated_ends(words, {0}))
    return _is_whole(words, explicit | bare, lists) or _is_reasoned(words, explicit, lists)


def _is_whole(words: WordTuple, ends: set[int], lists: OptOutLists) -> bool:
    """Whether nothing follows these ends of a phrase but what may be around it."""
    ends = lists.also.repeated_ends(words, ends)
    return len(words) - 1 in ends or any(_is_signed(words, end, lists) for end in ends)


def _is_signed(words: WordTuple, start: int, lists: OptOutLists) -> bool:
    """Whether a closing and a name are all that follows, as "Regards, Dr. Jane Porter"."""
    ends = lists.closings.ends(words, start)
    return any(_is_name(words, end + (words[end] == DOT), lists) for end in ends)


def _is_name(words: WordTuple, start: int, lists: OptOutLists) -> bool:
    """Whether all that follows may be a name, with a title before it."""
    title, others = words[start], words[start + 1 : -1]
    others = others[others[:1] == (DOT,) :]
    is_short = len(others) <= MOST_OTHER_NAMES and DOT not in (title, *others)
    return is_short and title != END and not lists.no_names.ends(words, start)


def _is_reasoned(words: WordTuple, ends: set[int], lists: OptOutLists) -> bool:
    """Whether a reason, or another clause, follows these ends of a phrase, and no limit."""
    ends = lists.around.repeated_ends(words, ends)
    reasons = [
        end
        for end in ends
        if words[end] != END and (words[end - 1] == DOT or lists.reasons.ends(words, end))
    ]
    # Behind the last one, for what is before it is around the phrase, as "now".
    return bool(reasons) and not lists.limits.is_in(words, max(reasons))


def _without_denied(words: WordTuple, lists: OptOutLists) -> WordTuple:
    """The words without those that say that somebody cannot opt out, or never does."""
    for start in lists.negations.possible_starts(words):
        ends = lists.mentions.all_ends(words, lists.negations.ends(words, start))
        if ends:
            return words[:start] + _without_denied(words[max(ends) :], lists)
    return words


def _is_perhaps(words: WordTuple, lists: OptOutLists) -> bool:
    """Whether some part of a text is about opting out."""
    return (
        lists.mentions.is_in(words)
        or any(_is_limited(words, at, lists) for at in lists.commands.possible_starts(words))
        or any(_is_clause(words, at, lists) for at in _clause_starts(words))
    )


def _is_limited(words: WordTuple, start: int, lists: OptOutLists) -> bool:
    """Whether a command and a limit stand there."""
    ends = lists.around.repeated_ends(words, lists.commands.ends(words, start))
    return any(lists.limits.ends(words, end) for end in ends)


def _clause_starts(words: WordTuple) -> list[int]:
    return [0, *(index for index, word in enumerate(words, 1) if word == DOT)]


def _is_clause(words: WordTuple, start: int, lists: OptOutLists) -> bool:
    starts = lists.before_clause.repeated_ends(words, {start})
    ends = lists.fillers.repeated_ends(words, lists.clauses.all_ends(words, starts))
    return any(words[end] in (DOT, END) for end in ends)


def _is_slip(words: WordTuple, long_words: frozenset[str]) -> bool:
    """Whether it is such a word with a slip, or with a letter held too long."""
    if len(words) != 2:
        return False
    word = words[0]
    return DOUBLED.sub(r"\1", word) == "stop" or any(is_slip(word, each) for each in long_words)


@cache
def _lists(languages: frozenset[str]) -> OptOutLists:
    each = [_lists_of(language) for language in sorted(languages)]

    def union(*names: str) -> Phrases:
        return Phrases.union(lists[name] for name in names for lists in each)

    polite = ("around", "closings")
    return OptOutLists(
        lead=union("perhaps", "leads", "fillers", *polite, DOT),
        explicit=union("phrases", "commands"),
        before_words=union("perhaps", *polite, DOT),
        words=union("words"),
        around=union(*polite, DOT),
        also=union("phrases", "commands", "perhaps", "words", "fillers", *polite, DOT),
        closings=union("closings"),
        no_names=union("limits", "fillers", "reasons"),
        reasons=union("reasons"),
        limits=union("limits"),
        negations=union("negations"),
        mentions=union("phrases", "mentions"),
        commands=union("commands"),
        before_clause=union("leads", "fillers", *polite),
        clauses=union("commands", "perhaps", "clauses"),
        fillers=union("fillers", *polite),
        long_words=frozenset().union(*map(_long_words, languages)),
    )


@cache
def _lists_of(language: str) -> dict[str, Phrases]:
    """Each list of a language, and a dot."""
    lists = asdict(section(language, "opt_out", OptOutPhrases))
    notation = Notation(lists.pop("sets"))
    return {name: notation.read(phrases) for name, phrases in {**lists, DOT: [DOT]}.items()}


def _long_words(language: str) -> Iterable[str]:
    words = section(language, "opt_out", OptOutPhrases).words
    return (word for word in words if len(word) >= LONG_WORD)
