"""How many SMS carry a text, and in which encoding. It imports nothing of ours."""

GSM_7, UCS_2 = "GSM-7", "UCS-2"
ALPHABET = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = set("\f^{}\\[~]|€")  # each takes the room of two


def encoding(text: str) -> str:
    """GSM_7, or UCS_2 where one character is outside of GSM 03.38."""
    return GSM_7 if ALPHABET | EXTENSION >= set(text) else UCS_2


def ucs2_characters(text: str) -> list[str]:
    """The characters that make a text UCS-2, each once, in the order in which they come."""
    return [each for each in dict.fromkeys(text) if encoding(each) != GSM_7]


def measure(text: str) -> tuple[str, int]:
    """The encoding of a text, and how many segments (SMS) it takes."""
    if encoding(text) == GSM_7:
        widths = [1 + (character in EXTENSION) for character in text]
        return GSM_7, _count(widths, alone=160, each=153)
    return UCS_2, _count(_grapheme_widths(text), alone=70, each=67)


def _count(widths: list[int], alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1
    segments, room = 1, each
    for width in widths:
        if width > room:  # nothing that is seen as one character is split between two segments
            segments, room = segments + 1, each
        room -= width
    return segments


def _grapheme_widths(text: str) -> list[int]:
    """In UTF-16 units. Twilio's calculator keeps graphemes whole, such as a family emoji."""
    import regex

    graphemes = regex.findall(r"\X", text)
    return [len(grapheme.encode("utf-16-le", "surrogatepass")) // 2 for grapheme in graphemes]
