import json
import logging

from logs import JsonFormatter, StderrHandler


def test_a_line_that_cannot_be_made_is_logged_as_that_and_raises_nothing(capfd):
    handler = StderrHandler()
    handler.setFormatter(JsonFormatter())
    record = logging.LogRecord("smsconvo", logging.INFO, "", 0, "text", None, None)
    record.fields = {"outcome": object()}
    handler.handle(record)
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["outcome"] == "cannot be logged: TypeError"
