"""A Google Form over HTTP: its page, what it takes, what it answers, and the sheet behind it.

What is known of Google's is imitated as it was observed. Where observations differ, the form can do
either; which one is an attribute, to be set before or between requests.
"""

import html
import json
import random
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Event, Lock, Thread
from typing import Any, ClassVar, Literal, Self
from urllib.parse import parse_qs, quote, urlsplit

OTHER = "__other_option__"
SIGN_IN = "https://accounts.google.com/v3/signin/identifier?continue="
NEXT, FIRST, SUBMIT = -2, -1, -3  # where an option or a section leads
NUMBERS = {
    "short": 0,
    "paragraph": 1,
    "choice": 2,
    "dropdown": 3,
    "checkboxes": 4,
    "scale": 5,
    "title": 6,
    "grid": 7,
    "section": 8,
    "date": 9,
    "time": 10,
    "duration": 10,
    "image": 11,
    "video": 12,
    "upload": 13,
    "rating": 18,
}
WITHOUT_ANSWER = {"title", "section", "image", "video"}
PARTS = re.compile(r"_(year|month|day|hour|minute|second|sentinel)$|\.other_option_response$")


@dataclass(frozen=True)
class Language:
    """What Google's own texts are in one language."""

    code: str
    recorded: str
    another: str
    required: str
    not_an_option: str
    closed: str
    submit: str
    captcha: str


LANGUAGES = {
    "en": Language(
        "en",
        "Your response has been recorded.",
        "Submit another response",
        "This is a required question",
        "Must be one of the options",
        'The form "{}" is no longer accepting responses.',
        "Submit",
        "Please complete the captcha",
    ),
    "de": Language(
        "de",
        "Deine Antwort wurde erfasst.",
        "Weitere Antwort senden",
        "Dies ist eine Pflichtfrage",
        "Muss eine der Optionen sein",
        "Für das Formular „{}“ sind keine Antworten mehr möglich.",
        "Senden",
        "Bitte löse das Captcha",
    ),
    "th": Language(
        "th",
        "เราได้บันทึกคำตอบของคุณไว้แล้ว",
        "ส่งคำตอบเพิ่มอีก",
        "จำเป็นต้องตอบคำถามนี้",
        "ต้องเป็นหนึ่งในตัวเลือก",
        "แบบฟอร์ม {} ไม่รับคำตอบแล้ว",
        "ส่ง",
        "โปรดทำแคปต์ชา",
    ),
}
# The classes of today's pages mean nothing; those of older ones are also in their style sheets.
CLASSES = {
    "plain": {},
    "today": {"message": "vHW8K", "question": "geS5n", "title": "F9yp7e", "links": "c2gzEf"},
    "older": {
        "message": "freebirdFormviewerViewResponseConfirmationMessage",
        "question": "freebirdFormviewerViewItemsItemItem",
        "title": "freebirdFormviewerViewHeaderTitle",
        "links": "freebirdFormviewerViewResponseLinksContainer",
    },
}


