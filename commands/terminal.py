"""The terminal as a phone, and what commands print."""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress

import click
import msgspec

from models.failures import UNSAFE
from phone import Phone, TwilioError
from settings import Settings

PROMPT = "> "
MAX_LINES = 20  # of a list as long as a stranger likes

from_option = click.option(
    "--from", "sender", default="+14158675308", show_default=True, help="Who texts."
)
to_option = click.option(
    "--to", "number", default="+14155550100", show_default=True, help="Our number."
)


def text_lines(url: str, settings: Settings, sender: str, number: str) -> None:
    """Text each line of the terminal or the pipe to a webhook, and print the replies."""
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
    """What is typed after a prompt, or what comes through a pipe, shown after the same prompt."""
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


def echo(line: str = "", fg: str | None = None) -> None:
    """Print a line at once, in this colour where the terminal has colours."""
    click.secho(line, fg=fg)
    sys.stdout.flush()


def escape(text: str) -> str:
    """The text with what could move the cursor written as in JSON: it may be a stranger's."""
    return UNSAFE.sub(lambda found: "".join(f"\\u{ord(each):04x}" for each in found[0]), text)


def pluralize(count: int, noun: str) -> str:
    """The count and the noun: "1 text", "2 texts"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def describe_more(count: int) -> str:
    """How many of a list are left out, to go behind MAX_LINES of it; "" if none is."""
    return f"and {count - MAX_LINES:,} more" if count > MAX_LINES else ""


def print_json(content: object, indent: int | None = None) -> None:
    """Print JSON, on one line without `indent`, with what could move the cursor escaped."""
    separators = (",", ":") if indent is None else (",", ": ")
    # Unlike msgspec, json writes what is no Unicode, as in the name of a file.
    values = msgspec.to_builtins(content)
    text = json.dumps(values, ensure_ascii=False, indent=indent, separators=separators)
    click.echo("\n".join(map(escape, text.split("\n"))))
