"""Conversations and their answers as a file: for the command `export`, and for the console."""

import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from threading import BoundedSemaphore
from typing import NamedTuple

from sqlalchemy.orm import Session

from formats import NoRoom, csv_chunks, json_chunks, xlsx_chunks
from logs import error_location, log_event
from models.acts.act import CannotAct
from models.export import (
    Export,
    ExportedConversation,
    find_keys,
    long_columns,
    long_objects,
    long_rows,
    wide_columns,
    wide_object,
    wide_row,
)
from models.questionnaire.schema import Questionnaire
from models.reports.answer_filter import Filter, check_filter, find_filter
from models.reports.answers import count_all
from models.reports.context import PageContext
from storage import Database
from storage.database import ReportsBusy

FORMATS = ("csv", "xlsx", "jsonl")
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "jsonl": "application/x-ndjson; charset=utf-8",
}
UNSAFE = re.compile("[^A-Za-z0-9_-]+")  # in the name of a file
LONGEST_NAME = 60


class Layout(NamedTuple):
    """How the file looks."""

    format: str
    is_long: bool = False
    is_raw: bool = False
    with_removed: bool = True
    with_tests: bool = False

    @property
    def needs_columns(self) -> bool:
        """Whether it has a column for each question, so that it can show one questionnaire."""
        return not self.is_long and self.format != "jsonl"


def find_shown(
    database: Database, names: list[str], files: dict[str, Questionnaire], layout: Layout
) -> dict[str, list[str]]:
    """The keys of the questions that are exported, by questionnaire; none of one with all."""
    if layout.with_removed and not layout.needs_columns:
        return {}
    with database.read() as db:
        return {name: find_keys(db, name, files.get(name), layout.with_removed) for name in names}


def find_chunks(exported: Export, keys: list[str], layout: Layout) -> Iterator[bytes]:
    """The file, piece by piece."""
    if layout.format == "jsonl":
        if not layout.is_long:
            return json_chunks(map(wide_object, exported))
        return json_chunks(line for each in exported for line in long_objects(each))
    form = "typed" if layout.format == "xlsx" else "value"
    if layout.is_long:
        columns = long_columns(layout.with_tests)
        rows = (row for each in exported for row in long_rows(each, form))
    else:
        columns = wide_columns(keys, layout.with_tests)
        rows = (wide_row(each, keys, form) for each in exported)
    if layout.format == "xlsx":
        return xlsx_chunks(columns, rows)
    return csv_chunks(columns, rows, layout.is_raw)


# For the console ############################################################


MAX_SENT = 4  # at once in a process
MAKING = BoundedSemaphore(1)  # workbooks in a process: nobody's pace holds them back
MAX_IN_WORKBOOK = 20_000  # conversations
PAUSE_EVERY = 50  # of them
NO_ROOM = "The temporary folder has no room for XLSX. Make room, or take CSV or JSON lines."
TOO_LONG = "A workbook has {:,} conversations here at most. Choose a period, or take CSV or JSON"
TOO_LONG += " lines. The command export has no such limit."
SENDING = BoundedSemaphore(MAX_SENT)
INCOMPLETE = "This file is incomplete: what it is read from did not answer. Export it again."
BROKEN_OFF = {
    "csv": f"{INCOMPLETE}\r\n".encode(),
    "jsonl": f'{{"error":"{INCOMPLETE}"}}\n'.encode(),
    "xlsx": b"",  # it is complete before any of it is sent
}


class File(NamedTuple):
    """A file that is sent while it is read. Close `chunks`, or what they read stays open."""

    name: str
    type: str
    chunks: Iterator[bytes]


def find_file(database: Database, context: PageContext, format: str) -> File:
    """The conversations of the page of answers at the same address, all of them.

    What fails at once, such as the database, fails here: later half of a file has gone out.
    OddFilter: a filter makes no sense, and without it the file would have more than was meant.
    """
    with database.report() as db:
        filter = find_filter(db, context)
        check_filter(context.query, filter)
        if format == "xlsx":
            _check_length(db, filter)
    is_long = context.query.value("shape") == "long"
    layout = Layout(format, is_long, with_tests=filter.selection.with_tests)
    exported = Export(database, filter.selection, {filter.name: filter.keys})
    name, type = file_name(filter.name, format), TYPES[format]
    if format != "xlsx":
        return File(name, type, begin(find_chunks(exported, list(filter.keys), layout), format))
    if not MAKING.acquire(blocking=False):
        raise ReportsBusy
    try:
        chunks = find_chunks(_slowly(exported), list(filter.keys), layout)
        return File(name, type, begin(chunks, format))
    except NoRoom:
        raise CannotAct(NO_ROOM) from None
    finally:
        MAKING.release()


def _check_length(db: Session, filter: Filter) -> None:
    """CannotAct if a workbook would be too long, where that can be told without reading answers."""
    selection = filter.selection
    is_narrow = selection.ids or selection.details()
    if not is_narrow and count_all(db, filter) > MAX_IN_WORKBOOK:
        raise CannotAct(TOO_LONG.format(MAX_IN_WORKBOOK))


def _slowly(exported: Iterable[ExportedConversation]) -> Iterator[ExportedConversation]:
    """The same, with a pause after each few, as long as they took: a workbook is made at once.

    Other files are made as fast as they are read. CannotAct if a browser would wait for too long.
    """
    began = time.monotonic()
    for number, each in enumerate(exported, 1):
        if number > MAX_IN_WORKBOOK:
            raise CannotAct(TOO_LONG.format(MAX_IN_WORKBOOK))
        yield each
        if number % PAUSE_EVERY == 0:
            time.sleep(time.monotonic() - began)
            began = time.monotonic()


def file_name(questionnaire: str, format: str) -> str:
    """A name that is safe in a header and on every disk, whatever the questionnaire is called."""
    safe = UNSAFE.sub("-", questionnaire).strip("-")[:LONGEST_NAME]
    return f"answers-{safe}.{format}" if safe else f"answers.{format}"


def begin(chunks: Iterator[bytes], format: str) -> Iterator[bytes]:
    """The same chunks, of which the first one is there already.

    ReportsBusy if MAX_SENT are being sent: each takes a thread of the server's, as long as its
    reader likes to.
    """
    begun = _send(chunks, format)
    next(begun)
    return begun


def _send(chunks: Iterator[bytes], format: str) -> Iterator[bytes]:
    with closing(chunks):
        if not SENDING.acquire(blocking=False):
            raise ReportsBusy
        try:
            first = next(chunks, b"")
            yield b""  # `begin` takes this one
            yield first
            yield from _to_the_end(chunks, format)
        finally:
            SENDING.release()


def _to_the_end(chunks: Iterator[bytes], format: str) -> Iterator[bytes]:
    """The chunks, and a last line if they break off: no status can say so any more."""
    try:
        yield from chunks
    except Exception as error:
        log_event("console", logging.ERROR, outcome="broken off", why=error_location(error))
        yield BROKEN_OFF[format]
