"""Slips of the finger: what somebody typed who meant a longer word that we know."""

import re

MIN_LETTERS = 5  # of a name: of shorter words, too many are one letter from another word
FIGURES = re.compile("[0-9]+")


def is_slip(typed: str, name: str) -> bool:
    """Whether `typed` is `name` but for one letter too many, too few, wrong, or swapped.

    Both are `comparable`. Nothing is a slip in a figure, in a name of fewer than five letters, and
    where both are the same.
    """
    if abs(len(typed) - len(name)) > 1 or sum(map(str.isalpha, name)) < MIN_LETTERS:
        return False
    if FIGURES.findall(typed) != FIGURES.findall(name):
        return False
    shorter = min(len(typed), len(name))
    common = next((n for n in range(shorter) if typed[n] != name[n]), shorter)
    ours, theirs = typed[common:], name[common:]
    has_other_letter = bool(ours and theirs) and ours[1:] == theirs[1:]
    is_one_longer = ours[1:] == theirs or ours == theirs[1:]
    is_swapped = ours[1::-1] == theirs[:2] and ours[2:] == theirs[2:]
    return ours != theirs and (has_other_letter or is_one_longer or is_swapped)
