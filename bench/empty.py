"""The least that can answer a text: a handler with a fixed reply, under the same server."""

import sys
from collections.abc import Callable

from bottle import Bottle, request, response
from common import HERE

sys.path.insert(0, str(HERE / "tests"))

from patching import patch

import commands
from settings import Settings

TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response><Message>Hello</Message></Response>'


def reply() -> str:
    request.body.read()
    response.content_type = "text/xml; charset=utf-8"
    return TWIML


def create_app(settings: Settings) -> Bottle:
    app = Bottle()
    app.route("/sms", ["POST"], reply)
    return app


def load_app(create_app: Callable, settings: Settings, *_: object) -> Bottle:
    return create_app(settings)


# The worker is another process, which imports this file anew.
if __name__ in ("__main__", "__mp_main__"):
    patch("commands.server", "load_app", load_app)

if __name__ == "__main__":
    commands.main(create_app)
