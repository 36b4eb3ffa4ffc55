"""What the console sends: pages from `views/`, and the files of `static/` under lasting names."""

import hashlib
import re
import secrets
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from bottle import SimpleTemplate

from console.qr_code import draw_qr_code
from models.questionnaire.costs import describe_range, visible
from models.reports.context import PageContext, in_zone, known_zone
from models.reports.explanations import explain_cookie, explain_reading
from models.reports.shared import SharedPage

ROOT = Path(__file__).resolve().parents[1]
VIEWS, STATIC = ROOT / "views", ROOT / "static"
NAV = {
    "Now": "/console",
    "Answers": "/console/answers",
    "Threads": "/console/threads",
    "People": "/console/people",
    "Outbox": "/console/outbox",
    "Files": "/console/files",
    "Try": "/console/try",
    "Health": "/console/health",
    "Sessions": "/console/sessions",
    "Shares": "/console/shares",
}
# What a page says once an operator has done something, by the field `done` of its address: an
# action as `operator_actions` has it.
DONE = {
    "retry": "It is tried again now. Reload this page to see how that went.",
    "retry-all": "All of them are tried again now.",
    "partly": "Some are tried again now. For the others, press the button again.",
    "confirm": "It counts as delivered now.",
    "discard": "It is discarded. To take that back, try it again.",
    "stop": "The conversation is stopped.",
    "complete": "The conversation is completed.",
    "mark-test": "It is a test now, and no figure counts it.",
    "unmark-test": "It is in the figures again.",
    "write-note": "The note is saved.",
    "remove-note": "The note is removed.",
    "revoke-share": "The link shows nothing any more.",
    "opt-out": "This person gets no more texts. You can take that back.",
    "opt-in": "This person gets replies again.",
}
# Every answer of the console has these, errors and redirects included.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "strict-origin",  # "no-referrer" makes Origin null in our forms
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
SHARED_HEADERS = HEADERS | {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src data:; form-action 'none'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
}
CONSOLE, SHARED = "/console", "/r/"
URL = re.compile(r"(https?://)(?:[^\s/?#@]*@)?([^\s/?#@]+)[^\s\"'<>”]*", re.I)
AS_OF = secrets.token_hex(16)  # stands for the time on a page, and in no words of anybody's
TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
FOREVER = "public, max-age=31536000, immutable"  # a file that changes has another name
# What a page says of an error: its title, and what to do. Other statuses are like 400 or 500.
ERRORS = {
    400: (
        "That did not work",
        "The form did not arrive as it should. Go back, reload the page, and try again.",
    ),
    403: (
        "No access",
        "Your access only looks. Somebody with access to do this can print a link for it.",
    ),
    404: ("No such page", "There is no page at this address. Choose another one."),
    409: ("This cannot be done", "Go back, reload the page, and see how things are now."),
    405: ("That did not work", "Open the page of this address, and use its buttons."),
    413: ("Too long", "This is too long. Go back, and shorten it."),
    500: (
        "Something went wrong",
        "This is a fault of smsconvo. The log says where, in the line “refused”.",
    ),
    503: (
        "Nothing can be shown now",
        "The database does not answer. Texts wait as well. See /healthz, and the log.",
    ),
}


class StaticFile(NamedTuple):
    """A file that browsers may keep."""

    content: bytes
    type: str


@cache
def static_files() -> dict[str, StaticFile]:
    """All that `/static/` serves, by name. The name has a digest of the content in it."""
    found = {}
    for path in sorted(STATIC.iterdir()):
        if path.suffix in TYPES:
            content = path.read_bytes()
            digest = hashlib.sha256(content).hexdigest()[:16]
            name = f"{path.stem}.{digest}{path.suffix}"
            found[name] = StaticFile(content, TYPES[path.suffix])
    return found


@cache
def static_name(file: str) -> str:
    """The name under which a file of `static/` is served."""
    stem, suffix = Path(file).stem, Path(file).suffix
    return next(n for n in static_files() if n.startswith(f"{stem}.") and n.endswith(suffix))


@cache
def templates() -> dict[str, SimpleTemplate]:
    """All pages by name, read and compiled; their values are escaped.

    A process keeps those that it began with, while an upgrade puts others into the folder.
    """
    found = {path.stem: SimpleTemplate(path.read_text("utf-8")) for path in VIEWS.glob("*.tpl")}
    for template in found.values():
        template.cache = found  # where `rebase` looks for the layout
    return found


