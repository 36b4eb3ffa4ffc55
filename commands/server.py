"""The web server: granian's processes, what runs beside the app in them, and how they end."""

import gc
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ctypes import Array
from functools import cache, partial
from multiprocessing import RawArray, active_children
from multiprocessing.process import BaseProcess
from operator import attrgetter
from threading import Event, Lock, Thread, main_thread
from typing import Any, NoReturn

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels
from sqlalchemy.exc import SQLAlchemyError

from commands.admission import limit_requests
from logs import LOGGING, log_event
from reloading import Edit, WatchedFiles
from settings import Settings
from shared_counts import SharedCounts
from storage import Database
from storage.batches import MAX_BATCH
from storage.siblings import Siblings
from worker import create_worker

# Requests at a time in a process. On SQLite as many as share one commit; on PostgreSQL each may
# need a connection.
REQUESTS = 32
SPARE_THREADS = 16  # for `/healthz`, and for those that wait for a slot
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

LOOK_SECONDS = 1  # between two looks at the operator's files
EARLY_SECONDS = 0.01  # between looks whether granian listens to signals
FORK_SECONDS = 5  # at most, that a new process waits for a look


def run_server(create_app: Callable, settings: Settings, files: WatchedFiles) -> None:
    """Serve what `create_app(settings, files=files)` makes until a signal comes.

    Each process makes its own. This one answers nobody. It watches the files, because a process
    that replaces another begins with what this one has.
    """
    address, port = settings.listen
    server = Granian(
        "smsconvo",  # only a name in its messages: `target_loader` makes the app
        address,
        port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        workers=settings.processes,
        blocking_threads=requests_at_once(settings) + SPARE_THREADS,
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
    os.register_at_fork(after_in_child=repeat_early_stop)
    examined = RawArray("B", files.content)  # in memory that the processes share
    Thread(target=watch_files, args=(files, examined), name="files", daemon=True).start()
    files.current.catalog.prepare()  # once for all processes
    gc.collect()
    gc.freeze()  # else the first collection of a child writes to all that it shares with this one
    gc.enable()
    counts = SharedCounts().give_rows()
    target = partial(load_app, create_app, settings, files, examined, counts, Siblings())
    server.serve(target_loader=target, wrap_loader=False)


def load_app(
    create_app: Callable,
    settings: Settings,
    files: WatchedFiles,
    examined: Array,
    counts: SharedCounts,
    siblings: Siblings,
) -> Any:
    """The app for a process that answers, with the worker beside it."""
    install_signal_wakeup()
    app = create_app(settings, files=files, counts=counts, siblings=siblings)
    Thread(target=follow_files, args=(files, examined), name="files", daemon=True).start()
    find_catalog = partial(attrgetter("files.current.catalog"), app)
    find_catalog().prepare()
    beside = (app.clock, app.result_written, find_catalog, counts.beat)
    create_worker(app.database, settings, *beside).start()
    # No daemon: when the server stops, it takes a last look before this process ends.
    Thread(target=exit_on_storage_failure, args=(app.database,), name="watch").start()
    return limit_requests(app, requests_at_once(settings), counts.add_refused)


def requests_at_once(settings: Settings) -> int:
    """How many requests a process works on at a time."""
    return MAX_BATCH if settings.on_sqlite else REQUESTS


def block_reload_signal() -> None:
    """Keep SIGHUP for `looks`, in this thread and in all that it starts, processes too.

    Granian would replace the processes that answer. Before it is ready, or in a process that has
    only begun, SIGHUP would be the end.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def looks() -> Iterator[bool]:
    """Yield every LOOK_SECONDS, and at once when SIGHUP comes: whether it has come."""
    wanted = Event()
    Thread(target=await_reload, args=(wanted,), name="reload", daemon=True).start()
    while True:
        if is_wanted := wanted.wait(LOOK_SECONDS):
            wanted.clear()
        yield is_wanted


def await_reload(wanted: Event) -> None:
    while signal.sigwait({signal.SIGHUP}):
        wanted.set()


def watch_files(files: WatchedFiles, examined: Array) -> None:
    """Examine each edit before the processes that answer do, and have them examine the same."""
    lock = lock_out_forks()
    for is_wanted in looks():
        before = files.content
        with lock:
            edit = files.look(at_once=is_wanted)
            examined[:] = files.content
        if edit and not edit.changes:  # whoever answers says itself what it has taken
            log_refusal(edit)
        if files.content != before:
            for process in active_children():
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGHUP)


def lock_out_forks() -> Lock:
    """A lock that forks of this process wait for.

    A fork copies no thread but its own. What another one held, such as the lock of an import, would
    be held for ever in the new process.
    """
    lock, taken = Lock(), []

    def release() -> None:
        if taken.pop():
            lock.release()

    os.register_at_fork(
        before=lambda: taken.append(lock.acquire(timeout=FORK_SECONDS)),
        after_in_parent=release,
        after_in_child=release,
    )
    return lock


def log_refusal(edit: Edit) -> None:
    for problem in edit.problems:
        log_event("questionnaires", logging.ERROR, outcome="refused", why=problem)
    if not edit.problems:
        log_event("questionnaires", outcome="as in use")


def follow_files(files: WatchedFiles, examined: Array) -> None:
    """Take the edits that the parent has taken."""
    for _ in looks():
        edit = files.follow(bytes(examined))
        if edit and edit.changes:
            log_event("questionnaires", outcome="taken", changes=edit.changes)


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


def repeat_early_stop() -> None:
    """Have a new process end that was told to before granian listens to signals in it.

    The handlers that it has from its parent do nothing here, and the parent would wait in vain.
    """
    early: list[int] = []

    def hold(number: int, _: object) -> None:
        early.append(number)

    def repeat() -> None:
        while signal.getsignal(signal.SIGTERM) is hold:
            time.sleep(EARLY_SECONDS)
        if early:
            os.kill(os.getpid(), signal.SIGTERM)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hold)
    Thread(target=repeat, name="early", daemon=True).start()


def exit_on_storage_failure(database: Database) -> None:
    """End this process once the disk failed, or the files of the database were taken away.

    The next one finds out from the log of SQLite what is on disk. Where the operator must act
    first, the whole server ends, and `serve` says what to do.
    """
    while not database.broken.is_set():
        if not main_thread().is_alive():
            return
        main_thread().join(CHECK_SECONDS)
        look_at_files(database)
    time.sleep(LAST_ANSWERS_SECONDS)  # by then the operator may have done all that is to be done
    end_process(database, multiprocessing.parent_process())


def look_at_files(database: Database) -> None:
    """Set `broken` if the files of the database were taken away."""
    with suppress(OSError, SQLAlchemyError):  # what cannot be seen now is neither lost nor won
        database.check()


def end_process(database: Database, server: BaseProcess | None = None) -> NoReturn:
    """End this process, whose database is broken, once nothing is lost with it.

    The server ends as well where the operator must act first. Closing the database would write to
    it.
    """
    save_data(database)
    with suppress(OSError):  # a disk that failed cannot even be looked at
        if server and database.find_obstacle():
            os.kill(server.pid, signal.SIGTERM)
    os._exit(os.EX_SOFTWARE)


def save_data(database: Database) -> None:
    """Return when this process may end without a loss; say in the log what happens."""
    report = cache(lambda event, why: log_event(event, logging.CRITICAL, why=why))  # each once
    while True:
        why, is_safe = database.rescue(partial(report, "saving"))
        if why:
            report("broken", why)
        if is_safe:
            return
        time.sleep(RESCUE_SECONDS)
