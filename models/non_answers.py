"""Texts that answer nothing: keywords about our texts, reactions, and echoes of what we texted."""

import re
from collections.abc import Iterable

from models.text import normalize

STOP = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START = {"start", "unstop"}
HELP = {"help", "info"}

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


def opt_keyword(word: str, opt_out_type: str | None = None) -> str | None:
    """`stop`, `start` or `help`, where a text is nothing but such a keyword.

    `word` is the text without decoration (`IncomingText.word`). `opt_out_type` is what Twilio took
    it for, which comes first: an account can have keywords of its own.
    """
    if opt_out_type in ("STOP", "HELP"):
        return opt_out_type.lower()
    if word in STOP:
        return "stop"
    if word in HELP:
        return "help"
    return "start" if word in START or opt_out_type == "START" else None


def is_opt_in_yes(word: str) -> bool:
    """Whether it is the word that opts in at Twilio, though most often it is an answer."""
    return word == "yes"


def may_repeat_us(normalized: str) -> bool:
    """Whether `ignored_reason` has to know what we texted."""
    return len(normalized) >= SHORTEST_ECHO or REACTION.fullmatch(normalized) is not None


def ignored_reason(normalized: str, recent_bodies: Iterable[str] = ()) -> str | None:
    """Why a text is nobody's answer: `empty`, a `reaction`, or an `echo` of what we texted.

    `recent_bodies` is what we texted last, and matters only where `may_repeat_us` says so.
    """
    if not normalized:
        return "empty"
    reaction = REACTION.fullmatch(normalized)
    if reaction and (_is_quoted(reaction["what"]) or THING.fullmatch(reaction["what"])):
        return "reaction"
    if not reaction and len(normalized) < SHORTEST_ECHO:
        return None
    ours = {normalize(body) for body in recent_bodies}
    if normalized in ours and len(normalized) >= SHORTEST_ECHO:
        return "echo"
    quotation = reaction or QUOTING.fullmatch(normalized)
    return "reaction" if quotation and _is_ours(quotation["what"], ours) else None


def _is_quoted(what: str) -> bool:
    return len(what) > 2 and what[0] == what[-1] == '"'


def _is_ours(what: str, ours: set[str]) -> bool:
    """Whether it is something we texted, or its beginning where a phone cut it."""
    bare = what.strip("\"' ")
    beginning = bare.removesuffix("...").rstrip()
    is_cut = beginning != bare and len(beginning) >= SHORTEST_CUT
    return any(
        bare == body.strip("\"'") or (is_cut and body.startswith(beginning)) for body in ours
    )
