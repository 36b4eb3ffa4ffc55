"""Light phones: they take little processor time, so that the server is what is measured.

They text as those of phones.py do: whole questionnaires, signed, each with its cookie. But they
write each request to the socket in one piece, which takes a tenth of the time.
"""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain, count
from threading import Barrier
from urllib.parse import urlencode, urlsplit

from phones import GUESTS, TEXTS, Turns
from twilio.request_validator import RequestValidator

from gateway.webhook import COOKIE, FORM_TYPE
from phone import new_sid
from settings import Settings

SET_COOKIE = re.compile(rf"set-cookie: ({COOKIE}=\w+)".encode(), re.IGNORECASE)


def text_lightly(settings: Settings, phones: int, seconds: float, first_guest: int = 0) -> Turns:
    """Do the same as `text_for` of phones.py."""
    began = time.monotonic()
    text = partial(_text, settings, began + seconds)
    with ThreadPoolExecutor(phones) as pool:
        durations = pool.map(text, [n * GUESTS + first_guest for n in range(phones)])
        return Turns(list(chain.from_iterable(durations)), time.monotonic() - began)


def text_once_lightly(settings: Settings, phones: int) -> Turns:
    """Do the same as `text_once` of phones.py."""
    all_ready = Barrier(phones)

    def text(guest: int) -> tuple[float, float] | None:
        request = _make_request(settings, guest, TEXTS[0], b"")
        all_ready.wait()
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
    durations = [end - start for start, end in zip(began, ended, strict=True)]
    return Turns(durations, max(ended) - min(began), texted.count(None))


def _text(settings: Settings, until: float, first: int) -> list[float]:
    """Be one phone until that time, from its guest `first` on; the seconds of each turn."""
    durations: list[float] = []
    with socket.create_connection(settings.listen) as connection:
        for guest in count(first):
            cookie = b""
            for body in TEXTS:
                if time.monotonic() > until:
                    return durations
                request = _make_request(settings, guest, body, cookie)
                began = time.perf_counter()
                answer = _exchange(connection, request)
                durations.append(time.perf_counter() - began)
                set_cookie = SET_COOKIE.search(answer)
                cookie = set_cookie[1] if set_cookie else b""


def _exchange(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(request)
    answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    assert answer.endswith(b"</Response>"), answer  # it came in one piece
    return answer


def _make_request(settings: Settings, guest: int, body: str, cookie: bytes) -> bytes:
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
        "Cookie": cookie.decode("ascii"),
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"POST /sms HTTP/1.1\r\n{lines}\r\n{content}".encode("ascii")
