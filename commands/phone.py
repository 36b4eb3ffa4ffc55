"""`phone`: texts to a webhook that runs elsewhere."""

import os

import click

from commands.terminal import from_option, text_lines, to_option
from settings import Settings, SettingsError


@click.command()
@click.option("--url", required=True, help="The webhook, as Twilio has it: https://…/sms")
@from_option
@to_option
def phone(url: str, sender: str, number: str) -> None:
    """Text any running webhook from the terminal, as Twilio would."""
    settings = Settings.from_env(os.environ)
    if not (settings.account_sid and settings.auth_tokens):
        raise SettingsError("Set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN as the webhook has them.")
    text_lines(url, settings, sender, number)
