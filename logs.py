"""The log: JSON lines on stderr, without anything that a stranger sent."""

import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

log = logging.getLogger("smsconvo")


def log_event(event: str, level: int = logging.INFO, **fields: object) -> None:
    """Log what happened. Never a number, a text or a token; a MessageSid only once it is signed."""
    log.log(level, event, extra={"fields": fields})


def error_location(error: BaseException) -> str:
    """The kind of an exception and the line that raised it; its message may quote a text."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    location = f" in {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    cause = getattr(error, "orig", None)
    return type(error).__name__ + (f" ({type(cause).__name__})" if cause else "") + location


class JsonFormatter(logging.Formatter):
    """One JSON object a line, so that nothing in a record can begin a line of its own."""

    def format(self, record: logging.LogRecord) -> str:
        common = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        try:
            fields = {"event": record.getMessage()} | getattr(record, "fields", {})
            return msgspec.json.encode(common | fields).decode()
        except Exception as error:  # whatever cannot be logged of a text, the text is answered
            fields = {"event": "log", "outcome": f"cannot be logged: {type(error).__name__}"}
            return msgspec.json.encode(common | fields).decode()


class StderrHandler(logging.Handler):
    """Writes a line at once, without a lock: threads that answer texts would queue for it."""

    def createLock(self) -> None:
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # a log that cannot be written leaves no text unanswered
            os.write(sys.stderr.fileno(), f"{self.format(record)}\n".encode())


# The server is given the same, so that its lines are like ours.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonFormatter}},
    "handlers": {"stderr": {"()": StderrHandler, "formatter": "json"}},
    "loggers": {
        "smsconvo": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "_granian": {"handlers": ["stderr"], "propagate": False},
    },
}
