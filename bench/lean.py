"""Phones that take next to nothing of a processor, so that it is the server that is measured.

They text as those of phones.py do: whole questionnaires, signed, each with the cookie it was given.
But they write to their connections themselves, in one piece, which takes a tenth of the time.
"""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count
from threading import Barrier
from urllib.parse import urlencode, urlsplit

from phones import GUESTS, TEXTS, Turns
from twilio.request_validator import RequestValidator

from gateway.webhook import COOKIE, FORM_TYPE
from phone import new_sid
from settings import Settings

GIVEN = re.compile(rf"set-cookie: ({COOKIE}=\w+)".encode(), re.IGNORECASE)


def text_lightly(settings: Settings, phones: int, seconds: float, met: int = 0) -> Turns:
    """As `text_for` of phones.py."""
    began = time.monotonic()
    text = partial(_text, settings, began + seconds)
    with ThreadPoolExecutor(phones) as pool:
        turns = pool.map(text, [n * GUESTS + met for n in range(phones)])
        return Turns([turn for each in turns for turn in each], time.monotonic() - began)


def text_once_lightly(settings: Settings, phones: int) -> Turns:
    """As `text_once` of phones.py."""
    everybody_is_there = Barrier(phones)

    def text(guest: int) -> tuple[float, float] | None:
        request = _make_request(settings, guest, TEXTS[0], b"")
        everybody_is_there.wait()
        began = time.perf_counter()
        try:
            with socket.create_connection(settings.listen) as connection:
                _exchange(connection, request)
        except (OSError, AssertionError):
            return None
        return began, time.perf_counter()

    with ThreadPoolExecutor(phones) as pool:
        texted = list(pool.map(text, range(phones)))
    began, ended = zip(*filter(None, texted), strict=True)
    each = [end - start for start, end in zip(began, ended, strict=True)]
    return Turns(each, max(ended) - min(began), texted.count(None))


def _text(settings: Settings, until: float, first: int) -> list[float]:
    """One phone: the seconds of each turn."""
    turns: list[float] = []
    with socket.create_connection(settings.listen) as connection:
        for guest in count(first):
            cookie = b""
            for said in TEXTS:
                if time.monotonic() > until:
                    return turns
                request = _make_request(settings, guest, said, cookie)
                began = time.perf_counter()
                answer = _exchange(connection, request)
                turns.append(time.perf_counter() - began)
                given = GIVEN.search(answer)
                cookie = given[1] if given else b""


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert answer.endswith(b"</Response>"), answer  # all of it came in one piece
    return answer


def _make_request(settings: Settings, guest: int, said: str, cookie: bytes) -> bytes:
    url = f"{settings.public_url}/sms"
    form = {"MessageSid": new_sid(), "AccountSid": settings.account_sid, "Body": said}
    form |= {"From": f"+1{guest:010}", "To": "+14155550100"}
    body = urlencode(form)
    head = {"Host": urlsplit(url).netloc, "Content-Type": FORM_TYPE, "Content-Length": len(body)}
    signature = RequestValidator(settings.auth_tokens[0]).compute_signature(url, form)
    head |= {"X-Twilio-Signature": signature, "Cookie": cookie.decode("ascii")}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items() if value)
    return f"POST /sms HTTP/1.1\r\n{lines}\r\n{body}".encode("ascii")
