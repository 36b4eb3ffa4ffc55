"""Rows as a file: CSV, XLSX or JSON lines, in chunks of bytes. Memory does not grow with it.

Guests write what is in the cells. A spreadsheet would run what begins with = as a formula.
"""

import csv
import errno
import io
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from xlsxwriter import Workbook
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

CHUNK_SIZE = 64 * 1024  # bytes
SEPARATOR = ", "  # between the values of a list, in a cell

# CSV ########################################################################

# What may stand before a sign that begins a formula: blanks, and what shows nothing.
BLANKS = re.compile(
    "[\\s\x00-\x1f\x7f-\x9f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]*"
)
SIGNS = tuple("=+-@\u2212")  # U+2212 is the minus of mathematics
QUOTE = "'"
# What is a cell of its own for a program that takes ; or a tab for the separator, as Excel does in
# half of Europe. It ends rows at line ends, too: the quotation marks of the whole cell are not at
# the beginning of one of its cells then.
PARTS = re.compile("(?<=[;\t\r\n])[^;\t\r\n]+")


def csv_chunks(
    columns: Sequence[str], rows: Iterable[Sequence[object]], is_raw: bool = False
) -> Iterator[bytes]:
    """RFC 4180 in UTF-8, without a byte order mark; what could be a formula has a ' before it.

    `is_raw`: no ' is put anywhere.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        cells = map(to_text, row)
        writer.writerow(cells if is_raw else map(make_harmless, cells))
        if text.tell() >= CHUNK_SIZE:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def to_text(cell: object) -> str:
    """A cell as text; times are ISO 8601 in UTC."""
    match cell:
        case None:
            return ""
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date() | time():
            return cell.isoformat()
        case list():
            return SEPARATOR.join(cell)
    return str(cell)


def make_harmless(text: str) -> str:
    """The text, with a ' wherever a spreadsheet could take what follows for a formula.

    That is at its beginning, and behind each ; tab and line end. To undo it, remove each ' there if
    what follows could be one without it.
    """
    marked = PARTS.sub(_mark_part, text)
    return QUOTE + marked if may_be_formula(text) else marked


def _mark_part(found: re.Match[str]) -> str:
    """Quotation marks do not count: of two that begin a cell, the second ends it."""
    part = found[0]
    return QUOTE + part if may_be_formula(part.replace('"', "")) else part


def may_be_formula(text: str) -> bool:
    """Whether a text begins with a sign that makes a formula, or with a tab or a line end.

    Marks of ours do not count, so that they can be told from those that a guest wrote.
    """
    if text[:1].isalnum():  # as most do, and the rest takes several times as long
        return False
    bare = text.lstrip(QUOTE)
    if bare[:1] in ("\t", "\r", "\n"):
        return True
    start = BLANKS.match(bare).end()
    # Full-width signs and their like: some programs make the plain ones of them.
    return unicodedata.normalize("NFKC", bare[start : start + 1]).startswith(SIGNS)


# JSON lines #################################################################


def json_chunks(objects: Iterable[object]) -> Iterator[bytes]:
    """A line of JSON for each object, in UTF-8."""
    encoder, lines = msgspec.json.Encoder(), bytearray()
    for each in objects:
        lines += encoder.encode(each) + b"\n"
        if len(lines) >= CHUNK_SIZE:
            yield bytes(lines)
            lines.clear()
    yield bytes(lines)


# XLSX #######################################################################

MAX_ROWS = 1_048_576  # of a sheet, that of the names included
MAX_CELL = 32_767  # UTF-16 units of a text
CUT = "… (cut)"
LOOK_EVERY = 1000  # rows
# Of the disk a workbook leaves to others as many times its own size, or as many bytes if that is
# less. Whatever its rows take, it has some bytes more.
LEFT_TIMES, LEFT_BYTES = 3, 256 * 1024 * 1024
LEAST = 64 * 1024
FULL = (errno.ENOSPC, errno.EDQUOT)
MAX_DIGITS = 15  # of a number; a spreadsheet makes zeros of further ones
FIRST_YEAR = 1900  # of dates
# What looks like a formula or a link stays a text, whichever of its methods writes it.
OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
LOOKS = {datetime: 'yyyy-mm-dd"T"hh:mm:ss"Z"', date: "yyyy-mm-dd", time: "hh:mm"}


class NoRoom(OSError):
    """The disk is too full for a workbook."""


def xlsx_chunks(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """A workbook: numbers and times are typed, all else is text, and nothing is a formula or link.

    It is complete only at the end, so it waits in a temporary folder. NoRoom: that leaves too
    little of the disk, which the database may be on. OSError: nothing can be written there.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "export.xlsx")
        try:
            _write_workbook(path, folder, columns, _while_there_is_room(rows, folder))
        except OSError as error:
            if error.errno in FULL:
                raise NoRoom(*error.args) from None
            raise
        with path.open("rb") as file:
            yield from iter(partial(file.read, CHUNK_SIZE), b"")


