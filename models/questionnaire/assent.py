"""Whether a text says yes or no, and does not take it back."""

import re
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from msgspec import Struct, field

from models.questionnaire.languages import ENGLISH, LANGUAGES, section
from models.questionnaire.tokens import (
    MAX_TOKENS,
    Clause,
    Phrases,
    Token,
    clauses_of,
    tokens_of,
    with_inquiries_apart,
)

LONGEST_REFUSAL = 12  # parts
LONGEST_NAME = 2  # words behind a greeting, or a goodbye
LONG_DRAWN = re.compile(r"(\w)\1{2,}")
DOUBLED_END = re.compile(r"(\w)\1$")


class YesNoWords(Struct, frozen=True, forbid_unknown_fields=True):
    """What a language says for yes and no, and around it; phrases, whatever their case."""

    # These count whatever follows.
    yes: tuple[str, ...]
    no: tuple[str, ...]
    # These count where the clause has only known words.
    assents: tuple[str, ...]
    refusals: tuple[str, ...]
    perhaps_if: tuple[str, ...] = ()  # an assent alone, a condition with words behind it
    denials: tuple[str, ...] = ()  # no, or only the absence of what the next word names
    after_denial: tuple[str, ...] = ()  # words that prove that it is no
    wishes: tuple[str, ...] = ()  # yes alone, and nothing beside a no
    idioms: tuple[str, ...] = ()  # no answer, though they hold a yes or no; harmless behind a yes
    soft_refusals: tuple[str, ...] = ()  # nothing alone, and harmless beside a no
    hedges: tuple[str, ...] = ()  # conditions and doubts
    but: tuple[str, ...] = ()
    opposites: tuple[str, ...] = ()  # what takes back a yes behind "but"
    because: tuple[str, ...] = ()  # behind an answer, with any words
    insistence: tuple[str, ...] = ()  # "I said", of the guest, behind a plain answer
    firsts: tuple[str, ...] = ()  # how a reason begins where no verb can stand: "I can't I'm ill"
    totals: tuple[str, ...] = ()  # "we can't all come" is no refusal
    regrets: tuple[str, ...] = ()  # wishes that do not come true; nothing alone
    excuses: tuple[str, ...] = ()  # reasons why not, behind a refusal, or in the place of one
    reasons: tuple[str, ...] = ()  # how a sentence begins that says why not, behind a refusal
    lead: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    polite: tuple[str, ...] = ()
    greetings: tuple[str, ...] = ()  # which a name can follow
    signoffs: tuple[str, ...] = ()  # before the guest's own name
    inquiries: tuple[str, ...] = ()  # how a question begins that does not doubt the answer
    hails: tuple[str, ...] = ()  # greetings with a name, before the answer
    thanks_for: tuple[str, ...] = ()  # which any words can follow
    # The words of which refusals are put together: "we are not going to make it".
    subjects: tuple[str, ...] = ()
    auxiliaries: tuple[str, ...] = ()
    negations: tuple[str, ...] = ()
    attending: tuple[str, ...] = ()
    declining: tuple[str, ...] = ()
    fillers: tuple[str, ...] = ()
    abbreviations: dict[str, str] = field(default_factory=dict)  # of texting, in full
    not_english: tuple[str, ...] = ()  # English words for yes or no that mean something else here


YES_GROUPS = {"yes", "assents", "perhaps_if"}
NO_GROUPS = {"no", "denials", "refusals"}
STRONG = {"yes", "no"}
PLAIN = STRONG | {"denials"}
EXPLAINING = {"because", "excuses"}
AROUND = {"lead", "tail", "polite"}
# An earlier group precedes a later one that has the same phrase.
GROUPS = ("yes", "perhaps_if", "assents", "no", "denials", "refusals")
GROUPS += ("soft_refusals", "hedges", "idioms", "wishes", "insistence")
GROUPS += ("but", "because", "excuses", "regrets", "lead", "tail", "polite")
REFUSAL_PARTS = ("subjects", "auxiliaries", "negations", "attending", "declining", "fillers")
POSITIONS = ("after_denial", "thanks_for", "hails", "greetings", "signoffs", "totals")
WORD = "word"  # the group of what is in no other
JOINING = frozenset("/+=#@&\\<>")  # marks that make something else of the words beside them


