"""The other side of the wire: a handset and Twilio in one, texting a webhook as Twilio does.

Where Twilio would only log an error, and the sender would wait in vain, `text` raises TwilioError.
"""

import mimetypes
import re
import secrets
import time
from collections import UserDict
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
from urllib3 import HTTPHeaderDict, HTTPResponse
from urllib3.exceptions import HTTPError

CONNECT_SECONDS = 5
COOKIE_SECONDS = 4 * 60 * 60
LARGEST_ANSWER = 64 * 1024
LONGEST_MESSAGE = 1600
MOST_MESSAGES = 10


class TwilioError(Exception):
    """What Twilio logs, texting nothing. The code is 0 where Twilio could and this phone cannot."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(f"{code}: {sentence}" if code else sentence)
        self.code = code


def new_sid(prefix: str = "SM") -> str:
    return prefix + secrets.token_hex(16)


@dataclass(frozen=True)
class Reply:
    """One message texted back, under the sid of its own that Twilio gives it."""

    body: str
    status_callback: str | None = None
    sid: str = field(default_factory=new_sid)


@dataclass
class Exchange:
    """One request and its answer. The status is None while there is no answer."""

    sid: str
    status: int | None = None
    headers: HTTPHeaderDict = field(default_factory=HTTPHeaderDict)
    content: bytes = b""
    replies: list[Reply] = field(default_factory=list)


class Phone:
    """A phone that texts one number of ours, and Twilio between the two."""

    patience = 15.0  # seconds for a whole exchange, connecting included

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
        # Twilio is told how to connect in the fragment, which it neither sends nor signs.
        self.url = urldefrag(url).url
        self.fallback_url = fallback_url and urldefrag(fallback_url).url
        self.account_sid, self.sender, self.number = account_sid, sender, number
        self.cookies = CookieJar()
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
        """Send one text; return what is texted back.

        `media` are URLs. `params` are more form fields, or other values for them: a list repeats
        the field, None leaves it out.
        """
        now = now or datetime.now(UTC)
        form = self._form(body, list(media), sid) | params
        try:
            return self._exchange(self.url, form, now)
        except TwilioError as error:
            if not self.fallback_url or not error.code:
                raise
            form |= {"ErrorCode": str(error.code), "ErrorUrl": self.url}
            return self._exchange(self.fallback_url, form, now)

    def report(self, reply: Reply, status: str, error_code: int | None = None) -> int:
        """Tell the webhook what became of a reply; return the HTTP status of its answer."""
        if reply.status_callback is None:
            raise ValueError("This reply asked for no status callback.")
        form = self._fields(reply.sid, self.number, self.sender, status) | {"MessageStatus": status}
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        if status in ("delivered", "undelivered"):
            form["RawDlrDoneDate"] = datetime.now(UTC).strftime("%y%m%d%H%M")
        return self._post(urldefrag(reply.status_callback).url, form)[0]

    def _form(self, body: str, media: list[str], sid: str | None) -> dict[str, str]:
        sid = sid or new_sid("MM" if media else "SM")
        form = self._fields(sid, self.sender, self.number, "received")
        form |= {"SmsMessageSid": sid, "Body": body, "NumMedia": str(len(media))}
        for n, url in enumerate(media):
            # Twilio's own addresses do not tell; most of what comes is a photo.
            kind = mimetypes.guess_type(url)[0] or "image/jpeg"
            form |= {f"MediaUrl{n}": url, f"MediaContentType{n}": kind}
        channel, _, number = self.sender.rpartition(":")
        if channel == "whatsapp":
            form |= {"ProfileName": number, "WaId": number.removeprefix("+")}
        sms = not channel and not media
        form["NumSegments"] = str(measure(body)[1]) if sms else "1"
        geo_fields = ("City", "State", "Zip", "Country")
        return form | {f"{end}{name}": "" for end in ("From", "To") for name in geo_fields}

    def _fields(self, sid: str, sender: str, recipient: str, status: str) -> dict[str, str]:
        form = {"MessageSid": sid, "SmsSid": sid, "AccountSid": self.account_sid}
        form |= {"From": sender, "To": recipient, "SmsStatus": status}
        return form | {"ApiVersion": "2010-04-01"}

    def _exchange(self, url: str, form: dict, now: datetime) -> list[str]:
        last = self.last = Exchange(form["MessageSid"])
        cookie = self.cookies.header(urlsplit(url), now)
        last.status, last.headers, last.content = self._post(url, form, cookie)
        self.cookies.take(last.headers.getlist("Set-Cookie"), urlsplit(url), now)
        last.replies = read_answer(last, url)
        return [reply.body for reply in last.replies]

    def _post(self, url: str, form: dict, cookie: str = "") -> tuple[int, HTTPHeaderDict, bytes]:
        fields = Fields({name: value for name, value in form.items() if value is not None})
        headers = {
            "X-Twilio-Signature": self._validator.compute_signature(url, fields),
            "I-Twilio-Idempotency-Token": str(uuid4()),
        } | ({"Cookie": cookie} if cookie else {})
        deadline = time.monotonic() + self.patience
        options = {"timeout": (CONNECT_SECONDS, self.patience), "allow_redirects": False}
        try:
            with self._http.post(url, fields, headers=headers, stream=True, **options) as answer:
                return answer.status_code, answer.raw.headers, read_body(answer.raw, deadline)
        except (OSError, HTTPError) as error:
            sentence = f"No connection, or no whole answer within {self.patience:g} s"
            raise TwilioError(11205, f"{sentence} ({type(error).__name__}).") from error


class Fields(dict[str, str | list[str]]):
    """Form fields, some perhaps repeated, in the way RequestValidator asks for them."""

    def getlist(self, name: str) -> list[str]:
        return self[name] if isinstance(self[name], list) else [self[name]]


def new_http() -> requests.Session:
    http = requests.Session()
    http.trust_env = False  # no proxy and no .netrc of the environment's
    # The jar of requests goes by the machine's clock, which cannot be passed: it takes no cookie.
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    http.headers.update({"User-Agent": "TwilioProxy/1.1", "X-Home-Region": "us1"})
    http.headers.update({"Accept": "*/*", "Accept-Encoding": "gzip"})
    return http


def read_body(raw: HTTPResponse, deadline: float) -> bytes:
    """The body, to its end or to where it is too long."""
    content = b""
    while len(content) <= LARGEST_ANSWER:
        chunk = raw.read1(LARGEST_ANSWER, decode_content=True)
        if time.monotonic() > deadline:  # a socket's timeout begins anew with every byte
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


def measure(body: str) -> tuple[str, int]:
    """The encoding of a text, and how many SMS carry it.

    One character outside GSM 03.38 makes all of it UCS-2.
    """
    if GSM | GSM_EXTENSION >= set(body):
        widths = [1 + (c in GSM_EXTENSION) for c in body]
        return "GSM-7", _count_segments(widths, alone=160, each=153)
    return "UCS-2", _count_segments(_widths_of_graphemes(body), alone=70, each=67)


def _count_segments(widths: list[int], alone: int, each: int) -> int:
    if sum(widths) <= alone:
        return 1
    segments, room = 1, each
    for width in widths:
        if width > room:  # nothing that is seen as one character is split between two segments
            segments, room = segments + 1, each
        room -= width
    return segments


def _widths_of_graphemes(body: str) -> list[int]:
    """In UTF-16 units. Twilio's calculator keeps them whole, such as a family with all members."""
    import regex

    return [
        len(grapheme.encode("utf-16-le", "surrogatepass")) // 2
        for grapheme in regex.findall(r"\X", body)
    ]


