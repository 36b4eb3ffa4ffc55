"""The log: JSON lines on stderr, without anything that a stranger sent."""

import json
import logging
import os
import socket
import stat
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from select import PIPE_BUF, select
from threading import Lock

import msgspec

# Bytes of a line without its ends: so much a pipe takes whole or not at all.
MAX_LINE = PIPE_BUF - 2
MAX_LONG_EVENT = 600  # characters that are kept of a longer line; one has up to six bytes in JSON
# Several threads must not find the same room. This is for one that another process overtook there.
LOCK_SECONDS = 0.1

log = logging.getLogger("smsconvo")
# As `logging` itself has it where it is told not to look up a process or a thread.
UNKNOWN = dict.fromkeys(("process", "processName", "thread", "threadName"))
BLANK = vars(logging.makeLogRecord({"name": log.name} | UNKNOWN))
ENCODER = msgspec.json.Encoder(enc_hook=str)


def log_event(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log what happened. Never a number, a text or a token; a MessageSid only once it is signed."""
    if log.isEnabledFor(level):
        log.handle(EventRecord(event, level, fields))


class EventRecord(logging.LogRecord):
    """What happened. Its thread and its line of code are not looked up: that takes longer than all
    the rest of a line, which has neither.
    """

    def __init__(self, event: str, level: int, fields: dict[str, object]) -> None:
        name, now = logging.getLevelName(level), time.time()
        own = {"msg": event, "levelno": level, "levelname": name, "created": now, "fields": fields}
        vars(self).update(BLANK | own)


def error_location(error: BaseException) -> str:
    """The kind of an exception and the line that raised it; its message may quote a text."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    location = f" in {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    cause = getattr(error, "orig", None)
    return type(error).__name__ + (f" ({type(cause).__name__})" if cause else "") + location


class DroppedLines:
    """How many lines could not be written since the log last said so."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = Lock()

    def add(self, count: int) -> None:
        """Count some more."""
        with self._lock:
            self.count += count

    def take(self) -> int:
        """Their number, which is 0 from now on."""
        with self._lock:
            count, self.count = self.count, 0
        return count


dropped_lines = DroppedLines()
# A process that is forked counts its own, and nobody in it would release the lock.
os.register_at_fork(after_in_child=dropped_lines.__init__)


class JsonFormatter(logging.Formatter):
    """One JSON object a line, so that nothing in a record can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        common = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        try:
            fields = {"event": record.getMessage(), **getattr(record, "fields", {})}
            line = encode({**common, **fields})
            if len(line) > MAX_LINE:
                fields = {"event": fields["event"][:MAX_LONG_EVENT], "cut_bytes": len(line)}
                line = encode(common | fields)
            return line.decode()
        except Exception as error:  # whatever cannot be logged of a text, the text is answered
            fields = {"event": "log", "outcome": f"cannot be logged: {type(error).__name__}"}
            return encode(common | fields).decode()


def encode(fields: dict[str, object]) -> bytes:
    """The fields as JSON; what that does not know, such as a subclass of str, as text."""
    try:
        return ENCODER.encode(fields)
    except UnicodeEncodeError:  # the name of a file can hold bytes that are not UTF-8
        text = json.dumps(fields, default=str, ensure_ascii=False)
        return text.encode("utf-8", "replace")


class StderrHandler(logging.Handler):
    """Writes a line at once or drops it: a log that nobody reads must not hold up texts.

    The next line that can be written is preceded by the number of those that were dropped. There
    is no lock, because threads that answer texts would queue for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._write = open_stderr()
        self._is_torn = False  # the last line lacks its end: the disk became full

    def createLock(self) -> None:
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        dropped = dropped_lines.take() if dropped_lines.count else 0
        if dropped and not self._send(self.format(dropped_record(dropped))):
            dropped_lines.add(dropped + 1)
        elif not self._send(self.format(record)):
            dropped_lines.add(1)

    def _send(self, text: str) -> bool:
        line = "\n" * self._is_torn + text + "\n"
        data = line.encode()
        try:
            written = self._write(data) or 0
        except OSError:
            written = 0
        if written:
            self._is_torn = written < len(data)
        return written == len(data)


def dropped_record(count: int) -> logging.LogRecord:
    """What says that so many lines are missing."""
    fields = {"event": "dropped", "lines": count}
    return logging.makeLogRecord({"levelname": "WARNING", "fields": fields})


def open_stderr() -> Callable[[bytes], int | None]:
    """A function that writes to stderr what can be written at once, and returns how much that was.

    The flag O_NONBLOCK on stderr itself would also hold for everybody who shares it, such as the
    shell. So a pipe or a terminal is opened anew, and a socket is told with each call.
    """
    if sys.stderr is None:  # closed by whoever started this; its number may be another file's now
        return lambda line: 0
    number = sys.stderr.fileno()
    kind = os.fstat(number).st_mode
    if stat.S_ISSOCK(kind):  # journald's
        stream = socket.socket(fileno=os.dup(number))
        return lambda line: stream.send(line, socket.MSG_DONTWAIT)
    if stat.S_ISREG(kind):  # always ready; opened anew, it would be written from its beginning
        return partial(os.write, number)
    try:
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        return open(os.open(f"/dev/fd/{number}", flags), "wb", buffering=0).write
    except OSError:  # it is another user's, as `sudo` and containers have it
        return partial(write_if_ready, number, Lock())


def write_if_ready(number: int, lock: Lock, line: bytes) -> int:
    """Write a line, which a pipe that is ready takes whole."""
    if not lock.acquire(timeout=LOCK_SECONDS):
        return 0
    try:
        _, is_ready, _ = select([], [number], [], 0)
        return os.write(number, line) if is_ready else 0
    finally:
        lock.release()


# The server is given the same, so that its lines are like ours.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stderr": {"()": StderrHandler, "formatter": "json"}},
    "loggers": {
        "smsconvo": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "_granian": {"handlers": ["stderr"], "propagate": False},
        "psycopg": {"level": "CRITICAL"},  # what it warns of is raised, and it names the server
    },
}