class Page(NamedTuple):
    """A page for an operator, and a name for what it shows: the same for the same."""

    content: str
    etag: str
    as_of: str  # when, which is on the page and not in its name


class Pages:
    """Renders pages, whose addresses begin with the path of `public_url` for browsers."""

    def __init__(self, public_url: str) -> None:
        self._common = {"nav": NAV, "static": static_name, "notice": ""}
        self._common |= {"public_url": public_url, "root": urlsplit(public_url).path}
        self._common |= {
            "context": None,
            "operator": None,
            "show_fact": show_fact,
            "draw_qr_code": draw_qr_code,
            "ZoneInfo": ZoneInfo,
            "quote": partial(quote, safe=""),
            "explain_reading": explain_reading,
            "explain_cookie": explain_cookie,
            "visible": visible,
            "describe_range": describe_range,
        }
        templates(), static_files()  # now, not when somebody asks

    def render(self, view: str, **values: object) -> str:
        """A page for somebody who is not signed in: it has no way to the others."""
        return templates()[view].render(self._common, **values)

    def render_for(self, context: PageContext, view: str, found: object) -> Page:
        """A page for an operator: of what was found, with times in the zone that it names.

        What was found may have a zone of its own, such as that of its questionnaire.
        """
        zone = known_zone(getattr(found, "zone", None) or context.zone)
        as_of = f"{context.now.astimezone(zone):%H:%M:%S}"
        content = self.render(
            view,
            context=context,
            operator=context.operator,
            found=found,
            zone=zone.key,
            as_of=AS_OF,
            notice=DONE.get(context.query.value("done"), ""),
            show_words=str if context.operator.may_act else hide_addresses,
            show_time=partial(show_time, zone=zone, now=context.now),
        )
        digest = hashlib.sha256(content.replace(AS_OF, "").encode()).hexdigest()
        # Weak, for a proxy may compress it.
        return Page(content.replace(AS_OF, as_of), f'W/"{digest[:32]}"', as_of)

    def render_shared(self, context: PageContext, found: SharedPage) -> str:
        """A page of results for somebody who is not signed in."""
        zone = known_zone(found.zone)
        shown = partial(show_time, zone=zone, now=context.now)
        return self.render("shared", found=found, zone=zone.key, show_time=shown)

    def render_error(self, path: str, status: int, advice: str = "") -> str:
        """What to do about an error. It shows nothing of what was sent, and nothing elsewhere."""
        if path.startswith(SHARED):
            return self.render("not_shared", status=status)
        if not path.startswith(CONSOLE):
            return ""
        if status in (401, 429):
            return self.render("sign_in", advice=advice)
        title, known = ERRORS.get(status, ERRORS[500] if status >= 500 else ERRORS[400])
        return self.render("error", title=title, status=status, advice=advice or known)


def hide_addresses(words: object) -> str:
    """The words with no more of a URL than its host: the rest may be a secret of a receiver's."""
    return URL.sub(r"\1\2/…", str(words))


def show_time(time: datetime, zone: ZoneInfo, now: datetime, has_day: bool = True) -> str:
    """A time as operators read it, in HTML: in a zone, and in UTC on hover."""
    local, utc = in_zone(time, zone), time.astimezone(UTC)
    year = "" if local.year == now.astimezone(zone).year else f" {local.year}"
    day = f"{local:%a} {local.day} {local:%b}{year}, " if has_day else ""
    words = f"{day}{local:%H:%M}"
    title = f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}" title="{title}">{words}</time>'


def show_fact(name: str, value: object) -> str:
    """A figure of a check, or a list of names, with its own name in words."""
    words = name.replace("_", " ")
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    elif name.endswith("bytes") and isinstance(value, int):
        words, value = words.removesuffix("bytes").strip(), show_bytes(value)
    return f"{words} {'unknown' if value is None else value}".strip()


def show_bytes(size: int) -> str:
    """A size as people read it."""
    unit = next((n for n in (2**30, 2**20, 2**10) if size >= n), 1)
    number = f"{size / unit:.1f}".removesuffix(".0")
    return f"{number} { {2**30: 'GiB', 2**20: 'MiB', 2**10: 'KiB', 1: 'bytes'}[unit] }"
