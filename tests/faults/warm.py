"""The program, forked from a process that has it imported, which is most of what a start takes.

How Python begins is not what most tests are about. It is with the tests of restarts.
"""

import multiprocessing
import os
import sys
from pathlib import Path
from subprocess import TimeoutExpired

import weakened
from senders import PROCESSES

import commands
from models import non_answers
from smsconvo import create_app

non_answers.prepare(["en"])  # reads the words of all languages, which takes longer than the rest


class WarmProcess:
    """A command of the program, to be used like a `subprocess.Popen`."""

    def __init__(
        self,
        command: tuple[str, ...],
        folder: Path,
        environ: dict[str, str],
        log: Path,
        weakness: str | None = None,
    ) -> None:
        arguments = (command, folder, environ, log, weakness)
        self._process = PROCESSES.Process(target=run, args=arguments)
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.poll() is None:
            raise TimeoutExpired("a warm process", timeout)
        return self.poll()

    def kill(self) -> None:
        self._process.kill()


def run(
    command: tuple[str, ...], folder: Path, environ: dict[str, str], log: Path, weakness: str | None
) -> None:
    """Become what the command line would start: a session, a folder, an environment of its own."""
    multiprocessing.set_start_method("fork", force=True)  # it inherits how it began itself
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environ)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    for name in weakness.split(",") if weakness else ():
        getattr(weakened, name)()
    sys.argv = ["smsconvo.py", *command]
    commands.main(create_app)
