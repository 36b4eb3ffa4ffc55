"""Reads a TOML file of the operator's, whatever is there under its name."""

import errno
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

POSITION = re.compile(r"\(at [^()]*\)\Z")  # the end of tomllib's errors
MAX_BYTES = 4 * 1024 * 1024  # a hundred thousand people; tomllib takes seconds for as much


def load_toml(path: Path, missing_ok: bool = False, is_private: bool = False) -> dict[str, Any]:
    """What the file says; ValueError has what is wrong and the cure, without the path.

    Of a file that `is_private` it quotes nothing, only the place.
    """
    try:
        content = read_bytes(path)
    except OSError as error:
        if missing_ok and isinstance(error, FileNotFoundError):
            return {}
        sentence = f"cannot be read: {error.strerror}. Correct that, or remove it."
        raise ValueError(sentence) from None
    return parse_toml(content, is_private)


def parse_toml(content: bytes, is_private: bool = False) -> dict[str, Any]:
    """What a file with this content says; ValueError as of `load_toml`."""
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        sentence = "is nested too deeply. Correct it there."
    except ValueError as error:
        sentence = f"is not TOML{_reason(error, is_private)}. Correct it there."
    raise ValueError(sentence)


def _reason(error: ValueError, is_private: bool) -> str:
    """What the error says, to go behind a sentence; a byte that is not UTF-8 tells nothing."""
    if not is_private or isinstance(error, UnicodeDecodeError):
        return f": {error}"
    position = POSITION.search(str(error))
    return f" {position[0]}" if position else ""


def read_bytes(path: Path) -> bytes:
    """The content; OSError also for what is no ordinary file, or a larger one than is read."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no ordinary file")
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


def _open_without_waiting(path: str, flags: int) -> int:
    """Open it at once, which a pipe otherwise does only when somebody writes into it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
