"""Addresses as operators write them: of web pages, and of texts."""

import re
from urllib.parse import urlsplit

# A number, an alphanumeric sender, or either behind the name of a channel such as whatsapp.
TEXT_ADDRESS = re.compile(r"([a-z]+:)?(\+?[0-9]+|[A-Za-z0-9._-]+)")


def is_text_address(address: str) -> bool:
    """Whether this can be the From or the To of a text."""
    return TEXT_ADDRESS.fullmatch(address) is not None


def is_web_address(url: str) -> bool:
    """Whether this is a whole http or https URL."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
