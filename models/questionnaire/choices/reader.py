"""Which choices a text means: every word of it must be known, and what is not is asked.

A text is cut into sentences and tokens. From left to right each is the name of a choice, its
position, an amount where labels are amounts, or a word that a language's file knows. A run of other
words must be a word, the beginning or a slip of one name, or the text is unread.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from models.questionnaire.choices.all_of import find_all, whole_number
from models.questionnaire.choices.amounts import (
    CLOCK_UNIT,
    Interval,
    Measured,
    amount_of_label,
    labels_with,
    may_be_people,
    measure,
    units_of,
)
from models.questionnaire.choices.asides import is_harmless_reason, measure_own_name
from models.questionnaire.choices.letters import begins_with_digit, letter_of
from models.questionnaire.choices.meaning import MAX_READINGS, Choices, combine
from models.questionnaire.choices.names import ChoiceNames, NamedChoice, Positions
from models.questionnaire.choices.sentence import (
    AMOUNT_ROLES,
    APART,
    LINKS,
    NO_CHOICE,
    ROLES,
    Denied,
    Item,
    Sentence,
    common_choices,
)
from models.questionnaire.choices.vocabulary import Phrase, Token, Vocabulary, vocabulary_of

SENTENCE_END = re.compile(r"[!?？！]+|(?<=\w\w\w)\.\s")
MAX_TOKENS = 500  # of a sentence; nobody writes more of them but to keep others waiting
COMMA_BETWEEN = re.compile(r"(?<=\d)[,，](?=\d)")


class ChoiceReader:
    """Reads texts as some of these choices, in a language."""

    def __init__(self, choices: tuple[NamedChoice, ...], language: str) -> None:
        self.words: Vocabulary = vocabulary_of(language)
        self.names = ChoiceNames(choices, self.words)
        labels = [self.words.tokens(choice.label) for choice in choices]
        self.amounts = [amount_of_label(tokens, self.words) for tokens in labels]
        self._has_none = any(
            tokens and self.words.find(tokens, 0, ("denials",)) for tokens in labels
        )
        self._ordinals = {
            position
            for position, tokens in enumerate(labels)
            if any(token.kind == "ordinal" for token in tokens)
        }
        self.has_letters = any(map(begins_with_digit, (choice.label for choice in choices)))
        self._letters = {letter_of(position): position for position in range(len(choices))}
        self._count = len(choices)
        self._has_clocks = any(hasattr(amount, "minutes") for amount in self.amounts)
        self._units = {CLOCK_UNIT} if self._has_clocks else set()
        self._units |= {unit for choice in choices for unit in units_of(choice.label, self.words)}

    def read(self, text: str, many: bool) -> list[Choices]:
        """What is meant, or the two or three sets of choices that may be; none if unread."""
        if NO_CHOICE.match(text):
            return []
        try:
            return combine(self._sentences(text, many), many, self.has_letters)
        except Denied:
            return []

    # From a text to items

    def _sentences(self, text: str, many: bool) -> list[Sentence]:
        sentences = []
        if not self.has_letters:
            text = COMMA_BETWEEN.sub(", ", text)  # of positions, which have no decimals
        ends = [*SENTENCE_END.finditer(text), None]
        start = 0
        for end in ends:
            part = text[start : end.start() if end else len(text)]
            start = end.end() if end else len(text)
            if tokens := self.words.tokens(part):
                sentence = Sentence(tokens, end is not None and "?" in end[0])
                items = (item for each in sentences for item in each.items)
                sentence.named_before = frozenset().union(*(item.positions for item in items))
                self._read_sentence(sentence, many)
                sentences.append(sentence)
        return [sentence for sentence in sentences if not sentence.is_harmless]

    def _read_sentence(self, sentence: Sentence, many: bool) -> None:
        at, tokens = 0, sentence.tokens
        if positions := self._begun(tokens):
            sentence.items.append(Item(positions))
            return
        while at < len(tokens):
            if len(tokens) > MAX_TOKENS or (sentence.is_unclear and not sentence.is_question):
                raise Denied  # whatever follows
            if sign := tokens[at].before:
                self._end_run(sentence)
                sentence.sign = sign
            size = self._take_item(sentence, at, many) or self._take_phrase(sentence, at)
            if not size and tokens[at].kind != "emoji":
                sentence.run.append(tokens[at])
            at += size or 1
        self._end_run(sentence)
        sentence.is_unclear |= sentence.links[-1:] == ["and"]  # it was sent too early
        if self.has_letters:
            units = self.words.all_numbers(tokens, "units")
            is_other = bool(units and self._units) and not units & self._units
            sentence.is_unclear |= is_other or len(units) > 1

    def _begun(self, tokens: Sequence[Token]) -> Positions:
        """The choices that the whole sentence begins; none where it is the name of one."""
        text = " ".join(token.text for token in tokens)
        text = tokens[0].typed or text if len(tokens) == 1 else text
        named = self.names.find(tokens, 0)
        is_list = any(token.before == "," for token in tokens)
        if is_list or (named and named[1] == len(tokens)) or (len(text) == 1 and self.has_letters):
            return ()
        is_known = len(text) > 1 and self.words.find(tokens, 0, ROLES) is not None
        found = self.names.begun_with_words(text) if is_known else self.names.begun(text)
        has_word = any(token.kind == "word" for token in tokens)
        return found if len(found) <= MAX_READINGS and has_word else ()

    def _take_item(self, sentence: Sentence, at: int, many: bool) -> int:
        """Read a name, a letter, a number or an amount there; how many tokens it takes."""
        tokens = sentence.tokens
        if self._is_figure(tokens, at):
            return 0
        lead = self._size(sentence, at, ("sizes",))
        named = self.names.find(tokens, at + lead)
        is_amount = tokens[at].kind == "number" and self.has_letters
        if named and not (is_amount and named[1] == 1):
            self._add(sentence, named[0])
            end = lead + named[1]
            return end + self._size(sentence, at + end, ("sizes",))
        if self._is_letter(sentence, at):
            self._add(sentence, (self._letters[tokens[at].typed or tokens[at].text],))
            return 1
        if size := self._take_all(sentence, at, many):
            return size
        if self.has_letters:
            return self._take_amount(sentence, at)
        if tokens[at].kind == "number":
            self._check_before_number(sentence, at)
            self._add_number(sentence, tokens[at].text)
            return 1 + self._take_times(sentence, at + 1)
        return self._take_ordinal(sentence, at)

    def _is_figure(self, tokens: Sequence[Token], at: int) -> bool:
        """Whether a figure stands for a word there, as in "pasta 4 me"."""
        is_behind = at and tokens[at - 1].text not in self.words.known
        return bool(is_behind and self.words.find(tokens, at, ("figures",)))

    def _check_before_number(self, sentence: Sentence, at: int) -> None:
        """A number behind "in" or "us" is a time or people, and no position."""
        is_apart = at == 0 or bool(sentence.tokens[at].before)
        sentence.is_unclear |= (
            not is_apart and self._size(sentence, at - 1, ("before_amounts",)) > 0
        )

    def _take_times(self, sentence: Sentence, at: int) -> int:
        """Read "x" in "2x pizza", where a name follows."""
        size, tokens = self._size(sentence, at, ("times",)), sentence.tokens
        after = at + size
        if not size or after >= len(tokens) or not self.names.resembling(tokens[after].text):
            return 0
        sentence.has_one |= tokens[at - 1].text == "1"
        return size

    def _take_ordinal(self, sentence: Sentence, at: int) -> int:
        token = sentence.tokens[at]
        if token.kind != "ordinal":
            return 0
        self._add_position(sentence, int(token.text))
        return 1 + self._after_ordinal(sentence, at + 1)

    def _after_ordinal(self, sentence: Sentence, at: int) -> int:
        """Read "one" in "the first one"; "the first three" are several, which is not read."""
        size = self._size(sentence, at, ("after_ordinals",))
        sentence.is_unclear |= (
            not size and whole_number(sentence.tokens, at, self.words) is not None
        )
        return size

    def _is_letter(self, sentence: Sentence, at: int) -> bool:
        """Whether it is the letter of a choice; an article is one only where it stands alone."""
        token = sentence.tokens[at]
        if not self.has_letters or (token.typed or token.text) not in self._letters:
            return False
        phrase = self.words.find(sentence.tokens, at, (*ROLES, *AMOUNT_ROLES))
        if not phrase or phrase.size > 1:
            return not phrase and not (at and sentence.tokens[at - 1].kind == "number")
        return self._is_apart(sentence, at - 1, token) and self._is_apart(sentence, at + 1)

    def _is_apart(self, sentence: Sentence, at: int, beside: Token | None = None) -> bool:
        """Whether a token does not belong to the one beside it: there is none, or a sign."""
        tokens = sentence.tokens
        if at in (-1, len(tokens)) or (beside or tokens[at]).before:
            return True
        return self.words.find(tokens, at, APART) is not None

    def _take_all(self, sentence: Sentence, at: int, many: bool) -> int:
        """Read "all three" or "both" as all choices, where several can be chosen."""
        found = find_all(sentence.tokens, at, self.words)
        if not found:
            return 0
        is_position = bool(sentence.items) or found.number != self._count  # "the 2 and the 4"
        is_figure = is_position and not found.is_number_word
        if found.is_article and (is_figure or not (many and found.number)):
            if found.is_number_word:
                raise Denied  # "the two" of three choices, or where one can be chosen
            return 0
        if self._has_none or not many or found.number not in (None, self._count):
            raise Denied
        if not sentence.has_all:
            sentence.items += [Item((position,)) for position in range(self._count)]
        sentence.has_all = True
        return found.size

    def _take_amount(self, sentence: Sentence, at: int) -> int:
        """Read the choices that hold an amount; nothing that a label holds is no answer."""
        if sentence.tokens[at].kind == "ordinal":
            return self._take_ordinal(sentence, at)
        if sentence.links[-1:] == ["item"] and self.words.find(sentence.tokens, at, ("ranges",)):
            return 0  # "2 bis 3", though "bis 3" is an amount as well
        measured = measure(sentence.tokens, at, self.words, self._has_clocks)
        if measured is None:
            return 0
        if sentence.links[-1:] == ["item"] and sentence.tokens[at].text == "one":
            return 1  # "the 3 pm one"
        is_fraction = sentence.tokens[at].before == "/" and sentence.tokens[at - 1].kind == "number"
        is_negative = sentence.sign == "-" and not sentence.items
        sentence.is_unclear |= is_fraction or is_negative
        sentence.is_unclear |= may_be_people(sentence.tokens, at, measured, self.words)

        self._add(sentence, tuple(labels_with(self.amounts, measured)))
        return measured.size

    def _take_phrase(self, sentence: Sentence, at: int) -> int:
        """Read a phrase of the language's file; how many tokens it takes."""
        roles = (*ROLES, *AMOUNT_ROLES) if self.has_letters else (*ROLES, "ranges", "plus")
        if sentence.run or sentence.links[-1:] == ["item"]:
            roles = ("ranges", *roles)  # "2 a 3", where "a" can be other things as well
        if not at or sentence.tokens[at].before:
            thanks = self.words.find(sentence.tokens, at, ("thanks",))
            if thanks and (size := self._take_name(sentence, at, thanks)):
                self._end_run(sentence)
                return thanks.size + size
        found = self.words.find(sentence.tokens, at, roles)
        if not found or self._is_behind_number(sentence, at):
            return 0
        self._end_run(sentence)
        sentence.is_unclear |= found.role == "halves" and self.has_letters
        if found.role == "corrections" and self._is_apology(sentence, at, found):
            return found.size
        sentence.is_unclear |= found.role == "plus" and not sentence.items
        if found.role in LINKS:
            is_first = not sentence.items and found.role in ("corrections", "and_")
            sentence.links += [] if is_first else [LINKS[found.role]]
            return found.size
        return self._apply(sentence, at, found)

    def _is_behind_number(self, sentence: Sentence, at: int) -> bool:
        """Whether "x" makes an amount of the number before it, and is no kiss."""
        is_behind = at > 0 and sentence.tokens[at - 1].kind == "number"
        return is_behind and self._size(sentence, at, ("times",)) > 0

    def _is_apology(self, sentence: Sentence, at: int, found: Phrase) -> bool:
        """Whether "sorry" corrects nothing, for it is the last word."""
        is_last = at + found.size == len(sentence.tokens)
        return is_last and self._size(sentence, at, ("apologies",)) == found.size

    def _apply(self, sentence: Sentence, at: int, found: Phrase) -> int:
        match found.role:
            case "denials" | "both" | "all":
                raise Denied
            case "options":
                return found.size + self._take_marked(sentence, at + found.size)
            case "numbers":
                self._check_before_number(sentence, at)
                sentence.has_one |= found.number == 1
                self._add_number(sentence, str(found.number))
            case "ordinals" | "last":
                number = found.number if found.role == "ordinals" else self._count
                self._add_position(sentence, number)
                return found.size + self._after_ordinal(sentence, at + found.size)
            case "requests":
                sentence.is_request = True
            case "indifferent":
                sentence.is_indifferent = True
            case "reasons":
                return self._take_reason(sentence, at)
            case "closings" | "introductions" | "farewells":
                return found.size + self._take_name(sentence, at, found)
        return found.size

    def _take_name(self, sentence: Sentence, at: int, found: Phrase) -> int:
        """Skip the guest's own name behind a closing."""
        after = sentence.tokens[at + found.size :]
        return measure_own_name(after, found.role, self.names, self.words)

    def _take_reason(self, sentence: Sentence, at: int) -> int:
        """Skip why a choice was made, which is to the end of the sentence."""
        before = sentence.named_before.union(*(item.positions for item in sentence.items))
        reason = sentence.tokens[at:]
        if not is_harmless_reason(reason, before, self.names, self.words):
            raise Denied
        return len(reason)

    def _take_marked(self, sentence: Sentence, at: int) -> int:
        """Read what follows "option": a number or a letter."""
        if at >= len(sentence.tokens):
            return 0
        token = sentence.tokens[at]
        if self.has_letters and token.text in self._letters:
            self._add(sentence, (self._letters[token.text],))
            return 1
        article = self.words.find(sentence.tokens, at, ("articles",))
        number = article.number if article else whole_number(sentence.tokens, at, self.words)
        if number is None:
            return 0
        if not self.has_letters:
            self._add_number(sentence, str(number), is_number=False)
            return 1
        measured = measure(sentence.tokens, at, self.words, self._has_clocks)
        found = set(labels_with(self.amounts, measured)) if measured else set()
        found |= {number - 1} if 0 < number <= self._count else set()
        self._add(sentence, tuple(sorted(found)))
        return measured.size if measured else 1

    def _end_run(self, sentence: Sentence) -> None:
        """Read a run of words that are not known: together, or each for itself."""
        run, sentence.run = sentence.run, []
        if not run:
            return
        text = " ".join(token.text for token in run)
        if len(text) == 1 and self._has_other_letter(sentence, run[0]):
            sentence.is_unclear = True
        if found := self.names.resembling(text):
            self._add(sentence, found)
            return
        for token in run:
            self._add(sentence, self.names.resembling(token.text) if len(run) > 1 else ())

    def _has_other_letter(self, sentence: Sentence, token: Token) -> bool:
        """Whether "c" may be a letter of the list because of another one, as in "a c"."""
        letters = {each.text for each in sentence.tokens if each is not token}
        return any(len(letter) == 1 and letter.isalpha() for letter in letters & self.words.known)

    def _size(self, sentence: Sentence, at: int, roles: tuple[str, ...]) -> int:
        if at >= len(sentence.tokens):
            return 0
        found = self.words.find(sentence.tokens, at, roles)
        return found.size if found else 0

    def _add(self, sentence: Sentence, positions: Positions, is_number: bool = False) -> None:
        self._end_run(sentence)
        if not positions or len(positions) > MAX_READINGS:
            sentence.is_unclear = True
            return
        links, is_first = sentence.links, not sentence.items
        if sentence.sign and not is_first:
            links.append("range" if sentence.sign == "-" else "sign")
        is_adjacent = links[-1:] == ["item"]
        if is_adjacent and (common := common_choices(sentence.items[-1].positions, positions)):
            sentence.items[-1] = Item(common, is_adjacent=sentence.items[-1].is_adjacent)
            return
        sentence.items.append(Item(positions, is_number, is_adjacent))
        links.append("item")
        sentence.sign = ""

    def _add_position(self, sentence: Sentence, number: int) -> None:
        """Read an ordinal as a position, and as a label such as "2nd floor"."""
        positions = {number - 1} if 0 < number <= self._count else set()
        if self.has_letters:
            label = Measured(Interval(number, number), 1)
            positions |= {n for n in labels_with(self.amounts, label) if n in self._ordinals}
        self._add(sentence, tuple(sorted(positions)))

    def _add_number(self, sentence: Sentence, text: str, is_number: bool = True) -> None:
        """Read a number as a position, and as a word of a name, as in "Team 2"."""
        positions = set(self.names.with_word(text))
        number = int(text) if text.isdecimal() and len(text) < 4 else 0
        positions |= {number - 1} if 0 < number <= self._count else set()
        self._add(sentence, tuple(sorted(positions)), is_number)


@lru_cache(maxsize=256)
def reader_of(choices: tuple[NamedChoice, ...], language: str) -> ChoiceReader:
    """The reader of these choices, which is made once."""
    return ChoiceReader(choices, language)
