"""Texts as phones send them, and the shape in which two of them are compared."""

import re
import unicodedata

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
