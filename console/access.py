"""Who asks for a page of the console, and how they sign in.

Nothing here needs a web framework: a request is its WSGI environ.
"""

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from ipaddress import IPv6Network, ip_address
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gateway.webhook import RequestRejected, parse_form, read_body
from logs import log_event
from models.console import (
    DO,
    ConsoleLink,
    ConsolePassword,
    ConsoleSession,
    Operator,
    SignInAttempt,
)
from models.console.action import is_name
from models.console.password import MAX_LENGTH
from models.console.session import LONGEST
from models.console.token import TOKEN, new_token
from settings import Settings
from storage import Database

SAFE_METHODS = {"GET", "HEAD"}
# Its path keeps it away from Twilio's requests, and its prefix from being set without HTTPS. The
# other one is for this machine itself, by its public URL or through a tunnel, without HTTPS.
SECURE_COOKIE, LOCAL_COOKIE = "__Secure-smsconvo", "smsconvo"
PATH = "/console"
BUSY_SECONDS = 1
MAX_COOKIES = 4  # that are looked up; a browser has one

Environ = Mapping[str, Any]


class Refused(RequestRejected):
    """A request that is not granted: `advice` is for the page, and `reason` for the log."""

    def __init__(self, status: int, reason: str, advice: str = "", retry_after: int = 0) -> None:
        super().__init__(status, reason)
        self.advice, self.retry_after = advice, retry_after


class Cookie(NamedTuple):
    """What a browser keeps while it is signed in."""

    name: str
    value: str

    @property
    def token(self) -> str:
        """What is looked up: with the name, so that it is worth nothing under the other one."""
        return f"{self.name}={self.value}"