class Vocabulary(NamedTuple):
    """The phrases of a language, and English ones, ready to be found."""

    known: Phrases  # in the groups that are listed above
    places: Phrases  # what counts only at its place: after_denial, greetings, thanks_for
    opposites: Phrases
    reasons: Phrases
    firsts: Phrases
    inquiries: Phrases
    refusal: Phrases  # the parts of refusals; none where the questionnaire has its own words
    single: frozenset[str]  # words for yes or no, without accents
    in_full: Mapping[str, list[Token]]  # abbreviations


class Item(NamedTuple):
    """A phrase of a clause, or a word that is in none."""

    group: str
    size: int  # in words and marks
    special: str  # the group of `places` that it begins with, or ""
    is_opposite: bool  # whether one of its words takes back a yes behind "but"
    is_reason: bool  # whether words begin with it that say why not
    is_first: bool  # whether they also do right behind a denial, as in "I can't I'm ill"
    is_bare: bool  # whether it ends with a denial, so that a verb can follow


def assent_of(
    text: str, language: str, yes: tuple[str, ...] = (), no: tuple[str, ...] = ()
) -> str | None:
    """ "yes", "no", or None where a text says neither for certain.

    `yes` and `no` are a questionnaire's own words, which replace all that the language has.
    """
    tokens = tokens_of(text)
    if len(tokens) > MAX_TOKENS:
        return None
    vocabulary = _vocabulary(language, yes, no)
    clauses = clauses_of(
        [
            _shortened(each, vocabulary.single)
            for token in tokens
            for each in vocabulary.in_full.get(token.spelled, (token,))
        ]
    )
    clauses = with_inquiries_apart(clauses, vocabulary.inquiries)
    questions = [_items(clause, vocabulary) for clause in clauses if clause.is_question]
    if any(_answers(items) for items in questions):
        return None
    return _decide([_items(clause, vocabulary) for clause in clauses if not clause.is_question])


def assent_words(value: str, language: str) -> set[str]:
    """The words and phrases that say "yes" or "no" alone, in the language and in English."""
    groups = sorted(YES_GROUPS if value == "yes" else NO_GROUPS)
    return {phrase for name in groups for phrase in _listed(language, name)}


def _decide(clauses: Sequence[list[Item]]) -> str | None:
    value, group, before = None, "", set[str]()
    for items in clauses:
        if _is_unsure(items):
            return None
        if any(item.group == "soft_refusals" for item in items):
            before.add("soft_refusals")
            continue
        if value:
            if not _leaves(value, items) or (group not in STRONG and _takes_back(value, items)):
                return None
            continue
        statement = _answer_in(items, before)
        if not statement:
            continue
        group = statement[0].group
        value = "yes" if group in YES_GROUPS else "no" if group in NO_GROUPS | {"excuses"} else None
        if value is None or not _holds(statement[0], value, statement[1:]):
            return None
    if before & {"excuses", "soft_refusals"} and value != "no":
        return None
    return value or ("yes" if "wishes" in before else None)


def _is_unsure(items: list[Item]) -> bool:
    """Whether a clause has a doubt, or more than "I don't think so"."""
    groups = {item.group for item in items}
    is_more = "soft_refusals" in groups and not groups <= AROUND | {"soft_refusals"}
    return "hedges" in groups or is_more


def _answer_in(items: list[Item], before: set[str]) -> list[Item]:
    """What a clause has of the answer; the groups of what only leads up to it go to `before`."""
    statement = _without_courtesy(items)
    while statement and statement[0].group in ("wishes", "regrets"):
        before.add(statement[0].group)
        statement = _without_courtesy(statement[1:])
    if not statement or statement[0].group != "excuses":
        return statement
    if before & {"wishes", "regrets"}:
        return statement  # "I'd love to, but I'm working"
    before.add("excuses")  # "I have to work so I can't"
    so = [
        at
        for at, item in enumerate(statement)
        if at and item.group in NO_GROUPS and statement[at - 1].group == "lead"
    ]
    return statement[so[0] :] if so else []


