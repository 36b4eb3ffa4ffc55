"""The other side of the wire: a handset and Twilio in one, texting a webhook as Twilio does.

What it sends, signs, keeps as cookies and refuses is Twilio's behaviour as documented, with the
names and numbers of Twilio's errors. It is as strict as Twilio where an operator could not see it.
"""

import mimetypes
import re
import secrets
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import SplitResult, urldefrag, urljoin, urlsplit
from uuid import uuid4
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import requests
from twilio.request_validator import RequestValidator
from urllib3 import HTTPHeaderDict, HTTPResponse, Timeout
from urllib3.exceptions import HTTPError

CONNECT_SECONDS = 5
LARGEST_ANSWER = 64 * 1024
LONGEST_MESSAGE = 1600
MOST_MESSAGES = 10
COOKIE_SECONDS = 4 * 60 * 60
API_VERSION = "2010-04-01"


class TwilioError(Exception):
    """What Twilio would log, texting nothing. Where only this phone gives up, the code is 0."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}" if code else sentence)
        self.code = code


@dataclass(frozen=True)
class Reply:
    """One message texted back, under the sid of its own that Twilio gives it."""

    body: str
    status_callback: str | None = None
    sid: str = field(default_factory=lambda: new_sid("SM"))


@dataclass
class Exchange:
    """One request and its answer. Without an answer the status is None."""

    sid: str
    status: int | None = None
    headers: HTTPHeaderDict = field(default_factory=HTTPHeaderDict)
    content: bytes = b""
    replies: list[Reply] = field(default_factory=list)


class Phone:
    """One phone that texts one number of ours, and Twilio between them."""

    patience = 15.0  # seconds for a whole exchange, the connection included

    def __init__(
        self,
        url: str,
        *,
        account_sid: str,
        auth_token: str,
        sender: str = "+14158675308",
        number: str = "+14155550100",
        fallback_url: str | None = None,
    ) -> None:
        # Twilio keeps its connection settings in the fragment, and neither sends nor signs it.
        self.url = urldefrag(url).url
        self.fallback_url = fallback_url and urldefrag(fallback_url).url
        self.account_sid, self.sender, self.number = account_sid, sender, number
        self.cookies = CookieJar(self.url)
        self.last: Exchange | None = None
        self._validator = RequestValidator(auth_token)
        self._http = new_http()

    def text(
        self,
        body: str = "",
        *,
        media: Iterable[str] = (),
        sid: str | None = None,
        now: datetime | None = None,
        **params: str | list[str] | None,
    ) -> list[str]:
        """Send one text and return what is texted back; TwilioError where Twilio would log one.

        `media` are URLs. `params` replace form fields: a list repeats one, None removes it.
        """
        now = now or datetime.now(UTC)
        form = self._form(body, list(media), sid) | params
        try:
            replies = self._exchange(self.url, form, now)
        except TwilioError as error:
            if not (self.fallback_url and error.code):
                raise
            form |= {"ErrorCode": str(error.code), "ErrorUrl": self.url}
            replies = self._exchange(self.fallback_url, form, now)
        return [reply.body for reply in replies]

    def report(self, reply: Reply, status: str, error_code: int | None = None) -> int:
        """Tell the webhook what became of a reply; return the HTTP status of its answer."""
        if reply.status_callback is None:
            raise ValueError("This reply asked for no status callback.")
        form = self._common(reply.sid, self.number, self.sender, status)
        form["MessageStatus"] = status
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        if status in ("delivered", "undelivered"):
            form["RawDlrDoneDate"] = datetime.now(UTC).strftime("%y%m%d%H%M")
        return self._post(urldefrag(reply.status_callback).url, form)[0]

    def _form(self, body: str, media: list[str], sid: str | None) -> dict[str, str]:
        form = self._common(
            sid or new_sid("MM" if media else "SM"), self.sender, self.number, "received"
        )
        form |= {"SmsMessageSid": form["MessageSid"], "Body": body, "NumMedia": str(len(media))}
        for n, url in enumerate(media):
            kind = mimetypes.guess_type(url)[0] or "application/octet-stream"
            form |= {f"MediaUrl{n}": url, f"MediaContentType{n}": kind}
        if self.sender.startswith("whatsapp:"):
            number = self.sender.removeprefix("whatsapp:")
            return form | {"NumSegments": "1", "ProfileName": number, "WaId": number.lstrip("+")}
        form["NumSegments"] = "1" if media else str(count_segments(body))
        places = ("City", "State", "Zip", "Country")
        return form | {f"{end}{place}": "" for end in ("From", "To") for place in places}

    def _common(self, sid: str, sender: str, recipient: str, status: str) -> dict[str, str]:
        return {
            "MessageSid": sid,
            "SmsSid": sid,
            "AccountSid": self.account_sid,
            "From": sender,
            "To": recipient,
            "SmsStatus": status,
            "ApiVersion": API_VERSION,
        }

    def _exchange(self, url: str, form: dict, now: datetime) -> list[Reply]:
        last = self.last = Exchange(form["MessageSid"])
        last.status, last.headers, last.content = self._post(
            url, form, self.cookies.header(url, now)
        )
        self.cookies.take(last.headers.getlist("Set-Cookie"), url, now)
        last.replies = read_answer(last, url)
        return last.replies

    def _post(self, url: str, form: dict, cookie: str = "") -> tuple[int, HTTPHeaderDict, bytes]:
        fields = Fields({name: value for name, value in form.items() if value is not None})
        headers = {
            "X-Twilio-Signature": self._validator.compute_signature(signed_url(url), fields),
            "I-Twilio-Idempotency-Token": str(uuid4()),
        }
        if cookie:
            headers["Cookie"] = cookie
        return self._send(url, fields, headers)

    def _send(self, url: str, fields: "Fields", headers: dict[str, str]) -> tuple:
        deadline = time.monotonic() + self.patience
        timeout = Timeout(connect=min(CONNECT_SECONDS, self.patience), total=self.patience)
        try:
            with self._http.post(
                url,
                data=fields,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as answer:
                content = read_body(answer.raw, deadline)
        except (requests.Timeout, TimeoutError) as error:
            raise TwilioError(11205, f"No answer within {self.patience:g} s in all.") from error
        except requests.ConnectionError as error:
            raise TwilioError(11205, "The connection was refused or broke off.") from error
        except (requests.RequestException, HTTPError, OSError) as error:
            raise TwilioError(11200, f"No whole answer came ({type(error).__name__}).") from error
        return answer.status_code, answer.raw.headers, content


class Fields(dict[str, str | list[str]]):
    """Form fields, perhaps repeated, in the way that RequestValidator asks for them."""

    def getlist(self, name: str) -> list[str]:
        value = self[name]
        return value if isinstance(value, list) else [value]


def new_http() -> requests.Session:
    http = requests.Session()
    http.trust_env = False  # no proxy and no .netrc of the environment's
    # Its own jar goes by the clock of the machine, which cannot be passed; ours replaces it.
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    http.headers.update({"User-Agent": "TwilioProxy/1.1", "X-Home-Region": "us1"})
    http.headers.update({"Accept": "*/*", "Accept-Encoding": "gzip"})
    return http


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def signed_url(url: str) -> str:
    """Messaging webhooks are signed without user and password, but with the port."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def read_body(raw: HTTPResponse, deadline: float) -> bytes:
    """The body, to its end or just beyond what Twilio reads."""
    content = b""
    while len(content) <= LARGEST_ANSWER:
        chunk = raw.read1(LARGEST_ANSWER, decode_content=True)
        # A timeout of the socket begins anew with every byte that drips in.
        if time.monotonic() > deadline:
            raise TimeoutError
        if not chunk:
            break
        content += chunk
    return content


GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡"
    "ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = set("\f^{}\\[~]|€")


def count_segments(body: str) -> int:
    """How many SMS carry this text. One character outside GSM 03.38 makes all of it UCS-2."""
    if GSM | GSM_EXTENSION >= set(body):
        widths, alone, each = [1 + (c in GSM_EXTENSION) for c in body], 160, 153
    else:
        widths, alone, each = [1 + (c > "\uffff") for c in body], 70, 67
    if sum(widths) <= alone:
        return 1
    segments, room = 1, each
    for width in widths:
        if width > room:  # no character is split between two segments
            segments, room = segments + 1, each
        room -= width
    return segments


###############################################################################
# Cookies #####################################################################
###############################################################################


@dataclass(frozen=True)
class Cookie:
    """One cookie, and where and how long it is sent."""

    name: str
    value: str
    host: str
    path: str = "/"
    secure: bool = False
    expires_at: datetime = datetime.max.replace(tzinfo=UTC)

    @classmethod
    def read(cls, header: str, url: SplitResult, now: datetime) -> "Cookie":
        """Read a Set-Cookie header as browsers do; SimpleCookie drops what browsers keep."""
        (name, value), *rest = (split_pair(part) for part in header.split(";"))
        if not name or re.search(r"[\t\r\n\v\f]", header):
            raise TwilioError(11206, "A cookie has no name, or white space that breaks headers.")
        attributes = {attribute.lower(): value for attribute, value in rest}
        path = attributes.get("path", "")
        if not path.startswith("/"):
            path = url.path.rpartition("/")[0] or "/"
        expires_at = expiry(attributes, now)
        return cls(name, value, url.hostname or "", path, "secure" in attributes, expires_at)

    def goes_to(self, url: SplitResult, now: datetime) -> bool:
        below = (url.path or "/").startswith(self.path.removesuffix("/") + "/")
        return (
            self.host == url.hostname
            and (below or self.path == url.path)
            and (url.scheme == "https" or not self.secure)  # loopback is no exception
            and now < self.expires_at
        )


