"""What every part of a questionnaire file has in common."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import msgspec
from msgspec import Struct


class Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a questionnaire file."""

    def changed(self, names: Iterable[str]) -> list[str]:
        """Those of these fields that have another value than the default."""
        defaults = defaults_of(type(self))
        return [name for name in names if getattr(self, name) != defaults[name]]


@cache  # to find them takes as long as to read a small file
def defaults_of(kind: type[Part]) -> dict[str, object]:
    """The value that each field of this kind of part has without a line in the file."""
    return {field.name: _default(field) for field in msgspec.structs.fields(kind)}


def _default(field: msgspec.structs.FieldInfo) -> Any:
    has_factory = field.default_factory is not msgspec.NODEFAULT  # as for a dictionary
    return field.default_factory() if has_factory else field.default
