"""`serve`: the web server, with a worker beside it in the process that answers."""

import errno
import gc
import logging.config
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from threading import Thread, main_thread
from typing import Any

import click
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from commands.database import check_database
from commands.group import fail
from logs import LOGGING, log_event
from resources import open_catalog, open_database, open_people
from settings import Settings, SettingsError, __version__
from storage import Database
from storage.sqlite import MAX_BATCH
from worker.worker import Sender

# Requests at a time in a worker. On SQLite as many as share one commit; on PostgreSQL few have a
# connection at a time, and the others may wait for the rest of their request.
THREADS = 16
STOP_SECONDS = 20
LAST_WORDS_SECONDS = 0.5  # for the texts under way to get their 503

# What one connection may cost. Slow bodies are the business of the proxy in front: each holds up a
# thread here for as long as it likes to.
HEAD_SECONDS = 5  # for the head of a request; also how long a connection may wait for its next one
LARGEST_HEAD = 16 * 1024  # Twilio's has less than 2 KiB; of headers the server allows 100
# At once in each worker, and as many again that the kernel makes wait. The server's own limit is
# 1024 for all workers together, and silent clients could hold those.
CONNECTIONS = 2048


@click.command()
@click.option("--results-to", metavar="URL", help="Send all results here instead: a trial run.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Processes; 1 on SQLite.")
@click.pass_obj
def serve(create_app: Callable, results_to: str | None, workers: int) -> None:
    """Answer Twilio and deliver results, until stopped."""
    settings = Settings.from_env(os.environ).for_serving()
    settings = replace(settings, results_to=results_to, workers=workers)
    if workers > 1 and settings.on_sqlite:
        raise SettingsError("--workers: SQLite has one writer. Leave it out, or use PostgreSQL.")
    open_people(settings)
    open_catalog(settings)
    check_database(settings, create=True)
    check_port(*settings.listen)
    acquire_server_lock(settings)
    logging.config.dictConfig(LOGGING)
    log_event("serving", listen="{}:{}".format(*settings.listen), version=__version__)
    if not ip_address(settings.listen[0]).is_loopback:
        why = "SMSCONVO_LISTEN is not loopback: slow clients are for a proxy in front to hold"
        log_event("exposed", logging.WARNING, why=why)
    run_server(create_app, settings)


def acquire_server_lock(settings: Settings) -> Database:
    """From now until the last of our processes has ended, for they inherit the lock."""
    database = open_database(settings)
    try:
        database.acquire_server_lock()
    except ValueError as error:
        raise SettingsError(f"{error}. Stop that one, or name another database.") from None
    return database


def run_server(create_app: Callable, settings: Settings) -> None:
    address, port = settings.listen
    server = Granian(
        "smsconvo",
        address,
        port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=settings.workers,
        blocking_threads=MAX_BATCH if settings.on_sqlite else THREADS,
        backlog=CONNECTIONS,
        backpressure=CONNECTIONS,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=LARGEST_HEAD
        ),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig=LOGGING,
    )
    install_signal_wakeup()
    gc.freeze()  # else the worker's first collection writes to all that it shares with this process
    server.serve(target_loader=partial(start_worker, create_app, settings), wrap_loader=False)


def start_worker(create_app: Callable, settings: Settings) -> Any:
    """The application in the process that answers, with the sender beside it."""
    install_signal_wakeup()
    app = create_app(settings)
    sender = Sender(app.database, settings, app.clock, app.result_written)
    Thread(target=sender.run, name="sender", daemon=True).start()
    Thread(target=exit_on_storage_failure, args=(app.database,), name="watch", daemon=True).start()
    return app


def install_signal_wakeup() -> None:
    """Wake the main thread for a signal that the kernel gave to another one.

    Python handles signals in its main thread only, and granian's sleeps there without end: a stop
    would take until the server loses its patience.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGURG, lambda *_: None)  # does nothing but interrupt the sleep
    Thread(target=pass_signals_on, args=(reader, writer), name="signals", daemon=True).start()


def pass_signals_on(reader: socket.socket, writer: socket.socket) -> None:
    """`writer` is here to stay open: nothing else holds the end that signals are written to."""
    while number := reader.recv(1):
        if number[0] != signal.SIGURG:
            signal.pthread_kill(main_thread().ident, signal.SIGURG)


def exit_on_storage_failure(database: Database) -> None:
    """Make way for another worker, which finds out from the log what is on the disk."""
    database.broken.wait()
    log_event("broken", logging.CRITICAL, why="the disk failed, or the database file is damaged")
    time.sleep(LAST_WORDS_SECONDS)
    os._exit(os.EX_SOFTWARE)


def check_port(address: str, port: int) -> None:
    """Refuse a taken port: the server itself would share it with whoever has it."""
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
