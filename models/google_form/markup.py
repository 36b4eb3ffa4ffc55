"""What an HTML page says, read in one pass: hostile pages take no longer than others.

The parser of the standard library takes minutes for some pages of a megabyte, in Python versions
that are still in use. Nothing here goes back: each part either matches or takes all that follows.
"""

import re
from html import unescape

from msgspec import Struct, field

# As browsers do: quotes only count behind "=", and a tag without an end hides all that follows.
ATTRIBUTES = r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+'|(?!["'])[^\s>]*+))*+"""
# Their content is no markup, and not visible.
RAW = "script|style|title|textarea|template|noscript|iframe"
MARKUP = re.compile(
    rf"""
      <!--(?:.*?-->|.*+)
    | <(?:[!?]|/(?![a-z]))(?:[^>]*+>|.*+)
    | <(?P<raw>{RAW})(?=[\s/>])(?P<of_raw>{ATTRIBUTES})>
      (?:(?P<content>.*?)(?=</(?P=raw)[\s/>])|(?P<rest>.*+))
    | <(?P<end>/?)(?P<name>[a-z][^\s/>]*+)(?P<attributes>{ATTRIBUTES})(?:>|.*+)
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL,
)
ATTRIBUTE = re.compile(
    r"""([^\s=/>"']++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|((?!["'])[^\s>]*+)))?+""", re.ASCII
)
INLINE = set("abbr b bdi bdo br code em font i mark q s small span strong sub sup u wbr".split())
FIELDS = {"input", "select", "textarea"}


class Document(Struct):
    """What there is in a page."""

    title: str = ""
    paragraphs: list[str] = field(default_factory=list)  # visible text
    scripts: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # where each <a> leads to
    fields: set[str] = field(default_factory=set)  # the names of the inputs
    classes: set[str] = field(default_factory=set)
    data_names: set[str] = field(default_factory=set)  # of the attributes that begin with "data-"

    @property
    def text(self) -> str:
        """What a reader sees, a line for each paragraph."""
        return "\n".join(self.paragraphs)


def read_document(html: str) -> Document:
    """Read a page, or as much of it as there is."""
    document = Document()
    pieces: list[str] = []
    position = 0
    for match in MARKUP.finditer(html):
        pieces.append(html[position : match.start()])
        position = match.end()
        name = (match["name"] or "").lower()
        if match["raw"]:
            _note_raw(document, match["raw"].lower(), match["content"] or match["rest"] or "")
            _note_attributes(document, match["raw"].lower(), match["of_raw"])
        elif name == "br":
            pieces.append(" ")
        elif name and name not in INLINE:
            _end_paragraph(document, pieces)
        if match["attributes"] and not match["end"]:
            _note_attributes(document, name, match["attributes"])
    pieces.append(html[position:])
    _end_paragraph(document, pieces)
    return document


def normalize(text: str) -> str:
    """Text with a single space where it has whitespace, as browsers show it."""
    return " ".join(text.split())


def decode(text: str) -> str:
    """Text with its character references replaced."""
    try:
        return unescape(text)
    except ValueError:  # a reference of thousands of digits
        return text


def _end_paragraph(document: Document, pieces: list[str]) -> None:
    if text := normalize(decode("".join(pieces))):
        document.paragraphs.append(text)
    pieces.clear()


def _note_raw(document: Document, name: str, content: str) -> None:
    if name == "script":
        document.scripts.append(content)
    elif name == "title" and not document.title:
        document.title = normalize(decode(content))


def _note_attributes(document: Document, element: str, text: str) -> None:
    for match in ATTRIBUTE.finditer(text):
        name = match[1].lower()
        if name.startswith("data-"):
            document.data_names.add(name)
        elif name == "class":
            document.classes.update(_value(match).split())
        elif name == "href" and element == "a":
            document.links.append(_value(match))
        elif name == "name" and element in FIELDS:
            document.fields.add(_value(match))


def _value(match: re.Match[str]) -> str:
    return decode(match[2] or match[3] or match[4] or "")
