"""The addresses of Google Forms and of Apps Script web apps.

A form has a page, `…/forms/d/e/{public id}/viewform`, and takes answers at `…/formResponse`. Its
editor has another id, without the `e/`; Google understands that one in both places, too.
"""

import re
from urllib.parse import SplitResult, urlsplit

from addresses import is_web_address

HOSTS = {"docs.google.com"}
SHORT_HOSTS = {"forms.gle"}
SIGN_IN_HOSTS = {"accounts.google.com"}
APPS_SCRIPT_HOSTS = {"script.google.com"}
ECHO_HOSTS = {"script.googleusercontent.com"}  # where a web app's answer is fetched from
OF_GOOGLE = (".google.com", ".googleusercontent.com", "forms.gle")  # which need https
# A domain of Google Workspace and the number of an account may stand in between.
FORM_PATH = re.compile(r"(?:/a/[^/]+)?/forms(?:/u/\d+)?/d/(e/)?([\w-]+)(?:/(\w*))?/?")
ID = re.compile(r"[\w-]+")


def is_google_form(url: str) -> bool:
    """Whether this is an address of Google Forms: of a form's page, its editor, its answers."""
    parts = _split(url, HOSTS)
    return parts is not None and "/forms/" in parts.path


def is_response_url(url: str) -> bool:
    """Whether a form takes answers at this very address."""
    match = _match_form(url)
    return match is not None and match[3] == "formResponse" and _is_safe(url)


def response_url(url: str, public_id: str = "") -> str:
    """The address where the form takes answers; ValueError if `url` names no form.

    Where `url` has the id of the editor, `public_id` takes its place, if that is known.
    """
    return _form_url(url, "formResponse", public_id)


def page_url(url: str) -> str:
    """The address of the form's public page; ValueError if `url` names no form."""
    return _form_url(url, "viewform")


def form_id(url: str) -> str:
    """The id of the form that an address names, public or the editor's, or ""."""
    match = _match_form(url)
    return match[2] if match else ""


def page_name(url: str) -> str:
    """What of a form an address is of: viewform, formResponse, closedform; "" if of none."""
    match = _match_form(url)
    return match[3] or "" if match else ""


def is_public(url: str) -> bool:
    """Whether an address has the public id of a form, and not that of its editor."""
    match = _match_form(url)
    return match is not None and match[1] is not None


def is_short_link(url: str) -> bool:
    """Whether this is a short link to a form: it redirects, so answers cannot be sent there."""
    return _split(url, SHORT_HOSTS) is not None


def is_apps_script(url: str) -> bool:
    """Whether this is the address of an Apps Script web app."""
    parts = _split(url, APPS_SCRIPT_HOSTS)
    return parts is not None and "/macros/" in parts.path and _is_safe(url)


def is_echo(url: str) -> bool:
    """Whether the answer of an Apps Script web app is fetched from this address."""
    return _split(url, ECHO_HOSTS) is not None and _is_safe(url)


def is_sign_in(url: str) -> bool:
    """Whether people sign in to Google at this address."""
    return _split(url, SIGN_IN_HOSTS) is not None


def _form_url(url: str, page: str, public_id: str = "") -> str:
    match = _match_form(url)
    if match is None:
        raise ValueError("This is not the address of a Google Form.")
    id = f"{match[1] or ''}{match[2]}"
    if not match[1] and ID.fullmatch(public_id):
        id = f"e/{public_id}"
    parts = urlsplit(url)
    scheme = "https" if _needs_https(parts) else parts.scheme
    return f"{scheme}://{parts.netloc}/forms/d/{id}/{page}"


def _match_form(url: str) -> re.Match[str] | None:
    parts = _split(url, HOSTS)
    return FORM_PATH.fullmatch(parts.path) if parts else None


def _split(url: str, hosts: set[str]) -> SplitResult | None:
    """The parts of a web address on one of these hosts, at whatever port."""
    if not is_web_address(url):
        return None
    parts = urlsplit(url)
    return parts if _host(parts) in hosts else None


def _is_safe(url: str) -> bool:
    """Whether it is https, or of no host of Google's: only in tests."""
    parts = urlsplit(url)
    return parts.scheme == "https" or not _needs_https(parts)


def _needs_https(parts: SplitResult) -> bool:
    return _host(parts).endswith(OF_GOOGLE)


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")
