"""Whether the numbers in a text answer a question for one, and which they are.

They do alone, and in a sentence of which every word is known: "Hello, we are 4 people. See you!"
Any word that is not known leaves the number unread.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from models.questionnaire.languages import section
from models.questionnaire.numerals import (
    Expression,
    NumberText,
    NumberWords,
    all_of,
    numbers_in,
    phrases,
)
from models.questionnaire.tokens import (
    Clause,
    Phrases,
    Token,
    clauses_of,
    is_emoji,
    with_inquiries_apart,
)

NUMBER = "number"  # the kind of the token that stands for all numbers that are named
HARMLESS = frozenset("*_~≈'-`")
AGAINST = frozenset("❌👎🤷🚫🤔⛔🙅")  # with a number beside them they are no certain answer
UNITS = ("units", "distances", "moments")
AROUND = ("results", "lead", "about", "polite", "tail", "or_")
NO_NAMES = ("doubts", "or_", "additions", *UNITS)
LONGEST_CLOSING = 6  # words
LONGEST_NAME = 2  # words
DENIALS = frozenset(("no", "not", "nope", "nicht", "nein", "pas", "non", "niet", "nee", "nao"))
PATIENCE = 5  # "5 min" may only ask for patience
THOUSAND = 1000  # from here on, a multiplier alone with thanks is an idiom: "mil gracias"


class Frame(NamedTuple):
    """What may stand around a number besides what the sections `numbers` list."""

    lead: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    # How a clause begins that says why, of any words; none where there may be no such clause.
    because: tuple[str, ...] = ()
    out_of: tuple[str, ...] = ()  # between the number and the largest one that there could be
    largest: Decimal | None = None
    stars: tuple[str, ...] = ()  # which make it certain that the number is the rating
    praise: tuple[str, ...] = ()  # with more words
    part: tuple[str, ...] = ()  # behind the number: only a part is rated
    has_units: bool = True  # whether units can follow


PLAIN = Frame()


def answered_numbers(
    text: str, language: str, is_whole: bool, frame: Frame = PLAIN
) -> Sequence[Decimal]:
    """The numbers that a text can mean as an answer: one, several, or none if that is unsure."""
    found = numbers_in(text, language, _known_words(language, frame))
    if found is None:
        return ()
    found = _without_articles(found, language, frame)
    if not found.expressions:
        return _without_number(found.tokens, language, is_whole)
    is_explicit = _is_out_of(found, frame)
    tokens = _merged(found, language, frame)
    clauses = with_inquiries_apart(clauses_of(tokens), phrases(language, "inquiries"))
    at = [index for index, clause in enumerate(clauses) if _number_at(clause) is not None]
    if len(at) != 1 or clauses[at[0]].is_question:
        return ()
    others = [*clauses[: at[0]], *clauses[at[0] + 1 :]]
    is_answer = _is_known(
        clauses[at[0]].tokens, found.expressions, language, frame, is_explicit
    ) and all(
        _is_courtesy(clause, language)
        or (clause in clauses[at[0] + 1 :] and _explains(clause, language, frame))
        for clause in others
    )
    return [value for each in found.expressions for value in each.values] if is_answer else ()


def _without_articles(found: NumberText, language: str, frame: Frame) -> NumberText:
    """Without articles in an explanation, as in "4, c'était une fête"."""
    if not frame.because:
        return found
    articles = section(language, "numbers", NumberWords).articles
    counted = _counted(language, frame)
    first, *others = found.expressions or [None]
    remaining = [
        each
        for each in others
        if found.tokens[each.start].plain not in articles
        or each.end > each.start + 1
        or each.end == len(found.tokens)
        or found.tokens[each.end].kind != "word"
        or counted.find(found.tokens, each.end)
    ]
    return replace(found, expressions=[first, *remaining]) if first else found


@cache
def _counted(language: str, frame: Frame) -> Phrases:
    units = all_of(language, "units") if frame.has_units else []
    return Phrases({"": [*frame.tail, *units, *all_of(language, "tail")]})


def _without_number(tokens: list[Token], language: str, is_whole: bool) -> Sequence[Decimal]:
    """0 or 1 for words that say so and are no numbers, alone or with courtesies."""
    known = phrases(language, "none", "just_me", "polite")
    groups = _groups([token for clause in clauses_of(tokens) for token in clause.tokens], known)
    if groups is None or any(clause.is_question for clause in clauses_of(tokens)):
        return ()
    statement = [group for group in groups if group != "polite"]
    if statement == ["none"]:
        return (Decimal(0),)
    return (Decimal(1),) if statement == ["just_me"] and is_whole else ()


def _merged(found: NumberText, language: str, frame: Frame) -> list[Token]:
    """The tokens with one in the place of all numbers, if they belong together."""
    first, last = found.expressions[0], found.expressions[-1]
    if _is_out_of(found, frame):
        found.expressions.pop()
    elif len(found.expressions) > 1 and not _belong_together(found, language):
        return []
    number = Token(NUMBER, NUMBER, NUMBER, found.tokens[first.start].is_glued)
    behind = found.tokens[last.end :]
    if first is not last and behind and behind[0].spelled in ")]":
        behind = behind[1:]  # of "four (4) people"
    return [*found.tokens[: first.start], number, *behind]


def _is_out_of(found: NumberText, frame: Frame) -> bool:
    """Whether the second of two numbers is the largest one that there could be, as in "4/5"."""
    if len(found.expressions) != 2 or found.expressions[1].values != (frame.largest,):
        return False
    gap = found.tokens[found.expressions[0].end : found.expressions[1].start]
    matched = _only(frame.out_of).find(gap, 0)
    return matched is not None and matched[1] == len(gap)


@cache
def _only(listed: tuple[str, ...]) -> Phrases:
    return Phrases({"": listed})


def _belong_together(found: NumberText, language: str) -> bool:
    """Whether the numbers are alternatives ("3, 4 or 5"), or one said twice ("4 (four)")."""
    expressions = found.expressions
    gaps = [
        found.tokens[first.end : second.start]
        for first, second in zip(expressions, expressions[1:], strict=False)
    ]
    if _is_said_twice(expressions) and all(token.spelled in "(,[" for token in gaps[0]):
        return True
    are_or = [_is_or([token for token in gap if token.spelled != ","], language) for gap in gaps]
    are_commas = [[token.spelled for token in gap] == [","] for gap in gaps]
    each_separates = all(any(pair) for pair in zip(are_or, are_commas, strict=True))
    # Of "two or three thousand" the first may be two, or two thousand.
    return each_separates and are_or[-1] and len({each.scale for each in expressions}) == 1


def _is_said_twice(expressions: Sequence[Expression]) -> bool:
    first, second, *more = expressions
    is_same = first.values == second.values and first.is_in_words != second.is_in_words
    return is_same and not more


def _is_or(gap: list[Token], language: str) -> bool:
    found = phrases(language, "or_").find(gap, 0)
    return found is not None and found[1] == len(gap)


def _number_at(clause: Clause) -> int | None:
    kinds = [token.kind for token in clause.tokens]
    return kinds.index(NUMBER) if NUMBER in kinds else None


def _is_known(
    tokens: list[Token],
    expressions: Sequence[Expression],
    language: str,
    frame: Frame,
    is_explicit: bool,
) -> bool:
    """Whether all words beside the number leave it an answer."""
    at = [token.kind for token in tokens].index(NUMBER)
    before, behind = tokens[:at], _without_name(tokens[at + 1 :], language)
    if (before and before[-1].spelled in "-") or (behind and _hangs(behind)):
        return False
    if frame.has_units and behind and behind[0].spelled == "x":
        return False  # a kiss, or "times"
    known = _known_words(language, frame)
    lead, tail = _groups(before, known), _groups(behind, known)
    if tail and "or_" in tail:
        return False
    may_lead = {"lead", "results", "about", "polite"} | ({"or_"} if len(expressions) > 1 else set())
    if lead is None or not set(lead) <= may_lead:
        return False
    value = max(abs(value) for each in expressions for value in each.values)
    if tail is None:
        if _says_why(behind, known, language, frame, is_explicit):
            return True
        is_bare = any(each.is_bare for each in expressions)
        return value >= 2 and frame.has_units and not is_bare and _is_plural(behind, language)
    is_distance = "lead" in lead and {"distances", "moments"} & set(tail)
    is_patience = "moments" in tail and value <= PATIENCE
    is_idiom = "polite" in lead or ("polite" in tail and any(each.is_bare for each in expressions))
    return not (is_distance or is_patience or (is_idiom and value >= THOUSAND))


def _without_name(behind: list[Token], language: str) -> list[Token]:
    """Without the guest's name behind a goodbye, as in "4 people, love Anna"."""
    words = [at for at, token in enumerate(behind) if token.kind == "word"]
    known = phrases(language, "signoffs")
    for at in words[:-1]:
        found = known.find(behind, at)
        name = behind[found[1] :] if found else []
        if 0 < len(name) <= LONGEST_NAME and not _has(name, phrases(language, *NO_NAMES)):
            return behind[:at]
    return behind


