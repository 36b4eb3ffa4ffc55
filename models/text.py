"""Texts as phones send them, and the forms in which two of them are compared."""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache

from models.attachments import Location

LONGEST_REPLY = 1599  # characters; Twilio refuses 1,600 or more, its pages differ on which (14103)
QUOTES = str.maketrans("’‘‛´`“”„‟«»−‐‑‒–—", '\'\'\'\'\'""""""------')
QUOTE = re.compile(f"[{''.join(map(chr, QUOTES))}]")
OTHER_DIGIT = re.compile(r"[^\D0-9]")
INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe0e\ufe0f\ufeff]")
KEYCAP = "\u20e3"
WORD = re.compile(r"[^\W_]+")
SKIN_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")

# How the last line of a mail or phone program begins, without accents, in the languages that are
# built in, and what else it names. The language of a phone need not be that of the questionnaire.
SIGNATURE = re.compile(
    r"(?:sent|get (?:outlook|\w+ for)|von mein\w*|gesendet|holen sie sich outlook"
    r"|outlook (?:fur|voor)|enviado"
    r"|obtener outlook|obter o outlook|descarga(?:r)? outlook|envoye|telecharge[rz]? outlook"
    r"|obtenir outlook|inviato|ottieni outlook|scarica outlook|verstuurd|verzonden)\b"
)
DEVICE = re.compile(
    r"\b(?:ip(?:hone|ad|od)|android|samsung|galaxy|huawei|xiaomi|redmi|oneplus|motorola|nokia|pixel"
    r"|blackberry|windows|outlook|gmail|gmx|web\.de|yahoo|aol|t-online|proton ?mail|mail|e-mail"
    r"|(?:smart|mobile |cell)?phone|smartfon|handy|mobil\w*|movil|celular|cellulare|telefon\w*"
    r"|telemovel|portable|mobiel\w*|telefoon|tablet|device)\b"
)
LETTERS = str.maketrans({"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})
LONGEST_SIGNATURE = 80  # characters of a program's line


def normalize(text: str) -> str:
    """In small letters, ASCII digits and straight quotes, with single blanks; symbols are kept."""
    if text.isascii():  # as most are; the same, in a tenth of the time
        return " ".join(text.replace("`", "'").lower().split())
    text = text.replace("\U0001f51f", "10").replace(KEYCAP, " ")
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", text).translate(QUOTES))
    # Patterns skip what they do not find five times as fast as a look at each character.
    text = QUOTE.sub(lambda found: found[0].translate(QUOTES), SKIN_TONE.sub("", text).casefold())
    text = OTHER_DIGIT.sub(lambda found: str(unicodedata.decimal(found[0])), text)
    return " ".join(text.split())


def strip_decoration(normalized: str) -> str:
    """Without emoji, punctuation and blanks around it; unchanged where nothing else is left."""
    start, end = 0, len(normalized)
    while start < end and _is_decoration(normalized[start]):
        start += 1
    while end > start and _is_decoration(normalized[end - 1]):
        end -= 1
    return normalized[start:end] or normalized


def _is_decoration(character: str) -> bool:
    return unicodedata.category(character)[0] in "PSZCM"


def without_accents(normalized: str) -> str:
    """The letters without their accents: "cafe" for "café", "boeuf" for "bœuf"."""
    if normalized.isascii():
        return normalized
    parts = unicodedata.normalize("NFD", normalized.translate(LETTERS))
    marks = [part for part in set(parts) if unicodedata.category(part) == "Mn"]
    return parts.translate(dict.fromkeys(map(ord, marks))) if marks else parts


def words(text: str) -> list[str]:
    """Its words and numbers, each without case and accents."""
    return WORD.findall(without_accents(normalize(text)))


@lru_cache(maxsize=256)  # many guests text the same words
def comparable(text: str) -> str:
    """The form in which a text is compared with a keyword."""
    return strip_decoration(without_accents(normalize(text)))


@lru_cache(maxsize=64)  # a turn asks several times
def without_signature(text: str) -> str:
    """The text without blanks around it and without a mail signature, which may leave nothing.

    That is a line of two hyphens with all that follows, or a last line that a phone or a mail
    program adds, such as "Sent from my iPhone". A name below "Thanks," stays.
    """
    lines = text.strip().split("\n")
    stripped = [line.strip() for line in lines]
    end = stripped.index("--") if "--" in stripped else len(lines)
    while end and not stripped[end - 1]:
        end -= 1
    if end and _is_of_program(stripped[end - 1]):
        end -= 1
    return "\n".join(lines[:end]).strip()


def _is_of_program(line: str) -> bool:
    if " " not in line or len(line) > LONGEST_SIGNATURE:
        return False
    words = comparable(line)
    return bool(SIGNATURE.match(words) and DEVICE.search(words))


def normalize_number(text: str) -> str:
    """Normalized, without what stands around a number: emoji, quotes and punctuation."""
    normalized = normalize(text.replace(KEYCAP, ""))
    plain = "".join(
        " " if ord(character) > 0x2190 else character
        for character in normalized
        if character != '"'
    )
    return " ".join(plain.split()).strip("!?;:()[]*'").rstrip(".,'").strip()


def fold_case(text: str) -> str:
    """The form in which an event is the same to the letter: case and spacing do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@dataclass(frozen=True)
class IncomingText:
    """A text to one of our numbers, as Twilio brought it."""

    sender: str
    number: str
    body: str
    media: tuple[str, ...] = ()  # URLs
    opt_out_type: str | None = None  # what Twilio took it for, where an account tells that
    cookie: str | None = None
    sid: str | None = None
    status: str | None = None
    params: str | None = None  # all fields of the request, as JSON
    media_types: tuple[str, ...] = ()  # of `media`, in the same order: image/jpeg
    location: Location | None = None  # that is shared with it
    external_id: str | None = None  # what WhatsApp calls a sender besides, or instead of, a number

    @cached_property
    def normalized(self) -> str:
        """The form in which it is compared with texts of ours."""
        return normalize(self.body)

    @cached_property
    def word(self) -> str:
        """The form in which it is compared with Twilio's keywords."""
        return strip_decoration(self.normalized)

    @cached_property
    def comparable(self) -> str:
        """The form in which it is compared with a questionnaire's keywords."""
        return comparable(self.body)
