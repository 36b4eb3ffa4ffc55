"""Processes of Python that have libraries, or the whole program, from the start.

To load them takes most of the time of a command. So one process loads what the program is made of
and the words that it reads, and each command that a test runs is forked from it. Another one loads
the libraries only, for whatever else is run: other versions of the program, or Alembic. All
processes of the tests share the two.
"""

import atexit
import gc
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from select import select
from tempfile import mkdtemp
from threading import Thread
from typing import NoReturn

LIBRARIES = """
alembic.command bottle click dateparser email_validator granian msgspec phonenumbers psycopg
pysqlite3 regex requests sqlalchemy.dialects.postgresql sqlalchemy.dialects.sqlite sqlalchemy.orm
twilio.request_validator
"""
ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "smsconvo.py"
LONGEST_REQUEST = 100_000  # bytes; most have some hundred, and few a thousand arguments
TIMEOUT_SECONDS = 60
NAMES = ("program", "libraries")
FOLDER = "SMSCONVO_PRELOADED"  # in the environment of tests: where they share such processes
STATUS: int | None = None  # of a process that was forked, once its program has ended


def python(
    folder: Path, environ: dict[str, str], *arguments: str, said: str = ""
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run` returns for Python with these arguments."""
    (stdin, input), (output, stdout), (errors, stderr) = (os.pipe() for _ in range(3))
    process = Process(folder, environ, arguments, [stdin, stdout, stderr])
    for stream in (stdin, stdout, stderr):
        os.close(stream)
    with ThreadPoolExecutor() as pool:
        printed = [pool.submit(read, stream) for stream in (output, errors)]
        pool.submit(write, input, said)
        status = process.wait(TIMEOUT_SECONDS)
    return subprocess.CompletedProcess(arguments, status, *(text.result() for text in printed))


def read(stream: int) -> str:
    with open(stream, encoding="utf-8") as file:
        return file.read()


def write(stream: int, text: str) -> None:
    with suppress(BrokenPipeError), open(stream, "w", encoding="utf-8") as file:
        file.write(text)


class Process:
    """A process of Python, with some of what `subprocess.Popen` has."""

    def __init__(
        self, folder: Path, environ: dict[str, str], arguments: Sequence[str], streams: list[int]
    ) -> None:
        self._reports, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        request = json.dumps([str(folder), environ, arguments]).encode()
        name = "program" if arguments[0] == str(PROGRAM) else "libraries"
        with theirs, socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as requests:
            requests.connect(address(name))
            socket.send_fds(requests, [request], [*streams, theirs.fileno()])
        self.pid = int(self._reports.recv(60))
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = TIMEOUT_SECONDS) -> int:
        """The exit status, or minus the signal that ended it."""
        if self.returncode is None:
            self._reports.settimeout(seconds)
            try:
                self.returncode = int(self._reports.recv(60))
            except TimeoutError:
                self.send_signal(signal.SIGKILL)
                raise
            self._reports.close()
        return self.returncode


def share() -> None:
    """Have the processes of tests that are started from now on share two of these with this one."""
    folder = os.environ[FOLDER] = mkdtemp()
    atexit.register(shutil.rmtree, folder)
    for name in NAMES:
        listener = listen(f"{folder}/{name}")
        Thread(target=start_when_asked, args=(listener, name), daemon=True).start()


def listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen(100)
    return listener


def start_when_asked(listener: socket.socket, name: str) -> None:
    select([listener], [], [])
    start(listener, name)


def start(listener: socket.socket, name: str) -> None:
    """Start the process that takes requests there; it ends with this one."""
    with listener:
        process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), name],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(process.stdin.close)  # before that


@cache
def address(name: str) -> str:
    """Where the process takes requests that has loaded it all."""
    if FOLDER in os.environ:
        return f"{os.environ[FOLDER]}/{name}"
    folder = mkdtemp()
    atexit.register(shutil.rmtree, folder)
    start(listen(f"{folder}/{name}"), name)
    return f"{folder}/{name}"


# In the process that has loaded it all ########################################


def load_program() -> None:
    """All but what is done when it is run: its modules, and the words of a language."""
    sys.path[0] = str(ROOT)
    for name in ("commands", "smsconvo"):
        import_module(name)
    loader = import_module("models.questionnaire.loader")
    loader.load_catalog(ROOT / "questionnaires").prepare()


def fork_for_each(listener: socket.socket) -> None:
    """Fork until the starter has ended; return in the processes that are to run something."""
    while True:
        ready, *_ = select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            os._exit(0)
        with listener.accept()[0] as requests:
            request, files, *_ = socket.recv_fds(requests, LONGEST_REQUEST, 4)
        if not os.fork():
            break
        for file in files:
            os.close(file)
        while os.waitpid(-1, os.WNOHANG)[0]:  # those that have reported
            pass
    listener.close()
    *streams, reports = files
    if pid := os.fork():
        report(pid, reports)
    os.close(reports)
    prepare(streams, *json.loads(request))


def report(pid: int, reports: int) -> NoReturn:
    """Say which process it is, and how it ended."""
    os.write(reports, str(pid).encode())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(reports, str(status).encode())
    os._exit(0)


def prepare(streams: list[int], folder: str, environ: dict[str, str], arguments: list[str]) -> None:
    os.setsid()  # so that Ctrl-C does not reach it, and whoever kills it can kill what it started
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.update(environ)
    sys.argv = arguments


def run_arguments() -> None:
    """As Python does; a KeyboardInterrupt ends it as ever."""
    global STATUS
    try:
        run()
        STATUS = 0
    except SystemExit as end:
        STATUS = end.code or 0 if isinstance(end.code, int | None) else 1
        raise
    except Exception:
        STATUS = 1
        raise


def leave_the_memory() -> None:
    """End before Python gives back what was loaded: nothing else takes a command that long.

    What goes wrong here, Python tells as ever.
    """
    if STATUS is not None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(STATUS)


def run() -> None:
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path[0] = os.getcwd()
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(sys.argv[0])
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    atexit.register(leave_the_memory)  # the first one to register is called last
    for name in LIBRARIES.split():
        import_module(name)
    if sys.argv[2] == "program":
        load_program()
    sys.modules["dateparser"].parse("1 May")  # at its first date it compiles what it needs
    gc.freeze()  # else a collection in a fork copies all that it shares with this process
    fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    run_arguments()
