"""The application in this process, without HTTP: for benches that look inside a turn."""

from pathlib import Path

from common import HERE, TEXTS

from gateway.webhook import Environ, Form, Webhook
from models import IncomingText
from settings import Settings
from smsconvo import App, create_app
from storage.versions import migrate

ACCOUNT_SID = "AC" + "0" * 32
TOKEN = "a-token-of-at-least-32-characters"
PUBLIC_URL = "https://sms.example.org"
GEO_PARTS = ("City", "State", "Zip", "Country")


def make_app(file: Path, results_to: str | None = None) -> App:
    """With a new SQLite database and the questionnaires that ship."""
    settings = Settings(
        database_url=f"sqlite:///{file}",
        account_sid=ACCOUNT_SID,
        auth_tokens=(TOKEN,),
        public_url=PUBLIC_URL,
        questionnaires=HERE / "questionnaires",
        people=HERE / "people.toml",
        allow_private_receivers=True,
        results_to=results_to,
    )
    migrate(settings.database_url)
    return create_app(settings)


def make_form(guest: int, turn: int) -> dict[str, str]:
    """The form of a guest's text, as Twilio sends it."""
    fields = [f"{end}{part}" for end in ("From", "To") for part in GEO_PARTS]
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
