"""Texts as phones send them, and the shape in which two of them are compared."""

import re
import unicodedata
from collections.abc import Callable, Iterable

QUOTES = str.maketrans("’‘‛´`“”„‟«»−‐‑‒–—", '\'\'\'\'\'""""""------')
INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe0e\ufe0f\ufeff]")
KEYCAP = "\u20e3"
SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")


def fold(text: str) -> str:
    """In small letters, ASCII digits and straight quotes, with single blanks; signs are kept."""
    text = text.replace("\U0001f51f", "10").replace(KEYCAP, " ")
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text).translate(QUOTES))
    text = SKIN.sub("", text).casefold().translate(QUOTES)
    text = "".join(str(unicodedata.decimal(sign, sign)) for sign in text)
    return " ".join(text.split())


def trim(folded: str) -> str:
    """Without the emoji, punctuation and blanks around it; all of it where nothing else is left."""
    start, end = 0, len(folded)
    while start < end and _is_ornament(folded[start]):
        start += 1
    while end > start and _is_ornament(folded[end - 1]):
        end -= 1
    return folded[start:end] or folded


def _is_ornament(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "PSZCM"


def without_accents(folded: str) -> str:
    parts = unicodedata.normalize("NFD", folded)
    return "".join(sign for sign in parts if unicodedata.category(sign) != "Mn")


STOP = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START = {"start", "unstop"}
HELP = {"help", "info"}


def find_wish(text: str, opt_out_type: str | None = None) -> str | None:
    """What the sender wants of our texts, `stop`, `start` or `help`, by a word alone.

    Twilio's own reading comes first: an account can have other words.
    """
    word = trim(fold(text))
    if opt_out_type in ("STOP", "HELP"):
        return opt_out_type.lower()
    if word in STOP:
        return "stop"
    if word in HELP:
        return "help"
    return "start" if word in START or opt_out_type == "START" else None


def says_yes(text: str) -> bool:
    """Whether it is the word that Twilio takes for opting in, though most often it is an answer."""
    return trim(fold(text)) == "yes"


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
    words = fold(text)
    if not words:
        return "empty"
    reaction = REACTION.fullmatch(words)
    if reaction and (_is_quoted(reaction["what"]) or THING.fullmatch(reaction["what"])):
        return "reaction"
    if not reaction and len(words) < SHORTEST_ECHO:
        return None
    ours = {fold(one) for one in find_said()}
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
