"""How many turns a second `serve` answers, and how long each takes.

A turn is one text and its reply. The phones text whole questionnaires over real HTTP, signed and
with cookies, against the server as shipped; they and the server share the machine.
"""

import os
import statistics
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path
from threading import Thread

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from phone import Phone
from smsconvo import HERE, Settings, rehearsal_environment, running_server

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
NOWHERE = "http://127.0.0.1:9/results"  # the discard port: nothing listens, so results stay owed
PROCESSES = 2


@click.command()
@click.option("--phones", default=16, show_default=True, help="How many text at once.")
@click.option("--seconds", default=10.0, show_default=True, help="How long they text.")
def main(phones: int, seconds: float) -> None:
    """Measure turns per second, the time a turn takes, and the memory of the server."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        environ = rehearsal_environment() | {
            "SMSCONVO_QUESTIONNAIRES": str(HERE / "questionnaires"),
            "SMSCONVO_PEOPLE": str(HERE / "people.toml"),
        }
        with running_server(environ, NOWHERE) as server:
            turns = measure(Settings.from_env(environ), phones, seconds)
            memory = proportional_set_size(server.pid)
    report(turns, phones, seconds, memory)


def measure(settings: Settings, phones: int, seconds: float) -> list[float]:
    """The seconds that each turn took, of all phones."""
    context = get_context("spawn")
    with context.Pool(PROCESSES) as pool:
        shares = [range(first, phones, PROCESSES) for first in range(PROCESSES)]
        texting = pool.starmap(text_together, [(settings, share, seconds) for share in shares])
    return [turn for turns in texting for turn in turns]


def text_together(settings: Settings, share: range, seconds: float) -> list[float]:
    turns: list[float] = []
    end = time.monotonic() + seconds
    threads = [Thread(target=text_until, args=(settings, n, end, turns)) for n in share]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return turns


def text_until(settings: Settings, n: int, end: float, turns: list[float]) -> None:
    """Whole questionnaires, each by a sender of its own, until the time is over."""
    for guest in range(n * 100_000, (n + 1) * 100_000):
        phone = Phone(
            f"{settings.public_url}/sms",
            account_sid=settings.account_sid,
            auth_token=settings.auth_tokens[0],
            sender=f"+1415{guest:07}",
        )
        for text in TEXTS:
            if time.monotonic() > end:
                return
            start = time.perf_counter()
            phone.text(text)
            turns.append(time.perf_counter() - start)


def proportional_set_size(pid: int) -> float:
    """MiB of a process and its children; pages that they share count once."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    kilobytes = 0
    for process in (pid, *children):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                kilobytes += int(line.split()[1])
    return kilobytes / 1024


def report(turns: list[float], phones: int, seconds: float, memory: float) -> None:
    hundredths = [1000 * each for each in statistics.quantiles(turns, n=100)]
    click.echo(f"{phones} phones, {len(turns)} turns in {seconds:g} s")
    click.echo(f"{len(turns) / seconds:10.0f}  turns per second")
    click.echo(f"{hundredths[49]:10.1f}  ms, the median turn")
    click.echo(f"{hundredths[98]:10.1f}  ms, p99")
    click.echo(f"{1000 * max(turns):10.1f}  ms, the longest")
    click.echo(f"{memory:10.1f}  MiB, proportional set size of the server")


if __name__ == "__main__":
    main()
