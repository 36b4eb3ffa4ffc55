"""What one turn costs, layer by layer: in one process and one thread, on a database of its own.

Each layer is run alone, many times, with what it gets in a real turn. What the server, the kernel
and threads that wait for each other take besides is in `turns.py` only.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlencode

import click
from sqlalchemy import text
from sqlalchemy.orm import Session
from twilio.request_validator import RequestValidator

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway import twiml
from gateway.webhook import Environ, Form, Webhook, parse_form
from models import Delivery
from models.message import IncomingText
from settings import Settings
from smsconvo import App, create_app, process_text
from storage.base import Compiled
from storage.versions import migrate
from worker.results import attempt

HERE = Path(__file__).resolve().parent.parent
TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
TOKEN = "a-token-of-at-least-32-characters"
URL = "https://sms.example.org/sms"
NOWHERE = "http://127.0.0.1:9/results"  # the discard port: nothing listens, so results stay owed
REPLY = ("Thanks! Whats your favourite meal",)
STATUS_URL = "https://sms.example.org/sms/status?message=7"
START = datetime(2026, 11, 20, 12, tzinfo=UTC)


@click.command()
@click.option(
    "--conversations",
    type=click.IntRange(1, 1000),  # one transaction may not last for ever
    default=300,
    show_default=True,
    help="How many, of five turns.",
)
def main(conversations: int) -> None:
    """Say how many milliseconds each layer of a turn takes."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        app = make_app()
        forms = [make_form(*divmod(n, len(TEXTS))) for n in range(conversations * len(TEXTS))]
        bodies = [urlencode(form).encode("ascii") for form in forms]
        signature = RequestValidator(TOKEN).compute_signature(URL, forms[0])
        parsed = [parse_form(body) for body in bodies]
        tell("parsing the form", each(parse_form, bodies))
        validator = RequestValidator(TOKEN)
        tell("the signature", each(lambda form: validator.validate(URL, form, signature), parsed))
        turn, statements = take_turns(app, parsed)
        tell("the turn: models", turn - statements)
        tell("the turn: SQLite and its driver", statements)
        tell("the TwiML", each(lambda reply: twiml.render(reply, STATUS_URL), REPLY * len(forms)))
        tell("an attempt to deliver, where nobody listens", each(attempt_on(app), range(200)))
        tell("a commit alone, synced", each(lambda n: commit(app, n), list(range(len(forms)))))
        app.database.close()


def tell(name: str, milliseconds: float) -> None:
    click.echo(f"{milliseconds:8.3f} ms  {name}")


def each(work: Callable[[Any], object], arguments: Sequence) -> float:
    """Milliseconds for one."""
    began = time.perf_counter()
    for argument in arguments:
        work(argument)
    return 1000 * (time.perf_counter() - began) / len(arguments)


def make_app() -> App:
    settings = Settings(
        database_url="sqlite:///layers.db",
        questionnaires=HERE / "questionnaires",
        people=HERE / "people.toml",
        public_url="https://sms.example.org",
    )
    migrate(settings.database_url)
    return create_app(settings)


def make_form(guest: int, turn: int) -> dict[str, str]:
    """As Twilio sends it."""
    places = {f"From{place}": "CA" for place in ("City", "State", "Zip", "Country")}
    places |= {f"To{place}": "CA" for place in ("City", "State", "Zip", "Country")}
    return places | {
        "MessageSid": f"SM{guest:028}{turn:04}",
        "SmsMessageSid": f"SM{guest:028}{turn:04}",
        "AccountSid": "AC" + "0" * 32,
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
    """Takes a form for what Twilio sent: the signature is measured by itself."""

    def verified_form(self, environ: Environ, *required: str) -> Form:
        return environ["form"]


def read_text(form: Form) -> IncomingText:
    return UncheckedWebhook("", (), "").incoming_text({"form": form})


def take_turns(app: App, forms: list[Form]) -> tuple[float, float]:
    """Milliseconds for one, and how many of them SQLite has; in one transaction, so no sync."""
    spent: list[float] = []
    run_it = Compiled.execute

    def run(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return run_it(*arguments)
        finally:
            spent.append(time.perf_counter() - began)

    times = iter(range(len(forms)))

    def take_all(db: Session) -> float:
        def take(form: Form) -> None:
            now = START + timedelta(seconds=next(times))
            process_text(db, app=app, text=read_text(form), now=now)

        return each(take, forms)

    with patch.object(Compiled, "execute", run):
        turn = app.database.write(take_all)
    return turn, 1000 * sum(spent) / len(forms)


def attempt_on(app: App) -> Callable[[int], object]:
    """One attempt, without claiming and recording, of a result as a guest leaves it."""
    payload = {"From": "+14155550101", "Event": TEXTS[0]}
    payload |= {f"Question{n}": said for n, said in enumerate(TEXTS[1:], 1)}
    delivery = Delivery(url=NOWHERE, format="form", payload=json.dumps(payload), webhook_id="msg_1")
    settings = replace(app.settings, allow_private_receivers=True)
    return lambda _: attempt(delivery, settings, START)


def commit(app: App, n: int) -> None:
    statement = text("UPDATE contacts SET name = :name WHERE id = 1")
    app.database.write(lambda db: db.execute(statement, {"name": str(n)}))


if __name__ == "__main__":
    main()
