"""The column that keeps what a text can mean, while its guest is asked which was meant."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from sqlalchemy import Dialect, Text, TypeDecorator

from models.questionnaire.answers.kind import MAX_READINGS

Values = Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=MAX_READINGS)]


class Readings(TypeDecorator[tuple[str, ...]]):
    """The values of a reading that has several, as JSON text."""

    impl = Text
    cache_ok = True
    is_no = "list of two or three texts"  # what a cell is not that cannot be read

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        return value and msgspec.json.encode(value).decode()

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return _decode


def _decode(cell: str | None) -> tuple[str, ...] | None:
    return None if cell is None else msgspec.json.decode(cell, type=Values)