@dataclass
class Question:
    """An item of a form; `options` lead to sections where `leads_to` says so."""

    title: str
    kind: str = "short"
    required: bool = False
    options: list[str] = field(default_factory=list)
    has_other: bool = False
    rows: list[str] = field(default_factory=list)
    takes_many: bool = False  # a grid of checkboxes
    has_year: bool = True
    has_time: bool = False
    shuffled: bool = False
    leads_to: dict[str, int] = field(default_factory=dict)  # an option, and an id or SUBMIT
    then: int = NEXT  # of a section: where the one before it leads
    rule: Callable[[str], bool] | None = None  # of the owner's, for a text
    id: int = field(default_factory=count(1_000).__next__)
    entries: list[int] = field(default_factory=list)  # given if it has none

    ids: ClassVar = count(700_000_001, 7)

    def __post_init__(self) -> None:
        if self.kind in ("scale", "rating") and not self.options:
            self.options = ["1", "2", "3", "4", "5"]
        needed = 0 if self.kind in WITHOUT_ANSWER else len(self.rows) or 1
        self.entries += [next(self.ids) for _ in range(needed - len(self.entries))]

    @property
    def entry(self) -> str:
        """The name that its answer is sent under."""
        return f"entry.{self.entries[0]}"

    @property
    def parts(self) -> list[str]:
        """What a date or a time is sent in."""
        parts = ["year"] * self.has_year + ["month", "day"] if self.kind == "date" else []
        if self.kind in ("time", "duration") or self.has_time:
            parts += ["hour", "minute"]
        return parts + ["second"] * (self.kind == "duration")

    def data(self) -> list:
        """What the page's data has of it."""
        if self.kind == "section":
            return [self.id, self.title, None, 8, None, self.then]
        if not self.entries:
            return [self.id, self.title, None, NUMBERS[self.kind]]
        entries = [self._entry_data(place) for place in range(len(self.entries))]
        return [self.id, self.title, None, NUMBERS[self.kind], entries, *[None] * 6, ["", ""]]

    def _entry_data(self, place: int) -> list:
        leads = self.leads_to
        options = [[text, None, leads.get(text), None, 0] for text in self.options]
        if self.shuffled:
            random.shuffle(options)
        options += [["", None, leads.get(""), None, 1]] if self.has_other else []
        data = [self.entries[place], options or None, int(self.required), *[None] * 9]
        if self.kind in ("scale", "rating", "grid"):
            data[1] = [[text] for text in self.options]
        if self.kind == "scale":
            data[3] = ["bad", "great"]
        if self.kind == "grid":
            data[3], data[11] = [self.rows[place]], [int(self.takes_many)]
        if NUMBERS[self.kind] == 10:
            data[6] = [int(self.kind == "duration")]
        if self.kind == "date":
            data[7] = [int(self.has_time), int(self.has_year)]
        if self.kind in ("choice", "dropdown", "checkboxes"):
            data[8] = int(self.shuffled)
        return data


class Malformed(ValueError):
    """A POST that is answered with a 400."""


@dataclass
class Errors:
    """What is wrong with a POST, by title; nothing is recorded then."""

    missing: list[str] = field(default_factory=list)
    not_an_option: list[str] = field(default_factory=list)
    other: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.missing or self.not_an_option or self.other)


