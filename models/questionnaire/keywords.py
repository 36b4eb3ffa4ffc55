"""The words that mean something to Twilio or to us."""

from models.text import fold, trim

STOP = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START = {"start", "unstop"}
HELP = {"help", "info"}


def find_wish(text: str, opt_out_type: str | None = None) -> str | None:
    """What the sender wants of our texts, `stop`, `start` or `help`, by a word alone.

    Twilio's own reading comes first: an account can have other words.
    """
    word = trim(fold(text))
    if opt_out_type in ("STOP", "HELP"):
        return opt_out_type.lower()
    if word in STOP:
        return "stop"
    if word in HELP:
        return "help"
    return "start" if word in START or opt_out_type == "START" else None


def says_yes(text: str) -> bool:
    """Whether it is the word that Twilio takes for opting in, though most often it is an answer."""
    return trim(fold(text)) == "yes"
