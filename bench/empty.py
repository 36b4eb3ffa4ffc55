"""The least that can answer a text: one handler that says one thing, under the same server."""

import sys
from pathlib import Path

from bottle import Bottle, request, response

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import smsconvo

TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response><Message>Hello</Message></Response>'


def say_hello() -> str:
    request.body.read()
    response.content_type = "text/xml; charset=utf-8"
    return TWIML


def start_worker(settings: smsconvo.Settings) -> Bottle:
    app = Bottle()
    app.route("/sms", ["POST"], say_hello)
    return app


# The worker is another process, which imports this file anew.
if __name__ in ("__main__", "__mp_main__"):
    smsconvo.start_worker = start_worker

if __name__ == "__main__":
    smsconvo.cli()
