"""Texts in which somebody wants no more texts, beyond the words that Twilio answers itself."""

import re
from functools import cache, lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct

from models.phrases import sorted_pattern_of, words_of
from models.questionnaire.languages import ENGLISH, section
from models.questionnaire.slips import is_slip
from models.text import without_signature

LONGEST_PHRASE = 400  # characters of a text; what comes behind is no part of a phrase
LONG_WORD = 8  # letters; shorter words are one letter from too many others
DOUBLED = re.compile(r"([a-z])\1+")
CLAUSE_START, CLAUSE_END = r"(?:^|(?<=\. ))", r"(?=\. |$)"


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


class OptOutPatterns(NamedTuple):
    """What is looked for in `words_of` a text."""

    whole: re.Pattern[str]  # the text is nothing but a phrase, and what is around it
    reasoned: re.Pattern[str]  # it begins with one, and a reason follows
    limit: re.Pattern[str]  # of when, or where no texts are wanted
    denied: re.Pattern[str]  # that somebody can, or does
    perhaps: re.Pattern[str]  # some part of it is about opting out
    long_words: frozenset[str]  # whose slips are known


@lru_cache(maxsize=64)  # a turn asks twice: when it reads what it needs, and when it decides
def find_opt_out(
    text: str, languages: frozenset[str], stop_words: tuple[str, ...] = ()
) -> Literal["opt_out", "perhaps_opt_out"] | None:
    """Whether a text is an opting out as a whole, or merely holds such words.

    English words count in every language. `stop_words` are those of a questionnaire.
    """
    words = words_of(without_signature(text[: 2 * LONGEST_PHRASE]))[:LONGEST_PHRASE]
    if words in map(words_of, stop_words):
        return "opt_out"
    patterns = _patterns(languages | {ENGLISH})
    if patterns.whole.fullmatch(words):
        return "opt_out"
    reasoned = patterns.reasoned.match(words)
    if reasoned and not patterns.limit.search(words, reasoned.end()):
        return "opt_out"
    words = patterns.denied.sub("", words)
    is_perhaps = patterns.perhaps.search(words) or _is_slip_of(words.strip(), patterns.long_words)
    return "perhaps_opt_out" if is_perhaps else None


def _is_slip_of(word: str, long_words: frozenset[str]) -> bool:
    """Whether it is such a word with a slip, or with a letter held too long."""
    if " " in word or not word:
        return False
    return DOUBLED.sub(r"\1", word) == "stop" or any(is_slip(word, each) for each in long_words)


@cache
def _patterns(languages: frozenset[str]) -> OptOutPatterns:
    files = [section(language, "opt_out", OptOutPhrases) for language in sorted(languages)]

    def either(*names: str) -> str:
        return sorted_pattern_of(
            (getattr(file, name), file.sets) for name in names for file in files
        )

    # Atomic groups and possessive repeats keep a long text from being tried in many ways.
    polite = ("around", "closings")
    around, filler = rf"(?>{either(*polite)}|\. )", f"(?>{either('fillers', *polite)})*"
    lead = rf"(?>{either('perhaps', 'leads', *polite, 'fillers')}|\. )"
    explicit = either("phrases", "commands")
    also = either("phrases", "commands", "perhaps", "words", *polite, "fillers")
    # A name behind a closing, as "Regards, Dr. Jane Porter".
    name = rf"(?!{either('limits', 'fillers', 'reasons')})[^ .]+ (?:\. )?(?:[^ .]+ ){{0,2}}$"
    more = rf"(?>(?:{either('closings')})(?:\. )?{name}|{also}|\. )*+"
    beginning = f"{lead}*(?:{explicit})"
    bare = rf"(?>{either('perhaps', *polite)}|\. )*(?:{either('words')})"
    limit = rf"\b(?:{either('limits')})"
    before = f"(?>{either('leads', 'fillers', *polite)})*"
    alone = either("commands", "perhaps", "clauses")
    clause = f"{CLAUSE_START}{before}(?:{alone}){filler}{CLAUSE_END}"
    anywhere = f"{either('phrases', 'mentions')}|(?:{either('commands')}){around}*{limit}"
    return OptOutPatterns(
        whole=re.compile(f"(?:{beginning}|{bare}){more}"),
        reasoned=re.compile(rf"{beginning}{around}*(?:(?<=\. )|(?={either('reasons')}))(?=.)"),
        limit=re.compile(limit),
        denied=re.compile(rf"\b(?:{either('negations')})(?:{either('phrases', 'mentions')})"),
        perhaps=re.compile(rf"\b(?:{anywhere}|{clause})"),
        long_words=frozenset(
            word for file in files for word in file.words if len(word) >= LONG_WORD
        ),
    )