class Access:
    """Sessions by cookie, or the name that a trusted proxy gives; links and a password make them.

    Without one of these, nobody has access, also from this machine.
    """

    def __init__(
        self, settings: Settings, database: Database, clock: Callable[[], datetime]
    ) -> None:
        self._database, self._clock = database, clock
        self.root = urlsplit(settings.public_url).path  # what addresses of pages begin with
        self._proxies, self._header = settings.console_proxies, settings.console_user_header
        url = urlsplit(settings.public_url)
        self._is_https = url.scheme == "https"
        self._is_local = not self._is_https and is_local(url.hostname or "")
        self._origins = {origin_of(settings.public_url), *local_origins(settings.listen)}
        # A password takes 32 MiB and a tenth of a second to check, which texts want.
        self._checking = Lock()

    def find_operator(self, environ: Environ) -> Operator | None:
        """Whoever asks, if they have access."""
        if name := self._name_by_proxy(environ):
            return Operator(name, DO)
        cookies = read_cookies(environ.get("HTTP_COOKIE", ""))
        if not cookies:
            return None
        now = self._clock()
        with self._database.read() as db:
            found = (ConsoleSession.find(db, cookie.token, now) for cookie in cookies)
            session = next(filter(None, found), None)
        if session is None:
            return None
        if session.is_seen_late(now):
            with suppress(DBAPIError, OSError):  # a full disk must not hide the page that says so
                self._database.write(partial(session.see, now=now))
        return session.operator

    def check_role(self, operator: Operator | None, role: str) -> None:
        """Refuse whoever is not signed in, and whoever only looks where that is not enough."""
        if operator is None:
            raise Refused(401, "nobody is signed in to the console", SIGNED_OUT)
        if role == DO and not operator.may_act:
            raise Refused(403, "the operator may only look")

    def cookie_options(self, cookie: Cookie) -> dict[str, object]:
        """How a cookie is set. When it ends, the database knows better."""
        return {
            "path": self.root + PATH,
            "max_age": int(LONGEST.total_seconds()),
            "secure": cookie.name == SECURE_COOKIE,
            "httponly": True,
            "samesite": "lax",
        }

    def check_origin(self, environ: Environ) -> None:
        """Refuse what a page of another site has a browser do with the operator's cookie.

        Browsers say so in Sec-Fetch-Site: over HTTPS, and to this machine. Old ones have Origin.
        """
        site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
        is_own = site == "same-origin" if site is not None else origin in self._origins
        if not is_own:
            raise Refused(403, "it comes from another site", OTHER_SITE)

    def check_reader(self, environ: Environ) -> None:
        """Refuse a file that a page of another site asks for: it may be large.

        An address that somebody has kept or typed comes from no site, and so do old browsers.
        """
        if environ.get("HTTP_SEC_FETCH_SITE") not in (None, "none", "same-origin"):
            raise Refused(403, "it comes from another site", OTHER_SITE)

    def use_link(self, environ: Environ, token: str) -> Cookie:
        """Sign a browser in by a link, which works once."""
        cookie, now = self._new_cookie(environ), self._clock()
        with self._database.read() as db:  # texts wait for a write, and strangers could cause many
            is_usable = ConsoleLink.is_usable(db, token, now)

        def enter(db: Session) -> ConsoleSession | None:
            link = ConsoleLink.use(db, token, now)
            return link and self._start_session(db, environ, cookie, now, link)

        if not is_usable or self._database.write(enter) is None:
            raise Refused(403, "the link of the console was used, or is too old", OLD_LINK)
        log_event("console", outcome="signed in", by="link")
        return cookie

    def use_password(self, environ: Environ) -> Cookie:
        """Sign a browser in by the password that it sent."""
        form = parse_form(read_body(environ))
        passwords = form.getall("password")
        if len(passwords) != 1 or len(passwords[0]) > MAX_LENGTH:
            raise Refused(400, "the form has not one password", WRONG_PASSWORD)
        cookie, now = self._new_cookie(environ), self._clock()
        source = attempt_source(self._address(environ))
        known = self._check_password(passwords[0], source, now)

        def enter(db: Session) -> ConsoleSession | None:
            now_known = ConsolePassword.lock(db)
            if now_known is None or now_known.hash != known.hash:  # it was replaced meanwhile
                return None
            SignInAttempt.clear(db, source)
            return self._start_session(db, environ, cookie, now)

        if self._database.write(enter) is None:
            raise wrong_password()
        log_event("console", outcome="signed in", by="password")
        return cookie

    def sign_out(self, operator: Operator) -> None:
        """End the operator's own session, if it is one of ours."""
        if operator.session_id:
            self.end_session(operator, operator.session_id)

    def end_session(self, operator: Operator, id: int) -> None:
        """End a session, unless it is over already."""
        end = partial(ConsoleSession.end, id=id, operator=operator, now=self._clock())
        self._database.write(end)

    def _start_session(
        self,
        db: Session,
        environ: Environ,
        cookie: Cookie,
        now: datetime,
        link: ConsoleLink | None = None,
    ) -> ConsoleSession:
        """Begin a session, which takes the place of those that the browser had."""
        for known in read_cookies(environ.get("HTTP_COOKIE", "")):
            if old := ConsoleSession.find(db, known.token, now):
                ConsoleSession.end(db, old.id, old.operator, now)
        return ConsoleSession.start(db, cookie.token, str(self._address(environ)), now, link)

    def _check_password(self, password: str, source: str, now: datetime) -> ConsolePassword:
        """The row of the password if it is this one; one is checked at a time.

        Whoever may not try neither writes nor keeps others from trying.
        """

        def admit(db: Session) -> tuple[ConsolePassword | None, int]:
            known = ConsolePassword.lock(db)
            return known, SignInAttempt.admit(db, source, now) if known else 0

        with self._database.read() as db:
            is_set = ConsolePassword.is_set(db)
            seconds = SignInAttempt.seconds_to_wait(db, source, now)
        if not is_set:
            raise wrong_password()
        if seconds:
            raise too_many(seconds)
        if not self._checking.acquire(blocking=False):
            raise too_many(BUSY_SECONDS)
        try:
            known, seconds = self._database.write(admit)  # others may have come in between
            if seconds:
                raise too_many(seconds)
            if known is None or not known.is_right(password):
                raise wrong_password()
            return known
        finally:
            self._checking.release()

    def _new_cookie(self, environ: Environ) -> Cookie:
        """A new one: behind a tunnel that without HTTPS, for Chromium keeps no other there."""
        is_tunneled = is_local_origin(environ.get("HTTP_ORIGIN", ""))
        if self._is_local or is_tunneled:
            return Cookie(LOCAL_COOKIE, new_token())
        if self._is_https:
            return Cookie(SECURE_COOKIE, new_token())
        raise Refused(403, "the console needs HTTPS", NEEDS_HTTPS)

    def _name_by_proxy(self, environ: Environ) -> str | None:
        """The name of whoever a trusted proxy has signed in.

        With a comma it is two: the browser sent one as well, and the proxy did not remove it.
        """
        if not (self._header and self._is_proxied(environ)):
            return None
        name = environ.get(f"HTTP_{self._header.upper().replace('-', '_')}", "").strip()
        return name if "," not in name and is_name(name) else None

    def _is_proxied(self, environ: Environ) -> bool:
        """Whether a trusted proxy asks, by the address of its socket."""
        peer = parse_address(environ.get("REMOTE_ADDR", ""))
        return peer is not None and any(peer in network for network in self._proxies)

    def _address(self, environ: Environ) -> object:
        """That of the browser: a trusted proxy says it last, behind what the browser said."""
        forwarded = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        address = parse_address(forwarded) if self._is_proxied(environ) else None
        return address or parse_address(environ.get("REMOTE_ADDR", "")) or "unknown"


