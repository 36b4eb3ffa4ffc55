"""Many phones at once, over real HTTP: each signs its texts and keeps its own cookies."""

import statistics
import time
from dataclasses import dataclass
from itertools import chain, count
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from threading import Event, Thread

from phone import Phone, TwilioError
from settings import Settings

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
PROCESSES = 4
GUESTS = 1_000_000  # that a phone can be, one after the other


@dataclass(frozen=True)
class Turns:
    """The seconds of each turn, and the seconds from the first text to the last answer.

    Texts without an answer are not among the turns: the server closes a connection that is silent
    for 5 seconds, and the other phones can keep one waiting that long.
    """

    durations: list[float]
    seconds: float
    unanswered: int = 0

    @property
    def rate(self) -> float:
        return len(self.durations) / self.seconds

    def milliseconds(self, share: float) -> float:
        """The time within which this share of the turns was answered."""
        ordered = sorted(self.durations)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    @property
    def median(self) -> float:
        return 1000 * statistics.median(self.durations)


def text_for(settings: Settings, phones: int, seconds: float, first_guest: int = 0) -> Turns:
    """Have so many phones answer whole questionnaires for so many seconds.

    Each phone starts as its guest number `first_guest`: a guest of an earlier run is known already.
    """
    return _text_at_once(settings, phones, seconds, first_guest)


def text_once(settings: Settings, phones: int) -> Turns:
    """Send a text from each phone, all at the same moment."""
    return _text_at_once(settings, phones, None)


def _text_at_once(
    settings: Settings, phones: int, seconds: float | None, first_guest: int = 0
) -> Turns:
    """From several processes, so that the phones are not what is slow."""
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with context.Pool(PROCESSES, _set_barrier, [barrier]) as pool:
        shares = [range(first, phones, PROCESSES) for first in range(PROCESSES)]
        arguments = [(settings, share, seconds, first_guest) for share in shares]
        starts, ends, turns = zip(*pool.starmap(_text, arguments, 1), strict=True)
    durations = list(chain.from_iterable(turns))
    answered = [duration for duration in durations if duration is not None]
    return Turns(answered, max(ends) - min(starts), len(durations) - len(answered))


def _set_barrier(barrier: Barrier) -> None:
    global all_ready
    all_ready = barrier


def _text(
    settings: Settings, share: range, seconds: float | None, first_guest: int
) -> tuple[float, float, list[float | None]]:
    """Be several phones: when they began and ended, and the seconds until each answer, if any."""
    turns: list[float | None] = []
    starting = Event()
    guests = [_guest(settings, n * GUESTS + first_guest, seconds, starting, turns) for n in share]
    for guest in guests:
        guest.start()
    all_ready.wait()
    began = time.monotonic()
    starting.set()
    for guest in guests:
        guest.join()
    return began, time.monotonic(), turns


def _guest(
    settings: Settings,
    first: int,
    seconds: float | None,
    starting: Event,
    turns: list[float | None],
) -> Thread:
    def text() -> None:
        starting.wait()
        end = seconds and time.monotonic() + seconds
        for guest in count(first):
            phone = _phone(settings, guest)
            for body in TEXTS if seconds else TEXTS[:1]:
                if end and time.monotonic() > end:
                    return
                turns.append(_time_text(phone, body))
            if not seconds:
                return

    return Thread(target=text)


def _time_text(phone: Phone, body: str) -> float | None:
    began = time.perf_counter()
    try:
        phone.text(body)
    except TwilioError:
        return None
    return time.perf_counter() - began


def _phone(settings: Settings, guest: int) -> Phone:
    return Phone(
        f"{settings.public_url}/sms",
        account_sid=settings.account_sid,
        auth_token=settings.auth_tokens[0],
        sender=f"+1{guest:010}",
    )
