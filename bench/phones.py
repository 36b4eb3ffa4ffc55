"""Many phones at once, over real HTTP: each signs its texts and keeps its own cookies."""

import statistics
import time
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from threading import Event, Thread

from phone import Phone, TwilioError
from settings import Settings

TEXTS = ("Mats BBQ", "Blue", "Pizza 🍕", "Cola", "Yes")
PROCESSES = 4
GUESTS = 1_000_000  # that one phone can be, one after the other


@dataclass(frozen=True)
class Turns:
    """The seconds that each turn took, and that all of them took together.

    Texts without an answer are not among the turns: a phone that the others keep from its turn for
    5 seconds finds its connection closed.
    """

    each: list[float]
    together: float
    unanswered: int = 0

    @property
    def rate(self) -> float:
        return len(self.each) / self.together

    def milliseconds(self, share: float) -> float:
        """Within so many a share of the turns was answered."""
        ordered = sorted(self.each)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]

    @property
    def median(self) -> float:
        return 1000 * statistics.median(self.each)


def text_for(settings: Settings, phones: int, seconds: float, met: int = 0) -> Turns:
    """Whole questionnaires by so many phones, until the time is over.

    `met` are the guests that each phone has been before.
    """
    return _text_at_once(settings, phones, seconds, met)


def text_once(settings: Settings, phones: int) -> Turns:
    """One text of each phone, all at the same moment."""
    return _text_at_once(settings, phones, None)


def _text_at_once(settings: Settings, phones: int, seconds: float | None, met: int = 0) -> Turns:
    """From some processes, so that it is not the phones that are slow."""
    context = get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    with context.Pool(PROCESSES, _keep, [barrier]) as pool:
        shares = [range(first, phones, PROCESSES) for first in range(PROCESSES)]
        texted = pool.starmap(_text, [(settings, share, seconds, met) for share in shares], 1)
    began, ended = min(one[0] for one in texted), max(one[1] for one in texted)
    turns = [turn for *_, each in texted for turn in each]
    answered = [turn for turn in turns if turn is not None]
    return Turns(answered, ended - began, len(turns) - len(answered))


def _keep(barrier: Barrier) -> None:
    global everybody_is_there
    everybody_is_there = barrier


def _text(
    settings: Settings, share: range, seconds: float | None, met: int
) -> tuple[float, float, list[float | None]]:
    """One process of phones: when it began and ended, and the seconds until each answer, if any."""
    turns: list[float | None] = []
    starting = Event()
    guests = [_guest(settings, n * GUESTS + met, seconds, starting, turns) for n in share]
    for guest in guests:
        guest.start()
    everybody_is_there.wait()
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
            for said in TEXTS if seconds else TEXTS[:1]:
                if end and time.monotonic() > end:
                    return
                turns.append(_time_text(phone, said))
            if not seconds:
                return

    return Thread(target=text)


def _time_text(phone: Phone, said: str) -> float | None:
    began = time.perf_counter()
    try:
        phone.text(said)
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