def _takes_back(value: str, items: list[Item]) -> bool:
    """Whether a later clause denies what was only agreed to: "okay, it is not possible"."""
    return value == "yes" and any(
        item.is_opposite and item.group in (WORD, "excuses") for item in items
    )


def _without_courtesy(items: list[Item]) -> list[Item]:
    """What is behind words of courtesy; nothing is behind a greeting with a name."""
    groups = [item.group for item in items]
    opening = items[0].special if items else ""
    if opening in ("greetings", "hails") and groups[1:] and _are_names(items[1:]):
        return []
    # "Hi Mat yes"; of "hi, Mat can't come" that is not certain
    if opening == "hails" and groups[1:2] == [WORD] and {*groups[2:3]} & PLAIN:
        return items[2:]
    start = 0
    while start < len(items) and groups[start] in AROUND | {"but"}:
        is_thanks = items[start].special == "thanks_for"
        start += 1
        while is_thanks and start < len(items) and groups[start] == WORD:
            start += 1
    return items[start:]


def _holds(answer: Item, value: str, behind: list[Item]) -> bool:
    """Whether the clause that says a value means it, by what is behind that."""
    if answer.group in STRONG | {"excuses"}:
        return _leaves(value, behind)
    if answer.group == "refusals" and behind and not _is_whole(answer, behind[0]):
        return False
    same = (YES_GROUPS | {"idioms", "wishes"} if value == "yes" else NO_GROUPS) | AROUND
    for at, item in enumerate(behind):
        if item.special == "signoffs" and _are_names(behind[at + 1 :]):
            return True
        if answer.group == "refusals" and (item.is_reason or item.group == "excuses"):
            return _leaves(value, behind[at:])
        is_proof = answer.group == "denials" and item.special == "after_denial"
        if is_proof or item.group in STRONG | {"but", "because"}:
            return _leaves(value, behind[at:])
        if item.group not in same:
            return False
    return True


def _is_whole(refusal: Item, behind: Item) -> bool:
    """Whether a refusal is one, and not half of "not all of us", or "I'm not ill"."""
    is_denied = behind.group in ("refusals", "no") or behind.special == "totals"
    # "We can't we are away"
    may_follow = behind.is_first or not (behind.is_reason or behind.group == "excuses")
    return not is_denied and (may_follow or not refusal.is_bare)


def _are_names(items: list[Item]) -> bool:
    return len(items) <= LONGEST_NAME and all(item.group == WORD for item in items)


def _leaves(value: str, items: list[Item]) -> bool:
    """Whether more words leave a value as it is."""
    groups = [item.group for item in items]
    absence = groups[1:] if groups[:1] in (["because"], ["insistence"]) else groups
    if value == "yes" and absence == ["denials", WORD]:
        return items[-1].special != "after_denial"  # "yes, no allergies"
    others = NO_GROUPS if value == "yes" else YES_GROUPS
    for at, item in enumerate(items):
        is_first = at == 0 or groups[at - 1] in AROUND | {"but"}
        # "No, we will be away" does not say "we will".
        is_cut = value == "no" and item.size == 2 and groups[at + 1 : at + 2] == [WORD]
        is_first = is_first and not is_cut
        is_certain = item.group in STRONG | {"denials"} or (item.size > 1 and not is_cut)
        if item.group in others and (is_first or is_certain):
            return False
    is_condition = "perhaps_if" in groups[:-1]
    if is_condition or (value == "no" and "idioms" in groups):
        return False
    return "but" not in groups or _survives_but(value, items[groups.index("but") + 1 :])


def _survives_but(value: str, behind: list[Item]) -> bool:
    if not behind:
        return False  # an unfinished sentence
    if value == "yes":
        return not any(item.is_opposite for item in behind)
    return all(item.group in AROUND | NO_GROUPS | EXPLAINING | {"wishes"} for item in behind)


def _answers(items: list[Item]) -> bool:
    """Whether a clause of a question holds a yes or no, so that the question is about that."""
    statement = _without_courtesy(items)
    polar = YES_GROUPS | NO_GROUPS
    return any(item.group in STRONG for item in items) or bool(
        statement and statement[0].group in polar
    )


