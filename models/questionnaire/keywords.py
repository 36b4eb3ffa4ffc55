"""The keywords that Twilio gives a meaning, whatever a questionnaire says."""

STOP = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START = {"start", "unstop"}
HELP = {"help", "info"}


def opt_keyword(word: str, opt_out_type: str | None = None) -> str | None:
    """`stop`, `start` or `help`, where a text is nothing but such a keyword.

    `word` is the text without decoration (`IncomingText.word`). `opt_out_type` is what Twilio took
    it for, which comes first: an account can have keywords of its own.
    """
    if opt_out_type in ("STOP", "HELP"):
        return opt_out_type.lower()
    if word in STOP:
        return "stop"
    if word in HELP:
        return "help"
    return "start" if word in START or opt_out_type == "START" else None


def says_yes(word: str) -> bool:
    """Whether it is the word that opts in at Twilio, though most often it is an answer."""
    return word == "yes"
