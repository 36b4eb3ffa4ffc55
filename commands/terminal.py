"""commands/terminal.py"""

import sys
from collections.abc import Iterator
from contextlib import suppress

import click

from phone import Phone, TwilioError
from settings import Settings


def pluralize(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


who_texts = click.option(
    "--from", "sender", default="+14158675308", show_default=True, help="Who texts."
)
our_number = click.option(
    "--to", "number", default="+14155550100", show_default=True, help="Our number."
)


def converse(url: str, settings: Settings, sender: str, number: str) -> None:
    """A text for each line of the terminal or the pipe, until it ends."""
    handset = Phone(
        url,
        account_sid=settings.account_sid,
        auth_token=settings.auth_tokens[0],
        sender=sender,
        number=number,
    )
    for line in read_lines():
        try:
            replies = handset.text(line)
        except TwilioError as error:
            echo(f"! {error}", fg="red")
            continue
        for reply in replies:
            echo("< " + reply.replace("\n", "\n  "), fg="green")
        if not replies:
            echo("  (no reply)")


def read_lines() -> Iterator[str]:
    """What is typed after a prompt; what comes through a pipe, shown after the same prompt."""
    if sys.stdin.isatty():
        with suppress(EOFError, KeyboardInterrupt):
            while True:
                if line := input(PROMPT).strip():
                    yield line
        echo()
        return
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        if line := line.rstrip("\r\n"):
            echo(PROMPT + line)
            yield line


PROMPT = "> "


def echo(line: str = "", fg: str | None = None) -> None:
    click.secho(line, fg=fg)
    sys.stdout.flush()
