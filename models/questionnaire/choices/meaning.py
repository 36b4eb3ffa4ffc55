"""What a text means, once the choices that its sentences name are known."""

from collections.abc import Iterator, Sequence
from itertools import product

from models.questionnaire.choices.sentence import Item, Sentence

MAX_READINGS = 3

Choices = frozenset[int]  # positions of choices that are meant together


def combine(sentences: Sequence[Sentence], many: bool, has_letters: bool) -> list[Choices]:
    """What is meant, or the two or three sets of choices that may be; none if unread."""
    if any(sentence.is_unreadable for sentence in sentences):
        return []
    items = [item for sentence in sentences for item in _without_one(sentence)]
    links = {link for sentence in sentences for link in sentence.links}
    if not items or ("or" in links and len(items) < 2):
        return []
    if "or" not in links and any(sentence.is_indifferent for sentence in sentences):
        return []
    if "range" in links:
        return _range(items, many, has_letters)
    if not many or "or" in links:
        is_mixed = many and "or" in links and "and" in links
        meant = sorted({position for item in items for position in item.positions})
        return [] if is_mixed or len(meant) > MAX_READINGS else [frozenset([n]) for n in meant]
    return list(dict.fromkeys(_several(items)))


def _range(items: Sequence[Item], many: bool, has_letters: bool) -> list[Choices]:
    """From one choice to another: all between, if several can be chosen."""
    if len(items) != 2 or any(len(item.positions) != 1 for item in items):
        return []
    if items[0].is_number != items[1].is_number:
        is_same = items[0].positions == items[1].positions  # "2 - Pasta"
        return [frozenset(items[0].positions)] if is_same else []
    first, last = sorted(item.positions[0] for item in items)
    if many and not has_letters:
        return [frozenset(range(first, last + 1))]
    if first != last and (not has_letters or last - first > 1):
        return []
    return [frozenset([position]) for position in dict.fromkeys((first, last))]


def _without_one(sentence: Sentence) -> list[Item]:
    """Without the number of "one pasta", which is no position."""
    is_other = any(not item.is_number for item in sentence.items)
    if sentence.has_one and is_other:
        return [item for item in sentence.items if not (item.is_number and item.positions == (0,))]
    return sentence.items


def _several(items: Sequence[Item]) -> Iterator[Choices]:
    """The sets of choices that several items can mean; a number beside a name may be an amount."""
    options: list[list[Choices]] = []
    for number, item in enumerate(items):
        meant = [frozenset([position]) for position in item.positions]
        after = items[number + 1] if number + 1 < len(items) else None
        is_beside = after and after.is_adjacent and not after.is_number
        if item.is_number and is_beside and item.positions != after.positions:
            meant = [frozenset(), *meant]
        options.append(meant)
    size = 1
    for meant in options:
        size *= len(meant)
    if size <= MAX_READINGS:
        for chosen in product(*options):
            yield frozenset().union(*chosen)
