"""What an HTML page says, read in one pass: hostile pages take no longer than others.

The parser of the standard library takes minutes for some pages of a megabyte, in Python versions
that are still in use. Nothing here goes back: each part either matches or takes all that follows.
"""

import re
from collections.abc import Sequence
from html import unescape
from itertools import pairwise

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


class Link(Struct):
    """An <a>: where it leads to, and its text, if it stands alone."""

    target: str
    text: str = ""


class Document(Struct):
    """What there is in a page."""

    title: str = ""
    paragraphs: list[str] = field(default_factory=list)  # visible text
    scripts: list[str] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
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
    block = Block()
    position = 0
    for match in MARKUP.finditer(html):
        block.add(html[position : match.start()])
        position = match.end()
        name = (match["name"] or "").lower()
        if match["raw"]:
            _note_raw(document, match["raw"].lower(), match["content"] or match["rest"] or "")
            _note_attributes(document, match["raw"].lower(), match["of_raw"])
        elif name == "br":
            block.add(" ")
        elif name == "a":
            block.end_link()
        elif name and name not in INLINE:
            block = _end_block(document, block)
        if match["attributes"] and not match["end"]:
            count = len(document.links)
            _note_attributes(document, name, match["attributes"])
            block.begin_links(document.links[count:])
    block.add(html[position:])
    _end_block(document, block)
    return document


class Block:
    """What stands between two elements that are not inline, and the links in it.

    A link makes paragraphs of its own, and of what is before and behind it.
    """

    def __init__(self, links: Sequence[Link] = ()) -> None:
        """`links` are those in which it begins."""
        self._pieces: list[str] = []
        self._length = 0
        self._links = [(link, 0) for link in links]  # each with its beginning
        self._ends: list[int] = []  # of the links, as many as have one
        self._cuts = [0]  # where paragraphs begin

    def add(self, html: str) -> None:
        """Go on with this."""
        self._pieces.append(html)
        self._length += len(html)

    def begin_links(self, links: Sequence[Link]) -> None:
        """What follows is in these links: one, or none."""
        self._links += [(link, self._length) for link in links]
        self._cuts.append(self._length)

    def end_link(self) -> None:
        """What follows is in no link."""
        self._ends += [self._length] * (len(self._links) - len(self._ends))
        self._cuts.append(self._length)

    def end(self) -> tuple[list[str], Sequence[Link]]:
        """Its paragraphs, and the links that go on: those that have had no text so far."""
        html = "".join(self._pieces)
        open_links = [link for link, _ in self._links[len(self._ends) :]]
        self.end_link()
        texts = [normalize(decode(html[start:end])) for start, end in pairwise(self._cuts)]
        paragraphs = [text for text in texts if text]
        first, last = len(html) - len(html.lstrip()), len(html.rstrip())
        for (link, begin), end in zip(self._links, self._ends, strict=True):
            if begin <= first and end >= last:
                link.text = " ".join(paragraphs)
        return paragraphs, () if paragraphs else open_links


def normalize(text: str) -> str:
    """Text with a single space where it has whitespace, as browsers show it."""
    return " ".join(text.split())


def decode(text: str) -> str:
    """Text with its character references replaced."""
    try:
        return unescape(text)
    except ValueError:  # a reference of thousands of digits
        return text


def _end_block(document: Document, block: Block) -> Block:
    """Note its paragraphs, and begin the next one."""
    paragraphs, links = block.end()
    document.paragraphs += paragraphs
    return Block(links)


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
            document.links.append(Link(_value(match)))
        elif name == "name" and element in FIELDS:
            document.fields.add(_value(match))


def _value(match: re.Match[str]) -> str:
    return decode(match[2] or match[3] or match[4] or "")
