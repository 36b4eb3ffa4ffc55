"""The web server: granian's processes, what runs beside the app in them, and how they end."""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread, main_thread
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from sqlalchemy.exc import DBAPIError

from logs import LOGGING, log_event
from settings import Settings
from storage import Database
from storage.sqlite import MAX_BATCH
from worker import create_worker

# Requests at a time in a process. On SQLite as many as share one commit; on PostgreSQL few have a
# connection at a time, and the others may wait for the rest of their request.
THREADS = 16
STOP_SECONDS = 20
LAST_ANSWERS_SECONDS = 0.5  # for the texts in flight to get their 503
CHECK_SECONDS = 0.25  # between looks at the files of the database
RESCUE_SECONDS = 10  # between attempts to save the data of files that were taken away

# What one connection may cost. Slow bodies are the business of the proxy in front: each holds up a
# thread here for as long as it likes to.
HEAD_SECONDS = 5  # for the head of a request; also how long a connection may wait for its next one
MAX_HEAD_BYTES = 16 * 1024  # Twilio's has less than 2 KiB; of headers the server allows 100
# At once in each process, and as many again that the kernel makes wait. The server's own limit is
# 1024 for all processes together, and silent clients could hold those.
CONNECTIONS = 2048


def run_server(create_app: Callable, settings: Settings) -> None:
    """Serve what `create_app(settings)` makes until a signal comes; each process makes its own."""
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
            header_read_timeout=HEAD_SECONDS * 1000, max_buffer_size=MAX_HEAD_BYTES
        ),
        respawn_failed_workers=True,
        workers_kill_timeout=STOP_SECONDS,
        log_level=LogLevels.error,
        log_dictconfig=LOGGING,
    )
    install_signal_wakeup()
    gc.freeze()  # else the first collection of a child writes to all that it shares with this one
    server.serve(target_loader=partial(load_app, create_app, settings), wrap_loader=False)


def load_app(create_app: Callable, settings: Settings) -> Any:
    """The app for a process that answers, with the worker beside it."""
    install_signal_wakeup()
    app = create_app(settings)
    worker = create_worker(app.database, settings, app.clock, app.result_written)
    Thread(target=worker.run, name="worker", daemon=True).start()
    # No daemon: when the server stops, it takes a last look before this process ends.
    Thread(target=exit_on_storage_failure, args=(app.database,), name="watch").start()
    return app


def install_signal_wakeup() -> None:
    """Wake the main thread for a signal that the kernel gave to another one.

    Python handles signals in its main thread only, and granian's sleeps there without end: without
    this a stop would take until the server loses its patience.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGURG, lambda *_: None)  # does nothing but interrupt the sleep
    Thread(target=interrupt_main, args=(reader, writer), name="signals", daemon=True).start()


def interrupt_main(reader: socket.socket, writer: socket.socket) -> None:
    """Interrupt the main thread for each signal whose number comes.

    `writer` is here to stay open: nothing else holds the end that signals are written to.
    """
    while number := reader.recv(1):
        if number[0] != signal.SIGURG:
            signal.pthread_kill(main_thread().ident, signal.SIGURG)


def exit_on_storage_failure(database: Database) -> None:
    """End this process once the disk failed, or the files of the database were taken away.

    The next one finds out from the log of SQLite what is on disk. Where the operator must act
    first, the whole server ends, and `serve` says what to do.
    """
    while not database.broken.is_set():
        if not main_thread().is_alive():
            return
        main_thread().join(CHECK_SECONDS)
        with suppress(OSError, DBAPIError):  # what cannot be looked at now is neither lost nor won
            database.check()
    time.sleep(LAST_ANSWERS_SECONDS)  # by then the operator may have done all that is to be done
    save_data(database)
    if database.find_obstacle() and (server := multiprocessing.parent_process()):
        os.kill(server.pid, signal.SIGTERM)
    os._exit(os.EX_SOFTWARE)


def save_data(database: Database) -> None:
    """Return when this process may end without a loss; say in the log what happened."""
    reported = None
    while True:
        why, is_safe = database.rescue()
        if why != reported:
            log_event("broken", logging.CRITICAL, why=why)
        if is_safe:
            return
        reported = why
        time.sleep(RESCUE_SECONDS)
