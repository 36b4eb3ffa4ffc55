"""Texts that phones and machines send by themselves: reactions, automatic replies, quotations."""

import re
from collections.abc import Collection, Iterable
from functools import cache, lru_cache
from itertools import accumulate, takewhile
from typing import NamedTuple

from msgspec import Struct

from models.phrases import DOT, UMLAUT, Notation, Phrases, alternatives, split_words, words_of
from models.questionnaire.languages import LANGUAGES, section
from models.text import normalize, without_accents, without_signature

SHORTEST_ECHO = 10  # characters of a text of ours; a shorter one, as "Tea", may be an answer
SHORTEST_WORDING = 20  # characters of an automatic reply
LONGEST_WORDING = 600  # characters of an automatic reply that are looked at
FEWEST_WORDS = 5  # of an automatic reply
WHAT = "(?P<what>.+?)"
QUOTATION = "“…”"  # in the files
ANY_EMOJI = "👍"
EMOJI = r"(?:[^\w\s\"'<>]{1,12} )"
SINGLE_QUOTES = re.compile(r"‘(.+)’(?!\w)", re.DOTALL)
APART = re.compile(r"([\":,])")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
DOTS = re.compile(r"…|\.\.\.")
# A quotation in a language that has no file, with the verb before it, or after it.
QUOTING = re.compile(r"(?P<before>[^\"]{0,40})\" (?P<what>.+) \" (?P<after>[^\"]{0,40})")
CLOSING = re.compile(r"[,?!.…\"”“»«’'‘)\]]*(?:\s+[?!»]+)*\s*(?:[-–—:>]+\s+)*")


class NoisePhrases(Struct, forbid_unknown_fields=True):
    """The section [noise] of a language; its file says what each list is for."""

    reactions: list[str]
    things: list[str]
    starts: list[str]
    contains: list[str]


class ReactionPattern(NamedTuple):
    """How phones word a reaction in one language; `what` is to what."""

    language: str
    pattern: re.Pattern[str]
    thing: re.Pattern[str]


def is_auto_reply(text: str) -> bool:
    """Whether a machine has written it: in any language, for a phone has its own."""
    if len(text) < SHORTEST_WORDING:
        return False
    words = split_words(words_of(text[:LONGEST_WORDING]))
    if len(words) <= FEWEST_WORDS:
        return False
    starts, contains = _auto_replies()
    return contains.is_in(words) or any(words[end] == DOT for end in starts.ends(words, 0))


def is_reaction(text: str, languages: Collection[str], bodies: Iterable[str]) -> bool:
    """Whether a phone tells of a reaction to a text.

    In these languages that may be any text, in others one of these `bodies`, which we have texted.
    """
    if text.isalnum():  # as most answers are
        return False
    form = _form(text)
    if not _any_reaction().fullmatch(form):
        return _is_unknown_reaction(form, languages, bodies)
    ours = [_form(body) for body in bodies]
    for language, pattern, thing in _reactions():
        if found := pattern.fullmatch(form):
            what = found["what"]
            is_known = language in languages and (_is_quoted(what) or thing.fullmatch(what))
            if is_known or _is_ours(what, ours):
                return True
    return False


def _is_unknown_reaction(form: str, languages: Collection[str], bodies: Iterable[str]) -> bool:
    """Whether it quotes us with a verb before it, or in a language without a file behind it."""
    quoting = QUOTING.fullmatch(form) if '"' in form else None
    if not quoting or not (quoting["before"] or quoting["after"]):
        return False
    is_answer = quoting["after"] and set(languages) & set(LANGUAGES)  # to what is quoted
    return not is_answer and _is_ours(f"{quoting['what']} ", map(_form, bodies))


def without_quotation(text: str, bodies: Iterable[str]) -> str:
    """What stands behind a quotation of one of these texts of ours; all where there is none."""
    letters = _letters(text)
    for body in bodies:
        last_sentence = SENTENCE_END.split(body.strip())[-1]
        for ours in dict.fromkeys((body, last_sentence)):
            end = _quotation_end(text, letters, ours)
            # The end of what we texted, without quotation marks, may well be an answer by itself.
            if end and (ours == body or text[end:] or not text[0].isalnum()):
                return text[end:]
    return text


