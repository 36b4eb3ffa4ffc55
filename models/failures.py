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
    """What happened and how to mend it, in a sentence with places for `status` and `detail`.

    It is read in a browser, too, so it names no command.

    `advice` is what that means for a result; it goes behind the sentence.
    """

    sentence: str
    effect: Effect
    advice: str = ""


# Advice. It must hold both while the result is tried again and when it waits for the operator.
REPEATED = "The receiver may have it all the same. Each attempt has the same webhook-id."
LOOK = "Once it waits for you, look for it at the receiver. If it is there, confirm it;"
RETRY = f"{LOOK} if not, retry."
PAUSED = "Then retry. Until then nothing is sent there."
SCRIPT = "If it is a script, give access to Anyone."


# A column and an index hold these symbols: rename none, and make that index anew in a migration
# when the effect of one becomes "pause".
CAUSES: dict[str, Cause] = {
    "connect_timeout": Cause("No connection within {detail} s.", "retry"),
    "refused_connection": Cause(
        "The connection was refused, or broke off before all was sent.", "retry"
    ),
    "tls": Cause("The certificate or the TLS connection is not valid.", "retry"),
    "unknown_name": Cause("The name {detail} is not known.", "retry"),
    "private_address": Cause(
        "The address of {detail} is private. If results are meant to go there, set"
        " SMSCONVO_ALLOW_PRIVATE_RECEIVERS=1.",
        "retry",
    ),
    "forbidden_address": Cause("The address of {detail} is one that results never go to.", "retry"),
    # All was sent, but no whole answer came.
    "read_timeout": Cause("No answer within {detail} s.", "retry", REPEATED),
    "total_timeout": Cause("Not done within {detail} s in all.", "retry", REPEATED),
    "broken_connection": Cause(
        "The connection broke off before an answer came.", "retry", REPEATED
    ),
    "broken_answer": Cause("The answer broke off ({detail}).", "retry", REPEATED),
    "invalid": Cause("It cannot be sent: {detail}. Correct it, then retry.", "fail"),
    "interrupted": Cause("The worker was stopped during the attempt.", "retry"),
    "crashed": Cause("The worker stopped during {detail}.", "fail"),
    "worker_error": Cause("The worker could not send it: {detail}.", "retry"),
    "unreadable": Cause("Its {detail}, then retry.", "fail"),
    # Where it leads is a stranger's word, and sentences are in the log.
    "redirect": Cause(
        "HTTP {status}: it redirects, and redirects are not followed.",
        "confirm",
        f"It may have taken the result. {LOOK} if not, set the address that it redirects to, which"
        " is kept with the attempt, and retry.",
    ),
    "http": Cause("HTTP {status}", "retry"),
    "gone": Cause(
        "HTTP {status}: it wants no more.", "pause", "Nothing is sent there until you retry."
    ),
    # Of Google Forms and Apps Script. These know no webhook-id, and record whatever comes.
    "no_answer": Cause("{detail}", "confirm", f"It may have been recorded all the same. {RETRY}"),
    "unexpected_redirect": Cause(
        "HTTP {status}: it redirects elsewhere, which is no answer.", "confirm", RETRY
    ),
    "wrong_address": Cause(
        "A form takes results at …/formResponse, over https. Correct the address in the"
        " questionnaire's file.",
        "fail",
        "Correct it in the row of this result, too, then retry.",
    ),
    "shown_again": Cause(
        "The form was shown again, and recorded nothing: {detail}. Change the form so that it"
        " takes this result.",
        "fail",
        "Then retry.",
    ),
    "bad_fields": Cause(
        "HTTP {status}: the form refused the fields: {detail}. Compare them with the questions"
        " of the form.",
        "fail",
        "Then retry.",
    ),
    "sign_in": Cause(
        "Google wants a sign-in. Open the form to anybody who has the link, without verified e-mail"
        " addresses, files to upload, or a limit to one response.",
        "pause",
        f"{SCRIPT} {PAUSED}",
    ),
    "restricted": Cause(
        "HTTP {status}: it is not open to everybody. Publish the form, for anybody who has the"
        " link.",
        "pause",
        f"{SCRIPT} {PAUSED}",
    ),
    "closed": Cause(
        "The form takes no more responses. Let it accept responses again.", "pause", PAUSED
    ),
    "no_form": Cause(
        "HTTP {status}: there is no form at this address. Correct the address, or restore the"
        " form.",
        "pause",
        PAUSED,
    ),
    "captcha": Cause(
        "Google asked for a captcha, which only a person can solve.",
        "retry",
        "It is tried again later.",
    ),
    "unconfirmed": Cause(
        "HTTP {status}, but nothing in the answer proves that the result was recorded.",
        "confirm",
        RETRY,
    ),
}


def describe(cause: str, status: int | None, detail: str | None) -> str:
    """What happened to a result and what to do, for the operator."""
    advice = CAUSES[cause].advice if cause in CAUSES else ""
    return " ".join(filter(None, (describe_event(cause, status, detail), advice)))


def describe_event(cause: str, status: int | None, detail: str | None) -> str:
    """The same without the advice; for a symbol that is none of ours, what is known."""
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
