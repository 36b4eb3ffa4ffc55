"""`rehearse`: the real server on this machine, with the terminal as its phone."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl

import click

from commands.console import make_link
from commands.serve import acquire_server_lock
from commands.server import STOP_SECONDS
from commands.terminal import PROMPT, echo, from_option, text_lines, to_option
from models import Questionnaire, outbox
from models.undelivered import Undelivered
from resources import open_database
from settings import Settings, SettingsError
from storage import connect

PROGRAM = Path(__file__).resolve().parents[1] / "smsconvo.py"
REHEARSAL = "rehearsal.db"
SERVER_LOG = "rehearsal.log"
START_SECONDS, RESULTS_SECONDS = 60, 40  # to start takes long on a busy machine


@click.command()
@from_option
@to_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the console.")
def rehearse(sender: str, number: str, port: int) -> None:
    """Hold a conversation on this machine, without Twilio.

    The server, the database and the delivery are real. The phone is your terminal, or a pipe with
    one text on each line. Results are shown as they would be sent, and stay here. A link opens the
    console, with a phone that follows the questionnaire file while you edit it.
    """
    environ = rehearsal_environment(port)
    with printing_results() as receiver, running_server(environ, receiver):
        settings = Settings.from_env(environ)
        echo("A phone in your browser, and the console. The link works once, for ten minutes:")
        with open_database(settings) as database:
            echo(f"{make_link(settings, database)}?to=/console/try")
        echo(f"You are {sender}, texting {number}. Type a text and press Enter; Ctrl-D ends.")
        text_lines(f"{settings.public_url}/sms", settings, sender, number)
        undelivered = wait_for_results(settings)
    echo(f"Every message is in {REHEARSAL}: sqlite3 {REHEARSAL} 'select * from transcript'")
    if undelivered:
        raise click.ClickException(f"{undelivered} results were not delivered; see {SERVER_LOG}.")


def rehearsal_environment(port: int = 0) -> dict[str, str]:
    """This environment, with an empty database, a port, or a free one for 0, and own secrets."""
    with acquire_server_lock(Settings(database_url=f"sqlite:///{REHEARSAL}")):
        for suffix in ("", "-wal", "-shm", "-gate", "-server"):
            Path(REHEARSAL + suffix).unlink(missing_ok=True)
    try:
        with socket.create_server(("127.0.0.1", port)) as free:
            address = f"127.0.0.1:{free.getsockname()[1]}"
    except OSError as error:
        sentence = f"--port {port} cannot be used: {error.strerror}. Choose another."
        raise SettingsError(sentence) from None
    return os.environ | {
        "DATABASE_URL": f"sqlite:///{REHEARSAL}",
        "TWILIO_ACCOUNT_SID": f"AC{secrets.token_hex(16)}",
        "TWILIO_AUTH_TOKEN": secrets.token_hex(16),
        "SMSCONVO_PUBLIC_URL": f"http://{address}",
        "SMSCONVO_LISTEN": address,
        "SMSCONVO_ALLOW_PRIVATE_RECEIVERS": "1",
    }


@contextmanager
def printing_results() -> Iterator[str]:
    """A receiver on loopback that prints each result; yields its URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), ResultPrinter) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/results"
        server.shutdown()


class ResultPrinter(BaseHTTPRequestHandler):
    """Stands in for the form or program that gets the results."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("utf-8")
        questionnaire = find_questionnaire(self.headers["webhook-id"])
        if sys.stdin.isatty():
            echo()  # ends the line of the prompt
        if questionnaire.results.url:
            echo(f"* The result would have gone to {questionnaire.results.url}:")
            print_payload(body, self.headers["Content-Type"])
        else:
            echo("* Without [results], the answers stay in the database:")
            answers = [field for field in parse_qsl(body) if field[0] in questionnaire.by_key]
            print_fields(answers)
        if sys.stdin.isatty():
            click.echo(PROMPT, nl=False)
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Do not log requests: the results are what is to be seen."""


def find_questionnaire(webhook_id: str) -> Questionnaire:
    """The questionnaire that the result with this id answers."""
    with connect(f"sqlite:///{REHEARSAL}") as database, database.read() as db:
        return outbox.find_questionnaire(db, webhook_id)


def print_payload(body: str, content_type: str) -> None:
    if content_type == "application/json":
        echo(json.dumps(json.loads(body), indent=2, ensure_ascii=False))
    else:
        print_fields(parse_qsl(body, keep_blank_values=True))


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    for name, value in fields:
        echo(f"    {name}: " + value.replace("\n", "\n      "))


@contextmanager
def running_server(
    environ: dict[str, str],
    receiver: str,
    program: Path = PROGRAM,
    options: Collection[str] = (),
) -> Iterator[subprocess.Popen]:
    """`program serve` with these settings and options, its results going to `receiver`.

    Raises SettingsError if it does not start. It is stopped at the end, gently.
    """
    arguments = [sys.executable, str(program), "serve", "--results-to", receiver, *options]
    with open(SERVER_LOG, "w+b") as log_file:
        # In a session of its own, so that Ctrl-C reaches it only through us.
        server = subprocess.Popen(
            arguments, env=environ, stdout=log_file, stderr=log_file, start_new_session=True
        )
        try:
            wait_for_server(server, Settings.from_env(environ).listen)
            yield server
        finally:
            server.terminate()
            server.wait(STOP_SECONDS + 5)


def wait_for_server(server: subprocess.Popen, address: tuple[str, int]) -> None:
    """Return when it listens; a SettingsError has what it said if it ended instead."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SettingsError(Path(SERVER_LOG).read_text("utf-8", "replace").strip())
        with suppress(OSError), socket.create_connection(address, timeout=1):
            return
        time.sleep(0.02)
    raise SettingsError(f"The server did not start within {START_SECONDS} s; see {SERVER_LOG}.")


def wait_for_results(settings: Settings) -> int:
    """Wait until every result is delivered; return how many are still pending after that time."""
    deadline = time.monotonic() + RESULTS_SECONDS
    with open_database(settings) as database:
        while True:
            with database.read() as db:
                pending = Undelivered.find(db, database.now()).pending
            if not pending or time.monotonic() > deadline:
                return pending
            time.sleep(0.05)
