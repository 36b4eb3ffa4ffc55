"""commands/phone.py"""

import os

import click

from commands.terminal import converse, our_number, who_texts
from settings import Settings, SettingsError


@click.command()
@click.option("--url", required=True, help="The webhook, as Twilio has it: https://…/sms")
@who_texts
@our_number
def phone(url: str, sender: str, number: str) -> None:
    """Text any running webhook from the terminal, as Twilio would."""
    settings = Settings.from_env(os.environ)
    if not (settings.account_sid and settings.auth_tokens):
        raise SettingsError("Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN as the webhook has them.")
    converse(url, settings, sender, number)