def typed_part(text: str, bodies: Iterable[str]) -> str:
    """What somebody has typed of a text: no quotation of one of these of ours, no signature."""
    return without_signature(without_quotation(text, bodies))


def _quotation_end(text: str, letters: str, ours: str) -> int | None:
    """Where the quotation ends with which a text of these letters begins; dots may cut it."""
    wanted = _letters(ours)
    if letters[:5] != wanted[:5]:  # as of nearly all
        return None
    count = _common_length(letters, wanted)
    if not count or len(normalize(ours)) < SHORTEST_ECHO:
        return None
    end = _index_behind(text, count)
    if count == len(wanted):
        decoration = ours[_index_behind(ours, count) :]
        return CLOSING.match(text, end + _common_length(text[end:], decoration)).end()
    dots = DOTS.match(text, end) if count >= SHORTEST_ECHO else None
    return CLOSING.match(text, dots.end()).end() if dots else None


def _common_length(text: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return sum(
        1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(text, other, strict=False))
    )


def _index_behind(text: str, count: int) -> int:
    """The index behind so many letters and digits of a text."""
    counts = accumulate(len(_letters(character)) for character in text)
    return next(index for index, letters in enumerate(counts, 1) if letters >= count)


@lru_cache(maxsize=256)  # many guests get the same question
def _letters(text: str) -> str:
    """Its letters and digits, in the form in which texts are compared."""
    return "".join(filter(str.isalnum, without_accents(normalize(text))))


@cache
def _reactions() -> list[ReactionPattern]:
    patterns = []
    for language, phrases in _phrases().items():
        thing = re.compile("|".join(map(_pattern, phrases.things)))
        for reaction in phrases.reactions:
            words = _pattern(reaction)
            # As little as fits: words behind it may be missing. Without one before, it is quoted.
            beginning = '(?P<what>" .+? " )' if words.startswith(f"(?:{WHAT})") else WHAT
            pattern = re.compile(words.replace(WHAT, beginning))
            patterns.append(ReactionPattern(language, pattern, thing))
    return patterns


@cache
def _any_reaction() -> re.Pattern[str]:
    """All of them at once, which takes less time than each for itself."""
    unnamed = (reaction.pattern.pattern.replace("?P<what>", "?:") for reaction in _reactions())
    return re.compile("|".join(unnamed))


def _phrases() -> dict[str, NoisePhrases]:
    return {language: section(language, "noise", NoisePhrases) for language in LANGUAGES}


def _pattern(phrase: str) -> str:
    """A pattern for a text that fits this phrase, as `_form` gives it."""
    return "".join(map(_item_pattern, phrase.split()))


def _item_pattern(item: str) -> str:
    longest_first = sorted(map(_form_pattern, alternatives(item)), key=len, reverse=True)
    return f"(?:{'|'.join(longest_first)}){'?' if item.startswith('[') else ''}"


def _form_pattern(name: str) -> str:
    if name == QUOTATION:
        return WHAT
    return EMOJI if name == ANY_EMOJI else re.escape(_form(name))


@cache
def _auto_replies() -> tuple[Phrases, Phrases]:
    """How they start, and what they contain."""
    notation, files = Notation(), _phrases().values()
    starts = (phrase for file in files for phrase in file.starts)
    contains = (phrase for file in files for phrase in file.contains)
    return notation.read(starts), notation.read(contains)


def _form(text: str) -> str:
    """Words that end in a blank, with straight quotes as words of their own; no apostrophes."""
    quoted = SINGLE_QUOTES.sub(r'"\1"', text)
    plain = UMLAUT.sub(r"\1", without_accents(normalize(quoted)).replace("'", ""))
    return " ".join(APART.sub(r" \1 ", plain).split()) + " "


def _is_quoted(what: str) -> bool:
    return len(what) > 4 and what.startswith('" ') and what.endswith('" ') and what.count('"') == 2


def _is_ours(what: str, ours: Iterable[str]) -> bool:
    """Whether it is something we texted, or its beginning where a phone cut it."""
    bare = what.strip('" ')
    beginning = bare.removesuffix("...").rstrip()
    is_cut = beginning != bare and len(beginning) >= SHORTEST_ECHO
    return any(bare == body.strip('" ') or (is_cut and body.startswith(beginning)) for body in ours)