def split_pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return name.strip(), value.strip()


def expiry(attributes: dict[str, str], now: datetime) -> datetime:
    """Max-Age goes before Expires, and neither beyond four hours."""
    latest = now + timedelta(seconds=COOKIE_SECONDS)
    if re.fullmatch("-?[0-9]+", attributes.get("max-age", "")):
        seconds = min(max(int(attributes["max-age"]), 0), COOKIE_SECONDS)
        return now + timedelta(seconds=seconds)
    with suppress(ValueError):
        expires_at = parsedate_to_datetime(attributes.get("expires", ""))
        return min(latest, expires_at.replace(tzinfo=expires_at.tzinfo or UTC))
    return latest


class CookieJar:
    """The cookies of one sender and one number. Twilio's signature does not cover them."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).hostname or ""
        self._cookies: dict[tuple[str, str, str], Cookie] = {}

    def take(self, headers: Iterable[str], url: str, now: datetime) -> None:
        """Keep what an answer sets, or nothing of it where a cookie is bad."""
        for cookie in [Cookie.read(header, urlsplit(url), now) for header in headers]:
            self._cookies.pop((cookie.name, cookie.host, cookie.path), None)
            if cookie.expires_at > now:
                self._keep(cookie)

    def header(self, url: str, now: datetime) -> str:
        """The Cookie header for a request, the most specific paths first; perhaps empty."""
        sent = [cookie for cookie in self._cookies.values() if cookie.goes_to(urlsplit(url), now)]
        sent.sort(key=lambda cookie: -len(cookie.path))
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in sent)

    def __getitem__(self, name: str) -> str:
        """The value last set, even if it has expired: no clock is read here."""
        return {cookie.name: cookie.value for cookie in self._cookies.values()}[name]

    def __contains__(self, name: str) -> bool:
        return any(cookie.name == name for cookie in self._cookies.values())

    def __setitem__(self, name: str, value: str) -> None:
        """Forge a cookie that goes to the webhook for ever."""
        for key in [key for key in self._cookies if key[0] == name]:
            del self._cookies[key]
        self._keep(Cookie(name, value, self._host))

    def clear(self) -> None:
        self._cookies.clear()

    def _keep(self, cookie: Cookie) -> None:
        self._cookies[cookie.name, cookie.host, cookie.path] = cookie


###############################################################################
# Answers #####################################################################
###############################################################################

TWIML = ("text/xml", "application/xml", "text/html")
GRAMMAR = {  # the attributes and children that Twilio knows, names being case-sensitive
    "Response": (set(), {"Message", "Redirect"}),
    "Message": ({"to", "from", "action", "statusCallback", "method"}, {"Body", "Media"}),
    "Redirect": ({"method"}, set()),
    "Body": (set(), set()),
    "Media": (set(), set()),
}


def read_answer(answer: Exchange, url: str) -> list[Reply]:
    """The messages that an answer texts back; TwilioError for an answer that Twilio refuses."""
    check_http(answer)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/plain":
        replies = [Reply(answer.content.decode("utf-8", "replace"))]
        check_length(replies[0].body)
    elif kind in TWIML:
        replies = [read_message(message, url) for message in read_twiml(answer.content)]
    else:
        raise TwilioError(12300, f"The Content-Type is {kind or 'missing'}, not text/xml.")
    if len(replies) > MOST_MESSAGES:
        raise TwilioError(14109, f"{len(replies)} messages; at most {MOST_MESSAGES} are texted.")
    return replies


def check_http(answer: Exchange) -> None:
    if answer.status >= 400:
        raise TwilioError(11217, f"The webhook answered HTTP {answer.status}.")
    if answer.status >= 300:
        # Twilio follows some, and then mostly as a GET. None leads to a conversation.
        place = answer.headers.get("Location", "nowhere")
        raise TwilioError(
            11216,
            f"HTTP {answer.status} redirects to {place}. Give Twilio that address instead:"
            " a redirect loses the form.",
        )
    if len(answer.content) > LARGEST_ANSWER:
        raise TwilioError(11750, f"The answer is longer than {LARGEST_ANSWER} bytes.")


def read_twiml(content: bytes) -> list[Element]:
    """The <Message> elements."""
    try:
        response = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise TwilioError(12100, f"The answer is not well-formed XML: {error}.") from error
    if response.tag != "Response":
        raise TwilioError(12102, f"The root is <{response.tag}>, not <Response>.")
    check_grammar(response)
    if any(text and text.strip() for text in [response.text, *(verb.tail for verb in response)]):
        raise TwilioError(12200, "<Response> holds text outside of any verb.")
    if response.find("Redirect") is not None:
        raise TwilioError(0, "Twilio follows <Redirect>, but this phone does not.")
    return list(response)


def check_grammar(element: Element) -> None:
    attributes, children = GRAMMAR[element.tag]
    for name in element.attrib:
        if name not in attributes:
            raise TwilioError(12200, f"<{element.tag}> knows no attribute {name}.")
    for child in element:
        if child.tag not in children:
            raise TwilioError(12200, f"<{element.tag}> knows no <{child.tag}>.")
        check_grammar(child)


def read_message(message: Element, url: str) -> Reply:
    texts = [message.text]
    for noun in message:
        texts += [noun.text if noun.tag == "Body" else "", noun.tail]
    body = "".join(text or "" for text in texts).strip()
    check_length(body, alone=message.find("Media") is None)
    callback = message.get("statusCallback") or message.get("action")
    return Reply(body, callback and urljoin(url, callback))


def check_length(body: str, alone: bool = True) -> None:
    if alone and not body.strip():
        raise TwilioError(14103, "A message is empty.")
    if len(body) > LONGEST_MESSAGE:
        raise TwilioError(14103, f"A message is longer than {LONGEST_MESSAGE} characters.")
