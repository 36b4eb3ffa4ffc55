"""`console`: lets operators into the console."""

import os
import re
import sys

import click

from commands.database import ready_database
from commands.terminal import echo
from models.console import DO, LOOK, ConsoleLink, ConsolePassword
from models.console.action import MAX_NAME, is_name
from models.console.password import MAX_LENGTH, MIN_LENGTH, hash_password
from models.console.token import new_token
from settings import Settings, SettingsError
from storage import Database


@click.group(invoke_without_command=True)
@click.option("--look", is_flag=True, help="Whoever opens the link may look, and change nothing.")
@click.option("--name", metavar="NAME", help="Who opens it: what they do is kept with this name.")
@click.pass_context
def console(ctx: click.Context, look: bool, name: str | None) -> None:
    """Print a link that signs a browser in to the console, once, within ten minutes."""
    if ctx.invoked_subcommand:
        return
    settings = Settings.from_env(os.environ)
    if not settings.public_url:
        raise SettingsError(
            "SMSCONVO_PUBLIC_URL is not set. Set it to the address of the console without"
            " /console, like https://sms.example.org."
        )
    if name is not None and not is_name(name):
        raise SettingsError(
            f"--name: {MAX_NAME} characters at most, all of them printable. Choose another."
        )
    with ready_database() as database:
        echo(make_link(settings, database, LOOK if look else DO, name))


def make_link(
    settings: Settings, database: Database, role: str = DO, name: str | None = None
) -> str:
    """An address that signs a browser in, once."""
    token, now = new_token(), database.now()
    database.write(lambda db: ConsoleLink.make(db, token, role, now, name))
    return f"{settings.public_url}/console/enter/{token}"


@console.command()
@click.option("--remove", is_flag=True, help="Let nobody in by a password any more.")
def password(remove: bool) -> None:
    """Set the password of the console, and sign out whoever used the old one."""
    hashed = None if remove else hash_password(read_password())
    with ready_database() as database:
        now = database.now()
        database.write(lambda db: ConsolePassword.replace(db, hashed, now))
    echo("No password lets anybody in now." if remove else "The password is set.")


def read_password() -> str:
    """What is typed twice without being shown, or the first line of a pipe."""
    sys.stdin.reconfigure(errors="surrogateescape")  # whatever the locale
    if sys.stdin.isatty():
        typed = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        typed = sys.stdin.readline(MAX_LENGTH + 2).rstrip("\r\n")
    if re.search("[\ud800-\udfff]", typed):
        raise SettingsError(
            f"The password holds bytes that are not {sys.stdin.encoding}. Type it, or send others."
        )
    if not MIN_LENGTH <= len(typed) <= MAX_LENGTH:
        raise SettingsError(
            f"The password has fewer than {MIN_LENGTH} or more than {MAX_LENGTH} characters."
            " Choose another."
        )
    return typed