@dataclass(frozen=True)
class Cookie:
    """What is sent back, where, and until when."""

    value: str
    expires_at: datetime = datetime.max.replace(tzinfo=UTC)
    path: str = "/"
    secure: bool = False

    def goes_to(self, url: SplitResult, now: datetime) -> bool:
        below = url.path.startswith(self.path.removesuffix("/") + "/")
        here = below or self.path == (url.path or "/")
        safe = url.scheme == "https" or not self.secure  # loopback is no exception
        return here and safe and now < self.expires_at


class CookieJar(UserDict[str, str]):
    """The cookies of one sender and one number, by name.

    What Twilio does where hosts differ (a fallback's, say) is not known; here they do not matter.
    """

    def take(self, headers: Iterable[str], url: SplitResult, now: datetime) -> None:
        """Keep what the Set-Cookie headers say, and nothing of it when one is bad."""
        self.data |= [read_cookie(header, url, now) for header in headers]
        self.data = {name: cookie for name, cookie in self.data.items() if now < cookie.expires_at}

    def header(self, url: SplitResult, now: datetime) -> str:
        sent = [(name, c.value) for name, c in self.data.items() if c.goes_to(url, now)]
        return "; ".join(f"{name}={value}" for name, value in sent)

    def __getitem__(self, name: str) -> str:
        """The value, expired or not: no clock is read here."""
        return self.data[name].value

    def __setitem__(self, name: str, value: str) -> None:
        """Forge a cookie; it is never forgotten."""
        self.data[name] = Cookie(value)


