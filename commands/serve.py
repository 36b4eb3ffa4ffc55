"""`serve`: what has to be right before the server starts."""

import errno
import gc
import logging.config
import os
import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address

import click

from commands.database import check_database, check_files
from commands.group import fail
from commands.server import block_reload_signal, run_server
from logs import LOGGING, log_event
from reloading import WatchedFiles
from resources import open_database
from settings import Settings, SettingsError, __version__
from storage import Database

MAX_DEFAULT_WORKERS = 2


@click.command()
@click.option("--results-to", metavar="URL", help="Send all results to this URL, for a trial run.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Number of processes. On SQLite one for each core by default, at most 2; else 1.",
)
@click.pass_obj
def serve(create_app: Callable, results_to: str | None, workers: int | None) -> None:
    """Answer Twilio and deliver results, until stopped."""
    block_reload_signal()
    gc.disable()  # `run_server` turns it on again
    settings = Settings.from_env(os.environ).for_serving()
    processes = workers or default_workers(settings)
    settings = replace(settings, results_to=results_to, processes=processes)
    files = WatchedFiles(settings)
    check_database(settings, create=True)
    check_port(*settings.listen)
    database = acquire_server_lock(settings)
    logging.config.dictConfig(LOGGING)
    log_event("serving", listen="{}:{}".format(*settings.listen), version=__version__)
    if not ip_address(settings.listen[0]).is_loopback:
        reason = "SMSCONVO_LISTEN is not loopback: only a proxy in front keeps slow clients away"
        log_event("exposed", logging.WARNING, why=reason)
    if settings.console_user_header:
        reason = f"whoever can send {settings.console_user_header} from one of"
        reason += " SMSCONVO_CONSOLE_PROXIES is an operator"
        log_event("exposed", logging.WARNING, why=reason)
    try:
        run_server(create_app, settings, files)
    finally:  # it ends by itself where another start must wait for the operator
        check_files(database)


def default_workers(settings: Settings) -> int:
    """How many processes answer most on the cores that this one may use.

    A third on SQLite hardly helps: only one at a time can save. On PostgreSQL it depends on where
    that runs, and how many machines there are.
    """
    if settings.on_sqlite and hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_DEFAULT_WORKERS)
    return 1


def acquire_server_lock(settings: Settings) -> Database:
    """The database, locked until it is closed and every process that inherits it has ended.

    Raises SettingsError if another server has the lock.
    """
    database = open_database(settings)
    try:
        database.acquire_server_lock()
    except ValueError as error:
        raise SettingsError(f"{error}. Stop that one, or name another database.") from None
    return database


def check_port(address: str, port: int) -> None:
    """Refuse a port that is taken: the server itself would share it with whoever has it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as error:
            trouble = f"SMSCONVO_LISTEN: {address}:{port} cannot be listened on: {error.strerror}."
            if error.errno == errno.EADDRNOTAVAIL:  # yet: the network may still be coming up
                cure = "Give this machine that address, or choose another."
                fail(f"{trouble} {cure}", os.EX_UNAVAILABLE)
            raise SettingsError(f"{trouble} Stop what uses it, or choose another.") from None