@dataclass
class GoogleForm:
    """A form on the air, `with GoogleForm([...]) as form`; `rows` is its sheet, in US English.

    Titles of sections (kind "section") divide the questions. Any attribute may be changed while
    it runs, as an owner edits a form.
    """

    questions: list[Question]
    title: str = "Mats BBQ"
    description: str = ""
    confirmation: str = ""  # the owner's; "" is Google's own
    has_link: bool = True  # to another response
    email: Literal["none", "verified", "typed"] = "none"
    language: str = "en"
    markup: Literal["plain", "today", "older"] = "today"
    padding: int = 300_000  # bytes before what matters
    id: str = "1FAIpQLSd" + "x" * 8
    # What the form is like today.
    state: Literal["open", "closed", "sign_in", "restricted", "captcha", "deleted", "busy"] = "open"
    # Where observations differ.
    unknown_option: Literal["again", 400] = "again"
    missing: Literal["again", 400] = "again"
    unknown_entry: Literal["dropped", 400] = "dropped"
    malformed: Literal["again", 400] = 400  # a date that does not exist
    sign_in: Literal["redirect", 401] = "redirect"
    closed_by: Literal["redirect", "page"] = "redirect"
    closed_message: str = ""  # the owner's; "" is Google's own
    closed_names_form: bool = True  # whether that page has the id of the form anywhere
    captcha_with_form: bool = False  # shown above the form again
    has_inputs: bool = True  # whose names are those of the entries
    data_when_recorded: bool = True
    data_when_again: bool = True
    # What the network does to these methods.
    faulty: tuple[str, ...] = ("GET", "POST")
    delay: float = 0
    is_cut_off: bool = False

    def __post_init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []  # method, path, fields
        self._closing, self._lock = Event(), Lock()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base(self) -> str:
        """The address of the form, without the name of a page."""
        return f"http://127.0.0.1:{self._server.server_port}/forms/d/e/{self.id}"

    @property
    def url(self) -> str:
        """Where it takes answers."""
        return f"{self.base}/formResponse"

    @property
    def page_url(self) -> str:
        """Where people open it."""
        return f"{self.base}/viewform"

    @property
    def sections(self) -> list[list[Question]]:
        """The questions of each section."""
        sections: list[list[Question]] = [[]]
        for question in self.questions:
            if question.kind == "section":
                sections.append([])
            else:
                sections[-1].append(question)
        return sections

    # Requests ##################################################################

    def answer(self, method: str, path: str, body: bytes, kind: str) -> tuple[int, str, str]:
        """The status, the Location or "", and the page."""
        url = urlsplit(path)
        fields = parse_fields(url.query, body, kind)
        with self._lock:
            self.requests.append((method, url.path, fields or {}))
        name = url.path.rpartition("/")[2]
        if not url.path.startswith(f"/forms/d/e/{self.id}/") or self.state == "deleted":
            return 404, "", self._page("404", "")
        if self.state == "busy":
            return 429, "", ""
        if name == "closedform":
            return 200, "", self._closed_page()
        if self.state == "restricted":
            return 403, "", self._page(self.title, "")
        if self.state == "sign_in" or self._needs_account():
            return self._sign_in()
        if self.state == "closed":
            if self.closed_by == "page":
                return 200, "", self._closed_page()
            return 302, f"{self.base}/closedform", ""
        if method == "GET" or name != "formResponse":
            return 200, "", self._form_page(Errors())
        if self.state == "captcha":
            return 200, "", self._captcha_page()
        return self._take(fields)

    def _take(self, fields: dict[str, list[str]] | None) -> tuple[int, str, str]:
        try:
            if fields is None:
                raise Malformed("It is no form.")
            row, errors = self.read(fields)
        except Malformed:
            return 400, "", self._page("400", "")
        if errors:
            return 200, "", self._form_page(errors)
        with self._lock:
            self.rows.append(row)
        return 200, "", self._confirmation_page()

    def _needs_account(self) -> bool:
        return self.email == "verified" or any(each.kind == "upload" for each in self.questions)

    def _sign_in(self) -> tuple[int, str, str]:
        if self.sign_in == 401:
            return 401, "", self._page(self.title, "")
        return 302, SIGN_IN + quote(self.page_url, safe=""), ""

    # What is recorded ##########################################################

    def read(self, fields: dict[str, list[str]]) -> tuple[dict[str, str], Errors]:
        """The row of the sheet, and what is wrong; Malformed if Google answers 400."""
        self._check_names(fields)
        row, errors = {}, Errors()
        if self.email == "typed":
            row["Email Address"] = address = first(fields, "emailAddress")
            if "@" not in address:
                errors.missing.append("Email Address")
        visited, is_last = self._history(fields)
        if not is_last:
            errors.other.append("the next section")
        for number, questions in enumerate(self.sections):
            for question in questions:
                cells = self._cells(question, fields, errors, number in visited)
                row |= cells if number in visited else dict.fromkeys(cells, "")
        if errors.missing and self.missing == 400:
            raise Malformed("A required question has no answer.")
        if errors.not_an_option and self.unknown_option == 400:
            raise Malformed("A choice is none of the options.")
        return row, errors

    def _check_names(self, fields: dict[str, list[str]]) -> None:
        known = {f"entry.{entry}" for question in self.questions for entry in question.entries}
        for name in fields:
            if not name.startswith("entry."):
                continue
            bare = PARTS.sub("", name)
            if not re.fullmatch(r"entry\.\d+", bare):
                raise Malformed(f"{name} is no name of a question.")
            if bare not in known and self.unknown_entry == 400:
                raise Malformed(f"{name} is none of the questions.")

    def _history(self, fields: dict[str, list[str]]) -> tuple[list[int], bool]:
        """The sections that count as visited, and whether the last of them ends the form."""
        text = first(fields, "pageHistory") or "0"
        if not re.fullmatch(r"\d+(,\d+)*", text):
            raise Malformed("pageHistory is a list of numbers.")
        visited = [int(number) for number in text.split(",")]
        if max(visited) >= len(self.sections):
            raise Malformed("There is no such section.")
        is_stepping = first(fields, "continue") == "1"
        return visited, not is_stepping and self._next_section(visited[-1], fields) is None

    def _next_section(self, number: int, fields: dict[str, list[str]]) -> int | None:
        """Which section follows one; None after the last."""
        breaks = [each for each in self.questions if each.kind == "section"]
        target = breaks[number].then if number < len(breaks) else SUBMIT
        for question in self.sections[number]:
            target = question.leads_to.get(first(fields, question.entry), target)
        if target == SUBMIT or number == len(breaks):
            return None
        if target == FIRST:
            return 0
        ids = [each.id for each in breaks]
        return number + 1 if target == NEXT else ids.index(target) + 1

    def _cells(
        self, question: Question, fields: dict, errors: Errors, is_visited: bool
    ) -> dict[str, str]:
        if question.kind in WITHOUT_ANSWER:
            return {}
        cells = {}
        for place, number in enumerate(question.entries):
            title = question.title
            if question.kind == "grid":
                title = f"{title} [{question.rows[place]}]"
            cell = self._cell(
                question, f"entry.{number}", fields, errors if is_visited else Errors()
            )
            if question.required and not cell and is_visited:
                errors.missing.append(title)
            cells[title] = cell
        return cells

    def _cell(self, question: Question, name: str, fields: dict, errors: Errors) -> str:
        if question.parts:
            try:
                return moment(question, name, fields)
            except Malformed:
                if self.malformed == 400:
                    raise
                errors.other.append(question.title)
                return ""
        sent = [value for value in fields.get(name, []) if value]
        if question.options or question.has_other:
            return self._choice(question, name, sent, fields, errors)
        text = sent[0] if sent else ""
        if text and question.rule and not question.rule(text):
            errors.other.append(question.title)
        return text

    def _choice(
        self, question: Question, name: str, sent: list[str], fields: dict, errors: Errors
    ) -> str:
        chosen = []
        for value in sent:
            if value == OTHER and question.has_other:
                chosen.append(first(fields, f"{name}.other_option_response"))
            elif value in question.options:
                chosen.append(value)
            else:
                errors.not_an_option.append(question.title)
        if not (question.kind == "checkboxes" or question.takes_many) and len(sent) > 1:
            errors.not_an_option.append(question.title)
        return ", ".join(filter(None, chosen))

    # Pages #####################################################################

    @property
    def _said(self) -> Language:
        return LANGUAGES[self.language]

    def data(self, *, has_items: bool = True) -> list:
        """FB_PUBLIC_LOAD_DATA_."""
        items = [question.data() for question in self.questions] if has_items else None
        rule = {"none": 1, "verified": 2, "typed": 3}[self.email]
        settings = [None, None, None, 2, None, None, rule]
        message = [self.confirmation, int(self.has_link), 0, 1, 0]
        form = [self.description, items, message, *[None] * 5, self.title, 70, settings]
        form += [None, None, None, None, [2]]
        return [None, form, "/forms", f"{self.title} (form)", *[None] * 10, f"e/{self.id}", 1, "[]"]

    def _page(self, title: str, body: str, data: list | None = None) -> str:
        """A whole page, with all that Google has around what matters."""
        styles = "".join(f".{name}{{margin:0}}" for name in CLASSES[self.markup].values())
        lines = [
            f'<!DOCTYPE html><html lang="{self._said.code}"><head>',
            f'<meta property="og:title" content="{escape(title)}">',
            f"<title>{escape(title)}</title><style nonce=x>{styles}</style>",
            f"<script nonce=x>var FILLER = '{'<div>'.ljust(self.padding, '.')}';</script>",
            '</head><body dir="ltr"><div><a href="https://accounts.google.com/AccountChooser?'
            f'continue={quote(self.page_url, safe="")}">Google</a></div>{body}',
            '<div><a href="https://policies.google.com/terms">Google</a></div>',
        ]
        if data:
            text = json.dumps(data).replace("<", "\\u003c").replace(">", "\\u003e")
            lines.append(f"<script nonce=x>var FB_PUBLIC_LOAD_DATA_ = {text};</script>")
        return "\n".join([*lines, "</body></html>"])

    def _element(self, name: str, content: str, tag: str = "div") -> str:
        name = CLASSES[self.markup].get(name, "")
        return f'<{tag} class="{name}">{content}</{tag}>' if name else f"<{tag}>{content}</{tag}>"

    def _form_page(self, errors: Errors) -> str:
        head = self._element("title", escape(self.title)) + f"<div>{escape(self.description)}</div>"
        captcha = "<div class='g-recaptcha' data-sitekey='x'></div>"
        items = "".join(self._item(question, errors) for question in self.questions)
        hidden = '<input type="hidden" name="fvv" value="1"><input type="hidden"'
        hidden += (
            f' name="pageHistory" value="0"><input type="hidden" name="fbzx" value="-{self.id}">'
        )
        form = f'<form action="{self.url}" method="POST">{items}{hidden}'
        form += captcha if self.state == "captcha" else ""
        form += f"<div role=button>{self._said.submit}</div></form>"
        is_shown = self.data_when_again or not errors
        return self._page(self.title, head + form, self.data() if is_shown else None)

    def _item(self, question: Question, errors: Errors) -> str:
        inputs = "".join(
            f'<input type="hidden" name="entry.{entry}{end}">'
            for entry in question.entries * self.has_inputs
            for end in [f"_{part}" for part in question.parts] or [""]
        )
        said = ""
        if question.title in errors.missing:
            said = f"<div role=alert>{self._said.required}</div>"
        if question.title in errors.not_an_option:
            said = f"<div role=alert>{self._said.not_an_option}</div>"
        options = "".join(f"<span>{escape(option)}</span>" for option in question.options)
        content = f"<div role=heading>{escape(question.title)}</div>{options}{inputs}{said}"
        return self._element("question", content)

    def _confirmation_page(self) -> str:
        said = escape(self.confirmation or self._said.recorded).replace("\n", "<br>")
        body = self._element("title", escape(self.title)) + self._element("message", said)
        if self.has_link:
            link = f"{self.page_url}?usp=form_confirm"
            body += self._element("links", f'<a href="{escape(link)}">{self._said.another}</a>')
        data = self.data(has_items=False) if self.data_when_recorded else None
        return self._page(self.title, body, data)

    def _closed_page(self) -> str:
        said = self.closed_message or self._said.closed.format(self.title)
        body = self._element("title", escape(self.title)) + f"<div>{escape(said)}</div>"
        if self.closed_names_form:
            body += f'<a href="{self.base}/reportabuse">!</a>'
        return self._page(self.title, body).replace("" if self.closed_names_form else self.id, "")

    def _captcha_page(self) -> str:
        if self.captcha_with_form:
            return self._form_page(Errors())
        body = f'<form action="{self.url}"><div>{self._said.captcha}</div>'
        return self._page(
            self.title, body + "<div class='g-recaptcha' data-sitekey='x'></div></form>"
        )

    # HTTP ######################################################################

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        form = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.respond("GET", b"")

            def do_POST(self) -> None:
                self.respond("POST", self.rfile.read(int(self.headers["Content-Length"])))

            def respond(self, method: str, body: bytes) -> None:
                kind = self.headers.get("Content-Type", "")
                status, location, page = form.answer(method, self.path, body, kind)
                is_faulty = method in form.faulty
                form._closing.wait(form.delay if is_faulty else 0)
                content = page.encode()
                sent = content[: len(content) // 2] if form.is_cut_off and is_faulty else content
                self.send_response(status)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                if location:
                    self.send_header("Location", location)
                with suppress(OSError):  # whoever asked waits no longer
                    self.end_headers()
                    self.wfile.write(sent)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


def parse_fields(query: str, body: bytes, kind: str) -> dict[str, list[str]] | None:
    """The fields of a request; None for a body that is no form."""
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        return None
    fields = parse_qs(query, keep_blank_values=True)
    return fields | parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)


def first(fields: dict[str, list[str]], name: str) -> str:
    return fields.get(name, [""])[0]


def moment(question: Question, name: str, fields: dict[str, list[str]]) -> str:
    """The cell of a date or a time; "" where parts are missing: a whole date is not looked at."""
    texts = {part: first(fields, f"{name}_{part}") for part in question.parts}
    if not all(texts.values()):
        return ""
    try:
        numbers = {part: int(text) for part, text in texts.items()}
        if question.kind == "duration":
            return "{hour}:{minute:02}:{second:02}".format(**numbers)
        if question.kind == "time":
            return clock(time(**numbers))
        date = datetime(**{"year": 2000} | numbers)
    except ValueError:
        raise Malformed(f"{name} is no {question.kind}.") from None
    day = f"{date.month}/{date.day}" + f"/{date.year}" * question.has_year
    return f"{day} {date.hour}:{date:%M:%S}" if question.has_time else day


def clock(moment: time) -> str:
    return f"{moment.hour % 12 or 12}:{moment:%M:%S %p}"


def escape(text: str) -> str:
    return html.escape(text)


def new_id() -> str:
    """A public id as Google's are."""
    return "1FAIpQLS" + secrets.token_urlsafe(36)