@cache
def _known_words(language: str, frame: Frame) -> Phrases:
    names = (*AROUND, *UNITS) if frame.has_units else AROUND
    listed = {name: all_of(language, name) for name in names}
    listed["about"] = [*listed["about"], *section(language, "numbers", NumberWords).articles]
    listed["lead"] = [*listed["lead"], *frame.lead]
    listed["tail"] = [*listed["tail"], *frame.tail]
    return Phrases(listed)


def _says_why(
    behind: list[Token], known: Phrases, language: str, frame: Frame, is_explicit: bool
) -> bool:
    """Whether the number is followed by a reason for it, which leaves it as it is."""
    stars = _only(frame.stars).find(behind, 0)
    if is_explicit or stars or _only(frame.praise).find(behind, 0):
        reason = behind[stars[1] if stars else 0 :]
        is_of_part = _only(frame.part).find(reason, 0) is not None
        return not (is_of_part or _is_doubtful(reason, language) or _is_denial(reason, language))
    because = _only(frame.because)
    starts = [start for start in range(len(behind)) if because.find(behind, start)]
    return bool(
        starts
        and _groups(behind[: starts[0]], known) is not None
        and not _is_doubtful(behind, language)
    )


def _hangs(behind: list[Token]) -> bool:
    """Whether a hyphen at the number has nothing behind it, as in "5-"."""
    return behind[0].spelled == "-" and behind[0].is_glued and not behind[1:2]


