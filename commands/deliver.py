"""`deliver`: the worker alone, without a server."""

import logging.config
import os
import signal
from threading import Event

import click

from commands.database import check_database
from commands.server import end_process, look_at_files
from logs import LOGGING, log_event
from resources import open_database
from settings import Settings, __version__
from worker import create_worker


@click.command()
def deliver() -> None:
    """Deliver results and end silent conversations, until stopped."""
    settings = Settings.from_env(os.environ)
    check_database(settings)
    logging.config.dictConfig(LOGGING)
    with open_database(settings) as database:
        worker = create_worker(database, settings, database.now, Event())
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, lambda *_: worker.stop())
        log_event("delivering", version=__version__)
        worker.run()
        look_at_files(database)  # a last time
        if database.broken.is_set():
            end_process(database)
