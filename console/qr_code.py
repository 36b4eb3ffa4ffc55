"""QR codes as paths of SVG, which need attributes only: our pages may have no style."""

from functools import lru_cache
from typing import NamedTuple

import segno

BORDER = 4  # modules of white around a code, that ISO 18004 wants
MAX_BYTES = 500  # of what it says: a code with more is too dense for a poster


class QrCode(NamedTuple):
    """A square of so many modules, with the dark ones as a path of SVG."""

    size: int
    path: str


@lru_cache
def draw_qr_code(text: str) -> QrCode | None:
    """The code for a text; None if that is too long."""
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        return None
    rows = list(segno.make_qr(text, error="m").matrix_iter(border=BORDER))
    strokes = [
        f"M{x} {y}h1v1h-1z"
        for y, row in enumerate(rows)
        for x, is_dark in enumerate(row)
        if is_dark
    ]
    return QrCode(len(rows), "".join(strokes))
