"""What smsconvo knows of languages: a TOML file for each, with a section for each topic.

Whoever speaks a language can correct its file without knowing Python. The module that needs a
section says what is in it, as a struct.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

FOLDER = Path(__file__).parent
LANGUAGES = tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))
ENGLISH = "en"

T = TypeVar("T", bound=msgspec.Struct)


@cache
def section(language: str, name: str, type: type[T]) -> T:
    """A section of a language's file; the English one for a language that has no file."""
    return msgspec.convert(_content(language if language in LANGUAGES else ENGLISH)[name], type)


@cache
def _content(language: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{language}.toml").read_text("utf-8"))
