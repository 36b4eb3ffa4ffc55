"""Yes or no, in English or in the questionnaire's own words."""

import re
from collections.abc import Iterable, Iterator, Sequence

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Options,
    OwnWords,
    ParseContext,
    Reading,
    read_as,
)
from models.text import normalize, strip_decoration, without_accents

YES = {"y", "yes", "yeah", "yep", "yup", "yea", "ya", "sure", "ok", "okay", "definitely"}
YES |= {"absolutely", "certainly", "of course", "true", "👍", "✅"}
NO = {"n", "no", "nope", "nah", "nay", "never", "false", "👎", "❌"}
AFTER_YES = {"please", "thanks", "thank you", "of course", "definitely", "absolutely", "sir"}
AFTER_YES |= {"maam", "i am", "i do", "i will", "i would", "i can"}
AFTER_YES |= {"we are", "we do", "we will", "we can"}
AFTER_NO = {"thanks", "thank you", "sorry", "sir", "maam", "not at all"}
AFTER_NO |= {f"{who} {verb}" for who in ("i", "we") for verb in ("dont", "do not", "wont")}
AFTER_NO |= {f"{who} {verb}" for who in ("i", "we") for verb in ("will not", "cant", "cannot")}
AFTER_NO |= {"im not", "i am not", "we arent", "we are not"}


class YesNoKind(Kind):
    """Yes or no."""

    documentation = "a yes or a no; `yes` or `no` is kept"
    retry = "Please reply yes or no."
    has_options = True

    def parse(self, question: object, text: str, context: ParseContext) -> Reading:
        reply = without_accents(normalize(text)).replace("'", "")
        for words in (reply, strip_decoration(reply)):
            words = " ".join(re.sub(r"[,.!;]", " ", words).split()) or words
            for value, starts, endings in _vocabulary(context):
                if words in starts:
                    return read_as(value)
                if any(words == f"{start} {end}" for start in starts for end in endings):
                    return read_as(value)
        return UNREAD

    def values(self, question: Options) -> Sequence[str]:
        return ("yes", "no")

    def long_answer(self, question: Options, own_words: OwnWords) -> str:
        return max((self.show(question, value, own_words) for value in ("yes", "no")), key=len)

    def show(self, question: Options, value: str, own_words: OwnWords) -> str:
        words = {"yes": own_words.yes, "no": own_words.no}.get(value)
        return words[0] if words else value

    def candidates(self, question: Options, wanted: Sequence[str | float]) -> Iterator[str]:
        yield from ("yes", "no")

    def condition_help(self, question: Options) -> str:
        return 'Write "yes" or "no".'


def _vocabulary(context: ParseContext) -> Iterable[tuple[str, set[str], set[str]]]:
    """Each value with the words for it, and what can follow them; own words stand alone."""
    yield "yes", *((_plain(context.yes), set()) if context.yes else (YES, AFTER_YES))
    yield "no", *((_plain(context.no), set()) if context.no else (NO, AFTER_NO))


def _plain(words: Iterable[str]) -> set[str]:
    return {without_accents(normalize(word)).replace("'", "") for word in words}


KIND = YesNoKind()
