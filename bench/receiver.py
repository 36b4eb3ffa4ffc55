"""A receiver that accepts every result and does nothing else, in a process of its own."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context

import psutil

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
NO_CONTENT = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@contextmanager
def receiving() -> Iterator[tuple[str, psutil.Process]]:
    """The URL of the receiver, and its process."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        process = get_context("fork").Process(target=_receive, args=(server,), daemon=True)
        process.start()
        try:
            port = server.getsockname()[1]
            yield f"http://127.0.0.1:{port}/results", psutil.Process(process.pid)
        finally:
            process.terminate()
            process.join()


def _receive(server: socket.socket) -> None:
    while True:
        connection, _ = server.accept()
        with connection, suppress(OSError):  # an attempt may be aborted
            _read(connection)
            connection.sendall(NO_CONTENT)


def _read(connection: socket.socket) -> None:
    """Read a whole request, which may come in pieces."""
    request = b""
    while chunk := connection.recv(65536):
        request += chunk
        head, separator, body = request.partition(b"\r\n\r\n")
        if separator and len(body) >= int(LENGTH.search(head)[1]):
            return
