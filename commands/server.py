"""The web server: granian's processes, what runs beside the app in them, and how they end."""

import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from threading import Thread, main_thread
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

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
        "smsconvo",  # only a name in its messages: `target_loader` makes the app
        address,
        port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=settings.processes,
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
    Thread(target=exit_on_storage_failure, args=(app.database,), name="watch", daemon=True).start()
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
    """End this process once the disk failed; the next one finds out from the log what is on it."""
    database.broken.wait()
    log_event("broken", logging.CRITICAL, why="the disk failed, or the database file is damaged")
    time.sleep(LAST_ANSWERS_SECONDS)
    os._exit(os.EX_SOFTWARE)
