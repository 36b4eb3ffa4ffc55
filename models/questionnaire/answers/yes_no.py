"""Yes or no, in the questionnaire's language, in English, or in its own words.

A yes or no that leads a text counts, whatever explains it, unless something takes it back. A phrase
such as "sure" or "can't make it" counts only where all the words of its clause are known: "sure is
hot today" is none.
"""

from collections.abc import Iterator, Sequence

from models.questionnaire.answers.kind import (
    UNREAD,
    Kind,
    Options,
    OwnWords,
    ParseContext,
    Reading,
    read_as,
)
from models.questionnaire.assent import assent_of
from models.text import normalize, strip_decoration, without_accents


class YesNoKind(Kind):
    """Yes or no."""

    documentation = "a yes or a no; `yes` or `no` is kept"
    retry = "Please reply yes or no."
    has_options = True

    def parse(self, question: object, text: str, context: ParseContext) -> Reading:
        yes, no = tuple(context.yes), tuple(context.no)
        reply = _plain(text)
        for value, words in (("yes", yes), ("no", no)):
            if {reply, strip_decoration(reply)} & {_plain(word) for word in words}:
                return read_as(value)
        if reply and not strip_decoration(reply):
            return UNREAD
        return read_as(assent_of(text, context.language, yes, no))

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


def _plain(text: str) -> str:
    return without_accents(normalize(text)).replace("'", "")


KIND = YesNoKind()
