"""What the console says of the words that smsconvo and Twilio use for themselves."""

# What a text was read as, by `messages.read_as`. An answer is said with its question.
READ_AS = {
    "stop": "opted out",
    "start": "opted in again",
    "help": "asked for help, which Twilio answers",
    "opt_out": "opted out, in words of their own",
    "perhaps_opt_out": "may want no more texts",
    "opted out": "no reply: this person has opted out",
    "set aside": "set aside: it could not be decided on",
    "reaction": "a reaction, which answers nothing",
    "auto_reply": "an automatic reply, which answers nothing",
    "echo": "our own words, which answer nothing",
    "empty": "empty, which answers nothing",
    "double": "the same text a second time, so it counts once",
    "opening_again": "opened it once more: asked again",
    "opening": "opened the conversation",
    "resumed": "came back: asked again",
    "counted": "counted",
    "after": "came after the end",
    "back": "went back a question",
    "skip": "skipped the question",
    "restart": "started over",
    "ok": "confirmed the answers",
    "fix": "asked to correct an answer",
    "answer": "an answer, which was taken back or corrected later",
    "ambiguous": "had several meanings: asked which",
    "unread": "could not be read",
}
NOT_OPENED = "opened nothing"

# What the cookie of a text was, by `messages.cookie`; `matched` goes without saying.
COOKIES = {
    "none": "Twilio sent no cookie",
    "matched": "the cookie matched",
    "missing": "the cookie names no conversation",
    "stale": "the cookie is of an earlier conversation",
    "foreign": "the cookie is of somebody else's conversation",
    "malformed": "the cookie is none of ours",
}

# What became of a reply, by `messages.status`.
STATUSES = {
    "accepted": "Twilio has it",
    "queued": "waits at Twilio",
    "sending": "being sent",
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "did not arrive",
    "failed": "was not sent",
}
NO_REPORT = "no report yet"

# Why a message did not arrive: Twilio's error codes, in our words.
CODES = {
    "21211": "this is no number that can be texted",
    "21408": "texts to this country are not switched on in the Twilio account",
    "21606": "our number cannot text this one",
    "21610": "they texted STOP, so Twilio sends nothing",
    "21611": "too many texts wait at Twilio for our number",
    "21612": "our number cannot reach this one",
    "21614": "this is no mobile number",
    "21617": "the text is too long",
    "30001": "too many texts waited at Twilio",
    "30002": "the Twilio account is suspended",
    "30003": "the phone is off or out of reach",
    "30004": "the phone or its network blocks our texts",
    "30005": "nobody has this number, or it takes no texts",
    "30006": "a landline, or a network that cannot be reached",
    "30007": "filtered by the network as unwanted",
    "30008": "the network gave no reason",
    "30010": "it would cost more than the account allows",
    "30022": "too many texts for our registration: the network takes no more now",
    "30023": "the network's limit for a day is reached",
    "30032": "our toll-free number is not verified",
    "30034": "our number is not registered for texts in the USA",
    "30035": "our number is still being set up",
    "30036": "too old by the time that it could be sent",
    "30410": "the network did not answer in time",
    "30500": "a fault at the network",
    "63016": "WhatsApp: more than a day since their last text",
    "63018": "WhatsApp: too many texts",
    "63024": "WhatsApp: this number cannot be texted there",
}


def explain_reading(read_as: str | None) -> str:
    """What a text was read as, in a few words, when it was read."""
    if read_as == "answer":
        return "an answer"
    return READ_AS.get(read_as, read_as) if read_as else NOT_OPENED


def explain_cookie(cookie: str | None) -> str:
    """What the cookie of a text was, in a few words."""
    return COOKIES.get(cookie, f"cookie {cookie or 'unknown'}")


def explain_status(status: str | None) -> str:
    """What became of a reply, in a few words."""
    return STATUSES.get(status, status) if status else NO_REPORT


def explain_code(code: str | None) -> str:
    """Why it did not arrive, with Twilio's code; "" if Twilio gave none."""
    if not code:
        return ""
    return f"{CODES[code]} ({code})" if code in CODES else f"Twilio's code is {code}"