def read_cookie(header: str, url: SplitResult, now: datetime) -> tuple[str, Cookie]:
    """Read a Set-Cookie as browsers do; the standard library's SimpleCookie keeps fewer."""
    pairs = [part.partition("=") for part in header.split(";")]
    (name, value), *rest = [(name.strip(), value.strip()) for name, _, value in pairs]
    if not name or not pairs[0][1] or re.search(r"[\t\r\n\v\f]", header):
        raise TwilioError(11206, "A cookie has no name, or white space other than blanks.")
    attributes = {attribute.lower(): value for attribute, value in rest}
    path = attributes.get("path", "")
    if not path.startswith("/"):
        path = url.path.rpartition("/")[0] or "/"
    return name, Cookie(value, expiry(attributes, now), path, "secure" in attributes)


def expiry(attributes: dict[str, str], now: datetime) -> datetime:
    """Max-Age goes before Expires, and neither beyond four hours."""
    latest = now + timedelta(seconds=COOKIE_SECONDS)
    max_age = attributes.get("max-age", "")
    if re.fullmatch("-?[0-9]+", max_age):
        return now + timedelta(seconds=min(max(int(max_age), 0), COOKIE_SECONDS))
    with suppress(ValueError):
        expires_at = parsedate_to_datetime(attributes.get("expires", ""))
        return min(latest, expires_at.replace(tzinfo=expires_at.tzinfo or UTC))
    return latest


def read_answer(answer: Exchange, url: str) -> list[Reply]:
    """The messages that an answer texts back."""
    check_status(answer)
    if answer.status == 204:
        return []
    if len(answer.content) > LARGEST_ANSWER:
        raise TwilioError(11750, f"The answer is longer than {LARGEST_ANSWER} bytes.")
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/plain":
        return [Reply(checked(answer.content.decode("utf-8", "replace")))]
    if kind not in ("text/xml", "application/xml", "text/html"):
        raise TwilioError(12300, f"The Content-Type is {kind or 'missing'}, not text/xml.")
    replies = [read_message(message, url) for message in read_twiml(answer.content)]
    if len(replies) > MOST_MESSAGES:
        raise TwilioError(14109, f"{len(replies)} messages; Twilio texts {MOST_MESSAGES}.")
    return replies


def check_status(answer: Exchange) -> None:
    if answer.status >= 400:
        raise TwilioError(11217, f"The webhook answered HTTP {answer.status}.")
    if answer.status >= 300:
        # Twilio follows 301, 302, 303 and 307, all but the last as a GET without the form.
        cure = "Give Twilio the address it redirects to: a redirect can lose the form."
        raise TwilioError(11216, f"The webhook answered HTTP {answer.status}. {cure}")


GRAMMAR = {  # attributes and children of each element; case matters
    "Response": ((), ("Message", "Redirect")),
    "Message": (("to", "from", "action", "statusCallback", "method"), ("Body", "Media")),
    "Redirect": (("method",), ()),
    "Body": ((), ()),
    "Media": ((), ()),
}


def read_twiml(content: bytes) -> list[Element]:
    """The <Message> elements."""
    try:
        response = ElementTree.fromstring(content)
    except (SyntaxError, LookupError, ValueError) as error:
        raise TwilioError(12100, f"The answer is not well-formed XML: {error}.") from error
    if response.tag != "Response":
        raise TwilioError(12102, f"The root is <{response.tag}>, not <Response>.")
    check_grammar(response)
    if response.find("Redirect") is not None:
        raise TwilioError(0, "Twilio would follow <Redirect>; this phone does not.")
    return list(response)


def check_grammar(element: Element) -> None:
    attributes, children = GRAMMAR[element.tag]
    wrong = [f"an attribute {name}" for name in element.attrib if name not in attributes]
    wrong += [f"<{child.tag}>" for child in element if child.tag not in children]
    texts = [element.text, *(child.tail for child in element)]
    if element.tag == "Response" and "".join(filter(None, texts)).strip():
        wrong.append("text")
    if wrong:
        raise TwilioError(12200, f"<{element.tag}> may not have {', '.join(wrong)}.")
    for child in element:
        check_grammar(child)


def read_message(message: Element, url: str) -> Reply:
    media = message.findall("Media")
    for noun in media:
        noun.text = ""
    body = "".join(text for text in message.itertext() if text.strip()).strip()
    callback = message.get("statusCallback") or message.get("action")
    return Reply(checked(body, bool(media)), callback and urljoin(url, callback))


def checked(body: str, has_media: bool = False) -> str:
    if not body.strip() and not has_media:
        raise TwilioError(14103, "A message is empty.")
    if len(body) > LONGEST_MESSAGE:
        raise TwilioError(14103, f"A message is longer than {LONGEST_MESSAGE} characters.")
    return body