def _is_plural(behind: list[Token], language: str) -> bool:
    """Whether there is one word, and it ends as nouns do when there are several of them."""
    words = [token for token in behind if not is_emoji(token)]
    ending = section(language, "numbers", NumberWords).plural
    if len(words) != 1 or not ending or not words[0].plain.endswith(ending):
        return False
    if words[0].plain.endswith("th" + ending):
        return False  # of fractions: "hundredths"
    is_excluded = phrases(language, "not_plural", *AROUND, *UNITS).find(words, 0) is not None
    return words[0].kind == "word" and len(words[0].plain) >= 5 and not is_excluded


def _groups(tokens: list[Token], known: Phrases) -> list[str] | None:
    """The groups of the phrases that the tokens are; None if they are not all known."""
    groups, at = [], 0
    while at < len(tokens):
        found = known.find(tokens, at)
        if found:
            groups.append(found[0])
            at = found[1]
        elif tokens[at].spelled in HARMLESS or _is_picture(tokens[at]):
            at += 1
        else:
            return None
    return groups


def _is_picture(token: Token) -> bool:
    return is_emoji(token) and token.spelled not in AGAINST


def _is_courtesy(clause: Clause, language: str) -> bool:
    """Whether a clause without a number leaves that of another one as it is."""
    words = [token for token in clause.tokens if token.kind == "word"]
    if clause.is_question:
        starts = phrases(language, "questions").find(words, 0)
        return bool(starts) and not _is_doubtful(words, language)
    if _groups(clause.tokens, phrases(language, "polite", "lead", "about", "tail")) is not None:
        return True
    greeting = phrases(language, "greetings").find(words, 0)
    if greeting and len(words) - greeting[1] <= LONGEST_NAME:
        return True
    return bool(phrases(language, "closings").find(words, 0)) and len(words) <= LONGEST_CLOSING


def _explains(clause: Clause, language: str, frame: Frame) -> bool:
    is_aside = clause.opening in ("(", "[")  # "1 (best)" says that the scale is another one
    if is_aside or clause.is_question:
        return False
    if frame.because:
        is_doubtful = _is_doubtful(clause.tokens, language)
        return not (is_doubtful or _is_denial(clause.tokens, language))
    absences = phrases(language, "absences")
    for at in range(len(clause.tokens)):
        if found := absences.find(clause.tokens, at):
            rest = clause.tokens[:at] + clause.tokens[found[1] :]
            return not (_is_doubtful(rest, language) or _has(rest, phrases(language, "additions")))
    return False


def _is_denial(tokens: list[Token], language: str) -> bool:
    """Whether there is nothing but a denial, which makes a joke of what is before it."""
    return len(tokens) <= 2 and all(token.plain in DENIALS for token in tokens[:1])


def _has(tokens: list[Token], known: Phrases) -> bool:
    return any(known.find(tokens, start) for start in range(len(tokens)))


def _is_doubtful(tokens: list[Token], language: str) -> bool:
    return _has(tokens, phrases(language, "doubts", "or_"))
