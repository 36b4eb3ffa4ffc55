"""Texts that answer nothing: keywords about our texts, reactions, echoes, automatic replies."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import NamedTuple

from models.noise import (
    SHORTEST_ECHO,
    is_auto_reply,
    is_reaction,
    typed_part,
    without_quotation,
)
from models.opting_out import find_opt_out
from models.questionnaire.languages import ENGLISH
from models.questionnaire.openings import event_forms
from models.questionnaire.schema import Questionnaire
from models.text import IncomingText, normalize, without_signature

STOP = {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
START = {"start", "unstop"}
HELP = {"help", "info"}
RECENT = 5  # of our texts, that a reaction or an echo can be about
OPT_OUTS = ("stop", "opt_out")  # what Twilio answers, and what only we understand


def prepare(languages: Iterable[str]) -> None:
    """Read what texts in these languages are compared with: their first one need not wait."""
    for language in languages:
        find_opt_keyword(IncomingText("", "", "Hello"), (language,))
    ignored_reason("Hello, this is no automatic reply.")


def opt_keyword(word: str, opt_out_type: str | None = None) -> str | None:
    """`stop`, `start` or `help`, where a text is nothing but such a keyword.

    `word` is the text in small letters (`IncomingText.word`). `opt_out_type` is what Twilio took
    it for, which comes first: an account can have keywords of its own.
    """
    if opt_out_type in ("STOP", "HELP"):
        return opt_out_type.lower()
    if word in STOP:
        return "stop"
    if word in HELP:
        return "help"
    return "start" if word in START or opt_out_type == "START" else None


class Typed(NamedTuple):
    """What somebody has typed of a text, and what the text is by its words."""

    text: IncomingText  # without a quotation of ours and a mail signature
    keyword: str | None  # what it says about our texts
    ignored_reason: str | None = None  # why its words are nobody's answer; a photo's may not matter


def examine_in(
    questionnaire: Questionnaire | None,
    text: IncomingText,
    languages: Collection[str],
    find_bodies: Callable[[int], Collection[str]],
) -> Typed:
    """Look at a text in the language of the newest conversation, or else in those of all.

    `find_bodies(limit)` finds what we texted last in that conversation, which a text can repeat if
    it is long enough.
    """
    if questionnaire is None:
        return examine(text, languages)
    bodies = find_bodies(RECENT) if len(text.body) >= SHORTEST_ECHO else ()
    return examine(text, (questionnaire.language,), questionnaire.say.stop, bodies)


def examine(
    text: IncomingText,
    languages: Collection[str],
    stop_words: Iterable[str] = (),
    bodies: Collection[str] = (),
) -> Typed:
    """Look at a text by itself.

    `stop_words` are a questionnaire's own for opting out. `bodies` are what we texted last, which
    the text can quote.
    """
    typed = text
    body = typed_part(text.body, bodies) if bodies else without_signature(text.body)
    if body != text.body.strip():
        typed = replace(text, body=body)
    keyword = find_opt_keyword(text, languages, stop_words, typed)
    if keyword in (*OPT_OUTS, "help"):
        return Typed(typed, keyword)
    return Typed(typed, keyword, ignored_reason(text.body, bodies, languages))


def find_opt_keyword(
    text: IncomingText,
    languages: Collection[str],
    stop_words: Iterable[str] = (),
    typed: IncomingText | None = None,
) -> str | None:
    """What a text says about our texts: `stop`, `start`, `help`, `opt_out`, `perhaps_opt_out`.

    Twilio answers its words STOP and HELP only where that is the whole text: with more around STOP,
    or in other words, it is an `opt_out`. `stop_words` are a questionnaire's own. `typed` is what
    somebody has typed of the text, if that is known.
    """
    typed = typed or text
    keyword = opt_keyword(text.word, text.opt_out_type)
    if keyword is None and typed.word in START:
        return "start"
    if keyword == "stop" and text.opt_out_type != "STOP" and text.body.strip().lower() not in STOP:
        return "opt_out"
    return keyword or find_opt_out(typed.body, frozenset(languages), tuple(stop_words))


def is_start(body: str) -> bool:
    """Whether it is START, perhaps with a greeting, please or thanks around it."""
    return not START.isdisjoint(event_forms(body))


def is_opt_in_yes(word: str) -> bool:
    """Whether it is the word that opts in at Twilio, though most often it is an answer."""
    return word == "yes"


def ignored_reason(
    body: str, recent_bodies: Collection[str] = (), languages: Collection[str] = ()
) -> str | None:
    """Why a text is nobody's answer: `empty`, a `reaction`, an `auto_reply`, or an `echo`.

    `recent_bodies` is what we texted last, which an echo repeats. `languages` are those in which a
    reaction can be to something that we have not texted.
    """
    if body.isalnum() and not recent_bodies:  # as most answers are
        return None
    if not normalize(body):
        return "empty"
    if is_reaction(body, (*languages, ENGLISH), recent_bodies):
        return "reaction"
    rest = without_quotation(body, recent_bodies)
    if rest != body and not without_signature(rest):
        return "echo"
    return "auto_reply" if is_auto_reply(rest) else None
