"""Texts that phones send by themselves, or that repeat us: they answer nothing."""

import re
from collections.abc import Callable, Iterable

from models.text import normalize

# How phones tell of a reaction by text. Sources: Apple's and Google's apps in English.
DONE = "liked|loved|disliked|laughed at|emphasi[sz]ed|questioned"
MARKS = "like|heart|dislike|laugh|exclamation(?: mark)?|exclamation point|question mark"
THINGS = "image|photo|picture|movie|video|attachment|link|voice message|audio message"
THINGS += "|sticker|contact|location|file|gif"
EMOJI = r"[^\w\s\"'<>]{1,12}"
REACTION = re.compile(
    rf"(?:{DONE}|removed an? (?:{MARKS}) from|reacted(?: with)? {EMOJI} to|{EMOJI} to"
    rf"|removed (?:an? )?(?:reaction )?{EMOJI}(?: reaction)? from) (?P<what>.+)",
    re.DOTALL,
)
THING = re.compile(f"(?:an?|your) (?:{THINGS})")
# A quotation in a language that we do not know, with the verb before it, after it, or around it.
QUOTING = re.compile(r"(?=[^\"]|.*[^\"]$)[^\"]{0,40}\"(?P<what>.+)\"[^\"]{0,40}", re.DOTALL)
SHORTEST_ECHO = 10  # characters; a shorter text of ours can well be an answer, such as "Tea"
SHORTEST_CUT = 10  # characters of a quotation that ends in dots


def find_non_answer(text: str, find_said: Callable[[], Iterable[str]] = tuple) -> str | None:
    """Why a text is nobody's answer: `empty`, a `reaction`, or an `echo` of what we said.

    What we said is looked for only where it can matter.
    """
    words = normalize(text)
    if not words:
        return "empty"
    reaction = REACTION.fullmatch(words)
    if reaction and (_is_quoted(reaction["what"]) or THING.fullmatch(reaction["what"])):
        return "reaction"
    if not reaction and len(words) < SHORTEST_ECHO:
        return None
    ours = {normalize(one) for one in find_said()}
    if words in ours and len(words) >= SHORTEST_ECHO:
        return "echo"
    quotation = reaction or QUOTING.fullmatch(words)
    return "reaction" if quotation and _is_ours(quotation["what"], ours) else None


def _is_quoted(what: str) -> bool:
    return len(what) > 2 and what[0] == what[-1] == '"'


def _is_ours(what: str, ours: set[str]) -> bool:
    """Whether it is something we said, or its beginning where a phone cut it."""
    bare = what.strip("\"' ")
    beginning = bare.removesuffix("...").rstrip()
    cut = beginning != bare and len(beginning) >= SHORTEST_CUT
    return any(bare == one.strip("\"'") or (cut and one.startswith(beginning)) for one in ours)
