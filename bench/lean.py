"""Phones that take next to nothing of a processor: all texts are signed before the first is sent.

They send and count. The cookies they get they leave alone, which costs the server nothing: it goes
by who texts, and to which number.
"""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

from phones import TEXTS, Turns
from twilio.request_validator import RequestValidator

from phone import new_sid
from smsconvo import FORM, Settings

GUESTS_A_SECOND = 60  # that one phone can be at most, one after the other


class Texting:
    """Whole questionnaires by so many phones, until the time is over."""

    def __init__(self, settings: Settings, phones: int, seconds: float) -> None:
        guests = int(seconds * GUESTS_A_SECOND)
        self._address, self._seconds = settings.listen, seconds
        self._turns: list[float] = []
        self._requests = [list(prepare(settings, n * guests, guests)) for n in range(phones)]

    def run(self) -> Turns:
        began = time.monotonic()
        with ThreadPoolExecutor(len(self._requests)) as pool:
            list(pool.map(self._text, self._requests))
        return Turns(self._turns, time.monotonic() - began)

    def _text(self, requests: list[bytes]) -> None:
        end = time.monotonic() + self._seconds
        with socket.create_connection(self._address) as connection:
            for request in requests:
                began = time.perf_counter()
                connection.sendall(request)
                answer = connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200 "), answer
                assert answer.endswith(b"</Response>"), answer  # all of it came in one piece
                self._turns.append(time.perf_counter() - began)
                if time.monotonic() > end:
                    return
        raise ValueError("All that was prepared is said. Raise GUESTS_A_SECOND.")


def prepare(settings: Settings, first: int, count: int) -> Iterator[bytes]:
    """The requests of so many guests, byte for byte."""
    url = f"{settings.public_url}/sms"
    validator = RequestValidator(settings.auth_tokens[0])
    for guest in range(first, first + count):
        for said in TEXTS:
            form = {"MessageSid": new_sid(), "AccountSid": settings.account_sid, "Body": said}
            form |= {"From": f"+1{guest:010}", "To": "+14155550100"}
            body = urlencode(form)
            head = {"Host": urlsplit(url).netloc, "Content-Type": FORM, "Content-Length": len(body)}
            head["X-Twilio-Signature"] = validator.compute_signature(url, form)
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            yield f"POST /sms HTTP/1.1\r\n{lines}\r\n{body}".encode("ascii")
