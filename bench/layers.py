"""What one turn costs, layer by layer: in one process and one thread, on a new database.

Each layer runs alone, many times, with the input it has in a real turn. Only `turns.py` includes
the server, the kernel and threads that wait for each other.
"""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import click
from common import HERE, NOWHERE, TEXTS
from sqlalchemy import text
from sqlalchemy.orm import Session
from twilio.request_validator import RequestValidator

from gateway import twiml
from gateway.webhook import GEO_FIELDS, Environ, Form, Webhook, parse_form
from models import Delivery, IncomingText
from models.set_aside import take
from models.turn import Given
from settings import Settings
from smsconvo import App, create_app
from storage.base import Compiled
from storage.versions import migrate
from worker.results import attempt

ACCOUNT_SID = "AC" + "0" * 32
TOKEN = "a-token-of-at-least-32-characters"
PUBLIC_URL = "https://sms.example.org"
CONVERSATIONS = 300  # all in one transaction, which may take 12 seconds
URL = f"{PUBLIC_URL}/sms"
REPLY = "Thanks! Whats your favourite meal"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


def main() -> None:
    """Print how many milliseconds each layer of a turn takes."""
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(Path(folder) / "layers.db")
        forms = [make_form(*divmod(n, len(TEXTS))) for n in range(CONVERSATIONS * len(TEXTS))]
        bodies = [urlencode(form).encode("ascii") for form in forms]
        signature = RequestValidator(TOKEN).compute_signature(URL, forms[0])
        parsed = [parse_form(body) for body in bodies]
        show("parsing the form", average(parse_form, bodies))
        webhook = Webhook(ACCOUNT_SID, (TOKEN,), PUBLIC_URL)
        signed = {"PATH_INFO": "/sms", "HTTP_X_TWILIO_SIGNATURE": signature}
        show("the signature", average(partial(webhook.is_signed, signed), parsed))
        turn, statements = take_turns(app, parsed)
        show("the turn: models", turn - statements)
        show("the turn: SQLite and its driver", statements)
        show("the TwiML", average(lambda _: twiml.render(REPLY, PUBLIC_URL, 7, TOKEN), forms))
        show("an attempt to deliver, where nobody listens", average(attempt_on(app), range(200)))
        show("a commit alone, synced", average(lambda n: commit(app, n), range(len(forms))))
        app.database.close()


def show(name: str, milliseconds: float) -> None:
    click.echo(f"{milliseconds:8.3f} ms  {name}")


def average(function: Callable[[Any], object], arguments: Sequence) -> float:
    """Milliseconds of a call."""
    began = time.perf_counter()
    for argument in arguments:
        function(argument)
    return 1000 * (time.perf_counter() - began) / len(arguments)


def make_app(file: Path, results_to: str | None = None, **others: Any) -> App:
    """With a new SQLite database, and the questionnaires that ship if no `others` are given."""
    given = {
        "public_url": PUBLIC_URL,
        "questionnaires": HERE / "questionnaires",
        "people": HERE / "people.toml",
    }
    settings = Settings(
        database_url=f"sqlite:///{file}",
        account_sid=ACCOUNT_SID,
        auth_tokens=(TOKEN,),
        allow_private_receivers=True,
        results_to=results_to,
        **given | others,
    )
    migrate(settings.database_url)
    return create_app(settings)


def make_form(guest: int, turn: int) -> dict[str, str]:
    """The form of a guest's text, as Twilio sends it."""
    fields = [f"{end}{part}" for end in ("From", "To") for part in GEO_FIELDS]
    return dict.fromkeys(fields, "CA") | {
        "MessageSid": f"SM{guest:028}{turn:04}",
        "SmsMessageSid": f"SM{guest:028}{turn:04}",
        "AccountSid": ACCOUNT_SID,
        "MessagingServiceSid": "MG" + "0" * 32,
        "From": f"+1{guest:010}",
        "To": "+14155550100",
        "Body": TEXTS[turn],
        "NumMedia": "0",
        "NumSegments": "1",
        "SmsStatus": "received",
        "ApiVersion": "2010-04-01",
    }


class UncheckedWebhook(Webhook):
    """Takes any form for one of Twilio's: the signature is measured apart."""

    def verified_form(self, environ: Environ, *required: str) -> Form:
        return environ["form"]


WEBHOOK = UncheckedWebhook("", (), "")


def read_text(form: Form) -> IncomingText:
    return WEBHOOK.incoming_text({"form": form})


def take_turns(app: App, forms: list[Form]) -> tuple[float, float]:
    """Milliseconds of a turn, and those of its statements; in one transaction, so without syncs."""
    statements: list[float] = []
    execute = Compiled.execute

    def timed_execute(*arguments: Any) -> Any:
        began = time.perf_counter()
        result = execute(*arguments)
        statements.append(time.perf_counter() - began)
        return result

    seconds = count()

    def take_all(db: Session) -> float:
        def take_one(form: Form) -> None:
            now = START + timedelta(seconds=next(seconds))
            take(db, Given(read_text(form), now, *app.files.current))

        return average(take_one, forms)

    with patch.object(Compiled, "execute", timed_execute):
        turn = app.database.write(take_all)
    return turn, 1000 * sum(statements) / len(forms)


def attempt_on(app: App) -> Callable[[int], object]:
    """An attempt to deliver a guest's result, without claiming it and saving the outcome."""
    payload = {"From": "+14155550101", "Event": TEXTS[0]}
    payload |= {f"Question{n}": answer for n, answer in enumerate(TEXTS[1:], 1)}
    delivery = Delivery(url=NOWHERE, format="form", payload=json.dumps(payload), webhook_id="msg_1")
    return lambda _: attempt(delivery, app.settings, START)


def commit(app: App, n: int) -> None:
    statement = text("UPDATE contacts SET name = :name WHERE id = 1")
    app.database.write(lambda db: db.execute(statement, {"name": str(n)}))


if __name__ == "__main__":
    main()
