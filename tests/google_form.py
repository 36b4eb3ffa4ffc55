"""A Google Form over HTTP: its page, what it takes, what it answers, and the sheet behind it.

What is known of Google's is imitated as it was observed. Where observations differ, the form can do
either; which one is an attribute, to be set before or between requests.
"""

import json
import re
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock
from typing import Any, Literal, Self
from urllib.parse import parse_qs, quote, urlsplit

from form_languages import CLASSES, LANGUAGES, Language
from form_questions import FIRST, NEXT, SUBMIT, WITHOUT_ANSWER, Malformed, Question, first, moment
from http_server import on_the_air

OTHER = "__other_option__"
SIGN_IN = "https://accounts.google.com/v3/signin/identifier?continue="
REPORT = '<div>Google. <a href="{base}/reportabuse?source={base}/viewform">!</a></div>'
ADDRESS = re.compile(r"https?://[^\s<]+")
PARTS = re.compile(r"_(year|month|day|hour|minute|second|sentinel)$|\.other_option_response$")


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
    editor_id: str = "1editor" + "y" * 8  # a published form is found by it, too
    # What the form is like today.
    state: Literal["open", "closed", "sign_in", "restricted", "captcha", "deleted", "busy"] = "open"
    state_after_row: str = ""  # what it becomes by itself once it has recorded a row
    # Where observations differ.
    unknown_option: Literal["again", 400] = "again"
    missing: Literal["again", 400] = "again"
    unknown_entry: Literal["dropped", 400] = "dropped"
    malformed: Literal["again", 400] = 400  # a date that does not exist
    sign_in: Literal["redirect", 401] = "redirect"
    closed_by: Literal["redirect", "page"] = "redirect"
    closed_message: str = ""  # the owner's; "" is Google's own
    closed_has_report: bool = True  # a link to report abuse of the form
    captcha_with_form: bool = False  # shown above the form again
    has_inputs: bool = True  # whose names are those of the entries
    data_when_recorded: bool = True
    data_when_again: bool = True
    # What the network does to these methods.
    faulty: tuple[str, ...] = ("GET", "POST")
    delay: float = 0
    is_cut_off: bool = False
    is_dropped: bool = False  # instead of an answer

    def __post_init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self.requests: list[tuple[str, str, dict[str, list[str]]]] = []  # method, path, fields
        self._no_delay, self._lock = Event(), Lock()

    def __enter__(self) -> Self:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._open = ExitStack()
        self._open.enter_context(on_the_air(self._server))
        return self

    def __exit__(self, *_: object) -> None:
        self.end_delay()
        self._open.close()

    def end_delay(self) -> None:
        """Answer what waits, and everything from now on."""
        self._no_delay.set()

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
    def edit_url(self) -> str:
        """Where its owner changes it."""
        return f"{self.base.replace(f'e/{self.id}', self.editor_id)}/edit"

    @property
    def editor_url(self) -> str:
        """Where it takes answers, too."""
        return f"{self.base.replace(f'e/{self.id}', self.editor_id)}/formResponse"

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
        is_there = self.state != "deleted"
        if is_there and (method, url.path) == ("GET", f"/forms/d/{self.editor_id}/viewform"):
            return 302, self.page_url, ""
        own = (f"/forms/d/e/{self.id}/", f"/forms/d/{self.editor_id}/")
        if not url.path.startswith(own) or not is_there:
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
                raise Malformed
            row, errors = self.read(fields)
        except Malformed:
            return 400, "", self._page("400", "")
        if errors:
            return 200, "", self._form_page(errors)
        with self._lock:
            self.rows.append(row)
            self.state = self.state_after_row or self.state
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
            raise Malformed
        if errors.not_an_option and self.unknown_option == 400:
            raise Malformed
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
        lines = [line.replace("{base}", self.base) for line in lines]
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
        return self._page(self.title, head + form + REPORT, self.data() if is_shown else None)

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
        said = show_message(self.confirmation or self._said.recorded)
        body = self._element("title", escape(self.title)) + self._element("message", said)
        if self.has_link:
            link = f"{self.page_url}?usp=form_confirm"
            body += self._element("links", f'<a href="{escape(link)}">{self._said.another}</a>')
        data = self.data(has_items=False) if self.data_when_recorded else None
        return self._page(self.title, body + REPORT, data)

    def _closed_page(self) -> str:
        said = show_message(self.closed_message or self._said.closed.format(self.title))
        body = self._element("title", escape(self.title)) + self._element("message", said)
        return self._page(self.title, body + REPORT * self.closed_has_report)

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
                form._no_delay.wait(form.delay if is_faulty else 0)
                if form.is_dropped and is_faulty:
                    return
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


def show_message(text: str) -> str:
    """What the owner says, as a page has it: addresses are links."""
    return ADDRESS.sub(r"<a href='\g<0>'>\g<0></a>", escape(text)).replace("\n", "<br>")


def parse_fields(query: str, body: bytes, kind: str) -> dict[str, list[str]] | None:
    """The fields of a request; None for a body that is no form."""
    if body and not kind.startswith("application/x-www-form-urlencoded"):
        return None
    fields = parse_qs(query, keep_blank_values=True)
    return fields | parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
