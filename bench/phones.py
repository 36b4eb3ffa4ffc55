"""Many phones at once, over real HTTP: each signs its texts and keeps its own cookies.

They are light: a text takes a tenth of what it takes with `phone.py` and requests, so that the
server is what is measured.
"""

import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, count
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from common import TEXTS
from twilio.request_validator import RequestValidator

from gateway.webhook import COOKIE, FORM_TYPE
from phone import new_sid
from settings import Settings

GUESTS = 1_000_000  # that a phone can be, one after the other
SET_COOKIE = re.compile(rf"set-cookie: ({COOKIE}=\w+)".encode(), re.IGNORECASE)


class Turns(NamedTuple):
    """The seconds of each turn, and the seconds from the first text to the last answer.

    Texts without an answer are not among the turns: the server closes a connection that is silent
    for 5 seconds, and the other phones can keep one waiting that long.
    """

    durations: list[float]
    seconds: float
    unanswered: int

    def milliseconds(self, share: float) -> float:
        """The time within which this share of the turns was answered."""
        ordered = sorted(self.durations)
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


class LightPhone:
    """A phone that writes each request to its one socket, in one piece."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._socket: socket.socket | None = None
        self._cookie = ""

    def prepare(self, guest: int, body: str) -> None:
        """Get ready for a guest's text. This is not measured."""
        if body == TEXTS[0]:
            self._cookie = ""
        self._request = make_request(self._settings, guest, body, self._cookie)

    def send(self) -> None:
        """Send the text and wait for the answer; OSError if there is none."""
        self._socket = self._socket or socket.create_connection(self._settings.listen)
        try:
            self._socket.sendall(self._request)
            answer = self._socket.recv(65536)
            if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"</Response>"):
                raise ConnectionError("This is no answer, or it came in more than one piece.")
        except OSError:
            self._socket.close()
            self._socket = None
            raise
        set_cookie = SET_COOKIE.search(answer)
        self._cookie = set_cookie[1].decode("ascii") if set_cookie else ""


def make_request(settings: Settings, guest: int, body: str, cookie: str) -> bytes:
    url = f"{settings.public_url}/sms"
    form = {"MessageSid": new_sid(), "AccountSid": settings.account_sid, "Body": body}
    form |= {"From": f"+1{guest:010}", "To": "+14155550100"}
    content = urlencode(form)
    signature = RequestValidator(settings.auth_tokens[0]).compute_signature(url, form)
    headers = {
        "Host": urlsplit(url).netloc,
        "Content-Type": FORM_TYPE,
        "Content-Length": len(content),
        "X-Twilio-Signature": signature,
        "Cookie": cookie,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"POST /sms HTTP/1.1\r\n{lines}\r\n{content}".encode("ascii")


def text_for(settings: Settings, phones: int, seconds: float, first_guest: int = 0) -> Turns:
    """Have so many phones answer whole questionnaires for so many seconds; for 0, one text each.

    Each phone starts as its guest number `first_guest`: a guest of an earlier run is known already.
    """
    starts: list[float] = []
    ready = threading.Barrier(phones, lambda: starts.append(time.monotonic()))
    firsts = [n * GUESTS + first_guest for n in range(phones)]
    with ThreadPoolExecutor(phones) as pool:
        turns = pool.map(lambda first: _run(LightPhone(settings), first, seconds, ready), firsts)
        durations = list(chain.from_iterable(turns))
        ended = time.monotonic()
    answered = [duration for duration in durations if duration is not None]
    return Turns(answered, ended - starts[0], len(durations) - len(answered))


def _run(
    phone: LightPhone, first: int, seconds: float, ready: threading.Barrier
) -> list[float | None]:
    """Be one phone, from its guest `first` on, once all phones are ready for their first text."""
    durations: list[float | None] = []
    for guest in count(first):
        for body in TEXTS:
            phone.prepare(guest, body)
            if not durations:
                ready.wait()
                until = time.monotonic() + seconds
            durations.append(_time_text(phone))
            if time.monotonic() > until:
                return durations


def _time_text(phone: LightPhone) -> float | None:
    began = time.perf_counter()
    try:
        phone.send()
    except OSError:
        return None
    return time.perf_counter() - began
