"""The keywords that Twilio gives a meaning, whatever a questionnaire says."""

from models.text import strip_decoration

STOP = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START = {"start", "unstop"}
HELP = {"help", "info"}


def opt_keyword(normalized: str, opt_out_type: str | None = None) -> str | None:
    """`stop`, `start` or `help`, where a text is nothing but such a keyword.

    `opt_out_type` is what Twilio took the text for. It comes first, as an account can have
    keywords of its own.
    """
    word = strip_decoration(normalized)
    if opt_out_type in ("STOP", "HELP"):
        return opt_out_type.lower()
    if word in STOP:
        return "stop"
    if word in HELP:
        return "help"
    return "start" if word in START or opt_out_type == "START" else None


def says_yes(normalized: str) -> bool:
    """Whether it is the word that opts in at Twilio, though most often it is an answer."""
    return strip_decoration(normalized) == "yes"