def _items(clause: Clause, vocabulary: Vocabulary) -> list[Item]:
    items, at = [], 0
    while at < len(clause.tokens):
        group, end = vocabulary.known.find(clause.tokens, at) or (WORD, at + 1)
        refusal_end = _refusal_end(clause.tokens, at, vocabulary.refusal)
        if refusal_end > end:
            group, end = "refusals", refusal_end
        special, _ = vocabulary.places.find(clause.tokens, at) or ("", at)
        token = clause.tokens[at]
        if group != WORD or token.kind != "mark" or token.spelled in JOINING:
            opposites = [vocabulary.opposites.find(clause.tokens, word) for word in range(at, end)]
            is_reason = vocabulary.reasons.find(clause.tokens, at) is not None
            is_first = vocabulary.firsts.find(clause.tokens, at) is not None
            is_bare = vocabulary.refusal.find(clause.tokens, end - 1) == ("negations", end)
            items.append(
                Item(group, end - at, special, any(opposites), is_reason, is_first, is_bare)
            )
        at = end
    return items


def _refusal_end(tokens: list[Token], start: int, refusal: Phrases) -> int:
    """Where a refusal ends that begins at `start` and is put together of its parts; or `start`."""
    parts: list[str] = []
    at = end = start
    while len(parts) < LONGEST_REFUSAL and (found := refusal.find(tokens, at)):
        if found[0] == "subjects" and "subjects" in parts:
            break
        parts.append(found[0])
        if parts.count("negations") + parts.count("declining") > 1:
            return start  # "I can't not come"
        at = found[1]
        if _is_refusal(parts):
            end = at
    return end


def _is_refusal(parts: list[str]) -> bool:
    if parts[-1] == "negations" or (parts[-1] == "attending" and "negations" in parts):
        return len(set(parts) - {"negations", "fillers"}) > 0
    is_declined = parts[-1] == "declining" and "negations" not in parts
    return is_declined and bool({"subjects", "auxiliaries"} & set(parts))


def _shortened(token: Token, single: frozenset[str]) -> Token:
    """A word for yes or no without the letters that were drawn out, as in "yesss"."""
    if token.kind != "word" or token.plain in single:
        return token
    for pattern, short in ((LONG_DRAWN, r"\1"), (LONG_DRAWN, r"\1\1"), (DOUBLED_END, r"\1")):
        spelled, plain = (pattern.sub(short, form) for form in (token.spelled, token.plain))
        if len(plain) > 1 and plain in single:
            return token._replace(spelled=spelled, plain=plain)
    return token


@lru_cache(maxsize=64)
def _vocabulary(language: str, yes: tuple[str, ...], no: tuple[str, ...]) -> Vocabulary:
    groups = {name: _listed(language, name) for name in GROUPS}
    groups["tail"] += _listed(language, "fillers")
    if yes:
        groups |= {"yes": (), "perhaps_if": (), "wishes": (), "assents": yes}
    if no:
        groups |= {"no": (), "denials": (), "refusals": no}
    polar = [tokens_of(word) for name in (*YES_GROUPS, *NO_GROUPS) for word in groups[name]]
    places = {name: _listed(language, name) for name in POSITIONS}
    single = frozenset(tokens[0].plain for tokens in polar if len(tokens) == 1)
    own = section(language, "yes_no", YesNoWords) if language in LANGUAGES else None
    return Vocabulary(
        Phrases(groups),
        Phrases(places),
        Phrases({"opposites": _listed(language, "opposites")}),
        Phrases({"reasons": _listed(language, "reasons")}),
        Phrases({"firsts": _listed(language, "firsts")}),
        Phrases({"inquiries": _listed(language, "inquiries")}),
        Phrases({} if no else {name: _listed(language, name) for name in REFUSAL_PARTS}),
        single,
        {short: tokens_of(full) for short, full in own.abbreviations.items()} if own else {},
    )


@cache
def _listed(language: str, name: str) -> tuple[str, ...]:
    """A language's phrases before the English ones, but for those that mean something else."""
    english = section(ENGLISH, "yes_no", YesNoWords)
    if language == ENGLISH or language not in LANGUAGES:
        return getattr(english, name)
    own = section(language, "yes_no", YesNoWords)
    more = [phrase for phrase in getattr(english, name) if phrase not in own.not_english]
    return (*getattr(own, name), *more)
