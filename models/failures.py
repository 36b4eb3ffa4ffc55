"""Why an attempt to deliver a result failed: symbols to group by, and what they mean."""

import re
from typing import Literal, NamedTuple

MAX_DETAIL = 500  # characters; a line of the log holds as many, whatever they are
# Control characters, which could move a terminal's cursor or make a line of their own, and those
# that turn the direction of what follows.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")

# What becomes of a result that failed so. retry: it is tried again later. fail: it has failed, for
# another attempt would fail alike. pause: it has failed, and its URL gets nothing more until the
# operator retries. confirm: the receiver may have it, so it is tried once more, and then waits for
# the operator.
Effect = Literal["retry", "fail", "pause", "confirm"]


class Cause(NamedTuple):
    """What happened and what to do, in a sentence with places for `status` and `detail`."""

    sentence: str
    effect: Effect


# A column and an index hold these symbols: rename none, and make that index anew in a migration
# when the effect of one becomes "pause".
CAUSES: dict[str, Cause] = {
    "connect_timeout": Cause("No connection within {detail} s.", "retry"),
    "read_timeout": Cause("No answer within {detail} s.", "retry"),
    "total_timeout": Cause("Not done within {detail} s in all.", "retry"),
    "refused_connection": Cause("The connection was refused or broke off.", "retry"),
    "tls": Cause("The certificate or the TLS connection is not valid.", "retry"),
    "unknown_name": Cause("The name {detail} is not known.", "retry"),
    "private_address": Cause(
        "The address of {detail} is private. If results are meant to go there, set"
        " SMSCONVO_ALLOW_PRIVATE_RECEIVERS=1.",
        "retry",
    ),
    "forbidden_address": Cause("The address of {detail} is one that results never go to.", "retry"),
    "broken_answer": Cause("The answer broke off ({detail}).", "retry"),
    "invalid": Cause("It cannot be sent: {detail}. Correct it, then retry.", "fail"),
    "interrupted": Cause("The worker was stopped during the attempt.", "retry"),
    "crashed": Cause("The worker stopped during {detail}.", "fail"),
    "worker_error": Cause("The worker could not send it: {detail}.", "retry"),
    "unreadable": Cause("Its {detail}, then retry.", "fail"),
    "redirect": Cause(
        "HTTP {status}: it redirects to {detail}, and redirects are not followed. It may have"
        " taken the result: look for it there. If it has, confirm the result. If not, set the"
        " address that it redirects to, and retry.",
        "confirm",
    ),
    "http": Cause("HTTP {status}", "retry"),
    "gone": Cause(
        "HTTP {status}: it wants no more. Nothing is sent there until you retry.", "pause"
    ),
    # Of Google Forms and Apps Script
    "shown_again": Cause(
        "The form was shown again, and recorded nothing: {detail}. Change the form so that it"
        " takes this result, then retry.",
        "fail",
    ),
    "bad_fields": Cause(
        "HTTP {status}: the form refused the fields. Each must be one of its questions, and each"
        " choice one of its options. Compare them with what `form` lists, then retry.",
        "fail",
    ),
    "sign_in": Cause(
        "Google wants a sign-in. Open a form to anybody who has the link, without verified e-mail"
        " addresses and a limit to one response; give access to a script to Anyone. Then retry."
        " Until then nothing is sent there.",
        "pause",
    ),
    "restricted": Cause(
        "HTTP {status}: it is not open to everybody. Publish a form, for anybody who has the link;"
        " give access to a script to Anyone. Then retry. Until then nothing is sent there.",
        "pause",
    ),
    "closed": Cause(
        "The form takes no more responses. Let it accept responses again, then retry. Until then"
        " nothing is sent there.",
        "pause",
    ),
    "no_form": Cause(
        "HTTP {status}: there is no form at this address. Correct the address, or restore the"
        " form, then retry. Until then nothing is sent there.",
        "pause",
    ),
    "captcha": Cause(
        "The form asked for a captcha, which only a person can solve. It is tried again later.",
        "retry",
    ),
    "unconfirmed": Cause(
        "HTTP {status}, but nothing in the answer proves that the result was recorded. Look for"
        " it at the receiver. If it is there, confirm the result; if not, retry.",
        "confirm",
    ),
}


def describe(cause: str, status: int | None, detail: str | None) -> str:
    """A sentence for the operator; for a symbol that is none of ours, what is known."""
    known = CAUSES.get(cause)
    if known is None:
        return ": ".join(filter(None, (cause, detail)))
    return known.sentence.format(status=status, detail=detail or "")


def clean(detail: str) -> str:
    """On one line, and not too long: it may come from a stranger's server."""
    line = " ".join(UNSAFE.sub(" ", detail).split())
    return line if len(line) <= MAX_DETAIL else f"{line[: MAX_DETAIL - 1]}…"


def effect_of(cause: str) -> Effect:
    """What becomes of a result that failed so; for a symbol that is none of ours, it is retried."""
    return CAUSES[cause].effect if cause in CAUSES else "retry"
