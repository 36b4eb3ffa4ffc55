"""Addresses as operators write them: of web pages, and of those who text."""

import re
from urllib.parse import urlsplit

# A number, an alphanumeric sender, or either behind the name of a channel such as whatsapp.
TEXTER = re.compile(r"([a-z]+:)?(\+?[0-9]+|[A-Za-z0-9._-]+)")


def is_texter(address: str) -> bool:
    """Whether this can be the From or the To of a text."""
    return TEXTER.fullmatch(address) is not None


def is_web_address(url: str) -> bool:
    """Whether this is a whole http or https URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
