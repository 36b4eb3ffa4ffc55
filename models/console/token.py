"""Random tokens, of which the database keeps only the digests."""

import hashlib
import secrets

TOKEN = "[A-Za-z0-9_-]{43}"  # the form of all tokens, as a pattern


def new_token() -> str:
    """256 random bits, in 43 characters that can stand in a URL or a cookie."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a token. A slow hash is for passwords: nobody guesses 256 bits."""
    return hashlib.sha256(token.encode()).hexdigest()