def _while_there_is_room(
    rows: Iterable[Sequence[object]], folder: str
) -> Iterator[Sequence[object]]:
    """The rows, of which a workbook keeps all on the disk, and packs them at the end."""
    for number, row in enumerate(rows):
        if number % LOOK_EVERY == 0:
            _check_room(folder)
        yield row
    _check_room(folder)


def _check_room(folder: str) -> None:
    """To pack what is there takes as much again."""
    size = LEAST + sum(file.stat().st_size for file in os.scandir(folder))
    if disk_usage(folder).free < size + min(LEFT_TIMES * size, LEFT_BYTES):
        raise NoRoom("There is too little room for a workbook.")


def _write_workbook(
    path: Path, folder: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    from xlsxwriter import Workbook  # only here: no server needs it
    from xlsxwriter.exceptions import FileCreateError

    book = Workbook(str(path), OPTIONS | {"tmpdir": folder})
    try:
        book.use_zip64()
        _Sheets(book, columns).write(rows)
    finally:
        try:
            book.close()  # also after an error: it has files open
        except FileCreateError as error:
            raise error.args[0] from None


class _Sheets:
    """The sheets of a workbook, one after the other, for as many rows as there are."""

    def __init__(self, book: "Workbook", columns: Sequence[str]) -> None:
        self._book, self._columns = book, columns
        self._looks = {kind: book.add_format({"num_format": look}) for kind, look in LOOKS.items()}
        self._plain = book.add_format()

    def write(self, rows: Iterable[Sequence[object]]) -> None:
        sheet, height = self._add(), 1
        for row in rows:
            if height == MAX_ROWS:
                sheet, height = self._add(), 1
            for column, cell in enumerate(row):
                self._write_cell(sheet, height, column, cell)
            height += 1

    def _add(self) -> "Worksheet":
        """A sheet with the names of the columns in its first row, which stays when one scrolls."""
        sheet = self._book.add_worksheet()
        sheet.freeze_panes(1, 0)
        for column, name in enumerate(self._columns):
            sheet.write_string(0, column, name)
        return sheet

    def _write_cell(self, sheet: "Worksheet", row: int, column: int, cell: object) -> None:
        match cell:
            case None | "":
                return
            case int() | Decimal() if _fits(cell):
                sheet.write_number(row, column, float(cell))
            case date() if cell.year >= FIRST_YEAR:
                naive = cell.astimezone(UTC).replace(tzinfo=None) if _has_time(cell) else cell
                sheet.write_datetime(row, column, naive, self._looks[type(cell)])
            case time():
                sheet.write_datetime(row, column, cell, self._looks[time])
            case _:
                _write_text(sheet, row, column, to_text(cell), self._plain)


def _has_time(moment: date) -> bool:
    return isinstance(moment, datetime)


def _fits(number: int | Decimal) -> bool:
    """Whether a spreadsheet can keep all digits of a number."""
    if isinstance(number, Decimal) and not number.is_finite():
        return False
    return len(Decimal(number).as_tuple().digits) <= MAX_DIGITS and abs(number) < 10**MAX_DIGITS


def _write_text(sheet: "Worksheet", row: int, column: int, text: str, plain: "Format") -> None:
    units = text.encode("utf-16-le")
    if len(units) > 2 * MAX_CELL:
        text = units[: 2 * (MAX_CELL - len(CUT))].decode("utf-16-le", errors="ignore") + CUT
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter takes that for a text with formats, and writes it as XML, without escaping it.
        sheet.write_rich_string(row, column, text[:1], plain, text[1:])
    else:
        sheet.write_string(row, column, text)
