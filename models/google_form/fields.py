"""The names of what a Google Form reads of a POST: it drops every other field."""

import re

EMAIL = "emailAddress"  # the address that a form collects itself
OTHER = "__other_option__"  # the value for what is no option; its text has a field of its own
OTHER_TEXT = ".other_option_response"
LIMITS = {  # of the parts of a date, a time or a duration
    "year": (1, 9999),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}
LONGEST_DURATION = 72  # hours
ENTRY = re.compile(r"entry\.[0-9]+")
PART = rf"_(?:{'|'.join(LIMITS)})|{re.escape(OTHER_TEXT)}"
# With the entry that it is, or belongs to, or none.
FIELD = re.compile(rf"(?P<entry>{ENTRY.pattern})(?:{PART})?|{EMAIL}")
OF_PAGE = ("fvv", "pageHistory")  # what its own page adds


def entry_of(name: str) -> str:
    """The entry that a field belongs to, or ""."""
    match = FIELD.fullmatch(name)
    return (match and match["entry"]) or ""


def part_of(name: str) -> str:
    """What part of its entry a field is: one of LIMITS, OTHER_TEXT, or "" for all of it."""
    return name.removeprefix(entry_of(name)).removeprefix("_")
