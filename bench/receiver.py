"""Where results arrive: the least that a receiver can do, in a process of its own."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context

import psutil

LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
THANKS = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


@contextmanager
def receiving() -> Iterator[tuple[str, psutil.Process]]:
    """The URL of a receiver that takes whatever is sent, and its process."""
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
        with connection, suppress(OSError):  # an attempt may be cut
            _read(connection)
            connection.sendall(THANKS)


def _read(connection: socket.socket) -> None:
    """All of a request, which may come in pieces."""
    said = b""
    while chunk := connection.recv(65536):
        said += chunk
        head, found, body = said.partition(b"\r\n\r\n")
        if found and len(body) >= int(LENGTH.search(head)[1]):
            return