SIGNED_OUT = "You are signed out. Sign in, and do it again."
OTHER_SITE = "Open the console itself, and do it there."
OLD_LINK = "This link was used, or is older than ten minutes. Print a new one: smsconvo.py console"
WRONG_PASSWORD = "This is not the password. If you have none, print a link: smsconvo.py console"
NEEDS_HTTPS = "SMSCONVO_PUBLIC_URL is not https. Without HTTPS anybody could read along."


def wrong_password() -> Refused:
    """What is said of any password that lets nobody in."""
    return Refused(401, "the password of the console is wrong", WRONG_PASSWORD)


def too_many(seconds: int) -> Refused:
    """What slows down those who guess passwords."""
    advice = (
        f"Too many passwords were tried. Wait {seconds} s, or print a link: smsconvo.py console"
    )
    return Refused(429, "too many passwords were tried", advice, retry_after=seconds)


def read_cookies(header: str) -> list[Cookie]:
    """Those that may be ours. The standard library reads none of them when one is malformed."""
    pairs = (part.strip().partition("=") for part in header.split(";"))
    found = [
        Cookie(name, value)
        for name, _, value in pairs
        if name in (SECURE_COOKIE, LOCAL_COOKIE) and re.fullmatch(TOKEN, value)
    ]
    return found[:MAX_COOKIES]


def origin_of(url: str) -> str:
    """What browsers say that a page of this URL comes from."""
    parts = urlsplit(url.lower())
    default = {"http": 80, "https": 443}.get(parts.scheme)
    host = parts.netloc.removesuffix(f":{default}")
    return f"{parts.scheme}://{host}"


def local_origins(listen: tuple[str, int]) -> list[str]:
    """Those of a browser on this machine, if we listen there."""
    host, port = listen
    if not is_local(host):
        return []
    hosts = (f"[{host}]" if ":" in host else host, "localhost")
    return [origin_of(f"http://{each}:{port}") for each in hosts]


def is_local_origin(origin: str) -> bool:
    """Whether a page comes from this machine itself without HTTPS, as through `ssh -L`."""
    found = re.fullmatch(r"http://\[?([^]/]+?)\]?(:[0-9]+)?", origin)
    return found is not None and is_local(found[1])


def is_local(host: str) -> bool:
    """Whether what goes there stays on this machine."""
    address = parse_address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def parse_address(text: str) -> Any:
    """An IP address, without the form that IPv6 has for IPv4; None if it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def attempt_source(address: Any) -> str:
    """Whom attempts are counted for: of IPv6 a house has a whole /64."""
    if getattr(address, "version", 4) == 6:
        return str(IPv6Network((int(address), 64), strict=False))
    return str(address)
