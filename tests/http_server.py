"""HTTP servers of the tests."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer
from threading import Event, Thread


@contextmanager
def on_the_air(server: BaseServer) -> Iterator[None]:
    """Let a server take requests meanwhile, and close it.

    `serve_forever` would look some hundred times a second whether it is to end, and end late.
    """
    over = Event()

    def answer() -> None:
        while not over.is_set():
            server.handle_request()

    with server:
        thread = Thread(target=answer, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            socket.create_connection(server.server_address).close()  # which wakes it
            thread.join()
