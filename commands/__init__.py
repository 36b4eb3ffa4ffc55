"""The command line. A new command is a file of its own, and its name in COMMANDS."""

import os
from collections.abc import Callable

import click

from commands.check import check
from commands.console import console
from commands.copy import copy
from commands.deliver import deliver
from commands.export import export
from commands.form import form
from commands.group import ErrorHandlingGroup
from commands.outbox import outbox
from commands.phone import phone
from commands.plan import plan
from commands.rehearse import rehearse
from commands.replay import replay
from commands.search import search
from commands.serve import serve
from commands.upgrade import upgrade
from settings import __version__

COMMANDS = (
    *(serve, rehearse, phone, check, form, plan, replay),
    *(export, upgrade, copy, deliver, outbox, search, console),
)


@click.group(cls=ErrorHandlingGroup, commands=COMMANDS)
@click.version_option(__version__)
def cli() -> None:
    """Turns texts to a Twilio number into conversations."""
    os.umask(0o077)  # databases, backups and logs hold what guests said


def main(create_app: Callable) -> None:
    """Run the command line; `create_app(settings)` makes the app that `serve` puts on the air."""
    cli(obj=create_app)
